//! Carrying out a schedule: each fault comes at its time, lasts as long as it should, is taken back, and is written down.
//!
//! A fault that could not be shown to have had an effect does not count. Recovery is waited for here and measured by the
//! checker, from the outside.

mod broker;
mod database;
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
use super::schedule::{Fault, Kind, Part, Slot};
use super::world::World;
use crate::accept::futures_join;

/// After a fault is over, what it left behind may last so long.
pub(crate) const AFTERMATH: Duration = Duration::from_secs(2);

/// What was done, in words, whether it took effect, and on what.
pub(crate) struct Done {
    pub(crate) what: String,
    pub(crate) took_effect: bool,
    /// The moment of the cause, where it is not the fault's beginning.
    struck: Option<Duration>,
    /// The only gateway that it was done to, from 0.
    gateway: Option<usize>,
    /// The links that it was done to.
    links: Vec<String>,
    consumers_back: Option<Duration>,
}

impl Done {
    /// What is its own effect: whoever did it saw it.
    fn shown(what: impl Into<String>) -> Self {
        Self::if_it(true, what)
    }

    fn if_it(took_effect: bool, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { what, took_effect, struck: None, gateway: None, links: Vec::new(), consumers_back: None }
    }

    fn at(self, struck: Duration) -> Self {
        Self { struck: Some(struck), ..self }
    }

    fn gateway(self, gateway: usize) -> Self {
        Self { gateway: Some(gateway), ..self }
    }

    fn links(self, links: impl IntoIterator<Item = String>) -> Self {
        Self { links: links.into_iter().collect(), ..self }
    }

    fn consumers_back(self, after: Duration) -> Self {
        Self { consumers_back: Some(after), ..self }
    }
}

/// A line of the fault log.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) code: &'static str,
    pub(crate) what: String,
    pub(crate) began: Duration,
    /// From here on it could be felt.
    pub(crate) struck: Duration,
    /// The cause was gone, and what was ended was there again.
    pub(crate) over: Duration,
    /// The only gateway that it was done to, from 0.
    pub(crate) gateway: Option<usize>,
    /// The links that it was done to.
    pub(crate) links: Vec<String>,
    /// When the broker was back: how long until every queue was listened to.
    pub(crate) consumers_back: Option<Duration>,
    pub(crate) took_effect: bool,
}

impl Entry {
    /// One that took effect on everything of its kind.
    #[cfg(test)]
    pub(crate) fn of(kind: Kind, began: Duration, over: Duration) -> Self {
        Self {
            kind,
            code: kind.code(),
            what: String::new(),
            began,
            struck: began,
            over,
            gateway: None,
            links: Vec::new(),
            consumers_back: None,
            took_effect: true,
        }
    }

    /// Whether an accept at that gateway may fail or wait meanwhile: it needs the gateway, its store and the way to both.
    pub(crate) fn holds_up(&self, gateway: usize) -> bool {
        match self.kind.part() {
            Part::Gateways => self.gateway.is_none_or(|only| only == gateway),
            Part::Links => self.links.iter().any(|link| World::gateway_of(link) == Some(gateway)),
            Part::Database | Part::File | Part::Disk => true,
            Part::Broker | Part::Redis | Part::Vendors => false,
        }
    }

    /// Whether listening to the broker may take longer meanwhile.
    pub(crate) fn holds_up_consumers(&self) -> bool {
        match self.kind.part() {
            Part::Gateways | Part::Broker => true,
            Part::Links => self.links.iter().any(|link| link.starts_with("broker")),
            Part::Database | Part::File | Part::Disk | Part::Redis | Part::Vendors => false,
        }
    }

    pub(crate) fn overlaps(&self, from: Duration, until: Duration) -> bool {
        self.began <= until && self.over + AFTERMATH >= from
    }
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
    // Waiting for consumers is no part of the fault.
    let over = world.clock.now().saturating_sub(done.consumers_back.unwrap_or_default());
    Ok(Entry {
        kind: fault.kind,
        code: fault.kind.code(),
        what: done.what,
        began,
        struck: done.struck.unwrap_or(began),
        over,
        gateway: done.gateway,
        links: done.links,
        consumers_back: done.consumers_back,
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
