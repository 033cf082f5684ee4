//! What is due, who gets it, and how leases end.

use bytes::Bytes;
use causeway_core::clock::Entropy;
use causeway_core::delivery::State;
use causeway_core::outcome::Class;
use causeway_core::reason::Reason;

use super::world::{Backend, JOB, World, delivered};
use crate::hash::sha256;
use crate::store::StoreError;
use crate::store::intake::{NewApplication, NewAttachment};
use crate::store::work::{Claim, ClaimRequest, Next};

pub(crate) async fn nothing_is_due_before_its_time<B: Backend>(w: World<B>) {
    assert_eq!(w.store.due(w.now()).await.unwrap(), (Vec::new(), None));
    w.accept(w.application("ada@example.org")).await;
    let (accounts, next) = w.store.due(w.now()).await.unwrap();
    assert_eq!((accounts.len(), accounts[0].account, next), (1, w.ats, None));
    let wait = Next::Wait { until: w.later(30), reason: Reason::VendorBusy, consumed: true };
    assert_eq!(w.go(&w.one_claim().await, Class::NotNow, wait).await, State::Waiting);
    assert_eq!(w.store.due(w.now()).await.unwrap(), (Vec::new(), Some(w.later(30))));
    assert_eq!(w.claim(10).await, []);
    w.pass(30);
    assert_eq!(w.store.due(w.now()).await.unwrap().0.len(), 1);
    assert_eq!(w.one_claim().await.attempts, 1);
}

pub(crate) async fn fresh_goes_before_bulk_and_old_before_new<B: Backend>(w: World<B>) {
    let mut ids = Vec::new();
    for name in ["a", "b"] {
        ids.push(w.accept(w.application(&format!("{name}@example.org"))).await.1);
        w.pass(1);
    }
    w.store.pause_account(w.ats, Reason::AccountPaused, "test", w.now()).await.unwrap();
    assert_eq!(w.store.resume_account(w.ats, "test", w.now()).await.unwrap(), 2);
    w.pass(1);
    for name in ["c", "d"] {
        ids.push(w.accept(w.application(&format!("{name}@example.org"))).await.1);
        w.pass(1);
    }
    let claimed: Vec<_> = w.claim(3).await.into_iter().map(|claim| claim.delivery).collect();
    assert_eq!(claimed, [ids[2], ids[3], ids[0]], "what a resumed account released is bulk");
}

pub(crate) async fn one_claim_at_a_time_for_a_person_and_posting<B: Backend>(w: World<B>) {
    let keyed = |key: &str, email| NewApplication { idempotency_key: Some(key.into()), ..w.application(email) };
    let (_, first) = w.accept(keyed("1", "ada@example.org")).await;
    let (_, second) = w.accept(keyed("2", "Ada@example.org")).await;
    let (_, other) = w.accept(keyed("3", "bob@example.org")).await;
    // One by one: what is blocked takes nobody's place.
    let claims = [w.one_claim().await, w.one_claim().await];
    assert_eq!(claims.each_ref().map(|claim| claim.delivery), [first, other]);
    for claim in &claims {
        w.store.release(claim, w.now()).await.unwrap();
    }
    // The two that are due first are hers; who wants two gets two all the same.
    let claims = w.claim(2).await;
    assert_eq!(claims.iter().map(|claim| claim.delivery).collect::<Vec<_>>(), [first, other]);
    for claim in &claims {
        w.store.release(claim, w.now()).await.unwrap();
    }
    let claims = w.claim(10).await;
    assert_eq!(claims.iter().map(|claim| claim.delivery).collect::<Vec<_>>(), [first, other]);
    assert_eq!(w.store.due(w.now()).await.unwrap().0, [], "the second is not due while the first is out");
    assert_eq!(w.go(&claims[0], Class::Unknown, w.unknown()).await, State::Verifying);
    assert_eq!(w.claim(10).await, [], "nor while it is verified");
    w.pass(30);
    let claims = w.claim(10).await;
    assert_eq!(claims.len(), 1);
    assert_eq!((claims[0].delivery, claims[0].verifying.as_ref().unwrap().asked), (first, 0));
    let resend = Next::Resend { possible_duplicate: false };
    assert_eq!(w.settle(w.untried(&claims[0], resend)).await, State::InFlight);
    assert_eq!(w.go(&claims[0], Class::Accepted, delivered()).await, State::Delivered);
    assert_eq!(w.one_claim().await.delivery, second);
}

pub(crate) async fn a_claimed_delivery_is_claimed_once<B: Backend>(w: World<B>) {
    for name in 0..5 {
        w.accept(w.application(&format!("{name}@example.org"))).await;
    }
    let (one, two) = tokio::join!(w.claim(3), w.claim(3));
    let mut ids: Vec<_> = one.iter().chain(&two).map(|claim| claim.delivery).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((one.len() + two.len(), ids.len()), (5, 5));
}

