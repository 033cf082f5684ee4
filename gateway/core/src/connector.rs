//! The connector contract: what the code that speaks one vendor's API promises and is given.
//!
//! A connector sees an [`Http`] handed to it and nothing else: no client, clock, environment, sleep or spawn of its own,
//! and no credential (a request names the [`AuthScheme`] it wants; egress injects it). What a vendor lacks is not
//! claimed in the [`Descriptor`], never emulated. Lookups of one call must be honest about what they did not see.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use jiff::Timestamp;

use crate::account::{Account, Role};
use crate::application::Application;
use crate::delivery::{Refs, StepPlan};
use crate::ids::{DeliveryId, SubmissionId};
use crate::outcome::{Found, Outcome};
use crate::overlay::{Filled, VendorField};
use crate::posting::{Form, Place, Posting, Question, QuestionField};

/// What a connector declares. It drives set-up help, run-time checks and the conformance suite.
#[derive(Debug)]
pub struct Descriptor {
    /// Its name: lower case, the folder's name.
    pub name: &'static str,
    /// What people call the vendor's product.
    pub title: &'static str,
    /// The roles an account at it may have.
    pub roles: &'static [Role],
    /// Secrets it needs, with where to find them.
    pub credentials: &'static [Field],
    /// Settings that are not secret.
    pub settings: &'static [Field],
    /// How requests are authenticated; a request names one by [`UseAuth`].
    pub auth: &'static [AuthScheme],
    /// How an unknown outcome is looked up.
    pub find: FindSupport,
    /// How long a new record may stay invisible to `find`.
    pub visibility_lag: Duration,
    /// The vendor's limits, before its headers say otherwise.
    pub limits: Limits,
    /// Reads the vendor's rate headers, if it sends any.
    pub read_pace: fn(&HeaderMap) -> Option<Pace>,
    /// Are attachments to be loaded for its deliveries?
    pub takes_files: bool,
    /// May a request go to a host that an answer of the vendor named? See [`NamedByVendor`].
    pub names_hosts: bool,
    /// The vendor's documents this was written from, with dates.
    pub docs: &'static [&'static str],
}

impl Descriptor {
    /// How long a new record may stay invisible at this account. The account's own `visibility_lag_ms` knows better than
    /// the Descriptor.
    pub fn lag(&self, account: &Account) -> Duration {
        let own = account.settings.get("visibility_lag_ms").and_then(serde_json::Value::as_u64);
        own.map_or(self.visibility_lag, Duration::from_millis)
    }
}

/// One credential or setting.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name, snake case.
    pub name: &'static str,
    /// What it is and where to click to find it.
    pub help: &'static str,
    /// Must it be given?
    pub required: bool,
    /// What is used when it is not given. Only for settings.
    pub default: Option<&'static str>,
    /// It is a base URL: its host joins the account's allow-list.
    pub is_url: bool,
}

/// How a request is authenticated. Values are names of credentials.
#[derive(Debug, Clone, Copy)]
pub enum AuthScheme {
    /// HTTP Basic with the credential as user name and an empty password.
    BasicUser {
        /// The scheme's name.
        name: &'static str,
        /// The credential.
        user: &'static str,
    },
    /// A static bearer token.
    Bearer {
        /// The scheme's name.
        name: &'static str,
        /// The credential.
        token: &'static str,
    },
    /// OAuth 2 client credentials; the token is fetched, cached until it expires, and refreshed once on a 401.
    ClientCredentials {
        /// The scheme's name.
        name: &'static str,
        /// The setting that holds the token endpoint's URL.
        token_url: &'static str,
        /// The client id's credential.
        client_id: &'static str,
        /// The client secret's credential.
        client_secret: &'static str,
        /// A setting sent as `sub`, if it is set.
        subject: Option<&'static str>,
    },
}

impl AuthScheme {
    /// The name a request uses.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::BasicUser { name, .. } | Self::Bearer { name, .. } | Self::ClientCredentials { name, .. } => name,
        }
    }
}

/// Put into a request's extensions to have it authenticated. A request without it goes out bare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UseAuth(pub &'static str);

/// Put into a request's extensions when its URL came out of an answer of the vendor, as a presigned upload does. Only for
/// connectors whose Descriptor says so, only without credentials, only over https to a public address at the usual port;
/// an account marked `allow_private` may also mean its own machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedByVendor;

/// How an unknown outcome can be looked up at the vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindSupport {
    /// Not at all.
    None,
    /// Only when the named credential is present.
    WithCredential(&'static str),
    /// Always.
    Always,
}

