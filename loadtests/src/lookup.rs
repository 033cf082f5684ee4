//! How fast a support engineer gets the answer when there are many applications: through the public lookup, over HTTP.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::json;

use crate::accept::{Stage, percentile};
use crate::client::Client;
use crate::documents;
use crate::fill;

/// What was measured and what must hold.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) rows: u64,
    pub(crate) filled_per_s: f64,
    pub(crate) lookups: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) violations: Vec<String>,
}

const LOOKUPS: u64 = 2_000;

pub(crate) async fn run(rows: u64) -> Result<Report> {
    let stage = Stage::set(23).await?;
    let began = Instant::now();
    fill::applications(&stage, rows).await?;
    #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
    let filled_per_s = rows as f64 / began.elapsed().as_secs_f64();
    eprintln!("{rows} applications stored ({filled_per_s:.0}/s)");
    let gateway = stage.start(&[("CAUSEWAY_DISPATCH_ENABLED", "false")]).await?;
    let mut client = Client::new(gateway.management, Duration::from_secs(30));
    let mut latencies = Vec::new();
    for lookup in 0..LOOKUPS {
        let number = documents::mix(41, lookup) % rows;
        let query = json!({ "email": fill::email(number), "job": stage.job });
        let asked = Instant::now();
        let (status, answer) =
            client.json("POST", "/v1/support/lookup", Some(&stage.tenancy.key), Some(&query)).await?;
        latencies.push(asked.elapsed().as_secs_f64() * 1000.0);
        ensure!(status == 200 && answer["found"] == true, "lookup {lookup}: {status} {answer}");
    }
    gateway.stop()?;
    let (p50_ms, p99_ms) = (percentile(&mut latencies, 0.5), percentile(&mut latencies, 0.99));
    let violations = if p99_ms > 20.0 { vec![format!("p99 {p99_ms:.1} ms > 20 ms")] } else { Vec::new() };
    Ok(Report { rows, filled_per_s, lookups: LOOKUPS, p50_ms, p99_ms, violations })
}
