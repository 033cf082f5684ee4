//! What each trouble of the server means to who asked: what they are told, and whether it was tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use causeway_servers::Postgres as Server;

use super::between::{Between, Then, says};
use super::{PASSWORD, Postgres, ROLE, copy};
use crate::store::StoreError;
use crate::store::intake::Accepted;
use crate::store::suite::world::World;

pub(super) fn name_of(dsn: &str) -> String {
    dsn.rsplit_once('/').and_then(|(_, name)| name.split('?').next()).unwrap().to_owned()
}

/// As superuser in the world's database.
async fn psql(w: &World<Postgres>, sql: String) -> String {
    let name = name_of(&w.backend.dsn);
    tokio::task::spawn_blocking(move || Server::shared().unwrap().psql(&name, &sql).unwrap()).await.unwrap()
}

/// The first so many inserts of applications fail with this state; all of them when none is given.
async fn fail(w: &World<Postgres>, state: &str, times: Option<u32>) {
    let times = times.unwrap_or(1_000_000);
    let sql = format!(
        "DROP TRIGGER IF EXISTS trouble ON submissions; DROP SEQUENCE IF EXISTS tries; CREATE SEQUENCE tries; \
         CREATE OR REPLACE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN \
         IF nextval('tries') <= {times} THEN RAISE EXCEPTION USING ERRCODE = '{state}', MESSAGE = 'Zqxcanary'; END IF; \
         RETURN NULL; END $$; \
         CREATE TRIGGER trouble BEFORE INSERT ON submissions FOR EACH STATEMENT EXECUTE FUNCTION trouble()"
    );
    psql(w, sql).await;
}

async fn tries(w: &World<Postgres>) -> u32 {
    psql(w, "SELECT last_value FROM tries".to_owned()).await.parse().unwrap()
}

/// It stays: what is said, and how often it was tried.
async fn check_told(w: &World<Postgres>, state: &str, words: &str, tried: u32) {
    fail(w, state, None).await;
    let told = w.store.accept(w.application("ada@example.org")).await.unwrap_err();
    let text = told.to_string();
    assert!(text.contains(words), "{state}: {text}");
    assert!(!text.contains("Zqxcanary"), "{state}: the server's own words may quote rows: {text}");
    assert_eq!(tries(w).await, tried, "{state}");
    let comes_again = !["22001", "42501", "42P01", "XX001"].contains(&state);
    assert_eq!(matches!(told, StoreError::Unavailable(_)), comes_again, "{state}: {told:?}");
}

/// It passes: the request goes through, without being told.
async fn check_passes(w: &World<Postgres>, state: &str) {
    fail(w, state, Some(2)).await;
    let told = w.store.accept(w.application(&format!("p{state}@example.org"))).await;
    assert!(matches!(told, Ok(Accepted::New { .. })), "{state}: {told:?}");
    assert_eq!(tries(w).await, 3, "{state}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stays_is_told_with_its_remedy_and_what_passes_is_tried_again() {
    let w = World::<Postgres>::new().await;
    for (state, words, tried) in [
        ("53100", "the database's disk is full", 1),
        ("53200", "out of memory", 1),
        ("57014", "the database took too long", 1),
        ("42501", "run `causeway migrate`", 1),
        ("42P01", "run `causeway migrate`", 1),
        ("XX001", "database", 1),
        // It may be the one request's fault: in a batch of one it is run by itself once more.
        ("22001", "SQLSTATE 22001", 2),
    ] {
        check_told(&w, state, words, tried).await;
    }
    // In each other's way; and, on another connection, a server that restarts, failed over, or had none left.
    for state in ["40001", "40P01", "55P03", "57P01", "57P03", "25006", "53300", "08006"] {
        check_passes(&w, state).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_finds_no_connection_left_waits_for_one() {
    let w = World::<Postgres>::new().await;
    let name = name_of(&w.backend.dsn);
    // Of this database alone: the server is shared.
    psql(&w, format!("ALTER DATABASE {name} CONNECTION LIMIT 0")).await;
    psql(
        &w,
        format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND usename = '{ROLE}'"
        ),
    )
    .await;
    let told = loop {
        match w.store.tenants().await {
            // A reader that was cut off at this moment: the next one has to connect.
            Err(error) if error.to_string().contains("lost") => {}
            told => break told.unwrap_err(),
        }
    };
    assert!(matches!(told, StoreError::Unavailable(_)), "{told}");
    assert!(told.to_string().contains("raise max_connections, or lower store.writers and store.readers"), "{told}");
    let application = w.application("ada@example.org");
    let store = Arc::clone(&w.store);
    let (accepted, _) = tokio::join!(
        store.accept(application),
        psql(&w, format!("SELECT pg_sleep(1); ALTER DATABASE {name} CONNECTION LIMIT -1"))
    );
    assert!(matches!(accepted, Ok(Accepted::New { .. })), "{accepted:?}");
}

/// The connection breaks while the commit is on its way: it may have happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_commit_whose_answer_is_lost_is_told_as_unknown_and_found_out_with_the_key() {
    let dsn = copy();
    let server = Server::shared().unwrap();
    let between = Arc::new(Between::before(server.port()));
    let dsn = format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{}/{}?sslmode=disable", between.port(), name_of(&dsn));
    let w = World::on(Postgres::at(dsn, false)).await;
    for (then, written) in [(Then::CutBefore, false), (Then::CutAfter, true)] {
        let commits = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&commits);
        between.look(move |piece| {
            let is_commit = says(piece, "statement_timeout = 0; COMMIT");
            // The first alone: were it run again, that would go well.
            if is_commit && counted.fetch_add(1, Ordering::SeqCst) == 0 { then } else { Then::Pass }
        });
        let mut application = w.application(&format!("p{written}@example.org"));
        application.idempotency_key = Some(format!("key-{written}"));
        let fingerprint = application.fingerprint.clone();
        let told = w.store.accept(application).await;
        let Err(StoreError::Unavailable(text)) = told else { panic!("{then:?}: {told:?}") };
        assert!(text.contains("not known"), "{text}");
        assert_eq!(commits.load(Ordering::SeqCst), 1, "it is not run again");
        let before = w.store.accepted_before(w.tenant, &format!("key-{written}"), fingerprint).await.unwrap();
        assert_eq!(before.is_some(), written, "{then:?}: {before:?}");
    }
}

/// The database takes what it is told and never answers again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_waits_for_an_answer_longer_than_the_deadline() {
    let dsn = copy();
    let between = Arc::new(Between::before(Server::shared().unwrap().port()));
    let dsn = format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{}/{}?sslmode=disable", between.port(), name_of(&dsn));
    let w = World::on(Postgres::at(dsn, false)).await;
    between.look(|_| Then::Hush);
    let told = tokio::time::timeout(std::time::Duration::from_secs(45), async {
        tokio::join!(w.store.accept(w.application("ada@example.org")), w.store.tenants())
    });
    let (wrote, read) = told.await.expect("both are told within their deadlines");
    assert!(matches!(wrote, Err(StoreError::Unavailable(_))), "{wrote:?}");
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    between.look(|_| Then::Pass);
    // And what is connected anew is used.
    let again = loop {
        match w.store.accept(w.application("bo@example.org")).await {
            Err(StoreError::Unavailable(_)) => {}
            other => break other,
        }
    };
    assert!(matches!(again, Ok(Accepted::New { .. })), "{again:?}");
}
