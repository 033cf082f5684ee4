//! Who waits for whom: what one gateway holds, and who gets on meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::Poll;
use std::time::Duration;

use causeway_core::clock::{Clock, Entropy, ManualClock, SeededEntropy};
use causeway_core::delivery::HeldCause;
use causeway_core::ids::AccountId;
use causeway_core::outcome::Class;
use causeway_core::pii::Secret;
use causeway_core::reason::Reason;
use causeway_servers::Postgres as Server;
use futures_util::future::join_all;
use futures_util::poll;
use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::Postgres;
use crate::store::intake::Decision;
use crate::store::postgres::connect::Connector;
use crate::store::postgres::partitions::Keeper;
use crate::store::postgres::text::Use;
use crate::store::postgres::{Among, OpenOptions, PostgresEngine, open};
use crate::store::sql::conn::Sql;
use crate::store::sql::errors::Op;
use crate::store::sql::rows::{Conn, StoredId, execute, params, value};
use crate::store::sql::scope::Scope;
use crate::store::sql::{Engine, SqlStore};
use crate::store::suite::world::{World, delivered};
use crate::store::trace::AuditEntry;
use crate::store::work::{ClaimRequest, Settlement};
use crate::store::{Result, Store, StoreError};

/// Longer than anything here takes that waits for nobody; shorter than who is alone is kept waiting for another.
const SOON: Duration = Duration::from_secs(30);

/// Another gateway on the same database, with so many connections that write.
fn gateway(w: &World<Postgres>, seed: u64, writers: usize) -> Arc<SqlStore> {
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(seed));
    open(OpenOptions { entropy, writers, ..w.backend.options(&Arc::new(ManualClock::at(w.now()))) }).unwrap()
}

fn engine(store: &SqlStore) -> &PostgresEngine {
    match &store.engine {
        Engine::Postgres(engine) => engine,
        Engine::Sqlite(_) => panic!("the other engine"),
    }
}

/// A verb that stays in its transaction until it is let go.
struct Held {
    inside: Arc<AtomicBool>,
    open: Arc<(Mutex<bool>, Condvar)>,
    task: Option<JoinHandle<Result<()>>>,
}

impl Held {
    /// Begins, runs `first`, and stays.
    fn by(
        store: &Arc<SqlStore>,
        (scope, among): (Scope, Among),
        first: impl Fn(Conn<'_>) -> Op<()> + Send + 'static,
    ) -> Self {
        const ALIVE: Sql = Sql::of("SELECT 1");
        let (inside, open) = (Arc::<AtomicBool>::default(), Arc::<(Mutex<bool>, Condvar)>::default());
        let (entered, gate, store) = (Arc::clone(&inside), Arc::clone(&open), Arc::clone(store));
        let task = TaskTracker::new().spawn(async move {
            let verb = move |tx: &mut crate::store::sql::tx::Tx<'_>| {
                first(tx.conn)?;
                entered.store(true, Ordering::SeqCst);
                let mut is_open = gate.0.lock().unwrap();
                while !*is_open {
                    // The server ends a transaction that says nothing for long.
                    value::<i64>(tx.conn, ALIVE, params![])?;
                    is_open = gate.1.wait_timeout(is_open, Duration::from_secs(2)).unwrap().0;
                }
                Ok(())
            };
            engine(&store).write(scope, among, verb).await
        });
        Self { inside, open, task: Some(task) }
    }

    async fn inside(self) -> Self {
        until("it has begun", async || self.inside.load(Ordering::SeqCst)).await;
        self
    }

    fn let_go(&self) {
        *self.open.0.lock().unwrap() = true;
        self.open.1.notify_all();
    }

    async fn ends(mut self) {
        self.let_go();
        drop(self.task.take().unwrap().await.unwrap());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Also when the test fails: the store's writers are waited for.
        self.let_go();
    }
}

/// Waits, half a minute at most.
async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}");
}

