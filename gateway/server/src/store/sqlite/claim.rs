//! Being written.

pub(super) async fn claim(
    _: &super::SqliteStore,
    _: crate::store::work::ClaimRequest,
) -> crate::store::Result<Vec<crate::store::work::Claim>> {
    Err(crate::store::StoreError::Failed("not built yet".to_owned()))
}
