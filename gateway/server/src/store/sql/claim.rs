//! Leasing due deliveries: fresh before bulk, oldest first, one at a time per account, person and posting.
//!
//! The count of claims grows before anything is done with the delivery. A lease that is returned or settled takes back its
//! own, and only an attempt that ended clears those before: a delivery that ends its worker again and again is parked,
//! although lookups go well in between. So is one whose row does not read back. Neither stops the others. From the second time
//! on a delivery is claimed as the only one of its kind, so that few are parked for having been in the same worker.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use crate::store::sql::rows::{Columns, Row, StoredId, as_stored, every, execute, micros, params, sql, stored, value};
use crate::store::sql::scope::Scope;
use causeway_core::delivery::State;
use causeway_core::ids::{AccountId, CaseId};
use causeway_core::reason::Reason;
use futures_util::future::join_all;
use jiff::Timestamp;

use super::SqlStore;
use super::ahead::About;
use super::delivery::Delivery;
use super::errors::{Op, Stop};
use super::floors::Floors;
use super::tx::Tx;
use super::{announce, cases, delivery};
use crate::store::work::{Claim, ClaimRequest, Claimed, SUSPECT};
use crate::store::{Result, StoreError};

/// Claims in a row that ended with a dead worker before the delivery is parked.
const MOST_CLAIMS: u32 = 5;

/// What a resumed account released.
pub(in crate::store) const BULK: i64 = 1;

/// Fresh work, then that.
const LANES: [i64; 2] = [0, BULK];

pub(in crate::store) async fn claim(store: &SqlStore, request: ClaimRequest) -> Result<Claimed> {
    let request = Arc::new(request);
    // Each account by itself, in the same commit mostly: a request reaches the rows of one tenant, and what goes wrong with
    // one account is no other's affair.
    let one = |&(account, want): &(AccountId, usize)| {
        let (request, floors) = (Arc::clone(&request), Arc::clone(&store.floors));
        let about = About::Account(account);
        store.write_about(Scope::Account(account), about, move |tx| claim_account(tx, &request, &floors, account, want))
    };
    let (mut claimed, mut last) = (Claimed::default(), None);
    for (got, (account, _)) in join_all(request.wants.iter().map(one)).await.into_iter().zip(&request.wants) {
        match got {
            Ok(claims) => claimed.claims.extend(claims),
            Err(error) => {
                claimed.failed.push(*account);
                last = Some(error);
            }
        }
    }
    match last {
        Some(error) if claimed.claims.is_empty() => Err(error),
        // What was leased is worked on.
        Some(error) => {
            tracing::error!(%error, accounts = claimed.failed.len(), "cannot claim the due work of some accounts");
            Ok(claimed)
        }
        None => Ok(claimed),
    }
}

/// Whoever claims for an account locks its row first, so that two never lease of the same person and posting.
fn claim_account(
    tx: &Tx<'_>,
    request: &ClaimRequest,
    floors: &Floors,
    account: AccountId,
    want: usize,
) -> Op<Vec<Claim>> {
    let mut claims = Vec::new();
    let paused: Option<Option<i64>> = value(tx.conn, sql!("account_paused_since"), params![account.bytes()])?;
    if paused != Some(None) {
        return Ok(claims);
    }
    let mut left = want;
    for lane in LANES {
        left -= claim_lane(tx, request, floors, (account, lane), left, &mut claims)?;
    }
    Ok(claims)
}

/// How many were claimed.
fn claim_lane(
    tx: &Tx<'_>,
    request: &ClaimRequest,
    floors: &Floors,
    (account, lane): (AccountId, i64),
    want: usize,
    claims: &mut Vec<Claim>,
) -> Op<usize> {
    if want == 0 {
        return Ok(0);
    }
    let is_suspect = |claim: &Claim| claim.account == account && claim.is_suspect;
    let (began, until) = (Instant::now(), micros(request.now));
    let from = floors.deliveries.from((account, lane), began);
    let (mut claimed, mut end) = (0, until);
    // Who gets fewer than it wants has to know that there are no more, and of a full page some may not be claimed.
    while claimed < want {
        let page = want - claimed;
        let may_be_suspect = request.suspect_of == Some(account) && !claims.iter().any(is_suspect);
        let below = if may_be_suspect { u32::MAX } else { SUSPECT };
        let due = params![account.bytes(), lane, until, stored(page), from, below];
        let due = every(tx.conn, sql!("claim_due"), due, Due::read)?;
        let is_full = due.len() == page;
        end = due.last().filter(|_| is_full).map_or(until, |last| last.at);
        let got = claim_page(tx, request, account, due, claims)?;
        claimed += got;
        if !is_full || got == 0 {
            break;
        }
    }
    if floors.deliveries.are_kept() {
        let left = params![account.bytes(), lane, from, end];
        let left: Option<i64> = value(tx.conn, sql!("claim_left"), left)?.flatten();
        floors.deliveries.looked((account, lane), from, (end, left), began);
    }
    Ok(claimed)
}

