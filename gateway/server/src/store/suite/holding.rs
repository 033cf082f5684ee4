//! Holding and going on: pauses, unknown postings and forms, an operator's replay and cancel.

use causeway_core::account::Role;
use causeway_core::delivery::{HeldCause, State};
use causeway_core::ids::AccountId;
use causeway_core::outcome::Class;
use causeway_core::posting::Form;
use causeway_core::reason::Reason;

use super::world::{Backend, JOB, World, delivered};
use crate::store::StoreError;
use crate::store::intake::Decision;
use crate::store::trace::Replayed;
use crate::store::work::Next;

pub(crate) async fn a_paused_account_holds_and_resumes<B: Backend>(w: World<B>) {
    let (queued, _) = w.accept(w.application("ada@example.org")).await;
    w.accept(w.application("bob@example.org")).await;
    let pause = async || w.store.pause_account(w.ats, Reason::CredentialsRefused, "test", w.now()).await.unwrap();
    assert_eq!((pause().await, pause().await), (2, 0));
    assert_eq!((w.state(queued).await, w.reason(queued).await), (State::Held, Some(Reason::CredentialsRefused)));
    assert_eq!((w.claim(2).await, w.store.due(w.now()).await.unwrap()), (Vec::new(), (Vec::new(), None)));
    let paused = w.store.account(w.ats).await.unwrap().paused.unwrap();
    assert_eq!((paused.reason, paused.since), (Reason::CredentialsRefused, w.now()));
    let resume = async || w.store.resume_account(w.ats, "test", w.now()).await.unwrap();
    assert_eq!((resume().await, resume().await), (2, 0));
    assert_eq!((w.state(queued).await, w.reason(queued).await), (State::Queued, None));
    assert_eq!(w.claim(2).await.len(), 2);
}

pub(crate) async fn an_application_to_a_paused_account_is_held<B: Backend>(w: World<B>) {
    w.store.pause_account(w.ats, Reason::AccountPaused, "test", w.now()).await.unwrap();
    let mut application = w.application("ada@example.org");
    application.deliveries.push(w.target(w.crm));
    let (id, _) = w.accept(application).await;
    let states: Vec<_> =
        w.store.application(w.tenant, id, false).await.unwrap().targets.iter().map(|t| t.state).collect();
    assert_eq!(states, [State::Held, State::Queued], "only the paused account's");
    assert_eq!(w.store.resume_account(w.ats, "test", w.now()).await.unwrap(), 1);
    assert_eq!(w.state(id).await, State::Queued);
}

pub(crate) async fn a_settlement_can_pause_the_account<B: Backend>(w: World<B>) {
    let (tried, _) = w.accept(w.application("ada@example.org")).await;
    let (other, _) = w.accept(w.application("bob@example.org")).await;
    let claim = w.one_claim().await;
    let pause = Next::PauseAccount { reason: Reason::CredentialsRefused };
    assert_eq!(w.go(&claim, Class::Unauthorised, pause).await, State::Held);
    for id in [tried, other] {
        assert_eq!((w.state(id).await, w.reason(id).await), (State::Held, Some(Reason::CredentialsRefused)));
    }
    assert!(w.store.account(w.ats).await.unwrap().paused.is_some());
    assert_eq!(w.store.resume_account(w.ats, "test", w.now()).await.unwrap(), 2);
    assert_eq!(w.one_claim().await.attempts, 0, "nothing was consumed");
}

