//! A tenant with an ATS and a CRM account, postings, and people who apply: what the cases of support and upkeep act on.
//!
//! Everything goes through the store's verbs; nothing here knows a backend.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use causeway_core::account::{Account, OnInvalid, OnUnknown, Repeats, Role};
use causeway_core::clock::SeededEntropy;
use causeway_core::delivery::Refs;
use causeway_core::email::NormalEmail;
use causeway_core::ids::{AccountId, DeliveryId, KeyId, SubmissionId, TenantId};
use causeway_core::outcome::{Class, FieldReason, Outcome};
use causeway_core::pii::Secret;
use causeway_core::posting::Posting;
use causeway_core::problem::FieldError;
use causeway_core::reason::Reason;
use jiff::{SignedDuration, Timestamp};

use crate::store::Store;
use crate::store::intake::{Accepted, NewApplication, NewAttachment, NewDelivery, NewRefusal};
use crate::store::setup::{NewAccount, NewKey, NewTenant, Scope, Sync};
use crate::store::trace::{Lookup, LookupQuery};
use crate::store::work::{Begun, Claim, ClaimRequest, Next, Proof, Settled, Settlement};

/// The moment every story begins.
pub(crate) const START: &str = "2026-03-02T08:00:00Z";

/// What a vendor's refusal quotes.
pub(crate) const VENDOR_WORDS: &str = "The phone number of Ada Example is not valid";

/// See the module's documentation.
pub(crate) struct People {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) entropy: SeededEntropy,
    pub(crate) tenant: TenantId,
    pub(crate) key: KeyId,
    pub(crate) ats: AccountId,
    pub(crate) crm: AccountId,
}

/// An accepted application.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    pub(crate) id: SubmissionId,
    pub(crate) code: String,
    pub(crate) ats: DeliveryId,
    pub(crate) crm: DeliveryId,
}

/// This long after the beginning.
pub(crate) fn at(minutes: i64) -> Timestamp {
    START.parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minutes)
}

pub(crate) fn email(typed: &str) -> NormalEmail {
    NormalEmail::parse(typed).unwrap()
}

