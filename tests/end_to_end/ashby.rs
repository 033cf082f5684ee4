//! The third vendor, whole: files at an address of its own, an application it does not name, surveys in calls of their own,
//! and a rule that keeps an application out without a word to the applicant.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::people;
use crate::rig::Rig;
use crate::sandbox::Sandbox;

const RESUME: &[u8] = b"I keep bridges\n";
const ACCOUNT: &str = "ashby";
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// A gateway with a third account, and a job there that has a consent and an equal-opportunity survey.
struct Stage {
    rig: Rig,
    ats: Sandbox,
    job: String,
    eeoc: String,
}

impl Stage {
    async fn set() -> Result<Self> {
        let mut rig = Rig::set_up(&[]).await?;
        let ats = Sandbox::start(ACCOUNT).await?;
        let why = json!({ "type": "LongText", "title": "Why this bridge?", "path": "why", "required": true });
        let agree = json!({ "type": "Boolean", "title": "I agree", "path": "agree", "required": true });
        let gender = json!({ "type": "ValueSelect", "title": "Gender", "path": "_systemfield_eeoc_gender",
            "options": ["Female", "Male", "Decline to self-identify"] });
        let published = ats
            .publish_as(&json!({
                "title": "Bridge Keeper",
                "fields": [why],
                "surveys": [
                    { "type": "CandidateDataConsent", "fields": [agree] },
                    { "type": "EEOC", "fields": [gender] },
                ],
            }))
            .await?;
        let text = |pointer: &str| published.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let (job, eeoc) = (text("/id").context("its id")?, text("/surveys/1/id").context("the survey's id")?);
        rig.add_account(ACCOUNT, "ats", &ats, &[])?;
        rig.ask(&["jobs", "sync", ACCOUNT])?;
        rig.start().await?;
        rig.form_is_there(&job).await?;
        Ok(Self { rig, ats, job, eeoc })
    }

    fn document(&self, email: &str) -> Value {
        let mut document = people::document(email, &self.job);
        document["answers"] = json!([{ "question": "why", "value": "It swings." }]);
        document["demographics"] =
            json!([{ "scheme": self.eeoc, "answers": { "_systemfield_eeoc_gender": "Female" } }]);
        document
    }

    async fn apply(&self, key: &str, document: &Value) -> Result<String> {
        let document = people::with_resume(document.clone(), "cv.txt", RESUME);
        let content_type = people::multipart_type();
        let headers = [("content-type", content_type.as_str()), ("idempotency-key", key)];
        self.rig.site.post(&headers, people::with_file(&document, "cv.txt", RESUME)).await?.id()
    }

    /// What `why` says of the latest submission of this address, and its delivery to this vendor.
    fn why(&self, email: &str) -> Result<(Value, Value)> {
        let why = self.rig.why(email)?.answer()?;
        let answer = why["submissions"][0].clone();
        let deliveries = answer["deliveries"].as_array().context("deliveries")?;
        let delivery = deliveries.iter().find(|one| one["account"] == ACCOUNT).context("the ATS's")?.clone();
        Ok((answer, delivery))
    }

    async fn calls(&self, operation: &str) -> Result<usize> {
        Ok(self.ats.ledger(operation).await?.len())
    }
}

#[tokio::test]
async fn an_application_arrives_with_its_file_and_surveys_and_is_read_back() -> Result<()> {
    let stage = Stage::set().await?;
    let id = stage.apply("whole", &stage.document("whole@example.org")).await?;
    stage.rig.site.all_are(&id, &["delivered"]).await?;

    let records = stage.ats.records().await?;
    let application = &records["applications"][0];
    ensure!(application["email"] == "whole@example.org" && application["values"]["why"] == "It swings.", "{records}");
    let stored = stage.ats.ledger("storage").await?;
    ensure!(stored.len() == 1 && stored[0]["record"]["sha256"] == application["resume_sha256"], "{stored:?}");
    let surveys = records["surveys"].as_array().context("surveys")?;
    let kinds: Vec<&Value> = surveys.iter().map(|survey| &survey["surveyType"]).collect();
    ensure!(kinds == ["CandidateDataConsent", "EEOC"], "in their order: {records}");
    ensure!(surveys[0]["submittedValues"] == json!({ "agree": true }), "{records}");
    ensure!(surveys[1]["submittedValues"] == json!({ "_systemfield_eeoc_gender": "Female" }), "{records}");
    ensure!(!application.to_string().contains("Female"), "through the survey door only: {application}");
    ensure!(!stage.rig.crm.records().await?.to_string().contains("Decline"), "and to no CRM");

    let (_, delivery) = stage.why("whole@example.org")?;
    ensure!(delivery["proofs"]["vendor_id"] == application["id"], "{delivery}");
    ensure!(delivery["proofs"]["seen_at"].is_string() && delivery["proofs"]["not_verifiable"].is_null(), "{delivery}");
    for (call, times) in [("applicationForm.submit", 1), ("application.info", 1), ("surveySubmission.create", 2)] {
        ensure!(stage.calls(call).await? == times, "{call}");
    }
    let checked = stage.rig.ask(&["accounts", "check", ACCOUNT])?;
    let verdicts: Vec<&Value> = checked.as_array().context("a list")?.iter().map(|one| &one["verdict"]).collect();
    ensure!(verdicts == ["yes", "yes", "not_testable"], "{checked}");
    Ok(())
}

