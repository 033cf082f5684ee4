//! Accepting: idempotency, repeats, targets; refusals and edge counts.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use causeway_core::account::Repeats;
use causeway_core::delivery::{HeldCause, State};
use causeway_core::email::NormalEmail;
use causeway_core::ids::SubmissionId;
use causeway_core::problem::FieldError;
use causeway_core::reason::Reason;
use futures_util::future::join_all;
use jiff::SignedDuration;

use super::world::{Backend, JOB, World};
use crate::store::StoreError;
use crate::store::intake::{Accepted, EdgeCount, NewApplication, NewAttachment, NewRefusal, SameRequest};

fn keyed<B: Backend>(w: &World<B>, key: &str) -> NewApplication {
    NewApplication { idempotency_key: Some(key.into()), ..w.application("ada@example.org") }
}

pub(crate) async fn an_application_is_readable_by_its_tenant_only<B: Backend>(w: World<B>) {
    let mut application = w.application("ada@example.org");
    application.deliveries.push(w.target(w.crm));
    let accepted = application.id;
    let ring = match w.store.accept(application).await.unwrap() {
        Accepted::New { repeat_of: None, ring } => ring,
        other => panic!("{other:?}"),
    };
    assert_eq!(ring, [w.ats, w.crm]);
    let view = w.store.application(w.tenant, accepted, false).await.unwrap();
    let targets: Vec<_> = view.targets.iter().map(|target| (target.account.as_str(), target.state)).collect();
    assert_eq!(targets, [("acme-ats", State::Queued), ("acme-crm", State::Queued)]);
    assert_eq!((view.received_at, view.targets[0].next_attempt_at), (w.now(), Some(w.now())));
    let (other, _) = w.other_tenant().await;
    let absent = SubmissionId::new(w.now(), &w.entropy);
    for (tenant, id) in [(other, accepted), (w.tenant, absent)] {
        assert!(matches!(w.store.application(tenant, id, false).await, Err(StoreError::NotFound("application"))));
    }
    assert_eq!(w.store.census().await.unwrap(), [(State::Queued, 2)].into());
}

pub(crate) async fn the_same_key_gets_the_same_receipt<B: Backend>(w: World<B>) {
    let first = keyed(&w, "k1");
    let receipt = first.receipt.clone();
    w.accept(first).await;
    w.pass(29 * 86_400);
    let again = keyed(&w, "k1");
    assert_eq!(w.store.accept(again).await.unwrap(), Accepted::Before { receipt });
    assert_eq!(w.store.census().await.unwrap(), [(State::Queued, 1)].into());
}

pub(crate) async fn what_a_key_is_bound_to_can_be_asked<B: Backend>(w: World<B>) {
    let first = keyed(&w, "k1");
    let (tenant, fingerprint, receipt) = (first.tenant, first.fingerprint.clone(), first.receipt.clone());
    let ask =
        async |key: &str, fingerprint: &[u8]| w.store.accepted_before(tenant, key, fingerprint.to_vec()).await.unwrap();
    assert_eq!(ask("k1", &fingerprint).await, None);
    w.accept(first).await;
    assert_eq!(ask("k1", &fingerprint).await, Some(Accepted::Before { receipt }));
    assert_eq!(ask("k1", b"other").await, Some(Accepted::KeyReused));
    assert_eq!(ask("k2", &fingerprint).await, None);
}

