//! Many that fail alike: counted, held in one case, one tried on schedule, all let go by the first success.

use std::time::Duration;

use causeway_core::delivery::{HeldCause, State};
use causeway_core::email::NormalEmail;
use causeway_core::ids::{DeliveryId, SubmissionId};
use causeway_core::outcome::{Class, Outcome};
use causeway_core::reason::Reason;

use super::world::{Backend, World, delivered, for_ages};
use crate::alike::{AlikePolicy, Mark};
use crate::store::trace::Retention;
use crate::store::work::{Claim, FailedAlike, Next};

fn policy() -> AlikePolicy {
    AlikePolicy {
        after: 3,
        within: Duration::from_secs(600),
        probes: [60, 300].map(Duration::from_secs).into(),
        jitter: 0.0,
    }
}

impl<B: Backend> World<B> {
    /// Accepts one of these people for a job, and claims it.
    async fn take(&self, name: &str, job: &str) -> (SubmissionId, Claim) {
        let mut application = self.application(&format!("{name}@example.org"));
        application.posting_id = job.into();
        let (id, _) = self.accept(application).await;
        (id, self.one_claim().await)
    }

    /// Tries it once; it fails as told, and what would follow is told, too.
    async fn fails(&self, claim: &Claim, class: Class, next: Next) -> State {
        let begun = self.begin(claim).await;
        let mut settlement = self.tried(claim, begun, class, next);
        let outcome = Outcome { vendor_status: Some(503), ..Outcome::new(class) };
        let mark = Mark::of("submit", &outcome).unwrap();
        settlement.outcome = Some(outcome);
        settlement.alike = Some(FailedAlike { mark, policy: policy(), dice: 0.0 });
        self.settle(settlement).await
    }

    async fn is_down(&self, claim: &Claim) -> State {
        let next = Next::Wait { until: self.later(5), reason: Reason::VendorUnreachable, consumed: true };
        self.fails(claim, Class::Unavailable, next).await
    }

    async fn says_no(&self, claim: &Claim) -> State {
        self.fails(claim, Class::Refused, Next::Refuse { reason: Reason::ValueInvalid, fields: Vec::new() }).await
    }

    async fn goes_well(&self, claim: &Claim) {
        assert_eq!(self.go(claim, Class::Accepted, delivered()).await, State::Delivered);
    }

    async fn stopped(&self, claim: &Claim) -> Vec<String> {
        self.store.load(claim, false).await.unwrap().0.stopped
    }

    /// What a worker does that was told to stop.
    async fn stops(&self, claim: &Claim) -> State {
        assert_eq!(self.stopped(claim).await, ["submit"]);
        let (cause, reason) = (HeldCause::FailsAlike, Reason::FailsAlike);
        self.settle(self.untried(claim, Next::Hold { cause, reason, fields: Vec::new() })).await
    }

    /// The delivery that is the probe now.
    pub(crate) async fn probe(&self) -> Claim {
        assert_eq!(self.store.probe_alike(&policy(), self.now()).await.unwrap(), [self.ats]);
        let claim = self.one_claim().await;
        assert!(self.stopped(&claim).await.is_empty(), "the probe goes");
        claim
    }

    /// Three that failed three times each, in a group.
    pub(crate) async fn group(&self) -> Vec<(SubmissionId, DeliveryId)> {
        let mut ids = Vec::new();
        for name in ["ada", "bela", "chi"] {
            let (id, claim) = self.take(name, "4001").await;
            assert_eq!(self.is_down(&claim).await, State::Waiting);
            ids.push((id, claim.delivery));
        }
        for _ in 0..2 {
            assert!(self.store.cases(self.tenant, 10).await.unwrap().is_empty(), "a hiccup is the schedule's affair");
            self.pass(5);
            for claim in self.claim(3).await {
                self.is_down(&claim).await;
            }
        }
        ids
    }
}

pub(crate) async fn many_that_fail_alike_are_held_in_one_case<B: Backend>(w: World<B>) {
    let failed = w.group().await;
    let (fresh, claim) = w.take("dan", "4002").await;
    assert_eq!(w.stops(&claim).await, State::Held, "no call is spent on what was not tried yet");
    for id in failed.iter().map(|(id, _)| *id).chain([fresh]) {
        assert_eq!((w.state(id).await, w.reason(id).await), (State::Held, Some(Reason::FailsAlike)));
    }
    let cases = w.store.cases(w.tenant, 10).await.unwrap();
    assert_eq!((cases.len(), cases[0].deliveries, cases[0].reason), (1, 4, Reason::FailsAlike));
    let alike = cases[0].alike.clone().unwrap();
    assert_eq!((alike.step.as_str(), alike.class, alike.vendor_status), ("submit", Class::Unavailable, Some(503)));
    assert_eq!(alike.next_probe_at, Some(w.later(60)));
    assert_eq!(w.store.due(w.later(86_400)).await.unwrap().0, [], "none has a timer of its own");
    let findings = w.store.examine().await.unwrap();
    let told = findings.iter().find(|finding| finding.what == "deliveries of acme-ats").unwrap();
    assert!(told.text.contains("4 deliveries are held: submit comes to unavailable with status 503"), "{}", told.text);
}

