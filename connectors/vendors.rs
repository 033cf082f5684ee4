//! The one list of vendors, and nowhere else a vendor's name: two lines and a word each, compiled by two crates.
//!
//! The connectors' crate takes a folder's `mod.rs`, the sandboxes' crate the folder's `sandbox/mod.rs`; neither sees the other's
//! half. What the list becomes is the `vendors!` of each crate. The last line is the order people see them in.

#[cfg_attr(sandbox, path = "ashby/sandbox/mod.rs")]
pub(crate) mod ashby;
#[cfg_attr(sandbox, path = "greenhouse/sandbox/mod.rs")]
pub(crate) mod greenhouse;
#[cfg_attr(sandbox, path = "hubspot/sandbox/mod.rs")]
pub(crate) mod hubspot;

vendors![greenhouse::Greenhouse, hubspot::HubSpot, ashby::Ashby];
