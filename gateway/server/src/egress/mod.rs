//! The way out: one stack per account, and the only place where a vendor is called. Reading path: a connector's `mod`
//! before this file, `core/outcome` after it.
//!
//! The stack classifies; `retry` decides; the store remembers: there is no retry layer, because a retry in memory holds a
//! lease, dies with the process and hides attempts from support. Connectors see an `Http` that drives a clone of the
//! stack: as an [`Admission`] for a step that was admitted, through [`Egress::http`] for other reads, through
//! [`Egress::aside`] for what no delivery may feel. The stack knows no application, no delivery and no store; secrets come
//! from a [`CredentialSource`].
//!
//! Invariants: limits and breaker of an account are shared by everything that calls for it; what goes on the wire has paid
//! a token and holds a slot; no credential and no URL is ever logged.

mod around;
mod auth;
mod breaker;
mod classify;
mod client;
mod guard;
mod limit;
mod moments;
mod observe;
mod share;
mod site;
mod tls;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::account::Account;
use causeway_core::clock::{Clock, Entropy};
use causeway_core::connector::{Connector, Descriptor, Http, Limits, SendError};
use causeway_core::ids::AccountId;
use http::{Request, Response};
use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;
use tower::timeout::TimeoutLayer;
use tower::util::{BoxCloneSyncService, MapErrLayer};
use tower::{BoxError, ServiceBuilder, ServiceExt};

use crate::clock::later;
use crate::config::live::Live;
use crate::shared::Link;
use crate::store::setup::AccountRecord;
use crate::telemetry::metrics::{self, Page};

use around::{Answer, Wire, around};
use auth::Auth;
pub use auth::{CredentialSource, Newer, NoCredentials};
pub use breaker::BreakerPolicy;
use breaker::{Gate, Permit};
use classify::Classify;
use client::Wired;
pub use client::{Resolver, SystemResolver, WirePolicy};
use guard::Guard;
use limit::{Limiter, Rate, SlotHeld, Slots, Token};
use moments::Moments;
use observe::Observe;
use share::pool::Sharing;
pub use site::{SiteAnswer, SiteClient, SitePolicy, UrlRefused};

/// Finds a connector by its name.
pub type Connectors = Arc<dyn Fn(&str) -> Option<Arc<dyn Connector>> + Send + Sync>;

/// The figures the stack works with.
#[derive(Debug, Clone)]
pub struct EgressPolicy {
    /// The breaker's.
    pub breaker: BreakerPolicy,
    /// The wire's.
    pub wire: WirePolicy,
    /// One request, from leaving the limits to the last byte of its answer.
    pub attempt: Duration,
    /// How long a request may wait for a slot, and again for a token.
    pub wait: Duration,
    /// How long an account keeps quiet after a 429 that names no time.
    pub busy_pause: Duration,
    /// The longest `Retry-After` that is believed.
    pub retry_after_cap: Live<Duration>,
    /// How many gateways the vendors' limits are for. They share them through the link, or each has its part.
    pub gateways: u32,
    /// A stack not used for so long is dropped.
    pub idle: Duration,
}

impl Default for EgressPolicy {
    fn default() -> Self {
        Self {
            breaker: BreakerPolicy::default(),
            wire: WirePolicy::default(),
            attempt: Duration::from_secs(30),
            wait: Duration::from_secs(2),
            busy_pause: Duration::from_secs(1),
            retry_after_cap: Duration::from_hours(24).into(),
            gateways: 1,
            idle: Duration::from_mins(10),
        }
    }
}

/// What egress is made of.
pub struct EgressParts {
    /// Wall time, for what is told to others.
    pub clock: Arc<dyn Clock>,
    /// For jitter.
    pub entropy: Arc<dyn Entropy>,
    /// The accounts' secrets.
    pub credentials: Arc<dyn CredentialSource>,
    /// For their Descriptors.
    pub connectors: Connectors,
    /// Names to addresses; [`SystemResolver`] outside tests.
    pub resolver: Arc<dyn Resolver>,
    /// With whom accounts' limits are shared; none: with nobody.
    pub link: Option<Arc<Link>>,
    /// The figures.
    pub policy: EgressPolicy,
}

/// What an account used of its vendor's limits, through this gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaUse {
    /// Whose.
    pub account: AccountId,
    /// Requests since the start.
    pub used: u64,
    /// Requests that count in the vendor's window now; with what its answers said of others.
    pub in_window: usize,
    /// Requests that could leave now; with others that share the limits, as far as this one knows.
    pub left: usize,
    /// What the vendor allows in a window.
    pub limit: u32,
}

