//! A store that holds what a test gave it, for support's own tests. The store's suite tests stores.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use causeway_core::connector::File;
use causeway_core::delivery::{HeldCause, State};
use causeway_core::email::NormalEmail;
use causeway_core::ids::{AccountId, DeliveryId, KeyId, SubmissionId, TenantId};
use causeway_core::pii::Secret;
use causeway_core::posting::Form;
use causeway_core::reason::Reason;
use jiff::Timestamp;

use crate::store::intake::{
    Accepted, ApplicationView, Decision, EdgeCount, NewApplication, NewRefusal, PostingView, ReadyDelivery,
};
use crate::store::setup::{
    AccountRecord, KeyRecord, NewAccount, NewKey, NewTenant, PostingRecord, Sync, SyncReport, Tenant,
};
use crate::store::trace::{AuditEntry, Case, Erasure, ErasurePlan, Lookup, LookupQuery, Retention, RetentionReport};
use crate::store::work::{Begun, Claim, ClaimRequest, DueAccount, Settled, Settlement, Sighting, Unproven, WorkItem};
use crate::store::{Result, Store, StoreError};

/// What the test gave, and what was written.
#[derive(Default)]
pub(crate) struct TestStore {
    pub(crate) lookup: Lookup,
    pub(crate) cases: Vec<Case>,
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) accounts: Vec<AccountRecord>,
    pub(crate) key: Option<([u8; 32], KeyRecord)>,
    pub(crate) state: Option<State>,
    pub(crate) held: Option<HeldCause>,
    pub(crate) audit_fails: bool,
    pub(crate) audited: Mutex<Vec<AuditEntry>>,
}

/// What support never asks of its store.
fn absent<T>() -> Result<T> {
    Err(StoreError::Failed("not in this fake".to_owned()))
}

