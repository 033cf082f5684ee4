//! The connectors: what each vendor's API wants and what its answers mean, a folder each. `vendors.rs` lists them.
//!
//! A connector compiles against `causeway-core` only: no tokio, hyper or axum, no client, clock or environment.

use std::sync::Arc;

use causeway_core::connector::Connector;

/// What the list in `vendors.rs` becomes in this crate.
macro_rules! vendors {
    ($($folder:ident::$vendor:ident),* $(,)?) => {
        pub(super) fn all() -> Vec<std::sync::Arc<dyn causeway_core::connector::Connector>> {
            vec![$(std::sync::Arc::new($folder::$vendor)),*]
        }
    };
}

#[path = "vendors.rs"]
mod vendors;
// A folder's own files name it by its place in the tree.
use vendors::*;

#[cfg(test)]
mod fates;
#[cfg(test)]
mod scripted;

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;

/// Every connector, in the order people see them.
pub fn all() -> Vec<Arc<dyn Connector>> {
    vendors::all()
}

/// The connector of this name.
pub fn by_name(name: &str) -> Option<Arc<dyn Connector>> {
    all().into_iter().find(|connector| connector.describe().name == name)
}