impl QuotaUse {
    /// The part of the vendor's window that is used, from 0 to 1.
    pub fn ratio(&self) -> f64 {
        (self.in_window as f64 / f64::from(self.limit.max(1))).min(1.0)
    }
}

/// Why an account may not be called now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotNow {
    /// When to come back.
    pub until: Timestamp,
    /// What was in the way.
    pub why: Busy,
}

/// What is in the way of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Busy {
    /// The breaker is open: the vendor failed lately.
    Breaker,
    /// Too many calls are in flight.
    Slots,
    /// The vendor's window is used up, or it asked for quiet.
    Tokens,
    /// There is no such connector in this build.
    NoConnector,
}

/// How many calls the breaker and the vendor's window would let begin now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// So many.
    pub calls: usize,
    /// When there will be room, if there is none.
    pub from: Timestamp,
}

/// See the module's documentation.
pub struct Egress {
    parts: EgressParts,
    moments: Moments,
    public: Wired,
    private: Wired,
    lanes: Mutex<HashMap<AccountId, Arc<Lane>>>,
}

/// One account's stack and the state its clones share.
struct Lane {
    account: Account,
    stack: Stack,
    gate: Gate,
    limiter: Arc<Limiter>,
    auth: Arc<Auth>,
    last_used: Mutex<Duration>,
}

type Stack = BoxCloneSyncService<Request<Bytes>, Response<Bytes>, SendError>;

impl Egress {
    /// Calls nobody yet.
    pub fn new(parts: EgressParts) -> Self {
        let moments = Moments::new(Arc::clone(&parts.clock));
        let wired = |allow| Wired::new(parts.policy.wire.clone(), Arc::clone(&parts.resolver), allow);
        let (public, private) = (wired(false), wired(true));
        Self { parts, moments, public, private, lanes: Mutex::default() }
    }

    /// How many calls for the account could begin now: asked before work is claimed, takes nothing.
    pub fn room(&self, record: &AccountRecord) -> Room {
        let Some(lane) = self.lane(&record.account) else {
            return Room { calls: 1, from: self.moments.now() };
        };
        if let Some(until) = lane.gate.refuses() {
            return Room { calls: 0, from: self.moments.wall(until) };
        }
        let (tokens, at) = lane.limiter.room();
        let calls = if lane.gate.wants_probe() { tokens.min(1) } else { tokens };
        Room { calls, from: self.moments.wall(at) }
    }

    /// Onto the page: each account's use of its quota, and its breaker.
    pub fn put(&self, page: &mut Page) {
        for quota in self.quotas() {
            let account = quota.account.to_string();
            page.put(&metrics::QUOTA_USE, &[&account], quota.ratio());
            page.put(&metrics::QUOTA_USED, &[&account], quota.used);
            page.put(&metrics::QUOTA_LEFT, &[&account], quota.left as u64);
        }
        let lanes: Vec<Arc<Lane>> = self.lanes().values().cloned().collect();
        for lane in lanes {
            let account = lane.account.id.to_string();
            page.put(&metrics::BREAKER, &[&account], lane.gate.refuses().is_some());
        }
    }

    /// Leave to try one step: the breaker's permission, a slot until the admission is dropped, and the token of its first
    /// request. None of it is an attempt.
    ///
    /// # Errors
    /// When to come back, and why.
    pub async fn admit(&self, record: &AccountRecord) -> Result<Admission, NotNow> {
        let refuse = |why: Busy| move |until: Timestamp| NotNow { until, why };
        let Some(lane) = self.lane(&record.account) else {
            return Err(refuse(Busy::NoConnector)(later(self.moments.now(), Duration::from_mins(10))));
        };
        let permit = lane.gate.admit().map_err(|until| refuse(Busy::Breaker)(self.moments.wall(until)))?;
        let slot = lane.limiter.slot().await.map_err(|error| refuse(Busy::Slots)(self.until(&error)))?;
        let token = lane.limiter.token().await.map_err(|error| {
            // Another gateway's breaker is known from the answer about tokens.
            let why = if lane.gate.refuses().is_some() { Busy::Breaker } else { Busy::Tokens };
            refuse(why)(self.until(&error))
        })?;
        Ok(Admission::of(&lane, permit, token, slot))
    }

    /// [`Egress::admit`] where nobody has to be waited for or asked; else takes nothing.
    pub fn admit_at_once(&self, record: &AccountRecord) -> Option<Admission> {
        let lane = self.lane(&record.account)?;
        let permit = lane.gate.admit().ok()?;
        let slot = lane.limiter.free_slot()?;
        let token = lane.limiter.token_at_hand()?;
        Some(Admission::of(&lane, permit, token, slot))
    }

