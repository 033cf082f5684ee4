//! Everything a connector needs for a leased delivery, opened and checked.
//!
//! What does not open, or is not what its hash says, is never handed out: the delivery is parked with a case, here, so
//! that no worker meets it again, and the caller is told `Corrupt`.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use causeway_core::account::Role;
use causeway_core::connector::File;
use causeway_core::delivery::State;
use causeway_core::ids::{AccountId, BlobId, DeliveryId};
use causeway_core::posting::{Form, Posting};
use causeway_core::reason::Reason;
use jiff::Timestamp;
use tokio::sync::{Semaphore, oneshot};

use super::delivery::Delivery;
use super::errors::{Op, Stop};
use super::jobs::copy;
use super::submission::{Demographics, Document, open_attachment, unwrapped};
use super::{SqlStore, accounts, blob_error, cases, delivery, postings};
use crate::hash::sha256;
use crate::store::keys::{DataKey, Keyring, Owner};
use crate::store::setup::AccountRecord;
use crate::store::sql::rows::{Columns, Conn, Row, StoredId, every, params, sql};
use crate::store::sql::scope::Scope;
use crate::store::work::{Claim, Unproven, WordsKey, WorkItem};
use crate::store::{Result, StoreError};

/// What waits to be read, and the turns of those who read it: whoever has one reads for all that wait.
pub(in crate::store) struct Loads {
    waiting: Mutex<Vec<Waiting>>,
    pub(in crate::store) turns: Semaphore,
}

pub(in crate::store) struct Waiting {
    wanted: Wanted,
    reply: oneshot::Sender<Result<WorkItem>>,
}

/// A delivery, and what has to be so for it to be handed out.
#[derive(Debug, Clone)]
enum Wanted {
    /// The claim is the newest lease on it.
    Leased(Claim),
    /// It is delivered, and to be read back.
    Delivered(Unproven),
}

impl Wanted {
    const fn delivery(&self) -> DeliveryId {
        match self {
            Self::Leased(claim) => claim.delivery,
            Self::Delivered(unproven) => unproven.delivery,
        }
    }

    const fn scope(&self) -> Scope {
        match self {
            Self::Leased(claim) => Scope::Tenant(claim.tenant),
            Self::Delivered(unproven) => Scope::Account(unproven.account),
        }
    }
}

/// Reads under way at once, and what one of them reads at most.
const TURNS: usize = 2;
const MOST: usize = 64;

impl Default for Loads {
    fn default() -> Self {
        Self { waiting: Mutex::default(), turns: Semaphore::new(TURNS) }
    }
}

impl Loads {
    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those whose turn it is; none when nobody waits.
    pub(in crate::store) fn take(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting();
        waiting.retain(|one| !one.reply.is_closed());
        let many = waiting.len().min(MOST);
        waiting.drain(..many).collect()
    }
}

pub(in crate::store) async fn load(store: &SqlStore, claim: &Claim, with_files: bool) -> Result<(WorkItem, Vec<File>)> {
    let loaded = if with_files {
        with_its_files(store, claim).await
    } else {
        with_others(store, Wanted::Leased(claim.clone())).await.map(|item| (item, Vec::new()))
    };
    match loaded {
        Err(StoreError::Corrupt(what)) => {
            tracing::error!(delivery = %claim.delivery, what, "stored data does not read back: the delivery is parked");
            park(store, claim).await?;
            Err(StoreError::Corrupt(what))
        }
        other => other,
    }
}

/// Read in one snapshot with whatever else waits to be.
async fn with_others(store: &SqlStore, wanted: Wanted) -> Result<WorkItem> {
    let (reply, mut answer) = oneshot::channel();
    store.loads.waiting().push(Waiting { wanted, reply });
    let gone = |_| Err(StoreError::Unavailable("who read for others has ended"));
    loop {
        tokio::select! {
            biased;
            answered = &mut answer => return answered.unwrap_or_else(gone),
            turn = store.loads.turns.acquire() => {
                // Who was claimed with this one is about to ask: one read serves both.
                tokio::task::yield_now().await;
                let waiting = store.loads.take();
                if waiting.is_empty() {
                    // Somebody else reads this one: with the turn that is left there is nothing to do.
                    drop(turn);
                    return answer.await.unwrap_or_else(gone);
                }
                read_for(store, waiting).await;
                drop(turn);
            }
        }
    }
}

