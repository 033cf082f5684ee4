//! What one would write instead, measured the same way: Express, ajv, amqplib, and a row for every attempt (`compare/`),
//! delivering to the same sandboxes on the same engines. Beside it, in turn, the gateway.
//!
//! It does less: no idempotency, no encryption, no schedule of retries, no lookup, one validation instead of three, and two
//! calls at the CRM where the connector makes more. What that comes to is in the report.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Arrived, Kept, OUR_LAST, flood};
use crate::accept::Stage;
use crate::engines::Engines;

const TIMES_MIN: f64 = 5.0;

/// What was measured and what must hold.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) applications: u64,
    pub(crate) gateway: Side,
    pub(crate) comparison: Side,
    pub(crate) times_in_deliveries: f64,
    pub(crate) times_in_vendor_calls: f64,
    pub(crate) violations: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Side {
    pub(crate) deliveries: u64,
    pub(crate) deliveries_per_s: f64,
    pub(crate) vendor_calls_per_s: f64,
    pub(crate) vendor_calls_per_application: f64,
}

impl Side {
    fn of(arrived: &Arrived, began_ms: f64, applications: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "counts of calls")]
        let (calls, applications) = (arrived.calls as f64, applications as f64);
        Self {
            deliveries: arrived.deliveries,
            deliveries_per_s: arrived.per_s(began_ms),
            vendor_calls_per_s: calls * 1000.0 / (arrived.last_ms - began_ms),
            vendor_calls_per_application: calls / applications,
        }
    }
}

pub(crate) async fn run(applications: u64) -> Result<Report> {
    let comparison = theirs(applications).await?;
    eprintln!("the comparison: {comparison:.1?}");
    let gateway = ours(applications).await?;
    eprintln!("the gateway: {gateway:.1?}");
    let mut report = Report {
        applications,
        times_in_deliveries: gateway.deliveries_per_s / comparison.deliveries_per_s,
        times_in_vendor_calls: gateway.vendor_calls_per_s / comparison.vendor_calls_per_s,
        gateway,
        comparison,
        violations: Vec::new(),
    };
    for (who, side) in [("the gateway", &report.gateway), ("the comparison", &report.comparison)] {
        if side.deliveries < applications * 2 {
            report.violations.push(format!("void: {who} delivered {} of {}", side.deliveries, applications * 2));
        }
    }
    if report.times_in_deliveries < TIMES_MIN {
        report.violations.push(format!("{:.1} times the comparison, under {TIMES_MIN}", report.times_in_deliveries));
    }
    Ok(report)
}

async fn ours(applications: u64) -> Result<Side> {
    let kept = Kept::set(83, true, 1).await?;
    let gateway = kept.stage.start(&[]).await?;
    let began_ms = flood(&kept.stage, &[gateway.public], "ours", applications).await?;
    let mut arrived = Arrived::default();
    arrived.wait_for(2 * applications, (&kept.stage, OUR_LAST), Duration::from_secs(900), || Ok(())).await?;
    gateway.stop()?;
    Ok(Side::of(&arrived, began_ms, applications))
}

async fn theirs(applications: u64) -> Result<Side> {
    let folder = installed()?;
    // For the vendors and what to send them; no gateway runs.
    let (stage, engines) = (Stage::set(83).await?, Engines::start().await?);
    let settings = settings(&stage, &engines.owner_dsn(), &engines.broker.url())?;
    let worker = Node::start(&folder, "worker", &settings)?;
    let web = Node::start(&folder, "web", &settings)?;
    let port = web.said["port"].as_u64().context("a port")?;
    let door = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port)?));
    let began_ms = flood(&stage, &[door], "theirs", applications).await?;
    let mut arrived = Arrived::default();
    arrived.wait_for(2 * applications, (&stage, "record_create"), Duration::from_secs(1_800), || Ok(())).await?;
    drop((web, worker));
    Ok(Side::of(&arrived, began_ms, applications))
}

fn settings(stage: &Stage, postgres: &str, amqp: &str) -> Result<Value> {
    let (ats, crm) = (&stage.ats.start_line, &stage.crm.start_line);
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/canonical/application.v1.json");
    ensure!(schema.exists(), "{} is not there", schema.display());
    Ok(json!({
        "amqp": amqp,
        // The driver's own default is no TLS; it does not know `sslmode=disable`.
        "postgres": postgres.split('?').next(),
        "key": stage.tenancy.key,
        "schema": schema,
        "ats": { "url": ats["settings"]["board_url"], "token": ats["settings"]["board_token"],
                 "key": ats["credentials"]["board_api_key"] },
        "crm": { "url": crm["settings"]["base_url"], "token": crm["credentials"]["access_token"] },
    }))
}

/// The packages, by the lock file, in a folder that is nobody's source: beside this program.
fn installed() -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("compare");
    let target = std::env::current_exe()?.with_file_name("compare");
    std::fs::create_dir_all(&target)?;
    for file in ["package.json", "package-lock.json", "service.mjs"] {
        std::fs::copy(source.join(file), target.join(file)).with_context(|| format!("{file} of the comparison"))?;
    }
    if !target.join("node_modules/amqplib").exists() {
        let npm = Command::new("npm")
            .args(["ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"])
            .current_dir(&target)
            .stdin(Stdio::null())
            .status()
            .context("npm")?;
        ensure!(npm.success(), "npm ci failed");
    }
    Ok(target)
}

/// A process of the comparison.
struct Node {
    child: Child,
    said: Value,
}

impl Node {
    fn start(folder: &Path, role: &str, settings: &Value) -> Result<Self> {
        let mut child = Command::new("node")
            .args(["service.mjs", role])
            .current_dir(folder)
            .env("NODE_ENV", "production")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("node")?;
        let mut stdin = child.stdin.take().context("piped")?;
        stdin.write_all(settings.to_string().as_bytes())?;
        drop(stdin);
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("piped")?).read_line(&mut line)?;
        let mut node = Self { child, said: Value::Null };
        node.said = serde_json::from_str(&line).with_context(|| format!("the comparison's {role} said: {line}"))?;
        Ok(node)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
