//! How many applications a second are accepted: validated, encrypted, durable. Beside it, in the same run, what a bare
//! group-committing insert of the same bytes reaches on the same disk: figures on a noisy machine are ratios.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde::Serialize;

use crate::client::Client;
use crate::documents::{self, Applicant};
use crate::prototype::Prototype;
use crate::rig::{self, Gateway, GatewayOptions, Tenancy};
use crate::wire::Wire;

/// What is measured and what must hold.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) accepted_per_s: f64,
    pub(crate) rss_mb: f64,
    pub(crate) ceiling_per_s: f64,
    pub(crate) ratio: f64,
    /// What an accept costs the gateway, on either core.
    pub(crate) cpu_us_per_accept: f64,
    /// The least that could accept, beside the same ceiling: see `prototype`.
    pub(crate) prototype_per_s: f64,
    pub(crate) prototype_ratio: f64,
    pub(crate) prototype_cpu_us: f64,
    /// The gateway beside the prototype.
    pub(crate) of_prototype: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) with_dispatch_per_s: f64,
    pub(crate) with_resumes_per_s: f64,
    /// Once more at the end, over everything that the runs since the last round have stored.
    pub(crate) grown_per_s: f64,
    pub(crate) rounds: Vec<Round>,
    pub(crate) violations: Vec<String>,
}

/// One alternation of ceiling, prototype and gateway, each with a new database.
#[derive(Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) accepted_per_s: f64,
    pub(crate) ceiling_per_s: f64,
    pub(crate) prototype_per_s: f64,
    pub(crate) cpu_us_per_accept: f64,
    pub(crate) prototype_cpu_us: f64,
}

pub(crate) const CONNECTIONS: usize = 64;
/// Half the connections: what arrives while the last commit runs.
const APPLICATIONS_PER_COMMIT: u64 = 32;
const CEILING_MIN: f64 = 12_000.0;

pub(crate) async fn run(rounds: usize, seconds: u64) -> Result<Report> {
    let length = Duration::from_secs(seconds);
    let off = [("CAUSEWAY_DISPATCH_ENABLED", "false")];
    let mut stage = Stage::set(1).await?;
    let mut measured = Vec::new();
    let mut rss_mb: f64 = 0.0;
    for round in 0..rounds {
        if round > 0 {
            stage = Stage::set(1).await?;
        }
        let (one, rss) = one_round(&stage, &off, length).await?;
        rss_mb = rss_mb.max(rss);
        eprintln!("round {round}: {one:.0?}");
        measured.push(one);
    }
    let accepted_per_s = median(measured.iter().map(|round| round.accepted_per_s));
    let gateway = stage.start(&off).await?;
    let mut latencies = open_loop(&stage, gateway.public, accepted_per_s * 0.7, length).await?;
    gateway.stop()?;
    let gateway = stage.start(&[]).await?;
    let with_dispatch_per_s = closed_loop(&stage, gateway.public, ("dispatching", CONNECTIONS), length, 0).await?;
    gateway.kill();
    let gateway = stage.start(&off).await?;
    let with_resumes_per_s = closed_loop(&stage, gateway.public, ("resumes", CONNECTIONS), length, 200 * 1024).await?;
    let grown_per_s = closed_loop(&stage, gateway.public, ("grown", CONNECTIONS), length, 0).await?;
    gateway.stop()?;

    let of = |figure: fn(&Round) -> f64| median(measured.iter().map(figure));
    let mut report = Report {
        accepted_per_s,
        rss_mb,
        ceiling_per_s: of(|round| round.ceiling_per_s),
        ratio: of(|round| round.accepted_per_s / round.ceiling_per_s),
        cpu_us_per_accept: of(|round| round.cpu_us_per_accept),
        prototype_per_s: of(|round| round.prototype_per_s),
        prototype_ratio: of(|round| round.prototype_per_s / round.ceiling_per_s),
        prototype_cpu_us: of(|round| round.prototype_cpu_us),
        of_prototype: of(|round| round.accepted_per_s / round.prototype_per_s),
        p50_ms: percentile(&mut latencies, 0.50),
        p99_ms: percentile(&mut latencies, 0.99),
        with_dispatch_per_s,
        with_resumes_per_s,
        grown_per_s,
        rounds: measured,
        violations: Vec::new(),
    };
    report.violations = violations(&report);
    Ok(report)
}