/// Done while others are kept waiting.
async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, work).await.unwrap_or_else(|_| panic!("kept waiting: {what}"))
}

/// Asks the world's database as its owner; `Err` where it says no.
async fn psql(w: &World<Postgres>, sql: String) -> std::result::Result<String, String> {
    let name = w.backend.dsn.rsplit_once('/').and_then(|(_, name)| name.split('?').next()).unwrap().to_owned();
    let asked = move || Server::shared().unwrap().psql(&name, &sql).map_err(|error| format!("{error:#}"));
    tokio::task::spawn_blocking(asked).await.unwrap()
}

async fn somebody_waits(w: &World<Postgres>) {
    const WAITING: &str =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("somebody waits", async || psql(w, WAITING.to_owned()).await.unwrap().trim() != "0").await;
}

fn nothing(_: Conn<'_>) -> Op<()> {
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn accounts_are_locked_in_one_order_whoever_s_turn_it_is() {
    const LOCK: Sql = Sql::of("UPDATE accounts SET name = name WHERE id = ?1");
    let w = World::<Postgres>::new().await;
    let (low, high) = (w.ats.min(w.crm), w.ats.max(w.crm));
    let lock = move |conn: Conn<'_>| execute(conn, LOCK, params![low.bytes()]).map(|_| ());
    let locked = Held::by(&w.backend.inner(), (Scope::Tenant(w.tenant), Among::Beside), lock).inside().await;
    // Both wishes come into one batch: its only writer is busy until they are there.
    let other = gateway(&w, 61, 1);
    let busy = Held::by(&other, (Scope::Nobody, Among::Beside), nothing).inside().await;
    let wants = vec![(high, 1), (low, 1)];
    let request =
        ClaimRequest { owner: "worker".into(), wants, suspect_of: None, lease: Duration::from_secs(60), now: w.now() };
    let mut claim = other.claim(request);
    assert!(poll!(&mut claim).is_pending());
    busy.ends().await;
    somebody_waits(&w).await;
    let hex = data_encoding::HEXLOWER.encode(&high.bytes());
    let free = psql(&w, format!("SELECT 1 FROM accounts WHERE id = '\\x{hex}' FOR UPDATE NOWAIT")).await;
    locked.ends().await;
    assert_eq!(claim.await.unwrap().claims, []);
    assert!(free.is_ok(), "it holds one and waits for the other: {free:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_gateway_that_stands_still_in_a_transaction_keeps_others_waiting_for_a_moment_only() {
    let w = World::<Postgres>::new().await;
    w.accept(w.application("ada@example.org")).await;
    let name = w.backend.dsn.rsplit_once('/').and_then(|(_, name)| name.split('?').next()).unwrap().to_owned();
    let (holds, held) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let stands_still = std::thread::spawn(move || {
        let dsn = Secret::new(Server::shared().unwrap().dsn_of(&name));
        let session = Connector::new(&dsn, false).unwrap().connect(Use::Write, 60_000).unwrap();
        session.batch("BEGIN; UPDATE accounts SET name = name").unwrap();
        holds.send(()).unwrap();
        ended.recv().ok();
        session.batch("COMMIT").is_err()
    });
    held.recv().unwrap();
    w.one_claim().await;
    drop(end);
    assert!(stands_still.join().unwrap(), "its transaction was ended");
}

/// A delivery to each account, begun; that of the ATS first.
async fn begun(w: &World<Postgres>) -> Vec<Settlement> {
    let mut application = w.application("ada@example.org");
    application.deliveries.push(w.target(w.crm));
    w.accept(application).await;
    let mut settlements = Vec::new();
    for account in [w.ats, w.crm] {
        let claim = w.claim_of(account, 1).await.remove(0);
        let begun = w.begin(&claim).await;
        settlements.push(w.tried(&claim, begun, Class::Accepted, delivered()));
    }
    settlements
}

/// Something failed at each account: the delivery itself, or another that something went well since.
async fn failed_before(w: &World<Postgres>, itself: bool) {
    let (delivery, clean) = if itself { ("id", 1) } else { ("'\\x00'", 0) };
    let failed = format!(
        "INSERT INTO alike SELECT account, 'mark', {delivery}, tenant, 'submit', 'unavailable', '4001', 0, 1, {clean} \
         FROM deliveries"
    );
    psql(w, failed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_failed_alike_is_counted_at_accounts_in_one_order_whoever_came_first() {
    const LOCK: Sql = Sql::of("UPDATE accounts SET name = name WHERE id = ?1");
    let w = World::<Postgres>::new().await;
    let mut settlements = begun(&w).await;
    failed_before(&w, true).await;
    let (low, high) = (w.ats.min(w.crm), w.ats.max(w.crm));
    settlements.sort_by_key(|settlement| std::cmp::Reverse(settlement.claim.account));
    let lock = move |conn: Conn<'_>| execute(conn, LOCK, params![low.bytes()]).map(|_| ());
    let locked = Held::by(&w.backend.inner(), (Scope::Tenant(w.tenant), Among::Beside), lock).inside().await;
    let other = gateway(&w, 71, 1);
    let busy = Held::by(&other, (Scope::Nobody, Among::Beside), nothing).inside().await;
    let mut settled = join_all(settlements.into_iter().map(|settlement| other.settle(settlement)));
    assert!(poll!(&mut settled).is_pending());
    busy.ends().await;
    somebody_waits(&w).await;
    let hex = data_encoding::HEXLOWER.encode(&high.bytes());
    let free = psql(&w, format!("SELECT 1 FROM accounts WHERE id = '\\x{hex}' FOR UPDATE NOWAIT")).await;
    locked.ends().await;
    assert!(settled.await.iter().all(Result::is_ok));
    assert!(free.is_ok(), "it holds one and waits for the other: {free:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_success_that_changes_nothing_of_what_failed_alike_keeps_nobody_out() {
    const LOCK: Sql = Sql::of("UPDATE accounts SET name = name");
    let w = World::<Postgres>::new().await;
    let settlements = begun(&w).await;
    failed_before(&w, false).await;
    let lock = move |conn: Conn<'_>| execute(conn, LOCK, params![]).map(|_| ());
    let locked = Held::by(&w.backend.inner(), (Scope::Tenant(w.tenant), Among::Beside), lock).inside().await;
    let other = gateway(&w, 72, 1);
    for settlement in settlements {
        soon("a success", other.settle(settlement)).await.unwrap();
    }
    locked.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_claims_for_an_account_waits_for_another_gateway_alone() {
    const LOCK: Sql = Sql::of("UPDATE accounts SET name = name WHERE id = ?1");
    let w = World::<Postgres>::new().await;
    let settlement = begun(&w).await.remove(0);
    let account = w.ats;
    let lock = move |conn: Conn<'_>| execute(conn, LOCK, params![account.bytes()]).map(|_| ());
    let locked = Held::by(&w.backend.inner(), (Scope::Tenant(w.tenant), Among::Beside), lock).inside().await;
    let other = gateway(&w, 74, 2);
    let mut busy = Vec::new();
    for _ in 0..2 {
        busy.push(Held::by(&other, (Scope::Nobody, Among::Beside), nothing).inside().await);
    }
    let (mut settled, mut claimed) = (other.settle(settlement), other.claim(one_of(account, w.now())));
    assert!(poll!(&mut settled).is_pending() && poll!(&mut claimed).is_pending());
    for one in busy {
        one.ends().await;
    }
    let settled = tokio::select! {
        settled = &mut settled => settled,
        claimed = &mut claimed => panic!("it did not wait: {claimed:?}"),
    };
    locked.ends().await;
    assert!(settled.is_ok() && claimed.await.unwrap().claims.is_empty());
}

/// A claim of another gateway's for one delivery of the account.
fn one_of(account: AccountId, now: Timestamp) -> ClaimRequest {
    ClaimRequest {
        owner: "other".into(),
        wants: vec![(account, 1)],
        suspect_of: None,
        lease: Duration::from_secs(60),
        now,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn claims_that_wait_leave_a_thread_to_what_does_not() {
    const LOCK: Sql = Sql::of("UPDATE accounts SET name = name WHERE id = ?1 OR id = ?2");
    let w = World::<Postgres>::new().await;
    let settlement = begun(&w).await.remove(0);
    let (ats, crm) = (w.ats, w.crm);
    let lock = move |conn: Conn<'_>| execute(conn, LOCK, params![ats.bytes(), crm.bytes()]).map(|_| ());
    let locked = Held::by(&w.backend.inner(), (Scope::Tenant(w.tenant), Among::Beside), lock).inside().await;
    let other = gateway(&w, 75, 2);
    let mut first = other.claim(one_of(ats, w.now()));
    assert!(poll!(&mut first).is_pending());
    somebody_waits(&w).await;
    let mut second = other.claim(one_of(crm, w.now()));
    assert!(poll!(&mut second).is_pending());
    // Long enough for it to be taken, if it may.
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut second).await.is_err());
    let settled = tokio::select! {
        settled = other.settle(settlement) => settled,
        claimed = &mut first => panic!("it did not wait: {claimed:?}"),
    };
    locked.ends().await;
    assert!(settled.is_ok() && first.await.unwrap().claims.is_empty() && second.await.unwrap().claims.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_closes_ends_while_somebody_waits() {
    let w = World::<Postgres>::new().await;
    let other = gateway(&w, 76, 2);
    let mut busy = Vec::new();
    for _ in 0..2 {
        busy.push(Held::by(&other, (Scope::Nobody, Among::Beside), nothing).inside().await);
    }
    let write = || Box::pin(engine(&other).write(Scope::Nobody, Among::Beside, |_| Ok(())));
    let mut last = write();
    assert!(poll!(&mut last).is_pending());
    let closes = Arc::clone(&other);
    let closing = TaskTracker::new().spawn(async move { closes.close().await });
    // Who is asleep looks then, and may take nothing.
    until("it closes", async || matches!(poll!(&mut write()), Poll::Ready(Err(_)))).await;
    for one in busy {
        one.ends().await;
    }
    soon("what waited", last).await.unwrap();
    soon("the end", closing).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_decided_for_one_tenant_waits_for_no_other() {
    let w = World::<Postgres>::new().await;
    let (_, delivery) = w.accept_held(HeldCause::FormUnknown, Reason::FormNotFetchedYet).await;
    let (other, _) = w.other_tenant().await;
    let held = Held::by(&gateway(&w, 62, 1), (Scope::Tenant(other), Among::Alone), nothing).inside().await;
    let (cause, reason) = (HeldCause::Invalid, Reason::DocumentInvalid);
    let invalid = Decision::Hold { cause, reason, fields: Vec::new() };
    soon("a decision", w.store.decide_held(w.tenant, delivery, invalid, w.now())).await.unwrap();
    held.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_row_of_the_audit_waits_for_nobody_who_writes_for_its_tenant() {
    let w = World::<Postgres>::new().await;
    let beside = (Scope::Tenant(w.tenant), Among::Beside);
    let held = Held::by(&gateway(&w, 63, 1), beside, nothing).inside().await;
    let [actor, action, subject] = ["test", "support.lookup", "somebody"].map(str::to_owned);
    let entry = AuditEntry { tenant: w.tenant, at: w.now(), actor, action, subject };
    soon("a row of the audit", w.store.audit(entry)).await.unwrap();
    held.ends().await;
    assert_eq!(w.store.verify_audit(w.tenant).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_look_up_that_failed_is_in_nobody_s_way() {
    let w = World::<Postgres>::new().await;
    // The only connection is the one on which it failed.
    let other = gateway(&w, 64, 1);
    let write = async || engine(&other).write(Scope::Account(w.ats), Among::Beside, |_| Ok(())).await;
    psql(&w, "REVOKE SELECT (id, tenant, paused_since) ON accounts FROM causeway_leases".to_owned()).await.unwrap();
    write().await.unwrap_err();
    psql(&w, "GRANT SELECT (id, tenant, paused_since) ON accounts TO causeway_leases".to_owned()).await.unwrap();
    write().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_done_for_every_tenant_waits_for_those_it_concerns() {
    let w = World::<Postgres>::new().await;
    let (other, foreign) = w.other_tenant().await;
    w.accept(w.application("ada@example.org")).await;
    w.one_claim().await;
    let held = Held::by(&gateway(&w, 65, 1), (Scope::Tenant(other), Among::Alone), nothing).inside().await;
    w.pass(90);
    assert_eq!(soon("leases that ran out", w.store.expire_leases(w.now())).await.unwrap(), (0, 1));
    let group = format!(
        "INSERT INTO alike_groups (account, mark, tenant, step, class, fields, everyone, case_id, opened_at, next_probe_at) \
         SELECT id, 'm', tenant, 'submit', 'refused', '[]', 0, decode(repeat('01', 16), 'hex'), 0, 0 FROM accounts WHERE id <> '\\x{}'",
        data_encoding::HEXLOWER.encode(&foreign.bytes())
    );
    psql(&w, group).await.unwrap();
    let policy = crate::alike::AlikePolicy::default();
    soon("probes", w.store.probe_alike(&policy, w.now())).await.unwrap();
    let left = psql(&w, "SELECT count(*) FROM alike_groups".to_owned()).await.unwrap();
    assert_eq!(left.trim(), "0", "nobody was in them: they are over");
    // A gateway that starts, and its first number.
    let late = soon("a gateway", async { gateway(&w, 66, 1) }).await;
    soon("a number", late.new_code()).await.unwrap();
    held.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_number_is_given_by_one_gateway_alone() {
    let w = World::<Postgres>::new().await;
    psql(&w, "DELETE FROM meta WHERE name = 'numbers'".to_owned()).await.unwrap();
    let mut asked = tokio::task::JoinSet::new();
    for seed in 70..76 {
        let store = gateway(&w, seed, 1);
        asked.spawn(async move { store.new_code().await.unwrap() });
    }
    let mut codes = asked.join_all().await;
    codes.sort_unstable();
    let count = codes.len();
    codes.dedup();
    assert_eq!(codes.len(), count, "each has a block of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tenant_that_somebody_keeps_keeps_no_other_waiting() {
    let w = World::<Postgres>::new().await;
    let (other, _) = w.other_tenant().await;
    let kept = (Scope::Tenant(w.tenant), Among::Alone);
    let held = Held::by(&gateway(&w, 67, 1), kept, nothing).inside().await;
    let store = gateway(&w, 68, 2);
    let write = |scope, among| {
        let store = Arc::clone(&store);
        async move { engine(&store).write(scope, among, |_| Ok(())).await }
    };
    // Everything the tenant may ask for, and what concerns everybody.
    let mut theirs = tokio::task::JoinSet::new();
    for _ in 0..3 {
        theirs.spawn(write(Scope::Tenant(w.tenant), Among::Alone));
        theirs.spawn(write(Scope::Account(w.ats), Among::Beside));
        theirs.spawn(write(Scope::Tenant(w.tenant), Among::Beside));
    }
    theirs.spawn(write(Scope::Every, Among::Alone));
    somebody_waits(&w).await;
    for round in 0..20 {
        theirs.spawn(write(Scope::Tenant(w.tenant), Among::Beside));
        let beside = futures_util::future::join_all((0..4).map(|_| write(Scope::Tenant(other), Among::Beside)));
        for done in soon("the other tenant", beside).await {
            done.unwrap();
        }
        if round % 10 == 0 {
            soon("alone in the other", write(Scope::Tenant(other), Among::Alone)).await.unwrap();
        }
    }
    held.ends().await;
    for done in theirs.join_all().await {
        assert!(matches!(done, Ok(()) | Err(StoreError::Unavailable(_))), "{done:?}");
    }
    soon("its own turn", write(Scope::Tenant(w.tenant), Among::Beside)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_sees_every_tenant_is_in_no_batch_with_who_must_not() {
    const SEEN: Sql = Sql::of("SELECT current_setting('causeway.tenants')");
    let w = World::<Postgres>::new().await;
    let store = gateway(&w, 69, 1);
    let busy = Held::by(&store, (Scope::Nobody, Among::Beside), nothing).inside().await;
    let seen = |scope| {
        let verb = |tx: &mut crate::store::sql::tx::Tx<'_>| value::<String>(tx.conn, SEEN, params![]);
        Box::pin(engine(&store).write(scope, Among::Beside, verb))
    };
    let mut asked = [Scope::Tenant(w.tenant), Scope::Every, Scope::Tenant(w.tenant)].map(seen);
    // They wait for one batch.
    for one in &mut asked {
        assert!(poll!(one).is_pending());
    }
    busy.ends().await;
    let seen = futures_util::future::join_all(asked).await;
    let seen: Vec<String> = seen.into_iter().map(|seen| seen.unwrap().unwrap()).collect();
    assert_eq!(seen[1], "*");
    assert!(seen[0] != "*" && seen[0] == seen[2], "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_look_at_the_backlog_ends_soon_and_is_one_at_a_time() {
    const LOCK: Sql = Sql::of("LOCK TABLE deliveries");
    let w = World::<Postgres>::new().await;
    w.store.backlog(w.now()).await.unwrap();
    let lock = |conn: Conn<'_>| execute(conn, LOCK, params![]).map(|_| ());
    let held = Held::by(&gateway(&w, 80, 1), (Scope::Nobody, Among::Beside), lock).inside().await;
    let mut first = w.store.backlog(w.now());
    assert!(poll!(&mut first).is_pending());
    let second = w.store.backlog(w.now()).await;
    assert!(matches!(second, Err(StoreError::Unavailable(why)) if why.contains("already")), "{second:?}");
    // Sooner than a lock is waited for, which would be told in other words.
    let first = first.await;
    assert!(matches!(first, Err(StoreError::Unavailable(why)) if why.contains("took too long")), "{first:?}");
    held.ends().await;
    w.store.backlog(w.now()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_gateway_looks_after_partitions_and_waits_shortly() {
    const LEASED: &str = "SELECT count(*) FROM job_leases WHERE job = 'partitions'";
    let w = World::<Postgres>::new().await;
    let connector = Arc::new(Connector::new(&Secret::new(&*w.backend.dsn), false).unwrap());
    let keep = async |seed| {
        let entropy = SeededEntropy::new(seed);
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&w.clock);
        let keeper = Keeper::new(Arc::clone(&connector), clock, &entropy);
        // A lock that somebody has just then is waited for by coming again.
        let kept = move || {
            loop {
                match keeper.keep() {
                    Err(StoreError::Unavailable(_)) => {}
                    kept => return kept.unwrap(),
                }
            }
        };
        tokio::task::spawn_blocking(kept).await.unwrap()
    };
    until("the first gateway has it", async || psql(&w, LEASED.to_owned()).await.unwrap().trim() == "1").await;
    assert_eq!(keep(90).await, None, "another's");
    w.pass(2 * 3600);
    assert!(keep(91).await.is_some(), "it was not renewed");
    assert_eq!(keep(92).await, None);
    assert!(keep(91).await.is_some(), "its own");
    let waits = "SELECT proconfig::text FROM pg_proc WHERE proname = 'causeway_keep_partitions'".to_owned();
    assert!(psql(&w, waits).await.unwrap().contains("lock_timeout=200ms"));
}
