//! The store in SQL: every verb once, sealed from the first row, over whichever engine keeps the rows.
//!
//! This file lists the verbs and where each is; the engines (`sqlite`, `postgres`) make things durable and read. Verbs do
//! their sealing and opening on the caller's side and keep the engine's part short. They never wait for a vendor, a queue
//! or a blob while a transaction is open.
//!
//! A verb says how it writes: alone in its tenants, beside others of its kind because it touches nothing but rows it
//! locks or makes, or apart because it may take long and nobody relies on what it changes. On SQLite, which has one writer, that is the same; what a verb relies on is written for the other.

pub(in crate::store) mod accept;
pub(in crate::store) mod accounts;
pub(in crate::store) mod ahead;
pub(in crate::store) mod alike;
pub(in crate::store) mod announce;
mod apply_sync;
mod attempt;
mod awaiting;
mod cases;
mod claim;
pub(in crate::store) mod conn;
pub(in crate::store) mod custody;
pub(in crate::store) mod delivery;
mod due;
pub(in crate::store) mod errors;
pub(in crate::store) mod expire;
pub(in crate::store) mod floors;
pub(in crate::store) mod jobs;
pub(in crate::store) mod load;
pub(in crate::store) mod numbers;
mod onboard;
mod operator;
pub(in crate::store) mod pause;
mod postings;
mod read_back;
pub(in crate::store) mod receipts;
mod refuse;
mod rotation;
pub(in crate::store) mod rows;
pub(in crate::store) mod scope;
mod settle;
mod setup;
pub(in crate::store) mod submission;
pub(in crate::store) mod trace;
pub(in crate::store) mod tx;
mod upkeep;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::clock::{Clock, Entropy};
use causeway_core::connector;
use causeway_core::delivery::State;
use causeway_core::email::NormalEmail;
use causeway_core::ids::{AccountId, DeliveryId, KeyId, SubmissionId, TenantId};
use causeway_core::pii::Secret;
use causeway_core::posting::Form;
use causeway_core::reason::Reason;
use jiff::Timestamp;

use self::ahead::About;
use self::conn::Conn;
use self::errors::Op;
use self::floors::Floors;
use self::load::Loads;
use self::numbers::Numbers;
use self::scope::Scope;
use self::tx::Tx;
use super::blobs::{BlobError, Blobs};
use super::finding::Finding;
use super::intake::{
    Accepted, ApplicationView, Decision, EdgeCount, NewApplication, NewRefusal, PostingView, ReadyDelivery, SameRequest,
};
use super::keys::{Keyring, TenantKeys};
use super::onboard::{NewOverlay, OverlayRecord, Recent, Rotate, Sighted, Tick, Which};
use super::postgres::{Among, PostgresEngine};
use super::setup::{
    AccountChanged, AccountRecord, KeyRecord, NewAccount, NewKey, NewTenant, PostingRecord, Sync, SyncReport, Tenant,
};
use super::sqlite::{self, SqliteEngine};
use super::trace::{AuditEntry, Backlog, Case, Erasure, ErasurePlan, Ledger, Lookup, LookupQuery};
use super::trace::{Replayed, Retention, RetentionReport};
use super::vitals::Vitals;
use super::work::{Begun, Claim, ClaimRequest, Claimed, DueAccount, Settled, Settlement, Sighting, Unproven, WorkItem};
use super::{Result, Store, StoreError};
use crate::alike::AlikePolicy;

/// Called when a sync failed: the process must end within a second. The argument is the engine's code.
pub type OnFatal = Arc<dyn Fn(i32) + Send + std::marker::Sync>;

/// What keeps the rows.
pub(in crate::store) enum Engine {
    /// A file of this process's own.
    Sqlite(SqliteEngine),
    /// A server that several processes share.
    Postgres(PostgresEngine),
}

