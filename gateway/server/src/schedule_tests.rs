//! Rings, gaps and leases, over a store in memory.

use causeway_core::ids::DeliveryId;

use super::*;
use crate::feeds::testing::{FeedRig, feed_rig};
use crate::queue::Listener;
use crate::queue::embedded::EmbeddedBell;

struct Lets(Decision);

impl Judge for Lets {
    fn judge(&self, _: &ReadyDelivery) -> Decision {
        self.0.clone()
    }
}

struct Rig {
    schedule: Arc<Schedule>,
    feeds: FeedRig,
    bell: Arc<EmbeddedBell>,
}

fn rig(decision: Decision) -> Rig {
    rig_that(decision, true)
}

fn rig_that(decision: Decision, periodic: bool) -> Rig {
    let (feeds, bell) = (feed_rig(), Arc::new(EmbeddedBell::default()));
    let days = |count: u64| Duration::from_secs(count * 86_400);
    let schedule = Schedule::new(ScheduleParts {
        store: Arc::clone(&feeds.store) as Arc<dyn Store>,
        feeds: Arc::clone(&feeds.feeds),
        judge: Arc::new(Lets(decision)),
        periodic,
        read_back: None,
        bell: Arc::clone(&bell) as Arc<dyn Bell>,
        sync_bell: Arc::new(SyncBell::default()),
        secrets: Arc::default(),
        ledger: Arc::default(),
        clock: Arc::clone(&feeds.clock) as Arc<dyn Clock>,
        policy: SchedulePolicy {
            leases: Duration::from_secs(5),
            rings: Duration::from_secs(5),
            probes: Duration::from_secs(3_600),
            alike: AlikePolicy::default().into(),
            jobs: Duration::from_secs(60).into(),
            jobs_gap: Duration::from_secs(2),
            forms: Duration::from_secs(60).into(),
            awaiting: Duration::from_secs(5),
            read_back: Duration::from_secs(1),
            upkeep: Duration::from_secs(3_600),
            anchor: Duration::from_secs(60),
            ledger: Duration::from_secs(3_600),
            retention: Retention {
                applications: days(365),
                refusals: days(14),
                idempotency: days(30),
                edge_counts: days(30),
                demographics: days(30),
                attempts: days(180),
                audit: days(1095),
                webhooks: days(30),
            }
            .into(),
            lease: Duration::from_secs(60),
            owner: "test".to_owned(),
        },
    });
    Rig { schedule, feeds, bell }
}

fn go() -> Decision {
    Decision::Go { form_digest: None }
}

impl Rig {
    fn syncs(&self) -> u32 {
        self.feeds.vendor.listed()
    }

    fn held(&self) -> DeliveryId {
        let id = self.feeds.store.queue(self.feeds.account, 1);
        self.feeds.store.lock().ready.push(id);
        id
    }
}

