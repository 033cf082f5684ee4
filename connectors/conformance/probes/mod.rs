//! The table of probes. Each takes a connector and says how much it showed; an error is what the connector does not keep.

mod checks;
mod claims;
mod fates;
pub(crate) mod kills;
mod lag;
pub(crate) mod limits;
mod lost;
mod outcomes;
mod recorded;

use std::pin::Pin;
use std::sync::Arc;

use anyhow::Result;
use causeway_core::connector::Connector;

/// How many things a probe showed of a connector.
pub type Shown = usize;

type Probed = Pin<Box<dyn Future<Output = Result<Shown>> + Send>>;

/// A probe.
#[derive(Clone, Copy)]
pub struct Probe {
    /// What it is called.
    pub name: &'static str,
    /// What it shows.
    pub shows: &'static str,
    /// Asks a connector.
    pub ask: fn(Arc<dyn Connector>) -> Probed,
}

macro_rules! probes {
    ($($name:literal, $shows:literal, $ask:path;)*) => {
        /// Every probe.
        pub const PROBES: &[Probe] = &[$(Probe { name: $name, shows: $shows, ask: |connector| Box::pin($ask(connector)) }),*];
    };
}

probes! {
    "recorded", "every recorded answer gets its class", recorded::probe;
    "outcomes", "every class of outcome comes about at the vendor and ends where it should", outcomes::probe;
    "claims", "every claim of the Descriptor is carried out", claims::probe;
    "checks", "`accounts check` sees a credential and each permission that is taken away", checks::probe;
    "fates", "every canonical field's fate, in what the vendor holds", fates::probe;
    "kills", "a delivery cut at every boundary goes on, and no step is taken twice", kills::probe;
    "lost answers", "an answer lost after each of the vendor's commits doubles nothing", lost::probe;
    "lag", "a lost answer is found however late the vendor shows the record, 0 to 10 minutes", lag::probe;
    "limits", "no window at the vendor holds more calls than it allows, none more at once", limits::probe;
}
