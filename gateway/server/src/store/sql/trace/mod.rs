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
pub(in crate::store) mod read;
mod retain;

pub(in crate::store) use audit_verify::{chains, verify_audit};
pub(in crate::store) use cases::cases;
pub(in crate::store) use erase::{erase, erase_submission, erasure_plan};
pub(in crate::store) use lookup::lookup;
pub(in crate::store) use retain::retain;

use crate::store::sql::rows::{Columns, Conn, StoredId, every, execute, params, sql};
use causeway_core::ids::{BlobId, SubmissionId};

use super::SqlStore;
use super::errors::Op;

/// Forgets a submission's attachments; the blobs to remove once that is committed.
fn drop_attachments(conn: Conn<'_>, submission: SubmissionId) -> Op<Vec<BlobId>> {
    let blobs = every(conn, sql!("trace/blobs_of"), params![submission.bytes()], |row| row.id("blob"))?;
    execute(conn, sql!("trace/remove_attachments"), params![submission.bytes()])?;
    Ok(blobs)
}

/// After the commit. What cannot be removed now is named by no row any more and falls to the sweeper.
async fn remove_blobs(store: &SqlStore, blobs: Vec<BlobId>) {
    for blob in blobs {
        if let Err(error) = store.blobs.delete(blob).await {
            tracing::warn!(%blob, %error, "a blob is left to the sweeper");
        }
    }
}
