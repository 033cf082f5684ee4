//! Endpoints: where webhooks go, in the open; what signs them, sealed under a key of the endpoint's own.
//!
//! A removed endpoint keeps its row, so that the page of past messages still names it, and loses its key. Another tenant's
//! endpoint is as absent as none.

use crate::store::sql::rows::{
    Columns, Conn, Row, StoredId, as_stored, every, execute, first, micros, params, sql, to_json, value,
};
use crate::store::sql::scope::Scope;
use causeway_core::ids::{EndpointId, TenantId};
use causeway_core::pii::Secret;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::store::keys::{Owner, TenantKeys};
use crate::store::seal::Place;
use crate::store::sql::SqlStore;
use crate::store::sql::errors::Op;
use crate::store::sql::tx::Tx;
use crate::store::webhooks::{Disabled, Endpoint, NewEndpoint, NewSecret};
use crate::store::{Result, StoreError};

const ABSENT: StoreError = StoreError::NotFound("webhook endpoint");

/// What signs an endpoint's messages, as it is sealed: newest first.
#[derive(Serialize, Deserialize)]
struct Signing {
    secret: String,
    /// It signs until then; the newest for ever.
    until: Option<Timestamp>,
}

/// A sealed column and the wrapped key that opens it.
pub(super) struct SealedSecrets {
    sealed: Vec<u8>,
    wrapped: Vec<u8>,
}

fn place(tenant: TenantId, row: &[u8]) -> Place<'_> {
    Place { tenant, table: "webhook_endpoints", row, column: "secrets" }
}

fn seal(store: &SqlStore, tenant: TenantId, id: EndpointId, signing: &[Signing]) -> Result<SealedSecrets> {
    let (data_key, wrapped) = store.tenant_keys(tenant)?.new_data_key(Owner::Endpoint(id), &*store.entropy);
    let plain = Zeroizing::new(to_json(&signing)?);
    let sealed = data_key.seal(&place(tenant, &id.bytes()), plain.as_bytes(), &*store.entropy);
    Ok(SealedSecrets { sealed, wrapped })
}

fn open(keys: &TenantKeys, tenant: TenantId, id: EndpointId, secrets: &SealedSecrets) -> Result<Vec<Signing>> {
    let opened = keys.open_data_key(Owner::Endpoint(id), &secrets.wrapped).ok();
    let plain = opened.and_then(|key| key.open(&place(tenant, &id.bytes()), &secrets.sealed).ok()).map(Zeroizing::new);
    plain.and_then(|plain| serde_json::from_slice(&plain).ok()).ok_or(StoreError::Corrupt("webhook endpoint's secret"))
}

/// What signs now, opened.
pub(super) fn signing_now(
    store: &SqlStore,
    endpoint: &Endpoint,
    secrets: &SealedSecrets,
    now: Timestamp,
) -> Result<Vec<Secret>> {
    let keys = store.tenant_keys(endpoint.tenant)?;
    let signing = open(&keys, endpoint.tenant, endpoint.id, secrets)?;
    let still = signing.into_iter().filter(|one| one.until.is_none_or(|until| until > now));
    Ok(still.map(|one| Secret::new(one.secret)).collect())
}

/// An endpoint that was not removed, with its secrets still sealed.
pub(super) fn with_secrets(conn: Conn<'_>, id: EndpointId) -> Op<(Endpoint, SealedSecrets)> {
    let endpoint = first(conn, sql!("webhooks/endpoint"), params![id.bytes()], record)?.ok_or(ABSENT)?;
    let sealed = first(conn, sql!("webhooks/endpoint_secrets"), params![id.bytes()], |row| row.col("secrets_sealed"))?;
    let wrapped: Option<Vec<u8>> = value(conn, sql!("wrapped_key"), params![id.bytes(), "endpoint"])?;
    let missing = StoreError::Corrupt("webhook endpoint's secret");
    let (Some(sealed), Some(wrapped)) = (sealed.flatten(), wrapped) else { return Err(missing.into()) };
    Ok((endpoint, SealedSecrets { sealed, wrapped }))
}

/// The tenant's endpoint.
pub(super) fn of_tenant(conn: Conn<'_>, tenant: TenantId, id: EndpointId) -> Op<Endpoint> {
    let found = first(conn, sql!("webhooks/endpoint"), params![id.bytes()], record)?;
    found.filter(|endpoint| endpoint.tenant == tenant).ok_or_else(|| ABSENT.into())
}

pub(super) async fn add(store: &SqlStore, new: NewEndpoint) -> Result<Endpoint> {
    let NewEndpoint { id, tenant, url, events, test, allow_private, secret, actor, now } = new;
    let sealed = seal(store, tenant, id, &[Signing { secret: secret.reveal().to_owned(), until: None }])?;
    let created_at = as_stored(now);
    let endpoint =
        Endpoint { id, tenant, url, events, test, allow_private, created_at, failing_since: None, disabled: None };
    let answer = endpoint.clone();
    store
        .write(Scope::Tenant(tenant), move |tx| {
            let row = params![
                id.bytes(),
                tenant.bytes(),
                endpoint.url,
                to_json(&endpoint.events)?,
                test,
                allow_private,
                sealed.sealed,
                micros(now)
            ];
            execute(tx.conn, sql!("webhooks/endpoint_insert"), row)?;
            let key = params![id.bytes(), "endpoint", tenant.bytes(), sealed.wrapped];
            execute(tx.conn, sql!("wrapped_key_insert"), key)?;
            tx.audit(tenant, now, &actor, "webhooks.add", &id.to_string())
        })
        .await?;
    Ok(answer)
}

