//! What follows an attempt.

use causeway_core::delivery::{HeldCause, Refs, State};
use causeway_core::email::NormalEmail;
use causeway_core::outcome::{Class, FieldReason, Outcome};
use causeway_core::pii::Pii;
use causeway_core::reason::Reason;

use super::world::{Backend, World, delivered};
use crate::store::StoreError;
use crate::store::trace::{LookupQuery, SubmissionKind};
use crate::store::work::{Begun, Next, Settled, Settlement, Verifying};

pub(crate) async fn every_consequence_leads_to_its_state<B: Backend>(w: World<B>) {
    let fields = vec![FieldReason { pointer: "/pay".into(), reason: Reason::ValueInvalid, text: "Too much.".into() }];
    let cases = [
        (delivered(), State::Delivered, None),
        (
            Next::Wait { until: w.later(5), reason: Reason::VendorBusy, consumed: true },
            State::Waiting,
            Some(Reason::VendorBusy),
        ),
        (w.unknown(), State::Verifying, Some(Reason::OutcomeUnknown)),
        (
            Next::Refuse { reason: Reason::VendorRefused, fields: fields.clone() },
            State::Refused,
            Some(Reason::VendorRefused),
        ),
        (
            Next::Hold { cause: HeldCause::Operator, reason: Reason::OutcomeCannotBeKnown, fields },
            State::Held,
            Some(Reason::OutcomeCannotBeKnown),
        ),
        (Next::Park { reason: Reason::RetriesExhausted }, State::Parked, Some(Reason::RetriesExhausted)),
        (Next::NextStep { begin: None }, State::InFlight, None),
    ];
    for (at, (next, state, reason)) in cases.into_iter().enumerate() {
        let (id, _) = w.accept(w.application(&format!("{at}@example.org"))).await;
        let claim = w.one_claim().await;
        let begun = w.begin(&claim).await;
        assert_eq!(begun.number, 1);
        let mut settlement = w.tried(&claim, begun, Class::Accepted, next);
        if let Some(outcome) = &mut settlement.outcome {
            outcome.vendor_words = Some(Pii::new("Ada is too good.".into()));
        }
        assert_eq!(w.settle(settlement).await, state);
        assert_eq!((w.state(id).await, w.reason(id).await), (state, reason));
    }
}

pub(crate) async fn steps_that_went_well_are_not_repeated<B: Backend>(w: World<B>) {
    w.accept(w.application("ada@example.org")).await;
    let claim = w.one_claim().await;
    let begun = w.store.begin_attempt(&claim, "upload", w.now()).await.unwrap();
    let mut settlement = w.tried(&claim, begun, Class::Accepted, Next::NextStep { begin: None });
    settlement.step = "upload".into();
    settlement.outcome = Some(Outcome::new(Class::Accepted).with_ref("file_id", "f1"));
    assert_eq!(w.settle(settlement).await, State::InFlight);
    let wait = Next::Wait { until: w.later(5), reason: Reason::VendorUnreachable, consumed: true };
    w.go(&claim, Class::Unavailable, wait).await;
    w.pass(5);
    let claim = w.one_claim().await;
    let (item, _) = w.store.load(&claim, false).await.unwrap();
    assert_eq!((item.done, item.refs), (vec!["upload".to_owned()], Refs::from([("file_id".into(), "f1".into())])));
    let begun = w.begin(&claim).await;
    assert_eq!(begun.number, 3);
}

/// The step is done and the next one may begin with its end.
fn into(step: &str) -> Next {
    Next::NextStep { begin: Some(step.into()) }
}

/// What settling came to: where the delivery stands, and the attempt that was begun.
async fn settled<B: Backend>(w: &World<B>, settlement: Settlement) -> (State, Option<Begun>) {
    match w.store.settle(settlement).await.unwrap() {
        Settled::Done { state, begun } => (state, begun),
        Settled::LinkTaken => panic!("the link was taken"),
    }
}

