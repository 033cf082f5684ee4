//! Being written.

pub(super) async fn application(
    _: &super::SqliteStore,
    _: causeway_core::ids::TenantId,
    _: causeway_core::ids::SubmissionId,
) -> crate::store::Result<crate::store::intake::ApplicationView> {
    Err(crate::store::StoreError::Failed("not built yet".to_owned()))
}
