//! Looks after the process every other second, and sooner when a request could not be stored: can the store be written, is what it leans on there, how long has its work
//! been due. It sets [`Health`]'s checks and holds the figures of the backlog; it does no work and repairs nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use causeway_core::clock::Clock;
use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::{Check, Health, Standing};
use crate::config::ProcessRole;
use crate::hash::sha256;
use crate::store::trace::Backlog;
use crate::store::{Store, StoreError};
use crate::telemetry::metrics::{self, Page};

/// How often.
const EVERY: Duration = Duration::from_secs(2);
/// Between two looks, whatever is doubted.
const SHORTEST: Duration = Duration::from_millis(250);
/// A store that has not answered after this cannot be worked with.
const PATIENCE: Duration = Duration::from_secs(5);
/// Work that has been due for longer is late.
const LATE: Duration = Duration::from_mins(5);
/// The rows that are written to see whether writing works. Nobody holds one: its lease is over when it begins. Each process
/// has its own, mostly, so that none waits for another's commit; they are so few that what processes leave does not grow.
const ROWS: u8 = 64;

/// Is it there? Asked often, so it must not wait.
pub type IsThere = Arc<dyn Fn() -> bool + Send + Sync>;

/// What is looked at.
pub struct ProbeParts {
    /// Where what is found is put.
    pub health: Arc<Health>,
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The broker, where there is one.
    pub queue: Option<IsThere>,
    /// What shares the vendors' limits, where there is something.
    pub limits: Option<IsThere>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Names this process.
    pub owner: String,
}

/// See the module's documentation.
pub struct Probe {
    parts: ProbeParts,
    ages: Mutex<Vec<(ProcessRole, Duration)>>,
    row: String,
}

/// This process's row.
fn row(owner: &str) -> String {
    let [first, ..] = sha256(owner.as_bytes());
    format!("readiness {}", first % ROWS)
}

impl Probe {
    /// Looks at nothing yet.
    pub fn new(parts: ProbeParts) -> Arc<Self> {
        let row = row(&parts.owner);
        Arc::new(Self { parts, ages: Mutex::default(), row })
    }

    /// Looks until told to stop.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let looks = async {
            loop {
                tokio::select! {
                    _ = ticks.tick() => {}
                    () = self.parts.health.doubt.notified() => {}
                }
                self.look().await;
                // Every refused request is a doubt.
                tokio::time::sleep(SHORTEST).await;
            }
        };
        stop.run_until_cancelled(looks).await;
    }

    /// Looks once.
    pub async fn look(&self) {
        let ProbeParts { health, queue, limits, .. } = &self.parts;
        let there = |check, is_there: &Option<IsThere>, away| match is_there.as_ref().map(|is_there| is_there()) {
            Some(true) => health.set(check, Standing::Ok, None),
            Some(false) => health.set(check, Standing::Degraded, Some(away)),
            None => {}
        };
        there(Check::Queue, queue, "the broker is away: work is found by looking, within a second");
        there(Check::Limits, limits, "Redis is away: each process keeps to its share of the vendors' limits");
        if self.database().await {
            self.backlog().await;
        }
    }

    /// One small write, as durable as any.
    async fn database(&self) -> bool {
        let ProbeParts { health, store, clock, owner, .. } = &self.parts;
        let write = store.lease_job(&self.row, owner, clock.now(), Duration::ZERO);
        let detail = match timeout(PATIENCE, write).await {
            // Another process writes it just now: that it could be seen is enough.
            Ok(Ok(_)) => None,
            Ok(Err(StoreError::Unavailable(why))) => Some(why),
            Ok(Err(error)) => {
                tracing::error!(%error, "the store could not be written");
                Some("the store failed")
            }
            Err(_) => Some("the store does not answer"),
        };
        let state = if detail.is_none() { Standing::Ok } else { Standing::Failing };
        health.set(Check::Database, state, detail);
        detail.is_none()
    }

    async fn backlog(&self) {
        let ProbeParts { health, store, clock, .. } = &self.parts;
        let now = clock.now();
        let Ok(Ok(backlog)) = timeout(PATIENCE, store.backlog(now)).await else {
            tracing::warn!("how long work has been due could not be read");
            return;
        };
        let ages = ages(health.roles.as_slice(), backlog, now);
        let late = ages.iter().any(|(_, age)| *age > LATE);
        let state = if late { Standing::Degraded } else { Standing::Ok };
        health.set(Check::Backlog, state, late.then_some("work has been due for more than five minutes"));
        *self.ages.lock().unwrap_or_else(PoisonError::into_inner) = ages;
    }

    /// Onto the page.
    pub fn put(&self, page: &mut Page) {
        for (role, age) in self.ages.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            page.put(&metrics::BACKLOG_AGE, &[role.as_str()], age.as_secs_f64());
        }
    }
}