#[tokio::test]
async fn a_page_is_told_where_each_answer_goes_and_what_is_missing() -> Result<()> {
    let stage = Stage::set().await?;
    let site = &stage.rig.site;
    let form = site.send("GET", &format!("/v1/jobs/{}/form", stage.job), &[], Bytes::new()).await?.json();
    let questions = form["questions"].as_array().context("questions")?;
    let place = |id: &str| -> Result<Value> {
        let asked = questions.iter().find(|question| question["id"] == id).with_context(|| format!("{id}: {form}"))?;
        Ok(asked["fields"][0]["place"].clone())
    };
    ensure!(form["complete"] == true, "{form}");
    ensure!(place("_systemfield_name")?["pointer"] == "/person/name/as_typed", "{form}");
    ensure!(place("_systemfield_email")?["pointer"] == "/person/emails/0/address", "{form}");
    ensure!(place("why")? == json!({ "in": "answer", "question": "why", "member": "value" }), "{form}");
    // The whole name is asked, so its parts are not.
    ensure!(questions.iter().all(|question| question["id"] != "given_name"), "{form}");
    let gender = format!("eeoc.{}._systemfield_eeoc_gender", stage.eeoc);
    let of_survey = json!({ "in": "demographic", "scheme": "eeoc", "name": "_systemfield_eeoc_gender" });
    ensure!(place(&gender)? == of_survey, "{form}");

    let mut document = stage.document("page@example.org");
    document["person"]["name"] = json!({ "as_typed": "Wanda Musterfrau" });
    document["demographics"] = json!([{ "scheme": "eeoc", "answers": { "_systemfield_eeoc_gender": "Female" } }]);
    let mut unanswered = document.clone();
    unanswered["answers"] = json!([]);
    let told = site.send("POST", "/v1/preflight", &JSON, unanswered.to_string().into()).await?.json();
    let target = told["targets"].as_array().and_then(|targets| targets.iter().find(|one| one["account"] == ACCOUNT));
    let missing = &target.context("the ATS's")?["missing"];
    ensure!(missing.as_array().is_some_and(|all| all.iter().any(|one| one["question"] == "why")), "{told}");

    let id = stage.apply("page", &document).await?;
    stage.rig.site.all_are(&id, &["delivered"]).await?;
    let records = stage.ats.records().await?;
    ensure!(records["surveys"].as_array().is_some_and(|surveys| surveys.len() == 2), "by kind and path: {records}");
    Ok(())
}

#[tokio::test]
async fn a_lost_answer_is_found_and_a_failed_attempt_brings_its_file_anew() -> Result<()> {
    let stage = Stage::set().await?;
    stage
        .ats
        .faults(&json!([{ "operation": "applicationForm.submit", "times": 1, "do": "drop_after_commit" }]))
        .await?;
    let id = stage.apply("unheard", &stage.document("unheard@example.org")).await?;
    stage.rig.site.all_are(&id, &["delivered"]).await?;
    ensure!(stage.ats.fired().await? == 1, "the answer was lost");
    ensure!(stage.ats.applications_of("unheard@example.org").await? == 1, "and nothing was sent twice");
    ensure!(stage.calls("applicationForm.submit").await? == 1 && stage.calls("storage").await? == 1, "one attempt");
    let (_, delivery) = stage.why("unheard@example.org")?;
    let attempts = delivery["attempts"].as_array().context("attempts")?;
    ensure!(attempts.iter().any(|one| one["is_lookup"] == true), "it asked the vendor: {delivery}");
    ensure!(delivery["possible_duplicate"] == false && delivery["proofs"]["seen_at"].is_string(), "{delivery}");

    let unavailable = json!([{ "operation": "applicationForm.submit", "times": 1, "do": "status", "status": 503 }]);
    stage.ats.faults(&unavailable).await?;
    let id = stage.apply("again", &stage.document("again@example.org")).await?;
    stage.rig.site.all_are(&id, &["delivered"]).await?;
    ensure!(stage.ats.fired().await? == 1, "the first try was refused");
    ensure!(stage.ats.applications_of("again@example.org").await? == 1, "one application");
    ensure!(stage.calls("file.createFileUploadHandle").await? == 3, "and a handle for every attempt");
    Ok(())
}

