//! The vendors: a folder each, two plain lines each in this file, and nowhere else a vendor's name.
//!
//! A connector compiles against `causeway-core` only: no tokio, hyper or axum, no client, clock or environment.

use std::sync::Arc;

use causeway_core::connector::Connector;

mod ashby;
mod greenhouse;
mod hubspot;

#[cfg(test)]
mod fates;

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;

/// Every connector, in the order people see them.
pub fn all() -> Vec<Arc<dyn Connector>> {
    vec![
        Arc::new(greenhouse::Greenhouse),
        // One line each.
        Arc::new(hubspot::HubSpot),
        Arc::new(ashby::Ashby),
    ]
}

/// The connector of this name.
pub fn by_name(name: &str) -> Option<Arc<dyn Connector>> {
    all().into_iter().find(|connector| connector.describe().name == name)
}