pub(crate) async fn an_end_and_a_beginning_are_one_commit<B: Backend>(w: World<B>) {
    w.accept(w.application("ada@example.org")).await;
    let claim = w.one_claim().await;
    let begun = w.store.begin_attempt(&claim, "upload", w.now()).await.unwrap();
    w.pass(1);
    let mut ended = w.tried(&claim, begun.clone(), Class::Accepted, into("submit"));
    ended.step = "upload".into();
    let (state, second) = settled(&w, ended).await;
    let second = second.unwrap();
    assert_eq!((state, second.number, second.at, second.broken), (State::InFlight, 2, w.now(), 0));
    assert_ne!(second.attempt, begun.attempt);
    let refused = w.store.begin_attempt(&claim, "submit", w.now()).await;
    assert!(refused.is_err(), "one attempt is open at a time");
    assert!(w.store.release(&claim, w.now()).await.is_err(), "what was begun may be on the wire");
    assert_eq!(w.settle(w.tried(&claim, second, Class::Accepted, delivered())).await, State::Delivered);
}

pub(crate) async fn what_may_not_go_on_ends_without_a_beginning<B: Backend>(w: World<B>) {
    for email in ["ada@example.org", "bob@example.org"] {
        w.accept(w.application(email)).await;
    }
    let late = w.one_claim().await;
    let begun = w.begin(&late).await;
    w.pass(60);
    let (state, next) = settled(&w, w.tried(&late, begun, Class::Accepted, into("note"))).await;
    assert_eq!((state, next), (State::InFlight, None), "its lease ran out meanwhile");
    assert_eq!(w.settle(w.untried(&late, delivered())).await, State::Delivered);

    let claim = w.one_claim().await;
    let begun = w.begin(&claim).await;
    w.store.pause_account(w.ats, Reason::CredentialsRefused, "test", w.now()).await.unwrap();
    let (state, next) = settled(&w, w.tried(&claim, begun, Class::Accepted, into("note"))).await;
    assert_eq!((state, next), (State::Held, None), "its account is paused");
}

pub(crate) async fn a_beginning_knows_what_broke_before<B: Backend>(w: World<B>) {
    w.accept(w.application("ada@example.org")).await;
    let claim = w.one_claim().await;
    let begun = w.begin(&claim).await;
    let wait = Next::Wait { until: w.later(5), reason: Reason::VendorFailed, consumed: true };
    let mut broke = w.tried(&claim, begun, Class::Unknown, wait);
    broke.outcome = Some(Outcome::new(Class::Unknown).because(Reason::Poison));
    w.settle(broke).await;
    w.pass(5);
    let claim = w.one_claim().await;
    let begun = w.store.begin_attempt(&claim, "upload", w.now()).await.unwrap();
    let mut ended = w.tried(&claim, begun, Class::Accepted, into("submit"));
    ended.step = "upload".into();
    let (_, next) = settled(&w, ended).await;
    assert_eq!(next.map(|begun| (begun.number, begun.broken)), Some((3, 1)));
}

pub(crate) async fn an_attempt_has_to_be_settled_before_the_next<B: Backend>(w: World<B>) {
    w.accept(w.application("ada@example.org")).await;
    let claim = w.one_claim().await;
    let begun = w.begin(&claim).await;
    assert!(w.store.begin_attempt(&claim, "submit", w.now()).await.is_err());
    assert!(w.store.settle(w.untried(&claim, delivered())).await.is_err(), "the open attempt has to be named");
    assert_eq!(
        w.settle(w.tried(&claim, begun.clone(), Class::Accepted, Next::NextStep { begin: None })).await,
        State::InFlight
    );
    let again = w.store.settle(w.tried(&claim, begun, Class::Accepted, delivered())).await;
    assert!(matches!(again, Err(StoreError::Fenced)), "an attempt is settled once");
}

