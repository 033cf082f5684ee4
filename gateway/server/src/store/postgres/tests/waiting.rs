//! What takes long keeps nobody waiting: retention, and a sync of an account's postings.

use std::sync::Arc;
use std::time::Duration;

use causeway_core::ids::TenantId;
use causeway_core::pii::Secret;
use causeway_servers::Postgres as Server;
use jiff::Timestamp;

use super::Postgres;
use super::several::{another, until};
use super::trouble::name_of;
use crate::store::Store;
use crate::store::intake::{Accepted, NewApplication};
use crate::store::postgres::connect::Connector;
use crate::store::postgres::text::Use;
use crate::store::setup::Sync;
use crate::store::suite::world::{World, posting};
use crate::store::trace::Retention;

const HOUR: Duration = Duration::from_secs(3_600);
const AGES: Duration = Duration::from_secs(86_400 * 999);

const APPLICATIONS: Retention = Retention {
    applications: HOUR,
    refusals: AGES,
    idempotency: AGES,
    edge_counts: AGES,
    demographics: AGES,
    attempts: AGES,
    audit: AGES,
    webhooks: AGES,
};

async fn psql(w: &World<Postgres>, sql: &str) -> String {
    let (name, sql) = (name_of(&w.backend.dsn), sql.to_owned());
    tokio::task::spawn_blocking(move || Server::shared().unwrap().psql(&name, &sql).unwrap()).await.unwrap()
}

/// Somebody else's transaction, which holds what its statement locked until this is dropped.
struct Held(Option<(std::sync::mpsc::Sender<()>, std::thread::JoinHandle<()>)>);

impl Held {
    fn by(w: &World<Postgres>, sql: &'static str) -> Self {
        let dsn = Secret::new(Server::shared().unwrap().dsn_of(&name_of(&w.backend.dsn)));
        let (holds, held) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let session = Connector::new(&dsn, false).unwrap().connect(Use::Write, 60_000).unwrap();
            session.batch(&format!("SET idle_in_transaction_session_timeout = 0; BEGIN; {sql}")).unwrap();
            holds.send(()).unwrap();
            ended.recv().ok();
            session.batch("ROLLBACK").unwrap();
        });
        held.recv().unwrap();
        Self(Some((end, thread)))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.0.take() {
            drop(end);
            thread.join().unwrap();
        }
    }
}

/// When the transactions began that wait for a row somebody else holds.
async fn waiting(w: &World<Postgres>) -> String {
    psql(
        w,
        "SELECT string_agg(xact_start::text, ' ' ORDER BY xact_start) FROM pg_stat_activity \
         WHERE datname = current_database() AND usename = 'gateway' AND wait_event IN ('transactionid', 'tuple')",
    )
    .await
}

async fn until_waiting(w: &World<Postgres>, count: usize) -> String {
    let mut began = String::new();
    until("they wait for the row", async || {
        began = waiting(w).await;
        began.matches('+').count() == count
    })
    .await;
    began
}

fn of(w: &World<Postgres>, tenant: TenantId, email: &str) -> NewApplication {
    let mut application = w.application(email);
    if tenant != w.tenant {
        application.tenant = tenant;
        application.posting_account = None;
        application.deliveries = Vec::new();
    }
    application
}

