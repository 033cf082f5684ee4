//! A store of a few maps and two connectors of no vendor, for the tests of intake and ingress. It keeps only what those
//! two can see; the store's own contract is tested by its suite.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use causeway_core::account::{Account, OnInvalid, OnUnknown, Repeats, Role};
use causeway_core::clock::{ManualClock, SeededEntropy};
use causeway_core::connector::{Connector, Delivery, Descriptor, File, FindSupport, Http, Limits, Permission};
use causeway_core::delivery::{State, StepPlan};
use causeway_core::email::NormalEmail;
use causeway_core::ids::{AccountId, DeliveryId, KeyId, SubmissionId, TenantId};
use causeway_core::outcome::Outcome;
use causeway_core::pii::Secret;
use causeway_core::posting::{Form, Posting};
use causeway_core::reason::Reason;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{Config, Intake, IntakeParts, SyncBell};
use crate::queue::Bell;
use crate::schema::Schemas;
use crate::store::intake::{
    Accepted, ApplicationView, Decision, EdgeCount, NewApplication, NewRefusal, PostingView, ReadyDelivery,
};
use crate::store::setup::{
    AccountRecord, KeyRecord, NewAccount, NewKey, NewTenant, PostingRecord, Sync as Listed, SyncReport, Tenant,
};
use crate::store::trace::{AuditEntry, Case, Erasure, ErasurePlan, Lookup, LookupQuery, Retention, RetentionReport};
use crate::store::work::{Begun, Claim, ClaimRequest, DueAccount, Settled, Settlement, Sighting, Unproven, WorkItem};
use crate::store::{Result, Store, StoreError};

/// How the store behaves from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mood {
    #[default]
    Well,
    /// Disk full.
    Full,
    /// Answers nothing.
    Stuck,
    /// A bug.
    Panics,
}

#[derive(Default)]
pub(crate) struct Inside {
    pub(crate) mood: Mood,
    pub(crate) keys: HashMap<[u8; 32], KeyRecord>,
    pub(crate) views: HashMap<(TenantId, String), PostingView>,
    pub(crate) accepted: Vec<NewApplication>,
    pub(crate) refused: Vec<NewRefusal>,
    pub(crate) edge: Vec<EdgeCount>,
    pub(crate) ready: Vec<ReadyDelivery>,
    pub(crate) decided: Vec<(DeliveryId, Decision)>,
    pub(crate) codes_to_refuse: usize,
    pub(crate) key_lookups: usize,
    pub(crate) view_lookups: usize,
}

#[derive(Default)]
pub(crate) struct FakeStore {
    inside: Mutex<Inside>,
    generation: AtomicU64,
    /// Told whenever something reaches the store.
    pub(crate) reached: Notify,
}

impl FakeStore {
    pub(crate) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    pub(crate) fn changed(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    async fn mood(&self) -> Result<()> {
        self.reached.notify_one();
        let mood = self.inside().mood;
        match mood {
            Mood::Well => Ok(()),
            Mood::Full => Err(StoreError::Unavailable("disk full")),
            Mood::Stuck => std::future::pending().await,
            Mood::Panics => panic!("Zqxmarker in a panic"),
        }
    }
}

#[async_trait]
#[expect(unused_variables, reason = "most verbs are not used here")]
impl Store for FakeStore {
    async fn key_by_hash(&self, hash: [u8; 32]) -> Result<Option<KeyRecord>> {
        self.inside().key_lookups += 1;
        Ok(self.inside().keys.get(&hash).cloned())
    }

