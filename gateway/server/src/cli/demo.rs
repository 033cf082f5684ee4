//! `causeway demo`: hands its arguments over.

use super::End;
use super::args::DemoArgs;

pub(super) async fn run(args: DemoArgs) -> anyhow::Result<End> {
    crate::demo::run(args).await?;
    Ok(End::Answered)
}
