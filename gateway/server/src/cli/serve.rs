//! `causeway serve`: log lines, the gateway, where it listens, and the signals that stop it.

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::{End, out};
use crate::config::Config;
use crate::gateway::Gateway;

pub(super) async fn run(config: Config, json: bool) -> anyhow::Result<End> {
    crate::telemetry::init(&config.fixed.log)?;
    let data = config.fixed.data.dir.display().to_string();
    let gateway = Gateway::open(config).await?;
    let (public, management) = gateway.addresses()?;
    if json {
        let listening = serde_json::json!({ "listening": { "public": public, "management": management }, "data": data });
        out::text(&listening.to_string())?;
    } else {
        out::text(&format!("Listening on http://{public} (public) and http://{management} (management); data in {data}."))?;
    }
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
