//! Pausing an account holds what could go out, in one case; resuming queues it again, behind fresh work.
//!
//! What is in flight is held when it settles. What is being verified stays so: nobody asks the vendor while the account
//! is paused, but an unknown outcome is not forgotten either.

use std::sync::Arc;

use crate::store::sql::rows::{Columns, StoredId, execute, first, micros, params, sql, stored};
use crate::store::sql::scope::Scope;
use causeway_core::delivery::{HeldCause, State};
use causeway_core::ids::{AccountId, CaseId, TenantId};
use causeway_core::reason::Reason;
use jiff::Timestamp;

use super::errors::Op;
use super::tx::Tx;
use super::{SqlStore, announce, cases, delivery};
use crate::store::{Result, StoreError};

pub(in crate::store) async fn pause_account(
    store: &SqlStore,
    id: AccountId,
    reason: Reason,
    actor: &str,
    now: Timestamp,
) -> Result<u64> {
    let actor: Arc<str> = actor.into();
    store.write(Scope::Account(id), move |tx| pause(tx, id, reason, &actor, now).map(|paused| paused.held)).await
}

/// What a pause did.
pub(in crate::store) struct PausedNow {
    /// The account's case.
    pub(in crate::store) case: Option<CaseId>,
    /// Why it is paused: the first reason stays.
    pub(in crate::store) reason: Reason,
    held: u64,
}

/// Pauses, unless it is paused already.
pub(in crate::store) fn pause(
    tx: &mut Tx<'_>,
    id: AccountId,
    reason: Reason,
    actor: &str,
    now: Timestamp,
) -> Op<PausedNow> {
    let (tenant, before, case) = state(tx, id)?;
    if let Some(reason) = before {
        return Ok(PausedNow { case, reason, held: 0 });
    }
    let case = cases::open_for_account(tx, tenant, id, reason, now)?;
    execute(tx.conn, sql!("account_pause_put"), params![id.bytes(), reason.as_str(), micros(now), case.bytes()])?;
    for from in [State::Queued, State::Waiting] {
        delivery::may(from, State::Held)?;
    }
    let hold = params![id.bytes(), HeldCause::AccountPaused.as_str(), reason.as_str(), case.bytes(), micros(now)];
    let held = execute(tx.conn, sql!("pause_hold"), hold)?;
    announce::held_in(tx.conn, case)?;
    tx.audit(tenant, now, actor, "accounts.pause", &id.to_string())?;
    tx.changes_setup();
    Ok(PausedNow { case: Some(case), reason, held: stored(held).unsigned_abs() })
}

pub(in crate::store) async fn resume_account(
    store: &SqlStore,
    id: AccountId,
    actor: &str,
    now: Timestamp,
) -> Result<u64> {
    let actor: Arc<str> = actor.into();
    store
        .write(Scope::Account(id), move |tx| {
            let (tenant, before, case) = state(tx, id)?;
            if before.is_none() {
                return Ok(0);
            }
            delivery::may(State::Held, State::Queued)?;
            execute(tx.conn, sql!("account_resume"), params![id.bytes()])?;
            let held = params![id.bytes(), HeldCause::AccountPaused.as_str(), micros(now)];
            let queued = execute(tx.conn, sql!("resume_queue"), held)?;
            if let Some(case) = case {
                cases::close(tx.conn, case, now)?;
            }
            tx.audit(tenant, now, &actor, "accounts.resume", &id.to_string())?;
            tx.changes_setup();
            Ok(stored(queued).unsigned_abs())
        })
        .await
}

fn state(tx: &Tx<'_>, id: AccountId) -> Op<(TenantId, Option<Reason>, Option<CaseId>)> {
    let found = first(tx.conn, sql!("account_pause_state"), params![id.bytes()], |row| {
        Ok((row.id("tenant")?, row.maybe_word("paused_reason")?, row.maybe_id("paused_case")?))
    })?;
    found.ok_or_else(|| StoreError::NotFound("account").into())
}
