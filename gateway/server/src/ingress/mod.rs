//! Ingress: where a career site's request comes in. Reading path: this file first, `intake` after it.
//!
//! Two listeners. The public one has three route groups (keyed, hook, public) under one stack of layers, in `stack`,
//! each with the reason for its place; the management one has a short stack of its own and answers during overload.
//! Layers know nothing of applications; `applications` reads a body and hands it to intake. Every "no" becomes HTTP in
//! `problem`, and every request leaves one line in the log, without a value the caller sent.
//!
//! Ingress never sees egress: a slow vendor cannot slow intake.

mod access_log;
mod activity;
mod applications;
pub mod auth;
pub mod body;
mod browser;
mod config;
mod disposition;
mod jobs;
mod lazy;
mod listener;
mod management;
mod metrics;
pub(crate) mod multipart;
mod pages;
mod preflight;
mod problem;
mod receipts;
mod request;
mod stack;
mod stall;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use causeway_core::clock::{Clock, Entropy};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::Config;
pub use management::Exposition;
pub use metrics::Metrics;
pub use stack::{management_document, public_document};

use crate::health::Health;
use crate::intake::{EdgeCounters, Intake};
use crate::openapi::Routes;
use crate::quota::{AddressQuota, TenantQuota};
use crate::store::Store;
use crate::store::receipts::Receipts;
use applications::Applications;
use auth::Authenticator;
use browser::Origins;
use listener::Listener;

/// How often the edge counters go to the store.
const FLUSH: Duration = Duration::from_secs(1);

/// What ingress is made of.
pub struct IngressParts {
    /// Settings.
    pub config: Config,
    /// Takes submissions.
    pub intake: Arc<Intake>,
    /// Knows keys, keeps the edge counters.
    pub store: Arc<dyn Store>,
    /// What stands under `/v1/support` on the management listener; its handlers get an `Extension<auth::Caller>` whose
    /// key has the scope `support`.
    pub support: Routes,
    /// What stands under `/v1/webhooks` there; its handlers get the `Caller` and ask for the scope themselves.
    pub webhooks: Routes,
    /// Signs receipts.
    pub receipts: Arc<dyn Receipts>,
    /// More to show under `/metrics`.
    pub metrics: Vec<Exposition>,
    /// What `/readyz` says.
    pub health: Arc<Health>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// What the layers of both listeners share. One of each for the process: state that belonged to a service would be
/// cloned with it, and limit nothing.
pub(crate) struct Shared {
    config: Config,
    authenticator: Arc<Authenticator>,
    quota: Arc<TenantQuota>,
    addresses: Arc<AddressQuota>,
    origins: Arc<Origins>,
    in_flight: Arc<Semaphore>,
    edge: Arc<EdgeCounters>,
    metrics: Arc<Metrics>,
    entropy: Arc<dyn Entropy>,
}

/// Both listeners' routers, ready to serve.
pub struct Ingress {
    shared: Shared,
    store: Arc<dyn Store>,
    closing: CancellationToken,
    public: Router,
    management: Router,
}

impl Ingress {
    /// Builds both stacks.
    pub fn new(parts: IngressParts) -> Self {
        let budget = body::BodyBudget::new(parts.config.bodies_in_memory, parts.config.body_room);
        let health = Arc::clone(&parts.health);
        let applications = Applications { intake: parts.intake, budget, health };
        let shared = Shared::new(parts.config, Arc::clone(&parts.store), parts.clock, parts.entropy);
        let open = management::open(Arc::clone(&parts.health), Arc::clone(&shared.metrics), parts.metrics);
        let public = stack::public(&shared, applications, &parts.receipts);
        let management = stack::management(&shared, open, parts.support, parts.webhooks);
        Self { shared, store: parts.store, closing: CancellationToken::new(), public, management }
    }

    /// Once it is cancelled, connections end with the answer under way: whoever keeps some has none left when the listener
    /// closes.
    pub fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    /// Serves the listeners until `shutdown` resolves, then answers what is under way and writes the edge counters. Without
    /// a public one, management alone.
    pub async fn serve(self, public: Option<TcpListener>, management: TcpListener, shutdown: impl Future<Output = ()>) {
        let Self { shared, store, closing, public: public_router, management: management_router } = self;
        let (stop, stop_last) = (CancellationToken::new(), CancellationToken::new());
        let tasks = TaskTracker::new();
        let listener = |socket, router, closing| {
            Listener::new(socket, router, &shared.config, Arc::clone(&shared.metrics), closing)
        };
        let public =
            public.map(|public| tasks.spawn(listener(public, public_router, closing.clone()).run(stop.clone())));
        tasks.spawn(listener(management, management_router, CancellationToken::new()).run(stop_last.clone()));
        tasks.spawn(flush_edge(Arc::clone(&shared.edge), store, stop_last.clone()));
        shutdown.await;
        closing.cancel();
        stop.cancel();
        if let Some(public) = public
            && public.await.is_err()
        {
            tracing::error!("the public listener panicked");
        }
        // Management goes last: it tells how the stop is going.
        stop_last.cancel();
        tasks.close();
        tasks.wait().await;
    }
}

impl Shared {
    fn new(config: Config, store: Arc<dyn Store>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            origins: Arc::new(Origins::new(Arc::clone(&store), Arc::clone(&clock))),
            authenticator: Arc::new(Authenticator::new(store, Arc::clone(&clock))),
            quota: Arc::new(TenantQuota::new(config.quota)),
            addresses: Arc::new(AddressQuota::new(config.address_quota)),
            in_flight: stack::in_flight(config.max_in_flight),
            edge: Arc::new(EdgeCounters::new(clock)),
            metrics: Arc::default(),
            entropy,
            config,
        }
    }
}

async fn flush_edge(edge: Arc<EdgeCounters>, store: Arc<dyn Store>, stop: CancellationToken) {
    loop {
        let stopping = tokio::time::timeout(FLUSH, stop.cancelled()).await.is_ok();
        if let Err(error) = edge.flush(store.as_ref()).await {
            tracing::warn!(%error, "edge counters were not written; kept for later");
        }
        if stopping {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
