//! What one tenant or one vendor does to the others: a quiet tenant's time from submission to the vendor's commit, alone, with
//! a tenant at a hundred times its rate beside it, and with a vendor that hangs beside it, in turn within one run.
//!
//! Three tenants of one gateway, each with sandboxes of its own. The loud one's vendors take whatever they get, which costs the
//! machine most. The stuck one's CRM takes every call and answers none; its account may have as many calls under way as the
//! gateway has places, and neither the breaker nor the holding of what fails alike may help. Latency counts from when a request was due.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use http::Request;
use http_body_util::Full;
use serde::Serialize;
use serde_json::{Value, json};

use crate::accept::{FAST_VENDORS, NO_LIMITS_ATS, NO_LIMITS_CRM, futures_join, percentile};
use crate::client::Client;
use crate::engines::Engines;
use crate::latency::wall_ms;
use crate::rig::{self, GatewayOptions, Place, Sandbox};
use crate::{documents, postings};

/// More than this much slower is too much.
const FACTOR: f64 = 2.0;
const LOUDER: f64 = 100.0;
/// Calls that a vendor leaves unanswered before it counts as one that hangs: most of the places there are.
const HANGS: u64 = 40;
/// A call's time-out, and a little.
const GIVEN_UP: Duration = Duration::from_secs(35);
/// Below this many samples a p99 is the slowest one or two.
const SAMPLES: usize = 200;

/// What was measured and what must hold.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) quiet_per_second: f64,
    pub(crate) alone: Measured,
    pub(crate) beside_a_loud_tenant: Measured,
    pub(crate) beside_a_hung_vendor: Measured,
    pub(crate) loud_p99_ratio: f64,
    pub(crate) hung_p99_ratio: f64,
    /// What the loud tenant had accepted for one of the quiet one's.
    pub(crate) louder: f64,
    /// Calls that the hung vendor left unanswered.
    pub(crate) hung_calls: u64,
    pub(crate) void: Vec<String>,
    pub(crate) violations: Vec<String>,
}

/// The quiet tenant's way from submission to the vendor's commit.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Measured {
    pub(crate) samples: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    #[serde(skip)]
    latencies: Vec<f64>,
}

impl Measured {
    fn sum_up(&mut self) {
        self.samples = self.latencies.len();
        self.p50_ms = percentile(&mut self.latencies, 0.5);
        self.p99_ms = percentile(&mut self.latencies, 0.99);
    }
}

/// A tenant with its vendors.
struct Tenant {
    name: &'static str,
    ats: Sandbox,
    crm: Sandbox,
    key: String,
    job: String,
    answers: Vec<Value>,
    sent: AtomicU64,
}

impl Tenant {
    /// `calls` is how many its CRM may have under way.
    async fn set_up(place: &Place, name: &'static str, seed: u64, calls: &str) -> Result<Self> {
        let (ats, crm) = (rig::start_sandbox("greenhouse", seed)?, rig::start_sandbox("hubspot", seed)?);
        postings::publish_plain(&ats).await?;
        rig::causeway(place, &["tenants", "create", name])?;
        let lag = ("visibility_lag_ms", "1500");
        rig::add_account(place, ("greenhouse", "ats"), &ats, &[FAST_VENDORS, &[lag]].concat(), Some(name))?;
        let fast = [("limit_calls", "10000"), ("limit_window_ms", "1000"), ("limit_concurrency", calls), lag];
        rig::add_account(place, ("hubspot", "crm"), &crm, &fast, Some(name))?;
        let made =
            rig::causeway(place, &["keys", "create", "--name", "load", "--scope", "submit,read", "--tenant", name])?;
        rig::causeway(place, &["jobs", "sync", "greenhouse", "--tenant", name])?;
        for (sandbox, body) in [(&ats, NO_LIMITS_ATS), (&crm, NO_LIMITS_CRM)] {
            sandbox.control("POST", "/_sandbox/settings", Some(&serde_json::from_str(body)?)).await?;
        }
        let (job, answers) = postings::simplest(&ats).await?;
        let key = made["text"].as_str().context("keys create answers `text`")?.to_owned();
        Ok(Self { name, ats, crm, key, job, answers, sent: AtomicU64::new(0) })
    }

