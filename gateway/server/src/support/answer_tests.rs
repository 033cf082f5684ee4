//! The answer from recorded facts: each fact deleted in turn, every reason and state against the applicant's text.

use std::time::Duration;

use causeway_core::clock::SeededEntropy;
use causeway_core::delivery::{HeldCause, Refs};
use causeway_core::ids::{AccountId, AttemptId, DeliveryId, SubmissionId};
use causeway_core::outcome::FieldReason;
use causeway_core::pii::Pii;
use causeway_core::posting::Posting;

use super::*;
use crate::store::work::Proof;
use crate::support::facts::{Fact, of};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn entropy() -> SeededEntropy {
    SeededEntropy::new(1)
}

/// A delivery with every member recorded.
fn full_delivery(role: Role, state: State) -> DeliveryTrace {
    DeliveryTrace {
        id: DeliveryId::new(at(0), &entropy()),
        account: AccountId::new(at(0), &entropy()),
        account_name: if role == Role::Ats { "orchard-ats" } else { "meadow-crm" }.to_owned(),
        connector: if role == Role::Ats { "orchard" } else { "meadow" }.to_owned(),
        role,
        state,
        held: (state == State::Held).then_some(HeldCause::Operator),
        reason: Some(Reason::VendorFailed),
        fields: vec![FieldReason {
            pointer: "/person/phones".to_owned(),
            reason: Reason::AnswerMissing,
            text: "A phone number is needed".to_owned(),
        }],
        changed_at: at(90),
        next_attempt_at: Some(at(600)),
        case: None,
        refs: Refs::new(),
        vendor_id: Some("record-4711".to_owned()),
        possible_duplicate: true,
        sent_at: Some(at(20)),
        vendor_said_yes_at: Some(at(21)),
        proof: Some(Proof {
            seen_at: Some(at(22)),
            not_verifiable: Some("no read permission".to_owned()),
            due_at: Some(at(700)),
        }),
        attempts: vec![AttemptTrace {
            id: AttemptId::new(at(0), &entropy()),
            number: 1,
            step: "submit".to_owned(),
            is_lookup: false,
            began_at: at(10),
            ended_at: Some(at(11)),
            took: Some(Duration::from_millis(431)),
            class: Some(Class::Unavailable),
            reason: Some(Reason::VendorFailed),
            vendor_status: Some(503),
            vendor_words: Some(Pii::new("maintenance for ada@example.org".to_owned())),
        }],
    }
}

fn accepted(deliveries: Vec<DeliveryTrace>) -> SubmissionTrace {
    SubmissionTrace {
        test: false,
        id: SubmissionId::new(at(0), &entropy()),
        received_at: at(0),
        posting_id: "4001".to_owned(),
        posting: Some(Posting {
            title: "Tree surgeon".to_owned(),
            recruiter: Some(Pii::new("Rita Cruz".to_owned())),
            hiring_manager: Some(Pii::new("Hal Mann".to_owned())),
            ..Posting::default()
        }),
        posting_closed_at: Some(at(5)),
        trace_id: "trace".to_owned(),
        kind: SubmissionKind::Accepted {
            code: "K7QX-2M".to_owned(),
            repeat_of: Some(SubmissionId::new(at(-9), &entropy())),
            form_digest: None,
            deliveries,
            withheld: vec![Withheld { account: "pasture-crm".to_owned(), reason: Reason::LawfulBasisMissing }],
        },
        erased: false,
    }
}

fn field_error(code: &str) -> FieldError {
    FieldError {
        question: None,
        pointer: "/person/name/family".to_owned(),
        code: code.to_owned(),
        message: "A family name is needed".to_owned(),
        required_by: vec!["orchard-ats".to_owned()],
        fix: "Fill in the family name".to_owned(),
    }
}

fn refused(code: &str, errors: Vec<FieldError>) -> SubmissionTrace {
    let kind = SubmissionKind::Refused { code: code.to_owned(), errors, count: 3, last_at: at(30) };
    SubmissionTrace { kind, ..accepted(Vec::new()) }
}

fn deliveries_of(trace: &mut SubmissionTrace) -> &mut Vec<DeliveryTrace> {
    match &mut trace.kind {
        SubmissionKind::Accepted { deliveries, .. } => deliveries,
        SubmissionKind::Refused { .. } => panic!("an accepted one is meant"),
    }
}