/// In tests a piece is two.
pub(crate) async fn a_backlog_is_moved_piece_by_piece<B: Backend>(w: World<B>) {
    let mut ids = Vec::new();
    for at in 0..6 {
        ids.push(w.accept(w.application(&format!("p{at}@example.org"))).await.1);
    }
    let claim = w.one_claim().await;
    let pause = Next::PauseAccount { reason: Reason::CredentialsRefused };
    w.go(&claim, Class::Unauthorised, pause).await;
    let census = async || w.store.census().await.unwrap();
    assert_eq!(
        census().await,
        [(State::Held, 3), (State::Queued, 3)].into(),
        "with the settlement as many as one piece"
    );
    assert_eq!((w.claim(9).await, w.store.due(w.now()).await.unwrap()), (Vec::new(), (Vec::new(), None)));
    w.store.expire_leases(w.now()).await.unwrap();
    assert_eq!(census().await, [(State::Held, 6)].into());
    let cases = w.store.cases(w.tenant, 10).await.unwrap();
    assert_eq!(cases.iter().map(|case| case.deliveries).collect::<Vec<_>>(), [6], "in the account's one case");
    assert_eq!(w.store.resume_account(w.ats, "test", w.now()).await.unwrap(), 6);
    let claimed: Vec<_> = w.claim(9).await.iter().map(|claim| claim.delivery).collect();
    assert_eq!(claimed, ids, "the oldest first");
}

pub(crate) async fn in_flight_deliveries_are_held_when_they_settle<B: Backend>(w: World<B>) {
    let mut claims = Vec::new();
    for name in ["wait", "step", "release", "expire", "done"] {
        w.accept(w.application(&format!("{name}@example.org"))).await;
        claims.push(w.one_claim().await);
    }
    assert_eq!(w.store.pause_account(w.ats, Reason::AccountPaused, "test", w.now()).await.unwrap(), 0);
    let wait = Next::Wait { until: w.later(5), reason: Reason::VendorBusy, consumed: false };
    assert_eq!(w.go(&claims[0], Class::NotNow, wait).await, State::Held);
    assert_eq!(w.go(&claims[1], Class::Accepted, Next::NextStep { begin: None }).await, State::Held);
    w.store.release(&claims[2], w.now()).await.unwrap();
    assert_eq!(w.go(&claims[4], Class::Accepted, delivered()).await, State::Delivered);
    w.pass(60);
    assert_eq!(w.store.expire_leases(w.now()).await.unwrap(), (0, 1));
    assert_eq!(w.store.census().await.unwrap(), [(State::Held, 4), (State::Delivered, 1)].into());
    let cases = w.store.cases(w.tenant, 10).await.unwrap();
    assert_eq!(cases.iter().map(|case| case.deliveries).collect::<Vec<_>>(), [4], "one case is the account's");
    assert_eq!(w.store.resume_account(w.ats, "test", w.now()).await.unwrap(), 4);
}

pub(crate) async fn a_held_posting_is_decided_once_known<B: Backend>(w: World<B>) {
    let (id, delivery) = w.accept_held(HeldCause::PostingUnknown, Reason::PostingNotSyncedYet).await;
    assert_eq!(w.store.awaiting(10).await.unwrap().len(), 0);
    w.pass(1);
    let newer = AccountId::new(w.now(), &w.entropy);
    w.add_account(w.tenant, newer, "acme-ats-emea", Role::Ats).await;
    w.sync(newer, false, &[JOB]).await;
    let ready = w.store.awaiting(10).await.unwrap();
    assert_eq!((ready.len(), ready[0].delivery, ready[0].cause), (1, delivery, HeldCause::PostingUnknown));
    assert_eq!(ready[0].view.posting.as_ref().unwrap().account, newer);
    assert!(ready[0].document.starts_with(b"{\"job\""));
    w.store.decide_held(w.tenant, delivery, Decision::Go { form_digest: None }, w.now()).await.unwrap();
    assert_eq!((w.state(id).await, w.store.awaiting(10).await.unwrap().len()), (State::Queued, 0));
    // It goes to the account that has the posting.
    assert_eq!(w.claim(1).await, []);
    let claims = w.claim_of(newer, 1).await;
    assert_eq!(w.store.load(&claims[0], false).await.unwrap().0.posting.title, "Welder");
}

