//! Being written.

pub(super) async fn pause_account(
    _: &super::SqliteStore,
    _: causeway_core::ids::AccountId,
    _: causeway_core::reason::Reason,
    _: &str,
    _: jiff::Timestamp,
) -> crate::store::Result<u64> {
    Err(crate::store::StoreError::Failed("not built yet".to_owned()))
}
pub(super) async fn resume_account(
    _: &super::SqliteStore,
    _: causeway_core::ids::AccountId,
    _: &str,
    _: jiff::Timestamp,
) -> crate::store::Result<u64> {
    Err(crate::store::StoreError::Failed("not built yet".to_owned()))
}
