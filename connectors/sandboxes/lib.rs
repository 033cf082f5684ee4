//! The vendors' side of the APIs that the connectors speak, on real sockets, with their own data.
//!
//! Responsible for: starting one of the sandboxes that `connectors/vendors.rs` lists and announcing it. `harness/` holds what all share (sockets,
//! ledger, scripted faults, control API); each vendor's behaviour is `connectors/<vendor>/sandbox/`, compiled here by path.
//!
//! Deliberately not here: anything of the connectors or of `causeway-core`. A sandbox that shared code with the client it
//! tests would share its mistakes. It is written from the vendors' documents, enforces what they enforce and no more.
//!
//! Invariant: every request to a vendor route is in the ledger before the first byte of its answer leaves.

mod harness;

/// What the list in `connectors/vendors.rs` becomes in this crate.
macro_rules! vendors {
    ($($folder:ident::$vendor:ident),* $(,)?) => {
        pub(super) const NAMES: &[&str] = &[$(stringify!($folder)),*];

        pub(super) fn vendor(name: &str, seed: u64) -> Option<Box<dyn crate::harness::Vendor>> {
            $(if name == stringify!($folder) {
                return Some(Box::new($folder::$vendor::new(seed)));
            })*
            None
        }
    };
}

#[path = "../vendors.rs"]
mod vendors;

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;

use anyhow::{Context, bail};

pub use harness::Running;
use harness::Sandbox;

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
    vendors::NAMES
}

/// Starts a sandbox and returns once it listens. It stops when the returned value is stopped or dropped.
pub async fn start(name: &str, options: Options) -> anyhow::Result<Running> {
    let Some(vendor) = vendors::vendor(name, options.seed) else {
        bail!("no sandbox is called {name:?}; there are: {}", names().join(", "));
    };
    let sandbox = Sandbox::new(vendor, options.seed);
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
