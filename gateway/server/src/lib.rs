//! The gateway as a library, in the order an application travels.

pub mod store;

pub mod queue;

pub mod dispatch;

pub mod egress;

pub mod retry;

pub mod feeds;

pub mod schedule;
