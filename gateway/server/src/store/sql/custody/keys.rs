//! API keys after a restore. Which were revoked after the backup, the backup cannot know: none opens anything until a
//! person, who was shown their names, confirmed.

use crate::store::sql::rows::{Columns, Conn, every, execute, params, sql};
use crate::store::sql::scope::Scope;
use causeway_core::ids::{KeyId, TenantId};
use jiff::Timestamp;

use crate::store::Result;
use crate::store::custody::SuspendedKey;
use crate::store::sql::SqlStore;
use crate::store::sql::errors::Op;

pub(in crate::store) fn suspend(conn: Conn<'_>) -> Op<Vec<SuspendedKey>> {
    execute(conn, sql!("custody/keys_suspend"), params![])?;
    Ok(suspended(conn)?.into_iter().map(|(_, key)| key).collect())
}

fn suspended(conn: Conn<'_>) -> Op<Vec<(TenantId, SuspendedKey)>> {
    every(conn, sql!("custody/keys_suspended"), params![], |row| {
        let key = SuspendedKey { id: row.id::<KeyId>("id")?, tenant: row.col("tenant_name")?, name: row.col("name")? };
        Ok((row.id("tenant")?, key))
    })
}

pub(super) async fn release(store: &SqlStore, actor: &str, now: Timestamp) -> Result<Vec<SuspendedKey>> {
    let actor = actor.to_owned();
    store
        .write(Scope::Every, move |tx| {
            let keys = suspended(tx.conn)?;
            execute(tx.conn, sql!("custody/keys_release"), params![])?;
            execute(tx.conn, sql!("webhooks/endpoints_release"), params![])?;
            for (tenant, key) in &keys {
                tx.audit(*tenant, now, &actor, "keys.release", &key.id.to_string())?;
            }
            tx.changes_setup();
            Ok(keys.into_iter().map(|(_, key)| key).collect())
        })
        .await
}
