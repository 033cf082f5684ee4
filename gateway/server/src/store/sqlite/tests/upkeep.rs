//! Support and upkeep on SQLite: query plans, attacks on the audit chain, a search of every file for what was erased.

use std::collections::BTreeMap;
use std::path::Path;

use causeway_core::reason::Reason;
use rusqlite::Connection;

use super::Sqlite;
use crate::store::sql::rows::{Sql, sql};
use crate::store::suite::people::{People, VENDOR_WORDS, at, email};
use crate::store::suite::world::World;
use crate::store::trace::Backlog;
use crate::telemetry::metrics::Page;

/// The statements whose rows have to come newest first from their index, so that reading can stop early. That none of
/// the store's statements scans a table is tested with the others.
const ORDERED: &[(&str, Sql)] = &[
    ("find_by_base", sql!("trace/find_by_base")),
    ("find_by_posting", sql!("trace/find_by_posting")),
    ("find_by_account", sql!("trace/find_by_account")),
    ("find_by_time", sql!("trace/find_by_time")),
    ("find_refused", sql!("trace/find_refused")),
    ("retain_applications", sql!("trace/retain_applications")),
    ("retain_refusals", sql!("trace/retain_refusals")),
];

fn sorts(conn: &Connection, sql: &str) -> bool {
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let nothing = vec![rusqlite::types::Null; statement.parameter_count()];
    let rows = statement.query_map(rusqlite::params_from_iter(nothing), |row| row.get::<_, String>("detail")).unwrap();
    rows.map(Result::unwrap).any(|step| step.contains("TEMP B-TREE"))
}

#[tokio::test]
async fn what_is_read_until_there_is_enough_comes_in_order() {
    let base = World::<Sqlite>::new().await;
    let conn = base.backend.raw();
    for (name, sql) in ORDERED {
        assert!(!sorts(&conn, sql.sqlite), "{name}");
    }
    assert!(sorts(&conn, "SELECT id FROM submissions WHERE tenant = ?1 ORDER BY trace_id"), "a sort would show");
}

/// Changes to a chain of the rows 1 to N, each with the position that must be reported.
#[tokio::test]
async fn every_change_to_the_audit_chain_is_found_where_it_was_made() {
    let base = World::<Sqlite>::new().await;
    let store = &base.store;
    let people = People::new(store, "north", 1).await;
    let other = People::new(store, "south", 2).await;
    for minutes in 0..4 {
        people.apply("ada@example.org", "5001", at(minutes)).await;
    }
    assert_eq!(store.verify_audit(people.tenant).await.unwrap(), None);
    let conn = base.backend.raw();
    let tenant = people.tenant.as_uuid().into_bytes();
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
        assert_eq!(store.verify_audit(people.tenant).await.unwrap(), Some(expected), "{attack}");
        assert_eq!(store.verify_audit(other.tenant).await.unwrap(), None, "{attack}");
        restore(&conn, "audit", &kept);
        restore(&conn, "audit_heads", &heads);
        assert_eq!(store.verify_audit(people.tenant).await.unwrap(), None, "{attack}");
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
    let base = World::<Sqlite>::new().await;
    let store = &base.store;
    let people = People::new(store, "north", 1).await;
    let ada = people.apply("ada+jobs@example.org", "4001", at(0)).await;
    let (claim, begun) = people.begin(ada.ats, people.ats, at(1)).await;
    people.settle(People::refused(claim, begun, at(2))).await;
    let refusal = people.refuse("ada+jobs@example.org", "4001", at(3)).await;
    let bo = people.apply("bo@example.com", "4001", at(4)).await;

    let conn = base.backend.raw();
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
    let before = files(&base.backend.folder());
    assert!(theirs.iter().chain(&kept).all(|value| holds(&before, value)), "what is looked for can be found");
    assert!(!holds(&before, VENDOR_WORDS.as_bytes()));
    let blobs_before = count_files(&base.backend.folder().join("blobs"));

    store.erase(people.tenant, &email("ada+jobs@example.org"), "cli", at(10)).await.unwrap();
    let after = files(&base.backend.folder());
    for value in &theirs {
        assert!(!holds(&after, value), "{} bytes are still there", value.len());
    }
    assert!(kept.iter().all(|value| holds(&after, value)));
    assert_eq!(count_files(&base.backend.folder().join("blobs")), blobs_before - 1);
}

