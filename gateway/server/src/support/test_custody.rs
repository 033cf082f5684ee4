//! Custody of nothing, for tests that ask for nothing of the kind. The store's own tests test custody.

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::email::NormalEmail;
use causeway_core::ids::{DeliveryId, SubmissionId, TenantId};
use jiff::Timestamp;

use crate::store::custody::{BackupReport, CopyState, Custody, Held, HeldWish, SuspendedKey, VendorCopy};
use crate::store::{Result, StoreError};

/// See the module's documentation.
pub(crate) struct NoCustody;

#[async_trait]
impl Custody for NoCustody {
    async fn held(&self, _: TenantId, _: &NormalEmail, _: HeldWish) -> Result<Held> {
        Ok(Held::default())
    }
    async fn held_file(&self, _: TenantId, _: &NormalEmail, _: SubmissionId, _: usize) -> Result<Bytes> {
        Err(StoreError::NotFound("attachment"))
    }
    async fn vendor_copies(&self, _: TenantId) -> Result<Vec<VendorCopy>> {
        Ok(Vec::new())
    }
    async fn settle_vendor_copy(
        &self,
        _: TenantId,
        _: DeliveryId,
        _: CopyState,
        _: &str,
        _: Timestamp,
    ) -> Result<Vec<VendorCopy>> {
        Err(StoreError::NotFound("copy at a vendor"))
    }
    async fn backup(&self, _: &Path, _: Timestamp) -> Result<BackupReport> {
        Err(StoreError::Unavailable("there is nothing to copy"))
    }
    async fn release_keys(&self, _: &str, _: Timestamp) -> Result<Vec<SuspendedKey>> {
        Ok(Vec::new())
    }
}
