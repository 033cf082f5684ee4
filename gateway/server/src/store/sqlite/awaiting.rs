//! Being written.

pub(super) async fn awaiting(
    _: &super::SqliteStore,
    _: usize,
) -> crate::store::Result<Vec<crate::store::intake::ReadyDelivery>> {
    Err(crate::store::StoreError::Failed("not built yet".to_owned()))
}
pub(super) async fn decide_held(
    _: &super::SqliteStore,
    _: causeway_core::ids::DeliveryId,
    _: crate::store::intake::Decision,
    _: jiff::Timestamp,
) -> crate::store::Result<()> {
    Err(crate::store::StoreError::Failed("not built yet".to_owned()))
}
