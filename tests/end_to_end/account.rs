//! An account's life: checked, refused by its vendor, paused, mended, resumed; and what `doctor` says of a mistake.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::people;
use crate::process::{run, until};
use crate::rig::Rig;

#[tokio::test]
async fn a_refused_credential_holds_everything_in_one_case_until_it_is_mended() -> Result<()> {
    let rig = Rig::new().await?;
    rig.ats.settings(&json!({ "credentials_valid": false })).await?;
    let mut ids = Vec::new();
    for number in 0..3 {
        let document = people::document(&format!("held-{number}@example.org"), &rig.job);
        ids.push(rig.site.apply(&format!("held-{number}"), &document).await?.id()?);
    }
    for id in &ids {
        let states = rig.site.all_are(id, &["held", "delivered"]).await?;
        ensure!(states.contains(&("greenhouse".to_owned(), "held".to_owned())), "the ATS's is held: {states:?}");
        ensure!(states.contains(&("hubspot".to_owned(), "delivered".to_owned())), "the CRM's is not: {states:?}");
    }
    let cases = rig.ask(&["cases"])?;
    let cases: Vec<&Value> =
        cases.as_array().context("cases")?.iter().filter(|case| case["reason"] == "credentials_refused").collect();
    ensure!(cases.len() == 1 && cases[0]["deliveries"] == 3 && cases[0]["who_acts"] == "admin", "one case: {cases:?}");
    let account = rig.ask(&["accounts", "show", "greenhouse"])?;
    ensure!(account["paused"]["reason"] == "credentials_refused", "{account}");
    let why = rig.why("held-0@example.org")?.answer()?;
    let submission = &why["submissions"][0];
    ensure!(submission["reason"]["code"] == "credentials_refused" && submission["who_acts"] == "admin", "{submission}");
    // Refused credentials pause the account; they do not burn attempts.
    let tried = rig.ats.ledger("submit").await?.len();
    ensure!(tried <= 3, "{tried} tries");

    // Mended at the vendor, as a revoked and reissued permission is; then the admin says so here.
    rig.ats.settings(&json!({ "credentials_valid": true })).await?;
    rig.ask(&["accounts", "resume", "greenhouse"])?;
    for (number, id) in ids.iter().enumerate() {
        rig.site.all_are(id, &["delivered"]).await?;
        ensure!(rig.ats.applications_of(&format!("held-{number}@example.org")).await? == 1, "exactly once");
    }
    let cases = rig.ask(&["cases"])?;
    ensure!(cases.as_array().is_some_and(Vec::is_empty), "the case is closed: {cases}");
    Ok(())
}

#[tokio::test]
async fn a_mistyped_secret_is_corrected_and_what_was_held_goes_out() -> Result<()> {
    let rig = Rig::new().await?;
    let file = rig.beside().join("mistyped");
    std::fs::write(&file, "mistyped\n")?;
    let mistyped = format!("board_api_key={}", file.display());
    let shown = rig.cli(&["accounts", "update", "greenhouse", "--secret-file", &mistyped, "--json"], "")?;
    ensure!(shown.code == 0 && !shown.stdout.contains("mistyped"), "{shown:?}");
    let id = rig.site.apply("mistyped", &people::document("mistyped@example.org", &rig.job)).await?.id()?;
    let states = rig.site.all_are(&id, &["held", "delivered"]).await?;
    ensure!(states.contains(&("greenhouse".to_owned(), "held".to_owned())), "refused: {states:?}");
    // Neither a replay nor a resume helps while the secret is wrong; a replay says what to do instead.
    let why = rig.why("mistyped@example.org")?.answer()?;
    let deliveries = why["submissions"][0]["deliveries"].as_array().context("deliveries")?;
    let held = deliveries.iter().find(|one| one["state"] == "held").context("the held one")?;
    let replayed = rig.cli(&["replay", held["id"].as_str().context("its id")?], "")?;
    ensure!(replayed.code == 1 && replayed.stderr.contains("resume the account"), "{replayed:?}");

    let right = rig.ats.told["credentials"]["board_api_key"].as_str().context("what the vendor gave out")?;
    let update = ["accounts", "update", "greenhouse", "--secret", "board_api_key=-", "--json"];
    let updated = rig.cli(&update, &format!("{right}\n"))?;
    ensure!(updated.code == 0 && !updated.stdout.contains(right), "{updated:?}");
    rig.ask(&["accounts", "resume", "greenhouse"])?;
    rig.site.all_are(&id, &["delivered"]).await?;
    ensure!(rig.ats.applications_of("mistyped@example.org").await? == 1, "exactly once");
    Ok(())
}

