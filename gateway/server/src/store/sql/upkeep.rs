//! Periodic work: job leases, the sweep of unnamed blobs, the census.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::store::sql::rows::{Columns, Row, StoredId, every, micros, params, sql, value};
use crate::store::sql::scope::Scope;
use causeway_core::delivery::State;
use jiff::Timestamp;

use super::SqlStore;
use crate::store::blobs::BlobError;
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
    let failed = |error: BlobError| match error {
        BlobError::Unavailable => StoreError::Unavailable("the attachments cannot be swept now"),
        other => StoreError::Failed(other.to_string()),
    };
    let (mut pages, mut removed) = (store.blobs.pages(), 0);
    while let Some(old) = store.blobs.next_old(&mut pages, now).await.map_err(failed)? {
        let unnamed = store
            .read(Scope::Every, move |conn| {
                let mut unnamed = Vec::new();
                for old in old {
                    if value::<i64>(conn, sql!("attachment_exists"), params![old.blob.bytes()])?.is_none() {
                        unnamed.push(old);
                    }
                }
                Ok(unnamed)
            })
            .await?;
        for old in unnamed {
            removed += u64::from(store.blobs.remove(old).await.map_err(failed)?);
        }
    }
    Ok(removed)
}

pub(in crate::store) async fn census(store: &SqlStore) -> Result<BTreeMap<State, u64>> {
    let counts = |row: &Row<'_>| Ok((row.word("state")?, row.unsigned("deliveries")?));
    Ok(store
        .read(Scope::Every, move |conn| every(conn, sql!("census"), params![], counts))
        .await?
        .into_iter()
        .collect())
}