pub(crate) async fn an_absent_posting_is_known_after_every_sync<B: Backend>(w: World<B>) {
    let second = AccountId::new(w.now(), &w.entropy);
    w.add_account(w.tenant, second, "acme-ats-emea", Role::Ats).await;
    w.sync(w.ats, true, &[]).await;
    w.pass(1);
    let (id, delivery) = w.accept_held(HeldCause::PostingUnknown, Reason::PostingNotSyncedYet).await;
    w.pass(1);
    w.sync(second, true, &[]).await;
    assert_eq!(w.store.awaiting(10).await.unwrap().len(), 0, "one account's sync is older than the application");
    w.sync(w.ats, false, &["other"]).await;
    assert_eq!(w.store.awaiting(10).await.unwrap().len(), 0, "a partial sync proves no absence");
    w.pass(1);
    w.sync(w.ats, true, &["other"]).await;
    assert_eq!(w.store.awaiting(10).await.unwrap()[0].view.posting, None);
    let refuse = Decision::Refuse { reason: Reason::PostingUnknown, fields: Vec::new() };
    w.store.decide_held(w.tenant, delivery, refuse, w.now()).await.unwrap();
    assert_eq!((w.state(id).await, w.reason(id).await), (State::Refused, Some(Reason::PostingUnknown)));
}

pub(crate) async fn a_form_is_awaited<B: Backend>(w: World<B>) {
    let (id, delivery) = w.accept_held(HeldCause::PostingUnknown, Reason::PostingNotSyncedYet).await;
    w.sync(w.ats, false, &[JOB]).await;
    w.store.decide_held(w.tenant, delivery, Decision::AwaitForm, w.now()).await.unwrap();
    assert_eq!((w.state(id).await, w.reason(id).await), (State::Held, Some(Reason::FormNotFetchedYet)));
    assert_eq!(w.store.awaiting(10).await.unwrap().len(), 0);
    // Told again to wait it stays as it is, in the case that it has.
    let cases = async || w.store.cases(w.tenant, 10).await.unwrap().iter().map(|case| case.id).collect::<Vec<_>>();
    let before = cases().await;
    w.store.decide_held(w.tenant, delivery, Decision::AwaitForm, w.now()).await.unwrap();
    assert_eq!((w.state(id).await, cases().await), (State::Held, before));
    let form = Form { posting_id: JOB.into(), digest: "d1".into(), questions: Vec::new() };
    w.store.put_form(w.ats, &form, w.now()).await.unwrap();
    assert_eq!(w.store.awaiting(10).await.unwrap()[0].view.form, Some((form.clone(), w.now())));
    w.store.decide_held(w.tenant, delivery, Decision::Go { form_digest: Some("d1".into()) }, w.now()).await.unwrap();
    assert_eq!(w.store.load(&w.one_claim().await, false).await.unwrap().0.form, Some(form));
}

pub(crate) async fn a_decision_is_made_once<B: Backend>(w: World<B>) {
    let (id, delivery) = w.accept_held(HeldCause::FormUnknown, Reason::FormNotFetchedYet).await;
    let (cause, reason) = (HeldCause::Invalid, Reason::DocumentInvalid);
    let invalid = Decision::Hold { cause, reason, fields: Vec::new() };
    w.store.decide_held(w.tenant, delivery, invalid, w.now()).await.unwrap();
    assert_eq!((w.state(id).await, w.reason(id).await), (State::Held, Some(Reason::DocumentInvalid)));
    let go = Decision::Go { form_digest: None };
    let foreign = w.store.decide_held(w.other_tenant().await.0, delivery, go.clone(), w.now()).await;
    assert!(matches!(foreign, Err(StoreError::NotFound(_))), "{foreign:?}");
    let again = w.store.decide_held(w.tenant, delivery, go, w.now()).await;
    assert!(matches!(again, Err(StoreError::Fenced)));
}

