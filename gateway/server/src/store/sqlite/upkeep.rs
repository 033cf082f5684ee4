//! Periodic work: job leases, the sweep of unnamed blobs, the census.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use causeway_core::delivery::State;
use jiff::Timestamp;
use rusqlite::params;

use super::SqliteStore;
use super::rows::{Columns, StoredId, every, micros, sql, value};
use crate::store::{Result, StoreError};

pub(super) async fn lease_job(
    store: &SqliteStore,
    job: &str,
    owner: &str,
    now: Timestamp,
    lease: Duration,
) -> Result<Option<u64>> {
    let (job, owner) = (job.to_owned(), owner.to_owned());
    store
        .write(move |tx| {
            let wish = params![job, owner, micros(now), micros(now + lease)];
            let fence: Option<i64> = value(tx.conn, sql!("job_lease"), wish)?;
            Ok(fence.map(i64::unsigned_abs))
        })
        .await
}

pub(super) async fn sweep_blobs(store: &SqliteStore, now: Timestamp) -> Result<u64> {
    let blobs = Arc::clone(&store.blobs);
    let old = on_disk(move || blobs.old_files(now)).await?;
    let unnamed = store
        .read(move |conn| {
            let mut unnamed = Vec::new();
            for (blob, path) in old {
                if value::<i64>(conn, sql!("attachment_exists"), params![blob.bytes()])?.is_none() {
                    unnamed.push(path);
                }
            }
            Ok(unnamed)
        })
        .await?;
    on_disk(move || {
        let mut removed = 0;
        for path in unnamed {
            match std::fs::remove_file(&path) {
                Ok(()) => removed += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    })
    .await
}

async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|_| StoreError::Failed("a disk task panicked".to_owned()))?;
    done.map_err(|error| StoreError::Failed(format!("blob folder: {}", error.kind())))
}

pub(super) async fn census(store: &SqliteStore) -> Result<BTreeMap<State, u64>> {
    let counts = |row: &rusqlite::Row<'_>| Ok((row.word("state")?, row.unsigned("deliveries")?));
    Ok(store.read(move |conn| every(conn, sql!("census"), [], counts)).await?.into_iter().collect())
}