#[tokio::test]
async fn a_check_answers_each_permission() -> Result<()> {
    let rig = Rig::set_up(&[]).await?;
    for account in ["greenhouse", "hubspot"] {
        let checked = rig.ask(&["accounts", "check", account])?;
        let checked = checked.as_array().context("a list")?;
        ensure!(!checked.is_empty(), "{account} has permissions");
        for one in checked {
            ensure!(one["verdict"] == "yes" || one["verdict"] == "not_testable", "{account}: {one}");
            ensure!(one["text"].as_str().is_some_and(|text| !text.is_empty()), "in words: {one}");
        }
        let table = rig.cli(&["accounts", "check", account], "")?;
        ensure!(
            table.code == 0 && table.stdout.contains("permission") && table.stdout.contains("meaning"),
            "{table:?}"
        );
    }
    rig.crm.settings(&json!({ "credentials_valid": false })).await?;
    let refused = rig.cli(&["accounts", "check", "hubspot", "--json"], "")?;
    let checked = refused.json()?;
    let no = checked.as_array().into_iter().flatten().any(|one| one["verdict"] == "no");
    ensure!(refused.code == 1 && no, "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn paused_by_a_person_waits_for_a_person() -> Result<()> {
    let rig = Rig::new().await?;
    rig.ask(&["accounts", "pause", "hubspot"])?;
    let id = rig.site.apply("paused", &people::document("paused@example.org", &rig.job)).await?.id()?;
    until("the pause to hold it", Duration::from_secs(30), async || {
        let states = rig.site.states(&id).await?;
        let held = states.contains(&("hubspot".to_owned(), "held".to_owned()));
        if held { Ok(()) } else { bail!("{states:?}") }
    })
    .await?;
    rig.ask(&["accounts", "resume", "hubspot"])?;
    rig.site.all_are(&id, &["delivered"]).await?;
    Ok(())
}

#[test]
fn doctor_names_the_key_the_line_and_the_remedy() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("causeway.toml");
    let path = file.to_str().context("a path of ours")?;
    for (text, key, line, remedy) in [
        ("[limits]\nconcurency = 3\n", "limits.concurency", "line 2", "limits.concurrency"),
        ("\n[limits]\n\ndeadline = \"soon\"\n", "limits.deadline", "line 4", "30s"),
        ("[listen]\npublic = 8080\n", "listen.public", "line 2", "\""),
        ("[listen\n", "causeway.toml", "line 1", "]"),
    ] {
        std::fs::write(&file, text)?;
        for command in ["doctor", "serve"] {
            let ran = run(&[], &[command, "--config", path], "")?;
            let said = format!("{}{}", ran.stdout, ran.stderr);
            ensure!(ran.code == 1, "{text}: {ran:?}");
            for words in [key, line, remedy] {
                ensure!(said.contains(words), "{command} does not say {words:?}: {said}");
            }
        }
    }
    Ok(())
}

#[test]
fn doctor_tells_every_mistake_at_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("causeway.toml");
    std::fs::write(&file, "[limits]\nconcurency = 3\nconcurrency = 0\ndeadline = \"soon\"\n[retry]\nschedule = []\n")?;
    let ran = run(&[], &["doctor", "--config", file.to_str().context("a path of ours")?], "")?;
    for told in ["line 2: limits.concurency", "line 3: limits.concurrency", "line 4: limits.deadline", "line 6: retry."]
    {
        ensure!(ran.code == 1 && ran.stdout.contains(told), "{told}: {ran:?}");
    }
    Ok(())
}

/// Each file below a folder and what is in it.
fn contents(folder: &std::path::Path) -> Result<Vec<(std::path::PathBuf, Vec<u8>)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(contents(&path)?);
        } else if path.is_file() {
            found.push((path.clone(), std::fs::read(&path)?));
        }
    }
    found.sort();
    Ok(found)
}

