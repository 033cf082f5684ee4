//! One normal form for e-mail addresses, so that the same mailbox is found however it was typed.
//!
//! Two forms: *exact* (identity, merges, default lookup) and *base* (plus-tag removed; used only when a query asks).
//! The form has a version: blind indexes store it, so a later rule can be introduced beside this one.

use unicode_normalization::UnicodeNormalization;

/// The version of the rules below. Blind indexes are only comparable within one version.
pub const NORMALISER_VERSION: u8 = 1;

/// An address in normal form. It is personal data; it has no `Debug` that prints it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NormalEmail {
    exact: String,
    base: String,
}

impl std::fmt::Debug for NormalEmail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[personal]")
    }
}

impl NormalEmail {
    /// Trimmed, NFC, lower case, domain in its ASCII (IDNA) form. `None` when there is no `local@domain`.
    ///
    /// Lower-casing the local part goes against the letter of RFC 5321 and with every mail provider in use.
    pub fn parse(typed: &str) -> Option<Self> {
        let trimmed: String = typed.trim().nfc().collect();
        let (local, domain) = trimmed.rsplit_once('@')?;
        if local.is_empty() || domain.is_empty() || local.chars().any(char::is_control) {
            return None;
        }
        let domain = idna::domain_to_ascii(domain).ok().filter(|domain| !domain.is_empty())?;
        let local: String = local.to_lowercase().nfc().collect();
        let untagged = local.split_once('+').map_or(local.as_str(), |(before, _)| before);
        let base_local = if untagged.is_empty() { local.as_str() } else { untagged };
        Some(Self { exact: format!("{local}@{domain}"), base: format!("{base_local}@{domain}") })
    }

    /// The form that identity rests on.
    pub fn exact(&self) -> &str {
        &self.exact
    }

    /// The form without the plus-tag.
    pub fn base(&self) -> &str {
        &self.base
    }
}

#[cfg(test)]
mod tests {
    use super::NormalEmail;

    fn check(typed: &str, exact: &str, base: &str) {
        let normal = NormalEmail::parse(typed).unwrap();
        assert_eq!((normal.exact(), normal.base()), (exact, base), "{typed}");
    }

    #[test]
    fn variants_of_one_mailbox_meet() {
        check(" Ada@Example.ORG ", "ada@example.org", "ada@example.org");
        check("ada+jobs@example.org", "ada+jobs@example.org", "ada@example.org");
        check("jo@b\u{fc}cher.example", "jo@xn--bcher-kva.example", "jo@xn--bcher-kva.example");
        check("jo@bu\u{308}cher.example", "jo@xn--bcher-kva.example", "jo@xn--bcher-kva.example");
        check("ren\u{65}\u{301}@example.org", "ren\u{e9}@example.org", "ren\u{e9}@example.org");
    }

    #[test]
    fn what_is_no_address_has_no_normal_form() {
        for typed in ["", "ada", "@example.org", "ada@", "a\u{0}b@example.org"] {
            assert!(NormalEmail::parse(typed).is_none(), "{typed:?}");
        }
    }
}
