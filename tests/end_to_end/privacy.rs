//! Personal data stays where it belongs: not in the data directory as plain text, not in the log, not in an answer that
//! nobody asked for by address; and after erasure nowhere.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::people;
use crate::rig::Rig;
use crate::site::Site;

/// Every marker holds this, so that a search for one word finds any of them.
pub(crate) const MARK: &str = "Zyxkanari";
pub(crate) const EMAIL: &str = "Zyxkanari-mail@example.org";

/// A document with a marker in each field that may hold personal data.
pub(crate) fn marked(job: &str) -> Value {
    let mark = |what: &str| format!("{MARK}{what}");
    json!({
        "job": job,
        "person": {
            "name": { "given": mark("given"), "middle": mark("middle"), "family": mark("family"), "second_family": mark("second"),
                "as_typed": mark("typed"), "preferred": mark("preferred"), "prefix": mark("prefix"), "suffix": mark("suffix"),
                "native_script": mark("script") },
            "pronouns": mark("pronouns"),
            "emails": [{ "address": EMAIL }],
            "phones": [{ "raw": "+49 30 987 61234" }],
            "address": { "lines": [mark("line")], "city": mark("city"), "region": mark("region"), "postal_code": "98761", "country": "DE" },
            "location": { "text": mark("place"), "lat": 52.52, "lng": 13.405 },
            "links": [{ "type": "portfolio", "url": format!("https://example.org/{MARK}link") }],
        },
        "eligibility": { "licences": [mark("licence")], "travel": mark("travel"), "notice": mark("notice") },
        "relation": { "referral": mark("referral"), "agency": mark("agency"), "internal": { "employee_id": mark("employee") } },
        "history": {
            "education": [{ "school": mark("school"), "degree": mark("degree"), "discipline": mark("discipline") }],
            "employment": [{ "company": mark("company"), "title": mark("title"), "description": mark("description") }],
            "certifications": [{ "name": mark("certificate"), "issuer": mark("issuer") }],
            "skills": [mark("skill")],
        },
        "demographics": [{ "scheme": "eeoc", "answers": { "gender": mark("gender") }, "declined": false }],
        "consents": [
            { "purpose": "application", "basis": "consent", "given": true },
            { "purpose": "recruiting", "basis": "consent", "given": true },
        ],
        "client": { "ip": "203.0.113.77", "user_agent": mark("agent") },
        "accommodation": mark("accommodation"),
        "extensions": { "acme": { "note": mark("extension") } },
    })
}

/// Names and contents of all files below a folder that hold the marker, in any case and as UTF-16 too.
pub(crate) fn holding(folder: &Path) -> Result<(usize, Vec<PathBuf>)> {
    holding_word(folder, MARK)
}

/// As [`holding`], for another word.
pub(crate) fn holding_word(folder: &Path, word: &str) -> Result<(usize, Vec<PathBuf>)> {
    let (mut looked_at, mut found, mut folders) = (0, Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                looked_at += 1;
                if path.to_string_lossy().contains(word) || has_word(&std::fs::read(&path)?, word) {
                    found.push(path);
                }
            }
        }
    }
    Ok((looked_at, found))
}

fn has_mark(bytes: &[u8]) -> bool {
    has_word(bytes, MARK)
}

