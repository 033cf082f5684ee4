//! What is not waited for: it is done in its order, and it fails its own transaction, request by request.

use std::sync::Arc;

use causeway_core::delivery::State;
use causeway_core::ids::DeliveryId;
use causeway_core::outcome::{Class, Outcome};
use causeway_core::pii::Secret;
use causeway_servers::Postgres as Server;

use super::{Postgres, copy};
use crate::store::StoreError;
use crate::store::postgres::connect::Connector;
use crate::store::postgres::session::Session;
use crate::store::postgres::text::Use;
use crate::store::sql::conn::{Changes, Conn, Many, Sql};
use crate::store::sql::errors::{Op, Stop};
use crate::store::sql::rows::{params, value};
use crate::store::suite::world::{World, delivered};
use crate::store::work::Settlement;

const INSERT: Sql = Sql::of("INSERT INTO pg_temp.numbers VALUES (?1)");
const RAISE: Sql = Sql::of("UPDATE pg_temp.numbers SET n = n + 100 WHERE n = ?1");
const SUM: Sql = Sql::of("SELECT coalesce(sum(n), 0)::bigint FROM pg_temp.numbers");

static RAISE_ALL: Many = Many {
    one: "",
    all: "UPDATE pg_temp.numbers AS o SET n = o.n + 100 FROM unnest(?1::bigint[]) AS w (n) WHERE o.n = w.n",
    columns: "i",
    changes: Changes::One,
};

/// Statements in a transaction over the numbers 1 and 2, and what they come to.
fn check(pooler: bool, run: impl Fn(&Session) -> Op<i64>, comes_to: Result<i64, &str>) {
    let connector = Connector::new(&Secret::new(copy()), pooler).unwrap();
    let session = connector.connect(Use::Write, 5_000).unwrap();
    session.batch("CREATE TEMP TABLE numbers (n bigint PRIMARY KEY); INSERT INTO numbers VALUES (1), (2)").unwrap();
    session.batch_later("BEGIN".to_owned());
    let came_to = run(&session).map_err(|stop| match stop {
        Stop::Request(StoreError::Fenced) => "fenced",
        Stop::Taken => "taken",
        other => panic!("{other:?}"),
    });
    assert_eq!(came_to, comes_to);
    assert_eq!(session.is_troubled(), comes_to.is_err(), "what went wrong is not forgotten");
    session.take_trouble();
    session.roll_back("ROLLBACK").unwrap();
    assert_eq!(sum(&session).unwrap(), 3, "and nothing of it was done");
}

fn sum(session: &Session) -> Op<i64> {
    Ok(value(Conn::Postgres(session), SUM, params![])?.unwrap_or(-1))
}

#[test]
fn statements_that_nobody_waits_for_are_done_in_their_order_and_fail_like_others() {
    let one = |session: &Session, sql: Sql, n: i64, changes| session.execute_later(sql.postgres, params![n], changes);
    for pooler in [false, true] {
        let later = |session: &Session| {
            one(session, INSERT, 7, Changes::One)?;
            one(session, RAISE, 7, Changes::One)?;
            sum(session)
        };
        check(pooler, later, Ok(110));
        // The first that goes wrong is what went wrong, not those that the server refuses because of it.
        let taken = |session: &Session| {
            one(session, INSERT, 2, Changes::One)?;
            one(session, RAISE, 77, Changes::One)?;
            sum(session)
        };
        check(pooler, taken, Err("taken"));
        let settled = |session: &Session| {
            one(session, INSERT, 2, Changes::One)?;
            session.settle()?;
            Ok(0)
        };
        check(pooler, settled, Err("taken"));
        let none = |session: &Session| {
            one(session, RAISE, 77, Changes::One)?;
            sum(session)
        };
        check(pooler, none, Err("fenced"));
        let any = |session: &Session| {
            one(session, RAISE, 77, Changes::Any)?;
            sum(session)
        };
        check(pooler, any, Ok(3));
        let gathered = |session: &Session| {
            session.gather(&RAISE_ALL, params![1i64]);
            session.gather(&RAISE_ALL, params![2i64]);
            sum(session)
        };
        check(pooler, gathered, Ok(203));
        let less = |session: &Session| {
            session.gather(&RAISE_ALL, params![1i64]);
            session.gather(&RAISE_ALL, params![77i64]);
            session.settle()?;
            Ok(0)
        };
        check(pooler, less, Err("fenced"));
    }
}

/// Many settle at once: two with the same record of the vendor's, and one whose lease is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn settlements_of_one_commit_are_what_they_are_one_by_one() {
    let w = World::<Postgres>::new().await;
    for at in 0..24 {
        w.accept(w.application(&format!("p{at}@example.org"))).await;
    }
    let claims = w.claim(24).await;
    assert_eq!(claims.len(), 24);
    let began = claims.iter().map(|claim| w.store.begin_attempt(claim, "submit", w.now()));
    let mut settlements: Vec<Settlement> = Vec::new();
    for (at, (claim, begun)) in claims.iter().zip(futures_util::future::join_all(began).await).enumerate() {
        let mut settlement = w.tried(claim, begun.unwrap(), Class::Accepted, delivered());
        let vendor_id = format!("record-{}", at.max(1));
        settlement.outcome = Some(Outcome { vendor_id: Some(vendor_id), ..Outcome::new(Class::Accepted) });
        settlements.push(settlement);
    }
    settlements[7].claim.fence += 1;
    let fenced = settlements[7].claim.delivery;
    let ids: Vec<DeliveryId> = settlements.iter().map(|settlement| settlement.claim.delivery).collect();
    let store = Arc::clone(&w.store);
    let settled = futures_util::future::join_all(settlements.into_iter().map(|one| store.settle(one))).await;
    for (id, settled) in ids.into_iter().zip(settled) {
        match settled {
            Err(StoreError::Fenced) => assert_eq!(id, fenced),
            other => assert!(id != fenced && other.is_ok(), "{other:?}"),
        }
    }
    assert_eq!(w.store.census().await.unwrap(), [(State::InFlight, 1), (State::Delivered, 23)].into());
    let cases = w.store.cases(w.tenant, 10).await.unwrap();
    assert_eq!(cases.len(), 1, "one of the two that name the same record is looked at by a person");
}

/// It is not asked for again: it need not be there any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_vendor_says_is_sealed_with_the_key_that_was_loaded() {
    let w = World::<Postgres>::new().await;
    w.accept(w.application("ada@example.org")).await;
    let claim = w.one_claim().await;
    let (item, _) = w.store.load(&claim, false).await.unwrap();
    let mut settlement = w.tried(&claim, w.begin(&claim).await, Class::Accepted, delivered());
    settlement.outcome = Some(Outcome::new(Class::Accepted).said(201, "created"));
    settlement.words_key = item.words_key;
    let (_, database) = w.backend.dsn.rsplit_once('/').unwrap();
    let database = database.split('?').next().unwrap();
    let psql = |sql| Server::shared().unwrap().psql(database, sql).unwrap();
    psql("DELETE FROM wrapped_keys");
    w.settle(settlement).await;
    assert_eq!(psql("SELECT count(*) FROM attempts WHERE words_sealed IS NOT NULL").trim(), "1");
}