pub(crate) async fn a_worker_gets_what_was_accepted<B: Backend>(w: World<B>) {
    w.sync(w.ats, true, &[JOB]).await;
    let mut cv = vec![0; 200_000];
    w.entropy.fill(&mut cv);
    let mut application = w.application("ada@example.org");
    let document = r#"{"job":"4001", "demographics":[{"scheme":"eeo"}] ,"person":{}}"#;
    application.document = Bytes::from_static(document.as_bytes());
    application.attachments = [("cv", cv.clone()), ("letter", Vec::new())]
        .map(|(id, bytes)| NewAttachment { id: id.into(), sha256: sha256(&bytes), bytes: bytes.into() })
        .into();
    let code = application.code.clone();
    w.accept(application).await;
    let (item, files) = w.store.load(&w.one_claim().await, true).await.unwrap();
    assert_eq!(item.document, document.as_bytes(), "byte for byte");
    assert_eq!((item.code, item.received_at), (code, w.now()));
    assert_eq!((item.posting.title.as_str(), item.account.account.id), ("Welder", w.ats));
    let files: Vec<_> = files.iter().map(|file| (file.id.as_str(), file.bytes.to_vec())).collect();
    assert_eq!(files, [("cv", cv), ("letter", Vec::new())]);
}

pub(crate) async fn a_lost_lease_can_write_nothing<B: Backend>(w: World<B>) {
    w.accept(w.application("ada@example.org")).await;
    let old = w.one_claim().await;
    let begun = w.begin(&old).await;
    w.pass(61);
    assert_eq!(w.store.expire_leases(w.now()).await.unwrap(), (1, 0));
    let fresh = w.one_claim().await;
    assert!(fresh.fence > old.fence);
    let late = w.tried(&old, begun, Class::Accepted, delivered());
    assert!(matches!(w.store.settle(late).await, Err(StoreError::Fenced)));
    assert!(matches!(w.store.begin_attempt(&old, "submit", w.now()).await, Err(StoreError::Fenced)));
    assert!(matches!(w.store.release(&old, w.now()).await, Err(StoreError::Fenced)));
    assert!(matches!(w.store.load(&old, false).await, Err(StoreError::Fenced)));
    assert_eq!(w.store.census().await.unwrap(), [(State::InFlight, 1)].into());
}

pub(crate) async fn a_lease_that_ran_out_begins_nothing<B: Backend>(w: World<B>) {
    w.accept(w.application("ada@example.org")).await;
    let claim = w.one_claim().await;
    w.pass(60);
    assert!(matches!(w.store.begin_attempt(&claim, "submit", w.now()).await, Err(StoreError::Fenced)));
}

pub(crate) async fn an_expired_attempt_is_verified_from_its_beginning<B: Backend>(w: World<B>) {
    let (id, _) = w.accept(w.application("ada@example.org")).await;
    let claim = w.one_claim().await;
    w.pass(10);
    w.begin(&claim).await;
    let began = w.now();
    w.pass(49);
    assert_eq!(w.store.expire_leases(w.now()).await.unwrap(), (0, 0), "not before its time");
    w.pass(1);
    assert_eq!(w.store.expire_leases(w.now()).await.unwrap(), (1, 0));
    assert_eq!((w.state(id).await, w.reason(id).await), (State::Verifying, Some(Reason::OutcomeUnknown)));
    let verifying = w.one_claim().await.verifying.unwrap();
    assert_eq!((verifying.step.as_str(), verifying.since), ("submit", began));
}

pub(crate) async fn an_expired_claim_is_due_again<B: Backend>(w: World<B>) {
    let (id, _) = w.accept(w.application("ada@example.org")).await;
    w.one_claim().await;
    w.pass(60);
    assert_eq!(w.store.expire_leases(w.now()).await.unwrap(), (0, 1));
    assert_eq!(w.state(id).await, State::Queued);
    w.one_claim().await;
}

pub(crate) async fn a_released_claim_returns_to_where_it_was<B: Backend>(w: World<B>) {
    let (id, _) = w.accept(w.application("ada@example.org")).await;
    let claim = w.one_claim().await;
    w.store.release(&claim, w.later(5)).await.unwrap();
    assert_eq!((w.state(id).await, w.claim(1).await), (State::Queued, Vec::new()));
    w.pass(5);
    let wait = Next::Wait { until: w.now(), reason: Reason::VendorBusy, consumed: false };
    w.go(&w.one_claim().await, Class::NotNow, wait).await;
    w.store.release(&w.one_claim().await, w.now()).await.unwrap();
    assert_eq!(w.state(id).await, State::Waiting);
    w.go(&w.one_claim().await, Class::Unknown, w.unknown()).await;
    w.pass(30);
    let claim = w.one_claim().await;
    w.store.release(&claim, w.now()).await.unwrap();
    assert_eq!(w.state(id).await, State::Verifying);
    let claim = w.one_claim().await;
    assert!(claim.verifying.is_some());
    let resend = Next::Resend { possible_duplicate: true };
    w.settle(w.untried(&claim, resend)).await;
    w.begin(&claim).await;
    assert!(w.store.release(&claim, w.now()).await.is_err(), "what was begun has to be settled");
}

