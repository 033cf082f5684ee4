//! A delivery's row while a verb changes it: read whole, changed in memory, written back whole under its fence.
//!
//! The state changes only through [`Delivery::become_`], which asks the table of legal moves. Verbs that move many rows
//! at once (`alike`, `expire`) say their moves to the same table. A row that does not read back is `Corrupt`.

use causeway_core::delivery::{HeldCause, Refs, State};
use causeway_core::ids::{AccountId, AttemptId, CaseId, DeliveryId, SubmissionId, TenantId};
use causeway_core::reason::Reason;
use jiff::Timestamp;

use super::ahead::Beside;
use super::announce;
use super::errors::Op;
use super::tx::Tx;
use crate::store::StoreError;
use crate::store::sql::rows::{
    Changes, Columns, Conn, Many, Row, StoredId, first, many, micros, params, sql, stored, to_json,
};
use crate::store::work::{Claim, Verifying};

/// Nobody else has changed the row since it was read.
static SAVE: Many = many!("delivery_save", "iitttbiiiiibiitittiiittibtbiiiti", Changes::One);

pub(in crate::store) struct Delivery {
    pub(in crate::store) seq: i64,
    pub(in crate::store) id: DeliveryId,
    pub(in crate::store) tenant: TenantId,
    pub(in crate::store) submission: SubmissionId,
    pub(in crate::store) account: AccountId,
    /// The account's pause: why, and the case its held deliveries are attached to.
    pub(in crate::store) paused: Option<(Reason, Option<CaseId>)>,
    state: State,
    /// As it was read: what a site was told last.
    before: (State, Option<Reason>),
    pub(in crate::store) held: Option<HeldCause>,
    pub(in crate::store) reason: Option<Reason>,
    pub(in crate::store) fields: Option<Vec<u8>>,
    pub(in crate::store) lane: i64,
    pub(in crate::store) next_attempt_at: Option<Timestamp>,
    pub(in crate::store) attempts: u32,
    pub(in crate::store) attempt_number: u32,
    pub(in crate::store) open_attempt: Option<AttemptId>,
    pub(in crate::store) claims: u32,
    pub(in crate::store) fence: u64,
    pub(in crate::store) lease: Option<(String, Timestamp)>,
    pub(in crate::store) claimed_from: Option<State>,
    pub(in crate::store) verifying: Option<Verifying>,
    pub(in crate::store) refs: Refs,
    pub(in crate::store) vendor_id: Option<String>,
    pub(in crate::store) possible_duplicate: bool,
    pub(in crate::store) form_digest: Option<String>,
    pub(in crate::store) case: Option<CaseId>,
    pub(in crate::store) sent_at: Option<Timestamp>,
    pub(in crate::store) said_yes_at: Option<Timestamp>,
    pub(in crate::store) seen_at: Option<Timestamp>,
    pub(in crate::store) not_verifiable: Option<String>,
    pub(in crate::store) read_back_at: Option<Timestamp>,
    /// What was read with it for the verb that has it.
    pub(in crate::store) beside: Option<Beside>,
}

/// Refuses what the table of legal moves refuses.
pub(in crate::store) fn may(from: State, to: State) -> Op<()> {
    if from.may_become(to) { Ok(()) } else { Err(StoreError::IllegalMove { from, to }.into()) }
}

pub(in crate::store) fn read(conn: Conn<'_>, id: DeliveryId) -> Op<Delivery> {
    let found = first(conn, sql!("delivery"), params![id.bytes()], parse)?;
    found.ok_or_else(|| StoreError::NotFound("delivery").into())
}

/// Another tenant's delivery is as absent as none.
pub(in crate::store) fn of_tenant(conn: Conn<'_>, tenant: TenantId, id: DeliveryId) -> Op<Delivery> {
    let row = read(conn, id)?;
    if row.tenant == tenant { Ok(row) } else { Err(StoreError::NotFound("delivery").into()) }
}

/// The delivery, if the claim is still the newest lease on it.
pub(in crate::store) fn leased(conn: Conn<'_>, claim: &Claim) -> Op<Delivery> {
    still_leased(read(conn, claim.delivery)?, claim)
}

/// [`leased`] while it is written, as it was read ahead if it was.
pub(in crate::store) fn in_hand(tx: &mut Tx<'_>, claim: &Claim) -> Op<Delivery> {
    match tx.ahead.take(claim.delivery) {
        Some(delivery) => still_leased(delivery, claim),
        None => leased(tx.conn, claim),
    }
}

pub(in crate::store) fn still_leased(delivery: Delivery, claim: &Claim) -> Op<Delivery> {
    if delivery.state != State::InFlight || delivery.fence != claim.fence || delivery.tenant != claim.tenant {
        return Err(StoreError::Fenced.into());
    }
    Ok(delivery)
}

impl Delivery {
    pub(in crate::store) const fn state(&self) -> State {
        self.state
    }

    /// Moves to another state. What belongs to the former one (lease, timer, cause of holding) is gone.
    pub(in crate::store) fn become_(&mut self, next: State) -> Op<()> {
        may(self.state, next)?;
        self.state = next;
        self.held = None;
        self.next_attempt_at = None;
        if next != State::InFlight {
            self.lease = None;
            self.claimed_from = None;
        }
        Ok(())
    }