/// Reads for all of them, and answers each.
async fn read_for(store: &SqlStore, waiting: Vec<Waiting>) {
    let keyring = Arc::clone(&store.keys);
    let (wanted, replies): (Vec<Wanted>, Vec<_>) = waiting.into_iter().map(|one| (one.wanted, one.reply)).unzip();
    let scopes = wanted.iter().map(Wanted::scope).collect();
    let read = store.read_of(scopes, move |conn| read(conn, &keyring, &wanted)).await;
    match read {
        Ok(items) => {
            for (reply, item) in replies.into_iter().zip(items) {
                // Nobody waits any more after a stop.
                drop(reply.send(item.map(|(item, _)| item).map_err(StoreError::from)));
            }
        }
        Err(error) => replies.into_iter().for_each(|reply| drop(reply.send(Err(copy(&error))))),
    }
}

async fn with_its_files(store: &SqlStore, claim: &Claim) -> Result<(WorkItem, Vec<File>)> {
    let keyring = Arc::clone(&store.keys);
    let wanted = claim.clone();
    let read = move |conn: Conn<'_>| {
        let only = read(conn, &keyring, &[Wanted::Leased(wanted.clone())])?.pop();
        let (item, key) = only.ok_or(StoreError::NotFound("delivery"))??;
        let attachments = params![wanted.submission.bytes(), wanted.tenant.bytes()];
        let blobs = every(conn, sql!("attachments"), attachments, |stored| {
            let blob: BlobId = stored.id("blob")?;
            let sealed: Vec<u8> = stored.col("meta_sealed")?;
            Ok((blob, open_attachment(&key, wanted.tenant, blob, &sealed)?))
        })?;
        Ok((item, key, blobs))
    };
    let (item, key, blobs) = store.read(Scope::Tenant(claim.tenant), read).await?;
    let mut files = Vec::with_capacity(blobs.len());
    for (blob, meta) in blobs {
        let blob_key = key.for_blob(claim.tenant, blob.as_uuid());
        let bytes = store.blobs.get(blob_key, blob).await.map_err(|error| blob_error(store, &error))?;
        if sha256(&bytes) != meta.sha256 {
            return Err(StoreError::Corrupt("attachment"));
        }
        files.push(File { id: meta.id, bytes: Bytes::from(bytes) });
    }
    Ok((item, files))
}

/// Without files, and without parking what does not open: a delivered one stays delivered. An erased one is `NotFound`.
pub(in crate::store) async fn load_delivered(store: &SqlStore, unproven: &Unproven) -> Result<WorkItem> {
    with_others(store, Wanted::Delivered(unproven.clone())).await
}

/// Each with its document opened and the key that opened it, in the order in which they are wanted.
fn read(conn: Conn<'_>, keyring: &Keyring, wanted: &[Wanted]) -> Op<Vec<Op<Loaded>>> {
    let ids: Vec<DeliveryId> = wanted.iter().map(Wanted::delivery).collect();
    let mut found = stored(conn, &ids)?;
    let (mut around, mut read_before) = (Around::default(), HashSet::new());
    let mut one = |wanted: &Wanted| {
        let id = wanted.delivery();
        let stored = if read_before.insert(id) { found.remove(&id) } else { stored(conn, &[id])?.remove(&id) };
        let mut stored = stored.ok_or(StoreError::NotFound("delivery"))??;
        match wanted {
            Wanted::Delivered(_) if stored.row.state() != State::Delivered => {
                Err(StoreError::NotFound("delivered one").into())
            }
            Wanted::Delivered(_) => around.open(conn, keyring, stored),
            Wanted::Leased(claim) => {
                stored.row = delivery::still_leased(stored.row, claim)?;
                around.open(conn, keyring, stored).map_err(|stop| match stop {
                    // A missing key is erasure when the state says so, which a leased delivery's does not.
                    Stop::Request(StoreError::NotFound(_)) => StoreError::Corrupt("key").into(),
                    other => other,
                })
            }
        }
    };
    let mut items = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        match one(wanted) {
            // What ends the snapshot ends it for all.
            Err(stop @ (Stop::Batch(_) | Stop::Fatal(_))) => return Err(stop),
            item => items.push(item),
        }
    }
    Ok(items)
}

/// A delivery as it is stored, and what it carries.
struct Stored {
    row: Delivery,
    key: Option<Vec<u8>>,
    demographics_key: Option<Vec<u8>>,
    carries: Option<(Document, About)>,
    done: Vec<String>,
    stopped: Vec<String>,
}

/// What the submission's row says in the open.
struct About {
    posting_id: String,
    posting_account: Option<AccountId>,
    received_at: Timestamp,
    code: String,
    trace_id: String,
}

/// All of them in one statement. One that does not read back says so by itself.
fn stored(conn: Conn<'_>, ids: &[DeliveryId]) -> Op<HashMap<DeliveryId, Op<Stored>>> {
    let ids: Vec<[u8; 16]> = ids.iter().map(|id| id.bytes()).collect();
    let mut found = HashMap::with_capacity(ids.len());
    conn.query_each(sql!("load", apart), &ids, |row| {
        found.insert(row.id("id")?, Stored::read(row));
        Ok(())
    })?;
    Ok(found)
}