#[cfg(test)]
impl Engine {
    /// For what only this engine can be put through.
    pub(in crate::store) fn sqlite(&self) -> &SqliteEngine {
        match self {
            Self::Sqlite(engine) => engine,
            Self::Postgres(_) => panic!("a store on PostgreSQL"),
        }
    }
}

/// A store that is open.
pub struct SqlStore {
    // Dropped first: it commits what is waiting.
    pub(in crate::store) engine: Engine,
    pub(in crate::store) blobs: Arc<Blobs>,
    pub(in crate::store) keys: Arc<Keyring>,
    pub(in crate::store) clock: Arc<dyn Clock>,
    pub(in crate::store) entropy: Arc<dyn Entropy>,
    pub(in crate::store) on_fatal: OnFatal,
    pub(in crate::store) generation: Arc<AtomicU64>,
    pub(in crate::store) numbers: Numbers,
    pub(in crate::store) vitals: Arc<Vitals>,
    pub(in crate::store) floors: Arc<Floors>,
    /// Held by who looks at the backlog.
    pub(in crate::store) backlogs: Arc<tokio::sync::Mutex<()>>,
    pub(in crate::store) loads: Loads,
}

impl SqlStore {
    /// Runs a verb in the next commit, alone among the writers of its tenants.
    pub(in crate::store) async fn write<T: Send + 'static>(
        &self,
        scope: Scope,
        verb: impl Fn(&mut Tx<'_>) -> Op<T> + Send + 'static,
    ) -> Result<T> {
        match &self.engine {
            Engine::Sqlite(engine) => engine.write(scope, verb).await,
            Engine::Postgres(engine) => engine.write(scope, Among::Alone, verb).await,
        }
    }

    /// [`SqlStore::write`] beside others that write so: for a verb that changes nothing but rows it locks or makes.
    pub(in crate::store) async fn write_beside<T: Send + 'static>(
        &self,
        scope: Scope,
        verb: impl Fn(&mut Tx<'_>) -> Op<T> + Send + 'static,
    ) -> Result<T> {
        match &self.engine {
            Engine::Sqlite(engine) => engine.write(scope, verb).await,
            Engine::Postgres(engine) => engine.write(scope, Among::Beside, verb).await,
        }
    }

    /// [`SqlStore::write`] in a transaction of its own that keeps nobody waiting and waits for nobody: for a verb that may
    /// take long, and locks whatever it has to.
    pub(in crate::store) async fn write_apart<T: Send + 'static>(
        &self,
        scope: Scope,
        verb: impl Fn(&mut Tx<'_>) -> Op<T> + Send + 'static,
    ) -> Result<T> {
        match &self.engine {
            Engine::Sqlite(engine) => engine.write(scope, verb).await,
            Engine::Postgres(engine) => engine.write(scope, Among::Apart, verb).await,
        }
    }

    /// [`SqlStore::write_beside`] for a verb that says what it will ask.
    async fn write_about<T: Send + 'static>(
        &self,
        scope: Scope,
        about: About,
        verb: impl Fn(&mut Tx<'_>) -> Op<T> + Send + 'static,
    ) -> Result<T> {
        match &self.engine {
            Engine::Sqlite(engine) => engine.write(scope, verb).await,
            Engine::Postgres(engine) => engine.write_about(scope, about, verb).await,
        }
    }

    /// Runs a verb in a snapshot.
    pub(in crate::store) async fn read<T: Send + 'static>(
        &self,
        scope: Scope,
        verb: impl FnOnce(Conn<'_>) -> Op<T> + Send + 'static,
    ) -> Result<T> {
        match &self.engine {
            Engine::Sqlite(engine) => engine.read(scope, verb).await,
            Engine::Postgres(engine) => engine.read(scope, verb).await,
        }
    }

    /// [`SqlStore::read`] of several tenants' rows.
    async fn read_of<T: Send + 'static>(
        &self,
        scopes: Vec<Scope>,
        verb: impl FnOnce(Conn<'_>) -> Op<T> + Send + 'static,
    ) -> Result<T> {
        match &self.engine {
            Engine::Sqlite(engine) => engine.read(Scope::Nobody, verb).await,
            Engine::Postgres(engine) => engine.read_of(scopes, verb).await,
        }
    }

