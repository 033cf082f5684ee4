//! The way to the answers: through the gateway that holds the data directory, else by opening the store here.

use anyhow::Context;

use super::progress::while_waiting;
use crate::admin::{Request, Response, socket};
use crate::config::Config;
use crate::gateway::Local;

/// Asks one thing.
pub(super) async fn ask(config: &Config, what: &str, request: Request) -> anyhow::Result<Response> {
    while_waiting(what, answer(config, request)).await
}

async fn answer(config: &Config, request: Request) -> anyhow::Result<Response> {
    let dir = &config.fixed.data.dir;
    let running = socket::connect(dir).await;
    if let Some(stream) = running.with_context(|| format!("the gateway at {} cannot be asked", dir.display()))? {
        return Ok(socket::ask(stream, &request).await?);
    }
    let local = Local::open(config).await?;
    let answer = crate::admin::execute(local.services(), request).await;
    local.close().await;
    Ok(answer?)
}
