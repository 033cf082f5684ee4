//! The support and upkeep verbs: find and explain, list cases, erase, check the audit chain, retain.
//!
//! `jobs` and `find` choose submissions, `read` opens what is recorded about one; both run in one snapshot on a reader.
//! `erase` and `retain` write through the one writer and remove blobs after their commit: a blob that a crash leaves is
//! named by no row and falls to the sweeper. Who may ask, and what is shown to whom, is not decided here.

mod audit_verify;
mod cases;
mod erase;
mod find;
mod jobs;
mod lookup;
pub(super) mod read;
mod retain;

pub(super) use audit_verify::{first_bad, verify_audit};
pub(super) use cases::cases;
pub(super) use erase::{erase, erase_submission, erasure_plan};
pub(super) use lookup::lookup;
pub(super) use retain::retain;

use causeway_core::ids::{BlobId, SubmissionId};
use rusqlite::{Connection, params};

use super::SqliteStore;
use super::errors::Op;
use super::rows::{Columns, StoredId, every, execute, sql};

/// Forgets a submission's attachments; the blobs to remove once that is committed.
fn drop_attachments(conn: &Connection, submission: SubmissionId) -> Op<Vec<BlobId>> {
    let blobs = every(conn, sql!("trace/blobs_of"), params![submission.bytes()], |row| row.id("blob"))?;
    execute(conn, sql!("trace/remove_attachments"), params![submission.bytes()])?;
    Ok(blobs)
}

/// After the commit. What cannot be removed now is named by no row any more and falls to the sweeper.
async fn remove_blobs(store: &SqliteStore, blobs: Vec<BlobId>) {
    for blob in blobs {
        if let Err(error) = store.blobs.delete(blob).await {
            tracing::warn!(%blob, %error, "a blob is left to the sweeper");
        }
    }
}
