//! `causeway serve`: log lines, the gateway, and the signals that stop it.

use std::path::PathBuf;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::End;
use crate::config::Config;
use crate::gateway::Gateway;

pub(super) async fn run(config: Config, file: Option<PathBuf>) -> anyhow::Result<End> {
    crate::telemetry::init(&config.fixed.log)?;
    let gateway = Gateway::open(config, file).await?;
    gateway.run(stop_signal()).await?;
    Ok(End::Answered)
}

/// Resolves on SIGTERM or SIGINT; at once when signals cannot be heard, rather than never.
pub(super) async fn stop_signal() {
    let heard = async {
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be heard")?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        anyhow::Ok(())
    };
    if let Err(error) = heard.await {
        tracing::error!(%error, "stopping");
    }
}
