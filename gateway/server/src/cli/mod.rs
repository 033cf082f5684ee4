//! The command line. It asks; `admin`, `support` and `setup` answer, in the running gateway or in this process.
//!
//! It decides nothing about applications. Answers go to standard output as tables, or as one JSON value with `--json`;
//! everything else goes to standard error. Exit codes: 0 answered, 3 nothing found, 1 error (2: not a command line).

pub mod args;
mod ask;
pub mod custody;
pub mod demo;
mod doctor;
mod harden;
mod input;
pub mod onboard;
mod out;
mod progress;
mod serve;
mod table;
mod table_custody;
mod table_onboard;
mod table_webhooks;
mod verbs;
pub mod webhooks;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;

use crate::config::{Config, ProcessRole};
use crate::gateway::ReadConfig;
use crate::ingress;
use args::{Cli, Command};

pub use serve::stop_signal;

/// Nothing was found.
const NOTHING_FOUND: u8 = 3;

/// Threads that may wait for a disk or a database at once. Each has a heap of its own, of some megabytes once it has served
/// everybody; who comes after so many waits for one.
const BLOCKING: usize = 32;

/// How a command ended, if it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It was done or answered.
    Answered,
    /// There is nothing of the kind.
    NothingFound,
    /// It was answered, and the answer is no: a failed check.
    No,
}

/// What everything of this process runs on.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().max_blocking_threads(BLOCKING).build().context("no threads to work with")
}

/// Runs the command that this process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.json;
    let ended = harden::no_core_dumps().and(runtime()).and_then(|runtime| {
        let ended = runtime.block_on(run(cli));
        // Threads still reading standard input or a slow disk do not keep the process.
        runtime.shutdown_timeout(std::time::Duration::from_secs(1));
        ended
    });
    match ended {
        Ok(End::Answered) => ExitCode::SUCCESS,
        Ok(End::NothingFound) => ExitCode::from(NOTHING_FOUND),
        Ok(End::No) => ExitCode::FAILURE,
        Err(error) => {
            out::fault(json, &error);
            ExitCode::FAILURE
        }
    }
}

/// What the command line says instead of the configuration.
struct Named {
    data: Option<PathBuf>,
    /// None: as configured.
    roles: Vec<ProcessRole>,
}

impl Named {
    fn put_over(&self, settings: &mut Config) {
        if let Some(data) = &self.data {
            settings.fixed.data.dir.clone_from(data);
        }
        if !self.roles.is_empty() {
            settings.fixed.run.roles.clone_from(&self.roles);
        }
    }
}

/// Reads the configuration again as this process did. What the command line named stays.
fn reader(file: Option<PathBuf>, named: Named) -> ReadConfig {
    Arc::new(move || {
        let mut config = Config::load(file.as_deref())?;
        named.put_over(&mut config);
        Ok(config)
    })
}

async fn run(cli: Cli) -> anyhow::Result<End> {
    let Cli { config, data, json, command } = cli;
    // Four commands do without a configuration that can be used.
    match command {
        Command::Sandbox(args) => {
            let options = causeway_sandboxes::Options { listen: args.listen, seed: args.seed };
            causeway_sandboxes::run(&args.name, options, stop_signal()).await?;
            Ok(End::Answered)
        }
        Command::Demo(args) => demo::run(args, json, data).await,
        Command::Openapi(args) => {
            let support = crate::support::http::routes().unserved();
            let webhooks = crate::webhooks::http::routes().unserved();
            let document = if args.management {
                ingress::management_document(support, webhooks)
            } else {
                ingress::public_document()
            };
            out::json(&document)?;
            Ok(End::Answered)
        }
        Command::Doctor => doctor::run(config.as_deref(), data, json).await,
        Command::Serve(_)
        | Command::Why(_)
        | Command::Replay(_)
        | Command::Cancel(_)
        | Command::Cases(_)
        | Command::Tenants(_)
        | Command::Accounts(_)
        | Command::Keys(_)
        | Command::Jobs(_)
        | Command::Erase(_)
        | Command::Export(_)
        | Command::Backup(_)
        | Command::Restore(_)
        | Command::Webhooks(_)
        | Command::Migrate
        | Command::Reload => {
            let mut settings = Config::load(config.as_deref())?;
            let roles = match &command {
                Command::Serve(args) => args.role.clone(),
                _another => Vec::new(),
            };
            let named = Named { data, roles };
            named.put_over(&mut settings);
            let read = reader(config, named);
            verbs::run(command, settings, read, json).await
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn so_many_wait_for_a_disk_at_once_and_the_next_only_when_one_is_done() -> anyhow::Result<()> {
        let runtime = runtime()?;
        let (begins, begun) = mpsc::channel();
        let (mut ends, mut tasks) = (Vec::new(), Vec::new());
        for _ in 0..2 * BLOCKING {
            let (end, wait) = mpsc::channel::<()>();
            let begins = begins.clone();
            ends.push(end);
            tasks.push(runtime.spawn_blocking(move || {
                begins.send(()).ok();
                wait.recv().ok();
            }));
        }
        for _ in 0..BLOCKING {
            begun.recv()?;
        }
        // Long enough for one more to begin, if it may.
        let one_more = begun.recv_timeout(Duration::from_millis(200));
        anyhow::ensure!(one_more == Err(mpsc::RecvTimeoutError::Timeout), "{one_more:?}");
        drop(ends);
        for task in tasks {
            runtime.block_on(task)?;
        }
        anyhow::ensure!(begun.try_iter().count() == BLOCKING, "all had their turn");
        Ok(())
    }
}
