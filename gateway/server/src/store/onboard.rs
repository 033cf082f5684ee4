//! What bringing an account live writes and reads: overlays, the checklist, secrets in rotation. Types only.

use std::collections::BTreeMap;

use bytes::Bytes;
pub use causeway_core::account::Which;
use causeway_core::ids::{AccountId, DeliveryId, SubmissionId};
use causeway_core::overlay::{Overlay, VendorField};
use causeway_core::pii::Secret;
use causeway_core::posting::Form;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of an account's overlay that is in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mapping {
    /// From 1.
    pub version: u32,
    /// The rules.
    pub overlay: Overlay,
    /// The vendor's fields that the rules name, as they were when it was saved.
    pub fields: Vec<VendorField>,
}

/// A version to save.
#[derive(Debug, Clone)]
pub struct NewOverlay {
    /// Whose.
    pub account: AccountId,
    /// The version it was made from: another one in force means that somebody else saved meanwhile.
    pub base: Option<u32>,
    /// The rules, checked.
    pub overlay: Overlay,
    /// The vendor's fields that they name.
    pub fields: Vec<VendorField>,
    /// Why, in the saver's words.
    pub note: String,
    /// Who.
    pub actor: String,
    /// When.
    pub now: Timestamp,
}

/// A version as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OverlayRecord {
    /// What it says.
    pub mapping: Mapping,
    /// Why it was saved.
    pub note: String,
    /// When.
    pub saved_at: Timestamp,
    /// By whom.
    pub saved_by: String,
}

/// One item of an account's checklist, as somebody left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// The item.
    pub item: String,
    /// It was found in order; or not.
    pub done: bool,
    /// In the words of whoever looked.
    pub note: String,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
}

/// An accepted document that went, or is to go, to an account; demographic answers left out.
#[derive(Debug, Clone)]
pub struct Recent {
    /// The submission.
    pub submission: SubmissionId,
    /// The posting's id.
    pub posting_id: String,
    /// When it came.
    pub received_at: Timestamp,
    /// The document.
    pub document: Bytes,
    /// The form it was validated against.
    pub form: Option<Form>,
}

/// A delivery whose record was seen at the vendor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighted {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The posting's id.
    pub posting_id: String,
    /// When the vendor took it.
    pub said_yes_at: Timestamp,
    /// When it was read back; `None` where it cannot be.
    pub seen_at: Option<Timestamp>,
}

/// What is known of one set of secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AboutSecrets {
    /// Since when it is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When the vendor ends it, as whoever gave it said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When the vendor last took it; exact to about a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
    /// When the vendor last refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_at: Option<Timestamp>,
}

/// What is known of an account's secrets, without the secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Credentials {
    /// The set in force.
    pub current: AboutSecrets,
    /// The newer one, while two live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<AboutSecrets>,
}

impl Credentials {
    /// Each living set.
    pub fn sets(&self) -> impl Iterator<Item = (Which, &AboutSecrets)> {
        std::iter::once((Which::Current, &self.current)).chain(self.next.as_ref().map(|next| (Which::Next, next)))
    }
}

/// A step of a rotation.
#[derive(Debug, Clone)]
pub enum Rotate {
    /// Newer secrets beside the present ones; the whole set, not the difference.
    Begin {
        /// By the names the Descriptor gives them.
        secrets: BTreeMap<String, Secret>,
        /// When the vendor ends them.
        expires_at: Option<Timestamp>,
    },
    /// The newer ones stay, the older ones are destroyed.
    Finish,
    /// The older ones stay, the newer ones are destroyed.
    Abandon,
    /// The set in force ends then, as far as is known.
    Expires {
        /// When the vendor ends it; `None`: never, or it is not known.
        at: Option<Timestamp>,
    },
}