/// How many of these were claimed.
fn claim_page(
    tx: &Tx<'_>,
    request: &ClaimRequest,
    account: AccountId,
    due: Vec<Due>,
    claims: &mut Vec<Claim>,
) -> Op<usize> {
    let mut claimed = 0;
    // None of them is of a person and posting of which another is in hand; two of them may be of the same.
    let mut in_hand: HashSet<Vec<u8>> = HashSet::new();
    let mut has_suspect = false;
    for Due { seq, serial, delivery, .. } in due {
        let is_suspect = delivery.as_ref().is_ok_and(|delivery| delivery.claims >= SUSPECT);
        if in_hand.contains(&serial) || is_suspect && has_suspect {
            continue;
        }
        match delivery.and_then(|delivery| claim_one(tx, request, delivery)) {
            Ok(Some(claim)) => {
                has_suspect |= is_suspect;
                in_hand.insert(serial);
                claims.push(claim);
                claimed += 1;
            }
            Ok(None) => {}
            Err(Stop::Request(StoreError::Corrupt(what))) => {
                tracing::error!(what, seq, "a delivery does not read back: it is parked");
                park_unreadable(tx, account, seq, request.now)?;
            }
            Err(stop) => return Err(stop),
        }
    }
    Ok(claimed)
}

/// A row that can be leased.
struct Due {
    seq: i64,
    at: i64,
    serial: Vec<u8>,
    /// Unless it does not read back.
    delivery: Op<Delivery>,
}

impl Due {
    fn read(row: &Row<'_>) -> Op<Self> {
        let (seq, at, serial) = (row.col("seq")?, row.col("next_attempt_at")?, row.col("serial")?);
        Ok(Self { seq, at, serial, delivery: delivery::parse(row) })
    }
}

fn claim_one(tx: &Tx<'_>, request: &ClaimRequest, mut delivery: Delivery) -> Op<Option<Claim>> {
    let fence = delivery.fence;
    let from = delivery.state();
    delivery.fence += 1;
    if delivery.claims >= MOST_CLAIMS {
        tracing::error!(delivery = %delivery.id, claims = delivery.claims, "a delivery keeps ending its worker: parked");
        let about = (delivery.tenant, delivery.account, delivery.id);
        delivery.become_(State::Parked)?;
        delivery.reason = Some(Reason::Poison);
        delivery.case = Some(cases::open(tx, about, Reason::Poison, request.now)?);
        delivery.save(tx.conn, fence, request.now)?;
        return Ok(None);
    }
    let until = as_stored(request.now + request.lease);
    delivery.become_(State::InFlight)?;
    let is_suspect = delivery.claims >= SUSPECT;
    delivery.claims += 1;
    delivery.claimed_from = Some(from);
    delivery.lease = Some((request.owner.clone(), until));
    delivery.save(tx.conn, fence, request.now)?;
    Ok(Some(Claim {
        delivery: delivery.id,
        tenant: delivery.tenant,
        account: delivery.account,
        submission: delivery.submission,
        fence: delivery.fence,
        until,
        attempts: delivery.attempts,
        is_suspect,
        verifying: delivery.verifying,
    }))
}

/// Parks a row without reading it.
pub(in crate::store) fn park_unreadable(tx: &Tx<'_>, account: AccountId, seq: i64, now: Timestamp) -> Op<()> {
    let case = CaseId::new(now, tx.entropy);
    let row = params![case.bytes(), seq, account.bytes(), Reason::Poison.as_str(), micros(now)];
    execute(tx.conn, sql!("case_insert_unreadable"), row)?;
    execute(tx.conn, sql!("delivery_park_unreadable"), params![seq, case.bytes(), micros(now)])?;
    announce::in_case(tx.conn, case)
}
