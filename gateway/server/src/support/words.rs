//! The gateway's own words for states, reasons and moments. Plain sentences; no vendor's name, no value.

use causeway_core::delivery::{HeldCause, State};
use causeway_core::reason::{Reason, WhoActs};
use jiff::Timestamp;

/// What a reason means, as a sentence.
pub(super) const fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::AnswerMissing => "A required answer or field is missing.",
        Reason::ValueInvalid => "A value does not have the form the system wants.",
        Reason::OptionUnknown => "An option was chosen that the question does not offer.",
        Reason::FileRefused => "A file is empty, too large, or of a type the system does not take.",
        Reason::DocumentInvalid => "The document does not follow the contract.",
        Reason::PostingClosed => "The job is closed or no longer published.",
        Reason::PostingUnknown => "There is no such job.",
        Reason::PostingNotSyncedYet => "The job was not known when the application came; the job list is being read.",
        Reason::FormNotFetchedYet => "The job's questions had not been fetched when the application came.",
        Reason::CredentialsRefused => "The system refused the account's credentials.",
        Reason::PermissionMissing => "The account's credentials lack a permission.",
        Reason::AccountPaused => "The account is paused.",
        Reason::AccountNotLive => "The account has not gone live yet.",
        Reason::AccountMisconfigured => "The account's settings cannot work as they are.",
        Reason::VendorBusy => "The system asked to slow down.",
        Reason::VendorUnreachable => "The system could not be reached.",
        Reason::VendorFailed => "The system failed while handling the request.",
        Reason::VendorDrifted => "The system's answer contradicts its documents.",
        Reason::VendorRefused => "The system refused it without naming a field.",
        Reason::ApplicationBlocked => {
            "The system's own rules, such as a limit on applications, kept it from becoming an application."
        }
        Reason::OutcomeUnknown => "It is not known yet whether the system took it; the system is being asked.",
        Reason::OutcomeCannotBeKnown => "The system cannot be asked whether it took it.",
        Reason::NotSeenAtVendor => "The system said that it took it and does not show it.",
        Reason::PersonMatchedBySecondaryEmail => {
            "The person was matched by a secondary address; this should be confirmed."
        }
        Reason::RepeatApplication => "The same person applied to the same job before.",
        Reason::RetriesExhausted => "Every retry failed.",
        Reason::FailsAlike => {
            "Many applications fail there in the same way. One of them is tried from time to time; all go once one went through."
        }
        Reason::Poison => "The stored data could not be worked on.",
        Reason::OperatorDecided => "An operator decided so.",
        Reason::Erased => "The data was erased.",
        Reason::Restored => "The data came back from a backup; deliveries wait until the restore is confirmed.",
        Reason::LawfulBasisMissing => {
            "The application holds no consent or other lawful basis for what the system is for."
        }
        Reason::ConsentRefused => "The person refused the use of the data for what the system is for.",
        Reason::WebhookFailing => {
            "The career site's webhook endpoint has failed for days and was disabled; mend it, then run `webhooks enable`."
        }
        Reason::WebhookGone => {
            "The career site's webhook endpoint said that it is gone and was disabled; remove it, or run `webhooks enable`."
        }
    }
}

/// Where a delivery stands, after "the delivery to X".
pub(super) const fn state(state: State, held: Option<HeldCause>) -> &'static str {
    match state {
        State::Queued => "is ready to go",
        State::InFlight => "is being sent now",
        State::Verifying => "may or may not have arrived; the system is being asked",
        State::Waiting => "failed for now and will be tried again",
        State::Held => match held {
            Some(HeldCause::AccountPaused) => "is held because the account is paused",
            Some(HeldCause::Invalid) => "is held because it does not meet the account's rules",
            Some(HeldCause::PostingUnknown) => "is held until the job is known",
            Some(HeldCause::FormUnknown) => "is held until the job's questions are known",
            Some(HeldCause::FailsAlike) => "is held because many fail in the same way, until one of them goes through",
            Some(HeldCause::Operator) | None => "is held until a person decides",
        },
        State::Delivered => "is done",
        State::Refused => "was refused for good",
        State::Parked => "was given up and waits as a case",
        State::Cancelled => "was called off",
        State::Erased => "was erased",
    }
}

/// Who has to act, as a sentence.
pub(super) const fn who(who: WhoActs) -> &'static str {
    match who {
        WhoActs::Candidate => "The applicant has to correct this and send again.",
        WhoActs::Site => "The career site's developers have to act.",
        WhoActs::Admin => "The integration admin has to act.",
        WhoActs::Vendor => "The vendor of the system has to act.",
        WhoActs::Us => "The gateway's operators have to act.",
        WhoActs::Nobody => "Nobody has to act.",
    }
}

/// A moment, to the second.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A day, as an applicant reads it.
pub(super) fn day(at: Timestamp) -> String {
    at.strftime("%-d %B %Y").to_string()
}

/// The text, ending in a full stop.
pub(super) fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}