pub(crate) async fn a_replay_queues_a_settled_delivery_again<B: Backend>(w: World<B>) {
    let (id, delivery) = w.accept(w.application("ada@example.org")).await;
    w.go(&w.one_claim().await, Class::Unknown, w.unknown()).await;
    w.pass(30);
    let hold = Next::Hold { cause: HeldCause::Operator, reason: Reason::OutcomeCannotBeKnown, fields: Vec::new() };
    assert_eq!(w.settle(w.untried(&w.one_claim().await, hold)).await, State::Held);
    let (other, _) = w.other_tenant().await;
    let foreign = w.store.replay(other, delivery, "test", w.now()).await;
    assert!(matches!(foreign, Err(StoreError::NotFound("delivery"))));
    let replayed = w.store.replay(w.tenant, delivery, "test", w.now()).await.unwrap();
    assert_eq!(replayed, Replayed { account: w.ats, state: State::Queued });
    assert_eq!((w.state(id).await, w.reason(id).await), (State::Queued, None));
    let claim = w.one_claim().await;
    assert_eq!((claim.attempts, &claim.verifying), (0, &None));
    assert!(w.store.load(&claim, false).await.unwrap().0.possible_duplicate, "nobody knows whether the vendor has it");
    w.go(&claim, Class::Refused, Next::Refuse { reason: Reason::VendorRefused, fields: Vec::new() }).await;
    w.store.pause_account(w.ats, Reason::AccountPaused, "test", w.now()).await.unwrap();
    let replayed = w.store.replay(w.tenant, delivery, "test", w.now()).await.unwrap();
    assert_eq!(replayed, Replayed { account: w.ats, state: State::Held });
    assert_eq!(w.state(id).await, State::Held, "its account is paused");
}

pub(crate) async fn what_is_delivered_or_live_is_not_replayed<B: Backend>(w: World<B>) {
    let (_, delivery) = w.accept(w.application("ada@example.org")).await;
    let replay = async || w.store.replay(w.tenant, delivery, "test", w.now()).await;
    assert!(matches!(replay().await, Err(StoreError::IllegalMove { from: State::Queued, .. })));
    let claim = w.one_claim().await;
    assert!(matches!(replay().await, Err(StoreError::IllegalMove { from: State::InFlight, .. })));
    w.go(&claim, Class::Accepted, delivered()).await;
    assert!(matches!(replay().await, Err(StoreError::IllegalMove { from: State::Delivered, .. })));
}

pub(crate) async fn what_ends_by_itself_is_not_replayed<B: Backend>(w: World<B>) {
    for (cause, reason) in
        [(HeldCause::PostingUnknown, Reason::PostingNotSyncedYet), (HeldCause::FormUnknown, Reason::FormNotFetchedYet)]
    {
        let (id, delivery) = w.accept_held(cause, reason).await;
        let replayed = w.store.replay(w.tenant, delivery, "test", w.now()).await;
        assert!(matches!(replayed, Err(StoreError::EndsByItself(held)) if held == cause), "{replayed:?}");
        assert_eq!((w.state(id).await, w.reason(id).await), (State::Held, Some(reason)));
        w.pass(3_600);
    }
    let (id, delivery) = w.accept(w.application("ada@example.org")).await;
    w.store.pause_account(w.ats, Reason::CredentialsRefused, "test", w.now()).await.unwrap();
    let replayed = w.store.replay(w.tenant, delivery, "test", w.now()).await;
    assert!(matches!(replayed, Err(StoreError::EndsByItself(HeldCause::AccountPaused))), "{replayed:?}");
    w.store.resume_account(w.ats, "test", w.now()).await.unwrap();
    assert_eq!(w.state(id).await, State::Queued);
}

pub(crate) async fn only_what_has_not_gone_out_is_cancelled<B: Backend>(w: World<B>) {
    let (id, delivery) = w.accept(w.application("ada@example.org")).await;
    let claim = w.one_claim().await;
    let cancel = async || w.store.cancel(w.tenant, delivery, "test", w.now()).await;
    assert!(matches!(cancel().await, Err(StoreError::IllegalMove { from: State::InFlight, .. })));
    w.store.release(&claim, w.now()).await.unwrap();
    cancel().await.unwrap();
    assert_eq!(w.state(id).await, State::Cancelled);
    assert_eq!(w.claim(1).await, []);
}
