//! Deliveries held for a posting or a form, once it is known, or known not to exist; and what intake decided about them.
//!
//! A posting counts as absent only when every ATS account of the tenant has completed a sync that began after the
//! application came. What the decision says is checked against what is stored when it is written.

use std::sync::Arc;

use crate::store::sql::rows::{Columns, Conn, Row, StoredId, every, execute, first, params, sql, stored, value};
use crate::store::sql::scope::Scope;
use causeway_core::account::{Repeats, Role};
use causeway_core::delivery::{HeldCause, State};
use causeway_core::ids::{AccountId, DeliveryId, SubmissionId, TenantId};
use causeway_core::outcome::FieldReason;
use causeway_core::reason::Reason;
use jiff::Timestamp;

use super::delivery::Delivery;
use super::errors::Op;
use super::submission::{Demographics, data_key, open_document, seal_fields};
use super::tx::Tx;
use super::{SqlStore, cases, delivery, onboard, postings};
use crate::store::intake::{Decision, ReadyDelivery};
use crate::store::keys::Keyring;
use crate::store::{Result, StoreError};

/// A held delivery that can be decided, not yet opened.
struct Candidate {
    delivery: DeliveryId,
    tenant: TenantId,
    account: AccountId,
    submission: SubmissionId,
    posting_id: String,
    cause: HeldCause,
    test: bool,
}

pub(in crate::store) async fn awaiting(store: &SqlStore, limit: usize) -> Result<Vec<ReadyDelivery>> {
    let keyring = Arc::clone(&store.keys);
    store
        .read(Scope::Every, move |conn| {
            let candidates = every(conn, sql!("awaiting"), params![stored(limit)], candidate)?;
            let mut ready = Vec::with_capacity(candidates.len());
            for candidate in candidates {
                match open(conn, &keyring, &candidate) {
                    Ok(found) => ready.push(found),
                    // One that does not open must not keep the others waiting; it stays held, in its case.
                    Err(stop) => {
                        let error = StoreError::from(stop);
                        tracing::error!(delivery = %candidate.delivery, %error, "a held delivery does not open");
                    }
                }
            }
            Ok(ready)
        })
        .await
}

fn candidate(row: &Row<'_>) -> Op<Candidate> {
    Ok(Candidate {
        delivery: row.id("id")?,
        tenant: row.id("tenant")?,
        account: row.id("account")?,
        submission: row.id("submission")?,
        posting_id: row.col("posting_id")?,
        cause: row.word("held_cause")?,
        test: row.col("test")?,
    })
}

fn open(conn: Conn<'_>, keyring: &Keyring, candidate: &Candidate) -> Op<ReadyDelivery> {
    let keys = keyring.tenant(candidate.tenant).ok_or(StoreError::Corrupt("tenant"))?;
    let key = data_key(conn, &keys, candidate.submission)?;
    Ok(ReadyDelivery {
        delivery: candidate.delivery,
        tenant: candidate.tenant,
        account: candidate.account,
        cause: candidate.cause,
        document: open_document(conn, &keys, candidate.tenant, candidate.submission, &key, Demographics::Included)?,
        view: postings::view(conn, &keys, candidate.tenant, &candidate.posting_id, candidate.test)?,
    })
}

pub(in crate::store) async fn decide_held(
    store: &SqlStore,
    tenant: TenantId,
    id: DeliveryId,
    decision: Decision,
    now: Timestamp,
) -> Result<()> {
    let fields: &[FieldReason] = match &decision {
        Decision::Refuse { fields, .. } | Decision::Hold { fields, .. } => fields,
        Decision::Go { .. } | Decision::AwaitForm => &[],
    };
    let sealed = seal(store, (tenant, id), fields).await?;
    store.write(Scope::Tenant(tenant), move |tx| decide(tx, (tenant, id), &decision, sealed.as_deref(), now)).await
}

async fn seal(
    store: &SqlStore,
    (tenant, id): (TenantId, DeliveryId),
    fields: &[FieldReason],
) -> Result<Option<Vec<u8>>> {
    if fields.is_empty() {
        return Ok(None);
    }
    let keys = store.tenant_keys(tenant)?;
    let key = store
        .read(Scope::Tenant(tenant), move |conn| {
            data_key(conn, &keys, delivery::of_tenant(conn, tenant, id)?.submission)
        })
        .await?;
    Ok(seal_fields(store, &key, tenant, id, fields)?)
}

