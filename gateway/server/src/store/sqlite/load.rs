//! Being written.

pub(super) async fn load(
    _: &super::SqliteStore,
    _: &crate::store::work::Claim,
    _: bool,
) -> crate::store::Result<(crate::store::work::WorkItem, Vec<causeway_core::connector::File>)> {
    Err(crate::store::StoreError::Failed("not built yet".to_owned()))
}
