//! Formats that we check ourselves.
//!
//! Responsible for e-mail addresses: one rule for the canonical schema, every vendor's schema and every form. The rule
//! admits what a mail server could take and what the blind indexes can find again; it does not ask whether the mailbox
//! exists.

use causeway_core::email::NormalEmail;
use email_address::{EmailAddress, Options};

/// An address without display name, at a domain name with at least two labels.
pub(super) fn is_email(text: &str) -> bool {
    let options = Options::default().with_required_tld().without_display_text().without_domain_literal();
    if EmailAddress::parse_with_options(text, options).is_err() {
        return false;
    }
    // Plain ASCII always has a normal form; anything else must survive IDNA.
    let plain = text.is_ascii() && !text.contains("xn--") && !text.contains("XN--");
    plain || NormalEmail::parse(text).is_some()
}

#[cfg(test)]
mod tests {
    use causeway_core::email::NormalEmail;

    use super::is_email;

    #[test]
    fn addresses() {
        for (address, expected) in [
            ("ada@example.org", true),
            ("ada.lovelace+jobs@mail.example.org", true),
            ("o'brien@example.org", true),
            ("jo@b\u{fc}cher.example", true),
            ("jo@xn--bcher-kva.example", true),
            ("\u{5f20}\u{4e09}@example.org", true),
            ("", false),
            ("ada", false),
            ("ada@localhost", false),
            ("ada@[192.0.2.1]", false),
            ("Ada <ada@example.org>", false),
            ("ada@example.org ", false),
            (" ada@example.org", false),
            ("ada@@example.org", false),
            ("ada@example..org", false),
            (".ada@example.org", false),
            ("ada@-example.org", false),
            ("ada@example.org,bob@example.org", false),
            ("ada@example.org\nbcc:bob@example.org", false),
        ] {
            assert_eq!(is_email(address), expected, "{address:?}");
            assert!(!expected || NormalEmail::parse(address).is_some(), "{address:?} has no normal form");
        }
    }
}