    /// What each account used, of those that were called lately.
    pub fn quotas(&self) -> Vec<QuotaUse> {
        let lanes: Vec<Arc<Lane>> = self.lanes().values().cloned().collect();
        let used = |lane: &Arc<Lane>| {
            let (in_window, limit) = lane.limiter.in_window();
            let left = lane.limiter.room().0;
            QuotaUse { account: lane.account.id, used: lane.limiter.used(), in_window, left, limit }
        };
        lanes.iter().map(used).collect()
    }

    /// For reads outside deliveries: every request pays for itself.
    pub fn http(&self, record: &AccountRecord) -> impl Http + use<> {
        Plain(self.lane(&record.account).map(|lane| lane.stack.clone()))
    }

    /// For reads that no delivery may feel: refused while the breaker is open, never its probe, no evidence against the
    /// vendor.
    pub fn aside(&self, record: &AccountRecord) -> impl Http + use<> {
        OffTheRecord(Plain(self.lane(&record.account).map(|lane| lane.stack.clone())))
    }

    /// Does the account have this credential?
    pub async fn has_credential(&self, record: &AccountRecord, name: &str) -> bool {
        match self.lane(&record.account) {
            Some(lane) => lane.auth.has(name).await,
            None => false,
        }
    }

    fn until(&self, error: &SendError) -> Timestamp {
        match error {
            SendError::NotNow { until } => *until,
            SendError::NotSent(_) | SendError::Unknown(_) | SendError::Refused(_) | SendError::Misconfigured(_) => {
                self.moments.now()
            }
        }
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<AccountId, Arc<Lane>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lane(&self, account: &Account) -> Option<Arc<Lane>> {
        let now = self.moments.mono();
        let mut lanes = self.lanes();
        if let Some(lane) = lanes.get(&account.id).filter(|lane| lane.account == *account) {
            lane.touch(now);
            return Some(Arc::clone(lane));
        }
        let connector = (self.parts.connectors)(&account.connector)?;
        lanes.retain(|_, lane| Arc::strong_count(lane) > 1 || !lane.idle(now, self.parts.policy.idle));
        let wire = if account.allow_private { self.private.clone() } else { self.public.clone() };
        let lane = Arc::new(self.build(connector.describe(), account, lanes.get(&account.id), wire));
        lane.touch(now);
        lanes.insert(account.id, Arc::clone(&lane));
        Some(lane)
    }

    /// A new stack. What the old one knew of the vendor's limits and health stays true when only settings changed.
    fn build<S: Wire>(
        &self,
        descriptor: &'static Descriptor,
        account: &Account,
        old: Option<&Arc<Lane>>,
        wire: S,
    ) -> Lane {
        let limits = limits(descriptor, account);
        let host = main_host(descriptor, account);
        let limiter = match old.filter(|old| old.limiter.is_for(limits, host.as_deref())) {
            Some(old) => Arc::clone(&old.limiter),
            None => {
                let sharing = self.parts.link.clone().map(|link| Sharing { link, account: account.id });
                let EgressPolicy { wait, gateways, .. } = self.parts.policy;
                Arc::new(Limiter::new(limits, host, self.moments.clone(), wait, sharing, gateways))
            }
        };
        let entropy = Arc::clone(&self.parts.entropy);
        let gate = Gate::new(self.parts.policy.breaker.clone(), self.moments.clone(), entropy, limiter.pool());
        let credentials = Arc::clone(&self.parts.credentials);
        let auth = Arc::new(Auth::new(credentials, descriptor, account.clone(), self.moments.clone()));
        let stack = self.stack(descriptor, account, &gate, &limiter, &auth, wire);
        Lane { account: account.clone(), stack, gate, limiter, auth, last_used: Mutex::default() }
    }

    fn stack<S: Wire>(
        &self,
        descriptor: &'static Descriptor,
        account: &Account,
        gate: &Gate,
        limiter: &Arc<Limiter>,
        auth: &Arc<Auth>,
        client: S,
    ) -> Stack {
        let policy = &self.parts.policy;
        let classify = Classify {
            limiter: Arc::clone(limiter),
            moments: self.moments.clone(),
            read_pace: descriptor.read_pace,
            busy_pause: policy.busy_pause,
            cap: policy.retry_after_cap.clone(),
        };
        let stack = ServiceBuilder::new()
            // Outermost: one event for every request, with what it came to in the end, refusals of our own included.
            .layer(around(Observe::new(descriptor.name, account.id, self.moments.clone())))
            // Refuses at once, before a slot or a token is spent.
            .layer(around(gate.clone()))
            // Inside the breaker, which it feeds; outside everything whose failure it must judge.
            .layer(around(classify))
            // Outside the limits: a second try after a 401 is a second request and pays again.
            .layer(around(Arc::clone(auth)))
            // Before the bucket: a token taken early goes stale while it waits for a slot.
            .layer(around(Slots(Arc::clone(limiter))))
            // Every request on the wire costs a token.
            .layer(around(Rate(Arc::clone(limiter))))
            // Inside the waits: the vendor is charged for its own time only. A dropped request may have arrived.
            .layer(MapErrLayer::new(timed))
            .layer(TimeoutLayer::new(policy.attempt))
            // The last word before the wire.
            .layer(around(Guard::new(descriptor, account)))
            // Pool, TLS, address check at connect, cap on answers.
            .service(client);
        BoxCloneSyncService::new(stack)
    }
}

impl Lane {
    fn last_used(&self) -> MutexGuard<'_, Duration> {
        self.last_used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self, now: Duration) {
        *self.last_used() = now;
    }

