//! How long until all was well again, from outside: pure, from the clients' attempts and the fault log.
//!
//! Each bound has a moment it counts from (a gateway killed, the database answering again, the broker answering again) and
//! is looked at per gateway, at its own door. Where another fault that could hold it up was at work meanwhile, the time is
//! that fault's too: it is told apart and not judged.

use std::time::Duration;

use serde::Serialize;

use super::inject::Entry;
use super::load::{Attempt, Outcome};
use super::schedule::Kind;

/// The bounds of the order: first 2xx after a gateway's kill, consumers after a broker's restart, pool after a database's.
const GATEWAY_MAX_S: f64 = 5.0;
const CONSUMERS_MAX_S: f64 = 30.0;
const POOL_MAX_S: f64 = 5.0;

/// One of the bounds.
#[derive(Debug, Clone, Default, Serialize, PartialEq)]
pub(crate) struct Bound {
    pub(crate) most_s: f64,
    /// Times that were judged.
    pub(crate) judged: u64,
    pub(crate) max_s: f64,
    /// Times that another fault had its part in.
    pub(crate) beside_others: u64,
    pub(crate) max_beside_others_s: f64,
    /// It was judged, and nothing came back before the run's end.
    pub(crate) never: u64,
}

#[derive(Debug, Clone, Default, Serialize, PartialEq)]
pub(crate) struct Recovery {
    /// Until the first 202 at the killed gateway's own door to a request that was sent after the kill.
    pub(crate) gateway_after_kill: Bound,
    /// Until the first 202 at each gateway's door, once the database answered again.
    pub(crate) pool_after_database: Bound,
    /// Until every connector's queue was listened to, once the broker answered again.
    pub(crate) consumers_after_broker: Bound,
    /// The most of those that were judged.
    pub(crate) max_recovery_s: f64,
}

pub(crate) fn measure(attempts: &[Attempt], log: &[Entry], gateways: usize) -> Recovery {
    let bound = |most_s| Bound { most_s, ..Bound::default() };
    let mut recovery = Recovery {
        gateway_after_kill: bound(GATEWAY_MAX_S),
        pool_after_database: bound(POOL_MAX_S),
        consumers_after_broker: bound(CONSUMERS_MAX_S),
        max_recovery_s: 0.0,
    };
    let end = attempts.iter().map(|one| one.done).max().unwrap_or_default();
    for (number, entry) in log.iter().enumerate().filter(|(_, entry)| entry.took_effect) {
        let others = || log.iter().enumerate().filter(move |(other, _)| *other != number).map(|(_, other)| other);
        let back_at = |gateway: usize, since: Duration| {
            let there = attempts.iter().filter(|one| one.door == gateway && one.sent >= since);
            there.filter(|one| matches!(one.outcome, Outcome::Accepted(_))).map(|one| one.done).min()
        };
        let door = |bound: &mut Bound, gateway: usize, since: Duration| {
            let back = back_at(gateway, since);
            let until = back.unwrap_or(end);
            let alone = !others().any(|other| other.holds_up(gateway) && other.overlaps(since, until));
            bound.add(back.map(|back| back.saturating_sub(since)), until.saturating_sub(since), alone);
        };
        if let (Kind::Kill, Some(gateway)) = (entry.kind, entry.gateway) {
            door(&mut recovery.gateway_after_kill, gateway, entry.struck);
        }
        // The one that took over was there before the fault's end.
        let back = if entry.kind == Kind::FailOver { entry.struck } else { entry.over };
        if entry.kind.ends_database() {
            for gateway in 0..gateways {
                door(&mut recovery.pool_after_database, gateway, back);
            }
        }
        if let Some(back) = entry.consumers_back {
            let until = entry.over + back;
            let alone = !others().any(|other| other.holds_up_consumers() && other.overlaps(entry.over, until));
            recovery.consumers_after_broker.add(Some(back), back, alone);
        }
    }
    recovery.max_recovery_s = recovery.bounds().map(|(_, bound)| bound.max_s).into_iter().fold(0.0, f64::max);
    recovery
}

impl Bound {
    fn add(&mut self, took: Option<Duration>, waited: Duration, alone: bool) {
        let waited = waited.as_secs_f64();
        if alone {
            self.judged += 1;
            self.max_s = self.max_s.max(waited);
            // An end of the run within the bound says nothing.
            self.never += u64::from(took.is_none() && waited > self.most_s);
        } else {
            self.beside_others += 1;
            self.max_beside_others_s = self.max_beside_others_s.max(waited);
        }
    }
}