    async fn posting_view(&self, tenant: TenantId, posting_id: &str, test: bool) -> Result<PostingView> {
        self.inside().view_lookups += 1;
        let inside = self.inside();
        let known = inside.views.get(&(tenant, posting_id.to_owned()));
        let mut view = known.or_else(|| inside.views.get(&(tenant, String::new()))).cloned().unwrap_or_default();
        view.accounts.retain(|record| record.sandbox == test);
        let listed = |posting: &PostingRecord| view.accounts.iter().any(|record| record.account.id == posting.account);
        view.posting = view.posting.take().filter(listed);
        view.form = view.form.filter(|_| view.posting.is_some());
        Ok(view)
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    async fn accept(&self, application: NewApplication) -> Result<Accepted> {
        self.mood().await?;
        let mut inside = self.inside();
        let before = inside.accepted.iter().find(|old| {
            old.tenant == application.tenant
                && old.idempotency_key.is_some()
                && old.idempotency_key == application.idempotency_key
        });
        if let Some(before) = before {
            let same = before.fingerprint == application.fingerprint;
            return Ok(if same { Accepted::Before { receipt: before.receipt.clone() } } else { Accepted::KeyReused });
        }
        if inside.codes_to_refuse > 0 {
            inside.codes_to_refuse -= 1;
            return Ok(Accepted::CodeTaken);
        }
        let due = application.deliveries.iter().filter(|delivery| delivery.held.is_none());
        let ring = due.map(|delivery| delivery.account).collect();
        inside.accepted.push(application);
        Ok(Accepted::New { repeat_of: None, ring })
    }

    async fn accepted_before(&self, tenant: TenantId, key: &str, fingerprint: Vec<u8>) -> Result<Option<Accepted>> {
        let inside = self.inside();
        let mut known = inside.accepted.iter().filter(|old| old.tenant == tenant);
        let before = known.find(|old| old.idempotency_key.as_deref() == Some(key));
        Ok(before.map(|old| match old.fingerprint == fingerprint {
            true => Accepted::Before { receipt: old.receipt.clone() },
            false => Accepted::KeyReused,
        }))
    }

    async fn record_refusal(&self, refusal: NewRefusal) -> Result<()> {
        self.inside().refused.push(refusal);
        Ok(())
    }

    async fn count_edge(&self, counts: Vec<EdgeCount>) -> Result<()> {
        self.inside().edge.extend(counts);
        self.reached.notify_one();
        Ok(())
    }

    async fn application(&self, tenant: TenantId, id: SubmissionId) -> Result<ApplicationView> {
        self.mood().await?;
        let inside = self.inside();
        let mut all = inside.accepted.iter();
        let found = all.find(|found| found.tenant == tenant && found.id == id);
        let found = found.ok_or(StoreError::NotFound("application"))?;
        Ok(ApplicationView {
            id,
            code: found.code.clone(),
            received_at: found.received_at,
            posting_id: found.posting_id.clone(),
            repeat_of: None,
            test: found.test,
            targets: Vec::new(),
        })
    }

    async fn awaiting(&self, limit: usize) -> Result<Vec<ReadyDelivery>> {
        Ok(std::mem::take(&mut self.inside().ready))
    }

    async fn decide_held(&self, delivery: DeliveryId, decision: Decision, now: Timestamp) -> Result<()> {
        self.inside().decided.push((delivery, decision));
        Ok(())
    }

    async fn create_tenant(&self, tenant: NewTenant) -> Result<Tenant> {
        unreachable!()
    }
    async fn tenants(&self) -> Result<Vec<Tenant>> {
        unreachable!()
    }
    async fn add_account(&self, account: NewAccount) -> Result<AccountRecord> {
        unreachable!()
    }
    async fn update_account(&self, account: AccountRecord, secrets: Option<BTreeMap<String, Secret>>) -> Result<()> {
        unreachable!()
    }
    async fn accounts(&self, tenant: Option<TenantId>) -> Result<Vec<AccountRecord>> {
        unreachable!()
    }
    async fn account(&self, id: AccountId) -> Result<AccountRecord> {
        unreachable!()
    }
    async fn credentials(&self, id: AccountId) -> Result<BTreeMap<String, Secret>> {
        unreachable!()
    }
    async fn pause_account(&self, id: AccountId, reason: Reason, actor: &str, now: Timestamp) -> Result<u64> {
        unreachable!()
    }
    async fn resume_account(&self, id: AccountId, actor: &str, now: Timestamp) -> Result<u64> {
        unreachable!()
    }
    async fn create_key(&self, key: NewKey) -> Result<KeyRecord> {
        unreachable!()
    }
    async fn keys(&self, tenant: TenantId) -> Result<Vec<KeyRecord>> {
        unreachable!()
    }
    async fn origins(&self) -> Result<BTreeSet<String>> {
        let living = |key: &&KeyRecord| key.revoked_at.is_none();
        Ok(self.inside().keys.values().filter(living).flat_map(|key| key.origins.clone().unwrap_or_default()).collect())
    }
    async fn revoke_key(&self, tenant: TenantId, key: KeyId, actor: &str, now: Timestamp) -> Result<()> {
        unreachable!()
    }
    async fn apply_sync(&self, sync: Listed) -> Result<SyncReport> {
        unreachable!()
    }
    async fn put_form(&self, account: AccountId, form: &Form, now: Timestamp) -> Result<()> {
        unreachable!()
    }
    async fn postings(&self, account: AccountId) -> Result<Vec<PostingRecord>> {
        unreachable!()
    }
    async fn due(&self, now: Timestamp) -> Result<(Vec<DueAccount>, Option<Timestamp>)> {
        unreachable!()
    }
    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claim>> {
        unreachable!()
    }
    async fn load(&self, claim: &Claim, with_files: bool) -> Result<(WorkItem, Vec<File>)> {
        unreachable!()
    }
    async fn begin_attempt(&self, claim: &Claim, step: &str, now: Timestamp) -> Result<Begun> {
        unreachable!()
    }
    async fn settle(&self, settlement: Settlement) -> Result<Settled> {
        unreachable!()
    }
    async fn release(&self, claim: &Claim, due_at: Timestamp) -> Result<()> {
        unreachable!()
    }
    async fn expire_leases(&self, now: Timestamp) -> Result<(u64, u64)> {
        unreachable!()
    }
    async fn unproven(&self, now: Timestamp, limit: usize) -> Result<Vec<Unproven>> {
        unreachable!()
    }
    async fn load_delivered(&self, unproven: &Unproven) -> Result<WorkItem> {
        unreachable!()
    }
    async fn record_sighting(&self, unproven: &Unproven, sighting: Sighting, now: Timestamp) -> Result<Settled> {
        unreachable!()
    }
    async fn lookup(&self, query: &LookupQuery) -> Result<Lookup> {
        unreachable!()
    }
    async fn cases(&self, tenant: TenantId, limit: usize) -> Result<Vec<Case>> {
        unreachable!()
    }
    async fn replay(&self, tenant: TenantId, delivery: DeliveryId, actor: &str, now: Timestamp) -> Result<()> {
        unreachable!()
    }
    async fn cancel(&self, tenant: TenantId, delivery: DeliveryId, actor: &str, now: Timestamp) -> Result<()> {
        unreachable!()
    }
    async fn erasure_plan(&self, tenant: TenantId, email: &NormalEmail) -> Result<ErasurePlan> {
        unreachable!()
    }
    async fn erase(&self, tenant: TenantId, email: &NormalEmail, actor: &str, now: Timestamp) -> Result<Erasure> {
        unreachable!()
    }
    async fn audit(&self, entry: AuditEntry) -> Result<()> {
        unreachable!()
    }
    async fn verify_audit(&self, tenant: TenantId) -> Result<Option<u64>> {
        unreachable!()
    }
    async fn retain(&self, retention: &Retention, now: Timestamp, limit: usize) -> Result<RetentionReport> {
        unreachable!()
    }
    async fn lease_job(&self, job: &str, owner: &str, now: Timestamp, lease: Duration) -> Result<Option<u64>> {
        unreachable!()
    }
    async fn sweep_blobs(&self, now: Timestamp) -> Result<u64> {
        unreachable!()
    }
    async fn census(&self) -> Result<BTreeMap<State, u64>> {
        unreachable!()
    }
    async fn close(&self) {}
}

/// A connector named `ats` whose forms ask for answers, or one named `crm` that asks for a phone.
struct FakeConnector(&'static Descriptor);

static ATS: Descriptor = descriptor("ats", &[Role::Ats]);
static CRM: Descriptor = descriptor("crm", &[Role::Crm]);

const fn descriptor(name: &'static str, roles: &'static [Role]) -> Descriptor {
    Descriptor {
        name,
        title: name,
        roles,
        credentials: &[],
        settings: &[],
        auth: &[],
        find: FindSupport::None,
        visibility_lag: Duration::ZERO,
        limits: Limits { window: Duration::from_secs(1), calls: 1, concurrency: 1 },
        read_pace: |_| None,
        takes_files: false,
        names_hosts: false,
        docs: &[],
    }
}

#[async_trait]
impl Connector for FakeConnector {
    fn describe(&self) -> &'static Descriptor {
        self.0
    }

    fn schema(&self) -> Option<&'static str> {
        (self.0.name == "crm").then_some(r#"{"properties":{"person":{"required":["phones"]}}}"#)
    }

    fn form_schema(&self, form: &Form) -> Option<Value> {
        (self.0.name == "ats").then(|| match form.questions.is_empty() {
            true => json!({}),
            false => json!({ "required": ["answers"] }),
        })
    }

    fn plan(&self, _delivery: &Delivery<'_>) -> Vec<StepPlan> {
        unreachable!()
    }

    async fn run(&self, _step: &str, _delivery: &Delivery<'_>, _http: &dyn Http) -> Outcome {
        unreachable!()
    }

    async fn check(&self, _account: &Account, _http: &dyn Http) -> Vec<Permission> {
        unreachable!()
    }
}

/// Everything that was rung.
#[derive(Default)]
pub(crate) struct Bells {
    pub(crate) rung: Mutex<Vec<String>>,
}

impl Bell for Bells {
    fn ring(&self, account: AccountId) {
        self.rung.lock().unwrap().push(format!("work {account}"));
    }
}

impl SyncBell for Bells {
    fn sync(&self, account: AccountId) {
        self.rung.lock().unwrap().push(format!("sync {account}"));
    }

