//! The closed list of reasons why something did not go straight through, and who has to act on each.
//!
//! Connectors and intake choose from it, stores keep its text, support turns it into sentences. A reason names no vendor
//! and holds no personal data; what the vendor said is kept beside it.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::delivery::UnknownWord;

/// Who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhoActs {
    /// The applicant: correct the data and send again.
    Candidate,
    /// The career site's developers.
    Site,
    /// The tenant's integration admin.
    Admin,
    /// The vendor.
    Vendor,
    /// The operators of this gateway.
    Us,
    /// Nobody: it is done, or it goes on by itself.
    Nobody,
}

impl WhoActs {
    /// The stable text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Site => "site",
            Self::Admin => "admin",
            Self::Vendor => "vendor",
            Self::Us => "us",
            Self::Nobody => "nobody",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $who:ident;)*) => {
        /// Why.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable text of the reason.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Who has to act on it.
            pub const fn who_acts(self) -> WhoActs {
                match self { $(Self::$name => WhoActs::$who,)* }
            }
        }
    };
}

reasons! {
    /// A required answer or field is missing.
    AnswerMissing = "answer_missing", Candidate;
    /// A value is not of the form the system wants.
    ValueInvalid = "value_invalid", Candidate;
    /// An option was chosen that the question does not offer.
    OptionUnknown = "option_unknown", Site;
    /// A file is empty, of a type the system does not take, or not what its name says.
    FileRefused = "file_refused", Candidate;
    /// The document has a member the contract does not know, or breaks its shape.
    DocumentInvalid = "document_invalid", Site;
    /// The job is closed or no longer published.
    PostingClosed = "posting_closed", Admin;
    /// No such job.
    PostingUnknown = "posting_unknown", Site;
    /// The job was not known when the application came; a sync was rung.
    PostingNotSyncedYet = "posting_not_synced_yet", Nobody;
    /// The job's questions had not been fetched when the application came.
    FormNotFetchedYet = "form_not_fetched_yet", Nobody;
    /// The vendor refused the credentials.
    CredentialsRefused = "credentials_refused", Admin;
    /// The credentials lack a permission.
    PermissionMissing = "permission_missing", Admin;
    /// The account was paused by a person.
    AccountPaused = "account_paused", Admin;
    /// The account has not gone live yet.
    AccountNotLive = "account_not_live", Admin;
    /// The account's settings cannot work as they are.
    AccountMisconfigured = "account_misconfigured", Admin;
    /// The vendor asked to slow down.
    VendorBusy = "vendor_busy", Nobody;
    /// The vendor could not be reached, or said it was unavailable.
    VendorUnreachable = "vendor_unreachable", Nobody;
    /// The vendor failed while handling the request.
    VendorFailed = "vendor_failed", Nobody;
    /// The vendor's answer contradicts its documents.
    VendorDrifted = "vendor_drifted", Us;
    /// The vendor refused, for a reason of its own that names no field.
    VendorRefused = "vendor_refused", Vendor;
    /// A rule of the vendor's customer, such as a limit on applications, kept the submission from becoming an application.
    /// The applicant may not be told.
    ApplicationBlocked = "application_blocked", Nobody;
    /// Nobody knows yet whether the vendor took it; the vendor is being asked.
    OutcomeUnknown = "outcome_unknown", Nobody;
    /// The vendor cannot be asked whether it took it.
    OutcomeCannotBeKnown = "outcome_cannot_be_known", Admin;
    /// The vendor said it took it and does not show it.
    NotSeenAtVendor = "not_seen_at_vendor", Admin;
    /// The vendor linked the person by a secondary address: a human should confirm.
    PersonMatchedBySecondaryEmail = "person_matched_by_secondary_email", Admin;
    /// The same person applied to the same job before.
    RepeatApplication = "repeat_application", Admin;
    /// The retry schedule is used up.
    RetriesExhausted = "retries_exhausted", Us;
    /// Many deliveries of the account fail in the same way; one is tried from time to time.
    FailsAlike = "fails_alike", Admin;
    /// The delivery broke its worker, or its stored data cannot be read.
    Poison = "poison", Us;
    /// An operator decided.
    OperatorDecided = "operator_decided", Nobody;
    /// The data was erased.
    Erased = "erased", Nobody;
    /// The data came back from a backup, and nobody has confirmed yet that deliveries may go on.
    Restored = "restored", Us;
    /// The document holds no consent or other lawful basis for the system's purpose.
    LawfulBasisMissing = "lawful_basis_missing", Site;
    /// The person refused, or objected to, the use of the data for the system's purpose.
    ConsentRefused = "consent_refused", Nobody;
    /// The career site's webhook endpoint has answered nothing but failures for days; it gets nothing any more.
    WebhookFailing = "webhook_failing", Site;
    /// The career site's webhook endpoint answered that it is gone; it gets nothing any more.
    WebhookGone = "webhook_gone", Site;
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == text).ok_or(UnknownWord)
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn every_reason_has_one_text_in_both_forms() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(*reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }
}
