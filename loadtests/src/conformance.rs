//! The long runs of the conformance suite: kills inside deliveries, and the vendors' windows kept full. In this process,
//! with the real store, dispatch, egress and sandboxes; every connector there is, at the same time.

use std::time::{Duration, Instant};

use anyhow::Result;
use causeway_conformance::{KillReport, LimitReport, connectors, kills, saturate};
use serde::Serialize;

use crate::accept::futures_join;

/// What the kills came to.
#[derive(Debug, Serialize)]
pub(crate) struct Kills {
    pub(crate) kills: usize,
    /// Inside deliveries of more than one step.
    pub(crate) kills_inside_several_steps: usize,
    pub(crate) repeated: usize,
    pub(crate) connectors: Vec<KillReport>,
    pub(crate) took_s: f64,
    pub(crate) violations: Vec<String>,
}

/// Cuts each connector's deliveries until there were so many kills inside deliveries of several steps.
pub(crate) async fn run(wanted: usize, seed: u64) -> Result<Kills> {
    let began = Instant::now();
    let all = connectors();
    // Some vendors take one step only; the others make up for them.
    let each = wanted.div_ceil(2).max(1);
    let reports = futures_join(all.into_iter().map(|connector| kills(connector, each, seed))).await?;
    let several = reports.iter().filter(|report| report.steps > 1).map(|report| report.kills).sum();
    let mut violations: Vec<String> = reports
        .iter()
        .flat_map(|report| report.violations.iter().map(|what| format!("{}: {what}", report.connector)))
        .collect();
    if several < wanted {
        violations.push(format!("void: {several} of {wanted} kills inside deliveries of several steps"));
    }
    for report in reports.iter().filter(|report| report.delivered == 0) {
        violations.push(format!("void: {} delivered nothing", report.connector));
    }
    Ok(Kills {
        kills: reports.iter().map(|report| report.kills).sum(),
        kills_inside_several_steps: several,
        repeated: reports.iter().map(|report| report.repeated).sum(),
        connectors: reports,
        took_s: began.elapsed().as_secs_f64(),
        violations,
    })
}

/// What saturation came to.
#[derive(Debug, Serialize)]
pub(crate) struct Limits {
    pub(crate) seconds: u64,
    pub(crate) connectors: Vec<LimitReport>,
    pub(crate) violations: Vec<String>,
}

/// Keeps every vendor's window full for so long.
pub(crate) async fn limits(seconds: u64) -> Result<Limits> {
    let long = Duration::from_secs(seconds);
    let reports = futures_join(connectors().into_iter().map(|connector| saturate(connector, long))).await?;
    let violations = reports
        .iter()
        .flat_map(|report| report.violations.iter().map(|what| format!("{}: {what}", report.connector)))
        .collect();
    Ok(Limits { seconds, connectors: reports, violations })
}