impl Recovery {
    fn bounds(&self) -> [(&'static str, &Bound); 3] {
        [
            ("first 2xx after a gateway's kill", &self.gateway_after_kill),
            ("first 2xx after the database was back", &self.pool_after_database),
            ("consumers after the broker was back", &self.consumers_after_broker),
        ]
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        let beyond = self.bounds().into_iter().filter(|(_, bound)| bound.max_s > bound.most_s);
        beyond
            .map(|(what, bound)| {
                format!("{what}: {:.1} s, over {} s; {} never", bound.max_s, bound.most_s, bound.never)
            })
            .collect()
    }

    /// What was never seen without another fault beside it.
    pub(crate) fn unmeasured(&self, scaled: bool) -> Vec<String> {
        let [kill, rest @ ..] = self.bounds();
        let wanted = [kill].into_iter().chain(rest.into_iter().filter(|_| scaled));
        wanted.filter(|(_, bound)| bound.judged == 0).map(|(what, _)| format!("{what} was never seen alone")).collect()
    }

    /// A gateway that was seen to come back after so long.
    #[cfg(test)]
    pub(crate) fn after(max_s: f64) -> Self {
        let bound = Bound { most_s: GATEWAY_MAX_S, judged: 1, max_s, ..Bound::default() };
        Self { gateway_after_kill: bound, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    fn attempt(door: usize, sent_s: u64, outcome: Outcome) -> Attempt {
        Attempt { number: sent_s, door, sent: at(sent_s), done: at(sent_s) + Duration::from_millis(100), outcome }
    }

    fn accepted(door: usize, sent_s: u64) -> Attempt {
        attempt(door, sent_s, Outcome::Accepted("sub".to_owned()))
    }

    fn kill(gateway: usize, struck_s: u64, over_s: u64) -> Entry {
        Entry { struck: at(struck_s), gateway: Some(gateway), ..Entry::of(Kind::Kill, at(9), at(over_s)) }
    }

    #[test]
    fn another_gateways_answer_is_no_recovery() {
        let attempts = [accepted(1, 11), attempt(0, 11, Outcome::NoAnswer), accepted(0, 13), accepted(0, 30)];
        let found = measure(&attempts, &[kill(0, 10, 12)], 2);
        assert!((found.gateway_after_kill.max_s - 3.1).abs() < 1e-9, "{found:?}");
        assert_eq!((found.gateway_after_kill.judged, found.violations()), (1, Vec::new()));
        let found = measure(&[accepted(1, 11), accepted(1, 30)], &[kill(0, 10, 12)], 2);
        assert_eq!((found.gateway_after_kill.never, found.violations().len()), (1, 1), "never came back");
    }

    #[test]
    fn what_another_fault_held_up_is_not_judged() {
        let attempts = [accepted(0, 20), accepted(1, 20)];
        let stalled = |link: &str| Entry { links: vec![link.to_owned()], ..Entry::of(Kind::Partition, at(11), at(18)) };
        let beside = |link| measure(&attempts, &[kill(0, 10, 12), stalled(link)], 2).gateway_after_kill;
        assert_eq!(beside("store of gateway 1").beside_others, 1);
        assert_eq!(beside("store of gateway 2").judged, 1, "another gateway's link is no excuse");
        assert_eq!(beside("ats of acme").judged, 1, "an accept needs no vendor");
    }

    #[test]
    fn pool_and_consumers_count_from_when_the_engine_was_back() {
        let log = [Entry::of(Kind::DatabaseKill, at(10), at(12))];
        let found = measure(&[accepted(0, 13), accepted(1, 18)], &log, 2);
        assert_eq!((found.pool_after_database.judged, found.violations().len()), (2, 1), "{found:?}");
        let broker = Entry { consumers_back: Some(at(31)), ..Entry::of(Kind::BrokerKill, at(10), at(12)) };
        let found = measure(&[], &[broker], 2);
        assert_eq!((found.consumers_after_broker.judged, found.violations().len()), (1, 1));
        assert_eq!(found.unmeasured(true).len(), 2);
    }
}
