//! Periodic work: job leases, the sweep of unnamed blobs, the census.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::store::sql::rows::{Columns, Row, StoredId, every, micros, params, sql, value};
use crate::store::sql::scope::Scope;
use causeway_core::delivery::State;
use jiff::Timestamp;

use super::SqlStore;
use crate::store::{Result, StoreError};

pub(in crate::store) async fn lease_job(
    store: &SqlStore,
    job: &str,
    owner: &str,
    now: Timestamp,
    lease: Duration,
) -> Result<Option<u64>> {
    let (job, owner) = (job.to_owned(), owner.to_owned());
    store
        .write_beside(Scope::Nobody, move |tx| {
            let wish = params![job, owner, micros(now), micros(now + lease)];
            let fence: Option<i64> = value(tx.conn, sql!("job_lease"), wish)?;
            Ok(fence.map(i64::unsigned_abs))
        })
        .await
}

pub(in crate::store) async fn sweep_blobs(store: &SqlStore, now: Timestamp) -> Result<u64> {
    let blobs = Arc::clone(&store.blobs);
    let old = on_disk(move || blobs.old_files(now)).await?;
    let unnamed = store
        .read(Scope::Every, move |conn| {
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

pub(in crate::store) async fn census(store: &SqlStore) -> Result<BTreeMap<State, u64>> {
    let counts = |row: &Row<'_>| Ok((row.word("state")?, row.unsigned("deliveries")?));
    Ok(store
        .read(Scope::Every, move |conn| every(conn, sql!("census"), params![], counts))
        .await?
        .into_iter()
        .collect())
}