#[tokio::test]
async fn a_survey_that_fails_is_resumed_and_nothing_before_it_is_sent_again() -> Result<()> {
    let stage = Stage::set().await?;
    stage
        .ats
        .faults(&json!([{ "operation": "surveySubmission.create", "times": 1, "do": "status", "status": 503 }]))
        .await?;
    let id = stage.apply("later", &stage.document("later@example.org")).await?;
    stage.rig.site.all_are(&id, &["delivered"]).await?;
    ensure!(stage.ats.fired().await? == 1 && stage.calls("applicationForm.submit").await? == 1, "one submit");

    // Refused for good: the application stands, and a person decides.
    let no = json!({ "success": false, "errors": ["invalid_input"],
        "errorInfo": { "code": "invalid_input", "message": "Not now", "requestId": "r" } });
    stage
        .ats
        .faults(
            &json!([{ "operation": "surveySubmission.create", "times": 1, "do": "status", "status": 200, "body": no }]),
        )
        .await?;
    let id = stage.apply("held", &stage.document("held@example.org")).await?;
    stage.rig.site.all_are(&id, &["delivered", "held"]).await?;
    let (answer, delivery) = stage.why("held@example.org")?;
    ensure!(delivery["state"] == "held" && delivery["case"].is_string(), "{delivery}");
    let told = answer["for_applicant"].as_str().context("a text")?;
    ensure!(told.contains("was handed to") && !told.contains("has not been"), "it has arrived: {told}");
    stage.rig.ask(&["replay", delivery["id"].as_str().context("its id")?])?;
    stage.rig.site.all_are(&id, &["delivered"]).await?;
    ensure!(stage.ats.applications_of("held@example.org").await? == 1, "one application");
    ensure!(stage.calls("applicationForm.submit").await? == 2, "one submit for each of the two");
    let records = stage.ats.records().await?;
    ensure!(records["surveys"].as_array().context("surveys")?.len() == 4, "each survey once: {records}");
    Ok(())
}

#[tokio::test]
async fn a_blocked_application_is_explained_to_the_customer_and_not_to_the_applicant() -> Result<()> {
    let stage = Stage::set().await?;
    let first = stage.apply("first", &stage.document("eager@example.org")).await?;
    stage.rig.site.all_are(&first, &["delivered"]).await?;
    let (answer, _) = stage.why("eager@example.org")?;
    let when_delivered = answer["for_applicant"].as_str().context("a text")?.to_owned();

    let rule = json!({ "application_limit": 1, "block_message_html": "<p>Not more than once.</p>" });
    stage.ats.settings(&rule).await?;
    let mut document = stage.document("eager@example.org");
    document["answers"][0]["value"] = json!("It still swings.");
    let second = stage.apply("second", &document).await?;
    stage.rig.site.all_are(&second, &["delivered", "refused"]).await?;

    let why = stage.rig.why("eager@example.org")?.answer()?;
    let submissions = why["submissions"].as_array().context("submissions")?;
    let answer = submissions.iter().find(|one| one["id"] == second.as_str()).context("the second")?;
    ensure!(answer["reason"]["code"] == "application_blocked" && answer["who_acts"] == "nobody", "{answer}");
    let customer = answer["for_customer"].as_str().context("a text")?;
    ensure!(customer.contains("limit on applications") && customer.contains("made no application"), "{customer}");
    let told = answer["for_applicant"].as_str().context("a text")?;
    let without_code = |text: &str| text.split("Your receipt code").next().unwrap_or_default().to_owned();
    let behind_code = |text: &str| text.split_once("It was handed").map(|(_, rest)| rest.to_owned());
    ensure!(without_code(told) == without_code(&when_delivered), "{told} / {when_delivered}");
    ensure!(behind_code(told).is_some() && behind_code(told) == behind_code(&when_delivered), "{told}");

    let records = stage.ats.records().await?;
    ensure!(records["applications"].as_array().context("applications")?.len() == 1, "{records}");
    ensure!(records["blocked"].as_array().context("blocked")?.len() == 1, "once, and never again: {records}");
    ensure!(stage.calls("surveySubmission.create").await? == 2, "no survey follows a blocked one");
    Ok(())
}

#[tokio::test]
async fn the_vendors_own_way_to_fail_is_a_refusal() -> Result<()> {
    let stage = Stage::set().await?;
    let email = "testing-fail-validation@example.com";
    let id = stage.apply("fails", &stage.document(email)).await?;
    stage.rig.site.all_are(&id, &["delivered", "refused"]).await?;
    let (answer, delivery) = stage.why(email)?;
    ensure!(delivery["state"] == "refused" && answer["reason"]["code"] == "value_invalid", "{answer}");
    ensure!(stage.ats.applications_of(email).await? == 0, "nothing was made of it");

    let mut document = stage.document("silent@example.org");
    document["answers"] = json!([]);
    let refused = stage.rig.site.apply("silent", &document).await?;
    ensure!(refused.status == 422, "what the form demands is asked for before anything is sent: {refused}");
    Ok(())
}
