//! Removes what is past its retention, a bounded number of rows a call; whoever runs it calls until nothing is left.
//!
//! An application goes whole: keys, attachments, deliveries, attempts, cases. One that still has something on its way
//! stays until that is settled. Tombstones, the erasure log and the audit chain stay.

use std::time::Duration;

use causeway_core::ids::{BlobId, DeliveryId, SubmissionId, TenantId};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};

use super::{drop_attachments, remove_blobs};
use crate::store::Result;
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::errors::Op;
use crate::store::sqlite::rows::{Columns, StoredId, every, execute, micros, sql, stored};
use crate::store::trace::{Retention, RetentionReport};

pub(in crate::store::sqlite) async fn retain(
    store: &SqliteStore,
    retention: &Retention,
    now: Timestamp,
    limit: usize,
) -> Result<RetentionReport> {
    let retention = retention.clone();
    let (report, blobs) = store.write(move |tx| remove(tx.conn, &retention, now, stored(limit))).await?;
    remove_blobs(store, blobs).await;
    Ok(report)
}

fn remove(conn: &Connection, retention: &Retention, now: Timestamp, limit: i64) -> Op<(RetentionReport, Vec<BlobId>)> {
    let mut left = limit;
    let mut blobs = Vec::new();
    let mut submissions = |sql: &str, kept: Duration, left: &mut i64| -> Op<u64> {
        let before = *left;
        for tenant in every(conn, sql!("tenants"), [], |row| row.id::<TenantId>("id"))? {
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
    let rows = |sql: &str, kept: Duration, left: &mut i64| -> Op<u64> {
        let removed = stored(execute(conn, sql, params![cutoff(now, kept), *left])?);
        *left -= removed;
        Ok(count(removed))
    };
    let idempotency = rows(sql!("trace/retain_idempotency"), retention.idempotency, &mut left)?;
    let edge_counts = rows(sql!("trace/retain_edge_counts"), retention.edge_counts, &mut left)?;
    Ok((RetentionReport { applications, refusals, idempotency, edge_counts }, blobs))
}

fn remove_submission(conn: &Connection, submission: SubmissionId) -> Op<Vec<BlobId>> {
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
