//! Fills a data directory with many applications.
use crate::accept::Stage;
use anyhow::Result;
pub(crate) fn email(number: u64) -> String {
    format!("fill-{number}@example.org")
}
pub(crate) async fn applications(_stage: &Stage, _rows: u64) -> Result<()> {
    anyhow::bail!("wip")
}
