//! What the command line can ask of a gateway, and its answers: the same whether they travel over the control socket or
//! stay within one process.
//!
//! One function executes them, over `support` and `setup`. It prints nothing and reads no file.

mod custody;
mod execute;
pub mod onboard;
pub mod socket;
mod webhooks;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use causeway_core::clock::{Clock, Entropy};
use causeway_core::connector::{Connector, Permission, Stage, Verdict};
use causeway_core::ids::{DeliveryId, EndpointId, KeyId};
use causeway_core::overlay::VendorField;
use causeway_core::pii::Pii;
use serde::{Deserialize, Serialize};

use crate::config::SettingChange;
use crate::egress::Egress;
use crate::setup::{AccountChange, AccountWish, Hidden, KeyWish};
use crate::store::Store;
use crate::store::custody::BackupReport;
use crate::store::finding::Finding;
use crate::store::receipts::ReceiptKey;
use crate::store::setup::{AccountRecord, KeyRecord, PostingRecord, SyncReport, Tenant};
use crate::store::webhooks::{Endpoint, MessagePage};
use crate::support::copies::Confirmed;
use crate::support::person::{CopyView, Erased, Export, Reach};
use crate::support::view::CaseView;
use crate::support::{LookupRequest, Report, Support};

pub use custody::CustodyRequest;
pub use execute::execute;
pub use onboard::{OnboardAnswer, OnboardRequest};
pub use webhooks::{EndpointWish, Range, Sites, WebhookRequest};

/// What an account's credentials may do, as its connector finds out: `accounts check`, and the conformance suite.
pub async fn check(connector: &dyn Connector, egress: &Egress, record: &AccountRecord) -> Vec<Checked> {
    let permissions = connector.check(&record.account, &egress.http(record)).await;
    let checked = |permission: Permission| Checked {
        name: permission.name.to_owned(),
        verdict: permission.verdict.into(),
        text: permission.text,
    };
    permissions.into_iter().map(checked).collect()
}

/// What executing needs.
#[derive(Clone)]
pub struct Services {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Support over the same store.
    pub support: Support,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// For ids and keys.
    pub entropy: Arc<dyn Entropy>,
    /// The way to the vendors.
    pub vendors: Arc<dyn Vendors>,
    /// The settings of the running gateway.
    pub settings: Arc<dyn Reload>,
    /// Webhooks to career sites.
    pub sites: Sites,
}

/// Takes over the reloadable settings.
pub trait Reload: Send + Sync {
    /// Reads the configuration again. With a mistake in it nothing changes.
    ///
    /// # Errors
    /// [`Fault`] with every mistake.
    fn reload(&self) -> Result<Reloaded, Fault>;
}

/// What a reload came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// What has another value now.
    pub changed: Vec<SettingChange>,
    /// Keys that differ in the configuration and are read at start only.
    pub restart: Vec<String>,
}

/// Of a process that runs no gateway.
pub struct NothingRuns;

impl Reload for NothingRuns {
    fn reload(&self) -> Result<Reloaded, Fault> {
        let text = "no gateway runs on this data directory; the next one reads its configuration when it starts";
        Err(Fault::new(FaultKind::Refused, text))
    }
}

/// What a person may have asked of a vendor.
#[async_trait]
pub trait Vendors: Send + Sync {
    /// What the account's credentials may do.
    async fn check(&self, account: &AccountRecord) -> Result<Vec<Checked>, Fault>;
    /// Reads the account's postings.
    async fn sync(&self, account: &AccountRecord) -> Result<SyncReport, Fault>;
    /// Reads the questions of the account's postings, where they never were or are old.
    async fn read_forms(&self, account: &AccountRecord) -> Result<(), Fault>;
    /// The fields of the vendor's records that an overlay may fill; none where there are only the postings' questions.
    async fn custom_fields(&self, account: &AccountRecord) -> Result<Vec<VendorField>, Fault>;
    /// The stages that records pass at the vendor.
    async fn stages(&self, account: &AccountRecord) -> Result<Vec<Stage>, Fault>;
}

