//! A backup taken under load, restored elsewhere after the vendors moved on: nothing is lost that came before it, nobody
//! comes back who was erased since, and nothing is sent twice.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::people;
use crate::process::run;
use crate::rig::Rig;

fn person(number: u64) -> String {
    format!("person-{number}@example.org")
}

/// Submits, and answers the application's id.
async fn apply(rig: &Rig, number: u64) -> Result<String> {
    let document = people::document(&person(number), &rig.job);
    rig.site.apply(&format!("backup-{number}"), &document).await?.id()
}

#[tokio::test]
async fn a_backup_under_load_comes_back_whole_and_sends_nothing_twice() -> Result<()> {
    let mut rig = Rig::new().await?;
    let mut early = Vec::new();
    for number in 0..12 {
        early.push(apply(&rig, number).await?);
    }
    for id in &early {
        rig.site.all_are(id, &["delivered"]).await?;
    }
    // These are waiting when the backup is taken, and are delivered after it.
    rig.ats.faults(&json!([{ "operation": "submit", "probability": 1.0, "do": "status", "status": 503 }])).await?;
    let mut waiting = Vec::new();
    for number in 12..16 {
        let id = apply(&rig, number).await?;
        rig.site.all_are(&id, &["waiting", "queued", "in_flight", "delivered"]).await?;
        waiting.push(id);
    }
    let folder = rig.beside().join("backup");
    let into = folder.to_str().context("a path")?.to_owned();
    let done = AtomicU64::new(0);
    let load = async {
        let mut number = 100;
        while done.load(Ordering::Relaxed) == 0 || number < 120 {
            apply(&rig, number).await?;
            number += 1;
        }
        anyhow::Ok(())
    };
    let backup = async {
        let (data, into) = (rig.data(), into.clone());
        let ran = tokio::task::spawn_blocking(move || {
            let data = data.to_str().unwrap_or_default().to_owned();
            let arguments = ["backup", "--out", &into, "--json"];
            crate::process::run(&[("CAUSEWAY_DATA_DIR", data.as_str())], &arguments, "")
        })
        .await??;
        done.store(1, Ordering::Relaxed);
        ran.answer()
    };
    let (loaded, report) = tokio::join!(load, backup);
    loaded?;
    let report = report?;
    ensure!(report["report"]["submissions"].as_u64() >= Some(16), "{report}");
    let again = rig.cli(&["backup", "--out", &into], "")?;
    ensure!(again.code == 1 && again.stderr.contains("not empty"), "{again:?}");

    // The vendor moves on, a person is erased, and the machine is lost.
    rig.ats.faults(&json!([])).await?;
    for id in &waiting {
        rig.site.all_are(id, &["delivered"]).await?;
    }
    rig.cli(&["erase", "--email", "-", "--yes", "--json"], &person(3))?.answer()?;
    rig.kill()?;
    restore(&rig, &into)?;
    rig.start().await?;
    // Its key may have been revoked since the backup; one that is made now was not.
    let known = rig.site.key.clone();
    let refused = rig.site.apply("backup-shut", &people::document(&person(499), &rig.job)).await?;
    ensure!(refused.status == 401, "the key opens nothing yet: {refused:?}");
    let fresh = rig.ask(&["keys", "create", "--name", "since", "--scope", "submit,read,support"])?;
    fresh["text"].as_str().context("keys create answers the key's text")?.clone_into(&mut rig.site.key);
    held_until_confirmed(&rig, &early, &waiting).await?;
    rig.site.key = known;
    apply(&rig, 501).await?;
    Ok(())
}

/// Refused as long as something is missing, then made, beside what is left of the old folder.
fn restore(rig: &Rig, from: &str) -> Result<()> {
    let data = rig.data();
    let onto = rig.cli(&["restore", "--from", from, "--erasures", "none"], "")?;
    ensure!(onto.code == 1 && onto.stderr.contains("not empty"), "old state is not overwritten: {onto:?}");
    let lost = rig.beside().join("lost");
    std::fs::rename(&data, &lost)?;
    std::fs::create_dir(&data)?;
    let key = rig.cli(&["restore", "--from", from, "--erasures", "none"], "")?;
    ensure!(key.code == 1 && key.stderr.contains("root key"), "the root key is in no backup: {key:?}");
    rig.ask(&["keys", "init-root"])?;
    let wrong = rig.cli(&["restore", "--from", from, "--erasures", "none"], "")?;
    ensure!(wrong.code == 1 && wrong.stderr.contains("root key is not the one"), "{wrong:?}");
    std::fs::copy(lost.join("root.key"), data.join("root.key"))?;
    let silent = rig.cli(&["restore", "--from", from], "")?;
    ensure!(silent.code == 1 && silent.stderr.contains("--erasures"), "it asks who was erased since: {silent:?}");
    ensure!(std::fs::read_dir(&data)?.count() == 1, "nothing but the key is there after all that");
    let log = lost.join("erasures.log");
    let restored = rig.ask(&["restore", "--from", from, "--erasures", log.to_str().context("a path")?])?;
    ensure!(restored["erased_again"].as_u64() >= Some(1) && restored["accounts_paused"] == 2, "{restored}");
    Ok(())
}

async fn held_until_confirmed(rig: &Rig, early: &[String], waiting: &[String]) -> Result<()> {
    let before = rig.ats.ledger("submit").await?.len();
    for (number, id) in early.iter().enumerate() {
        let answer = rig.why(&person(u64::try_from(number)?))?.answer()?;
        if number == 3 {
            ensure!(answer["erased_at"].is_string(), "who was erased stays erased: {answer}");
        } else {
            ensure!(answer["submissions"][0]["id"] == id.as_str(), "{number}: {answer}");
        }
    }
    for id in waiting {
        let states = rig.site.states(id).await?;
        // One that was on the wire when the backup was taken is asked about, and that waits too.
        let waits =
            |(account, state): &(String, String)| account == "greenhouse" && ["held", "verifying"].contains(&&**state);
        ensure!(states.iter().any(waits), "{states:?}");
    }
    let later = apply(rig, 500).await?;
    rig.site.all_are(&later, &["held"]).await?;
    ensure!(rig.ats.ledger("submit").await?.len() == before, "nothing was sent");
    let account = rig.ask(&["accounts", "show", "greenhouse"])?;
    ensure!(account["paused"]["reason"] == "restored", "{account}");

    let confirmed = rig.ask(&["restore", "confirm"])?;
    ensure!(confirmed["accounts"] == 2 && confirmed["keys"][0]["name"] == "site", "{confirmed}");
    let twice = rig.cli(&["restore", "confirm"], "")?;
    ensure!(twice.code == 1 && twice.stderr.contains("no restore waits"), "{twice:?}");
    for id in waiting.iter().chain([&later]) {
        rig.site.all_are(id, &["delivered"]).await?;
    }
    for number in 12..16 {
        ensure!(rig.ats.applications_of(&person(number)).await? == 1, "{number} exactly once");
    }
    ensure!(rig.ats.applications_of(&person(500)).await? == 1, "what came after the restore");
    Ok(())
}

#[test]
fn a_restore_without_its_root_key_asks_for_the_old_one_and_makes_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [from, into] = ["backup", "new"].map(|name| folder.path().join(name).display().to_string());
    let ran = run(&[], &["restore", "--from", &from, "--erasures", "none", "--data", &into], "")?;
    let advises = ran.stderr.contains("was sealed with: copy it to") && !ran.stderr.contains("init-root");
    ensure!(ran.code == 1 && advises, "{ran:?}");
    ensure!(!std::path::Path::new(&into).exists(), "nothing was made");
    Ok(())
}
