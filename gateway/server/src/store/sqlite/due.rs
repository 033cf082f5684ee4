//! Being written.

pub(super) async fn due(
    _: &super::SqliteStore,
    _: jiff::Timestamp,
) -> crate::store::Result<(Vec<crate::store::work::DueAccount>, Option<jiff::Timestamp>)> {
    Err(crate::store::StoreError::Failed("not built yet".to_owned()))
}
