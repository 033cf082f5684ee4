//! A vendor and a customer's account at it: a sandbox on loopback, a data directory, an account, a posting. Time stands
//! still on both sides until something is due.
//!
//! The world outlives the gateway: what dies with a gateway is in `life`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use causeway::clock::SystemClock;
use causeway::hash::sha256_hex;
use causeway::schema::form_digest;
use causeway::setup::{AccountWish, Hidden};
use causeway::store::Store;
use causeway::store::intake::{Accepted, NewApplication, NewAttachment, NewDelivery};
use causeway::store::setup::{NewAccount, NewTenant, Sync};
use causeway::store::trace::LookupQuery;
use causeway_core::account::{Account, OnInvalid, OnUnknown, Repeats, Role};
use causeway_core::clock::{Clock, ManualClock, SeededEntropy};
use causeway_core::connector::Connector;
use causeway_core::email::NormalEmail;
use causeway_core::ids::{AccountId, DeliveryId, KeyId, SubmissionId, TenantId};
use causeway_core::pii::Secret;
use causeway_core::posting::{Form, Posting};
use causeway_sandboxes::{Options, Running};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::data::{self, Description, Places};
use crate::life::Life;
use crate::watch::Watch;

const BEGINS: &str = "2026-11-01T10:00:00Z";

/// See the module's documentation.
pub(crate) struct World {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) described: Description,
    pub(crate) sandbox: Running,
    pub(crate) folder: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) entropy: Arc<SeededEntropy>,
    pub(crate) customer: Customer,
    applicants: AtomicU64,
}

/// The account and what applications to it are about.
#[derive(Debug, Clone)]
pub(crate) struct Customer {
    pub(crate) tenant: TenantId,
    pub(crate) account: AccountId,
    /// Whose posting it is: the account itself, or another vendor's where this one has none.
    pub(crate) posting_account: AccountId,
    pub(crate) posting: Posting,
    pub(crate) form: Option<Form>,
    /// What the sandbox said when it published.
    pub(crate) published: Value,
}

/// What an account differs in from the one that an admin would make.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish {
    pub(crate) settings: BTreeMap<String, Value>,
    /// Credentials that are not given.
    pub(crate) without: Vec<&'static str>,
    pub(crate) on_unknown: OnUnknown,
}

/// An application that was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Accept {
    pub(crate) submission: SubmissionId,
    pub(crate) delivery: DeliveryId,
}

impl World {
    /// The vendor's sandbox, and an account at it with its postings and forms read.
    pub(crate) async fn set(connector: &Arc<dyn Connector>, wish: &Wish) -> Result<Arc<Self>> {
        let name = connector.describe().name;
        let described = data::description(name)?;
        let sandbox = causeway_sandboxes::start(name, Options { listen: "127.0.0.1:0".parse()?, seed: 7 }).await?;
        let clock = Arc::new(ManualClock::at(BEGINS.parse()?));
        let nobody = SeededEntropy::new(1);
        let customer = Customer {
            tenant: TenantId::new(Timestamp::UNIX_EPOCH, &nobody),
            account: AccountId::new(Timestamp::UNIX_EPOCH, &nobody),
            posting_account: AccountId::new(Timestamp::UNIX_EPOCH, &nobody),
            posting: Posting::default(),
            form: None,
            published: Value::Null,
        };
        let world = Self {
            connector: Arc::clone(connector),
            described,
            sandbox,
            folder: tempfile::tempdir()?,
            clock,
            entropy: Arc::new(SeededEntropy::new(2)),
            customer,
            applicants: AtomicU64::new(0),
        };
        world.quiet()?;
        let (wish, published) = (wish.clone(), world.publish()?);
        let made = Arc::new(world);
        let customer = made.live(Watch::new(), async move |life| set_up(&life, &wish, published).await).await?;
        let mut world = Arc::into_inner(made).context("the life is over")?;
        world.customer = customer;
        Ok(Arc::new(world))
    }

    /// The vendor well, its clock ours, and no limit in the way.
    pub(crate) fn quiet(&self) -> Result<()> {
        self.faults(&[])?;
        let wide = json!({ "calls": 1_000_000, "window_ms": 1_000 });
        let clock = self.clock.now().to_string();
        self.settings(&json!({ "rate_limit": wide, "clock": clock, "credentials_valid": true }))
    }

    fn publish(&self) -> Result<Value> {
        match &self.described.posting {
            Some(posting) => self.sandbox.control("jobs", Some(posting)),
            None => Ok(Value::Null),
        }
    }

