//! From the click to the vendor: healthy vendors, a steady rate, everything on. Latency runs from the moment a request
//! should have gone out to the moment the ATS committed it, both on this machine's clock.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use crate::accept::{Stage, futures_join, percentile};
use crate::client::Client;
use crate::documents;

/// Until a request that was turned away is sent again, and for how long.
const COME_BACK: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(60);

/// What was measured and what must hold.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) per_second: f64,
    pub(crate) submitted: u64,
    pub(crate) delivered: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) violations: Vec<String>,
}

pub(crate) async fn run(per_second: f64, seconds: u64) -> Result<Report> {
    let stage = Stage::set(29).await?;
    for sandbox in [&stage.ats, &stage.crm] {
        let settings = serde_json::json!({ "visibility_lag_ms": 200 });
        sandbox.control("POST", "/_sandbox/settings", Some(&settings)).await?;
    }
    let gateway = stage.start(&[]).await?;
    let due = submit_steadily(&stage, gateway.public, per_second, Duration::from_secs(seconds)).await?;
    let committed = wait_for_all(&stage, &due).await?;
    gateway.stop()?;

    let mut latencies: Vec<f64> =
        due.iter().filter_map(|(email, due)| Some(committed.get(email)? - due)).map(|ms| ms.max(0.0)).collect();
    let mut report = Report {
        per_second,
        submitted: due.len() as u64,
        delivered: latencies.len() as u64,
        p50_ms: percentile(&mut latencies, 0.5),
        p99_ms: percentile(&mut latencies, 0.99),
        violations: Vec::new(),
    };
    if report.delivered < report.submitted {
        report.violations.push(format!("{} of {} delivered", report.delivered, report.submitted));
    }
    if report.p50_ms > 100.0 {
        report.violations.push(format!("p50 {:.0} ms > 100 ms", report.p50_ms));
    }
    if report.p99_ms > 1000.0 {
        report.violations.push(format!("p99 {:.0} ms > 1 s", report.p99_ms));
    }
    Ok(report)
}

/// Milliseconds since 1970 at which each applicant's request was due.
pub(crate) async fn submit_steadily(
    stage: &Stage,
    to: std::net::SocketAddr,
    per_second: f64,
    length: Duration,
) -> Result<HashMap<String, f64>> {
    let (started, started_ms) = (Instant::now(), wall_ms()?);
    let numbers = Arc::new(AtomicU64::new(0));
    let workers = (0..64_usize).map(|_| {
        let numbers = numbers.clone();
        async move {
            let mut client = Client::new(to, Duration::from_secs(30));
            let mut due_at = Vec::new();
            loop {
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
                let offset = Duration::from_secs_f64(number as f64 / per_second);
                if offset > length {
                    return Ok::<_, anyhow::Error>(due_at);
                }
                tokio::time::sleep_until((started + offset).into()).await;
                let one = documents::applicant("steady", 31, number, &stage.job, &stage.answers, 0);
                loop {
                    let response = client.send(stage.request(&one, &format!("steady-{number}"))?).await?;
                    // As a career site does: the same again, and the time it takes counts.
                    if response.status() == 503 && started.elapsed() < offset + PATIENCE {
                        tokio::time::sleep(COME_BACK).await;
                        continue;
                    }
                    ensure!(response.status() == 202, "{}: {:?}", response.status(), response.body());
                    break;
                }
                due_at.push((one.email, started_ms + offset.as_secs_f64() * 1000.0));
            }
        }
    });
    Ok(futures_join(workers).await?.into_iter().flatten().collect())
}

/// When the ATS committed each applicant's record, once all of these are there or a minute has passed.
pub(crate) async fn wait_for_all(stage: &Stage, due: &HashMap<String, f64>) -> Result<HashMap<String, f64>> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let mut committed = HashMap::new();
        for entry in stage.ats.ledger().await? {
            if entry["operation"] == "submit" && entry["committed"] == true {
                let email = entry["record"]["email"].as_str().context("email")?.to_owned();
                let at: jiff::Timestamp = entry["at"].as_str().context("at")?.parse()?;
                #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit a double")]
                committed.insert(email, at.as_microsecond() as f64 / 1000.0);
            }
        }
        if due.keys().all(|email| committed.contains_key(email)) || Instant::now() > deadline {
            return Ok(committed);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

pub(crate) fn wall_ms() -> Result<f64> {
    #[expect(clippy::disallowed_methods, reason = "a measurement against the sandboxes' wall clock")]
    let now = SystemTime::now();
    Ok(now.duration_since(UNIX_EPOCH)?.as_secs_f64() * 1000.0)
}
