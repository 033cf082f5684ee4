//! A store over a store: what it does not answer itself goes to the one below. For decorators, such as the load tests'
//! broken gateways, and for test doubles, which stand over a store that refuses everything.
//!
//! The list of verbs stands here once, so a new verb is added here and in the backends, and in no double. It decides
//! nothing; a backend never implements [`Over`], so none can leave a verb out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::connector::File;
use causeway_core::delivery::State;
use causeway_core::email::NormalEmail;
use causeway_core::ids::{AccountId, DeliveryId, KeyId, SubmissionId, TenantId};
use causeway_core::pii::Secret;
use causeway_core::posting::Form;
use causeway_core::reason::Reason;
use jiff::Timestamp;

use super::finding::Finding;
use super::intake::{
    Accepted, ApplicationView, Decision, EdgeCount, NewApplication, NewRefusal, PostingView, ReadyDelivery, SameRequest,
};
use super::onboard::{NewOverlay, OverlayRecord, Recent, Rotate, Sighted, Tick, Which};
use super::setup::{
    AccountChanged, AccountRecord, KeyRecord, NewAccount, NewKey, NewTenant, PostingRecord, Sync, SyncReport, Tenant,
};
use super::trace::{AuditEntry, Backlog, Case, Erasure, ErasurePlan, Ledger, Lookup, LookupQuery};
use super::trace::{Replayed, Retention, RetentionReport};
use super::vitals::Vitals;
use super::work::{Begun, Claim, ClaimRequest, Claimed, DueAccount, Settled, Settlement, Sighting, Unproven, WorkItem};
use super::{Result, Store};
use crate::alike::AlikePolicy;

