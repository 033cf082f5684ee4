//! Two gateways on the same two cores: what they accept beside one, in turn within one run, and that together they deliver
//! nothing twice.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::{Arrived, Kept, OUR_LAST, flood};
use crate::accept::median;
use crate::checker;
use crate::latency::wall_ms;
use crate::ledgers;
use crate::rig::{self, GatewayOptions};

const RATIO_MIN: f64 = 0.9;

/// What was measured and what must hold.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) one_per_s: f64,
    pub(crate) two_per_s: f64,
    pub(crate) ratio: f64,
    pub(crate) rounds: Vec<(f64, f64)>,
    /// With both delivering.
    pub(crate) applications: u64,
    pub(crate) delivered: u64,
    pub(crate) delivered_twice: u64,
    pub(crate) void: Vec<String>,
    pub(crate) violations: Vec<String>,
}

pub(crate) async fn run(rounds: usize, applications: u64) -> Result<Report> {
    let kept = Kept::set(79, true, 2).await?;
    let stage = &kept.stage;
    let beside = stage.place.beside(2)?;
    let options = |settings: &[(&str, &str)]| -> Result<GatewayOptions> {
        Ok(GatewayOptions {
            command: rig::gateway_command(None)?,
            settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..GatewayOptions::default()
        })
    };
    let off = options(&[("CAUSEWAY_DISPATCH_ENABLED", "false")])?;
    let mut measured = Vec::new();
    for round in 0..rounds {
        let first = stage.start_with(&off).await?;
        let one = rate(stage, &[first.public], &format!("one-{round}"), applications).await?;
        let second = rig::start_in(&beside, &off).await?;
        let two = rate(stage, &[first.public, second.public], &format!("two-{round}"), applications).await?;
        second.stop()?;
        first.stop()?;
        eprintln!("round {round}: {one:.0}/s by one, {two:.0}/s by two");
        measured.push((one, two));
    }
    let on = options(&[])?;
    let (first, second) = (stage.start_with(&on).await?, rig::start_in(&beside, &on).await?);
    flood(stage, &[first.public, second.public], "both", applications).await?;
    let sent = applications * (1 + 2 * rounds as u64);
    let mut arrived = Arrived::default();
    arrived.wait_for(2 * sent, (stage, OUR_LAST), Duration::from_secs(900), || Ok(())).await?;
    let (created, _) = ledgers::at_vendors(&stage.ats, &stage.crm).await?;
    second.stop()?;
    first.stop()?;
    let (at_crm, at_ats) = checker::duplicates(&created);
    let mut report = Report {
        one_per_s: median(measured.iter().map(|round| round.0)),
        two_per_s: median(measured.iter().map(|round| round.1)),
        ratio: median(measured.iter().map(|round| round.1 / round.0)),
        rounds: measured,
        applications: sent,
        delivered: created.len() as u64,
        delivered_twice: at_crm + at_ats,
        void: Vec::new(),
        violations: Vec::new(),
    };
    if report.delivered < sent * 2 {
        report.void.push(format!("{} of {} delivered", report.delivered, sent * 2));
    }
    report.violations.clone_from(&report.void);
    if report.ratio < RATIO_MIN {
        report.violations.push(format!("ratio {:.2} < {RATIO_MIN}", report.ratio));
    }
    if report.delivered_twice > 0 {
        report.violations.push(format!("{} delivered twice", report.delivered_twice));
    }
    Ok(report)
}

async fn rate(stage: &crate::accept::Stage, doors: &[SocketAddr], run: &str, applications: u64) -> Result<f64> {
    let began_ms = flood(stage, doors, run, applications).await?;
    #[expect(clippy::cast_precision_loss, reason = "a count of applications")]
    Ok(applications as f64 * 1000.0 / (wall_ms()? - began_ms))
}
