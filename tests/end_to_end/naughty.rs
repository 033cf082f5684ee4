//! Names that break programs: each arrives at the vendor byte for byte, or is refused with a reason.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::people;
use crate::process::until;
use crate::rig::Rig;

#[tokio::test]
async fn a_naughty_name_arrives_byte_for_byte_or_is_refused_with_a_reason() -> Result<()> {
    let rig = Rig::new().await?;
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpora/naughty_strings.json");
    let names: Vec<String> = serde_json::from_slice(&std::fs::read(corpus)?)?;
    let (mut sent, mut refused) = (BTreeMap::new(), 0);
    for (number, name) in names.iter().enumerate() {
        let email = format!("naughty-{number}@example.org");
        let mut document = people::document(&email, &rig.job);
        document["person"]["name"]["family"] = name.as_str().into();
        let answer = rig.site.apply(&format!("naughty-{number}"), &document).await?;
        if answer.status == 202 {
            sent.insert(email, name.as_str());
            continue;
        }
        let problem = answer.json();
        ensure!([400, 422].contains(&answer.status), "{name:?}: {answer}");
        let reasons = problem["errors"].as_array().map_or(0, Vec::len);
        ensure!(answer.status == 400 || reasons > 0, "{name:?} is refused without a reason: {problem}");
        refused += 1;
    }
    ensure!(sent.len() > 400 && sent.len() + refused == names.len(), "{} sent, {refused} refused", sent.len());
    let records = until("every name to arrive", Duration::from_secs(90), async || {
        let records = rig.ats.records().await?;
        let count = records["applications"].as_array().map_or(0, Vec::len);
        ensure!(count >= sent.len(), "{count} of {}", sent.len());
        Ok(records)
    })
    .await?;
    for application in records["applications"].as_array().context("an ATS has applications")? {
        let email = application["email"].as_str().context("an address")?;
        let Some(name) = sent.remove(email) else { continue };
        let arrived = application["last_name"].as_str().or_else(|| application["fields"]["last_name"].as_str());
        ensure!(arrived == Some(name), "{name:?} arrived as {arrived:?}: {application}");
    }
    ensure!(sent.is_empty(), "never arrived: {sent:?}");
    let log = std::fs::read_to_string(rig.log())?;
    let shown = names.iter().filter(|name| name.len() > 12 && log.contains(name.as_str())).count();
    ensure!(shown == 0, "{shown} names stand in the log");
    Ok(())
}