/// How long the work of each of these roles has been due.
fn ages(roles: &[ProcessRole], backlog: Backlog, now: Timestamp) -> Vec<(ProcessRole, Duration)> {
    let age = |oldest: Option<Timestamp>| {
        oldest.map_or(Duration::ZERO, |oldest| Duration::try_from(now.duration_since(oldest)).unwrap_or_default())
    };
    let of = |role| match role {
        ProcessRole::Dispatch => Some(age(backlog.deliveries)),
        ProcessRole::Events => Some(age(backlog.webhooks)),
        ProcessRole::Schedule => Some(age(backlog.read_backs)),
        ProcessRole::Ingress | ProcessRole::Console => None,
    };
    roles.iter().filter_map(|role| Some((*role, of(*role)?))).collect()
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use causeway_core::clock::ManualClock;
    use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

    use super::*;
    use crate::store::over::{Nothing, Over};
    use crate::store::{self};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    /// A store that can be written, or cannot, or hangs.
    struct Moody(AtomicU8);

    #[async_trait]
    impl Over for Moody {
        fn below(&self) -> &dyn Store {
            &Nothing
        }
        async fn lease_job(&self, _: &str, _: &str, _: Timestamp, _: Duration) -> store::Result<Option<u64>> {
            match self.0.load(Ordering::Relaxed) {
                0 => Ok(None),
                1 => Err(StoreError::Unavailable("the disk is full")),
                2 => Err(StoreError::Failed("a bug".to_owned())),
                _ => std::future::pending().await,
            }
        }
        async fn backlog(&self, now: Timestamp) -> store::Result<Backlog> {
            let ago = |minutes| Some(now - jiff::SignedDuration::from_mins(minutes));
            Ok(Backlog { deliveries: ago(6), webhooks: ago(2), read_backs: None })
        }
    }

    struct Rig {
        probe: Arc<Probe>,
        store: Arc<Moody>,
        broker: Arc<AtomicBool>,
    }

    fn rig(roles: &[ProcessRole]) -> Rig {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW));
        let health = Arc::new(Health::new(roles, Arc::clone(&clock)));
        let (store, broker) = (Arc::new(Moody(AtomicU8::new(0))), Arc::new(AtomicBool::new(true)));
        let there = Arc::clone(&broker);
        let probe = Probe::new(ProbeParts {
            health,
            store: Arc::clone(&store) as Arc<dyn Store>,
            queue: Some(Arc::new(move || there.load(Ordering::Relaxed))),
            limits: None,
            clock,
            owner: "test".to_owned(),
        });
        Rig { probe, store, broker }
    }

    impl Rig {
        async fn of(&self, check: Check) -> (bool, Option<(Standing, Option<&'static str>)>) {
            self.probe.look().await;
            let report = self.probe.parts.health.report();
            let found = report.checks.iter().find(|checked| checked.check == check);
            (report.ready, found.map(|checked| (checked.state, checked.detail)))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_cannot_be_written_makes_it_unready_until_it_can() {
        let rig = rig(&[ProcessRole::Ingress]);
        for (mood, ready, detail) in [
            (0, true, None),
            (1, false, Some("the disk is full")),
            (2, false, Some("the store failed")),
            (3, false, Some("the store does not answer")),
            (0, true, None),
        ] {
            rig.store.0.store(mood, Ordering::Relaxed);
            let (is_ready, found) = rig.of(Check::Database).await;
            assert_eq!((is_ready, found.unwrap().1), (ready, detail), "{mood}");
        }
    }

    #[test]
    fn processes_write_rows_of_their_own_and_those_are_few() {
        let rows: std::collections::BTreeSet<String> = (0..1_000).map(|at| row(&format!("gateway-{at}"))).collect();
        assert_eq!(rows.len(), usize::from(ROWS));
        assert_eq!(row("gateway-1"), row("gateway-1"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_doubt_is_looked_into_and_decides_nothing_itself() {
        let rig = rig(&[ProcessRole::Ingress]);
        let health = Arc::clone(&rig.probe.parts.health);
        let stop = CancellationToken::new();
        let doubts = async {
            tokio::time::sleep(EVERY + SHORTEST * 2).await;
            for (mood, ready) in [(0, true), (1, false)] {
                rig.store.0.store(mood, Ordering::Relaxed);
                health.doubt_the_store();
                assert!(health.report().ready, "nothing was looked at yet");
                tokio::time::sleep(SHORTEST * 2).await;
                assert_eq!(health.report().ready, ready, "{mood}: before the next look is due");
            }
            stop.cancel();
        };
        tokio::join!(Arc::clone(&rig.probe).run(stop.clone()), doubts);
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_is_away_degrades_and_no_more() {
        let rig = rig(&[ProcessRole::Ingress]);
        rig.broker.store(false, Ordering::Relaxed);
        let (ready, found) = rig.of(Check::Queue).await;
        assert!(ready && found.unwrap().0 == Standing::Degraded);
        rig.broker.store(true, Ordering::Relaxed);
        assert_eq!(rig.of(Check::Queue).await, (true, Some((Standing::Ok, None))));
        assert_eq!(rig.of(Check::Limits).await.1, None, "there is none");
    }

    #[tokio::test(start_paused = true)]
    async fn late_work_is_told_by_whoever_has_its_role() {
        for (roles, state, shown) in [
            (&[ProcessRole::Dispatch, ProcessRole::Events][..], Standing::Degraded, "{role=\"dispatch\"} 360\n"),
            (&[ProcessRole::Events, ProcessRole::Schedule][..], Standing::Ok, "{role=\"schedule\"} 0\n"),
        ] {
            let rig = rig(roles);
            let (ready, found) = rig.of(Check::Backlog).await;
            assert!(ready && found.unwrap().0 == state, "{roles:?}");
            let mut page = Page::default();
            rig.probe.put(&mut page);
            let text = page.render();
            assert!(text.contains(shown) && text.contains("{role=\"events\"} 120\n"), "{text}");
            assert_eq!(text.contains("{role=\"dispatch\"}"), roles.contains(&ProcessRole::Dispatch));
        }
    }
}
