//! Did a submit leave a record? Asked through Harvest v3, where the account has its credential: of one whose answer was
//! lost, and once of one that was answered, to prove it.
//!
//! The submit's answer has no id and its body has no place for a reference of ours, so the record is found by posting
//! and creation window, and counts only when the application says this posting and the candidate says this e-mail.
//! Says `NotSeen` only after having read every application in the window with its candidate; what it could not read
//! makes it `CannotTell` or `NotNow`.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use causeway_core::connector::{Delivery, Http, ReadError, SendError, Taken};
use causeway_core::delivery::Refs;
use causeway_core::email::NormalEmail;
use causeway_core::outcome::{Found, VendorRecord};
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;

use super::routes::{self, IDS_PER_CALL, Next, Routes};
use super::{DESCRIPTOR, outcome, wire};

/// How far the vendor's clock may be from ours.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(2);
/// How far it is nearly always at most.
const SMALL_SKEW: SignedDuration = SignedDuration::from_secs(5);
/// Pages of applications one call reads at most: 2,000 applications to one posting within the window.
const MAX_PAGES: usize = 20;

/// Why a lookup has no answer.
enum Stop {
    CannotTell,
    NotNow { retry_after: Option<Duration> },
}

impl From<Stop> for Found {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::CannotTell => Self::CannotTell,
            Stop::NotNow { retry_after } => Self::NotNow { retry_after },
        }
    }
}

/// Looks for the application that an attempt begun at `since` may have made.
pub(super) async fn application(routes: &Routes, delivery: &Delivery<'_>, since: Timestamp, http: &dyn Http) -> Found {
    let window = Window { since, until: None, skew: CLOCK_SKEW };
    within(&window, routes, delivery, http).await
}

/// Looks for the application that the vendor said it took: first where it should be by both clocks, so that a busy posting
/// costs few calls, then where it may be.
pub(super) async fn delivered(routes: &Routes, delivery: &Delivery<'_>, taken: &Taken<'_>, http: &dyn Http) -> Found {
    let near = Window { since: taken.sent_at, until: Some(taken.said_yes_at), skew: SMALL_SKEW };
    match within(&near, routes, delivery, http).await {
        Found::NotSeen { .. } => within(&Window { skew: CLOCK_SKEW, ..near }, routes, delivery, http).await,
        other @ (Found::Seen(_) | Found::CannotTell | Found::NotNow { .. }) => other,
    }
}

/// When the record was made, by our clock, and how far the vendor's may be off.
struct Window {
    since: Timestamp,
    until: Option<Timestamp>,
    skew: SignedDuration,
}

async fn within(window: &Window, routes: &Routes, delivery: &Delivery<'_>, http: &dyn Http) -> Found {
    match look(window, routes, delivery, http).await {
        Ok(records) if records.is_empty() => Found::NotSeen { as_of: delivery.now },
        Ok(records) => Found::Seen(records),
        Err(stop) => stop.into(),
    }
}

async fn look(
    window: &Window,
    routes: &Routes,
    delivery: &Delivery<'_>,
    http: &dyn Http,
) -> Result<Vec<VendorRecord>, Stop> {
    let Window { since, until, skew } = *window;
    let email = delivery.application.primary_email().and_then(NormalEmail::parse).ok_or(Stop::CannotTell)?;
    let posting_id = &delivery.posting.posting_id;
    let from = since.checked_sub(skew).map_err(|_| Stop::CannotTell)?;
    let to = until.map(|until| until.checked_add(skew)).transpose().map_err(|_| Stop::CannotTell)?;

    let request = routes.applications(posting_id, from, to);
    let listed: Vec<wire::Application> = list(routes, "applications", request, delivery.now, http).await?;
    // The vendor ignores filters it does not know, so the record itself has to say it.
    let of_posting =
        listed.into_iter().filter(|record| record.job_post_id.as_ref().is_some_and(|id| id.0 == *posting_id));
    let mut applications: Vec<Seen> = of_posting.map(Seen::of).collect::<Option<_>>().ok_or(Stop::CannotTell)?;
    applications.retain(|seen| seen.created_at >= from && to.is_none_or(|to| seen.created_at <= to));
    let lag = DESCRIPTOR.lag(delivery.account);

    let emails = emails(routes, &applications, delivery.now, http).await?;
    let mut records = Vec::new();
    for seen in applications {
        match emails.get(&seen.candidate_id) {
            Some(held) if held.contains(email.exact()) => records.push(seen.record()),
            Some(_) => {}
            // An application whose candidate is not shown: new and on its way, or hidden from this credential for good.
            None if seen.is_newer_than(lag, delivery.now) => return Err(Stop::NotNow { retry_after: None }),
            None => return Err(Stop::CannotTell),
        }
    }
    // The one created first after the attempt began is the likeliest.
    records.sort_by_key(|record| (record.created_at < Some(since), record.created_at));
    Ok(records)
}

