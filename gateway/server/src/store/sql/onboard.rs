//! Overlays, the checklist, and going live. Secrets in rotation are `rotation`'s.

use std::sync::Arc;

use crate::store::sql::rows::{
    Columns, Conn, Row, StoredId, every, execute, first, micros, params, sql, stored, to_json,
};
use crate::store::sql::scope::Scope;
use causeway_core::delivery::State;
use causeway_core::ids::{AccountId, CaseId, SubmissionId, TenantId};
use causeway_core::posting::Form;
use causeway_core::reason::Reason;
use jiff::Timestamp;

use super::errors::Op;
use super::submission::{Demographics, data_key, open_document};
use super::{SqlStore, accounts, cases, delivery, postings};
use crate::store::onboard::{Mapping, NewOverlay, OverlayRecord, Recent, Sighted, Tick};
use crate::store::{Result, StoreError};

pub(in crate::store) async fn save_overlay(store: &SqlStore, new: NewOverlay) -> Result<u32> {
    let (document, fields) = (to_json(&new.overlay)?, to_json(&new.fields)?);
    store
        .write(Scope::Account(new.account), move |tx| {
            let id = new.account.bytes();
            let found = first(tx.conn, sql!("overlay_in_force"), params![id], |row| {
                let newest: Option<u32> = row.col("newest")?;
                Ok((row.id::<TenantId>("tenant")?, row.col::<Option<u32>>("overlay_version")?, newest))
            })?;
            let (tenant, in_force, newest) = found.ok_or(StoreError::NotFound("account"))?;
            if in_force != new.base {
                return Err(StoreError::Exists("newer version").into());
            }
            let version = newest.unwrap_or(0) + 1;
            let row = params![id, version, document, fields, new.note, micros(new.now), new.actor];
            execute(tx.conn, sql!("overlay_insert"), row)?;
            execute(tx.conn, sql!("overlay_put"), params![id, version])?;
            tx.audit(tenant, new.now, &new.actor, "accounts.map", &format!("{} version {version}", new.account))?;
            tx.changes_setup();
            Ok(version)
        })
        .await
}

pub(in crate::store) async fn overlays(store: &SqlStore, account: AccountId) -> Result<Vec<OverlayRecord>> {
    let record = |row: &Row<'_>| {
        let mapping =
            Mapping { version: row.col("version")?, overlay: row.json("document")?, fields: row.json("fields")? };
        Ok(OverlayRecord {
            mapping,
            note: row.col("note")?,
            saved_at: row.time("saved_at")?,
            saved_by: row.col("saved_by")?,
        })
    };
    store
        .read(Scope::Account(account), move |conn| every(conn, sql!("overlays"), params![account.bytes()], record))
        .await
}

pub(in crate::store) async fn forms(store: &SqlStore, account: AccountId) -> Result<Vec<Form>> {
    store
        .read(Scope::Account(account), move |conn| {
            every(conn, sql!("forms_of_account"), params![account.bytes()], |row| row.json("document"))
        })
        .await
}

pub(in crate::store) async fn recent(store: &SqlStore, account: AccountId, limit: usize) -> Result<Vec<Recent>> {
    let keyring = Arc::clone(&store.keys);
    store
        .read(Scope::Account(account), move |conn| {
            let tenant = accounts::read(conn, account)?.account.tenant;
            let keys = keyring.tenant(tenant).ok_or(StoreError::Corrupt("tenant"))?;
            every(conn, sql!("recent_of_account"), params![account.bytes(), stored(limit)], |row| {
                let submission: SubmissionId = row.id("id")?;
                let posting_id: String = row.col("posting_id")?;
                let owner: Option<AccountId> = row.maybe_id("posting_account")?;
                let form = match (owner, row.col::<Option<String>>("form_digest")?) {
                    (Some(owner), Some(digest)) => postings::form(conn, owner, &posting_id, &digest)?,
                    (Some(_) | None, _) => None,
                };
                let key = data_key(conn, &keys, submission)?;
                let document = open_document(conn, &keys, tenant, submission, &key, Demographics::LeftOut)?;
                Ok(Recent { submission, posting_id, received_at: row.time("received_at")?, document, form })
            })
        })
        .await
}

