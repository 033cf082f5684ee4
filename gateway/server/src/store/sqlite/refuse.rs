//! Being written.

pub(super) async fn record_refusal(
    _: &super::SqliteStore,
    _: crate::store::intake::NewRefusal,
) -> crate::store::Result<()> {
    Err(crate::store::StoreError::Failed("not built yet".to_owned()))
}
pub(super) async fn count_edge(
    _: &super::SqliteStore,
    _: Vec<crate::store::intake::EdgeCount>,
) -> crate::store::Result<()> {
    Err(crate::store::StoreError::Failed("not built yet".to_owned()))
}
