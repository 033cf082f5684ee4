//! Removes what is past its retention, a bounded number of rows a call; whoever runs it calls until nothing is left.
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
use crate::store::sql::SqlStore;
use crate::store::sql::errors::Op;
use crate::store::sql::tx::{Tx, sign_floor};
use crate::store::trace::{Retention, RetentionReport};

pub(in crate::store) async fn retain(
    store: &SqlStore,
    retention: &Retention,
    now: Timestamp,
    limit: usize,
) -> Result<RetentionReport> {
    let retention = retention.clone();
    let (report, blobs) = store.write(Scope::Every, move |tx| remove(tx, &retention, now, stored(limit))).await?;
    remove_blobs(store, blobs).await;
    Ok(report)
}

fn remove(tx: &mut Tx<'_>, retention: &Retention, now: Timestamp, limit: i64) -> Op<(RetentionReport, Vec<BlobId>)> {
    let conn = tx.conn;
    let mut left = limit;
    let mut blobs = Vec::new();
    let mut submissions = |sql: Sql, kept: Duration, left: &mut i64| -> Op<u64> {
        let before = *left;
        for tenant in every(conn, sql!("tenants"), params![], |row| row.id::<TenantId>("id"))? {
            let past = params![tenant.bytes(), cutoff(now, kept), *left];
            for submission in every(conn, sql, past, |row| row.id("id"))? {
                blobs.extend(remove_submission(conn, submission)?);
                *left -= 1;
            }
        }
        Ok(count(before - *left))
    };
    let applications = submissions(sql!("trace/retain_applications"), retention.applications, &mut left)?;
    let refusals = submissions(sql!("trace/retain_refusals"), retention.refusals, &mut left)?;
    let rows = |sql: Sql, kept: Duration, left: &mut i64| -> Op<u64> {
        let removed = stored(execute(conn, sql, params![cutoff(now, kept), *left])?);
        *left -= removed;
        Ok(count(removed))
    };
    let idempotency = rows(sql!("trace/retain_idempotency"), retention.idempotency, &mut left)?;
    let edge_counts = rows(sql!("trace/retain_edge_counts"), retention.edge_counts, &mut left)?;
    let attempts = rows(sql!("trace/retain_attempts"), retention.attempts, &mut left)?
        + rows(sql!("trace/retain_attempt_words"), retention.attempts, &mut left)?;
    let demographics = remove_demographics(conn, cutoff(now, retention.demographics), &mut left)?;
    let audit = remove_audit(tx, cutoff(now, retention.audit), &mut left, now)?;
    let webhooks = rows(sql!("webhooks/retain"), retention.webhooks, &mut left)?;
    let report =
        RetentionReport { applications, refusals, idempotency, edge_counts, demographics, attempts, audit, webhooks };
    Ok((report, blobs))
}

/// Their key and their ciphertext go; that there were some stays.
fn remove_demographics(conn: Conn<'_>, before: i64, left: &mut i64) -> Op<u64> {
    let mut removed = 0;
    for tenant in every(conn, sql!("tenants"), params![], |row| row.id::<TenantId>("id"))? {
        let past = params![tenant.bytes(), before, *left];
        for submission in every(conn, sql!("trace/retain_demographics"), past, |row| row.id::<SubmissionId>("id"))? {
            execute(conn, sql!("trace/remove_demographics_key"), params![submission.bytes()])?;
            execute(conn, sql!("trace/remove_demographics"), params![submission.bytes()])?;
            *left -= 1;
            removed += 1;
        }
    }
    Ok(removed)
}

/// The oldest rows of each chain, never the newest. The run writes an audit row itself, so that a floor is explained.
fn remove_audit(tx: &mut Tx<'_>, before: i64, left: &mut i64, now: Timestamp) -> Op<u64> {
    let mut removed = 0;
    for tenant in every(tx.conn, sql!("tenants"), params![], |row| row.id::<TenantId>("id"))? {
        let oldest = every(tx.conn, sql!("trace/audit_oldest"), params![tenant.bytes(), *left + 1], |row| {
            Ok((row.col::<i64>("position")?, row.col::<i64>("at")?, row.col::<[u8; 32]>("mac")?))
        })?;
        // What follows a row that is young enough stays, whatever its own clock said.
        let past = oldest.iter().take_while(|(_, at, _)| *at < before).count().min(oldest.len().saturating_sub(1));
        let Some((position, _, mac)) = past.checked_sub(1).and_then(|last| oldest.get(last)) else { continue };
        let keys = tx.tenant_keys(tenant)?;
        let signature = sign_floor(&keys, *position, mac);
        execute(tx.conn, sql!("trace/audit_floor_put"), params![tenant.bytes(), position, mac, signature])?;
        let gone = stored(execute(tx.conn, sql!("trace/remove_audit", apart), params![tenant.bytes(), position])?);
        tx.audit(tenant, now, "system", "retention.audit", &format!("rows up to {position}"))?;
        *left -= gone;
        removed += count(gone);
    }
    Ok(removed)
}

fn remove_submission(conn: Conn<'_>, submission: SubmissionId) -> Op<Vec<BlobId>> {
    let id = submission.bytes();
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
