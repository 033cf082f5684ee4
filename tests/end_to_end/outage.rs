//! When nothing can be made durable: 503 with a time to come back, nothing acknowledged, nothing lost, and on again.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rusqlite::Connection;

use crate::people;
use crate::process::{run, until};
use crate::rig::Rig;
use crate::site::Answer;

fn refused_for_now(answer: &Answer) -> Result<()> {
    ensure!(answer.status == 503 && answer.code() == "store_unavailable", "{answer}");
    let after = answer.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    ensure!(after.is_some_and(|seconds| (1..=300).contains(&seconds)), "Retry-After in {:?}", answer.headers);
    Ok(())
}

/// Sends until it is taken; what was answered before must have said "later".
async fn taken_in_the_end(rig: &Rig, key: &str, document: &serde_json::Value) -> Result<String> {
    until("it to recover", Duration::from_secs(60), async || {
        let answer = rig.site.apply(key, document).await?;
        if answer.status != 202 {
            refused_for_now(&answer)?;
        }
        answer.id()
    })
    .await
}

#[tokio::test]
async fn a_locked_database_is_said_and_outlived() -> Result<()> {
    let mut rig = Rig::new().await?;
    let intruder = Connection::open(rig.data().join("causeway.db"))?;
    intruder.execute_batch("BEGIN EXCLUSIVE")?;
    let document = people::document("locked@example.org", &rig.job);
    refused_for_now(&rig.site.apply("locked", &document).await?)?;
    ensure!(rig.runs()?, "it stays up");
    intruder.execute_batch("ROLLBACK")?;
    let id = taken_in_the_end(&rig, "locked", &document).await?;
    rig.site.all_are(&id, &["delivered"]).await?;
    let why = rig.why("locked@example.org")?.answer()?;
    let accepted = why["submissions"].as_array().context("submissions")?;
    let accepted = accepted.iter().filter(|one| one["outcome"] == "accepted").count();
    ensure!(accepted == 1 && rig.ats.applications_of("locked@example.org").await? == 1, "once: {why}");
    Ok(())
}

#[tokio::test]
async fn a_full_disk_is_said_and_outlived() -> Result<()> {
    let mut rig = Rig::set_up(&[]).await?;
    rig.small_disk()?;
    rig.start().await?;
    rig.form_is_there(&rig.job).await?;
    let resume = b"I build bridges\n".repeat(20_000);
    let content_type = people::multipart_type();
    let mut accepted = Vec::new();
    let (disk, pid, data) = rig.disk()?;
    disk.fill(pid, &data)?;
    let mut refused = 0;
    for number in 0..6 {
        let email = format!("full-{number}@example.org");
        let document = people::with_resume(people::document(&email, &rig.job), "cv.txt", &resume);
        let key = format!("full-{number}");
        let headers = [("content-type", content_type.as_str()), ("idempotency-key", key.as_str())];
        match rig.site.post(&headers, people::with_file(&document, "cv.txt", &resume)).await {
            Ok(answer) if answer.status == 202 => accepted.push((email, answer.id()?)),
            Ok(answer) => {
                refused_for_now(&answer)?;
                refused += 1;
            }
            Err(_) if disk.may_end_the_gateway() => refused += 1,
            Err(error) => return Err(error),
        }
    }
    ensure!(refused > 0, "the disk was full");
    if rig.runs()? {
        disk.empty(pid, &data)?;
    } else {
        ensure!(disk.may_end_the_gateway(), "it stays up");
        ensure!(!rig.stopped().await?.0.success(), "and says that it failed");
        rig.start().await?;
    }
    let email = "full-after@example.org".to_owned();
    let id = taken_in_the_end(&rig, "full-after", &people::document(&email, &rig.job)).await?;
    accepted.push((email, id));
    for (email, id) in accepted {
        rig.site.all_are(&id, &["delivered"]).await?;
        ensure!(rig.ats.applications_of(&email).await? == 1, "{email}: once");
    }
    Ok(())
}

#[tokio::test]
async fn with_the_wrong_root_key_it_refuses_and_touches_nothing() -> Result<()> {
    let mut rig = Rig::new().await?;
    let id = rig.site.apply("key", &people::document("key@example.org", &rig.job)).await?.id()?;
    rig.site.all_are(&id, &["delivered"]).await?;
    ensure!(rig.stop().await?.0.success(), "a clean stop");
    let right = rig.data().join("root.key");
    let aside = rig.beside().join("right.key");
    std::fs::rename(&right, &aside)?;
    let (status, said) = rig.start_refused()?;
    ensure!(!status.success() && said.contains("root key") && said.contains("init-root"), "without a key: {said}");

    let other = tempfile::tempdir()?;
    let path = other.path().to_str().context("a path of ours")?;
    ensure!(run(&[("CAUSEWAY_DATA_DIR", path)], &["keys", "init-root"], "")?.code == 0, "another root key");
    std::fs::rename(other.path().join("root.key"), &right)?;
    let database = rig.data().join("causeway.db");
    let before = std::fs::read(&database)?;
    let (status, said) = rig.start_refused()?;
    ensure!(!status.success() && said.contains("root key"), "{status}: {said}");
    ensure!(std::fs::read(&database)? == before, "the data is as it was");

    std::fs::rename(&aside, &right)?;
    rig.start().await?;
    ensure!(rig.why("key@example.org")?.answer()?["found"] == true, "with the right key all is there");
    Ok(())
}
