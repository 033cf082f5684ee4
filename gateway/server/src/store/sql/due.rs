//! Which accounts have work that can be claimed now, and when there will be more.
//!
//! A delivery that waits for another of the same person and posting is not counted as due: its turn comes when the other
//! is settled. A paused account has none.

use std::sync::Arc;
use std::time::Instant;

use crate::store::sql::rows::{Columns, every, micros, params, sql, value};
use crate::store::sql::scope::Scope;
use causeway_core::ids::{AccountId, TenantId};
use jiff::Timestamp;

use super::SqlStore;
use crate::store::work::DueAccount;
use crate::store::{Result, StoreError};

pub(in crate::store) async fn due(store: &SqlStore, now: Timestamp) -> Result<(Vec<DueAccount>, Option<Timestamp>)> {
    let floors = Arc::clone(&store.floors);
    store
        .read(Scope::Leases, move |conn| {
            let began = Instant::now();
            let from = floors.deliveries.due(micros(now), began);
            let accounts = every(conn, sql!("due_accounts"), params![micros(now), from], |row| {
                Ok(DueAccount { tenant: row.id::<TenantId>("tenant")?, account: row.id::<AccountId>("id")? })
            })?;
            floors.deliveries.looked_for_due(&from, began);
            let next: Option<i64> = value(conn, sql!("due_next"), params![micros(now)])?.flatten();
            let next = next.map(Timestamp::from_microsecond).transpose().map_err(|_| StoreError::Corrupt("time"))?;
            Ok((accounts, next))
        })
        .await
}
