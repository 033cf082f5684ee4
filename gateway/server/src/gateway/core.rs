//! What a gateway and a single command have in common: the store and the ways out.

use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use causeway_core::clock::{Clock, Entropy};
use causeway_core::connector::{Connector, ReadError, Stage};
use causeway_core::overlay::VendorField;
use causeway_core::pii::Secret;

use super::reload::Lives;
use super::wires;
use crate::admin::{self, Checked, Fault, FaultKind, Reload, Services, Sites, Vendors};
use crate::bucket::Bucket;
use crate::clock::steady::SteadyClock;
use crate::clock::{OsEntropy, SystemClock};
use crate::config::Config;
use crate::egress::{Connectors, Egress, EgressParts, SiteClient, SitePolicy, SystemResolver};
use crate::feeds::sync::{FeedParts, Feeds, SyncError};
use crate::read_back::{ReadBack, ReadBackParts};
use crate::schema::form_digest;
use crate::shared::Link;
use crate::store::Store;
use crate::store::custody::Custody;
use crate::store::keys::RootKey;
use crate::store::one_clock::OneClock;
use crate::store::postgres;
use crate::store::receipts::Receipts;
use crate::store::setup::{AccountRecord, SyncReport};
use crate::store::sql::SqlStore;
use crate::store::sqlite::{self, OpenOptions};
use crate::store::webhooks::Webhooks;
use crate::support::{Ring, Support};
use crate::webhooks::{Sender, SenderParts, WebhookPolicy};

/// See the module's documentation.
pub(super) struct Core {
    pub(super) store: Arc<dyn Store>,
    custody: Arc<dyn Custody>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) connectors: Connectors,
    pub(super) egress: Arc<Egress>,
    /// The Redis that gateways share their limits through.
    pub(super) link: Option<Arc<Link>>,
    pub(super) feeds: Arc<Feeds>,
    pub(super) lives: Lives,
    pub(super) sites: Sites,
    /// Names this process in leases.
    pub(super) owner: String,
}

impl Core {
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        Self::open_over(config, |store| store)
    }

    pub(super) fn open_over(
        config: &Config,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
    ) -> anyhow::Result<Self> {
        // A shared store has its own time, which everybody agrees with.
        let clock: Arc<dyn Clock> = match config.fixed.store.dsn.is_empty() {
            true => Arc::new(SteadyClock::new(Arc::new(SystemClock))),
            false => Arc::new(SystemClock),
        };
        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
        let root_key = RootKey::load(&config.fixed.data.root_key())?;
        let opened = open_store(config, root_key, &clock, &entropy).context("the store does not open")?;
        let custody: Arc<dyn Custody> = Arc::clone(&opened) as Arc<dyn Custody>;
        let webhooks: Arc<dyn Webhooks> = Arc::clone(&opened) as Arc<dyn Webhooks>;
        let receipts: Arc<dyn Receipts> = Arc::clone(&opened) as Arc<dyn Receipts>;
        let opened: Arc<dyn Store> = opened;
        let opened = match config.fixed.store.dsn.is_empty() {
            true => opened,
            false => Arc::new(OneClock::over(opened, Arc::clone(&clock))),
        };
        let store: Arc<dyn Store> = wrap(opened);
        let lives = Lives::new(&config.reloadable);
        let connectors: Connectors = Arc::new(causeway_connectors::by_name);
        let link = Link::open(&config.fixed.redis)?;
        let egress = Arc::new(Egress::new(EgressParts {
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            credentials: Arc::new(wires::SecretsOfTheStore { store: Arc::clone(&store), clock: Arc::clone(&clock) }),
            connectors: Arc::clone(&connectors),
            resolver: Arc::new(SystemResolver),
            link: link.clone(),
            policy: wires::egress(config, &lives),
        }));
        let feeds = Arc::new(Feeds::new(FeedParts {
            store: Arc::clone(&store),
            egress: Arc::clone(&egress),
            connectors: Arc::clone(&connectors),
            clock: Arc::clone(&clock),
            form_digest,
            policy: wires::feeds(&lives),
        }));
        let resolver = Arc::new(SystemResolver);
        let client = Arc::new(SiteClient::new(&SitePolicy::default(), resolver, Arc::clone(&clock)));
        let sender = Sender::new(SenderParts {
            store: Arc::clone(&webhooks),
            client: Arc::clone(&client),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            retry: lives.retry.clone(),
            policy: WebhookPolicy::default(),
        });
        let sites = Sites { store: webhooks, sender, client, receipts };
        let owner = wires::owner(&*entropy);
        Ok(Self { store, custody, clock, entropy, connectors, egress, link, feeds, lives, sites, owner })
    }

    /// Commits what is under way, writes the audit's newest links down, and lets go of the directory.
    pub(super) async fn close(&self) {
        if let Err(error) = self.store.anchor_audit(self.clock.now()).await {
            tracing::warn!(%error, "the audit's newest links were not written down");
        }
        self.store.close().await;
    }

    /// Reads back what dispatch delivers.
    pub(super) fn read_back(&self, config: &Config) -> ReadBack {
        ReadBack::new(ReadBackParts {
            store: Arc::clone(&self.store),
            egress: Arc::clone(&self.egress),
            connectors: Arc::clone(&self.connectors),
            clock: Arc::clone(&self.clock),
            policy: wires::read_back(config, &self.lives),
        })
    }

    /// What `admin` executes over.
    pub(super) fn services(&self, ring: Ring, settings: Arc<dyn Reload>) -> Services {
        Services {
            store: Arc::clone(&self.store),
            support: Support::new(Arc::clone(&self.store), Arc::clone(&self.custody), Arc::clone(&self.clock), ring),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            vendors: Arc::new(Outside {
                connectors: Arc::clone(&self.connectors),
                egress: Arc::clone(&self.egress),
                feeds: Arc::clone(&self.feeds),
            }),
            settings,
            sites: self.sites.clone(),
        }
    }
}

