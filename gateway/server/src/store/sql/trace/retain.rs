//! Removes what is past its retention, a bounded number of rows a call and fewer a transaction, so that nobody waits for
//! long; whoever runs it calls until nothing is left.
//!
//! An application goes whole: keys, attachments, deliveries, attempts, cases. One that still has something on its way
//! stays until that is settled. Demographic answers, attempts and audit rows have times of their own: of the first the key
//! and the ciphertext go and the application stays, of the last the oldest rows go and the chain is checked from a signed
//! floor. Tombstones, the erasure log and the list of vendors' copies stay.

use std::time::Duration;

use crate::store::sql::rows::{Columns, Conn, Sql, StoredId, every, execute, micros, params, sql, stored};
use crate::store::sql::scope::Scope;
use causeway_core::ids::{BlobId, DeliveryId, SubmissionId, TenantId};
use jiff::{SignedDuration, Timestamp};

use super::{drop_attachments, remove_blobs};
use crate::store::Result;
use crate::store::sql::errors::Op;
use crate::store::sql::tx::{Tx, sign_floor};
use crate::store::sql::{SqlStore, cases};
use crate::store::trace::{Retention, RetentionReport};

/// Applications of one transaction. Others of the tenant wait for it.
const PIECE: i64 = 25;

/// Rows of one transaction, where one statement removes them all.
const ROWS: i64 = 500;

pub(in crate::store) async fn retain(
    store: &SqlStore,
    retention: &Retention,
    now: Timestamp,
    limit: usize,
) -> Result<RetentionReport> {
    let before = |kept: Duration| cutoff(now, kept);
    let mut left = stored(limit);
    let mut report = RetentionReport::default();
    let tenants = store.read(Scope::Every, |conn| every(conn, sql!("tenants"), params![], |row| row.id("id"))).await?;
    for tenant in tenants {
        for (class, kept, removed) in [
            (Class::Applications, retention.applications, &mut report.applications),
            (Class::Refusals, retention.refusals, &mut report.refusals),
            (Class::Demographics, retention.demographics, &mut report.demographics),
        ] {
            *removed += of_class(store, tenant, class, (before(kept), now), &mut left).await?;
        }
        report.audit += of_audit(store, tenant, before(retention.audit), &mut left, now).await?;
    }
    let mut rows = async |sql: Sql, kept: Duration| of_rows(store, sql, before(kept), &mut left).await;
    report.idempotency = rows(sql!("trace/retain_idempotency"), retention.idempotency).await?;
    report.edge_counts = rows(sql!("trace/retain_edge_counts"), retention.edge_counts).await?;
    report.attempts = rows(sql!("trace/retain_attempts"), retention.attempts).await?
        + rows(sql!("trace/retain_attempt_words"), retention.attempts).await?;
    report.webhooks = rows(sql!("webhooks/retain"), retention.webhooks).await?;
    Ok(report)
}

/// What goes submission by submission.
#[derive(Debug, Clone, Copy)]
enum Class {
    Applications,
    Refusals,
    Demographics,
}

/// Of one tenant, in pieces between which everybody else gets on. Alone in it: what belongs to an application goes at once.
async fn of_class(
    store: &SqlStore,
    tenant: TenantId,
    class: Class,
    (before, now): (i64, Timestamp),
    left: &mut i64,
) -> Result<u64> {
    let mut removed = 0;
    while *left > 0 {
        let most = PIECE.min(*left);
        let piece = move |tx: &mut Tx<'_>| remove_piece(tx.conn, tenant, class, (before, most), now);
        let (gone, blobs) = store.write(Scope::Tenant(tenant), piece).await?;
        remove_blobs(store, blobs).await;
        *left -= gone;
        removed += count(gone);
        if gone < most {
            break;
        }
    }
    Ok(removed)
}

fn remove_piece(
    conn: Conn<'_>,
    tenant: TenantId,
    class: Class,
    (before, most): (i64, i64),
    now: Timestamp,
) -> Op<(i64, Vec<BlobId>)> {
    let sql = match class {
        Class::Applications => sql!("trace/retain_applications"),
        Class::Refusals => sql!("trace/retain_refusals"),
        Class::Demographics => sql!("trace/retain_demographics"),
    };
    let past = every(conn, sql, params![tenant.bytes(), before, most], |row| row.id::<SubmissionId>("id"))?;
    let mut blobs = Vec::new();
    for submission in &past {
        match class {
            Class::Applications | Class::Refusals => blobs.extend(remove_submission(conn, *submission, now)?),
            Class::Demographics => remove_demographics(conn, *submission)?,
        }
    }
    Ok((stored(past.len()), blobs))
}

