//! Accounts: settings in the open, credentials sealed with a key of the account's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::store::sql::rows::{
    Columns, Conn, Row, StoredId, as_stored, every, execute, execute_or_taken, first, micros, params, sql, to_json,
    value, variant_text,
};
use crate::store::sql::scope::Scope;
use causeway_core::account::Account;
use causeway_core::ids::{AccountId, TenantId};
use causeway_core::pii::Secret;
use causeway_core::reason::Reason;
use zeroize::Zeroizing;

use super::errors::Op;
use super::{SqlStore, cases};
use crate::store::keys::{DataKey, Keyring, Owner, TenantKeys};
use crate::store::onboard::{AboutSecrets, Credentials, Mapping, Which};
use crate::store::seal::Place;
use crate::store::setup::{AccountChanged, AccountRecord, NewAccount, Paused};
use crate::store::{Result, StoreError};

/// Two sets of secrets may live at once, each bound to its own column.
pub(in crate::store) fn credentials_place(tenant: TenantId, row: &[u8], which: Which) -> Place<'_> {
    let column = match which {
        Which::Current => "credentials",
        Which::Next => "credentials_next",
    };
    Place { tenant, table: "accounts", row, column }
}

pub(in crate::store) async fn add(store: &SqlStore, new: NewAccount) -> Result<AccountRecord> {
    let NewAccount { account, credentials, sandbox, staged, expires_at, actor, now } = new;
    let (id, tenant) = (account.id, account.tenant);
    let keys = store.tenant_keys(tenant)?;
    let (data_key, wrapped) = keys.new_data_key(Owner::Account(id), &*store.entropy);
    let sealed = seal_credentials(store, &data_key, (tenant, id, Which::Current), &credentials)?;
    let about = AboutSecrets { since: Some(as_stored(now)), expires_at, ..AboutSecrets::default() };
    let record = AccountRecord {
        account,
        paused: None,
        sandbox,
        created_at: as_stored(now),
        last_complete_sync: None,
        live_at: (!staged).then(|| as_stored(now)),
        mapping: None,
        credentials: Credentials { current: about, next: None },
    };
    let answer = record.clone();
    store
        .write(Scope::Tenant(tenant), move |tx| {
            let account = &record.account;
            let row = params![
                id.bytes(),
                tenant.bytes(),
                account.name,
                account.connector,
                variant_text(&account.role)?,
                to_json(&account.settings)?,
                account.allow_private,
                variant_text(&account.on_invalid)?,
                variant_text(&account.repeats)?,
                variant_text(&account.on_unknown)?,
                sealed,
                sandbox,
                micros(now),
                record.live_at.map(micros),
                to_json(&record.credentials)?
            ];
            execute_or_taken(tx.conn, sql!("account_insert"), row, StoreError::Exists("account"))?;
            if staged {
                let case = cases::open_for_account(tx, tenant, id, Reason::AccountNotLive, now)?;
                execute(tx.conn, sql!("account_staged_case"), params![id.bytes(), case.bytes()])?;
            }
            execute(tx.conn, sql!("wrapped_key_insert"), params![id.bytes(), "account", tenant.bytes(), wrapped])?;
            tx.audit(tenant, now, &actor, "accounts.add", &id.to_string())?;
            tx.changes_setup();
            Ok(())
        })
        .await?;
    Ok(answer)
}

/// Replaces settings, policies and, where given, credentials. Who owns the account, its connector, its role and whether
/// it is paused are not changed here.
pub(in crate::store) async fn update(store: &SqlStore, change: AccountChanged) -> Result<()> {
    let AccountChanged { account, credentials, actor, now } = change;
    let (id, tenant) = (account.id, account.tenant);
    let keys = store.tenant_keys(tenant)?;
    // New credentials get a new key: the old ones are gone with the old key.
    let fresh = credentials
        .map(|credentials| {
            let (data_key, wrapped) = keys.new_data_key(Owner::Account(id), &*store.entropy);
            seal_credentials(store, &data_key, (tenant, id, Which::Current), &credentials)
                .map(|sealed| (sealed, wrapped))
        })
        .transpose()?;
    store
        .write(Scope::Tenant(tenant), move |tx| {
            let row = params![
                id.bytes(),
                tenant.bytes(),
                account.name,
                to_json(&account.settings)?,
                account.allow_private,
                variant_text(&account.on_invalid)?,
                variant_text(&account.repeats)?,
                variant_text(&account.on_unknown)?
            ];
            if execute_or_taken(tx.conn, sql!("account_update"), row, StoreError::Exists("account"))? == 0 {
                return Err(StoreError::NotFound("account").into());
            }
            if let Some((sealed, wrapped)) = &fresh {
                let about = AboutSecrets { since: Some(as_stored(now)), ..AboutSecrets::default() };
                let about = to_json(&Credentials { current: about, next: None })?;
                execute(tx.conn, sql!("account_credentials_put"), params![id.bytes(), sealed, None::<Vec<u8>>, about])?;
                execute(tx.conn, sql!("wrapped_key_replace"), params![id.bytes(), "account", wrapped])?;
                tx.audit(tenant, now, &actor, "accounts.credentials", &id.to_string())?;
            }
            tx.audit(tenant, now, &actor, "accounts.update", &id.to_string())?;
            tx.changes_setup();
            Ok(())
        })
        .await
}

