//! What follows from an attempt, and when: pure, over values. Reading path: `core/outcome` before this file, `support`
//! after it.
//!
//! Dispatch asks, the store remembers, nothing here waits. `Retry-After` is honoured in full up to a cap; a permanent
//! refusal is never retried; a schedule that is used up parks the delivery; an unknown outcome is resent only where the
//! vendor says that repeating is harmless. A vendor that is busy is asked ever less often, and given up no sooner than one
//! that fails.

use std::time::Duration;

use causeway_core::clock::Entropy;
use causeway_core::delivery::Idempotency;
use causeway_core::outcome::{Class, Outcome};
use causeway_core::reason::Reason;
use jiff::Timestamp;

use crate::clock::later;

/// The figures.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// How long to wait after each failed attempt; when it is used up, the delivery is parked.
    pub schedule: Vec<Duration>,
    /// A wait is up to this share longer or shorter by chance; a vendor's own time only longer.
    pub jitter: f64,
    /// The longest `Retry-After` that is honoured.
    pub retry_after_cap: Duration,
    /// How long to wait when a vendor is busy and names no time.
    pub busy: Duration,
    /// The time between two lookups of an unknown outcome.
    pub verify_gap: Duration,
    /// Lookups that came to nothing before a person is asked.
    pub verify_most: u32,
    /// Attempts of one delivery, whatever they came to, from which on even a busy vendor uses the schedule up: nothing goes on
    /// for ever.
    pub attempts_most: u32,
    /// A delivery that broke its worker so often is parked.
    pub poison_after: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(count * 60);
        Self {
            schedule: vec![
                Duration::from_secs(5),
                Duration::from_secs(30),
                minutes(2),
                minutes(10),
                minutes(30),
                minutes(60),
                minutes(3 * 60),
                minutes(6 * 60),
                minutes(12 * 60),
                minutes(12 * 60),
                minutes(24 * 60),
                minutes(24 * 60),
            ],
            jitter: 0.2,
            retry_after_cap: Duration::from_hours(24),
            busy: Duration::from_secs(60),
            verify_gap: Duration::from_secs(10),
            verify_most: 20,
            attempts_most: 200,
            poison_after: 3,
        }
    }
}

impl RetryPolicy {
    /// The policy with an account's own schedule (`retry_schedule_ms`, a list of milliseconds), if it has one.
    #[must_use]
    pub fn of_account(&self, settings: &std::collections::BTreeMap<String, serde_json::Value>) -> Self {
        let own = settings.get("retry_schedule_ms").and_then(serde_json::Value::as_array);
        let own =
            own.map(|list| list.iter().filter_map(serde_json::Value::as_u64).map(Duration::from_millis).collect());
        match own {
            Some(schedule) => Self { schedule, ..self.clone() },
            None => self.clone(),
        }
    }

    /// The wait after the attempt that was preceded by `consumed` others; `None` when the schedule is used up.
    fn step(&self, consumed: u32, dice: f64) -> Option<Duration> {
        let wait = *self.schedule.get(consumed as usize)?;
        Some(wait.mul_f64(1.0 + self.jitter * (2.0 * dice - 1.0)))
    }

    /// The least wait of a delivery that a vendor was too busy for: a second in the beginning, hours in the end, so that
    /// all of them together are longer than the schedule and a vendor that names no time worth speaking of is not hammered.
    fn busy_least(&self, number: u32, dice: f64) -> Duration {
        let share = f64::from(number.min(self.attempts_most)) / f64::from(self.attempts_most.max(1));
        let least = Duration::from_secs(1).max(Duration::from_hours(3).mul_f64(share.powi(4)));
        least.mul_f64(1.0 + self.jitter * dice)
    }

    /// A vendor's own time: in full up to the cap, and a little longer by chance so that not everybody comes back at once.
    fn asked(&self, wish: Duration, dice: f64) -> Duration {
        if wish > self.retry_after_cap {
            let (asked_s, cap_s) = (wish.as_secs(), self.retry_after_cap.as_secs());
            tracing::warn!(asked_s, cap_s, "Retry-After is capped");
        }
        let wish = wish.min(self.retry_after_cap);
        wish + wish.mul_f64(self.jitter * dice).min(Duration::from_secs(5))
    }

