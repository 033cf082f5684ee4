//! The composition root: the one place where everything is made and wired. Each part knows only what it is handed here.
//!
//! It decides nothing about applications. Order of start: root key, store, schemas, sockets, then work. Order of stop:
//! no new requests, no new attempts, what is on the wire ends, then the store; so a stop makes no unknown outcome.

mod core;
mod queue;
mod reload;
mod wires;
mod work;

use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use causeway_core::account::Role;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::socket::Control;
use crate::admin::{NothingRuns, Reload, Services};
use crate::clock::OsEntropy;
use crate::config::{Config, ProcessRole};
use crate::health::Health;
use crate::ingress::{Exposition, Ingress, IngressParts};
use crate::intake::{FormCache, Intake, IntakeParts};
use crate::openapi::Routes;
use crate::queue::Bell;
use crate::schedule::SyncBell;
use crate::schema::Schemas;
use crate::shared::forms::Forms;
use crate::store::Store;
use crate::store::keys::RootKey;
use crate::support::{Ring, Support};

pub use self::queue::{Around, AroundQueue, Wrap, examine_queue, migrate_queue};
pub use self::reload::ReadConfig;

use self::core::Core;
use self::queue::Queue;
use self::reload::Reloader;
use self::work::{Bells, Work};

/// What is on the wire at a stop may take so long.
const STOP_GRACE: Duration = Duration::from_secs(30);

/// The store and the ways out, without listeners or background work: for one command while no gateway runs.
pub struct Local {
    core: Core,
    services: Services,
}

impl Local {
    /// Opens the data directory. Nothing else may have it open.
    ///
    /// # Errors
    /// When there is no root key, it is the wrong one, or the directory is in use.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        let core = Core::open(config)?;
        // Nobody works here; whoever starts next finds what is due.
        let services = core.services(Arc::new(|_| {}), Arc::new(NothingRuns));
        Ok(Self { core, services })
    }

    /// What `admin` executes over.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Commits what is under way and lets go of the directory.
    pub async fn close(self) {
        self.core.close().await;
    }
}

/// Makes the root key and, if need be, the data directory.
///
/// # Errors
/// When there is a key already, or it cannot be written.
pub fn init_root(config: &Config) -> anyhow::Result<PathBuf> {
    let dir = &config.fixed.data.dir;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("the data directory {} cannot be made", dir.display()))?;
    let path = config.fixed.data.root_key();
    RootKey::init(&path, &OsEntropy)?;
    Ok(path)
}

/// A gateway that is wired and listening, and not yet at work.
pub struct Gateway {
    core: Core,
    config: Config,
    public: Option<TcpListener>,
    management: TcpListener,
    control: Control,
    ingress: Ingress,
    work: Work,
    health: Arc<Health>,
    services: Services,
    settings: Arc<Reloader>,
}

impl Gateway {
    /// Opens the store, compiles the schemas, binds the sockets.
    ///
    /// # Errors
    /// Whatever keeps the gateway from starting, in words for an operator. The data is untouched.
    pub async fn open(config: Config) -> anyhow::Result<Self> {
        Self::open_over(config, |store| store).await
    }

    /// As [`Gateway::open`], over a store that was wrapped: for the load tests' broken gateways, which are other binaries.
    ///
    /// # Errors
    /// As [`Gateway::open`].
    pub async fn open_over(
        config: Config,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store> + Send + 'static,
    ) -> anyhow::Result<Self> {
        Self::open_around(config, Around { store: Box::new(wrap), ..Around::default() }).await
    }

    /// As [`Gateway::open_over`], with other parts wrapped or replaced too.
    ///
    /// # Errors
    /// As [`Gateway::open`].
    pub async fn open_around(config: Config, around: Around) -> anyhow::Result<Self> {
        let core = Core::open_over(&config, around.store)?;
        warn_of_private(&core).await?;
        let queue = Queue::open(&config, &core, around.queue).await?;
        let undone = work::undone(&config);
        if !undone.is_empty() {
            tracing::warn!(
                roles = undone.join(","),
                "without store.dsn there is no other process, so nobody has these roles"
            );
        }
        if let Some(link) = &core.link {
            // What is in the way was logged where it was found. It is looked for again, and nothing waits for it.
            link.first_look().await;
        }
        let connectors = causeway_connectors::all();
        let schemas = Arc::new(Schemas::new(&connectors).context("a schema of this build cannot be used")?);
        let sync_bell = Arc::new(SyncBell::default());
        let intake = Arc::new(Intake::new(IntakeParts {
            store: Arc::clone(&core.store),
            schemas,
            connectors,
            bell: Arc::clone(&queue.bell),
            sync: Arc::new(wires::RingsTheSchedule(Arc::clone(&sync_bell))),
            forms: core.link.clone().map(|link| Arc::new(Forms(link)) as Arc<dyn FormCache>),
            clock: Arc::clone(&core.clock),
            entropy: Arc::clone(&core.entropy),
            config: wires::intake(&config, &core.lives),
        }));
        let settings = Arc::new(Reloader::new(config.clone(), core.lives.clone()));
        let services = core.services(rings_dispatch(&queue.bell), Arc::clone(&settings) as Arc<dyn Reload>);
        let health = Arc::new(Health::new(&config.fixed.run.roles, Arc::clone(&core.clock)));
        let bells = Bells { queue, sync: sync_bell };
        let (work, metrics) = Work::new(&core, &config, &intake, bells, Arc::clone(&health), STOP_GRACE)?;
        let ingress = ingress(&core, &config, intake, &services.support, (metrics, Arc::clone(&health)));
        let (public, management) = (config.fixed.listen.public, config.fixed.listen.management);
        let bind = async |key: &str, address| {
            TcpListener::bind(address).await.with_context(|| format!("{key}: {address} cannot be listened on"))
        };
        let is_public = config.fixed.run.roles.contains(&ProcessRole::Ingress);
        Ok(Self {
            public: if is_public { Some(bind("listen.public", public).await?) } else { None },
            management: bind("listen.management", management).await?,
            control: Control::bind(&config.fixed.data.dir).context("the control socket cannot be made")?,
            core,
            config,
            ingress,
            work,
            health,
            services,
            settings,
        })
    }

