//! Support and upkeep on SQLite: the contract's cases, and what only this backend can show: plans, tampering, files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use causeway_core::clock::{ManualClock, SeededEntropy};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::store::Store;
use crate::store::keys::RootKey;
use crate::store::sqlite::{OpenOptions, SqliteStore};
use crate::store::suite::trace;
use crate::store::suite::world::{VENDOR_WORDS, World, at, email};

/// A store in a folder of its own.
fn open() -> (TempDir, Arc<SqliteStore>) {
    let folder = tempfile::tempdir().unwrap();
    let store = open_at(folder.path());
    (folder, store)
}

fn open_at(path: &Path) -> Arc<SqliteStore> {
    let entropy = Arc::new(SeededEntropy::new(99));
    let root_key = RootKey::generate(&SeededEntropy::new(98));
    SqliteStore::open(OpenOptions::new(path, root_key, Arc::new(ManualClock::at(at(0))), entropy)).unwrap()
}

macro_rules! contract {
    ($($case:ident)*) => { $(
        #[tokio::test]
        async fn $case() {
            let (_folder, store) = open();
            trace::$case(store).await;
        }
    )* };
}

contract! {
    every_combination_finds_what_it_names
    a_requisition_code_means_its_own_accounts_posting
    a_limit_keeps_the_newest_and_says_so
    a_trace_holds_everything_recorded
    edge_refusals_are_counted_in_the_window
    erasing_leaves_nothing_personal
    what_was_erased_does_not_come_back
    open_cases_are_listed
    retention_removes_what_is_past_its_time
}

/// The statements a lookup runs, and those that upkeep runs on tables that grow.
const GUARDED: &[(&str, &str)] = &[
    ("find_by_code", include_str!("../sql/trace/find_by_code.sql")),
    ("find_by_email", include_str!("../sql/trace/find_by_email.sql")),
    ("find_by_base", include_str!("../sql/trace/find_by_base.sql")),
    ("find_by_posting", include_str!("../sql/trace/find_by_posting.sql")),
    ("find_by_account", include_str!("../sql/trace/find_by_account.sql")),
    ("find_by_time", include_str!("../sql/trace/find_by_time.sql")),
    ("find_refused", include_str!("../sql/trace/find_refused.sql")),
    ("first_delivery_since", include_str!("../sql/trace/first_delivery_since.sql")),
    ("last_delivery_before", include_str!("../sql/trace/last_delivery_before.sql")),
    ("goes_to_account", include_str!("../sql/trace/goes_to_account.sql")),
    ("posting_of_account", include_str!("../sql/trace/posting_of_account.sql")),
    ("job_postings", include_str!("../sql/trace/job_postings.sql")),
    ("job_siblings", include_str!("../sql/trace/job_siblings.sql")),
    ("submission", include_str!("../sql/trace/submission.sql")),
    ("deliveries", include_str!("../sql/trace/deliveries.sql")),
    ("attempts", include_str!("../sql/trace/attempts.sql")),
    ("tombstone", include_str!("../sql/trace/tombstone.sql")),
    ("edge_refused", include_str!("../sql/trace/edge_refused.sql")),
    ("cases", include_str!("../sql/trace/cases.sql")),
    ("erase_find", include_str!("../sql/trace/erase_find.sql")),
    ("erase_deliveries", include_str!("../sql/trace/erase_deliveries.sql")),
    ("erase_copies", include_str!("../sql/trace/erase_copies.sql")),
    ("erase_submission", include_str!("../sql/trace/erase_submission.sql")),
    ("erase_delivery", include_str!("../sql/trace/erase_delivery.sql")),
    ("erase_words", include_str!("../sql/trace/erase_words.sql")),
    ("erase_keys", include_str!("../sql/trace/erase_keys.sql")),
    ("retain_applications", include_str!("../sql/trace/retain_applications.sql")),
    ("retain_refusals", include_str!("../sql/trace/retain_refusals.sql")),
    ("retain_idempotency", include_str!("../sql/trace/retain_idempotency.sql")),
    ("retain_edge_counts", include_str!("../sql/trace/retain_edge_counts.sql")),
    ("remove_attempts", include_str!("../sql/trace/remove_attempts.sql")),
    ("remove_steps", include_str!("../sql/trace/remove_steps.sql")),
    ("remove_links", include_str!("../sql/trace/remove_links.sql")),
    ("remove_cases", include_str!("../sql/trace/remove_cases.sql")),
    ("remove_deliveries", include_str!("../sql/trace/remove_deliveries.sql")),
    ("remove_idempotency", include_str!("../sql/trace/remove_idempotency.sql")),
    ("remove_attachments", include_str!("../sql/trace/remove_attachments.sql")),
    ("remove_submission", include_str!("../sql/trace/remove_submission.sql")),
];

