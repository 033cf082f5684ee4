//! The integration admin's way: a custom question mapped, an account brought live, a secret changed without a gap.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::people;
use crate::process::{Ran, until};
use crate::rig::Rig;
use crate::sandbox::Sandbox;

/// A command that has to be refused, with this in its answer.
fn refused(ran: &Ran, told: &str) -> Result<()> {
    ensure!(ran.code == 1 && ran.stderr.contains(told), "{told:?} in {ran:?}");
    Ok(())
}

/// The only record whose property or member has this value.
fn record<'a>(records: &'a Value, list: &str, member: &str, value: &str) -> Result<&'a Value> {
    let all = records[list].as_array().with_context(|| format!("{list} in {records}"))?;
    let found = all.iter().find(|one| one[member] == value || one["properties"][member] == value);
    found.with_context(|| format!("no {list} with {member} {value}"))
}

#[tokio::test]
async fn a_custom_question_is_mapped_and_what_was_refused_is_delivered() -> Result<()> {
    let rig = Rig::new().await?;
    let job = rig.ats.publish("Signal Box Keeper", &people::demanding_questions()).await?;
    rig.ask(&["jobs", "sync", "greenhouse"])?;
    rig.form_is_there(&job).await?;
    let mut document = people::document("mapped@example.org", &job);
    document["eligibility"] = json!({ "notice": "3 months" });
    document["source"] = json!({ "board": "li" });
    ensure!(rig.site.apply("before", &document).await?.status == 422, "two questions are not answered");

    let fields = rig.ask(&["accounts", "map", "fields", "greenhouse"])?;
    let names: Vec<&str> = fields.as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).collect();
    ensure!(
        names.contains(&"question_4001") && !names.contains(&"first_name"),
        "the questions, not the basics: {names:?}"
    );
    let set = |account: &'static str, field: &'static str, rule: &[&'static str]| {
        let line: Vec<&str> = ["accounts", "map", "set", account, field].iter().chain(rule).copied().collect();
        rig.ask(&line)
    };
    set("greenhouse", "question_4001", &["--copy", "/eligibility/notice"])?;
    let saved = set("greenhouse", "question_4002", &["--constant", "see the résumé", "--note", "agreed"])?;
    ensure!(saved["version"] == 2, "{saved}");
    set("hubspot", "contact.notice_period", &["--copy", "/eligibility/notice"])?;
    let table = ["--table", "boards", "--entry", "li=board", "--entry", "friend=referral"];
    set("hubspot", "record.application_channel", &[&["--look-up", "/source/board"], &table[..]].concat())?;
    // What cannot work is refused with what would, and the version in force stays.
    let bad = ["accounts", "map", "set", "hubspot", "record.cost_centre", "--constant", "many"];
    refused(&rig.cli(&bad, "")?, "it takes a number")?;
    let bad = ["accounts", "map", "set", "greenhouse", "first_name", "--constant", "x"];
    refused(&rig.cli(&bad, "")?, "the vendor has no such field")?;
    let bad = ["accounts", "map", "set", "hubspot", "contact.lifecyclestage", "--constant", "customer"];
    refused(&rig.cli(&bad, "")?, "the vendor has no such field")?;
    ensure!(rig.ask(&["accounts", "show", "hubspot"])?["mapping"]["version"] == 2, "as it was");

    let id = rig.site.apply("after", &document).await?.id()?;
    rig.site.all_are(&id, &["delivered"]).await?;
    let application = rig.ats.records().await?;
    let application = record(&application, "applications", "email", "mapped@example.org")?.to_string();
    ensure!(
        application.contains("3 months") && application.contains("see the r"),
        "both answers arrived: {application}"
    );
    let crm = rig.crm.records().await?;
    let contact = record(&crm, "contacts", "email", "mapped@example.org")?;
    ensure!(contact["properties"]["notice_period"] == "3 months", "{contact}");
    ensure!(record(&crm, "tickets", "application_channel", "board").is_ok(), "{crm}");
    let preview = rig.cli(&["accounts", "map", "preview", "hubspot"], "")?;
    ensure!(preview.code == 0 && preview.stdout.contains("3 months"), "{preview:?}");

    // Out, in again elsewhere, and back.
    let exported = rig.cli(&["accounts", "map", "export", "hubspot"], "")?.stdout;
    let elsewhere = Sandbox::start("hubspot").await?;
    rig.add_account("hubspot", "crm", &elsewhere, &["--name", "hubspot-emea"])?;
    let imported =
        rig.cli(&["accounts", "map", "import", "hubspot-emea", "--file", "-", "--json"], &exported)?.answer()?;
    ensure!(imported["version"] == 1, "{imported}");
    let back = rig.ask(&["accounts", "map", "rollback", "greenhouse", "--to", "1"])?;
    ensure!(back["version"] == 3, "{back}");
    let diff = rig.cli(&["accounts", "map", "diff", "greenhouse"], "")?;
    ensure!(diff.stdout.contains("- question_4002: constant"), "{diff:?}");
    document["person"]["emails"][0]["address"] = json!("again@example.org");
    let again = rig.site.apply("again", &document).await?;
    ensure!(again.status == 422, "question_4002 is asked again");
    Ok(())
}

