//! What the process knows about itself: can it do the work of its roles, and since when.
//!
//! Checks are set by whoever knows (a probe, the stop) and read by `/readyz`, which touches nothing. A
//! check fails when this process cannot do its work; it is degraded when the work is done, and later than it should be: a
//! broker or a Redis that is away costs latency, never an application. Only a failing check makes the process unready.

pub mod ledger;
pub mod probe;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use causeway_core::clock::Clock;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::Notify;

use crate::config::ProcessRole;
use crate::telemetry::metrics::{self, Page};

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// Can the store be written?
    Database,
    /// Is the broker connected?
    Queue,
    /// Does what shares the vendors' limits answer?
    Limits,
    /// How long has the work of these roles been due?
    Backlog,
    /// Does the process stop?
    Stop,
}

impl Check {
    /// As in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Queue => "queue",
            Self::Limits => "limits",
            Self::Backlog => "backlog",
            Self::Stop => "stop",
        }
    }
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// As it should be.
    Ok,
    /// The work is done, later than it should be.
    Degraded,
    /// This process cannot do its work.
    Failing,
}

impl Standing {
    const ALL: [Self; 3] = [Self::Ok, Self::Degraded, Self::Failing];

    /// As in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failing => "failing",
        }
    }
}

/// One line of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Checked {
    /// What was looked at.
    pub check: Check,
    /// What it came to.
    pub state: Standing,
    /// Since when.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// What is the matter, in words of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub detail: Option<&'static str>,
}

/// What `/readyz` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Report {
    /// Send it work?
    pub ready: bool,
    /// What this process does.
    pub roles: Vec<ProcessRole>,
    /// Each check.
    pub checks: Vec<Checked>,
}

/// See the module's documentation.
pub struct Health {
    clock: Arc<dyn Clock>,
    roles: Vec<ProcessRole>,
    checks: Mutex<BTreeMap<Check, Checked>>,
    doubt: Notify,
}

impl Health {
    /// A process of these roles that can do its work.
    pub fn new(roles: &[ProcessRole], clock: Arc<dyn Clock>) -> Self {
        let health = Self { clock, roles: roles.to_vec(), checks: Mutex::default(), doubt: Notify::new() };
        for check in [Check::Database, Check::Stop] {
            health.set(check, Standing::Ok, None);
        }
        health
    }

    fn checks(&self) -> MutexGuard<'_, BTreeMap<Check, Checked>> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a check came to just now. It keeps the moment at which it changed.
    pub fn set(&self, check: Check, state: Standing, detail: Option<&'static str>) {
        let mut checks = self.checks();
        let before = checks.get(&check).filter(|before| before.state == state);
        let since = before.map_or_else(|| self.clock.now(), |before| before.since);
        let is_news = before.is_none() && checks.contains_key(&check);
        checks.insert(check, Checked { check, state, since, detail });
        drop(checks);
        if is_news {
            tracing::info!(check = check.as_str(), state = state.as_str(), detail, "readiness changed");
        }
    }

    /// From now on no new work.
    pub fn stopping(&self) {
        self.set(Check::Stop, Standing::Failing, Some("it stops"));
    }

    /// Something could not be stored just now: whether anything can is looked at soon. One request alone proves nothing: a
    /// bucket that is away, or a lock of its tenant, refuses it while others are stored.
    pub fn doubt_the_store(&self) {
        self.doubt.notify_one();
    }

    /// Everything.
    pub fn report(&self) -> Report {
        let checks: Vec<Checked> = self.checks().values().cloned().collect();
        let ready = checks.iter().all(|checked| checked.state != Standing::Failing);
        Report { ready, roles: self.roles.clone(), checks }
    }

    /// Onto the page.
    pub fn put(&self, page: &mut Page) {
        let report = self.report();
        page.put(&metrics::READY, &[], report.ready);
        for Checked { check, state, .. } in report.checks {
            for other in Standing::ALL {
                page.put(&metrics::CHECK, &[check.as_str(), other.as_str()], other == state);
            }
        }
        for role in ProcessRole::ALL {
            page.put(&metrics::ROLE, &[role.as_str()], self.roles.contains(&role));
        }
    }
}

#[cfg(test)]
mod tests {
    use causeway_core::clock::ManualClock;
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn it_is_unready_only_while_something_fails_and_says_since_when() {
        let began: Timestamp = "2026-11-22T14:00:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock::at(began));
        let health = Health::new(&[ProcessRole::Ingress], Arc::clone(&clock) as Arc<dyn Clock>);
        let of = |check| health.report().checks.into_iter().find(|checked| checked.check == check).unwrap();
        assert!(health.report().ready);
        clock.advance(SignedDuration::from_secs(5));
        health.set(Check::Queue, Standing::Degraded, Some("the broker is away"));
        health.set(Check::Database, Standing::Ok, None);
        assert!(health.report().ready, "degraded is ready");
        assert_eq!(of(Check::Database).since, began, "nothing changed");
        let fails = || health.set(Check::Database, Standing::Failing, Some("the store cannot be written"));
        fails();
        clock.advance(SignedDuration::from_secs(5));
        fails();
        assert!(!health.report().ready);
        assert_eq!(of(Check::Database).since, began + SignedDuration::from_secs(5), "the first failure");
        health.set(Check::Database, Standing::Ok, None);
        assert!(health.report().ready);
        assert_eq!(of(Check::Database).since, began + SignedDuration::from_secs(10));
        health.stopping();
        assert!(!health.report().ready);
    }
}
