//! Erases a person: destroys the keys of what came from one address, scrubs the rows, leaves a tombstone.
//!
//! One transaction, after which nothing personal opens even where a copy of the ciphertext survives; then the blobs are
//! removed and the write-ahead log is emptied, so that the destroyed keys are in no file. Identity is the exact address.
//! What was delivered stays recorded as delivered; everything else ends as erased and can neither settle nor be replayed.
//! Copies at vendors are listed until somebody recorded how each ended. Nobody is erased who is not known.

use crate::store::sql::rows::{
    Columns, Conn, StoredId, as_stored, every, execute, first, micros, params, sql, to_json, value,
};
use crate::store::sql::scope::Scope;
use causeway_core::delivery::State;
use causeway_core::email::NormalEmail;
use causeway_core::ids::{BlobId, DeliveryId, SubmissionId, TenantId};
use jiff::Timestamp;

use super::{drop_attachments, remove_blobs};
use crate::store::custody::{CopyState, VendorCopy};
use crate::store::keys::TenantKeys;
use crate::store::sql::errors::Op;
use crate::store::sql::tx::Tx;
use crate::store::sql::{Engine, SqlStore, announce, cases, custody};
use crate::store::trace::{Erasure, ErasurePlan};
use crate::store::{Result, StoreError};

pub(in crate::store) async fn erasure_plan(
    store: &SqlStore,
    tenant: TenantId,
    email: &NormalEmail,
) -> Result<ErasurePlan> {
    let keys = store.tenant_keys(tenant)?;
    let email = email.clone();
    store.read(Scope::Tenant(tenant), move |conn| plan(conn, &keys, tenant, &email)).await
}

pub(in crate::store) async fn erase(
    store: &SqlStore,
    tenant: TenantId,
    email: &NormalEmail,
    actor: &str,
    now: Timestamp,
) -> Result<Erasure> {
    let blind = store.tenant_keys(tenant)?.blind(email);
    let (email, actor) = (email.clone(), actor.to_owned());
    let (erasure, blobs) =
        store.write(Scope::Tenant(tenant), move |tx| erase_all(tx, tenant, &email, &actor, as_stored(now))).await?;
    remove_blobs(store, blobs).await;
    // Before it is called done: a backup that is restored one day has to find it.
    custody::log_erasure(store, tenant, &blind, as_stored(now)).await?;
    // When a reader is in the way this fails, and asking again only does this again.
    match &store.engine {
        Engine::Sqlite(engine) => engine.writer.truncate_log().await?,
        // What was deleted goes with the server's next vacuum, and from its log when that is recycled.
        Engine::Postgres(_) => {}
    }
    Ok(erasure)
}

/// What erasing would reach now.
fn plan(conn: Conn<'_>, keys: &TenantKeys, tenant: TenantId, email: &NormalEmail) -> Op<ErasurePlan> {
    let exact = keys.blind(email).exact;
    let mut plan = ErasurePlan {
        submissions: every(conn, sql!("trace/erase_find"), params![tenant.bytes(), exact], |row| row.id("id"))?,
        ..ErasurePlan::default()
    };
    for submission in &plan.submissions {
        let live =
            deliveries(conn, *submission)?.into_iter().filter(|(_, state)| state.is_some_and(State::is_live)).count();
        plan.live_deliveries += u64::try_from(live).unwrap_or(u64::MAX);
        let blobs: i64 = value(conn, sql!("trace/count_blobs"), params![submission.bytes()])?.unwrap_or(0);
        plan.blobs += u64::try_from(blobs).unwrap_or(0);
        for copy in copies(conn, *submission)? {
            let same = |known: &VendorCopy| {
                copy.vendor_id.is_some() && (&known.account, &known.vendor_id) == (&copy.account, &copy.vendor_id)
            };
            if !plan.vendor_copies.iter().any(same) {
                plan.vendor_copies.push(copy);
            }
        }
    }
    Ok(plan)
}

