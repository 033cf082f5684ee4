//! The store: where the truth is. Reading path: `schema` before this file, `dispatch` after it.
//!
//! One trait in use-case verbs, one transaction each. Everything personal is sealed below this line and plain above it.
//! A returned `Ok` means synced to disk. The store knows nothing of HTTP, queues, vendors or retry policy; it checks that
//! moves are legal and leases are held, and refuses what is not.
//!
//! The contract is the suite beside it, run against every backend.

pub mod custody;
pub mod finding;
pub mod intake;
pub mod onboard;
pub mod receipts;
pub mod setup;
pub mod trace;
pub mod webhooks;
pub mod work;

pub(crate) mod blobs;
pub(crate) mod code;
pub mod keys;
pub(crate) mod migrate;
pub mod one_clock;
pub mod over;
pub mod postgres;
pub(crate) mod seal;
pub mod sql;
pub mod sqlite;
#[cfg(test)]
pub(crate) mod suite;
pub mod vitals;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::connector::File;
use causeway_core::delivery::{HeldCause, State};
use causeway_core::ids::{AccountId, DeliveryId, KeyId, SubmissionId, TenantId};
use causeway_core::pii::Secret;
use causeway_core::posting::Form;
use causeway_core::reason::Reason;
use jiff::Timestamp;

use crate::alike::AlikePolicy;
use finding::Finding;
use intake::{
    Accepted, ApplicationView, EdgeCount, NewApplication, NewRefusal, PostingView, ReadyDelivery, SameRequest,
};
use onboard::{NewOverlay, OverlayRecord, Recent, Rotate, Sighted, Tick, Which};
use setup::{AccountChanged, AccountRecord, KeyRecord, NewAccount, NewKey, NewTenant, Sync, SyncReport, Tenant};
use trace::{AuditEntry, Backlog, Case, Erasure, ErasurePlan, Ledger, Lookup, LookupQuery};
use trace::{Replayed, Retention, RetentionReport};
use vitals::Vitals;
use work::{Begun, Claim, ClaimRequest, Claimed, DueAccount, Settled, Settlement, Sighting, Unproven, WorkItem};

