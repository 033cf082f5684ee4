//! How many applications a second are accepted into PostgreSQL, beside what a bare insert of the same bytes reaches on the
//! same server in the same round. Everything that an accept promises is on; nothing is delivered meanwhile.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::accept::{self, Stage, closed_loop, costed, median, open_loop, percentile};
use crate::ceiling_postgres::ceiling;
use crate::documents;
use crate::engines::Engines;

const RATIO_MIN: f64 = 0.35;

/// The bare insert has 128 applications in its two commits. The gateway needs as many, and half as many again that are on
/// their way in or out meanwhile.
const CONNECTIONS: usize = 192;

/// What was measured and what must hold.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) accepted_per_s: f64,
    pub(crate) ceiling_per_s: f64,
    pub(crate) ratio: f64,
    /// The gateway's own processor time; the database's is beside it on the same cores.
    pub(crate) cpu_us_per_accept: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) rss_mb: f64,
    pub(crate) with_resumes_per_s: f64,
    pub(crate) rounds: Vec<Round>,
    pub(crate) violations: Vec<String>,
}

/// One alternation, in a new database.
#[derive(Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) accepted_per_s: f64,
    pub(crate) ceiling_per_s: f64,
    pub(crate) cpu_us_per_accept: f64,
}

pub(crate) async fn run(rounds: usize, seconds: u64) -> Result<Report> {
    let length = Duration::from_secs(seconds);
    let off = [("CAUSEWAY_DISPATCH_ENABLED", "false")];
    let engines = Engines::start().await?;
    let mut measured = Vec::new();
    let mut rss_mb: f64 = 0.0;
    let mut stage = set(&engines).await?;
    for round in 0..rounds.max(1) {
        if round > 0 {
            stage = set(&engines).await?;
        }
        let body = documents::applicant("ceiling", 7, 1, &stage.job, &stage.answers, 0).document;
        written_out(&engines).await?;
        let ceiling_per_s = ceiling(&engines.owner_dsn(), &body, length).await?;
        let gateway = stage.start(&off).await?;
        written_out(&engines).await?;
        let (accepted_per_s, cpu_us_per_accept) =
            costed(&stage, gateway.public, CONNECTIONS, length, || gateway.cpu_s()).await?;
        rss_mb = rss_mb.max(gateway.rss_mb()?);
        gateway.stop()?;
        let one = Round { accepted_per_s, ceiling_per_s, cpu_us_per_accept };
        eprintln!("round {round}: {one:.0?}");
        measured.push(one);
    }
    let of = |figure: fn(&Round) -> f64| median(measured.iter().map(figure));
    let accepted_per_s = of(|round| round.accepted_per_s);
    let gateway = stage.start(&off).await?;
    written_out(&engines).await?;
    let mut latencies = open_loop(&stage, gateway.public, accepted_per_s * 0.7, length).await?;
    let with_resumes_per_s =
        closed_loop(&stage, gateway.public, ("resumes", accept::CONNECTIONS), length, 200 * 1024).await?;
    gateway.stop()?;
    let mut report = Report {
        accepted_per_s,
        ceiling_per_s: of(|round| round.ceiling_per_s),
        ratio: of(|round| round.accepted_per_s / round.ceiling_per_s),
        cpu_us_per_accept: of(|round| round.cpu_us_per_accept),
        p50_ms: percentile(&mut latencies, 0.50),
        p99_ms: percentile(&mut latencies, 0.99),
        rss_mb,
        with_resumes_per_s,
        rounds: measured,
        violations: Vec::new(),
    };
    if report.ratio < RATIO_MIN {
        report.violations.push(format!("ratio {:.2} < {RATIO_MIN}", report.ratio));
    }
    Ok(report)
}

/// What one measurement left to be written is not waited for in the next.
async fn written_out(engines: &Engines) -> Result<()> {
    engines.sql("CHECKPOINT").await.map(drop)
}

/// The database alone: what rings and what limits has no part in an accept.
async fn set(engines: &Engines) -> Result<Stage> {
    engines.new_database().await?;
    let mut settings = engines.settings(engines.ports(), 1);
    settings.retain(|(name, _)| name.starts_with("CAUSEWAY_STORE_"));
    accept::Stage::set_over(1, &[("visibility_lag_ms", "1500")], settings).await
}