fn plan(conn: &Connection, sql: &str) -> Vec<String> {
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let nothing = vec![rusqlite::types::Null; statement.parameter_count()];
    let rows = statement.query_map(rusqlite::params_from_iter(nothing), |row| row.get("detail")).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test]
async fn no_statement_scans_a_table_that_grows() {
    let (folder, store) = open();
    store.close().await;
    let conn = Connection::open(folder.path().join("causeway.db")).unwrap();
    for (name, sql) in GUARDED {
        let plan = plan(&conn, sql);
        assert!(plan.iter().any(|step| step.starts_with("SEARCH")), "{name}: {plan:?}");
        assert!(!plan.iter().any(|step| step.starts_with("SCAN ")), "{name}: {plan:?}");
    }
    // The guard sees a scan where there is one.
    let scan = plan(&conn, "SELECT id FROM submissions WHERE trace_id = ?1");
    assert!(scan.iter().any(|step| step.starts_with("SCAN ")), "{scan:?}");
    // Newest first comes from the index, so that reading can stop early.
    for name in ["find_by_base", "find_by_posting", "find_by_account", "find_by_time", "find_refused", "cases"] {
        let (_, sql) = GUARDED.iter().find(|(guarded, _)| *guarded == name).unwrap();
        let plan = plan(&conn, sql);
        let sorts = plan.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY"));
        assert!(!sorts, "{name}: {plan:?}");
    }
}

/// Changes to a chain of the rows 1 to N, each with the position that must be reported.
#[tokio::test]
async fn every_change_to_the_audit_chain_is_found_where_it_was_made() {
    let (folder, store) = open();
    let world = World::new(store.clone(), "acme", 1).await;
    let other = World::new(store.clone(), "other", 2).await;
    for minutes in 0..4 {
        world.apply("ada@example.org", "5001", at(minutes)).await;
    }
    assert_eq!(store.verify_audit(world.tenant).await.unwrap(), None);
    let conn = Connection::open(folder.path().join("causeway.db")).unwrap();
    let tenant = world.tenant.as_uuid().into_bytes();
    let last: u64 = conn
        .query_row("SELECT max(position) FROM audit WHERE tenant = ?1", [tenant], |row| row.get::<_, i64>(0))
        .unwrap()
        .try_into()
        .unwrap();
    assert!(last >= 6, "a chain worth attacking: {last}");
    let swap = "UPDATE audit SET position = -3 WHERE tenant = ?1 AND position = 3;
        UPDATE audit SET position = 3 WHERE tenant = ?1 AND position = 4;
        UPDATE audit SET position = 4 WHERE tenant = ?1 AND position = -3";
    let attacks = [
        ("UPDATE audit SET actor = 'x' WHERE tenant = ?1 AND position = 3", 3),
        ("UPDATE audit SET action = 'x' WHERE tenant = ?1 AND position = 1", 1),
        ("UPDATE audit SET subject = 'x' WHERE tenant = ?1 AND position = 2", 2),
        ("UPDATE audit SET at = at + 1 WHERE tenant = ?1 AND position = 4", 4),
        ("UPDATE audit SET at = 9223372036854775807 WHERE tenant = ?1 AND position = 4", 4),
        ("UPDATE audit SET mac = zeroblob(32) WHERE tenant = ?1 AND position = 4", 4),
        ("UPDATE audit SET mac = zeroblob(1) WHERE tenant = ?1 AND position = 5", 5),
        ("DELETE FROM audit WHERE tenant = ?1 AND position = 3", 3),
        ("DELETE FROM audit WHERE tenant = ?1 AND position = 1", 1),
        (swap, 3),
        (
            "INSERT INTO audit SELECT tenant, max(position) + 1, at, actor, action, subject, mac FROM audit
             WHERE tenant = ?1",
            last + 1,
        ),
        (
            "DELETE FROM audit WHERE tenant = ?1 AND position = (SELECT max(position) FROM audit WHERE tenant = ?1)",
            last,
        ),
        ("DELETE FROM audit WHERE tenant = ?1 AND position > 2", 3),
        (
            "DELETE FROM audit WHERE tenant = ?1 AND position > 3;
             UPDATE audit_heads SET position = 3, mac = (SELECT mac FROM audit WHERE tenant = ?1 AND position = 3)
             WHERE tenant = ?1",
            4,
        ),
        (
            "UPDATE audit SET position = position + 1
             WHERE tenant = ?1 AND position = (SELECT max(position) FROM audit WHERE tenant = ?1)",
            last,
        ),
        ("UPDATE audit_heads SET mac = zeroblob(32) WHERE tenant = ?1", last + 1),
        ("UPDATE audit_heads SET position = 2 WHERE tenant = ?1", 3),
        ("DELETE FROM audit_heads WHERE tenant = ?1", last + 1),
        ("DELETE FROM audit WHERE tenant = ?1; DELETE FROM audit_heads WHERE tenant = ?1", 1),
    ];
    for (attack, expected) in attacks {
        let kept: Vec<BTreeMap<String, rusqlite::types::Value>> = rows(&conn, "audit");
        let heads = rows(&conn, "audit_heads");
        for statement in attack.split(';') {
            conn.execute(statement, [tenant]).unwrap();
        }
        assert_eq!(store.verify_audit(world.tenant).await.unwrap(), Some(expected), "{attack}");
        assert_eq!(store.verify_audit(other.tenant).await.unwrap(), None, "{attack}");
        restore(&conn, "audit", &kept);
        restore(&conn, "audit_heads", &heads);
        assert_eq!(store.verify_audit(world.tenant).await.unwrap(), None, "{attack}");
    }
}

