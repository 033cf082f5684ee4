//! What an attempt came to, and what follows from it. The one table of classes and consequences. Reading path:
//! `egress` before this file, `retry` after it.
//!
//! | class | breaker | next |
//! | --- | --- | --- |
//! | `Accepted` | success | done, keep the references |
//! | `AlreadyThere` | success | done, link; with a `vendor_id` the record was read back: the third proof |
//! | `Refused` | success: the vendor is well | stop; fix data or posting. Held, when the step [only adds](crate::connector::Connector::only_adds) |
//! | `Unauthorised` | neutral | pause the account; no attempt consumed |
//! | `NotNow` | neutral; empties the bucket | at that time, in full |
//! | `Unavailable` | failure | back off; safe to resend, it was provably not processed |
//! | `Unknown` | failure | ask the vendor, then resend or adopt |
//!
//! The class is the connector's verdict, not the HTTP status; what the breaker hears is egress's own reading of the answer.
//! Silence is neither success nor failure: whatever may have reached the vendor and was not answered is `Unknown`.
//! A step whose [`Idempotency`](crate::delivery::Idempotency) is `Always` treats `Unknown` as `Unavailable`; nothing else
//! may take that short cut.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::delivery::{Refs, UnknownWord};
use crate::pii::Pii;
use crate::reason::Reason;

/// See the table in the module's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "OutcomeClass")]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each class is a row of the table above")]
pub enum Class {
    Accepted,
    AlreadyThere,
    Refused,
    Unauthorised,
    NotNow,
    Unavailable,
    Unknown,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 7] = [
        Self::Accepted,
        Self::AlreadyThere,
        Self::Refused,
        Self::Unauthorised,
        Self::NotNow,
        Self::Unavailable,
        Self::Unknown,
    ];

    /// The stable text of the class.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::AlreadyThere => "already_there",
            Self::Refused => "refused",
            Self::Unauthorised => "unauthorised",
            Self::NotNow => "not_now",
            Self::Unavailable => "unavailable",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Class {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|class| class.as_str() == text).ok_or(UnknownWord)
    }
}

/// A vendor's or a rule's "no" to one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldReason {
    /// JSON pointer into the canonical application; empty when the whole document is meant.
    pub pointer: String,
    /// The kind of complaint.
    pub reason: Reason,
    /// A plain sentence of ours. It names the field, never its value.
    pub text: String,
}

/// What one try of a step came to. The connector's verdict; the HTTP code alone decides nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What follows.
    pub class: Class,
    /// Why, unless it went straight through.
    pub reason: Option<Reason>,
    /// References gained by this step.
    pub refs: Refs,
    /// The reference that identifies the vendor's record of this delivery, unique within the account, if one is known.
    pub vendor_id: Option<String>,
    /// The vendor's HTTP status, if it answered.
    pub vendor_status: Option<u16>,
    /// The vendor's own words; they may quote the candidate.
    pub vendor_words: Option<Pii<String>>,
    /// Field-level reasons of a refusal.
    pub fields: Vec<FieldReason>,
    /// How long the vendor asked us to wait.
    pub retry_after: Option<Duration>,
    /// The answer contradicts what we hold to be the vendor's contract: opens a case, changes no decision.
    pub drift: bool,
    /// A human should look, though the step went through.
    pub case: Option<Reason>,
}

impl Outcome {
    /// An outcome of the given class with nothing else known.
    pub fn new(class: Class) -> Self {
        Self {
            class,
            reason: None,
            refs: Refs::new(),
            vendor_id: None,
            vendor_status: None,
            vendor_words: None,
            fields: Vec::new(),
            retry_after: None,
            drift: false,
            case: None,
        }
    }

    /// The same outcome with its reason.
    #[must_use]
    pub fn because(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// The same outcome with the vendor's status and words (cut at 2,000 characters).
    #[must_use]
    pub fn said(mut self, status: u16, words: &str) -> Self {
        self.vendor_status = Some(status);
        self.vendor_words = Some(Pii::new(words.chars().take(2_000).collect()));
        self
    }

    /// The same outcome with one more reference.
    #[must_use]
    pub fn with_ref(mut self, name: &str, value: impl Into<String>) -> Self {
        self.refs.insert(name.to_owned(), value.into());
        self
    }
}

/// What asking a vendor about an unknown outcome came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// Records that match on e-mail and job, re-checked on the record itself; best first. The gateway adopts the first
    /// that no other delivery is linked to.
    Seen(Vec<VendorRecord>),
    /// The vendor shows no such record as of this moment. Counts only after the Descriptor's visibility lag, twice.
    NotSeen {
        /// The moment the vendor's answer is good for.
        as_of: Timestamp,
    },
    /// The vendor cannot be asked, or could not answer for good.
    CannotTell,
    /// The vendor could not answer now: ask again later.
    NotNow {
        /// How long the vendor asked us to wait.
        retry_after: Option<Duration>,
    },
}

/// A record at the vendor that may be the one an unknown attempt created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorRecord {
    /// Identifies it within the account.
    pub vendor_id: String,
    /// References to keep if it is adopted.
    pub refs: Refs,
    /// When the vendor says it was created.
    pub created_at: Option<Timestamp>,
    /// It carries a reference of ours, so it can be no one else's.
    pub carries_our_reference: bool,
    /// It is what the delivery is known by at the vendor, not something beside it, as a contact or a note is.
    pub is_application: bool,
}
