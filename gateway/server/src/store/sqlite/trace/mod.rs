//! What support and upkeep read and remove: lookups, cases, erasure, retention, the audit's check.

use causeway_core::email::NormalEmail;
use causeway_core::ids::TenantId;
use jiff::Timestamp;

use super::SqliteStore;
use crate::store::trace::{Case, Erasure, ErasurePlan, Lookup, LookupQuery, Retention, RetentionReport};
use crate::store::{Result, StoreError};

fn not_built<T>() -> Result<T> {
    Err(StoreError::Failed("not built yet".to_owned()))
}

pub(super) async fn lookup(_: &SqliteStore, _: &LookupQuery) -> Result<Lookup> {
    not_built()
}

pub(super) async fn cases(_: &SqliteStore, _: TenantId, _: usize) -> Result<Vec<Case>> {
    not_built()
}

pub(super) async fn erasure_plan(_: &SqliteStore, _: TenantId, _: &NormalEmail) -> Result<ErasurePlan> {
    not_built()
}

pub(super) async fn erase(_: &SqliteStore, _: TenantId, _: &NormalEmail, _: &str, _: Timestamp) -> Result<Erasure> {
    not_built()
}

pub(super) async fn verify_audit(_: &SqliteStore, _: TenantId) -> Result<Option<u64>> {
    not_built()
}

pub(super) async fn retain(_: &SqliteStore, _: &Retention, _: Timestamp, _: usize) -> Result<RetentionReport> {
    not_built()
}
