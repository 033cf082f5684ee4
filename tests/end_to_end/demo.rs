//! `causeway demo --once --json`: it ends well, its sums agree, `why` says of each example what the vendors' ledgers say,
//! and shows the three proofs of what was delivered.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::process::run;

const LIMIT: Duration = Duration::from_secs(120);

const KINDS: [&str; 10] = [
    "ordinary",
    "missing_answer",
    "bad_resume",
    "closed_job",
    "closed_meanwhile",
    "wrong_credential",
    "lost_answer",
    "rate_limited",
    "outage_recovered",
    "never_answered",
];

#[test]
fn the_demonstration_loses_nothing_and_can_be_explained() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("demo");
    let data = data.to_str().context("a path of ours")?;
    let began = Instant::now();
    let ran = run(&[], &["demo", "--once", "--json", "--data", data, "--seed", "1"], "")?;
    let took = began.elapsed();
    ensure!(ran.code == 0, "{ran:?}");
    ensure!(took <= LIMIT, "{took:?}");
    let summary = ran.json()?;
    let count = |name: &str| summary[name].as_u64().with_context(|| format!("{name} in {summary}"));
    ensure!(count("submitted")? == count("accepted")? + count("refused")?, "{summary}");
    let mut fates = 0;
    for fate in ["delivered", "refused_by_vendor", "parked", "held", "cancelled", "lost"] {
        fates += count(fate)?;
    }
    ensure!(count("targets")? == fates && count("targets")? > count("accepted")?, "{summary}");
    ensure!(count("lost")? == 0 && count("duplicates_at_vendor")? == 0, "{summary}");
    ensure!(count("submitted")? >= 200, "some hundred: {summary}");

    let examples = summary["examples"].as_array().context("examples")?;
    for kind in KINDS {
        ensure!(examples.iter().filter(|one| one["kind"] == kind).count() == 1, "one example of {kind}: {summary}");
    }
    let mut wrong = Vec::new();
    for example in examples {
        let text = |member: &str| example[member].as_str().context("an example names whom to ask about");
        let asked = run(&[], &["why", "--data", data, "--email", text("email")?, "--job", text("job")?, "--json"], "")?;
        let answer = asked.json().unwrap_or(Value::Null);
        let submission = &answer["submissions"][0];
        let said = (&submission["reason"]["code"], &submission["who_acts"]);
        for delivery in submission["deliveries"].as_array().into_iter().flatten() {
            if delivery["state"] == "delivered" && !delivery["proofs"]["seen_at"].is_string() {
                wrong.push(format!("{example}\n  was not read back: {delivery}"));
            }
        }
        if asked.code != 0 || said != (&example["expect"]["code"], &example["expect"]["who_acts"]) {
            wrong.push(format!(
                "{example}\n  exit {}, {said:?}: {}\n  {}",
                asked.code, submission["reason"], submission["deliveries"]
            ));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));

    let nobody = run(&[], &["why", "--data", data, "--email", "nobody@example.org", "--json"], "")?;
    ensure!(nobody.code == 3 && nobody.json()?["found"] == false, "{nobody:?}");
    Ok(())
}
