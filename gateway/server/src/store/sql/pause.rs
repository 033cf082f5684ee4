//! Pausing an account holds what could go out, in one case; resuming queues it again, behind fresh work.
//!
//! What is in flight is held when it settles. What is being verified stays so: nobody asks the vendor while the account
//! is paused, but an unknown outcome is not forgotten either.
//!
//! What the account is, is committed first, with the first piece of its backlog; the rest follows piece by piece, so that a
//! backlog of a million keeps no other writer waiting and outlasts no statement's time. Nothing of a paused account is claimed,
//! whatever its rows say. Who is interrupted, or pauses in the middle of a settlement, leaves the rest to [`finish`], which
//! comes again all the time.

use std::sync::Arc;

use crate::store::sql::rows::{Columns, Conn, Row, StoredId, every, execute, first, micros, params, sql, stored};
use crate::store::sql::scope::Scope;
use causeway_core::delivery::State;
use causeway_core::ids::{AccountId, CaseId, TenantId};
use causeway_core::reason::Reason;
use futures_util::future::join_all;
use jiff::Timestamp;

use super::claim::{self, BULK};
use super::delivery::Delivery;
use super::errors::{Op, Stop};
use super::tx::Tx;
use super::{SqlStore, cases, delivery};
use crate::store::{Result, StoreError};

/// Rows moved in one transaction.
const PIECE: usize = if cfg!(test) { 2 } else { 1_000 };
/// Of an account, in one go where others wait for what follows.
const PIECES: usize = 20;

pub(in crate::store) async fn pause_account(
    store: &SqlStore,
    id: AccountId,
    reason: Reason,
    actor: &str,
    now: Timestamp,
) -> Result<u64> {
    let actor: Arc<str> = actor.into();
    let paused = move |tx: &mut Tx<'_>| pause(tx, id, reason, &actor, now).map(|paused| paused.held);
    let held = store.write(Scope::Account(id), paused).await?;
    Ok(held as u64 + rest(store, id, held).await)
}

/// What a pause did.
pub(in crate::store) struct PausedNow {
    /// The account's case.
    pub(in crate::store) case: Option<CaseId>,
    /// Why it is paused: the first reason stays.
    pub(in crate::store) reason: Reason,
    /// Of its deliveries, the first.
    held: usize,
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
    let case = match first(tx.conn, sql!("pause_left"), params![id.bytes()], |row| row.id::<CaseId>("case_id"))? {
        // Resumed just now, and not all of them are queued again.
        Some(case) => {
            execute(tx.conn, sql!("case_open_again"), params![case.bytes(), reason.as_str(), micros(now)])?;
            case
        }
        None => cases::open_for_account(tx, tenant, id, reason, now)?,
    };
    execute(tx.conn, sql!("account_pause_put"), params![id.bytes(), reason.as_str(), micros(now), case.bytes()])?;
    let held = piece(tx, id, now)?;
    tx.audit(tenant, now, actor, "accounts.pause", &id.to_string())?;
    tx.changes_setup();
    Ok(PausedNow { case: Some(case), reason, held })
}

pub(in crate::store) async fn resume_account(
    store: &SqlStore,
    id: AccountId,
    actor: &str,
    now: Timestamp,
) -> Result<u64> {
    let actor: Arc<str> = actor.into();
    let queued = store
        .write(Scope::Account(id), move |tx| {
            let (tenant, before, case) = state(tx, id)?;
            if before.is_none() {
                return Ok(0);
            }
            execute(tx.conn, sql!("account_resume"), params![id.bytes()])?;
            let queued = piece(tx, id, now)?;
            if let Some(case) = case {
                cases::close(tx.conn, case, now)?;
            }
            tx.audit(tenant, now, &actor, "accounts.resume", &id.to_string())?;
            tx.changes_setup();
            Ok(queued)
        })
        .await?;
    Ok(queued as u64 + rest(store, id, queued).await)
}

/// Deliveries of the account have become due. If it is paused, the first of them are held, and [`finish`] holds the rest.
pub(in crate::store) fn hold(tx: &mut Tx<'_>, id: AccountId, now: Timestamp) -> Op<()> {
    if state(tx, id)?.1.is_some() {
        piece(tx, id, now)?;
    }
    Ok(())
}

/// Moves what an interrupted pause or resumption left. All accounts at once: one that is kept waiting keeps no other waiting.
pub(in crate::store) async fn finish(store: &SqlStore) {
    let left = |conn: Conn<'_>| every(conn, sql!("pause_unfinished"), params![], |row| row.id::<AccountId>("id"));
    match store.read(Scope::Every, left).await {
        Ok(accounts) => drop(join_all(accounts.into_iter().map(|account| pieces(store, account, PIECES))).await),
        Err(error) => tracing::warn!(%error, "cannot ask for accounts whose backlog is not moved yet"),
    }
}

/// The pieces after the first, of so many rows.
async fn rest(store: &SqlStore, account: AccountId, first: usize) -> u64 {
    if first == PIECE { pieces(store, account, usize::MAX).await } else { 0 }
}

/// So many pieces at most, and how many rows that makes. What the account is, is committed: what cannot be moved now is moved
/// later. Each has its own moment: what became due long before it is committed is found late.
async fn pieces(store: &SqlStore, account: AccountId, most: usize) -> u64 {
    let mut all = 0;
    for _ in 0..most {
        let now = store.clock.now();
        let moved = match store.write(Scope::Account(account), move |tx| piece(tx, account, now)).await {
            Ok(moved) => moved,
            Err(error) => {
                tracing::warn!(%account, %error, "not all of an account's backlog is moved yet");
                break;
            }
        };
        all += moved as u64;
        if moved < PIECE {
            break;
        }
    }
    all
}

/// Moves some of the account's backlog to where it belongs, and says how many.
fn piece(tx: &mut Tx<'_>, account: AccountId, now: Timestamp) -> Op<usize> {
    let (_, paused, case) = state(tx, account)?;
    let which = params![account.bytes(), stored(PIECE)];
    let rows = match paused {
        Some(_) => every(tx.conn, sql!("pause_hold"), which, read)?,
        None => every(tx.conn, sql!("resume_queue"), which, read)?,
    };
    let moved = rows.len();
    for (seq, row) in rows {
        match row.and_then(|row| move_one(tx, row, paused.map(|reason| (reason, case)), now)) {
            Err(Stop::Request(StoreError::Corrupt(what))) => {
                tracing::error!(what, seq, "a delivery does not read back: it is parked");
                claim::park_unreadable(tx, account, seq, now)?;
            }
            other => other?,
        }
    }
    Ok(moved)
}

fn read(row: &Row<'_>) -> Op<(i64, Op<Delivery>)> {
    Ok((row.col("seq")?, delivery::parse(row)))
}

fn move_one(tx: &Tx<'_>, mut row: Delivery, paused: Option<(Reason, Option<CaseId>)>, now: Timestamp) -> Op<()> {
    match paused {
        Some((reason, case)) => row.hold_paused(reason, case)?,
        None => {
            row.become_(State::Queued)?;
            (row.reason, row.case, row.next_attempt_at) = (None, None, Some(now));
            row.lane = BULK;
        }
    }
    row.save(tx.conn, row.fence, now)
}

fn state(tx: &Tx<'_>, id: AccountId) -> Op<(TenantId, Option<Reason>, Option<CaseId>)> {
    let found = first(tx.conn, sql!("account_pause_state"), params![id.bytes()], |row| {
        Ok((row.id("tenant")?, row.maybe_word("paused_reason")?, row.maybe_id("paused_case")?))
    })?;
    found.ok_or_else(|| StoreError::NotFound("account").into())
}
