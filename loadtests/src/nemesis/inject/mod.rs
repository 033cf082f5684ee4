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
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::load::Load;
use super::schedule::{Fault, Kind, Slot};
use super::world::World;
use crate::accept::futures_join;

/// After a fault is over, what it left behind may last so long.
pub(crate) const AFTERMATH: Duration = Duration::from_secs(2);

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
    /// No other fault that an accept may fail by was at work meanwhile.
    pub(crate) alone: bool,
    pub(crate) took_effect: bool,
}

/// All of it, each slot at its time. What lasts longer than its slot goes on beside the next ones; two faults of one part
/// never do.
pub(crate) async fn carry_out(world: &World, slots: &[Slot], load: &Load) -> Result<Vec<Entry>> {
    let began = world.clock.now();
    let (mut log, mut running) = (Vec::new(), FuturesUnordered::new());
    for slot in slots {
        let at = world.clock.until(began + slot.at);
        tokio::pin!(at);
        loop {
            tokio::select! {
                () = &mut at => break,
                Some(entries) = running.next() => log.extend(told(entries)?),
            }
        }
        running.push(futures_join(slot.faults.iter().map(|fault| one(world, fault, load))));
    }
    while let Some(entries) = running.next().await {
        log.extend(told(entries)?);
    }
    log.sort_by_key(|entry| entry.began);
    for at in 0..log.len() {
        let one = &log[at];
        let beside = log.iter().enumerate().any(|(other, entry)| {
            other != at
                && entry.kind.touches_accepts()
                && entry.began <= one.over + AFTERMATH
                && entry.over >= one.began
        });
        log[at].alone = !beside;
    }
    Ok(log)
}

fn told(entries: Result<Vec<Entry>>) -> Result<Vec<Entry>> {
    let entries = entries?;
    for entry in &entries {
        eprintln!(
            "{:>6.1} to {:>6.1} s  {} {}: {}{}",
            entry.began.as_secs_f64(),
            entry.over.as_secs_f64(),
            entry.code,
            entry.kind.name(),
            entry.what,
            if entry.took_effect { "" } else { " (no effect)" }
        );
    }
    Ok(entries)
}

async fn one(world: &World, fault: &Fault, load: &Load) -> Result<Entry> {
    let _part = world.part(fault.kind.part()).await;
    let began = world.clock.now();
    let done =
        inject(world, fault, load).await.with_context(|| format!("{} {}", fault.kind.code(), fault.kind.name()))?;
    Ok(Entry {
        kind: fault.kind,
        code: fault.kind.code(),
        what: done.what,
        began,
        over: world.clock.now(),
        alone: false,
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
