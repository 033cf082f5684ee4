//! What intake writes and reads: applications, refusals, edge counts, the view of a posting. Types only.

use bytes::Bytes;
use causeway_core::account::{Repeats, Role};
use causeway_core::delivery::{HeldCause, State};
use causeway_core::email::NormalEmail;
use causeway_core::ids::{AccountId, DeliveryId, KeyId, SubmissionId, TenantId};
use causeway_core::outcome::FieldReason;
use causeway_core::posting::Form;
use causeway_core::problem::FieldError;
use causeway_core::reason::Reason;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::setup::{AccountRecord, PostingRecord};

/// What intake needs to know about a posting.
#[derive(Debug, Clone, Default)]
pub struct PostingView {
    /// Every account of the tenant.
    pub accounts: Vec<AccountRecord>,
    /// The posting, if any ATS account of the tenant has it. If two accounts list the same id, the older account.
    pub posting: Option<PostingRecord>,
    /// Its form as last fetched, and when.
    pub form: Option<(Form, Timestamp)>,
}

/// A request without a key: byte-identical ones of ten minutes are one.
#[derive(Debug, Clone)]
pub struct SameRequest {
    /// Whose.
    pub tenant: TenantId,
    /// The person.
    pub email: NormalEmail,
    /// The posting id as submitted.
    pub posting_id: String,
    /// What two requests share exactly when they say the same.
    pub fingerprint: Vec<u8>,
    /// It came with a test key.
    pub test: bool,
    /// When it came.
    pub received_at: Timestamp,
}

/// An application to accept.
#[derive(Debug)]
pub struct NewApplication {
    /// Its id.
    pub id: SubmissionId,
    /// Whose.
    pub tenant: TenantId,
    /// The key it came with.
    pub key: KeyId,
    /// When it came.
    pub received_at: Timestamp,
    /// The posting id as submitted.
    pub posting_id: String,
    /// The ATS account the posting belongs to, if the posting is known.
    pub posting_account: Option<AccountId>,
    /// The digest of the form it was validated against, if one was known.
    pub form_digest: Option<String>,
    /// The primary address.
    pub email: NormalEmail,
    /// The JSON document, byte for byte as validated.
    pub document: Bytes,
    /// The files.
    pub attachments: Vec<NewAttachment>,
    /// One per target; the set is frozen here.
    pub deliveries: Vec<NewDelivery>,
    /// The caller's idempotency key, if it sent one (hashed by the store).
    pub idempotency_key: Option<String>,
    /// The canonical document and each part's name, type and hash, ready to be keyed by the store.
    pub fingerprint: Vec<u8>,
    /// The short code, as the store gave it.
    pub code: String,
    /// The answer's body, stored and replayed byte for byte.
    pub receipt: Bytes,
    /// Links the audit row and the log.
    pub trace_id: String,
    /// It came with a test key: it goes to sandbox accounts and is nobody's repeat but a test's.
    pub test: bool,
}

/// A file to keep.
#[derive(Debug, Clone)]
pub struct NewAttachment {
    /// Its id in the document.
    pub id: String,
    /// SHA-256 of the plaintext.
    pub sha256: [u8; 32],
    /// The plaintext.
    pub bytes: Bytes,
}

/// One target's delivery.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// Where it goes.
    pub account: AccountId,
    /// Held from the start, with why; else queued (or held when the account is paused: the store knows best).
    pub held: Option<(HeldCause, Reason, Vec<FieldReason>)>,
    /// What to do if the same person applied to the same posting within 120 days.
    pub repeats: Repeats,
}

/// What accepting came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// Stored now.
    New {
        /// The first application of the same person for the same posting within 120 days.
        repeat_of: Option<SubmissionId>,
        /// Accounts with work to do: ring for them.
        ring: Vec<AccountId>,
    },
    /// Stored before, under the same key or byte-identical within ten minutes: the first receipt.
    Before {
        /// Byte for byte.
        receipt: Bytes,
    },
    /// The key stands for another request.
    KeyReused,
}

/// A submission that was refused, yet held an e-mail and a job.
#[derive(Debug)]
pub struct NewRefusal {
    /// Its id.
    pub id: SubmissionId,
    /// Whose.
    pub tenant: TenantId,
    /// The key it came with.
    pub key: KeyId,
    /// When it came.
    pub received_at: Timestamp,
    /// The job as submitted.
    pub posting_id: String,
    /// The address.
    pub email: NormalEmail,
    /// The document as sent, without files.
    pub document: Bytes,
    /// The problem's code, such as `application_invalid`.
    pub code: String,
    /// The reasons answered.
    pub errors: Vec<FieldError>,
    /// Links to the log.
    pub trace_id: String,
    /// It came with a test key.
    pub test: bool,
}

/// Requests refused at the edge, without their bodies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EdgeCount {
    /// Whose, if a key was recognised.
    pub tenant: Option<TenantId>,
    /// The key, if one was recognised.
    pub key: Option<KeyId>,
    /// The job, if one was recognised.
    pub job: Option<String>,
    /// The minute, truncated.
    pub minute: Timestamp,
    /// The problem's code.
    pub code: String,
    /// How many.
    pub count: u64,
}

/// An application's targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApplicationView {
    /// Its id.
    pub id: SubmissionId,
    /// Its short code.
    pub code: String,
    /// When it came.
    pub received_at: Timestamp,
    /// The posting applied to.
    pub posting_id: String,
    /// The application it repeats.
    pub repeat_of: Option<SubmissionId>,
    /// It was sent with a test key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// One per target.
    pub targets: Vec<TargetView>,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TargetView {
    /// The account's name.
    pub account: String,
    /// Its role.
    pub role: Role,
    /// Where its delivery stands.
    pub state: State,
    /// Why, unless it went straight through.
    pub reason: Option<Reason>,
    /// When it was last changed.
    pub changed_at: Timestamp,
    /// When it will be tried next.
    pub next_attempt_at: Option<Timestamp>,
}

/// A held delivery whose posting or form is known now, or known not to exist.
#[derive(Debug)]
pub struct ReadyDelivery {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Whose.
    pub tenant: TenantId,
    /// Where it goes.
    pub account: AccountId,
    /// What it waited for.
    pub cause: HeldCause,
    /// The document.
    pub document: Bytes,
    /// What is known now. `posting: None` means a complete sync that began after the application came does not hold it.
    pub view: PostingView,
}

/// What became of a delivery that waited for its posting or form.
#[derive(Debug, Clone)]
pub enum Decision {
    /// It may go. The account is where it goes: an unknown posting's delivery learns its ATS account here.
    Go {
        /// Validated against this form.
        form_digest: Option<String>,
    },
    /// The posting is not there, or is closed.
    Refuse {
        /// Why.
        reason: Reason,
        /// Where and what.
        fields: Vec<FieldReason>,
    },
    /// Held, as it would have been at once had all of it been known then.
    Hold {
        /// What it waits for.
        cause: HeldCause,
        /// Why.
        reason: Reason,
        /// Where and what.
        fields: Vec<FieldReason>,
    },
    /// The posting is known now, the form is not: wait for that.
    AwaitForm,
}
