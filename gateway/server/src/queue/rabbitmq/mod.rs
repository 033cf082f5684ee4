//! RabbitMQ as the bell between several gateways. Contents, in the order a ring travels:
//!
//! ```text
//! pending ─► publish ─► topology (exchange, a quorum queue per connector) ─► consume ─► inbox ─► dispatch
//!  accounts    windows,      dead letters, parked messages                     decode,     claims, then
//!  coalesced   confirms                                                        park        the message is acked
//! ```
//!
//! `message` is what goes over the wire, `address` and `line` the way there, `supervise` what brings a lost line back,
//! `manners` what makes it safe, `trouble` what can go wrong and what to do, `examine` what `causeway doctor` asks.
//!
//! It keeps no truth: everything in it and in the broker may be lost at any moment, and costs latency. It never makes a
//! caller wait, and nothing here waits for the broker without a deadline.

mod acks;
mod address;
mod consume;
mod examine;
mod inbox;
mod line;
pub mod manners;
pub mod message;
mod pending;
mod publish;
mod supervise;
pub mod topology;
mod trouble;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use causeway_core::clock::Clock;
use causeway_core::ids::AccountId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::figures::Figures;
use super::{Accounts, Bell, Listener, Rung, Traceparent, Unavailable};

pub use address::Address;
pub use examine::{Notice, Standing, examine};
pub use trouble::Trouble;

use inbox::Inbox;
use line::Line;
use manners::{Manners, Safe};
use pending::Pending;
use publish::Park;
use topology::Topology;

/// What it works with. The defaults are the only values that the program uses.
#[derive(Clone)]
pub struct Options {
    /// Stands before every name at the broker.
    pub prefix: String,
    /// Rings on their way to the broker at once.
    pub window: usize,
    /// Messages of one queue that one process holds unacknowledged.
    pub prefetch: u16,
    /// Rings that a queue holds before the broker refuses more.
    pub max_length: i32,
    /// How often a message is handed out before it becomes a dead letter.
    pub delivery_limit: i32,
    /// Seconds between heartbeats.
    pub heartbeat: u16,
    /// How long the broker may take for one answer.
    pub deadline: Duration,
    /// How soon after trouble that only a person can end it is tried again.
    pub definite: Duration,
    /// Names this process at the broker.
    pub owner: String,
    /// What makes it safe; other manners are for broken gateways that have to be caught.
    pub manners: Arc<dyn Manners>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            prefix: "causeway".to_owned(),
            window: 256,
            prefetch: 32,
            max_length: 10_000,
            delivery_limit: 20,
            heartbeat: 10,
            deadline: Duration::from_secs(10),
            definite: Duration::from_secs(10),
            owner: "gateway".to_owned(),
            manners: Arc::new(Safe),
        }
    }
}

/// What a queue over RabbitMQ is made of.
pub struct RabbitParts {
    /// Where the broker is.
    pub address: Address,
    /// The connectors there is a queue for.
    pub connectors: Vec<String>,
    /// Whose vendor an account is at.
    pub accounts: Arc<dyn Accounts>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// The figures.
    pub options: Options,
}

/// See the module's documentation. A bell and a listener; its two halves run apart, each over a connection of its own.
pub struct RabbitMq {
    address: Address,
    topology: Topology,
    accounts: Arc<dyn Accounts>,
    /// An account's connector never changes.
    known: Mutex<HashMap<AccountId, Arc<str>>>,
    /// What was told of queues with other settings.
    told: Mutex<Vec<Trouble>>,
    clock: Arc<dyn Clock>,
    options: Options,
    pending: Pending,
    inbox: Inbox,
    to_park: mpsc::UnboundedSender<Park>,
    parks: tokio::sync::Mutex<mpsc::UnboundedReceiver<Park>>,
    figures: Arc<Figures>,
}