    pub(crate) fn settings(&self, settings: &Value) -> Result<()> {
        if settings.is_null() { Ok(()) } else { self.sandbox.control("settings", Some(settings)).map(drop) }
    }

    pub(crate) fn faults(&self, rules: &[Value]) -> Result<()> {
        self.sandbox.control("faults", Some(&json!({ "replace": true, "rules": rules }))).map(drop)
    }

    /// How often the scripted faults fired.
    pub(crate) fn fired(&self) -> Result<u64> {
        let rules = self.sandbox.control("faults", None)?;
        Ok(rules["rules"].as_array().into_iter().flatten().filter_map(|rule| rule["fired"].as_u64()).sum())
    }

    /// The vendor's ledger behind this entry.
    pub(crate) fn ledger(&self, after: usize) -> Result<Vec<Value>> {
        let answer = self.sandbox.control(&format!("ledger?after={after}"), None)?;
        Ok(answer["entries"].as_array().cloned().unwrap_or_default())
    }

    pub(crate) fn ledger_len(&self) -> Result<usize> {
        Ok(self.ledger(0)?.len())
    }

    /// How many records of each kind the vendor holds.
    pub(crate) fn counts(&self) -> Result<BTreeMap<String, usize>> {
        let records = self.sandbox.control("records", None)?;
        let kinds = records.as_object().context("records are an object")?;
        Ok(kinds.iter().filter_map(|(kind, list)| Some((kind.clone(), list.as_array()?.len()))).collect())
    }

    /// Moves both clocks.
    pub(crate) fn advance_to(&self, at: Timestamp) -> Result<()> {
        let by = at.duration_since(self.clock.now()).max(SignedDuration::from_millis(1));
        self.clock.advance(by);
        self.settings(&json!({ "clock": self.clock.now().to_string() }))
    }

    /// What support would ask about this posting.
    pub(crate) fn about(&self) -> LookupQuery {
        LookupQuery {
            tenant: self.customer.tenant,
            email: None,
            base_email: false,
            job: Some(self.customer.posting.posting_id.clone()),
            code: None,
            account: None,
            since: None,
            until: None,
            limit: 100,
        }
    }

    /// The gateway's clock as the machine's.
    pub(crate) fn tick(&self) {
        self.clock.advance(SystemClock.now().duration_since(self.clock.now()));
    }

    /// The complete application of the next applicant, changed in these places.
    pub(crate) fn document(&self, places: &Places) -> Result<(String, Value)> {
        let number = self.applicants.fetch_add(1, Ordering::Relaxed);
        let email = format!("applicant{number}@example.org");
        let mut document = data::complete()?;
        data::set(&mut document, &self.described.document)?;
        data::set(&mut document, places)?;
        let mut document = data::told(&document, &self.customer.published);
        document["job"] = json!(self.customer.posting.posting_id);
        // Unless the address is the point.
        let given = document["person"]["emails"][0]["address"].as_str().unwrap_or_default();
        let email = if places.contains_key("/person/emails/0/address") { given.to_owned() } else { email };
        if document["person"]["emails"][0].is_object() {
            document["person"]["emails"][0]["address"] = json!(email);
        }
        for attachment in document["attachments"].as_array_mut().into_iter().flatten() {
            let bytes =
                self.described.files.get(&data::plain(&attachment["id"])).context("a file for every attachment")?;
            attachment["size"] = json!(bytes.len());
            if attachment.get("sha256").is_some() {
                attachment["sha256"] = json!(sha256_hex(bytes.as_bytes()));
            }
        }
        Ok((email, document))
    }

    pub(crate) fn files(&self, document: &Value) -> Result<Vec<NewAttachment>> {
        let mut files = Vec::new();
        for attachment in document["attachments"].as_array().into_iter().flatten() {
            let id = data::plain(&attachment["id"]);
            // A document that is wrong on purpose may name none.
            let Some(text) = self.described.files.get(&id) else { continue };
            let bytes = Bytes::from(text.clone());
            files.push(NewAttachment { id, sha256: causeway::hash::sha256(&bytes), bytes });
        }
        Ok(files)
    }

