//! The vendors' ledger as the checker of manners needs it: every call, lean, on the run's clock.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::clock::RunClock;
use super::world::Tenant;
use crate::checker::Vendor;
use crate::rig::Sandbox;

/// One call of a vendor's API.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) tenant: usize,
    pub(crate) vendor: Vendor,
    pub(crate) at: Duration,
    pub(crate) operation: String,
    pub(crate) status: u64,
    pub(crate) committed: bool,
    pub(crate) answered: bool,
    /// The address it was about.
    pub(crate) about: Option<String>,
}

/// Every call so far, and the most there were at once at each.
pub(crate) async fn calls(tenants: &[Tenant], clock: &RunClock) -> Result<(Vec<Call>, Vec<u64>)> {
    let mut calls = Vec::new();
    let mut at_once = Vec::new();
    for (number, tenant) in tenants.iter().enumerate() {
        for vendor in [Vendor::Ats, Vendor::Crm] {
            let sandbox = tenant.vendors.one(vendor);
            read(sandbox, (number, vendor), clock, &mut calls).await?;
            let count = sandbox.control("GET", "/_sandbox/calls", None).await?;
            at_once.push(count["at_once"].as_u64().context("at_once")?);
        }
    }
    calls.sort_by_key(|call| call.at);
    Ok((calls, at_once))
}

async fn read(sandbox: &Sandbox, whose: (usize, Vendor), clock: &RunClock, calls: &mut Vec<Call>) -> Result<()> {
    let (mut after, mut last_call) = (0, 0);
    loop {
        let page = sandbox.control("GET", &format!("/_sandbox/ledger?after={after}"), None).await?;
        let page = page["entries"].as_array().context("entries")?;
        let Some(last) = page.last().and_then(|entry| entry["seq"].as_u64()) else { return Ok(()) };
        after = last;
        for entry in page {
            // An exchange that wrote several records is one call.
            let number = entry["call"].as_u64().context("call")?;
            if number != last_call {
                calls.push(call(entry, whose, clock)?);
            }
            last_call = number;
        }
    }
}

fn call(entry: &Value, (tenant, vendor): (usize, Vendor), clock: &RunClock) -> Result<Call> {
    let at: jiff::Timestamp = entry["at"].as_str().context("at")?.parse()?;
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit a double")]
    let ms = at.as_microsecond() as f64 / 1000.0;
    Ok(Call {
        tenant,
        vendor,
        at: clock.of_wall_ms(ms),
        operation: entry["operation"].as_str().unwrap_or_default().to_owned(),
        status: entry["status"].as_u64().unwrap_or(0),
        committed: entry["committed"] == true,
        answered: entry["answered"] == true,
        about: entry["about"].as_str().map(str::to_owned),
    })
}
