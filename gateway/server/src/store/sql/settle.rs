//! Committing what an attempt came to, and what follows: the whole life of a delivery after its claim.
//!
//! First the lease is checked, then what was tried is recorded, then the move is made. Whatever the vendor gave (a record,
//! references) is kept whatever follows. On a paused account nothing goes on: what would have stayed leased or waited is
//! held instead.

use std::sync::Arc;

use crate::store::sql::rows::{Changes, Columns, Many, StoredId, as_stored, execute, first, many, micros, params, sql};
use crate::store::sql::scope::Scope;
use causeway_core::delivery::{HeldCause, State};
use causeway_core::ids::DeliveryId;
use causeway_core::outcome::{Class, FieldReason};
use causeway_core::reason::Reason;
use jiff::Timestamp;

use super::ahead::{About, InHand, Locks};
use super::delivery::Delivery;
use super::errors::Op;
use super::submission::{data_key, seal_fields, seal_words};
use super::tx::Tx;
use super::{SqlStore, alike, attempt, cases, delivery, pause};
use crate::store::work::{Next, Settled, Settlement, Verifying, WordsKey};
use crate::store::{Result, StoreError};

/// It was nobody's.
static LINK: Many = many!("vendor_links_insert", "btbib", Changes::One);

static STEP: Many = many!("step_insert", "btib", Changes::Any);

/// Personal data of the settlement, sealed before the writer is asked.
struct Sealed {
    words: Option<attempt::Words>,
    fields: Option<Vec<u8>>,
}

pub(in crate::store) async fn settle(store: &SqlStore, mut settlement: Settlement) -> Result<Settled> {
    let sealed = seal(store, &mut settlement).await?;
    let scope = Scope::Tenant(settlement.claim.tenant);
    // A pause is of every delivery of the account, of those that are just being accepted too.
    if matches!(settlement.next, Next::PauseAccount { .. }) {
        return store.write(scope, move |tx| apply(tx, &settlement, &sealed)).await;
    }
    let vendor_id = match (&settlement.next, &settlement.outcome) {
        (Next::Adopt { vendor_id, .. }, _) => Some(vendor_id.clone()),
        (_, Some(outcome)) => outcome.vendor_id.clone(),
        (_, None) => None,
    };
    let (delivery, counts) = (settlement.claim.delivery, settlement.alike.is_some());
    let locks = if counts { Locks::Always } else { Locks::IfKnown };
    let step = match &settlement.next {
        Next::NextStep { begin } => begin.clone(),
        _ => None,
    };
    let about = About::Delivery(InHand { delivery, step, vendor_id, locks });
    store.write_about(scope, about, move |tx| apply(tx, &settlement, &sealed)).await
}

async fn seal(store: &SqlStore, settlement: &mut Settlement) -> Result<Sealed> {
    let words = settlement.outcome.as_mut().and_then(|outcome| outcome.vendor_words.take());
    let fields: &[FieldReason] = match &settlement.next {
        Next::Refuse { fields, .. } | Next::Hold { fields, .. } if !fields.is_empty() => fields,
        _ => settlement.outcome.as_ref().map_or(&[], |outcome| &outcome.fields),
    };
    if words.is_none() && fields.is_empty() {
        return Ok(Sealed { words: None, fields: None });
    }
    let claim = &settlement.claim;
    let (tenant, submission) = (claim.tenant, claim.submission);
    let key = match settlement.words_key.take() {
        Some(WordsKey(key)) => key,
        None => {
            let keys = store.tenant_keys(tenant)?;
            match store.read(Scope::Tenant(tenant), move |conn| data_key(conn, &keys, submission)).await {
                Ok(key) => Arc::new(key),
                // What happened is recorded all the same; only the words have nowhere to go.
                Err(StoreError::NotFound(_) | StoreError::Corrupt(_)) => {
                    return Ok(Sealed { words: None, fields: None });
                }
                Err(error) => return Err(error),
            }
        }
    };
    let attempt = settlement.attempt.as_ref().map(|begun| begun.attempt);
    let id = attempt.unwrap_or_else(|| causeway_core::ids::AttemptId::new(settlement.ended_at, &*store.entropy));
    let words =
        words.map(|words| attempt::Words { attempt: id, sealed: seal_words(store, &key, tenant, id, words.reveal()) });
    let fields = seal_fields(store, &key, tenant, claim.delivery, fields)?;
    Ok(Sealed { words, fields })
}

