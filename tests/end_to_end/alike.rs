//! Many that fail in the same way: held in one case, one tried on schedule, all let go once it went through.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::people;
use crate::process::until;
use crate::rig::Rig;

const MANY: usize = 4;

/// The account's case, as the support engineer sees it.
fn case(rig: &Rig) -> Result<Value> {
    let cases = rig.ask(&["cases"])?;
    let list = cases["cases"].as_array().or_else(|| cases.as_array()).context("a list of cases")?;
    let found: Vec<&Value> = list.iter().filter(|case| case["reason"] == "fails_alike").collect();
    ensure!(found.len() == 1, "one case: {cases}");
    Ok(found[0].clone())
}

/// Where the ATS's delivery of this application stands, once it is one of these.
async fn ats_is(rig: &Rig, id: &str, wanted: &[&str]) -> Result<String> {
    until(&format!("{id} to be {wanted:?}"), Duration::from_secs(45), async || {
        let states = rig.site.states(id).await?;
        let ats = states.iter().find(|(account, _)| account == "greenhouse").context("an ATS")?;
        ensure!(wanted.contains(&ats.1.as_str()), "{states:?}");
        Ok(ats.1.clone())
    })
    .await
}

async fn apply(rig: &Rig, from: usize, to: usize) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for number in from..to {
        let document = people::document(&format!("alike-{number}@example.org"), &rig.job);
        ids.push(rig.site.apply(&format!("alike-{number}"), &document).await?.id()?);
    }
    Ok(ids)
}

#[tokio::test]
async fn what_many_fail_at_costs_one_call_at_a_time_and_ends_by_itself() -> Result<()> {
    let settings = [("CAUSEWAY_ALIKE_AFTER", "4"), ("CAUSEWAY_ALIKE_PROBES", "1s")];
    let mut rig = Rig::with(&settings).await?;
    let refuses = json!([{ "operation": "submit", "do": "status", "status": 422, "body": {
        "status": 422, "errors": [{ "message": "Phone is invalid", "field": "phone" }],
    } }]);
    rig.ats.faults(&refuses).await?;
    let first = apply(&rig, 0, MANY).await?;
    let mut refused = 0;
    for id in &first {
        refused += usize::from(ats_is(&rig, id, &["refused", "held"]).await? == "refused");
    }
    ensure!(refused == MANY - 1, "who was refused before many were noticed: {refused}");
    let later = apply(&rig, MANY, 3 * MANY).await?;
    for id in &later {
        ats_is(&rig, id, &["held"]).await?;
    }
    let told = case(&rig)?;
    ensure!(told["deliveries"] == 3 * MANY && told["alike"]["vendor_status"] == 422, "{told}");
    // Of every call since, each was a probe: the eight cost none of their own.
    let probes = told["alike"]["failed_probes"].as_u64().context("a count")?;
    let calls = rig.ats.fired().await?;
    ensure!(calls <= MANY as u64 + probes + 2, "{calls} calls, {probes} of them failed probes");
    let why = rig.why(&format!("alike-{MANY}@example.org"))?.answer()?;
    let ats = why["submissions"][0]["deliveries"].as_array().context("deliveries")?;
    ensure!(ats.iter().any(|one| one["held"] == "fails_alike" && one["reason"]["code"] == "fails_alike"), "{why}");
    let found = rig.cli(&["doctor", "--json"], "")?;
    ensure!(found.stdout.contains("deliveries of greenhouse"), "{}", found.stdout);

    rig.kill()?;
    rig.start().await?;
    ensure!(case(&rig)?["id"] == told["id"], "the case outlives the process");
    let fresh = apply(&rig, 3 * MANY, 3 * MANY + 1).await?;
    ats_is(&rig, &fresh[0], &["held"]).await?;

    rig.ats.faults(&json!([])).await?;
    for id in later.iter().chain(&fresh) {
        rig.site.all_are(id, &["delivered"]).await?;
    }
    let mut delivered = 0;
    for id in &first {
        delivered += usize::from(ats_is(&rig, id, &["refused", "delivered"]).await? == "delivered");
    }
    ensure!(delivered == 1, "who was refused stays refused until a person replays it");
    let left = case(&rig)?;
    ensure!(left["deliveries"] == MANY - 1, "the case is about who was refused, until a person decides: {left}");
    Ok(())
}
