//! Verdicts: one row per stored answer.

use std::time::Duration;

use causeway_core::connector::{Pace, SendError};
use causeway_core::outcome::{Class, Found};
use causeway_core::reason::Reason;
use http::HeaderMap;
use http::header::RETRY_AFTER;
use serde_json::Value;

use super::super::outcome;
use super::{answer, now};

#[test]
fn every_refusal_has_its_verdict() {
    #[rustfmt::skip]
    let table = [
        ("value_invalid_400",       Class::Refused,      Reason::ValueInvalid,         None,         false),
        ("stage_invalid_400",       Class::Unauthorised, Reason::AccountMisconfigured, None,         false),
        ("property_missing_400",    Class::Unauthorised, Reason::AccountMisconfigured, None,         false),
        ("not_unique_400",          Class::Refused,      Reason::VendorRefused,        None,         false),
        ("unauthorised_401",        Class::Unauthorised, Reason::CredentialsRefused,   None,         false),
        ("missing_scopes_403",      Class::Unauthorised, Reason::PermissionMissing,    None,         false),
        ("not_found_404",           Class::Refused,      Reason::VendorRefused,        None,         false),
        ("conflict_without_id_409", Class::Unavailable,  Reason::VendorBusy,           None,         false),
        ("uri_too_long_414",        Class::Refused,      Reason::VendorRefused,        None,         true),
        ("locked_423",              Class::NotNow,       Reason::VendorBusy,           Some(2),      false),
        ("daily_429",               Class::NotNow,       Reason::VendorBusy,           Some(3_600),  false),
        ("ten_secondly_429",        Class::NotNow,       Reason::VendorBusy,           Some(10),     false),
        ("secondly_429",            Class::NotNow,       Reason::VendorBusy,           Some(1),      false),
        ("bare_429",                Class::NotNow,       Reason::VendorBusy,           Some(10),     false),
        ("migration_477",           Class::NotNow,       Reason::VendorBusy,           Some(7_200),  false),
        ("failed_500",              Class::Unknown,      Reason::VendorFailed,         None,         false),
        ("gateway_502",             Class::Unknown,      Reason::VendorFailed,         None,         false),
        ("unavailable_503",         Class::Unknown,      Reason::VendorFailed,         None,         false),
        ("unavailable_503_retry",   Class::NotNow,       Reason::VendorBusy,           Some(30),     false),
    ];
    for (name, class, reason, retry_after, drift) in table {
        let answer = answer(name);
        let verdict = outcome::refusal(&answer, now());
        assert_eq!(
            (verdict.class, verdict.reason, verdict.retry_after, verdict.drift),
            (class, Some(reason), retry_after.map(Duration::from_secs), drift),
            "{name}"
        );
        assert_eq!(verdict.vendor_status, Some(answer.status().as_u16()), "{name}");
        assert!(verdict.vendor_words.is_some(), "{name}");
    }
}

#[test]
fn a_refused_value_names_its_place_and_a_missing_scope_its_name() {
    let value = outcome::refusal(&answer("value_invalid_400"), now());
    assert_eq!(value.fields[0].pointer, "/person/phones/0");
    let scope = outcome::refusal(&answer("missing_scopes_403"), now());
    assert!(scope.fields[0].text.contains("any one of these scopes: crm.objects.contacts.write, "));
}

#[test]
fn only_names_pass_from_an_error_into_our_sentences() {
    let body = serde_json::json!({ "errors": [
        { "context": { "propertyName": ["phone", "ada@example.org <b>", "a b"] } },
        { "context": "none" },
    ]});
    assert_eq!(outcome::property_names(&body), ["phone"]);
}

#[test]
fn an_answer_that_does_not_come_is_judged_by_whether_it_can_have_arrived() {
    let until = "2026-03-12T07:34:05Z".parse().unwrap();
    let table = [
        (SendError::NotSent("x"), Class::Unavailable, Reason::VendorUnreachable, None),
        (SendError::NotNow { until }, Class::NotNow, Reason::VendorBusy, Some(Duration::from_secs(5))),
        (SendError::Unknown("x"), Class::Unknown, Reason::OutcomeUnknown, None),
        (SendError::Misconfigured("x"), Class::Unauthorised, Reason::AccountMisconfigured, None),
    ];
    for (error, class, reason, retry_after) in table {
        let verdict = outcome::unsent(&error, now());
        assert_eq!((verdict.class, verdict.reason, verdict.retry_after), (class, Some(reason), retry_after), "{error}");
    }
}

#[test]
fn a_look_up_that_got_no_answer_is_asked_again_and_one_that_may_not_ask_cannot_tell() {
    let table = [
        ("failed_500", Found::NotNow { retry_after: None }),
        ("daily_429", Found::NotNow { retry_after: Some(Duration::from_secs(3_600)) }),
        ("unauthorised_401", Found::NotNow { retry_after: None }),
        ("missing_scopes_403", Found::CannotTell),
        ("value_invalid_400", Found::CannotTell),
    ];
    for (name, found) in table {
        assert_eq!(outcome::unanswered(&outcome::refusal(&answer(name), now())), found, "{name}");
    }
}

#[test]
fn retry_after_is_read_as_seconds_or_date_and_junk_is_ignored() {
    let table = [
        ("7", Some(7)),
        ("Thu, 12 Mar 2026 07:35:00 GMT", Some(60)),
        ("Thu, 12 Mar 2026 07:00:00 GMT", None),
        ("-5", None),
        ("soon", None),
    ];
    for (text, seconds) in table {
        let mut answer = answer("unavailable_503");
        answer.headers_mut().insert(RETRY_AFTER, text.parse().unwrap());
        let verdict = outcome::refusal(&answer, now());
        assert_eq!(verdict.retry_after, seconds.map(Duration::from_secs), "{text}");
        assert_eq!(verdict.class, if seconds.is_some() { Class::NotNow } else { Class::Unknown }, "{text}");
    }
}

#[test]
fn the_pace_is_read_from_the_ten_second_headers() {
    let pace = Pace { calls: 100, remaining: 97, window: Some(Duration::from_secs(10)) };
    assert_eq!(outcome::pace(answer("contact_conflict_409").headers()), Some(pace));
    assert_eq!(outcome::pace(&HeaderMap::new()), None);
}

#[test]
fn only_the_documented_yes_is_one() {
    let all_well = [
        "404\n{}",
        r#"201
{"id":"11","properties":{"email":"ada@example.org"}}"#,
        "404\n{}",
        r#"200
{"results":[{"id":"12","new":true}]}"#,
        r#"201
{"id":"13"}"#,
        r#"200
{"status":"COMPLETE","results":[{"from":{"id":"12"},"to":{"id":"11"}}]}"#,
    ];
    crate::fuzzing::tests::check(&crate::hubspot::HubSpot, &all_well, |step, answer, body| {
        let is_id = |id: &Value| id.as_str().is_some_and(|id| !id.is_empty()) || id.is_number();
        let has_id = body.is_some_and(|body| {
            let results = body["results"].as_array().into_iter().flatten();
            let is_link = |one: &Value| is_id(&one["from"]["id"]) && is_id(&one["to"]["id"]);
            // An association is answered with what it joins; the answer names no record of its own.
            let is_named = |one: &Value| if step == "association" { is_link(one) } else { is_id(&one["id"]) };
            is_id(&body["id"]) || results.into_iter().any(is_named)
        });
        answer.status().is_success() && has_id
    });
}