    fn form(&self, account: AccountId, posting_id: &str) {
        self.rung.lock().unwrap().push(format!("form {account} {posting_id}"));
    }
}

/// One tenant with an ATS and a CRM account and the posting `127817`, open, its form known.
pub(crate) struct World {
    pub(crate) store: Arc<FakeStore>,
    pub(crate) bells: Arc<Bells>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) entropy: Arc<SeededEntropy>,
    pub(crate) tenant: TenantId,
    pub(crate) ats: AccountId,
    pub(crate) crm: AccountId,
}

pub(crate) const JOB: &str = "127817";

impl World {
    pub(crate) fn new() -> Self {
        let start: Timestamp = "2026-01-05T10:00:00Z".parse().unwrap();
        let entropy = Arc::new(SeededEntropy::new(42));
        let world = Self {
            store: Arc::default(),
            bells: Arc::default(),
            clock: Arc::new(ManualClock::at(start)),
            tenant: TenantId::new(start, entropy.as_ref()),
            ats: AccountId::new(start, entropy.as_ref()),
            crm: AccountId::new(start, entropy.as_ref()),
            entropy,
        };
        let account = |id, name: &str, role| AccountRecord {
            account: Account {
                id,
                tenant: world.tenant,
                name: format!("our-{name}"),
                connector: name.to_owned(),
                role,
                settings: BTreeMap::new(),
                allow_private: false,
                on_invalid: OnInvalid::Reject,
                repeats: Repeats::Deliver,
                on_unknown: OnUnknown::Hold,
            },
            paused: None,
            sandbox: false,
            created_at: start,
            last_complete_sync: Some(start),
        };
        let accounts = vec![account(world.ats, "ats", Role::Ats), account(world.crm, "crm", Role::Crm)];
        let posting = Posting { posting_id: JOB.to_owned(), ..Posting::default() };
        let posting = PostingRecord { account: world.ats, posting, closed_at: None, form: None };
        let form = Form { posting_id: JOB.to_owned(), digest: "d1".to_owned(), questions: Vec::new() };
        let known = PostingView { accounts: accounts.clone(), posting: Some(posting), form: Some((form, start)) };
        let mut inside = world.store.inside();
        inside.views.insert((world.tenant, JOB.to_owned()), known);
        // The empty id stands for every posting nobody has.
        inside.views.insert((world.tenant, String::new()), PostingView { accounts, ..PostingView::default() });
        drop(inside);
        world
    }

