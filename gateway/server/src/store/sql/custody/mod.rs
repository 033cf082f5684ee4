//! Custody: opens what is held, lists what is elsewhere, has the whole copied.
//!
//! `held` reads, `copies` keeps the list of vendors' copies, `keys` keeps what came back shut until a person confirmed, `erasures` writes the log that a restore replays.

mod copies;
pub(in crate::store) mod erasures;
mod held;
pub(in crate::store) mod keys;

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::email::NormalEmail;
use causeway_core::ids::{DeliveryId, SubmissionId, TenantId};
use jiff::Timestamp;

use super::{Engine, SqlStore};
use crate::store::custody::{BackupReport, CopyState, Custody, Held, HeldWish, SuspendedKey, VendorCopy};
use crate::store::{Result, StoreError, sqlite};
pub(in crate::store) use erasures::{log_erasure, put as put_erasures, text as erasures_of};

#[async_trait]
impl Custody for SqlStore {
    async fn held(&self, tenant: TenantId, email: &NormalEmail, wish: HeldWish) -> Result<Held> {
        held::held(self, tenant, email, wish).await
    }
    async fn held_file(
        &self,
        tenant: TenantId,
        email: &NormalEmail,
        submission: SubmissionId,
        position: usize,
    ) -> Result<Bytes> {
        held::file(self, tenant, email, submission, position).await
    }
    async fn vendor_copies(&self, tenant: TenantId) -> Result<Vec<VendorCopy>> {
        copies::list(self, tenant).await
    }
    async fn settle_vendor_copy(
        &self,
        tenant: TenantId,
        delivery: DeliveryId,
        state: CopyState,
        actor: &str,
        now: Timestamp,
    ) -> Result<Vec<VendorCopy>> {
        copies::settle(self, tenant, delivery, state, actor, now).await
    }
    async fn backup(&self, into: &Path, now: Timestamp) -> Result<BackupReport> {
        match &self.engine {
            Engine::Sqlite(engine) => sqlite::custody::backup(self, engine, into, now).await,
            Engine::Postgres(_) => Err(StoreError::Failed(
                "a store on PostgreSQL is backed up with PostgreSQL's own tools: a base backup and its write-ahead log"
                    .to_owned(),
            )),
        }
    }
    async fn release_keys(&self, actor: &str, now: Timestamp) -> Result<Vec<SuspendedKey>> {
        keys::release(self, actor, now).await
    }
}
