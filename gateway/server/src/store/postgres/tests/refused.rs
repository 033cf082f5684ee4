//! What keeps a store from opening, and what it is told to do about it.

use std::sync::Arc;

use causeway_core::clock::ManualClock;
use causeway_servers::Postgres as Server;

use super::{PASSWORD, Postgres, ROLE, as_role, copy, make_role, migrated};
use crate::store::postgres::OpenError;

/// Does not open, and says all of this.
fn check(dsn: &str, says: &[&str]) {
    let clock = Arc::new(ManualClock::at("2026-03-02T09:00:00Z".parse().unwrap()));
    let error = Postgres::at(dsn.to_owned(), false).try_open(&clock).err().unwrap();
    let said = match &error {
        OpenError::Store(source) => format!("{error}: {source}"),
        OpenError::Refused { .. } | OpenError::Io { .. } => error.to_string(),
    };
    for words in says {
        assert!(said.contains(words), "{said}");
    }
    assert!(!said.contains(PASSWORD), "{said}");
}

#[test]
fn who_cannot_get_in_is_told_why() {
    let dsn = copy();
    check(&dsn.replace(PASSWORD, "another"), &["28P01", "store.dsn"]);
    check(&dsn.replace("/copy_", "/nowhere_"), &["3D000", "store.dsn"]);
    let port = causeway_servers::free_port().unwrap();
    check(&format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{port}/x?sslmode=disable"), &["cannot be reached"]);
    check("postgres://nonsense", &["store.dsn"]);
}

#[test]
fn a_database_that_is_not_migrated_is_refused() {
    drop(copy());
    let server = Server::shared().unwrap();
    check(&as_role(&server.database().unwrap()), &["store migrations", "causeway migrate"]);
}

#[test]
fn a_role_that_gets_round_the_wall_is_refused() {
    let dsn = copy();
    let server = Server::shared().unwrap();
    let (_, rest) = dsn.rsplit_once('@').unwrap();
    check(&format!("postgres://postgres:{}@{rest}", server.password()), &["store role", "a superuser", "CREATE ROLE"]);
    for (name, with, says) in
        [("round", "BYPASSRLS", "free of row-level security"), ("owns", "", "an owner of the tables")]
    {
        server.psql("postgres", &format!("CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}' {with}")).unwrap();
        server.psql("postgres", &format!("GRANT causeway_gateway TO {name}")).unwrap();
        if with.is_empty() {
            server.psql("postgres", &format!("GRANT causeway_owner TO {name}")).unwrap();
        }
        check(&format!("postgres://{name}:{PASSWORD}@{rest}"), &["store role", says]);
    }
    server.psql("postgres", &format!("CREATE ROLE strange LOGIN PASSWORD '{PASSWORD}'")).unwrap();
    check(&format!("postgres://strange:{PASSWORD}@{rest}"), &["42501", "causeway migrate"]);
}

#[test]
fn a_table_without_its_wall_is_refused() {
    let dsn = copy();
    let name = dsn.rsplit_once('/').and_then(|(_, name)| name.split('?').next()).unwrap();
    let server = Server::shared().unwrap();
    server.psql(name, "ALTER TABLE cases NO FORCE ROW LEVEL SECURITY").unwrap();
    check(&dsn, &["walls between tenants", "cases"]);
}

#[test]
fn a_changed_migration_is_refused_and_a_newer_database_only_where_it_says_so() {
    let dsn = copy();
    let name = dsn.rsplit_once('/').and_then(|(_, name)| name.split('?').next()).unwrap();
    let server = Server::shared().unwrap();
    let clock = Arc::new(ManualClock::at("2026-03-02T09:00:00Z".parse().unwrap()));
    server.psql(name, "INSERT INTO migrations VALUES (998, 'added something', '\\x00', 0, 1)").unwrap();
    drop(Postgres::at(dsn.clone(), false).try_open(&clock).unwrap());
    server.psql(name, "INSERT INTO migrations VALUES (999, 'changed something', '\\x00', 0, 999)").unwrap();
    check(&dsn, &["store migrations", "needs a program that knows 999"]);
    server
        .psql(
            name,
            "DELETE FROM migrations WHERE number > 900; UPDATE migrations SET checksum = '\\x00' WHERE number = 2",
        )
        .unwrap();
    check(&dsn, &["store migrations"]);
}

#[test]
fn settings_that_lose_data_are_refused_each_with_its_remedy() {
    let server = Server::start().unwrap();
    make_role(&server);
    let owner = server.database().unwrap();
    migrated(&owner, &as_role(&owner));
    // Its default is safe and changes at a start only, as that of data_sync_retry does.
    for (name, value, safe) in
        [("fsync", "off", "on"), ("full_page_writes", "off", "on"), ("synchronous_commit", "local", "on")]
    {
        server.set(name, value).unwrap();
        // The setting arrives when the server has read it, not when it was told to.
        let now = || server.psql("postgres", &format!("SHOW {name}")).unwrap();
        while now() != value {
            std::thread::yield_now();
        }
        check(&as_role(&owner), &["store settings", &format!("{name} is {value}"), "set it on"]);
        server.set(name, safe).unwrap();
        while now() != safe {
            std::thread::yield_now();
        }
    }
    let clock = Arc::new(ManualClock::at("2026-03-02T09:00:00Z".parse().unwrap()));
    drop(Postgres::at(as_role(&owner), false).try_open(&clock).unwrap());
}
