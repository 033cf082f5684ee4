//! What the vendor's answers mean. Pure: an answer in, `results` or a verdict out.
//!
//! Almost every "no" comes with status 200, so `success` decides before the status, and a submission may be blocked inside
//! a success. What is not a documented yes or no is `Unknown`, as fits a create; what was not yet the create, or only reads,
//! is turned into `Unavailable` by [`No::before_the_create`]. A 403 has three causes; only one of them names itself.

use std::time::Duration;

use bytes::Bytes;
use causeway_core::connector::{ReadError, SendError};
use causeway_core::outcome::{Class, Outcome};
use causeway_core::reason::Reason;
use http::{HeaderMap, Response, header};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::wire::{Envelope, Submitted};

/// The only 403 that names its cause.
const NO_PERMISSION: &str = "missing_endpoint_permission";

/// A "no", or no usable answer.
#[derive(Debug, PartialEq)]
pub(super) struct No {
    /// The vendor's code, if it gave one.
    pub(super) code: Option<String>,
    /// What follows, as for a create.
    pub(super) outcome: Box<Outcome>,
}

impl No {
    fn plain(outcome: Outcome) -> Self {
        Self { code: None, outcome: Box::new(outcome) }
    }

    /// The same where nothing was to be created yet: what may have gone wrong is harmless to repeat.
    pub(super) fn before_the_create(self) -> Outcome {
        match self.outcome.class {
            Class::Unknown => {
                let reason = self.outcome.reason.filter(|reason| *reason != Reason::OutcomeUnknown);
                let reason = reason.or(Some(Reason::VendorFailed));
                Outcome { class: Class::Unavailable, reason, ..*self.outcome }
            }
            Class::Accepted
            | Class::AlreadyThere
            | Class::Refused
            | Class::Unauthorised
            | Class::NotNow
            | Class::Unavailable => *self.outcome,
        }
    }
}

/// The envelope of an answer that says yes, or why not.
pub(super) fn judge(answer: &Response<Bytes>) -> Result<Envelope, No> {
    let status = answer.status().as_u16();
    let words = String::from_utf8_lossy(answer.body());
    // Text first: a reader of bytes passes over what is no text in members that nobody wants, and such a body is no JSON.
    let text = std::str::from_utf8(answer.body()).ok();
    let envelope = text.and_then(|text| serde_json::from_str::<Envelope>(text).ok());
    let code = envelope.as_ref().and_then(Envelope::code).map(str::to_owned);
    let said = |class, reason| Outcome::new(class).because(reason).said(status, &words);
    let drifted = |class, reason| Outcome { drift: true, ..said(class, reason) };
    let wait = retry_after(answer.headers());
    let outcome = match (status, envelope) {
        (200, Some(envelope)) if envelope.success == Some(true) && envelope.results.is_some() => return Ok(envelope),
        (200, Some(envelope)) if envelope.success == Some(false) => refused(code.as_deref(), said),
        // Half an answer, an empty one or a stranger's page: it may have been saved. What it says may quote the applicant.
        (200..=299, _) => drifted(Class::Unknown, Reason::OutcomeUnknown),
        (401, _) => said(Class::Unauthorised, Reason::CredentialsRefused),
        (403, _) if code.as_deref() == Some(NO_PERMISSION) || words.contains(NO_PERMISSION) => {
            said(Class::Unauthorised, Reason::PermissionMissing)
        }
        (403, _) => said(Class::Unauthorised, Reason::CredentialsRefused),
        (429, _) => Outcome { retry_after: wait, ..said(Class::NotNow, Reason::VendorBusy) },
        (503, _) if wait.is_some() => Outcome { retry_after: wait, ..said(Class::NotNow, Reason::VendorBusy) },
        (503, _) => said(Class::Unavailable, Reason::VendorUnreachable),
        // Documented nowhere, and a proxy may say it after the body went through.
        (408 | 500..=599, _) => said(Class::Unknown, Reason::OutcomeUnknown),
        // A moved API is a wrong base URL; redirects are never followed with a credential.
        (300..=399, _) => drifted(Class::Unauthorised, Reason::AccountMisconfigured),
        // Documented as 200 with `success: false`.
        (400..=499, _) => drifted(Class::Refused, Reason::VendorRefused),
        (_, _) => drifted(Class::Unknown, Reason::OutcomeUnknown),
    };
    Err(No { code, outcome: Box::new(outcome) })
}

/// `success: false`: not recorded, says the vendor.
fn refused(code: Option<&str>, said: impl Fn(Class, Reason) -> Outcome) -> Outcome {
    match code {
        Some("invalid_input") => said(Class::Refused, Reason::ValueInvalid),
        Some("job_posting_not_published") => said(Class::Refused, Reason::PostingClosed),
        Some("application_blocked") => said(Class::Refused, Reason::ApplicationBlocked),
        Some(NO_PERMISSION) => said(Class::Unauthorised, Reason::PermissionMissing),
        // The codes are no closed list: one that nobody here knows is a "no" that a person should read.
        Some(_) | None => Outcome { case: Some(Reason::VendorRefused), ..said(Class::Refused, Reason::VendorRefused) },
    }
}

