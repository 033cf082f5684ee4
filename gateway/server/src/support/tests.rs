//! Support's verbs over a store that holds what the test gave it: audit, words, refusals.

use causeway_core::clock::{ManualClock, SeededEntropy};
use causeway_core::ids::SubmissionId;
use causeway_core::pii::Pii;
use jiff::Timestamp;

use super::test_custody::NoCustody;
use super::test_store::{TestStore, account};
use super::*;
use crate::store::trace::{SubmissionKind, SubmissionTrace};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn tenant() -> TenantId {
    TenantId::new(at(0), &SeededEntropy::new(1))
}

fn delivery() -> DeliveryId {
    DeliveryId::new(at(0), &SeededEntropy::new(2))
}

fn desk(store: TestStore) -> (Support, Arc<TestStore>) {
    let store = Arc::new(store);
    let clock = Arc::new(ManualClock::at(at(0)));
    let support = Support::new(Arc::clone(&store) as Arc<dyn Store>, Arc::new(NoCustody), clock, Arc::new(|_| {}));
    (support, store)
}

fn by_email(job: Option<&str>) -> LookupQuery {
    let question = LookupRequest {
        email: Some(Pii::new("Ada.Marker@example.org".to_owned())),
        job: job.map(str::to_owned),
        ..LookupRequest::default()
    };
    question.check(tenant()).unwrap()
}

fn refusal() -> SubmissionTrace {
    SubmissionTrace {
        test: false,
        id: SubmissionId::new(at(0), &SeededEntropy::new(3)),
        received_at: at(0),
        posting_id: "4001".to_owned(),
        posting: None,
        posting_closed_at: None,
        trace_id: String::new(),
        kind: SubmissionKind::Refused { code: "posting_closed".into(), errors: vec![], count: 1, last_at: at(0) },
        erased: false,
    }
}

#[tokio::test]
async fn every_lookup_is_audited_with_ids_and_without_the_address() {
    let found = refusal();
    let id = found.id;
    let lookup = Lookup { submissions: vec![found], ..Lookup::default() };
    let (support, store) = desk(TestStore { lookup, ..TestStore::default() });
    assert!(support.lookup(Actor::Cli, &by_email(Some("4001"))).await.unwrap().found);
    let audited = store.audited.lock().unwrap();
    assert_eq!(audited.len(), 1);
    assert_eq!((audited[0].actor.as_str(), audited[0].action.as_str()), ("cli", "support.lookup"));
    assert_eq!(audited[0].subject, format!("by email,job: {id}"));
    assert!(!format!("{audited:?}").to_lowercase().contains("marker"));
}

#[tokio::test]
async fn a_lookup_that_cannot_be_audited_is_not_answered() {
    let lookup = Lookup { submissions: vec![refusal()], ..Lookup::default() };
    let (support, _) = desk(TestStore { lookup, audit_fails: true, ..TestStore::default() });
    assert!(support.lookup(Actor::Cli, &by_email(None)).await.is_err());
}

#[tokio::test]
async fn an_unknown_person_is_told_no_more_than_is_known() {
    let check = async |edge: &[(&str, u64)], query: LookupQuery, told: &str| {
        let edge_refused = edge.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect();
        let (support, store) =
            desk(TestStore { lookup: Lookup { edge_refused, ..Lookup::default() }, ..TestStore::default() });
        let report = support.lookup(Actor::Cli, &query).await.unwrap();
        assert_eq!((report.found, report.text.as_deref()), (false, Some(told)));
        assert_eq!(store.audited.lock().unwrap().len(), 1, "a lookup that finds nothing is one, too");
    };
    let kept = "counted for every key of this tenant and any job, by whole minutes for as long as counters are kept, \
                until now; requests without a valid key are counted for no tenant); this proves nothing about this person.";
    let address = "Nothing reached us from this address";
    check(&[], by_email(None), &format!("{address}; 0 unreadable requests in that window ({kept}")).await;
    check(
        &[
            ("body_unreadable", 2),
            ("body_too_large", 1),
            ("quota_exceeded", 7),
            ("query_invalid", 9),
            ("action_refused", 3),
        ],
        by_email(Some("4001")),
        &format!(
            "{address} for what was asked; 3 unreadable requests in that window (1 body_too_large; 2 body_unreadable; \
             refused without a record besides: 7 quota_exceeded; {kept}"
        ),
    )
    .await;
    let window = LookupQuery { since: Some(at(0)), until: Some(at(60)), ..by_email(None) };
    check(
        &[("multipart_invalid", 1)],
        window,
        &format!(
            "{address}; 1 unreadable request in that window (1 multipart_invalid; counted for every key of this tenant \
             and any job, by whole minutes from 2026-09-21 14:13:20 UTC until 2026-09-21 14:14:20 UTC; requests without a \
             valid key are counted for no tenant); this proves nothing about this person."
        ),
    )
    .await;
}

