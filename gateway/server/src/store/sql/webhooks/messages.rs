//! Messages: leased, settled, shown, sent again. A message's row is its timer; while it is leased the timer is the lease's
//! end, so a process that dies loses nothing but time. The fence grows with every lease and replay: what a try came to is
//! recorded only under the lease it was made under.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::store::sql::rows::{Columns, Conn, Row, StoredId, every, execute, first, micros, params, sql, stored};
use crate::store::sql::scope::Scope;
use causeway_core::ids::{EndpointId, MessageId, TenantId};
use jiff::Timestamp;

use super::endpoints::{self, SealedSecrets};
use crate::clock::later;
use crate::store::sql::SqlStore;
use crate::store::sql::errors::{Op, Stop};
use crate::store::sql::floors::Floors;
use crate::store::webhooks::{
    About, ClaimMessages, ClaimedMessage, Endpoint, EventType, Message, MessagePage, MessageQuery, MessageStatus,
    Tried, Which,
};
use crate::store::{Result, StoreError};

const ABSENT: StoreError = StoreError::NotFound("webhook message");

/// Leased, with the secrets still sealed: they are opened on the caller's side.
struct Leased {
    message: Message,
    endpoint: Endpoint,
    sealed: SealedSecrets,
    fence: u64,
}

pub(super) async fn due(store: &SqlStore, now: Timestamp) -> Result<Vec<EndpointId>> {
    let floors = Arc::clone(&store.floors);
    store
        .read(Scope::Leases, move |conn| {
            let began = Instant::now();
            let from = floors.messages.due(micros(now), began);
            let endpoints = every(conn, sql!("webhooks/due"), params![micros(now), from], |row| row.id("id"))?;
            floors.messages.looked_for_due(&from, began);
            Ok(endpoints)
        })
        .await
}

pub(super) async fn claim(store: &SqlStore, wish: ClaimMessages) -> Result<Vec<ClaimedMessage>> {
    let (now, floors) = (wish.now, Arc::clone(&store.floors));
    let leased = store
        .write_beside(Scope::Every, move |tx| {
            let mut leased = Vec::new();
            for (endpoint, want) in &wish.wants {
                claim_of(tx.conn, &floors, (*endpoint, *want), (now, wish.lease), &mut leased)?;
            }
            Ok(leased)
        })
        .await?;
    leased.into_iter().map(|one| opened(store, one, now)).collect()
}

fn claim_of(
    conn: Conn<'_>,
    floors: &Floors,
    (endpoint, want): (EndpointId, usize),
    (now, until): (Timestamp, Duration),
    leased: &mut Vec<Leased>,
) -> Op<()> {
    let began = Instant::now();
    let from = floors.messages.from(endpoint, began);
    let due = params![endpoint.bytes(), micros(now), stored(want), from];
    let due: Vec<(i64, i64)> =
        every(conn, sql!("webhooks/claim_due"), due, |row| Ok((row.col("seq")?, row.col("next_at")?)))?;
    let end = due.last().filter(|_| due.len() == want).map_or(micros(now), |(_, at)| *at);
    for (seq, _) in due {
        leased.push(lease(conn, seq, endpoint, now, until)?);
    }
    floors.messages.looked(endpoint, from, (end, None), began);
    Ok(())
}

fn lease(conn: Conn<'_>, seq: i64, endpoint: EndpointId, now: Timestamp, lease: Duration) -> Op<Leased> {
    let (endpoint, sealed) = endpoints::with_secrets(conn, endpoint)?;
    execute(conn, sql!("webhooks/claim"), params![seq, micros(later(now, lease)), micros(now)])?;
    let read = |row: &Row<'_>| Ok((message(row)?, row.unsigned("fence")?));
    let (message, fence) = first(conn, sql!("webhooks/message_by_seq"), params![seq], read)?.ok_or(ABSENT)?;
    Ok(Leased { message, endpoint, sealed, fence })
}

fn opened(store: &SqlStore, leased: Leased, now: Timestamp) -> Result<ClaimedMessage> {
    let Leased { message, endpoint, sealed, fence } = leased;
    let secrets = endpoints::signing_now(store, &endpoint, &sealed, now)?;
    Ok(ClaimedMessage { message, endpoint, secrets, fence })
}

pub(super) async fn begin_test(
    store: &SqlStore,
    (tenant, endpoint): (TenantId, EndpointId),
    actor: &str,
    now: Timestamp,
    until: Duration,
) -> Result<ClaimedMessage> {
    let (id, actor) = (MessageId::new(now, &*store.entropy), actor.to_owned());
    let leased = store
        .write(Scope::Tenant(tenant), move |tx| {
            let found = endpoints::of_tenant(tx.conn, tenant, endpoint)?;
            let row = params![id.bytes(), tenant.bytes(), endpoint.bytes(), micros(now), found.test];
            execute(tx.conn, sql!("webhooks/test_insert"), row)?;
            tx.audit(tenant, now, &actor, "webhooks.test", &endpoint.to_string())?;
            lease(tx.conn, seq_of(tx.conn, tenant, id)?, endpoint, now, until)
        })
        .await?;
    opened(store, leased, now)
}