pub(in crate::store) async fn list(store: &SqlStore, tenant: Option<TenantId>) -> Result<Vec<AccountRecord>> {
    store.read(tenant.map_or(Scope::Every, Scope::Tenant), move |conn| of_tenant(conn, tenant)).await
}

/// Oldest first.
pub(in crate::store) fn of_tenant(conn: Conn<'_>, tenant: Option<TenantId>) -> Op<Vec<AccountRecord>> {
    every(conn, sql!("accounts"), params![tenant.map(StoredId::bytes)], record)
}

pub(in crate::store) async fn one(store: &SqlStore, id: AccountId) -> Result<AccountRecord> {
    store.read(Scope::Account(id), move |conn| read(conn, id)).await
}

pub(in crate::store) fn read(conn: Conn<'_>, id: AccountId) -> Op<AccountRecord> {
    first(conn, sql!("account"), params![id.bytes()], record)?.ok_or_else(|| StoreError::NotFound("account").into())
}

pub(in crate::store) async fn credentials(store: &SqlStore, id: AccountId) -> Result<BTreeMap<String, Secret>> {
    let keys = Arc::clone(&store.keys);
    store.read(Scope::Account(id), move |conn| credentials_of(conn, &keys, id)).await
}

pub(in crate::store) fn credentials_of(conn: Conn<'_>, keys: &Keyring, id: AccountId) -> Op<BTreeMap<String, Secret>> {
    secrets_of(conn, keys, id, Which::Current)?.ok_or_else(|| StoreError::Corrupt("credentials").into())
}

/// One living set of secrets, if there is one.
pub(in crate::store) fn secrets_of(
    conn: Conn<'_>,
    keys: &Keyring,
    id: AccountId,
    which: Which,
) -> Op<Option<BTreeMap<String, Secret>>> {
    let column = match which {
        Which::Current => "credentials_sealed",
        Which::Next => "credentials_next_sealed",
    };
    let row = first(conn, sql!("account_credentials"), params![id.bytes()], |row| {
        Ok((row.id::<TenantId>("tenant")?, row.col::<Option<Vec<u8>>>(column)?))
    })?;
    let (tenant, sealed) = row.ok_or(StoreError::NotFound("account"))?;
    let Some(sealed) = sealed else { return Ok(None) };
    let wrapped: Option<Vec<u8>> = value(conn, sql!("wrapped_key"), params![id.bytes(), "account"])?;
    let wrapped = wrapped.ok_or(StoreError::Corrupt("account key"))?;
    let keys = keys.tenant(tenant).ok_or(StoreError::NotFound("tenant"))?;
    let opened = open_credentials(&keys, (tenant, id, which), &wrapped, &sealed);
    opened.map(Some).ok_or_else(|| StoreError::Corrupt("credentials").into())
}

fn open_credentials(
    keys: &TenantKeys,
    (tenant, id, which): (TenantId, AccountId, Which),
    wrapped: &[u8],
    sealed: &[u8],
) -> Option<BTreeMap<String, Secret>> {
    let data_key = keys.open_data_key(Owner::Account(id), wrapped).ok()?;
    let plain = data_key.open(&credentials_place(tenant, &id.bytes(), which), sealed).map(Zeroizing::new).ok()?;
    let texts: BTreeMap<String, String> = serde_json::from_slice(&plain).ok()?;
    Some(texts.into_iter().map(|(name, text)| (name, Secret::new(text))).collect())
}

pub(in crate::store) fn seal_credentials(
    store: &SqlStore,
    data_key: &DataKey,
    (tenant, id, which): (TenantId, AccountId, Which),
    credentials: &BTreeMap<String, Secret>,
) -> Result<Vec<u8>> {
    let texts: BTreeMap<&str, &str> =
        credentials.iter().map(|(name, secret)| (name.as_str(), secret.reveal())).collect();
    let plain = Zeroizing::new(to_json(&texts)?);
    let row = id.bytes();
    Ok(data_key.seal(&credentials_place(tenant, &row, which), plain.as_bytes(), &*store.entropy))
}

/// Reads the columns of `account.sql`.
pub(in crate::store) fn record(row: &Row<'_>) -> Op<AccountRecord> {
    let reason = row.maybe_word("paused_reason")?;
    let since = row.maybe_time("paused_since")?;
    Ok(AccountRecord {
        account: Account {
            id: row.id("id")?,
            tenant: row.id("tenant")?,
            name: row.col("name")?,
            connector: row.col("connector")?,
            role: row.variant("role")?,
            settings: row.json("settings")?,
            allow_private: row.col("allow_private")?,
            on_invalid: row.variant("on_invalid")?,
            repeats: row.variant("repeats")?,
            on_unknown: row.variant("on_unknown")?,
        },
        paused: reason.zip(since).map(|(reason, since)| Paused { reason, since }),
        sandbox: row.col("sandbox")?,
        created_at: row.time("created_at")?,
        last_complete_sync: row.maybe_time("last_complete_sync")?,
        live_at: row.maybe_time("live_at")?,
        mapping: mapping(row)?.map(Arc::new),
        credentials: row.json("credentials_about")?,
    })
}

/// The overlay in force, from the columns that `accounts` and `overlays` share.
fn mapping(row: &Row<'_>) -> Op<Option<Mapping>> {
    let Some(version) = row.col::<Option<u32>>("overlay_version")? else { return Ok(None) };
    Ok(Some(Mapping { version, overlay: row.json("overlay")?, fields: row.json("overlay_fields")? }))
}