pub(super) async fn list(store: &SqlStore, tenant: Option<TenantId>) -> Result<Vec<Endpoint>> {
    store
        .read(tenant.map_or(Scope::Every, Scope::Tenant), move |conn| {
            every(conn, sql!("webhooks/endpoints"), params![tenant.map(StoredId::bytes)], record)
        })
        .await
}

pub(super) async fn remove(
    store: &SqlStore,
    tenant: TenantId,
    id: EndpointId,
    actor: &str,
    now: Timestamp,
) -> Result<()> {
    let actor = actor.to_owned();
    store
        .write(Scope::Tenant(tenant), move |tx| {
            of_tenant(tx.conn, tenant, id)?;
            execute(tx.conn, sql!("webhooks/endpoint_remove"), params![id.bytes(), micros(now)])?;
            execute(tx.conn, sql!("webhooks/endpoint_key_remove"), params![id.bytes()])?;
            execute(tx.conn, sql!("webhooks/drop_waiting"), params![id.bytes(), "the endpoint was removed"])?;
            execute(tx.conn, sql!("webhooks/cases_close"), params![id.bytes(), micros(now)])?;
            tx.audit(tenant, now, &actor, "webhooks.remove", &id.to_string())
        })
        .await
}

pub(super) async fn rotate(store: &SqlStore, tenant: TenantId, id: EndpointId, change: NewSecret) -> Result<Endpoint> {
    let NewSecret { secret, both_until, actor, now } = change;
    let (endpoint, before) = store
        .read(Scope::Tenant(tenant), move |conn| {
            of_tenant(conn, tenant, id)?;
            with_secrets(conn, id)
        })
        .await?;
    let old = open(&*store.tenant_keys(tenant)?, tenant, id, &before)?;
    // The newest of the old ones lives on for a while; what was on its way out before it is out.
    let last = old.into_iter().take(1).map(|one| Signing { secret: one.secret, until: Some(both_until) });
    let new = Signing { secret: secret.reveal().to_owned(), until: None };
    let sealed = seal(store, tenant, id, &std::iter::once(new).chain(last).collect::<Vec<_>>())?;
    store
        .write(Scope::Tenant(tenant), move |tx| {
            let row = params![id.bytes(), sealed.sealed];
            if execute(tx.conn, sql!("webhooks/endpoint_secrets_put"), row)? == 0 {
                return Err(ABSENT.into());
            }
            execute(tx.conn, sql!("wrapped_key_replace"), params![id.bytes(), "endpoint", sealed.wrapped])?;
            tx.audit(tenant, now, &actor, "webhooks.rotate_secret", &id.to_string())
        })
        .await?;
    Ok(endpoint)
}

pub(super) async fn enable(
    store: &SqlStore,
    tenant: TenantId,
    id: EndpointId,
    actor: &str,
    now: Timestamp,
) -> Result<Endpoint> {
    let actor = actor.to_owned();
    store
        .write(Scope::Tenant(tenant), move |tx| {
            of_tenant(tx.conn, tenant, id)?;
            execute(tx.conn, sql!("webhooks/endpoint_enable"), params![id.bytes()])?;
            execute(tx.conn, sql!("webhooks/cases_close"), params![id.bytes(), micros(now)])?;
            tx.audit(tenant, now, &actor, "webhooks.enable", &id.to_string())?;
            of_tenant(tx.conn, tenant, id)
        })
        .await
}

/// Disables it, with a case, unless it is disabled already.
pub(super) fn disable(
    tx: &mut Tx<'_>,
    endpoint: &Endpoint,
    reason: causeway_core::reason::Reason,
    now: Timestamp,
) -> Op<()> {
    let id = endpoint.id.bytes();
    if execute(tx.conn, sql!("webhooks/endpoint_disable"), params![id, micros(now), reason.as_str()])? == 0 {
        return Ok(());
    }
    let case = causeway_core::ids::CaseId::new(now, tx.entropy);
    let row = params![case.bytes(), endpoint.tenant.bytes(), id, reason.as_str(), micros(now)];
    execute(tx.conn, sql!("webhooks/case_insert"), row)?;
    tx.audit(endpoint.tenant, now, "system", "webhooks.disable", &endpoint.id.to_string())
}

fn record(row: &Row<'_>) -> Op<Endpoint> {
    let reason = row.maybe_word("disabled_reason")?;
    let since = row.maybe_time("disabled_at")?;
    Ok(Endpoint {
        id: row.id("id")?,
        tenant: row.id("tenant")?,
        url: row.col("url")?,
        events: row.json("events")?,
        test: row.col("test")?,
        allow_private: row.col("allow_private")?,
        created_at: row.time("created_at")?,
        failing_since: row.maybe_time("failing_since")?,
        disabled: reason.zip(since).map(|(reason, since)| Disabled { reason, since }),
    })
}