impl People {
    /// A tenant of this name in the store; `seed` makes its ids.
    pub(crate) async fn new(store: &Arc<dyn Store>, name: &str, seed: u64) -> Self {
        let entropy = SeededEntropy::new(seed);
        let new = NewTenant { name: name.to_owned(), actor: "cli".to_owned(), now: at(0) };
        let tenant = store.create_tenant(new).await.unwrap().id;
        let key = KeyId::new(at(0), &entropy);
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&seed.to_be_bytes());
        let scopes = vec![Scope::Submit];
        let new = NewKey {
            id: key,
            tenant,
            name: "site".to_owned(),
            hash,
            scopes,
            origins: None,
            test: false,
            actor: "cli".to_owned(),
            now: at(0),
        };
        store.create_key(new).await.unwrap();
        let [ats, crm] = [(); 2].map(|()| AccountId::new(at(0), &entropy));
        let people = Self { store: Arc::clone(store), entropy, tenant, key, ats, crm };
        people.add_account(ats, "acme-ats", Role::Ats).await;
        people.add_account(crm, "acme-crm", Role::Crm).await;
        // One job published in two languages, and another job.
        let postings: &[(&str, &str, &str, &[&str])] =
            &[("4001", "77", "REQ-9", &["4002"]), ("4002", "77", "REQ-9", &[]), ("5001", "88", "REQ-10", &[])];
        people.sync(ats, postings).await;
        people
    }

    /// Another account of the tenant.
    pub(crate) async fn add_account(&self, id: AccountId, name: &str, role: Role) {
        let account = Account {
            id,
            tenant: self.tenant,
            name: name.to_owned(),
            connector: name.to_owned(),
            role,
            settings: BTreeMap::new(),
            allow_private: false,
            on_invalid: OnInvalid::Reject,
            repeats: Repeats::Deliver,
            on_unknown: OnUnknown::Hold,
        };
        let credentials = BTreeMap::from([("api_key".to_owned(), Secret::new("secret"))]);
        let new = NewAccount {
            account,
            credentials,
            sandbox: false,
            staged: false,
            expires_at: None,
            actor: "cli".to_owned(),
            now: at(0),
        };
        self.store.add_account(new).await.unwrap();
    }

    /// A complete sync of postings: posting id, vendor job id, requisition code, siblings.
    pub(crate) async fn sync(&self, account: AccountId, postings: &[(&str, &str, &str, &[&str])]) {
        let posting = |(posting_id, job, code, siblings): &(&str, &str, &str, &[&str])| Posting {
            posting_id: (*posting_id).to_owned(),
            vendor_job_id: Some((*job).to_owned()),
            requisition_code: Some((*code).to_owned()),
            sibling_ids: siblings.iter().map(|&id| id.to_owned()).collect(),
            title: format!("Job {code}"),
            ..Posting::default()
        };
        let postings = postings.iter().map(posting).collect();
        let sync = Sync { account, started_at: at(0), complete: true, postings };
        self.store.apply_sync(sync).await.unwrap();
    }

    /// An application for both accounts, with a file.
    pub(crate) async fn apply(&self, address: &str, posting_id: &str, received_at: Timestamp) -> Applied {
        let (application, applied) = self.application(address, posting_id, received_at).await;
        let accepted = self.store.accept(application).await.unwrap();
        assert!(matches!(accepted, Accepted::New { .. }), "{accepted:?}");
        applied
    }

    /// The same, not accepted yet.
    pub(crate) async fn application(
        &self,
        address: &str,
        posting_id: &str,
        received_at: Timestamp,
    ) -> (NewApplication, Applied) {
        let applied = Applied {
            id: SubmissionId::new(received_at, &self.entropy),
            code: self.store.new_code().await.unwrap(),
            ats: DeliveryId::new(received_at, &self.entropy),
            crm: DeliveryId::new(received_at, &self.entropy),
        };
        let delivery = |id, account| NewDelivery { id, account, held: None, repeats: Repeats::Deliver };
        let file = Bytes::from_static(b"%PDF-1.7 Ada Example, engineer");
        let application = NewApplication {
            id: applied.id,
            tenant: self.tenant,
            key: self.key,
            received_at,
            posting_id: posting_id.to_owned(),
            posting_account: Some(self.ats),
            form_digest: Some("f0".to_owned()),
            email: email(address),
            document: Bytes::from(format!("{{\"email\":\"{address}\"}}")),
            attachments: vec![NewAttachment { id: "cv".to_owned(), sha256: crate::hash::sha256(&file), bytes: file }],
            deliveries: vec![delivery(applied.ats, self.ats), delivery(applied.crm, self.crm)],
            idempotency_key: Some(applied.id.to_string()),
            fingerprint: format!("{address} {posting_id} {received_at}").into_bytes(),
            code: applied.code.clone(),
            receipt: Bytes::from(format!("{{\"id\":\"{}\"}}", applied.id)),
            trace_id: "t1".to_owned(),
            test: false,
        };
        (application, applied)
    }

    /// A submission that was refused.
    pub(crate) async fn refuse(&self, address: &str, posting_id: &str, received_at: Timestamp) -> SubmissionId {
        let refusal = self.refusal(address, posting_id, received_at);
        let id = refusal.id;
        self.store.record_refusal(refusal).await.unwrap();
        id
    }

    /// The same, not recorded yet. No two have the same bytes.
    pub(crate) fn refusal(&self, address: &str, posting_id: &str, received_at: Timestamp) -> NewRefusal {
        NewRefusal {
            test: false,
            id: SubmissionId::new(received_at, &self.entropy),
            tenant: self.tenant,
            key: self.key,
            received_at,
            posting_id: posting_id.to_owned(),
            email: email(address),
            document: Bytes::from(format!("{{\"email\":\"{address}\",\"at\":\"{received_at}\"}}")),
            code: "application_invalid".to_owned(),
            errors: vec![Self::error()],
            trace_id: "t2".to_owned(),
        }
    }

    pub(crate) fn error() -> FieldError {
        FieldError {
            question: None,
            pointer: "/person/name/family".to_owned(),
            code: "answer_missing".to_owned(),
            message: "The family name is missing".to_owned(),
            required_by: vec!["acme-ats".to_owned()],
            fix: "Send it".to_owned(),
        }
    }

    /// Leases everything that is due for the account.
    pub(crate) async fn claim(&self, account: AccountId, now: Timestamp) -> Vec<Claim> {
        let request = ClaimRequest {
            owner: "w1".to_owned(),
            wants: vec![(account, 100)],
            suspect_of: None,
            lease: Duration::from_secs(60),
            now,
        };
        self.store.claim(request).await.unwrap().claims
    }

    /// Begins the step of a delivery that is due.
    pub(crate) async fn begin(&self, delivery: DeliveryId, account: AccountId, now: Timestamp) -> (Claim, Begun) {
        let claims = self.claim(account, now).await;
        let claim = claims.into_iter().find(|claim| claim.delivery == delivery).unwrap();
        let begun = self.store.begin_attempt(&claim, "submit", now).await.unwrap();
        (claim, begun)
    }

    /// The vendor took it.
    pub(crate) fn delivered(claim: Claim, attempt: Begun, ended_at: Timestamp, vendor_id: &str) -> Settlement {
        let mut outcome = Outcome::new(Class::Accepted).said(201, "created");
        outcome.vendor_id = Some(vendor_id.to_owned());
        outcome.refs = Refs::from([("application_id".to_owned(), vendor_id.to_owned())]);
        let proof = Proof::not_verifiable("the vendor shows no applications");
        Self::settlement(claim, attempt, ended_at, outcome, Next::Delivered { proof })
    }

    /// The vendor said no and quoted the applicant.
    pub(crate) fn refused(claim: Claim, attempt: Begun, ended_at: Timestamp) -> Settlement {
        let mut outcome = Outcome::new(Class::Refused).because(Reason::ValueInvalid).said(422, VENDOR_WORDS);
        outcome.fields = vec![Self::field()];
        let next = Next::Refuse { reason: Reason::ValueInvalid, fields: vec![Self::field()] };
        Self::settlement(claim, attempt, ended_at, outcome, next)
    }

    pub(crate) fn field() -> FieldReason {
        FieldReason {
            pointer: "/person/phones/0".to_owned(),
            reason: Reason::ValueInvalid,
            text: "The phone number is not valid".to_owned(),
        }
    }

    fn settlement(claim: Claim, attempt: Begun, ended_at: Timestamp, outcome: Outcome, next: Next) -> Settlement {
        Settlement {
            claim,
            attempt: Some(attempt),
            step: "submit".to_owned(),
            outcome: Some(outcome),
            ended_at,
            took: Duration::from_millis(250),
            alike: None,
            words_key: None,
            next,
        }
    }

    pub(crate) async fn settle(&self, settlement: Settlement) {
        let settled = self.store.settle(settlement).await.unwrap();
        assert!(matches!(settled, Settled::Done { .. }), "{settled:?}");
    }

    /// A query for everything of the tenant.
    pub(crate) fn query(&self) -> LookupQuery {
        LookupQuery {
            tenant: self.tenant,
            email: None,
            base_email: false,
            job: None,
            code: None,
            account: None,
            since: None,
            until: None,
            limit: 20,
        }
    }

    pub(crate) async fn lookup(&self, query: LookupQuery) -> Lookup {
        self.store.lookup(&query).await.unwrap()
    }

    pub(crate) async fn by_code(&self, code: &str) -> Lookup {
        self.lookup(LookupQuery { code: Some(code.to_owned()), ..self.query() }).await
    }
}
