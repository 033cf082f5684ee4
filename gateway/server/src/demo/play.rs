//! The play: the faults, the applications in their order, the wait for quiescence, the count.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use ::http::Request;
use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http_body_util::Full;
use serde_json::{Value, json};

use super::Options;
use super::call;
use super::cast::{self, Applicant, Dice, Kind};
use super::sandboxes::Sandbox;
use super::stage::{ATS, CRM, OTHER_ATS, RETRY_SCHEDULE, Stage};
use super::tally::{self, Sent, Summary, VendorLedger};

const SENDERS: usize = 8;
const QUIESCENCE_MAX: Duration = Duration::from_secs(90);
const PROOFS_MAX: Duration = Duration::from_secs(20);

/// Progress for a person; standard output stays free for the result.
#[expect(clippy::print_stderr, reason = "progress is told on standard error")]
pub(super) fn say(what: &str) {
    eprintln!("demo: {what}");
}

/// Plays everything and counts it.
pub(super) async fn play(stage: &mut Stage, options: &Options) -> Result<Summary> {
    let mut open = stages(&stage.ats).await?;
    let elsewhere = stages(&stage.other_ats).await?;
    // Two postings are taken out of the ordinary repertoire: one is closed now, one just after the last sync.
    let closed = open.pop().context("the board publishes postings")?;
    let closing = open.pop().context("the board publishes several postings")?;
    let dice = Dice::new(options.seed);
    let mut number = 0;
    let mut company = Vec::new();
    for (kind, count) in Kind::CAST {
        let repertoire = match kind {
            Kind::ClosedJob => std::slice::from_ref(&closed),
            Kind::ClosedMeanwhile => std::slice::from_ref(&closing),
            Kind::WrongCredential => &elsewhere[..],
            Kind::Ordinary
            | Kind::MissingAnswer
            | Kind::BadResume
            | Kind::LostAnswer
            | Kind::RateLimited
            | Kind::OutageRecovered
            | Kind::NeverAnswered => &open[..],
        };
        // Only a posting that asks for something can be answered badly.
        let demanding: Vec<cast::Stage> = repertoire.iter().filter(|one| !one.answers.is_empty()).cloned().collect();
        for _ in 0..count {
            number += 1;
            let stages = if kind == Kind::MissingAnswer { &demanding } else { repertoire };
            company.push(cast::applicant(&dice, kind, number, stages));
        }
    }
    script(stage, &company).await?;
    set_live(&stage.ats, &closed.job, false).await?;
    stage.sync(ATS).await?;
    set_live(&stage.ats, &closing.job, false).await?;

    say(&format!("{} people apply: the CRM is down at first, then the ATS is flooded", company.len()));
    let sent = send_all(stage, &company).await?;
    wait_for_quiescence(stage, &sent).await?;
    let vendors =
        [read(ATS, &stage.ats).await?, read(OTHER_ATS, &stage.other_ats).await?, read(CRM, &stage.crm).await?];
    let sent: Vec<Sent> = sent.into_iter().map(|(one, _)| one).collect();
    let summary = tally::tally(&sent, &vendors, RETRY_SCHEDULE.len());
    wait_for_proofs(stage, &summary).await?;
    Ok(summary)
}