/// Every copy that a vendor has or, where an attempt was never answered, may have.
fn copies(conn: Conn<'_>, submission: SubmissionId) -> Op<Vec<VendorCopy>> {
    every(conn, sql!("trace/erase_copies"), params![submission.bytes()], |row| {
        Ok(VendorCopy {
            delivery: row.id("id")?,
            account: row.col("name")?,
            connector: row.col("connector")?,
            vendor_id: row.col("vendor_id")?,
            since: row.maybe_time("since")?,
            erased_at: None,
            state: CopyState::ByHand,
            changed_by: None,
            changed_at: None,
        })
    })
}

/// Rows that do not read back have to be erased too: their state is `None`.
fn deliveries(conn: Conn<'_>, submission: SubmissionId) -> Op<Vec<(DeliveryId, Option<State>)>> {
    every(conn, sql!("trace/erase_deliveries"), params![submission.bytes()], |row| {
        Ok((row.id("id")?, row.col::<String>("state")?.parse().ok()))
    })
}

fn erase_all(
    tx: &mut Tx<'_>,
    tenant: TenantId,
    email: &NormalEmail,
    actor: &str,
    now: Timestamp,
) -> Op<(Erasure, Vec<BlobId>)> {
    let keys = tx.tenant_keys(tenant)?;
    let blind = keys.blind(email);
    let reached = plan(tx.conn, &keys, tenant, email)?;
    let tombstone = params![tenant.bytes(), blind.exact];
    let before = first(tx.conn, sql!("trace/tombstone"), tombstone, |row| row.time("erased_at"))?;
    if reached.submissions.is_empty() && before.is_none() {
        return Err(StoreError::NotFound("person").into());
    }
    let mut blobs = Vec::new();
    for submission in &reached.submissions {
        blobs.extend(erase_submission(tx.conn, *submission, actor, now)?);
    }
    // Asked again without anything new, the date stays. Whoever applied anew in between is erased as of now.
    let unchanged = before.filter(|_| reached.submissions.is_empty());
    if unchanged.is_none() {
        let tombstone = params![tenant.bytes(), blind.exact, i64::from(blind.normaliser), micros(now)];
        execute(tx.conn, sql!("trace/tombstone_put"), tombstone)?;
        let row = params![tenant.bytes(), blind.exact, micros(now), actor, to_json(&reached)?];
        execute(tx.conn, sql!("trace/erasure_log_put"), row)?;
    }
    // How many, not which: their ids together would still say that they are one person's.
    let subject = format!("{} submissions", reached.submissions.len());
    tx.audit(tenant, now, actor, "support.erase", &subject)?;
    Ok((Erasure { erased_at: unchanged.unwrap_or(now), reached }, blobs))
}

/// The submission's part of an erasure, in a transaction. Also what a restored backup is put through.
pub(in crate::store) fn erase_submission(
    conn: Conn<'_>,
    submission: SubmissionId,
    actor: &str,
    now: Timestamp,
) -> Op<Vec<BlobId>> {
    let id = submission.bytes();
    execute(conn, sql!("trace/vendor_copies_put"), params![id, micros(now), CopyState::ByHand.as_str(), actor])?;
    announce::erasing(conn, submission, now)?;
    execute(conn, sql!("trace/erase_keys"), params![id])?;
    execute(conn, sql!("trace/erase_submission"), params![id, micros(now)])?;
    let cases = cases::of_submission(conn, submission)?;
    for (delivery, state) in deliveries(conn, submission)? {
        erase_delivery(conn, delivery, state, now)?;
    }
    for case in cases {
        cases::close_when_empty(conn, case, now)?;
    }
    drop_attachments(conn, submission)
}

fn erase_delivery(conn: Conn<'_>, delivery: DeliveryId, state: Option<State>, now: Timestamp) -> Op<()> {
    let id = delivery.bytes();
    if state.is_none_or(|state| state != State::Delivered && state.may_become(State::Erased)) {
        execute(conn, sql!("trace/erase_delivery"), params![id, micros(now)])?;
    }
    execute(conn, sql!("trace/erase_read_back"), params![id])?;
    execute(conn, sql!("trace/erase_sealed", apart), params![id])?;
    execute(conn, sql!("trace/erase_words"), params![id])?;
    cases::close_of_delivery(conn, delivery, now)
}
