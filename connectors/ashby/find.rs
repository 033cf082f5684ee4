//! Did an unanswered submit leave an application? Asked by the candidate's address, then application by application.
//!
//! The vendor's list of applications takes neither an address nor a posting, so the way leads over the candidates that its
//! search shows: each application of theirs is read, and counts when it is of this job, came through this posting as far
//! as it says so, belongs to that candidate, and was created in the window. Says `NotSeen` only when everything that was
//! shown could be read and no list was full. A blocked submission leaves no application and is rightly not seen.

use causeway_core::connector::{Delivery, SendError};
use causeway_core::delivery::Refs;
use causeway_core::email::NormalEmail;
use causeway_core::outcome::{Class, Found, VendorRecord};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::outcome::{self, No};
use super::reference;
use super::wire::{Api, Application, Candidate};

/// How far the vendor's clock may be behind ours.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(2);
/// The most the vendor's search shows; a full answer may hide the one that is looked for.
const SEARCH_MOST: usize = 100;
/// Applications of one address that one look-up reads at most.
const READ_MOST: usize = 50;

/// Why a lookup has no answer.
enum Stop {
    CannotTell,
    NotNow(Option<std::time::Duration>),
}

impl From<Stop> for Found {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::CannotTell => Self::CannotTell,
            Stop::NotNow(retry_after) => Self::NotNow { retry_after },
        }
    }
}

impl From<No> for Stop {
    fn from(no: No) -> Self {
        match no.outcome.class {
            Class::NotNow | Class::Unavailable | Class::Unknown => Self::NotNow(no.outcome.retry_after),
            Class::Accepted | Class::AlreadyThere | Class::Refused | Class::Unauthorised => Self::CannotTell,
        }
    }
}

/// Looks for the application.
pub(super) async fn application(api: &Api<'_>, delivery: &Delivery<'_>, since: Timestamp) -> Found {
    match look(api, delivery, since).await {
        Ok(records) if records.is_empty() => Found::NotSeen { as_of: delivery.now },
        Ok(records) => Found::Seen(records),
        Err(stop) => stop.into(),
    }
}

async fn look(api: &Api<'_>, delivery: &Delivery<'_>, since: Timestamp) -> Result<Vec<VendorRecord>, Stop> {
    let typed = delivery.application.primary_email().ok_or(Stop::CannotTell)?;
    let email = NormalEmail::parse(typed).ok_or(Stop::CannotTell)?;
    let job = delivery.posting.vendor_job_id.as_deref().ok_or(Stop::CannotTell)?;
    let from = since.checked_sub(CLOCK_SKEW).map_err(|_| Stop::CannotTell)?;

    let shown: Vec<Candidate> =
        ask(api, "candidate.search", &json!({ "email": typed })).await?.ok_or(Stop::CannotTell)?;
    if shown.len() >= SEARCH_MOST {
        return Err(Stop::CannotTell);
    }
    // How the search compares addresses is not documented, so the record itself has to say it.
    let candidates: Vec<&Candidate> = shown.iter().filter(|candidate| holds(candidate, &email)).collect();
    let ids: Vec<(&str, &str)> = candidates
        .iter()
        .flat_map(|candidate| candidate.application_ids.iter().map(|id| (candidate.id.as_str(), id.as_str())))
        .collect();
    if ids.len() > READ_MOST {
        return Err(Stop::CannotTell);
    }
    let mut records = Vec::new();
    for (candidate, id) in ids {
        let Some(read) = ask::<Application>(api, "application.info", &json!({ "applicationId": id })).await? else {
            // In the candidate's list and not shown: hidden from this key, or not there yet.
            return Err(Stop::CannotTell);
        };
        let created: Timestamp = read.created_at.as_deref().and_then(|at| at.parse().ok()).ok_or(Stop::CannotTell)?;
        let of_candidate = read.candidate.as_ref().is_none_or(|owner| owner.id == candidate);
        let of_job = read.job.as_ref().is_some_and(|of| of.id == job);
        let other_posting =
            read.applied_via_job_posting_id.as_ref().is_some_and(|posting| *posting != delivery.posting.posting_id);
        if created >= from && of_candidate && of_job && !other_posting {
            records.push(record(read.id, candidate, created));
        }
    }
    // The one created first after the attempt began is the likeliest.
    records.sort_by_key(|record| (record.created_at < Some(since), record.created_at));
    Ok(records)
}

fn holds(candidate: &Candidate, email: &NormalEmail) -> bool {
    let addresses = candidate.email_addresses.iter().chain(&candidate.primary_email_address);
    addresses
        .filter_map(|address| NormalEmail::parse(address.value.as_deref()?))
        .any(|address| address.exact() == email.exact())
}

fn record(id: String, candidate: &str, created: Timestamp) -> VendorRecord {
    let refs = Refs::from([
        (reference::APPLICATION.to_owned(), id.clone()),
        (reference::CANDIDATE.to_owned(), candidate.to_owned()),
    ]);
    VendorRecord { vendor_id: id, refs, created_at: Some(created), carries_our_reference: false, is_application: true }
}

/// `None` when the answer is a yes that cannot be read, or a no to this one record.
async fn ask<T: serde::de::DeserializeOwned>(
    api: &Api<'_>,
    verb: &str,
    body: &serde_json::Value,
) -> Result<Option<T>, Stop> {
    let answer =
        api.call(verb, body).await.map_err(|error: SendError| Stop::from(outcome::unanswered(&error, api.now)))?;
    match outcome::judge(&answer) {
        Ok(envelope) => Ok(outcome::read(envelope.results)),
        Err(no) => Err(no.into()),
    }
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
