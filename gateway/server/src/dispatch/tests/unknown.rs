//! Unknown outcomes: adopted, resent, or left to a person. And the answer that was lost with its process.

use causeway_core::account::OnUnknown;
use causeway_core::delivery::{HeldCause, Refs, State};
use causeway_core::outcome::VendorRecord;
use causeway_core::reason::Reason;

use super::*;
use crate::store::Store;
use crate::store::work::{RESTORED, Verifying};

fn seen(id: &str, created_at: Option<Timestamp>, ours: bool) -> VendorRecord {
    let refs = Refs::from([("application_id".to_owned(), id.to_owned())]);
    VendorRecord { vendor_id: id.to_owned(), refs, created_at, carries_our_reference: ours, is_application: true }
}

fn at(rig: &Rig, seconds: i64) -> Option<Timestamp> {
    Some(rig.clock.now() + jiff::SignedDuration::from_secs(seconds))
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_found_and_adopted() {
    let rig = rig();
    rig.plays([say(Class::Unknown)]).finds([Found::Seen(vec![seen("a7", at(&rig, 0), false)])]);
    let row = rig.deliver().await;
    assert_eq!((row.state, row.vendor_id.as_deref()), (State::Delivered, Some("a7")));
    assert_eq!(row.refs["application_id"], "a7");
    assert!(row.proof.unwrap().seen_at.is_some(), "it was read back");
    assert_eq!((rig.tried(), row.possible_duplicate), (1, false));
}

#[tokio::test(start_paused = true)]
async fn a_step_found_done_leads_to_the_next() {
    let rig = rig();
    rig.script(|script| script.steps.push(StepPlan { name: "note", title: "Note", idempotency: Idempotency::Always }));
    rig.plays([say(Class::Unknown)]).finds([Found::Seen(vec![seen("a7", at(&rig, 0), false)])]);
    assert_eq!(rig.deliver().await.state, State::Delivered);
    let script = rig.vendor.0.lock().unwrap();
    let tried: Vec<_> = script.tried.iter().map(|tried| (tried.1.as_str(), tried.3)).collect();
    assert_eq!(tried, [("submit", 0), ("note", 1)]);
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_step_found_after_a_restore_is_sent_and_flagged() {
    for (restored, then, flagged) in
        [(true, Idempotency::Never, true), (true, Idempotency::Always, false), (false, Idempotency::Never, false)]
    {
        let rig = rig();
        rig.script(|script| script.steps.push(StepPlan { name: "survey", title: "Survey", idempotency: then }));
        let id = rig.store.queue(rig.account, 1);
        let step = if restored { RESTORED } else { "submit" }.to_owned();
        let verifying = Verifying { step, since: rig.clock.now(), not_seen: 0, asked: 0 };
        rig.store.lock().rows.get_mut(&id).unwrap().verifying = Some(verifying);
        // Known since the restore also after it was asked in vain.
        let finds = [Found::NotNow { retry_after: None }, Found::Seen(vec![seen("a7", at(&rig, 0), false)])];
        rig.finds(finds);
        rig.settle().await;
        let row = rig.store.row(id);
        assert_eq!((row.state, row.vendor_id.as_deref()), (State::Delivered, Some("a7")));
        assert_eq!((row.possible_duplicate, rig.tried()), (flagged, 1), "restored: {restored}, then {then:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn not_seen_counts_after_the_lag_and_only_the_second_time() {
    let rig = rig();
    let began = rig.clock.now();
    rig.plays([say(Class::Unknown)]).finds([Found::NotSeen { as_of: began }]);
    let row = rig.deliver().await;
    assert_eq!((row.state, row.attempts, row.number, row.possible_duplicate), (State::Delivered, 1, 2, false));
    let script = rig.vendor.0.lock().unwrap();
    assert_eq!(script.asked.len(), 3, "an answer of before the lag does not count");
    for pair in script.asked.windows(2) {
        assert!(pair[1].duration_since(pair[0]).as_secs() >= 10, "spaced");
    }
    assert!(script.asked[0].duration_since(began).as_secs() >= 10, "not asked before it could be seen");
    assert!(script.tried[1].2 >= script.asked[2]);
}

#[tokio::test(start_paused = true)]
async fn a_link_is_unique_and_an_older_record_is_not_ours() {
    for (records, adopted) in [
        (vec![("taken", Some(0), false), ("free", Some(0), false)], Some("free")),
        (vec![("taken", Some(0), true)], None),
        (vec![("older", Some(-121), false)], None),
        (vec![("skewed", Some(-119), false)], Some("skewed")),
        (vec![("older", Some(-9_999), true)], Some("older")),
        (vec![("undated", None, false)], None),
    ] {
        let rig = rig();
        let other = rig.store.queue(rig.account, 2);
        {
            let mut inner = rig.store.lock();
            let row = inner.rows.get_mut(&other).unwrap();
            (row.state, row.vendor_id) = (State::Delivered, Some("taken".to_owned()));
        }
        let records = records.into_iter().map(|(id, age, ours)| seen(id, age.and_then(|age| at(&rig, age)), ours));
        rig.plays([say(Class::Unknown)]).finds([Found::Seen(records.collect())]);
        let row = rig.deliver().await;
        assert_eq!((row.state, row.vendor_id.as_deref()), (State::Delivered, adopted));
        assert_eq!(rig.tried(), if adopted.is_some() { 1 } else { 2 });
    }
}

/// Set back, the machine's clock is the vendors' again: what they date before our attempt may be ours.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_ahead_makes_nothing_older() {
    for (ahead, adopted) in [(3_600, true), (3_400, false), (0, false), (-3_600, false)] {
        let rig = rig();
        let began = rig.clock.now();
        rig.clock.be_ahead(ahead);
        rig.plays([say(Class::Unknown)]).finds([Found::Seen(vec![seen("a7", at(&rig, -3_600), false)])]);
        let row = rig.deliver().await;
        assert_eq!((row.state, rig.tried()), (State::Delivered, if adopted { 1 } else { 2 }), "{ahead}");
        let from = began - jiff::SignedDuration::from_secs(ahead.max(0));
        assert_eq!(rig.vendor.0.lock().unwrap().since[0], from, "so it is asked for");
    }
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_asked_is_held_or_resent_and_flagged() {
    for (descriptor, finds) in [(&DESCRIPTOR, vec![Found::CannotTell]), (&NO_FIND, vec![])] {
        let held = rig_of(descriptor, json!({}));
        held.plays([say(Class::Unknown)]).finds(finds.clone());
        let row = held.deliver().await;
        assert_eq!((row.state, row.held), (State::Held, Some(HeldCause::Operator)));
        assert_eq!((row.reason, held.tried()), (Some(Reason::OutcomeCannotBeKnown), 1));

        let resent = rig_of(descriptor, json!({}));
        resent.store.lock().accounts.get_mut(&resent.account).unwrap().account.on_unknown = OnUnknown::Resend;
        resent.plays([say(Class::Unknown)]).finds(finds);
        let row = resent.deliver().await;
        assert_eq!((row.state, row.possible_duplicate, resent.tried()), (State::Delivered, true, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_stays_unclear_is_not_resent_for_ever() {
    let rig = rig();
    rig.plays(vec![say(Class::Unknown); 50]);
    let row = rig.deliver().await;
    assert_eq!((row.state, row.reason, row.attempts), (State::Parked, Some(Reason::RetriesExhausted), 13));
    assert_eq!(rig.tried(), 13);
}

#[tokio::test(start_paused = true)]
async fn a_busy_lookup_is_asked_again_and_ends_with_a_person() {
    let rig = rig();
    rig.plays([say(Class::Unknown)]).finds(vec![Found::NotNow { retry_after: Some(Duration::from_secs(900)) }; 50]);
    let row = rig.deliver().await;
    assert_eq!((row.state, row.reason), (State::Held, Some(Reason::OutcomeCannotBeKnown)));
    let script = rig.vendor.0.lock().unwrap();
    assert_eq!(script.asked.len(), 21);
    assert!(script.asked.windows(2).all(|pair| pair[1].duration_since(pair[0]).as_secs() >= 900));
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_a_record_of_another_delivery_is_delivered_without_the_link() {
    let rig = rig();
    let mut outcome = Outcome::new(Class::Accepted);
    outcome.vendor_id = Some("a7".to_owned());
    rig.plays([Play::Say(outcome.clone()), Play::Say(outcome)]);
    let ids = [1, 2].map(|person| rig.store.queue(rig.account, person));
    rig.settle().await;
    let links: Vec<_> = ids.iter().map(|id| rig.store.row(*id).vendor_id).collect();
    assert_eq!(links.iter().flatten().count(), 1);
    assert!(ids.iter().all(|id| rig.store.row(*id).state == State::Delivered));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_between_begin_and_settle_leaves_a_question_not_a_duplicate() {
    let rig = rig();
    let id = rig.store.queue(rig.account, 1);
    rig.plays([Play::Hang]);
    {
        let run = rig.dispatch().carry_first().await;
        assert!(tokio::time::timeout(Duration::from_secs(1), run).await.is_err(), "killed on the wire");
    }
    assert!(rig.store.row(id).on_wire.is_some());
    let created = at(&rig, 0);
    tokio::time::sleep(Duration::from_secs(121)).await;
    assert_eq!(rig.store.expire_leases(rig.clock.now()).await.unwrap(), (1, 0));
    rig.finds([Found::Seen(vec![seen("a7", created, false)])]);
    rig.settle().await;
    let row = rig.store.row(id);
    assert_eq!((row.state, row.vendor_id.as_deref(), rig.tried()), (State::Delivered, Some("a7"), 1));
}

#[tokio::test(start_paused = true)]
async fn a_step_over_its_deadline_is_unknown() {
    let rig = rig();
    rig.plays([Play::Hang]).finds([Found::Seen(vec![seen("a7", at(&rig, 0), false)])]);
    let row = rig.deliver().await;
    assert_eq!((row.state, row.classes.first()), (State::Delivered, Some(&Class::Unknown)));
}

impl Dispatch {
    /// Claims one delivery and carries it in the caller's hands, so that a test can drop it midway.
    async fn carry_first(self: Arc<Self>) -> impl Future<Output = Option<Timestamp>> {
        let now = self.parts.clock.now();
        let (due, _) = self.parts.store.due(now).await.unwrap();
        let request = crate::store::work::ClaimRequest {
            owner: "test".to_owned(),
            wants: vec![(due[0].account, 1)],
            suspect_of: None,
            lease: self.parts.policy.lease,
            now,
        };
        let claim = self.parts.store.claim(request).await.unwrap().claims.remove(0);
        async move { self.carry(claim, &CancellationToken::new()).await }
    }
}