fn seq_of(conn: Conn<'_>, tenant: TenantId, id: MessageId) -> Op<i64> {
    let found = first(conn, sql!("webhooks/message"), params![id.bytes(), tenant.bytes()], |row| row.col("seq"))?;
    found.ok_or_else(|| ABSENT.into())
}

pub(super) async fn settle(store: &SqlStore, claim: &ClaimedMessage, tried: Tried, now: Timestamp) -> Result<()> {
    let claim = claim.clone();
    store
        .write_beside(Scope::Tenant(claim.endpoint.tenant), move |tx| {
            let (status, next_at, said, disable) = match &tried {
                Tried::Delivered { said } => (MessageStatus::Delivered, None, said, &None),
                Tried::Again { at, said, disable } => (MessageStatus::Waiting, Some(*at), said, disable),
                Tried::GivenUp { said, disable } => (MessageStatus::GivenUp, None, said, disable),
            };
            let row =
                params![claim.message.id.bytes(), stored(claim.fence), status.as_str(), next_at.map(micros), said];
            if execute(tx.conn, sql!("webhooks/settle"), row)? == 0 {
                return Err(StoreError::Fenced.into());
            }
            let failing_since = (status != MessageStatus::Delivered).then(|| micros(now));
            let health = params![claim.endpoint.id.bytes(), failing_since];
            execute(tx.conn, sql!("webhooks/endpoint_health"), health)?;
            match disable {
                Some(reason) => endpoints::disable(tx, &claim.endpoint, *reason, now),
                None => Ok(()),
            }
        })
        .await
}

pub(super) async fn page(store: &SqlStore, tenant: TenantId, query: MessageQuery) -> Result<MessagePage> {
    store
        .read(Scope::Tenant(tenant), move |conn| {
            let before = match query.before {
                Some(id) => seq_of(conn, tenant, id)?,
                None => i64::MAX,
            };
            let chosen = params![
                tenant.bytes(),
                before,
                query.test,
                query.endpoint.map(StoredId::bytes),
                query.status.map(MessageStatus::as_str),
                stored(query.limit.saturating_add(1))
            ];
            let mut messages = every(conn, sql!("webhooks/messages"), chosen, message)?;
            let more = messages.len() > query.limit;
            messages.truncate(query.limit);
            let next = messages.last().filter(|_| more).map(|last| last.id);
            Ok(MessagePage { messages, next })
        })
        .await
}

pub(super) async fn replay(
    store: &SqlStore,
    tenant: TenantId,
    which: Which,
    actor: &str,
    now: Timestamp,
) -> Result<u64> {
    let actor = actor.to_owned();
    store
        .write(Scope::Tenant(tenant), move |tx| {
            let (replayed, subject) = match which {
                Which::One(id) => {
                    let found = first(tx.conn, sql!("webhooks/message"), params![id.bytes(), tenant.bytes()], message)?;
                    endpoints::of_tenant(tx.conn, tenant, found.ok_or(ABSENT)?.endpoint)?;
                    (execute(tx.conn, sql!("webhooks/replay_one"), params![id.bytes(), micros(now)])?, id.to_string())
                }
                Which::Range { endpoint, since, until } => {
                    endpoints::of_tenant(tx.conn, tenant, endpoint)?;
                    let range = params![endpoint.bytes(), micros(since), micros(until), micros(now)];
                    (execute(tx.conn, sql!("webhooks/replay_range"), range)?, endpoint.to_string())
                }
            };
            tx.audit(tenant, now, &actor, "webhooks.replay", &subject)?;
            Ok(stored(replayed).unsigned_abs())
        })
        .await
}

fn message(row: &Row<'_>) -> Op<Message> {
    let kind: EventType = row.word("type")?;
    Ok(Message {
        id: row.id("id")?,
        endpoint: row.id("endpoint")?,
        r#type: kind,
        at: row.time("at")?,
        test: row.col("test")?,
        about: about(row)?,
        status: row.word("status")?,
        attempts: row.unsigned("attempts")?,
        last_at: row.maybe_time("last_at")?,
        last_said: row.col("last_said")?,
        next_at: row.maybe_time("next_at")?,
    })
}

fn about(row: &Row<'_>) -> Op<Option<About>> {
    let Some(application) = row.maybe_id("submission")? else { return Ok(None) };
    let missing = || Stop::from(StoreError::Corrupt("webhook message"));
    Ok(Some(About {
        application,
        code: row.col::<Option<String>>("code")?.ok_or_else(missing)?,
        job: row.col::<Option<String>>("posting_id")?.ok_or_else(missing)?,
        delivery: row.maybe_id("delivery")?,
        account: row.col("account")?,
        state: row.col::<Option<String>>("state")?.ok_or_else(missing)?,
        reason: row.maybe_word("reason")?,
    }))
}
