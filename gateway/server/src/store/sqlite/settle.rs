//! Being written.

pub(super) async fn settle(
    _: &super::SqliteStore,
    _: crate::store::work::Settlement,
) -> crate::store::Result<crate::store::work::Settled> {
    Err(crate::store::StoreError::Failed("not built yet".to_owned()))
}
