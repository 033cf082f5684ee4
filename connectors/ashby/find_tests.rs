//! Looking a lost answer up: what is seen, what is not, and what must not be claimed.

use std::time::Duration;

use causeway_core::connector::{Connector, SendError};
use causeway_core::delivery::Refs;
use causeway_core::outcome::Found;
use serde_json::{Value, json};

use crate::ashby::Ashby;
use crate::ashby::testing::{APPLICATION, Exchange, JOB_ID, answer, at, no, run, script, with_document, yes};

const CANDIDATES: &str = include_str!("testdata/candidates.json");
const INFO: &str = include_str!("testdata/application-info.json");
const SEARCH: &str = "key candidate.search";
const READ: &str = "key application.info";

/// What looking for an attempt begun at 10:00 comes to, asked at 11:00.
fn look(exchanges: impl IntoIterator<Item = Exchange>) -> Found {
    let http = script(exchanges);
    let found = with_document(APPLICATION, &Refs::new(), |delivery| {
        run(Ashby.find("submit", delivery, at("2026-11-01T10:00:00Z"), &http))
    });
    http.assert_finished();
    assert_eq!(http.sent(0), json!({ "email": "ines@example.org" }));
    found
}

fn seen(found: &Found) -> Vec<&str> {
    match found {
        Found::Seen(records) => records.iter().map(|record| record.vendor_id.as_str()).collect(),
        Found::NotSeen { .. } | Found::CannotTell | Found::NotNow { .. } => panic!("{found:?}"),
    }
}

fn info(change: impl FnOnce(&mut Value)) -> Value {
    let mut info: Value = serde_json::from_str(INFO).unwrap();
    change(&mut info["results"]);
    info["results"].take()
}

fn candidates(ids: &[&str]) -> Value {
    json!([{ "id": "c-1", "primaryEmailAddress": { "value": "ines@example.org" }, "applicationIds": ids }])
}

#[test]
fn the_application_is_found_by_address_job_posting_and_window() {
    // a-1 is older; a-3 is another job's, of a candidate who has the address as a second one; c-2 is somebody else.
    let found = look([
        (SEARCH, answer(200, CANDIDATES)),
        (READ, yes(&info(|one| (one["id"], one["createdAt"]) = (json!("a-1"), json!("2026-10-01T10:00:00.000Z"))))),
        (READ, answer(200, INFO)),
        (
            READ,
            yes(&info(|one| {
                (one["id"], one["candidate"]["id"], one["job"]["id"]) = (json!("a-3"), json!("c-3"), json!("another"));
            })),
        ),
    ]);
    assert_eq!(seen(&found), ["a-2"]);
    let Found::Seen(records) = found else { return };
    assert_eq!((records[0].refs["application_id"].as_str(), records[0].refs["candidate_id"].as_str()), ("a-2", "c-1"));
    assert_eq!(records[0].created_at, Some(at("2026-11-01T10:00:03Z")));
    assert!(!records[0].carries_our_reference);
}

#[test]
fn nothing_that_matches_is_good_for_the_moment_it_was_asked() {
    let as_of = at("2026-11-01T11:00:00Z");
    let nobody = Found::NotSeen { as_of };
    assert_eq!(look([(SEARCH, yes(&json!([])))]), nobody);
    assert_eq!(look([(SEARCH, yes(&candidates(&[])))]), nobody);
    let fuzzy = json!([{ "id": "c", "primaryEmailAddress": { "value": "ines@example.org.example.com" }, "applicationIds": ["a"] }]);
    assert_eq!(look([(SEARCH, yes(&fuzzy))]), nobody, "the search is not trusted");
    for change in [
        |one: &mut Value| one["job"]["id"] = json!("another"),
        |one: &mut Value| one["appliedViaJobPostingId"] = json!("another"),
        |one: &mut Value| one["candidate"]["id"] = json!("another"),
        |one: &mut Value| one["createdAt"] = json!("2026-11-01T09:57:00.000Z"),
    ] {
        assert_eq!(look([(SEARCH, yes(&candidates(&["a-2"]))), (READ, yes(&info(change)))]), nobody);
    }
}

#[test]
fn a_posting_that_is_not_told_does_not_speak_against_it() {
    let untold = info(|one| one["appliedViaJobPostingId"] = Value::Null);
    assert_eq!(seen(&look([(SEARCH, yes(&candidates(&["a-2"]))), (READ, yes(&untold))])), ["a-2"]);
}

#[test]
fn the_one_created_first_after_the_attempt_is_best() {
    let made = |id: &str, at: &str| {
        let (id, created) = (json!(id), json!(format!("2026-11-01T{at}.000Z")));
        (READ, yes(&info(|one| (one["id"], one["createdAt"]) = (id, created))))
    };
    let search = (SEARCH, yes(&candidates(&["late", "early", "skewed"])));
    let found = look([search, made("late", "10:05:00"), made("early", "10:00:01"), made("skewed", "09:59:00")]);
    assert_eq!(seen(&found), ["early", "late", "skewed"]);
}

#[test]
fn what_could_not_be_read_is_no_proof_of_absence() {
    let full: Value = (0..100).map(|number| json!({ "id": number.to_string() })).collect();
    assert_eq!(look([(SEARCH, yes(&full))]), Found::CannotTell, "a full answer may hide it");
    let many: Vec<String> = (0..51).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(look([(SEARCH, yes(&candidates(&many)))]), Found::CannotTell);
    for (answer, expected) in [
        (no("application_not_found"), Found::CannotTell),
        (yes(&json!({ "id": "a-2" })), Found::CannotTell),
        (answer(403, ""), Found::CannotTell),
        (answer(500, ""), Found::NotNow { retry_after: None }),
        (Err(SendError::Unknown("time-out")), Found::NotNow { retry_after: None }),
        (
            Err(SendError::NotNow { until: at("2026-11-01T11:00:08Z") }),
            Found::NotNow { retry_after: Some(Duration::from_secs(8)) },
        ),
    ] {
        assert_eq!(look([(SEARCH, yes(&candidates(&["a-2"]))), (READ, answer)]), expected);
    }
    assert_eq!(look([(SEARCH, answer(200, "<html>"))]), Found::NotNow { retry_after: None });
    assert_eq!(look([(SEARCH, answer(403, ""))]), Found::CannotTell);
}

#[test]
fn a_survey_cannot_be_looked_up_and_a_job_must_be_known() {
    let http = script([]);
    let since = at("2026-11-01T10:00:00Z");
    let found =
        with_document(APPLICATION, &Refs::new(), |delivery| run(Ashby.find("survey_eeoc", delivery, since, &http)));
    assert_eq!(found, Found::CannotTell);
    let found = with_document(APPLICATION, &Refs::new(), |delivery| {
        let posting = causeway_core::posting::Posting { vendor_job_id: None, ..delivery.posting.clone() };
        assert_eq!(delivery.posting.vendor_job_id.as_deref(), Some(JOB_ID));
        let unknown = causeway_core::connector::Delivery { posting: &posting, ..*delivery };
        run(Ashby.find("submit", &unknown, since, &http))
    });
    assert_eq!(found, Found::CannotTell);
}
