//! Everything a connector needs for a leased delivery, opened and checked.
//!
//! What does not open, or is not what its hash says, is never handed out: the delivery is parked with a case, here, so
//! that no worker meets it again, and the caller is told `Corrupt`.

use std::sync::Arc;

use crate::store::sql::rows::{Columns, Conn, StoredId, every, first, params, sql};
use crate::store::sql::scope::Scope;
use bytes::Bytes;
use causeway_core::account::Role;
use causeway_core::connector::File;
use causeway_core::delivery::State;
use causeway_core::ids::{AccountId, BlobId, SubmissionId, TenantId};
use causeway_core::posting::{Form, Posting};
use causeway_core::reason::Reason;
use jiff::Timestamp;

use super::delivery::Delivery;
use super::errors::Op;
use super::submission::{AttachmentMeta, Demographics, data_key, open_attachment, open_document};
use super::{SqlStore, accounts, alike, blob_error, cases, delivery, postings};
use crate::hash::sha256;
use crate::store::keys::{DataKey, Keyring};
use crate::store::work::{Claim, Unproven, WorkItem};
use crate::store::{Result, StoreError};

pub(in crate::store) async fn load(store: &SqlStore, claim: &Claim, with_files: bool) -> Result<(WorkItem, Vec<File>)> {
    match read_all(store, claim, with_files).await {
        Err(StoreError::Corrupt(what)) => {
            tracing::error!(delivery = %claim.delivery, what, "stored data does not read back: the delivery is parked");
            park(store, claim).await?;
            Err(StoreError::Corrupt(what))
        }
        other => other,
    }
}

async fn read_all(store: &SqlStore, claim: &Claim, with_files: bool) -> Result<(WorkItem, Vec<File>)> {
    let keyring = Arc::clone(&store.keys);
    let wanted = claim.clone();
    let (item, key, blobs) =
        store.read(Scope::Tenant(claim.tenant), move |conn| read(conn, &keyring, &wanted, with_files)).await?;
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
    let (keyring, id) = (Arc::clone(&store.keys), unproven.delivery);
    let read = move |conn: Conn<'_>| {
        let row = delivery::read(conn, id)?;
        if row.state() != State::Delivered {
            return Err(StoreError::NotFound("delivered one").into());
        }
        open(conn, &keyring, row).map(|(item, _)| item)
    };
    store.read(Scope::Account(unproven.account), read).await
}

type Attachments = Vec<(BlobId, AttachmentMeta)>;

fn read(conn: Conn<'_>, keyring: &Keyring, claim: &Claim, with_files: bool) -> Op<(WorkItem, DataKey, Attachments)> {
    let row = delivery::leased(conn, claim)?;
    // A missing key is erasure when the state says so, which a leased delivery's does not.
    let missing = |stop| match StoreError::from(stop) {
        StoreError::NotFound(_) => StoreError::Corrupt("key"),
        other => other,
    };
    let (item, key) = open(conn, keyring, row).map_err(missing)?;
    let mut blobs = Vec::new();
    if with_files {
        let attachments = params![claim.submission.bytes(), claim.tenant.bytes()];
        blobs = every(conn, sql!("attachments"), attachments, |stored| {
            let blob: BlobId = stored.id("blob")?;
            let sealed: Vec<u8> = stored.col("meta_sealed")?;
            Ok((blob, open_attachment(&key, claim.tenant, blob, &sealed)?))
        })?;
    }
    Ok((item, key, blobs))
}

/// The delivery with its document opened, and the key that opened it.
fn open(conn: Conn<'_>, keyring: &Keyring, row: Delivery) -> Op<(WorkItem, DataKey)> {
    let keys = keyring.tenant(row.tenant).ok_or(StoreError::Corrupt("tenant"))?;
    let key = data_key(conn, &keys, row.submission)?;
    let account = accounts::read(conn, row.account)?;
    let wanted = match account.account.role {
        Role::Ats => Demographics::Included,
        // Survey answers go to no CRM, whatever its connector would do with them.
        Role::Crm => Demographics::LeftOut,
    };
    let document = open_document(conn, &keys, row.tenant, row.submission, &key, wanted)?;
    let about = about(conn, row.submission, row.tenant)?;
    let (posting, form) = posting_and_form(conn, keyring, &about, row.form_digest.as_deref())?;
    let stopped = alike::stopped(conn, row.account, row.id, &about.posting_id)?;
    let item = WorkItem {
        account,
        posting,
        form,
        document,
        received_at: about.received_at,
        code: about.code,
        trace_id: about.trace_id,
        refs: row.refs,
        done: every(conn, sql!("steps_done"), params![row.id.bytes()], |step| step.col("step"))?,
        possible_duplicate: row.possible_duplicate,
        stopped,
    };
    Ok((item, key))
}

/// What the submission's row says in the open.
struct About {
    posting_id: String,
    posting_account: Option<AccountId>,
    received_at: Timestamp,
    code: String,
    trace_id: String,
}

fn about(conn: Conn<'_>, submission: SubmissionId, tenant: TenantId) -> Op<About> {
    let found = first(conn, sql!("submission_about"), params![submission.bytes(), tenant.bytes()], |row| {
        Ok(About {
            posting_id: row.col("posting_id")?,
            posting_account: row.maybe_id("posting_account")?,
            received_at: row.time("received_at")?,
            code: row.col("code")?,
            trace_id: row.col("trace_id")?,
        })
    })?;
    found.ok_or_else(|| StoreError::Corrupt("submission").into())
}

/// The posting as last known, and the version of its form that the document was validated against.
fn posting_and_form(
    conn: Conn<'_>,
    keyring: &Keyring,
    about: &About,
    digest: Option<&str>,
) -> Op<(Posting, Option<Form>)> {
    let unknown = Posting { posting_id: about.posting_id.clone(), ..Posting::default() };
    let Some(account) = about.posting_account else { return Ok((unknown, None)) };
    let posting = postings::one(conn, keyring, account, &about.posting_id)?.map_or(unknown, |found| found.posting);
    let form = match digest {
        Some(digest) => postings::form(conn, account, &about.posting_id, digest)?,
        None => None,
    };
    Ok((posting, form))
}

async fn park(store: &SqlStore, claim: &Claim) -> Result<()> {
    let (claim, now) = (claim.clone(), store.clock.now());
    store
        .write(Scope::Tenant(claim.tenant), move |tx| {
            let mut row = delivery::leased(tx.conn, &claim)?;
            let about = (row.tenant, row.account, row.id);
            row.become_(State::Parked)?;
            row.reason = Some(Reason::Poison);
            row.case = Some(cases::open(tx, about, Reason::Poison, now)?);
            row.fence += 1;
            row.save(tx.conn, claim.fence, now)
        })
        .await
}