/// A way to delete one recorded fact, and words of the sentences that rest on it.
type Deletion = (fn(&mut SubmissionTrace), &'static [&'static str]);

fn check_deletions(whole: &SubmissionTrace, deletions: &[Deletion]) {
    let before = explain(whole, at(100));
    for (delete, words) in deletions {
        let mut less = whole.clone();
        delete(&mut less);
        let after = explain(&less, at(100));
        for word in *words {
            let text = format!("{}\n{}", before.for_customer, before.for_applicant);
            assert!(text.contains(word), "nobody is told {word:?}: {text}");
            assert!(!after.for_customer.contains(word), "{word:?} survives: {}", after.for_customer);
            assert!(!after.for_applicant.contains(word), "{word:?} survives: {}", after.for_applicant);
        }
    }
}

#[test]
fn a_deleted_record_takes_its_sentence_along() {
    check_deletions(
        &accepted(vec![full_delivery(Role::Ats, State::Waiting)]),
        &[
            (|t| t.posting = None, &["Tree surgeon"]),
            (|t| t.posting_closed_at = None, &["closed since", "no longer takes applications"]),
            (|t| deliveries_of(t).clear(), &["orchard-ats", "was handed to"]),
            (|t| deliveries_of(t)[0].reason = None, &["The system failed while handling the request"]),
            (|t| deliveries_of(t)[0].fields.clear(), &["A phone number is needed"]),
            (|t| deliveries_of(t)[0].attempts.clear(), &["tried once", "status 503", "maintenance"]),
            (|t| deliveries_of(t)[0].attempts[0].vendor_words = None, &["maintenance", "said:"]),
            (|t| deliveries_of(t)[0].attempts[0].vendor_status = None, &["503"]),
            (|t| deliveries_of(t)[0].attempts[0].class = None, &["unavailable"]),
            (|t| deliveries_of(t)[0].sent_at = None, &["It was sent to"]),
            (|t| deliveries_of(t)[0].vendor_said_yes_at = None, &["said yes", "handed to the company"]),
            (|t| deliveries_of(t)[0].vendor_id = None, &["record-4711"]),
            (|t| deliveries_of(t)[0].proof = None, &["read back at", "no read permission", "to be read back"]),
            (|t| deliveries_of(t)[0].next_attempt_at = None, &["next try"]),
            (|t| deliveries_of(t)[0].possible_duplicate = false, &["may hold it twice"]),
            (
                |t| match &mut t.kind {
                    SubmissionKind::Accepted { repeat_of, .. } => *repeat_of = None,
                    SubmissionKind::Refused { .. } => {}
                },
                &["applied to this job before"],
            ),
        ],
    );
    let unanswered = |state, possible_duplicate| DeliveryTrace {
        vendor_said_yes_at: None,
        possible_duplicate,
        ..full_delivery(Role::Ats, state)
    };
    check_deletions(
        &accepted(vec![unanswered(State::Waiting, false)]),
        &[(|t| deliveries_of(t).clear(), &["on its way"])],
    );
    check_deletions(
        &accepted(vec![unanswered(State::Parked, true)]),
        &[(|t| deliveries_of(t)[0].possible_duplicate = false, &["being found out"])],
    );
    check_deletions(
        &accepted(vec![unanswered(State::Refused, false)]),
        &[
            (|t| deliveries_of(t)[0].fields.clear(), &["A phone number is needed", "Please correct this"]),
            (|t| deliveries_of(t).clear(), &["has not been handed"]),
        ],
    );
    check_deletions(
        &refused("application_invalid", vec![field_error("answer_missing")]),
        &[(
            |t| match &mut t.kind {
                SubmissionKind::Refused { errors, count, .. } => {
                    errors.clear();
                    *count = 1;
                }
                SubmissionKind::Accepted { .. } => {}
            },
            &["A family name is needed", "Fill in the family name", "The same bytes came"],
        )],
    );
}