pub(in crate::store) async fn taken(store: &SqlStore, account: AccountId, limit: usize) -> Result<Vec<Sighted>> {
    let sighted = |row: &Row<'_>| {
        Ok(Sighted {
            delivery: row.id("id")?,
            posting_id: row.col("posting_id")?,
            said_yes_at: row.time("said_yes_at")?,
            seen_at: row.maybe_time("seen_at")?,
        })
    };
    store
        .read(Scope::Account(account), move |conn| {
            every(conn, sql!("taken_of_account"), params![account.bytes(), stored(limit)], sighted)
        })
        .await
}

pub(in crate::store) async fn tick(store: &SqlStore, account: AccountId, tick: Tick) -> Result<()> {
    store
        .write(Scope::Account(account), move |tx| {
            let tenant = live(tx.conn, account)?.tenant;
            let row = params![account.bytes(), tick.item, tick.done, tick.note, micros(tick.at), tick.actor];
            execute(tx.conn, sql!("tick_put"), row)?;
            let word = if tick.done { "done" } else { "open" };
            tx.audit(tenant, tick.at, &tick.actor, "accounts.checklist", &format!("{account} {} {word}", tick.item))
        })
        .await
}

pub(in crate::store) async fn ticks(store: &SqlStore, account: AccountId) -> Result<Vec<Tick>> {
    let tick = |row: &Row<'_>| {
        Ok(Tick {
            item: row.col("item")?,
            done: row.col("done")?,
            note: row.col("note")?,
            at: row.time("at")?,
            actor: row.col("actor")?,
        })
    };
    store.read(Scope::Account(account), move |conn| every(conn, sql!("ticks"), params![account.bytes()], tick)).await
}

pub(in crate::store) async fn go_live(store: &SqlStore, id: AccountId, actor: &str, now: Timestamp) -> Result<u64> {
    let actor: Arc<str> = actor.into();
    store
        .write(Scope::Account(id), move |tx| {
            let standing = live(tx.conn, id)?;
            if standing.since.is_some() {
                return Ok(0);
            }
            execute(tx.conn, sql!("account_go_live"), params![id.bytes(), micros(now)])?;
            let waiting = Reason::AccountNotLive.as_str();
            let paused = first(tx.conn, sql!("account_pause_state"), params![id.bytes()], |row| {
                Ok((row.maybe_word::<Reason>("paused_reason")?, row.maybe_id::<CaseId>("paused_case")?))
            })?;
            // A pause outlasts it: what waited is held for that now.
            let moved = match paused {
                Some((Some(reason), case)) => {
                    let case = case.map(StoredId::bytes);
                    let hold = params![id.bytes(), waiting, reason.as_str(), case, micros(now)];
                    execute(tx.conn, sql!("live_hold_paused"), hold)?;
                    0
                }
                Some((None, _)) | None => {
                    delivery::may(State::Held, State::Queued)?;
                    execute(tx.conn, sql!("live_queue"), params![id.bytes(), waiting, micros(now)])?
                }
            };
            if let Some(case) = standing.case {
                cases::close(tx.conn, case, now)?;
            }
            tx.audit(standing.tenant, now, &actor, "accounts.go_live", &id.to_string())?;
            tx.changes_setup();
            Ok(stored(moved).unsigned_abs())
        })
        .await
}

struct Standing {
    tenant: TenantId,
    since: Option<Timestamp>,
    case: Option<CaseId>,
}

fn live(conn: Conn<'_>, id: AccountId) -> Op<Standing> {
    let found = first(conn, sql!("account_live"), params![id.bytes()], |row| {
        Ok(Standing {
            tenant: row.id("tenant")?,
            since: row.maybe_time("live_at")?,
            case: row.maybe_id("staged_case")?,
        })
    })?;
    found.ok_or_else(|| StoreError::NotFound("account").into())
}

/// Is the account not live yet, and in which case are its deliveries?
pub(in crate::store) fn staged(conn: Conn<'_>, id: AccountId) -> Op<(bool, Option<CaseId>)> {
    let standing = live(conn, id)?;
    Ok((standing.since.is_none(), standing.case))
}