#[async_trait]
impl Store for TestStore {
    async fn lookup(&self, _query: &LookupQuery) -> Result<Lookup> {
        Ok(self.lookup.clone())
    }
    async fn cases(&self, _tenant: TenantId, limit: usize) -> Result<Vec<Case>> {
        Ok(self.cases.iter().take(limit).cloned().collect())
    }
    async fn replay(&self, _tenant: TenantId, _delivery: DeliveryId, _actor: &str, _now: Timestamp) -> Result<()> {
        match self.state {
            Some(from) if !from.may_become(State::Queued) || from.is_live() => {
                Err(StoreError::IllegalMove { from, to: State::Queued })
            }
            Some(_) => match self.held {
                Some(cause) => Err(StoreError::EndsByItself(cause)),
                None => Ok(()),
            },
            None => Err(StoreError::NotFound("delivery")),
        }
    }
    async fn cancel(&self, _tenant: TenantId, _delivery: DeliveryId, _actor: &str, _now: Timestamp) -> Result<()> {
        match self.state {
            Some(from) if !from.may_become(State::Cancelled) => {
                Err(StoreError::IllegalMove { from, to: State::Cancelled })
            }
            Some(_) => Ok(()),
            None => Err(StoreError::NotFound("delivery")),
        }
    }
    async fn audit(&self, entry: AuditEntry) -> Result<()> {
        if self.audit_fails {
            return Err(StoreError::Unavailable("disk full"));
        }
        self.audited.lock().unwrap().push(entry);
        Ok(())
    }
    async fn tenants(&self) -> Result<Vec<Tenant>> {
        Ok(self.tenants.clone())
    }
    async fn accounts(&self, tenant: Option<TenantId>) -> Result<Vec<AccountRecord>> {
        let ours = |record: &&AccountRecord| tenant.is_none_or(|tenant| record.account.tenant == tenant);
        Ok(self.accounts.iter().filter(ours).cloned().collect())
    }
    async fn key_by_hash(&self, hash: [u8; 32]) -> Result<Option<KeyRecord>> {
        Ok(self.key.as_ref().filter(|(known, _)| *known == hash).map(|(_, record)| record.clone()))
    }
    async fn resume_account(&self, _id: AccountId, _actor: &str, _now: Timestamp) -> Result<u64> {
        Ok(3)
    }
    fn generation(&self) -> u64 {
        1
    }
    async fn create_tenant(&self, _tenant: NewTenant) -> Result<Tenant> {
        absent()
    }
    async fn add_account(&self, _account: NewAccount) -> Result<AccountRecord> {
        absent()
    }
    async fn update_account(
        &self,
        _account: AccountRecord,
        _credentials: Option<BTreeMap<String, Secret>>,
    ) -> Result<()> {
        absent()
    }
    async fn account(&self, _id: AccountId) -> Result<AccountRecord> {
        absent()
    }
    async fn credentials(&self, _id: AccountId) -> Result<BTreeMap<String, Secret>> {
        absent()
    }
    async fn pause_account(&self, _id: AccountId, _reason: Reason, _actor: &str, _now: Timestamp) -> Result<u64> {
        absent()
    }
    async fn create_key(&self, _key: NewKey) -> Result<KeyRecord> {
        absent()
    }
    async fn keys(&self, _tenant: TenantId) -> Result<Vec<KeyRecord>> {
        absent()
    }
    async fn origins(&self) -> Result<BTreeSet<String>> {
        unreachable!()
    }
    async fn revoke_key(&self, _tenant: TenantId, _key: KeyId, _actor: &str, _now: Timestamp) -> Result<()> {
        absent()
    }
    async fn apply_sync(&self, _sync: Sync) -> Result<SyncReport> {
        absent()
    }
    async fn put_form(&self, _account: AccountId, _form: &Form, _now: Timestamp) -> Result<()> {
        absent()
    }
    async fn postings(&self, _account: AccountId) -> Result<Vec<PostingRecord>> {
        absent()
    }
    async fn posting_view(&self, _tenant: TenantId, _posting_id: &str, _: bool) -> Result<PostingView> {
        absent()
    }
    async fn accept(&self, _application: NewApplication) -> Result<Accepted> {
        absent()
    }
    async fn accepted_before(&self, _: TenantId, _: &str, _: Vec<u8>) -> Result<Option<Accepted>> {
        absent()
    }
    async fn record_refusal(&self, _refusal: NewRefusal) -> Result<()> {
        absent()
    }
    async fn count_edge(&self, _counts: Vec<EdgeCount>) -> Result<()> {
        absent()
    }
    async fn application(&self, _tenant: TenantId, _id: SubmissionId) -> Result<ApplicationView> {
        absent()
    }
    async fn awaiting(&self, _limit: usize) -> Result<Vec<ReadyDelivery>> {
        absent()
    }
    async fn decide_held(&self, _delivery: DeliveryId, _decision: Decision, _now: Timestamp) -> Result<()> {
        absent()
    }
    async fn due(&self, _now: Timestamp) -> Result<(Vec<DueAccount>, Option<Timestamp>)> {
        absent()
    }
    async fn claim(&self, _request: ClaimRequest) -> Result<Vec<Claim>> {
        absent()
    }
    async fn load(&self, _claim: &Claim, _with_files: bool) -> Result<(WorkItem, Vec<File>)> {
        absent()
    }
    async fn begin_attempt(&self, _claim: &Claim, _step: &str, _now: Timestamp) -> Result<Begun> {
        absent()
    }
    async fn settle(&self, _settlement: Settlement) -> Result<Settled> {
        absent()
    }
    async fn release(&self, _claim: &Claim, _due_at: Timestamp) -> Result<()> {
        absent()
    }
    async fn expire_leases(&self, _now: Timestamp) -> Result<(u64, u64)> {
        absent()
    }
    async fn unproven(&self, _now: Timestamp, _limit: usize) -> Result<Vec<Unproven>> {
        absent()
    }
    async fn load_delivered(&self, _unproven: &Unproven) -> Result<WorkItem> {
        absent()
    }
    async fn record_sighting(&self, _unproven: &Unproven, _sighting: Sighting, _now: Timestamp) -> Result<Settled> {
        absent()
    }
    async fn erasure_plan(&self, _tenant: TenantId, _email: &NormalEmail) -> Result<ErasurePlan> {
        absent()
    }
    async fn erase(&self, _tenant: TenantId, _email: &NormalEmail, _actor: &str, _now: Timestamp) -> Result<Erasure> {
        absent()
    }
    async fn verify_audit(&self, _tenant: TenantId) -> Result<Option<u64>> {
        absent()
    }
    async fn retain(&self, _retention: &Retention, _now: Timestamp, _limit: usize) -> Result<RetentionReport> {
        absent()
    }
    async fn lease_job(&self, _job: &str, _owner: &str, _now: Timestamp, _lease: Duration) -> Result<Option<u64>> {
        absent()
    }
    async fn sweep_blobs(&self, _now: Timestamp) -> Result<u64> {
        absent()
    }
    async fn census(&self) -> Result<BTreeMap<State, u64>> {
        absent()
    }
    async fn close(&self) {
        // Nothing is open.
    }
}
