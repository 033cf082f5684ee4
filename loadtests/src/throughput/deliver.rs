//! From submission to both vendors, as fast as it goes, and at half that rate how long one takes.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::{Arrived, Kept, OUR_LAST, flood};
use crate::accept::percentile;
use crate::latency;

const PER_SECOND_MIN: f64 = 1_500.0;
const P99_MAX_MS: f64 = 2_000.0;

/// What was measured and what must hold.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) scaled: bool,
    pub(crate) applications: u64,
    pub(crate) deliveries: u64,
    /// From the first submission to the last record at a vendor.
    pub(crate) deliveries_per_s: f64,
    pub(crate) vendor_calls_per_application: f64,
    /// The gateway's own, on either core.
    pub(crate) cpu_us_per_delivery: f64,
    pub(crate) half_rate_deliveries_per_s: f64,
    pub(crate) half_rate_samples: usize,
    pub(crate) half_rate_p50_ms: f64,
    pub(crate) half_rate_p99_ms: f64,
    pub(crate) rss_mb: f64,
    pub(crate) violations: Vec<String>,
}

pub(crate) async fn run(scaled: bool, applications: u64, seconds: u64) -> Result<Report> {
    let kept = Kept::set(71, scaled, 1).await?;
    let stage = &kept.stage;
    let gateway = stage.start(&[]).await?;
    // Warm.
    let mut arrived = Arrived::default();
    let warm = (applications / 20).max(1);
    flood(stage, &[gateway.public], "warm", warm).await?;
    arrived.wait_for(2 * warm, (stage, OUR_LAST), Duration::from_secs(60), || Ok(())).await?;
    arrived.forget();
    let cpu_before = gateway.cpu_s()?;
    let mut rss_mb: f64 = 0.0;
    let began_ms = flood(stage, &[gateway.public], "flood", applications).await?;
    let watch = || {
        rss_mb = rss_mb.max(gateway.rss_mb()?);
        Ok(())
    };
    arrived.wait_for(2 * applications, (stage, OUR_LAST), Duration::from_secs(600), watch).await?;
    let cpu_s = gateway.cpu_s()? - cpu_before;
    let deliveries_per_s = arrived.per_s(began_ms);

    // Two deliveries an application.
    let rate = deliveries_per_s / 4.0;
    let due = latency::submit_steadily(stage, gateway.public, rate, Duration::from_secs(seconds)).await?;
    let committed = latency::wait_for_all(stage, &due).await?;
    gateway.stop()?;
    let mut latencies: Vec<f64> =
        due.iter().filter_map(|(email, due)| Some((committed.get(email)? - due).max(0.0))).collect();
    #[expect(clippy::cast_precision_loss, reason = "counts of deliveries and calls")]
    let mut report = Report {
        scaled,
        applications,
        deliveries: arrived.deliveries,
        deliveries_per_s,
        vendor_calls_per_application: arrived.calls as f64 / applications as f64,
        cpu_us_per_delivery: cpu_s * 1e6 / arrived.deliveries.max(1) as f64,
        half_rate_deliveries_per_s: rate * 2.0,
        half_rate_samples: latencies.len(),
        half_rate_p50_ms: percentile(&mut latencies, 0.5),
        half_rate_p99_ms: percentile(&mut latencies, 0.99),
        rss_mb,
        violations: Vec::new(),
    };
    report.violations = violations(&report, due.len());
    Ok(report)
}

fn violations(report: &Report, due: usize) -> Vec<String> {
    let mut found = Vec::new();
    if report.deliveries != report.applications * 2 {
        found.push(format!("{} deliveries of {} applications", report.deliveries, report.applications));
    }
    if report.deliveries_per_s < PER_SECOND_MIN {
        found.push(format!("{:.0} deliveries a second, under {PER_SECOND_MIN:.0}", report.deliveries_per_s));
    }
    if report.half_rate_samples < due {
        found.push(format!("{} of {due} arrived at half the rate", report.half_rate_samples));
    }
    if report.half_rate_p99_ms > P99_MAX_MS {
        found.push(format!("p99 {:.0} ms at half the rate, over {P99_MAX_MS:.0}", report.half_rate_p99_ms));
    }
    found
}
