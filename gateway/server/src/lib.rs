//! The gateway as a library, in the order an application travels.

pub mod ingress;
pub mod intake;
pub mod schema;
pub mod store;

pub mod queue;

pub mod quota;
pub mod units;
