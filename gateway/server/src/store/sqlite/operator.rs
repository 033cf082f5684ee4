//! Being written.

pub(super) async fn replay(
    _: &super::SqliteStore,
    _: causeway_core::ids::TenantId,
    _: causeway_core::ids::DeliveryId,
    _: &str,
    _: jiff::Timestamp,
) -> crate::store::Result<()> {
    Err(crate::store::StoreError::Failed("not built yet".to_owned()))
}
pub(super) async fn cancel(
    _: &super::SqliteStore,
    _: causeway_core::ids::TenantId,
    _: causeway_core::ids::DeliveryId,
    _: &str,
    _: jiff::Timestamp,
) -> crate::store::Result<()> {
    Err(crate::store::StoreError::Failed("not built yet".to_owned()))
}
pub(super) async fn audit(_: &super::SqliteStore, _: crate::store::trace::AuditEntry) -> crate::store::Result<()> {
    Err(crate::store::StoreError::Failed("not built yet".to_owned()))
}
