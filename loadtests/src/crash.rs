//! The crash run: the real program under load with both sandboxes, killed at random, answers dropped after the vendor's
//! commit; then the three ledgers are compared. A run with too few kills, deliveries or lost answers is void.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use causeway::hash::sha256_hex;
use serde::Serialize;
use serde_json::{Value, json};

use crate::accept::{Stage, futures_join};
use crate::checker::{self, Sent, Verdict};
use crate::client::Client;
use crate::documents;
use crate::ledgers::{self, Desk};
use crate::postings::{self, Open};
use crate::rig::{self, GatewayOptions};

/// How the run goes.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The promise of a control that has to be caught.
    pub(crate) broken: Option<&'static str>,
    pub(crate) kills: u64,
    pub(crate) submissions: u64,
    pub(crate) seed: u64,
    /// How long the vendors hide new records, and how long the accounts say they do.
    pub(crate) lag: Duration,
    pub(crate) claimed_lag: Duration,
    /// The share of vendor answers lost after the vendor's commit.
    pub(crate) lost_answers: f64,
}

/// What it came to.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) kills: u64,
    /// Kills that came within a millisecond or two of an accept, while more were to come.
    pub(crate) kills_under_load: u64,
    #[serde(flatten)]
    pub(crate) verdict: Verdict,
    pub(crate) dropped_after_commit: u64,
    pub(crate) first_2xx_after_kill_max_s: f64,
    pub(crate) took_s: f64,
    pub(crate) violations: Vec<String>,
}

const WORKERS: u64 = 12;
const MEAN_BETWEEN_KILLS: Duration = Duration::from_millis(1_300);
const RESUME_BYTES: usize = 24 * 1024;
const QUIESCENCE_MAX: Duration = Duration::from_secs(240);

