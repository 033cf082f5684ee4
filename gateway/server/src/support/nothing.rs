//! What can be said when nothing matches: no more than was counted, and exactly what that was.
//!
//! The edge counters know a key, a job and a minute, never a person. So the number stands with its window, whose keys and
//! which codes it is made of, and says of the person: nothing.

use std::collections::BTreeMap;

use causeway_core::problem::Code;

use super::words::moment;
use crate::store::trace::LookupQuery;

/// The answer to a question that nothing matches.
pub(super) fn found(query: &LookupQuery, edge_refused: &BTreeMap<String, u64>) -> String {
    let what =
        if query.email.is_some() { "Nothing reached us from this address" } else { "Nothing recorded matches this" };
    let narrowed = query.job.is_some() || query.code.is_some() || query.account.is_some();
    let narrowed = if query.email.is_some() && narrowed { " for what was asked" } else { "" };
    let of = |kind: Kind| -> Vec<(&str, u64)> {
        edge_refused
            .iter()
            .map(|(code, count)| (code.as_str(), *count))
            .filter(|(code, _)| kind_of(code) == kind)
            .collect()
    };
    let (unreadable, unrecorded) = (of(Kind::Unreadable), of(Kind::Unrecorded));
    let count: u64 = unreadable.iter().map(|(_, count)| count).sum();
    let requests = if count == 1 { "1 unreadable request".to_owned() } else { format!("{count} unreadable requests") };
    let mut counted = listed(&unreadable);
    if !unrecorded.is_empty() {
        counted.push(format!("refused without a record besides: {}", listed(&unrecorded).join(", ")));
    }
    counted.push(format!("counted for every key of this tenant and any job, {}", window(query)));
    counted.push("requests without a valid key are counted for no tenant".to_owned());
    format!(
        "{what}{narrowed}; {requests} in that window ({}); this proves nothing about this person.",
        counted.join("; ")
    )
}

/// Counters are by the minute, so a minute counts that overlaps the window.
fn window(query: &LookupQuery) -> String {
    let until = query.until.map_or("until now".to_owned(), |until| format!("until {}", moment(until)));
    match query.since {
        Some(since) => format!("by whole minutes from {} {until}", moment(since)),
        None => format!("by whole minutes for as long as counters are kept, {until}"),
    }
}

fn listed(counts: &[(&str, u64)]) -> Vec<String> {
    counts.iter().map(|(code, count)| format!("{count} {code}")).collect()
}

/// What a counted refusal says about a submission that may have been in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The body was there and could not be read.
    Unreadable,
    /// It was turned away before it was read, or read without an address and a job in it.
    Unrecorded,
    /// It was no submission.
    None,
}

fn kind_of(code: &str) -> Kind {
    let Some(code) = Code::ALL.iter().find(|known| known.as_str() == code) else { return Kind::Unrecorded };
    match code {
        Code::BodyUnreadable
        | Code::MultipartInvalid
        | Code::BodyTooSlow
        | Code::BodyTooLarge
        | Code::ContentTypeUnsupported
        | Code::ContentEncodingUnsupported => Kind::Unreadable,
        Code::ApplicationInvalid
        | Code::KeyInvalid
        | Code::ScopeMissing
        | Code::SecretKeyInBrowser
        | Code::OriginNotAllowed
        | Code::PostingUnknown
        | Code::PostingClosed
        | Code::IdempotencyKeyReused
        | Code::IdempotencyInProgress
        | Code::IdempotencyKeyInvalid
        | Code::QuotaExceeded
        | Code::Overloaded
        | Code::StoreUnavailable
        | Code::DeadlineExceeded
        | Code::Internal => Kind::Unrecorded,
        Code::NotFound | Code::MethodNotAllowed | Code::ActionRefused | Code::QueryInvalid => Kind::None,
    }
}
