//! The queue: it rings, it never carries. What is due stands in the store (decision 1).
//!
//! Whoever has made work due rings a [`Bell`]; dispatch hears it through a [`Listener`], claims from the store, and says
//! so with the ring's [`Receipt`]. Two implementations meet this contract, and `suite` holds both to it: `embedded`
//! within one process, `rabbitmq` between several (decision 20). It knows no delivery, no vendor and no person.

pub mod embedded;
pub mod figures;
pub mod rabbitmq;
pub mod ring;
#[cfg(test)]
mod suite;

use async_trait::async_trait;
use causeway_core::ids::AccountId;

pub use ring::{Receipt, Ring, Rung, Traceparent};

/// Wakes whoever works for an account. Ringing is cheap, never waits, may be coalesced, and losing a ring costs latency
/// only: dispatch looks at the store by itself, and the schedule rings again for what is due.
pub trait Bell: Send + Sync {
    /// The account has due work.
    fn ring(&self, account: AccountId) {
        self.ring_within(account, None);
    }

    /// The account has due work, made within this trace. Of rings that coalesce the first one's trace is kept.
    fn ring_within(&self, account: AccountId, trace: Option<Traceparent>);
}

/// Hears the rings. One caller at a time.
#[async_trait]
pub trait Listener: Send + Sync {
    /// What rang since the last call; waits until something does. Cancelling the wait loses no ring.
    async fn rung(&self) -> Rung;
}

/// Whose vendor an account is at: asked by a queue that has one channel per connector, answered by the composition.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// The account's connector; none when there is no such account.
    ///
    /// # Errors
    /// When it cannot be found out now.
    async fn connector(&self, account: AccountId) -> Result<Option<String>, Unavailable>;
}

/// Who was asked cannot answer now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be found out now")]
pub struct Unavailable;