/// Returns the gateway's resident memory too, in MB.
async fn one_round(stage: &Stage, settings: &[(&str, &str)], length: Duration) -> Result<(Round, f64)> {
    let body = documents::applicant("ceiling", 7, 1, &stage.job, &stage.answers, 0).document;
    let ceiling_per_s = ceiling(&body, length)?;
    let folder = tempfile::tempdir()?;
    let prototype = Prototype::start(folder.path(), &stage.tenancy.key)?;
    let (prototype_per_s, prototype_cpu_us) =
        costed(stage, prototype.address, CONNECTIONS, length, || prototype.cpu_s()).await?;
    drop(prototype);
    let gateway = stage.start(settings).await?;
    let (accepted_per_s, cpu_us_per_accept) =
        costed(stage, gateway.public, CONNECTIONS, length, || gateway.cpu_s()).await?;
    let rss_mb = gateway.rss_mb()?;
    gateway.stop()?;
    let round = Round { accepted_per_s, ceiling_per_s, prototype_per_s, cpu_us_per_accept, prototype_cpu_us };
    Ok((round, rss_mb))
}

/// A closed loop: accepts per second, and what each took of the server's processor time in microseconds.
pub(crate) async fn costed(
    stage: &Stage,
    to: SocketAddr,
    connections: usize,
    length: Duration,
    cpu_s: impl Fn() -> Result<f64>,
) -> Result<(f64, f64)> {
    let (before, began) = (cpu_s()?, Instant::now());
    let per_s = closed_loop(stage, to, ("closed", connections), length, 0).await?;
    Ok((per_s, (cpu_s()? - before) * 1e6 / (per_s * began.elapsed().as_secs_f64())))
}

fn violations(report: &Report) -> Vec<String> {
    let mut found = Vec::new();
    let slowest = report.rounds.iter().map(|round| round.ceiling_per_s).fold(f64::INFINITY, f64::min);
    if slowest < CEILING_MIN {
        found.push(format!("void: the ceiling was {slowest:.0}/s, under {CEILING_MIN:.0}"));
    }
    if report.ratio < 0.4 {
        found.push(format!("ratio {:.2} < 0.40", report.ratio));
    }
    if report.p99_ms > 100.0 {
        found.push(format!("p99 {:.1} ms > 100 ms at 70 %", report.p99_ms));
    }
    if report.rss_mb > 256.0 {
        found.push(format!("RSS {:.0} MB > 256 MB", report.rss_mb));
    }
    found
}

/// What is measured is the gateway: the vendors have no limits, and the accounts know it.
pub(crate) const FAST_VENDORS: &[(&str, &str)] =
    &[("limit_calls", "10000"), ("limit_window_ms", "1000"), ("limit_concurrency", "32")];
pub(crate) const NO_LIMITS_ATS: &str = r#"{ "rate_limit": null }"#;
pub(crate) const NO_LIMITS_CRM: &str = r#"{ "rate_limit": null, "search_limit": null }"#;

/// A data directory with a tenant, both sandboxes, and a posting to apply to.
pub(crate) struct Stage {
    pub(crate) ats: rig::Sandbox,
    pub(crate) crm: rig::Sandbox,
    pub(crate) tenancy: Tenancy,
    pub(crate) job: String,
    pub(crate) answers: Vec<serde_json::Value>,
    pub(crate) place: rig::Place,
    ports: (u16, u16),
    _folder: tempfile::TempDir,
}

impl Stage {
    pub(crate) async fn set(seed: u64) -> Result<Self> {
        Self::set_with(seed, &[("visibility_lag_ms", "1500")]).await
    }

    /// `settings` go into both accounts.
    pub(crate) async fn set_with(seed: u64, settings: &[(&str, &str)]) -> Result<Self> {
        Self::set_over(seed, settings, Vec::new()).await
    }

