//! Looking at a store without changing it, and a whole database put back to an older state.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use causeway_core::clock::{ManualClock, SeededEntropy};
use rusqlite::Connection;

use super::Sqlite;
use crate::store::Store;
use crate::store::finding::{Finding, Health};
use crate::store::keys::RootKey;
use crate::store::sqlite::{AnchorError, OpenError, look};
use crate::store::suite::world::{Backend, World};
use crate::store::trace::AuditEntry;

type Files = BTreeMap<String, Vec<u8>>;

/// The folder's own files whose names begin so.
fn files(folder: &Path, prefix: &str) -> Files {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file());
    let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
    named
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .collect()
}

/// Puts the database back as it was.
fn put(folder: &Path, database: &Files) {
    for name in files(folder, "causeway.db").into_keys() {
        std::fs::remove_file(folder.join(name)).unwrap();
    }
    database.iter().for_each(|(name, bytes)| std::fs::write(folder.join(name), bytes).unwrap());
}

fn root_key(seed: u64) -> RootKey {
    RootKey::generate(&SeededEntropy::new(seed))
}

/// The store's process ends.
fn close(w: World<Sqlite>) -> (Sqlite, Arc<ManualClock>) {
    let World { backend, store, clock, .. } = w;
    drop(store);
    (backend, clock)
}

/// The chain of the first tenant grows.
async fn goes_on(store: &dyn Store, actor: &str, at: jiff::Timestamp) {
    let tenant = store.tenants().await.unwrap()[0].id;
    let (action, subject) = ("support.lookup".to_owned(), String::new());
    store.audit(AuditEntry { tenant, at, actor: actor.to_owned(), action, subject }).await.unwrap();
}

#[track_caller]
fn check(findings: &[Finding], what: &str, state: Health, told: &str) {
    let found = findings.iter().find(|finding| finding.what.starts_with(what));
    let found = found.unwrap_or_else(|| panic!("{what} was not looked at: {findings:?}"));
    assert!(found.state == state && found.text.contains(told), "{found:?}");
}

#[tokio::test]
async fn a_look_tells_everything_and_changes_nothing() {
    let w = World::<Sqlite>::new().await;
    w.store.anchor_audit(w.now()).await.unwrap();
    let examined = w.store.examine().await.unwrap();
    assert!(examined.len() >= 6 && examined.iter().all(|finding| finding.state == Health::Well), "{examined:?}");
    let in_use = look(&w.backend.folder(), &root_key(1));
    check(&in_use.findings, "store", Health::Bad, "in use");

    // As a killed process leaves it: most of it is in the log still.
    let killed = tempfile::tempdir().unwrap();
    files(&w.backend.folder(), "").iter().for_each(|(name, bytes)| {
        std::fs::write(killed.path().join(name), bytes).unwrap();
    });
    assert!(!files(killed.path(), "causeway.db-wal")["causeway.db-wal"].is_empty());
    let (backend, _) = close(w);
    for folder in [backend.folder().as_path(), killed.path()] {
        let before = files(folder, "");
        let seen = look(folder, &root_key(1));
        assert!(seen.findings.iter().all(|finding| finding.state == Health::Well), "{:?}", seen.findings);
        assert_eq!(seen.findings.len(), examined.len(), "the same is looked at");
        assert_eq!(seen.accounts.len(), 2);
        assert!(seen.accounts.iter().all(|(_, secrets)| secrets.as_ref().is_ok_and(|all| all.contains_key("key"))));
        assert_eq!(files(folder, ""), before, "nothing was written");
    }
}