    /// Accepts an application as intake would have.
    pub(crate) async fn accept(&self, store: &dyn Store, places: &Places) -> Result<Accept> {
        let (email, document) = self.document(places)?;
        let now = self.clock.now();
        let entropy = self.entropy.as_ref();
        let id = SubmissionId::new(now, entropy);
        let delivery = DeliveryId::new(now, entropy);
        let customer = &self.customer;
        let application = NewApplication {
            id,
            tenant: customer.tenant,
            key: KeyId::new(now, entropy),
            received_at: now,
            posting_id: customer.posting.posting_id.clone(),
            posting_account: Some(customer.posting_account),
            form_digest: customer.form.as_ref().map(form_digest),
            email: NormalEmail::parse(&email).context("an address")?,
            document: Bytes::from(document.to_string()),
            attachments: self.files(&document)?,
            deliveries: vec![NewDelivery {
                id: delivery,
                account: customer.account,
                held: None,
                repeats: Repeats::Deliver,
            }],
            idempotency_key: None,
            fingerprint: id.to_string().into_bytes(),
            code: store.new_code().await?,
            receipt: Bytes::from_static(b"{}"),
            trace_id: String::new(),
            test: false,
        };
        let accepted = store.accept(application).await?;
        ensure!(matches!(accepted, Accepted::New { .. }), "accepted: {accepted:?}");
        Ok(Accept { submission: id, delivery })
    }
}

/// What `causeway accounts add` makes of the sandbox's line, with the postings and forms read.
async fn set_up(life: &Life, wish: &Wish, published: Value) -> Result<Customer> {
    let world = life.world();
    let (now, entropy) = (world.clock.now(), world.entropy.as_ref());
    let tenant = NewTenant { name: "acme".to_owned(), actor: "test".to_owned(), now };
    let tenant = life.store.create_tenant(tenant).await?.id;
    let descriptor = world.connector.describe();
    let role = *descriptor.roles.first().context("a role")?;
    let account = AccountId::new(now, entropy);
    let (mut made, credentials) = causeway::setup::account(
        account,
        tenant,
        account_wish(world.sandbox.announcement(), descriptor.name, role, wish),
    )?;
    made.settings.extend(wish.settings.clone());
    add(life, made, credentials).await?;
    let (posting_account, posting, form) = if role == Role::Ats {
        let wanted = data::plain(&published["id"]);
        life.feeds.sync_jobs(account).await?;
        life.feeds.sync_forms(account).await?;
        let view = life.store.posting_view(tenant, &wanted, false).await?;
        let posting = view.posting.context("what was published is read")?.posting;
        (account, posting, view.form.map(|(form, _)| form))
    } else {
        let owner = AccountId::new(now, entropy);
        let posting = elsewhere();
        add(life, account_elsewhere(owner, tenant), BTreeMap::new()).await?;
        let sync = Sync { account: owner, started_at: now, complete: true, postings: vec![posting.clone()] };
        life.store.apply_sync(sync).await?;
        (owner, posting, None)
    };
    Ok(Customer { tenant, account, posting_account, posting, form, published })
}

pub(crate) fn account_wish(announced: &Value, connector: &str, role: Role, wish: &Wish) -> AccountWish {
    let texts = |part: &Value| -> Map<String, Value> { part.as_object().cloned().unwrap_or_default() };
    let secrets = texts(&announced["credentials"]);
    let secrets = secrets.iter().filter(|(name, _)| !wish.without.contains(&name.as_str()));
    AccountWish {
        connector: connector.to_owned(),
        role,
        name: None,
        settings: texts(&announced["settings"])
            .iter()
            .map(|(name, value)| (name.clone(), data::plain(value)))
            .collect(),
        secrets: secrets.map(|(name, value)| (name.clone(), Hidden(Secret::new(data::plain(value))))).collect(),
        allow_private: true,
        sandbox: false,
        staged: false,
        expires_at: None,
        on_invalid: OnInvalid::Reject,
        repeats: Repeats::Deliver,
        on_unknown: wish.on_unknown,
    }
}

async fn add(life: &Life, account: Account, credentials: BTreeMap<String, Secret>) -> Result<()> {
    let now = life.world().clock.now();
    let new = NewAccount {
        account,
        credentials,
        sandbox: false,
        staged: false,
        expires_at: None,
        actor: "test".to_owned(),
        now,
    };
    life.store.add_account(new).await?;
    Ok(())
}

/// A posting of some other system, for connectors that have none.
fn elsewhere() -> Posting {
    Posting {
        posting_id: "posting-elsewhere".to_owned(),
        title: "Welder".to_owned(),
        requisition_code: Some("R-17".to_owned()),
        ..Posting::default()
    }
}

fn account_elsewhere(id: AccountId, tenant: TenantId) -> Account {
    Account {
        id,
        tenant,
        name: "elsewhere".to_owned(),
        connector: "elsewhere".to_owned(),
        role: Role::Ats,
        settings: BTreeMap::new(),
        allow_private: false,
        on_invalid: OnInvalid::Reject,
        repeats: Repeats::Deliver,
        on_unknown: OnUnknown::Hold,
    }
}