/// Their key and their ciphertext go; that there were some stays.
fn remove_demographics(conn: Conn<'_>, submission: SubmissionId) -> Op<()> {
    execute(conn, sql!("trace/remove_demographics_key"), params![submission.bytes()])?;
    execute(conn, sql!("trace/remove_demographics"), params![submission.bytes()])?;
    Ok(())
}

/// Of every tenant, by one statement each time. Each row goes by itself, and nobody relies on it any more.
async fn of_rows(store: &SqlStore, sql: Sql, before: i64, left: &mut i64) -> Result<u64> {
    let mut removed = 0;
    while *left > 0 {
        let most = ROWS.min(*left);
        let piece = move |tx: &mut Tx<'_>| Ok(stored(execute(tx.conn, sql, params![before, most])?));
        let gone = store.write_apart(Scope::Every, piece).await?;
        *left -= gone;
        removed += count(gone);
        if gone < most {
            break;
        }
    }
    Ok(removed)
}

/// The oldest rows of a chain, never the newest. The run writes an audit row itself, so that a floor is explained.
async fn of_audit(store: &SqlStore, tenant: TenantId, before: i64, left: &mut i64, now: Timestamp) -> Result<u64> {
    if *left <= 0 {
        return Ok(0);
    }
    let most = ROWS.min(*left);
    let gone = store.write(Scope::Tenant(tenant), move |tx| remove_audit(tx, tenant, before, most, now)).await?;
    *left -= gone;
    Ok(count(gone))
}

fn remove_audit(tx: &mut Tx<'_>, tenant: TenantId, before: i64, most: i64, now: Timestamp) -> Op<i64> {
    let oldest = every(tx.conn, sql!("trace/audit_oldest"), params![tenant.bytes(), most + 1], |row| {
        Ok((row.col::<i64>("position")?, row.col::<i64>("at")?, row.col::<[u8; 32]>("mac")?))
    })?;
    // What follows a row that is young enough stays, whatever its own clock said.
    let past = oldest.iter().take_while(|(_, at, _)| *at < before).count().min(oldest.len().saturating_sub(1));
    let Some((position, _, mac)) = past.checked_sub(1).and_then(|last| oldest.get(last)) else { return Ok(0) };
    let keys = tx.tenant_keys(tenant)?;
    let signature = sign_floor(&keys, *position, mac);
    execute(tx.conn, sql!("trace/audit_floor_put"), params![tenant.bytes(), position, mac, signature])?;
    let gone = stored(execute(tx.conn, sql!("trace/remove_audit", apart), params![tenant.bytes(), position])?);
    tx.audit(tenant, now, "system", "retention.audit", &format!("rows up to {position}"))?;
    Ok(gone)
}

fn remove_submission(conn: Conn<'_>, submission: SubmissionId, now: Timestamp) -> Op<Vec<BlobId>> {
    let id = submission.bytes();
    let cases = cases::of_submission(conn, submission)?;
    execute(conn, sql!("trace/erase_keys"), params![id])?;
    let deliveries = every(conn, sql!("trace/delivery_ids"), params![id], |row| row.id::<DeliveryId>("id"))?;
    for delivery in deliveries {
        for sql in [
            sql!("trace/remove_attempts"),
            sql!("trace/remove_steps"),
            sql!("trace/remove_links"),
            sql!("trace/remove_cases"),
        ] {
            execute(conn, sql, params![delivery.bytes()])?;
        }
    }
    execute(conn, sql!("trace/remove_deliveries"), params![id])?;
    for case in cases {
        cases::close_when_empty(conn, case, now)?;
    }
    let blobs = drop_attachments(conn, submission)?;
    execute(conn, sql!("trace/remove_submission"), params![id])?;
    Ok(blobs)
}

/// What is older goes. A retention longer than the calendar keeps everything.
fn cutoff(now: Timestamp, kept: Duration) -> i64 {
    let kept = SignedDuration::try_from(kept).unwrap_or(SignedDuration::MAX);
    now.checked_sub(kept).map_or(i64::MIN, micros)
}

fn count(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}