    /// The time to the next lookup, longer the more often the vendor was asked.
    pub fn verify_wait(&self, asked: u32) -> Duration {
        self.verify_gap.saturating_mul(1 << asked.min(10))
    }
}

/// What is known about the attempt besides its outcome.
#[derive(Debug, Clone, Copy)]
pub struct Situation {
    /// What repeating the step does.
    pub idempotency: Idempotency,
    /// Attempts consumed from the schedule before this one.
    pub consumed: u32,
    /// This attempt's number, waits that consumed nothing included.
    pub number: u32,
    /// Now.
    pub now: Timestamp,
    /// In 0..1.
    pub dice: f64,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// The step is done.
    Done,
    /// No, for good.
    Refuse(Reason),
    /// Try again then.
    Wait {
        /// When.
        until: Timestamp,
        /// Why.
        reason: Reason,
        /// Does it count against the schedule?
        consumed: bool,
    },
    /// Ask the vendor whether it took it.
    Verify,
    /// The account's credentials or settings cannot work.
    PauseAccount(Reason),
    /// The credentials lack what this operation needs; others may work.
    Hold(Reason),
    /// Give up.
    Park(Reason),
}

impl Follow {
    /// The same where the step only adds to what the vendor has: a "no" to it refuses no application.
    #[must_use]
    pub fn of_what_adds(self) -> Self {
        match self {
            Self::Refuse(reason) => Self::Hold(reason),
            Self::Done | Self::Wait { .. } | Self::Verify | Self::PauseAccount(_) | Self::Hold(_) | Self::Park(_) => {
                self
            }
        }
    }
}

/// What follows from this outcome.
pub fn decide(policy: &RetryPolicy, outcome: &Outcome, at: Situation) -> Follow {
    match outcome.class {
        Class::Accepted | Class::AlreadyThere => Follow::Done,
        Class::Refused => Follow::Refuse(outcome.reason.unwrap_or(Reason::VendorRefused)),
        Class::Unauthorised => match outcome.reason.unwrap_or(Reason::CredentialsRefused) {
            Reason::PermissionMissing => Follow::Hold(Reason::PermissionMissing),
            reason => Follow::PauseAccount(reason),
        },
        // So often was it too busy that from now on this counts, too.
        Class::NotNow if at.number >= policy.attempts_most => again(policy, outcome, at, Reason::VendorBusy),
        Class::NotNow => {
            // What is ours is no wish of the vendor's: its cap does not shorten it.
            let wait = policy.asked(outcome.retry_after.unwrap_or(policy.busy), at.dice);
            let wait = wait.max(policy.busy_least(at.number, at.dice));
            let reason = outcome.reason.unwrap_or(Reason::VendorBusy);
            Follow::Wait { until: later(at.now, wait), reason, consumed: false }
        }
        Class::Unavailable => again(policy, outcome, at, Reason::VendorUnreachable),
        Class::Unknown => match at.idempotency {
            Idempotency::Always => again(policy, outcome, at, Reason::VendorFailed),
            Idempotency::Never => Follow::Verify,
        },
    }
}

/// The next try by the schedule, or later if the vendor asked for it.
fn again(policy: &RetryPolicy, outcome: &Outcome, at: Situation, reason: Reason) -> Follow {
    let Some(wait) = policy.step(at.consumed, at.dice) else {
        return Follow::Park(Reason::RetriesExhausted);
    };
    let wait = wait.max(outcome.retry_after.map_or(Duration::ZERO, |wish| policy.asked(wish, at.dice)));
    Follow::Wait { until: later(at.now, wait), reason: outcome.reason.unwrap_or(reason), consumed: true }
}

/// When a step that the vendor does not have, or may have, is sent again: by the schedule, counted from the failed attempt.
/// `None` when the schedule is used up.
pub fn resend(policy: &RetryPolicy, since: Timestamp, consumed: u32, now: Timestamp, dice: f64) -> Option<Timestamp> {
    policy.step(consumed, dice).map(|wait| later(since, wait).max(now))
}

/// A number in 0..1.
pub fn dice(entropy: &dyn Entropy) -> f64 {
    let mut bytes = [0u8; 4];
    entropy.fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;
