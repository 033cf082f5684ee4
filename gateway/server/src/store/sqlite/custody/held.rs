//! Opens everything held about a person: the exact address, as erasing goes by.
//!
//! Rows are read in one snapshot; attachments after it, each checked against its hash. One that was erased meanwhile is
//! an error, not a gap: whoever asked asks again.

use std::sync::Arc;

use bytes::Bytes;
use causeway_core::email::NormalEmail;
use causeway_core::ids::{BlobId, SubmissionId, TenantId};
use rusqlite::{Connection, params};

use crate::hash::sha256;
use crate::store::custody::{Held, HeldFile, HeldRecord, HeldWish};
use crate::store::keys::{DataKey, Keyring, TenantKeys};
use crate::store::sqlite::errors::Op;
use crate::store::sqlite::rows::{Columns, StoredId, every, first, sql, value};
use crate::store::sqlite::submission::{AttachmentMeta, Demographics, data_key, open_attachment, open_document};
use crate::store::sqlite::trace::read::Reader;
use crate::store::sqlite::{SqliteStore, blob_error};
use crate::store::{Result, StoreError};

type Found = (HeldRecord, DataKey, Vec<(BlobId, AttachmentMeta)>);

pub(super) async fn held(store: &SqliteStore, tenant: TenantId, email: &NormalEmail, wish: HeldWish) -> Result<Held> {
    let keyring = Arc::clone(&store.keys);
    let keys = store.tenant_keys(tenant)?;
    let exact = keys.blind(email).exact;
    let (found, erased_at) = store
        .read(move |conn| {
            let one = |id| one(conn, &keyring, &keys, tenant, id, wish);
            let ids: Vec<SubmissionId> =
                every(conn, sql!("trace/erase_find"), params![tenant.bytes(), exact], |row| row.id("id"))?;
            let found = ids.into_iter().map(one).collect::<Op<Vec<Found>>>()?;
            let tombstone = params![tenant.bytes(), exact];
            let erased_at = first(conn, sql!("trace/tombstone"), tombstone, |row| row.time("erased_at"))?;
            Ok((found, erased_at))
        })
        .await?;
    let mut records = Vec::with_capacity(found.len());
    for (mut record, key, blobs) in found {
        if wish.files {
            for (blob, meta) in blobs {
                let sealed_with = key.for_blob(tenant, blob.as_uuid());
                let bytes = store.blobs.get(sealed_with, blob).await.map_err(|error| blob_error(store, &error))?;
                if sha256(&bytes) != meta.sha256 {
                    return Err(StoreError::Corrupt("attachment"));
                }
                record.files.push(HeldFile { id: meta.id, bytes: Bytes::from(bytes) });
            }
        }
        records.push(record);
    }
    Ok(Held { records, erased_at })
}

fn one(
    conn: &Connection,
    keyring: &Keyring,
    keys: &TenantKeys,
    tenant: TenantId,
    id: SubmissionId,
    wish: HeldWish,
) -> Op<Found> {
    let seq: Option<i64> = value(conn, sql!("trace/seq_of"), params![id.bytes()])?;
    let trace = Reader { conn, keyring, keys, tenant }.submission(seq.ok_or(StoreError::Corrupt("submission"))?)?;
    let key = data_key(conn, keys, id)?;
    let wanted = if wish.demographics { Demographics::Included } else { Demographics::LeftOut };
    let document = open_document(conn, keys, tenant, id, &key, wanted)?;
    let has: Option<bool> = value(conn, sql!("trace/has_demographics"), params![id.bytes()])?;
    let blobs = every(conn, sql!("attachments"), params![id.bytes(), tenant.bytes()], |row| {
        let blob: BlobId = row.id("blob")?;
        let sealed: Vec<u8> = row.col("meta_sealed")?;
        Ok((blob, open_attachment(&key, tenant, blob, &sealed)?))
    })?;
    let record = HeldRecord {
        trace,
        document,
        demographics_left_out: has == Some(true) && !wish.demographics,
        attachments: blobs.len(),
        files: Vec::new(),
    };
    Ok((record, key, blobs))
}