#[tokio::test(start_paused = true)]
async fn rings_coalesce_keep_their_gap_and_are_all_answered() {
    let rig = rig(go());
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    tracker.spawn(Arc::clone(&rig.schedule).run(stop.clone()));
    tracker.close();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(rig.syncs(), 1, "the periodic one");
    let ring = &rig.schedule.parts.sync_bell;
    for _ in 0..50 {
        ring.ring_sync(rig.feeds.tenant, None);
        ring.ring_account(rig.feeds.account);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(rig.syncs(), 3, "at once, and once more for those who rang after it began");
    stop.cancel();
    tracker.wait().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_removed_for_its_age_while_the_time_is_not_certain() {
    let rig = rig(go());
    for (ahead, removals) in [(0, 1), (86_400, 1), (-86_400, 1), (86_399, 2)] {
        rig.feeds.clock.be_ahead(ahead);
        rig.schedule.retain().await.unwrap();
        assert_eq!(rig.feeds.store.lock().retained, removals, "{ahead}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_waited_is_decided_and_rung_for() {
    let rig = rig(go());
    let id = rig.held();
    assert_eq!(rig.schedule.decide_awaiting().await.unwrap(), 1);
    assert_eq!(rig.feeds.store.lock().decided, [id]);
    assert_eq!(rig.bell.rung().await.accounts(), [rig.feeds.account]);
}

#[tokio::test(start_paused = true)]
async fn what_is_due_is_rung_for_again() {
    let rig = rig(go());
    rig.feeds.store.queue(rig.feeds.account, 1);
    rig.schedule.once(Job::Rings).await.unwrap();
    let rung = tokio::time::timeout(Duration::from_secs(1), rig.bell.rung()).await.expect("it is rung for");
    assert_eq!(rung.accounts(), [rig.feeds.account]);
}

#[tokio::test(start_paused = true)]
async fn what_goes_on_waiting_is_judged_once_a_call() {
    let rig = rig(Decision::AwaitForm);
    let id = rig.held();
    rig.schedule.decide_awaiting().await.unwrap();
    assert_eq!(rig.feeds.store.lock().decided, [id]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_at_its_half_not_at_every_tick() {
    let rig = rig(go());
    for _ in 0..30 {
        assert!(rig.schedule.ours("job").await);
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(rig.feeds.store.lock().leases_taken.len(), 2, "60 s with a lease of 60 s");
}

#[tokio::test(start_paused = true)]
async fn a_period_that_changes_is_kept_from_then_on() {
    let rig = rig(go());
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    tracker.spawn(Arc::clone(&rig.schedule).run(stop.clone()));
    tracker.close();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(rig.syncs(), 1, "the first of each minute");
    rig.schedule.parts.policy.jobs.set(Duration::from_secs(10));
    tokio::time::sleep(Duration::from_secs(45)).await;
    assert_eq!(rig.syncs(), 6, "one at the change, then one every ten seconds");
    stop.cancel();
    tracker.wait().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_gives_every_lease_back() {
    let rig = rig(go());
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    tracker.spawn(Arc::clone(&rig.schedule).run(stop.clone()));
    tracker.close();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let held = rig.schedule.leases.lock().unwrap().len();
    assert_eq!(held, 11, "each job but reading back, which this one does not do");
    stop.cancel();
    tracker.wait().await;
    let store = rig.feeds.store.lock();
    assert_eq!(store.leases_ended.len(), held, "{:?}", store.leases_ended);
}

#[tokio::test(start_paused = true)]
async fn without_the_role_it_does_no_periodic_work_and_answers_no_ring() {
    let rig = rig_that(go(), false);
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    tracker.spawn(Arc::clone(&rig.schedule).run(stop.clone()));
    tracker.close();
    rig.schedule.parts.sync_bell.ring_account(rig.feeds.account);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!((rig.syncs(), rig.feeds.store.lock().leases_taken.len()), (0, 0));
    stop.cancel();
    tracker.wait().await;
}

#[tokio::test(start_paused = true)]
async fn what_it_did_is_told() {
    let rig = rig(go());
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    tracker.spawn(Arc::clone(&rig.schedule).run(stop.clone()));
    tracker.close();
    tokio::time::sleep(Duration::from_secs(10)).await;
    stop.cancel();
    tracker.wait().await;
    let mut page = Page::default();
    rig.schedule.put(&mut page);
    let text = page.render();
    for line in [
        format!("causeway_account_syncs_total{{account=\"{}\",outcome=\"complete\"}} 1\n", rig.feeds.account),
        "causeway_job_runs_total{job=\"sync-jobs\",outcome=\"done\"} 1\n".to_owned(),
        "causeway_job_last_timestamp_seconds{job=\"retention\"}".to_owned(),
        "causeway_leases_expired_total{was=\"unknown\"} 0\n".to_owned(),
    ] {
        assert!(text.contains(&line), "{line} is not in {text}");
    }
}