    pub(in crate::store) fn tenant_keys(&self, tenant: TenantId) -> Result<Arc<TenantKeys>> {
        self.keys.tenant(tenant).ok_or(StoreError::NotFound("tenant"))
    }
}

#[async_trait]
impl Store for SqlStore {
    async fn create_tenant(&self, tenant: NewTenant) -> Result<Tenant> {
        setup::create_tenant(self, tenant).await
    }
    async fn tenants(&self) -> Result<Vec<Tenant>> {
        setup::tenants(self).await
    }
    async fn add_account(&self, account: NewAccount) -> Result<AccountRecord> {
        accounts::add(self, account).await
    }
    async fn update_account(&self, change: AccountChanged) -> Result<()> {
        accounts::update(self, change).await
    }
    async fn save_overlay(&self, overlay: NewOverlay) -> Result<u32> {
        onboard::save_overlay(self, overlay).await
    }
    async fn overlays(&self, account: AccountId) -> Result<Vec<OverlayRecord>> {
        onboard::overlays(self, account).await
    }
    async fn forms(&self, account: AccountId) -> Result<Vec<Form>> {
        onboard::forms(self, account).await
    }
    async fn recent(&self, account: AccountId, limit: usize) -> Result<Vec<Recent>> {
        onboard::recent(self, account, limit).await
    }
    async fn taken(&self, account: AccountId, limit: usize) -> Result<Vec<Sighted>> {
        onboard::taken(self, account, limit).await
    }
    async fn tick(&self, account: AccountId, tick: Tick) -> Result<()> {
        onboard::tick(self, account, tick).await
    }
    async fn ticks(&self, account: AccountId) -> Result<Vec<Tick>> {
        onboard::ticks(self, account).await
    }
    async fn go_live(&self, account: AccountId, actor: &str, now: Timestamp) -> Result<u64> {
        onboard::go_live(self, account, actor, now).await
    }
    async fn rotate(&self, account: AccountId, step: Rotate, actor: &str, now: Timestamp) -> Result<()> {
        rotation::rotate(self, account, step, actor, now).await
    }
    async fn next_credentials(&self, account: AccountId) -> Result<Option<BTreeMap<String, Secret>>> {
        rotation::next_credentials(self, account).await
    }
    async fn secrets_used(&self, account: AccountId, which: Which, refused: bool, now: Timestamp) -> Result<()> {
        rotation::secrets_used(self, account, which, refused, now).await
    }
    async fn accounts(&self, tenant: Option<TenantId>) -> Result<Vec<AccountRecord>> {
        accounts::list(self, tenant).await
    }
    async fn account(&self, id: AccountId) -> Result<AccountRecord> {
        accounts::one(self, id).await
    }
    async fn credentials(&self, id: AccountId) -> Result<BTreeMap<String, Secret>> {
        accounts::credentials(self, id).await
    }
    async fn pause_account(&self, id: AccountId, reason: Reason, actor: &str, now: Timestamp) -> Result<u64> {
        pause::pause_account(self, id, reason, actor, now).await
    }
    async fn resume_account(&self, id: AccountId, actor: &str, now: Timestamp) -> Result<u64> {
        pause::resume_account(self, id, actor, now).await
    }
    async fn create_key(&self, key: NewKey) -> Result<KeyRecord> {
        setup::create_key(self, key).await
    }
    async fn keys(&self, tenant: TenantId) -> Result<Vec<KeyRecord>> {
        setup::keys(self, tenant).await
    }
    async fn key_by_hash(&self, hash: [u8; 32]) -> Result<Option<KeyRecord>> {
        setup::key_by_hash(self, hash).await
    }
    async fn origins(&self) -> Result<BTreeSet<String>> {
        setup::origins(self).await
    }
    async fn revoke_key(&self, tenant: TenantId, key: KeyId, actor: &str, now: Timestamp) -> Result<()> {
        setup::revoke_key(self, tenant, key, actor, now).await
    }