#[tokio::test]
async fn an_erased_person_is_answered_with_the_date() {
    let lookup = Lookup { erased_at: Some(at(0)), ..Lookup::default() };
    let (support, _) = desk(TestStore { lookup, ..TestStore::default() });
    let report = support.lookup(Actor::Cli, &by_email(None)).await.unwrap();
    assert!(report.found);
    assert_eq!(report.text.as_deref(), Some("The data of this person was erased on 2026-09-21 14:13:20 UTC."));
}

#[tokio::test]
async fn replay_and_cancel_say_why_they_make_no_sense() {
    let check = async |state: State, replay: Option<&str>, cancel: Option<&str>| {
        let (support, _) = desk(TestStore { state: Some(state), ..TestStore::default() });
        let told = |result: Result<()>| result.err().map(|error| error.to_string());
        for (result, want) in [
            (told(support.replay(Actor::Cli, tenant(), delivery()).await.map(|_| ())), replay),
            (told(support.cancel(Actor::Cli, tenant(), delivery()).await), cancel),
        ] {
            match (result, want) {
                (None, None) => {}
                (Some(told), Some(want)) => assert!(told.contains(want), "{state}: {told}"),
                (told, want) => panic!("{state}: {told:?} but wanted {want:?}"),
            }
        }
    };
    check(State::Delivered, Some("second record"), Some("withdraw it")).await;
    check(State::Erased, Some("nothing left"), Some("erased")).await;
    check(State::Queued, Some("under way"), None).await;
    check(State::InFlight, Some("under way"), Some("on the wire")).await;
    check(State::Verifying, Some("being asked"), Some("on the wire")).await;
    check(State::Waiting, Some("by itself"), None).await;
    for state in [State::Refused, State::Parked, State::Cancelled] {
        check(state, None, Some("ended already")).await;
    }
    check(State::Held, None, None).await;
}

#[tokio::test]
async fn what_ends_by_itself_is_not_replayed_past_its_check() {
    for (held, told) in [
        (Some(HeldCause::PostingUnknown), Some("jobs sync")),
        (Some(HeldCause::FormUnknown), Some("in the background")),
        (Some(HeldCause::AccountPaused), Some("resume the account")),
        (None, None),
    ] {
        let (support, _) = desk(TestStore { state: Some(State::Held), held, ..TestStore::default() });
        let result = support.replay(Actor::Cli, tenant(), delivery()).await;
        match told {
            Some(told) => assert!(result.unwrap_err().to_string().contains(told)),
            None => assert_eq!(replayed_to(result.unwrap().state), "queued again"),
        }
    }
}

#[tokio::test]
async fn a_replay_rings_for_its_account_unless_that_is_paused() {
    for (state, rung, told) in
        [(State::Queued, vec![account()], "queued again"), (State::Held, vec![], "held until its account resumes")]
    {
        let rings = Arc::new(std::sync::Mutex::new(Vec::new()));
        let heard = Arc::clone(&rings);
        let replayed = Some(Replayed { account: account(), state });
        let store = TestStore { state: Some(State::Parked), replayed, ..TestStore::default() };
        let clock = Arc::new(ManualClock::at(at(0)));
        let support = Support::new(
            Arc::new(store),
            Arc::new(NoCustody),
            clock,
            Arc::new(move |id| heard.lock().unwrap().push(id)),
        );
        let replayed = support.replay(Actor::Cli, tenant(), delivery()).await.unwrap();
        assert_eq!((replayed_to(replayed.state), &*rings.lock().unwrap()), (told, &rung));
    }
}

#[test]
fn a_question_that_would_match_everything_cannot_be_asked() {
    let check = |question: LookupRequest, want: Option<QueryError>| assert_eq!(question.check(tenant()).err(), want);
    let none = LookupRequest::default;
    let text = |text: &str| Some(text.to_owned());
    check(none(), Some(QueryError::Nothing));
    check(LookupRequest { job: text("4001"), ..none() }, Some(QueryError::Nothing));
    check(LookupRequest { code: text(" "), ..none() }, Some(QueryError::Nothing));
    check(LookupRequest { email: Some(Pii::new("ada".to_owned())), ..none() }, Some(QueryError::NotAnAddress));
    check(LookupRequest { since: Some(at(5)), until: Some(at(5)), ..none() }, Some(QueryError::Backwards));
    check(LookupRequest { code: text("K7QX-2M"), ..none() }, None);
    check(LookupRequest { account: text("orchard"), since: Some(at(0)), ..none() }, None);
}
