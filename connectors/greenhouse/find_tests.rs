//! Looking a lost answer up: what is seen, what is not, and what must not be claimed.

use std::time::Duration;

use causeway_core::connector::{Connector, SendError, Taken};
use causeway_core::outcome::Found;

use crate::greenhouse::Greenhouse;
use crate::greenhouse::testing::{Exchange, acme, answer, at, run, script, with_delivery, with_header};

const APPLICATIONS: &str = include_str!("testdata/applications.json");
const CANDIDATES: &str = include_str!("testdata/candidates.json");
const LIST: &str = "GET harvest http://harvest.example.org/v3/applications?job_post_ids=44444&created_at=gte%7C2026-11-01T09%3A58%3A00.000Z&per_page=100";
const IDS: &str = "GET harvest http://harvest.example.org/v3/candidates?ids=502%2C503&per_page=100";
const ID: &str = "GET harvest http://harvest.example.org/v3/candidates?ids=502&per_page=100";

/// What looking for an attempt begun at 10:00 comes to, asked at 11:00.
fn look(exchanges: impl IntoIterator<Item = Exchange>) -> Found {
    let http = script(exchanges);
    let found = with_delivery(&acme(), "2026-11-01T11:00:00Z", |delivery| {
        run(Greenhouse.find("submit", delivery, at("2026-11-01T10:00:00Z"), &http))
    });
    http.assert_finished();
    found
}

fn seen(found: &Found) -> Vec<&str> {
    match found {
        Found::Seen(records) => records.iter().map(|record| record.vendor_id.as_str()).collect(),
        Found::NotSeen { .. } | Found::CannotTell | Found::NotNow { .. } => panic!("{found:?}"),
    }
}

#[test]
fn the_application_is_found_by_posting_window_and_email() {
    let found = look([(LIST, answer(200, APPLICATIONS)), (IDS, answer(200, CANDIDATES))]);
    // 901 is another posting's, 900 is older than the window, 503's address is another's: the filters are not trusted.
    assert_eq!(seen(&found), ["902"]);
    let Found::Seen(records) = found else { return };
    assert_eq!(records[0].refs["candidate_id"], "502");
    assert_eq!(records[0].created_at, Some(at("2026-11-01T10:00:03Z")));
    assert!(!records[0].carries_our_reference);
}

#[test]
fn a_cursor_travels_alone_and_never_to_another_host() {
    let next = r#"<https://elsewhere.example.com/v3/applications?cursor=c2&per_page=5>; rel="next""#;
    let found = look([
        (LIST, with_header(answer(200, "[]"), "link", next)),
        ("GET harvest http://harvest.example.org/v3/applications?cursor=c2", answer(200, APPLICATIONS)),
        (IDS, answer(200, CANDIDATES)),
    ]);
    assert_eq!(seen(&found), ["902"]);
}

#[test]
fn nothing_there_is_good_for_the_moment_it_was_asked() {
    let as_of = at("2026-11-01T11:00:00Z");
    assert_eq!(look([(LIST, answer(200, "[]"))]), Found::NotSeen { as_of });
    let others = r#"[{"id": 502, "email_addresses": [{"value": "someone@example.org"}]}]"#;
    let theirs = r#"[{"id": 1, "candidate_id": 502, "job_post_id": 44444, "created_at": "2026-11-01T10:00:03Z"}]"#;
    assert_eq!(look([(LIST, answer(200, theirs)), (ID, answer(200, others))]), Found::NotSeen { as_of });
}

