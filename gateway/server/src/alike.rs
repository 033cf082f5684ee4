//! Failures that many deliveries share: what they have in common, how many are many, when one of them is tried again.
//! Pure.
//!
//! A vendor that changed its form, lost a permission or is down refuses every delivery in the same way. Trying each of
//! them says nothing new and costs the account's quota; so from some number on they are held under one case, one is sent
//! as a probe, and all go once it went through. The store counts and holds, `schedule` sends the probe.
//!
//! A mark names a step, a class, a reason, the vendor's status and the places complained of, never a value: no personal
//! data. What is one person's own affair (a rule that blocked them, a repeat, a closed job) has no mark, and neither has a
//! vendor that asks to wait or refuses the credentials: the bucket and the account's pause are made for those.

use std::time::Duration;

use causeway_core::outcome::{Class, Outcome};
use causeway_core::reason::Reason;

use crate::hash::sha256_hex;

/// The figures.
#[derive(Debug, Clone, PartialEq)]
pub struct AlikePolicy {
    /// So many deliveries that fail alike are many,
    pub after: u32,
    /// within this time.
    pub within: Duration,
    /// How long to wait before each probe; the last one is repeated.
    pub probes: Vec<Duration>,
    /// A wait is up to this share longer by chance.
    pub jitter: f64,
}

impl Default for AlikePolicy {
    fn default() -> Self {
        let minutes = [1, 5, 15, 60].map(|count| Duration::from_secs(count * 60));
        Self { after: 10, within: Duration::from_mins(10), probes: minutes.into(), jitter: 0.1 }
    }
}

impl AlikePolicy {
    /// The wait before the next probe, after so many that failed.
    pub fn wait(&self, failed: u32, dice: f64) -> Duration {
        let at = usize::try_from(failed).unwrap_or(usize::MAX).min(self.probes.len().saturating_sub(1));
        let wait = self.probes.get(at).copied().unwrap_or(Duration::from_mins(1));
        wait.mul_f64(1.0 + self.jitter * dice)
    }
}

/// What failures have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The step that failed.
    pub step: String,
    /// How.
    pub class: Class,
    /// Why, as the connector reads it.
    pub reason: Option<Reason>,
    /// The vendor's HTTP status.
    pub vendor_status: Option<u16>,
    /// The places complained of, with the kind of complaint: pointers whose members and numbers are cut out.
    pub fields: Vec<String>,
}

impl Mark {
    /// The mark of an outcome; none for what went well and for what others cannot share.
    pub fn of(step: &str, outcome: &Outcome) -> Option<Self> {
        let shared = match outcome.class {
            Class::Accepted | Class::AlreadyThere | Class::NotNow => false,
            Class::Unavailable | Class::Unknown => true,
            Class::Unauthorised => outcome.reason == Some(Reason::PermissionMissing),
            Class::Refused => !outcome.reason.is_some_and(is_ones_own),
        };
        if !shared {
            return None;
        }
        let mut fields: Vec<String> =
            outcome.fields.iter().map(|field| format!("{} {}", place(&field.pointer), field.reason)).collect();
        fields.sort();
        fields.dedup();
        fields.truncate(FIELDS_AT_MOST);
        let (class, reason, vendor_status) = (outcome.class, outcome.reason, outcome.vendor_status);
        Some(Self { step: step.to_owned(), class, reason, vendor_status, fields })
    }

    /// The mark as the store knows it.
    pub fn hash(&self) -> String {
        let reason = self.reason.map_or("", Reason::as_str);
        let status = self.vendor_status.map_or(String::new(), |status| status.to_string());
        let text = [&self.step, self.class.as_str(), reason, &status, &self.fields.join("\n")].join("\n");
        sha256_hex(text.as_bytes()).chars().take(32).collect()
    }
}

/// More say nothing more.
const FIELDS_AT_MOST: usize = 16;

