//! A transaction that somebody leaves open for an hour, in the same database. Nothing that dies meanwhile can be cleaned up,
//! and what looks for work walks past it. A steady rate goes on all the while; what counts is that the end is like the
//! beginning.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::Kept;
use crate::accept::percentile;
use crate::latency;

/// The end may take so many times what the beginning did, and what this machine's noise adds to small figures.
const SLOWER_MAX: f64 = 2.0;
const NOISE_MS: f64 = 100.0;
/// Parts of the run that are compared.
const PARTS: u32 = 6;

/// What was measured and what must hold.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) minutes: u64,
    pub(crate) per_second: f64,
    pub(crate) submitted: usize,
    pub(crate) delivered: usize,
    /// Versions of deliveries' rows that nothing may remove, at the end.
    pub(crate) dead_rows: u64,
    /// From the submission to the ATS's commit, part by part.
    pub(crate) parts: Vec<Part>,
    pub(crate) violations: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Part {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

pub(crate) async fn run(minutes: u64, per_second: f64) -> Result<Report> {
    let kept = Kept::set(79, true, 1).await?;
    let (stage, engines) = (&kept.stage, kept.engines.as_ref().context("it is scaled out")?);
    let gateway = stage.start(&[]).await?;
    let length = Duration::from_secs(minutes * 60);
    let (postgres, dsn) = (engines.primary(), engines.owner_dsn());
    let name = dsn.rsplit('/').next().and_then(|rest| rest.split('?').next()).context("a DSN names it")?;
    let left_open = {
        let (postgres, name) = (std::sync::Arc::clone(&postgres), name.to_owned());
        let long = length.as_secs() + 120;
        // Ends when its server does, at the latest.
        tokio::task::spawn_blocking(move || {
            let text = format!(
                "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM deliveries; SELECT pg_sleep({long}); COMMIT"
            );
            postgres.psql(&name, &text)
        })
    };
    let due = latency::submit_steadily(stage, gateway.public, per_second, length).await?;
    let dead = postgres.psql(
        name,
        "SELECT pg_stat_force_next_flush(); SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'deliveries'",
    )?;
    let committed = latency::wait_for_all(stage, &due).await?;
    let is_open = !left_open.is_finished();
    gateway.stop()?;
    let mut report = Report {
        minutes,
        per_second,
        submitted: due.len(),
        delivered: due.keys().filter(|email| committed.contains_key(*email)).count(),
        dead_rows: dead.lines().filter_map(|line| line.trim().parse().ok()).next_back().unwrap_or(0),
        parts: parts(&due, &committed),
        violations: Vec::new(),
    };
    report.violations = violations(&report, is_open);
    Ok(report)
}

fn parts(due: &HashMap<String, f64>, committed: &HashMap<String, f64>) -> Vec<Part> {
    let first = due.values().copied().fold(f64::INFINITY, f64::min);
    let last = due.values().copied().fold(0.0, f64::max);
    let mut apart = vec![Vec::new(); PARTS as usize];
    for (email, due) in due {
        let Some(committed) = committed.get(email) else { continue };
        let part = ((due - first) / (last - first + 1.0) * f64::from(PARTS)) as usize;
        if let Some(part) = apart.get_mut(part) {
            part.push((committed - due).max(0.0));
        }
    }
    apart.iter_mut().map(|part| Part { p50_ms: percentile(part, 0.5), p99_ms: percentile(part, 0.99) }).collect()
}

fn violations(report: &Report, is_open: bool) -> Vec<String> {
    let mut found = Vec::new();
    if !is_open || report.dead_rows == 0 {
        found.push(format!("void: the transaction ended early, or kept nothing ({} dead rows)", report.dead_rows));
    }
    if report.delivered < report.submitted {
        found.push(format!("{} of {} delivered", report.delivered, report.submitted));
    }
    if let (Some(first), Some(last)) = (report.parts.first(), report.parts.last()) {
        for (what, before, after) in [("p50", first.p50_ms, last.p50_ms), ("p99", first.p99_ms, last.p99_ms)] {
            if after > before * SLOWER_MAX + NOISE_MS {
                found.push(format!("{what} {after:.0} ms at the end, {before:.0} ms at the beginning"));
            }
        }
    }
    found
}
