//! Several gateways on one database, and several writers of one.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use causeway_core::clock::{Clock, Entropy, ManualClock, SeededEntropy};
use causeway_core::ids::KeyId;

use super::Postgres;
use crate::clock::SystemClock;
use crate::store::intake::Accepted;
use crate::store::postgres::{Among, OpenOptions, open};
use crate::store::setup::{NewKey, NewTenant};
use crate::store::sql::conn::Sql;
use crate::store::sql::delivery;
use crate::store::sql::rows::{StoredId, execute, params};
use crate::store::sql::scope::Scope;
use crate::store::sql::{Engine, SqlStore};
use crate::store::suite::world::World;
use crate::store::{Store, StoreError};

/// Another gateway on the same database, with ids of its own.
pub(super) fn another(w: &World<Postgres>, seed: u64) -> Arc<SqlStore> {
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(seed));
    open(OpenOptions { entropy, ..w.backend.options(&Arc::new(ManualClock::at(w.now()))) }).unwrap()
}

/// Waits, half a minute at most.
pub(super) async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}");
}

#[tokio::test]
async fn it_tells_its_own_time() {
    let w = World::<Postgres>::new().await;
    let before = SystemClock.now();
    let there = w.store.time().await.unwrap().expect("a server has a clock");
    let after = SystemClock.now();
    // The server is on this machine; it cuts microseconds.
    assert!(before.as_microsecond() <= there.as_microsecond() && there <= after, "{before} {there} {after}");
}

#[tokio::test]
async fn what_one_gateway_changes_the_other_sees() {
    let w = World::<Postgres>::new().await;
    let other = another(&w, 31);
    let before = other.generation();
    let hash = [7; 32];
    let id = KeyId::new(w.now(), &w.entropy);
    let key = NewKey {
        id,
        tenant: w.tenant,
        name: "site".into(),
        hash,
        scopes: Default::default(),
        origins: None,
        test: false,
        actor: "test".into(),
        now: w.now(),
    };
    w.store.create_key(key).await.unwrap();
    until("a new key is told of", async || other.generation() > before).await;
    assert!(other.key_by_hash(hash).await.unwrap().is_some());
    let before = other.generation();
    w.store.revoke_key(w.tenant, id, "test", w.now()).await.unwrap();
    until("a revoked key is told of", async || other.generation() > before).await;
    assert!(other.key_by_hash(hash).await.unwrap().is_none_or(|key| key.revoked_at.is_some()));
    let tenant =
        other.create_tenant(NewTenant { name: "late".into(), actor: "test".into(), now: w.now() }).await.unwrap();
    // Before it was told of it: what is not known is asked for.
    assert_eq!(w.store.verify_audit(tenant.id).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_key_is_one_application_however_many_gateways_take_it() {
    let w = World::<Postgres>::new().await;
    let stores: Vec<Arc<SqlStore>> = (0..3).map(|seed| another(&w, 40 + seed)).collect();
    for round in 0..6 {
        let mut asked = tokio::task::JoinSet::new();
        for at in 0..12 {
            let code = w.store.new_code().await.unwrap();
            w.codes.lock().unwrap().push(code);
            let mut application = w.application(&format!("ada{round}@example.org"));
            // Half of the rounds without a key: then the same bytes are one.
            if round % 2 == 0 {
                application.idempotency_key = Some(format!("key-{round}"));
            }
            let store = Arc::clone(&stores[at % stores.len()]);
            asked.spawn(async move { store.accept(application).await.unwrap() });
        }
        let answers = asked.join_all().await;
        let made = answers.iter().filter(|answer| matches!(answer, Accepted::New { .. })).count();
        assert_eq!(made, 1, "{answers:?}");
        assert!(answers.iter().all(|answer| !matches!(answer, Accepted::KeyReused)));
    }
    assert_eq!(w.store.verify_audit(w.tenant).await.unwrap(), None, "the chain is one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_delivery_is_claimed_by_one_gateway_and_one_of_a_person_at_a_time() {
    let w = World::<Postgres>::new().await;
    let stores: Vec<Arc<SqlStore>> = (0..3).map(|seed| another(&w, 50 + seed)).collect();
    for at in 0..24 {
        let mut application = w.application(&format!("p{}@example.org", at / 2));
        application.fingerprint.push(u8::try_from(at).unwrap());
        w.accept(application).await;
    }
    let mut asked = tokio::task::JoinSet::new();
    for store in &stores {
        for _ in 0..4 {
            let store = Arc::clone(store);
            let request = crate::store::work::ClaimRequest {
                owner: "worker".into(),
                wants: vec![(w.ats, 5)],
                suspect_of: None,
                lease: Duration::from_secs(60),
                now: w.now(),
            };
            asked.spawn(async move { store.claim(request).await.unwrap().claims });
        }
    }
    let mut claimed: Vec<_> = asked.join_all().await.into_iter().flatten().map(|claim| claim.delivery).collect();
    claimed.sort_unstable();
    let count = claimed.len();
    claimed.dedup();
    assert_eq!(claimed.len(), count, "nothing is claimed twice");
    assert_eq!(count, 12, "one of each person");
}

/// Whoever read a row without locking it finds out when writing it back.
#[tokio::test]
async fn a_row_that_another_changed_meanwhile_is_not_written_over() {
    let w = World::<Postgres>::new().await;
    let (_, id) = w.accept(w.application("ada@example.org")).await;
    let store = w.backend.inner();
    let Engine::Postgres(engine) = &store.engine else { panic!("the other engine") };
    let now = w.now();
    for (later, told) in [(1, Err(StoreError::Fenced)), (0, Ok(()))] {
        let verb = move |tx: &mut crate::store::sql::tx::Tx<'_>| {
            let row = delivery::read(tx.conn, id)?;
            row.save(tx.conn, row.fence + later, now)
        };
        let is = engine.write(Scope::Tenant(w.tenant), Among::Beside, verb).await;
        assert_eq!(format!("{is:?}"), format!("{told:?}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_that_wait_for_each_other_both_go_well() {
    const LOCK: Sql = Sql::of("UPDATE accounts SET name = name WHERE id = ?1");
    let w = World::<Postgres>::new().await;
    let store = w.backend.inner();
    let met = Arc::new(Barrier::new(2));
    let runs = Arc::new(AtomicU32::new(0));
    let mut asked = tokio::task::JoinSet::new();
    for (at, (one, two)) in [(w.ats, w.crm), (w.crm, w.ats)].into_iter().enumerate() {
        let (store, met, counted, tenant) = (Arc::clone(&store), Arc::clone(&met), Arc::clone(&runs), w.tenant);
        asked.spawn(async move {
            let Engine::Postgres(engine) = &store.engine else { panic!("the other engine") };
            let mine = AtomicU32::new(0);
            let verb = move |tx: &mut crate::store::sql::tx::Tx<'_>| {
                counted.fetch_add(1, Ordering::Relaxed);
                execute(tx.conn, LOCK, params![one.bytes()])?;
                // Each holds one and wants the other's, the first time.
                if mine.fetch_add(1, Ordering::Relaxed) == 0 {
                    met.wait();
                }
                execute(tx.conn, LOCK, params![two.bytes()])
            };
            engine.write(Scope::Tenant(tenant), Among::Beside, verb).await.unwrap()
        });
        // A writer is inside it: the other's thread takes the next.
        if at == 0 {
            until("it runs", async || runs.load(Ordering::Relaxed) == 1).await;
        }
    }
    assert_eq!(asked.join_all().await, [1, 1]);
    assert!(runs.load(Ordering::Relaxed) > 2, "one was run again");
}
