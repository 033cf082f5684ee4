//! Which queue this gateway rings with: within the process, or RabbitMQ where `queue.url` names one.

use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use causeway_core::ids::AccountId;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::core::Core;
use crate::config::{Config, QueueAt};
use crate::queue::embedded::EmbeddedBell;
use crate::queue::figures::Figures;
use crate::queue::rabbitmq::manners::{Manners, Safe};
use crate::queue::rabbitmq::{self, Address, Options, RabbitMq, RabbitParts, Trouble};
use crate::queue::{Accounts, Bell, Listener, Unavailable};
use crate::store::{Store, StoreError};

/// See the module's documentation.
pub(super) struct Queue {
    pub(super) bell: Arc<dyn Bell>,
    pub(super) listener: Arc<dyn Listener>,
    rabbitmq: Option<Arc<RabbitMq>>,
}

impl Queue {
    pub(super) async fn open(config: &Config, core: &Core, around: AroundQueue) -> anyhow::Result<Self> {
        let AroundQueue { bell, listener, manners } = around;
        let queue = Self::of(config, core, manners).await?;
        Ok(Self { bell: bell(queue.bell), listener: listener(queue.listener), rabbitmq: queue.rabbitmq })
    }

    async fn of(config: &Config, core: &Core, manners: Arc<dyn Manners>) -> anyhow::Result<Self> {
        if config.fixed.queue.url.is_empty() {
            let bell = Arc::new(EmbeddedBell::default());
            return Ok(Self { bell: Arc::clone(&bell) as Arc<dyn Bell>, listener: bell, rabbitmq: None });
        }
        let parts = RabbitParts {
            address: address(config)?,
            connectors: connectors(),
            accounts: Arc::new(VendorsOfTheStore(Arc::clone(&core.store))),
            clock: Arc::clone(&core.clock),
            options: Options { owner: core.owner.clone(), manners, ..Options::default() },
        };
        let queue = RabbitMq::open(parts).await.context("the queue cannot be used")?;
        let (bell, listener) = (Arc::clone(&queue) as Arc<dyn Bell>, Arc::clone(&queue) as Arc<dyn Listener>);
        Ok(Self { bell, listener, rabbitmq: Some(queue) })
    }

    /// Rings, and hears what is rung for if this process listens.
    pub(super) fn start(&self, listens: bool, tasks: &TaskTracker, stop: &CancellationToken) {
        let Some(queue) = &self.rabbitmq else { return };
        tasks.spawn(Arc::clone(queue).run_bell(stop.clone()));
        if listens {
            tasks.spawn(Arc::clone(queue).run_listener(stop.clone()));
        }
    }

    /// What it counts, if it is not within this process.
    pub(super) fn figures(&self) -> Option<Arc<Figures>> {
        self.rabbitmq.as_ref().map(|queue| queue.figures())
    }
}

fn address(config: &Config) -> Result<Address, Trouble> {
    let QueueAt { url, ca_file } = &config.fixed.queue;
    Address::parse(url.reveal())?.trusting(ca_file)
}

/// The connectors of this build: each has a queue.
fn connectors() -> Vec<String> {
    causeway_connectors::all().iter().map(|connector| connector.describe().name.to_owned()).collect()
}

/// The queue asks whose vendor an account is at without knowing who knows.
struct VendorsOfTheStore(Arc<dyn Store>);

#[async_trait]
impl Accounts for VendorsOfTheStore {
    async fn connector(&self, account: AccountId) -> Result<Option<String>, Unavailable> {
        match self.0.account(account).await {
            Ok(record) => Ok(Some(record.account.connector.to_string())),
            Err(StoreError::NotFound(_)) => Ok(None),
            Err(error) => {
                tracing::error!(account = %account, %error, "whose vendor an account is at could not be read");
                Err(Unavailable)
            }
        }
    }
}

/// Makes at the broker what has to stand there; none without one. Returns how many queues there are.
///
/// # Errors
/// When the broker cannot be reached, or something there has other settings; in words that say what to do.
pub async fn migrate_queue(config: &Config) -> anyhow::Result<Option<usize>> {
    if config.fixed.queue.url.is_empty() {
        return Ok(None);
    }
    Ok(Some(rabbitmq::declare(&address(config)?, &connectors(), &Options::default()).await?))
}

/// Looks at the broker, if there is one, and changes nothing.
pub async fn examine_queue(config: &Config) -> Vec<rabbitmq::Notice> {
    if config.fixed.queue.url.is_empty() {
        return Vec::new();
    }
    match address(config) {
        Ok(address) => rabbitmq::examine(&address, &connectors(), &Options::default()).await,
        Err(trouble) => vec![rabbitmq::Notice {
            what: if matches!(trouble, Trouble::Url) { "queue.url" } else { "queue.ca_file" }.to_owned(),
            standing: rabbitmq::Standing::Bad,
            text: trouble.to_string(),
        }],
    }
}

/// Puts something around a part, or in its place.
pub type Wrap<T> = Box<dyn FnOnce(Arc<T>) -> Arc<T> + Send>;

/// What may be put around or in place of a gateway's parts: for the load tests' broken gateways, which are other binaries.
pub struct Around {
    /// Wraps the store.
    pub store: Wrap<dyn Store>,
    /// For the queue.
    pub queue: AroundQueue,
}

/// See [`Around`].
pub struct AroundQueue {
    /// Wraps what rings.
    pub bell: Wrap<dyn Bell>,
    /// Wraps what is listened to.
    pub listener: Wrap<dyn Listener>,
    /// How to behave towards a broker.
    pub manners: Arc<dyn Manners>,
}

impl Default for Around {
    /// The gateway as it is.
    fn default() -> Self {
        Self { store: Box::new(|store| store), queue: AroundQueue::default() }
    }
}

impl Default for AroundQueue {
    /// The queue as it is.
    fn default() -> Self {
        Self { bell: Box::new(|bell| bell), listener: Box::new(|listener| listener), manners: Arc::new(Safe) }
    }
}
