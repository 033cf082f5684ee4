//! What a 202 promises: a kill, a lost answer or a stop at the worst moment neither loses an application nor doubles it.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::people;
use crate::process::signal;
use crate::rig::Rig;

const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The CRM's applications of a tenant, by the reference each carries.
async fn at_crm(rig: &Rig) -> Result<Vec<String>> {
    let records = rig.crm.records().await?;
    let tickets = records["tickets"].as_array().context("a CRM has tickets")?;
    let mut references: Vec<String> = tickets
        .iter()
        .filter_map(|one| one["properties"]["causeway_application_id"].as_str())
        .map(str::to_owned)
        .collect();
    references.sort();
    Ok(references)
}

#[tokio::test]
async fn killed_right_after_its_202_it_is_delivered_once() -> Result<()> {
    let mut rig = Rig::new().await?;
    let mut ids = Vec::new();
    for round in 0..3 {
        let email = format!("killed-{round}@example.org");
        let resume = b"I build bridges\n";
        let document = people::with_resume(people::document(&email, &rig.job), "cv.txt", resume);
        let (content_type, key) = (people::multipart_type(), format!("killed-{round}"));
        let headers = [("content-type", content_type.as_str()), ("idempotency-key", &key)];
        let body = people::with_file(&document, "cv.txt", resume);
        let first = rig.site.post(&headers, body.clone()).await?;
        rig.kill()?;
        rig.start().await?;
        let again = rig.site.post(&headers, body).await?;
        ensure!(again.status == 202 && again.bytes == first.bytes, "the same receipt after a kill: {first} {again}");
        ids.push(first.id()?);
    }
    for (round, id) in ids.iter().enumerate() {
        rig.site.all_are(id, &["delivered"]).await?;
        ensure!(rig.ats.applications_of(&format!("killed-{round}@example.org")).await? == 1, "once at the ATS");
    }
    let mut expected = ids.clone();
    expected.sort();
    ensure!(at_crm(&rig).await? == expected, "once at the CRM: {:?}, not {expected:?}", at_crm(&rig).await?);
    let submitted = rig.ats.ledger("submit").await?;
    let with_resume = |entry: &Value| entry["record"]["resume_sha256"].is_string();
    ensure!(submitted.iter().filter(|entry| with_resume(entry)).count() == 3, "each with its résumé: {submitted:?}");
    Ok(())
}

#[tokio::test]
async fn an_answer_lost_after_commit_is_found_and_not_sent_twice() -> Result<()> {
    let rig = Rig::new().await?;
    rig.ats.faults(&json!([{ "operation": "submit", "times": 3, "do": "drop_after_commit" }])).await?;
    let mut ids = Vec::new();
    for number in 0..3 {
        let document = people::document(&format!("unheard-{number}@example.org"), &rig.job);
        ids.push(rig.site.apply(&format!("unheard-{number}"), &document).await?.id()?);
    }
    for (number, id) in ids.iter().enumerate() {
        rig.site.all_are(id, &["delivered"]).await?;
        let email = format!("unheard-{number}@example.org");
        ensure!(rig.ats.applications_of(&email).await? == 1, "{email}: once");
        let why = rig.why(&email)?.answer()?;
        let deliveries = why["submissions"][0]["deliveries"].as_array().context("deliveries")?;
        let delivery = deliveries.iter().find(|one| one["account"] == "greenhouse").context("the ATS's")?;
        let attempts = delivery["attempts"].as_array().context("attempts")?;
        ensure!(attempts.iter().any(|one| one["is_lookup"] == true), "it asked the vendor: {delivery}");
        ensure!(delivery["possible_duplicate"] == false && delivery["proofs"]["vendor_id"].is_string(), "{delivery}");
    }
    ensure!(rig.ats.fired().await? == 3, "the answers were lost");
    Ok(())
}

#[tokio::test]
async fn told_to_stop_under_load_it_finishes_what_it_began() -> Result<()> {
    let mut rig = Rig::new().await?;
    let slowly = json!([{ "operation": "submit", "do": "delay", "delay_ms": 300 }]);
    rig.ats.faults(&slowly).await?;
    let (site, job, pid) = (rig.site.clone(), rig.job.clone(), rig.pid()?);
    let load = stream::iter(0..400)
        .map(|number| {
            let (site, job) = (site.clone(), job.clone());
            async move {
                if number == 120 {
                    signal(pid, "TERM")?;
                }
                let email = format!("loaded-{number}@example.org");
                let answered = site.apply(&email, &people::document(&email, &job)).await;
                // No answer, or a 503 while it stops: not accepted as far as the site knows.
                anyhow::Ok(answered.ok().filter(|answer| answer.status == 202).map(|_| email))
            }
        })
        .buffer_unordered(8);
    let answered: Vec<Result<Option<String>>> = load.collect().await;
    let mut accepted = Vec::new();
    for one in answered {
        accepted.extend(one?);
    }
    let (status, took) = rig.stopped().await?;
    ensure!(status.success() && took <= STOP_LIMIT, "{status} after {took:?}");
    ensure!(accepted.len() >= 100 && accepted.len() < 400, "it stopped under load: {} accepted", accepted.len());

    let unanswered = |entry: &&Value| entry["answered"] == false;
    let submitted = rig.ats.ledger("submit").await?;
    ensure!(!submitted.is_empty() && !submitted.iter().any(|one| unanswered(&one)), "a call was cut off by the stop");
    rig.ats.faults(&json!([])).await?;
    rig.start().await?;
    for email in &accepted {
        let id = rig.id_of(email)?;
        rig.site.all_are(&id, &["delivered"]).await?;
    }
    let records = rig.ats.records().await?;
    let held: Vec<&str> = records["applications"]
        .as_array()
        .context("applications")?
        .iter()
        .filter_map(|one| one["email"].as_str())
        .collect();
    for email in &accepted {
        ensure!(held.iter().filter(|one| *one == email).count() == 1, "{email}: once");
    }
    let why = rig.ask(&["why", "--account", "greenhouse", "--limit", "200"])?;
    let attempts = |one: &Value| one["deliveries"].as_array().cloned().unwrap_or_default();
    let unknown: Vec<Value> = why["submissions"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(attempts)
        .flat_map(|delivery| delivery["attempts"].as_array().cloned().unwrap_or_default())
        .filter(|attempt| attempt["class"] == "unknown")
        .collect();
    ensure!(unknown.is_empty(), "a graceful stop leaves nothing unknown: {unknown:?}");
    Ok(())
}

#[tokio::test]
async fn a_crash_leaves_no_core_dump() -> Result<()> {
    let mut rig = Rig::new().await?;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", rig.pid()?))?;
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).context("a limit")?;
    let figures: Vec<&str> = core.split_whitespace().filter(|word| *word == "0" || *word == "unlimited").collect();
    ensure!(figures == ["0", "0"], "neither limit can be raised again: {core}");
    signal(rig.pid()?, "ABRT")?;
    let (status, _) = rig.stopped().await?;
    ensure!(status.signal().is_some() && !status.core_dumped(), "{status:?}");
    Ok(())
}
