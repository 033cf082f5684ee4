//! Being written.

pub(super) async fn begin_attempt(
    _: &super::SqliteStore,
    _: &crate::store::work::Claim,
    _: &str,
    _: jiff::Timestamp,
) -> crate::store::Result<crate::store::work::Begun> {
    Err(crate::store::StoreError::Failed("not built yet".to_owned()))
}
