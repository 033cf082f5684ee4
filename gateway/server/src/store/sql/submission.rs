//! A submission's sealed parts, and the view of an application that its sender may read.
//!
//! The document is kept byte for byte. Its demographics are cut out of the bytes and sealed with a key of their own, so
//! they can be kept from readers, and destroyed, without the rest; opening both puts the bytes back as they came.

use crate::store::sql::rows::{Columns, Conn, Row, StoredId, every, first, params, sql, to_json, value};
use crate::store::sql::scope::Scope;
use bytes::Bytes;
use causeway_core::ids::{AttemptId, BlobId, DeliveryId, SubmissionId, TenantId};
use causeway_core::outcome::FieldReason;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::SqlStore;
use super::errors::Op;
use crate::store::intake::{ApplicationView, TargetView};
use crate::store::keys::{DataKey, Owner, TenantKeys};
use crate::store::seal::{DoesNotOpen, Place};
use crate::store::{Result, StoreError};

/// Where each sealed value of a submission is stored.
pub(in crate::store) struct Places;

impl Places {
    pub(in crate::store) const fn submission<'a>(tenant: TenantId, row: &'a [u8], column: &'static str) -> Place<'a> {
        Place { tenant, table: "submissions", row, column }
    }
    pub(in crate::store) const fn fields(tenant: TenantId, row: &[u8]) -> Place<'_> {
        Place { tenant, table: "deliveries", row, column: "fields" }
    }
    pub(in crate::store) const fn words(tenant: TenantId, row: &[u8]) -> Place<'_> {
        Place { tenant, table: "attempts", row, column: "words" }
    }
    pub(in crate::store) const fn attachment(tenant: TenantId, row: &[u8]) -> Place<'_> {
        Place { tenant, table: "attachments", row, column: "meta" }
    }
}

/// A document ready to be written.
pub(in crate::store) struct SealedDocument {
    pub(in crate::store) document: Vec<u8>,
    /// Where in the document they belong, and what they are.
    pub(in crate::store) demographics: Option<(i64, Vec<u8>)>,
    /// Kinds and wrapped keys.
    pub(in crate::store) keys: Vec<(&'static str, Vec<u8>)>,
}

/// Seals a document under a new key of the submission.
pub(in crate::store) fn seal_document(
    store: &SqlStore,
    keys: &TenantKeys,
    tenant: TenantId,
    id: SubmissionId,
    document: &[u8],
) -> (DataKey, SealedDocument) {
    let entropy = &*store.entropy;
    let row = id.bytes();
    let (data_key, wrapped) = keys.new_data_key(Owner::Submission(id), entropy);
    let mut wrapped_keys = vec![("submission", wrapped)];
    let cut = demographics_of(document).and_then(|(at, length)| {
        let (before, rest) = document.split_at_checked(at)?;
        let (middle, after) = rest.split_at_checked(length)?;
        Some((i64::try_from(at).ok()?, middle, [before, after].concat()))
    });
    let seal = |plain: &[u8]| data_key.seal(&Places::submission(tenant, &row, "document"), plain, entropy);
    let (sealed, demographics) = match cut {
        None => (seal(document), None),
        Some((at, demographics, rest)) => {
            let (own_key, wrapped) = keys.new_data_key(Owner::Demographics(id), entropy);
            wrapped_keys.push(("demographics", wrapped));
            let place = Places::submission(tenant, &row, "demographics");
            (seal(&rest), Some((at, own_key.seal(&place, demographics, entropy))))
        }
    };
    (data_key, SealedDocument { document: sealed, demographics, keys: wrapped_keys })
}

/// Where the document's demographics stand, if it has any.
fn demographics_of(document: &[u8]) -> Option<(usize, usize)> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        demographics: Option<&'a RawValue>,
    }
    let text = std::str::from_utf8(document).ok()?;
    let raw = serde_json::from_str::<Envelope<'_>>(text).ok()?.demographics?.get();
    let at = (raw.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    Some((at, raw.len()))
}

/// The submission's key. `NotFound` once it was destroyed.
pub(in crate::store) fn data_key(conn: Conn<'_>, keys: &TenantKeys, id: SubmissionId) -> Op<DataKey> {
    key(conn, keys, Owner::Submission(id))
}