/// The verdict on an answer to `applicationForm.submit`.
pub(super) fn submitted(answer: &Response<Bytes>) -> Outcome {
    let status = answer.status().as_u16();
    let submitted = match judge(answer).map(|envelope| read::<Submitted>(envelope.results)) {
        Ok(Some(submitted)) => submitted,
        Ok(None) => return drifted_yes(status),
        Err(no) => return *no.outcome,
    };
    let messages = submitted.form_messages.unwrap_or(Value::Null);
    match (messages["blocked"].as_bool(), submitted.submitted_form_instance) {
        // The rest of the answer repeats what the applicant wrote; only the messages are the vendor's words.
        (Some(true), _) => {
            Outcome::new(Class::Refused).because(Reason::ApplicationBlocked).said(status, &messages.to_string())
        }
        (blocked, Some(instance)) => {
            let accepted = Outcome::new(Class::Accepted).with_ref(super::reference::FORM_INSTANCE, instance.id);
            Outcome { vendor_status: Some(status), drift: blocked.is_none(), ..accepted }
        }
        (Some(false) | None, None) => drifted_yes(status),
    }
}

/// A yes that lacks what the contract promises: the vendor is asked what it has.
fn drifted_yes(status: u16) -> Outcome {
    let unknown = Outcome::new(Class::Unknown).because(Reason::OutcomeUnknown);
    Outcome { vendor_status: Some(status), drift: true, ..unknown }
}

/// The verdict on the storage's answer to an upload. It created nothing at the vendor, and the next attempt brings a handle
/// of its own.
pub(super) fn uploaded(answer: &Response<Bytes>) -> Result<(), Box<Outcome>> {
    let status = answer.status().as_u16();
    if answer.status().is_success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(answer.body());
    let wait = retry_after(answer.headers());
    let failed = Outcome::new(Class::Unavailable).because(Reason::VendorFailed).said(status, &words);
    Err(Box::new(Outcome { retry_after: wait, ..failed }))
}

/// `results` in the wanted shape, if they are that.
pub(super) fn read<T: DeserializeOwned>(results: Option<Value>) -> Option<T> {
    serde_json::from_value(results?).ok()
}

/// The verdict when there is no answer.
pub(super) fn unanswered(error: &SendError, now: Timestamp) -> No {
    No::plain(match error {
        SendError::NotSent(_) => Outcome::new(Class::Unavailable).because(Reason::VendorUnreachable),
        SendError::NotNow { until } => {
            let wait = Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO);
            Outcome { retry_after: Some(wait), ..Outcome::new(Class::NotNow).because(Reason::VendorBusy) }
        }
        SendError::Unknown(_) => Outcome::new(Class::Unknown).because(Reason::OutcomeUnknown),
        SendError::Refused(_) => Outcome::new(Class::Unauthorised).because(Reason::CredentialsRefused),
        SendError::Misconfigured(_) => misconfigured(),
    })
}

/// The account's settings cannot work: it is paused, and nothing was tried.
pub(super) fn misconfigured() -> Outcome {
    Outcome::new(Class::Unauthorised).because(Reason::AccountMisconfigured)
}

/// Why a read failed, in the words of a read.
pub(super) fn read_failure(no: &No) -> ReadError {
    let status = no.outcome.vendor_status;
    match (no.outcome.class, no.outcome.reason) {
        (Class::Unauthorised, Some(Reason::AccountMisconfigured)) => {
            ReadError::Misconfigured("the address has moved or is not the account's".to_owned())
        }
        (Class::Unauthorised, _) => ReadError::Unauthorised { status: status.unwrap_or(403) },
        (Class::NotNow, _) => ReadError::NotNow { what: told(status), retry_after: no.outcome.retry_after },
        (Class::Unavailable | Class::Unknown, _) if status != Some(200) => {
            ReadError::NotNow { what: told(status), retry_after: None }
        }
        (Class::Refused, _) => {
            // Which code an unknown posting gives is not documented; any that ends so says what is meant.
            let gone =
                no.code.as_deref().is_some_and(|code| code.ends_with("not_found") || code.contains("not_published"));
            if gone { ReadError::NotThere } else { ReadError::Unreadable(format!("refused, {}", told(status))) }
        }
        (Class::Accepted | Class::AlreadyThere | Class::Unavailable | Class::Unknown, _) => {
            ReadError::Unreadable("not the answer the vendor documents".to_owned())
        }
    }
}

fn told(status: Option<u16>) -> String {
    status.map_or_else(|| "no answer".to_owned(), |status| format!("status {status}"))
}

/// `Retry-After` in seconds, should the vendor send one: it documents none.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
