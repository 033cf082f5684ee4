//! What a case starts from: an open store with a clock that stands still, a tenant, an ATS and a CRM account.
//!
//! People are invented and live at example.org.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use causeway_core::account::{Account, OnInvalid, OnUnknown, Repeats, Role};
use causeway_core::clock::{Clock, ManualClock, SeededEntropy};
use causeway_core::delivery::{HeldCause, State};
use causeway_core::email::NormalEmail;
use causeway_core::ids::{AccountId, DeliveryId, KeyId, SubmissionId, TenantId};
use causeway_core::outcome::{Class, Outcome};
use causeway_core::pii::Secret;
use causeway_core::posting::Posting;
use causeway_core::reason::Reason;
use jiff::{SignedDuration, Timestamp};

use crate::store::Store;
use crate::store::intake::{Accepted, NewApplication, NewDelivery};
use crate::store::receipts::Receipts;
use crate::store::setup::{NewAccount, NewTenant, Sync};
use crate::store::trace::Retention;
use crate::store::webhooks::Webhooks;
use crate::store::work::{Begun, Claim, ClaimRequest, Next, Proof, Settled, Settlement, Verifying};

/// A backend on ground of its own.
pub(crate) trait Backend: Default {
    fn open(&self, clock: Arc<ManualClock>) -> Arc<dyn Store>;
    /// The opened store's other side.
    fn webhooks(&self) -> Arc<dyn Webhooks>;
    /// And the one that signs.
    fn receipts(&self) -> Arc<dyn Receipts>;
}

pub(crate) struct World<B> {
    pub(crate) backend: B,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) entropy: SeededEntropy,
    pub(crate) tenant: TenantId,
    pub(crate) ats: AccountId,
    pub(crate) crm: AccountId,
    /// Given by the store, for applications to come.
    pub(crate) codes: Mutex<Vec<String>>,
}

pub(crate) const JOB: &str = "4001";

impl<B: Backend> World<B> {
    pub(crate) async fn new() -> Self {
        Self::on(B::default()).await
    }

    pub(crate) async fn on(backend: B) -> Self {
        let clock = Arc::new(ManualClock::at("2026-03-02T09:00:00Z".parse().unwrap()));
        let store = backend.open(Arc::clone(&clock));
        let entropy = SeededEntropy::new(11);
        let tenant = NewTenant { name: "acme".into(), actor: "test".into(), now: clock.now() };
        let tenant = store.create_tenant(tenant).await.unwrap().id;
        let [ats, crm] = [(); 2].map(|()| AccountId::new(clock.now(), &entropy));
        let mut codes = Vec::new();
        for _ in 0..64 {
            codes.push(store.new_code().await.unwrap());
        }
        let world = Self { backend, store, clock, entropy, tenant, ats, crm, codes: Mutex::new(codes) };
        world.add_account(tenant, ats, "acme-ats", Role::Ats).await;
        world.add_account(tenant, crm, "acme-crm", Role::Crm).await;
        world
    }

    pub(crate) async fn add_account(&self, tenant: TenantId, id: AccountId, name: &str, role: Role) {
        let account = account(tenant, id, name, role);
        let credentials = BTreeMap::from([("key".to_owned(), Secret::new("canary-secret"))]);
        let new = NewAccount {
            account,
            credentials,
            sandbox: false,
            staged: false,
            expires_at: None,
            actor: "test".into(),
            now: self.now(),
        };
        self.store.add_account(new).await.unwrap();
    }

