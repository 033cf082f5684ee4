//! The third proof: delivered rows that are to be read back, and what reading them came to.
//!
//! The row is the timer, in an index that only delivered rows enter. No lease: a sighting is recorded if nobody recorded
//! one since the row was handed out. Nothing here moves a delivery; a case and its reason stand beside the state.

use std::sync::Arc;
use std::time::Instant;

use crate::store::sql::rows::{
    Changes, Columns, Conn, Many, Row, StoredId, every, many, micros, params, sql, stored, to_json, value,
};
use crate::store::sql::scope::Scope;
use causeway_core::ids::AccountId;
use causeway_core::reason::Reason;
use jiff::Timestamp;

use super::ahead::{About, InHand, Locks};
use super::delivery::{self, Delivery};
use super::errors::Op;
use super::floors::Floors;
use super::tx::Tx;
use super::{SqlStore, cases, settle};
use crate::store::work::{Settled, Sighting, Unproven};
use crate::store::{Result, StoreError};

static SEEN: Many = many!("read_back_seen", "bitttb", Changes::One);

pub(in crate::store) async fn unproven(store: &SqlStore, now: Timestamp, limit: usize) -> Result<Vec<Unproven>> {
    let (floors, until) = (Arc::clone(&store.floors), micros(now));
    store
        .read(Scope::Every, move |conn| {
            let began = Instant::now();
            let from = floors.unproven.due(until, began);
            let accounts = every(conn, sql!("unproven_accounts"), params![until, from], |row| row.id("id"))?;
            floors.unproven.looked_for_due(&from, began);
            let mut found = Vec::new();
            for account in accounts {
                found.extend(unproven_of(conn, &floors, account, until, limit)?);
            }
            Ok(found)
        })
        .await
}

/// What is handed out stays where it is until it was seen: the next look begins there again.
fn unproven_of(conn: Conn<'_>, floors: &Floors, account: AccountId, until: i64, limit: usize) -> Op<Vec<Unproven>> {
    let began = Instant::now();
    let from = floors.unproven.from(account, began);
    let due = params![account.bytes(), until, stored(limit), from];
    let found = every(conn, sql!("unproven"), due, |row| Ok((row.col::<i64>("read_back_at")?, parse(row)?)))?;
    floors.unproven.looked(account, from, (until, found.first().map(|(at, _)| *at)), began);
    Ok(found.into_iter().map(|(_, unproven)| unproven).collect())
}

fn parse(row: &Row<'_>) -> Op<Unproven> {
    // Only rows of old have neither: then it was delivered when the row last changed.
    let settled_at = row.time("changed_at")?;
    let said_yes_at = row.maybe_time("said_yes_at")?.unwrap_or(settled_at);
    let sent_at = row.maybe_time("first_sent_at")?.or(row.maybe_time("sent_at")?).unwrap_or(said_yes_at);
    Ok(Unproven {
        delivery: row.id("id")?,
        submission: row.id("submission")?,
        account: row.id("account")?,
        sent_at,
        said_yes_at,
        vendor_id: row.col("vendor_id")?,
        asked: row.unsigned("read_back_asked")?,
        missed: row.unsigned("read_back_missed")?,
    })
}

pub(in crate::store) async fn record(
    store: &SqlStore,
    unproven: &Unproven,
    sighting: Sighting,
    now: Timestamp,
) -> Result<Settled> {
    let unproven = unproven.clone();
    let vendor_id = match &sighting {
        Sighting::Seen { vendor_id, .. } if unproven.vendor_id.is_none() => Some(vendor_id.clone()),
        Sighting::Seen { .. } | Sighting::Again { .. } | Sighting::NotVerifiable { .. } => None,
    };
    let about = InHand { delivery: unproven.delivery, step: None, vendor_id, locks: Locks::Never };
    let scope = Scope::Account(unproven.account);
    store.write_about(scope, About::Delivery(about), move |tx| apply(tx, &unproven, &sighting, now)).await
}

fn apply(tx: &mut Tx<'_>, unproven: &Unproven, sighting: &Sighting, now: Timestamp) -> Op<Settled> {
    let mut row = waiting(tx, unproven)?;
    match sighting {
        Sighting::Seen { vendor_id, refs } => {
            if row.vendor_id.is_none() {
                if settle::linked_to_another(tx, &row, vendor_id)? {
                    return Ok(Settled::LinkTaken);
                }
                settle::link(tx, &mut row, vendor_id, now)?;
            }
            row.refs.extend(refs.clone());
            seen(tx, row, now)?;
        }
        Sighting::Again { at, missed, case } => again(tx, row, *at, *missed, *case, now)?,
        Sighting::NotVerifiable { why } => {
            tx.conn.execute_later(sql!("read_back_never"), params![unproven.delivery.bytes(), why], Changes::One)?;
        }
    }
    Ok(Settled::Done { state: causeway_core::delivery::State::Delivered, begun: None })
}

/// The delivery, if nobody recorded anything since it was handed out.
fn waiting(tx: &mut Tx<'_>, unproven: &Unproven) -> Op<Delivery> {
    let id = unproven.delivery;
    let (row, asked) = match tx.ahead.take(id) {
        Some(row) => {
            let asked = row.beside.as_ref().and_then(|beside| beside.asked);
            (row, asked)
        }
        None => {
            let asked: Option<u32> = value(tx.conn, sql!("read_back_asked"), params![id.bytes()])?;
            (delivery::read(tx.conn, id)?, asked)
        }
    };
    if asked == Some(unproven.asked) { Ok(row) } else { Err(StoreError::Fenced.into()) }
}

/// What was missed before has turned up: nobody has to look any more.
fn seen(tx: &Tx<'_>, mut row: Delivery, now: Timestamp) -> Op<()> {
    if row.reason == Some(Reason::NotSeenAtVendor) {
        row.reason = None;
        if let Some(missed) = cases::open_for(tx.conn, row.id, Reason::NotSeenAtVendor)? {
            cases::close(tx.conn, missed, now)?;
            row.case = row.case.filter(|case| *case != missed);
        }
    }
    let case = row.case.map(StoredId::bytes);
    let refs = to_json(&row.refs)?;
    let reason = row.reason.map(Reason::as_str);
    let found = params![row.id.bytes(), micros(now), row.vendor_id, refs, reason, case];
    tx.conn.gather(&SEEN, found, params![])
}

fn again(tx: &Tx<'_>, mut row: Delivery, at: Timestamp, missed: u32, case: Option<Reason>, now: Timestamp) -> Op<()> {
    if let Some(reason) = case {
        row.case = Some(cases::open(tx, (row.tenant, row.account, row.id), reason, now)?);
        row.reason = Some(reason);
    }
    let (reason, case) = (row.reason.map(Reason::as_str), row.case.map(StoredId::bytes));
    tx.conn.execute_later(
        sql!("read_back_again"),
        params![row.id.bytes(), micros(at), missed, reason, case],
        Changes::One,
    )
}
