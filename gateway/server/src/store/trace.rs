//! What support and upkeep write and read: lookups, cases, audit, erasure, retention. Types only.

use std::collections::BTreeMap;
use std::time::Duration;

use causeway_core::account::Role;
use causeway_core::delivery::{HeldCause, Refs, State};
use causeway_core::email::NormalEmail;
use causeway_core::ids::{AccountId, AttemptId, CaseId, DeliveryId, EndpointId, SubmissionId, TenantId};
use causeway_core::outcome::{Class, FieldReason};
use causeway_core::pii::Pii;
use causeway_core::problem::FieldError;
use causeway_core::reason::Reason;
use jiff::Timestamp;

use super::custody::VendorCopy;
use super::work::Proof;

/// What to look up. Members that are given must all match; at least one of e-mail, code, account and time is given.
#[derive(Debug, Clone)]
pub struct LookupQuery {
    /// Whose; every query has one.
    pub tenant: TenantId,
    /// The applicant's address.
    pub email: Option<NormalEmail>,
    /// Find plus-tagged variants of the address too.
    pub base_email: bool,
    /// Any id of the job, or its requisition code.
    pub job: Option<String>,
    /// The receipt's code, in any spelling.
    pub code: Option<String>,
    /// An account's name or id text.
    pub account: Option<String>,
    /// Received at or after.
    pub since: Option<Timestamp>,
    /// Received before.
    pub until: Option<Timestamp>,
    /// At most so many submissions, newest first.
    pub limit: usize,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Lookup {
    /// Newest first.
    pub submissions: Vec<SubmissionTrace>,
    /// More matched than the limit.
    pub truncated: bool,
    /// Set when the address was erased: the tombstone's date.
    pub erased_at: Option<Timestamp>,
    /// Requests refused at the edge in the asked window (for this tenant, and for unknown keys not at all), by code.
    pub edge_refused: BTreeMap<String, u64>,
}

/// One submission, accepted or refused, with everything recorded about it.
#[derive(Debug, Clone)]
pub struct SubmissionTrace {
    /// Its id.
    pub id: SubmissionId,
    /// When it came (for a refusal: first).
    pub received_at: Timestamp,
    /// The posting id as submitted.
    pub posting_id: String,
    /// The posting's title and ids, if it is known.
    pub posting: Option<causeway_core::posting::Posting>,
    /// Set once the posting was closed.
    pub posting_closed_at: Option<Timestamp>,
    /// Links to the log.
    pub trace_id: String,
    /// It was sent with a test key.
    pub test: bool,
    /// Accepted or refused.
    pub kind: SubmissionKind,
    /// Its data was erased.
    pub erased: bool,
}

/// Accepted or refused.
#[derive(Debug, Clone)]
pub enum SubmissionKind {
    /// An application.
    Accepted {
        /// The receipt's code.
        code: String,
        /// The application it repeats.
        repeat_of: Option<SubmissionId>,
        /// The form it was validated against.
        form_digest: Option<String>,
        /// One per target.
        deliveries: Vec<DeliveryTrace>,
        /// Accounts that got nothing, for want of a lawful basis, as the receipt said.
        withheld: Vec<Withheld>,
    },
    /// A refusal.
    Refused {
        /// The problem's code.
        code: String,
        /// The reasons answered; empty once erased.
        errors: Vec<FieldError>,
        /// How often the same bytes came within the hour.
        count: u64,
        /// When they came last.
        last_at: Timestamp,
    },
}

/// An account that an application was kept from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Withheld {
    /// The account's name.
    pub account: String,
    /// Why.
    pub reason: Reason,
}

/// One delivery with everything recorded about it.
#[derive(Debug, Clone)]
pub struct DeliveryTrace {
    /// Its id.
    pub id: DeliveryId,
    /// The account's id, name, connector and role.
    pub account: AccountId,
    /// What people call the account.
    pub account_name: String,
    /// The connector's name.
    pub connector: String,
    /// Its role.
    pub role: Role,
    /// Where it stands.
    pub state: State,
    /// Why it is held.
    pub held: Option<HeldCause>,
    /// Why, unless it went straight through.
    pub reason: Option<Reason>,
    /// Field-level reasons.
    pub fields: Vec<FieldReason>,
    /// When it was last changed.
    pub changed_at: Timestamp,
    /// When it will be tried next.
    pub next_attempt_at: Option<Timestamp>,
    /// The case it is attached to.
    pub case: Option<CaseId>,
    /// The vendor's references.
    pub refs: Refs,
    /// The vendor's record.
    pub vendor_id: Option<String>,
    /// Resent without knowing that the former attempt failed.
    pub possible_duplicate: bool,
    /// When the first byte of the last successful attempt may have left; the first proof.
    pub sent_at: Option<Timestamp>,
    /// When the vendor said yes; the second proof.
    pub vendor_said_yes_at: Option<Timestamp>,
    /// Read back, or why not; the third proof.
    pub proof: Option<Proof>,
    /// Every attempt and lookup, oldest first.
    pub attempts: Vec<AttemptTrace>,
}