    /// Sends at this rate for so long. Who was accepted, and when each request was due, in milliseconds since 1970.
    async fn submit(&self, to: SocketAddr, per_second: f64, length: Duration) -> Result<HashMap<String, f64>> {
        let (started, started_ms) = (Instant::now(), wall_ms()?);
        let ticks = Arc::new(AtomicU64::new(0));
        let workers = (0..32_usize).map(|_| {
            let ticks = Arc::clone(&ticks);
            async move {
                let mut client = Client::new(to, Duration::from_secs(30));
                let mut due_at = Vec::new();
                loop {
                    #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
                    let tick = ticks.fetch_add(1, Ordering::Relaxed) as f64;
                    let offset = Duration::from_secs_f64(tick / per_second);
                    if offset > length {
                        return Ok::<_, anyhow::Error>(due_at);
                    }
                    tokio::time::sleep_until((started + offset).into()).await;
                    let number = self.sent.fetch_add(1, Ordering::Relaxed);
                    let one = documents::applicant(self.name, 41, number, &self.job, &self.answers, 0);
                    let (content_type, body) = documents::body_of(&one);
                    let request = Request::post("/v1/applications")
                        .header("host", "127.0.0.1")
                        .header("authorization", format!("Bearer {}", self.key))
                        .header("idempotency-key", format!("{}-{number}", self.name))
                        .header("content-type", content_type)
                        .body(Full::new(body))?;
                    let response = client.send(request).await?;
                    ensure!(response.status() == 202, "{}: {:?}", response.status(), response.body());
                    due_at.push((one.email, started_ms + offset.as_secs_f64() * 1000.0));
                }
            }
        });
        Ok(futures_join(workers).await?.into_iter().flatten().collect())
    }

