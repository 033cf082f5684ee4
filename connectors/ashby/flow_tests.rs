//! Whole calls against a scripted vendor: what is asked, where a key goes, in which order, what is kept.

use causeway_core::connector::{Connector, ReadError, SendError, Verdict};
use causeway_core::delivery::{Idempotency, Refs};
use causeway_core::outcome::{Class, Outcome};
use causeway_core::reason::Reason;
use serde_json::{Value, json};

use super::Ashby;
use super::testing::{
    APPLICATION, Exchange, JOB_ID, POSTING, POSTING_ID, Script, account, acme, answer, no, run, script, with_document,
    yes,
};

const HANDLE: &str = "key file.createFileUploadHandle";
const STORE: &str = "bare https://storage.example.com/put?sig=1";
const SUBMIT: &str = "key applicationForm.submit";
const READ: &str = "key application.info";
const SURVEY: &str = "key surveySubmission.create";
const INFO: &str = include_str!("testdata/application-info.json");

fn handle(number: u32) -> Exchange {
    let fields = json!({ "key": "k", "Policy": "p" });
    let results = json!({ "handle": format!("handle-{number}"), "url": "https://storage.example.com/put?sig=1", "fields": fields });
    (HANDLE, yes(&results))
}

fn stored() -> Value {
    json!({ "submittedFormInstance": { "id": "f-1", "formDefinition": {}, "submittedValues": {} }, "formMessages": { "blocked": false } })
}

