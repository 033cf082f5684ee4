//! Opens everything held about a person: the exact address, as erasing goes by.
//!
//! A page's rows are read in one snapshot, and never more than a page is in memory; attachments one at a time after it,
//! each checked against its hash. One that was erased meanwhile is an error, not a gap: whoever asked asks again.

use std::sync::Arc;

use crate::store::sql::rows::{Columns, Conn, StoredId, every, first, params, sql, value};
use crate::store::sql::scope::Scope;
use bytes::Bytes;
use causeway_core::email::NormalEmail;
use causeway_core::ids::{BlobId, SubmissionId, TenantId};

use crate::hash::sha256;
use crate::store::custody::{Held, HeldRecord, HeldWish};
use crate::store::keys::{DataKey, Keyring, TenantKeys};
use crate::store::sql::errors::Op;
use crate::store::sql::submission::{AttachmentMeta, Demographics, data_key, open_attachment, open_document};
use crate::store::sql::trace::read::Reader;
use crate::store::sql::{SqlStore, blob_error};
use crate::store::{Result, StoreError};

pub(super) async fn held(store: &SqlStore, tenant: TenantId, email: &NormalEmail, wish: HeldWish) -> Result<Held> {
    let keyring = Arc::clone(&store.keys);
    let keys = store.tenant_keys(tenant)?;
    let exact = keys.blind(email).exact;
    store
        .read(Scope::Tenant(tenant), move |conn| {
            let ids = submissions(conn, tenant, &exact)?;
            let from = match wish.after {
                None => 0,
                Some(after) => 1 + ids.iter().position(|id| *id == after).ok_or(StoreError::NotFound("submission"))?,
            };
            let tombstone = params![tenant.bytes(), exact];
            let erased_at = first(conn, sql!("trace/tombstone"), tombstone, |row| row.time("erased_at"))?;
            let mut held = Held { erased_at, ..Held::default() };
            let mut bytes = 0;
            for (at, id) in ids.iter().enumerate().skip(from) {
                let record = one(conn, &keyring, &keys, tenant, *id, wish)?;
                bytes += record.document.len();
                held.records.push(record);
                if bytes >= wish.page_bytes && at + 1 < ids.len() {
                    held.next = Some(*id);
                    break;
                }
            }
            Ok(held)
        })
        .await
}

/// One attachment of one of the person's submissions.
pub(super) async fn file(
    store: &SqlStore,
    tenant: TenantId,
    email: &NormalEmail,
    submission: SubmissionId,
    position: usize,
) -> Result<Bytes> {
    let keys = store.tenant_keys(tenant)?;
    let exact = keys.blind(email).exact;
    let (blob, meta, key) = store
        .read(Scope::Tenant(tenant), move |conn| {
            let theirs = submissions(conn, tenant, &exact)?.contains(&submission);
            let nothing = || StoreError::NotFound("attachment");
            if !theirs {
                return Err(nothing().into());
            }
            let key = data_key(conn, &keys, submission)?;
            let all = attachments(conn, tenant, submission, &key)?;
            let (blob, meta) = all.into_iter().nth(position).ok_or_else(nothing)?;
            Ok((blob, meta, key))
        })
        .await?;
    let sealed_with = key.for_blob(tenant, blob.as_uuid());
    let bytes = store.blobs.get(sealed_with, blob).await.map_err(|error| blob_error(store, &error))?;
    if sha256(&bytes) != meta.sha256 {
        return Err(StoreError::Corrupt("attachment"));
    }
    Ok(Bytes::from(bytes))
}

/// Of the exact address, oldest first.
fn submissions(conn: Conn<'_>, tenant: TenantId, exact: &[u8]) -> Op<Vec<SubmissionId>> {
    every(conn, sql!("trace/erase_find"), params![tenant.bytes(), exact], |row| row.id("id"))
}

fn attachments(conn: Conn<'_>, tenant: TenantId, id: SubmissionId, key: &DataKey) -> Op<Vec<(BlobId, AttachmentMeta)>> {
    every(conn, sql!("attachments"), params![id.bytes(), tenant.bytes()], |row| {
        let blob: BlobId = row.id("blob")?;
        let sealed: Vec<u8> = row.col("meta_sealed")?;
        Ok((blob, open_attachment(key, tenant, blob, &sealed)?))
    })
}

fn one(
    conn: Conn<'_>,
    keyring: &Keyring,
    keys: &TenantKeys,
    tenant: TenantId,
    id: SubmissionId,
    wish: HeldWish,
) -> Op<HeldRecord> {
    let trace = Reader { conn, keyring, keys, tenant }.submission(id)?;
    let key = data_key(conn, keys, id)?;
    let wanted = if wish.demographics { Demographics::Included } else { Demographics::LeftOut };
    let document = open_document(conn, keys, tenant, id, &key, wanted)?;
    let has: Option<bool> = value(conn, sql!("trace/has_demographics"), params![id.bytes()])?;
    let attachments = attachments(conn, tenant, id, &key)?.into_iter().map(|(_, meta)| meta.id).collect();
    Ok(HeldRecord { trace, document, demographics_left_out: has == Some(true) && !wish.demographics, attachments })
}
