//! The engines that are optional, or that hold the attachments: a Redis and a bucket that come, hang and go.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use causeway_servers::{Redis, S3};

use crate::people;
use crate::process::{run, until};
use crate::rig::Rig;
use crate::site::{Answer, Site};

const BOUND: Duration = Duration::from_secs(60);

/// An application with a file.
async fn apply(rig: &Rig, name: &str) -> Result<Answer> {
    let (email, resume) = (format!("{name}@example.org"), b"I build bridges\n".repeat(20_000));
    let document = people::with_resume(people::document(&email, &rig.job), "cv.txt", &resume);
    let content_type = people::multipart_type();
    let headers = [("content-type", content_type.as_str()), ("idempotency-key", name)];
    rig.site.post(&headers, people::with_file(&document, "cv.txt", &resume)).await
}

async fn delivers(rig: &Rig, name: &str) -> Result<()> {
    let answer = apply(rig, name).await?;
    ensure!(answer.status == 202, "{name}: {answer}");
    rig.site.all_are(&answer.id()?, &["delivered"]).await?;
    ensure!(rig.ats.applications_of(&format!("{name}@example.org")).await? == 1, "{name}: once");
    Ok(())
}

async fn redis_is(rig: &Rig, up: bool) -> Result<()> {
    let desk = Site { gateway: rig.management, key: String::new() };
    let line = format!("causeway_redis_up {}", u8::from(up));
    until(&line, BOUND, async || {
        let answer = desk.send("GET", "/metrics", &[], Bytes::new()).await?;
        let text = String::from_utf8_lossy(&answer.bytes);
        ensure!(text.lines().any(|found| found == line), "not there");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn it_delivers_whatever_becomes_of_redis_and_takes_no_file_that_it_cannot_put() -> Result<()> {
    let (redis, bucket) = (Redis::start()?, S3::start()?);
    redis.kill()?;
    let (url, endpoint) = (redis.url(), bucket.endpoint());
    let settings = [
        ("CAUSEWAY_REDIS_URL", url.as_str()),
        ("CAUSEWAY_REDIS_GATEWAYS", "2"),
        ("CAUSEWAY_BLOBS_URL", "s3://causeway/files"),
        ("CAUSEWAY_BLOBS_ENDPOINT", endpoint.as_str()),
        ("CAUSEWAY_BLOBS_ACCESS_KEY_ID", "test"),
        ("CAUSEWAY_BLOBS_SECRET_ACCESS_KEY", "canary-secret"),
    ];
    let rig = Rig::with(&settings).await?;
    redis_is(&rig, false).await?;
    delivers(&rig, "without").await?;
    let data = rig.data().display().to_string();
    let settings: Vec<(&str, &str)> = settings.into_iter().chain([("CAUSEWAY_DATA_DIR", data.as_str())]).collect();
    let doctor = run(&settings, &["doctor"], "")?;
    ensure!(doctor.stdout.contains("there is no connection: check that it runs"), "{}", doctor.stdout);
    ensure!(doctor.stdout.contains("put, listed, read and deleted"), "{}", doctor.stdout);
    ensure!(!doctor.stdout.contains("canary-secret") && !doctor.stdout.contains(redis.password()), "{}", doctor.stdout);

    redis.restart()?;
    redis_is(&rig, true).await?;
    delivers(&rig, "with").await?;
    redis.freeze()?;
    delivers(&rig, "hung").await?;
    redis.thaw()?;
    redis_is(&rig, true).await?;

    bucket.kill()?;
    let refused = apply(&rig, "late").await?;
    ensure!(refused.status == 503 && refused.code() == "store_unavailable", "{refused}");
    bucket.restart()?;
    until("it is taken", BOUND, async || {
        let answer = apply(&rig, "late").await?;
        ensure!(answer.status == 202, "{answer}");
        Ok(())
    })
    .await?;
    delivers(&rig, "late").await
}

#[test]
fn what_cannot_be_meant_names_the_key() -> Result<()> {
    for (settings, told) in [
        (&[("CAUSEWAY_REDIS_URL", "localhost")][..], "redis.url: write redis://"),
        (&[("CAUSEWAY_BLOBS_URL", "bucket")], "blobs.url: write s3://bucket"),
        (
            &[
                ("CAUSEWAY_BLOBS_URL", "s3://bucket"),
                ("CAUSEWAY_BLOBS_ACCESS_KEY_ID", "id"),
                ("CAUSEWAY_BLOBS_SECRET_ACCESS_KEY", "canary"),
                ("CAUSEWAY_BLOBS_ENDPOINT", "http://93.184.216.34"),
            ],
            "http is for a loopback or private address only",
        ),
    ] {
        let folder = tempfile::tempdir()?;
        let data = folder.path().display().to_string();
        let settings: Vec<(&str, &str)> =
            settings.iter().copied().chain([("CAUSEWAY_DATA_DIR", data.as_str())]).collect();
        ensure!(run(&settings, &["keys", "init-root"], "")?.code == 0, "a root key");
        for command in ["serve", "doctor"] {
            let ran = run(&settings, &[command], "")?;
            let said = format!("{}{}", ran.stdout, ran.stderr);
            ensure!(ran.code != 0 && said.contains(told) && !said.contains("canary"), "{command}: {said}");
        }
    }
    Ok(())
}