#[test]
fn the_texts_are_their_facts_sentences_and_nothing_else() {
    for trace in [
        accepted(vec![full_delivery(Role::Ats, State::Waiting), full_delivery(Role::Crm, State::Delivered)]),
        refused("application_invalid", vec![field_error("answer_missing"), field_error("option_unknown")]),
    ] {
        let answer = explain(&trace, at(100));
        let facts = of(&trace);
        let mut left = answer.for_customer.clone();
        for sentence in facts.iter().filter_map(Fact::for_customer) {
            assert!(left.contains(&sentence), "{sentence}");
            left = left.replacen(&sentence, "", 1);
        }
        assert_eq!(left.trim(), "", "words that rest on no fact");
        let mut left = answer.for_applicant.clone();
        for sentence in facts.iter().filter_map(|fact| fact.for_applicant(&["orchard-ats"])) {
            left = left.replacen(&sentence, "", 1);
        }
        assert_eq!(left.trim(), "", "words that rest on no fact");
    }
}

/// Whatever happened, these never reach the applicant.
#[test]
fn the_applicant_reads_no_decision_no_rule_no_name_and_no_vendor_words() {
    let forbidden = [
        "refus",
        "reject",
        "declin",
        "rule",
        "block",
        "orchard",
        "meadow",
        "rita",
        "cruz",
        "hal mann",
        "maintenance",
        "503",
        "repeat",
        "before (",
        "duplicate",
        "twice",
        "credential",
        "permission",
        "case",
        "record-4711",
        "survey",
    ];
    for role in [Role::Ats, Role::Crm] {
        for state in State::ALL {
            for reason in Reason::ALL {
                let mut delivery = full_delivery(role, state);
                delivery.reason = Some(*reason);
                delivery.fields = vec![
                    FieldReason {
                        pointer: "/answers/0".into(),
                        reason: *reason,
                        text: format!("{} needs a phone", delivery.connector),
                    },
                    FieldReason {
                        pointer: "/demographics/0".into(),
                        reason: Reason::AnswerMissing,
                        text: "The survey needs an answer".into(),
                    },
                    FieldReason { pointer: String::new(), reason: *reason, text: "Ask Rita Cruz".into() },
                ];
                let text = explain(&accepted(vec![delivery]), at(100)).for_applicant.to_lowercase();
                for word in forbidden {
                    assert!(!text.contains(word), "{role:?} {state} {reason}: {word:?} in {text}");
                }
            }
        }
    }
}

/// Whatever a vendor says with whatever verdict: nobody's data, name or secret is in a text that leaves the house, and no
/// vendor's word in the applicant's.
#[test]
fn hostile_vendor_words_reach_nobody() {
    let hostile = [
        "Zqada Zqlovelace was refused by Rita Cruz, ask Hal Mann or zqada@example.org, phone +44 20 7946 0000",
        r#"{"message":"Zqada Zqlovelace 1815-12-10","candidate":{"name":"Zqada","street":"Zqmarker Street 7"}}"#,
        "Invalid token zqsk_live_4242424242424242 for Bearer zqtoken.zqtoken, api key ZQ0123456789abcdef",
        "login zqada_lovelace / hunter2Zq ; Authorization: Basic enFzZWNyZXQ6",
        "\u{1b}[31mzqada\u{202e} «Zqada» 'Zqada' \"Zqada\" `Zqada`",
        "Зqада Лавлейс · 张zq伟 · zQADA",
        "<html><body>zqada &lt;zqada@example.org&gt; blocked by rule zq-17</body></html>",
    ];
    let markers =
        ["zq", "zqada", "lovelace", "rita", "cruz", "hal", "mann", "7946", "1815", "hunter2", "лавлейс", "张"];
    for class in Class::ALL.map(Some).into_iter().chain([None]) {
        for state in State::ALL {
            for words in hostile {
                for role in [Role::Ats, Role::Crm] {
                    let mut delivery = full_delivery(role, state);
                    delivery.attempts[0].class = class;
                    delivery.attempts[0].vendor_words = Some(Pii::new(words.to_owned()));
                    let answer = explain(&accepted(vec![delivery]), at(100));
                    let shown = format!("{}\n{}", answer.for_customer, answer.for_applicant).to_lowercase();
                    let alphanumeric = |c: char| !c.is_alphanumeric();
                    for marker in markers {
                        let named = if marker.len() > 4 {
                            shown.contains(marker)
                        } else {
                            shown.split(alphanumeric).any(|word| word.starts_with(marker))
                        };
                        assert!(!named, "{class:?} {state} {marker}: {shown}");
                    }
                    assert!(!answer.for_applicant.contains("token") && !answer.for_applicant.contains("said"));
                    let engineer = answer.deliveries[0].attempts[0].vendor_words.as_deref().unwrap_or_default();
                    for secret in ["@example", "7946 0000", "Rita", "Cruz", "Mann", "sk_live", "0123456789abc", "enFz"]
                    {
                        assert!(!engineer.contains(secret), "{secret}: {engineer}");
                    }
                }
            }
        }
    }
}

