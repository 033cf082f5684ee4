//! Accepting: submission, keys, deliveries, idempotency and audit row in one synced commit, attachments synced before it.
//!
//! Sealing is done before the writer is asked; the writer decides what only a serial reader can: was it here before, does
//! it repeat another, is an account paused. Two requests with one key meet in the writer, so one of them is the second; two
//! of one person and posting do so, too, where there are several writers, because they are alone with that.

use crate::store::sql::rows::{Bind, Columns, Conn, Row, StoredId, execute, first, micros, params, sql, stored, value};
use crate::store::sql::scope::Scope;
use bytes::Bytes;
use causeway_core::account::Repeats;
use causeway_core::delivery::{HeldCause, State};
use causeway_core::ids::{AccountId, BlobId, CaseId, DeliveryId, SubmissionId, TenantId};
use causeway_core::reason::Reason;
use jiff::{SignedDuration, Timestamp};

use super::errors::Op;
use super::submission::{AttachmentMeta, SealedDocument, seal_attachment, seal_document, seal_fields};
use super::tx::Tx;
use super::{Engine, SqlStore, announce, blob_error, cases};
use crate::store::intake::{Accepted, NewApplication, NewDelivery, SameRequest};
use crate::store::seal::BlindEmail;
use crate::store::{Result, StoreError};

/// Byte-identical requests without a key are one within this time.
pub(in crate::store) const SAME_REQUEST: SignedDuration = SignedDuration::from_mins(10);

/// The same person and posting within this time is a repeat.
pub(in crate::store) const REPEAT: SignedDuration = SignedDuration::from_hours(120 * 24);

/// What the writer is given: nothing in it is plain but ids and words of ours.
pub(in crate::store) struct Prepared {
    pub(in crate::store) new: NewApplication,
    pub(in crate::store) email: BlindEmail,
    pub(in crate::store) serial: [u8; 16],
    pub(in crate::store) fingerprint: [u8; 32],
    pub(in crate::store) key_hash: Option<[u8; 32]>,
    /// What the code was made of.
    pub(in crate::store) number: i64,
    pub(in crate::store) sealed: SealedDocument,
    pub(in crate::store) fields: Vec<Option<Vec<u8>>>,
    pub(in crate::store) attachments: Vec<(BlobId, Vec<u8>)>,
}

pub(in crate::store) async fn accept(store: &SqlStore, application: NewApplication) -> Result<Accepted> {
    let prepared = prepare(store, application).await?;
    let blobs: Vec<BlobId> = prepared.attachments.iter().map(|(blob, _)| *blob).collect();
    let scope = Scope::Tenant(prepared.new.tenant);
    let accepted = match &store.engine {
        Engine::Sqlite(engine) => engine.write_repeatable(scope, move |tx| commit(tx, &prepared)).await?,
        Engine::Postgres(engine) => engine.accept(scope, prepared).await?,
    };
    if !matches!(accepted, Accepted::New { .. }) {
        for blob in blobs {
            // What stays is swept in a day.
            if let Err(error) = store.blobs.delete(blob).await {
                tracing::warn!(%error, "an unused blob was not removed");
            }
        }
    }
    Ok(accepted)
}

