//! When a ring is acknowledged: once what it caused is claimed, never before, and never when it could not be.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use causeway_core::delivery::State;

use super::*;
use crate::dispatch::TICK;
use crate::queue::{Listener, Receipt, Ring, Rung};

/// Rings once, for work that comes at that moment; notes whether the work was claimed when the ring was settled.
struct Once {
    store: Arc<FakeStore>,
    ring: Mutex<Option<AccountId>>,
    told: Arc<Mutex<Vec<(bool, bool)>>>,
}

#[async_trait]
impl Listener for Once {
    async fn rung(&self) -> Rung {
        let Some(account) = self.ring.lock().unwrap().take() else { return std::future::pending().await };
        let (store, told, id) = (Arc::clone(&self.store), Arc::clone(&self.told), self.store.queue(account, 1));
        let receipt = Receipt::new(move |claimed| {
            let row = store.row(id);
            told.lock().unwrap().push((claimed, row.lease.is_some() || row.state != State::Queued));
        });
        Rung::new([Ring { account, trace: None }], receipt)
    }
}

/// Rings for whatever is queued, each time for one more.
struct Each {
    store: Arc<FakeStore>,
    left: Mutex<Vec<AccountId>>,
}

#[async_trait]
impl Listener for Each {
    async fn rung(&self) -> Rung {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let Some(account) = self.left.lock().unwrap().pop() else { return std::future::pending().await };
        self.store.queue(account, 1);
        Rung::new([Ring { account, trace: None }], Receipt::new(|_| {}))
    }
}

/// What a ring's receipt was told when the store fails so many claims and reads of accounts first.
async fn told((claim_fails, reads_fail): (u32, u32), run_for: Duration) -> Vec<(bool, bool)> {
    let rig = rig();
    rig.store.lock().claim_fails = claim_fails;
    rig.store.lock().reads_fail = reads_fail;
    let listener =
        Arc::new(Once { store: Arc::clone(&rig.store), ring: Mutex::new(Some(rig.account)), told: Arc::default() });
    let (stop, tracker, told) = (CancellationToken::new(), TaskTracker::new(), Arc::clone(&listener.told));
    tracker.spawn(rig.dispatch().run(listener, stop.clone()));
    tracker.close();
    tokio::time::sleep(run_for).await;
    stop.cancel();
    tracker.wait().await;
    let told = told.lock().unwrap();
    told.clone()
}

#[tokio::test(start_paused = true)]
async fn a_ring_is_acknowledged_once_its_work_is_claimed() {
    assert_eq!(told((0, 0), Duration::from_secs(10)).await, [(true, true)]);
    assert_eq!(told((3, 0), Duration::from_secs(10)).await, [(true, true)], "after the claims that failed");
    assert_eq!(told((0, 3), Duration::from_secs(10)).await, [(true, true)], "after its account could be read");
}

#[tokio::test(start_paused = true)]
async fn a_ring_whose_work_was_never_claimed_is_given_back_at_a_stop() {
    assert_eq!(told((u32::MAX, 0), Duration::from_secs(10)).await, [(false, false)]);
    assert_eq!(told((0, u32::MAX), Duration::from_secs(10)).await, [(false, false)]);
}

#[tokio::test(start_paused = true)]
async fn for_who_rings_nobody_looks_at_everything_and_claims_are_asked_for_once() {
    let rig = rig();
    let listener = Arc::new(Each { store: Arc::clone(&rig.store), left: Mutex::new(vec![rig.account; 20]) });
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    tracker.spawn(rig.dispatch().run(listener, stop.clone()));
    tracker.close();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(rig.tried(), 20);
    let (looks, claims) = {
        let inner = rig.store.lock();
        (inner.looks, inner.claims)
    };
    assert_eq!((looks, claims), (1, 20), "at the start; and as often as somebody rang");
    // What nobody rings for is found all the same.
    rig.store.queue(rig.account, 2);
    tokio::time::sleep(TICK + Duration::from_millis(500)).await;
    assert_eq!(rig.tried(), 21);
    stop.cancel();
    tracker.wait().await;
}

/// Rings every ten milliseconds, each time for as many as are left for it; notes of each ring whether its work was claimed when
/// it was settled.
struct Crowd {
    store: Arc<FakeStore>,
    account: AccountId,
    people: AtomicU32,
    left: Mutex<VecDeque<usize>>,
    told: Arc<Mutex<Vec<(bool, bool)>>>,
}

#[async_trait]
impl Listener for Crowd {
    async fn rung(&self) -> Rung {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let Some(count) = self.left.lock().unwrap().pop_front() else { return std::future::pending().await };
        // Each of a person of its own: of one there is never more than one in hand.
        let queue = |_| self.store.queue(self.account, self.people.fetch_add(1, Ordering::Relaxed));
        let ids: Vec<_> = (0..count).map(queue).collect();
        let (store, told) = (Arc::clone(&self.store), Arc::clone(&self.told));
        let receipt = Receipt::new(move |claimed| {
            let is_claimed = |id| store.row(id).lease.is_some() || store.row(id).state != State::Queued;
            told.lock().unwrap().push((claimed, ids.into_iter().all(is_claimed)));
        });
        Rung::new([Ring { account: self.account, trace: None }], receipt)
    }
}

/// How often was claimed and what was tried after these rings, and what they were told.
async fn crowd(gather: Duration, rings: &[usize]) -> (u32, usize, Vec<(bool, bool)>) {
    let rig = rig();
    let listener = Arc::new(Crowd {
        store: Arc::clone(&rig.store),
        account: rig.account,
        people: AtomicU32::new(1),
        left: Mutex::new(rings.iter().copied().collect()),
        told: Arc::default(),
    });
    let (stop, tracker, told) = (CancellationToken::new(), TaskTracker::new(), Arc::clone(&listener.told));
    let policy = DispatchPolicy { gather, ..DispatchPolicy::default() };
    tracker.spawn(rig.dispatch_with(policy).run(listener, stop.clone()));
    tracker.close();
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.cancel();
    tracker.wait().await;
    let claims = rig.store.lock().claims;
    (claims, rig.tried(), Arc::into_inner(told).unwrap().into_inner().unwrap())
}

#[tokio::test(start_paused = true)]
async fn who_rings_all_the_time_is_claimed_for_together_and_acknowledged_no_sooner() {
    // Two at once, and ten more in the tenth of a second that follows.
    let rings = [2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
    let gather = Duration::from_millis(105);
    assert_eq!(crowd(gather, &rings).await, (2, 12, vec![(true, true); 11]));
    assert_eq!(crowd(Duration::ZERO, &rings).await, (11, 12, vec![(true, true); 11]), "who does not gather");
    assert_eq!(crowd(gather, &[1; 11]).await, (11, 11, vec![(true, true); 11]), "who had one at a time");
}
