//! Webhooks and receipts of nobody, for tests that ask for none. The store's own tests test both.

use std::time::Duration;

use async_trait::async_trait;
use causeway_core::ids::{EndpointId, SubmissionId, TenantId};
use jiff::Timestamp;

use crate::store::receipts::{ReceiptKey, Receipts, SignedReceipt};
use crate::store::webhooks::{
    ClaimMessages, ClaimedMessage, Endpoint, MessagePage, MessageQuery, NewEndpoint, NewSecret, Tried, Webhooks, Which,
};
use crate::store::{Result, StoreError};

/// See the module's documentation.
pub(crate) struct NoSites;

const NONE: StoreError = StoreError::NotFound("webhook endpoint");

#[async_trait]
impl Webhooks for NoSites {
    async fn add_endpoint(&self, _: NewEndpoint) -> Result<Endpoint> {
        Err(NONE)
    }
    async fn endpoints(&self, _: Option<TenantId>) -> Result<Vec<Endpoint>> {
        Ok(Vec::new())
    }
    async fn remove_endpoint(&self, _: TenantId, _: EndpointId, _: &str, _: Timestamp) -> Result<()> {
        Err(NONE)
    }
    async fn rotate_secret(&self, _: TenantId, _: EndpointId, _: NewSecret) -> Result<Endpoint> {
        Err(NONE)
    }
    async fn enable_endpoint(&self, _: TenantId, _: EndpointId, _: &str, _: Timestamp) -> Result<Endpoint> {
        Err(NONE)
    }
    async fn due_endpoints(&self, _: Timestamp) -> Result<Vec<EndpointId>> {
        Ok(Vec::new())
    }
    async fn claim_messages(&self, _: ClaimMessages) -> Result<Vec<ClaimedMessage>> {
        Ok(Vec::new())
    }
    async fn settle_message(&self, _: &ClaimedMessage, _: Tried, _: Timestamp) -> Result<()> {
        Err(NONE)
    }
    async fn begin_test(
        &self,
        _: TenantId,
        _: EndpointId,
        _: &str,
        _: Timestamp,
        _: Duration,
    ) -> Result<ClaimedMessage> {
        Err(NONE)
    }
    async fn messages(&self, _: TenantId, _: MessageQuery) -> Result<MessagePage> {
        Ok(MessagePage::default())
    }
    async fn replay_messages(&self, _: TenantId, _: Which, _: &str, _: Timestamp) -> Result<u64> {
        Err(NONE)
    }
}

#[async_trait]
impl Receipts for NoSites {
    async fn signed_receipt(&self, _: TenantId, _: SubmissionId, _: bool) -> Result<SignedReceipt> {
        Err(StoreError::NotFound("receipt"))
    }
    async fn receipt_keys(&self) -> Result<Vec<ReceiptKey>> {
        Ok(Vec::new())
    }
    async fn rotate_receipt_key(&self, _: &str, _: Timestamp) -> Result<ReceiptKey> {
        Err(StoreError::NotFound("receipt"))
    }
}
