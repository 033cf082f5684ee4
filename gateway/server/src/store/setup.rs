//! What setting up writes and reads: tenants, accounts, API keys, postings. Types only.

use std::collections::BTreeMap;
use std::sync::Arc;

use causeway_core::account::Account;
use causeway_core::ids::{AccountId, KeyId, TenantId};
use causeway_core::pii::Secret;
use causeway_core::posting::Posting;
use causeway_core::reason::Reason;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::onboard::{Credentials, Mapping};

/// A tenant to make.
#[derive(Debug, Clone)]
pub struct NewTenant {
    /// Unique, lower case, letters, digits and hyphens.
    pub name: String,
    /// Who asked for it, for the audit.
    pub actor: String,
    /// When.
    pub now: Timestamp,
}

/// A customer company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// Since when.
    pub created_at: Timestamp,
}

/// An account to add.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Settings and policies; its id is made by the caller.
    pub account: Account,
    /// Its secrets by the names the Descriptor gives them.
    pub credentials: BTreeMap<String, Secret>,
    /// See [`AccountRecord::sandbox`].
    pub sandbox: bool,
    /// It is not live yet: see [`AccountRecord::live_at`].
    pub staged: bool,
    /// When the vendor ends its secrets, if that is known.
    pub expires_at: Option<Timestamp>,
    /// Who asked for it.
    pub actor: String,
    /// When.
    pub now: Timestamp,
}

/// An account as it is to be.
#[derive(Debug, Clone)]
pub struct AccountChanged {
    /// Settings and policies. Whose it is, its connector and its role stay as they are.
    pub account: Account,
    /// New secrets, if they change.
    pub credentials: Option<BTreeMap<String, Secret>>,
    /// Who asked for it.
    pub actor: String,
    /// When.
    pub now: Timestamp,
}

/// An account and whether it is running.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountRecord {
    /// What connectors see.
    pub account: Account,
    /// Set while paused: why and since when.
    pub paused: Option<Paused>,
    /// Made for tests: only test keys reach it, and it is all they reach. Fixed when it is added.
    #[serde(default)]
    pub sandbox: bool,
    /// Since when.
    pub created_at: Timestamp,
    /// The last complete sync, if there was one.
    pub last_complete_sync: Option<Timestamp>,
    /// Since when it is live. Until then its deliveries are held, each until a person sends it or the account goes live.
    #[serde(default)]
    pub live_at: Option<Timestamp>,
    /// The overlay in force, if there is one.
    #[serde(default)]
    pub mapping: Option<Arc<Mapping>>,
    /// What is known of its secrets.
    #[serde(default)]
    pub credentials: Credentials,
}

/// An account's pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub since: Timestamp,
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Post applications.
    Submit,
    /// Push job feeds.
    Feed,
    /// Read postings and the state of applications.
    Read,
    /// Look up, replay.
    Support,
    /// With `support`: erase a person, hand over what is held, demographic answers included.
    Privacy,
}

impl Scope {
    /// The stable text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Feed => "feed",
            Self::Read => "read",
            Self::Support => "support",
            Self::Privacy => "privacy",
        }
    }

    /// May a test key have it? What support sees is of both worlds, and so of real people.
    pub const fn is_for_tests(self) -> bool {
        match self {
            Self::Submit | Self::Feed | Self::Read => true,
            Self::Support | Self::Privacy => false,
        }
    }
}

/// A key to make.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Made by the caller.
    pub id: KeyId,
    /// Whose.
    pub tenant: TenantId,
    /// A name for people.
    pub name: String,
    /// SHA-256 of the whole key.
    pub hash: [u8; 32],
    /// What it may do; of a publishable key nothing, for what it may do is fixed.
    pub scopes: Vec<Scope>,
    /// See [`KeyRecord::origins`].
    pub origins: Option<Vec<String>>,
    /// See [`KeyRecord::test`].
    pub test: bool,
    /// Who asked for it.
    pub actor: String,
    /// When.
    pub now: Timestamp,
}

/// A key as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its public part.
    pub id: KeyId,
    /// Whose.
    pub tenant: TenantId,
    /// A name for people.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The origins of the pages a publishable key stands in, as browsers write them. `None`: a secret key.
    #[serde(default)]
    pub origins: Option<Vec<String>>,
    /// It reaches the tenant's sandbox accounts and no other; what it sends is marked `test`.
    #[serde(default)]
    pub test: bool,
    /// Since when.
    pub created_at: Timestamp,
    /// Set once revoked.
    pub revoked_at: Option<Timestamp>,
    /// It came back from a backup, and opens nothing until the restore is confirmed.
    #[serde(default)]
    pub suspended: bool,
}

/// One sync of an account's postings.
#[derive(Debug, Clone)]
pub struct Sync {
    /// The account.
    pub account: AccountId,
    /// When the first page was asked for: the moment the list is good for.
    pub started_at: Timestamp,
    /// Every page was read: what is not listed is closed.
    pub complete: bool,
    /// What was listed.
    pub postings: Vec<Posting>,
}

/// What a sync changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SyncReport {
    /// Listed in all.
    pub listed: u64,
    /// New or reopened.
    pub opened: u64,
    /// Changed.
    pub changed: u64,
    /// No longer listed by a complete sync.
    pub closed: u64,
}

/// A posting as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PostingRecord {
    /// The ATS account it belongs to.
    pub account: AccountId,
    /// The posting.
    pub posting: Posting,
    /// Set once a complete sync no longer listed it.
    pub closed_at: Option<Timestamp>,
    /// The digest of the form last fetched, and when.
    pub form: Option<(String, Timestamp)>,
}
