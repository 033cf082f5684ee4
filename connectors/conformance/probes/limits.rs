//! The vendor's window, counted at the vendor: its ledger says when each call came, and no window of its length, wherever
//! it begins, may hold more calls than it allows. Nor may more be under way at once than the Descriptor says.
//!
//! Time is the machine's here: a window is what it is. How fast calls went out is nobody's claim; the long run is void
//! unless the window was nearly full.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use causeway_core::connector::Connector;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::Shown;
use crate::data::{Limit, Places};
use crate::watch::Watch;
use crate::world::{Wish, World};

/// What saturating a vendor came to.
#[derive(Debug, Default, Serialize)]
pub struct LimitReport {
    /// The connector.
    pub connector: String,
    /// What the vendor allows in a window.
    pub limit: u64,
    /// Its length.
    pub window_ms: u64,
    /// Calls that it counts.
    pub calls: u64,
    /// The most in any window of that length.
    pub most_in_a_window: u64,
    /// Windows with more than it allows.
    pub windows_over: u64,
    /// Calls it turned away.
    pub turned_away: u64,
    /// The share of what it allows that was used over the whole run.
    pub used: f64,
    /// The most under way at once, and what the Descriptor allows.
    pub at_once: u64,
    /// See above.
    pub concurrency: u32,
    /// What went wrong.
    pub violations: Vec<String>,
}

/// Saturated when this share of what the vendor allows was used.
const SATURATED: f64 = 0.7;

/// Keeps an account busy for so long.
///
/// # Errors
/// When the suite itself cannot go on.
pub async fn saturate(connector: Arc<dyn Connector>, long: Duration) -> Result<LimitReport> {
    let limit = crate::data::description(connector.describe().name)?.limit;
    let mut report = run(&connector, &limit, long).await?;
    if report.used < SATURATED {
        report.violations.push(format!("void: {:.0} % of the window was used", report.used * 100.0));
    }
    Ok(report)
}

/// In small, over every call: a few windows of a second.
pub(super) async fn probe(connector: Arc<dyn Connector>) -> Result<Shown> {
    let window_ms = 1_000;
    let account = [("limit_calls", json!(20)), ("limit_window_ms", json!(window_ms))];
    // So that calls are under way together.
    let slow = json!({ "operation": "*", "do": "delay", "delay_ms": 40 });
    let account = account.map(|(name, value)| (name.to_owned(), value)).into();
    let small = Limit { operations: vec!["*".to_owned()], calls: 20, window_ms, faults: vec![slow], account };
    let report = run(&connector, &small, Duration::from_millis(3_500)).await?;
    ensure!(report.violations.is_empty(), "{report:?}");
    ensure!(report.calls > small.calls, "one window shows no limit: {report:?}");
    Ok(usize::try_from(report.calls)?)
}

async fn run(connector: &Arc<dyn Connector>, limit: &Limit, long: Duration) -> Result<LimitReport> {
    let wish = Wish { settings: limit.account.clone(), ..Wish::default() };
    let world = World::set(connector, &wish).await?;
    world.settings(&json!({ "rate_limit": { "calls": limit.calls, "window_ms": limit.window_ms }, "clock": null }))?;
    world.faults(&limit.faults)?;
    let began = world.ledger_len()?;
    let at = Arc::clone(&world);
    let watch = Watch::new();
    world.live(watch, async move |life| life.busy(&at, long).await).await?;
    let calls = world.ledger(began)?;
    report(&world, limit, &calls, long)
}

impl crate::life::Life {
    /// Always more to deliver than the vendor's window lets go.
    async fn busy(&self, world: &World, long: Duration) -> Result<()> {
        self.dispatch()?;
        let began = Instant::now();
        while began.elapsed() < long {
            let waiting: u64 =
                self.store.census().await?.iter().filter(|(state, _)| state.is_live()).map(|(_, count)| count).sum();
            for _ in waiting..BACKLOG {
                world.accept(&*self.store, &Places::new()).await?;
            }
            world.tick();
            self.ring();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

/// Deliveries on their way at any time.
const BACKLOG: u64 = 60;

fn report(world: &World, limit: &Limit, ledger: &[Value], long: Duration) -> Result<LimitReport> {
    let (mut arrived, mut turned_away, mut last) = (Vec::new(), 0, 0);
    for entry in ledger {
        let (call, operation) = (entry["call"].as_u64().context("a call")?, entry["operation"].as_str().unwrap_or(""));
        if call == last || !limit.operations.iter().any(|counted| counted == operation || counted == "*") {
            continue;
        }
        last = call;
        let at: Timestamp = entry["at"].as_str().context("a time")?.parse()?;
        turned_away += u64::from(entry["status"] == 429);
        arrived.push(at.as_millisecond());
    }
    let window = i64::try_from(limit.window_ms)?;
    let (mut first, mut most, mut over) = (0, 0, 0);
    for (index, at) in arrived.iter().enumerate() {
        while arrived[first] <= at - window {
            first += 1;
        }
        let held = (index - first + 1) as u64;
        most = most.max(held);
        over += u64::from(held > limit.calls);
    }
    let calls = arrived.len() as u64;
    let at_once = world.sandbox.control("calls", None)?["at_once"].as_u64().context("at_once")?;
    let concurrency = world.connector.describe().limits.concurrency;
    // A window that began counts whole.
    let windows = u64::try_from(long.as_millis())?.div_ceil(limit.window_ms);
    let allowed = (limit.calls * windows) as f64;
    let mut violations = Vec::new();
    if over > 0 || turned_away > 0 {
        violations.push(format!("{over} windows over the limit, {turned_away} calls turned away"));
    }
    if at_once > u64::from(concurrency) {
        violations.push(format!("{at_once} calls at once instead of {concurrency}"));
    }
    Ok(LimitReport {
        connector: world.connector.describe().name.to_owned(),
        limit: limit.calls,
        window_ms: limit.window_ms,
        calls,
        most_in_a_window: most,
        windows_over: over,
        turned_away,
        used: calls as f64 / allowed,
        at_once,
        concurrency,
        violations,
    })
}
