//! What the vendor's answers mean. Pure: an answer in, a verdict out.
//!
//! Three things make this door special. A failure can hide in a 200, so the body's `error` key decides before the
//! status. Success carries no id, so an accepted application brings no reference back. And a 401 may mean "this job is
//! not live" as well as "this key is wrong", so it is a [`Verdict::AskBoard`] first: the public posting is read again
//! and [`settle`] gives the verdict. Nothing here guesses: what is not a documented yes or no is `Unknown`.

use std::time::Duration;

use causeway_core::connector::{ReadError, SendError};
use causeway_core::outcome::{Class, FieldReason, Outcome};
use causeway_core::reason::Reason;
use http::{HeaderMap, Response, header};
use jiff::Timestamp;
use serde_json::Value;

/// What an answer to a submit came to.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// It says it all.
    Settled(Outcome),
    /// It does not say whether the job or the credential is at fault: read the public posting, then [`settle`].
    AskBoard(Doubt),
}

/// A "no" that has two possible reasons.
#[derive(Debug, PartialEq)]
pub(super) struct Doubt {
    kind: DoubtKind,
    status: u16,
    words: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DoubtKind {
    /// 401, as a status or inside a 200.
    CredentialOrJob,
    /// The vendor's words: the job is not live.
    SaidNotLive,
    /// 404.
    NoSuchJob,
}

/// What the public board shows of the posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Board {
    /// It is there.
    Shows,
    /// The board is, the posting is not.
    ShowsNot,
    /// There is no such board.
    IsNotThere,
    /// The board could not be read now.
    CannotTell {
        /// How long the vendor asked us to wait.
        retry_after: Option<Duration>,
    },
}

/// The parts of an answer that decide.
struct Said<'a> {
    status: u16,
    headers: &'a HeaderMap,
    body: Option<Value>,
    words: String,
}

/// The verdict on an answer to `POST …/jobs/{id}`. `name_field` turns a field the vendor names into a reason of ours.
pub(super) fn judge(
    response: &Response<impl AsRef<[u8]>>,
    name_field: impl Fn(&str) -> Option<FieldReason>,
) -> Verdict {
    let bytes = response.body().as_ref();
    let said = Said {
        status: response.status().as_u16(),
        headers: response.headers(),
        body: serde_json::from_slice::<Value>(bytes).ok().filter(Value::is_object),
        words: String::from_utf8_lossy(bytes).into_owned(),
    };
    if said.status == 200 { judge_ok(said, name_field) } else { judge_status(said.status, said, name_field) }
}

/// A 200 is a success only when it says so; an `error` key is a refusal whatever the status.
fn judge_ok(said: Said<'_>, name_field: impl Fn(&str) -> Option<FieldReason>) -> Verdict {
    let (error, success, inner) = match &said.body {
        Some(body) => (
            body.get("error").is_some_and(|error| !error.is_null()),
            body.get("success").is_some_and(is_yes),
            body.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok()),
        ),
        None => (false, false, None),
    };
    match (error, success, inner) {
        // A yes and a no at once: it may have been saved.
        (true, true, _) => Verdict::Settled(said.drifted(Class::Unknown, Reason::OutcomeUnknown)),
        (true, _, Some(status)) if status != 200 => judge_status(status, said, name_field),
        (true, _, _) => judge_status(400, said, name_field),
        (false, true, _) => Verdict::Settled(said.outcome(Class::Accepted)),
        // Half an answer, an empty one or a stranger's page: it may have been saved.
        (false, false, _) => Verdict::Settled(said.drifted(Class::Unknown, Reason::OutcomeUnknown)),
    }
}

