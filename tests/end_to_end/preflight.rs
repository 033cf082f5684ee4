//! Preflight and submit over every posting of the board: the figure of `loadtests preflight`, smaller. And the quick
//! start's other half: a page with a publishable key, a test key beside a live one.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::figure::{self, Setting};
use crate::people;
use crate::rig::Rig;
use crate::sandbox::Sandbox;

const DOCUMENTS: u64 = 300;

#[tokio::test]
async fn preflight_says_what_submit_says_and_passes_nothing_that_a_vendor_refuses() -> Result<()> {
    let mut rig = Rig::set_up(&[]).await?;
    // What is compared is what is said and done, not how fast: the vendors have no limits, and the accounts know it.
    rig.ats.settings(&json!({ "rate_limit": null })).await?;
    rig.crm.settings(&json!({ "rate_limit": null, "search_limit": null })).await?;
    for account in ["greenhouse", "hubspot"] {
        let limits = ["--set", "limit_calls=10000", "--set", "limit_window_ms=1000", "--set", "limit_concurrency=16"];
        rig.ask(&[&["accounts", "update", account][..], &limits].concat())?;
    }
    rig.start().await?;
    let setting = Setting {
        gateway: rig.site.gateway,
        key: rig.site.key.clone(),
        ats: rig.ats.address,
        ats_told: rig.ats.told.clone(),
    };
    let report = figure::run(&setting, DOCUMENTS, 1).await?;
    ensure!(report.violations.is_empty(), "{}", serde_json::to_string_pretty(&report)?);
    ensure!(report.postings >= 19 && report.accepted >= DOCUMENTS / 10, "{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

#[tokio::test]
async fn a_test_key_fills_the_sandbox_and_leaves_the_live_accounts_alone() -> Result<()> {
    let rig = Rig::new().await?;
    let (ats, crm) = (Sandbox::start("greenhouse").await?, Sandbox::start("hubspot").await?);
    rig.add_account("greenhouse", "ats", &ats, &["--name", "try-ats", "--sandbox"])?;
    rig.add_account("hubspot", "crm", &crm, &["--name", "try-crm", "--sandbox"])?;
    let job = ats.publish("Bridge Keeper", &people::plain_questions()).await?;
    rig.ask(&["jobs", "sync", "try-ats"])?;
    let key = rig.ask(&["keys", "create", "--name", "try", "--scope", "submit,read", "--test"])?;
    let mut tester = rig.site.clone();
    key["text"].as_str().context("the key's text")?.clone_into(&mut tester.key);

    // Both boards were seeded alike: the same id is another posting in each world.
    let form = tester.send("GET", &format!("/v1/jobs/{job}/form"), &[], Bytes::new()).await?;
    ensure!(form.status == 200 && form.json()["test"] == true, "{form}");
    let document = people::document("try@example.org", &job);
    let tried = tester.apply("same-key", &document).await?;
    ensure!(tried.json()["test"] == true, "{tried}");
    let states = tester.all_are(&tried.id()?, &["delivered", "held"]).await?;
    let accounts: Vec<&str> = states.iter().map(|(account, _)| account.as_str()).collect();
    ensure!(accounts == ["try-ats", "try-crm"], "{states:?}");
    let why = rig.why("try@example.org")?.answer()?;
    ensure!(why["submissions"][0]["test"] == true, "{why}");

    // The same bytes under the same key, for real.
    let real = rig.site.apply("same-key", &people::document("try@example.org", &rig.job)).await?;
    ensure!(real.json()["test"].is_null(), "{real}");
    let states = rig.site.all_are(&real.id()?, &["delivered"]).await?;
    let accounts: Vec<&str> = states.iter().map(|(account, _)| account.as_str()).collect();
    ensure!(accounts == ["greenhouse", "hubspot"], "{states:?}");
    for (vendor, expected) in [(&ats, 1), (&rig.ats, 1)] {
        ensure!(vendor.applications_of("try@example.org").await? == expected, "each world has its own");
    }
    Ok(())
}

#[tokio::test]
async fn a_page_fetches_the_form_checks_and_submits_with_a_publishable_key() -> Result<()> {
    let rig = Rig::new().await?;
    let origin = "https://jobs.example.org";
    let refused = rig.cli(&["keys", "create", "--publishable", "--origin", "jobs.example.org"], "")?;
    ensure!(refused.code != 0 && refused.stderr.contains("is not an origin"), "{refused:?}");
    let key = rig.ask(&["keys", "create", "--name", "page", "--publishable", "--origin", origin])?;
    let bearer = format!("Bearer {}", key["text"].as_str().context("the key's text")?);
    ensure!(bearer.starts_with("Bearer cp_"), "{bearer}");
    let headers = [("authorization", bearer.as_str()), ("origin", origin), ("content-type", "application/json")];
    let path = format!("/v1/jobs/{}/form", rig.job);
    let asked = [("authorization", ""), ("origin", origin), ("access-control-request-method", "GET")];
    let allowed = rig.site.send("OPTIONS", &path, &asked, Bytes::new()).await?;
    ensure!(allowed.status == 204 && allowed.headers["access-control-allow-origin"] == origin, "{allowed}");

    let form = rig.site.send("GET", &path, &headers, Bytes::new()).await?;
    let etag = form.headers["etag"].clone();
    let known = [headers[0], headers[1], ("if-none-match", etag.to_str()?)];
    let again = rig.site.send("GET", &path, &known, Bytes::new()).await?;
    ensure!(form.status == 200 && again.status == 304 && again.bytes.is_empty(), "{form} {again}");

    let mut document = people::document("page@example.org", &rig.job);
    document["person"]["name"] = json!({ "given": "Wanda" });
    let ask =
        async |path: &str, document: &Value| rig.site.send("POST", path, &headers, document.to_string().into()).await;
    let told = ask("/v1/preflight", &document).await?;
    let json = told.json();
    ensure!(told.headers["etag"] == etag && json["submit"]["status"] == 422, "{told}");
    ensure!(json["targets"][0]["verdict"] == "fail" && json["targets"][1]["verdict"] == "pass", "{told}");
    document["person"]["name"]["family"] = "Musterfrau".into();
    let told = ask("/v1/preflight", &document).await?;
    ensure!(told.json()["submit"]["status"] == 202, "{told}");
    let nothing = rig.why("page@example.org")?;
    ensure!(nothing.code == 2 || nothing.json()?["found"] == false, "nothing was kept: {nothing:?}");
    let sent = ask("/v1/applications", &document).await?;
    rig.site.all_are(&sent.id()?, &["delivered"]).await?;
    Ok(())
}
