//! Carrying out a schedule: each fault comes at its time, lasts as long as it should, is taken back, and is written down.
//!
//! A fault that could not be shown to have had an effect does not count. Recovery is waited for here and measured by the
//! checker, from the outside.

mod engines;
mod files;
mod gateways;
mod network;
mod vendors;

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::load::Load;
use super::schedule::{Fault, Kind, Slot};
use super::world::World;
use crate::accept::futures_join;

/// What was done, in words, and whether it took effect.
pub(crate) struct Done {
    pub(crate) what: String,
    pub(crate) took_effect: bool,
}

impl Done {
    fn shown(what: impl Into<String>) -> Self {
        Self { what: what.into(), took_effect: true }
    }

    fn if_it(took_effect: bool, what: impl Into<String>) -> Self {
        Self { what: what.into(), took_effect }
    }
}

/// A line of the fault log.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) code: &'static str,
    pub(crate) what: String,
    pub(crate) began: Duration,
    /// The cause was gone, and what was ended was there again.
    pub(crate) over: Duration,
    /// No other fault was at work between.
    pub(crate) alone: bool,
    pub(crate) took_effect: bool,
}

/// All of it, in order. Slots wait for each other; the longest faults go on beside the next ones.
pub(crate) async fn carry_out(world: &World, slots: &[Slot], load: &Load) -> Result<Vec<Entry>> {
    let began = world.clock.now();
    let mut log = Vec::new();
    for slot in slots {
        world.clock.until(began + slot.at).await;
        let combined = slot.faults.len() > 1;
        let entries = futures_join(slot.faults.iter().map(|fault| one(world, fault, combined, load))).await?;
        for entry in &entries {
            eprintln!(
                "{:>6.1} s  {} {}: {}{}",
                entry.began.as_secs_f64(),
                entry.code,
                entry.kind.name(),
                entry.what,
                if entry.took_effect { "" } else { " (no effect)" }
            );
        }
        log.extend(entries);
    }
    Ok(log)
}

async fn one(world: &World, fault: &Fault, combined: bool, load: &Load) -> Result<Entry> {
    let began = world.clock.now();
    let done =
        inject(world, fault, load).await.with_context(|| format!("{} {}", fault.kind.code(), fault.kind.name()))?;
    Ok(Entry {
        kind: fault.kind,
        code: fault.kind.code(),
        what: done.what,
        began,
        over: world.clock.now(),
        alone: !combined,
        took_effect: done.took_effect,
    })
}

async fn inject(world: &World, fault: &Fault, load: &Load) -> Result<Done> {
    match fault.kind {
        Kind::Kill => gateways::kill(world, fault.draw, load).await,
        Kind::Term => gateways::term(world, fault.draw).await,
        Kind::Freeze | Kind::PauseBeyondLease => gateways::freeze(world, fault).await,
        Kind::Descriptors => gateways::descriptors(world, fault).await,
        Kind::Locked => files::locked(world, fault.hold).await,
        Kind::LongReader => files::long_reader(world, fault.hold).await,
        Kind::DiskFull => files::disk_full(world, fault).await,
        Kind::Loss => network::loss(world, fault).await,
        Kind::Partition => network::partition(world, fault).await,
        Kind::Swizzle => network::swizzle(world, fault).await,
        Kind::Network => network::network(world, fault).await,
        Kind::VendorSlow => vendors::slow(world, fault).await,
        Kind::VendorStatus => vendors::status(world, fault).await,
        Kind::VendorGarbage => vendors::garbage(world, fault).await,
        Kind::LostAnswers => vendors::lost_answers(world, fault).await,
        Kind::BrokerKill
        | Kind::BrokerRestart
        | Kind::BrokerWipe
        | Kind::BrokerFreeze
        | Kind::BrokerAlarm
        | Kind::Unroutable
        | Kind::QueueFull
        | Kind::QueueGone
        | Kind::AckTimeout
        | Kind::DatabaseKill
        | Kind::BackendKill
        | Kind::DatabaseStop
        | Kind::FailOver
        | Kind::Contention
        | Kind::Redis => engines::inject(world, fault).await,
    }
}