pub(crate) async fn a_probe_that_goes_well_lets_all_go<B: Backend>(w: World<B>) {
    w.group().await;
    assert_eq!(w.store.probe_alike(&policy(), w.now()).await.unwrap(), [], "not before its time");
    w.pass(60);
    let probe = w.probe().await;
    assert_eq!(w.store.probe_alike(&policy(), w.now()).await.unwrap(), [], "one at a time");
    assert_eq!(w.is_down(&probe).await, State::Held);
    let next = w.store.cases(w.tenant, 10).await.unwrap()[0].alike.clone().unwrap();
    assert_eq!((next.failed_probes, next.next_probe_at), (1, Some(w.later(300))), "it waits longer");
    w.pass(300);
    let second = w.probe().await;
    assert_ne!(second.delivery, probe.delivery, "another one's turn");
    w.goes_well(&second).await;
    assert_eq!(w.store.census().await.unwrap(), [(State::Queued, 2), (State::Delivered, 1)].into());
    assert!(w.store.cases(w.tenant, 10).await.unwrap().is_empty());
    for claim in w.claim(5).await {
        assert!(w.stopped(&claim).await.is_empty());
        w.goes_well(&claim).await;
    }
    assert_eq!(w.store.census().await.unwrap(), [(State::Delivered, 3)].into());
}

pub(crate) async fn who_was_refused_before_stays_refused_and_is_listed<B: Backend>(w: World<B>) {
    let (mut ids, mut refused) = (Vec::new(), Vec::new());
    for name in ["ada", "bela", "chi", "dan"] {
        let (id, claim) = w.take(name, "4001").await;
        w.says_no(&claim).await;
        ids.push(id);
        refused.push(claim.delivery);
    }
    let states = [State::Refused, State::Refused, State::Held, State::Held];
    for (id, state) in ids.iter().zip(states) {
        assert_eq!(w.state(*id).await, state);
    }
    assert_eq!(w.store.cases(w.tenant, 10).await.unwrap()[0].deliveries, 4);
    // Another job's questions are others: its applications go.
    let (_, other) = w.take("emil", "4002").await;
    assert!(w.stopped(&other).await.is_empty());
    w.goes_well(&other).await;
    let (_, same) = w.take("fay", "4001").await;
    w.stops(&same).await;
    w.pass(60);
    w.goes_well(&w.probe().await).await;
    for id in &ids[..2] {
        assert_eq!(w.state(*id).await, State::Refused, "a person may replay it");
    }
    for (left, delivery) in [(2, refused[0]), (1, refused[1])] {
        assert_eq!(w.store.cases(w.tenant, 10).await.unwrap()[0].deliveries, left, "they stay listed until then");
        w.store.replay(w.tenant, delivery, "test", w.now()).await.unwrap();
    }
    assert!(w.store.cases(w.tenant, 10).await.unwrap().is_empty());
}

/// Nobody could close it: a person, or their time, has taken the last one out of it.
pub(crate) async fn a_case_of_many_ends_with_the_last_who_is_erased_or_past_their_time<B: Backend>(w: World<B>) {
    for (erased, [first, second, held]) in [(true, ["ada", "bela", "chi"]), (false, ["dan", "emil", "fay"])] {
        for name in [first, second, held] {
            let (_, claim) = w.take(name, "4001").await;
            w.says_no(&claim).await;
        }
        w.pass(60);
        w.goes_well(&w.probe().await).await;
        assert_eq!(w.store.cases(w.tenant, 10).await.unwrap()[0].deliveries, 2);
        if erased {
            for name in [first, second] {
                let email = NormalEmail::parse(&format!("{name}@example.org")).unwrap();
                w.store.erase(w.tenant, &email, "test", w.now()).await.unwrap();
            }
        } else {
            w.pass(86_400);
            let retention = Retention { applications: Duration::from_secs(3_600), ..for_ages() };
            while w.store.retain(&retention, w.now(), 10).await.unwrap().total() > 0 {}
        }
        assert!(w.store.cases(w.tenant, 10).await.unwrap().is_empty(), "erased: {erased}");
    }
}

