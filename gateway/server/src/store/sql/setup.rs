//! Tenants and API keys.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::store::sql::rows::{
    Columns, Row, StoredId, as_stored, every, execute, execute_or_taken, first, micros, params, sql, to_json, value,
};
use crate::store::sql::scope::Scope;
use causeway_core::ids::{KeyId, TenantId};
use jiff::Timestamp;

use super::SqlStore;
use super::errors::Op;
use crate::store::setup::{KeyRecord, NewKey, NewTenant, Tenant};
use crate::store::{Result, StoreError};

pub(in crate::store) async fn create_tenant(store: &SqlStore, new: NewTenant) -> Result<Tenant> {
    let id = TenantId::new(new.now, &*store.entropy);
    let wrapped = store.keys.new_tenant_key(id, &*store.entropy);
    // Known before the commit: the audit row of this very transaction needs it. A key of no tenant opens nothing.
    store.keys.install(id, &wrapped).map_err(|_| StoreError::Corrupt("tenant key"))?;
    let tenant = Tenant { id, name: new.name, created_at: as_stored(new.now) };
    let answer = tenant.clone();
    store
        .write(Scope::Tenant(id), move |tx| {
            let row = params![id.bytes(), tenant.name, micros(new.now)];
            execute_or_taken(tx.conn, sql!("tenant_insert"), row, StoreError::Exists("tenant"))?;
            execute(tx.conn, sql!("wrapped_key_insert"), params![id.bytes(), "tenant", id.bytes(), wrapped])?;
            tx.audit(id, new.now, &new.actor, "tenants.create", &id.to_string())?;
            tx.changes_setup();
            Ok(())
        })
        .await?;
    Ok(answer)
}

pub(in crate::store) async fn tenants(store: &SqlStore) -> Result<Vec<Tenant>> {
    store
        .read(Scope::Every, |conn| {
            every(conn, sql!("tenants"), params![], |row| {
                Ok(Tenant { id: row.id("id")?, name: row.col("name")?, created_at: row.time("created_at")? })
            })
        })
        .await
}

pub(in crate::store) async fn create_key(store: &SqlStore, new: NewKey) -> Result<KeyRecord> {
    let NewKey { id, tenant, name, hash, scopes, origins, test, actor, now } = new;
    store.tenant_keys(tenant)?;
    let record = KeyRecord {
        id,
        tenant,
        name,
        scopes,
        origins,
        test,
        created_at: as_stored(now),
        revoked_at: None,
        suspended: false,
    };
    let answer = record.clone();
    store
        .write(Scope::Tenant(tenant), move |tx| {
            let row = params![
                id.bytes(),
                tenant.bytes(),
                record.name,
                hash,
                to_json(&record.scopes)?,
                record.origins.as_ref().map(to_json).transpose()?,
                record.test,
                micros(now)
            ];
            execute_or_taken(tx.conn, sql!("api_key_insert"), row, StoreError::Exists("key"))?;
            tx.audit(tenant, now, &actor, "keys.create", &id.to_string())?;
            tx.changes_setup();
            Ok(())
        })
        .await?;
    Ok(answer)
}

pub(in crate::store) async fn keys(store: &SqlStore, tenant: TenantId) -> Result<Vec<KeyRecord>> {
    store
        .read(Scope::Tenant(tenant), move |conn| every(conn, sql!("api_keys"), params![tenant.bytes()], key_record))
        .await
}

pub(in crate::store) async fn key_by_hash(store: &SqlStore, hash: [u8; 32]) -> Result<Option<KeyRecord>> {
    store.read(Scope::Every, move |conn| first(conn, sql!("api_key_by_hash"), params![hash], key_record)).await
}

/// Every origin that a living publishable key names.
pub(in crate::store) async fn origins(store: &SqlStore) -> Result<BTreeSet<String>> {
    let listed = store
        .read(Scope::Every, |conn| {
            every(conn, sql!("api_key_origins"), params![], |row| row.json::<Vec<String>>("origins"))
        })
        .await?;
    Ok(listed.into_iter().flatten().collect())
}

pub(in crate::store) async fn revoke_key(
    store: &SqlStore,
    tenant: TenantId,
    key: KeyId,
    actor: &str,
    now: Timestamp,
) -> Result<()> {
    let actor: Arc<str> = actor.into();
    store
        .write(Scope::Tenant(tenant), move |tx| {
            let found: Option<i64> = value(tx.conn, sql!("api_key_exists"), params![key.bytes(), tenant.bytes()])?;
            found.ok_or(StoreError::NotFound("key"))?;
            // Revoking twice keeps the first date.
            if execute(tx.conn, sql!("api_key_revoke"), params![key.bytes(), tenant.bytes(), micros(now)])? > 0 {
                tx.audit(tenant, now, &actor, "keys.revoke", &key.to_string())?;
                tx.changes_setup();
            }
            Ok(())
        })
        .await
}

fn key_record(row: &Row<'_>) -> Op<KeyRecord> {
    Ok(KeyRecord {
        id: row.id("id")?,
        tenant: row.id("tenant")?,
        name: row.col("name")?,
        scopes: row.json("scopes")?,
        origins: row.maybe_json("origins")?,
        test: row.col("test")?,
        created_at: row.time("created_at")?,
        revoked_at: row.maybe_time("revoked_at")?,
        suspended: row.col("suspended")?,
    })
}