fn apply(tx: &mut Tx<'_>, settlement: &Settlement, sealed: &Sealed) -> Op<Settled> {
    let fence = settlement.claim.fence;
    let now = settlement.ended_at;
    let mut row = delivery::in_hand(tx, &settlement.claim)?;
    if let Next::Adopt { vendor_id, .. } = &settlement.next
        && linked_to_another(tx, &row, vendor_id)?
    {
        return Ok(Settled::LinkTaken);
    }
    attempt::record(tx, &mut row, settlement, sealed.words.as_ref())?;
    row.fields = None;
    keep_what_was_given(tx, &mut row, settlement)?;
    let since = row.verifying.as_ref().map(|verifying| verifying.since);
    match alike::failed(tx, &row, settlement)? {
        Some(group) => {
            row.fields.clone_from(&sealed.fields);
            row.hold(HeldCause::FailsAlike, Reason::FailsAlike, Some(group.case))?;
        }
        None => follow(tx, &mut row, settlement, sealed.fields.clone())?,
    }
    if matches!(row.state(), State::InFlight | State::Waiting | State::Queued)
        && let Some((reason, case)) = row.paused
    {
        row.hold_paused(reason, case)?;
    }
    row.claims = match (&settlement.attempt, row.state()) {
        // The lease is still in use, and counts.
        (Some(_), State::InFlight) => 1,
        (Some(_), _) => 0,
        (None, State::InFlight) => row.claims,
        // A lookup that went well says nothing about the attempts that ended their workers.
        (None, _) => row.claims.saturating_sub(1),
    };
    let next = match &settlement.next {
        Next::NextStep { begin: Some(step) } if row.state() == State::InFlight && row.is_leased_at(now) => Some(step),
        _ => None,
    };
    let begun = next.map(|step| attempt::open(tx, &mut row, step, now)).transpose()?;
    row.save(tx.conn, fence, now)?;
    if let Some((step, begun)) = next.zip(begun.as_ref()) {
        attempt::write_down(tx, &row, step, begun)?;
    }
    alike::settled(tx, &row, settlement, since)?;
    Ok(Settled::Done { state: row.state(), begun })
}

/// References, the vendor's record, the first two proofs, and cases that change no decision.
fn keep_what_was_given(tx: &Tx<'_>, row: &mut Delivery, settlement: &Settlement) -> Op<()> {
    let Some(outcome) = &settlement.outcome else { return Ok(()) };
    let now = settlement.ended_at;
    row.refs.extend(outcome.refs.clone());
    if matches!(outcome.class, Class::Accepted | Class::AlreadyThere) {
        if let Some(begun) = &settlement.attempt {
            row.sent_at = Some(as_stored(begun.at));
            row.said_yes_at = Some(as_stored(now));
        }
        if let Some(vendor_id) = &outcome.vendor_id {
            link(tx, row, vendor_id, now)?;
            if outcome.class == Class::AlreadyThere {
                row.seen_at = Some(now);
            }
        }
    }
    let wanted = [outcome.case, outcome.drift.then_some(Reason::VendorDrifted)];
    for reason in wanted.into_iter().flatten() {
        row.case = Some(cases::open(tx, (row.tenant, row.account, row.id), reason, now)?);
    }
    Ok(())
}

pub(in crate::store) fn linked_to_another(tx: &Tx<'_>, row: &Delivery, vendor_id: &str) -> Op<bool> {
    Ok(linked(tx, row, vendor_id)?.is_some_and(|delivery| delivery != row.id))
}

/// The delivery that the record is linked to.
fn linked(tx: &Tx<'_>, row: &Delivery, vendor_id: &str) -> Op<Option<DeliveryId>> {
    let link = row.beside.as_ref().and_then(|beside| beside.link.as_ref());
    if let Some((_, delivery)) = link.filter(|(of, _)| of == vendor_id) {
        return Ok(*delivery);
    }
    first(tx.conn, sql!("vendor_link"), params![row.account.bytes(), vendor_id], |link| link.id("delivery"))
}

/// The vendor's record that the delivery is known by.
pub(in crate::store) fn link(tx: &Tx<'_>, row: &mut Delivery, vendor_id: &str, now: Timestamp) -> Op<()> {
    row.vendor_id = Some(vendor_id.to_owned());
    take(tx, row, vendor_id, now)
}

/// No other delivery may adopt the record. A vendor that answers two creates with one merged them or is mistaken: delivered,
/// and a person should look.
fn take(tx: &Tx<'_>, row: &mut Delivery, vendor_id: &str, now: Timestamp) -> Op<()> {
    let is_ours = match linked(tx, row, vendor_id)? {
        Some(delivery) => delivery == row.id,
        None => {
            let link = params![row.account.bytes(), vendor_id, row.id.bytes(), micros(now)];
            if row.beside.is_some() {
                // Another's, made since that was asked, fails the batch.
                return tx.conn.gather(&LINK, link, params![row.tenant.bytes()]);
            }
            execute(tx.conn, sql!("vendor_link_insert"), link)? == 1
        }
    };
    if !is_ours {
        row.case = Some(cases::open(tx, (row.tenant, row.account, row.id), Reason::VendorDrifted, now)?);
    }
    Ok(())
}

