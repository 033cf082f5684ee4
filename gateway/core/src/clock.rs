//! Time and randomness as parameters.
//!
//! Nothing in the gateway reads the system clock or the system's random source except the two implementations the
//! composition root hands out; everything else takes these traits, so retry, lease and id logic are tested by value.

use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};

/// Where "now" comes from.
pub trait Clock: Send + Sync {
    /// The present moment, UTC, millisecond precision or better.
    fn now(&self) -> Timestamp;

    /// How far it is known to be ahead of the machine's own; behind it if negative.
    fn ahead(&self) -> SignedDuration {
        SignedDuration::ZERO
    }

    /// The furthest that it was from the machine's in the days that anything is waited for.
    fn apart(&self) -> Apart {
        Apart::default()
    }

    /// Is it certain enough to delete by? Not while it goes its own way by a day, nor soon after a gap that may be none.
    fn is_sure(&self) -> bool {
        true
    }

    /// What it has to know of itself in its next life; none for one that knows nothing.
    fn memory(&self) -> Option<Vec<u8>> {
        None
    }

    /// What it knew in its last life. What it cannot read it does not know.
    fn recall(&self, _memory: &[u8]) {}
}

/// How far a clock was from another to each side. Neither is negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Apart {
    /// Ahead of it.
    pub ahead: SignedDuration,
    /// Behind it.
    pub behind: SignedDuration,
}

/// Where randomness comes from. Implementations used in production are cryptographically secure.
pub trait Entropy: Send + Sync {
    /// Fills the whole buffer with random bytes.
    fn fill(&self, buffer: &mut [u8]);
}

/// A clock that moves only when told to; for tests and simulations.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock standing still at `start`.
    pub fn at(start: Timestamp) -> Self {
        Self(Mutex::new(start))
    }

    /// Moves the clock by `by`, backwards if negative.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now = now.saturating_add(by).unwrap_or(*now);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A reproducible source of bytes (splitmix64), for tests, seeded demos and simulations; never for keys that matter.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<u64>);

impl SeededEntropy {
    /// The sequence that `seed` stands for.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for chunk in buffer.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = *state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let bytes = (z ^ (z >> 31)).to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}
