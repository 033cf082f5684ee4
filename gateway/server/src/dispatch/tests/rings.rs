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

/// Where only those are asked for who rang, it would always be the turn of who rings most.
#[tokio::test(start_paused = true)]
async fn suspects_are_asked_for_where_everybody_is_looked_at() {
    let rig = rig();
    let listener = Arc::new(Each { store: Arc::clone(&rig.store), left: Mutex::new(vec![rig.account; 3]) });
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    tracker.spawn(rig.dispatch().run(listener, stop.clone()));
    tracker.close();
    tokio::time::sleep(TICK / 2).await;
    let asked = || std::mem::take(&mut rig.store.lock().suspects_of);
    let rung = asked();
    assert!(!rung.is_empty() && rung.iter().all(Option::is_none), "{rung:?}");
    rig.store.queue(rig.account, 9);
    tokio::time::sleep(TICK).await;
    assert_eq!(asked()[0], Some(rig.account));
    stop.cancel();
    tracker.wait().await;
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

/// Rings every ten milliseconds for two accounts at once, as often as is left for each; notes of what rang together whether its
/// work was claimed when it was settled, and how long that took.
struct Crowd {
    store: Arc<FakeStore>,
    accounts: [AccountId; 2],
    people: AtomicU32,
    left: Mutex<VecDeque<[usize; 2]>>,
    told: Arc<Mutex<Vec<(bool, bool, Duration)>>>,
}

#[async_trait]
impl Listener for Crowd {
    async fn rung(&self) -> Rung {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let Some(counts) = self.left.lock().unwrap().pop_front() else { return std::future::pending().await };
        // Each of a person of its own: of one there is never more than one in hand.
        let queue = |account| self.store.queue(account, self.people.fetch_add(1, Ordering::Relaxed));
        let (mut rings, mut ids) = (Vec::new(), Vec::new());
        for (account, count) in self.accounts.into_iter().zip(counts).filter(|(_, count)| *count > 0) {
            rings.extend((0..count).map(|_| Ring { account, trace: None }));
            ids.extend((0..count).map(|_| queue(account)));
        }
        let (store, told, heard) = (Arc::clone(&self.store), Arc::clone(&self.told), tokio::time::Instant::now());
        let receipt = Receipt::new(move |claimed| {
            let is_claimed = |id| store.row(id).lease.is_some() || store.row(id).state != State::Queued;
            told.lock().unwrap().push((claimed, ids.into_iter().all(is_claimed), heard.elapsed()));
        });
        Rung::new(rings, receipt)
    }
}

/// What came of these rings.
struct Heard {
    claims: u32,
    tried: usize,
    told: Vec<(bool, bool)>,
    /// The longest that a ring was not settled.
    longest: Duration,
}

/// So many claims for the second account fail first.
async fn crowd(gather: Duration, fails: u32, rings: &[[usize; 2]]) -> Heard {
    let rig = rig();
    let second = record("scripted", json!({}));
    let accounts = [rig.account, second.account.id];
    rig.store.with_account(second);
    rig.store.lock().claims_of_fail.insert(accounts[1], fails);
    let listener = Arc::new(Crowd {
        store: Arc::clone(&rig.store),
        accounts,
        people: AtomicU32::new(1),
        left: Mutex::new(rings.iter().copied().collect()),
        told: Arc::default(),
    });
    let (stop, tracker, told) = (CancellationToken::new(), TaskTracker::new(), Arc::clone(&listener.told));
    let policy = DispatchPolicy { gather, ..DispatchPolicy::default() };
    tracker.spawn(rig.dispatch_with(policy).run(listener, stop.clone()));
    tracker.close();
    // What could not be claimed is asked for once more.
    tokio::time::sleep(TICK + Duration::from_millis(500)).await;
    stop.cancel();
    tracker.wait().await;
    let told = Arc::into_inner(told).unwrap().into_inner().unwrap();
    Heard {
        claims: rig.store.lock().claims,
        tried: rig.tried(),
        longest: told.iter().map(|(_, _, took)| *took).max().unwrap(),
        told: told.into_iter().map(|(claimed, is_claimed, _)| (claimed, is_claimed)).collect(),
    }
}

const GATHER: Duration = Duration::from_millis(105);

#[tokio::test(start_paused = true)]
async fn who_rings_all_the_time_is_claimed_for_together_and_acknowledged_no_sooner() {
    let check = |heard: Heard, claims, tried| {
        assert_eq!((heard.claims, heard.tried, heard.told), (claims, tried, vec![(true, true); 11]));
    };
    // Two at once, and ten more in the tenth of a second that follows.
    let rings: Vec<_> = [[2, 0]].into_iter().chain([[1, 0]; 10]).collect();
    check(crowd(GATHER, 0, &rings).await, 2, 12);
    check(crowd(Duration::ZERO, 0, &rings).await, 11, 12);
    check(crowd(GATHER, 0, &[[1, 0]; 11]).await, 11, 11);
}

#[tokio::test(start_paused = true)]
async fn a_ring_for_two_that_gather_by_turns_is_acknowledged_once_both_were_claimed_for() {
    // The second begins to gather half a gathering after the first, and both go on ringing.
    let mut rings = vec![[2, 0], [0, 0], [0, 0], [0, 0], [0, 0], [0, 2], [1, 1]];
    rings.extend([[1, 0], [0, 1]].repeat(30));
    let heard = crowd(GATHER, 0, &rings).await;
    assert!(heard.told.iter().all(|told| *told == (true, true)), "{:?}", heard.told);
    assert!(heard.longest < GATHER * 2, "{:?}", heard.longest);
}

#[tokio::test(start_paused = true)]
async fn nobody_gathers_while_many_rings_are_not_acknowledged() {
    let heard = crowd(GATHER, 0, &[[2, 0], [12, 0], [12, 0]]).await;
    assert_eq!(heard.tried, 26);
    assert!(heard.longest < GATHER / 2, "{:?}", heard.longest);
}

#[tokio::test(start_paused = true)]
async fn a_ring_is_not_acknowledged_by_the_claim_of_another_account() {
    let heard = crowd(Duration::ZERO, 1, &[[1, 1]]).await;
    assert_eq!((heard.tried, heard.told), (2, vec![(true, true)]));
    // One ring is kept for it as long as it cannot be claimed for, and nobody else's.
    let never = crowd(Duration::ZERO, u32::MAX, &[[1, 1], [1, 1], [1, 0]]).await;
    assert_eq!((never.tried, never.told), (3, vec![(true, false), (true, true), (false, false)]));
}
