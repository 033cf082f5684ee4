//! Two living sets of secrets: the newer beside the older, until one is destroyed.
//!
//! Each step seals what stays under a key of its own, so what goes is gone with its key. The secrets' use is written down
//! beside them and never makes readers read again.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::store::sql::rows::{Columns, Conn, StoredId, as_stored, execute, first, params, sql, to_json};
use crate::store::sql::scope::Scope;
use causeway_core::ids::{AccountId, TenantId};
use causeway_core::pii::Secret;
use jiff::Timestamp;

use super::errors::Op;
use super::{SqlStore, accounts};
use crate::store::keys::{Keyring, Owner};
use crate::store::onboard::{AboutSecrets, Credentials, Rotate, Which};
use crate::store::{Result, StoreError};

type Secrets = BTreeMap<String, Secret>;

/// What an account holds now.
struct Held {
    tenant: TenantId,
    about: Credentials,
    current: Secrets,
    next: Option<Secrets>,
}

fn held(conn: Conn<'_>, keys: &Keyring, id: AccountId) -> Op<Held> {
    let row = first(conn, sql!("account_credentials"), params![id.bytes()], |row| {
        Ok((row.id::<TenantId>("tenant")?, row.json::<Credentials>("credentials_about")?))
    })?;
    let (tenant, about) = row.ok_or(StoreError::NotFound("account"))?;
    Ok(Held {
        tenant,
        about,
        current: accounts::credentials_of(conn, keys, id)?,
        next: accounts::secrets_of(conn, keys, id, Which::Next)?,
    })
}

pub(in crate::store) async fn next_credentials(store: &SqlStore, id: AccountId) -> Result<Option<Secrets>> {
    let keys = Arc::clone(&store.keys);
    store.read(Scope::Account(id), move |conn| accounts::secrets_of(conn, &keys, id, Which::Next)).await
}

pub(in crate::store) async fn rotate(
    store: &SqlStore,
    id: AccountId,
    step: Rotate,
    actor: &str,
    now: Timestamp,
) -> Result<()> {
    let keyring = Arc::clone(&store.keys);
    let before = store.read(Scope::Account(id), move |conn| held(conn, &keyring, id)).await?;
    let (tenant, was) = (before.tenant, before.about.clone());
    let (about, current, next, action) = after(before, step, now)?;
    let keys = store.tenant_keys(tenant)?;
    let (data_key, wrapped) = keys.new_data_key(Owner::Account(id), &*store.entropy);
    let current = accounts::seal_credentials(store, &data_key, (tenant, id, Which::Current), &current)?;
    let next =
        next.map(|next| accounts::seal_credentials(store, &data_key, (tenant, id, Which::Next), &next)).transpose()?;
    let (about, actor): (String, Arc<str>) = (to_json(&about)?, actor.into());
    store
        .write(Scope::Account(id), move |tx| {
            let found = first(tx.conn, sql!("account_credentials"), params![id.bytes()], |row| {
                row.json::<Credentials>("credentials_about")
            })?;
            // Somebody else changed the secrets meanwhile; their use may have been written down.
            if found.as_ref().map(since) != Some(since(&was)) {
                return Err(StoreError::Unavailable("the secrets were changed at the same moment").into());
            }
            execute(tx.conn, sql!("account_credentials_put"), params![id.bytes(), current, next, about])?;
            execute(tx.conn, sql!("wrapped_key_replace"), params![id.bytes(), "account", wrapped])?;
            tx.audit(tenant, now, &actor, action, &id.to_string())?;
            tx.changes_setup();
            Ok(())
        })
        .await
}

/// What tells one state of an account's secrets from the next.
fn since(about: &Credentials) -> (Option<Timestamp>, Option<Option<Timestamp>>) {
    (about.current.since, about.next.as_ref().map(|next| next.since))
}

type After = (Credentials, Secrets, Option<Secrets>, &'static str);

fn after(held: Held, step: Rotate, now: Timestamp) -> Result<After> {
    let Held { mut about, current, next, .. } = held;
    let none = StoreError::NotFound("rotation: one set of secrets is held");
    match step {
        Rotate::Begin { secrets, expires_at } => {
            about.next = Some(AboutSecrets { since: Some(as_stored(now)), expires_at, ..AboutSecrets::default() });
            Ok((about, current, Some(secrets), "accounts.rotate"))
        }
        Rotate::Finish => {
            let (Some(secrets), Some(known)) = (next, about.next.take()) else { return Err(none) };
            Ok((Credentials { current: known, next: None }, secrets, None, "accounts.rotate_finish"))
        }
        Rotate::Abandon => {
            about.next.take().ok_or(none)?;
            Ok((about, current, None, "accounts.rotate_abandon"))
        }
        Rotate::Expires { at } => {
            about.current.expires_at = at;
            Ok((about, current, next, "accounts.expires"))
        }
    }
}

pub(in crate::store) async fn secrets_used(
    store: &SqlStore,
    id: AccountId,
    which: Which,
    refused: bool,
    now: Timestamp,
) -> Result<()> {
    store
        .write(Scope::Account(id), move |tx| {
            let about = first(tx.conn, sql!("account_credentials"), params![id.bytes()], |row| {
                row.json::<Credentials>("credentials_about")
            })?;
            let mut about = about.ok_or(StoreError::NotFound("account"))?;
            let set = match which {
                Which::Current => Some(&mut about.current),
                Which::Next => about.next.as_mut(),
            };
            // It may have been destroyed since.
            let Some(set) = set else { return Ok(()) };
            let moment = if refused { &mut set.refused_at } else { &mut set.used_at };
            *moment = Some(as_stored(now));
            execute(tx.conn, sql!("account_credentials_about"), params![id.bytes(), to_json(&about)?])?;
            Ok(())
        })
        .await
}