async fn prepare(store: &SqlStore, mut new: NewApplication) -> Result<Prepared> {
    let keys = store.tenant_keys(new.tenant)?;
    let number = store.keys.codes().number(&new.code).and_then(|number| i64::try_from(number).ok());
    let number = number.ok_or_else(|| StoreError::Failed("a code that is none of the store's".to_owned()))?;
    let (data_key, sealed) = seal_document(store, &keys, new.tenant, new.id, &new.document);
    let mut fields = Vec::with_capacity(new.deliveries.len());
    for delivery in &new.deliveries {
        let reasons = delivery.held.as_ref().map_or(&[][..], |(_, _, fields)| fields);
        fields.push(seal_fields(store, &data_key, new.tenant, delivery.id, reasons)?);
    }
    let mut attachments = Vec::with_capacity(new.attachments.len());
    for attachment in std::mem::take(&mut new.attachments) {
        let blob = BlobId::new(new.received_at, &*store.entropy);
        let key = data_key.for_blob(new.tenant, blob.as_uuid());
        store.blobs.put(key, blob, attachment.bytes).await.map_err(|error| blob_error(store, &error))?;
        let meta = AttachmentMeta { id: attachment.id, sha256: attachment.sha256 };
        attachments.push((blob, seal_attachment(store, &data_key, new.tenant, blob, &meta)?));
    }
    // The plain document is not needed any more; the writer's list must not hold it.
    new.document = Bytes::new();
    Ok(Prepared {
        email: keys.blind(&new.email),
        serial: keys.serial(&new.email, &new.posting_id),
        fingerprint: keys.fingerprint(&std::mem::take(&mut new.fingerprint)),
        key_hash: new.idempotency_key.take().map(|key| keys.idempotency(&key)),
        number,
        sealed,
        fields,
        attachments,
        new,
    })
}

pub(in crate::store) fn commit(tx: &mut Tx<'_>, prepared: &Prepared) -> Op<Accepted> {
    alone_with(tx, &prepared.serial)?;
    if let Some(before) = before(tx, prepared)? {
        return Ok(before);
    }
    let Prepared { new, .. } = prepared;
    let since = micros(new.received_at - REPEAT);
    let person = params![new.tenant.bytes(), prepared.email.exact, new.posting_id, since, new.test];
    let repeat_of: Option<SubmissionId> = first(tx.conn, sql!("accept_repeat_of"), person, |row| row.id("id"))?;
    insert_submission(tx, prepared, repeat_of)?;
    let mut ring = Vec::new();
    for (delivery, fields) in new.deliveries.iter().zip(&prepared.fields) {
        let queued = insert_delivery(tx, prepared, delivery, fields.as_deref(), repeat_of.is_some())?;
        if queued && !ring.contains(&delivery.account) {
            ring.push(delivery.account);
        }
    }
    tx.audit(new.tenant, new.received_at, &new.key.to_string(), "applications.accept", &new.id.to_string())?;
    Ok(Accepted::New { repeat_of, ring })
}

/// Other requests of this person for this posting are over, or wait until this one is.
pub(super) fn alone_with(tx: &Tx<'_>, serial: &[u8; 16]) -> Op<()> {
    value::<i64>(tx.conn, sql!("person_lock", apart), params![serial]).map(|_| ())
}

/// What was answered before, if this request is known.
fn before(tx: &Tx<'_>, prepared: &Prepared) -> Op<Option<Accepted>> {
    let Prepared { new, fingerprint, key_hash, email, .. } = prepared;
    if let Some(key_hash) = key_hash {
        return bound(tx.conn, new.tenant, key_hash, fingerprint);
    }
    let since = micros(new.received_at - SAME_REQUEST);
    let same = params![new.tenant.bytes(), email.exact, new.posting_id, since, fingerprint, new.test];
    Ok(same_receipt(tx.conn, same)?.map(|receipt| Accepted::Before { receipt }))
}

fn same_receipt(conn: Conn<'_>, same: &[&dyn Bind]) -> Op<Option<Bytes>> {
    first(conn, sql!("accept_same"), same, |row| Ok(row.col::<Vec<u8>>("receipt")?.into()))
}

/// What an idempotency key is bound to.
fn bound(conn: Conn<'_>, tenant: TenantId, key_hash: &[u8; 32], fingerprint: &[u8; 32]) -> Op<Option<Accepted>> {
    let bound = first(conn, sql!("accept_bound"), params![tenant.bytes(), key_hash], |row| {
        Ok((row.col::<[u8; 32]>("fingerprint")?, row.col::<Option<Vec<u8>>>("receipt")?))
    })?;
    bound.map(|(stored, receipt)| as_bound(&stored, receipt, fingerprint)).transpose()
}