macro_rules! verbs {
    ($($verb:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        /// See the module's documentation. Whatever implements it is a [`Store`].
        #[async_trait]
        pub trait Over: Send + std::marker::Sync {
            /// The store below.
            fn below(&self) -> &dyn Store;

            /// As [`Store::generation`], of the store below.
            fn generation(&self) -> u64 {
                self.below().generation()
            }

            /// As [`Store::vitals`], of the store below.
            fn vitals(&self) -> Arc<Vitals> {
                self.below().vitals()
            }

            /// As [`Store::close`], of the store below.
            async fn close(&self) {
                self.below().close().await;
            }

            $(
                #[doc = concat!("As [`Store::", stringify!($verb), "`], of the store below.")]
                async fn $verb(&self $(, $arg: $type)*) -> Result<$answer> {
                    self.below().$verb($($arg),*).await
                }
            )*
        }

        #[async_trait]
        impl<T: Over> Store for T {
            fn generation(&self) -> u64 {
                Over::generation(self)
            }

            fn vitals(&self) -> Arc<Vitals> {
                Over::vitals(self)
            }

            async fn close(&self) {
                Over::close(self).await;
            }

            $(
                async fn $verb(&self $(, $arg: $type)*) -> Result<$answer> {
                    Over::$verb(self $(, $arg)*).await
                }
            )*
        }

        /// Refuses everything: what stands below a test double.
        #[cfg(test)]
        pub(crate) struct Nothing;

        #[cfg(test)]
        #[async_trait]
        #[expect(unused_variables, reason = "it looks at nothing")]
        impl Store for Nothing {
            fn generation(&self) -> u64 {
                1
            }

            fn vitals(&self) -> Arc<Vitals> {
                let clock = causeway_core::clock::ManualClock::at(Timestamp::UNIX_EPOCH);
                Vitals::new(Arc::new(clock), Arc::default())
            }

            async fn close(&self) {}

            $(
                async fn $verb(&self $(, $arg: $type)*) -> Result<$answer> {
                    Err(super::StoreError::Failed(concat!("no ", stringify!($verb), " in this double").to_owned()))
                }
            )*
        }
    };
}

verbs! {
    create_tenant(tenant: NewTenant) -> Tenant;
    tenants() -> Vec<Tenant>;
    add_account(account: NewAccount) -> AccountRecord;
    update_account(change: AccountChanged) -> ();
    accounts(tenant: Option<TenantId>) -> Vec<AccountRecord>;
    account(id: AccountId) -> AccountRecord;
    credentials(id: AccountId) -> BTreeMap<String, Secret>;
    pause_account(id: AccountId, reason: Reason, actor: &str, now: Timestamp) -> u64;
    resume_account(id: AccountId, actor: &str, now: Timestamp) -> u64;
    create_key(key: NewKey) -> KeyRecord;
    keys(tenant: TenantId) -> Vec<KeyRecord>;
    key_by_hash(hash: [u8; 32]) -> Option<KeyRecord>;
    origins() -> BTreeSet<String>;
    revoke_key(tenant: TenantId, key: KeyId, actor: &str, now: Timestamp) -> ();
    save_overlay(overlay: NewOverlay) -> u32;
    overlays(account: AccountId) -> Vec<OverlayRecord>;
    forms(account: AccountId) -> Vec<Form>;
    recent(account: AccountId, limit: usize) -> Vec<Recent>;
    taken(account: AccountId, limit: usize) -> Vec<Sighted>;
    tick(account: AccountId, tick: Tick) -> ();
    ticks(account: AccountId) -> Vec<Tick>;
    go_live(account: AccountId, actor: &str, now: Timestamp) -> u64;
    rotate(account: AccountId, step: Rotate, actor: &str, now: Timestamp) -> ();
    next_credentials(account: AccountId) -> Option<BTreeMap<String, Secret>>;
    secrets_used(account: AccountId, which: Which, refused: bool, now: Timestamp) -> ();
    apply_sync(sync: Sync) -> SyncReport;
    put_form(account: AccountId, form: &Form, now: Timestamp) -> ();
    postings(account: AccountId) -> Vec<PostingRecord>;
    posting_view(tenant: TenantId, posting_id: &str, test: bool) -> PostingView;
    new_code() -> String;
    accept(application: NewApplication) -> Accepted;
    accepted_before(tenant: TenantId, idempotency_key: &str, fingerprint: Vec<u8>) -> Option<Accepted>;
    same_before(same: SameRequest) -> Option<Bytes>;
    record_refusal(refusal: NewRefusal) -> ();
    count_edge(counts: Vec<EdgeCount>) -> ();
    application(tenant: TenantId, id: SubmissionId, test: bool) -> ApplicationView;
    awaiting(limit: usize) -> Vec<ReadyDelivery>;
    decide_held(tenant: TenantId, delivery: DeliveryId, decision: Decision, now: Timestamp) -> ();
    due(now: Timestamp) -> (Vec<DueAccount>, Option<Timestamp>);
    claim(request: ClaimRequest) -> Claimed;
    load(claim: &Claim, with_files: bool) -> (WorkItem, Vec<File>);
    begin_attempt(claim: &Claim, step: &str, now: Timestamp) -> Begun;
    settle(settlement: Settlement) -> Settled;
    release(claim: &Claim, due_at: Timestamp) -> ();
    expire_leases(now: Timestamp) -> (u64, u64);
    probe_alike(policy: &AlikePolicy, now: Timestamp) -> Vec<AccountId>;
    unproven(now: Timestamp, limit: usize) -> Vec<Unproven>;
    load_delivered(unproven: &Unproven) -> WorkItem;
    record_sighting(unproven: &Unproven, sighting: Sighting, now: Timestamp) -> Settled;
    lookup(query: &LookupQuery) -> Lookup;
    cases(tenant: TenantId, limit: usize) -> Vec<Case>;
    replay(tenant: TenantId, delivery: DeliveryId, actor: &str, now: Timestamp) -> Replayed;
    cancel(tenant: TenantId, delivery: DeliveryId, actor: &str, now: Timestamp) -> ();
    erasure_plan(tenant: TenantId, email: &NormalEmail) -> ErasurePlan;
    erase(tenant: TenantId, email: &NormalEmail, actor: &str, now: Timestamp) -> Erasure;
    audit(entry: AuditEntry) -> ();
    verify_audit(tenant: TenantId) -> Option<u64>;
    anchor_audit(now: Timestamp) -> u64;
    retain(retention: &Retention, now: Timestamp, limit: usize) -> RetentionReport;
    lease_job(job: &str, owner: &str, now: Timestamp, lease: Duration) -> Option<u64>;
    sweep_blobs(now: Timestamp) -> u64;
    time() -> Option<Timestamp>;
    examine() -> Vec<Finding>;
    census() -> BTreeMap<State, u64>;
    ledger() -> Ledger;
    backlog(now: Timestamp) -> Backlog;
}
