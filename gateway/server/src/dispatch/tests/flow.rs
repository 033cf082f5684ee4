//! From outcome to state, steps, admission, poison, fairness, stopping.

use causeway_core::delivery::{HeldCause, State};
use causeway_core::reason::Reason;

use super::*;

#[tokio::test(start_paused = true)]
async fn each_outcome_class_ends_in_its_state() {
    use Class::{Accepted, AlreadyThere, NotNow, Refused, Unauthorised, Unavailable};
    for (plays, state, reason, held, attempts) in [
        (vec![say(Accepted)], State::Delivered, None, None, 0),
        (vec![say(AlreadyThere)], State::Delivered, None, None, 0),
        (vec![say(Refused)], State::Refused, Some(Reason::VendorRefused), None, 0),
        (vec![say(Unauthorised)], State::Held, Some(Reason::CredentialsRefused), Some(HeldCause::AccountPaused), 0),
        (
            vec![Play::Say(Outcome::new(Unauthorised).because(Reason::PermissionMissing))],
            State::Held,
            Some(Reason::PermissionMissing),
            Some(HeldCause::Operator),
            0,
        ),
        (vec![say(NotNow), say(NotNow), say(Accepted)], State::Delivered, Some(Reason::VendorBusy), None, 0),
        (vec![say(Unavailable), say(Accepted)], State::Delivered, Some(Reason::VendorUnreachable), None, 1),
        (vec![say(Unavailable); 13], State::Parked, Some(Reason::RetriesExhausted), None, 12),
    ] {
        let rig = rig();
        let tries = plays.len();
        rig.plays(plays);
        let row = rig.deliver().await;
        assert_eq!((row.state, row.reason, row.held, row.attempts), (state, reason, held, attempts));
        assert_eq!(rig.tried(), tries);
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_out_in_full() {
    let rig = rig();
    let mut busy = Outcome::new(Class::NotNow);
    busy.retry_after = Some(Duration::from_secs(7_000));
    rig.plays([Play::Say(busy)]);
    rig.deliver().await;
    let script = rig.vendor.0.lock().unwrap();
    let [first, second] = script.tried.as_slice() else { panic!("two tries") };
    let gap = second.2.duration_since(first.2).as_secs();
    assert!((7_000..7_010).contains(&gap), "{gap}");
}

#[tokio::test(start_paused = true)]
async fn a_finished_step_is_not_repeated_and_its_references_are_kept() {
    let rig = rig();
    let second = StepPlan { name: "note", title: "Note", idempotency: Idempotency::Always };
    rig.script(|script| script.steps.push(second));
    let first = Outcome::new(Class::Accepted).with_ref("contact_id", "7");
    rig.plays([Play::Say(first), say(Class::Unknown), say(Class::Unavailable)]);
    let row = rig.deliver().await;
    assert_eq!(
        (row.state, row.done.as_slice()),
        (State::Delivered, ["submit".to_owned(), "note".to_owned()].as_slice())
    );
    let script = rig.vendor.0.lock().unwrap();
    let tried: Vec<_> = script.tried.iter().map(|(_, step, _, refs, _)| (step.as_str(), *refs)).collect();
    assert_eq!(tried, [("submit", 0), ("note", 1), ("note", 1), ("note", 1)]);
    assert!(script.asked.is_empty(), "a harmless step is not looked up");
}

#[tokio::test(start_paused = true)]
async fn a_step_begins_with_the_end_of_the_one_before_where_it_may() {
    let note = StepPlan { name: "note", title: "Note", idempotency: Idempotency::Never };
    let alone = async |settings, change: fn(&Rig)| {
        let rig = rig_of(&DESCRIPTOR, settings);
        rig.script(|script| script.steps.push(note));
        change(&rig);
        let row = rig.deliver().await;
        assert_eq!((row.state, row.number, rig.tried()), (State::Delivered, 2, 2));
        rig.store.lock().begun_alone
    };
    assert_eq!(alone(json!({}), |_| {}).await, 1);
    let sends = |rig: &Rig| rig.vendor.0.lock().unwrap().sends = true;
    assert_eq!(alone(json!({ "limit_calls": 2 }), sends).await, 2, "there is no token for it yet");
    let full = |rig: &Rig| rig.store.lock().settle_fails = 1;
    assert_eq!(alone(json!({}), full).await, 2, "the store was asked again, and time has passed");
}

#[tokio::test(start_paused = true)]
async fn a_stop_begins_no_step_with_the_end_of_the_one_before() {
    let rig = rig();
    rig.script(|script| script.steps.push(StepPlan { name: "note", title: "Note", idempotency: Idempotency::Never }));
    rig.plays([Play::Take(Duration::from_secs(3), Outcome::new(Class::Accepted))]);
    let id = rig.store.queue(rig.account, 1);
    let (stop, tracker) = rig.start();
    while rig.tried() < 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.cancel();
    tracker.wait().await;
    let row = rig.store.row(id);
    assert_eq!((row.state, row.done.len(), row.number), (State::Queued, 1, 1));
    assert_eq!(rig.tried(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_no_to_what_only_adds_is_held_and_refuses_no_application() {
    let rig = rig();
    let survey = StepPlan { name: "survey", title: "Survey", idempotency: Idempotency::Never };
    rig.script(|script| script.steps.push(survey));
    rig.plays([say(Class::Accepted), Play::Say(Outcome::new(Class::Refused).because(Reason::ValueInvalid))]);
    let row = rig.deliver().await;
    assert_eq!((row.state, row.held, row.reason), (State::Held, Some(HeldCause::Operator), Some(Reason::ValueInvalid)));
    assert_eq!(row.done, ["submit"], "what is done stays done");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_admission_is_no_attempt() {
    let rig = rig_of(&DESCRIPTOR, json!({ "limit_calls": 2, "limit_window_ms": 60_000 }));
    rig.script(|script| script.sends = true);
    let ids: Vec<_> = (0..5).map(|person| rig.store.queue(rig.account, person)).collect();
    rig.settle().await;
    for id in ids {
        let row = rig.store.row(id);
        assert_eq!((row.state, row.number), (State::Delivered, 1));
    }
    let script = rig.vendor.0.lock().unwrap();
    for pair in script.tried.windows(2) {
        assert!(pair[1].2.duration_since(pair[0].2).as_secs() >= 60, "one in each window");
    }
}

#[tokio::test(start_paused = true)]
async fn poison_is_parked_and_neighbours_go_on() {
    let rig = rig();
    let ids: Vec<_> = (0..4).map(|person| rig.store.queue(rig.account, person)).collect();
    {
        let mut inner = rig.store.lock();
        let mut document = |at: usize, text: &'static [u8]| {
            inner.rows.get_mut(&ids[at]).unwrap().document = text.into();
        };
        document(0, br#"{"job":"poison"}"#);
        document(1, b"");
        document(2, b"not json");
    }
    rig.settle().await;
    for id in &ids[..3] {
        let row = rig.store.row(*id);
        assert_eq!((row.state, row.reason, row.number), (State::Parked, Some(Reason::Poison), 0));
    }
    assert_eq!(rig.store.row(ids[3]).state, State::Delivered);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_breaks_its_worker_is_parked_after_three_times() {
    let rig = rig();
    rig.plays([Play::Break, Play::Break, Play::Break]);
    let row = rig.deliver().await;
    assert_eq!((row.state, row.reason, row.number), (State::Parked, Some(Reason::Poison), 3));
    assert!(row.classes.contains(&Class::Unknown), "what broke may have been sent, so it was looked up");
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_hangs_its_worker_is_parked_and_neighbours_go_on() {
    let rig = rig_of(&DESCRIPTOR, json!({ "limit_calls": 10_000, "limit_concurrency": 4 }));
    // One comes first and hangs every time; the vendor never shows it, so it is tried again.
    rig.script(|script| script.first_hangs = true);
    let hung = rig.store.queue(rig.account, 1);
    let others: Vec<_> = (2..60).map(|person| rig.store.queue(rig.account, person)).collect();
    let began = rig.clock.now();
    rig.settle().await;
    let row = rig.store.row(hung);
    assert_eq!((row.state, row.reason, row.number), (State::Parked, Some(Reason::Poison), 3));
    let script = rig.vendor.0.lock().unwrap();
    for id in others {
        let (_, _, at, ..) = script.tried.iter().find(|tried| tried.0 == id).unwrap();
        assert!(at.duration_since(began).as_secs() < 5, "nobody waits for it");
        assert_eq!(rig.store.row(id).state, State::Delivered);
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_late_once_is_no_poison() {
    let rig = rig();
    for name in ["note", "survey"] {
        let step = StepPlan { name, title: "More", idempotency: Idempotency::Never };
        rig.script(|script| script.steps.push(step));
    }
    rig.plays([say(Class::Accepted), say(Class::Accepted), Play::Hang, say(Class::Accepted)]);
    let row = rig.deliver().await;
    assert_eq!((row.state, row.number), (State::Delivered, 4));
}

#[tokio::test(start_paused = true)]
async fn what_many_fail_at_is_not_tried() {
    let rig = rig();
    let note = StepPlan { name: "note", title: "Note", idempotency: Idempotency::Always };
    rig.script(|script| script.steps.push(note));
    let id = rig.store.queue(rig.account, 1);
    rig.store.lock().rows.get_mut(&id).unwrap().stopped = vec!["note".to_owned()];
    rig.settle().await;
    let row = rig.store.row(id);
    assert_eq!((row.state, row.held, row.reason), (State::Held, Some(HeldCause::FailsAlike), Some(Reason::FailsAlike)));
    assert_eq!((rig.tried(), row.done.as_slice()), (1, ["submit".to_owned()].as_slice()), "as far as it goes");
}

#[tokio::test(start_paused = true)]
async fn a_paused_account_holds_the_rest() {
    let rig = rig_of(&DESCRIPTOR, json!({ "limit_concurrency": 1 }));
    rig.plays([say(Class::Unauthorised)]);
    let ids: Vec<_> = (0..6).map(|person| rig.store.queue(rig.account, person)).collect();
    rig.settle().await;
    assert_eq!(rig.tried(), 1, "attempts are not burnt");
    for id in ids {
        let row = rig.store.row(id);
        assert_eq!((row.state, row.held), (State::Held, Some(HeldCause::AccountPaused)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_outcome_is_committed_though_the_store_was_full() {
    let rig = rig();
    rig.store.lock().settle_fails = 3;
    assert_eq!(rig.deliver().await.state, State::Delivered);
    assert_eq!(rig.tried(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_could_not_be_begun_gives_its_lease_back() {
    let rig = rig();
    rig.store.lock().begin_fails = 3;
    assert_eq!(rig.deliver().await.state, State::Delivered);
    assert_eq!((rig.tried(), rig.store.lock().ran_out), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn files_are_loaded_where_the_document_names_some() {
    let rig = rig();
    let [bare, with] = [1, 2].map(|person| rig.store.queue(rig.account, person));
    rig.store.lock().rows.get_mut(&with).unwrap().document =
        (&br#"{"job":"j1","attachments":[{"id":"cv","kind":"resume","name":"cv.pdf","media_type":"application/pdf","size":4}]}"#[..]).into();
    rig.settle().await;
    let script = rig.vendor.0.lock().unwrap();
    let files = |id: DeliveryId| script.tried.iter().find(|tried| tried.0 == id).unwrap().4;
    assert_eq!((files(bare), files(with)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn an_accounts_concurrency_is_kept_and_claims_serve_several() {
    let rig = rig_of(&DESCRIPTOR, json!({ "limit_calls": 10_000 }));
    for person in 0..400 {
        rig.store.queue(rig.account, person);
    }
    rig.plays((0..400).map(|_| Play::Take(Duration::from_millis(20), Outcome::new(Class::Accepted))));
    rig.settle().await;
    assert_eq!((rig.tried(), rig.vendor.0.lock().unwrap().most), (400, 8));
    let claims = rig.store.lock().claims;
    assert!(claims <= 400 / 4, "{claims} claims");
}

#[tokio::test(start_paused = true)]
async fn a_flood_does_not_hold_up_a_quiet_tenant() {
    let rig = rig_of(&DESCRIPTOR, json!({ "limit_calls": 10_000 }));
    let quiet = crate::egress::testing::record("scripted", json!({ "limit_calls": 10_000 }));
    let quiet_account = quiet.account.id;
    rig.store.with_account(quiet);
    for person in 0..300 {
        rig.store.queue(rig.account, person);
    }
    let last: Vec<_> = (0..8).map(|person| rig.store.queue(quiet_account, person)).collect();
    rig.plays((0..308).map(|_| Play::Take(Duration::from_millis(20), Outcome::new(Class::Accepted))));
    rig.settle().await;
    let script = rig.vendor.0.lock().unwrap();
    let position = script.tried.iter().rposition(|tried| last.contains(&tried.0)).unwrap();
    assert!(position < 32, "{position} tries before the quiet tenant was served");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_rang_for_is_found_although_others_report_all_the_time() {
    let rig = rig_of(&DESCRIPTOR, json!({ "limit_calls": 100_000 }));
    let other = crate::egress::testing::record("scripted", json!({ "limit_calls": 10_000 }));
    let other_account = other.account.id;
    rig.store.with_account(other);
    for person in 0..500 {
        rig.store.queue(rig.account, person);
    }
    rig.plays((0..501).map(|_| Play::Take(Duration::from_millis(100), Outcome::new(Class::Accepted))));
    let (stop, tracker) = rig.start();
    while rig.tried() < 20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (late, since) = (rig.store.queue(other_account, 1), rig.clock.now());
    while !rig.store.all_settled() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stop.cancel();
    tracker.wait().await;
    let script = rig.vendor.0.lock().unwrap();
    let (_, _, at, ..) = script.tried.iter().find(|tried| tried.0 == late).unwrap();
    assert!(at.duration_since(since).as_secs() < 4, "within a tick or two");
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_what_is_on_the_wire_and_gives_back_the_rest() {
    let rig = rig_of(&DESCRIPTOR, json!({ "limit_concurrency": 2 }));
    let ids: Vec<_> = (0..10).map(|person| rig.store.queue(rig.account, person)).collect();
    rig.plays((0..10).map(|_| Play::Take(Duration::from_secs(3), Outcome::new(Class::Accepted))));
    let (stop, tracker) = rig.start();
    while rig.tried() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.cancel();
    tracker.wait().await;
    let rows: Vec<_> = ids.iter().map(|id| rig.store.row(*id)).collect();
    let count = |state: State| rows.iter().filter(|row| row.state == state).count();
    assert_eq!((count(State::Delivered), count(State::Queued)), (2, 8));
    assert!(rows.iter().all(|row| row.lease.is_none() && row.on_wire.is_none()), "0 ambiguous attempts");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_a_step_could_outlast_is_refused() {
    let rig = rig();
    let connector = Arc::clone(&rig.vendor);
    let refused = Dispatch::new(DispatchParts {
        store: Arc::clone(&rig.store) as Arc<dyn crate::store::Store>,
        egress: Arc::clone(&rig.egress),
        connectors: Arc::new(move |_| Some(Arc::clone(&connector) as Arc<dyn Connector>)),
        clock: Arc::clone(&rig.clock) as Arc<dyn Clock>,
        entropy: Arc::new(SeededEntropy::new(5)),
        retry: RetryPolicy::default().into(),
        alike: AlikePolicy::default().into(),
        policy: DispatchPolicy { lease: Duration::from_secs(80), ..DispatchPolicy::default() },
    });
    assert!(refused.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_step_is_not_begun_on_a_lease_that_it_could_outlast() {
    let rig = rig();
    rig.script(|script| script.steps.push(StepPlan { name: "note", title: "Note", idempotency: Idempotency::Never }));
    rig.plays([Play::Take(Duration::from_secs(70), Outcome::new(Class::Accepted))]);
    let row = rig.deliver().await;
    assert_eq!((row.state, row.number, row.fence), (State::Delivered, 2, 2), "the second step has a lease of its own");
}

#[tokio::test(start_paused = true)]
async fn a_delivered_one_is_to_be_read_back_after_the_vendors_lag() {
    for (descriptor, settings, lag, why) in [
        (&DESCRIPTOR, json!({}), Some(10), None),
        (&DESCRIPTOR, json!({ "visibility_lag_ms": 45_000 }), Some(45), None),
        (&NO_FIND, json!({}), None, Some("the vendor offers no call to read it back")),
    ] {
        let rig = rig_of(descriptor, settings);
        let proof = rig.deliver().await.proof.unwrap();
        let tried = rig.vendor.0.lock().unwrap().tried[0].2;
        let due_in = proof.due_at.map(|due| due.duration_since(tried).as_secs());
        assert_eq!((due_in, proof.not_verifiable.as_deref(), proof.seen_at), (lag, why, None));
    }
}
