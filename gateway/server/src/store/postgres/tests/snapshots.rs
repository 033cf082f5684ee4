//! Somebody reads an old snapshot, and what died since cannot go: what is due is looked for from where the last look ended.

use std::time::{Duration, Instant};

use causeway_core::ids::DeliveryId;
use causeway_core::outcome::Class;
use causeway_core::reason::Reason;
use causeway_servers::Postgres as Server;

use super::Postgres;
use super::trouble::name_of;
use crate::store::Store;
use crate::store::sql::floors::EVERYTHING;
use crate::store::suite::world::World;
use crate::store::webhooks::{ClaimMessages, Webhooks};
use crate::store::work::{Next, Proof};

/// A look at everything that took as long as it does when millions are dead: the next is a while from now.
fn slow() -> Instant {
    Instant::now().checked_sub(Duration::from_secs(60)).unwrap()
}

#[tokio::test]
async fn webhooks_are_looked_for_from_where_the_last_look_ended() {
    let w = World::<Postgres>::new().await;
    let store = w.backend.inner();
    let endpoint = w.one_endpoint().await.id;
    let parked = async |email: &str| {
        w.accept(w.application(email)).await;
        let claim = w.one_claim().await;
        w.go(&claim, Class::Refused, Next::Park { reason: Reason::VendorRefused }).await;
    };
    let due = async || store.due_endpoints(w.now()).await.unwrap();
    let claimed = async || {
        let wish = ClaimMessages { wants: vec![(endpoint, 10)], lease: Duration::from_secs(60), now: w.now() };
        store.claim_messages(wish).await.unwrap().len()
    };
    parked("ada@example.org").await;
    assert_eq!(due().await, [endpoint], "everything is looked at while that is quick");
    w.pass(60);
    let micros = w.now().as_microsecond();
    store.floors.messages.looked(endpoint, EVERYTHING, (micros, None), slow());
    store.floors.messages.looked_for_due("{}", slow());
    assert_eq!((due().await, claimed().await), (vec![], 0), "what is dead there is not walked over");
    parked("bo@example.org").await;
    assert_eq!((due().await, claimed().await), (vec![endpoint], 1), "what is new is found at once");
}

#[tokio::test]
async fn what_is_to_be_read_back_is_looked_for_from_where_the_last_look_ended() {
    let w = World::<Postgres>::new().await;
    let store = w.backend.inner();
    let taken = async |email: &str| -> DeliveryId {
        let (_, delivery) = w.accept(w.application(email)).await;
        let claim = w.one_claim().await;
        w.go(&claim, Class::Accepted, Next::Delivered { proof: Proof::due(w.now()) }).await;
        delivery
    };
    let found = async || -> Vec<DeliveryId> {
        store.unproven(w.now(), 10).await.unwrap().iter().map(|unproven| unproven.delivery).collect()
    };
    let old = taken("ada@example.org").await;
    assert_eq!(found().await, [old], "everything is looked at while that is quick");
    let micros = w.now().as_microsecond();
    store.floors.unproven.looked_for_due("{}", slow());
    store.floors.unproven.looked(w.ats, EVERYTHING, (micros, Some(micros)), slow());
    w.pass(60);
    assert_eq!(found().await, [old], "what was handed out and not seen yet is handed out again");
    store.floors.unproven.looked(w.ats, EVERYTHING, (w.now().as_microsecond(), None), slow());
    assert_eq!(found().await, [], "what is dead there is not walked over");
    let new = taken("bo@example.org").await;
    assert_eq!(found().await, [new], "what is new is found at once");
}

/// What PostgreSQL reads for such a look with 20,000 dead entries that cannot go.
#[tokio::test]
async fn a_look_with_a_floor_reads_next_to_nothing_of_what_is_dead() {
    let w = World::<Postgres>::new().await;
    let endpoint = w.one_endpoint().await.id;
    let endpoint = data_encoding::HEXLOWER.encode(endpoint.as_uuid().as_bytes());
    let tenant = data_encoding::HEXLOWER.encode(w.tenant.as_uuid().as_bytes());
    let name = name_of(&w.backend.dsn);
    let rows = format!(
        "INSERT INTO webhook_messages (id, tenant, endpoint, type, at, test, status, next_at) \
         SELECT causeway_id_at(n * 1000000), '\\x{tenant}', '\\x{endpoint}', 'x', n, 0, 'waiting', n \
         FROM generate_series(1::bigint, 20000) AS n"
    );
    let read = move |from: i64| {
        let text = crate::store::postgres::text::translate(
            include_str!("../../sql/text/webhooks/claim_due.sql"),
            crate::store::postgres::text::Use::Write,
        );
        let text = text
            .replace("$1", &format!("'\\x{endpoint}'"))
            .replace("$2", "30000")
            .replace("$3", "10")
            .replace("$4", &from.to_string());
        format!("SET enable_seqscan = off; EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) {text}")
    };
    let (everything, floor) = tokio::task::spawn_blocking(move || {
        let server = Server::shared().unwrap();
        server.psql(&name, &rows).unwrap();
        std::thread::scope(|scope| {
            let old = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM tenants; SELECT pg_sleep(120)";
            let old = scope.spawn(|| server.psql(&name, old).unwrap_err());
            let sleeps =
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
            while server.psql(&name, sleeps).unwrap().is_empty() {
                // Between two looks, not instead of one.
                std::thread::park_timeout(Duration::from_millis(25));
            }
            server.psql(&name, "UPDATE webhook_messages SET next_at = NULL, status = 'delivered'").unwrap();
            let [everything, floor] =
                [EVERYTHING, 19_999].map(|from| buffers(&server.psql(&name, &read(from)).unwrap()));
            server.psql(&name, &format!("SELECT pg_terminate_backend(pid) FROM ({sleeps}) AS old")).unwrap();
            old.join().unwrap();
            (everything, floor)
        })
    })
    .await
    .unwrap();
    assert!(floor * 5 < everything, "every dead entry is walked over: {everything} pages; with a floor: {floor}");
}

/// Pages that the whole plan touched.
fn buffers(plan: &str) -> u64 {
    let line = plan.lines().find(|line| line.contains("Buffers:")).unwrap_or_else(|| panic!("{plan}"));
    line.split_whitespace().filter_map(|word| word.split_once('=')?.1.parse::<u64>().ok()).sum()
}
