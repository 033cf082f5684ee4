//! What every connector has to show: against its sandbox, which is the vendor's side of its API on a real socket, and
//! against recorded answers. The probes are one table, the same for all; a connector brings data (`conformance.json`).
//!
//! Where the claim is the gateway's, the real store, egress and dispatch deliver to the sandbox; where it is the
//! connector's alone, the connector is asked. Time is ours on both sides, so lags of minutes cost nothing. Kept out: how
//! fast anything is, and what one vendor's folder tests for itself.
//!
//! Invariant: no probe names a vendor.

mod data;
#[path = "../fates.rs"]
mod fates;
mod fields;
mod life;
mod parcel;
mod probes;
mod watch;
mod world;

pub use probes::kills::{KillReport, kills};
pub use probes::limits::{LimitReport, saturate};
pub use probes::{PROBES, Probe, Shown};

/// The connectors, by name.
pub fn connectors() -> Vec<std::sync::Arc<dyn causeway_core::connector::Connector>> {
    causeway_connectors::all()
}

#[cfg(test)]
mod liar;
#[cfg(test)]
mod tests;