/// What the vendors are told to do wrong.
async fn script(stage: &Stage, company: &[Applicant]) -> Result<()> {
    let whom = |kind: Kind| company.iter().filter(move |one| one.kind == kind).map(|one| one.email.clone());
    let mut ats = Vec::new();
    for email in whom(Kind::LostAnswer) {
        ats.push(json!({ "operation": "submit", "when": { "email": email }, "times": 1, "do": "drop_after_commit" }));
    }
    for email in whom(Kind::NeverAnswered) {
        ats.push(json!({ "operation": "submit", "when": { "email": email }, "do": "status", "status": 503 }));
    }
    for email in whom(Kind::RateLimited) {
        ats.push(json!({
            "operation": "submit", "when": { "email": email }, "times": 1,
            "do": "status", "status": 429, "headers": { "Retry-After": "1" }
        }));
    }
    stage.ats.faults(Value::Array(ats)).await?;
    stage.crm.faults(json!([{ "operation": "*", "times": 12, "do": "status", "status": 503 }])).await?;
    // Fast vendors: the demonstration is about what happens, not about waiting for a quota.
    let generous = json!({ "rate_limit": { "calls": 20_000, "window_ms": 10_000 }, "visibility_lag_ms": 1_500 });
    for sandbox in [&stage.ats, &stage.other_ats, &stage.crm] {
        sandbox.call("POST", "/_sandbox/settings", Some(&generous)).await?;
    }
    Ok(())
}

async fn set_live(ats: &Sandbox, job: &str, live: bool) -> Result<()> {
    ats.call("POST", &format!("/_sandbox/jobs/{job}"), Some(&json!({ "live": live }))).await.map(drop)
}

/// The open postings with what their forms require, read from the public board as any site could.
pub(super) async fn stages(ats: &Sandbox) -> Result<Vec<cast::Stage>> {
    let board = ats.settings["board_token"].as_str().context("a board has a token")?;
    let list = ats.call("GET", &format!("/v1/boards/{board}/jobs"), None).await?;
    let mut stages = Vec::new();
    for job in list["jobs"].as_array().context("a board lists jobs")? {
        let id = job["id"].to_string();
        let form = ats.call("GET", &format!("/v1/boards/{board}/jobs/{id}?questions=true"), None).await?;
        stages.push(stage_of(id, &form));
    }
    Ok(stages)
}

fn stage_of(job: String, form: &Value) -> cast::Stage {
    let mut stage = cast::Stage { job, answers: Vec::new(), files: Vec::new() };
    for question in form["questions"].as_array().into_iter().flatten().filter(|question| question["required"] == true) {
        let fields: Vec<&Value> = question["fields"].as_array().into_iter().flatten().collect();
        let name = |field: &&&Value| field["name"].as_str().unwrap_or_default().trim_end_matches("[]").to_owned();
        let Some(first) = fields.iter().map(|field| (name(&field), *field)).next() else { continue };
        match first {
            (name, _) if name.starts_with("resume") => stage.files.push(("resume", None)),
            (name, _) if name.starts_with("cover_letter") => stage.files.push(("cover_letter", None)),
            (name, field) if field["type"] == "input_file" => stage.files.push(("other", Some(name))),
            (name, field) if name.starts_with("question_") => stage.answers.push(answer(&name, field)),
            _ => {}
        }
    }
    stage
}

fn answer(question: &str, field: &Value) -> Value {
    let first = &field["values"][0];
    let id = first["value"].as_str().map_or_else(|| first["value"].to_string(), str::to_owned);
    let option = json!({ "id": id, "label": first["label"] });
    match field["type"].as_str() {
        Some("multi_value_single_select") => json!({ "question": question, "option": option }),
        Some("multi_value_multi_select") => json!({ "question": question, "options": [option] }),
        _ => json!({ "question": question, "value": "Ja · oui · はい" }),
    }
}