pub(crate) async fn run(plan: &Plan) -> Result<Report> {
    let began = Instant::now();
    let stage = Stage::set_with(plan.seed, &[("visibility_lag_ms", &plan.claimed_lag.as_millis().to_string())]).await?;
    script_the_vendors(&stage, plan).await?;
    let postings =
        postings::open(&stage.ats).await?.into_iter().filter(|one| !one.needs_more_files).collect::<Vec<_>>();
    let options = GatewayOptions {
        command: rig::gateway_command(plan.broken)?,
        settings: [
            ("CAUSEWAY_RETRY_SCHEDULE", "200ms,500ms,1s,2s,2s,3s,3s,3s,5s,5s,5s,5s,5s,5s,5s,5s,5s,5s"),
            ("CAUSEWAY_DISPATCH_BREAKER_OPEN_FIRST", "200ms"),
            ("CAUSEWAY_DISPATCH_BREAKER_OPEN_MOST", "1s"),
            ("CAUSEWAY_RETRY_VERIFY_GAP", "500ms"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
        ..GatewayOptions::default()
    };

    let progress = Progress::default();
    let sending = send_all(&stage, plan, &postings, &progress);
    let killing = kill_repeatedly(&stage, plan, &options, &progress);
    let (sent, (gateway, slowest)) = tokio::try_join!(sending, killing)?;
    eprintln!("sent; waiting for quiescence");
    let desk = Desk { management: gateway.management, key: stage.tenancy.key.clone() };
    let lookups = ledgers::look_up(&desk, &sent, QUIESCENCE_MAX).await?;
    let (created, dropped) = ledgers::at_vendors(&stage.ats, &stage.crm).await?;
    gateway.stop()?;

    let mut report = Report {
        seed: plan.seed,
        kills: progress.kills.load(Ordering::Relaxed),
        kills_under_load: progress.kills_under_load.load(Ordering::Relaxed),
        verdict: checker::check(&sent, &created, &lookups),
        dropped_after_commit: dropped,
        first_2xx_after_kill_max_s: slowest.as_secs_f64(),
        took_s: began.elapsed().as_secs_f64(),
        violations: Vec::new(),
    };
    report.violations = violations(&report, plan);
    Ok(report)
}

#[derive(Default)]
struct Progress {
    answered: AtomicU64,
    kills: AtomicU64,
    kills_under_load: AtomicU64,
    all_sent: AtomicBool,
}

async fn script_the_vendors(stage: &Stage, plan: &Plan) -> Result<()> {
    let lag = u64::try_from(plan.lag.as_millis())?;
    for sandbox in [&stage.ats, &stage.crm] {
        let settings = json!({ "visibility_lag_ms": lag });
        sandbox.control("POST", "/_sandbox/settings", Some(&settings)).await?;
    }
    let lost = |operation: &str, share: f64| json!({ "operation": operation, "probability": share, "do": "drop_after_commit" });
    stage.ats.faults(json!([lost("submit", plan.lost_answers), { "operation": "submit", "probability": 0.01, "do": "status", "status": 503 }])).await?;
    stage
        .crm
        .faults(json!([
            lost("contact_create", plan.lost_answers / 4.0),
            lost("record_upsert", plan.lost_answers / 4.0)
        ]))
        .await
}

/// Sends every submission until its answer is definite: a caller with no answer sends again with the same key.
async fn send_all(stage: &Stage, plan: &Plan, postings: &[Open], progress: &Progress) -> Result<Vec<Sent>> {
    let public = stage.public();
    let next = Arc::new(AtomicU64::new(0));
    // Steady, so that a kill finds requests under way; and never far ahead of the kills.
    let pace = MEAN_BETWEEN_KILLS
        .mul_f64(f64::from(u32::try_from(WORKERS * plan.kills)?) / f64::from(u32::try_from(plan.submissions)?));
    let workers = (0..WORKERS).map(|_| {
        let next = next.clone();
        async move {
            let mut client = Client::new(public, Duration::from_secs(5));
            let mut sent = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= plan.submissions {
                    return Ok(sent);
                }
                tokio::time::sleep(pace).await;
                while number * plan.kills > (progress.kills.load(Ordering::Relaxed) + 2) * plan.submissions {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                sent.push(send_until_definite(stage, plan, postings, number, &mut client).await?);
                progress.answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let sent = futures_join(workers).await?.into_iter().flatten().collect();
    progress.all_sent.store(true, Ordering::Relaxed);
    Ok(sent)
}

async fn send_until_definite(
    stage: &Stage,
    plan: &Plan,
    postings: &[Open],
    number: u64,
    client: &mut Client,
) -> Result<Sent> {
    let draw = documents::mix(plan.seed, number ^ 0x5eed);
    let posting = &postings[usize::try_from(draw % postings.len() as u64)?];
    let with_resume = posting.needs_resume || draw.is_multiple_of(4);
    let size = if with_resume { RESUME_BYTES } else { 0 };
    let one = documents::applicant("crash", plan.seed, number, &posting.id, &posting.answers, size);
    let mut sent = Sent {
        email: one.email.clone(),
        job: posting.id.clone(),
        given: one.given.clone(),
        family: one.family.clone(),
        resume_sha256: one.resume.as_deref().map(sha256_hex),
        accepted: None,
    };
    let give_up = Instant::now() + Duration::from_secs(120);
    loop {
        let answer = client.send(stage.request(&one, &format!("crash-{number}"))?).await;
        match answer {
            Ok(response) if response.status() == 202 => {
                let receipt: Value = serde_json::from_slice(response.body())?;
                sent.accepted = Some(receipt["id"].as_str().context("a receipt has an id")?.to_owned());
                return Ok(sent);
            }
            Ok(response) if response.status().as_u16() < 500 && response.status() != 429 => {
                bail!("applicant {number}, job {}: {} {:?}", posting.id, response.status(), response.body());
            }
            Ok(_) | Err(_) => {
                ensure!(Instant::now() < give_up, "applicant {number} got no definite answer in two minutes");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Kills and restarts until the plan's kills are done. Returns the living gateway and the slowest recovery.
async fn kill_repeatedly(
    stage: &Stage,
    plan: &Plan,
    options: &GatewayOptions,
    progress: &Progress,
) -> Result<(rig::Gateway, Duration)> {
    let mut gateway = stage.start_with(options).await?;
    let mut slowest = Duration::ZERO;
    for kill in 0..plan.kills {
        // At random: uniform over a window around the mean, then at once when the next answer is seen.
        let wait = 300 + documents::mix(plan.seed, kill.wrapping_add(77)) % 1_700;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let answered = progress.answered.load(Ordering::Relaxed);
        while progress.answered.load(Ordering::Relaxed) == answered && !progress.all_sent.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        progress.kills_under_load.fetch_add(u64::from(!progress.all_sent.load(Ordering::Relaxed)), Ordering::Relaxed);
        let killed_at = Instant::now();
        gateway.kill();
        let before = progress.answered.load(Ordering::Relaxed);
        gateway = stage.start_with(options).await?;
        progress.kills.fetch_add(1, Ordering::Relaxed);
        while progress.answered.load(Ordering::Relaxed) == before && !progress.all_sent.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        slowest = slowest.max(killed_at.elapsed());
        if kill % 10 == 9 {
            eprintln!("{} kills, {} answered", kill + 1, progress.answered.load(Ordering::Relaxed));
        }
    }
    while !progress.all_sent.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok((gateway, slowest))
}

fn violations(report: &Report, plan: &Plan) -> Vec<String> {
    let verdict = &report.verdict;
    let mut found: Vec<String> = [
        ("lost", verdict.lost),
        ("phantom", verdict.phantom),
        ("corrupt", verdict.corrupt),
        ("unflagged duplicates", verdict.duplicates_unflagged),
        ("duplicates that their own attempts do not explain", verdict.duplicates_unexplained),
        ("flags without an ambiguous attempt", verdict.flagged_without_cause),
        ("stored twice", verdict.stored_twice),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .map(|(what, count)| format!("{count} {what}"))
    .collect();
    if report.first_2xx_after_kill_max_s > 5.0 {
        found.push(format!("first 2xx {:.1} s after a kill", report.first_2xx_after_kill_max_s));
    }
    if verdict.resolved_by_find * 10 < verdict.answers_lost * 9 {
        found.push(format!("{} of {} lost answers resolved by find", verdict.resolved_by_find, verdict.answers_lost));
    }
    let mut void = Vec::new();
    if report.kills < plan.kills {
        void.push(format!("{} of {} kills", report.kills, plan.kills));
    }
    if report.kills_under_load * 10 < plan.kills * 9 {
        void.push(format!("{} of {} kills under load", report.kills_under_load, plan.kills));
    }
    if verdict.delivered * 100 < verdict.targets * 99 {
        void.push(format!("{} of {} targets delivered", verdict.delivered, verdict.targets));
    }
    let lost_answers_min = if plan.submissions >= 20_000 { 30 } else { 1 };
    if report.dropped_after_commit < lost_answers_min {
        void.push(format!("{} answers dropped after commit", report.dropped_after_commit));
    }
    found.extend(void.into_iter().map(|why| format!("void: {why}")));
    found
}
