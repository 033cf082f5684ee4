//! Which accounts have work that can be claimed now, and when there will be more.
//!
//! A delivery that waits for another of the same person and posting is not counted as due: its turn comes when the other
//! is settled. A paused account has none.

use causeway_core::ids::{AccountId, TenantId};
use jiff::Timestamp;
use rusqlite::params;

use super::SqliteStore;
use super::rows::{Columns, every, micros, sql, value};
use crate::store::work::DueAccount;
use crate::store::{Result, StoreError};

pub(super) async fn due(store: &SqliteStore, now: Timestamp) -> Result<(Vec<DueAccount>, Option<Timestamp>)> {
    store
        .read(move |conn| {
            let accounts = every(conn, sql!("due_accounts"), params![micros(now)], |row| {
                Ok(DueAccount { tenant: row.id::<TenantId>("tenant")?, account: row.id::<AccountId>("id")? })
            })?;
            let next: Option<i64> = value(conn, sql!("due_next"), params![micros(now)])?.flatten();
            let next = next.map(Timestamp::from_microsecond).transpose().map_err(|_| StoreError::Corrupt("time"))?;
            Ok((accounts, next))
        })
        .await
}
