//! A process does what its roles say and no more, says whether it can, and stops without refusing anybody.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::people;
use crate::process::{signal, until};
use crate::rig::Rig;

const LONG: Duration = Duration::from_secs(60);

/// What `/readyz` says: its status, and each check's state.
async fn ready(rig: &Rig) -> Result<(u16, Value)> {
    let (status, text) = rig.manage("/readyz").await?;
    Ok((status, serde_json::from_str(&text).with_context(|| text.clone())?))
}

fn state_of<'a>(report: &'a Value, check: &str) -> Option<&'a str> {
    let checks = report["checks"].as_array()?;
    checks.iter().find(|one| one["check"] == check)?["state"].as_str()
}

#[tokio::test]
async fn a_process_does_what_its_roles_say() -> Result<()> {
    let mut rig = Rig::new().await?;
    rig.stop().await?;
    rig.roles("ingress,console");
    rig.start().await?;
    let id = rig.site.apply("split", &people::document("split@example.org", &rig.job)).await?.id()?;
    let (status, report) = ready(&rig).await?;
    ensure!(status == 200 && report["roles"] == json!(["ingress", "console"]), "{report}");
    ensure!(rig.manage("/v1/support/cases").await?.0 == 401, "the console asks for a key");
    let log = std::fs::read_to_string(rig.log())?;
    ensure!(log.contains("nobody has these roles") && log.contains("dispatch,events,schedule"), "{log}");
    // Its readiness row is written by now; nobody has claimed anything.
    let states = rig.site.states(&id).await?;
    ensure!(states.iter().all(|(_, state)| state == "queued"), "{states:?}");
    let (_, metrics) = rig.manage("/metrics").await?;
    for (line, shown) in [
        ("causeway_role{role=\"ingress\"} 1", true),
        ("causeway_role{role=\"dispatch\"} 0", true),
        ("causeway_submissions_total{outcome=\"accepted\"} 1", true),
        ("causeway_claims_total ", false),
        ("causeway_ledger_difference ", false),
    ] {
        ensure!(metrics.lines().any(|one| one.starts_with(line)) == shown, "{line}: {metrics}");
    }
    rig.stop().await?;

    rig.roles("dispatch,schedule,events");
    rig.start().await?;
    ensure!(TcpStream::connect(rig.site.gateway).is_err(), "there is no public listener");
    ensure!(rig.manage("/v1/support/cases").await?.0 == 404, "there is no console");
    until("both targets to be delivered", LONG, async || {
        let why = rig.why("split@example.org")?.answer()?;
        let deliveries = why["submissions"][0]["deliveries"].as_array().context("deliveries")?;
        ensure!(deliveries.len() == 2 && deliveries.iter().all(|one| one["state"] == "delivered"), "{why}");
        Ok(())
    })
    .await?;
    // A name that is no role is told, and nothing starts.
    rig.stop().await?;
    rig.roles("ingress,everything");
    let (status, said) = rig.start_refused()?;
    ensure!(!status.success() && said.contains("everything") && said.contains("dispatch"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_stop_is_told_before_the_listener_closes_and_refuses_nobody() -> Result<()> {
    let mut rig = Rig::with(&[("CAUSEWAY_RUN_DRAIN_PAUSE", "3s")]).await?;
    let slowly = json!([{ "operation": "submit", "do": "delay", "delay_ms": 200 }]);
    rig.ats.faults(&slowly).await?;
    let (told, pid) = (CancellationToken::new(), rig.pid()?);
    // Whoever sends looks at readiness, as a proxy does, and sends until it says no.
    let senders = join_all((0..4).map(|sender| {
        let (site, job, told) = (rig.site.clone(), rig.job.clone(), told.clone());
        async move {
            let mut sent = Vec::new();
            while !told.is_cancelled() {
                let email = format!("drained-{sender}-{}@example.org", sent.len());
                let answer = site.apply(&email, &people::document(&email, &job)).await?;
                ensure!(answer.status == 202, "{email}: {answer}");
                sent.push(email);
            }
            anyhow::Ok(sent)
        }
    }));
    let watching = async {
        let is_well = async || {
            let (status, report) = ready(&rig).await?;
            if status == 200 && state_of(&report, "database") == Some("ok") { Ok(()) } else { bail!("{report}") }
        };
        until("it to be well", LONG, is_well).await?;
        signal(pid, "TERM")?;
        let asked = Instant::now();
        until("it to say that it stops", LONG, async || {
            let (status, report) = ready(&rig).await?;
            ensure!(status == 503 && state_of(&report, "stop") == Some("failing"), "{report}");
            Ok(())
        })
        .await?;
        // Requests are still taken, each on a connection that ends with it.
        let late = rig.site.apply("late", &people::document("late@example.org", &rig.job)).await?;
        ensure!(late.status == 202 && late.headers["connection"] == "close", "{late}: {:?}", late.headers);
        told.cancel();
        anyhow::Ok(asked)
    };
    let (sent, asked) = tokio::join!(senders, watching);
    let asked = asked?;
    let (status, _) = rig.stopped().await?;
    ensure!(status.success() && asked.elapsed() >= Duration::from_secs(3), "{status}: the pause was kept");
    let mut emails = vec!["late@example.org".to_owned()];
    for one in sent {
        emails.extend(one?);
    }
    rig.ats.faults(&json!([])).await?;
    let cut_off: Vec<Value> = rig.ats.ledger("submit").await?;
    ensure!(cut_off.iter().all(|entry| entry["answered"] != false), "a call was cut off by the stop");
    rig.start().await?;
    for email in &emails {
        let id = rig.id_of(email)?;
        rig.site.all_are(&id, &["delivered"]).await?;
        ensure!(rig.ats.applications_of(email).await? == 1, "{email}: once");
    }
    let log = std::fs::read_to_string(rig.log())?;
    ensure!(!log.contains("leases of a process that is gone"), "the stop left no lease, so nothing unknown: {log}");
    Ok(())
}
