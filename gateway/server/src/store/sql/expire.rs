//! Leases that end without being settled: given back, run out, or left by a process that is gone.
//!
//! An attempt that was on the wire has an unknown outcome and is verified from the moment it began; everything else is
//! due again at once. Either way the fence grows, so whoever held the lease can write nothing more.

use std::sync::Arc;
use std::time::Instant;

use crate::store::sql::rows::{Columns, Conn, every, execute, micros, params, sql, stored};
use crate::store::sql::scope::Scope;
use causeway_core::delivery::State;
use causeway_core::ids::TenantId;
use futures_util::future::join_all;
use jiff::Timestamp;

use super::ahead::{About, InHand, Locks};
use super::errors::Op;
use super::{SqlStore, delivery, pause};
use crate::store::work::Claim;
use crate::store::{Result, StoreError};

/// Leases that ran out within this time are always looked for, in microseconds; older ones were found before, or are when
/// everything is looked at.
const RECENT: i64 = 30_000_000;

pub(in crate::store) async fn expire_leases(store: &SqlStore, now: Timestamp) -> Result<(u64, u64)> {
    let (floors, until) = (Arc::clone(&store.floors), micros(now));
    let tenants = store
        .read(Scope::Leases, move |conn| {
            let began = Instant::now();
            let from = floors.expired(until, RECENT, began);
            let tenants =
                every(conn, sql!("expired_tenants"), params![until, from], |row| row.id::<TenantId>("tenant"))?;
            floors.looked_for_expired(from, began);
            Ok(tenants)
        })
        .await?;
    // Each alone in its tenant, all at once: one that is kept waiting keeps no other waiting. SQLite has no wall: there the
    // first ends them all.
    let one = |tenant| store.write(Scope::Tenant(tenant), move |tx| end(tx.conn, until, now));
    let (mut unknown, mut due) = (0, 0);
    for ended in join_all(tenants.into_iter().map(one)).await {
        let ended = ended?;
        (unknown, due) = (unknown + ended.0, due + ended.1);
    }
    // What returned to a paused account is held with it.
    pause::finish(store).await;
    Ok((unknown, due))
}

/// At start: whoever held a lease is gone.
pub(in crate::store) fn every_lease(conn: Conn<'_>, now: Timestamp) -> Op<(u64, u64)> {
    execute(conn, sql!("webhooks/leases_end"), params![micros(now)])?;
    execute(conn, sql!("job_leases_end"), params![])?;
    end(conn, i64::MAX, now)
}

fn end(conn: Conn<'_>, until: i64, now: Timestamp) -> Op<(u64, u64)> {
    for to in [State::Verifying, State::Queued, State::Waiting] {
        delivery::may(State::InFlight, to)?;
    }
    let unknown = execute(conn, sql!("expire_unknown"), params![until, micros(now)])?;
    let due = execute(conn, sql!("expire_due"), params![until, micros(now)])?;
    Ok((stored(unknown).unsigned_abs(), stored(due).unsigned_abs()))
}

pub(in crate::store) async fn release(store: &SqlStore, claim: &Claim, due_at: Timestamp) -> Result<()> {
    let claim = claim.clone();
    let now = store.clock.now();
    let about = InHand { delivery: claim.delivery, step: None, vendor_id: None, locks: Locks::Never };
    store
        .write_about(Scope::Tenant(claim.tenant), About::Delivery(about), move |tx| {
            let mut row = delivery::in_hand(tx, &claim)?;
            if row.open_attempt.is_some() {
                return Err(StoreError::Failed("an attempt was begun: it has to be settled".to_owned()).into());
            }
            let to = row.unclaimed_state();
            row.become_(to)?;
            row.next_attempt_at = Some(due_at);
            row.claims = row.claims.saturating_sub(1);
            row.fence += 1;
            if let Some((reason, case)) = row.paused
                && to != State::Verifying
            {
                row.hold_paused(reason, case)?;
            }
            row.save(tx.conn, claim.fence, now)
        })
        .await
}
