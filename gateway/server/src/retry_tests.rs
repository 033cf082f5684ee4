//! The retry policy as a table, and as properties.

use proptest::prelude::*;

use super::*;

fn at(consumed: u32, idempotency: Idempotency) -> Situation {
    Situation { idempotency, consumed, number: consumed + 1, now: Timestamp::UNIX_EPOCH, dice: 0.5 }
}

fn seconds(follow: Follow) -> Option<(i64, Reason, bool)> {
    match follow {
        Follow::Wait { until, reason, consumed } => Some((until.as_second(), reason, consumed)),
        Follow::Done
        | Follow::Refuse(_)
        | Follow::Verify
        | Follow::PauseAccount(_)
        | Follow::Hold(_)
        | Follow::Park(_) => None,
    }
}

#[test]
fn each_class_has_its_consequence() {
    use Idempotency::{Always, Never};
    let policy = RetryPolicy::default();
    let follow = |outcome: Outcome, consumed, idempotency| decide(&policy, &outcome, at(consumed, idempotency));
    let wait = |outcome: Outcome, consumed, idempotency| seconds(follow(outcome, consumed, idempotency));
    let new = Outcome::new;

    assert_eq!(follow(new(Class::Accepted), 0, Never), Follow::Done);
    assert_eq!(follow(new(Class::AlreadyThere), 0, Never), Follow::Done);
    assert_eq!(follow(new(Class::Refused), 0, Never), Follow::Refuse(Reason::VendorRefused));
    let closed = new(Class::Refused).because(Reason::PostingClosed);
    assert_eq!(follow(closed, 0, Never), Follow::Refuse(Reason::PostingClosed));
    assert_eq!(follow(new(Class::Unauthorised), 0, Never), Follow::PauseAccount(Reason::CredentialsRefused));
    let scope = new(Class::Unauthorised).because(Reason::PermissionMissing);
    assert_eq!(follow(scope, 0, Never), Follow::Hold(Reason::PermissionMissing));
    assert_eq!(wait(new(Class::NotNow), 0, Never), Some((65, Reason::VendorBusy, false)));
    assert_eq!(wait(new(Class::Unavailable), 0, Never), Some((5, Reason::VendorUnreachable, true)));
    assert_eq!(wait(new(Class::Unavailable), 11, Never), Some((86_400, Reason::VendorUnreachable, true)));
    assert_eq!(follow(new(Class::Unavailable), 12, Never), Follow::Park(Reason::RetriesExhausted));
    assert_eq!(follow(new(Class::Unknown), 0, Never), Follow::Verify);
    assert_eq!(wait(new(Class::Unknown), 0, Always), Some((5, Reason::VendorFailed, true)));
}

#[test]
fn what_only_adds_turns_a_refusal_into_a_hold_and_nothing_else() {
    let reason = Reason::ValueInvalid;
    assert_eq!(Follow::Refuse(reason).of_what_adds(), Follow::Hold(reason));
    let wait = Follow::Wait { until: Timestamp::UNIX_EPOCH, reason, consumed: true };
    for same in
        [Follow::Done, Follow::Verify, wait, Follow::PauseAccount(reason), Follow::Hold(reason), Follow::Park(reason)]
    {
        assert_eq!(same.of_what_adds(), same);
    }
}

#[test]
fn the_default_schedule_outlasts_a_weekend() {
    let total: Duration = RetryPolicy::default().schedule.iter().sum();
    assert!(total >= Duration::from_hours(82), "{total:?}");
}

#[test]
fn a_vendor_that_is_busy_is_not_hammered_and_not_given_up_sooner_than_one_that_fails() {
    let policy = RetryPolicy::default();
    let mut outcome = Outcome::new(Class::NotNow);
    outcome.retry_after = Some(Duration::ZERO);
    let (mut total, mut before) = (0, 0);
    for number in 1..policy.attempts_most {
        let situation = Situation { number, dice: 0.0, ..at(0, Idempotency::Never) };
        let (wait, _, _) = seconds(decide(&policy, &outcome, situation)).unwrap();
        assert!(wait >= 1 && wait >= before, "{number}: {wait} s after {before}");
        // An ordinary delivery meets a few of them, and is not slowed down.
        assert!(number > 20 || wait <= 2, "{number}: {wait} s");
        (total, before) = (total + wait, wait);
    }
    let schedule: Duration = policy.schedule.iter().sum();
    assert!(u64::try_from(total).unwrap() > schedule.as_secs(), "{total} s");
}

#[test]
fn an_account_may_have_a_schedule_of_its_own() {
    let settings = [("retry_schedule_ms".to_owned(), serde_json::json!([100, 200]))].into();
    let policy = RetryPolicy::default().of_account(&settings);
    assert_eq!(policy.schedule, [Duration::from_millis(100), Duration::from_millis(200)]);
    assert_eq!(RetryPolicy::default().of_account(&Default::default()), RetryPolicy::default());
}

proptest! {
    #[test]
    fn retry_after_is_honoured_in_full_up_to_the_cap(wish in 0u64..10_000_000, dice in 0.0..1.0f64, busy: bool) {
        let policy = RetryPolicy::default();
        let mut outcome = Outcome::new(if busy { Class::NotNow } else { Class::Unavailable });
        outcome.retry_after = Some(Duration::from_secs(wish));
        let situation = Situation { dice, ..at(0, Idempotency::Never) };
        let (until, _, consumed) = seconds(decide(&policy, &outcome, situation)).unwrap();
        let asked = i64::try_from(wish.min(86_400)).unwrap();
        prop_assert!(until >= asked);
        prop_assert!(until <= asked.max(6) + 5);
        prop_assert_eq!(consumed, !busy);
    }

    #[test]
    fn every_wait_stays_within_the_jitter(consumed in 0u32..12, dice in 0.0..1.0f64) {
        let policy = RetryPolicy::default();
        let situation = Situation { dice, ..at(consumed, Idempotency::Always) };
        let Follow::Wait { until, .. } = decide(&policy, &Outcome::new(Class::Unknown), situation) else {
            return Err(TestCaseError::fail("the schedule is not used up"));
        };
        let wait = until.as_millisecond() as f64 / 1_000.0;
        let base = policy.schedule[consumed as usize].as_secs_f64();
        prop_assert!((base * 0.799..=base * 1.201).contains(&wait), "{wait} of {base}");
    }

    #[test]
    fn nothing_goes_on_for_ever(class in prop::sample::select(Class::ALL.to_vec()), consumed in 0u32..500) {
        let policy = RetryPolicy::default();
        let situation = Situation { number: policy.attempts_most, ..at(consumed, Idempotency::Never) };
        let follow = decide(&policy, &Outcome::new(class), situation);
        let waits = matches!(follow, Follow::Wait { consumed: true, .. });
        let would_wait = matches!(class, Class::NotNow | Class::Unavailable);
        prop_assert_eq!(waits, would_wait && (consumed as usize) < policy.schedule.len());
        let waits_for_nothing = matches!(follow, Follow::Wait { consumed: false, .. });
        prop_assert!(!waits_for_nothing);
        // What may have been taken is never given up without asking; asking has a bound of its own.
        prop_assert_eq!(follow == Follow::Verify, class == Class::Unknown);
    }

    #[test]
    fn only_a_harmless_step_is_resent_without_asking(consumed in 0u32..12) {
        let follow = decide(&RetryPolicy::default(), &Outcome::new(Class::Unknown), at(consumed, Idempotency::Never));
        prop_assert_eq!(follow, Follow::Verify);
    }
}