fn step_done(tx: &Tx<'_>, row: &Delivery, step: &str, now: Timestamp) -> Op<()> {
    tx.conn.gather(&STEP, params![row.id.bytes(), step, micros(now)], params![row.tenant.bytes()])
}

/// The move itself, one arm per consequence.
fn follow(tx: &mut Tx<'_>, row: &mut Delivery, settlement: &Settlement, fields: Option<Vec<u8>>) -> Op<()> {
    let (step, now) = (settlement.step.as_str(), settlement.ended_at);
    match &settlement.next {
        Next::NextStep { .. } => {
            row.become_(State::InFlight)?;
            (row.reason, row.verifying) = (None, None);
            step_done(tx, row, step, now)
        }
        Next::Delivered { proof } => {
            row.become_(State::Delivered)?;
            (row.reason, row.verifying) = (None, None);
            // A record that a step on the way read back was seen, whatever the last step knows.
            row.seen_at = proof.seen_at.or(row.seen_at);
            row.not_verifiable = proof.not_verifiable.clone().filter(|_| row.seen_at.is_none());
            row.read_back_at = proof.due_at.filter(|_| row.seen_at.is_none());
            step_done(tx, row, step, now)
        }
        // An unknown outcome is not forgotten because something else has to wait.
        Next::Wait { until, .. } if row.verifying.is_some() => verify_again(row, *until),
        Next::Wait { until, reason, consumed } => {
            row.become_(State::Waiting)?;
            row.next_attempt_at = Some(*until);
            row.reason = Some(*reason);
            row.attempts += u32::from(*consumed);
            row.fields = fields;
            Ok(())
        }
        Next::Verify { until, verifying } => {
            row.verifying = Some(verifying.clone());
            verify_again(row, *until)
        }
        Next::Adopt { vendor_id, is_application, refs, possible_duplicate } => {
            row.become_(State::InFlight)?;
            row.possible_duplicate |= possible_duplicate;
            row.sent_at = row.verifying.take().map(|verifying| verifying.since).or(row.sent_at);
            row.reason = None;
            row.refs.extend(refs.clone());
            if *is_application {
                row.vendor_id = Some(vendor_id.clone());
            }
            take(tx, row, vendor_id, now)?;
            step_done(tx, row, step, now)
        }
        Next::Resend { possible_duplicate } => {
            row.become_(State::InFlight)?;
            (row.reason, row.verifying) = (None, None);
            row.possible_duplicate |= possible_duplicate;
            // The attempt that came to nothing counts: a vendor that swallows every create must not be asked for ever.
            row.attempts += 1;
            Ok(())
        }
        Next::Refuse { reason, .. } => {
            row.become_(State::Refused)?;
            (row.reason, row.verifying) = (Some(*reason), None);
            row.fields = fields;
            Ok(())
        }
        Next::Hold { cause: HeldCause::FailsAlike, .. } => alike::hold_before(tx, row, step, now),
        Next::Hold { cause, reason, .. } => {
            row.fields = fields;
            let case = cases::open(tx, (row.tenant, row.account, row.id), *reason, now)?;
            row.hold(*cause, *reason, Some(case))
        }
        Next::Park { reason } => {
            row.fields = fields;
            park(tx, row, *reason, now)?;
            // What broke its worker may have been sent: a replay has to know.
            let tried = settlement.attempt.as_ref().filter(|_| *reason == Reason::Poison && row.verifying.is_none());
            if let Some(since) = tried.map(|begun| as_stored(begun.at)) {
                row.verifying = Some(Verifying { step: step.to_owned(), since, not_seen: 0, asked: 0 });
            }
            Ok(())
        }
        Next::PauseAccount { reason } => pause_account(tx, row, *reason, now),
    }
}

fn park(tx: &Tx<'_>, row: &mut Delivery, reason: Reason, now: Timestamp) -> Op<()> {
    row.become_(State::Parked)?;
    row.reason = Some(reason);
    row.case = Some(cases::open(tx, (row.tenant, row.account, row.id), reason, now)?);
    Ok(())
}

fn pause_account(tx: &mut Tx<'_>, row: &mut Delivery, reason: Reason, now: Timestamp) -> Op<()> {
    let paused = pause::pause(tx, row.account, reason, "system", now)?;
    row.paused = Some((paused.reason, paused.case));
    if row.verifying.is_some() {
        return verify_again(row, now);
    }
    row.hold(HeldCause::AccountPaused, paused.reason, paused.case)
}

fn verify_again(row: &mut Delivery, until: Timestamp) -> Op<()> {
    row.become_(State::Verifying)?;
    row.reason = Some(Reason::OutcomeUnknown);
    row.next_attempt_at = Some(until);
    Ok(())
}