#[tokio::test]
async fn a_look_finds_what_is_wrong() {
    let (backend, _) = close(World::<Sqlite>::new().await);
    let folder = backend.folder();
    let sound = files(&folder, "causeway.db");
    check(&look(&folder, &root_key(1)).findings, "audit anchor", Health::Warning, "would not be noticed");
    let wrong = look(&folder, &root_key(9));
    check(&wrong.findings, "store root key", Health::Bad, "bring that one back");
    assert!(wrong.accounts.is_empty());
    for (damage, what, state, told) in [
        ("UPDATE audit SET actor = 'x' WHERE position = 2", "audit chain", Health::Bad, "row 2 is not"),
        ("INSERT INTO migrations VALUES (999, 'later', x'00', 0)", "store migrations", Health::Bad, "or a newer"),
        (
            "UPDATE migrations SET checksum = zeroblob(32)",
            "store migrations",
            Health::Bad,
            "migration 1 is not the one",
        ),
        ("DELETE FROM migrations", "store migrations", Health::Warning, "run `causeway migrate`"),
        ("PRAGMA journal_mode = DELETE", "store settings", Health::Bad, "journal_mode"),
    ] {
        let raw: Connection = backend.raw();
        raw.execute_batch(damage).unwrap();
        drop(raw);
        check(&look(&folder, &root_key(1)).findings, what, state, told);
        put(&folder, &sound);
    }
    let empty = tempfile::tempdir().unwrap();
    check(&look(empty.path(), &root_key(1)).findings, "store", Health::Warning, "none yet");
    assert!(files(empty.path(), "").is_empty());
}

#[tokio::test]
async fn a_database_that_was_put_back_is_noticed() {
    let w = World::<Sqlite>::new().await;
    assert_eq!(w.store.anchor_audit(w.now()).await.unwrap(), 1);
    let (backend, clock) = close(w);
    let folder = backend.folder();
    let older = files(&folder, "causeway.db");
    let store = backend.open(Arc::clone(&clock));
    goes_on(&*store, "cli", clock_now(&clock)).await;
    assert_eq!(store.anchor_audit(clock_now(&clock)).await.unwrap(), 1);
    assert_eq!(store.anchor_audit(clock_now(&clock)).await.unwrap(), 0, "nothing is new");
    drop(store);
    let newer = files(&folder, "causeway.db");

    let refused = |told: &str| match backend.try_open(&clock) {
        Err(OpenError::Anchor(error @ AnchorError::PutBack { .. })) => {
            assert!(error.to_string().contains(told), "{error}");
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it opened"),
    };
    put(&folder, &older);
    refused("Bring the newer database back");
    check(&look(&folder, &root_key(1)).findings, "audit anchor", Health::Bad, "Bring the newer database back");
    put(&folder, &Files::new());
    refused("and now has 0");

    // With the file moved away, as the remedy says, the older one goes on; the file still knows another history.
    put(&folder, &older);
    let anchor = folder.join("audit.anchor");
    let kept = std::fs::read(&anchor).unwrap();
    std::fs::remove_file(&anchor).unwrap();
    let store = backend.open(Arc::clone(&clock));
    goes_on(&*store, "somebody else", clock_now(&clock)).await;
    drop(store);
    std::fs::write(&anchor, kept).unwrap();
    refused("or others");

    put(&folder, &newer);
    assert!(backend.try_open(&clock).is_ok());
}

#[tokio::test]
async fn a_torn_anchor_line_is_dropped_and_a_forged_one_refused() {
    let w = World::<Sqlite>::new().await;
    w.store.anchor_audit(w.now()).await.unwrap();
    let (backend, clock) = close(w);
    let anchor = backend.folder().join("audit.anchor");
    let whole = std::fs::read_to_string(&anchor).unwrap();
    std::fs::write(&anchor, format!("{whole}2026-03-02T09:0")).unwrap();
    let store = backend.open(Arc::clone(&clock));
    goes_on(&*store, "cli", clock_now(&clock)).await;
    assert_eq!(store.anchor_audit(clock_now(&clock)).await.unwrap(), 1);
    drop(store);
    assert_eq!(std::fs::read_to_string(&anchor).unwrap().lines().count(), 2);
    assert!(backend.try_open(&clock).is_ok());

    let forged = whole.replacen(" 3 ", " 2 ", 1);
    assert_ne!(forged, whole, "there is a position to forge: {whole}");
    std::fs::write(&anchor, forged).unwrap();
    assert!(matches!(backend.try_open(&clock), Err(OpenError::Anchor(AnchorError::Line { line: 1, .. }))));
    check(&look(&backend.folder(), &root_key(1)).findings, "audit anchor", Health::Bad, "line 1");
}

fn clock_now(clock: &ManualClock) -> jiff::Timestamp {
    causeway_core::clock::Clock::now(clock)
}
