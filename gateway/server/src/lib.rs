//! The gateway as a library, in the order an application travels.

pub mod schema;
pub mod store;
