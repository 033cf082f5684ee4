//! How much arrives at two fast vendors, end to end, with everything on: by one gateway, by two, out of a backlog, and by
//! what one would write instead. Counted at the vendors, with the vendors' times.

pub(crate) mod backlog;
pub(crate) mod compare;
pub(crate) mod deliver;
pub(crate) mod gateways;
pub(crate) mod old_snapshot;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::accept::{Stage, futures_join};
use crate::documents::Template;
use crate::engines::Engines;
use crate::latency::wall_ms;
use crate::rig::Sandbox;
use crate::wire::Wire;

const CONNECTIONS: u64 = 64;
/// Deliveries under way at once over engines: as many as these vendors take. Whoever waits for a commit shares it.
const UNDER_WAY: u32 = 256;
/// Calls at once that each of them takes.
const AT_ONCE: &str = "128";
const LOOK: Duration = Duration::from_millis(500);

/// A stage kept by engines of its own, or in a folder.
pub(crate) struct Kept {
    pub(crate) stage: Stage,
    /// They end with the stage.
    engines: Option<Engines>,
}

impl Kept {
    pub(crate) async fn set(seed: u64, scaled: bool, gateways: usize) -> Result<Self> {
        let engines = if scaled { Some(Engines::start().await?) } else { None };
        let settings = engines.as_ref().map_or_else(Vec::new, |engines| {
            let many = ("CAUSEWAY_DISPATCH_CONCURRENCY".to_owned(), UNDER_WAY.to_string());
            [engines.settings(engines.ports(), gateways), vec![many]].concat()
        });
        let stage =
            Stage::set_over(seed, &[("visibility_lag_ms", "1500"), ("limit_concurrency", AT_ONCE)], settings).await?;
        Ok(Self { stage, engines })
    }
}

/// Sends `count` applications as fast as they are accepted, over all of these doors. Milliseconds since 1970 at the first.
pub(crate) async fn flood(stage: &Stage, doors: &[SocketAddr], run: &str, count: u64) -> Result<f64> {
    let began_ms = wall_ms()?;
    let next = AtomicU64::new(0);
    let template = Template::new(17, &stage.job, &stage.answers, 0);
    let clients = (0..CONNECTIONS).map(|client| {
        let (next, template) = (&next, &template);
        async move {
            let door = doors[usize::try_from(client)? % doors.len()];
            let mut wire = Wire::connect(door, Duration::from_secs(60)).await?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(());
                }
                let one = template.applicant(run, number);
                let answer = wire.exchange(&stage.plain_request(&one, &format!("{run}-{number}"))).await?;
                ensure!(answer.status == 202, "{}: {}", answer.status, String::from_utf8_lossy(answer.body));
            }
        }
    });
    futures_join(clients).await?;
    Ok(began_ms)
}

/// What arrived, by the vendors' books, read as far as they go and no page twice.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    pub(crate) deliveries: u64,
    pub(crate) calls: u64,
    /// Milliseconds since 1970 of the last record.
    pub(crate) last_ms: f64,
    /// How far each vendor's book was read: the last entry, and the last call.
    read: [(u64, u64); 2],
}

impl Arrived {
    /// Reads on until so many deliveries have arrived, at most for so long. An application has arrived at the ATS with its
    /// record, and at the CRM with the record of `last` kind; `watch` is called all the while.
    pub(crate) async fn wait_for(
        &mut self,
        deliveries: u64,
        (stage, last): (&Stage, &str),
        patience: Duration,
        mut watch: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let deadline = Instant::now() + patience;
        let (mut calls, mut most) = (count(stage).await?, 0);
        loop {
            tokio::time::sleep(LOOK).await;
            watch()?;
            let now = count(stage).await?;
            let since = now - calls;
            (calls, most) = (now, most.max(since));
            // Reading the books takes the cores from what is measured: not before most of it must be over.
            if since * 4 > most {
                continue;
            }
            self.add(0, &stage.ats, "submit").await?;
            self.add(1, &stage.crm, last).await?;
            if self.deliveries >= deliveries || Instant::now() > deadline {
                return Ok(());
            }
        }
    }

    async fn add(&mut self, at: usize, sandbox: &Sandbox, last: &str) -> Result<()> {
        let (mut after, mut call) = self.read[at];
        loop {
            let page = sandbox.control("GET", &format!("/_sandbox/ledger?after={after}"), None).await?;
            let entries = page["entries"].as_array().context("entries")?;
            let Some(seq) = entries.last().and_then(|entry| entry["seq"].as_u64()) else { break };
            after = seq;
            for entry in entries {
                // An exchange that wrote several records is one call and one delivery.
                let number = entry["call"].as_u64().context("call")?;
                if number == call {
                    continue;
                }
                call = number;
                self.calls += 1;
                if entry["operation"] == last && entry["committed"] == true {
                    let at: jiff::Timestamp = entry["at"].as_str().context("at")?.parse()?;
                    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit a double")]
                    let ms = at.as_microsecond() as f64 / 1000.0;
                    self.deliveries += 1;
                    self.last_ms = self.last_ms.max(ms);
                }
            }
        }
        self.read[at] = (after, call);
        Ok(())
    }

    /// Deliveries a second since then.
    pub(crate) fn per_s(&self, since_ms: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a count of deliveries")]
        let deliveries = self.deliveries as f64;
        deliveries * 1000.0 / (self.last_ms - since_ms)
    }

    /// From here on only what comes is counted.
    pub(crate) fn forget(&mut self) {
        (self.deliveries, self.calls) = (0, 0);
    }
}

/// Calls of both vendors so far.
async fn count(stage: &Stage) -> Result<u64> {
    let mut calls = 0;
    for sandbox in [&stage.ats, &stage.crm] {
        let count = sandbox.control("GET", "/_sandbox/calls", None).await?;
        calls += count["calls"].as_u64().context("calls")?;
    }
    Ok(calls)
}

/// What our connector writes last at the CRM.
pub(crate) const OUR_LAST: &str = "note_create";