fn count_files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { count_files(&path) } else { 1 }).sum()
}

#[tokio::test]
async fn what_is_missing_or_found_by_nobody_shows_in_the_ledger() {
    let base = World::<Sqlite>::new().await;
    let store = &base.store;
    for number in 0..4 {
        store.accept(base.application(&format!("ada-{number}@example.org"))).await.unwrap();
    }
    let ledger = store.ledger().await.unwrap();
    assert_eq!((ledger.targets, ledger.difference()), (4, 0));
    let conn = base.backend.raw();
    for (damage, difference) in [
        ("DELETE FROM deliveries WHERE seq = 1", 1),
        // A timer that is gone: nobody would ever come to it again.
        ("UPDATE deliveries SET next_attempt_at = NULL WHERE seq = 2", 2),
        // A lease without an end.
        ("UPDATE deliveries SET state = 'in_flight', next_attempt_at = NULL WHERE seq = 3", 3),
        (
            "INSERT INTO deliveries (id, tenant, submission, account, serial, state, changed_at) SELECT zeroblob(16), tenant, \
          submission, account, serial, 'delivered', 0 FROM deliveries WHERE seq = 4",
            2,
        ),
        // An application that went with its deliveries, as at the end of its time, is missed by nobody.
        ("DELETE FROM deliveries WHERE seq = 4; DELETE FROM submissions WHERE seq = 4", 2),
    ] {
        conn.execute_batch(damage).unwrap();
        assert_eq!(store.ledger().await.unwrap().difference(), difference, "{damage}");
    }
}

#[tokio::test]
async fn the_ledger_is_counted_by_indexes_alone() {
    let base = World::<Sqlite>::new().await;
    let conn = base.backend.raw();
    let text = sql!("ledger").sqlite;
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
    let plan: Vec<String> = statement.query_map([], |row| row.get("detail")).unwrap().map(Result::unwrap).collect();
    let read: Vec<&String> = plan
        .iter()
        .filter(|step| step.contains("deliveries") || step.contains(" s ") || step.ends_with(" s"))
        .collect();
    assert!(read.len() >= 5 && read.iter().all(|step| step.contains("INDEX")), "{plan:?}");
    // What is settled is most of what there is: its rows are not looked at.
    assert!(plan.iter().any(|step| step.contains("COVERING INDEX deliveries_settled")), "{plan:?}");
    assert!(plan.iter().any(|step| step.contains("COVERING INDEX submissions_targets")), "{plan:?}");
}

#[tokio::test]
async fn commits_and_what_waits_longest_are_told() {
    let base = World::<Sqlite>::new().await;
    let store = &base.store;
    assert_eq!(store.backlog(base.now()).await.unwrap(), Backlog::default());
    store.accept(base.application("ada@example.org")).await.unwrap();
    let accepted = base.now();
    base.pass(90);
    store.accept(base.application("bea@example.org")).await.unwrap();
    let backlog = store.backlog(base.now()).await.unwrap();
    assert_eq!((backlog.deliveries, backlog.webhooks, backlog.read_backs), (Some(accepted), None, None));
    store.pause_account(base.ats, Reason::AccountPaused, "test", base.now()).await.unwrap();
    assert_eq!(store.backlog(base.now()).await.unwrap(), Backlog::default(), "what is paused is not due");
    let mut page = Page::default();
    store.vitals().put(&mut page);
    let text = page.render();
    let figure = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let commits = figure("causeway_store_commit_requests_count");
    assert!(commits >= 4.0 && figure("causeway_store_commit_requests_sum") >= commits, "{text}");
    let last = base.now().as_microsecond() as f64 / 1e6;
    assert!((figure("causeway_store_last_commit_timestamp_seconds") - last).abs() < 1.0, "{text}");
}