impl RabbitMq {
    /// Looks at the broker without changing it, then does nothing until its halves run. A broker that cannot be reached
    /// is no error: it is waited for while the gateway works. What is missing there is made once it is.
    ///
    /// # Errors
    /// Trouble that only a person can end: a wrong address, password or virtual host, a certificate of an unknown authority
    /// or for another name, or a queue with other settings. A certificate that has run out is no error here.
    pub async fn open(parts: RabbitParts) -> Result<Arc<Self>, Trouble> {
        let queue = Self::new(parts);
        match queue.look().await {
            Ok(()) => {}
            Err(trouble) if trouble.is_definite() => return Err(trouble),
            Err(trouble) => tracing::warn!(%trouble, "the queue is not there yet; rings wait, deliveries do not"),
        }
        Ok(queue)
    }

    /// As [`RabbitMq::open`], without looking.
    pub fn new(parts: RabbitParts) -> Arc<Self> {
        let RabbitParts { address, connectors, accounts, clock, options } = parts;
        let (to_park, parks) = mpsc::unbounded_channel();
        Arc::new(Self {
            address,
            topology: Topology::new(&options, &connectors),
            accounts,
            known: Mutex::default(),
            told: Mutex::default(),
            clock,
            options,
            pending: Pending::default(),
            inbox: Inbox::default(),
            to_park,
            parks: tokio::sync::Mutex::new(parks),
            figures: Arc::default(),
        })
    }

    async fn look(&self) -> Result<(), Trouble> {
        let line = Line::open(&self.address, "looking", &self.options).await?;
        let looked = self.topology.check(&line).await;
        line.close().await;
        match looked {
            Err(Trouble::Missing { kind, name }) => {
                tracing::warn!(kind, name, "is not at the broker and will be made; `causeway migrate` makes it");
                Ok(())
            }
            other => other,
        }
    }

    /// Publishes what was rung for until told to stop. A process that rings runs this once.
    pub async fn run_bell(self: Arc<Self>, stop: CancellationToken) {
        publish::run(&self, &stop).await;
    }

    /// Hears what was rung for until told to stop. A process that dispatches runs this once, and [`RabbitMq::run_bell`].
    pub async fn run_listener(self: Arc<Self>, stop: CancellationToken) {
        consume::run(&self, &stop).await;
    }

    /// What it counts.
    pub fn figures(&self) -> Arc<Figures> {
        Arc::clone(&self.figures)
    }

    /// Makes what is missing at the broker, and tells once of what has other settings.
    async fn mend(&self, line: &Line) -> Result<(), Trouble> {
        let other = self.topology.mend(line).await?;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told != other {
            for trouble in &other {
                tracing::error!(%trouble, "a queue is used as it is, not as it should be");
            }
            *told = other;
        }
        Ok(())
    }

    /// A connector and its queue, by its place in the topology.
    fn named(&self, place: usize) -> (String, String) {
        let found = self.topology.queues().nth(place);
        found.map(|(connector, queue)| (connector.to_owned(), queue.to_owned())).unwrap_or_default()
    }

    /// The account's connector; none when there is no such account.
    async fn connector(&self, account: AccountId) -> Result<Option<Arc<str>>, Unavailable> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&account).map(Arc::clone);
        if known.is_some() {
            return Ok(known);
        }
        let asked = tokio::time::timeout(self.options.deadline, self.accounts.connector(account)).await;
        let connector = asked.map_err(|_| Unavailable)??.map(Arc::<str>::from);
        if let Some(connector) = &connector {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(account, Arc::clone(connector));
        }
        Ok(connector)
    }
}

impl Bell for RabbitMq {
    fn ring_within(&self, account: AccountId, trace: Option<Traceparent>) {
        self.pending.ring(account, trace, self.clock.now());
        self.count_pending();
    }
}

#[async_trait]
impl Listener for RabbitMq {
    async fn rung(&self) -> Rung {
        self.inbox.rung().await
    }
}

/// Makes everything that is missing at the broker, and checks what is there: `causeway migrate`.
///
/// # Errors
/// [`Trouble`], with what to do.
pub async fn declare(address: &Address, connectors: &[String], options: &Options) -> Result<usize, Trouble> {
    let line = Line::open(address, "migrating", options).await?;
    let topology = Topology::new(options, connectors);
    let declared = topology.declare(&line).await;
    line.close().await;
    declared.map(|()| topology.queues().count())
}