fn key(conn: Conn<'_>, keys: &TenantKeys, owner: Owner) -> Op<DataKey> {
    unwrapped(keys, owner, wrapped(conn, owner)?)
}

fn wrapped(conn: Conn<'_>, owner: Owner) -> Op<Option<Vec<u8>>> {
    value(conn, sql!("wrapped_key"), params![owner.uuid().as_bytes(), owner.kind()])
}

/// A key as it was read. `NotFound` once it was destroyed.
pub(in crate::store) fn unwrapped(keys: &TenantKeys, owner: Owner, wrapped: Option<Vec<u8>>) -> Op<DataKey> {
    let wrapped = wrapped.ok_or(StoreError::NotFound("key: the data was erased"))?;
    keys.open_data_key(owner, &wrapped).map_err(|_| StoreError::Corrupt("key").into())
}

/// What of a document is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Demographics {
    /// In their place.
    Included,
    /// An empty list in their place.
    LeftOut,
}

/// A document as it is stored.
pub(in crate::store) struct Document {
    /// `None` once it was erased.
    rest: Option<Vec<u8>>,
    /// Where its demographics were cut out, and they, until their time is over.
    demographics: Option<(i64, Option<Vec<u8>>)>,
}

impl Document {
    pub(in crate::store) fn read(row: &Row<'_>) -> Op<Self> {
        let at: Option<i64> = row.col("demographics_at")?;
        let demographics: Option<Vec<u8>> = row.col("demographics_sealed")?;
        Ok(Self { rest: row.col("document_sealed")?, demographics: at.map(|at| (at, demographics)) })
    }

    /// The document as it came. `wrapped` is asked for the demographics' key.
    pub(in crate::store) fn open(
        self,
        (keys, data_key): (&TenantKeys, &DataKey),
        (tenant, id): (TenantId, SubmissionId),
        wanted: Demographics,
        wrapped: impl FnOnce() -> Op<Option<Vec<u8>>>,
    ) -> Op<Bytes> {
        let row = id.bytes();
        let corrupt = |_: DoesNotOpen| StoreError::Corrupt("document");
        let rest = self.rest.ok_or(StoreError::NotFound("document: the data was erased"))?;
        let rest = data_key.open(&Places::submission(tenant, &row, "document"), &rest).map_err(corrupt)?;
        let Some((at, sealed)) = self.demographics else { return Ok(rest.into()) };
        let middle = match (wanted, sealed) {
            (Demographics::Included, Some(sealed)) => {
                let own_key = unwrapped(keys, Owner::Demographics(id), wrapped()?)?;
                own_key.open(&Places::submission(tenant, &row, "demographics"), &sealed).map_err(corrupt)?
            }
            // Not asked for, or past their time.
            (Demographics::LeftOut, _) | (Demographics::Included, None) => b"[]".to_vec(),
        };
        let at = usize::try_from(at).map_err(|_| StoreError::Corrupt("document"))?;
        let (before, after) = rest.split_at_checked(at).ok_or(StoreError::Corrupt("document"))?;
        Ok([before, &middle, after].concat().into())
    }
}

/// The document as it came.
pub(in crate::store) fn open_document(
    conn: Conn<'_>,
    keys: &TenantKeys,
    tenant: TenantId,
    id: SubmissionId,
    data_key: &DataKey,
    wanted: Demographics,
) -> Op<Bytes> {
    let stored = first(conn, sql!("submission_document"), params![id.bytes(), tenant.bytes()], Document::read)?;
    let stored = stored.ok_or(StoreError::NotFound("submission"))?;
    stored.open((keys, data_key), (tenant, id), wanted, || wrapped(conn, Owner::Demographics(id)))
}

/// Field-level reasons, sealed; `None` for none.
pub(in crate::store) fn seal_fields(
    store: &SqlStore,
    data_key: &DataKey,
    tenant: TenantId,
    delivery: DeliveryId,
    fields: &[FieldReason],
) -> Op<Option<Vec<u8>>> {
    if fields.is_empty() {
        return Ok(None);
    }
    let row = delivery.bytes();
    Ok(Some(data_key.seal(&Places::fields(tenant, &row), to_json(&fields)?.as_bytes(), &*store.entropy)))
}

