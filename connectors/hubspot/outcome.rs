//! What HubSpot's answers mean. Pure; the table is in the README and its rows are the tests'.
//!
//! Judges an answer that is not the success a step hoped for, an answer that never came, and the rate headers. Whether a
//! success really is one, the step knows. Invariant: whatever may have created something and did not say so is unknown.

use std::time::Duration;

use bytes::Bytes;
use causeway_core::connector::{Pace, SendError};
use causeway_core::outcome::{Class, FieldReason, Found, Outcome};
use causeway_core::reason::Reason;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Response};
use jiff::Timestamp;
use serde_json::Value;

use super::map;

/// The rolling window is ten seconds long.
const TEN_SECONDS: Duration = Duration::from_secs(10);
const ONE_SECOND: Duration = Duration::from_secs(1);
/// The daily limit ends at midnight of the account's time zone, which we do not know: look again every hour.
const DAILY_PROBE: Duration = Duration::from_secs(3_600);
/// A locked record wants at least two seconds.
const LOCKED: Duration = Duration::from_secs(2);
/// Ours: a migration takes up to a day and normally says how long.
const MIGRATION_PROBE: Duration = Duration::from_secs(900);

/// The verdict on an answer that is not a success.
pub(super) fn refusal(answer: &Response<Bytes>, now: Timestamp) -> Outcome {
    let body = serde_json::from_slice(answer.body()).unwrap_or(Value::Null);
    judge(answer.status().as_u16(), &body, retry_after(answer.headers(), now))
}

/// The verdict on an error inside a 207: the category stands for the status it would have had alone.
pub(super) fn partial(answer: &Response<Bytes>, error: &Value, now: Timestamp) -> Outcome {
    let status = match error.get("category").and_then(Value::as_str) {
        Some("VALIDATION_ERROR") => 400,
        Some("MISSING_SCOPES") => 403,
        Some("OBJECT_NOT_FOUND") => 404,
        Some("CONFLICT") => 409,
        Some("RATE_LIMIT" | "RATE_LIMITS") => 429,
        _ => return unreadable(answer),
    };
    let mut outcome = judge(status, error, retry_after(answer.headers(), now));
    outcome.vendor_status = Some(answer.status().as_u16());
    outcome
}

/// A success that does not say what was done.
pub(super) fn unreadable(answer: &Response<Bytes>) -> Outcome {
    let words = String::from_utf8_lossy(answer.body());
    let mut outcome =
        Outcome::new(Class::Unknown).because(Reason::VendorDrifted).said(answer.status().as_u16(), &words);
    outcome.drift = true;
    outcome
}

/// A step that went through.
pub(super) fn went_through(class: Class, answer: &Response<Bytes>) -> Outcome {
    let mut outcome = Outcome::new(class);
    outcome.vendor_status = Some(answer.status().as_u16());
    outcome
}

/// The account's settings cannot work; `problem` is a sentence of ours.
pub(super) fn misconfigured(problem: &str) -> Outcome {
    explained(Outcome::new(Class::Unauthorised), Reason::AccountMisconfigured, problem.to_owned())
}

/// An earlier step's reference is not there: stored data that no run of this plan can have left.
pub(super) fn reference_missing() -> Outcome {
    Outcome::new(Class::Refused).because(Reason::Poison)
}

/// No answer came.
pub(super) fn unsent(error: &SendError, now: Timestamp) -> Outcome {
    match error {
        SendError::NotSent(_) => Outcome::new(Class::Unavailable).because(Reason::VendorUnreachable),
        SendError::NotNow { until } => {
            let mut outcome = Outcome::new(Class::NotNow).because(Reason::VendorBusy);
            outcome.retry_after = Some(Duration::try_from(until.duration_since(now)).unwrap_or_default());
            outcome
        }
        SendError::Unknown(_) => Outcome::new(Class::Unknown).because(Reason::OutcomeUnknown),
        SendError::Refused(_) => Outcome::new(Class::Unauthorised).because(Reason::CredentialsRefused),
        SendError::Misconfigured(problem) => misconfigured(problem),
    }
}

/// What a look-up that stopped like this came to.
pub(super) fn unanswered(stopped: &Outcome) -> Found {
    match stopped.class {
        Class::NotNow | Class::Unavailable | Class::Unknown => Found::NotNow { retry_after: stopped.retry_after },
        // A refused credential is mended by the admin; then the question can be put again.
        Class::Unauthorised if stopped.reason == Some(Reason::CredentialsRefused) => {
            Found::NotNow { retry_after: None }
        }
        Class::Unauthorised | Class::Refused | Class::Accepted | Class::AlreadyThere => Found::CannotTell,
    }
}