fn is_yes(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty(),
        Value::Bool(yes) => *yes,
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

fn judge_status(status: u16, said: Said<'_>, name_field: impl Fn(&str) -> Option<FieldReason>) -> Verdict {
    if said.says_not_live() && (400..500).contains(&status) {
        return said.doubt(DoubtKind::SaidNotLive);
    }
    let retry_after = retry_after(said.headers);
    Verdict::Settled(match status {
        401 => return said.doubt(DoubtKind::CredentialOrJob),
        404 => return said.doubt(DoubtKind::NoSuchJob),
        400 | 422 => said.refused(name_field),
        403 => said.outcome(Class::Unauthorised).because(Reason::PermissionMissing),
        // Time-out of the request: documented nowhere, and a proxy may say it after the body went through.
        408 => said.outcome(Class::Unknown).because(Reason::OutcomeUnknown),
        413 => said.outcome(Class::Refused).because(Reason::FileRefused),
        429 => waiting(said.outcome(Class::NotNow).because(Reason::VendorBusy), retry_after),
        503 if retry_after.is_some() => waiting(said.outcome(Class::NotNow).because(Reason::VendorBusy), retry_after),
        503 => said.outcome(Class::Unavailable).because(Reason::VendorUnreachable),
        // A moved API is a wrong base URL; redirects are never followed with a credential.
        300..=399 => said.drifted(Class::Unauthorised, Reason::AccountMisconfigured),
        402..=499 => said.drifted(Class::Refused, Reason::VendorRefused),
        // 500, 502, 504 and the like on a create, and 2xx other than 200: it may have been saved.
        500..=599 => said.outcome(Class::Unknown).because(Reason::OutcomeUnknown),
        _ => said.drifted(Class::Unknown, Reason::OutcomeUnknown),
    })
}

/// The verdict on a doubt, once the public posting was read.
pub(super) fn settle(doubt: &Doubt, board: Board) -> Outcome {
    let outcome = |class, reason| Outcome::new(class).because(reason).said(doubt.status, &doubt.words);
    let drifted = |class, reason| Outcome { drift: true, ..outcome(class, reason) };
    match (doubt.kind, board) {
        (DoubtKind::CredentialOrJob | DoubtKind::NoSuchJob, Board::ShowsNot)
        | (DoubtKind::SaidNotLive, Board::ShowsNot | Board::IsNotThere | Board::CannotTell { .. }) => {
            outcome(Class::Refused, Reason::PostingClosed)
        }
        // `board_token` or `board_url` names another board than the key is for, or the board was taken down.
        (DoubtKind::CredentialOrJob | DoubtKind::NoSuchJob, Board::IsNotThere) => {
            outcome(Class::Unauthorised, Reason::AccountMisconfigured)
        }
        (DoubtKind::CredentialOrJob, Board::Shows) => outcome(Class::Unauthorised, Reason::CredentialsRefused),
        // The board's page may be an old copy; what it said about this very request counts, and a human is told.
        (DoubtKind::SaidNotLive, Board::Shows) => drifted(Class::Refused, Reason::PostingClosed),
        (DoubtKind::NoSuchJob, Board::Shows) => drifted(Class::Refused, Reason::VendorRefused),
        // It answered with a "no", so nothing was saved and it is safe to ask again. Without a time to come back at it is
        // a failure that uses up the schedule: `NotNow` would have no bound.
        (DoubtKind::CredentialOrJob | DoubtKind::NoSuchJob, Board::CannotTell { retry_after: None }) => {
            outcome(Class::Unavailable, Reason::VendorUnreachable)
        }
        (DoubtKind::CredentialOrJob | DoubtKind::NoSuchJob, Board::CannotTell { retry_after }) => {
            waiting(outcome(Class::NotNow, Reason::VendorBusy), retry_after)
        }
    }
}

/// The verdict when there is no answer.
pub(super) fn unanswered(error: &SendError, now: Timestamp) -> Outcome {
    match error {
        SendError::NotSent(_) => Outcome::new(Class::Unavailable).because(Reason::VendorUnreachable),
        SendError::NotNow { until } => {
            waiting(Outcome::new(Class::NotNow).because(Reason::VendorBusy), Some(wait_until(*until, now)))
        }
        SendError::Unknown(_) => Outcome::new(Class::Unknown).because(Reason::OutcomeUnknown),
        SendError::Refused(_) => Outcome::new(Class::Unauthorised).because(Reason::CredentialsRefused),
        SendError::Misconfigured(_) => misconfigured(),
    }
}

/// The account's settings cannot work: it is paused, and nothing was tried.
pub(super) fn misconfigured() -> Outcome {
    Outcome::new(Class::Unauthorised).because(Reason::AccountMisconfigured)
}

/// Why a read failed; `None` when it did not.
pub(super) fn read_failure(response: &Response<impl AsRef<[u8]>>) -> Option<ReadError> {
    match response.status().as_u16() {
        200 => None,
        404 => Some(ReadError::NotThere),
        status @ (401 | 403) => Some(ReadError::Unauthorised { status }),
        status @ (408 | 429 | 500..=599) => {
            Some(ReadError::NotNow { what: format!("status {status}"), retry_after: retry_after(response.headers()) })
        }
        status @ 300..=399 => Some(ReadError::Misconfigured(format!("the address has moved (status {status})"))),
        status => Some(ReadError::Unreadable(format!("status {status}"))),
    }
}

/// Why a read got no answer.
pub(super) fn read_unanswered(error: &SendError) -> ReadError {
    match error {
        SendError::NotSent(what) | SendError::Unknown(what) => {
            ReadError::NotNow { what: (*what).to_owned(), retry_after: None }
        }
        SendError::NotNow { .. } => ReadError::NotNow { what: "held back".to_owned(), retry_after: None },
        SendError::Refused(status) => ReadError::Unauthorised { status: *status },
        SendError::Misconfigured(what) => ReadError::Misconfigured((*what).to_owned()),
    }
}

/// `Retry-After` in seconds, as the vendor documents it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// How long it is until then.
pub(super) fn wait_until(until: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO)
}