pub(crate) async fn refusals_at_different_jobs_have_nothing_in_common<B: Backend>(w: World<B>) {
    for job in ["4001", "4002", "4003"] {
        let (_, claim) = w.take(&format!("no-{job}"), job).await;
        assert_eq!(w.says_no(&claim).await, State::Refused);
        let (_, claim) = w.take(&format!("well-{job}"), "4009").await;
        w.goes_well(&claim).await;
    }
    assert!(w.store.cases(w.tenant, 10).await.unwrap().is_empty());
}

pub(crate) async fn what_is_refused_again_and_again_is_refused<B: Backend>(w: World<B>) {
    let mut last = None;
    for name in ["ada", "bela", "chi"] {
        let (id, claim) = w.take(name, "4001").await;
        w.says_no(&claim).await;
        last = Some(id);
    }
    for state in [State::Held, State::Held, State::Refused] {
        w.pass(300);
        let probe = w.probe().await;
        assert_eq!(w.says_no(&probe).await, state);
    }
    assert_eq!(w.state(last.unwrap()).await, State::Refused, "it is not what all have that is wrong with it");
}

pub(crate) async fn a_probe_whose_outcome_is_unknown_failed<B: Backend>(w: World<B>) {
    w.group().await;
    w.pass(60);
    let probe = w.probe().await;
    assert_eq!(w.fails(&probe, Class::Unavailable, w.unknown()).await, State::Verifying);
    let alike = w.store.cases(w.tenant, 10).await.unwrap()[0].alike.clone().unwrap();
    assert_eq!((alike.failed_probes, alike.next_probe_at), (1, Some(w.later(300))));
    w.pass(30);
    let claim = w.one_claim().await;
    assert_eq!(claim.delivery, probe.delivery);
    let hold = Next::Hold { cause: HeldCause::Operator, reason: Reason::OutcomeCannotBeKnown, fields: Vec::new() };
    assert_eq!(w.settle(w.untried(&claim, hold)).await, State::Held);
    assert_eq!(w.store.probe_alike(&policy(), w.now()).await.unwrap(), [], "nobody is sent sooner for it");
}

pub(crate) async fn a_probe_that_waits_for_hours_is_none<B: Backend>(w: World<B>) {
    w.group().await;
    w.pass(60);
    let first = w.probe().await;
    let busy = Next::Wait { until: w.later(6 * 3600), reason: Reason::VendorBusy, consumed: false };
    assert_eq!(w.go(&first, Class::NotNow, busy).await, State::Waiting);
    w.pass(3_600);
    let second = w.probe().await;
    assert_ne!(second.delivery, first.delivery);
    w.store.release(&second, w.later(3_600)).await.unwrap();
    w.pass(5 * 3_600);
    let again = w.claim(2).await.into_iter().find(|claim| claim.delivery == first.delivery).unwrap();
    assert_eq!(w.stops(&again).await, State::Held, "it is one of many again");
}

pub(crate) async fn a_record_of_before_says_nothing_of_the_outage<B: Backend>(w: World<B>) {
    let (_, before) = w.take("zoe", "4001").await;
    assert_eq!(w.go(&before, Class::Unknown, w.unknown()).await, State::Verifying);
    w.pass(1);
    w.group().await;
    w.pass(30);
    let claim = w.one_claim().await;
    assert_eq!(claim.delivery, before.delivery);
    let mut found = w.untried(
        &claim,
        Next::Adopt {
            vendor_id: "v1".into(),
            refs: std::collections::BTreeMap::new(),
            possible_duplicate: false,
            is_application: true,
        },
    );
    found.outcome = Some(Outcome::new(Class::AlreadyThere));
    assert_eq!(w.settle(found).await, State::InFlight);
    assert_eq!(w.store.census().await.unwrap()[&State::Held], 3, "they stay held");
}

pub(crate) async fn successes_between_say_that_it_lies_in_each<B: Backend>(w: World<B>) {
    for round in 0..4 {
        let (_, claim) = w.take(&format!("no{round}"), "4001").await;
        assert_eq!(w.says_no(&claim).await, State::Refused, "people make mistakes");
        let (_, claim) = w.take(&format!("down{round}"), "4001").await;
        assert_eq!(w.is_down(&claim).await, State::Waiting, "a vendor that stumbles is no outage");
        let (_, claim) = w.take(&format!("well{round}"), "4001").await;
        w.goes_well(&claim).await;
    }
    assert!(w.store.cases(w.tenant, 10).await.unwrap().is_empty());
    // What fails every time beside others that go well is held; what was not tried yet is not.
    for round in 0..2 {
        w.pass(5);
        for claim in w.claim(4).await {
            w.is_down(&claim).await;
            let (_, well) = w.take(&format!("well-{round}-{}", claim.delivery), "4001").await;
            w.goes_well(&well).await;
        }
    }
    assert_eq!(w.store.cases(w.tenant, 10).await.unwrap()[0].deliveries, 4);
    let (_, claim) = w.take("fresh", "4001").await;
    assert!(w.stopped(&claim).await.is_empty());
    w.goes_well(&claim).await;
    assert_eq!(w.store.census().await.unwrap()[&State::Held], 4, "somebody else's success is not theirs");
    w.pass(60);
    w.goes_well(&w.probe().await).await;
    assert_eq!(w.store.census().await.unwrap()[&State::Queued], 3);
}

