//! What every queue has to do, run on each implementation. A case gets a fresh bell and its listener.
//!
//! Rings are doorbells: a case never counts how often one is heard, only that it is, within a generous time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use causeway_core::clock::SeededEntropy;
use causeway_core::ids::AccountId;
use jiff::Timestamp;

use super::{Bell, Listener, Rung, Traceparent};

/// Far longer than anything here takes.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// The account of this number.
pub(super) fn account(number: u64) -> AccountId {
    AccountId::new(Timestamp::UNIX_EPOCH, &SeededEntropy::new(number))
}

pub(super) async fn hear(listener: &dyn Listener) -> Rung {
    tokio::time::timeout(LONG, listener.rung()).await.expect("a ring is heard")
}

/// Listens, claiming, until all of these were heard.
pub(super) async fn hear_all(listener: &dyn Listener, accounts: &[AccountId]) {
    let mut missing: BTreeSet<AccountId> = accounts.iter().copied().collect();
    while !missing.is_empty() {
        let rung = hear(listener).await;
        for heard in rung.accounts() {
            missing.remove(&heard);
        }
        rung.receipt.claimed();
    }
}

type Parts = (Arc<dyn Bell>, Arc<dyn Listener>);

/// Every case, each over what `open` makes. The accounts are those the queue knows.
pub(super) async fn all<F: Future<Output = Parts>>(accounts: &[AccountId; 2], open: impl Fn() -> F) {
    let [one, two] = *accounts;
    let (bell, listener) = open().await;
    many_rings_are_heard(&*bell, &*listener, one, two).await;
    let (bell, listener) = open().await;
    a_ring_wakes_who_waits(&*bell, &*listener, one).await;
    let (bell, listener) = open().await;
    a_wait_that_is_cancelled_loses_nothing(&*bell, &*listener, one).await;
    let (bell, listener) = open().await;
    a_receipt_dropped_rings_again(&*bell, &*listener, one).await;
    let (bell, listener) = open().await;
    a_ring_carries_its_trace(&*bell, &*listener, one).await;
}

async fn many_rings_are_heard(bell: &dyn Bell, listener: &dyn Listener, one: AccountId, two: AccountId) {
    for _ in 0..100 {
        bell.ring(one);
        bell.ring(two);
    }
    hear_all(listener, &[one, two]).await;
    // A ring after its account was heard is a new one.
    bell.ring(one);
    hear_all(listener, &[one]).await;
}

async fn a_ring_wakes_who_waits(bell: &dyn Bell, listener: &dyn Listener, one: AccountId) {
    let (rung, ()) = tokio::join!(hear(listener), async { bell.ring(one) });
    assert_eq!(rung.accounts(), [one]);
    rung.receipt.claimed();
}

async fn a_wait_that_is_cancelled_loses_nothing(bell: &dyn Bell, listener: &dyn Listener, one: AccountId) {
    for _ in 0..20 {
        let waited = tokio::time::timeout(Duration::from_millis(1), listener.rung()).await;
        assert!(waited.is_err(), "nobody rang");
    }
    bell.ring(one);
    hear_all(listener, &[one]).await;
}

async fn a_receipt_dropped_rings_again(bell: &dyn Bell, listener: &dyn Listener, one: AccountId) {
    bell.ring(one);
    for _ in 0..3 {
        let rung = hear(listener).await;
        assert_eq!(rung.accounts(), [one]);
        drop(rung.receipt);
    }
    hear_all(listener, &[one]).await;
}

async fn a_ring_carries_its_trace(bell: &dyn Bell, listener: &dyn Listener, one: AccountId) {
    let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let trace = Traceparent::try_from(text.to_owned()).unwrap();
    bell.ring_within(one, Some(trace.clone()));
    let rung = hear(listener).await;
    assert_eq!(rung.rings.first().and_then(|ring| ring.trace.clone()), Some(trace));
    rung.receipt.claimed();
}
