//! The outcome table, case by case, over `testdata/submit.json`.

use std::time::Duration;

use causeway_core::connector::SendError;
use causeway_core::outcome::Class;
use causeway_core::reason::Reason;
use http::Response;
use serde_json::Value;

use super::{Board, Verdict, judge, settle, unanswered};
use crate::greenhouse::map;
use crate::greenhouse::testing::{APPLICATION, JOB, application, at, published};

fn board(name: &str) -> Board {
    match name {
        "shows" => Board::Shows,
        "shows_not" => Board::ShowsNot,
        "is_not_there" => Board::IsNotThere,
        "cannot_tell" => Board::CannotTell { retry_after: None },
        "wait_7" => Board::CannotTell { retry_after: Some(Duration::from_secs(7)) },
        other => panic!("no such board: {other}"),
    }
}

fn check(case: &Value) {
    let name = case["name"].as_str().unwrap();
    for traceable in ["grade", "source", "date"] {
        assert!(case[traceable].is_string(), "{name} has no {traceable}");
    }
    let (application, form) = (application(APPLICATION), published(JOB));
    let mut answer = Response::builder().status(u16::try_from(case["status"].as_u64().unwrap()).unwrap());
    for (header, value) in case["headers"].as_object().into_iter().flatten() {
        answer = answer.header(header, value.as_str().unwrap());
    }
    let answer = answer.body(case["body"].as_str().unwrap().as_bytes()).unwrap();
    let outcome = match judge(&answer, |field| map::name_field(field, &application, Some(&form))) {
        Verdict::Settled(outcome) => {
            assert!(case["board"].is_null(), "{name}: settled without asking the board");
            outcome
        }
        Verdict::AskBoard(doubt) => {
            settle(&doubt, board(case["board"].as_str().unwrap_or_else(|| panic!("{name}: asks the board"))))
        }
    };
    let expect = &case["expect"];
    assert_eq!(outcome.class.as_str(), expect["class"], "{name}");
    assert_eq!(outcome.reason.map(Reason::as_str), expect["reason"].as_str(), "{name}");
    assert_eq!(outcome.drift, expect["drift"].as_bool().unwrap_or(false), "{name}");
    assert_eq!(outcome.retry_after.map(|wait| wait.as_secs()), expect["retry_after"].as_u64(), "{name}");
    assert_eq!(u64::from(outcome.vendor_status.unwrap()), case["status"].as_u64().unwrap(), "{name}");
    assert_eq!(outcome.vendor_words.unwrap().reveal(), case["body"].as_str().unwrap(), "{name}");
    assert!(outcome.vendor_id.is_none() && outcome.refs.is_empty(), "{name}: this door gives no ids");
    let fields: Vec<&str> = outcome.fields.iter().map(|field| field.pointer.as_str()).collect();
    let expected: Vec<&str> = expect["fields"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(fields, expected, "{name}");
    for field in &outcome.fields {
        assert!(!field.text.contains("example.org"), "{name}: a value is echoed");
    }
}

#[test]
fn every_answer_gets_its_verdict() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("testdata/submit.json")).unwrap();
    assert!(cases.len() > 30);
    cases.iter().for_each(check);
}

#[test]
fn no_answer_is_neither_yes_nor_no_unless_nothing_was_sent() {
    let now = at("2026-11-01T10:00:00Z");
    let until = at("2026-11-01T10:00:09Z");
    for (error, class, reason, wait) in [
        (SendError::NotSent("refused"), Class::Unavailable, Reason::VendorUnreachable, None),
        (SendError::NotNow { until }, Class::NotNow, Reason::VendorBusy, Some(Duration::from_secs(9))),
        (
            SendError::NotNow { until: at("2026-11-01T09:00:00Z") },
            Class::NotNow,
            Reason::VendorBusy,
            Some(Duration::ZERO),
        ),
        (SendError::Unknown("reset"), Class::Unknown, Reason::OutcomeUnknown, None),
        (SendError::Refused(401), Class::Unauthorised, Reason::CredentialsRefused, None),
        (SendError::Misconfigured("host"), Class::Unauthorised, Reason::AccountMisconfigured, None),
    ] {
        let outcome = unanswered(&error, now);
        assert_eq!((outcome.class, outcome.reason, outcome.retry_after), (class, Some(reason), wait), "{error:?}");
    }
}

#[test]
fn only_the_documented_yes_is_one() {
    crate::fuzzing::tests::check(
        &crate::greenhouse::Greenhouse,
        &["200\n{\"success\":\"Saved\"}"],
        |_, answer, body| {
            let says = |yes: &Value| yes.as_str().is_some_and(|text| !text.is_empty()) || yes == &Value::Bool(true);
            let said = body.is_some_and(|body| body["error"].is_null() && body.get("success").is_some_and(says));
            answer.status() == 200 && said
        },
    );
}