/// One attempt, or one lookup of an unknown one.
#[derive(Debug, Clone)]
pub struct AttemptTrace {
    /// Its id.
    pub id: AttemptId,
    /// Its number within the delivery.
    pub number: u32,
    /// The step.
    pub step: String,
    /// A lookup of an unknown outcome, not a try.
    pub is_lookup: bool,
    /// When it began.
    pub began_at: Timestamp,
    /// When it ended; `None` while on the wire or when its process died.
    pub ended_at: Option<Timestamp>,
    /// How long the vendor took.
    pub took: Option<Duration>,
    /// What it came to.
    pub class: Option<Class>,
    /// Why.
    pub reason: Option<Reason>,
    /// The vendor's status.
    pub vendor_status: Option<u16>,
    /// The vendor's words, unredacted: support redacts before showing.
    pub vendor_words: Option<Pii<String>>,
}

/// Something a human should look at.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its id.
    pub id: CaseId,
    /// The delivery, or none for a whole account or an endpoint.
    pub delivery: Option<DeliveryId>,
    /// The account, or none for an endpoint.
    pub account: Option<AccountId>,
    /// The webhook endpoint it is about.
    pub endpoint: Option<EndpointId>,
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub opened_at: Timestamp,
    /// How many deliveries are attached.
    pub deliveries: u64,
    /// What they have in common, where many fail alike.
    pub alike: Option<Alike>,
}

/// What many deliveries that fail have in common. Names places, never values.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Alike {
    /// The step.
    pub step: String,
    /// What trying it comes to.
    pub class: Class,
    /// Why.
    pub reason: Option<Reason>,
    /// The vendor's status.
    pub vendor_status: Option<u16>,
    /// The places complained of.
    pub fields: Vec<String>,
    /// How often one was tried again and failed alike.
    pub failed_probes: u32,
    /// When one is tried next; none while one is.
    pub next_probe_at: Option<Timestamp>,
}

/// One audit row to write. Holds ids only.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    /// Whose.
    pub tenant: TenantId,
    /// When.
    pub at: Timestamp,
    /// Who: `cli`, a key's id, `system`.
    pub actor: String,
    /// What, such as `support.lookup`.
    pub action: String,
    /// On what: an id.
    pub subject: String,
}

/// What a replay came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    /// Whose work it is now.
    pub account: AccountId,
    /// `Queued`; or `Held`, while the account is paused.
    pub state: State,
}

/// What erasing a person would reach.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct ErasurePlan {
    /// Submissions, accepted and refused.
    pub submissions: Vec<SubmissionId>,
    /// Deliveries not settled yet, which will end as erased.
    pub live_deliveries: u64,
    /// Attachments.
    pub blobs: u64,
    /// Copies at vendors, which the gateway cannot erase.
    pub vendor_copies: Vec<VendorCopy>,
}

/// What erasing did.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Erasure {
    /// When; the first time, if it was erased before.
    pub erased_at: Timestamp,
    /// What it reached.
    pub reached: ErasurePlan,
}

/// How long each class is kept.
#[derive(Debug, Clone)]
pub struct Retention {
    /// Applications, their deliveries and attempts.
    pub applications: Duration,
    /// Refused submissions.
    pub refusals: Duration,
    /// Idempotency keys.
    pub idempotency: Duration,
    /// Edge counters.
    pub edge_counts: Duration,
    /// Demographic answers of applications that have nothing on its way any more: their own key goes.
    pub demographics: Duration,
    /// Attempts of settled deliveries, with what the vendor said.
    pub attempts: Duration,
    /// Audit rows, oldest first; the chain is checked from what remains.
    pub audit: Duration,
    /// Webhooks to sites, sent or not.
    pub webhooks: Duration,
}

/// The two sides of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    /// Of all accepted applications that are kept, as they were accepted.
    pub targets: u64,
    /// Deliveries by state.
    pub states: BTreeMap<State, u64>,
}

impl Ledger {
    /// Targets less deliveries. Anything but 0 is a delivery that was lost, or invented.
    pub fn difference(&self) -> i64 {
        let deliveries: u64 = self.states.values().sum();
        i64::try_from(i128::from(self.targets) - i128::from(deliveries)).unwrap_or(i64::MAX)
    }
}

/// Since when the oldest work of each kind has been due; none where nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Deliveries that could be claimed.
    pub deliveries: Option<Timestamp>,
    /// Webhooks that could be sent.
    pub webhooks: Option<Timestamp>,
    /// Delivered ones that could be read back.
    pub read_backs: Option<Timestamp>,
}

/// What a retention run removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct RetentionReport {
    /// Applications.
    pub applications: u64,
    /// Refused submissions.
    pub refusals: u64,
    /// Idempotency keys.
    pub idempotency: u64,
    /// Edge counters.
    pub edge_counts: u64,
    /// Submissions whose demographic answers went.
    pub demographics: u64,
    /// Attempts that went, or lost the vendor's words and stay.
    pub attempts: u64,
    /// Audit rows.
    pub audit: u64,
    /// Webhooks to sites.
    pub webhooks: u64,
}

impl RetentionReport {
    /// Everything.
    pub fn total(&self) -> u64 {
        let Self { applications, refusals, idempotency, edge_counts, demographics, attempts, audit, webhooks } = self;
        [applications, refusals, idempotency, edge_counts, demographics, attempts, audit, webhooks].into_iter().sum()
    }
}
