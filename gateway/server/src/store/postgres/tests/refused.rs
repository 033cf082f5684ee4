//! What keeps a store from opening, and what it is told to do about it.

use std::sync::Arc;

use causeway_core::clock::{ManualClock, SeededEntropy};
use causeway_core::pii::Secret;
use causeway_servers::Postgres as Server;

use super::between::{Between, Then};
use super::trouble::name_of;
use super::{PASSWORD, Postgres, ROLE, as_role, copy, make_role, migrated};
use crate::store::finding::Health;
use crate::store::postgres::check::lying;
use crate::store::postgres::connect::Connector;
use crate::store::postgres::text::Use;
use crate::store::postgres::{OpenError, OpenOptions, open};

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
    let nobody = format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{port}/x?sslmode=disable");
    check(&nobody, &["cannot be reached", "host and port of store.dsn"]);
    // No resolver is asked for a name with nothing between two dots.
    check(&nobody.replace("127.0.0.1", "db..example.org"), &["cannot be reached", "host and port of store.dsn"]);
    check("postgres://nonsense", &["store.dsn"]);
}

#[test]
fn a_folder_of_attachments_that_no_other_gateway_uses_is_refused() {
    let clock = Arc::new(ManualClock::at("2026-03-02T09:00:00Z".parse().unwrap()));
    let first = Postgres::at(copy(), false);
    for _ in 0..2 {
        drop(first.try_open(&clock).unwrap());
    }
    let second = Postgres::at(first.dsn.clone(), false);
    let options = || OpenOptions { entropy: Arc::new(SeededEntropy::new(3)), ..second.options(&clock) };
    let error = open(options()).err().unwrap().to_string();
    for words in ["attachments", "Mount", "blobs.url", second.blobs.path().to_str().unwrap()] {
        assert!(error.contains(words), "{error}");
    }
    // What it says to do when the other is lost.
    let (_, rest) = error.split_once("write ").unwrap();
    let (mark, _) = rest.split_once(' ').unwrap();
    std::fs::write(second.blobs.path().join("mark"), format!("{mark}\n")).unwrap();
    drop(open(options()).unwrap());
}

#[test]
fn a_database_that_is_not_migrated_is_refused() {
    drop(copy());
    let server = Server::shared().unwrap();
    check(&as_role(&server.database().unwrap()), &["store migrations", "causeway migrate"]);
}

#[test]
fn a_database_that_misses_a_migration_is_refused() {
    let dsn = copy();
    let server = Server::shared().unwrap();
    let newest = "DELETE FROM migrations WHERE number = (SELECT max(number) FROM migrations)";
    server.psql(&name_of(&dsn), newest).unwrap();
    check(&dsn, &["store migrations", "1 missing: run `causeway migrate` with store.direct_dsn"]);
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

fn of_its_own(settings: &[(&str, &str)]) -> (Server, String) {
    let server = Server::start_with(settings).unwrap();
    make_role(&server);
    let owner = server.database().unwrap();
    migrated(&owner, &as_role(&owner));
    (server, as_role(&owner))
}

#[test]
fn settings_that_lose_data_are_refused_each_with_its_remedy() {
    let (server, dsn) = of_its_own(&[]);
    // Each default is safe.
    for (name, value) in
        [("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "local"), ("synchronous_commit", "off")]
    {
        server.set(name, value).unwrap();
        check(&dsn, &["store settings", &format!("{name} is {value}"), "set it on"]);
        server.set(name, "on").unwrap();
    }
    // The server's is safe, the role's is not.
    server.psql("postgres", &format!("ALTER ROLE {ROLE} SET synchronous_commit = off")).unwrap();
    check(&dsn, &["synchronous_commit is off", "for the role and the database too"]);
    server.psql("postgres", &format!("ALTER ROLE {ROLE} RESET synchronous_commit")).unwrap();
    let clock = Arc::new(ManualClock::at("2026-03-02T09:00:00Z".parse().unwrap()));
    drop(Postgres::at(dsn, false).try_open(&clock).unwrap());
}

#[test]
fn a_server_that_takes_a_failed_sync_for_a_good_one_is_refused() {
    let (_server, dsn) = of_its_own(&[("data_sync_retry", "on")]);
    check(&dsn, &["store settings", "data_sync_retry is on", "set it off"]);
}

#[test]
fn a_standby_is_refused() {
    let (server, dsn) = of_its_own(&[]);
    let standby = Server::standby_of(&server, "second", &[]).unwrap();
    let dsn = dsn.replace(&server.port().to_string(), &standby.port().to_string());
    check(&dsn, &["transaction_read_only is on", "point store.dsn at the primary"]);
}

#[test]
fn a_pooler_that_drops_time_outs_is_refused() {
    let dsn = copy();
    let between = Between::before(Server::shared().unwrap().port());
    let through =
        format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{}/{}?sslmode=disable", between.port(), name_of(&dsn));
    let clock = Arc::new(ManualClock::at("2026-03-02T09:00:00Z".parse().unwrap()));
    drop(Postgres::at(through.clone(), false).try_open(&clock).unwrap());
    for name in ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"] {
        let set = format!("SET LOCAL {name} = ");
        between.look(move |piece| {
            // As if it had not been said: the same length, and nought.
            let at = piece.windows(set.len()).position(|window| window == set.as_bytes());
            if let Some(at) = at {
                piece[at + set.len()..]
                    .iter_mut()
                    .take_while(|byte| byte.is_ascii_digit())
                    .for_each(|byte| *byte = b'0');
            }
            Then::Pass
        });
        check(&through, &["store settings", &format!("{name} is not taken over"), "a pooler or the server drops it"]);
    }
}

#[test]
fn a_transaction_that_lies_about_is_named_with_what_to_do() {
    let connect = |dsn: &str| Connector::new(&Secret::new(dsn), false).unwrap().connect(Use::Write, 5_000).unwrap();
    let dsn = copy();
    let server = Server::shared().unwrap();
    // A login of its own: what it may see is what is tried.
    server.psql("postgres", &format!("CREATE ROLE looks LOGIN PASSWORD '{PASSWORD}'")).unwrap();
    let looks = connect(&dsn.replace(ROLE, "looks"));
    let found = |old: &str| lying(&looks, old).unwrap();
    let other = connect(&server.dsn_of(&name_of(&dsn)));
    other.batch("BEGIN; SELECT txid_current()").unwrap();
    let unseen = found("'0 seconds'");
    assert_eq!(unseen.state, Health::Well);
    assert!(unseen.text.contains("GRANT pg_read_all_stats TO"), "{}", unseen.text);
    server.psql("postgres", "GRANT pg_read_all_stats TO looks").unwrap();
    let seen = found("'0 seconds'");
    assert_eq!(seen.state, Health::Warning);
    assert!(seen.text.starts_with("1 are older") && seen.text.contains("end them"), "{}", seen.text);
    assert_eq!(found("'10 minutes'").state, Health::Well, "not yet");
    other.batch("ROLLBACK").unwrap();
    assert_eq!(found("'0 seconds'").text, "none is older than ten minutes");
}