    pub(crate) async fn other_tenant(&self) -> (TenantId, AccountId) {
        let tenant = NewTenant { name: "other".into(), actor: "test".into(), now: self.now() };
        let tenant = self.store.create_tenant(tenant).await.unwrap().id;
        let id = AccountId::new(self.now(), &self.entropy);
        self.add_account(tenant, id, "acme-ats", Role::Ats).await;
        (tenant, id)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn later(&self, seconds: i64) -> Timestamp {
        self.now() + SignedDuration::from_secs(seconds)
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    /// An application for [`JOB`] to the ATS account.
    pub(crate) fn application(&self, email: &str) -> NewApplication {
        let id = SubmissionId::new(self.now(), &self.entropy);
        let document = format!(r#"{{"job":"{JOB}","person":{{"emails":[{{"address":"{email}"}}]}}}}"#);
        NewApplication {
            id,
            tenant: self.tenant,
            key: KeyId::new(self.now(), &self.entropy),
            received_at: self.now(),
            posting_id: JOB.into(),
            posting_account: Some(self.ats),
            form_digest: None,
            email: NormalEmail::parse(email).unwrap(),
            fingerprint: document.clone().into_bytes(),
            document: Bytes::from(document),
            attachments: Vec::new(),
            deliveries: vec![self.target(self.ats)],
            idempotency_key: None,
            code: self.codes.lock().unwrap().pop().unwrap(),
            receipt: Bytes::from(format!(r#"{{"id":"{id}"}}"#)),
            trace_id: "trace".into(),
            test: false,
        }
    }

    pub(crate) fn target(&self, account: AccountId) -> NewDelivery {
        NewDelivery { id: DeliveryId::new(self.now(), &self.entropy), account, held: None, repeats: Repeats::Deliver }
    }

    /// Accepts and returns the submission and its first delivery.
    pub(crate) async fn accept(&self, application: NewApplication) -> (SubmissionId, DeliveryId) {
        let ids = (application.id, application.deliveries[0].id);
        let accepted = self.store.accept(application).await.unwrap();
        assert!(matches!(accepted, Accepted::New { .. }), "{accepted:?}");
        ids
    }

    /// Accepts an application that waits for its posting or form.
    pub(crate) async fn accept_held(&self, cause: HeldCause, reason: Reason) -> (SubmissionId, DeliveryId) {
        let mut application = self.application("ada@example.org");
        application.posting_account = None;
        application.deliveries[0].held = Some((cause, reason, Vec::new()));
        self.accept(application).await
    }

    pub(crate) async fn state(&self, id: SubmissionId) -> State {
        self.store.application(self.tenant, id, false).await.unwrap().targets[0].state
    }

    pub(crate) async fn reason(&self, id: SubmissionId) -> Option<Reason> {
        self.store.application(self.tenant, id, false).await.unwrap().targets[0].reason
    }

    pub(crate) async fn claim(&self, want: usize) -> Vec<Claim> {
        self.claim_of(self.ats, want).await
    }

    pub(crate) async fn claim_of(&self, account: AccountId, want: usize) -> Vec<Claim> {
        self.store.claim(self.request(account, want)).await.unwrap().claims
    }

    pub(crate) fn request(&self, account: AccountId, want: usize) -> ClaimRequest {
        ClaimRequest {
            owner: "worker".into(),
            wants: vec![(account, want)],
            suspect_of: Some(account),
            lease: Duration::from_secs(60),
            now: self.now(),
        }
    }

    pub(crate) async fn one_claim(&self) -> Claim {
        let mut claims = self.claim(1).await;
        assert_eq!(claims.len(), 1);
        claims.remove(0)
    }

    pub(crate) async fn begin(&self, claim: &Claim) -> Begun {
        self.store.begin_attempt(claim, "submit", self.now()).await.unwrap()
    }

    /// A settlement of a tried step.
    pub(crate) fn tried(&self, claim: &Claim, begun: Begun, class: Class, next: Next) -> Settlement {
        Settlement {
            claim: claim.clone(),
            attempt: Some(begun),
            step: "submit".into(),
            outcome: Some(Outcome::new(class)),
            ended_at: self.now(),
            took: Duration::from_millis(120),
            alike: None,
            words_key: None,
            next,
        }
    }

    /// A settlement of what was not tried: a lookup, a pause.
    pub(crate) fn untried(&self, claim: &Claim, next: Next) -> Settlement {
        Settlement { attempt: None, outcome: None, ..self.tried(claim, no_attempt(self), Class::Unknown, next) }
    }

    /// Tries once and settles.
    pub(crate) async fn go(&self, claim: &Claim, class: Class, next: Next) -> State {
        let begun = self.begin(claim).await;
        self.settle(self.tried(claim, begun, class, next)).await
    }

    pub(crate) async fn settle(&self, settlement: Settlement) -> State {
        match self.store.settle(settlement).await.unwrap() {
            Settled::Done { state, .. } => state,
            Settled::LinkTaken => panic!("the link was taken"),
        }
    }

    pub(crate) fn unknown(&self) -> Next {
        let verifying = Verifying { step: "submit".into(), since: self.now(), not_seen: 0, asked: 0 };
        Next::Verify { until: self.later(30), verifying }
    }

    pub(crate) async fn sync(&self, account: AccountId, complete: bool, postings: &[&str]) {
        let postings = postings.iter().map(|id| posting(id)).collect();
        let sync = Sync { account, started_at: self.now(), complete, postings };
        self.store.apply_sync(sync).await.unwrap();
    }
}

fn no_attempt<B: Backend>(world: &World<B>) -> Begun {
    Begun {
        attempt: causeway_core::ids::AttemptId::new(world.now(), &world.entropy),
        number: 0,
        at: world.now(),
        broken: 0,
    }
}

pub(crate) fn delivered() -> Next {
    Next::Delivered { proof: Proof::not_verifiable("no lookup") }
}

pub(crate) fn posting(id: &str) -> Posting {
    Posting {
        posting_id: id.into(),
        title: "Welder".into(),
        requisition_code: Some(format!("R-{id}")),
        ..Posting::default()
    }
}

pub(crate) fn account(tenant: TenantId, id: AccountId, name: &str, role: Role) -> Account {
    Account {
        id,
        tenant,
        name: name.into(),
        connector: name.into(),
        role,
        settings: BTreeMap::new(),
        allow_private: true,
        on_invalid: OnInvalid::Reject,
        repeats: Repeats::Deliver,
        on_unknown: OnUnknown::Hold,
    }
}

/// Nothing is past its time; a test says what is.
pub(crate) fn for_ages() -> Retention {
    let ages = Duration::from_secs(86_400 * 999);
    Retention {
        applications: ages,
        refusals: ages,
        idempotency: ages,
        edge_counts: ages,
        demographics: ages,
        attempts: ages,
        audit: ages,
        webhooks: ages,
    }
}