#[test]
fn the_one_created_first_after_the_attempt_is_best() {
    let record = |id: u32, at: &str| {
        format!(r#"{{"id": {id}, "candidate_id": 502, "job_post_id": 44444, "created_at": "2026-11-01T{at}Z"}}"#)
    };
    let list = format!("[{},{},{}]", record(3, "10:05:00"), record(2, "10:00:01"), record(1, "09:59:00"));
    assert_eq!(seen(&look([(LIST, answer(200, &list)), (ID, answer(200, CANDIDATES))])), ["2", "3", "1"]);
}

#[test]
fn a_candidate_that_is_not_shown_makes_absence_unprovable() {
    let application = |at: &str| {
        format!(r#"[{{"id": 1, "candidate_id": 502, "job_post_id": 44444, "created_at": "2026-11-01T{at}Z"}}]"#)
    };
    let old = look([(LIST, answer(200, &application("10:00:03"))), (ID, answer(200, "[]"))]);
    assert_eq!(old, Found::CannotTell);
    let young = look([(LIST, answer(200, &application("10:59:00"))), (ID, answer(200, "[]"))]);
    assert_eq!(young, Found::NotNow { retry_after: None });
    let unnamed = r#"[{"id": 1, "candidate_id": null, "job_post_id": 44444, "created_at": "2026-11-01T10:00:03Z"}]"#;
    assert_eq!(look([(LIST, answer(200, unnamed))]), Found::CannotTell);
}

#[test]
fn how_long_a_candidate_may_stay_hidden_is_the_accounts_to_say() {
    // A minute old when it is asked for.
    let application = r#"[{"id": 1, "candidate_id": 502, "job_post_id": 44444, "created_at": "2026-11-01T10:59:00Z"}]"#;
    for (lag, expected) in [
        (None, Found::NotNow { retry_after: None }),
        (Some(90_000), Found::NotNow { retry_after: None }),
        (Some(30_000), Found::CannotTell),
    ] {
        let mut account = acme();
        if let Some(lag) = lag {
            account.settings.insert("visibility_lag_ms".to_owned(), serde_json::json!(lag));
        }
        let http = script([(LIST, answer(200, application)), (ID, answer(200, "[]"))]);
        let found = with_delivery(&account, "2026-11-01T11:00:00Z", |delivery| {
            run(Greenhouse.find("submit", delivery, at("2026-11-01T10:00:00Z"), &http))
        });
        assert_eq!(found, expected, "{lag:?}");
    }
}

/// What was sent at 10:00:00 and taken at 10:00:05 is looked for between the two: first within seconds, then within the two
/// minutes that clocks may be apart.
#[test]
fn a_delivered_application_is_read_back_within_its_window() {
    const NEAR: &str = "GET harvest http://harvest.example.org/v3/applications?job_post_ids=44444&created_at=gte%7C2026-11-01T09%3A59%3A55.000Z%7Clte%7C2026-11-01T10%3A00%3A10.000Z&per_page=100";
    const WIDE: &str = "GET harvest http://harvest.example.org/v3/applications?job_post_ids=44444&created_at=gte%7C2026-11-01T09%3A58%3A00.000Z%7Clte%7C2026-11-01T10%3A02%3A05.000Z&per_page=100";
    let taken = Taken { sent_at: at("2026-11-01T10:00:00Z"), said_yes_at: at("2026-11-01T10:00:05Z"), vendor_id: None };
    let look = |exchanges: Vec<Exchange>| {
        let http = script(exchanges);
        let found =
            with_delivery(&acme(), "2026-11-01T11:00:00Z", |delivery| run(Greenhouse.seen(delivery, &taken, &http)));
        http.assert_finished();
        found
    };
    let made = |at: &str| {
        format!(r#"[{{"id": 1, "candidate_id": 502, "job_post_id": 44444, "created_at": "2026-11-01T{at}Z"}}]"#)
    };
    assert_eq!(seen(&look(vec![(NEAR, answer(200, &made("10:00:03"))), (ID, answer(200, CANDIDATES))])), ["1"]);
    let wide = vec![(NEAR, answer(200, "[]")), (WIDE, answer(200, &made("10:01:30"))), (ID, answer(200, CANDIDATES))];
    assert_eq!(seen(&look(wide)), ["1"]);
    // A filter that was ignored brings a later application of the same person: that is no proof of this one.
    let as_of = at("2026-11-01T11:00:00Z");
    let later = vec![(NEAR, answer(200, &made("10:30:00"))), (WIDE, answer(200, &made("10:30:00")))];
    assert_eq!(look(later), Found::NotSeen { as_of });
    assert_eq!(look(vec![(NEAR, answer(403, ""))]), Found::CannotTell);
}

#[test]
fn a_lookup_that_fails_claims_nothing() {
    let wait = Found::NotNow { retry_after: Some(Duration::from_secs(30)) };
    let later = Found::NotNow { retry_after: None };
    let until = at("2026-11-01T11:00:30Z");
    assert_eq!(look([(LIST, with_header(answer(429, ""), "retry-after", "30"))]), wait);
    assert_eq!(look([(LIST, Err(SendError::NotNow { until }))]), wait);
    for status in [500, 502, 503] {
        assert_eq!(look([(LIST, answer(status, ""))]), later, "{status}");
    }
    assert_eq!(look([(LIST, answer(200, "[{"))]), later);
    assert_eq!(look([(LIST, Err(SendError::NotSent("refused")))]), later);
    assert_eq!(look([(LIST, answer(200, APPLICATIONS)), (IDS, Err(SendError::Unknown("reset")))]), later);
    for status in [400, 401, 403, 404, 422] {
        assert_eq!(look([(LIST, answer(status, ""))]), Found::CannotTell, "{status}");
    }
    assert_eq!(look([(LIST, Err(SendError::Misconfigured("no credential")))]), Found::CannotTell);
}

#[test]
fn a_list_that_goes_on_unreadably_shows_no_absence() {
    let next = r#"<http://harvest.example.org/v3/applications?page=2>; rel="next""#;
    assert_eq!(look([(LIST, with_header(answer(200, "[]"), "link", next))]), Found::CannotTell);
}

#[test]
fn an_endless_list_is_given_up() {
    let next = r#"<http://harvest.example.org/v3/applications?cursor=again>; rel="next""#;
    let page = || with_header(answer(200, "[]"), "link", next);
    let again = "GET harvest http://harvest.example.org/v3/applications?cursor=again";
    let pages = std::iter::once((LIST, page())).chain((1..super::MAX_PAGES).map(|_| (again, page())));
    assert_eq!(look(pages), Found::CannotTell);
}