/// The answer to who comes with a key that is bound.
pub(in crate::store) fn as_bound(stored: &[u8; 32], receipt: Option<Vec<u8>>, fingerprint: &[u8; 32]) -> Op<Accepted> {
    if stored != fingerprint {
        return Ok(Accepted::KeyReused);
    }
    Ok(Accepted::Before { receipt: receipt.ok_or(StoreError::Corrupt("receipt"))?.into() })
}

/// For a request that would be refused now: a caller that was answered before gets the same answer.
pub(in crate::store) async fn accepted_before(
    store: &SqlStore,
    tenant: TenantId,
    idempotency_key: &str,
    fingerprint: &[u8],
) -> Result<Option<Accepted>> {
    let keys = store.tenant_keys(tenant)?;
    let (key_hash, fingerprint) = (keys.idempotency(idempotency_key), keys.fingerprint(fingerprint));
    store.read(Scope::Tenant(tenant), move |conn| bound(conn, tenant, &key_hash, &fingerprint)).await
}

/// The same without a key.
pub(in crate::store) async fn same_before(store: &SqlStore, same: SameRequest) -> Result<Option<Bytes>> {
    let keys = store.tenant_keys(same.tenant)?;
    let (email, fingerprint) = (keys.blind(&same.email), keys.fingerprint(&same.fingerprint));
    let since = micros(same.received_at - SAME_REQUEST);
    let SameRequest { tenant, posting_id, test, .. } = same;
    let read = move |conn: Conn<'_>| {
        same_receipt(conn, params![tenant.bytes(), email.exact, posting_id, since, fingerprint, test])
    };
    store.read(Scope::Tenant(tenant), read).await
}

fn insert_submission(tx: &Tx<'_>, prepared: &Prepared, repeat_of: Option<SubmissionId>) -> Op<()> {
    let Prepared { new, email, sealed, fingerprint, key_hash, attachments, number, .. } = prepared;
    let (id, tenant) = (new.id.bytes(), new.tenant.bytes());
    let row = params![
        id,
        tenant,
        new.key.bytes(),
        micros(new.received_at),
        new.posting_id,
        new.posting_account.map(StoredId::bytes),
        new.form_digest,
        email.exact,
        email.base,
        email.normaliser,
        fingerprint,
        key_hash,
        new.code,
        number,
        repeat_of.map(StoredId::bytes),
        &*new.receipt,
        new.trace_id,
        new.test,
        sealed.demographics.as_ref().map(|(at, _)| at),
        sealed.demographics.as_ref().map(|(_, sealed)| sealed),
        sealed.document,
        stored(new.deliveries.len())
    ];
    execute(tx.conn, sql!("accept_submission"), row)?;
    for (kind, wrapped) in &sealed.keys {
        execute(tx.conn, sql!("wrapped_key_insert"), params![id, kind, tenant, wrapped])?;
    }
    for (position, (blob, meta)) in attachments.iter().enumerate() {
        execute(tx.conn, sql!("attachment_insert"), params![blob.bytes(), id, tenant, position as i64, meta])?;
    }
    Ok(())
}

/// Why a delivery does not start as queued.
pub(in crate::store) struct Start {
    pub(in crate::store) state: State,
    pub(in crate::store) cause: Option<HeldCause>,
    pub(in crate::store) reason: Option<Reason>,
}

/// What an account says to a new delivery.
pub(in crate::store) struct Standing {
    paused: Option<Reason>,
    paused_case: Option<CaseId>,
    staged: bool,
    staged_case: Option<CaseId>,
}

impl Standing {
    pub(in crate::store) fn read(row: &Row<'_>) -> Op<Self> {
        Ok(Self {
            paused: row.maybe_word("paused_reason")?,
            paused_case: row.maybe_id("paused_case")?,
            staged: row.maybe_time("live_at")?.is_none(),
            staged_case: row.maybe_id("staged_case")?,
        })
    }
}