fn refs(known: &[(&str, &str)]) -> Refs {
    known.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn step(name: &str, known: &[(&str, &str)], exchanges: impl IntoIterator<Item = Exchange>) -> (Outcome, Script) {
    let http = script(exchanges);
    let outcome = with_document(APPLICATION, &refs(known), |delivery| run(Ashby.run(name, delivery, &http)));
    http.assert_finished();
    (outcome, http)
}

fn all_files() -> Vec<Exchange> {
    vec![handle(0), (STORE, answer(204, "")), handle(1), (STORE, answer(204, ""))]
}

#[test]
fn the_surveys_a_document_answers_are_steps_behind_the_application() {
    with_document(APPLICATION, &Refs::new(), |delivery| {
        let plan = Ashby.plan(delivery);
        let names: Vec<&str> = plan.iter().map(|step| step.name).collect();
        let surveys = ["survey_consent", "survey_eeoc", "survey_diversity", "survey_questionnaire"];
        assert_eq!(names, [&["submit", "application"][..], &surveys].concat());
        for step in &plan {
            let repeatable = step.name == "application";
            assert_eq!(step.idempotency == Idempotency::Always, repeatable, "{}", step.name);
            assert_eq!(Ashby.only_adds(step.name), surveys.contains(&step.name), "{}", step.name);
        }
    });
    let bare = json!({ "job": POSTING_ID, "person": { "name": { "given": "A" }, "emails": [{ "address": "a@example.org" }] } });
    with_document(&bare.to_string(), &Refs::new(), |delivery| assert_eq!(Ashby.plan(delivery).len(), 2));
}

#[test]
fn a_submit_uploads_each_file_and_sends_the_handles() {
    let mut exchanges = all_files();
    exchanges.push((SUBMIT, yes(&stored())));
    let (outcome, http) = step("submit", &[], exchanges);
    assert_eq!(outcome.class, Class::Accepted);
    assert_eq!(outcome.refs["form_instance_id"], "f-1");
    assert!(outcome.refs["not_carried"].contains("/attachments/2"));
    let wanted = json!({ "fileUploadContext": "ApplicationForm", "filename": "cv.pdf", "contentType": "application/pdf", "contentLength": 5 });
    assert_eq!(http.sent(0), wanted);
    let upload = String::from_utf8(http.bodies.lock().unwrap()[1].to_vec()).unwrap();
    assert!(upload.find("name=\"key\"") < upload.find("name=\"file\""), "{upload}");
    assert!(upload.contains("\r\n\r\nhello\r\n--"), "{upload}");
    let expected: Value = serde_json::from_str(include_str!("testdata/body.json")).unwrap();
    assert_eq!(http.sent(4), expected);
}

#[test]
fn an_upload_that_fails_may_be_tried_again_and_nothing_was_submitted() {
    let garbage = || (HANDLE, yes(&json!({ "handle": "h" })));
    for (exchanges, class) in [
        (vec![(HANDLE, Err(SendError::Unknown("time-out")))], Class::Unavailable),
        (vec![(HANDLE, answer(502, ""))], Class::Unavailable),
        (vec![(HANDLE, answer(429, ""))], Class::NotNow),
        (vec![(HANDLE, answer(403, ""))], Class::Unauthorised),
        (vec![garbage()], Class::Unavailable),
        (vec![handle(0), (STORE, answer(403, "<Error/>"))], Class::Unavailable),
        (vec![handle(0), (STORE, Err(SendError::Unknown("reset")))], Class::Unavailable),
        (vec![handle(0), (STORE, Err(SendError::Misconfigured("host")))], Class::Unauthorised),
        (vec![handle(0), (STORE, answer(204, "")), handle(1), (STORE, answer(500, ""))], Class::Unavailable),
    ] {
        let shown = format!("{exchanges:?}");
        let (outcome, _) = step("submit", &[], exchanges);
        assert_eq!(outcome.class, class, "{shown}");
    }
}

#[test]
fn silence_after_the_submit_is_unknown_and_asks_no_one() {
    for (lost, class) in [
        (Err(SendError::Unknown("time-out")), Class::Unknown),
        (answer(502, ""), Class::Unknown),
        (Err(SendError::NotSent("no route")), Class::Unavailable),
    ] {
        let mut exchanges = all_files();
        exchanges.push((SUBMIT, lost));
        let (outcome, _) = step("submit", &[], exchanges);
        assert_eq!((outcome.class, outcome.refs.len()), (class, 0));
    }
}

#[test]
fn the_ids_are_read_and_reading_is_the_proof() {
    let (outcome, http) = step("application", &[("form_instance_id", "f-1")], [(READ, answer(200, INFO))]);
    assert_eq!(http.sent(0), json!({ "submittedFormInstanceId": "f-1" }));
    assert_eq!((outcome.class, outcome.vendor_id.as_deref()), (Class::AlreadyThere, Some("a-2")));
    assert_eq!((outcome.refs["application_id"].as_str(), outcome.refs["candidate_id"].as_str()), ("a-2", "c-1"));
    let adopted = [("application_id", "a-2"), ("form_instance_id", "f-1")];
    let (_, http) = step("application", &adopted, [(READ, answer(200, INFO))]);
    assert_eq!(http.sent(0), json!({ "applicationId": "a-2" }), "what was found is read by its own id");
}

#[test]
fn a_read_that_fails_refuses_no_application() {
    for (said, class, reason) in [
        (no("application_not_found"), Class::Unavailable, Reason::OutcomeUnknown),
        (no("application_blocked"), Class::Refused, Reason::ApplicationBlocked),
        (no("something_new"), Class::Unavailable, Reason::VendorFailed),
        (no("missing_endpoint_permission"), Class::Unauthorised, Reason::PermissionMissing),
        (answer(500, ""), Class::Unavailable, Reason::VendorFailed),
        (Err(SendError::Unknown("time-out")), Class::Unavailable, Reason::VendorFailed),
        (yes(&json!({})), Class::Unavailable, Reason::VendorDrifted),
    ] {
        let shown = format!("{said:?}");
        let (outcome, _) = step("application", &[("form_instance_id", "f-1")], [(READ, said)]);
        assert_eq!((outcome.class, outcome.reason), (class, Some(reason)), "{shown}");
        assert_eq!(outcome.case, None, "{shown}");
    }
}

#[test]
fn without_surveys_a_key_that_may_not_read_delivers_all_the_same() {
    let bare = json!({ "job": POSTING_ID, "person": { "name": { "given": "A" }, "emails": [{ "address": "a@example.org" }] } });
    let http = script([(READ, no("missing_endpoint_permission"))]);
    let outcome = with_document(&bare.to_string(), &refs(&[("form_instance_id", "f-1")]), |delivery| {
        run(Ashby.run("application", delivery, &http))
    });
    assert_eq!((outcome.class, outcome.case), (Class::Accepted, Some(Reason::PermissionMissing)));
    assert_eq!(outcome.vendor_id, None, "nothing was read, so nothing is proven");
}

#[test]
fn a_survey_goes_out_with_the_ids_and_tells_nobody_its_answers() {
    let known = [("application_id", "a-2"), ("candidate_id", "c-1")];
    let (outcome, http) = step("survey_eeoc", &known, [(SURVEY, yes(&json!({ "id": "s-1" })))]);
    assert_eq!(outcome.class, Class::Accepted);
    let sent = json!({
        "candidateId": "c-1", "applicationId": "a-2",
        "surveyFormDefinitionId": "44444444-4444-4444-8444-444444444444",
        "submittedValues": { "_systemfield_eeoc_gender": "Female" },
    });
    assert_eq!(http.sent(0), sent);
    let (refused, _) = step("survey_eeoc", &known, [(SURVEY, no("invalid_input"))]);
    assert_eq!((refused.class, refused.vendor_words), (Class::Refused, None), "a refusal may repeat them");
    let (refused, _) = step("survey_questionnaire", &known, [(SURVEY, no("invalid_input"))]);
    assert!(refused.vendor_words.is_some());
    let (lost, _) = step("survey_consent", &known, [(SURVEY, Err(SendError::Unknown("time-out")))]);
    assert_eq!(lost.class, Class::Unknown, "a second one may count twice");
    let (lacking, _) = step("survey_consent", &[], []);
    assert_eq!(lacking.class, Class::Refused);
}

#[test]
fn settings_that_cannot_work_pause_the_account_without_a_request() {
    let http = script([]);
    for base in ["not a url", "mailto:a@example.org"] {
        let account = account(&[("base_url", base)]);
        let outcome = with_document(APPLICATION, &Refs::new(), |delivery| {
            let here = causeway_core::connector::Delivery { account: &account, ..*delivery };
            run(Ashby.run("submit", &here, &http))
        });
        assert_eq!((outcome.class, outcome.reason), (Class::Unauthorised, Some(Reason::AccountMisconfigured)));
        assert!(matches!(run(Ashby.list_jobs(&account, None, &http)), Err(ReadError::Misconfigured(_))));
        assert_eq!(run(Ashby.check(&account, &http))[0].verdict, Verdict::No);
    }
}

#[test]
fn postings_are_the_listed_ones_page_by_page() {
    let info: Value = serde_json::from_str(POSTING).unwrap();
    let listed =
        json!({ "success": true, "results": [info["results"]], "moreDataAvailable": true, "nextCursor": "c2" });
    let http =
        script([("key jobPosting.list", answer(200, &listed.to_string())), ("key jobPosting.list", yes(&json!([])))]);
    let page = run(Ashby.list_jobs(&acme(), None, &http)).unwrap();
    assert_eq!(http.sent(0), json!({ "listedOnly": true }));
    assert_eq!(page.next.as_deref(), Some("c2"));
    let posting = &page.postings[0];
    assert_eq!((posting.posting_id.as_str(), posting.vendor_job_id.as_deref()), (POSTING_ID, Some(JOB_ID)));
    assert_eq!(
        (posting.title.as_str(), posting.departments.as_slice()),
        ("Product Engineer", ["Engineering".to_owned()].as_slice())
    );
    assert_eq!((posting.locations[0].text.as_str(), posting.locations[0].remote), ("Berlin", Some(false)));
    assert_eq!(posting.audience, None);
    assert!(posting.recruiter.is_none() && posting.description_html.is_none(), "the list has neither");
    let board = account(&[("base_url", "https://ashby.example.org"), ("listed_only", "false"), ("job_board_id", "b")]);
    assert_eq!(run(Ashby.list_jobs(&board, Some("c2"), &http)).unwrap().next, None);
    assert_eq!(http.sent(1), json!({ "listedOnly": false, "jobBoardId": "b", "cursor": "c2" }));
}

#[test]
fn a_list_that_goes_on_without_a_cursor_is_no_whole_one() {
    let info: Value = serde_json::from_str(POSTING).unwrap();
    let listed = json!({ "success": true, "results": [info["results"]], "moreDataAvailable": true });
    let http = script([("key jobPosting.list", answer(200, &listed.to_string()))]);
    let page = run(Ashby.list_jobs(&acme(), None, &http));
    assert!(matches!(page, Err(ReadError::Unreadable(_))), "{page:?}");
}

#[test]
fn a_form_is_the_postings_own() {
    let http = script([("key jobPosting.info", answer(200, POSTING)), ("key jobPosting.info", answer(200, POSTING))]);
    assert_eq!(run(Ashby.fetch_form(&acme(), POSTING_ID, &http)).unwrap().posting_id, POSTING_ID);
    let other = run(Ashby.fetch_form(&acme(), "another", &http));
    assert!(matches!(other, Err(ReadError::Unreadable(_))), "{other:?}");
    let http = script([("key jobPosting.info", no("job_posting_not_found"))]);
    assert_eq!(run(Ashby.fetch_form(&acme(), "gone", &http)), Err(ReadError::NotThere));
}

#[test]
fn a_check_says_what_the_key_may_do() {
    let verdicts = |jobs, people, key| {
        let http = script([("key jobPosting.list", jobs), ("key candidate.search", people), ("key apiKey.info", key)]);
        let said = run(Ashby.check(&acme(), &http));
        (
            said.iter().map(|one| one.verdict).collect::<Vec<_>>(),
            said.into_iter().map(|one| one.text).collect::<Vec<_>>(),
        )
    };
    let key = yes(&json!({ "title": "k", "scopes": ["jobs:read", "candidates:read"] }));
    let (all, texts) = verdicts(yes(&json!([])), yes(&json!([])), key);
    assert_eq!(all, [Verdict::Yes, Verdict::Yes, Verdict::NotTestable]);
    assert!(texts[2].contains("jobs:read, candidates:read"), "{texts:?}");
    let (all, texts) = verdicts(
        answer(403, ""),
        answer(403, r#"{"success":false,"errors":["missing_endpoint_permission"]}"#),
        answer(403, ""),
    );
    assert_eq!(all, [Verdict::No, Verdict::No, Verdict::NotTestable]);
    assert!(texts[0].contains("Three causes") && texts[1].contains("Candidates: Read"), "{texts:?}");
}