    async fn apply_sync(&self, sync: Sync) -> Result<SyncReport> {
        apply_sync::apply_sync(self, sync).await
    }
    async fn put_form(&self, account: AccountId, form: &Form, now: Timestamp) -> Result<()> {
        postings::put_form(self, account, form, now).await
    }
    async fn postings(&self, account: AccountId) -> Result<Vec<PostingRecord>> {
        postings::list(self, account).await
    }
    async fn posting_view(&self, tenant: TenantId, posting_id: &str, test: bool) -> Result<PostingView> {
        postings::posting_view(self, tenant, posting_id, test).await
    }
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    async fn new_code(&self) -> Result<String> {
        numbers::new_code(self).await
    }
    async fn accept(&self, application: NewApplication) -> Result<Accepted> {
        accept::accept(self, application).await
    }
    async fn accepted_before(
        &self,
        tenant: TenantId,
        idempotency_key: &str,
        fingerprint: Vec<u8>,
    ) -> Result<Option<Accepted>> {
        accept::accepted_before(self, tenant, idempotency_key, &fingerprint).await
    }
    async fn same_before(&self, same: SameRequest) -> Result<Option<Bytes>> {
        accept::same_before(self, same).await
    }
    async fn record_refusal(&self, refusal: NewRefusal) -> Result<()> {
        refuse::record_refusal(self, refusal).await
    }
    async fn count_edge(&self, counts: Vec<EdgeCount>) -> Result<()> {
        refuse::count_edge(self, counts).await
    }
    async fn application(&self, tenant: TenantId, id: SubmissionId, test: bool) -> Result<ApplicationView> {
        submission::application(self, tenant, id, test).await
    }
    async fn awaiting(&self, limit: usize) -> Result<Vec<ReadyDelivery>> {
        awaiting::awaiting(self, limit).await
    }
    async fn decide_held(
        &self,
        tenant: TenantId,
        delivery: DeliveryId,
        decision: Decision,
        now: Timestamp,
    ) -> Result<()> {
        awaiting::decide_held(self, tenant, delivery, decision, now).await
    }

    async fn due(&self, now: Timestamp) -> Result<(Vec<DueAccount>, Option<Timestamp>)> {
        due::due(self, now).await
    }
    async fn claim(&self, request: ClaimRequest) -> Result<Claimed> {
        claim::claim(self, request).await
    }
    async fn load(&self, claim: &Claim, with_files: bool) -> Result<(WorkItem, Vec<connector::File>)> {
        load::load(self, claim, with_files).await
    }
    async fn begin_attempt(&self, claim: &Claim, step: &str, now: Timestamp) -> Result<Begun> {
        attempt::begin_attempt(self, claim, step, now).await
    }
    async fn settle(&self, settlement: Settlement) -> Result<Settled> {
        settle::settle(self, settlement).await
    }
    async fn release(&self, claim: &Claim, due_at: Timestamp) -> Result<()> {
        expire::release(self, claim, due_at).await
    }
    async fn expire_leases(&self, now: Timestamp) -> Result<(u64, u64)> {
        expire::expire_leases(self, now).await
    }
    async fn probe_alike(&self, policy: &AlikePolicy, now: Timestamp) -> Result<Vec<AccountId>> {
        alike::probe(self, policy, now).await
    }
    async fn unproven(&self, now: Timestamp, limit: usize) -> Result<Vec<Unproven>> {
        read_back::unproven(self, now, limit).await
    }
    async fn load_delivered(&self, unproven: &Unproven) -> Result<WorkItem> {
        load::load_delivered(self, unproven).await
    }
    async fn record_sighting(&self, unproven: &Unproven, sighting: Sighting, now: Timestamp) -> Result<Settled> {
        read_back::record(self, unproven, sighting, now).await
    }