    /// As that, kept where `kept` says: `CAUSEWAY_…` variables that every gateway and command here gets.
    pub(crate) async fn set_over(seed: u64, settings: &[(&str, &str)], kept: Vec<(String, String)>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let place = rig::Place { data: folder.path().join("data"), settings: kept };
        let (ats, crm) = (rig::start_sandbox("greenhouse", seed)?, rig::start_sandbox("hubspot", seed)?);
        crate::postings::publish_plain(&ats).await?;
        let mut of_accounts: BTreeMap<&str, &str> = FAST_VENDORS.iter().copied().collect();
        of_accounts.extend(settings.iter().copied());
        let tenancy = rig::set_up(&place, &ats, &crm, &of_accounts.into_iter().collect::<Vec<_>>())?;
        for (sandbox, body) in [(&ats, NO_LIMITS_ATS), (&crm, NO_LIMITS_CRM)] {
            sandbox.control("POST", "/_sandbox/settings", Some(&serde_json::from_str(body)?)).await?;
        }
        let (job, answers) = crate::postings::simplest(&ats).await?;
        let ports = (rig::free_port()?, rig::free_port()?);
        Ok(Self { ats, crm, tenancy, job, answers, place, ports, _folder: folder })
    }

    /// Where every gateway of this stage listens.
    pub(crate) fn public(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.0))
    }

    pub(crate) async fn start(&self, settings: &[(&str, &str)]) -> Result<Gateway> {
        let options = GatewayOptions {
            command: rig::gateway_command(None)?,
            settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..GatewayOptions::default()
        };
        self.start_with(&options).await
    }

    pub(crate) async fn start_with(&self, options: &GatewayOptions) -> Result<Gateway> {
        let mut options = options.clone();
        options.settings = [&self.place.settings[..], &options.settings].concat();
        rig::start_gateway(&self.place.data, &options, self.ports.0, self.ports.1).await
    }

    pub(crate) fn request(&self, applicant: &Applicant, key: &str) -> Result<Request<Full<Bytes>>> {
        documents::request(&self.tenancy.key, applicant, key)
    }
}