pub(crate) async fn a_probe_that_ends_otherwise_makes_room<B: Backend>(w: World<B>) {
    w.group().await;
    w.pass(60);
    let probe = w.probe().await;
    let refused = Next::Refuse { reason: Reason::PostingClosed, fields: Vec::new() };
    assert_eq!(w.go(&probe, Class::Refused, refused).await, State::Refused);
    let cancelled = w.probe().await;
    w.store.release(&cancelled, w.now()).await.unwrap();
    w.store.cancel(w.tenant, cancelled.delivery, "test", w.now()).await.unwrap();
    let last = w.probe().await;
    let refused = Next::Refuse { reason: Reason::PostingClosed, fields: Vec::new() };
    assert_eq!(w.go(&last, Class::Refused, refused).await, State::Refused);
    assert_eq!(w.store.probe_alike(&policy(), w.now()).await.unwrap(), []);
    assert!(w.store.cases(w.tenant, 10).await.unwrap().is_empty(), "nobody is left to be let go");
    let (_, claim) = w.take("dan", "4001").await;
    assert!(w.stopped(&claim).await.is_empty());
}

pub(crate) async fn what_may_be_on_the_wire_is_found_out_first<B: Backend>(w: World<B>) {
    for name in ["ada", "bela", "chi", "dan"] {
        let (_, claim) = w.take(name, "4001").await;
        assert_eq!(w.fails(&claim, Class::Unknown, w.unknown()).await, State::Verifying);
    }
    for _ in 0..2 {
        w.pass(30);
        for claim in w.claim(4).await {
            w.settle(w.untried(&claim, Next::Resend { possible_duplicate: false })).await;
            assert_eq!(w.fails(&claim, Class::Unknown, w.unknown()).await, State::Verifying);
        }
    }
    assert_eq!(w.store.cases(w.tenant, 10).await.unwrap()[0].deliveries, 0, "and fresh ones are held from now on");
    w.pass(30);
    let claim = w.one_claim().await;
    w.settle(w.untried(&claim, Next::Resend { possible_duplicate: false })).await;
    let wait = Next::Wait { until: w.later(5), reason: Reason::VendorFailed, consumed: true };
    assert_eq!(w.settle(w.untried(&claim, wait)).await, State::Waiting);
    w.pass(5);
    let again = w.claim(4).await.into_iter().find(|again| again.delivery == claim.delivery).unwrap();
    assert_eq!(w.stops(&again).await, State::Held);
}

pub(crate) async fn a_replay_may_try_and_a_pause_outlasts_it<B: Backend>(w: World<B>) {
    let ids = w.group().await;
    for (_, delivery) in &ids[..2] {
        w.store.replay(w.tenant, *delivery, "test", w.now()).await.unwrap();
    }
    let claims = w.claim(3).await;
    assert_eq!(claims.len(), 2);
    for claim in &claims {
        assert!(w.stopped(claim).await.is_empty(), "each may try once");
    }
    assert_eq!(w.is_down(&claims[0]).await, State::Held);
    let claim = claims[1].clone();
    w.store.pause_account(w.ats, Reason::AccountPaused, "test", w.now()).await.unwrap();
    w.goes_well(&claim).await;
    for id in [ids[0].0, ids[2].0] {
        assert_eq!((w.state(id).await, w.reason(id).await), (State::Held, Some(Reason::AccountPaused)));
    }
    assert_eq!(w.store.resume_account(w.ats, "test", w.now()).await.unwrap(), 2);
}

pub(crate) async fn what_is_let_go_in_a_paused_account_is_held_with_it<B: Backend>(w: World<B>) {
    w.group().await;
    let (id, fresh) = w.take("dan", "4001").await;
    assert_eq!(w.stopped(&fresh).await, ["submit"]);
    w.pass(60);
    w.goes_well(&w.probe().await).await;
    w.store.pause_account(w.ats, Reason::AccountPaused, "test", w.now()).await.unwrap();
    // The group is over by the time it is to be held with it, and the account is paused.
    let (cause, reason) = (HeldCause::FailsAlike, Reason::FailsAlike);
    w.settle(w.untried(&fresh, Next::Hold { cause, reason, fields: Vec::new() })).await;
    assert_eq!((w.state(id).await, w.reason(id).await), (State::Held, Some(Reason::AccountPaused)));
}
