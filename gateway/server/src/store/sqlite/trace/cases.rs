//! Open cases, for whoever has to look.

use causeway_core::ids::TenantId;
use rusqlite::params;

use crate::store::Result;
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::rows::{Columns, StoredId, every, sql, stored};
use crate::store::trace::Case;

pub(in crate::store::sqlite) async fn cases(store: &SqliteStore, tenant: TenantId, limit: usize) -> Result<Vec<Case>> {
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Case {
            id: row.id("id")?,
            delivery: row.maybe_id("delivery")?,
            account: row.maybe_id("account")?,
            endpoint: row.maybe_id("endpoint")?,
            reason: row.word("reason")?,
            opened_at: row.time("opened_at")?,
            deliveries: row.unsigned("deliveries")?,
        })
    };
    store.read(move |conn| every(conn, sql!("trace/cases"), params![tenant.bytes(), stored(limit)], read)).await
}