#[tokio::test]
async fn an_account_goes_live_by_its_checklist_and_sends_what_was_held() -> Result<()> {
    let rig = Rig::new().await?;
    let vendor = Sandbox::start("hubspot").await?;
    rig.add_account("hubspot", "crm", &vendor, &["--name", "second", "--staged"])?;
    let mut ids = Vec::new();
    for number in 0..3 {
        let document = people::document(&format!("staged-{number}@example.org"), &rig.job);
        ids.push(rig.site.apply(&format!("staged-{number}"), &document).await?.id()?);
    }
    for id in &ids {
        let states = rig.site.all_are(id, &["held", "delivered"]).await?;
        ensure!(states.contains(&("second".to_owned(), "held".to_owned())), "{states:?}");
        ensure!(states.contains(&("hubspot".to_owned(), "delivered".to_owned())), "{states:?}");
    }
    let cases = rig.ask(&["cases"])?;
    ensure!(cases.as_array().is_some_and(|all| all.len() == 1) && cases[0]["reason"] == "account_not_live", "{cases}");
    let now = ["accounts", "go-live", "second", "--now"];
    refused(&rig.cli(&now, "")?, "permissions: never checked")?;
    // A wrong permission keeps it from going live, and is named.
    vendor.settings(&json!({ "scopes": ["crm.objects.contacts.read"] })).await?;
    let checked = rig.cli(&["accounts", "check", "second"], "")?;
    ensure!(checked.stdout.contains("tickets"), "{checked:?}");
    refused(&rig.cli(&now, "")?, "permissions: no: read tickets")?;
    let scopes = ["crm.objects.contacts.read", "crm.objects.contacts.write", "tickets", "crm.schemas.contacts.read"];
    vendor.settings(&json!({ "scopes": scopes })).await?;
    rig.ask(&["accounts", "check", "second"])?;
    // One test application goes, by hand; the others stay.
    let why = rig.why("staged-0@example.org")?.answer()?;
    let deliveries = why["submissions"][0]["deliveries"].as_array().context("deliveries")?;
    let held = deliveries.iter().find(|one| one["state"] == "held").context("the held one")?;
    rig.ask(&["replay", held["id"].as_str().context("its id")?])?;
    rig.site.all_are(&ids[0], &["delivered"]).await?;
    until("the test application to be seen at the vendor", Duration::from_secs(60), async || {
        let list = rig.ask(&["accounts", "go-live", "second"])?;
        let item = list["items"].as_array().into_iter().flatten().find(|item| item["item"] == "test_application");
        if item.is_some_and(|item| item["state"] == "done") { Ok(()) } else { bail!("{list}") }
    })
    .await?;
    for item in ["test_removed", "consent_texts", "retention"] {
        rig.ask(&["accounts", "go-live", "second", "--tick", item, "--note", "looked at"])?;
    }
    refused(&rig.cli(&now, "")?, "alert_address=")?;
    rig.ask(&["accounts", "update", "second", "--set", "alert_address=hiring-systems@example.org"])?;
    let live = rig.ask(&now)?;
    ensure!(live["deliveries"] == 2, "{live}");
    for id in &ids {
        rig.site.all_are(id, &["delivered"]).await?;
    }
    let records = vendor.records().await?;
    ensure!(records["tickets"].as_array().is_some_and(|all| all.len() == 3), "each once: {records}");
    ensure!(rig.ask(&["cases"])?.as_array().is_some_and(Vec::is_empty), "its case is closed");
    Ok(())
}

#[tokio::test]
async fn a_secret_is_changed_without_a_gap() -> Result<()> {
    let rig = Rig::new().await?;
    let newer = "pat-eu1-newer";
    let rotate = ["accounts", "rotate", "hubspot", "--secret", "access_token=-", "--expires", "2030-01-31"];
    let apply = async |name: &str| -> Result<()> {
        let document = people::document(&format!("{name}@example.org"), &rig.job);
        let id = rig.site.apply(name, &document).await?.id()?;
        rig.site.all_are(&id, &["delivered"]).await.map(drop)
    };
    // The vendor does not know the newer one yet: the older serves, and nothing is finished.
    let rotated = rig.cli(&rotate, &format!("{newer}\n"))?;
    ensure!(rotated.code == 0 && !rotated.stdout.contains(newer), "{rotated:?}");
    apply("early").await?;
    let shown = rig.ask(&["accounts", "show", "hubspot"])?;
    ensure!(shown["credentials"]["next"]["refused_at"].is_string() && shown["paused"].is_null(), "{shown}");
    refused(&rig.cli(&["accounts", "rotate", "hubspot", "--finish"], "")?, "refused the newer secrets")?;
    rig.ask(&["accounts", "rotate", "hubspot", "--abandon"])?;
    // Now it does; then it ends the older one, and nobody notices.
    rig.crm.settings(&json!({ "more_tokens": [newer] })).await?;
    ensure!(rig.cli(&rotate, &format!("{newer}\n"))?.code == 0);
    apply("both").await?;
    until("the newer secret's use to be written down", Duration::from_secs(30), async || {
        let shown = rig.ask(&["accounts", "show", "hubspot"])?;
        if shown["credentials"]["next"]["used_at"].is_string() { Ok(()) } else { bail!("{shown}") }
    })
    .await?;
    rig.crm.settings(&json!({ "access_token": newer, "more_tokens": [] })).await?;
    apply("after").await?;
    let finished = rig.ask(&["accounts", "rotate", "hubspot", "--finish"])?;
    ensure!(finished["credentials"]["next"].is_null(), "{finished}");
    apply("done").await?;
    let listed = rig.cli(&["accounts", "list"], "")?;
    ensure!(listed.stdout.contains("until 2030-01-31"), "{listed:?}");
    let checked = rig.cli(&["accounts", "check", "hubspot"], "")?;
    ensure!(checked.code == 0 && !checked.stdout.contains("NO"), "{checked:?}");
    // An end that is near, or over, is said by whoever looks.
    rig.ask(&["accounts", "rotate", "hubspot", "--expires", "2020-01-31"])?;
    let doctor = rig.cli(&["doctor"], "")?;
    ensure!(doctor.stdout.contains("expired on 2020-01-31"), "{doctor:?}");
    Ok(())
}