pub(crate) async fn concurrent_requests_with_one_key_are_one_application<B: Backend>(w: World<B>) {
    let w = Arc::new(w);
    let requests = (0..40).map(|_| w.store.accept(keyed(&w, "k1")));
    let answers: Vec<_> = join_all(requests).await.into_iter().map(Result::unwrap).collect();
    let (new, before): (Vec<_>, Vec<_>) = answers.iter().partition(|accepted| matches!(accepted, Accepted::New { .. }));
    assert_eq!((new.len(), before.len()), (1, 39));
    assert!(before.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(w.store.census().await.unwrap(), [(State::Queued, 1)].into());
}

pub(crate) async fn a_key_is_bound_to_its_request_and_its_tenant<B: Backend>(w: World<B>) {
    w.accept(keyed(&w, "k1")).await;
    let mut other_request = keyed(&w, "k1");
    other_request.fingerprint.push(b'!');
    assert_eq!(w.store.accept(other_request).await.unwrap(), Accepted::KeyReused);
    let (tenant, account) = w.other_tenant().await;
    let mut theirs = keyed(&w, "k1");
    theirs.tenant = tenant;
    theirs.deliveries = vec![w.target(account)];
    assert!(matches!(w.store.accept(theirs).await.unwrap(), Accepted::New { repeat_of: None, .. }));
    // Another key says it is another request, however alike.
    assert!(matches!(w.store.accept(keyed(&w, "k2")).await.unwrap(), Accepted::New { repeat_of: Some(_), .. }));
}

pub(crate) async fn identical_bytes_without_a_key_are_one_within_ten_minutes<B: Backend>(w: World<B>) {
    let first = w.application("ada@example.org");
    let receipt = first.receipt.clone();
    w.accept(first).await;
    w.pass(599);
    let again = w.application(" ADA@example.org ");
    let same = NewApplication { fingerprint: w.application("ada@example.org").fingerprint, ..again };
    // Asked for, too, when the same would be refused by now.
    let before = async |change: &dyn Fn(&mut SameRequest)| {
        let NewApplication { tenant, email, posting_id, fingerprint, test, .. } = w.application("ada@example.org");
        let mut same = SameRequest { tenant, email, posting_id, fingerprint, test, received_at: w.now() };
        change(&mut same);
        w.store.same_before(same).await.unwrap()
    };
    assert_eq!(before(&|_| ()).await, Some(receipt.clone()));
    let others: [&dyn Fn(&mut SameRequest); 5] = [
        &|same| same.fingerprint.push(0),
        &|same| same.posting_id.push('0'),
        &|same| same.test = !same.test,
        &|same| same.email = NormalEmail::parse("bo@example.com").unwrap(),
        &|same| same.received_at += SignedDuration::from_secs(2),
    ];
    for other in others {
        assert_eq!(before(other).await, None);
    }
    let (tenant, _) = w.other_tenant().await;
    assert_eq!(before(&|same| same.tenant = tenant).await, None);
    assert_eq!(w.store.accept(same).await.unwrap(), Accepted::Before { receipt });
    let other = NewApplication { fingerprint: b"other".to_vec(), ..w.application("ada@example.org") };
    assert!(matches!(w.store.accept(other).await.unwrap(), Accepted::New { repeat_of: Some(_), .. }));
    w.pass(2);
    let late = w.application("ada@example.org");
    assert!(matches!(w.store.accept(late).await.unwrap(), Accepted::New { repeat_of: Some(_), .. }));
}

pub(crate) async fn a_repeat_is_linked_to_the_first<B: Backend>(w: World<B>) {
    let (first, _) = w.accept(keyed(&w, "k1")).await;
    let repeat_of = async |application: NewApplication| match w.store.accept(application).await.unwrap() {
        Accepted::New { repeat_of, .. } => repeat_of,
        other => panic!("{other:?}"),
    };
    w.pass(86_400);
    let second = keyed(&w, "k2");
    let id = second.id;
    assert_eq!(repeat_of(second).await, Some(first));
    assert_eq!(w.store.application(w.tenant, id, false).await.unwrap().repeat_of, Some(first));
    assert_eq!(repeat_of(NewApplication { posting_id: "other".into(), ..keyed(&w, "k3") }).await, None);
    assert_eq!(repeat_of(w.application("ada+jobs@example.org")).await, None, "another mailbox");
    w.pass(119 * 86_400 + 1);
    assert_eq!(repeat_of(keyed(&w, "k4")).await, Some(id), "the first one is older than 120 days now");
}

pub(crate) async fn repeats_follow_the_accounts_policy<B: Backend>(w: World<B>) {
    let check = async |key: &str, repeats, state, reason| {
        let mut application = keyed(&w, key);
        application.deliveries[0].repeats = repeats;
        let (id, _) = w.accept(application).await;
        assert_eq!((w.state(id).await, w.reason(id).await), (state, reason), "{repeats:?}");
    };
    check("k1", Repeats::Refuse, State::Queued, None).await;
    check("k2", Repeats::Deliver, State::Queued, None).await;
    check("k3", Repeats::Hold, State::Held, Some(Reason::RepeatApplication)).await;
    check("k4", Repeats::Refuse, State::Refused, Some(Reason::RepeatApplication)).await;
}

pub(crate) async fn codes_are_never_given_twice_and_only_the_stores_own_are_taken<B: Backend>(w: World<B>) {
    let mut given = BTreeSet::new();
    for _ in 0..500 {
        assert!(given.insert(w.store.new_code().await.unwrap()));
    }
    let foreign = NewApplication { code: "K7M2".into(), ..w.application("ada@example.org") };
    assert!(matches!(w.store.accept(foreign).await, Err(StoreError::Failed(_))));
    assert_eq!(w.store.census().await.unwrap(), [].into());
    let World { backend, store, clock, .. } = w;
    drop(store);
    let store = backend.open(clock);
    for _ in 0..500 {
        assert!(given.insert(store.new_code().await.unwrap()), "not after it was opened again either");
    }
}

/// What comes in one batch is answered as if it had come one after the other, whichever engine takes it how.
pub(crate) async fn many_at_once_are_what_they_are_one_by_one<B: Backend>(w: World<B>) {
    let (_, theirs) = w.other_tenant().await;
    let cv = Bytes::from_static(b"a curriculum vitae");
    let person = |number: usize| {
        let mut application = w.application(&format!("person{number}@example.org"));
        application.deliveries.push(w.target(w.crm));
        let sha256 = crate::hash::sha256(&cv);
        application.attachments.push(NewAttachment { id: "cv".into(), sha256, bytes: cv.clone() });
        application
    };
    let mut at_once: Vec<NewApplication> = (0..20).map(person).collect();
    at_once[1].document = Bytes::from_static(br#"{"job":"4001","demographics":[1],"a":2}"#);
    at_once[2].idempotency_key = Some("k2".into());
    // The same bytes; other bytes of the same person; the same key; nobody's account; one that waits.
    at_once.push(person(0));
    at_once.push(NewApplication { fingerprint: b"other".to_vec(), ..person(1) });
    at_once.push(NewApplication { idempotency_key: Some("k2".into()), ..person(2) });
    at_once.push(NewApplication { deliveries: vec![w.target(theirs)], ..person(21) });
    let mut waits = person(22);
    waits.deliveries[0].held = Some((HeldCause::PostingUnknown, Reason::PostingUnknown, Vec::new()));
    let waits_for_its_job = waits.id;
    at_once.push(waits);
    let answers = join_all(at_once.into_iter().map(|application| w.store.accept(application))).await;
    let count = |what: fn(&Result<Accepted, StoreError>) -> bool| answers.iter().filter(|answer| what(answer)).count();
    assert_eq!(count(|answer| matches!(answer, Ok(Accepted::New { repeat_of: None, .. }))), 21);
    assert_eq!(count(|answer| matches!(answer, Ok(Accepted::New { repeat_of: Some(_), .. }))), 1);
    assert_eq!(count(|answer| matches!(answer, Ok(Accepted::Before { .. }))), 2);
    assert_eq!(count(|answer| matches!(answer, Err(StoreError::NotFound("account")))), 1);
    let queued = [(State::Queued, 43), (State::Held, 1)];
    assert_eq!(w.store.census().await.unwrap(), queued.into());
    let targets = w.store.application(w.tenant, waits_for_its_job, false).await.unwrap().targets;
    assert_eq!(targets.iter().map(|target| target.state).collect::<Vec<_>>(), [State::Held, State::Queued]);
    assert_eq!(w.store.verify_audit(w.tenant).await.unwrap(), None);
    for claim in w.claim(50).await {
        w.store.load(&claim, true).await.unwrap();
    }
}

pub(crate) async fn another_tenants_account_is_no_target<B: Backend>(w: World<B>) {
    let (_, theirs) = w.other_tenant().await;
    let application = NewApplication { deliveries: vec![w.target(theirs)], ..w.application("ada@example.org") };
    let id = application.id;
    assert!(matches!(w.store.accept(application).await, Err(StoreError::NotFound("account"))));
    assert!(w.store.application(w.tenant, id, false).await.is_err(), "nothing of it is stored");
}

pub(crate) async fn refusals_and_edge_counts_are_taken<B: Backend>(w: World<B>) {
    let refusal = |document: &'static str| NewRefusal {
        test: false,
        id: SubmissionId::new(w.now(), &w.entropy),
        tenant: w.tenant,
        key: causeway_core::ids::KeyId::new(w.now(), &w.entropy),
        received_at: w.now(),
        posting_id: JOB.into(),
        email: NormalEmail::parse("ada@example.org").unwrap(),
        document: Bytes::from_static(document.as_bytes()),
        code: "application_invalid".into(),
        errors: vec![FieldError {
            question: None,
            pointer: "/person/name".into(),
            code: "answer_missing".into(),
            message: "A name is needed.".into(),
            required_by: vec!["canonical".into()],
            fix: "Send it.".into(),
        }],
        trace_id: "trace".into(),
    };
    for document in ["{}", "{}", "{ }"] {
        w.store.record_refusal(refusal(document)).await.unwrap();
    }
    let count =
        EdgeCount { tenant: None, key: None, job: None, minute: w.now(), code: "body_too_large".into(), count: 3 };
    w.store.count_edge(vec![count.clone(), count]).await.unwrap();
    // A refusal is no application: it is neither repeated nor replayed.
    let accepted = w.store.accept(w.application("ada@example.org")).await.unwrap();
    assert!(matches!(accepted, Accepted::New { repeat_of: None, .. }));
}
