//! Counters of requests refused at the edge, per key, job and minute. They hold no body and no person.
//!
//! Counting is a map in memory, so that a flood of refusals costs no writes; the map is bounded and goes to the store
//! each second and once more at stop. What a crash loses is at most that second's counts, never a submission.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use causeway_core::clock::Clock;
use causeway_core::ids::{KeyId, TenantId};
use jiff::{Timestamp, ToSpan as _};

use crate::store::intake::EdgeCount;
use crate::store::{Result, Store};

/// Beyond this many different counters, jobs are no longer told apart.
const MAX_COUNTERS: usize = 10_000;
/// A job's id worth keeping; anything else is noise.
const MAX_JOB: usize = 64;

/// See the module.
pub struct EdgeCounters {
    clock: Arc<dyn Clock>,
    counts: Mutex<HashMap<Counter, u64>>,
}

#[derive(PartialEq, Eq, Hash)]
struct Counter {
    sender: Option<(TenantId, KeyId)>,
    job: Option<Box<str>>,
    minute: Timestamp,
    code: &'static str,
}

impl EdgeCounters {
    /// Nothing counted yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, counts: Mutex::default() }
    }

    /// Counts one refusal.
    pub fn add(&self, sender: Option<(TenantId, KeyId)>, job: Option<&str>, code: &'static str) {
        let now = self.clock.now();
        let into_minute = now.as_second().rem_euclid(60).seconds().nanoseconds(now.subsec_nanosecond());
        let minute = now.checked_sub(into_minute).unwrap_or(now);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let job = job.filter(|job| is_job_id(job) && counts.len() < MAX_COUNTERS).map(Box::from);
        *counts.entry(Counter { sender, job, minute, code }).or_default() += 1;
    }

    /// Writes what was counted since the last time. What cannot be written is kept for the next time.
    ///
    /// # Errors
    /// As [`Store::count_edge`].
    pub async fn flush(&self, store: &dyn Store) -> Result<()> {
        let counts = std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        if counts.is_empty() {
            return Ok(());
        }
        let written = store.count_edge(counts.iter().map(|(counter, count)| row(counter, *count)).collect()).await;
        if written.is_err() {
            let mut kept = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            for (counter, count) in counts {
                *kept.entry(counter).or_default() += count;
            }
        }
        written
    }
}

fn row(counter: &Counter, count: u64) -> EdgeCount {
    EdgeCount {
        tenant: counter.sender.map(|(tenant, _)| tenant),
        key: counter.sender.map(|(_, key)| key),
        job: counter.job.as_deref().map(str::to_owned),
        minute: counter.minute,
        code: counter.code.to_owned(),
        count,
    }
}

fn is_job_id(job: &str) -> bool {
    (1..=MAX_JOB).contains(&job.len())
        && job.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::EdgeCounters;
    use causeway_core::clock::ManualClock;
    use std::sync::Arc;

    #[test]
    fn counts_gather_by_minute_and_a_job_that_is_no_id_is_dropped() {
        let clock = ManualClock::at("2026-01-05T10:00:59.5Z".parse().unwrap());
        let edge = EdgeCounters::new(Arc::new(clock));
        for job in [Some("127817"), Some("127817"), Some("ada@example.org applied"), None] {
            edge.add(None, job, "body_too_large");
        }
        let counts = edge.counts.lock().unwrap();
        let mut seen: Vec<_> = counts.iter().map(|(c, n)| (c.job.as_deref(), c.minute.to_string(), *n)).collect();
        seen.sort();
        let minute = "2026-01-05T10:00:00Z".to_owned();
        assert_eq!(seen, [(None, minute.clone(), 2), (Some("127817"), minute, 2)]);
    }
}
