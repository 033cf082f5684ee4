//! A store of a few maps and two connectors of no vendor, for the tests of intake and ingress. It keeps only what those
//! two can see; the store's own contract is tested by its suite.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::account::{Account, OnInvalid, OnUnknown, Repeats, Role};
use causeway_core::clock::{ManualClock, SeededEntropy};
use causeway_core::connector::{Connector, Delivery, Descriptor, FindSupport, Http, Limits, Permission};
use causeway_core::delivery::StepPlan;
use causeway_core::ids::{AccountId, DeliveryId, SubmissionId, TenantId};
use causeway_core::outcome::Outcome;
use causeway_core::posting::{Form, Posting};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{Config, Intake, IntakeParts, SyncBell};
use crate::queue::Bell;
use crate::schema::Schemas;
use crate::store::code::Codes;
use crate::store::intake::{
    Accepted, ApplicationView, Decision, EdgeCount, NewApplication, NewRefusal, PostingView, ReadyDelivery, SameRequest,
};
use crate::store::over::{Nothing, Over};
use crate::store::setup::{AccountRecord, KeyRecord, PostingRecord};
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
    pub(crate) codes: u64,
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
impl Over for FakeStore {
    fn below(&self) -> &dyn Store {
        &Nothing
    }

    async fn key_by_hash(&self, hash: [u8; 32]) -> Result<Option<KeyRecord>> {
        self.inside().key_lookups += 1;
        Ok(self.inside().keys.get(&hash).cloned())
    }

    async fn posting_view(&self, tenant: TenantId, posting_id: &str, test: bool) -> Result<PostingView> {
        self.inside().view_lookups += 1;
        tokio::task::yield_now().await;
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

    async fn new_code(&self) -> Result<String> {
        let mut inside = self.inside();
        inside.codes += 1;
        Ok(Codes::new(&[7; 32]).of(inside.codes).unwrap())
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

    async fn same_before(&self, same: SameRequest) -> Result<Option<Bytes>> {
        let inside = self.inside();
        let is_same = |old: &&NewApplication| {
            (old.tenant, &old.posting_id, &old.fingerprint) == (same.tenant, &same.posting_id, &same.fingerprint)
        };
        Ok(inside.accepted.iter().find(is_same).map(|old| old.receipt.clone()))
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

    async fn application(&self, tenant: TenantId, id: SubmissionId, test: bool) -> Result<ApplicationView> {
        self.mood().await?;
        let inside = self.inside();
        let mut all = inside.accepted.iter();
        let found = all.find(|found| found.tenant == tenant && found.id == id && found.test == test);
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

    async fn awaiting(&self, _: usize) -> Result<Vec<ReadyDelivery>> {
        Ok(std::mem::take(&mut self.inside().ready))
    }

    async fn decide_held(&self, _: TenantId, delivery: DeliveryId, decision: Decision, _: Timestamp) -> Result<()> {
        self.inside().decided.push((delivery, decision));
        Ok(())
    }

    async fn origins(&self) -> Result<BTreeSet<String>> {
        let living = |key: &&KeyRecord| key.revoked_at.is_none();
        Ok(self.inside().keys.values().filter(living).flat_map(|key| key.origins.clone().unwrap_or_default()).collect())
    }
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
    fn ring_within(&self, account: AccountId, _: Option<crate::queue::Traceparent>) {
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
            live_at: Some(start),
            mapping: None,
            credentials: crate::store::onboard::Credentials::default(),
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
            forms: None,
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
