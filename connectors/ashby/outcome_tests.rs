//! The outcome table, case by case, over `testdata/submit.json`.

use std::time::Duration;

use bytes::Bytes;
use causeway_core::connector::{ReadError, SendError};
use causeway_core::outcome::{Class, Outcome};
use causeway_core::reason::Reason;
use http::Response;
use serde_json::Value;

use super::{judge, read_failure, submitted, unanswered, uploaded};
use crate::ashby::testing::at;

fn response(status: u16, body: &str) -> Response<Bytes> {
    Response::builder().status(status).body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

fn check(case: &Value) {
    let name = case["name"].as_str().unwrap();
    for traceable in ["grade", "source", "date"] {
        assert!(case[traceable].is_string(), "{name} has no {traceable}");
    }
    let body = case["body"].as_str().unwrap();
    let mut answer = response(u16::try_from(case["status"].as_u64().unwrap()).unwrap(), body);
    for (header, value) in case["headers"].as_object().into_iter().flatten() {
        answer
            .headers_mut()
            .insert(http::HeaderName::try_from(header).unwrap(), value.as_str().unwrap().parse().unwrap());
    }
    let outcome = submitted(&answer);
    let expect = &case["expect"];
    assert_eq!(outcome.class.as_str(), expect["class"], "{name}");
    assert_eq!(outcome.reason.map(Reason::as_str), expect["reason"].as_str(), "{name}");
    assert_eq!(outcome.case.map(Reason::as_str), expect["case"].as_str(), "{name}");
    assert_eq!(outcome.drift, expect["drift"].as_bool().unwrap_or(false), "{name}");
    assert_eq!(outcome.retry_after.map(|wait| wait.as_secs()), expect["retry_after"].as_u64(), "{name}");
    assert_eq!(u64::from(outcome.vendor_status.unwrap()), case["status"].as_u64().unwrap(), "{name}");
    assert!(outcome.vendor_id.is_none(), "{name}: this door gives no application");
    assert_eq!(outcome.refs.get("form_instance_id").map(String::as_str), expect["instance"].as_str(), "{name}");
    // A yes repeats what the applicant wrote; it is nobody's words.
    let words = outcome.vendor_words.as_ref().map_or("", |words| words.reveal());
    assert!(!words.contains("Gob Bluth"), "{name}: {words}");
}

#[test]
fn every_answer_to_a_submit_has_its_verdict() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("testdata/submit.json")).unwrap();
    assert!(cases.len() >= 28, "{}", cases.len());
    cases.iter().for_each(check);
    // Each documented "no" and every class that an answer can have is among them.
    for class in ["accepted", "refused", "unauthorised", "not_now", "unavailable", "unknown"] {
        assert!(cases.iter().any(|case| case["expect"]["class"] == class), "{class}");
    }
}

#[test]
fn a_blocked_submission_keeps_the_vendors_message_and_nothing_of_the_applicant() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("testdata/submit.json")).unwrap();
    let case = cases.iter().find(|case| case["name"] == "blocked, with a message for the candidate").unwrap();
    let outcome = submitted(&response(200, case["body"].as_str().unwrap()));
    let words = outcome.vendor_words.unwrap();
    assert!(words.reveal().contains("we have set up limits"));
    assert!(outcome.fields.is_empty(), "a field's words reach the applicant; a rule's may not");
}

#[test]
fn no_answer_is_told_apart() {
    let now = at("2026-11-01T10:00:00Z");
    let until = at("2026-11-01T10:00:09Z");
    for (error, class, wait) in [
        (SendError::NotSent("no route"), Class::Unavailable, None),
        (SendError::NotNow { until }, Class::NotNow, Some(Duration::from_secs(9))),
        (SendError::Unknown("time-out"), Class::Unknown, None),
        (SendError::Misconfigured("no key"), Class::Unauthorised, None),
    ] {
        let outcome = *unanswered(&error, now).outcome;
        assert_eq!((outcome.class, outcome.retry_after), (class, wait), "{error}");
    }
}

#[test]
fn before_the_create_silence_is_harmless() {
    for (status, class) in
        [(500, Class::Unavailable), (502, Class::Unavailable), (429, Class::NotNow), (403, Class::Unauthorised)]
    {
        let outcome: Outcome = judge(&response(status, "")).err().unwrap().before_the_create();
        assert_eq!(outcome.class, class, "{status}");
        assert_ne!(outcome.reason, Some(Reason::OutcomeUnknown), "{status}");
    }
    assert!(uploaded(&response(204, "")).is_ok() && uploaded(&response(201, "")).is_ok());
    for status in [301, 400, 403, 500, 503] {
        assert_eq!(uploaded(&response(status, "<Error/>")).unwrap_err().class, Class::Unavailable, "{status}");
    }
}

#[test]
fn a_read_that_fails_says_why() {
    let failure = |status: u16, body: &str| read_failure(&judge(&response(status, body)).err().unwrap());
    let no = |code: &str| format!(r#"{{"success":false,"errors":["{code}"]}}"#);
    assert_eq!(failure(200, &no("job_posting_not_found")), ReadError::NotThere);
    assert_eq!(failure(200, &no("job_posting_not_published")), ReadError::NotThere);
    assert_eq!(failure(401, ""), ReadError::Unauthorised { status: 401 });
    assert_eq!(failure(403, ""), ReadError::Unauthorised { status: 403 });
    assert_eq!(failure(429, ""), ReadError::NotNow { what: "status 429".to_owned(), retry_after: None });
    assert!(matches!(failure(500, ""), ReadError::NotNow { .. }));
    assert!(matches!(failure(200, "<html>"), ReadError::Unreadable(_)));
    assert!(matches!(failure(200, &no("invalid_input")), ReadError::Unreadable(_)));
    assert!(matches!(failure(302, ""), ReadError::Misconfigured(_)));
}

#[test]
fn only_the_documented_yes_is_one() {
    let handle =
        r#"{"success":true,"results":{"handle":"h1","url":"https://files.example.org/1","fields":{"key":"k"}}}"#;
    let submitted =
        r#"{"success":true,"results":{"submittedFormInstance":{"id":"i1"},"formMessages":{"blocked":false}}}"#;
    let application = r#"{"success":true,"results":{"id":"a1","candidate":{"id":"c1"}}}"#;
    let all_well =
        [format!("200\n{handle}"), "204\n".to_owned(), format!("200\n{submitted}"), format!("200\n{application}")];
    let all_well = all_well.each_ref().map(String::as_str);
    crate::fuzzing::tests::check(&crate::ashby::Ashby, &all_well, |step, answer, body| {
        let Some(body) = body.filter(|body| answer.status() == 200 && body["success"] == true) else { return false };
        match step {
            "submit" => {
                let results = &body["results"];
                results["submittedFormInstance"]["id"].is_string() && results["formMessages"]["blocked"] != true
            }
            _ => body["results"]["id"].is_string(),
        }
    });
}
