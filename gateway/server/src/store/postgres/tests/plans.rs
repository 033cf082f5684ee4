//! What is read through an index that was made for something else, too: an accept writes every index there is.

use causeway_core::outcome::Class;
use causeway_servers::Postgres as Server;

use super::Postgres;
use crate::store::postgres::Among;
use crate::store::postgres::scope::settings;
use crate::store::postgres::text::{Use, translate};
use crate::store::sql::Engine;
use crate::store::sql::conn::Sql;
use crate::store::sql::rows::{params, sql, value};
use crate::store::sql::scope::Scope;
use crate::store::sql::tx::Tx;
use crate::store::suite::world::{World, delivered};

/// The tables here are too small for the plans of large ones: what those leave alone is forbidden.
const AS_GATEWAY: &str = "SET ROLE causeway_gateway; SET causeway.tenants = '*'; SET enable_seqscan = off; \
                          SET enable_bitmapscan = off";

#[tokio::test]
async fn no_index_is_missed_that_an_accept_does_not_write() {
    let w = World::<Postgres>::new().await;
    for person in ["ada@example.org", "bea@example.org", "cleo@example.org"] {
        w.store.accept(w.application(person)).await.unwrap();
    }
    let (_, database) = w.backend.dsn.rsplit_once('/').unwrap();
    let database = database.split('?').next().unwrap();
    let server = Server::shared().unwrap();
    server.psql(database, "VACUUM ANALYZE submissions").unwrap();
    let check = |sql: Sql, values: &[&str], wanted: &str| {
        let mut text = translate(sql.postgres, Use::Write);
        for (at, value) in values.iter().enumerate() {
            text = text.replace(&format!("${}", at + 1), value);
        }
        // As the gateway: the wall asks for the tenant, which an index has to have that is read alone.
        let plan = server.psql(database, &format!("{AS_GATEWAY}; EXPLAIN {text}")).unwrap();
        assert!(plan.contains(wanted), "{wanted}: {plan}");
        assert!(!plan.contains("Seq Scan on submissions_accepted"), "{plan}");
    };
    let id = "'\\x00'::bytea";
    check(sql!("ledger"), &[], "Index Only Scan using submissions_accepted_id");
    check(sql!("ledger"), &[], "Index Only Scan using deliveries_settled");
    check(sql!("trace/submission"), &[id], "Index Scan using submissions_accepted_id");
    check(sql!("trace/retain_idempotency"), &["1::bigint", "10::bigint"], "submissions_keyed");
}

/// What is found by its id is not found by walking everybody's: a plan that is made for a young table is kept while it grows.
#[tokio::test]
async fn what_a_batch_asks_is_looked_up_row_by_row_also_while_tables_are_small() {
    let w = World::<Postgres>::new().await;
    let (_, database) = w.backend.dsn.rsplit_once('/').unwrap();
    let database = database.split('?').next().unwrap();
    let server = Server::shared().unwrap();
    let settings: String =
        settings(Use::Write, 5_000).iter().map(|(name, value)| format!("SET {name} = {value};")).collect();
    let asked = [
        (sql!("postgres/accept/look"), 8),
        (sql!("postgres/ahead"), 4),
        (sql!("postgres/load"), 1),
        (sql!("postgres/delivery_save"), 32),
        (sql!("postgres/attempt_end"), 7),
        (sql!("postgres/read_back_seen"), 6),
    ];
    // The server looks at a table anew after fifty changes: a delivery has five of them, what was accepted has one.
    for (from, to, tables) in [(0, 5, "deliveries"), (5, 35, "deliveries, submissions, wrapped_keys")] {
        for person in from..to {
            w.store.accept(w.application(&format!("person-{person}@example.org"))).await.unwrap();
        }
        server.psql(database, &format!("VACUUM ANALYZE {tables}")).unwrap();
        for (sql, lists) in &asked {
            let text = translate(sql.postgres, Use::Write);
            let nothing = vec!["NULL"; *lists].join(",");
            let explain = format!("PREPARE asked AS {text}; EXPLAIN EXECUTE asked({nothing})");
            let plan = server.psql(database, &format!("SET ROLE causeway_gateway; {settings} {explain}")).unwrap();
            assert!(
                plan.contains("Nested Loop") && !plan.contains("Merge Join") && !plan.contains("Hash Join"),
                "{plan}"
            );
            let lines: Vec<&str> = plan.lines().collect();
            let is_walked = |line: &str, next: &str| {
                let cond = next.contains("Index Cond") && !next.contains("Index Cond: (kind =");
                let walks = ["Index Scan", "Index Only Scan"].iter().any(|scan| line.contains(scan));
                line.contains("Seq Scan") || walks && !cond
            };
            let walked = lines.iter().zip(&lines[1..]).find(|(line, next)| is_walked(line, next));
            assert!(walked.is_none(), "of {to}: {walked:?} in {plan}");
        }
    }
}

/// Left to itself the server plans a statement for a short list whenever it is asked.
#[tokio::test]
async fn no_statement_is_planned_anew_for_its_values() {
    const PLANS: Sql = Sql::of("SELECT sum(generic_plans)::bigint FROM pg_prepared_statements");
    const ANEW: Sql = Sql::of("SELECT coalesce(sum(custom_plans), 0)::bigint FROM pg_prepared_statements");
    let w = World::<Postgres>::new().await;
    for person in ["ada@example.org", "bea@example.org", "cleo@example.org"] {
        w.accept(w.application(person)).await;
        let claim = w.one_claim().await;
        w.go(&claim, Class::Accepted, delivered()).await;
    }
    let inner = w.backend.inner();
    let Engine::Postgres(engine) = &inner.engine else { panic!("the other engine") };
    let count =
        |tx: &mut Tx<'_>| Ok((value::<i64>(tx.conn, PLANS, params![])?, value::<i64>(tx.conn, ANEW, params![])?));
    let (plans, anew) = engine.write(Scope::Nobody, Among::Beside, count).await.unwrap();
    assert!(plans > Some(10) && anew == Some(0), "{anew:?} of {plans:?}");
}
