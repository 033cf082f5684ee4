//! Servers and connections that die, stand still or warn, under a store that goes on.

use std::sync::Arc;

use causeway_core::clock::ManualClock;
use causeway_core::ids::{KeyId, SubmissionId};
use causeway_servers::Postgres as Server;

use super::{Postgres, as_role, make_role, migrated};
use crate::store::intake::Accepted;
use crate::store::receipts::Receipts;
use crate::store::setup::NewKey;
use crate::store::sql::SqlStore;
use crate::store::suite::world::{Backend, World};
use crate::store::webhooks::Webhooks;
use crate::store::{Result, Store, StoreError};

/// A server of its own, to be killed.
struct Own {
    server: Arc<Server>,
    postgres: Postgres,
}

impl Default for Own {
    fn default() -> Self {
        let server = Server::start().unwrap();
        make_role(&server);
        let owner = server.database().unwrap();
        migrated(&owner, &as_role(&owner));
        Self { server: Arc::new(server), postgres: Postgres::at(as_role(&owner), false) }
    }
}

impl Backend for Own {
    fn open(&self, clock: Arc<ManualClock>) -> Arc<dyn Store> {
        self.postgres.open(clock)
    }
    fn webhooks(&self) -> Arc<dyn Webhooks> {
        self.postgres.webhooks()
    }
    fn receipts(&self) -> Arc<dyn Receipts> {
        self.postgres.receipts()
    }
}

/// What concerns the server blocks.
async fn on<T: Send + 'static>(server: &Arc<Server>, act: impl FnOnce(&Server) -> T + Send + 'static) -> T {
    let server = Arc::clone(server);
    tokio::task::spawn_blocking(move || act(&server)).await.unwrap()
}

/// Ends every connection of the gateway.
fn end_all(server: &Server) {
    server
        .psql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'gateway'")
        .unwrap();
}

