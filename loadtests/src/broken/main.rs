//! A gateway with one promise broken, composed from the library: what the checker has to catch. Never shipped.

mod apart;
mod store;

use std::sync::Arc;

use anyhow::Result;
use causeway::config::Config;
use causeway::gateway::Gateway;
use clap::Parser;
use store::{Broken, Promise};

#[derive(Parser)]
#[command(about = "A gateway with one promise broken, for the checker to catch")]
struct Arguments {
    promise: Promise,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Arguments { promise } = Arguments::parse();
    let config = Config::load(None)?;
    let entropy = Arc::new(causeway::clock::OsEntropy);
    // No traces: there is no way to ask this program for them.
    drop(causeway::telemetry::init(&config.fixed.log, &config.fixed.telemetry, entropy)?);
    let database = config.fixed.data.dir.join("causeway.db");
    let gateway = Gateway::open_over(config, |inner| Arc::new(Broken { inner, promise, database })).await?;
    gateway.run(causeway::cli::stop_signal()).await
}
