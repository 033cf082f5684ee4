//! The system's clock and random source: the only two places in the gateway that read them.
//!
//! The composition root makes one of each and hands them out; everything else takes the traits. Over a store of its own
//! a gateway reckons by [`steady`], which the machine's clock does not make jump.

pub mod steady;

use causeway_core::clock::{Clock, Entropy};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// The system's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the system's clock is read")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The system's cryptographic random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    /// # Panics
    /// When the system has no randomness: ids and keys made without it would be worse than no gateway.
    fn fill(&self, buffer: &mut [u8]) {
        aws_lc_rs::rand::fill(buffer).expect("the system's random source answers");
    }
}

/// `by` after `now`, or the end of time.
pub(crate) fn later(now: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    now.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// The machine's own time: what others hold against their clocks, and what they tell by them.
pub(crate) fn machines(clock: &dyn Clock) -> Timestamp {
    let now = clock.now();
    now.saturating_sub(clock.ahead()).unwrap_or(now)
}

/// That moment by a vendor's clock, at the earliest: its own may be behind ours by as much as ours is known to have been ahead.
pub(crate) fn earliest_there(clock: &dyn Clock, at: Timestamp) -> Timestamp {
    at.saturating_sub(clock.apart().ahead).unwrap_or(Timestamp::MIN)
}

/// That moment by a vendor's clock, at the latest.
pub(crate) fn latest_there(clock: &dyn Clock, at: Timestamp) -> Timestamp {
    at.saturating_add(clock.apart().behind).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let (mut first, mut second) = ([0u8; 32], [0u8; 32]);
        OsEntropy.fill(&mut first);
        OsEntropy.fill(&mut second);
        assert_ne!(first, second);
    }
}
