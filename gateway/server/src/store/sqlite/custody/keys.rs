//! API keys after a restore. Which were revoked after the backup, the backup cannot know: none opens anything until a
//! person, who was shown their names, confirmed.

use causeway_core::ids::{KeyId, TenantId};
use jiff::Timestamp;
use rusqlite::Connection;

use crate::store::Result;
use crate::store::custody::SuspendedKey;
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::errors::Op;
use crate::store::sqlite::rows::{Columns, every, execute, sql};

pub(super) fn suspend(conn: &Connection) -> Op<Vec<SuspendedKey>> {
    execute(conn, sql!("custody/keys_suspend"), [])?;
    Ok(suspended(conn)?.into_iter().map(|(_, key)| key).collect())
}

fn suspended(conn: &Connection) -> Op<Vec<(TenantId, SuspendedKey)>> {
    every(conn, sql!("custody/keys_suspended"), [], |row| {
        let key = SuspendedKey { id: row.id::<KeyId>("id")?, tenant: row.col("tenant_name")?, name: row.col("name")? };
        Ok((row.id("tenant")?, key))
    })
}

pub(super) async fn release(store: &SqliteStore, actor: &str, now: Timestamp) -> Result<Vec<SuspendedKey>> {
    let actor = actor.to_owned();
    store
        .write(move |tx| {
            let keys = suspended(tx.conn)?;
            execute(tx.conn, sql!("custody/keys_release"), [])?;
            execute(tx.conn, sql!("webhooks/endpoints_release"), [])?;
            for (tenant, key) in &keys {
                tx.audit(*tenant, now, &actor, "keys.release", &key.id.to_string())?;
            }
            tx.changes_setup();
            Ok(keys.into_iter().map(|(_, key)| key).collect())
        })
        .await
}