async fn accept(w: &World<Own>, store: &Arc<SqlStore>, number: usize) -> (SubmissionId, Result<Accepted>) {
    let code = w.store.new_code().await.unwrap();
    w.codes.lock().unwrap().push(code);
    let application = w.application(&format!("p{number}@example.org"));
    (application.id, store.accept(application).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_that_was_acknowledged_is_lost_when_connections_are_ended() {
    let w = World::<Own>::new().await;
    let store = w.backend.postgres.inner();
    let mut acknowledged = Vec::new();
    for round in 0..8 {
        let ends = on(&w.backend.server, end_all);
        let (answers, ()) =
            tokio::join!(futures_util::future::join_all((0..16).map(|at| accept(&w, &store, round * 16 + at))), ends);
        for (id, answer) in answers {
            match answer {
                Ok(_) => acknowledged.push(id),
                // Whether it was written is not known: nobody was told that it was.
                Err(StoreError::Unavailable(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(acknowledged.len() > 64, "most went well: {}", acknowledged.len());
    for id in acknowledged {
        assert_eq!(w.store.application(w.tenant, id, false).await.unwrap().targets.len(), 1);
    }
    assert_eq!(w.store.verify_audit(w.tenant).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_server_is_waited_for_and_used_again() {
    let w = World::<Own>::new().await;
    let store = w.backend.postgres.inner();
    let (before, answer) = accept(&w, &store, 1).await;
    answer.unwrap();
    on(&w.backend.server, |server| server.kill().unwrap()).await;
    // Asked while it is down, answered once it is back: the request waits for the connection, within its deadline.
    let restart = on(&w.backend.server, |server| server.restart().unwrap());
    let ((mut id, mut answer), ()) = tokio::join!(accept(&w, &store, 2), restart);
    for _ in 0..3 {
        match answer {
            Err(StoreError::Unavailable(_)) => (id, answer) = accept(&w, &store, 2).await,
            _ => break,
        }
    }
    answer.unwrap();
    for id in [before, id] {
        assert_eq!(w.store.application(w.tenant, id, false).await.unwrap().targets.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_waits_for_a_server_that_is_gone_or_stands_still_is_told_to_come_back() {
    let w = World::<Own>::new().await;
    let store = w.backend.postgres.inner();
    on(&w.backend.server, |server| server.freeze().unwrap()).await;
    let mut application = w.application("ada@example.org");
    application.idempotency_key = Some("key".into());
    let told = store.accept(application).await;
    assert!(matches!(told, Err(StoreError::Unavailable(_))), "{told:?}");
    on(&w.backend.server, |server| server.thaw().unwrap()).await;
    let mut again = w.application("ada@example.org");
    again.idempotency_key = Some("key".into());
    // It was not known whether it was written; the key finds out.
    let told = loop {
        match store.accepted_before(w.tenant, "key", again.fingerprint.clone()).await {
            Err(StoreError::Unavailable(_)) => {}
            other => break other.unwrap(),
        }
    };
    let said = store.accept(again).await.unwrap();
    assert!(matches!(said, Accepted::New { .. } | Accepted::Before { .. }), "{told:?} {said:?}");
}

/// A server whose commits wait for a standby that is not there.
async fn wait_for_a_standby(w: &World<Own>) {
    on(&w.backend.server, |server| server.set("synchronous_standby_names", "nobody").unwrap()).await;
}

/// Cuts off the first commit that waits so.
fn cut_off(server: &Server) -> String {
    const WAITING: &str = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND usename = 'gateway'";
    loop {
        let waiting = server.psql("postgres", WAITING).unwrap();
        if let Some(pid) = waiting.lines().next() {
            return server.psql("postgres", &format!("SELECT pg_cancel_backend({pid})")).unwrap();
        }
    }
}

/// A commit whose wait for a standby was cut off is answered by the server as if nothing were the matter, with a warning.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_commit_that_no_standby_has_is_not_acknowledged() {
    let w = World::<Own>::new().await;
    let store = w.backend.postgres.inner();
    wait_for_a_standby(&w).await;
    let cut = on(&w.backend.server, cut_off);
    let application = w.application("ada@example.org");
    let (told, _) = tokio::join!(store.accept(application), cut);
    assert!(matches!(told, Err(StoreError::Unavailable(_))), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn setup_of_which_it_is_not_known_whether_it_was_written_is_read_again() {
    let w = World::<Own>::new().await;
    wait_for_a_standby(&w).await;
    let before = w.store.generation();
    let key = NewKey {
        id: KeyId::new(w.now(), &w.entropy),
        tenant: w.tenant,
        name: "site".into(),
        hash: [7; 32],
        scopes: Default::default(),
        origins: None,
        test: false,
        actor: "test".into(),
        now: w.now(),
    };
    let (told, _) = tokio::join!(w.store.create_key(key), on(&w.backend.server, cut_off));
    assert!(matches!(told, Err(StoreError::Unavailable(_))), "{told:?}");
    for _ in 0..600 {
        if w.store.generation() > before {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("what was cached stays cached");
}

#[tokio::test]
async fn what_a_person_has_to_do_is_said() {
    let w = World::<Own>::new().await;
    let store = w.backend.postgres.inner();
    let name = w.backend.postgres.dsn.rsplit_once('/').and_then(|(_, name)| name.split('?').next()).unwrap().to_owned();
    let does = async |sql: &'static str| {
        let name = name.clone();
        on(&w.backend.server, move |server| server.psql(&name, sql).unwrap()).await;
    };
    let says = async |words: &str| {
        let (_, told) = accept(&w, &store, 1).await;
        let told = told.err().unwrap().to_string();
        assert!(told.contains(words), "{told}");
    };
    does("REVOKE INSERT ON submissions FROM causeway_gateway").await;
    says("lacks a grant: run `causeway migrate`").await;
    does("GRANT INSERT ON submissions TO causeway_gateway; ALTER TABLE submissions RENAME TO elsewhere").await;
    says("run `causeway migrate`").await;
    does("ALTER TABLE elsewhere RENAME TO submissions").await;
    does("ALTER ROLE gateway SET default_transaction_read_only = on").await;
    on(&w.backend.server, end_all).await;
    // A writing transaction says that it writes.
    accept(&w, &store, 2).await.1.unwrap();
}
