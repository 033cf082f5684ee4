//! What makes the broker safe to ring through, one method each. [`Safe`] is the only one in the program.
//!
//! It is a trait so that a broken gateway, which the checker has to catch, can be composed outside of this crate: one
//! that acknowledges too early, asks for no confirms, or believes an answer that means nothing. No setting reaches it.

use lapin::Confirmation;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions};

/// How to behave towards the broker. What is not overridden is safe.
pub trait Manners: Send + Sync {
    /// How a ring is published: a broker gives back what no queue takes only if it is told to.
    fn publish(&self) -> BasicPublishOptions {
        BasicPublishOptions { mandatory: true, immediate: false }
    }

    /// Whether the broker is asked to say when a ring is safe.
    fn confirms(&self) -> bool {
        true
    }

    /// Is the ring in a queue? An ack alone does not say so: what no queue takes is acked too, with the message given back.
    fn queued(&self, answer: &Confirmation) -> bool {
        matches!(answer, Confirmation::Ack(None))
    }

    /// How messages are taken: acknowledged by us, once the claim they caused is committed.
    fn consume(&self) -> BasicConsumeOptions {
        BasicConsumeOptions { no_ack: false, ..BasicConsumeOptions::default() }
    }
}

/// As the program behaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Safe;

impl Manners for Safe {}
