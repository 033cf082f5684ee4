//! Whole calls against a scripted vendor: what is asked, with which credential, in which order.

use std::time::Duration;

use causeway_core::connector::{Connector, ReadError, SendError, Verdict};
use causeway_core::outcome::{Class, Found, Outcome};
use causeway_core::posting::PostingLocation;
use causeway_core::reason::Reason;
use http::HeaderMap;
use serde_json::Value;

use super::testing::{Exchange, account, acme, answer, at, run, script, with_delivery, with_header};
use super::{Greenhouse, read_pace};

const POST: &str = "POST board http://board.example.org/v1/boards/acme/jobs/44444";
const JOB: &str = "GET bare http://board.example.org/v1/boards/acme/jobs/44444";
const JOBS: &str = "GET bare http://board.example.org/v1/boards/acme/jobs";
const SHOWN: &str = r#"{"id": 44444, "title": "Product Engineer"}"#;

fn submit(exchanges: impl IntoIterator<Item = Exchange>) -> (Outcome, Value) {
    let http = script(exchanges);
    let outcome =
        with_delivery(&acme(), "2026-11-01T10:00:00Z", |delivery| run(Greenhouse.run("submit", delivery, &http)));
    http.assert_finished();
    let sent = serde_json::from_slice(&http.bodies.lock().unwrap()[0]).unwrap();
    (outcome, sent)
}

#[test]
fn one_step_that_must_not_be_repeated_blindly() {
    with_delivery(&acme(), "2026-11-01T10:00:00Z", |delivery| {
        let plan = Greenhouse.plan(delivery);
        assert_eq!(plan.iter().map(|step| step.name).collect::<Vec<_>>(), ["submit"]);
        assert_eq!(plan[0].idempotency, causeway_core::delivery::Idempotency::Never);
    });
}

