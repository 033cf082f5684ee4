//! `causeway demo`: hands its arguments over.

use std::path::PathBuf;

use super::End;
use super::args::DemoArgs;

pub(super) async fn run(args: DemoArgs, json: bool, data: Option<PathBuf>) -> anyhow::Result<End> {
    let DemoArgs { once, seed } = args;
    let clean = crate::demo::run(crate::demo::Options { once, json, data, seed }).await?;
    Ok(if clean { End::Answered } else { End::No })
}