/// The file in the data directory, or the database that a DSN names.
fn open_store(
    config: &Config,
    root_key: RootKey,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> anyhow::Result<Arc<SqlStore>> {
    let (clock, entropy) = (Arc::clone(clock), Arc::clone(entropy));
    let (dir, at) = (&config.fixed.data.dir, &config.fixed.store);
    let bucket = Bucket::open(&config.fixed.blobs)?;
    if at.dsn.is_empty() {
        let mut options = OpenOptions::new(dir, root_key, clock, entropy);
        options.bucket = bucket;
        return Ok(sqlite::open(options)?);
    }
    let dsn = Secret::new(at.dsn.reveal());
    let options = postgres::OpenOptions::new(dsn, dir.join("blobs"), root_key, clock, entropy);
    let (pooler, writers, readers) = (at.pooler, at.writers, at.readers);
    Ok(postgres::open(postgres::OpenOptions { bucket, pooler, writers, readers, ..options })?)
}

/// What a person may have asked of a vendor.
struct Outside {
    connectors: Connectors,
    egress: Arc<Egress>,
    feeds: Arc<Feeds>,
}

#[async_trait]
impl Vendors for Outside {
    async fn check(&self, record: &AccountRecord) -> Result<Vec<Checked>, Fault> {
        Ok(admin::check(&*self.connector(record)?, &self.egress, record).await)
    }

    async fn sync(&self, record: &AccountRecord) -> Result<SyncReport, Fault> {
        let synced = self.feeds.sync_jobs(record.account.id).await.map_err(not_synced)?;
        Ok(synced.report)
    }

    async fn read_forms(&self, record: &AccountRecord) -> Result<(), Fault> {
        self.feeds.sync_forms(record.account.id).await.map_err(not_synced)?;
        Ok(())
    }

    async fn custom_fields(&self, record: &AccountRecord) -> Result<Vec<VendorField>, Fault> {
        let connector = self.connector(record)?;
        match connector.custom_fields(&record.account, &self.egress.http(record)).await {
            Ok(fields) => Ok(fields),
            Err(ReadError::NotClaimed) => Ok(Vec::new()),
            Err(error) => Err(Fault::new(FaultKind::Unavailable, error.to_string())),
        }
    }

    async fn stages(&self, record: &AccountRecord) -> Result<Vec<Stage>, Fault> {
        let connector = self.connector(record)?;
        connector.stages(&record.account, &self.egress.http(record)).await.map_err(|error| match error {
            ReadError::NotClaimed => {
                Fault::new(FaultKind::Refused, "this connector reads no stages; the ids are on the vendor's own pages")
            }
            error => Fault::new(FaultKind::Unavailable, error.to_string()),
        })
    }
}

impl Outside {
    fn connector(&self, record: &AccountRecord) -> Result<Arc<dyn Connector>, Fault> {
        let known = (self.connectors)(&record.account.connector);
        known.ok_or_else(|| Fault::new(FaultKind::Internal, SyncError::NoConnector.to_string()))
    }
}

fn not_synced(error: SyncError) -> Fault {
    match error {
        SyncError::Store(error) => error.into(),
        SyncError::Read(error) => Fault::new(FaultKind::Unavailable, error.to_string()),
        SyncError::NoConnector | SyncError::Endless => Fault::new(FaultKind::Internal, error.to_string()),
    }
}
