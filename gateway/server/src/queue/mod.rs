//! The queue: it rings, it never carries. What is due stands in the store.

pub mod embedded;

use causeway_core::ids::AccountId;

/// Wakes whoever works for an account. Ringing is cheap, may be coalesced, and losing a ring costs latency only.
pub trait Bell: Send + Sync {
    /// The account has due work.
    fn ring(&self, account: AccountId);
}