    /// Changes what is known about the posting `127817`, as a sync would.
    pub(crate) fn change(&self, change: impl Fn(&mut PostingView)) {
        self.store.inside().views.values_mut().for_each(change);
        self.store.changed();
    }

    pub(crate) fn intake(&self, config: Config) -> Arc<Intake> {
        let connectors: Vec<Arc<dyn Connector>> = vec![Arc::new(FakeConnector(&ATS)), Arc::new(FakeConnector(&CRM))];
        Arc::new(Intake::new(IntakeParts {
            schemas: Arc::new(Schemas::new(&connectors).unwrap()),
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            connectors,
            bell: Arc::clone(&self.bells) as Arc<dyn Bell>,
            sync: Arc::clone(&self.bells) as Arc<dyn SyncBell>,
            clock: Arc::clone(&self.clock) as Arc<dyn causeway_core::clock::Clock>,
            entropy: Arc::clone(&self.entropy) as Arc<dyn causeway_core::clock::Entropy>,
            config,
        }))
    }
}

/// A valid document for the posting.
pub(crate) fn document() -> Value {
    json!({
        "job": JOB,
        "person": {
            "name": { "given": "Ada", "family": "Fictional" },
            "emails": [{ "address": "ada@example.org" }],
            "phones": [{ "raw": "+1 555 0100" }]
        },
        "consents": [{ "purpose": "recruiting", "given": true }]
    })
}
