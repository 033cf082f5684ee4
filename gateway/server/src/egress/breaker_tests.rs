//! The breaker's policy as a list of events and expected states.

use super::*;

#[derive(Clone, Copy)]
enum Event {
    /// Ask for leave at this second; the answer goes into the slot of this number.
    Ask(u64, usize),
    /// Ask at this second, and be refused until that one.
    Refused(u64, u64),
    /// The call of this slot came to this at that second.
    Came(usize, Health, u64),
    /// It is closed, open or probing.
    Closed,
    Open(u64),
    Probing,
}

use Event::{Ask, Came, Closed, Open, Probing, Refused};
use Health::{Failure, Neutral, Success};

fn policy() -> BreakerPolicy {
    BreakerPolicy {
        consecutive: 3,
        share: 0.5,
        at_least: 6,
        window: Duration::from_secs(100),
        open_first: Duration::from_secs(10),
        open_most: Duration::from_secs(40),
        jitter: 0.0,
        probe_pause: Duration::from_secs(1),
    }
}

fn check(events: &[Event]) {
    let mut breaker = Breaker::new(policy());
    let mut leaves = [None; 16];
    for (step, event) in events.iter().enumerate() {
        match *event {
            Ask(at, slot) => leaves[slot] = Some(breaker.admit(Duration::from_secs(at)).expect("leave")),
            Refused(at, until) => {
                let refused = breaker.admit(Duration::from_secs(at)).unwrap_err();
                assert_eq!(refused, Duration::from_secs(until), "step {step}");
            }
            Came(slot, health, at) => breaker.record(leaves[slot].unwrap(), health, Duration::from_secs(at), 0.5),
            Closed => assert_eq!(breaker.state(), State::Closed, "step {step}"),
            Open(until) => {
                assert_eq!(breaker.state(), State::Open { until: Duration::from_secs(until) }, "step {step}");
            }
            Probing => assert_eq!(breaker.state(), State::Probing, "step {step}"),
        }
    }
}

fn fail_three(at: u64) -> Vec<Event> {
    (0..3).flat_map(|slot| [Ask(at, slot), Came(slot, Failure, at)]).collect()
}

#[test]
fn opens_after_failures_in_a_row_and_refuses_until_then() {
    check(&[fail_three(0), vec![Open(10), Refused(1, 10), Refused(9, 10)]].concat());
}

#[test]
fn a_success_between_starts_the_count_anew_and_neutral_does_not() {
    check(&[
        Ask(0, 0),
        Came(0, Failure, 0),
        Ask(0, 0),
        Came(0, Failure, 0),
        Ask(0, 0),
        Came(0, Success, 0),
        Ask(0, 0),
        Came(0, Failure, 0),
        Ask(0, 0),
        Came(0, Failure, 0),
        Closed,
        Ask(0, 0),
        Came(0, Neutral, 0),
        Closed,
        Ask(0, 0),
        Came(0, Failure, 0),
        Open(10),
    ]);
}

#[test]
fn opens_when_half_of_a_window_failed() {
    let mixed = (0..3).flat_map(|_| [Ask(0, 0), Came(0, Success, 0), Ask(0, 0), Came(0, Failure, 0)]);
    check(&mixed.chain([Open(10)]).collect::<Vec<_>>());
}

#[test]
fn failures_of_an_older_window_do_not_count() {
    let old = (0..2).flat_map(|_| [Ask(0, 0), Came(0, Success, 0), Ask(0, 0), Came(0, Failure, 0)]);
    let new = [Ask(200, 0), Came(0, Success, 200), Ask(200, 0), Came(0, Failure, 200), Closed];
    check(&old.chain(new).collect::<Vec<_>>());
}

#[test]
fn exactly_one_probe_and_its_success_closes() {
    check(
        &[fail_three(0), vec![Ask(10, 5), Probing, Refused(10, 11), Refused(12, 13), Came(5, Success, 12), Closed]]
            .concat(),
    );
}

#[test]
fn each_failed_probe_doubles_the_open_time_up_to_the_most() {
    check(
        &[
            fail_three(0),
            vec![Ask(10, 0), Came(0, Failure, 10), Open(30), Ask(30, 0), Came(0, Failure, 30), Open(70)],
            vec![Ask(70, 0), Came(0, Failure, 70), Open(110)],
        ]
        .concat(),
    );
}

#[test]
fn a_late_success_closes_nothing() {
    check(&[vec![Ask(0, 9)], fail_three(0), vec![Came(9, Success, 1), Open(10)]].concat());
    check(&[vec![Ask(0, 9)], fail_three(0), vec![Ask(10, 0), Came(9, Success, 10), Probing]].concat());
}

#[test]
fn a_probe_that_says_nothing_leaves_the_next_caller_to_probe() {
    check(&[fail_three(0), vec![Ask(10, 0), Came(0, Neutral, 11), Open(11), Ask(11, 1), Probing]].concat());
}
