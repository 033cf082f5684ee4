//! Attempts: committed before the first byte may leave, closed with what they came to. Lookups are recorded beside them.
//!
//! One attempt of a delivery is open at a time, and none while an outcome is unknown: that has to be settled first.

use crate::store::sql::rows::{Changes, Many, StoredId, as_stored, many, micros, params, sql, stored, value};
use crate::store::sql::scope::Scope;
use causeway_core::ids::AttemptId;
use causeway_core::reason::Reason;
use jiff::Timestamp;

use super::ahead::{About, InHand, Locks};
use super::delivery::Delivery;
use super::errors::Op;
use super::tx::Tx;
use super::{SqlStore, delivery};
use crate::store::work::{Begun, Claim, Next, Settlement};
use crate::store::{Result, StoreError};

static BEGIN: Many = many!("attempt_begin", "bbitib", Changes::One);

/// It was open.
static END: Many = many!("attempt_end", "biittib", Changes::One);

pub(in crate::store) async fn begin_attempt(
    store: &SqlStore,
    claim: &Claim,
    step: &str,
    now: Timestamp,
) -> Result<Begun> {
    let (claim, step) = (claim.clone(), step.to_owned());
    let about = InHand { delivery: claim.delivery, step: Some(step.clone()), vendor_id: None, locks: Locks::Never };
    store
        .write_about(Scope::Tenant(claim.tenant), About::Delivery(about), move |tx| {
            let mut row = delivery::in_hand(tx, &claim)?;
            // A lease that has run out may be taken by somebody else while the bytes are on their way.
            if !row.is_leased_at(now) {
                return Err(StoreError::Fenced.into());
            }
            let begun = open(tx, &mut row, &step, now)?;
            row.save(tx.conn, claim.fence, now)?;
            write_down(tx, &row, &step, &begun)?;
            Ok(begun)
        })
        .await
}

/// The row has an attempt of this step open. To be written down once the row is saved.
pub(in crate::store) fn open(tx: &Tx<'_>, row: &mut Delivery, step: &str, now: Timestamp) -> Op<Begun> {
    if row.verifying.is_some() {
        return Err(StoreError::Failed("an unknown outcome has to be settled first".to_owned()).into());
    }
    if row.open_attempt.is_some() {
        return Err(StoreError::Failed("the attempt before has to be settled first".to_owned()).into());
    }
    let broken = match (row.attempt_number, &row.beside) {
        (0, _) => 0,
        (_, Some(beside)) => beside.broken,
        (_, None) => value(tx.conn, sql!("attempts_broken"), params![row.id.bytes(), step])?.unwrap_or(0),
    };
    let attempt = AttemptId::new(now, tx.entropy);
    let begun = Begun { attempt, number: row.attempt_number + 1, at: as_stored(now), broken };
    row.attempt_number = begun.number;
    row.open_attempt = Some(begun.attempt);
    Ok(begun)
}

pub(in crate::store) fn write_down(tx: &Tx<'_>, row: &Delivery, step: &str, begun: &Begun) -> Op<()> {
    let new = params![begun.attempt.bytes(), row.id.bytes(), begun.number, step, micros(begun.at)];
    tx.conn.gather(&BEGIN, new, params![row.tenant.bytes()])
}

/// The vendor's words, sealed for the attempt they belong to.
pub(in crate::store) struct Words {
    pub(in crate::store) attempt: AttemptId,
    pub(in crate::store) sealed: Vec<u8>,
}

/// Closes the settlement's attempt, or records the lookup it was.
pub(in crate::store) fn record(
    tx: &Tx<'_>,
    row: &mut Delivery,
    settlement: &Settlement,
    words: Option<&Words>,
) -> Op<()> {
    let outcome = settlement.outcome.as_ref();
    let class = outcome.map(|outcome| outcome.class.as_str());
    let reason = outcome.and_then(|outcome| outcome.reason).map(Reason::as_str);
    let status = outcome.and_then(|outcome| outcome.vendor_status);
    let took = stored(settlement.took.as_micros());
    let (now, sealed) = (settlement.ended_at, words.map(|words| &words.sealed));
    if let Some(begun) = &settlement.attempt {
        if row.open_attempt != Some(begun.attempt) {
            return Err(StoreError::Fenced.into());
        }
        row.open_attempt = None;
        let end = params![begun.attempt.bytes(), micros(now), took, class, reason, status, sealed];
        return tx.conn.gather(&END, end, params![]);
    }
    if row.open_attempt.is_some() {
        return Err(StoreError::Failed("the open attempt has to be named".to_owned()).into());
    }
    if !is_lookup(row, settlement) {
        return Ok(());
    }
    let id = words.map_or_else(|| AttemptId::new(now, tx.entropy), |words| words.attempt);
    let began = now - settlement.took;
    let lookup = params![
        id.bytes(),
        row.id.bytes(),
        row.attempt_number,
        settlement.step,
        micros(began),
        micros(now),
        took,
        class,
        reason,
        status,
        sealed
    ];
    tx.conn.execute_later(sql!("lookup_insert"), lookup, Changes::One)
}

/// Was the vendor asked about an unknown outcome? Waiting again without having asked is no lookup.
fn is_lookup(row: &Delivery, settlement: &Settlement) -> bool {
    let Some(before) = &row.verifying else { return false };
    match &settlement.next {
        Next::Verify { verifying, .. } => verifying.asked > before.asked || settlement.outcome.is_some(),
        Next::Adopt { .. } | Next::Resend { .. } => true,
        Next::NextStep { .. }
        | Next::Delivered { .. }
        | Next::Wait { .. }
        | Next::Refuse { .. }
        | Next::Hold { .. }
        | Next::Park { .. }
        | Next::PauseAccount { .. } => settlement.outcome.is_some(),
    }
}