/// Why the store did not do it. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot make anything durable now: disk full, locked too long, down. Come back later.
    #[error("the store cannot write now: {0}")]
    Unavailable(&'static str),
    /// It exists already, under this name.
    #[error("there is already a {0} of this name")]
    Exists(&'static str),
    /// It does not exist, or is another tenant's.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The lease was lost: somebody else may be working on it.
    #[error("the lease was lost")]
    Fenced,
    /// The table of legal moves forbids it.
    #[error("a delivery cannot go from {from} to {to}")]
    IllegalMove {
        /// Where it stands.
        from: State,
        /// Where it was to go.
        to: State,
    },
    /// It is held for something that ends by itself, with a check that a replay would skip.
    #[error("a delivery held for {} goes on by itself", .0.as_str())]
    EndsByItself(HeldCause),
    /// What is stored does not read back: wrong key, tampering or a bug.
    #[error("the stored {0} cannot be read back")]
    Corrupt(&'static str),
    /// A bug or an unexpected engine error; the text names no data.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// What every verb returns.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// See the module's documentation.
#[async_trait]
pub trait Store: Send + std::marker::Sync {
    // --- setting up -------------------------------------------------------------------------------------------------

    /// Makes a tenant with keys of its own.
    async fn create_tenant(&self, tenant: NewTenant) -> Result<Tenant>;
    /// Every tenant.
    async fn tenants(&self) -> Result<Vec<Tenant>>;
    /// Adds an account with its sealed credentials.
    async fn add_account(&self, account: NewAccount) -> Result<AccountRecord>;
    /// Replaces settings, policies and, where given, credentials. Audited.
    async fn update_account(&self, change: AccountChanged) -> Result<()>;
    /// The accounts of one tenant, or of all.
    async fn accounts(&self, tenant: Option<TenantId>) -> Result<Vec<AccountRecord>>;
    /// One account.
    async fn account(&self, id: AccountId) -> Result<AccountRecord>;
    /// An account's secrets, for egress only.
    async fn credentials(&self, id: AccountId) -> Result<BTreeMap<String, Secret>>;
    /// Pauses the account: its queued and waiting deliveries become held(account_paused), in one case for the account.
    /// Returns how many. In-flight ones are held when they settle.
    async fn pause_account(&self, id: AccountId, reason: Reason, actor: &str, now: Timestamp) -> Result<u64>;
    /// Resumes it: what its pause held is queued again. Returns how many.
    async fn resume_account(&self, id: AccountId, actor: &str, now: Timestamp) -> Result<u64>;
    /// Makes an API key; only its hash is stored.
    async fn create_key(&self, key: NewKey) -> Result<KeyRecord>;
    /// A tenant's keys.
    async fn keys(&self, tenant: TenantId) -> Result<Vec<KeyRecord>>;
    /// The living key of this SHA-256, if there is one.
    async fn key_by_hash(&self, hash: [u8; 32]) -> Result<Option<KeyRecord>>;
    /// Every origin that a living publishable key of any tenant names.
    async fn origins(&self) -> Result<BTreeSet<String>>;
    /// Revokes a key at once.
    async fn revoke_key(&self, tenant: TenantId, key: KeyId, actor: &str, now: Timestamp) -> Result<()>;

    // --- bringing an account live -----------------------------------------------------------------------------------

    /// Saves a version of an account's overlay and puts it in force; returns its number. `Exists` when another version is
    /// in force than the one it was made from. Audited.
    async fn save_overlay(&self, overlay: NewOverlay) -> Result<u32>;
    /// Every version, newest first.
    async fn overlays(&self, account: AccountId) -> Result<Vec<OverlayRecord>>;
    /// The forms of the account's open postings.
    async fn forms(&self, account: AccountId) -> Result<Vec<Form>>;
    /// The newest accepted documents that go to the account, demographic answers left out. What was erased is not there.
    async fn recent(&self, account: AccountId, limit: usize) -> Result<Vec<Recent>>;
    /// The newest deliveries that the account's vendor took.
    async fn taken(&self, account: AccountId, limit: usize) -> Result<Vec<Sighted>>;
    /// Writes an item of the account's checklist. Audited.
    async fn tick(&self, account: AccountId, tick: Tick) -> Result<()>;
    /// The account's checklist as it was left.
    async fn ticks(&self, account: AccountId) -> Result<Vec<Tick>>;
    /// The account goes live: what was held for that is queued. Returns how many. Audited.
    async fn go_live(&self, account: AccountId, actor: &str, now: Timestamp) -> Result<u64>;
    /// A step of a rotation of secrets. `NotFound` when there is none to finish or abandon. Audited.
    async fn rotate(&self, account: AccountId, step: Rotate, actor: &str, now: Timestamp) -> Result<()>;
    /// The newer secrets, while two sets live; for egress only.
    async fn next_credentials(&self, account: AccountId) -> Result<Option<BTreeMap<String, Secret>>>;
    /// The vendor took, or refused, these secrets.
    async fn secrets_used(&self, account: AccountId, which: Which, refused: bool, now: Timestamp) -> Result<()>;

    // --- postings ---------------------------------------------------------------------------------------------------

    /// Takes over one sync of an account's postings, atomically: readers see the old or the new. Only a complete sync
    /// closes postings it no longer lists. Deliveries held as `posting_unknown` for postings it lists are returned to
    /// their intake as [`Store::awaiting`].
    async fn apply_sync(&self, sync: Sync) -> Result<SyncReport>;
    /// Keeps a posting's form; a new digest is a new version, old versions stay while anything refers to them.
    async fn put_form(&self, account: AccountId, form: &Form, now: Timestamp) -> Result<()>;
    /// Postings of the account, live and closed.
    async fn postings(&self, account: AccountId) -> Result<Vec<setup::PostingRecord>>;
    /// What intake needs to know about a posting, by the id a site applies to. Sandbox accounts and what they list are
    /// seen with `test` and only with it.
    async fn posting_view(&self, tenant: TenantId, posting_id: &str, test: bool) -> Result<PostingView>;
    /// Grows whenever accounts, keys, postings or forms change; what was read before may be stale then.
    fn generation(&self) -> u64;

    // --- intake -----------------------------------------------------------------------------------------------------

    /// A short code for a new application. No other application of this store has or had it.
    async fn new_code(&self) -> Result<String>;
    /// One synced transaction: submission, deliveries, idempotency, audit row; attachments synced before it.
    async fn accept(&self, application: NewApplication) -> Result<Accepted>;
    /// What a request with this idempotency key came to, if it was accepted before: `Before` or `KeyReused`. Asked when
    /// the same document would be refused now (its job was closed since), so that a retry still gets its receipt.
    async fn accepted_before(
        &self,
        tenant: TenantId,
        idempotency_key: &str,
        fingerprint: Vec<u8>,
    ) -> Result<Option<Accepted>>;
    /// The same of a request without a key: the receipt of the one that it repeats.
    async fn same_before(&self, same: SameRequest) -> Result<Option<Bytes>>;
    /// Records a refused submission; a byte-identical one within an hour is counted instead.
    async fn record_refusal(&self, refusal: NewRefusal) -> Result<()>;
    /// Adds to the counters of requests refused at the edge.
    async fn count_edge(&self, counts: Vec<EdgeCount>) -> Result<()>;
    /// The state of each target of an application: of a test, or of a real one.
    async fn application(&self, tenant: TenantId, id: SubmissionId, test: bool) -> Result<ApplicationView>;
    /// Deliveries held as `posting_unknown` or `form_unknown` whose posting or form is known now.
    async fn awaiting(&self, limit: usize) -> Result<Vec<ReadyDelivery>>;
    /// Decides a held delivery that was awaiting its posting or form.
    async fn decide_held(
        &self,
        tenant: TenantId,
        delivery: DeliveryId,
        decision: intake::Decision,
        now: Timestamp,
    ) -> Result<()>;

    // --- delivery ---------------------------------------------------------------------------------------------------

    /// Accounts with due work, and when the next work is due.
    async fn due(&self, now: Timestamp) -> Result<(Vec<DueAccount>, Option<Timestamp>)>;
    /// Leases due deliveries: fresh before bulk, oldest first, at most one in flight per account, e-mail and posting. An error
    /// when nothing is leased and an account's claim failed.
    async fn claim(&self, request: ClaimRequest) -> Result<Claimed>;
    /// Everything a connector needs, opened and checked against its hashes.
    async fn load(&self, claim: &Claim, with_files: bool) -> Result<(WorkItem, Vec<File>)>;
    /// Commits "this step is about to be tried". Nothing may be sent before this returns.
    async fn begin_attempt(&self, claim: &Claim, step: &str, now: Timestamp) -> Result<Begun>;
    /// Commits what an attempt came to and what follows. Fails with `Fenced` when the lease is no longer ours.
    async fn settle(&self, settlement: Settlement) -> Result<Settled>;
    /// Gives a lease back unused: the delivery returns to where it was, due at `due_at`.
    async fn release(&self, claim: &Claim, due_at: Timestamp) -> Result<()>;
    /// Deliveries whose lease has run out: an attempt on the wire becomes unknown, the rest are due again. Returns how
    /// many of each (unknown, due).
    async fn expire_leases(&self, now: Timestamp) -> Result<(u64, u64)>;
    /// Where many fail alike and it is time, queues one of them as the probe. Returns the accounts that have one due.
    async fn probe_alike(&self, policy: &AlikePolicy, now: Timestamp) -> Result<Vec<AccountId>>;

    /// Delivered ones that are to be read back at their vendor by now: of each account that runs at most `limit`, longest
    /// due first.
    async fn unproven(&self, now: Timestamp, limit: usize) -> Result<Vec<Unproven>>;
    /// Everything a connector needs to read a delivered one back; no files. `NotFound` once its data was erased.
    async fn load_delivered(&self, unproven: &Unproven) -> Result<WorkItem>;
    /// Records what reading back came to; where the delivery stands never changes. `Fenced` when it was recorded before.
    async fn record_sighting(&self, unproven: &Unproven, sighting: Sighting, now: Timestamp) -> Result<Settled>;

    // --- support ----------------------------------------------------------------------------------------------------

    /// Everything recorded about the submissions that match.
    async fn lookup(&self, query: &LookupQuery) -> Result<Lookup>;
    /// Open cases of a tenant, newest first.
    async fn cases(&self, tenant: TenantId, limit: usize) -> Result<Vec<Case>>;
    /// Queues a settled delivery again with the same references. Refuses what was erased and what ends by itself: a pause,
    /// an unknown posting, an unknown form. In a paused account it is held until that resumes. Audited.
    async fn replay(&self, tenant: TenantId, delivery: DeliveryId, actor: &str, now: Timestamp) -> Result<Replayed>;
    /// Calls a delivery off. Audited.
    async fn cancel(&self, tenant: TenantId, delivery: DeliveryId, actor: &str, now: Timestamp) -> Result<()>;
    /// What erasing this person would reach.
    async fn erasure_plan(&self, tenant: TenantId, email: &causeway_core::email::NormalEmail) -> Result<ErasurePlan>;
    /// Destroys the keys, scrubs the rows, removes the blobs, leaves a tombstone. Audited. Idempotent.
    async fn erase(
        &self,
        tenant: TenantId,
        email: &causeway_core::email::NormalEmail,
        actor: &str,
        now: Timestamp,
    ) -> Result<Erasure>;
    /// Writes an audit row.
    async fn audit(&self, entry: AuditEntry) -> Result<()>;
    /// Checks a tenant's audit chain; the position of the first bad row, if any.
    async fn verify_audit(&self, tenant: TenantId) -> Result<Option<u64>>;
    /// Writes the newest link of each audit chain that has grown to a place outside the database, so that putting the
    /// whole database back to an older state is noticed. Returns how many. A backend that cannot be put back has none.
    async fn anchor_audit(&self, now: Timestamp) -> Result<u64>;

    // --- upkeep -----------------------------------------------------------------------------------------------------

    /// Removes what is past its retention, at most `limit` rows a call.
    async fn retain(&self, retention: &Retention, now: Timestamp, limit: usize) -> Result<RetentionReport>;
    /// Takes or renews the lease on a periodic job; `None` when another process holds it. The number is its fence.
    async fn lease_job(&self, job: &str, owner: &str, now: Timestamp, lease: Duration) -> Result<Option<u64>>;
    /// Removes blobs that no row names and that are older than a day. Returns how many.
    async fn sweep_blobs(&self, now: Timestamp) -> Result<u64>;
    /// The store's own time, where it has a clock of its own.
    async fn time(&self) -> Result<Option<Timestamp>>;
    /// Looks at everything the store rests on: engine, settings, migrations, keys, audit chains. Writes nothing.
    async fn examine(&self) -> Result<Vec<Finding>>;
    /// How many deliveries stand in each state, for the ledger proof and metrics.
    async fn census(&self) -> Result<BTreeMap<State, u64>>;
    /// Both sides of the ledger, read at one moment: targets as they were accepted, and deliveries where whoever works for
    /// their state finds them. They are equal, always.
    async fn ledger(&self) -> Result<Ledger>;
    /// Since when the oldest work of each kind has been due.
    async fn backlog(&self, now: Timestamp) -> Result<Backlog>;
    /// What its writers have counted.
    fn vitals(&self) -> Arc<Vitals>;
    /// Ends the writer after its last commit.
    async fn close(&self);
}
