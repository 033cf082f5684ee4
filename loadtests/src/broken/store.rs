//! The store with one promise broken; everything else goes straight through.
//!
//! These stand here, in a binary of their own, so that nothing in `causeway` can be told to break a promise. Each is what
//! a plausible shortcut would do, and the checker has to notice it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use causeway::store::intake::{
    Accepted, ApplicationView, Decision, EdgeCount, NewApplication, NewRefusal, PostingView, ReadyDelivery,
};
use causeway::store::setup::{
    AccountRecord, KeyRecord, NewAccount, NewKey, NewTenant, PostingRecord, Sync, SyncReport, Tenant,
};
use causeway::store::trace::{AuditEntry, Case, Erasure, ErasurePlan, Lookup, LookupQuery, Retention, RetentionReport};
use causeway::store::work::{
    Begun, Claim, ClaimRequest, DueAccount, Settled, Settlement, Sighting, Unproven, WorkItem,
};
use causeway::store::{Result, Store};
use causeway_core::connector::File;
use causeway_core::delivery::State;
use causeway_core::email::NormalEmail;
use causeway_core::ids::{AccountId, DeliveryId, KeyId, SubmissionId, TenantId};
use causeway_core::pii::Secret;
use causeway_core::posting::Form;
use causeway_core::reason::Reason;
use jiff::Timestamp;

use super::apart;

/// Which promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Promise {
    /// The application and its deliveries are one transaction.
    TwoCommits,
    /// The answer waits for the sync.
    SyncOff,
    /// "Not seen" counts only after the vendor's lag.
    NoLag,
}

/// The decorated store.
pub(crate) struct Broken {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) promise: Promise,
    pub(crate) database: PathBuf,
}

#[async_trait]
impl Store for Broken {
    async fn accept(&self, application: NewApplication) -> Result<Accepted> {
        match self.promise {
            Promise::NoLag => self.inner.accept(application).await,
            Promise::SyncOff => {
                let ring = application.deliveries.iter().map(|delivery| delivery.account).collect();
                let inner = Arc::clone(&self.inner);
                #[expect(clippy::disallowed_methods, reason = "nobody waits for it: that is the broken promise")]
                tokio::spawn(async move { drop(inner.accept(application).await) });
                Ok(Accepted::New { repeat_of: None, ring })
            }
            Promise::TwoCommits => {
                let id = application.id;
                let accepted = self.inner.accept(application).await?;
                if matches!(accepted, Accepted::New { .. }) {
                    apart::commit_deliveries_later(self.database.clone(), id).await;
                }
                Ok(accepted)
            }
        }
    }

    async fn load(&self, claim: &Claim, with_files: bool) -> Result<(WorkItem, Vec<File>)> {
        let (mut item, files) = self.inner.load(claim, with_files).await?;
        if self.promise == Promise::NoLag {
            item.account.account.settings.insert("visibility_lag_ms".to_owned(), serde_json::json!(1));
        }
        Ok((item, files))
    }

    async fn create_tenant(&self, tenant: NewTenant) -> Result<Tenant> {
        self.inner.create_tenant(tenant).await
    }

    async fn tenants(&self) -> Result<Vec<Tenant>> {
        self.inner.tenants().await
    }

    async fn add_account(&self, account: NewAccount) -> Result<AccountRecord> {
        self.inner.add_account(account).await
    }

    async fn update_account(
        &self,
        account: AccountRecord,
        credentials: Option<BTreeMap<String, Secret>>,
    ) -> Result<()> {
        self.inner.update_account(account, credentials).await
    }

    async fn accounts(&self, tenant: Option<TenantId>) -> Result<Vec<AccountRecord>> {
        self.inner.accounts(tenant).await
    }

    async fn account(&self, id: AccountId) -> Result<AccountRecord> {
        self.inner.account(id).await
    }

    async fn credentials(&self, id: AccountId) -> Result<BTreeMap<String, Secret>> {
        self.inner.credentials(id).await
    }

    async fn pause_account(&self, id: AccountId, reason: Reason, actor: &str, now: Timestamp) -> Result<u64> {
        self.inner.pause_account(id, reason, actor, now).await
    }

    async fn resume_account(&self, id: AccountId, actor: &str, now: Timestamp) -> Result<u64> {
        self.inner.resume_account(id, actor, now).await
    }

    async fn create_key(&self, key: NewKey) -> Result<KeyRecord> {
        self.inner.create_key(key).await
    }

    async fn keys(&self, tenant: TenantId) -> Result<Vec<KeyRecord>> {
        self.inner.keys(tenant).await
    }

    async fn key_by_hash(&self, hash: [u8; 32]) -> Result<Option<KeyRecord>> {
        self.inner.key_by_hash(hash).await
    }

    async fn origins(&self) -> Result<BTreeSet<String>> {
        self.inner.origins().await
    }