/// What [`seal_fields`] sealed.
pub(in crate::store) fn open_fields(
    data_key: &DataKey,
    tenant: TenantId,
    delivery: DeliveryId,
    sealed: &[u8],
) -> Op<Vec<FieldReason>> {
    let plain = data_key.open(&Places::fields(tenant, &delivery.bytes()), sealed)?;
    serde_json::from_slice(&plain).map_err(|_| StoreError::Corrupt("fields").into())
}

/// The vendor's words, sealed.
pub(in crate::store) fn seal_words(
    store: &SqlStore,
    data_key: &DataKey,
    tenant: TenantId,
    attempt: AttemptId,
    words: &str,
) -> Vec<u8> {
    data_key.seal(&Places::words(tenant, &attempt.bytes()), words.as_bytes(), &*store.entropy)
}

/// What [`seal_words`] sealed.
pub(in crate::store) fn open_words(
    data_key: &DataKey,
    tenant: TenantId,
    attempt: AttemptId,
    sealed: &[u8],
) -> Op<String> {
    let plain = data_key.open(&Places::words(tenant, &attempt.bytes()), sealed)?;
    String::from_utf8(plain).map_err(|_| StoreError::Corrupt("words").into())
}

/// What a row says about its blob.
#[derive(serde::Serialize, Deserialize)]
pub(in crate::store) struct AttachmentMeta {
    /// The attachment's id in the document.
    pub(in crate::store) id: String,
    /// SHA-256 of the plaintext.
    pub(in crate::store) sha256: [u8; 32],
}

pub(in crate::store) fn seal_attachment(
    store: &SqlStore,
    data_key: &DataKey,
    tenant: TenantId,
    blob: BlobId,
    meta: &AttachmentMeta,
) -> Op<Vec<u8>> {
    let row = blob.bytes();
    Ok(data_key.seal(&Places::attachment(tenant, &row), to_json(meta)?.as_bytes(), &*store.entropy))
}

pub(in crate::store) fn open_attachment(
    data_key: &DataKey,
    tenant: TenantId,
    blob: BlobId,
    sealed: &[u8],
) -> Op<AttachmentMeta> {
    let plain = data_key.open(&Places::attachment(tenant, &blob.bytes()), sealed)?;
    serde_json::from_slice(&plain).map_err(|_| StoreError::Corrupt("attachment").into())
}

pub(in crate::store) async fn application(
    store: &SqlStore,
    tenant: TenantId,
    id: SubmissionId,
    test: bool,
) -> Result<ApplicationView> {
    store.read(Scope::Tenant(tenant), move |conn| view(conn, tenant, id, test)).await
}

fn view(conn: Conn<'_>, tenant: TenantId, id: SubmissionId, test: bool) -> Op<ApplicationView> {
    let targets = every(conn, sql!("application_targets"), params![id.bytes(), tenant.bytes()], |row| {
        Ok(TargetView {
            account: row.col("name")?,
            role: row.variant("role")?,
            state: row.word("state")?,
            reason: row.maybe_word("reason")?,
            changed_at: row.time("changed_at")?,
            next_attempt_at: row.maybe_time("next_attempt_at")?,
        })
    })?;
    let found = first(conn, sql!("application"), params![id.bytes(), tenant.bytes(), test], |row| {
        Ok(ApplicationView {
            id,
            code: row.col("code")?,
            received_at: row.time("received_at")?,
            posting_id: row.col("posting_id")?,
            repeat_of: row.maybe_id("repeat_of")?,
            test: row.col("test")?,
            targets,
        })
    })?;
    found.ok_or_else(|| StoreError::NotFound("application").into())
}

#[cfg(test)]
mod tests {
    use super::demographics_of;

    fn check(document: &str, expected: Option<&str>) {
        let found = demographics_of(document.as_bytes()).and_then(|(at, length)| document.get(at..at + length));
        assert_eq!(found, expected, "{document}");
    }

    #[test]
    fn demographics_are_found_where_they_stand() {
        check(r#"{"job":"1","demographics": [{"scheme":"x"}] ,"a":1}"#, Some(r#"[{"scheme":"x"}]"#));
        check(r#"{"person":{"demographics":[1]}}"#, None);
        check(r#"{"job":"1"}"#, None);
        check("not json", None);
    }
}
