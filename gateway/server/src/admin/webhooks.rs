//! What an integration admin asks about webhooks to the career site: where they go, what signs them, what became of them.

use std::sync::Arc;
use std::time::Duration;

use causeway_core::ids::{EndpointId, MessageId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::execute::{ACTOR, done};
use super::{Fault, FaultKind, Response, Services, TenantName};
use crate::clock::later;
use crate::egress::SiteClient;
use crate::setup::Hidden;
use crate::store::receipts::Receipts;
use crate::store::webhooks::{EventType, MessageQuery, MessageStatus, NewEndpoint, NewSecret, Webhooks, Which};
use crate::webhooks::{Sender, new_secret};

/// What it takes.
#[derive(Clone)]
pub struct Sites {
    /// Endpoints and messages.
    pub store: Arc<dyn Webhooks>,
    /// Sends.
    pub sender: Arc<Sender>,
    /// Judges URLs.
    pub client: Arc<SiteClient>,
    /// Signs receipts.
    pub receipts: Arc<dyn Receipts>,
}

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is a command of the same name")]
pub enum WebhookRequest {
    Add {
        tenant: TenantName,
        wish: EndpointWish,
    },
    List {
        tenant: TenantName,
    },
    Remove {
        tenant: TenantName,
        endpoint: EndpointId,
    },
    RotateSecret {
        tenant: TenantName,
        endpoint: EndpointId,
        both_for: Duration,
    },
    Enable {
        tenant: TenantName,
        endpoint: EndpointId,
    },
    Test {
        tenant: TenantName,
        endpoint: EndpointId,
    },
    Deliveries {
        tenant: TenantName,
        endpoint: Option<EndpointId>,
        status: Option<MessageStatus>,
        before: Option<MessageId>,
        limit: usize,
    },
    ReplayOne {
        tenant: TenantName,
        message: MessageId,
    },
    ReplayRange {
        tenant: TenantName,
        range: Range,
    },
}

/// The endpoint a person wants.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndpointWish {
    /// Where to.
    pub url: String,
    /// What it is told; everything if empty.
    pub events: Vec<String>,
    /// It is told of what came with test keys, and of nothing else.
    pub test: bool,
    /// May its host resolve to loopback or private addresses?
    pub allow_private: bool,
}

/// An endpoint's messages of a time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Range {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// From.
    pub since: Timestamp,
    /// To; now, if not given.
    pub until: Option<Timestamp>,
}

/// Past messages shown at most.
const SHOWN_MOST: usize = 1_000;

pub(super) async fn execute(services: &Services, request: WebhookRequest) -> Result<Response, Fault> {
    let (sites, now, actor) = (&services.sites, services.clock.now(), ACTOR.to_string());
    match request {
        WebhookRequest::Add { tenant, wish } => add(services, tenant, wish).await,
        WebhookRequest::List { tenant } => {
            let tenant = match tenant {
                Some(name) => Some(services.tenant(Some(name)).await?.id),
                None => None,
            };
            Ok(Response::Endpoints(sites.store.endpoints(tenant).await?))
        }
        WebhookRequest::Remove { tenant, endpoint } => {
            let tenant = services.tenant(tenant).await?.id;
            sites.store.remove_endpoint(tenant, endpoint, &actor, now).await?;
            Ok(done(endpoint, "removed"))
        }
        WebhookRequest::RotateSecret { tenant, endpoint, both_for } => {
            let tenant = services.tenant(tenant).await?.id;
            let secret = new_secret(&*services.entropy);
            let change = NewSecret { secret: secret.clone(), both_until: later(now, both_for), actor, now };
            let endpoint = sites.store.rotate_secret(tenant, endpoint, change).await?;
            Ok(Response::EndpointMade { endpoint, secret: Hidden(secret) })
        }
        WebhookRequest::Enable { tenant, endpoint } => {
            let tenant = services.tenant(tenant).await?.id;
            sites.store.enable_endpoint(tenant, endpoint, &actor, now).await?;
            Ok(done(endpoint, "enabled"))
        }
        WebhookRequest::Test { tenant, endpoint } => {
            let tenant = services.tenant(tenant).await?.id;
            let (taken, said) = sites.sender.test(tenant, endpoint, &actor).await?;
            Ok(Response::EndpointTested { endpoint, taken, said })
        }
        WebhookRequest::Deliveries { tenant, endpoint, status, before, limit } => {
            let tenant = services.tenant(tenant).await?.id;
            let limit = limit.clamp(1, SHOWN_MOST);
            let query = MessageQuery { test: None, endpoint, status, before, limit };
            Ok(Response::WebhookMessages(sites.store.messages(tenant, query).await?))
        }
        WebhookRequest::ReplayOne { tenant, message } => replay(services, tenant, Which::One(message)).await,
        WebhookRequest::ReplayRange { tenant, range: Range { endpoint, since, until } } => {
            let until = until.unwrap_or(now);
            replay(services, tenant, Which::Range { endpoint, since, until }).await
        }
    }
}

/// Nothing is stored that nothing may be sent to.
async fn add(services: &Services, tenant: TenantName, wish: EndpointWish) -> Result<Response, Fault> {
    let tenant = services.tenant(tenant).await?.id;
    let events = wish.events.iter().map(|text| event(text)).collect::<Result<Vec<_>, _>>()?;
    let url = services.sites.client.look(&wish.url, wish.allow_private).await;
    let url = url.map_err(|refused| Fault::new(FaultKind::Usage, format!("the URL is not taken: {refused}")))?;
    let (now, secret) = (services.clock.now(), new_secret(&*services.entropy));
    let endpoint = NewEndpoint {
        id: EndpointId::new(now, &*services.entropy),
        tenant,
        url,
        events,
        test: wish.test,
        allow_private: wish.allow_private,
        secret: secret.clone(),
        actor: ACTOR.to_string(),
        now,
    };
    let endpoint = services.sites.store.add_endpoint(endpoint).await?;
    Ok(Response::EndpointMade { endpoint, secret: Hidden(secret) })
}

/// One that can be chosen. A test is always sent when somebody asks for it.
fn event(text: &str) -> Result<EventType, Fault> {
    let known = || EventType::ALL.iter().filter(|event| **event != EventType::Test);
    known().copied().find(|event| event.as_str() == text).ok_or_else(|| {
        let names: Vec<&str> = known().map(|event| event.as_str()).collect();
        Fault::new(FaultKind::Usage, format!("{text:?} is no event; there are: {}", names.join(", ")))
    })
}

async fn replay(services: &Services, tenant: TenantName, which: Which) -> Result<Response, Fault> {
    let tenant = services.tenant(tenant).await?.id;
    let store = &services.sites.store;
    let messages = store.replay_messages(tenant, which, &ACTOR.to_string(), services.clock.now()).await?;
    Ok(Response::WebhooksReplayed { messages })
}