#[test]
fn an_applicant_cannot_tell_an_application_that_a_rule_kept_out_from_any_other() {
    let told = |change: fn(&mut DeliveryTrace)| {
        let mut delivery = full_delivery(Role::Ats, State::Refused);
        (delivery.fields, delivery.vendor_said_yes_at) = (Vec::new(), None);
        change(&mut delivery);
        explain(&accepted(vec![delivery]), at(100))
    };
    let arrived = told(|delivery| {
        (delivery.state, delivery.reason) = (State::Delivered, None);
        delivery.vendor_said_yes_at = Some(delivery.changed_at);
    });
    let kept_out = told(|delivery| delivery.reason = Some(Reason::ApplicationBlocked));
    assert_eq!(kept_out.for_applicant, arrived.for_applicant);
    assert!(kept_out.for_applicant.contains("was handed to"), "{}", kept_out.for_applicant);
    assert!(kept_out.for_customer.contains("made no application of it"), "{}", kept_out.for_customer);
    assert_eq!(kept_out.who_acts, WhoActs::Nobody);
}

#[test]
fn what_only_adds_takes_nothing_back_when_it_fails() {
    for state in [State::Held, State::Parked] {
        let mut delivery = full_delivery(Role::Ats, state);
        let told = explain(&accepted(vec![delivery.clone()]), at(100)).for_applicant;
        assert!(told.contains("was handed to") && !told.contains("has not been"), "{state}: {told}");
        (delivery.vendor_said_yes_at, delivery.possible_duplicate) = (None, false);
        let told = explain(&accepted(vec![delivery]), at(100)).for_applicant;
        assert!(told.contains("has not been handed"), "{state}: {told}");
    }
}

#[test]
fn an_applicant_is_not_told_that_it_was_not_handed_over_where_nobody_knows() {
    let told = |state: State, change: &dyn Fn(&mut DeliveryTrace)| {
        let mut delivery = full_delivery(Role::Ats, state);
        (delivery.vendor_said_yes_at, delivery.possible_duplicate) = (None, false);
        change(&mut delivery);
        explain(&accepted(vec![delivery]), at(100)).for_applicant
    };
    for state in [State::Held, State::Parked] {
        let known = told(state, &|delivery| delivery.reason = Some(Reason::VendorFailed));
        assert!(known.contains("has not been handed"), "{known}");
        let unknown: [&dyn Fn(&mut DeliveryTrace); 5] = [
            &|delivery| delivery.reason = Some(Reason::OutcomeCannotBeKnown),
            &|delivery| delivery.reason = Some(Reason::Restored),
            &|delivery| delivery.possible_duplicate = true,
            &|delivery| delivery.attempts[0].class = Some(Class::Unknown),
            &|delivery| delivery.attempts[0].class = None,
        ];
        for change in unknown {
            let told = told(state, change);
            assert!(told.contains("being found out whether it reached") && !told.contains("has not been"), "{told}");
        }
    }
}

/// A record that shows late, or a survey that waits: the application itself has arrived.
#[test]
fn what_was_handed_over_is_not_on_its_way_any_more() {
    for state in [State::Queued, State::InFlight, State::Verifying, State::Waiting] {
        let mut delivery = full_delivery(Role::Ats, state);
        let told = explain(&accepted(vec![delivery.clone()]), at(100)).for_applicant;
        assert!(told.contains("was handed to") && !told.contains("on its way"), "{state}: {told}");
        delivery.vendor_said_yes_at = None;
        let told = explain(&accepted(vec![delivery]), at(100)).for_applicant;
        assert!(told.contains("on its way"), "{state}: {told}");
    }
    // Kept out on another day than it was taken in: one day is told, as of any that arrived.
    let mut kept_out = full_delivery(Role::Ats, State::Refused);
    kept_out.reason = Some(Reason::ApplicationBlocked);
    let told = explain(&accepted(vec![kept_out]), at(100)).for_applicant;
    assert_eq!(told.matches("was handed to").count(), 1, "{told}");
}

