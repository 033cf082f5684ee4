//! The gateway as a library, in the order an application travels.

pub mod ingress;
pub mod openapi;
pub mod quota;

pub mod bucket;
pub mod intake;
pub mod overlay;
pub mod schema;
pub mod store;

pub mod alike;
pub mod dispatch;
pub mod queue;

pub mod egress;
pub mod retry;
pub mod shared;

pub mod feeds;
pub mod read_back;
pub mod schedule;

pub mod admin;
pub mod setup;
pub mod support;
pub mod webhooks;

pub mod cli;
pub mod demo;
pub mod gateway;
pub mod health;

pub mod clock;
pub mod config;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod hash;
pub mod telemetry;
pub mod trust;
pub mod units;
