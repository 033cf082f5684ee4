//! Clients that mean no good, many of each kind at once, against the built program: its memory stays bounded, every place comes
//! back although no client lets go of its own, and the others are served meanwhile.
//!
//! Responsible for the run and its bounds; what each client does is `attack`'s. The end-to-end tests run it in small.

pub(crate) mod attack;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde::Serialize;

use self::attack::Kind;
use crate::client::Client;

/// The most memory that any of it may take.
const RSS_MB_MAX: f64 = 256.0;
/// What an honest client is answered within, whatever goes on beside it.
const SERVED: Duration = Duration::from_secs(30);
/// The longest time-out there is for a client, twice.
const FREED: Duration = Duration::from_secs(150);

/// Whom to attack.
pub(crate) struct Target {
    pub(crate) public: SocketAddr,
    pub(crate) management: SocketAddr,
    pub(crate) key: String,
    pub(crate) pid: u32,
}

/// What was measured and what must hold.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) connections_of_each: usize,
    pub(crate) rss_mb_before: f64,
    pub(crate) rss_mb_most: f64,
    pub(crate) honest_served: u64,
    pub(crate) honest_slowest_ms: f64,
    pub(crate) kinds: Vec<Outcome>,
    pub(crate) violations: Vec<String>,
}

/// One kind.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) kind: &'static str,
    pub(crate) opened: usize,
    /// Places that were taken when every client had done its worst.
    pub(crate) held_most: u64,
    pub(crate) freed_after_s: f64,
    pub(crate) rss_mb_most: f64,
}

/// Each of these kinds in turn, so many connections at once. `honest` is a request that has to be answered 202 or 200.
pub(crate) async fn run(
    target: &Target,
    kinds: &[Kind],
    connections: usize,
    honest: impl Fn(u64) -> Result<Request<Full<Bytes>>>,
) -> Result<Report> {
    let mut report = Report {
        connections_of_each: connections,
        rss_mb_before: rss_mb(target.pid)?,
        rss_mb_most: 0.0,
        honest_served: 0,
        honest_slowest_ms: 0.0,
        kinds: Vec::new(),
        violations: Vec::new(),
    };
    let done = Arc::new(AtomicBool::new(false));
    let attacks = async {
        let mut outcomes = Vec::new();
        for kind in kinds {
            outcomes.push(one(target, *kind, connections).await.with_context(|| kind.name())?);
        }
        done.store(true, Ordering::Relaxed);
        Ok::<_, anyhow::Error>(outcomes)
    };
    let (slowest_us, served) = (AtomicU64::new(0), AtomicU64::new(0));
    let honest = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(200));
        while !done.load(Ordering::Relaxed) {
            ticks.tick().await;
            let began = Instant::now();
            let number = served.fetch_add(1, Ordering::Relaxed);
            let response = Client::new(target.public, SERVED).send(honest(number)?).await?;
            ensure!(response.status().is_success(), "an honest client got {}", response.status());
            let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            slowest_us.fetch_max(took, Ordering::Relaxed);
        }
        Ok::<_, anyhow::Error>(())
    };
    let outcomes = tokio::select! {
        outcomes = attacks => outcomes?,
        served = honest => {
            served?;
            Vec::new()
        }
    };
    report.honest_served = served.load(Ordering::Relaxed);
    #[expect(clippy::cast_precision_loss, reason = "a time")]
    let slowest_ms = slowest_us.load(Ordering::Relaxed) as f64 / 1000.0;
    report.honest_slowest_ms = slowest_ms;
    report.rss_mb_most = outcomes.iter().map(|outcome| outcome.rss_mb_most).fold(0.0, f64::max);
    for outcome in &outcomes {
        if outcome.rss_mb_most > RSS_MB_MAX {
            report.violations.push(format!("{}: {:.0} MB > {RSS_MB_MAX} MB", outcome.kind, outcome.rss_mb_most));
        }
        if outcome.freed_after_s > FREED.as_secs_f64() {
            report.violations.push(format!("{}: places were not free after {FREED:?}", outcome.kind));
        }
        // A zero counts only where there was an opportunity.
        if outcome.opened < connections {
            report.violations.push(format!("{}: void, {} of {connections} came", outcome.kind, outcome.opened));
        }
    }
    if outcomes.len() < kinds.len() || report.honest_served == 0 {
        report.violations.push("void: not every kind was tried beside an honest client".to_owned());
    }
    report.kinds = outcomes;
    Ok(report)
}

/// One kind: everybody does their worst and then holds on; who is let go first is the server's affair.
async fn one(target: &Target, kind: Kind, connections: usize) -> Result<Outcome> {
    let (began, (_, accepted_before)) = (Instant::now(), counted(target.management).await?);
    let mut attacks: futures_util::stream::FuturesUnordered<_> =
        (0..connections).map(|_| kind.attack(target.public, &target.key)).collect();
    let (mut held, mut rss_mb_most, mut held_most) = (Vec::new(), 0.0_f64, 0_u64);
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    while held.len() < connections {
        tokio::select! {
            attacked = futures_util::StreamExt::next(&mut attacks) => match attacked {
                Some(stream) => held.push(stream?),
                None => break,
            },
            _ = ticks.tick() => {
                rss_mb_most = rss_mb_most.max(rss_mb(target.pid)?);
                held_most = held_most.max(counted(target.management).await?.0);
            }
        }
    }
    let opened = held.len();
    loop {
        let (open, accepted) = counted(target.management).await?;
        rss_mb_most = rss_mb_most.max(rss_mb(target.pid)?);
        held_most = held_most.max(open);
        // An honest request may be under way at any look: a place or two is not theirs.
        let all_came = accepted >= accepted_before + connections as u64;
        if (all_came && open <= 3) || began.elapsed() > FREED * 2 {
            break;
        }
        ticks.tick().await;
    }
    drop(held);
    Ok(Outcome { kind: kind.name(), opened, held_most, freed_after_s: began.elapsed().as_secs_f64(), rss_mb_most })
}

/// Connections that are open now, and accepted ever; this one among them.
async fn counted(management: SocketAddr) -> Result<(u64, u64)> {
    let request = Request::get("/metrics").header("host", "gateway").body(Full::new(Bytes::new()))?;
    let response = Client::new(management, SERVED).send(request).await?;
    let text = std::str::from_utf8(response.body())?.to_owned();
    let figure = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok::<u64, anyhow::Error>(line.with_context(|| format!("no {name}"))?.trim().parse()?)
    };
    Ok((figure("causeway_connections_open")?, figure("causeway_connections_accepted_total")?))
}

fn rss_mb(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kilobytes: f64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
    Ok(kilobytes / 1024.0)
}
