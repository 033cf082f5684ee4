//! What an operator does to one delivery, and the audit rows that others ask for.

use std::sync::Arc;

use crate::store::sql::rows::{StoredId, params, sql, value};
use crate::store::sql::scope::Scope;
use causeway_core::delivery::{HeldCause, State};
use causeway_core::ids::{DeliveryId, TenantId};
use causeway_core::reason::Reason;
use jiff::Timestamp;

use super::delivery::Delivery;
use super::errors::Op;
use super::tx::Tx;
use super::{SqlStore, alike, cases, delivery};
use crate::store::trace::{AuditEntry, Replayed};
use crate::store::{Result, StoreError};

/// Queues a settled delivery again: same references, steps that went well stay done, the retry schedule starts over. One
/// that was given up without knowing whether the vendor has it is flagged as a possible duplicate.
pub(in crate::store) async fn replay(
    store: &SqlStore,
    tenant: TenantId,
    id: DeliveryId,
    actor: &str,
    now: Timestamp,
) -> Result<Replayed> {
    on_one(store, tenant, id, actor, now, "deliveries.replay", move |tx, row| {
        let from = row.state();
        let erased: Option<bool> = value(tx.conn, sql!("trace/is_erased"), params![row.submission.bytes()])?;
        if erased == Some(true) {
            return Err(StoreError::IllegalMove { from: State::Erased, to: State::Queued }.into());
        }
        if !from.is_settled() {
            return Err(StoreError::IllegalMove { from, to: State::Queued }.into());
        }
        if let Some(cause) = row.held.filter(|cause| ends_by_itself(*cause)) {
            return Err(StoreError::EndsByItself(cause).into());
        }
        alike::replayed(tx.conn, row.id)?;
        row.become_(State::Queued)?;
        row.next_attempt_at = Some(now);
        (row.reason, row.fields, row.case) = (None, None, None);
        (row.attempts, row.claims) = (0, 0);
        if row.verifying.take().is_some() {
            row.possible_duplicate = true;
        }
        if let Some((reason, case)) = row.paused {
            row.hold_paused(reason, case)?;
        }
        Ok(Replayed { account: row.account, state: row.state() })
    })
    .await
}

/// A replay would skip the check that each of these ends with.
const fn ends_by_itself(cause: HeldCause) -> bool {
    match cause {
        HeldCause::AccountPaused | HeldCause::PostingUnknown | HeldCause::FormUnknown => true,
        // Replaying one of many that fail alike is a try like any other, only sooner.
        HeldCause::Invalid | HeldCause::FailsAlike | HeldCause::Operator => false,
    }
}

pub(in crate::store) async fn cancel(
    store: &SqlStore,
    tenant: TenantId,
    id: DeliveryId,
    actor: &str,
    now: Timestamp,
) -> Result<()> {
    on_one(store, tenant, id, actor, now, "deliveries.cancel", |_, row| {
        row.become_(State::Cancelled)?;
        row.reason = Some(Reason::OperatorDecided);
        row.case = None;
        Ok(())
    })
    .await
}

/// What every act on one delivery has in common: it is the tenant's, its case ends, whoever holds a lease loses it, and
/// the audit says who did it.
async fn on_one<T: Send + 'static>(
    store: &SqlStore,
    tenant: TenantId,
    id: DeliveryId,
    actor: &str,
    now: Timestamp,
    action: &'static str,
    act: impl Fn(&Tx<'_>, &mut Delivery) -> Op<T> + Send + 'static,
) -> Result<T> {
    let actor: Arc<str> = actor.into();
    store
        .write(Scope::Tenant(tenant), move |tx| {
            let mut row = delivery::of_tenant(tx.conn, tenant, id)?;
            let fence = row.fence;
            let case = row.case;
            let done = act(tx, &mut row)?;
            cases::close_of_delivery(tx.conn, id, now)?;
            row.fence += 1;
            row.save(tx.conn, fence, now)?;
            if let Some(case) = case {
                cases::close_when_empty(tx.conn, case, now)?;
            }
            tx.audit(tenant, now, &actor, action, &id.to_string())?;
            Ok(done)
        })
        .await
}

pub(in crate::store) async fn audit(store: &SqlStore, entry: AuditEntry) -> Result<()> {
    let AuditEntry { tenant, at, actor, action, subject } = entry;
    store.write_beside(Scope::Tenant(tenant), move |tx| tx.audit(tenant, at, &actor, &action, &subject)).await
}
