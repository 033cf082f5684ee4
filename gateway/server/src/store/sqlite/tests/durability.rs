//! Kills, epochs, batches, a full disk, a failed sync: what is answered, and what is there afterwards.

use std::pin::pin;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use causeway_core::clock::SeededEntropy;
use causeway_core::delivery::State;
use causeway_core::outcome::Class;
use futures_util::future::{join_all, poll_immediate};
use rusqlite::ffi;

use super::super::writer::commit;
use super::Sqlite;
use crate::store::finding::Health;
use crate::store::intake::Accepted;
use crate::store::keys::RootKey;
use crate::store::sql::SqlStore;
use crate::store::sql::rows::{Columns, Conn, Sql, StoredId, every, execute, params, sql, value};
use crate::store::sql::scope::Scope;
use crate::store::sql::tx::{Head, link, read_head, sign_head};
use crate::store::sqlite::{self, OpenError};
use crate::store::suite::world::{Backend, World, delivered};
use crate::store::webhooks::Tried;
use crate::store::{Result, StoreError};

/// Drops the store as a killed process would leave it, and opens the directory again.
fn reopen(w: World<Sqlite>) -> World<Sqlite> {
    let World { backend, store, clock, entropy, tenant, ats, crm, codes } = w;
    drop(store);
    let store = backend.open(Arc::clone(&clock));
    World { backend, store, clock, entropy, tenant, ats, crm, codes }
}

/// A table of no use, made by a verb.
const SCRATCH: Sql = Sql::of("CREATE TABLE scratch (bytes BLOB)");
const LARGE: Sql = Sql::of("INSERT INTO scratch VALUES (randomblob(2000000))");
const SMALL: Sql = Sql::of("INSERT INTO scratch VALUES (x'00')");

/// Holds the writer inside a verb until the sender is dropped, so that what is pushed meanwhile is one batch.
fn block(store: &Arc<SqlStore>) -> (mpsc::Sender<()>, impl Future<Output = Result<()>>) {
    let (open, gate) = mpsc::channel::<()>();
    let store = Arc::clone(store);
    let blocked = async move {
        store
            .write(Scope::Every, move |_| {
                gate.recv().unwrap_err();
                Ok(())
            })
            .await
    };
    (open, blocked)
}

#[tokio::test]
async fn a_killed_process_loses_its_leases_at_once() {
    let w = World::<Sqlite>::new().await;
    let (tried, _) = w.accept(w.application("ada@example.org")).await;
    let (claimed, _) = w.accept(w.application("bob@example.org")).await;
    let claims = w.claim(2).await;
    w.pass(3);
    let begun = w.begin(&claims[0]).await;
    let began = w.now();
    w.pass(1);
    let w = reopen(w);
    assert_eq!((w.state(tried).await, w.state(claimed).await), (State::Verifying, State::Queued));
    let late = w.store.settle(w.tried(&claims[0], begun, Class::Accepted, delivered())).await;
    assert!(matches!(late, Err(StoreError::Fenced)));
    let fresh = w.claim(2).await;
    assert_eq!(fresh.len(), 2);
    let verifying = fresh.iter().find_map(|claim| claim.verifying.clone()).unwrap();
    assert_eq!((verifying.since, verifying.step.as_str()), (began, "submit"));
}

#[tokio::test]
async fn a_killed_process_loses_its_leases_on_webhooks_at_once() {
    let w = World::<Sqlite>::new().await;
    let site = w.one_endpoint().await;
    w.hold_one(false).await;
    let claim = w.one_webhook(&site).await;
    let w = reopen(w);
    assert_eq!(w.one_webhook(&site).await.message.id, claim.message.id, "long before the lease would have ended");
    let taken = Tried::Delivered { said: "status 200".to_owned() };
    let late = w.backend.webhooks().settle_message(&claim, taken, w.now()).await;
    assert!(matches!(late, Err(StoreError::Fenced)));
}

