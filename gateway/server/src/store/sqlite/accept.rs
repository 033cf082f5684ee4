//! Being written.

pub(super) async fn accept(
    _: &super::SqliteStore,
    _: crate::store::intake::NewApplication,
) -> crate::store::Result<crate::store::intake::Accepted> {
    Err(crate::store::StoreError::Failed("not built yet".to_owned()))
}
