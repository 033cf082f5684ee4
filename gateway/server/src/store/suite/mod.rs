//! The contract: cases that every store has to pass, written against the trait alone.

pub(crate) mod trace;
pub(crate) mod world;