    /// When the ATS committed each applicant's record, once all of these are there or two minutes have passed.
    async fn committed(&self, due: &HashMap<String, f64>) -> Result<HashMap<String, f64>> {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let mut committed = HashMap::new();
            for entry in self.ats.ledger().await? {
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

    /// Measures for so long, into `measured`.
    async fn measure(&self, to: SocketAddr, rate: f64, length: Duration, measured: &mut Measured) -> Result<usize> {
        let due = self.submit(to, rate, length).await?;
        let committed = self.committed(&due).await?;
        let latencies = due.iter().filter_map(|(email, due)| Some((committed.get(email)? - due).max(0.0)));
        measured.latencies.extend(latencies);
        Ok(due.len())
    }
}

pub(crate) async fn run(per_second: f64, seconds: u64, rounds: usize, scaled: bool) -> Result<Report> {
    let length = Duration::from_secs(seconds);
    let folder = tempfile::tempdir()?;
    let engines = if scaled { Some(Engines::start().await?) } else { None };
    let settings = engines.as_ref().map_or_else(Vec::new, |engines| engines.settings(engines.ports(), 2));
    let place = Place { data: folder.path().join("data"), settings };
    rig::prepare(&place)?;
    let quiet = Tenant::set_up(&place, "quiet", 51, "32").await?;
    let loud = Tenant::set_up(&place, "loud", 52, "32").await?;
    let stuck = Tenant::set_up(&place, "stuck", 53, "1000").await?;
    let options = GatewayOptions {
        command: rig::gateway_command(None)?,
        // A vendor that hangs is not found out: all of its calls stay open.
        settings: [
            ("CAUSEWAY_DISPATCH_BREAKER_OPEN_FIRST", "1ms"),
            ("CAUSEWAY_DISPATCH_BREAKER_OPEN_MOST", "1ms"),
            ("CAUSEWAY_ALIKE_AFTER", "1000000"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
        ..GatewayOptions::default()
    };
    let gateway = rig::start_in(&place, &options).await?;
    // Scaled out, a second gateway delivers too.
    let second = if scaled { Some(rig::start_in(&place.beside(2)?, &options).await?) } else { None };
    let to = gateway.public;
    let (mut alone, mut beside_loud, mut beside_hung) = (Measured::default(), Measured::default(), Measured::default());
    let (mut quiet_sent, mut loud_sent, mut hung_calls) = (0, 0, 0);
    // The first requests meet cold caches.
    quiet.measure(to, per_second, Duration::from_secs(2), &mut Measured::default()).await?;
    for _ in 0..rounds {
        quiet.measure(to, per_second, length, &mut alone).await?;
        let both = tokio::join!(
            quiet.measure(to, per_second, length, &mut beside_loud),
            loud.submit(to, per_second * LOUDER, length)
        );
        let (sent, due) = (both.0?, both.1?);
        (quiet_sent, loud_sent) = (quiet_sent + sent, loud_sent + due.len());
        // What it left behind is delivered before anything else is measured.
        loud.committed(&due).await?;

        quiet.measure(to, per_second, length, &mut alone).await?;
        hung_calls += hang(&stuck, to, async || quiet.measure(to, per_second, length, &mut beside_hung).await).await?;
    }
    second.map_or(Ok(()), rig::Gateway::stop)?;
    gateway.stop()?;
    Ok(judge(per_second, (alone, beside_loud, beside_hung), (quiet_sent, loud_sent), hung_calls))
}

/// Lets the stuck tenant's CRM hang while `measure` runs. How many calls it left unanswered.
async fn hang(stuck: &Tenant, to: SocketAddr, measure: impl AsyncFnOnce() -> Result<usize>) -> Result<u64> {
    stuck.crm.faults(json!([{ "operation": "*", "do": "hang" }])).await?;
    // More than there are places, so that one waits behind every call.
    stuck.submit(to, 100.0, Duration::from_secs(2)).await?;
    measure().await?;
    let rules = stuck.crm.control("GET", "/_sandbox/faults", None).await?;
    let fired = rules.pointer("/rules/0/fired").and_then(Value::as_u64).context("a count")?;
    stuck.crm.faults(json!([])).await?;
    // What hangs is given up before anything else is measured.
    tokio::time::sleep(GIVEN_UP).await;
    Ok(fired)
}

fn judge(
    quiet_per_second: f64,
    (mut alone, mut beside_a_loud_tenant, mut beside_a_hung_vendor): (Measured, Measured, Measured),
    (quiet_sent, loud_sent): (usize, usize),
    hung_calls: u64,
) -> Report {
    [&mut alone, &mut beside_a_loud_tenant, &mut beside_a_hung_vendor].into_iter().for_each(Measured::sum_up);
    #[expect(clippy::cast_precision_loss, reason = "counts of requests")]
    let louder = loud_sent as f64 / quiet_sent.max(1) as f64;
    let (loud_p99_ratio, hung_p99_ratio) =
        (beside_a_loud_tenant.p99_ms / alone.p99_ms, beside_a_hung_vendor.p99_ms / alone.p99_ms);
    let mut void = Vec::new();
    for (what, measured) in [
        ("alone", &alone),
        ("beside a loud tenant", &beside_a_loud_tenant),
        ("beside a hung vendor", &beside_a_hung_vendor),
    ] {
        if measured.samples < SAMPLES {
            void.push(format!("{} samples {what}, under {SAMPLES}", measured.samples));
        }
    }
    if louder < LOUDER * 0.8 {
        void.push(format!("the loud tenant was {louder:.0} times as loud, not {LOUDER:.0}"));
    }
    if hung_calls < HANGS {
        void.push(format!("{hung_calls} calls hung, under {HANGS}"));
    }
    let mut violations = void.clone();
    for (what, ratio) in [("a loud tenant", loud_p99_ratio), ("a hung vendor", hung_p99_ratio)] {
        if !ratio.is_finite() || ratio > FACTOR {
            violations.push(format!("p99 beside {what} is {ratio:.2} times the one alone, over {FACTOR}"));
        }
    }
    Report {
        quiet_per_second,
        alone,
        beside_a_loud_tenant,
        beside_a_hung_vendor,
        loud_p99_ratio,
        hung_p99_ratio,
        louder,
        hung_calls,
        void,
        violations,
    }
}
