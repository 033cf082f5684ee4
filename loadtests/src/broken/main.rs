//! A gateway with one promise broken, composed from the library: what the checker has to catch. Never shipped.

mod apart;
mod broker;
mod forgetful;
mod store;

use std::sync::Arc;

use anyhow::Result;
use causeway::config::Config;
use causeway::gateway::{Around, Gateway};
use causeway::store::Store;
use clap::Parser;
use forgetful::Forgetful;
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
    let around = match promise {
        Promise::QueueAlone | Promise::AutoAck | Promise::NoConfirms | Promise::NoMandatory => broker::around(promise),
        Promise::RedisOnly => {
            let redis = redis::Client::open(config.fixed.redis.url.reveal())?;
            over(move |inner| Arc::new(Forgetful { inner, redis }))
        }
        Promise::TwoCommits | Promise::SyncOff | Promise::NoLag | Promise::RingWithoutRow => {
            over(move |inner| Arc::new(Broken { inner, promise, database }))
        }
    };
    let gateway = Gateway::open_around(config, around).await?;
    gateway.run(causeway::cli::stop_signal()).await
}

fn over(wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store> + Send + 'static) -> Around {
    Around { store: Box::new(wrap), ..Around::default() }
}