/// Sends in order, a few at a time; each answer is definite. With each the id of its receipt, if there is one.
async fn send_all(stage: &Stage, company: &[Applicant]) -> Result<Vec<(Sent, Option<String>)>> {
    let shown = indicatif::ProgressBar::new(company.len() as u64);
    if !std::io::stderr().is_terminal() {
        shown.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let sent = futures_util::stream::iter(company)
        .map(|one| async {
            let sent = send(stage, one).await;
            shown.inc(1);
            sent
        })
        .buffered(SENDERS)
        .try_collect()
        .await;
    shown.finish_and_clear();
    sent
}

async fn send(stage: &Stage, one: &Applicant) -> Result<(Sent, Option<String>)> {
    let document = serde_json::to_vec(&one.document)?;
    let (content_type, body) = if one.files.is_empty() {
        ("application/json".to_owned(), Bytes::from(document))
    } else {
        let files: Vec<_> =
            one.files.iter().map(|file| (file.id, file.name.as_str(), file.media_type, &file.bytes[..])).collect();
        call::multipart(&document, &files)
    };
    let request = Request::post("/v1/applications")
        .header("host", stage.public().to_string())
        .header("authorization", format!("Bearer {}", stage.key))
        .header("idempotency-key", format!("demo-{}", one.email))
        .header("content-type", content_type)
        .body(Full::new(body))?;
    let (status, body) = call::send(stage.public(), request).await?;
    let answer: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if status >= 500 {
        bail!("the gateway answered {status} {}", answer["code"]);
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let targets = answer["targets"].as_array().into_iter().flatten().filter_map(|target| text(&target["account"]));
    let sent = Sent {
        kind: one.kind,
        email: one.email.clone(),
        job: one.job.clone(),
        status,
        reason: text(&answer["errors"][0]["code"]).or_else(|| text(&answer["code"])).filter(|_| status != 202),
        targets: targets.collect(),
    };
    Ok((sent, text(&answer["id"])))
}

/// Until no target of any accepted application is on its way, by the public API.
async fn wait_for_quiescence(stage: &Stage, sent: &[(Sent, Option<String>)]) -> Result<()> {
    say("waiting until every delivery is settled");
    let authorization = format!("Bearer {}", stage.key);
    let headers = [("authorization", authorization.as_str())];
    let mut open: Vec<&String> = sent.iter().filter_map(|(_, id)| id.as_ref()).collect();
    let deadline = Instant::now() + QUIESCENCE_MAX;
    while !open.is_empty() {
        let mut still_open = Vec::new();
        for id in open {
            let (status, view) =
                call::json(stage.public(), "GET", &format!("/v1/applications/{id}"), &headers, None).await?;
            let targets = view["targets"].as_array().map_or(&[][..], Vec::as_slice);
            // What is held because many failed alike goes on by itself.
            let on_its_way = |target: &Value| {
                matches!(target["state"].as_str(), Some("queued" | "in_flight" | "verifying" | "waiting") | None)
                    || target["reason"] == "fails_alike"
            };
            if status != 200 || targets.is_empty() || targets.iter().any(on_its_way) {
                still_open.push(id);
            }
        }
        open = still_open;
        if Instant::now() > deadline {
            say(&format!("{} applications are still on their way after {QUIESCENCE_MAX:?}", open.len()));
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Until what was delivered of each example was read back at its vendor. Nothing depends on it but what a visitor reads.
async fn wait_for_proofs(stage: &Stage, summary: &Summary) -> Result<()> {
    say("waiting until the examples were read back at their vendors");
    let authorization = format!("Bearer {}", stage.key);
    let headers = [("authorization", authorization.as_str())];
    let deadline = Instant::now() + PROOFS_MAX;
    for example in &summary.examples {
        let query = json!({ "email": example.email, "job": example.job });
        loop {
            let (status, report) =
                call::json(stage.management(), "POST", "/v1/support/lookup", &headers, Some(&query)).await?;
            let submissions = report["submissions"].as_array().into_iter().flatten();
            let mut deliveries = submissions.flat_map(|one| one["deliveries"].as_array().into_iter().flatten());
            if status == 200 && deliveries.all(|one| one["proofs"]["read_back_due_at"].is_null()) {
                break;
            }
            if Instant::now() > deadline {
                say("not everything was read back in time; the gateway goes on with it");
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(())
}

async fn read(account: &str, sandbox: &Sandbox) -> Result<VendorLedger> {
    Ok(VendorLedger {
        account: account.to_owned(),
        entries: sandbox.ledger().await?,
        records: sandbox.call("GET", "/_sandbox/records", None).await?,
    })
}
