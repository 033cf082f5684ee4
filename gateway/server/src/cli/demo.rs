//! `causeway demo`: hands its arguments over.

use std::path::PathBuf;

use super::End;
use super::args::DemoArgs;
use crate::demo::{self, Options};

pub(super) async fn run(args: DemoArgs, json: bool, data: Option<PathBuf>) -> anyhow::Result<End> {
    let options = Options { once: args.once, json, data, seed: args.seed };
    Ok(End::As(demo::run(options).await?))
}
