//! How the gateway behaves towards vendors, from their own ledger: rates, waits, and what was refused for good (R15).
//!
//! Pure. Where a proxy or a frozen process bunched calls together, the rate is the fault's and is not judged.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use super::books::Call;
use super::inject::Entry;
use super::schedule::Kind;
use crate::checker::{Lookups, Sent, Vendor};

/// What the accounts allow, and the first wait after a failure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed {
    pub(crate) calls: u64,
    pub(crate) window: Duration,
    pub(crate) first_wait: Duration,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Manners {
    pub(crate) calls: u64,
    pub(crate) most_in_a_window: u64,
    pub(crate) allowed_in_a_window: u64,
    pub(crate) most_at_once: Vec<u64>,
    /// Sent again before the first wait was over.
    pub(crate) too_soon: u64,
    /// Sent again before the vendor's `Retry-After` was over.
    pub(crate) retry_after_ignored: u64,
    /// Sent again after a refusal for good that was received.
    pub(crate) refused_and_sent_again: u64,
}

pub(crate) fn judge(calls: &[Call], log: &[Entry], allowed: Allowed, refused: &Refused<'_>) -> Manners {
    let mut manners = Manners { calls: calls.len() as u64, allowed_in_a_window: allowed.calls, ..Manners::default() };
    let mut times: HashMap<(usize, Vendor), Vec<Duration>> = HashMap::new();
    for call in calls.iter().filter(|call| !bunched(call.at, log)) {
        times.entry((call.tenant, call.vendor)).or_default().push(call.at);
    }
    for times in times.values() {
        manners.most_in_a_window = manners.most_in_a_window.max(most_within(times, allowed.window));
    }
    let mut by_person: HashMap<&str, Vec<&Call>> = HashMap::new();
    for call in calls.iter().filter(|call| call.vendor == Vendor::Ats && call.operation == "submit") {
        if let Some(about) = &call.about {
            by_person.entry(about).or_default().push(call);
        }
    }
    for submits in by_person.values() {
        for pair in submits.windows(2) {
            let [first, second] = pair else { continue };
            let waited = second.at.saturating_sub(first.at);
            // Jitter takes a fifth, and the clocks' grain a little.
            let early = first.answered && first.status == 503 && waited < allowed.first_wait.mul_f64(0.8 * 0.8);
            manners.too_soon += u64::from(early);
            let told = asked_to_wait(first, log);
            manners.retry_after_ignored += u64::from(told && first.answered && waited < Duration::from_millis(1_800));
        }
    }
    manners.refused_and_sent_again = refused.sent_again(&by_person);
    manners
}

/// Who was to be refused for good.
pub(crate) struct Refused<'a> {
    pub(crate) who: &'a [String],
    pub(crate) sent: &'a [Sent],
    pub(crate) lookups: &'a Lookups,
}

impl Refused<'_> {
    fn sent_again(&self, by_person: &HashMap<&str, Vec<&Call>>) -> u64 {
        let mut again = 0;
        for who in self.who {
            let refusals =
                by_person.get(who.as_str()).into_iter().flatten().filter(|call| call.status == 422).count() as u64;
            let sent = self.sent.iter().find(|one| one.email == *who);
            let found = sent.and_then(|one| self.lookups.get(one.accepted.as_deref()?));
            let ambiguous: u64 = found.iter().flat_map(|found| &found.targets).map(|target| target.ambiguous).sum();
            again += refusals.saturating_sub(1 + ambiguous);
        }
        again
    }
}

/// Calls that arrived together because something had held them.
fn bunched(at: Duration, log: &[Entry]) -> bool {
    let after = Duration::from_secs(1);
    log.iter().any(|entry| {
        let held = matches!(
            entry.kind,
            Kind::Loss
                | Kind::Partition
                | Kind::Swizzle
                | Kind::Network
                | Kind::VendorSlow
                | Kind::Freeze
                | Kind::PauseBeyondLease
        );
        held && at >= entry.began && at <= entry.over + after
    })
}

fn asked_to_wait(call: &Call, log: &[Entry]) -> bool {
    log.iter().any(|entry| {
        let told =
            matches!(call.status, 429 | 503) && entry.what.contains(&format!("status {}, Retry-After 2", call.status));
        entry.kind == Kind::VendorStatus && told && call.at >= entry.began && call.at <= entry.over
    })
}

fn most_within(times: &[Duration], window: Duration) -> u64 {
    let mut first = 0;
    let mut most = 0;
    for (last, at) in times.iter().enumerate() {
        while at.saturating_sub(times[first]) >= window {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(at_ms: u64, status: u64) -> Call {
        Call {
            tenant: 0,
            vendor: Vendor::Ats,
            at: Duration::from_millis(at_ms),
            operation: "submit".to_owned(),
            status,
            committed: status == 200,
            answered: true,
            about: Some("a@example.org".to_owned()),
        }
    }

    fn entry(kind: Kind, what: &str) -> Entry {
        Entry { what: what.to_owned(), ..Entry::of(kind, Duration::ZERO, Duration::from_secs(5)) }
    }

    fn judged(calls: &[Call], log: &[Entry], who: &[String]) -> Manners {
        let allowed = Allowed { calls: 2, window: Duration::from_secs(1), first_wait: Duration::from_millis(200) };
        judge(calls, log, allowed, &Refused { who, sent: &[], lookups: &Lookups::new() })
    }

    #[test]
    fn each_lapse_is_seen() {
        let three = [call(0, 200), call(500, 200), call(999, 200), call(1_000, 200)];
        assert_eq!(judged(&three, &[], &[]).most_in_a_window, 3);
        assert_eq!(judged(&three, &[entry(Kind::Partition, "")], &[]).most_in_a_window, 0, "the proxy bunched them");
        assert_eq!(judged(&[call(0, 503), call(100, 200)], &[], &[]).too_soon, 1);
        assert_eq!(judged(&[call(0, 503), call(170, 200)], &[], &[]).too_soon, 0);
        let told = [entry(Kind::VendorStatus, "ats, status 429, Retry-After 2, 3 times")];
        assert_eq!(judged(&[call(0, 429), call(900, 200)], &told, &[]).retry_after_ignored, 1);
        assert_eq!(judged(&[call(0, 429), call(1_900, 200)], &told, &[]).retry_after_ignored, 0);
        let who = ["a@example.org".to_owned()];
        assert_eq!(judged(&[call(0, 422), call(5_000, 422)], &[], &who).refused_and_sent_again, 1);
        assert_eq!(judged(&[call(0, 422)], &[], &who).refused_and_sent_again, 0);
    }
}
