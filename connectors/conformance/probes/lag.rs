//! The vendor shows a new record late: an answer lost after the commit is looked for when it can be seen, and not sent
//! again before. With the account told of the lag, and with the lag that the Descriptor takes for granted.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use causeway_core::connector::Connector;
use serde_json::json;

use super::Shown;
use super::lost::{Undisturbed, lose};
use crate::world::{Wish, World};

const LAGS_S: [u64; 6] = [0, 1, 10, 60, 300, 600];

pub(super) async fn probe(connector: Arc<dyn Connector>) -> Result<Shown> {
    let mut shown = 0;
    for lag in LAGS_S.map(Duration::from_secs) {
        shown += at(&connector, lag, true).await.with_context(|| format!("a lag of {lag:?}"))?;
    }
    let own = connector.describe().visibility_lag;
    shown += at(&connector, own, false).await.context("the Descriptor's own lag")?;
    Ok(shown)
}

async fn at(connector: &Arc<dyn Connector>, lag: Duration, told: bool) -> Result<Shown> {
    let mut wish = Wish::default();
    let lag_ms = u64::try_from(lag.as_millis())?;
    if told {
        wish.settings.insert("visibility_lag_ms".to_owned(), json!(lag_ms));
    }
    let world = World::set(connector, &wish).await?;
    world.settings(&json!({ "visibility_lag_ms": lag_ms }))?;
    let undisturbed = Undisturbed::of(&world).await?;
    for operation in &undisturbed.operations {
        let rule = json!({ "operation": operation, "times": 1, "do": "drop_after_commit" });
        lose(&world, &undisturbed, &rule).await.with_context(|| operation.clone())?;
    }
    Ok(undisturbed.operations.len())
}