/// True when it is queued.
fn insert_delivery(
    tx: &Tx<'_>,
    prepared: &Prepared,
    delivery: &NewDelivery,
    fields: Option<&[u8]>,
    repeats: bool,
) -> Op<bool> {
    let Prepared { new, serial, .. } = prepared;
    // The tenant is asked for too: a delivery to another tenant's account is a bug that must not be stored.
    let account = params![delivery.account.bytes(), new.tenant.bytes()];
    let standing = first(tx.conn, sql!("account_pause"), account, Standing::read)?;
    let (start, case) = begin(tx, new, delivery, repeats, &standing.ok_or(StoreError::NotFound("account"))?)?;
    let queued = start.state == State::Queued;
    insert(tx, new, delivery, *serial, &start, fields, case)?;
    announce::made(tx.conn, delivery.id, start.state)?;
    Ok(queued)
}

/// How a delivery starts, and the case it is attached to, opened if need be.
pub(in crate::store) fn begin(
    tx: &Tx<'_>,
    new: &NewApplication,
    delivery: &NewDelivery,
    repeats: bool,
    standing: &Standing,
) -> Op<(Start, Option<CaseId>)> {
    let start = start(delivery, repeats, standing.staged, standing.paused);
    let case = match start.cause {
        None => None,
        Some(HeldCause::Operator) if start.reason == Some(Reason::AccountNotLive) => standing.staged_case,
        Some(HeldCause::AccountPaused) => standing.paused_case,
        Some(
            HeldCause::Invalid
            | HeldCause::PostingUnknown
            | HeldCause::FormUnknown
            | HeldCause::FailsAlike
            | HeldCause::Operator,
        ) => {
            let about = (new.tenant, delivery.account, delivery.id);
            let reason = start.reason.unwrap_or(Reason::OperatorDecided);
            Some(cases::open(tx, about, reason, new.received_at)?)
        }
    };
    Ok((start, case))
}

fn insert(
    tx: &Tx<'_>,
    new: &NewApplication,
    delivery: &NewDelivery,
    serial: [u8; 16],
    start: &Start,
    fields: Option<&[u8]>,
    case: Option<CaseId>,
) -> Op<()> {
    let (id, account): (DeliveryId, AccountId) = (delivery.id, delivery.account);
    let due: Option<Timestamp> = (start.state == State::Queued).then_some(new.received_at);
    let row = params![
        id.bytes(),
        new.tenant.bytes(),
        new.id.bytes(),
        account.bytes(),
        serial,
        start.state.as_str(),
        start.cause.map(HeldCause::as_str),
        start.reason.map(Reason::as_str),
        fields,
        micros(new.received_at),
        due.map(micros),
        new.form_digest,
        case.map(StoredId::bytes)
    ];
    execute(tx.conn, sql!("accept_delivery"), row).map(|_| ())
}

/// A rule's "no" before what it waits for, a person's decision before a pause.
fn start(delivery: &NewDelivery, repeats: bool, staged: bool, paused: Option<Reason>) -> Start {
    let held = |cause, reason| Start { state: State::Held, cause: Some(cause), reason: Some(reason) };
    if repeats && delivery.repeats == Repeats::Refuse {
        return Start { state: State::Refused, cause: None, reason: Some(Reason::RepeatApplication) };
    }
    if let Some((cause, reason, _)) = &delivery.held {
        return held(*cause, *reason);
    }
    if repeats && delivery.repeats == Repeats::Hold {
        return held(HeldCause::Operator, Reason::RepeatApplication);
    }
    // Before a pause: what that held would go out when it ends.
    if staged {
        return held(HeldCause::Operator, Reason::AccountNotLive);
    }
    match paused {
        Some(reason) => held(HeldCause::AccountPaused, reason),
        None => Start { state: State::Queued, cause: None, reason: None },
    }
}
