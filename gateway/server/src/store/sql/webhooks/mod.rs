//! Webhooks on SQLite: the list of verbs and where each is. `endpoints` keeps where they go and what signs them,
//! `messages` leases, settles, shows and replays. Messages about deliveries are written by `announce`.

mod endpoints;
mod messages;

use std::time::Duration;

use async_trait::async_trait;
use causeway_core::ids::{EndpointId, TenantId};
use jiff::Timestamp;

use super::SqlStore;
use crate::store::Result;
use crate::store::webhooks::{
    ClaimMessages, ClaimedMessage, Endpoint, MessagePage, MessageQuery, NewEndpoint, NewSecret, Tried, Webhooks, Which,
};

#[async_trait]
impl Webhooks for SqlStore {
    async fn add_endpoint(&self, endpoint: NewEndpoint) -> Result<Endpoint> {
        endpoints::add(self, endpoint).await
    }
    async fn endpoints(&self, tenant: Option<TenantId>) -> Result<Vec<Endpoint>> {
        endpoints::list(self, tenant).await
    }
    async fn remove_endpoint(&self, tenant: TenantId, id: EndpointId, actor: &str, now: Timestamp) -> Result<()> {
        endpoints::remove(self, tenant, id, actor, now).await
    }
    async fn rotate_secret(&self, tenant: TenantId, id: EndpointId, change: NewSecret) -> Result<Endpoint> {
        endpoints::rotate(self, tenant, id, change).await
    }
    async fn enable_endpoint(&self, tenant: TenantId, id: EndpointId, actor: &str, now: Timestamp) -> Result<Endpoint> {
        endpoints::enable(self, tenant, id, actor, now).await
    }
    async fn due_endpoints(&self, now: Timestamp) -> Result<Vec<EndpointId>> {
        messages::due(self, now).await
    }
    async fn claim_messages(&self, wish: ClaimMessages) -> Result<Vec<ClaimedMessage>> {
        messages::claim(self, wish).await
    }
    async fn settle_message(&self, claim: &ClaimedMessage, tried: Tried, now: Timestamp) -> Result<()> {
        messages::settle(self, claim, tried, now).await
    }
    async fn begin_test(
        &self,
        tenant: TenantId,
        endpoint: EndpointId,
        actor: &str,
        now: Timestamp,
        lease: Duration,
    ) -> Result<ClaimedMessage> {
        messages::begin_test(self, (tenant, endpoint), actor, now, lease).await
    }
    async fn messages(&self, tenant: TenantId, query: MessageQuery) -> Result<MessagePage> {
        messages::page(self, tenant, query).await
    }
    async fn replay_messages(&self, tenant: TenantId, which: Which, actor: &str, now: Timestamp) -> Result<u64> {
        messages::replay(self, tenant, which, actor, now).await
    }
}