#[test]
fn who_has_to_act_follows_from_the_worst_delivery() {
    let check = |deliveries: Vec<DeliveryTrace>, code: Option<&str>, who: WhoActs| {
        let answer = explain(&accepted(deliveries), at(100));
        assert_eq!((answer.reason.as_ref().map(|why| why.code.as_str()), answer.who_acts), (code, who));
    };
    let plain = |role, state, reason| DeliveryTrace { reason, fields: Vec::new(), ..full_delivery(role, state) };
    check(vec![plain(Role::Ats, State::Delivered, None)], Some("delivered"), WhoActs::Nobody);
    check(vec![], None, WhoActs::Nobody);
    check(
        vec![plain(Role::Ats, State::Waiting, Some(Reason::VendorBusy)), plain(Role::Crm, State::Delivered, None)],
        Some("vendor_busy"),
        WhoActs::Nobody,
    );
    check(
        vec![plain(Role::Ats, State::Delivered, None), plain(Role::Crm, State::Held, Some(Reason::CredentialsRefused))],
        Some("credentials_refused"),
        WhoActs::Admin,
    );
    check(
        vec![
            plain(Role::Crm, State::Parked, Some(Reason::VendorDrifted)),
            plain(Role::Ats, State::Parked, Some(Reason::RetriesExhausted)),
        ],
        Some("retries_exhausted"),
        WhoActs::Us,
    );
    check(vec![full_delivery(Role::Ats, State::Refused)], Some("answer_missing"), WhoActs::Candidate);
    check(vec![plain(Role::Ats, State::Cancelled, Some(Reason::VendorFailed))], Some("vendor_failed"), WhoActs::Nobody);
}

#[test]
fn a_refusal_names_field_and_actor() {
    let check = |trace: &SubmissionTrace, code: &str, pointer: Option<&str>, who: WhoActs| {
        let answer = explain(trace, at(100));
        let why = answer.reason.unwrap();
        assert_eq!((why.code.as_str(), why.pointer.as_deref(), answer.who_acts), (code, pointer, who));
        assert_eq!(answer.outcome, Taken::Refused);
        assert!(!why.text.is_empty());
    };
    let place = Some("/person/name/family");
    check(
        &refused("application_invalid", vec![field_error("answer_missing")]),
        "answer_missing",
        place,
        WhoActs::Candidate,
    );
    check(&refused("application_invalid", vec![field_error("option_unknown")]), "option_unknown", place, WhoActs::Site);
    check(
        &refused("application_invalid", vec![field_error("document_invalid"), field_error("answer_missing")]),
        "document_invalid",
        place,
        WhoActs::Candidate,
    );
    check(&refused("posting_closed", vec![]), "posting_closed", None, WhoActs::Admin);
    check(&refused("posting_unknown", vec![]), "posting_unknown", None, WhoActs::Site);
    check(&refused("body_too_large", vec![]), "body_too_large", None, WhoActs::Candidate);
}

#[test]
fn the_timeline_runs_from_received_to_now() {
    let answer = explain(&accepted(vec![full_delivery(Role::Ats, State::Waiting)]), at(100));
    let told: Vec<&str> = answer.timeline.iter().map(|line| line.what.as_str()).collect();
    assert_eq!(told, ["received", "validated", "attempt", "vendor_said_yes", "seen_at_vendor", "now"]);
    assert_eq!(answer.timeline[2].text, "submit #1: unavailable, status 503 after 431 ms.");
    assert_eq!(answer.deliveries[0].attempts[0].vendor_words.as_deref(), Some("maintenance for [redacted]"));
}

#[test]
fn the_json_has_the_members_people_rely_on() {
    let answer = explain(&accepted(vec![full_delivery(Role::Ats, State::Waiting)]), at(100));
    let json = serde_json::to_value(&answer).unwrap();
    for member in [
        "id",
        "code",
        "received_at",
        "outcome",
        "reason",
        "who_acts",
        "deliveries",
        "for_customer",
        "for_applicant",
        "timeline",
    ] {
        assert!(json.get(member).is_some(), "{member}");
    }
    for member in ["account", "state", "proofs", "attempts"] {
        assert!(json["deliveries"][0].get(member).is_some(), "{member}");
    }
    assert_eq!(serde_json::from_value::<Answer>(json).unwrap(), answer);
}