fn waiting(outcome: Outcome, retry_after: Option<Duration>) -> Outcome {
    Outcome { retry_after, ..outcome }
}

impl Said<'_> {
    fn outcome(&self, class: Class) -> Outcome {
        Outcome::new(class).said(self.status, &self.words)
    }

    fn drifted(&self, class: Class, reason: Reason) -> Outcome {
        Outcome { drift: true, ..self.outcome(class).because(reason) }
    }

    fn doubt(self, kind: DoubtKind) -> Verdict {
        Verdict::AskBoard(Doubt { kind, status: self.status, words: self.words })
    }

    /// "Job application not live", as recorded.
    fn says_not_live(&self) -> bool {
        self.text("reason").is_some_and(|reason| reason.to_lowercase().contains("not live"))
    }

    fn text(&self, member: &str) -> Option<&str> {
        self.body.as_ref()?.get(member)?.as_str()
    }

    /// A "no" to the data, with the fields the vendor names.
    fn refused(&self, name_field: impl Fn(&str) -> Option<FieldReason>) -> Outcome {
        let fields: Vec<FieldReason> = self.named_fields().into_iter().filter_map(name_field).collect();
        // What a model of the vendor's refused to save, as recorded: "Validation failed: …".
        let invalid = self.text("reason").is_some_and(|reason| reason.starts_with("Validation failed"));
        let reason = match fields.first() {
            Some(field) => field.reason,
            None if invalid || self.status == 422 => Reason::ValueInvalid,
            None => Reason::VendorRefused,
        };
        Outcome { fields, ..self.outcome(Class::Refused).because(reason) }
    }

    /// `errors: [{message, field}]`, the vendor's shape for field errors at its other doors. Entries may be bare strings.
    fn named_fields(&self) -> Vec<&str> {
        let errors = self.body.as_ref().and_then(|body| body.get("errors")).and_then(Value::as_array);
        errors.into_iter().flatten().filter_map(|error| error.get("field")?.as_str()).collect()
    }
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
