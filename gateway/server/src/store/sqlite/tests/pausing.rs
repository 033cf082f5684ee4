//! A pause, or its end, whose process died after the first commit: what the account is stands, its backlog is not moved yet.

use causeway_core::delivery::State;
use causeway_core::reason::Reason;

use super::Sqlite;
use crate::store::suite::world::World;

impl World<Sqlite> {
    async fn backlog(&self, count: usize) {
        for at in 0..count {
            self.accept(self.application(&format!("p{at}@example.org"))).await;
        }
    }

    /// Only what the first commit of a resumption writes to the account and its case.
    fn resumed(&self) {
        let conn = self.backend.raw();
        conn.execute_batch(
            "UPDATE accounts SET paused_reason = NULL, paused_since = NULL, paused_case = NULL;
             UPDATE cases SET closed_at = 1",
        )
        .unwrap();
    }

    async fn pause(&self) -> u64 {
        self.store.pause_account(self.ats, Reason::AccountPaused, "test", self.now()).await.unwrap()
    }

    async fn is_all(&self, state: State, count: u64) {
        assert_eq!(self.store.census().await.unwrap(), [(state, count)].into());
    }
}

#[tokio::test]
async fn what_an_interrupted_resumption_left_is_queued() {
    let w = World::<Sqlite>::new().await;
    w.backlog(5).await;
    w.pause().await;
    w.resumed();
    w.is_all(State::Held, 5).await;
    w.store.expire_leases(w.now()).await.unwrap();
    w.is_all(State::Queued, 5).await;
    assert_eq!(w.claim(9).await.len(), 5);
}

#[tokio::test]
async fn who_is_held_still_when_the_account_is_paused_again_is_in_its_case() {
    let w = World::<Sqlite>::new().await;
    w.backlog(5).await;
    w.pause().await;
    w.resumed();
    assert_eq!(w.pause().await, 0, "they are held");
    let cases = w.store.cases(w.tenant, 10).await.unwrap();
    assert_eq!(cases.iter().map(|case| case.deliveries).collect::<Vec<_>>(), [5], "and their case is open again");
    assert_eq!(cases[0].opened_at, w.now());
    assert_eq!(w.store.resume_account(w.ats, "test", w.now()).await.unwrap(), 5);
    assert!(w.store.cases(w.tenant, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn one_that_does_not_read_back_keeps_no_other_held() {
    let w = World::<Sqlite>::new().await;
    w.backlog(5).await;
    w.pause().await;
    w.backend.raw().execute("UPDATE deliveries SET refs = 'nonsense' WHERE seq = 2", []).unwrap();
    assert_eq!(w.store.resume_account(w.ats, "test", w.now()).await.unwrap(), 5);
    assert_eq!(w.store.census().await.unwrap(), [(State::Queued, 4), (State::Parked, 1)].into());
}