/// The ten-second limit, from the headers of every answer but a search's.
pub(super) fn pace(headers: &HeaderMap) -> Option<Pace> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    Some(Pace {
        calls: u32::try_from(number("x-hubspot-ratelimit-max")?).ok()?,
        remaining: u32::try_from(number("x-hubspot-ratelimit-remaining")?).ok()?,
        window: number("x-hubspot-ratelimit-interval-milliseconds").map(Duration::from_millis),
    })
}

fn judge(status: u16, body: &Value, asked: Option<Duration>) -> Outcome {
    let wait = |least: Duration| Some(asked.unwrap_or_default().max(least));
    let class = |class, reason| Outcome::new(class).because(reason).said(status, &words(body));
    let not_now = |retry_after| Outcome { retry_after, ..class(Class::NotNow, Reason::VendorBusy) };
    match status {
        400 | 422 => invalid(status, body),
        401 => class(Class::Unauthorised, Reason::CredentialsRefused),
        403 => permission_missing(status, body),
        404 => class(Class::Refused, Reason::VendorRefused),
        // Somebody is writing the same thing at this moment; the next try reads first.
        409 => class(Class::Unavailable, Reason::VendorBusy),
        423 => not_now(wait(LOCKED)),
        429 => not_now(wait(limit_reached(body))),
        477 => not_now(asked.or(Some(MIGRATION_PROBE))),
        503 if asked.is_some() => not_now(asked),
        402 | 405..=407 | 410..=499 => Outcome { drift: true, ..class(Class::Refused, Reason::VendorRefused) },
        408 | 500..=599 => class(Class::Unknown, Reason::VendorFailed),
        _ => Outcome { drift: true, ..class(Class::Unknown, Reason::VendorDrifted) },
    }
}

/// A refused value. Where HubSpot names a property, the candidate's data or our own set-up is to blame accordingly.
fn invalid(status: u16, body: &Value) -> Outcome {
    let outcome = Outcome::new(Class::Refused).said(status, &words(body));
    let names = property_names(body);
    if let Some(name) = names.iter().find(|name| map::is_set_up(name)) {
        let text = format!("HubSpot does not accept the property {name} as this account is set up");
        return explained(Outcome { class: Class::Unauthorised, ..outcome }, Reason::AccountMisconfigured, text);
    }
    let fields: Vec<FieldReason> = names
        .iter()
        .filter_map(|name| Some((name, map::pointer(name)?)))
        .map(|(name, pointer)| FieldReason {
            pointer: pointer.to_owned(),
            reason: Reason::ValueInvalid,
            text: format!("HubSpot does not accept this value for its property {name}"),
        })
        .collect();
    let reason = if fields.is_empty() { Reason::VendorRefused } else { Reason::ValueInvalid };
    Outcome { fields, ..outcome }.because(reason)
}

fn permission_missing(status: u16, body: &Value) -> Outcome {
    let scopes = context_texts(body, "requiredGranularScopes");
    let text = if scopes.is_empty() {
        "HubSpot says the access token may not do this".to_owned()
    } else {
        format!("the access token needs any one of these scopes: {}", scopes.join(", "))
    };
    explained(Outcome::new(Class::Unauthorised).said(status, &words(body)), Reason::PermissionMissing, text)
}

fn explained(outcome: Outcome, reason: Reason, text: String) -> Outcome {
    Outcome { fields: vec![FieldReason { pointer: String::new(), reason, text }], ..outcome }.because(reason)
}

/// How long the limit that was reached lasts. `policyName` says which; older answers only say it in words.
fn limit_reached(body: &Value) -> Duration {
    match body.get("policyName").and_then(Value::as_str) {
        Some("DAILY") => DAILY_PROBE,
        Some("TEN_SECONDLY_ROLLING") => TEN_SECONDS,
        Some("SECONDLY") => ONE_SECOND,
        _ => match body.get("message").and_then(Value::as_str) {
            Some("You have reached your daily limit.") => DAILY_PROBE,
            Some("You have reached your secondly limit.") => ONE_SECOND,
            _ => TEN_SECONDS,
        },
    }
}

fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(until.duration_since(now)).ok()
}

/// The properties an error names, in its own context or in its details'.
pub(super) fn property_names(body: &Value) -> Vec<String> {
    context_texts(body, "propertyName")
}

/// The texts under this name in the error's context and in each detail's, if they are names: no free text gets through.
fn context_texts(body: &Value, name: &str) -> Vec<String> {
    let details = body.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    std::iter::once(body)
        .chain(details)
        .filter_map(|error| error.get("context")?.get(name))
        .flat_map(|texts| texts.as_array().map_or(std::slice::from_ref(texts), Vec::as_slice))
        .filter_map(Value::as_str)
        .filter(|text| text.len() <= 100 && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)))
        .map(str::to_owned)
        .collect()
}

/// HubSpot's own words: the message and those of the details.
fn words(body: &Value) -> String {
    let details = body.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let messages: Vec<&str> =
        std::iter::once(body).chain(details).filter_map(|error| error.get("message")?.as_str()).collect();
    messages.join(" · ")
}
