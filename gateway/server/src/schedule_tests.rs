//! Rings, gaps and leases, over a store in memory.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use causeway_core::account::Account;
use causeway_core::connector::{Connector, Delivery, Descriptor, Http, JobPage, Permission, ReadError};
use causeway_core::delivery::StepPlan;
use causeway_core::ids::DeliveryId;
use causeway_core::outcome::{Class, Outcome};

use super::*;
use crate::dispatch::tests::fake::FakeStore;
use crate::egress::EgressPolicy;
use crate::egress::testing::{DESCRIPTOR, TokioClock, egress, record};
use crate::feeds::sync::{FeedParts, SyncPolicy};
use crate::queue::embedded::EmbeddedBell;

#[derive(Default)]
struct Counting(AtomicU32);

#[async_trait]
impl Connector for Counting {
    fn describe(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn plan(&self, _: &Delivery<'_>) -> Vec<StepPlan> {
        Vec::new()
    }

    async fn run(&self, _: &str, _: &Delivery<'_>, _: &dyn Http) -> Outcome {
        Outcome::new(Class::Accepted)
    }

    async fn check(&self, _: &Account, _: &dyn Http) -> Vec<Permission> {
        Vec::new()
    }

    async fn list_jobs(&self, _: &Account, _: Option<&str>, _: &dyn Http) -> Result<JobPage, ReadError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(JobPage::default())
    }
}

struct Lets(Decision);

impl Judge for Lets {
    fn judge(&self, _: &ReadyDelivery) -> Decision {
        self.0.clone()
    }
}

struct Rig {
    schedule: Arc<Schedule>,
    store: Arc<FakeStore>,
    vendor: Arc<Counting>,
    bell: Arc<EmbeddedBell>,
    account: AccountId,
    tenant: TenantId,
}

fn rig(decision: Decision) -> Rig {
    let (store, vendor) = (Arc::new(FakeStore::default()), Arc::new(Counting::default()));
    let record = record("scripted", serde_json::json!({}));
    let (account, tenant) = (record.account.id, record.account.tenant);
    store.with_account(record);
    let (connector, bell, clock) = (Arc::clone(&vendor), Arc::new(EmbeddedBell::default()), TokioClock::new());
    let feeds = Feeds::new(FeedParts {
        store: Arc::clone(&store) as Arc<dyn Store>,
        egress: Arc::new(egress(Arc::clone(&vendor) as Arc<dyn Connector>, EgressPolicy::default())),
        connectors: Arc::new(move |_| Some(Arc::clone(&connector) as Arc<dyn Connector>)),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        form_digest: |_| String::new(),
        policy: SyncPolicy::default(),
    });
    let days = |count: u64| Duration::from_secs(count * 86_400);
    let schedule = Schedule::new(ScheduleParts {
        store: Arc::clone(&store) as Arc<dyn Store>,
        feeds: Arc::new(feeds),
        judge: Arc::new(Lets(decision)),
        read_back: None,
        bell: Arc::clone(&bell) as Arc<dyn Bell>,
        sync_bell: Arc::new(SyncBell::default()),
        clock,
        policy: SchedulePolicy {
            leases: Duration::from_secs(5),
            jobs: Duration::from_secs(60),
            jobs_gap: Duration::from_secs(2),
            forms: Duration::from_secs(60),
            awaiting: Duration::from_secs(5),
            read_back: Duration::from_secs(1),
            upkeep: Duration::from_secs(3_600),
            retention: Retention {
                applications: days(365),
                refusals: days(14),
                idempotency: days(30),
                edge_counts: days(30),
            },
            lease: Duration::from_secs(60),
            owner: "test".to_owned(),
        },
    });
    Rig { schedule, store, vendor, bell, account, tenant }
}

fn go() -> Decision {
    Decision::Go { form_digest: None }
}

impl Rig {
    fn syncs(&self) -> u32 {
        self.vendor.0.load(Ordering::SeqCst)
    }

    fn held(&self) -> DeliveryId {
        let id = self.store.queue(self.account, 1);
        self.store.lock().ready.push(id);
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
        ring.ring_sync(rig.tenant, None);
        ring.ring_account(rig.account);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(rig.syncs(), 3, "at once, and once more for those who rang after it began");
    stop.cancel();
    tracker.wait().await;
}

#[tokio::test(start_paused = true)]
async fn what_waited_is_decided_and_rung_for() {
    let rig = rig(go());
    let id = rig.held();
    assert_eq!(rig.schedule.decide_awaiting().await.unwrap(), 1);
    assert_eq!(rig.store.lock().decided, [id]);
    assert_eq!(rig.bell.rung().await, [rig.account]);
}

#[tokio::test(start_paused = true)]
async fn what_goes_on_waiting_is_judged_once_a_call() {
    let rig = rig(Decision::AwaitForm);
    let id = rig.held();
    rig.schedule.decide_awaiting().await.unwrap();
    assert_eq!(rig.store.lock().decided, [id]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_at_its_half_not_at_every_tick() {
    let rig = rig(go());
    for _ in 0..30 {
        assert!(rig.schedule.ours("job").await);
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(rig.store.lock().leases_taken.len(), 2, "60 s with a lease of 60 s");
}