/// A tenant by name or id; none when there is only one.
pub type TenantName = Option<String>;

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is a command of the same name")]
pub enum Request {
    Ping,
    Reload,
    TenantCreate { name: String },
    Tenants,
    AccountAdd { tenant: TenantName, wish: AccountWish },
    Accounts { tenant: TenantName },
    AccountShow { tenant: TenantName, account: String },
    AccountCheck { tenant: TenantName, account: String },
    AccountUpdate { tenant: TenantName, account: String, change: AccountChange },
    Examine,
    AccountPause { tenant: TenantName, account: String },
    AccountResume { tenant: TenantName, account: String },
    KeyCreate { tenant: TenantName, name: String, wish: KeyWish },
    Keys { tenant: TenantName },
    KeyRevoke { tenant: TenantName, key: KeyId },
    ReceiptKeys,
    ReceiptKeyRotate,
    JobsSync { tenant: TenantName, account: String },
    Jobs { tenant: TenantName, account: Option<String> },
    JobShow { tenant: TenantName, job: String },
    Why { tenant: TenantName, question: LookupRequest },
    Replay { tenant: TenantName, delivery: DeliveryId },
    Cancel { tenant: TenantName, delivery: DeliveryId },
    Cases { tenant: TenantName, limit: usize },
    Custody(CustodyRequest),
    Onboard(OnboardRequest),
    Webhooks(WebhookRequest),
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
#[expect(missing_docs, reason = "each names what it holds")]
pub enum Response {
    Pong,
    Reloaded(Reloaded),
    Tenant(Tenant),
    Tenants(Vec<Tenant>),
    Account(Box<AccountRecord>),
    Accounts(Vec<AccountRecord>),
    Checked(Vec<Checked>),
    Examined(Vec<Finding>),
    Changed { account: String, deliveries: u64 },
    KeyMade { key: KeyRecord, text: Hidden },
    Keys(Vec<KeyRecord>),
    ReceiptKeys(Vec<ReceiptKey>),
    Synced(SyncReport),
    Jobs(Vec<PostingRecord>),
    Report(Box<Report>),
    Done { id: String, done: String },
    Cases(Vec<CaseView>),
    Plan(Box<Reach>),
    Erased(Box<Erased>),
    Export(Box<Export>),
    File { content_base64: Pii<String> },
    VendorCopies(Vec<CopyView>),
    BackedUp { into: PathBuf, report: BackupReport },
    RestoreConfirmed(Confirmed),
    Onboard(Box<OnboardAnswer>),
    EndpointMade { endpoint: Endpoint, secret: Hidden },
    Endpoints(Vec<Endpoint>),
    EndpointTested { endpoint: EndpointId, taken: bool, said: String },
    WebhookMessages(MessagePage),
    WebhooksReplayed { messages: u64 },
}

impl Response {
    /// The value alone, as `--json` shows it.
    pub fn value(&self) -> serde_json::Value {
        if let Self::Onboard(answer) = self {
            return answer.value();
        }
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(mut members)) => members.remove("value").unwrap_or_default(),
            _ => serde_json::Value::Null,
        }
    }
}

/// One permission of an account's credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// What was tried.
    pub name: String,
    /// The answer.
    pub verdict: CheckVerdict,
    /// What it means or what to do.
    pub text: String,
}

/// As [`Verdict`], readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "as the original")]
pub enum CheckVerdict {
    Yes,
    No,
    NotTestable,
}

/// Names, in a check, what is known of the secrets beside what the vendor says of them.
pub const SECRETS: &str = "secrets";

/// Nothing that could be tried is allowed: the credentials do not work at all. A permission that an optional credential
/// would bring may be missing from ones that do.
pub fn is_refused(checked: &[Checked]) -> bool {
    // What is known of the secrets is no permission of theirs.
    let has = |verdict| checked.iter().any(|one| one.verdict == verdict && one.name != SECRETS);
    has(CheckVerdict::No) && !has(CheckVerdict::Yes)
}

impl From<Verdict> for CheckVerdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Yes => Self::Yes,
            Verdict::No => Self::No,
            Verdict::NotTestable => Self::NotTestable,
        }
    }
}

/// Why it was not done, in words for the person who asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct Fault {
    /// The kind.
    pub kind: FaultKind,
    /// The words.
    pub text: String,
}

/// The kind of a [`Fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Asked wrongly: ask differently.
    Usage,
    /// There is no such thing.
    NotFound,
    /// It makes no sense now.
    Refused,
    /// Come back later.
    Unavailable,
    /// A bug, or data that cannot be read.
    Internal,
}

impl Fault {
    /// A fault of this kind.
    pub fn new(kind: FaultKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

#[cfg(test)]
mod tests;
