//! The numbers of applications, which their short codes are made of.
//!
//! Taken in memory, from blocks that are reserved in the database: a process that ends wastes what is left of its block. No
//! number is given twice, not even after a restore, which skips what the lost database may have given.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::store::sql::rows::{execute, params, sql, value};
use crate::store::sql::scope::Scope;

use super::SqlStore;
use super::errors::Op;
use super::tx::Tx;
use crate::store::{Result, StoreError};

/// How many a process reserves at once.
const BLOCK: u64 = 65_536;

/// More than any gateway gives between two backups.
const SKIPPED_BY_A_RESTORE: u64 = 1 << 26;

/// A restore skips a random number more, below this: what an earlier restore of the same backup gave is not met again.
const SCATTERED: u64 = 1 << 29;

/// What is reserved and not yet given.
#[derive(Default)]
pub(in crate::store) struct Numbers {
    free: Mutex<Range<u64>>,
    reserving: tokio::sync::Mutex<()>,
}

impl Numbers {
    fn take(&self) -> Option<u64> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).next()
    }
}

pub(in crate::store) async fn new_code(store: &SqlStore) -> Result<String> {
    let number = match store.numbers.take() {
        Some(number) => number,
        None => reserve(store).await?,
    };
    store.keys.codes().of(number).ok_or_else(|| StoreError::Failed("there are no codes left".to_owned()))
}

/// One caller reserves, the others wait for it.
async fn reserve(store: &SqlStore) -> Result<u64> {
    let _alone = store.numbers.reserving.lock().await;
    if let Some(number) = store.numbers.take() {
        return Ok(number);
    }
    let mut block = store.write_beside(Scope::Nobody, |tx| skip(tx, BLOCK)).await?;
    let number = block.next().ok_or_else(|| StoreError::Failed("an empty block".to_owned()))?;
    *store.numbers.free.lock().unwrap_or_else(PoisonError::into_inner) = block;
    Ok(number)
}

/// Makes sure that no number which the lost database may have given is given again.
pub(in crate::store) fn skip_after_restore(tx: &Tx<'_>) -> Op<()> {
    let mut random = [0; 8];
    tx.entropy.fill(&mut random);
    skip(tx, SKIPPED_BY_A_RESTORE + u64::from_be_bytes(random) % SCATTERED).map(|_| ())
}

fn skip(tx: &Tx<'_>, count: u64) -> Op<Range<u64>> {
    // The row is there before it is locked: of two who make it, the second waits for the first.
    execute(tx.conn, sql!("meta_init"), params!["numbers", 0u64.to_be_bytes()])?;
    let first = value::<[u8; 8]>(tx.conn, sql!("meta_lock"), params!["numbers"])?.map_or(0, u64::from_be_bytes);
    let end = first.saturating_add(count);
    execute(tx.conn, sql!("meta_put"), params!["numbers", end.to_be_bytes()])?;
    Ok(first..end)
}
