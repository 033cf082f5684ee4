//! A support engineer's tickets: "nothing since Tuesday" by account and window, a receipt's code, a job by any of its ids;
//! and the shape of the answer.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::people;
use crate::process::until;
use crate::rig::Rig;

fn text<'a>(value: &'a Value, member: &str) -> Result<&'a str> {
    value[member].as_str().with_context(|| format!("{member} in {value}"))
}

#[tokio::test]
async fn every_form_of_the_question_is_answered() -> Result<()> {
    let rig = Rig::new().await?;
    let receipt = rig.site.apply("one", &people::document("first@example.org", &rig.job)).await?;
    let first = receipt.id()?;
    rig.site.all_are(&first, &["delivered"]).await?;
    let mut incomplete = people::document("second@example.org", &rig.job);
    incomplete["person"].as_object_mut().context("a person")?.remove("name");
    ensure!(rig.site.apply("two", &incomplete).await?.status == 422);
    let second =
        until("the refusal to be found", Duration::from_secs(30), async || rig.id_of("second@example.org")).await?;

    let code = text(&receipt.json(), "code")?.to_owned();
    let spoken = code.to_lowercase().replace('-', " ");
    let account = rig.ask(&["accounts", "show", "greenhouse"])?;
    let account = text(&account["account"], "id")?;
    let job = &rig.ask(&["jobs", "show", &rig.job])?[0]["posting"];
    let (vendor_job, requisition) = (text(job, "vendor_job_id")?, job["requisition_code"].as_str());
    let came = |email: &str| -> Result<String> {
        Ok(text(&rig.why(email)?.answer()?["submissions"][0], "received_at")?.to_owned())
    };
    let (one, two) = (came("first@example.org")?, came("second@example.org")?);

    let both = vec![second.as_str(), first.as_str()];
    let check = |question: &[&str], expected: &[&str]| -> Result<()> {
        let ran = rig.cli(&[&["why", "--json"], question].concat(), "")?;
        let answer = ran.json()?;
        let ids: Vec<&str> =
            answer["submissions"].as_array().into_iter().flatten().filter_map(|one| one["id"].as_str()).collect();
        ensure!(ids == expected, "{question:?}: {ids:?}, not {expected:?}");
        let (code, found) = if expected.is_empty() { (3, false) } else { (0, true) };
        ensure!(ran.code == code && answer["found"] == found, "{question:?}: {ran:?}");
        Ok(())
    };
    check(&["--account", "greenhouse", "--since", &one], &both)?;
    check(&["--account", account, "--since", "1h"], &both)?;
    check(&["--account", "greenhouse", "--since", &one, "--until", &two], &[&first])?;
    check(&["--account", "hubspot", "--since", &one], &[&first])?;
    check(&["--since", &two], &[&second])?;
    check(&["--since", "1970-01-01"], &both)?;
    for spelling in [&code, &code.to_lowercase(), &spoken] {
        check(&["--code", spelling], &[&first])?;
    }
    for id in [Some(rig.job.as_str()), Some(vendor_job), requisition].into_iter().flatten() {
        check(&["--account", "greenhouse", "--job", id], &both)?;
        check(&["--since", "1h", "--job", id], &both)?;
        check(&["--email", "first@example.org", "--job", id], &[&first])?;
    }
    check(&["--since", "1h", "--job", "no-such-job"], &[])?;
    check(&["--account", "greenhouse", "--since", "2199-01-01"], &[])?;
    check(&["--account", "nobody's"], &[])?;
    let nothing = rig.cli(&["why", "--account", "greenhouse", "--since", "2199-01-01", "--json"], "")?.json()?;
    let told = text(&nothing, "text")?;
    ensure!(
        told.contains("0 unreadable requests in that window") && told.contains("from 2199-01-01 00:00:00"),
        "{told}"
    );
    Ok(())
}

/// `{found, submissions[]{id, code, received_at, outcome, reason{code, pointer, text}, who_acts, deliveries[]{account,
/// state, proofs, attempts[]}, for_customer, for_applicant}}`, and the three proofs of what was delivered.
#[tokio::test]
async fn the_answer_has_its_shape_and_the_three_proofs() -> Result<()> {
    let rig = Rig::new().await?;
    let id = rig.site.apply("shape", &people::document("shape@example.org", &rig.job)).await?.id()?;
    rig.site.all_are(&id, &["delivered"]).await?;
    let answer = until("both to be read back", Duration::from_secs(60), async || {
        let answer = rig.why("shape@example.org")?.answer()?;
        let deliveries = answer["submissions"][0]["deliveries"].as_array().context("deliveries")?;
        let seen = deliveries.iter().all(|one| one["proofs"]["seen_at"].is_string());
        ensure!(deliveries.len() == 2 && seen, "{deliveries:?}");
        Ok(answer)
    })
    .await?;
    ensure!(answer["found"] == true, "{answer}");
    let submission = &answer["submissions"][0];
    for member in ["id", "code", "received_at", "outcome", "who_acts", "for_customer", "for_applicant"] {
        ensure!(submission[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {submission}");
    }
    let reason = submission["reason"].as_object().context("a reason")?;
    ensure!(["code", "pointer", "text"].iter().all(|member| reason.contains_key(*member)), "{reason:?}");
    for delivery in submission["deliveries"].as_array().into_iter().flatten() {
        ensure!(delivery["account"].is_string() && delivery["state"] == "delivered", "{delivery}");
        for proof in ["sent_at", "vendor_said_yes_at", "vendor_id", "seen_at"] {
            ensure!(delivery["proofs"][proof].is_string(), "{proof}: {delivery}");
        }
        ensure!(delivery["attempts"].as_array().is_some_and(|attempts| !attempts.is_empty()), "{delivery}");
    }
    let told = text(submission, "for_customer")?;
    for sentence in ["It was sent to greenhouse", "greenhouse said yes", "It was read back at greenhouse"] {
        ensure!(told.contains(sentence), "{told}");
    }
    ensure!(text(submission, "received_at")?.parse::<jiff::Timestamp>().is_ok());
    Ok(())
}