    async fn revoke_key(&self, tenant: TenantId, key: KeyId, actor: &str, now: Timestamp) -> Result<()> {
        self.inner.revoke_key(tenant, key, actor, now).await
    }

    async fn apply_sync(&self, sync: Sync) -> Result<SyncReport> {
        self.inner.apply_sync(sync).await
    }

    async fn put_form(&self, account: AccountId, form: &Form, now: Timestamp) -> Result<()> {
        self.inner.put_form(account, form, now).await
    }

    async fn postings(&self, account: AccountId) -> Result<Vec<PostingRecord>> {
        self.inner.postings(account).await
    }

    async fn posting_view(&self, tenant: TenantId, posting_id: &str, test: bool) -> Result<PostingView> {
        self.inner.posting_view(tenant, posting_id, test).await
    }

    fn generation(&self) -> u64 {
        self.inner.generation()
    }

    async fn accepted_before(
        &self,
        tenant: TenantId,
        idempotency_key: &str,
        fingerprint: Vec<u8>,
    ) -> Result<Option<Accepted>> {
        self.inner.accepted_before(tenant, idempotency_key, fingerprint).await
    }

    async fn record_refusal(&self, refusal: NewRefusal) -> Result<()> {
        self.inner.record_refusal(refusal).await
    }

    async fn count_edge(&self, counts: Vec<EdgeCount>) -> Result<()> {
        self.inner.count_edge(counts).await
    }

    async fn application(&self, tenant: TenantId, id: SubmissionId) -> Result<ApplicationView> {
        self.inner.application(tenant, id).await
    }

    async fn awaiting(&self, limit: usize) -> Result<Vec<ReadyDelivery>> {
        self.inner.awaiting(limit).await
    }

    async fn decide_held(&self, delivery: DeliveryId, decision: Decision, now: Timestamp) -> Result<()> {
        self.inner.decide_held(delivery, decision, now).await
    }

    async fn due(&self, now: Timestamp) -> Result<(Vec<DueAccount>, Option<Timestamp>)> {
        self.inner.due(now).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claim>> {
        self.inner.claim(request).await
    }

    async fn begin_attempt(&self, claim: &Claim, step: &str, now: Timestamp) -> Result<Begun> {
        self.inner.begin_attempt(claim, step, now).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled> {
        self.inner.settle(settlement).await
    }

    async fn release(&self, claim: &Claim, due_at: Timestamp) -> Result<()> {
        self.inner.release(claim, due_at).await
    }

    async fn expire_leases(&self, now: Timestamp) -> Result<(u64, u64)> {
        self.inner.expire_leases(now).await
    }

    async fn unproven(&self, now: Timestamp, limit: usize) -> Result<Vec<Unproven>> {
        self.inner.unproven(now, limit).await
    }

    async fn load_delivered(&self, unproven: &Unproven) -> Result<WorkItem> {
        self.inner.load_delivered(unproven).await
    }

    async fn record_sighting(&self, unproven: &Unproven, sighting: Sighting, now: Timestamp) -> Result<Settled> {
        self.inner.record_sighting(unproven, sighting, now).await
    }

    async fn lookup(&self, query: &LookupQuery) -> Result<Lookup> {
        self.inner.lookup(query).await
    }

    async fn cases(&self, tenant: TenantId, limit: usize) -> Result<Vec<Case>> {
        self.inner.cases(tenant, limit).await
    }

    async fn replay(&self, tenant: TenantId, delivery: DeliveryId, actor: &str, now: Timestamp) -> Result<()> {
        self.inner.replay(tenant, delivery, actor, now).await
    }

    async fn cancel(&self, tenant: TenantId, delivery: DeliveryId, actor: &str, now: Timestamp) -> Result<()> {
        self.inner.cancel(tenant, delivery, actor, now).await
    }

    async fn erasure_plan(&self, tenant: TenantId, email: &NormalEmail) -> Result<ErasurePlan> {
        self.inner.erasure_plan(tenant, email).await
    }

    async fn erase(&self, tenant: TenantId, email: &NormalEmail, actor: &str, now: Timestamp) -> Result<Erasure> {
        self.inner.erase(tenant, email, actor, now).await
    }

    async fn audit(&self, entry: AuditEntry) -> Result<()> {
        self.inner.audit(entry).await
    }

    async fn verify_audit(&self, tenant: TenantId) -> Result<Option<u64>> {
        self.inner.verify_audit(tenant).await
    }

    async fn retain(&self, retention: &Retention, now: Timestamp, limit: usize) -> Result<RetentionReport> {
        self.inner.retain(retention, now, limit).await
    }

    async fn lease_job(&self, job: &str, owner: &str, now: Timestamp, lease: Duration) -> Result<Option<u64>> {
        self.inner.lease_job(job, owner, now, lease).await
    }

    async fn sweep_blobs(&self, now: Timestamp) -> Result<u64> {
        self.inner.sweep_blobs(now).await
    }

    async fn census(&self) -> Result<BTreeMap<State, u64>> {
        self.inner.census().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