#[tokio::test]
async fn each_opening_is_a_new_epoch_and_keeps_what_was_there() {
    let w = World::<Sqlite>::new().await;
    let epoch = |w: &World<Sqlite>| {
        let stored: Option<[u8; 8]> =
            value(Conn::Sqlite(&w.backend.raw()), sql!("meta_get"), params!["epoch"]).unwrap();
        i64::from_be_bytes(stored.unwrap())
    };
    assert_eq!(epoch(&w), 1);
    let mut application = w.application("ada@example.org");
    application.idempotency_key = Some("k1".into());
    let receipt = application.receipt.clone();
    w.accept(application).await;
    let lease = async |w: &World<Sqlite>, owner: &str| {
        w.store.lease_job("sync", owner, w.now(), std::time::Duration::from_hours(1)).await.unwrap()
    };
    assert_eq!((lease(&w, "first").await, lease(&w, "second").await), (Some(1), None));
    let w = reopen(w);
    assert_eq!(epoch(&w), 2);
    // Whoever had periodic work is gone, however long its lease, and whatever the clock did since.
    assert_eq!(lease(&w, "second").await, Some(2));
    let mut again = w.application("ada@example.org");
    again.idempotency_key = Some("k1".into());
    assert_eq!(w.store.accept(again).await.unwrap(), Accepted::Before { receipt });
    assert_eq!(w.store.credentials(w.ats).await.unwrap()["key"].reveal(), "canary-secret");
}

