//! Deliveries that piled up while nothing was delivered, and how fast they go once something is.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::{Arrived, Kept, OUR_LAST, flood};
use crate::latency::wall_ms;

const PER_SECOND_MIN: f64 = 300.0;
const RSS_MAX_MB: f64 = 512.0;

/// What was measured and what must hold.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) scaled: bool,
    pub(crate) waiting: u64,
    pub(crate) delivered: u64,
    pub(crate) deliveries_per_s: f64,
    pub(crate) rss_mb: f64,
    pub(crate) violations: Vec<String>,
}

pub(crate) async fn run(scaled: bool, waiting: u64) -> Result<Report> {
    let kept = Kept::set(73, scaled, 1).await?;
    let stage = &kept.stage;
    let gateway = stage.start(&[("CAUSEWAY_DISPATCH_ENABLED", "false")]).await?;
    flood(stage, &[gateway.public], "backlog", waiting / 2).await?;
    let mut rss_mb = gateway.rss_mb()?;
    gateway.stop()?;
    eprintln!("{waiting} deliveries wait");
    let began_ms = wall_ms()?;
    let gateway = stage.start(&[]).await?;
    #[expect(clippy::cast_precision_loss, reason = "a count of deliveries")]
    let patience = Duration::from_secs_f64(60.0 + waiting as f64 / PER_SECOND_MIN * 2.0);
    let mut arrived = Arrived::default();
    let watch = || {
        rss_mb = rss_mb.max(gateway.rss_mb()?);
        Ok(())
    };
    arrived.wait_for(waiting / 2 * 2, (stage, OUR_LAST), patience, watch).await?;
    gateway.stop()?;
    let mut report = Report {
        scaled,
        waiting,
        delivered: arrived.deliveries,
        deliveries_per_s: arrived.per_s(began_ms),
        rss_mb,
        violations: Vec::new(),
    };
    if report.delivered != waiting / 2 * 2 {
        report.violations.push(format!("{} of {waiting} delivered", report.delivered));
    }
    if report.deliveries_per_s < PER_SECOND_MIN {
        report
            .violations
            .push(format!("{:.0} deliveries a second, under {PER_SECOND_MIN:.0}", report.deliveries_per_s));
    }
    if report.rss_mb > RSS_MAX_MB {
        report.violations.push(format!("RSS {:.0} MB > {RSS_MAX_MB:.0} MB", report.rss_mb));
    }
    Ok(report)
}