pub(crate) async fn an_unknown_outcome_is_settled_before_a_resend<B: Backend>(w: World<B>) {
    let (_, delivery) = w.accept(w.application("ada@example.org")).await;
    w.go(&w.one_claim().await, Class::Unknown, w.unknown()).await;
    w.pass(30);
    let claim = w.one_claim().await;
    assert!(w.store.begin_attempt(&claim, "submit", w.now()).await.is_err());
    let since = claim.verifying.as_ref().unwrap().since;
    let verifying = Verifying { step: "submit".into(), since, not_seen: 1, asked: 1 };
    let again = Next::Verify { until: w.later(60), verifying: verifying.clone() };
    assert_eq!(w.settle(w.untried(&claim, again)).await, State::Verifying);
    w.pass(60);
    let claim = w.one_claim().await;
    assert_eq!(claim.verifying, Some(verifying));
    w.settle(w.untried(&claim, Next::Resend { possible_duplicate: true })).await;
    let begun = w.begin(&claim).await;
    assert_eq!(begun.number, 2);
    assert!(w.store.load(&claim, false).await.unwrap().0.possible_duplicate);
    assert_eq!(claim.delivery, delivery);
}

/// By the store itself, so that it counts whatever becomes of the process; the wait that follows counts nothing more.
pub(crate) async fn a_resend_uses_up_one_step_of_the_schedule<B: Backend>(w: World<B>) {
    w.accept(w.application("ada@example.org")).await;
    for round in 1..4 {
        w.go(&w.one_claim().await, Class::Unknown, w.unknown()).await;
        w.pass(30);
        let claim = w.one_claim().await;
        assert_eq!(w.settle(w.untried(&claim, Next::Resend { possible_duplicate: false })).await, State::InFlight);
        let wait = Next::Wait { until: w.later(60), reason: Reason::VendorFailed, consumed: false };
        assert_eq!(w.settle(w.untried(&claim, wait)).await, State::Waiting);
        w.pass(60);
        let claim = w.one_claim().await;
        assert_eq!(claim.attempts, round);
        w.store.release(&claim, w.now()).await.unwrap();
    }
}

pub(crate) async fn a_vendor_record_belongs_to_one_delivery<B: Backend>(w: World<B>) {
    for name in ["ada", "bob"] {
        w.accept(w.application(&format!("{name}@example.org"))).await;
    }
    let claims = w.claim(2).await;
    let begun = w.begin(&claims[0]).await;
    let mut settlement = w.tried(&claims[0], begun, Class::Accepted, delivered());
    settlement.outcome.as_mut().unwrap().vendor_id = Some("v1".into());
    assert_eq!(w.settle(settlement).await, State::Delivered);

    w.go(&claims[1], Class::Unknown, w.unknown()).await;
    w.pass(30);
    let claim = w.one_claim().await;
    let adopt = |vendor_id: &str| Next::Adopt {
        vendor_id: vendor_id.into(),
        is_application: true,
        refs: Refs::from([("candidate_id".into(), vendor_id.into())]),
        possible_duplicate: vendor_id == "v2",
    };
    assert_eq!(w.store.settle(w.untried(&claim, adopt("v1"))).await.unwrap(), Settled::LinkTaken);
    assert_eq!(w.settle(w.untried(&claim, adopt("v2"))).await, State::InFlight);
    let (item, _) = w.store.load(&claim, false).await.unwrap();
    assert_eq!(item.refs["candidate_id"], "v2", "nothing of the refused adoption was kept");
    assert_eq!((item.possible_duplicate, item.done), (true, vec!["submit".to_owned()]));
    assert_eq!(w.settle(w.untried(&claim, delivered())).await, State::Delivered);
}

