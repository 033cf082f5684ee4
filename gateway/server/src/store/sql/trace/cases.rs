//! Open cases, for whoever has to look.

use crate::store::sql::rows::{Columns, Conn, Row, StoredId, every, params, sql, stored};
use crate::store::sql::scope::Scope;
use causeway_core::ids::TenantId;
use causeway_core::reason::Reason;

use crate::store::Result;
use crate::store::sql::{SqlStore, alike};
use crate::store::trace::Case;

pub(in crate::store) async fn cases(store: &SqlStore, tenant: TenantId, limit: usize) -> Result<Vec<Case>> {
    let read = |conn: Conn<'_>, row: &Row<'_>| {
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
    let asked = move |conn: Conn<'_>| {
        every(conn, sql!("trace/cases"), params![tenant.bytes(), stored(limit)], |row| read(conn, row))
    };
    store.read(Scope::Tenant(tenant), asked).await
}
