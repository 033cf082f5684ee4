//! Who waits for a document that somebody else reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use super::Sqlite;
use crate::store::suite::world::World;

/// Counts how often it is told to look again.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn those_that_were_claimed_together_are_read_together() {
    let w = World::<Sqlite>::new().await;
    for email in ["ada@example.org", "bela@example.org"] {
        w.accept(w.application(email)).await;
    }
    let claims = w.claim(2).await;
    let mut loads: Vec<_> = claims.iter().map(|claim| w.store.load(claim, false)).collect();
    assert_eq!(loads.len(), 2);
    for load in &mut loads {
        assert!(load.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_eq!(w.backend.inner().loads.take().len(), 2, "the first has not begun without the second");
}

#[tokio::test]
async fn whose_document_somebody_else_reads_waits_without_asking_again() {
    let w = World::<Sqlite>::new().await;
    w.accept(w.application("ada@example.org")).await;
    let claim = w.one_claim().await;
    let store = w.backend.inner();
    let woken = Arc::new(Woken::default());
    let (waker, mut load) = (Waker::from(Arc::clone(&woken)), w.store.load(&claim, false));
    let mut look = || load.as_mut().poll(&mut Context::from_waker(&waker));

    let all = u32::try_from(store.loads.turns.available_permits()).unwrap();
    let turns = store.loads.turns.acquire_many(all).await.unwrap();
    assert!(look().is_pending());
    let read_by_another = store.loads.take();
    assert_eq!(read_by_another.len(), 1);
    drop(turns);
    assert!(look().is_pending());
    let woken_before = woken.0.load(Ordering::SeqCst);
    assert!(look().is_pending());
    assert_eq!(woken.0.load(Ordering::SeqCst), woken_before, "it goes round and round");
    assert_eq!(store.loads.turns.available_permits(), usize::try_from(all).unwrap());

    // Who reads it is gone: it is said so, and nobody waits for ever.
    drop(read_by_another);
    assert!(look().is_ready());
}