    fn idle(&self, now: Duration, after: Duration) -> bool {
        now.saturating_sub(*self.last_used()) > after && self.gate.refuses().is_none()
    }
}

/// The time-out layer boxes its errors; what is not ours is its own: the time was up.
fn timed(error: BoxError) -> SendError {
    error.downcast::<SendError>().map_or(SendError::Unknown("the vendor did not answer in time"), |error| *error)
}

/// A text setting: the account's, else the Descriptor's default.
fn setting(descriptor: &Descriptor, account: &Account, name: &str) -> Option<String> {
    let default = || descriptor.settings.iter().find(|field| field.name == name).and_then(|field| field.default);
    account.setting(name).or_else(default).map(str::to_owned)
}

/// Where most of an account's requests go: the host of the first of its URLs.
fn main_host(descriptor: &Descriptor, account: &Account) -> Option<String> {
    let field = descriptor.settings.iter().find(|field| field.is_url)?;
    let url = url::Url::parse(&setting(descriptor, account, field.name)?).ok()?;
    url.host_str().map(str::to_owned)
}

/// The vendor's limits, unless the account has its own (`limit_calls`, `limit_window_ms`, `limit_concurrency`).
pub fn limits(descriptor: &Descriptor, account: &Account) -> Limits {
    let number = |name: &str| account.settings.get(name).and_then(serde_json::Value::as_u64).filter(|value| *value > 0);
    let small = |name: &str, default: u32| number(name).and_then(|value| u32::try_from(value).ok()).unwrap_or(default);
    Limits {
        window: number("limit_window_ms").map_or(descriptor.limits.window, Duration::from_millis),
        calls: small("limit_calls", descriptor.limits.calls),
        concurrency: small("limit_concurrency", descriptor.limits.concurrency),
    }
}

/// What an admission has paid for in advance; travels in the request's extensions.
#[derive(Clone)]
struct Prepaid(Arc<Mutex<(Option<Permit>, Option<Token>)>>);

impl Prepaid {
    fn take_permit(&self) -> Option<Permit> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.take()
    }

    /// The token, if it is one for this host. One that is good no longer is given up.
    fn take_token(&self, host: &str) -> Option<Token> {
        let mut paid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(paid.1.take_if(|token| !token.is_good()));
        paid.1.take_if(|token| token.is_for(host))
    }
}

/// Leave to try one step. Its first request to where most go spends the token taken with it, others take their own; the slot is held
/// until it is dropped. Dropped unused, everything is given back.
pub struct Admission {
    stack: Stack,
    prepaid: Prepaid,
    _slot: OwnedSemaphorePermit,
}

impl Admission {
    fn of(lane: &Lane, permit: Permit, token: Token, slot: OwnedSemaphorePermit) -> Self {
        let prepaid = Prepaid(Arc::new(Mutex::new((Some(permit), Some(token)))));
        Self { stack: lane.stack.clone(), prepaid, _slot: slot }
    }
}

#[async_trait]
impl Http for Admission {
    async fn send(&self, mut request: Request<Bytes>) -> Answer {
        request.extensions_mut().insert(self.prepaid.clone());
        request.extensions_mut().insert(SlotHeld);
        self.stack.clone().oneshot(request).await
    }
}

/// Put into a request whose failure the breaker does not count and that is never its probe.
#[derive(Debug, Clone, Copy)]
struct Uncounted;

struct OffTheRecord(Plain);

#[async_trait]
impl Http for OffTheRecord {
    async fn send(&self, mut request: Request<Bytes>) -> Answer {
        request.extensions_mut().insert(Uncounted);
        self.0.send(request).await
    }
}

struct Plain(Option<Stack>);

#[async_trait]
impl Http for Plain {
    async fn send(&self, request: Request<Bytes>) -> Answer {
        match &self.0 {
            Some(stack) => stack.clone().oneshot(request).await,
            None => Err(SendError::Misconfigured("there is no such connector in this build")),
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