/// Reasons that lie in one application or job, and that no other success can lift.
const fn is_ones_own(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ApplicationBlocked | Reason::RepeatApplication | Reason::PostingClosed | Reason::PostingUnknown
    )
}

/// A pointer without positions and without names that a document brought along.
fn place(pointer: &str) -> String {
    let is_ours = |name: &str| {
        (1..=40).contains(&name.len()) && name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
    };
    let mut ours = true;
    let mut parts = Vec::new();
    for name in pointer.split('/').skip(1) {
        let is_position = name.chars().all(|c| c.is_ascii_digit());
        parts.push(if ours && is_ours(name) && !is_position { name } else { "*" });
        // Below `extensions` the tenant names the members.
        ours &= name != "extensions";
    }
    parts.iter().map(|part| format!("/{part}")).collect()
}

#[cfg(test)]
mod tests {
    use causeway_core::outcome::FieldReason;

    use super::*;

    fn refused(pointer: &str, text: &str) -> Outcome {
        let field = FieldReason { pointer: pointer.into(), reason: Reason::ValueInvalid, text: text.into() };
        let mut outcome = Outcome::new(Class::Refused).because(Reason::ValueInvalid).said(422, text);
        outcome.fields.push(field);
        outcome
    }

    fn hash(step: &str, outcome: &Outcome) -> Option<String> {
        Mark::of(step, outcome).map(|mark| mark.hash())
    }

    #[test]
    fn positions_and_words_make_no_difference() {
        let first = hash("submit", &refused("/answers/3/value", "Ada may not."));
        assert_eq!(first, hash("submit", &refused("/answers/11/value", "Bela may not.")));
        assert_ne!(first, hash("submit", &refused("/person/phones/0", "Ada may not.")));
        assert_ne!(first, hash("survey", &refused("/answers/3/value", "Ada may not.")));
        let other = Outcome { vendor_status: Some(400), ..refused("/answers/3/value", "Ada may not.") };
        assert_ne!(first, hash("submit", &other));
        let text = format!("{:?}", Mark::of("submit", &refused("/answers/3/value", "Ada may not.")));
        assert!(!text.contains("Ada"), "{text}");
    }

    #[test]
    fn what_a_document_names_is_cut_out() {
        for (pointer, want) in [
            ("/person/phones/0/raw", "/person/phones/*/raw"),
            ("/extensions/acme/ada", "/extensions/*/*"),
            ("/answers/0/Ada Lovelace", "/answers/*/*"),
            ("", ""),
        ] {
            assert_eq!(place(pointer), want);
        }
    }

    #[test]
    fn what_others_cannot_share_has_no_mark() {
        let because = |class, reason| Outcome::new(class).because(reason);
        for (outcome, marked) in [
            (Outcome::new(Class::Accepted), false),
            (Outcome::new(Class::AlreadyThere), false),
            (Outcome::new(Class::NotNow), false),
            (Outcome::new(Class::Unauthorised), false),
            (because(Class::Unauthorised, Reason::PermissionMissing), true),
            (because(Class::Refused, Reason::PostingClosed), false),
            (because(Class::Refused, Reason::ApplicationBlocked), false),
            (because(Class::Refused, Reason::VendorRefused), true),
            (Outcome::new(Class::Refused), true),
            (Outcome::new(Class::Unavailable), true),
            (Outcome::new(Class::Unknown), true),
        ] {
            assert_eq!(Mark::of("submit", &outcome).is_some(), marked, "{outcome:?}");
        }
    }

    #[test]
    fn the_wait_grows_and_stays_at_its_last() {
        let policy = AlikePolicy { probes: [1, 5].map(Duration::from_secs).into(), ..AlikePolicy::default() };
        let waits: Vec<u64> = (0..4).map(|failed| policy.wait(failed, 0.0).as_secs()).collect();
        assert_eq!(waits, [1, 5, 5, 5]);
        assert!(policy.wait(0, 0.99) > policy.wait(0, 0.0));
    }
}
