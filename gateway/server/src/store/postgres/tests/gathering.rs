//! Few requests wait a moment for more, so that one commit serves them.

use std::sync::Arc;
use std::time::Duration;

use causeway_core::clock::{ManualClock, SeededEntropy};
use causeway_core::ids::TenantId;
use futures_util::future::join_all;
use futures_util::poll;

use super::{OpenOptions, Postgres, open};
use crate::store::postgres::Among;
use crate::store::postgres::crowd::MANY;
use crate::store::postgres::pending::FEW;
use crate::store::sql::conn::Sql;
use crate::store::sql::rows::{params, value};
use crate::store::sql::scope::Scope;
use crate::store::sql::{Engine, SqlStore};
use crate::store::suite::world::World;
use crate::store::work::ClaimRequest;
use crate::store::{Result, Store as _};

/// Which transaction it is.
async fn commit(store: &SqlStore) -> Result<Option<i64>> {
    commit_of(store, Scope::Nobody).await
}

async fn commit_of(store: &SqlStore, scope: Scope) -> Result<Option<i64>> {
    const NUMBER: Sql = Sql::of("SELECT txid_current()");
    let Engine::Postgres(engine) = &store.engine else { panic!("the other engine") };
    engine.write(scope, Among::Beside, |tx| value::<i64>(tx.conn, NUMBER, params![])).await
}

/// Two that come at once are mostly one commit; until they are.
async fn two_at_once(store: &SqlStore) -> Option<i64> {
    for _ in 0..1_000 {
        let (one, other) = tokio::join!(commit(store), commit(store));
        let (one, other) = (one.unwrap(), other.unwrap());
        if one == other {
            return one;
        }
    }
    panic!("each is a commit of its own")
}

/// A store where few wait for as long as a test takes.
fn patient(w: &World<Postgres>) -> Arc<SqlStore> {
    let (entropy, moment) = (Arc::new(SeededEntropy::new(79)), Duration::from_secs(600));
    let options = w.backend.options(&Arc::new(ManualClock::at(w.now())));
    open(OpenOptions { entropy, moment, ..options }).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn few_wait_for_more_and_are_one_commit() {
    let w = World::<Postgres>::new().await;
    let store = patient(&w);
    // One after another waits for nobody.
    for _ in 0..3 {
        commit(&store).await.unwrap();
    }
    let several = two_at_once(&store).await;

    let mut first = Box::pin(commit(&store));
    assert!(poll!(&mut first).is_pending());
    // Long enough for it to be taken, if it may.
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut first).await.is_err());
    let wants = vec![(w.ats, 1)];
    let request =
        ClaimRequest { owner: "another".into(), wants, suspect_of: None, lease: Duration::from_secs(60), now: w.now() };
    assert!(store.claim(request).await.unwrap().claims.is_empty(), "others wait for who claims");
    assert!(poll!(&mut first).is_pending());
    let mut numbers = join_all((1..FEW).map(|_| commit(&store))).await;
    numbers.push(first.await);
    let numbers: Vec<_> = numbers.into_iter().map(|number| number.unwrap()).collect();
    assert!(numbers.iter().all(|number| *number == numbers[0] && *number > several), "{numbers:?}");

    let mut last = Box::pin(commit(&store));
    assert!(poll!(&mut last).is_pending());
    let (last, ()) = tokio::join!(last, store.close());
    assert!(last.unwrap() > numbers[0], "a store that closes waits for nobody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_asks_for_much_waits_and_nobody_else_does() {
    let w = World::<Postgres>::new().await;
    let store = patient(&w);
    let [loud, quiet] = [1, 2].map(|seed| Scope::Tenant(TenantId::new(w.now(), &SeededEntropy::new(seed))));
    for _ in 0..MANY {
        commit_of(&store, loud).await.unwrap();
    }
    let mut gathers = Box::pin(commit_of(&store, loud));
    assert!(poll!(&mut gathers).is_pending());
    // Long enough for it to be taken, if it may.
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut gathers).await.is_err());
    let mut last = None;
    for _ in 0..3 {
        last = commit_of(&store, quiet).await.unwrap();
    }
    assert!(poll!(&mut gathers).is_pending());
    let (gathered, ()) = tokio::join!(gathers, store.close());
    assert!(gathered.unwrap() > last, "a store that closes waits for nobody");
}
