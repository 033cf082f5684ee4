//! Clients that mean no good, a few of each kind: memory bounded, places free again, honest ones served.

use anyhow::{Result, ensure};
use bytes::Bytes;
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
