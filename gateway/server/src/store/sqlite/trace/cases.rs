//! Open cases, for whoever has to look.

use causeway_core::ids::TenantId;
use causeway_core::reason::Reason;
use rusqlite::params;

use crate::store::Result;
use crate::store::sqlite::rows::{Columns, StoredId, every, sql, stored};
use crate::store::sqlite::{SqliteStore, alike};
use crate::store::trace::Case;

pub(in crate::store::sqlite) async fn cases(store: &SqliteStore, tenant: TenantId, limit: usize) -> Result<Vec<Case>> {
    let read = |conn: &rusqlite::Connection, row: &rusqlite::Row<'_>| {
        let (id, reason) = (row.id("id")?, row.word("reason")?);
        Ok(Case {
            id,
            delivery: row.maybe_id("delivery")?,
            account: row.maybe_id("account")?,
            endpoint: row.maybe_id("endpoint")?,
            reason,
            opened_at: row.time("opened_at")?,
            deliveries: row.unsigned("deliveries")?,
            alike: if reason == Reason::FailsAlike { alike::of_case(conn, id)? } else { None },
        })
    };
    let asked = move |conn: &rusqlite::Connection| {
        every(conn, sql!("trace/cases"), params![tenant.bytes(), stored(limit)], |row| read(conn, row))
    };
    store.read(asked).await
}
