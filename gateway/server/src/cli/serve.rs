//! `causeway serve`: log lines, the gateway, where it listens, and the signals that stop it or reload its settings.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{End, out};
use crate::admin::Reload;
use crate::clock::OsEntropy;
use crate::config::Config;
use crate::gateway::{Gateway, ReadConfig};
use crate::store::StoreError;

/// Until the next look at a database that is away.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

pub(super) async fn run(config: Config, read: ReadConfig, json: bool) -> anyhow::Result<End> {
    let traces = crate::telemetry::init(&config.fixed.log, &config.fixed.telemetry, Arc::new(OsEntropy))?;
    let stop = stop_signal();
    // Heard from here on: one that comes while starting must not end the process.
    let hang_up = signal(SignalKind::hangup())?;
    let data = config.fixed.data.dir.display().to_string();
    let mut stop = std::pin::pin!(stop);
    let opened = tokio::select! {
        opened = open(config) => opened?,
        () = &mut stop => return Ok(End::Answered),
    };
    let gateway = opened.reading_again(read);
    let settings = gateway.settings();
    let (public, management) = gateway.addresses()?;
    if json {
        let listening =
            serde_json::json!({ "listening": { "public": public, "management": management }, "data": data });
        out::text(&listening.to_string())?;
    } else {
        let public = public.map_or_else(String::new, |public| format!("http://{public} (public) and "));
        out::text(&format!("Listening on {public}http://{management} (management); data in {data}."))?;
    }
    let (tasks, last) = (TaskTracker::new(), CancellationToken::new());
    if let Some(traces) = traces {
        tasks.spawn(traces.run(last.clone()));
    }
    let ended = tokio::select! {
        ended = gateway.run(stop) => ended,
        () = reload_on(hang_up, settings) => Ok(()),
    };
    // What the last requests left behind goes out before the process ends; it waits a few seconds at most.
    last.cancel();
    tasks.close();
    tasks.wait().await;
    ended.map(|()| End::Answered)
}

/// Opens it. A database that is away is waited for: whoever starts a machine need not know what comes up first. What somebody
/// has to set right first ends the process at once.
async fn open(config: Config) -> anyhow::Result<Gateway> {
    let mut said = String::new();
    loop {
        let error = match Box::pin(Gateway::open(config.clone())).await {
            Err(error) if !config.fixed.store.dsn.is_empty() && passes_by_itself(&error) => format!("{error:#}"),
            opened => return opened,
        };
        if said != error {
            tracing::warn!(error, "not started yet: the database is waited for");
            said = error;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn passes_by_itself(error: &anyhow::Error) -> bool {
    let is_away =
        |cause: &(dyn std::error::Error + 'static)| matches!(cause.downcast_ref(), Some(StoreError::Unavailable(_)));
    error.chain().any(is_away)
}

/// Reloads at each SIGHUP, for ever. What came of it is logged where it is done.
async fn reload_on(mut hang_up: Signal, settings: Arc<dyn Reload>) {
    loop {
        match hang_up.recv().await {
            Some(()) => drop(settings.reload()),
            None => std::future::pending().await,
        }
    }
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