    async fn lookup(&self, query: &LookupQuery) -> Result<Lookup> {
        trace::lookup(self, query).await
    }
    async fn cases(&self, tenant: TenantId, limit: usize) -> Result<Vec<Case>> {
        trace::cases(self, tenant, limit).await
    }
    async fn replay(&self, tenant: TenantId, delivery: DeliveryId, actor: &str, now: Timestamp) -> Result<Replayed> {
        operator::replay(self, tenant, delivery, actor, now).await
    }
    async fn cancel(&self, tenant: TenantId, delivery: DeliveryId, actor: &str, now: Timestamp) -> Result<()> {
        operator::cancel(self, tenant, delivery, actor, now).await
    }
    async fn erasure_plan(&self, tenant: TenantId, email: &NormalEmail) -> Result<ErasurePlan> {
        trace::erasure_plan(self, tenant, email).await
    }
    async fn erase(&self, tenant: TenantId, email: &NormalEmail, actor: &str, now: Timestamp) -> Result<Erasure> {
        trace::erase(self, tenant, email, actor, now).await
    }
    async fn audit(&self, entry: AuditEntry) -> Result<()> {
        operator::audit(self, entry).await
    }
    async fn verify_audit(&self, tenant: TenantId) -> Result<Option<u64>> {
        trace::verify_audit(self, tenant).await
    }
    async fn anchor_audit(&self, now: Timestamp) -> Result<u64> {
        match &self.engine {
            Engine::Sqlite(engine) => sqlite::anchor::anchor(self, engine, now).await,
            // Nothing of the gateway's own stands beside it; what guards a server's history is its owner's.
            Engine::Postgres(_) => Ok(0),
        }
    }

    async fn retain(&self, retention: &Retention, now: Timestamp, limit: usize) -> Result<RetentionReport> {
        trace::retain(self, retention, now, limit).await
    }
    async fn lease_job(&self, job: &str, owner: &str, now: Timestamp, lease: Duration) -> Result<Option<u64>> {
        upkeep::lease_job(self, job, owner, now, lease).await
    }
    async fn sweep_blobs(&self, now: Timestamp) -> Result<u64> {
        upkeep::sweep_blobs(self, now).await
    }
    async fn examine(&self) -> Result<Vec<Finding>> {
        match &self.engine {
            Engine::Sqlite(engine) => sqlite::examine::examine(self, engine).await,
            Engine::Postgres(engine) => engine.examine(Arc::clone(&self.keys)).await,
        }
    }
    async fn time(&self) -> Result<Option<Timestamp>> {
        upkeep::time(self).await
    }
    async fn census(&self) -> Result<BTreeMap<State, u64>> {
        upkeep::census(self).await
    }
    async fn ledger(&self) -> Result<Ledger> {
        upkeep::ledger(self).await
    }
    async fn backlog(&self, now: Timestamp) -> Result<Backlog> {
        upkeep::backlog(self, now).await
    }
    fn vitals(&self) -> Arc<Vitals> {
        Arc::clone(&self.vitals)
    }
    async fn close(&self) {
        match &self.engine {
            Engine::Sqlite(engine) => engine.close(),
            Engine::Postgres(engine) => engine.close().await,
        }
    }
}

/// What a failed blob means for the store: a disk error under a promised file ends the process, as a failed sync does.
pub(in crate::store) fn blob_error(store: &SqlStore, error: &BlobError) -> StoreError {
    match error {
        BlobError::Unavailable => StoreError::Unavailable("the attachments cannot be written or read now"),
        BlobError::Disk => {
            tracing::error!("the disk failed under an attachment: the process ends");
            (store.on_fatal)(0);
            StoreError::Unavailable("the disk failed")
        }
        BlobError::Missing | BlobError::DoesNotOpen => StoreError::Corrupt("attachment"),
        BlobError::Other(source) => StoreError::Failed(format!("blob folder: {}", source.kind())),
    }
}