pub(crate) async fn a_delivery_that_keeps_ending_its_worker_is_parked<B: Backend>(w: World<B>) {
    let (id, delivery) = w.accept(w.application("ada@example.org")).await;
    let (neighbour, _) = w.accept(w.application("bob@example.org")).await;
    // Giving a lease back is no sign of harm.
    for _ in 0..10 {
        w.store.release(&w.one_claim().await, w.now()).await.unwrap();
    }
    for _ in 0..5 {
        let claims = w.claim(2).await;
        assert_eq!(claims.len(), 2);
        for claim in claims.iter().filter(|claim| claim.delivery != delivery) {
            w.store.release(claim, w.now()).await.unwrap();
        }
        w.pass(61);
        assert_eq!(w.store.expire_leases(w.now()).await.unwrap(), (0, 1));
    }
    let claims = w.claim(2).await;
    assert_eq!(claims.iter().map(|claim| claim.submission).collect::<Vec<_>>(), [neighbour]);
    assert_eq!((w.state(id).await, w.reason(id).await), (State::Parked, Some(Reason::Poison)));
}

/// Its worker dies with the attempt on the wire, and every lookup in between goes well.
pub(crate) async fn lookups_do_not_clear_what_ends_its_worker<B: Backend>(w: World<B>) {
    let (id, _) = w.accept(w.application("ada@example.org")).await;
    for round in 1..=5 {
        w.begin(&w.one_claim().await).await;
        w.pass(61);
        assert_eq!(w.store.expire_leases(w.now()).await.unwrap(), (1, 0));
        if round == 5 {
            break;
        }
        let claim = w.one_claim().await;
        w.settle(w.untried(&claim, Next::Resend { possible_duplicate: false })).await;
        let wait = Next::Wait { until: w.now(), reason: Reason::VendorFailed, consumed: false };
        assert_eq!(w.settle(w.untried(&claim, wait)).await, State::Waiting);
    }
    assert_eq!(w.claim(1).await, Vec::new());
    assert_eq!((w.state(id).await, w.reason(id).await), (State::Parked, Some(Reason::Poison)));
}

/// The lease is in use: a worker that dies in the step that follows is the first.
pub(crate) async fn a_step_that_went_well_leaves_its_lease_counted<B: Backend>(w: World<B>) {
    let (_, delivery) = w.accept(w.application("ada@example.org")).await;
    let claim = w.one_claim().await;
    let begin = Some("note".to_owned());
    assert_eq!(w.go(&claim, Class::Accepted, Next::NextStep { begin }).await, State::InFlight);
    for is_suspect in [false, true] {
        w.pass(61);
        w.store.expire_leases(w.now()).await.unwrap();
        let claim = w.one_claim().await;
        assert_eq!((claim.delivery, claim.is_suspect), (delivery, is_suspect));
    }
}

/// What was in hand together when a worker died twice is carried one by one; an attempt that ends clears it.
pub(crate) async fn a_suspect_is_claimed_as_the_only_one<B: Backend>(w: World<B>) {
    let mut ids = Vec::new();
    for at in 0..5 {
        ids.push(w.accept(w.application(&format!("p{at}@example.org"))).await.1);
    }
    let deliveries = |claims: &[Claim]| claims.iter().map(|claim| claim.delivery).collect::<Vec<_>>();
    for _ in 0..2 {
        assert_eq!(deliveries(&w.claim(10).await), ids);
        w.pass(61);
        w.store.expire_leases(w.now()).await.unwrap();
    }
    let (_, fresh) = w.accept(w.application("q@example.org")).await;
    let none = ClaimRequest { suspect_of: Some(w.crm), ..w.request(w.ats, 2) };
    let beside = w.store.claim(none).await.unwrap().claims;
    assert_eq!(
        (deliveries(&beside), beside[0].is_suspect),
        (vec![fresh], false),
        "more than a page of suspects is passed by"
    );
    w.store.release(&beside[0], w.now()).await.unwrap();
    let claims = w.claim(2).await;
    assert_eq!((deliveries(&claims), claims[0].is_suspect), (vec![ids[0], fresh], true));
    let wait = |at| Next::Wait { until: at, reason: Reason::VendorBusy, consumed: false };
    w.go(&claims[0], Class::NotNow, wait(w.now())).await;
    w.store.release(&claims[1], w.later(60)).await.unwrap();
    // The first one is cleared, the second one's turn has come.
    assert_eq!(deliveries(&w.claim(10).await), ids[..2]);
}