impl Stored {
    fn read(row: &Row<'_>) -> Op<Self> {
        let carries = match row.col::<Option<String>>("posting_id")? {
            None => None,
            Some(posting_id) => {
                let about = About {
                    posting_id,
                    posting_account: row.maybe_id("posting_account")?,
                    received_at: row.time("received_at")?,
                    code: row.col("code")?,
                    trace_id: row.col("trace_id")?,
                };
                Some((Document::read(row)?, about))
            }
        };
        Ok(Self {
            row: delivery::parse(row)?,
            key: row.col("wrapped")?,
            demographics_key: row.col("demographics_wrapped")?,
            carries,
            // An engine may say nothing where there is none.
            done: row.maybe_json("done")?.unwrap_or_default(),
            stopped: row.maybe_json("stopped")?.unwrap_or_default(),
        })
    }
}

/// A delivery, and the key that its document was opened with.
type Loaded = (WorkItem, Arc<DataKey>);

/// What many deliveries have in common, each read once in a snapshot.
#[derive(Default)]
struct Around {
    accounts: HashMap<AccountId, AccountRecord>,
    postings: HashMap<(AccountId, String), Option<Posting>>,
    forms: HashMap<(AccountId, String, String), Option<Form>>,
}

impl Around {
    fn open(&mut self, conn: Conn<'_>, keyring: &Keyring, stored: Stored) -> Op<Loaded> {
        let Stored { row, key, demographics_key, carries, done, stopped } = stored;
        let keys = keyring.tenant(row.tenant).ok_or(StoreError::Corrupt("tenant"))?;
        let key = Arc::new(unwrapped(&keys, Owner::Submission(row.submission), key)?);
        let (document, about) = carries.ok_or(StoreError::Corrupt("submission"))?;
        let account = self.account(conn, row.account)?;
        let wanted = match account.account.role {
            Role::Ats => Demographics::Included,
            // Survey answers go to no CRM, whatever its connector would do with them.
            Role::Crm => Demographics::LeftOut,
        };
        let document = document.open((&keys, &key), (row.tenant, row.submission), wanted, || Ok(demographics_key))?;
        let (posting, form) = self.posting_and_form(conn, keyring, &about, row.form_digest.as_deref())?;
        let item = WorkItem {
            account,
            posting,
            form,
            document,
            received_at: about.received_at,
            code: about.code,
            trace_id: about.trace_id,
            refs: row.refs,
            done,
            possible_duplicate: row.possible_duplicate,
            stopped,
            words_key: Some(WordsKey(Arc::clone(&key))),
        };
        Ok((item, key))
    }

    fn account(&mut self, conn: Conn<'_>, id: AccountId) -> Op<AccountRecord> {
        if let Some(known) = self.accounts.get(&id) {
            return Ok(known.clone());
        }
        let read = accounts::read(conn, id)?;
        self.accounts.insert(id, read.clone());
        Ok(read)
    }

    /// The posting as last known, and the version of its form that the document was validated against.
    fn posting_and_form(
        &mut self,
        conn: Conn<'_>,
        keyring: &Keyring,
        about: &About,
        digest: Option<&str>,
    ) -> Op<(Posting, Option<Form>)> {
        let unknown = || Posting { posting_id: about.posting_id.clone(), ..Posting::default() };
        let Some(account) = about.posting_account else { return Ok((unknown(), None)) };
        let key = (account, about.posting_id.clone());
        let posting = match self.postings.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let found = postings::one(conn, keyring, account, &about.posting_id)?;
                place.insert(found.map(|found| found.posting))
            }
        };
        let posting = posting.clone().unwrap_or_else(unknown);
        let Some(digest) = digest else { return Ok((posting, None)) };
        let form = match self.forms.entry((account, about.posting_id.clone(), digest.to_owned())) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(postings::form(conn, account, &about.posting_id, digest)?),
        };
        Ok((posting, form.clone()))
    }
}

async fn park(store: &SqlStore, claim: &Claim) -> Result<()> {
    let (claim, now) = (claim.clone(), store.clock.now());
    store
        .write(Scope::Tenant(claim.tenant), move |tx| {
            let mut row = delivery::in_hand(tx, &claim)?;
            let about = (row.tenant, row.account, row.id);
            row.become_(State::Parked)?;
            row.reason = Some(Reason::Poison);
            row.case = Some(cases::open(tx, about, Reason::Poison, now)?);
            row.fence += 1;
            row.save(tx.conn, claim.fence, now)
        })
        .await
}
