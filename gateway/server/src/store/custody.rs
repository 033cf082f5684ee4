//! Custody: what is held about a person, what remains of them elsewhere, and copies of the whole.
//!
//! Apart from [`Store`](super::Store), which is what the gateway works with: no request and no delivery needs these verbs,
//! a privacy officer and an operator do. Everything here is opened or copied on purpose and audited by whoever asks.

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::email::NormalEmail;
use causeway_core::ids::{DeliveryId, KeyId, SubmissionId, TenantId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Result;
use super::trace::SubmissionTrace;

/// See the module's documentation.
#[async_trait]
pub trait Custody: Send + Sync {
    /// What is held about a person, opened: the exact address, accepted and refused, oldest first, a page at a time.
    async fn held(&self, tenant: TenantId, email: &NormalEmail, wish: HeldWish) -> Result<Held>;
    /// One attachment, opened, by its place among its submission's, from 0. Of nobody else's submission.
    async fn held_file(
        &self,
        tenant: TenantId,
        email: &NormalEmail,
        submission: SubmissionId,
        position: usize,
    ) -> Result<Bytes>;
    /// Copies at vendors of what was erased, newest erasure first.
    async fn vendor_copies(&self, tenant: TenantId) -> Result<Vec<VendorCopy>>;
    /// Records how a copy at a vendor ended. Copies of the same vendor record end together. Audited.
    async fn settle_vendor_copy(
        &self,
        tenant: TenantId,
        delivery: DeliveryId,
        state: CopyState,
        actor: &str,
        now: Timestamp,
    ) -> Result<Vec<VendorCopy>>;
    /// Copies the store into an empty folder while it is in use: a snapshot, the attachments it names, and the persons'
    /// keys in a file of their own.
    async fn backup(&self, into: &Path, now: Timestamp) -> Result<BackupReport>;
    /// Lets the API keys open again that a restore suspended, and names them. Audited.
    async fn release_keys(&self, actor: &str, now: Timestamp) -> Result<Vec<SuspendedKey>>;
}

/// An API key that came back from a backup and opens nothing until the restore is confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspendedKey {
    /// Its public part.
    pub id: KeyId,
    /// The tenant's name.
    pub tenant: String,
    /// Its own.
    pub name: String,
}

/// What of it is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldWish {
    /// Demographic answers too. Else they are left out.
    pub demographics: bool,
    /// Only what came after this submission: [`Held::next`] of the page before.
    pub after: Option<SubmissionId>,
    /// A page ends with the submission whose document brings it to so many bytes: anybody may send under an address.
    pub page_bytes: usize,
}

impl Default for HeldWish {
    fn default() -> Self {
        Self { demographics: false, after: None, page_bytes: 16 * 1024 * 1024 }
    }
}

/// A page of what is held about a person.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// Submissions, oldest first.
    pub records: Vec<HeldRecord>,
    /// There are more, after this one.
    pub next: Option<SubmissionId>,
    /// Set when the address was erased before.
    pub erased_at: Option<Timestamp>,
}

/// One submission, opened.
#[derive(Clone)]
pub struct HeldRecord {
    /// What is recorded about it.
    pub trace: SubmissionTrace,
    /// The document.
    pub document: Bytes,
    /// It holds demographic answers that were left out here.
    pub demographics_left_out: bool,
    /// The attachments' ids in the document, in their order.
    pub attachments: Vec<String>,
}

impl std::fmt::Debug for HeldRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HeldRecord({}, {} files)", self.trace.id, self.attachments.len())
    }
}

/// What became of a copy at a vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CopyState {
    /// Nobody did anything yet: it has to be erased there by hand.
    ByHand,
    /// The vendor was asked to erase it.
    AskedVendor,
    /// It was erased there.
    Confirmed,
    /// There is none: what was sent never arrived, or was gone.
    NotThere,
}

impl CopyState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::ByHand, Self::AskedVendor, Self::Confirmed, Self::NotThere];

    /// The stable text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ByHand => "by_hand",
            Self::AskedVendor => "asked_vendor",
            Self::Confirmed => "confirmed",
            Self::NotThere => "not_there",
        }
    }
}

impl std::str::FromStr for CopyState {
    type Err = causeway_core::delivery::UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|state| state.as_str() == text);
        known.ok_or(causeway_core::delivery::UnknownWord)
    }
}

/// A copy at a vendor, which only the vendor can erase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VendorCopy {
    /// The delivery that brought it there; names the copy.
    pub delivery: DeliveryId,
    /// The account's name.
    pub account: String,
    /// The connector's name.
    pub connector: String,
    /// The vendor's record. None: it gave no id, or an attempt was never answered, so there may be one.
    pub vendor_id: Option<String>,
    /// Since when the vendor has it, if that is known.
    pub since: Option<Timestamp>,
    /// When the person was erased here; none while they are not.
    pub erased_at: Option<Timestamp>,
    /// What became of it.
    pub state: CopyState,
    /// Who said so last; none while nobody did.
    pub changed_by: Option<String>,
    /// When.
    pub changed_at: Option<Timestamp>,
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupReport {
    /// Everything committed before this moment is in it.
    pub taken_at: Timestamp,
    /// Submissions, accepted and refused.
    pub submissions: u64,
    /// Attachments.
    pub attachments: u64,
    /// Attachments that were erased or ran out while the backup was taken.
    pub gone_meanwhile: u64,
    /// Size of everything, in bytes.
    pub bytes: u64,
}
