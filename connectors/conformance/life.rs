//! One life of a gateway over a world's data directory: the real store, egress, dispatch and feeds, on a runtime of its own.
//!
//! Ending the runtime is the kill: every task is dropped where it stands, the store is closed by nobody, and the next life
//! opens the directory as the next process would, under a new epoch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use async_trait::async_trait;
use causeway::alike::AlikePolicy;
use causeway::dispatch::{Dispatch, DispatchParts, DispatchPolicy};
use causeway::egress::{
    BreakerPolicy, Connectors, CredentialSource, Egress, EgressParts, EgressPolicy, NoCredentials, SystemResolver,
};
use causeway::feeds::sync::{FeedParts, Feeds, SyncPolicy};
use causeway::queue::Bell;
use causeway::queue::embedded::EmbeddedBell;
use causeway::read_back::{ReadBack, ReadBackParts, ReadBackPolicy};
use causeway::retry::RetryPolicy;
use causeway::schema::form_digest;
use causeway::store::Store;
use causeway::store::intake::TargetView;
use causeway::store::keys::RootKey;
use causeway::store::setup::AccountRecord;
use causeway::store::sqlite::{self, OpenOptions};
use causeway_core::clock::{Clock, Entropy, SeededEntropy};
use causeway_core::connector::Connector;
use causeway_core::delivery::State;
use causeway_core::ids::AccountId;
use causeway_core::pii::Secret;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::watch::{Watch, WatchedConnector, WatchedStore};
use crate::world::{Accept, World};

/// Longer than anything here takes, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);
/// How soon to look again.
const LOOK: Duration = Duration::from_millis(1);
/// Nothing moved for so long: what is waited for is a clock.
const STUCK: Duration = Duration::from_millis(300);

/// See the module's documentation.
pub(crate) struct Life {
    world: Arc<World>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) egress: Arc<Egress>,
    pub(crate) feeds: Feeds,
    pub(crate) watch: Arc<Watch>,
    connectors: Connectors,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    bell: Arc<EmbeddedBell>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

struct Secrets(Arc<dyn Store>);

#[async_trait]
impl CredentialSource for Secrets {
    async fn credentials(&self, account: AccountId) -> Result<BTreeMap<String, Secret>, NoCredentials> {
        self.0.credentials(account).await.map_err(|_| NoCredentials)
    }

    fn generation(&self) -> u64 {
        self.0.generation()
    }
}

/// How a life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Every delivery is settled.
    Settled,
    /// It was cut off.
    Cut,
}

impl World {
    /// A life in which this work is done. When it is done, the life is over as if it had been killed.
    pub(crate) async fn live<T, F>(
        self: &Arc<Self>,
        watch: Arc<Watch>,
        work: impl FnOnce(Arc<Life>) -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>>,
    {
        let world = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async { work(Arc::new(Life::begin(world, watch)?)).await })
        })
        .await?
    }

    /// Lives until every delivery is settled, or the watch cuts it.
    pub(crate) async fn settle(self: &Arc<Self>, watch: &Arc<Watch>) -> Result<End> {
        let cut = watch.cut.clone();
        self.live(Arc::clone(watch), async move |life| {
            life.dispatch()?;
            tokio::select! {
                biased;
                () = cut.cancelled() => Ok(End::Cut),
                settled = life.until_settled() => settled.map(|()| End::Settled),
            }
        })
        .await
    }

    /// Accepts an application and lives until it is settled.
    pub(crate) async fn deliver(self: &Arc<Self>, watch: &Arc<Watch>, places: &crate::data::Places) -> Result<Accept> {
        let accepted = self.apply(places).await?;
        ensure!(self.settle(watch).await? == End::Settled, "it was cut");
        Ok(accepted)
    }

    /// Accepts an application; nothing is delivered yet.
    pub(crate) async fn apply(self: &Arc<Self>, places: &crate::data::Places) -> Result<Accept> {
        let (world, places) = (Arc::clone(self), places.clone());
        self.live(Watch::new(), async move |life| world.accept(&*life.store, &places).await).await
    }

    /// Where its delivery stands.
    pub(crate) async fn target(self: &Arc<Self>, accepted: &Accept) -> Result<TargetView> {
        let (tenant, id) = (self.customer.tenant, accepted.submission);
        self.live(Watch::new(), async move |life| {
            let mut view = life.store.application(tenant, id, false).await?;
            ensure!(view.targets.len() == 1, "one target");
            Ok(view.targets.remove(0))
        })
        .await
    }

    pub(crate) async fn state(self: &Arc<Self>, accepted: &Accept) -> Result<State> {
        Ok(self.target(accepted).await?.state)
    }

    /// A person has it sent again.
    pub(crate) async fn replay(self: &Arc<Self>, accepted: &Accept) -> Result<()> {
        let (tenant, delivery, now) = (self.customer.tenant, accepted.delivery, self.clock.now());
        self.live(Watch::new(), async move |life| {
            Ok(life.store.replay(tenant, delivery, "test", now).await.map(drop)?)
        })
        .await
    }
}