    pub(in crate::store) fn hold(&mut self, cause: HeldCause, reason: Reason, case: Option<CaseId>) -> Op<()> {
        self.become_(State::Held)?;
        self.held = Some(cause);
        self.reason = Some(reason);
        self.case = case;
        Ok(())
    }

    /// Holds it as one of its paused account's. It stays held where it is already.
    pub(in crate::store) fn hold_paused(&mut self, reason: Reason, case: Option<CaseId>) -> Op<()> {
        if self.state == State::Held {
            self.held = Some(HeldCause::AccountPaused);
            self.reason = Some(reason);
            self.case = case;
            return Ok(());
        }
        self.hold(HeldCause::AccountPaused, reason, case)
    }

    /// Is nobody else to lease it yet?
    pub(in crate::store) fn is_leased_at(&self, now: Timestamp) -> bool {
        self.lease.as_ref().is_some_and(|(_, until)| *until > now)
    }

    /// Where a lease that was not used returns to.
    pub(in crate::store) fn unclaimed_state(&self) -> State {
        match (&self.verifying, self.claimed_from) {
            (Some(_), _) => State::Verifying,
            (None, Some(State::Waiting)) => State::Waiting,
            (None, _) => State::Queued,
        }
    }

    /// Writes everything back, if nobody else did since it was read under `fence`, and tells the site of a move.
    pub(in crate::store) fn save(&self, conn: Conn<'_>, fence: u64, now: Timestamp) -> Op<()> {
        let verifying = self.verifying.as_ref();
        let row = params![
            self.seq,
            stored(fence),
            self.state.as_str(),
            self.held.map(HeldCause::as_str),
            self.reason.map(Reason::as_str),
            self.fields,
            micros(now),
            self.lane,
            self.next_attempt_at.map(micros),
            self.attempts,
            self.attempt_number,
            self.open_attempt.map(StoredId::bytes),
            self.claims,
            stored(self.fence),
            self.lease.as_ref().map(|(owner, _)| owner),
            self.lease.as_ref().map(|(_, until)| micros(*until)),
            self.claimed_from.map(State::as_str),
            verifying.map(|verifying| &verifying.step),
            verifying.map(|verifying| micros(verifying.since)),
            verifying.map_or(0, |verifying| verifying.not_seen),
            verifying.map_or(0, |verifying| verifying.asked),
            to_json(&self.refs)?,
            self.vendor_id,
            self.possible_duplicate,
            self.account.bytes(),
            self.form_digest,
            self.case.map(StoredId::bytes),
            self.sent_at.map(micros),
            self.said_yes_at.map(micros),
            self.seen_at.map(micros),
            self.not_verifiable,
            self.read_back_at.map(micros)
        ];
        conn.gather(&SAVE, row, params![])?;
        announce::moved(conn, self.id, self.before, (self.state, self.reason))
    }
}

pub(in crate::store) fn parse(row: &Row<'_>) -> Op<Delivery> {
    let paused: Option<Reason> = row.maybe_word("paused_reason")?;
    let paused_case = row.maybe_id("paused_case")?;
    let lease_owner: Option<String> = row.col("lease_owner")?;
    let state = row.word("state")?;
    let reason = row.maybe_word("reason")?;
    let delivery = Delivery {
        seq: row.col("seq")?,
        id: row.id("id")?,
        tenant: row.id("tenant")?,
        submission: row.id("submission")?,
        account: row.id("account")?,
        paused: paused.map(|reason| (reason, paused_case)),
        state,
        before: (state, reason),
        held: row.maybe_word("held_cause")?,
        reason,
        fields: row.col("fields_sealed")?,
        lane: row.col("lane")?,
        next_attempt_at: row.maybe_time("next_attempt_at")?,
        attempts: row.unsigned("attempts")?,
        attempt_number: row.unsigned("attempt_number")?,
        open_attempt: row.maybe_id("open_attempt")?,
        claims: row.unsigned("claims")?,
        fence: row.unsigned("fence")?,
        lease: lease_owner.zip(row.maybe_time("lease_until")?),
        claimed_from: row.maybe_word("claimed_from")?,
        verifying: verifying(row)?,
        refs: row.json("refs")?,
        vendor_id: row.col("vendor_id")?,
        possible_duplicate: row.col("possible_duplicate")?,
        form_digest: row.col("form_digest")?,
        case: row.maybe_id("case_id")?,
        sent_at: row.maybe_time("sent_at")?,
        said_yes_at: row.maybe_time("said_yes_at")?,
        seen_at: row.maybe_time("seen_at")?,
        not_verifiable: row.col("not_verifiable")?,
        read_back_at: row.maybe_time("read_back_at")?,
        beside: None,
    };
    if delivery.state == State::Verifying && delivery.verifying.is_none() {
        return Err(StoreError::Corrupt("delivery").into());
    }
    Ok(delivery)
}

fn verifying(row: &Row<'_>) -> Op<Option<Verifying>> {
    let step: Option<String> = row.col("verifying_step")?;
    match (step, row.maybe_time("verifying_since")?) {
        (None, None) => Ok(None),
        (Some(step), Some(since)) => Ok(Some(Verifying {
            step,
            since,
            not_seen: row.unsigned("verifying_not_seen")?,
            asked: row.unsigned("verifying_asked")?,
        })),
        (Some(_), None) | (None, Some(_)) => Err(StoreError::Corrupt("delivery").into()),
    }
}