impl Stage {
    /// The same request as it stands on the wire.
    pub(crate) fn plain_request(&self, applicant: &Applicant, key: &str) -> Vec<u8> {
        let (content_type, body) = documents::body_of(applicant);
        let mut request = format!(
            "POST /v1/applications HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\nidempotency-key: {key}\r\n\
             content-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
            self.tenancy.key,
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(&body);
        request
    }
}

/// Every connection sends its next request when the last was answered. Returns accepts per second.
pub(crate) async fn closed_loop(
    stage: &Stage,
    to: SocketAddr,
    (run, connections): (&str, usize),
    length: Duration,
    resume_bytes: usize,
) -> Result<f64> {
    let numbers = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let until = started + length;
    let template = documents::Template::new(11, &stage.job, &stage.answers, resume_bytes);
    let workers = (0..connections).map(|_| {
        let (numbers, template) = (numbers.clone(), &template);
        async move {
            let mut wire = Wire::connect(to, Duration::from_secs(30)).await?;
            let mut accepted = 0_u64;
            while Instant::now() < until {
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                let one = template.applicant(run, number);
                let answer = wire.exchange(&stage.plain_request(&one, &format!("{run}-{number}"))).await?;
                ensure!(answer.status == 202, "{}: {}", answer.status, String::from_utf8_lossy(answer.body));
                accepted += 1;
            }
            Ok::<u64, anyhow::Error>(accepted)
        }
    });
    let counts = futures_join(workers).await?;
    #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
    Ok(counts.iter().sum::<u64>() as f64 / started.elapsed().as_secs_f64())
}

/// Requests at a steady rate, whatever the answers do; latency counts from when the request should have gone out.
pub(crate) async fn open_loop(stage: &Stage, to: SocketAddr, per_second: f64, length: Duration) -> Result<Vec<f64>> {
    let started = Instant::now();
    let numbers = Arc::new(AtomicU64::new(0));
    let template = documents::Template::new(13, &stage.job, &stage.answers, 0);
    let workers = (0..256_usize).map(|_| {
        let (numbers, template) = (numbers.clone(), &template);
        async move {
            let mut client = Client::new(to, Duration::from_secs(30));
            let mut latencies = Vec::new();
            loop {
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
                let due = started + Duration::from_secs_f64(number as f64 / per_second);
                if due > started + length {
                    return Ok::<Vec<f64>, anyhow::Error>(latencies);
                }
                tokio::time::sleep_until(due.into()).await;
                let one = template.applicant("open", number);
                let response = client.send(stage.request(&one, &format!("open-{number}"))?).await?;
                ensure!(response.status() == 202, "{}: {:?}", response.status(), response.body());
                latencies.push(due.elapsed().as_secs_f64() * 1000.0);
            }
        }
    });
    Ok(futures_join(workers).await?.into_iter().flatten().collect())
}

/// Runs all of them at once on this task.
pub(crate) async fn futures_join<T>(tasks: impl Iterator<Item = impl Future<Output = Result<T>>>) -> Result<Vec<T>> {
    let mut running: futures_util::stream::FuturesUnordered<_> = tasks.collect();
    let mut results = Vec::new();
    while let Some(result) = futures_util::StreamExt::next(&mut running).await {
        results.push(result?);
    }
    Ok(results)
}

/// A bare SQLite insert of the same bytes: one body row and two delivery rows per application, found by ids of the same
/// kind as ours, 32 applications per commit, synced. Returns applications per second.
pub(crate) fn ceiling(body: &[u8], length: Duration) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let connection = open_bare(folder.path())?;
    let started = Instant::now();
    let mut id = 0_u64;
    while started.elapsed() < length {
        insert_bare(&connection, id + 1, (0..APPLICATIONS_PER_COMMIT).map(|_| body))?;
        id += APPLICATIONS_PER_COMMIT;
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of applications")]
    Ok(id as f64 / started.elapsed().as_secs_f64())
}

/// One synced commit: a body and two deliveries each, numbered from `first`.
pub(crate) fn insert_bare<'a>(
    connection: &rusqlite::Connection,
    first: u64,
    bodies: impl Iterator<Item = &'a [u8]>,
) -> Result<()> {
    let (tenant, accounts) = (new_id(1, 7), [new_id(1, 8), new_id(1, 9)]);
    let transaction = connection.unchecked_transaction()?;
    {
        let mut insert_body =
            transaction.prepare_cached("INSERT INTO body (id, tenant, content) VALUES (?1, ?2, ?3)")?;
        let mut insert_delivery =
            transaction.prepare_cached("INSERT INTO delivery (id, body, account, due_at) VALUES (?1, ?2, ?3, ?4)")?;
        for (id, body) in (first..).zip(bodies) {
            let (key, due_at) = (new_id(id, 0), i64::try_from(id)?);
            insert_body.execute(rusqlite::params![key, tenant, body])?;
            insert_delivery.execute(rusqlite::params![new_id(id, 1), key, accounts[0], due_at])?;
            insert_delivery.execute(rusqlite::params![new_id(id, 2), key, accounts[1], due_at])?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// 16 bytes, ordered by number with a random tail, as version 7 UUIDs are.
pub(crate) fn new_id(number: u64, kind: u64) -> Vec<u8> {
    let (high, low) = (number / 32, documents::mix(number, kind));
    [high.to_be_bytes(), low.to_be_bytes()].concat()
}

pub(crate) fn open_bare(folder: &Path) -> Result<rusqlite::Connection> {
    let connection = rusqlite::Connection::open(folder.join("ceiling.db"))?;
    connection.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
         CREATE TABLE body (id BLOB NOT NULL, tenant BLOB NOT NULL, content BLOB NOT NULL);
         CREATE UNIQUE INDEX body_tenant ON body (tenant, id);
         CREATE TABLE delivery (id BLOB PRIMARY KEY, body BLOB NOT NULL, account BLOB NOT NULL, due_at INTEGER);
         CREATE INDEX delivery_due ON delivery (account, due_at) WHERE due_at IS NOT NULL;",
    )?;
    Ok(connection)
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    percentile(&mut values, 0.5)
}

pub(crate) fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let index = ((values.len() as f64 * share) as usize).min(values.len().saturating_sub(1));
    values.get(index).copied().unwrap_or(f64::NAN)
}
