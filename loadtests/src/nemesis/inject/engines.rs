//! Faults of the engines behind a scaled-out gateway: there are none in an embedded run.

use anyhow::{Result, bail};

use super::Done;
use crate::nemesis::schedule::Fault;
use crate::nemesis::world::World;

pub(super) async fn inject(_world: &World, fault: &Fault) -> Result<Done> {
    bail!("{} concerns an engine that this run does not have", fault.kind.name())
}
