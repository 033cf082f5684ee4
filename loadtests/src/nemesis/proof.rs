//! The ledger proof as the gateways state it on their page of figures, read all the time: targets accepted, deliveries by
//! state, and the difference, which is 0 at every moment, under faults as well.
//!
//! It is the gateway's own statement. At quiescence it is held against what the clients and the lookup know.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::time::sleep;

use super::witness;
use super::world::World;

const EVERY: Duration = Duration::from_millis(700);
/// A process reads its ledger now and then; after quiescence it is waited for so long.
const LAST_MAX: Duration = Duration::from_secs(60);

/// What was read over the run.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Proof {
    /// Readings of the ledger that differ in their time.
    pub(crate) ledger_readings: u64,
    pub(crate) ledger_readings_under_faults: u64,
    /// The largest difference that was ever seen, either way.
    pub(crate) ledger_difference_max: u64,
    /// At quiescence.
    pub(crate) ledger_targets: u64,
    pub(crate) ledger_states: u64,
}

/// One reading.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Duration,
    read_at: f64,
    targets: f64,
    states: f64,
    difference: f64,
}

#[derive(Default)]
pub(crate) struct Readings(Mutex<Vec<Reading>>);

impl Readings {
    /// Until it is dropped.
    pub(crate) async fn read_all_the_time(&self, world: &World) {
        loop {
            self.read(world).await;
            sleep(EVERY).await;
        }
    }

    async fn read(&self, world: &World) {
        for keeper in &world.keepers {
            let page = witness::page(keeper).await;
            let figure = |name: &str| page.iter().find(|figure| figure.name == name).map(|figure| figure.value);
            let (Some(read_at), Some(targets), Some(difference)) = (
                figure("causeway_ledger_read_timestamp_seconds"),
                figure("causeway_ledger_targets_total"),
                figure("causeway_ledger_difference"),
            ) else {
                continue;
            };
            let of_states = page.iter().filter(|figure| figure.name == "causeway_deliveries");
            let states = of_states.map(|figure| figure.value).sum();
            let reading = Reading { at: world.clock.now(), read_at, targets, states, difference };
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(reading);
        }
    }

    /// Waits for a reading of now, and sums all of them up. `under_faults` are the times at which something was broken.
    pub(crate) async fn sum_up(&self, world: &World, under_faults: &[(Duration, Duration)]) -> anyhow::Result<Proof> {
        let (now, deadline) = (crate::latency::wall_ms()? / 1000.0, Instant::now() + LAST_MAX);
        loop {
            self.read(world).await;
            let readings = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let fresh = readings.iter().any(|reading| reading.read_at > now);
            if fresh || Instant::now() > deadline {
                return Ok(sum(&readings, under_faults, fresh));
            }
            sleep(EVERY).await;
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts, and small")]
fn sum(readings: &[Reading], under_faults: &[(Duration, Duration)], fresh: bool) -> Proof {
    let mut seen = BTreeSet::new();
    let mut proof = Proof::default();
    for reading in readings {
        let off = reading.difference.abs().max((reading.targets - reading.states).abs());
        proof.ledger_difference_max = proof.ledger_difference_max.max(off as u64);
        if seen.insert(reading.read_at.to_bits()) {
            proof.ledger_readings += 1;
            let under = under_faults.iter().any(|(from, to)| reading.at >= *from && reading.at <= *to);
            proof.ledger_readings_under_faults += u64::from(under);
        }
    }
    let last = readings.iter().filter(|_| fresh).max_by(|one, other| one.read_at.total_cmp(&other.read_at));
    if let Some(last) = last {
        proof.ledger_targets = last.targets as u64;
        proof.ledger_states = last.states as u64;
    }
    proof
}

impl Proof {
    /// `targets` is what the lookup shows of all that was accepted.
    pub(crate) fn violations(&self, targets: u64) -> Vec<String> {
        let mut found = Vec::new();
        if self.ledger_difference_max > 0 {
            found.push(format!("the ledger was off by {}", self.ledger_difference_max));
        }
        let Self { ledger_targets, ledger_states, .. } = self;
        if self.ledger_readings > 0 && (*ledger_targets != targets || *ledger_states != targets) {
            found.push(format!(
                "{targets} targets were accepted, the ledger has {ledger_targets} and {ledger_states} in some state"
            ));
        }
        found
    }

    pub(crate) fn unmeasured(&self) -> Vec<String> {
        let never = self.ledger_readings_under_faults == 0;
        never.then(|| "the ledger was never read under a fault".to_owned()).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(at_s: u64, targets: f64, states: f64) -> Reading {
        #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
        let read_at = at_s as f64;
        Reading { at: Duration::from_secs(at_s), read_at, targets, states, difference: targets - states }
    }

    #[test]
    fn a_difference_at_any_moment_and_a_sum_that_is_off_at_the_end_are_seen() {
        let faults = [(Duration::from_secs(2), Duration::from_secs(3))];
        let good = sum(&[reading(1, 2.0, 2.0), reading(2, 4.0, 4.0), reading(2, 4.0, 4.0)], &faults, true);
        assert_eq!((good.ledger_readings, good.ledger_readings_under_faults), (2, 1));
        assert_eq!(good.violations(4), Vec::<String>::new());
        assert_eq!(good.violations(6).len(), 1, "one application is missing");
        let off = sum(&[reading(1, 2.0, 1.0), reading(2, 4.0, 4.0)], &faults, true);
        assert_eq!((off.ledger_difference_max, off.violations(4).len()), (1, 1));
        let stale = sum(&[reading(1, 4.0, 4.0)], &faults, false);
        assert_eq!((stale.violations(4).len(), stale.unmeasured().len()), (1, 1), "nothing was read at the end");
    }
}
