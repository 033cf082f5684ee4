//! `causeway serve`: log lines, the gateway, where it listens, and the signals that stop it.

use tokio::signal::unix::{SignalKind, signal};

use super::{End, out};
use crate::config::Config;
use crate::gateway::Gateway;

pub(super) async fn run(config: Config, json: bool) -> anyhow::Result<End> {
    crate::telemetry::init(&config.fixed.log)?;
    let stop = stop_signal();
    let data = config.fixed.data.dir.display().to_string();
    let gateway = Gateway::open(config).await?;
    let (public, management) = gateway.addresses()?;
    if json {
        let listening =
            serde_json::json!({ "listening": { "public": public, "management": management }, "data": data });
        out::text(&listening.to_string())?;
    } else {
        out::text(&format!(
            "Listening on http://{public} (public) and http://{management} (management); data in {data}."
        ))?;
    }
    gateway.run(stop).await?;
    Ok(End::Answered)
}

/// Resolves on SIGTERM or SIGINT. They are heard from this call on, so one that comes while starting is not missed; if
/// they cannot be heard it resolves at once, rather than never.
pub fn stop_signal() -> impl Future<Output = ()> {
    let heard = signal(SignalKind::terminate()).and_then(|terminate| Ok((terminate, signal(SignalKind::interrupt())?)));
    async move {
        match heard {
            Ok((mut terminate, mut interrupt)) => {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
            Err(error) => tracing::error!(%error, "signals cannot be heard; stopping"),
        }
    }
}
