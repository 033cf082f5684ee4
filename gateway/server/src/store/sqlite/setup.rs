//! Tenants and API keys.

use std::collections::BTreeSet;
use std::sync::Arc;

use causeway_core::ids::{KeyId, TenantId};
use jiff::Timestamp;
use rusqlite::{Row, params};

use super::SqliteStore;
use super::errors::{Op, is_taken};
use super::rows::{Columns, StoredId, as_stored, every, execute, first, micros, sql, to_json, value};
use crate::store::setup::{KeyRecord, NewKey, NewTenant, Tenant};
use crate::store::{Result, StoreError};

pub(super) async fn create_tenant(store: &SqliteStore, new: NewTenant) -> Result<Tenant> {
    let id = TenantId::new(new.now, &*store.entropy);
    let wrapped = store.keys.new_tenant_key(id, &*store.entropy);
    // Known before the commit: the audit row of this very transaction needs it. A key of no tenant opens nothing.
    store.keys.install(id, &wrapped).map_err(|_| StoreError::Corrupt("tenant key"))?;
    let tenant = Tenant { id, name: new.name, created_at: as_stored(new.now) };
    let answer = tenant.clone();
    store
        .write(move |tx| {
            tx.conn
                .prepare_cached(sql!("tenant_insert"))?
                .execute(params![id.bytes(), tenant.name, micros(new.now)])
                .map_err(|error| match is_taken(&error) {
                true => StoreError::Exists("tenant").into(),
                false => super::errors::Stop::from(error),
            })?;
            execute(tx.conn, sql!("wrapped_key_insert"), params![id.bytes(), "tenant", id.bytes(), wrapped])?;
            tx.audit(id, new.now, &new.actor, "tenants.create", &id.to_string())?;
            tx.changes_setup();
            Ok(())
        })
        .await?;
    Ok(answer)
}

pub(super) async fn tenants(store: &SqliteStore) -> Result<Vec<Tenant>> {
    store
        .read(|conn| {
            every(conn, sql!("tenants"), [], |row| {
                Ok(Tenant { id: row.id("id")?, name: row.col("name")?, created_at: row.time("created_at")? })
            })
        })
        .await
}

pub(super) async fn create_key(store: &SqliteStore, new: NewKey) -> Result<KeyRecord> {
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
        .write(move |tx| {
            tx.conn
                .prepare_cached(sql!("api_key_insert"))?
                .execute(params![
                    id.bytes(),
                    tenant.bytes(),
                    record.name,
                    hash,
                    to_json(&record.scopes)?,
                    record.origins.as_ref().map(to_json).transpose()?,
                    record.test,
                    micros(now)
                ])
                .map_err(|error| match is_taken(&error) {
                    true => StoreError::Exists("key").into(),
                    false => super::errors::Stop::from(error),
                })?;
            tx.audit(tenant, now, &actor, "keys.create", &id.to_string())?;
            tx.changes_setup();
            Ok(())
        })
        .await?;
    Ok(answer)
}

pub(super) async fn keys(store: &SqliteStore, tenant: TenantId) -> Result<Vec<KeyRecord>> {
    store.read(move |conn| every(conn, sql!("api_keys"), params![tenant.bytes()], key_record)).await
}

pub(super) async fn key_by_hash(store: &SqliteStore, hash: [u8; 32]) -> Result<Option<KeyRecord>> {
    store.read(move |conn| first(conn, sql!("api_key_by_hash"), params![hash], key_record)).await
}

/// Every origin that a living publishable key names.
pub(super) async fn origins(store: &SqliteStore) -> Result<BTreeSet<String>> {
    let listed =
        store.read(|conn| every(conn, sql!("api_key_origins"), [], |row| row.json::<Vec<String>>("origins"))).await?;
    Ok(listed.into_iter().flatten().collect())
}

pub(super) async fn revoke_key(
    store: &SqliteStore,
    tenant: TenantId,
    key: KeyId,
    actor: &str,
    now: Timestamp,
) -> Result<()> {
    let actor: Arc<str> = actor.into();
    store
        .write(move |tx| {
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