async fn settled(w: &World<Postgres>, count: usize) {
    for number in 0..count {
        let code = w.store.new_code().await.unwrap();
        w.codes.lock().unwrap().push(code);
        let (_, delivery) = w.accept(w.application(&format!("old{number}@example.org"))).await;
        w.store.cancel(w.tenant, delivery, "cli", w.now()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn other_tenants_are_accepted_from_while_retention_stands_still() {
    let w = World::<Postgres>::new().await;
    let (other, _) = w.other_tenant().await;
    settled(&w, 3).await;
    w.pass(7_200);
    let held = Held::by(&w, "SELECT 1 FROM submissions FOR UPDATE");
    let (store, now) = (Arc::clone(&w.store), w.now());
    let retains = async { store.retain(&APPLICATIONS, now, 500).await.unwrap() };
    let meanwhile = async {
        let began = until_waiting(&w, 1).await;
        let accepted = w.store.accept(of(&w, other, "bo@example.org")).await.unwrap();
        assert!(matches!(accepted, Accepted::New { .. }), "{accepted:?}");
        assert_eq!(waiting(&w).await, began, "it stood still all the while");
        drop(held);
    };
    let (report, ()) = tokio::join!(retains, meanwhile);
    assert_eq!((report.applications, report.total()), (3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_big_retention_goes_in_pieces_and_accepts_go_between() {
    let w = World::<Postgres>::new().await;
    settled(&w, 60).await;
    w.pass(7_200);
    let log = "CREATE TABLE removed (tx bigint); CREATE FUNCTION removed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER \
               AS $$ BEGIN INSERT INTO public.removed VALUES (txid_current()); RETURN OLD; END $$; \
               CREATE TRIGGER removed BEFORE DELETE ON submissions FOR EACH ROW EXECUTE FUNCTION removed()";
    psql(&w, log).await;
    let (store, now) = (Arc::clone(&w.store), w.now());
    let accepts = async {
        let mut accepted = 0;
        for number in 0..4 {
            let told = w.store.accept(w.application(&format!("new{number}@example.org"))).await.unwrap();
            accepted += usize::from(matches!(told, Accepted::New { .. }));
        }
        accepted
    };
    let (report, accepted) = tokio::join!(async { store.retain(&APPLICATIONS, now, 500).await.unwrap() }, accepts);
    assert_eq!((report.applications, accepted), (60, 4));
    let pieces =
        "SELECT string_agg(n::text, ' ' ORDER BY n) FROM (SELECT count(*) AS n FROM removed GROUP BY tx) AS piece";
    assert_eq!(psql(&w, pieces).await, "10 25 25", "no transaction is alone with a tenant for longer");
    assert_eq!(w.store.verify_audit(w.tenant).await.unwrap(), None);
}

/// Two gateways have written their rows and come to link them to the tenant's chain at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_that_link_to_one_chain_the_second_sees_what_the_first_added() {
    const WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'gateway' \
                           AND wait_event_type = 'Lock'";
    let w = World::<Postgres>::new().await;
    let other = another(&w, 72);
    let one = w.application("ada@example.org");
    w.pass(1);
    let two = w.application("bo@example.org");
    // Heads are read meanwhile, and no row is added.
    let held = Held::by(&w, "LOCK TABLE audit IN SHARE MODE");
    let lets_go = async {
        until("both wait", async || psql(&w, WAITING).await == "2").await;
        drop(held);
    };
    let (one, two, ()) = tokio::join!(w.store.accept(one), other.accept(two), lets_go);
    assert!(matches!((&one, &two), (Ok(Accepted::New { .. }), Ok(Accepted::New { .. }))), "{one:?} {two:?}");
    assert_eq!(w.store.verify_audit(w.tenant).await.unwrap(), None, "the chain is one");
}

fn sync(w: &World<Postgres>, started_at: Timestamp, ids: &[&str]) -> Sync {
    let mut postings: Vec<_> = ids.iter().map(|id| posting(id)).collect();
    // Not what is known already: it is written.
    postings.iter_mut().for_each(|posting| posting.title = format!("Welder since {started_at}"));
    Sync { account: w.ats, started_at, complete: true, postings }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sync_that_stands_still_keeps_no_accept_and_no_pause_waiting_but_another_sync() {
    let w = World::<Postgres>::new().await;
    w.sync(w.ats, true, &["4001"]).await;
    w.accept(w.application("cy@example.org")).await;
    w.one_claim().await;
    w.pass(120);
    let other = another(&w, 71);
    let held = Held::by(&w, "SELECT 1 FROM postings FOR UPDATE");
    let (late, early) = (sync(&w, w.later(10), &["4001"]), sync(&w, w.later(5), &["4001", "4002"]));
    let meanwhile = async {
        let began = until_waiting(&w, 1).await;
        w.accept(w.application("ada@example.org")).await;
        // A verb that is alone in the tenant.
        w.store.pause_account(w.ats, causeway_core::reason::Reason::AccountPaused, "cli", w.now()).await.unwrap();
        // What is alone among all.
        assert_eq!(w.store.expire_leases(w.now()).await.unwrap(), (0, 1));
        w.accept(w.application("bo@example.org")).await;
        assert_eq!(waiting(&w).await, began, "it stood still all the while");
        // Another gateway begins with an older list, and waits until the newer one is there.
        let older = async {
            let report = other.apply_sync(early).await.unwrap();
            assert_eq!(
                (report.opened, report.changed, report.closed),
                (0, 0, 0),
                "its list is older than what is known"
            );
        };
        let lets_go = async {
            let asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'gateway' \
                         AND wait_event_type = 'Lock'";
            until("both wait", async || psql(&w, asked).await == "2").await;
            drop(held);
        };
        tokio::join!(older, lets_go);
    };
    let (report, ()) = tokio::join!(async { w.store.apply_sync(late).await.unwrap() }, meanwhile);
    assert_eq!((report.changed, report.opened), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn however_many_syncs_stand_still_one_writer_is_left() {
    let w = World::<Postgres>::new().await;
    for account in [w.ats, w.crm] {
        w.sync(account, true, &["4001"]).await;
    }
    let held = Held::by(&w, "SELECT 1 FROM postings FOR UPDATE");
    let [one, two] = [w.ats, w.crm].map(|account| {
        let (store, sync) = (Arc::clone(&w.store), Sync { account, ..sync(&w, w.later(10), &["4001"]) });
        async move { store.apply_sync(sync).await.unwrap() }
    });
    let meanwhile = async {
        until_waiting(&w, 1).await;
        // As many as there are writers, and more, have been asked for by now.
        w.accept(w.application("ada@example.org")).await;
        drop(held);
    };
    let (one, two, ()) = tokio::join!(one, two, meanwhile);
    assert_eq!((one.changed, two.changed), (1, 1));
}