#[tokio::test]
async fn doctor_looks_at_the_store_and_the_accounts_with_and_without_a_gateway() -> Result<()> {
    let mut rig = Rig::set_up(&[]).await?;
    let names = ["SQLite", "store settings", "store migrations", "store root key", "audit chain", "audit anchor"];
    let looked = |ran: &crate::process::Ran| -> Result<Value> {
        let answer = ran.json()?;
        let findings = answer["findings"].as_array().context("findings")?;
        for name in names.iter().copied().chain(["account greenhouse", "account hubspot"]) {
            let found =
                findings.iter().find(|finding| finding["what"].as_str().is_some_and(|what| what.starts_with(name)));
            ensure!(found.is_some_and(|found| found["state"] == "well"), "{name}: {answer}");
        }
        Ok(answer)
    };
    let before = contents(&rig.data())?;
    let ran = rig.cli(&["doctor", "--json"], "")?;
    looked(&ran)?;
    ensure!(contents(&rig.data())? == before, "nothing was written: {ran:?}");

    rig.start().await?;
    let answer = looked(&rig.cli(&["doctor", "--json"], "")?)?;
    ensure!(answer.to_string().contains("credentials of greenhouse"), "the vendors were asked: {answer}");

    // Killed, so that a log is left beside the database; then the database as it was before is put back.
    rig.form_is_there(&rig.job).await?;
    rig.stop().await?;
    rig.start().await?;
    rig.kill()?;
    let before = contents(&rig.data())?;
    looked(&rig.cli(&["doctor", "--json"], "")?)?;
    ensure!(contents(&rig.data())? == before, "nothing was written");
    Ok(())
}

#[tokio::test]
async fn a_database_that_was_put_back_is_refused_with_the_remedy() -> Result<()> {
    let mut rig = Rig::set_up(&[]).await?;
    let older = std::fs::read(rig.data().join("causeway.db"))?;
    rig.ask(&["keys", "create", "--name", "later", "--scope", "read"])?;
    let newer = std::fs::read(rig.data().join("causeway.db"))?;
    ensure!(!rig.data().join("causeway.db-wal").exists(), "the database is whole in its file");
    std::fs::write(rig.data().join("causeway.db"), older)?;
    for command in ["serve", "doctor"] {
        let ran = rig.cli(&[command], "")?;
        let said = format!("{}{}", ran.stdout, ran.stderr);
        ensure!(ran.code == 1 && said.contains("Bring the newer database back"), "{command}: {ran:?}");
    }
    std::fs::write(rig.data().join("causeway.db"), newer)?;
    rig.start().await
}

#[tokio::test]
async fn policy_is_reloaded_by_a_signal_and_by_a_command_and_a_mistake_keeps_it() -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    let path = file.path().to_str().context("a path of ours")?;
    let write = |text: &str| std::fs::write(file.path(), text);
    write("[sync]\njobs = \"1m\"\n")?;
    let rig = Rig::with(&[("CAUSEWAY_CONFIG", path)]).await?;
    write("[sync]\njobs = \"5m\"\n[limits]\nquota_burst = 77\n")?;
    let reloaded = rig.ask(&["reload"])?;
    ensure!(
        reloaded["changed"][0]["key"] == "sync.jobs" && reloaded["restart"][0] == "limits.quota_burst",
        "{reloaded}"
    );
    write("[sync]\njobs = \"6m\"\nforms = \"soon\"\n")?;
    let refused = rig.cli(&["reload"], "")?;
    ensure!(refused.code == 1 && refused.stderr.contains("line 3: sync.forms: write a duration"), "{refused:?}");
    write("[sync]\njobs = \"7m\"\n")?;
    crate::process::signal(rig.pid()?, "HUP")?;
    until("the signal to be heard", Duration::from_secs(30), async || {
        let log = std::fs::read_to_string(rig.log())?;
        // From five minutes: the mistake in between changed nothing.
        if log.contains("\"from\":\"\\\"5m\\\"\"") { Ok(()) } else { bail!("{log}") }
    })
    .await
}
