//! What runs in the background, and which of it this process's roles ask for.
//!
//! Everything is made, and only what the roles say is begun: a process that does not deliver has a dispatch that stands
//! still. Whatever happens here is leased in the store, so any number of processes share it out.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::core::Core;
use super::queue::Queue;
use super::wires;
use crate::config::{Config, ProcessRole};
use crate::dispatch::{Dispatch, DispatchParts};
use crate::health::Health;
use crate::health::ledger::{LedgerWatch, seconds};
use crate::health::probe::{IsThere, Probe, ProbeParts};
use crate::ingress::Exposition;
use crate::intake::Intake;
use crate::schedule::{Schedule, ScheduleParts, SyncBell};
use crate::setup::SecretsWatch;
use crate::telemetry::metrics::{self, Page};
use crate::webhooks::Sender;

/// See the module's documentation.
pub(super) struct Work {
    roles: Vec<ProcessRole>,
    /// Does anything leave this process at all?
    delivers: bool,
    dispatch: Arc<Dispatch>,
    schedule: Arc<Schedule>,
    sender: Arc<Sender>,
    probe: Arc<Probe>,
    queue: Queue,
}

/// What wakes the work.
pub(super) struct Bells {
    pub(super) queue: Queue,
    pub(super) sync: Arc<SyncBell>,
}

/// What is told of the work, besides the work itself.
struct Watches {
    secrets: Arc<SecretsWatch>,
    ledger: Arc<LedgerWatch>,
}

impl Work {
    /// Nothing has begun; with it, what `/metrics` shows of it.
    pub(super) fn new(
        core: &Core,
        config: &Config,
        intake: &Arc<Intake>,
        bells: Bells,
        health: Arc<Health>,
        stop_grace: Duration,
    ) -> anyhow::Result<(Self, Vec<Exposition>)> {
        let roles = config.fixed.run.roles.clone();
        let (delivers, dispatches) = (config.fixed.dispatch.enabled, roles.contains(&ProcessRole::Dispatch));
        let dispatch = Dispatch::new(DispatchParts {
            store: Arc::clone(&core.store),
            egress: Arc::clone(&core.egress),
            connectors: Arc::clone(&core.connectors),
            clock: Arc::clone(&core.clock),
            entropy: Arc::clone(&core.entropy),
            retry: core.lives.retry.clone(),
            alike: core.lives.alike.clone(),
            policy: wires::dispatch(config, stop_grace, &core.owner),
        })?;
        let watches = Watches { secrets: Arc::default(), ledger: Arc::default() };
        let schedule = Schedule::new(ScheduleParts {
            store: Arc::clone(&core.store),
            feeds: Arc::clone(&core.feeds),
            judge: Arc::new(wires::JudgesAsIntake(Arc::clone(intake))),
            periodic: roles.contains(&ProcessRole::Schedule),
            read_back: (delivers && dispatches).then(|| core.read_back(config)),
            bell: Arc::clone(&bells.queue.bell),
            sync_bell: bells.sync,
            secrets: Arc::clone(&watches.secrets),
            ledger: Arc::clone(&watches.ledger),
            clock: Arc::clone(&core.clock),
            policy: wires::schedule(&core.lives, &core.owner),
        });
        let probe = Probe::new(ProbeParts {
            health: Arc::clone(&health),
            store: Arc::clone(&core.store),
            queue: bells.queue.figures().map(|figures| Arc::new(move || figures.snapshot().queue_connected) as IsThere),
            limits: core.link.clone().map(|link| Arc::new(move || link.figures().up) as IsThere),
            clock: Arc::clone(&core.clock),
            owner: core.owner.clone(),
        });
        let sender = Arc::clone(&core.sites.sender);
        let work = Self { roles, delivers, dispatch, schedule, sender, probe, queue: bells.queue };
        let metrics = work.metrics(core, intake, health, watches);
        Ok((work, metrics))
    }

    fn has(&self, role: ProcessRole) -> bool {
        self.roles.contains(&role)
    }

    fn metrics(&self, core: &Core, intake: &Arc<Intake>, health: Arc<Health>, watches: Watches) -> Vec<Exposition> {
        let started = seconds(core.clock.now());
        let (store, egress, intake) = (Arc::clone(&core.store), Arc::clone(&core.egress), Arc::clone(intake));
        let (link, queue) = (core.link.clone(), self.queue.figures());
        let (probe, schedule) = (Arc::clone(&self.probe), Arc::clone(&self.schedule));
        let has = |role| self.has(role);
        let dispatch = has(ProcessRole::Dispatch).then(|| Arc::clone(&self.dispatch));
        let sender = has(ProcessRole::Events).then(|| Arc::clone(&self.sender));
        let takes_in = has(ProcessRole::Ingress);
        let everything = move |page: &mut Page| {
            page.put(&metrics::BUILD, &[env!("CARGO_PKG_VERSION")], true);
            page.put(&metrics::STARTED, &[], started);
            health.put(page);
            probe.put(page);
            if takes_in {
                intake.put(page);
            }
            store.vitals().put(page);
            if let Some(dispatch) = &dispatch {
                dispatch.put(page);
            }
            egress.put(page);
            if let Some(link) = &link {
                link.figures().put(page);
            }
            if let Some(queue) = &queue {
                queue.snapshot().put(page);
            }
            schedule.put(page);
            watches.ledger.put(page);
            watches.secrets.put(page);
            if let Some(sender) = &sender {
                sender.put(page);
            }
            crate::telemetry::export::put(page);
        };
        vec![Arc::new(everything)]
    }

    /// Begins what the roles say. Each ends by itself once `stop` is cancelled.
    pub(super) fn begin(self, tasks: &TaskTracker, stop: &CancellationToken) {
        let (delivers, events) = (self.has(ProcessRole::Dispatch), self.has(ProcessRole::Events));
        self.queue.start(delivers && self.delivers, tasks, stop);
        if delivers && self.delivers {
            tasks.spawn(self.dispatch.run(self.queue.listener, stop.clone()));
        }
        if events && self.delivers {
            tasks.spawn(self.sender.run(stop.clone()));
        }
        if !self.delivers {
            tracing::warn!("dispatch.enabled is false: nothing is delivered, neither to vendors nor to career sites");
        }
        tasks.spawn(self.schedule.run(stop.clone()));
        tasks.spawn(self.probe.run(stop.clone()));
    }
}

/// What nobody does while these are the roles of the only process there can be.
pub(super) fn undone(config: &Config) -> Vec<&'static str> {
    if !config.fixed.store.dsn.is_empty() {
        return Vec::new();
    }
    let missing = |role: &ProcessRole| !config.fixed.run.roles.contains(role);
    ProcessRole::ALL.into_iter().filter(missing).map(ProcessRole::as_str).collect()
}