#[tokio::test]
async fn a_directory_has_one_process() {
    let w = World::<Sqlite>::new().await;
    assert!(matches!(w.backend.try_open(&w.clock), Err(OpenError::Locked(_))));
    w.store.close().await;
    assert!(matches!(w.store.tenants().await, Ok(tenants) if tenants.len() == 1), "reading goes on");
    let closed = w.store.accept(w.application("ada@example.org")).await;
    assert!(matches!(closed, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn a_wrong_root_key_is_refused_and_the_data_untouched() {
    let w = World::<Sqlite>::new().await;
    w.accept(w.application("ada@example.org")).await;
    let World { backend, store, clock, .. } = w;
    drop(store);
    let path = backend.folder().join("causeway.db");
    let before = std::fs::read(&path).unwrap();
    let mut options = backend.options(&clock);
    options.root_key = RootKey::generate(&SeededEntropy::new(99));
    assert!(matches!(sqlite::open(options), Err(OpenError::WrongRootKey)));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(backend.open(clock).census().await.unwrap(), [(State::Queued, 1)].into());
}

/// Bytes of a page of SQLite's, unless it is told otherwise.
const PAGE: usize = 4_096;

#[tokio::test]
async fn a_damaged_database_is_refused_with_what_to_do_and_left_as_it_is() {
    let w = World::<Sqlite>::new().await;
    w.accept(w.application("ada@example.org")).await;
    let World { backend, store, clock, .. } = w;
    drop(store);
    let path = backend.folder().join("causeway.db");
    let root = |table: &str| {
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
        let page: u32 = backend.raw().query_row(sql, [table], |row| row.get(0)).unwrap();
        (page as usize - 1) * PAGE
    };
    // What is read last first, and the head of the file.
    let places = [root("wrapped_keys"), root("migrations"), root("meta"), 0];
    let whole = std::fs::read(&path).unwrap();
    // A restore makes the directory anew, and wants to know who was erased since the backup.
    let words = ["move the data directory away", "`causeway restore`", "erasures.log"];
    let told = |found: &str| assert!(words.iter().all(|word| found.contains(word)), "{found}");
    for place in places {
        let mut damaged = whole.clone();
        damaged[place..place + PAGE].fill(0xa5);
        std::fs::write(&path, &damaged).unwrap();
        told(&backend.try_open(&clock).map(|_| ()).unwrap_err().to_string());
        assert!(std::fs::read(&path).unwrap() == damaged, "it was written to");
    }
    let seen = sqlite::look(&backend.folder(), &backend.options(&clock).root_key);
    told(&seen.findings.iter().find(|finding| finding.state == Health::Bad).unwrap().text);
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(backend.open(clock).census().await.unwrap(), [(State::Queued, 1)].into());
}

#[tokio::test]
async fn one_bad_request_does_not_hurt_its_batch() {
    let w = World::<Sqlite>::new().await;
    let mut applications: Vec<_> = (0..5).map(|at| w.application(&format!("{at}@example.org"))).collect();
    let (_, theirs) = w.other_tenant().await;
    applications[2].deliveries = vec![w.target(theirs)];
    let inner = w.backend.inner();
    let before = audit_rows(&w);
    let (open, blocked) = block(&inner);
    let panics = inner.write::<()>(Scope::Every, |_| panic!("a bug in a verb"));
    let (tenant, now) = (w.tenant, w.now());
    let audits = inner.write::<()>(Scope::Every, move |tx| {
        tx.audit(tenant, now, "test", "tests.fail", "nothing")?;
        Err(StoreError::NotFound("what it looked for").into())
    });
    let accepts = join_all(applications.into_iter().map(|application| w.store.accept(application)));
    let release = async {
        drop(open);
    };
    let (_, panicked, audited, accepted, ()) = tokio::join!(blocked, panics, audits, accepts, release);
    assert!(matches!(panicked, Err(StoreError::Failed(_))));
    assert!(matches!(audited, Err(StoreError::NotFound(_))));
    for (at, accepted) in accepted.iter().enumerate() {
        assert_eq!(accepted.is_ok(), at != 2, "{at}: {accepted:?}");
    }
    assert_eq!(w.store.census().await.unwrap(), [(State::Queued, 4)].into());
    // The failed one took its link of the audit chain with it.
    assert_eq!(audit_rows(&w), before + 4);
    check_chain(&w);
}

fn audit_rows(w: &World<Sqlite>) -> i64 {
    let rows = "SELECT count(*) FROM audit WHERE tenant = ?1";
    value(Conn::Sqlite(&w.backend.raw()), Sql::of(rows), params![w.tenant.bytes()]).unwrap().unwrap()
}

/// Every link follows from the one before it, without a gap, and the head is the last, signed.
fn check_chain(w: &World<Sqlite>) {
    let conn = w.backend.raw();
    let keys = w.backend.inner().tenant_keys(w.tenant).unwrap();
    let rows = "SELECT position, at, actor, action, subject, mac FROM audit WHERE tenant = ?1 ORDER BY position";
    let mut head = Head { position: 0, mac: [0; 32] };
    every(Conn::Sqlite(&conn), Sql::of(rows), params![w.tenant.bytes()], |row| {
        let words: [String; 3] = [row.col("actor")?, row.col("action")?, row.col("subject")?];
        let next = Head { position: row.col("position")?, mac: row.col("mac")? };
        assert_eq!(next.position, head.position + 1);
        let words = [words[0].as_str(), words[1].as_str(), words[2].as_str()];
        assert_eq!(next.mac, link(&keys, &head, next.position, row.time("at")?, words));
        head = next;
        Ok(())
    })
    .unwrap();
    let stored = read_head(Conn::Sqlite(&conn), w.tenant).unwrap();
    assert_eq!((stored.position, stored.mac), (head.position, head.mac));
    let signed = Sql::of("SELECT signature FROM audit_heads WHERE tenant = ?1");
    let signature: Option<[u8; 32]> = value(Conn::Sqlite(&conn), signed, params![w.tenant.bytes()]).unwrap();
    assert_eq!(signature, Some(sign_head(&keys, &head)));
}

#[tokio::test]
async fn a_full_disk_rolls_the_batch_back_and_passes() {
    let w = World::<Sqlite>::new().await;
    let inner = w.backend.inner();
    let limit = async |pages: &'static str| {
        let set = move |tx: &mut crate::store::sql::tx::Tx<'_>| {
            let pages: i64 = match pages {
                "as they are" => value(tx.conn, Sql::of("PRAGMA page_count"), params![])?.unwrap_or(0),
                _ => 1_000_000,
            };
            let limit = Box::leak(format!("PRAGMA max_page_count = {pages}").into_boxed_str());
            value::<i64>(tx.conn, Sql::of(limit), params![]).map(|_| ())
        };
        inner.write(Scope::Every, set).await.unwrap();
    };
    limit("as they are").await;
    let mut refused = 0;
    for at in 0..40 {
        let mut application = w.application(&format!("{at}@example.org"));
        application.document = vec![b' '; 20_000].into();
        match w.store.accept(application).await {
            Ok(_) => {}
            Err(StoreError::Unavailable(why)) => {
                assert_eq!(why, "the disk is full");
                refused += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(refused > 30, "the limit has to bite: {refused}");
    limit("many").await;
    let stored = 40 - refused;
    w.accept(w.application("ada@example.org")).await;
    assert_eq!(w.store.census().await.unwrap(), [(State::Queued, stored + 1)].into());
    check_chain(&w);
}

/// A store whose commits are the given function's.
fn with_commit(
    w: World<Sqlite>,
    on_fatal: Arc<dyn Fn(i32) + Send + Sync>,
    commit: impl Fn(&rusqlite::Connection) -> rusqlite::Result<()> + Send + Sync + 'static,
) -> World<Sqlite> {
    let World { backend, store, clock, entropy, tenant, ats, crm, codes } = w;
    drop(store);
    let mut options = backend.options(&clock);
    options.on_fatal = on_fatal;
    options.commit = Arc::new(commit);
    let store = sqlite::open(options).unwrap();
    World { backend, store, clock, entropy, tenant, ats, crm, codes }
}

#[tokio::test]
async fn a_failed_sync_answers_nobody_and_ends_the_process() {
    let (ended, wait) = mpsc::channel();
    let code = Arc::new(AtomicI32::new(0));
    let seen = Arc::clone(&code);
    let on_fatal = Arc::new(move |code| {
        seen.store(code, Ordering::SeqCst);
        ended.send(()).unwrap();
    });
    let fail =
        |_: &rusqlite::Connection| Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), None));
    let w = with_commit(World::<Sqlite>::new().await, on_fatal, fail);
    let mut accept = pin!(w.store.accept(w.application("ada@example.org")));
    assert!(poll_immediate(&mut accept).await.is_none());
    wait.recv().unwrap();
    assert_eq!(code.load(Ordering::SeqCst), ffi::SQLITE_IOERR_FSYNC);
    assert!(poll_immediate(&mut accept).await.is_none(), "neither yes nor no");
    let later = w.store.accept(w.application("bob@example.org")).await;
    assert!(matches!(later, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn an_answer_comes_after_the_commit() {
    let (reached, wait) = mpsc::channel::<()>();
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let slow = move |conn: &rusqlite::Connection| {
        reached.send(()).unwrap();
        // Disconnected once the test lets it go.
        gate.lock().unwrap().recv().unwrap_err();
        commit(conn)
    };
    let w = with_commit(World::<Sqlite>::new().await, Arc::new(|_| {}), slow);
    let stored = || value::<i64>(Conn::Sqlite(&w.backend.raw()), sql!("custody/submissions"), params![]).unwrap();
    let mut accept = pin!(w.store.accept(w.application("ada@example.org")));
    assert!(poll_immediate(&mut accept).await.is_none());
    wait.recv().unwrap();
    assert!(poll_immediate(&mut accept).await.is_none(), "everything is written, nothing is synced");
    assert_eq!(stored(), Some(0));
    drop(open);
    accept.await.unwrap();
    assert_eq!(stored(), Some(1));
}

#[tokio::test]
async fn waiting_requests_are_bounded() {
    let w = World::<Sqlite>::new().await;
    let inner = w.backend.inner();
    let (open, blocked) = block(&inner);
    let mut blocked = pin!(blocked);
    assert!(poll_immediate(&mut blocked).await.is_none());
    let mut waiting = Vec::new();
    let refused = loop {
        let mut next = Box::pin(inner.write(Scope::Every, |_| Ok(())));
        match poll_immediate(&mut next).await {
            None => waiting.push(next),
            Some(refused) => break refused,
        }
        assert!(waiting.len() < 20_000);
    };
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    drop(open);
    blocked.await.unwrap();
    assert!(join_all(waiting).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn the_write_ahead_log_stays_bounded() {
    let w = World::<Sqlite>::new().await;
    let inner = w.backend.inner();
    inner.write(Scope::Every, |tx| execute(tx.conn, SCRATCH, params![])).await.unwrap();
    let log = w.backend.folder().join("causeway.db-wal");
    let mut longest = 0;
    for _ in 0..160 {
        inner.write(Scope::Every, |tx| execute(tx.conn, LARGE, params![])).await.unwrap();
        longest = longest.max(std::fs::metadata(&log).unwrap().len());
    }
    assert!(longest <= 128 << 20, "{longest}");
    assert!(longest > 4 << 20, "the log was used at all: {longest}");
}

#[tokio::test]
async fn a_reader_in_the_way_of_cutting_the_log_does_not_keep_commits_waiting() {
    let w = World::<Sqlite>::new().await;
    let inner = w.backend.inner();
    inner.write(Scope::Every, |tx| execute(tx.conn, SCRATCH, params![])).await.unwrap();
    let reader = rusqlite::Connection::open(w.backend.folder().join("causeway.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM scratch").unwrap();
    let mut cut = std::pin::pin!(inner.engine.sqlite().writer.truncate_log());
    // A commit is answered while the log cannot be cut; were it to wait, the first answer would be the cut's failure.
    for _ in 0..3 {
        let written = inner.write(Scope::Every, |tx| execute(tx.conn, SMALL, params![]));
        tokio::select! {
            biased;
            cut = &mut cut => panic!("answered with a reader in the way: {cut:?}"),
            written = written => assert_eq!(written.unwrap(), 1),
        }
    }
    reader.execute_batch("COMMIT").unwrap();
    cut.await.unwrap();
    assert_eq!(std::fs::metadata(w.backend.folder().join("causeway.db-wal")).unwrap().len(), 0);
}

#[test]
fn hot_statements_use_their_indexes() {
    let folder = tempfile::tempdir().unwrap();
    let conn = rusqlite::Connection::open(folder.path().join("a.db")).unwrap();
    crate::store::migrate::run(&conn, crate::store::migrate::SQLITE, jiff::Timestamp::UNIX_EPOCH).unwrap();
    let sql = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/sql/text");
    // Small tables, counts for people, or all there is on purpose.
    let scans = [
        "accounts",
        "api_key_origins",
        "any_work",
        "backlog",
        "case_close_when_empty",
        "census",
        "due_accounts",
        "due_next",
        "erasure_log",
        "job_leases_end",
        "ledger",
        "of_case",
        "open_groups",
        "probe_due",
        "probe_gone",
        "pause_unfinished",
        "due",
        "endpoints",
        "endpoints_release",
        "endpoints_suspend",
        "key_for",
        "keys",
        "tenants",
        "tenant_keys",
        "unproven_accounts",
    ];
    let mut checked = 0;
    let files = [sql.join("trace"), sql.join("alike"), sql.join("webhooks"), sql.join("receipts"), sql]
        .map(|folder| std::fs::read_dir(folder).unwrap());
    for path in files.into_iter().flatten().map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
        let binds = statement.parameter_count();
        let nulls = rusqlite::params_from_iter(std::iter::repeat_n(rusqlite::types::Null, binds));
        let plan: Vec<String> = statement.query_map(nulls, |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        let scan = plan
            .iter()
            .find(|line| line.starts_with("SCAN") && !line.contains("CONSTANT") && !line.contains("VIRTUAL"));
        assert!(scan.is_none() || scans.contains(&name.as_str()), "{name}: {plan:?}");
        let deliveries = plan.iter().find(|line| line.starts_with("SCAN d") && !line.contains("INDEX"));
        assert!(deliveries.is_none() || name == "census", "{name}: {plan:?}");
        checked += 1;
    }
    assert!(checked > 100, "{checked}");
}
