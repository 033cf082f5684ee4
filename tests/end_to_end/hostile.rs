//! Clients that mean no good, a few of each kind: memory bounded, places free again, honest ones served.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use futures_util::future::join_all;
use http::Request;
use http_body_util::Full;

use crate::people;
use crate::rig::Rig;

#[path = "../../loadtests/src/hostile/mod.rs"]
mod clients;
use clients::attack::Kind;

#[tokio::test]
async fn clients_that_mean_no_good_take_nothing_from_the_others() -> Result<()> {
    let rig = Rig::with(&[("CAUSEWAY_LIMITS_BODY_DEADLINE", "15s")]).await?;
    let target = clients::Target {
        public: rig.site.gateway,
        management: rig.management,
        key: rig.site.key.clone(),
        pid: rig.pid()?,
    };
    let honest = |number: u64| {
        let document = people::document(&format!("honest-{number}@example.org"), &rig.job);
        let request = Request::post("/v1/applications")
            .header("host", "gateway")
            .header("authorization", format!("Bearer {}", rig.site.key))
            .header("idempotency-key", format!("honest-{number}"))
            .header("content-type", "application/json");
        Ok(request.body(Full::new(Bytes::from(document.to_string())))?)
    };
    // Those that only wait for a time-out of half a minute and more are the load test's.
    let quick = [
        Kind::SlowBody,
        Kind::HalfBody,
        Kind::NeverReads,
        Kind::ManyHeaders,
        Kind::HugeHeader,
        Kind::BigBodies,
        Kind::WideDocuments,
        Kind::NoWindow,
        Kind::Resets,
        Kind::EndlessHeader,
        Kind::Settings,
    ];
    ensure!(quick.iter().all(|kind| Kind::ALL.contains(kind)), "every kind is in the list of all");
    let report = clients::run(&target, &quick, 6, honest).await?;
    ensure!(report.violations.is_empty(), "{report:?}");
    Ok(())
}

/// Those that may wait for a disk or a database, and what a gateway has besides: its workers, writers and watchers.
const THREADS_MAX: usize = 32 + 16;

#[tokio::test]
async fn many_files_at_once_are_written_by_few_threads() -> Result<()> {
    let rig = Rig::new().await?;
    let (rig, kind) = (&rig, people::multipart_type());
    let file = vec![b'x'; 200 * 1024];
    let uploads = (0..160).map(|number| {
        let document = people::document(&format!("many-{number}@example.org"), &rig.job);
        let (document, kind) = (people::with_resume(document, "cv.txt", &file), &kind);
        let body = people::with_file(&document, "cv.txt", &file);
        async move { rig.site.post(&[("content-type", kind)], body).await }
    });
    let mut uploads = std::pin::pin!(join_all(uploads));
    let (mut most, threads) = (0, format!("/proc/{}/task", rig.pid()?));
    let answers = loop {
        most = most.max(std::fs::read_dir(&threads)?.count());
        tokio::select! {
            answers = &mut uploads => break answers,
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    };
    for answer in answers {
        let answer = answer?;
        ensure!(answer.status == 202, "{}: {}", answer.status, answer.json());
    }
    ensure!((32..=THREADS_MAX).contains(&most), "{most} threads");
    Ok(())
}