/// A vendor's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The length of the vendor's window.
    pub window: Duration,
    /// Calls allowed in it.
    pub calls: u32,
    /// Calls we let be in flight at once.
    pub concurrency: u32,
}

/// What a vendor's headers said about its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Calls allowed in the window.
    pub calls: u32,
    /// Calls left.
    pub remaining: u32,
    /// The window's length, if the headers name it.
    pub window: Option<Duration>,
}

/// The only way out. Implementations drive the egress stack: breaker, limits, time-outs, address guard.
#[async_trait]
pub trait Http: Send + Sync {
    /// Sends one request and reads the whole answer, up to the account's cap.
    ///
    /// # Errors
    /// [`SendError`] says whether the request can have reached the vendor.
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, SendError>;
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Provably not processed: no address, no connection, no TLS, refused by our own guard.
    #[error("the vendor was not reached: {0}")]
    NotSent(&'static str),
    /// Refused by our own breaker or limits before anything was sent.
    #[error("not now")]
    NotNow {
        /// When to come back.
        until: Timestamp,
    },
    /// It may have been processed: time-out, reset or an unreadable answer after the request may have left.
    #[error("the outcome is unknown: {0}")]
    Unknown(&'static str),
    /// Nothing was sent: the vendor refused the credentials where a token is fetched with them.
    #[error("the vendor refused the credentials (status {0})")]
    Refused(u16),
    /// The request names a host, scheme or credential this account does not have.
    #[error("the account is misconfigured: {0}")]
    Misconfigured(&'static str),
}

/// One thing to be carried to one account, as a connector sees it.
#[derive(Debug)]
pub struct Delivery<'a> {
    /// This delivery. Vendors that take an idempotency key get one derived from it.
    pub id: DeliveryId,
    /// The application's id; our reference at the vendor.
    pub application_id: SubmissionId,
    /// The receipt's short code, for humans who look at the vendor's record.
    pub code: &'a str,
    /// When the application was received.
    pub received_at: Timestamp,
    /// Where it goes.
    pub account: &'a Account,
    /// The posting applied to, as last synced. For a CRM it is the ATS's posting.
    pub posting: &'a Posting,
    /// The questions the posting asked, if they are known.
    pub form: Option<&'a Form>,
    /// The document that was validated.
    pub application: &'a Application,
    /// The files, plaintext, hash-checked; empty unless the Descriptor takes files.
    pub files: &'a [File],
    /// What the account's overlay fills of the fields that [`Connector::custom_fields`] lists.
    pub fields: &'a [Filled],
    /// What earlier steps brought back.
    pub refs: &'a Refs,
    /// Now.
    pub now: Timestamp,
}

/// What is known of a delivery that the vendor said it took, when it is read back.
#[derive(Debug, Clone, Copy)]
pub struct Taken<'a> {
    /// When the first attempt that went well began: the record is not older, but for the clocks.
    pub sent_at: Timestamp,
    /// When the vendor said its last yes: the record is not younger.
    pub said_yes_at: Timestamp,
    /// The vendor's record, if its answer named one.
    pub vendor_id: Option<&'a str>,
}

/// One attachment in memory.
#[derive(Clone)]
pub struct File {
    /// The attachment's id in the document.
    pub id: String,
    /// Its content.
    pub bytes: Bytes,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "File({} bytes)", self.bytes.len())
    }
}

/// Why a read from a vendor failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The vendor does not have it, or does not show it.
    #[error("the vendor does not show it")]
    NotThere,
    /// The credentials were refused or lack a permission.
    #[error("the vendor refused the credentials (status {status})")]
    Unauthorised {
        /// The vendor's status.
        status: u16,
    },
    /// Come back later.
    #[error("the vendor is busy or unreachable: {what}")]
    NotNow {
        /// What happened.
        what: String,
        /// How long the vendor asked us to wait.
        retry_after: Option<Duration>,
    },
    /// The answer is not what the vendor documents.
    #[error("the vendor's answer could not be read: {0}")]
    Unreadable(String),
    /// The account's settings cannot work.
    #[error("the account is misconfigured: {0}")]
    Misconfigured(String),
    /// This vendor has nothing of the kind.
    #[error("this connector does not read that")]
    NotClaimed,
}

/// One page of postings.
#[derive(Debug, Clone, Default)]
pub struct JobPage {
    /// The postings.
    pub postings: Vec<Posting>,
    /// Where to go on; `None` on the last page.
    pub next: Option<String>,
}

/// What a credential may do, found out without side effects.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Permission {
    /// What was tried, such as "list jobs".
    pub name: &'static str,
    /// The answer.
    pub verdict: Verdict,
    /// What it means or what to do, in plain words.
    pub text: String,
}