impl Life {
    fn begin(world: Arc<World>, watch: Arc<Watch>) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::clone(&world.clock) as Arc<dyn Clock>;
        let entropy: Arc<dyn Entropy> = Arc::clone(&world.entropy) as Arc<dyn Entropy>;
        let key = RootKey::generate(&SeededEntropy::new(1));
        let folder = world.folder.path().join("data");
        let opened = sqlite::open(OpenOptions::new(folder, key, Arc::clone(&clock), Arc::clone(&entropy)))?;
        let store: Arc<dyn Store> = Arc::new(WatchedStore { below: opened, watch: Arc::clone(&watch) });
        let watched: Arc<dyn Connector> =
            Arc::new(WatchedConnector { inner: Arc::clone(&world.connector), watch: Arc::clone(&watch) });
        let name = world.connector.describe().name;
        let connectors: Connectors = Arc::new(move |asked| (asked == name).then(|| Arc::clone(&watched)));
        // The breaker has tests of its own; here each call has to tell what the connector makes of it.
        let breaker = BreakerPolicy { consecutive: u32::MAX, at_least: u32::MAX, ..BreakerPolicy::default() };
        let egress = Arc::new(Egress::new(EgressParts {
            link: None,
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            credentials: Arc::new(Secrets(Arc::clone(&store))),
            connectors: Arc::clone(&connectors),
            resolver: Arc::new(SystemResolver),
            policy: EgressPolicy { breaker, busy_pause: LOOK, ..EgressPolicy::default() },
        }));
        let feeds = Feeds::new(FeedParts {
            store: Arc::clone(&store),
            egress: Arc::clone(&egress),
            connectors: Arc::clone(&connectors),
            clock: Arc::clone(&clock),
            form_digest,
            policy: SyncPolicy::default(),
        });
        Ok(Self {
            world,
            store,
            egress,
            feeds,
            watch,
            connectors,
            clock,
            entropy,
            bell: Arc::new(EmbeddedBell::default()),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// The account as the store has it.
    pub(crate) async fn record(&self) -> Result<AccountRecord> {
        Ok(self.store.account(self.world.customer.account).await?)
    }

    /// The connector as this life has it.
    pub(crate) fn connector(&self) -> Arc<dyn Connector> {
        Arc::new(WatchedConnector { inner: Arc::clone(&self.world.connector), watch: Arc::clone(&self.watch) })
    }

    /// Dispatch at work.
    pub(crate) fn dispatch(&self) -> Result<()> {
        let dispatch = Dispatch::new(DispatchParts {
            store: Arc::clone(&self.store),
            egress: Arc::clone(&self.egress),
            connectors: Arc::clone(&self.connectors),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            retry: RetryPolicy::default().into(),
            // Here many fail alike on purpose.
            alike: AlikePolicy { after: u32::MAX, ..AlikePolicy::default() }.into(),
            policy: DispatchPolicy::default(),
        })?;
        self.tasks.spawn(dispatch.run(Arc::<EmbeddedBell>::clone(&self.bell), self.stop.clone()));
        Ok(())
    }

    /// There is work.
    pub(crate) fn ring(&self) {
        self.bell.ring(self.world.customer.account);
    }

    /// What was delivered and is to be read back now, is.
    pub(crate) async fn read_back(&self) -> Result<()> {
        let parts = ReadBackParts {
            store: Arc::clone(&self.store),
            egress: Arc::clone(&self.egress),
            connectors: Arc::clone(&self.connectors),
            clock: Arc::clone(&self.clock),
            policy: ReadBackPolicy::default(),
        };
        Ok(ReadBack::new(parts).pass().await?)
    }

    /// Until nothing is live; both clocks go on to whatever is due next.
    pub(crate) async fn until_settled(&self) -> Result<()> {
        let began = Instant::now();
        let (mut last, mut since) = (None, Instant::now());
        loop {
            let census = self.store.census().await?;
            let count = |state: State| census.get(&state).copied().unwrap_or_default();
            let live = State::ALL.into_iter().filter(|state| state.is_live());
            if self.watch.is_told() && live.map(count).sum::<u64>() == 0 {
                return Ok(());
            }
            let (due, next) = self.store.due(self.clock.now()).await?;
            let nothing_in_hand = count(State::InFlight) == 0;
            let now = (census, self.watch.seen().boundaries);
            if last.as_ref() != Some(&now) {
                (last, since) = (Some(now), Instant::now());
            } else if let Some(next) = next.filter(|_| due.is_empty() && nothing_in_hand) {
                self.world.advance_to(next)?;
            } else if since.elapsed() > STUCK {
                self.world.advance_to(self.clock.now() + Duration::from_secs(1))?;
                since = Instant::now();
            }
            self.ring();
            ensure!(began.elapsed() < PATIENCE, "it does not settle: {last:?}");
            tokio::time::sleep(LOOK).await;
        }
    }
}