pub(crate) async fn a_record_read_back_on_the_way_is_proof_at_the_end<B: Backend>(w: World<B>) {
    for (class, vendor_id, seen) in [
        (Class::AlreadyThere, Some("v1"), true),
        // Not a record of this delivery, or not read back.
        (Class::AlreadyThere, None, false),
        (Class::Accepted, Some("v2"), false),
    ] {
        let email = format!("{}-{class}@example.org", vendor_id.unwrap_or("none"));
        let (id, _) = w.accept(w.application(&email)).await;
        let claim = w.one_claim().await;
        let begun = w.begin(&claim).await;
        let mut settlement = w.tried(&claim, begun, class, Next::NextStep { begin: None });
        settlement.outcome.as_mut().unwrap().vendor_id = vendor_id.map(str::to_owned);
        assert_eq!(w.settle(settlement).await, State::InFlight);
        let read_back = w.now();
        w.pass(1);
        w.go(&claim, Class::Accepted, delivered()).await;
        let query = LookupQuery {
            tenant: w.tenant,
            email: NormalEmail::parse(&email),
            base_email: false,
            job: None,
            code: None,
            account: None,
            since: None,
            until: None,
            limit: 10,
        };
        let found = w.store.lookup(&query).await.unwrap();
        let trace = found.submissions.iter().find(|trace| trace.id == id).unwrap();
        let SubmissionKind::Accepted { deliveries, .. } = &trace.kind else { panic!("{trace:?}") };
        let proof = deliveries[0].proof.clone().unwrap();
        assert_eq!((proof.seen_at.is_some(), proof.not_verifiable.is_none()), (seen, seen), "{class:?} {vendor_id:?}");
        assert!(proof.seen_at.is_none_or(|at| at == read_back), "when it was read, not when the last step ended");
    }
}

pub(crate) async fn waiting_does_not_forget_an_unknown_outcome<B: Backend>(w: World<B>) {
    w.accept(w.application("ada@example.org")).await;
    w.go(&w.one_claim().await, Class::Unknown, w.unknown()).await;
    w.pass(30);
    let claim = w.one_claim().await;
    let wait = Next::Wait { until: w.later(60), reason: Reason::VendorUnreachable, consumed: false };
    assert_eq!(w.settle(w.untried(&claim, wait)).await, State::Verifying);
    w.pass(60);
    let claim = w.one_claim().await;
    assert!(claim.verifying.is_some());
    let pause = Next::PauseAccount { reason: Reason::CredentialsRefused };
    assert_eq!(w.settle(w.untried(&claim, pause)).await, State::Verifying);
    assert_eq!(w.claim(1).await, [], "nobody asks while the account is paused");
    assert_eq!(w.store.due(w.now()).await.unwrap().0, []);
    w.store.resume_account(w.ats, "test", w.now()).await.unwrap();
    assert!(w.one_claim().await.verifying.is_some());
}

pub(crate) async fn the_schedule_counts_what_it_is_told<B: Backend>(w: World<B>) {
    w.accept(w.application("ada@example.org")).await;
    for (consumed, attempts) in [(true, 1), (false, 1), (true, 2)] {
        let wait = Next::Wait { until: w.now(), reason: Reason::VendorBusy, consumed };
        w.go(&w.one_claim().await, Class::NotNow, wait).await;
        let claim = w.one_claim().await;
        assert_eq!(claim.attempts, attempts);
        w.store.release(&claim, w.now()).await.unwrap();
    }
}

pub(crate) async fn settled_deliveries_do_not_move<B: Backend>(w: World<B>) {
    let (id, delivery) = w.accept(w.application("ada@example.org")).await;
    let claim = w.one_claim().await;
    w.go(&claim, Class::Accepted, delivered()).await;
    let again = w.store.settle(w.untried(&claim, Next::Park { reason: Reason::Poison })).await;
    assert!(matches!(again, Err(StoreError::Fenced)));
    let cancel = w.store.cancel(w.tenant, delivery, "test", w.now()).await;
    assert!(matches!(cancel, Err(StoreError::IllegalMove { from: State::Delivered, .. })));
    assert_eq!(w.state(id).await, State::Delivered);
    assert_eq!((w.claim(1).await, w.store.due(w.now()).await.unwrap()), (Vec::new(), (Vec::new(), None)));
}