/// May it?
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Yes.
    Yes,
    /// No.
    No,
    /// Cannot be tried without a real submission.
    NotTestable,
}

/// A stage that records of an account pass at the vendor.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stage {
    /// The vendor's id.
    pub id: String,
    /// What people read.
    pub label: String,
    /// What it is a stage of, such as a pipeline.
    pub of: String,
}

/// The code that speaks one vendor's API.
#[async_trait]
pub trait Connector: Send + Sync {
    /// What it declares.
    fn describe(&self) -> &'static Descriptor;

    /// What the vendor demands of every application beyond the canonical schema: JSON Schema 2020-12 over the canonical
    /// document. `None` when it demands nothing more.
    fn schema(&self) -> Option<&'static str> {
        None
    }

    /// The posting's questions as JSON Schema over the canonical document, pure. See `posting::words` for how a
    /// subschema says in plain words what it wants. `None` when the connector has no forms.
    fn form_schema(&self, _form: &Form) -> Option<serde_json::Value> {
        None
    }

    /// Where in the canonical document the answer to one field of a form goes, pure: what a site has to know to fill it.
    fn place(&self, _question: &Question, field: &QuestionField) -> Place {
        Place::answer(field)
    }

    /// The steps of this delivery, in order, never empty. Pure, and the same for the same document, settings and version.
    fn plan(&self, delivery: &Delivery<'_>) -> Vec<StepPlan>;

    /// Does this step only add to what an earlier one created? When the vendor refuses it, the application is not refused:
    /// the delivery is held for a person, and goes on behind what is done.
    fn only_adds(&self, _step: &str) -> bool {
        false
    }

    /// Tries one step.
    async fn run(&self, step: &str, delivery: &Delivery<'_>, http: &dyn Http) -> Outcome;

    /// Asks the vendor whether an attempt of `step` begun at `since` left a record. Only called where the Descriptor
    /// says it can be.
    async fn find(&self, _step: &str, _delivery: &Delivery<'_>, _since: Timestamp, _http: &dyn Http) -> Found {
        Found::CannotTell
    }

    /// How a person's record is erased at the vendor, in words for a privacy officer, as far as the vendor documents it.
    fn erasing(&self) -> Option<&'static str> {
        None
    }

    /// How a delivered record can be read back: as an unknown outcome is looked up, unless the vendor has another read.
    fn read_back(&self) -> FindSupport {
        self.describe().find
    }

    /// Reads back what the vendor said it took: by the id it gave where the vendor has such a read, else as `find` does.
    /// Only called where [`Connector::read_back`] says it can be. Few calls: it is nobody's turn but a spare one.
    async fn seen(&self, delivery: &Delivery<'_>, taken: &Taken<'_>, http: &dyn Http) -> Found {
        match self.plan(delivery).last() {
            Some(step) => self.find(step.name, delivery, taken.sent_at, http).await,
            None => Found::CannotTell,
        }
    }

    /// The fields of the vendor's own that an overlay may fill, beyond the questions that postings ask.
    ///
    /// # Errors
    /// [`ReadError`]; [`ReadError::NotClaimed`] where there is nothing but the postings' questions.
    async fn custom_fields(&self, _account: &Account, _http: &dyn Http) -> Result<Vec<VendorField>, ReadError> {
        Err(ReadError::NotClaimed)
    }

    /// The stages that records pass at the vendor.
    ///
    /// # Errors
    /// As [`Connector::custom_fields`].
    async fn stages(&self, _account: &Account, _http: &dyn Http) -> Result<Vec<Stage>, ReadError> {
        Err(ReadError::NotClaimed)
    }

    /// Does it read the vendor's webhooks?
    fn reads_hooks(&self) -> bool {
        false
    }

    /// What the credentials may do: each permission it needs by a read that changes nothing, or not testable.
    async fn check(&self, account: &Account, http: &dyn Http) -> Vec<Permission>;

    /// One page of the account's postings.
    ///
    /// # Errors
    /// [`ReadError`]; [`ReadError::NotClaimed`] where the vendor has no postings.
    async fn list_jobs(
        &self,
        _account: &Account,
        _cursor: Option<&str>,
        _http: &dyn Http,
    ) -> Result<JobPage, ReadError> {
        Err(ReadError::NotClaimed)
    }

    /// The questions one posting asks.
    ///
    /// # Errors
    /// As [`Connector::list_jobs`].
    async fn fetch_form(&self, _account: &Account, _posting_id: &str, _http: &dyn Http) -> Result<Form, ReadError> {
        Err(ReadError::NotClaimed)
    }
}