    /// Its settings are reloaded by reading the configuration like this.
    #[must_use]
    pub fn reading_again(self, read: ReadConfig) -> Self {
        self.settings.read_by(read);
        self
    }

    /// What reloads the settings.
    pub fn settings(&self) -> Arc<dyn Reload> {
        Arc::clone(&self.settings) as Arc<dyn Reload>
    }

    /// Where it listens: public, if it does, and management.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn addresses(&self) -> std::io::Result<(Option<std::net::SocketAddr>, std::net::SocketAddr)> {
        Ok((self.public.as_ref().map(TcpListener::local_addr).transpose()?, self.management.local_addr()?))
    }

    /// Works until `stop` resolves, then stops gracefully.
    ///
    /// # Errors
    /// When a part died that the gateway cannot do without.
    pub async fn run(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let (work, last) = (CancellationToken::new(), CancellationToken::new());
        let (tasks, control) = (TaskTracker::new(), TaskTracker::new());
        control.spawn(self.control.serve(self.services, control.clone(), last.clone()));
        self.work.begin(&tasks, &work);
        let (told, health, closing) = (work.clone(), self.health, self.ingress.closing());
        let pause = self.config.fixed.run.drain_pause.0;
        let shutdown = async move {
            stop.await;
            tracing::info!("stopping");
            // Whoever sends work has the pause to see it and to go elsewhere; what still comes is done.
            health.stopping();
            closing.cancel();
            tokio::time::sleep(pause).await;
            // At the same moment: no new requests, no new attempts.
            told.cancel();
        };
        self.ingress.serve(self.public, self.management, shutdown).await;
        work.cancel();
        tasks.close();
        // Dispatch bounds itself; this is for what it cannot bound.
        if tokio::time::timeout(STOP_GRACE + Duration::from_secs(5), tasks.wait()).await.is_err() {
            tracing::error!(left = tasks.len(), "work was cut at stop; its leases bring it back");
        }
        last.cancel();
        control.close();
        control.wait().await;
        self.core.close().await;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Support's ring. Work of an account it cannot name is found at dispatch's next look, within a second.
fn rings_dispatch(bell: &Arc<dyn Bell>) -> Ring {
    let bell = Arc::clone(bell);
    Arc::new(move |account| bell.ring(account))
}

fn ingress(
    core: &Core,
    config: &Config,
    intake: Arc<Intake>,
    support: &Support,
    (metrics, health): (Vec<Exposition>, Arc<Health>),
) -> Ingress {
    // Without the role there is health and there are metrics, and nothing to ask.
    let asked = config.fixed.run.roles.contains(&ProcessRole::Console);
    let routes = |routes: Routes| if asked { routes } else { Routes::new() };
    Ingress::new(IngressParts {
        config: wires::ingress(config),
        intake,
        store: Arc::clone(&core.store),
        support: routes(crate::support::http::routes().with_state(support.clone())),
        receipts: Arc::clone(&core.sites.receipts),
        webhooks: routes(crate::webhooks::http::routes().with_state(Arc::clone(&core.sites.store))),
        metrics,
        health,
        clock: Arc::clone(&core.clock),
        entropy: Arc::clone(&core.entropy),
    })
}

/// Says so at start: these accounts' hosts may be this machine or its network.
async fn warn_of_private(core: &Core) -> anyhow::Result<()> {
    for record in core.store.accounts(None).await.context("the accounts cannot be read")? {
        let account = record.account;
        if account.allow_private {
            let role = match account.role {
                Role::Ats => "ats",
                Role::Crm => "crm",
            };
            tracing::warn!(account = %account.id, role, "the account may reach loopback and private addresses");
        }
    }
    Ok(())
}
