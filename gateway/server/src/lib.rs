//! The gateway as a library, in the order an application travels.

pub mod store;

pub mod support;

pub mod clock;
pub mod config;
pub mod telemetry;