fn decide(
    tx: &Tx<'_>,
    (tenant, id): (TenantId, DeliveryId),
    decision: &Decision,
    fields: Option<&[u8]>,
    now: Timestamp,
) -> Op<()> {
    let mut row = delivery::of_tenant(tx.conn, tenant, id)?;
    let fence = row.fence;
    if !matches!(row.held, Some(HeldCause::PostingUnknown | HeldCause::FormUnknown)) {
        // It was cancelled, erased or decided meanwhile.
        return Err(StoreError::Fenced.into());
    }
    if matches!((decision, row.held), (Decision::AwaitForm, Some(HeldCause::FormUnknown))) {
        // It does already, in its case.
        return Ok(());
    }
    learn_posting(tx, &mut row)?;
    row.fence += 1;
    match decision {
        Decision::Go { form_digest } => {
            row.form_digest.clone_from(form_digest);
            go(tx, &mut row, now)?;
        }
        Decision::Refuse { reason, .. } => {
            row.become_(State::Refused)?;
            cases::close_of_delivery(tx.conn, id, now)?;
            (row.reason, row.fields, row.case) = (Some(*reason), fields.map(<[u8]>::to_vec), None);
        }
        Decision::Hold { cause, reason, .. } => {
            rehold(tx, &mut row, *cause, *reason, now)?;
            row.fields = fields.map(<[u8]>::to_vec);
        }
        Decision::AwaitForm => rehold(tx, &mut row, HeldCause::FormUnknown, Reason::FormNotFetchedYet, now)?,
    }
    row.save(tx.conn, fence, now)
}

/// It may go, unless a rule that could not be asked at accept keeps it.
fn go(tx: &Tx<'_>, row: &mut Delivery, now: Timestamp) -> Op<()> {
    let repeats = first(tx.conn, sql!("repeats_of"), params![row.submission.bytes(), row.account.bytes()], |found| {
        found.variant::<Repeats>("repeats")
    })?;
    if repeats == Some(Repeats::Hold) {
        return rehold(tx, row, HeldCause::Operator, Reason::RepeatApplication, now);
    }
    if let (true, case) = onboard::staged(tx.conn, row.account)? {
        cases::close_of_delivery(tx.conn, row.id, now)?;
        (row.held, row.reason, row.case) = (Some(HeldCause::Operator), Some(Reason::AccountNotLive), case);
        row.fields = None;
        return Ok(());
    }
    row.become_(State::Queued)?;
    cases::close_of_delivery(tx.conn, row.id, now)?;
    (row.reason, row.fields, row.case, row.next_attempt_at) = (None, None, None, Some(now));
    if let Some((reason, case)) = row.paused {
        row.hold_paused(reason, case)?;
    }
    Ok(())
}

/// Stays held, for another reason and in a case of that reason.
fn rehold(tx: &Tx<'_>, row: &mut Delivery, cause: HeldCause, reason: Reason, now: Timestamp) -> Op<()> {
    cases::close_of_delivery(tx.conn, row.id, now)?;
    let case = cases::open(tx, (row.tenant, row.account, row.id), reason, now)?;
    (row.held, row.reason, row.case) = (Some(cause), Some(reason), Some(case));
    Ok(())
}

/// The submission learns which account its posting belongs to, and a delivery to an ATS account goes to that one.
fn learn_posting(tx: &Tx<'_>, row: &mut Delivery) -> Op<()> {
    if row.held != Some(HeldCause::PostingUnknown) {
        return Ok(());
    }
    let submission = params![row.submission.bytes()];
    let Some(owner) = first(tx.conn, sql!("posting_owner"), submission, |found| found.id::<AccountId>("account"))?
    else {
        return Ok(());
    };
    execute(tx.conn, sql!("submission_posting_account"), params![row.submission.bytes(), owner.bytes()])?;
    let role: Option<String> = value(tx.conn, sql!("account_role"), params![row.account.bytes()])?;
    let ats = super::rows::variant_text(&Role::Ats)?;
    if role == Some(ats) && row.account != owner {
        row.account = owner;
        row.paused = first(tx.conn, sql!("account_pause_state"), params![owner.bytes()], |found| {
            Ok((found.maybe_word::<Reason>("paused_reason")?, found.maybe_id("paused_case")?))
        })?
        .and_then(|(reason, case)| reason.map(|reason| (reason, case)));
    }
    Ok(())
}