#[test]
fn a_submit_posts_the_mapped_body_and_says_what_it_left_behind() {
    let (outcome, sent) = submit([(POST, answer(200, r#"{"success":"Candidate saved successfully"}"#))]);
    let expected: Value = serde_json::from_str(include_str!("testdata/body.json")).unwrap();
    assert_eq!(sent, expected);
    assert_eq!(outcome.class, Class::Accepted);
    assert!(outcome.refs["not_carried"].contains("/attachments/3"));
}

#[test]
fn a_401_reads_the_public_posting_before_it_blames_the_credential() {
    for (board, class, reason) in [
        (answer(200, SHOWN), Class::Unauthorised, Reason::CredentialsRefused),
        (answer(502, ""), Class::Unavailable, Reason::VendorUnreachable),
        (answer(200, "<html>"), Class::Unavailable, Reason::VendorUnreachable),
        (answer(400, r#"{"error":"Could not find a job"}"#), Class::Unavailable, Reason::VendorUnreachable),
        (Err(SendError::Unknown("time-out")), Class::Unavailable, Reason::VendorUnreachable),
        (with_header(answer(429, ""), "retry-after", "5"), Class::NotNow, Reason::VendorBusy),
    ] {
        let shown = format!("{board:?}");
        let (outcome, _) = submit([(POST, answer(401, "")), (JOB, board)]);
        assert_eq!((outcome.class, outcome.reason), (class, Some(reason)), "{shown}");
    }
}

#[test]
fn a_posting_that_is_not_there_is_closed_only_where_its_board_is_there() {
    for (status, list, class, reason) in [
        (401, answer(200, r#"{"jobs":[]}"#), Class::Refused, Reason::PostingClosed),
        (404, answer(200, r#"{"jobs":[]}"#), Class::Refused, Reason::PostingClosed),
        // A mistyped board: every application would be refused for good.
        (401, answer(404, ""), Class::Unauthorised, Reason::AccountMisconfigured),
        (404, answer(404, ""), Class::Unauthorised, Reason::AccountMisconfigured),
        (404, answer(200, "{}"), Class::Unavailable, Reason::VendorUnreachable),
        (404, with_header(answer(429, ""), "retry-after", "5"), Class::NotNow, Reason::VendorBusy),
    ] {
        let shown = format!("{status}, {list:?}");
        let (outcome, _) = submit([(POST, answer(status, "")), (JOB, answer(404, "")), (JOBS, list)]);
        assert_eq!((outcome.class, outcome.reason), (class, Some(reason)), "{shown}");
    }
    // What the vendor said in words needs no more.
    let said = answer(400, r#"{"reason":"Job application not live"}"#);
    let (outcome, _) = submit([(POST, said), (JOB, answer(404, "")), (JOBS, answer(404, ""))]);
    assert_eq!((outcome.class, outcome.reason), (Class::Refused, Some(Reason::PostingClosed)));
}

#[test]
fn silence_is_unknown_and_asks_no_one() {
    let (outcome, _) = submit([(POST, Err(SendError::Unknown("time-out")))]);
    assert_eq!((outcome.class, outcome.reason), (Class::Unknown, Some(Reason::OutcomeUnknown)));
}

#[test]
fn settings_that_cannot_work_pause_the_account_without_a_request() {
    for settings in [
        &[][..],
        &[("board_token", "internal")],
        &[("board_token", "acme"), ("board_url", "not a url")],
        &[("board_token", "acme"), ("harvest_url", "mailto:a@example.org")],
    ] {
        let http = script([]);
        let (account, now) = (account(settings), "2026-11-01T10:00:00Z");
        let outcome = with_delivery(&account, now, |delivery| run(Greenhouse.run("submit", delivery, &http)));
        assert_eq!((outcome.class, outcome.reason), (Class::Unauthorised, Some(Reason::AccountMisconfigured)));
        let found = with_delivery(&account, now, |delivery| run(Greenhouse.find("submit", delivery, at(now), &http)));
        assert_eq!(found, Found::CannotTell);
        assert!(matches!(run(Greenhouse.list_jobs(&account, None, &http)), Err(ReadError::Misconfigured(_))));
        assert_eq!(run(Greenhouse.check(&account, &http))[0].verdict, Verdict::No);
    }
}

#[test]
fn the_board_lists_its_postings_with_all_their_ids() {
    let list = "GET bare http://board.example.org/v1/boards/acme/jobs?content=true";
    let http = script([(list, answer(200, include_str!("testdata/jobs.json")))]);
    let page = run(Greenhouse.list_jobs(&acme(), None, &http)).unwrap();
    assert_eq!((page.postings.len(), page.next), (3, None));
    let first = &page.postings[0];
    assert_eq!(first.posting_id, "127817");
    assert_eq!(first.vendor_job_id.as_deref(), Some("144381"));
    assert_eq!(first.requisition_code.as_deref(), Some("50"));
    assert_eq!(first.sibling_ids, ["127818"]);
    assert_eq!(first.title, "Vault Designer");
    assert!(first.description_html.as_deref().unwrap().contains(". <p>Any HTML"));
    let place = PostingLocation { text: "NYC".to_owned(), ..PostingLocation::default() };
    assert_eq!(first.locations, [place]);
    assert_eq!(first.departments, ["Department of Departments"]);
    assert_eq!(first.language.as_deref(), Some("en"));
    assert_eq!(first.updated_at.as_deref(), Some("2016-01-14T10:55:28-05:00"));
    assert_eq!(first.apply_url.as_deref(), Some("https://boards.greenhouse.io/vaulttec/jobs/127817"));
    assert_eq!(page.postings[1].description_html.as_deref(), Some("<p>R&amp;D</p>"));
    let prospects = &page.postings[2];
    assert_eq!((prospects.vendor_job_id.as_deref(), prospects.sibling_ids.len()), (None, 0));
}

#[test]
fn a_list_that_is_not_whole_is_no_list() {
    let list = "GET bare http://board.example.org/v1/boards/acme/jobs?content=true";
    for (answer, wrong) in [
        (answer(200, r#"{"jobs": [], "meta": {"total": 2}}"#), "Unreadable"),
        (answer(200, r#"{"jobs": [{"id": 1"#), "Unreadable"),
        (answer(404, ""), "NotThere"),
        (answer(503, ""), "NotNow"),
        (Err(SendError::NotSent("refused")), "NotNow"),
    ] {
        let error = run(Greenhouse.list_jobs(&acme(), None, &script([(list, answer)]))).unwrap_err();
        assert!(format!("{error:?}").starts_with(wrong), "{error:?}");
    }
}

#[test]
fn a_form_is_the_asked_postings_own() {
    let form = "GET bare http://board.example.org/v1/boards/acme/jobs/44444?questions=true";
    let read = |answer| run(Greenhouse.fetch_form(&acme(), "44444", &script([(form, answer)])));
    assert_eq!(read(answer(200, include_str!("testdata/job.json"))).unwrap().posting_id, "44444");
    assert!(matches!(read(answer(200, r#"{"id": 1, "questions": []}"#)), Err(ReadError::Unreadable(_))));
    assert_eq!(read(answer(404, "")), Err(ReadError::NotThere));
    let wait = Some(Duration::from_secs(3));
    let busy = read(with_header(answer(429, ""), "retry-after", "3"));
    assert_eq!(busy, Err(ReadError::NotNow { what: "status 429".to_owned(), retry_after: wait }));
}

#[test]
fn a_check_tries_every_credential_and_says_what_cannot_be_tried() {
    let applications = "GET harvest http://harvest.example.org/v3/applications?per_page=1";
    let candidates = "GET harvest http://harvest.example.org/v3/candidates?per_page=1";
    let http = script([
        (JOBS, answer(200, r#"{"jobs": []}"#)),
        (applications, answer(403, "")),
        (candidates, Err(SendError::Misconfigured("no credential"))),
    ]);
    let permissions = run(Greenhouse.check(&acme(), &http));
    http.assert_finished();
    let verdicts: Vec<_> = permissions.iter().map(|permission| (permission.name, permission.verdict)).collect();
    let expected = [
        ("list jobs", Verdict::Yes),
        ("submit applications", Verdict::NotTestable),
        ("look up applications", Verdict::No),
        ("look up candidates", Verdict::NotTestable),
    ];
    assert_eq!(verdicts, expected);
    assert!(permissions[2].text.contains("Site Admin") && permissions[3].text.contains("Not set up"));
}

#[test]
fn harvests_headers_set_the_pace() {
    let mut headers = HeaderMap::new();
    assert_eq!(read_pace(&headers), None);
    headers.insert("x-ratelimit-limit", "75".parse().unwrap());
    headers.insert("x-ratelimit-remaining", "3".parse().unwrap());
    let pace = read_pace(&headers).unwrap();
    assert_eq!((pace.calls, pace.remaining, pace.window), (75, 3, Some(Duration::from_secs(30))));
}

#[test]
fn the_descriptor_names_only_what_exists() {
    let descriptor = Greenhouse.describe();
    for field in descriptor.credentials.iter().chain(descriptor.settings) {
        assert!(!field.help.is_empty(), "{}", field.name);
    }
    let urls: Vec<&str> = descriptor.settings.iter().filter(|field| field.is_url).map(|field| field.name).collect();
    assert_eq!(urls, ["board_url", "harvest_url", "auth_url"]);
    assert_eq!(descriptor.name, "greenhouse");
}
