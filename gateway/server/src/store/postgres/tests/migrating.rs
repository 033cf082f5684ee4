//! Migrations at once, and migrations that are killed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_core::clock::ManualClock;
use causeway_core::pii::Secret;
use causeway_servers::Postgres as Server;
use jiff::Timestamp;

use super::trouble::name_of;
use super::{Postgres, as_role, copy};
use crate::store::postgres::migrate::{ALL, MigrateError, Migrated, migrate};

/// An empty database on the server that has the role: as its superuser, and its name.
fn empty() -> (String, String) {
    drop(copy());
    let owner = Server::shared().unwrap().database().unwrap();
    let name = name_of(&owner);
    (owner, name)
}

fn run(owner: &str) -> Result<Migrated, MigrateError> {
    migrate(&Secret::new(owner), &Secret::new(as_role(owner)), Timestamp::UNIX_EPOCH)
}

fn until(name: &str, question: &str, answer: &str) {
    let began = Instant::now();
    loop {
        let is = Server::shared().unwrap().psql(name, question).unwrap();
        if is == answer {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{question}: {is}, not {answer}");
        // Between two looks, not instead of one.
        std::thread::park_timeout(Duration::from_millis(25));
    }
}

fn names() -> Vec<&'static str> {
    ALL.iter().map(|migration| migration.name()).collect()
}

fn opens(owner: &str) {
    let clock = Arc::new(ManualClock::at("2026-03-02T09:00:00Z".parse().unwrap()));
    drop(Postgres::at(as_role(owner), false).try_open(&clock).unwrap());
}

#[test]
fn of_two_that_migrate_at_once_one_does_and_the_other_sees_it_done() {
    const WAITING: &str = "SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database \
                           WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = current_database()";
    let (owner, name) = empty();
    let server = Server::shared().unwrap();
    let mut done = std::thread::scope(|scope| {
        // Both have come as far as they get while somebody else migrates, before either begins.
        let third = "SELECT pg_advisory_lock(hashtext('causeway migrations')); SELECT pg_sleep(120)";
        let third = scope.spawn(|| server.psql(&name, third).unwrap_err());
        until(
            &name,
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'",
            "1",
        );
        let both = [(); 2].map(|()| scope.spawn(|| run(&owner).unwrap()));
        until(&name, WAITING, "2");
        assert_eq!(server.psql(&name, "SELECT to_regclass('migrations') IS NULL").unwrap(), "t", "nothing yet");
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
                   AND wait_event = 'PgSleep'";
        server.psql(&name, end).unwrap();
        third.join().unwrap();
        both.map(|one| one.join().unwrap().applied)
    });
    done.sort();
    assert_eq!(done, [Vec::new(), names()]);
    opens(&owner);
}

/// The backend ends at the so many-th command that makes something; what was whole before that stays.
fn check(at: u32) {
    let (owner, name) = empty();
    let server = Server::shared().unwrap();
    let trap = format!(
        "CREATE SCHEMA trap; CREATE SEQUENCE trap.commands; \
         CREATE FUNCTION trap.stop() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN \
         IF nextval('trap.commands') = {at} THEN PERFORM pg_sleep(120); END IF; END $$; \
         CREATE EVENT TRIGGER stop_{name} ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'CREATE FUNCTION', \
         'CREATE INDEX', 'CREATE POLICY', 'ALTER TABLE') EXECUTE FUNCTION trap.stop()"
    );
    server.psql(&name, &trap).unwrap();
    let told = std::thread::scope(|scope| {
        let killed = scope.spawn(|| run(&owner));
        until(
            &name,
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'",
            "1",
        );
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
                    AND wait_event = 'PgSleep'";
        server.psql(&name, kill).unwrap();
        killed.join().unwrap().unwrap_err()
    });
    let whole = match told {
        MigrateError::Failed { number, .. } => usize::try_from(number).unwrap() - 1,
        // The connection was lost when the end of it was to be said.
        other => {
            assert!(matches!(other, MigrateError::Store(_)), "{other}");
            server.psql(&name, "SELECT count(*) FROM migrations").unwrap().parse().unwrap()
        }
    };
    assert_eq!(server.psql(&name, "SELECT count(*) FROM migrations").unwrap(), whole.to_string());
    let tables =
        server.psql(&name, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace").unwrap();
    if whole == 0 {
        assert_eq!(tables, "2", "the list of migrations and its key, and nothing of the first");
    }
    server.psql(&name, &format!("DROP EVENT TRIGGER stop_{name}; DROP SCHEMA trap CASCADE")).unwrap();
    assert_eq!(run(&owner).unwrap().applied, names()[whole..], "the next goes on where the killed one began");
    opens(&owner);
}

#[test]
fn a_killed_migration_leaves_nothing_half_and_the_next_goes_on() {
    // In the first, late in the first, and in one that follows.
    for at in [5, 60, 110] {
        check(at);
    }
}