fn rows(conn: &Connection, table: &str) -> Vec<BTreeMap<String, rusqlite::types::Value>> {
    let mut statement = conn.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let read = |row: &rusqlite::Row<'_>| names.iter().map(|name| Ok((name.clone(), row.get(name.as_str())?))).collect();
    statement.query_map([], read).unwrap().map(Result::unwrap).collect()
}

fn restore(conn: &Connection, table: &str, kept: &[BTreeMap<String, rusqlite::types::Value>]) {
    conn.execute(&format!("DELETE FROM {table}"), []).unwrap();
    for row in kept {
        let names: Vec<&str> = row.keys().map(String::as_str).collect();
        let marks: Vec<String> = (1..=names.len()).map(|at| format!("?{at}")).collect();
        let sql = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), marks.join(", "));
        conn.execute(&sql, rusqlite::params_from_iter(row.values())).unwrap();
    }
}

/// Every byte of every file below the folder.
fn files(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            bytes.extend(files(&path));
        } else {
            bytes.extend(std::fs::read(&path).unwrap());
        }
    }
    bytes
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test]
async fn an_erased_persons_keys_and_indexes_are_in_no_file() {
    let (folder, store) = open();
    let world = World::new(store.clone(), "acme", 1).await;
    let ada = world.apply("ada+jobs@example.org", "4001", at(0)).await;
    let (claim, begun) = world.begin(ada.ats, world.ats, at(1)).await;
    world.settle(World::refused(claim, begun, at(2))).await;
    let refusal = world.refuse("ada+jobs@example.org", "4001", at(3)).await;
    let bo = world.apply("bo@example.com", "4001", at(4)).await;

    let conn = Connection::open(folder.path().join("causeway.db")).unwrap();
    let of = |sql: &str, id: [u8; 16]| -> Vec<Vec<u8>> {
        let mut statement = conn.prepare(sql).unwrap();
        statement.query_map([id], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let person = [
        "SELECT wrapped FROM wrapped_keys WHERE owner = ?1",
        "SELECT document_sealed FROM submissions WHERE id = ?1",
        "SELECT errors_sealed FROM submissions WHERE id = ?1 AND errors_sealed IS NOT NULL",
        "SELECT email_base FROM submissions WHERE id = ?1",
        "SELECT serial FROM deliveries WHERE submission = ?1",
        "SELECT fields_sealed FROM deliveries WHERE submission = ?1 AND fields_sealed IS NOT NULL",
        "SELECT meta_sealed FROM attachments WHERE submission = ?1",
        "SELECT words_sealed FROM attempts JOIN deliveries d ON d.id = delivery
         WHERE submission = ?1 AND words_sealed IS NOT NULL",
    ];
    let mut theirs: Vec<Vec<u8>> = Vec::new();
    for (at, sql) in person.iter().enumerate() {
        let found = [of(sql, ada.id.as_uuid().into_bytes()), of(sql, refusal.as_uuid().into_bytes())].concat();
        assert!(!found.is_empty(), "there is something to look for: {}", person[at]);
        theirs.extend(found);
    }
    let kept = of(person[0], bo.id.as_uuid().into_bytes());
    let before = files(folder.path());
    assert!(theirs.iter().chain(&kept).all(|value| holds(&before, value)), "what is looked for can be found");
    assert!(!holds(&before, VENDOR_WORDS.as_bytes()));
    let blobs_before = count_files(&folder.path().join("blobs"));

    store.erase(world.tenant, &email("ada+jobs@example.org"), "cli", at(10)).await.unwrap();
    let after = files(folder.path());
    for value in &theirs {
        assert!(!holds(&after, value), "{} bytes are still there", value.len());
    }
    assert!(kept.iter().all(|value| holds(&after, value)));
    assert_eq!(count_files(&folder.path().join("blobs")), blobs_before - 1);
}

fn count_files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { count_files(&path) } else { 1 }).sum()
}