fn has_word(bytes: &[u8], word: &str) -> bool {
    let needle = word.to_ascii_lowercase().into_bytes();
    let text: Vec<u8> = bytes.iter().filter(|byte| **byte != 0).map(u8::to_ascii_lowercase).collect();
    text.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn the_search_finds_what_is_there() {
    assert!(has_mark(b"..zyxKANARI.."));
    assert!(has_mark(b"Z\0y\0x\0k\0a\0n\0a\0r\0i\0"));
    assert!(!has_mark(b"Zyxkanar"));
}

#[tokio::test]
async fn personal_data_is_sealed_unlogged_and_erasable() -> Result<()> {
    let mut rig = Rig::with(&[("CAUSEWAY_LOG_FILTER", "trace")]).await?;
    let resume = format!("{MARK}resume built bridges.\n").repeat(4000);
    let name = format!("{MARK}file.txt");
    let document = people::with_resume(marked(&rig.job), &name, resume.as_bytes());
    let content_type = people::multipart_type();
    let body = people::with_file(&document, &name, resume.as_bytes());
    let answer = rig.site.post(&[("content-type", &content_type), ("idempotency-key", "canary")], body).await?;
    let id = answer.id()?;
    // A refused one is recorded too, and one that no JSON reader understands is not.
    let mut wrong = marked(&rig.job);
    wrong["person"]["emails"][0]["address"] = json!(format!("{MARK}-refused@example.org"));
    wrong[format!("{MARK}member")] = json!(format!("{MARK}value"));
    ensure!(rig.site.apply("canary-refused", &wrong).await?.status == 422, "an unknown member");
    let json = [("content-type", "application/json")];
    ensure!(rig.site.post(&json, format!("{{\"{MARK}\"")).await?.status == 400, "no JSON");
    rig.site.all_are(&id, &["delivered"]).await?;
    ensure!(rig.ats.applications_of(EMAIL).await? == 1, "it is the marked one that arrived");

    let outputs = [&["jobs", "list"][..], &["cases"], &["accounts", "list"], &["keys", "list"], &["tenants", "list"]];
    for arguments in outputs {
        let ran = rig.cli(&[arguments, &["--json"]].concat(), "")?;
        ensure!(ran.code == 0 && !has_mark(ran.stdout.as_bytes()) && !has_mark(ran.stderr.as_bytes()), "{arguments:?}");
    }
    ensure!(!has_mark(rig.site.view(&id).await?.to_string().as_bytes()), "the public view shows states only");
    let (looked_at, found) = holding(&rig.data())?;
    ensure!(looked_at >= 4 && found.is_empty(), "{looked_at} files; plain text in {found:?}");
    let log = std::fs::read_to_string(rig.log())?;
    ensure!(log.contains("TRACE") && !has_mark(log.as_bytes()), "the log: {}", lines_with_mark(&log));

    erase(&rig).await?;
    let (status, _) = rig.stop().await?;
    ensure!(status.success(), "{status}");
    let (_, found) = holding(rig.beside())?;
    ensure!(found.is_empty(), "plain text in {found:?}");
    Ok(())
}

fn lines_with_mark(log: &str) -> String {
    log.lines().filter(|line| has_mark(line.as_bytes())).take(5).collect::<Vec<_>>().join("\n")
}

/// Erases the person while one delivery still waits; nothing brings it back.
async fn erase(rig: &Rig) -> Result<()> {
    rig.ask(&["accounts", "pause", "greenhouse"])?;
    let id = rig.site.apply("canary-held", &marked(&rig.job)).await?.id()?;
    let states = rig.site.all_are(&id, &["held", "delivered"]).await?;
    ensure!(states.contains(&("greenhouse".to_owned(), "held".to_owned())), "{states:?}");
    let before = rig.why(EMAIL)?.answer()?;
    let waiting = before["submissions"][0]["deliveries"].as_array().into_iter().flatten();
    let waiting = waiting.filter(|one| one["state"] == "held").find_map(|one| one["id"].as_str());
    let waiting = waiting.with_context(|| format!("a held one in {before}"))?.to_owned();

    let plan = rig.cli(&["erase", "--email", "-", "--json"], EMAIL)?.answer()?;
    ensure!(plan["submissions"].as_array().is_some_and(|list| list.len() == 2), "the plan: {plan}");
    // A person has to see whose they are: the address alone does not say.
    ensure!(plan["list"][0]["name"] == format!("{MARK}typed") && plan["names_differ"] == false, "the list: {plan}");
    ensure!(rig.why(EMAIL)?.answer()?["submissions"][0]["outcome"] == "accepted", "a plan erases nothing");
    let erased = rig.cli(&["erase", "--email", "-", "--yes", "--json"], EMAIL)?.answer()?;
    ensure!(erased["erased_at"].is_string(), "{erased}");
    let copies = erased["reached"]["vendor_copies"].as_array().context("copies")?;
    ensure!(copies.len() == 3, "it tells what only the vendors can erase: {erased}");
    settle_a_copy(rig, copies.len())?;

    let after = rig.why(EMAIL)?;
    let answer = after.answer()?;
    ensure!(answer["found"] == true && answer["erased_at"].is_string(), "{answer}");
    for one in answer["submissions"].as_array().into_iter().flatten() {
        ensure!(one["outcome"] == "erased", "{one}");
    }
    ensure!(!has_mark(after.stdout.as_bytes()), "no personal data: {}", after.stdout);
    let replayed = rig.cli(&["replay", &waiting, "--json"], "")?;
    ensure!(replayed.code == 1, "{replayed:?}");
    ensure!(replayed.stdout.contains("erased"), "with the reason: {replayed:?}");
    rig.ask(&["accounts", "resume", "greenhouse"])?;
    let later = rig.site.apply("after", &people::document("after@example.org", &rig.job)).await?.id()?;
    rig.site.all_are(&later, &["delivered"]).await?;
    ensure!(rig.ats.applications_of(EMAIL).await? == 1, "a resumed account does not resurrect it");
    Ok(())
}

/// Copies at vendors stay listed until somebody says how each ended.
fn settle_a_copy(rig: &Rig, listed: usize) -> Result<()> {
    let copies = rig.ask(&["erase", "vendor-copies"])?;
    let copies = copies.as_array().context("a list")?;
    ensure!(copies.len() >= listed && copies.iter().all(|copy| copy["state"] == "by_hand"), "{copies:?}");
    let first = &copies[0];
    ensure!(first["text"].as_str().is_some_and(|text| text.contains("by hand at")), "what to do: {first}");
    let delivery = first["delivery"].as_str().context("named by its delivery")?;
    let settled = rig.ask(&["erase", "vendor-copy", delivery, "--state", "confirmed"])?;
    ensure!(settled[0]["state"] == "confirmed" && settled[0]["changed_by"] == "cli", "{settled}");
    let unknown =
        rig.cli(&["erase", "vendor-copy", "del_0192f3a1b2c37d4e8f90a1b2c3d4e5f6", "--state", "confirmed"], "")?;
    ensure!(unknown.code == 1 && unknown.stderr.contains("no such copy"), "{unknown:?}");
    Ok(())
}

#[tokio::test]
async fn an_unknown_person_is_answered_clearly_and_nothing_changes() -> Result<()> {
    let rig = Rig::new().await?;
    for arguments in [&["erase", "--email", "-"][..], &["erase", "--email", "-", "--yes"]] {
        let ran = rig.cli(arguments, "nobody@example.org")?;
        ensure!(ran.code == 3 && ran.stdout.contains("Nothing is held about this address"), "{ran:?}");
    }
    let why = rig.why("nobody@example.org")?;
    ensure!(why.code == 3 && why.json()?["erased_at"].is_null(), "no tombstone: {why:?}");
    let out = rig.beside().join("nobody.json");
    let export =
        rig.cli(&["export", "--email", "-", "--out", out.to_str().context("a path")?], "nobody@example.org")?;
    ensure!(export.code == 1 && export.stderr.contains("nothing is held") && !out.exists(), "{export:?}");
    Ok(())
}

const SURVEY: &str = "Qwvsurvey";

/// Survey answers are in no output but the export of a privacy officer who asks for them. (That an ATS is handed them and a
/// CRM is not is the store's own test.)
#[tokio::test]
async fn survey_answers_are_in_no_output_but_the_officers() -> Result<()> {
    let rig = Rig::with(&[("CAUSEWAY_LOG_FILTER", "trace")]).await?;
    let person = "survey@example.org";
    let resume = "Built bridges.\n".repeat(50);
    let mut document = people::with_resume(people::document(person, &rig.job), "cv.txt", resume.as_bytes());
    document["demographics"] = json!([{ "scheme": "eeoc", "answers": { "gender": format!("{SURVEY}gender") } }]);
    let content_type = people::multipart_type();
    let body = people::with_file(&document, "cv.txt", resume.as_bytes());
    let taken = rig.site.post(&[("content-type", &content_type), ("idempotency-key", "survey")], body).await?;
    let id = taken.id()?;
    // Refused for another reason, and for the survey itself.
    let mut wrong = document.clone();
    wrong["attachments"] = json!([]);
    wrong["person"]["emails"][0]["address"] = json!("no address");
    let mut shape = people::document(person, &rig.job);
    shape["demographics"] = json!([{ "scheme": format!("{SURVEY} scheme"), "answers": format!("{SURVEY}text") }]);
    let mut echoes = vec![taken.to_string(), rig.site.view(&id).await?.to_string()];
    for (key, refused) in [("survey-1", &wrong), ("survey-2", &shape)] {
        let answer = rig.site.apply(key, refused).await?;
        ensure!(answer.status == 422, "{answer}");
        echoes.push(answer.to_string());
    }
    rig.site.all_are(&id, &["delivered"]).await?;
    for arguments in [&["cases"][..], &["why", "--since", "1h"], &["jobs", "list"]] {
        echoes.push(rig.cli(&[arguments, &["--json"]].concat(), "")?.stdout);
    }
    echoes.push(rig.why(person)?.stdout);
    echoes.push(rig.cli(&["erase", "--email", "-", "--json"], person)?.stdout);
    echoes.push(rig.crm.records().await?.to_string());
    for operation in ["contact_create", "contact_update", "record_upsert", "note_create", "associate"] {
        echoes.push(json!(rig.crm.ledger(operation).await?).to_string());
    }
    echoes.push(std::fs::read_to_string(rig.log())?);

    let out = rig.beside().join("export.json");
    let path = out.to_str().context("a path")?;
    let ran = rig.cli(&["export", "--email", "-", "--out", path, "--json"], person)?.answer()?;
    ensure!(ran["submissions"].as_u64() >= Some(2) && ran["attachments"] == 1, "everything: {ran}");
    ensure!(ran["demographics_left_out"] == true, "and it says what is left out: {ran}");
    let text = std::fs::read_to_string(&out)?;
    let export: Value = serde_json::from_str(&text)?;
    echoes.push(text);
    for echo in &echoes {
        let at = echo.find(SURVEY).map(|at| echo.chars().skip(at.saturating_sub(200)).take(300).collect::<String>());
        ensure!(at.is_none(), "a survey answer: {at:?}");
    }
    let first = &export["submissions"][0];
    let file = rig.beside().join(first["attachments"][0]["file"].as_str().context("the file's place")?);
    ensure!(std::fs::read_to_string(file)? == resume, "the attachment as it was sent");
    ensure!(first["document"]["person"]["name"]["family"] == "Musterfrau", "the document: {first}");
    ensure!(first["record"]["deliveries"].as_array().is_some_and(|list| list.len() == 2), "where it went: {first}");

    over_http(&rig, person, &id, resume.as_bytes()).await?;

    let again = rig.cli(&["export", "--email", "-", "--out", path], person)?;
    ensure!(again.code == 1 && again.stderr.contains("never written over"), "{again:?}");
    let officers = rig.beside().join("officers.json");
    let path = officers.to_str().context("a path")?;
    rig.cli(&["export", "--email", "-", "--out", path, "--demographics", "--json"], person)?.answer()?;
    ensure!(std::fs::read_to_string(&officers)?.contains(SURVEY), "an officer who asks gets it");
    Ok(())
}

/// An officer's export over HTTP: without the file, and the file by itself.
async fn over_http(rig: &Rig, person: &str, id: &str, resume: &[u8]) -> Result<()> {
    let key = rig.ask(&["keys", "create", "--name", "officer", "--scope", "support,privacy"])?;
    let key = key["text"].as_str().context("the key's text")?.to_owned();
    let desk = Site { gateway: rig.management, key };
    let ask = async |path: &str, body: Value| {
        desk.send("POST", &format!("/v1/support/{path}"), &[], body.to_string().into()).await
    };
    let answer = ask("export", json!({ "email": person })).await?;
    let attachment = &answer.json()["submissions"][0]["attachments"][0];
    ensure!(attachment["position"] == 1 && attachment["content_base64"].is_null(), "{answer}");
    ensure!(answer.json()["next"].is_null(), "one page: {answer}");
    let file = ask("export-file", json!({ "email": person, "submission": id, "position": 1 })).await?;
    ensure!(file.status == 200 && file.bytes == resume, "{file}");
    for (email, position) in [(person, 0), (person, 2), ("nobody@example.org", 1)] {
        let none = ask("export-file", json!({ "email": email, "submission": id, "position": position })).await?;
        ensure!(none.status == 404, "{position} of {email}: {none}");
    }
    Ok(())
}

/// No basis, no delivery; and both the receipt and `why` say so.
#[tokio::test]
async fn a_crm_without_a_lawful_basis_gets_nothing_and_it_is_said() -> Result<()> {
    let rig = Rig::new().await?;
    for (consents, reason) in [
        (json!([{ "purpose": "application", "basis": "consent", "given": true }]), "lawful_basis_missing"),
        (json!([{ "purpose": "recruiting", "basis": "consent", "given": false }]), "consent_refused"),
    ] {
        let person = format!("{}@example.org", reason.replace('_', "-"));
        let mut document = people::document(&person, &rig.job);
        document["consents"] = consents;
        let receipt = rig.site.apply(reason, &document).await?;
        let id = receipt.id()?;
        let withheld = &receipt.json()["withheld"];
        ensure!(withheld[0]["account"] == "hubspot" && withheld[0]["reason"] == reason, "the receipt: {receipt}");
        let states = rig.site.all_are(&id, &["delivered"]).await?;
        ensure!(states == [("greenhouse".to_owned(), "delivered".to_owned())], "{states:?}");
        let answer = rig.why(&person)?.answer()?;
        let told = &answer["submissions"][0];
        ensure!(told["withheld"][0]["reason"]["code"] == reason, "{told}");
        ensure!(told["for_customer"].as_str().is_some_and(|text| text.contains("not sent to hubspot")), "{told}");
        ensure!(!rig.crm.records().await?.to_string().contains(&person), "nothing at the CRM");
    }
    // An account that takes consent only, and one with a purpose of its own.
    rig.ask(&["accounts", "update", "hubspot", "--set", "basis=consent"])?;
    let mut document = people::document("interest@example.org", &rig.job);
    document["consents"] = json!([{ "purpose": "recruiting", "basis": "legitimate_interest", "given": true }]);
    let receipt = rig.site.apply("interest", &document).await?;
    ensure!(receipt.json()["withheld"][0]["reason"] == "lawful_basis_missing", "{receipt}");
    rig.ask(&["accounts", "update", "hubspot", "--set", "basis=", "--set", "purpose=talent_pool"])?;
    document["consents"] = json!([{ "purpose": "talent_pool", "basis": "consent", "given": true }]);
    document["person"]["emails"][0]["address"] = json!("pool@example.org");
    let receipt = rig.site.apply("pool", &document).await?;
    ensure!(receipt.json()["withheld"].is_null(), "{receipt}");
    rig.site.all_are(&receipt.id()?, &["delivered"]).await?;
    Ok(())
}
