//! The vendors' side of the APIs that the connectors speak, on real sockets, with their own data.
//!
//! Responsible for: the list of sandboxes, starting one and announcing it. `harness/` holds what all share (sockets,
//! ledger, scripted faults, control API); each vendor's behaviour is `connectors/<vendor>/sandbox/`, compiled here by path.
//!
//! Deliberately not here: anything of the connectors or of `causeway-core`. A sandbox that shared code with the client it
//! tests would share its mistakes. It is written from the vendors' documents, enforces what they enforce and no more.
//!
//! Invariant: every request to a vendor route is in the ledger before the first byte of its answer leaves.

mod harness;

#[path = "../ashby/sandbox/mod.rs"]
mod ashby;
#[path = "../greenhouse/sandbox/mod.rs"]
mod greenhouse;
#[path = "../hubspot/sandbox/mod.rs"]
mod hubspot;

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;

use anyhow::{Context, bail};

pub use harness::Running;
use harness::{Sandbox, Vendor};

/// What a sandbox needs to be told at start.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Same seed, same postings, ids, credentials and probabilities.
    pub seed: u64,
}

/// Every sandbox, by the name of its vendor's folder.
pub fn names() -> &'static [&'static str] {
    &["greenhouse", "hubspot", "ashby"]
}

fn vendor(name: &str, seed: u64) -> anyhow::Result<Box<dyn Vendor>> {
    match name {
        "greenhouse" => Ok(Box::new(greenhouse::Greenhouse::new(seed))),
        "ashby" => Ok(Box::new(ashby::Ashby::new(seed))),
        "hubspot" => Ok(Box::new(hubspot::HubSpot::new(seed))),
        _ => bail!("no sandbox is called {name:?}; there are: {}", names().join(", ")),
    }
}

/// Starts a sandbox and returns once it listens. It stops when the returned value is stopped or dropped.
pub async fn start(name: &str, options: Options) -> anyhow::Result<Running> {
    let sandbox = Sandbox::new(vendor(name, options.seed)?, options.seed);
    harness::listen(name, options.listen, sandbox).await
}

/// Runs a sandbox until `shutdown` resolves. Prints one JSON line on stdout once it listens:
/// `{"sandbox", "listening", "credentials", "settings"}`, the latter two as an admin would enter them in an account.
pub async fn run(name: &str, options: Options, shutdown: impl Future) -> anyhow::Result<()> {
    let running = start(name, options).await?;
    {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{}", running.announcement()).context("the ready line could not be written")?;
        stdout.flush().context("the ready line could not be written")?;
    }
    shutdown.await;
    running.stop().await;
    Ok(())
}

#[cfg(test)]
mod tests;