/// An application in the window.
struct Seen {
    id: String,
    candidate_id: String,
    created_at: Timestamp,
}

impl Seen {
    /// `None` when the record lacks what a lookup rests on.
    fn of(record: wire::Application) -> Option<Self> {
        let created_at = record.created_at?.parse().ok()?;
        Some(Self { id: record.id.0, candidate_id: record.candidate_id?.0, created_at })
    }

    fn is_newer_than(&self, age: Duration, now: Timestamp) -> bool {
        now.duration_since(self.created_at) < SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX)
    }

    fn record(self) -> VendorRecord {
        let refs = Refs::from([
            ("application_id".to_owned(), self.id.clone()),
            ("candidate_id".to_owned(), self.candidate_id),
        ]);
        VendorRecord {
            vendor_id: self.id,
            refs,
            created_at: Some(self.created_at),
            carries_our_reference: false,
            is_application: true,
        }
    }
}

/// The addresses of these applications' candidates in normal form, by candidate.
async fn emails(
    routes: &Routes,
    applications: &[Seen],
    now: Timestamp,
    http: &dyn Http,
) -> Result<HashMap<String, HashSet<String>>, Stop> {
    let mut ids: Vec<String> = applications.iter().map(|seen| seen.candidate_id.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut emails = HashMap::new();
    for chunk in ids.chunks(IDS_PER_CALL) {
        let candidates: Vec<wire::Candidate> = list(routes, "candidates", routes.candidates(chunk), now, http).await?;
        for candidate in candidates {
            let addresses = candidate.email_addresses.into_iter().filter_map(|address| address.value);
            let normal = addresses.filter_map(|typed| NormalEmail::parse(&typed));
            emails.insert(candidate.id.0, normal.map(|email| email.exact().to_owned()).collect());
        }
    }
    Ok(emails)
}

/// Every record of a Harvest list, following its cursor.
async fn list<T: DeserializeOwned>(
    routes: &Routes,
    name: &'static str,
    first: Request<bytes::Bytes>,
    now: Timestamp,
    http: &dyn Http,
) -> Result<Vec<T>, Stop> {
    let mut records = Vec::new();
    let mut request = first;
    for _ in 0..MAX_PAGES {
        let response = http.send(request).await.map_err(|error| unanswered(&error, now))?;
        records.extend(page::<T>(&response)?);
        match routes::next(response.headers()) {
            Next::Cursor(cursor) => request = routes.next(name, &cursor),
            Next::Nothing => return Ok(records),
            Next::Unreadable => return Err(Stop::CannotTell),
        }
    }
    Err(Stop::CannotTell)
}

fn page<T: DeserializeOwned>(response: &Response<bytes::Bytes>) -> Result<Vec<T>, Stop> {
    match outcome::read_failure(response) {
        None => serde_json::from_slice(response.body()).map_err(|_| Stop::NotNow { retry_after: None }),
        Some(ReadError::NotNow { retry_after, .. }) => Err(Stop::NotNow { retry_after }),
        Some(
            ReadError::NotThere
            | ReadError::Unauthorised { .. }
            | ReadError::Unreadable(_)
            | ReadError::Misconfigured(_)
            | ReadError::NotClaimed,
        ) => Err(Stop::CannotTell),
    }
}

fn unanswered(error: &SendError, now: Timestamp) -> Stop {
    match error {
        SendError::NotSent(_) | SendError::Unknown(_) => Stop::NotNow { retry_after: None },
        SendError::NotNow { until } => Stop::NotNow { retry_after: Some(outcome::wait_until(*until, now)) },
        SendError::Refused(_) | SendError::Misconfigured(_) => Stop::CannotTell,
    }
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
