//! Periodic work: job leases, the sweep of unnamed blobs, the census, the ledger, the backlog.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::store::sql::rows::{Columns, Conn, Row, StoredId, every, execute, first, micros, params, sql, value};
use crate::store::sql::scope::Scope;
use causeway_core::delivery::State;
use jiff::Timestamp;

use super::SqlStore;
use crate::store::blobs::BlobError;
use crate::store::trace::{Backlog, Ledger};
use crate::store::vitals::BlobOp;
use crate::store::{Result, StoreError};

pub(in crate::store) async fn lease_job(
    store: &SqlStore,
    job: &str,
    owner: &str,
    now: Timestamp,
    lease: Duration,
) -> Result<Option<u64>> {
    let (job, owner) = (job.to_owned(), owner.to_owned());
    let memory = store.clock.memory();
    store
        .write_beside(Scope::Nobody, move |tx| {
            let wish = params![job, owner, micros(now), micros(now + lease)];
            let fence: Option<i64> = value(tx.conn, sql!("job_lease"), wish)?;
            if let Some(memory) = &memory {
                execute(tx.conn, sql!("meta_put"), params!["clock", memory])?;
            }
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
        let counts = store.blobs.counts();
        for old in unnamed {
            let gone = store.blobs.remove(old).await;
            counts.add((BlobOp::Remove, gone.is_ok()), 1);
            removed += u64::from(gone.map_err(failed)?);
        }
    }
    Ok(removed)
}

/// The engine's clock; a file has none.
pub(in crate::store) async fn time(store: &SqlStore) -> Result<Option<Timestamp>> {
    let asked = |conn: Conn<'_>| first(conn, sql!("time", apart), params![], |row| row.maybe_time("at"));
    Ok(store.read(Scope::Nobody, asked).await?.flatten())
}

pub(in crate::store) async fn census(store: &SqlStore) -> Result<BTreeMap<State, u64>> {
    let counts = |row: &Row<'_>| Ok((row.word("state")?, row.unsigned("deliveries")?));
    Ok(store
        .read(Scope::Every, move |conn| every(conn, sql!("census"), params![], counts))
        .await?
        .into_iter()
        .collect())
}

/// What the ledger's statement calls the side of the targets, among the states of the other.
const TARGETS: &str = "targets";

pub(in crate::store) async fn ledger(store: &SqlStore) -> Result<Ledger> {
    let side = |row: &Row<'_>| Ok((row.col::<String>("side")?, row.unsigned::<u64>("counted")?));
    let rows = store.read(Scope::Every, move |conn| every(conn, sql!("ledger"), params![], side)).await?;
    let mut ledger = Ledger::default();
    for (side, counted) in rows {
        if side == TARGETS {
            ledger.targets = counted;
        } else {
            let state: State = side.parse().map_err(|_| StoreError::Corrupt("state"))?;
            ledger.states.insert(state, counted);
        }
    }
    Ok(ledger)
}

/// A look at the backlog takes no longer on a server. It begins at the oldest timer, and what is dead there cannot go while
/// somebody reads an old snapshot.
const BACKLOG: Duration = Duration::from_millis(1_500);

/// One at a time: who asked may have gone, what it asked is still read.
pub(in crate::store) async fn backlog(store: &SqlStore, now: Timestamp) -> Result<Backlog> {
    let alone = Arc::clone(&store.backlogs).try_lock_owned();
    let alone = alone.map_err(|_| StoreError::Unavailable("the backlog is being looked at already"))?;
    let found = store.read(Scope::Leases, move |conn| {
        let _alone = alone;
        conn.limit(BACKLOG)?;
        first(conn, sql!("backlog"), params![micros(now)], |row| {
            Ok(Backlog {
                deliveries: row.maybe_time("deliveries")?,
                webhooks: row.maybe_time("webhooks")?,
                read_backs: row.maybe_time("read_backs")?,
            })
        })
    });
    Ok(found.await?.unwrap_or_default())
}
