//! Watches a delivery at its boundaries, and can cut the gateway off at any of them.
//!
//! A boundary is a moment at which a kill leaves the store and the vendor in a state of their own: before and after an
//! attempt is committed, before and after each request, before and after an outcome is settled. The watch stands in the
//! store and in the connector's `Http`; it changes nothing that passes. A cut never returns: whoever waits for it ends
//! the process' stand-in, and with it everything the gateway held in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use causeway::store::over::Over;
use causeway::store::work::{Begun, Claim, Next, Settled, Settlement};
use causeway::store::{self, Store};
use causeway_core::account::Account;
use causeway_core::connector::{
    Connector, Delivery, Descriptor, FindSupport, Http, JobPage, NamedByVendor, Permission, ReadError, SendError,
    Stage, Taken, UseAuth,
};
use causeway_core::delivery::StepPlan;
use causeway_core::outcome::{Class, Found, Outcome};
use causeway_core::overlay::VendorField;
use causeway_core::posting::{Form, Place, Question, QuestionField};
use http::{HeaderMap, Request, Response};
use jiff::Timestamp;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// What was seen.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    /// Boundaries passed.
    pub(crate) boundaries: usize,
    /// Steps begun, in order.
    pub(crate) begun: Vec<String>,
    /// What each settlement said, the step, and whether it was an attempt's.
    pub(crate) outcomes: Vec<(Class, String, bool)>,
    /// Steps that were settled well and are never to be begun again.
    pub(crate) done: Vec<String>,
    /// Steps begun although they were done.
    pub(crate) repeated: Vec<String>,
    /// How requests were authenticated.
    pub(crate) schemes: BTreeSet<&'static str>,
    /// Requests to where an answer pointed.
    pub(crate) named: usize,
    /// Answers in which the connector read a pace.
    pub(crate) paced: usize,
    /// What the connector was asked, by the name of the function.
    pub(crate) asked: BTreeMap<&'static str, usize>,
}

impl Seen {
    fn begins(&mut self, step: &str) {
        self.begun.push(step.to_owned());
        if self.done.iter().any(|done| done == step) {
            self.repeated.push(step.to_owned());
        }
    }
}

/// See the module's documentation.
#[derive(Default)]
pub(crate) struct Watch {
    cut_at: Option<usize>,
    seen: Mutex<Seen>,
    /// Settlements that are not told yet, or have a boundary before them.
    settling: AtomicUsize,
    /// The cut was reached.
    pub(crate) cut: CancellationToken,
}

impl Watch {
    /// Watches only.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Cuts at this boundary, counted from 0; what a former watch of the same delivery knew is taken along.
    pub(crate) fn cutting(at: usize, before: &Seen) -> Arc<Self> {
        let seen = Mutex::new(Seen { boundaries: 0, ..before.clone() });
        Arc::new(Self { cut_at: Some(at), seen, ..Self::default() })
    }

    /// Watches on where a former one was cut.
    pub(crate) fn after(before: &Seen) -> Arc<Self> {
        Self::cutting(usize::MAX, before)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn seen(&self) -> Seen {
        self.lock().clone()
    }

    async fn boundary(&self) {
        let at = {
            let mut seen = self.lock();
            seen.boundaries += 1;
            seen.boundaries - 1
        };
        if self.cut_at == Some(at) {
            self.cut.cancel();
            std::future::pending::<()>().await;
        }
    }

    /// Is everything told that was settled?
    pub(crate) fn is_told(&self) -> bool {
        self.settling.load(Ordering::SeqCst) == 0
    }

    fn asked(&self, what: &'static str) {
        *self.lock().asked.entry(what).or_default() += 1;
    }
}

/// The store with its boundaries watched.
pub(crate) struct WatchedStore {
    pub(crate) below: Arc<dyn Store>,
    pub(crate) watch: Arc<Watch>,
}

#[async_trait]
impl Over for WatchedStore {
    fn below(&self) -> &dyn Store {
        &*self.below
    }

    async fn begin_attempt(&self, claim: &Claim, step: &str, now: Timestamp) -> store::Result<Begun> {
        self.watch.boundary().await;
        let begun = self.below.begin_attempt(claim, step, now).await;
        self.watch.lock().begins(step);
        self.watch.boundary().await;
        begun
    }

    async fn settle(&self, settlement: Settlement) -> store::Result<Settled> {
        self.watch.settling.fetch_add(1, Ordering::SeqCst);
        self.watch.boundary().await;
        let (step, tried) = (settlement.step.clone(), settlement.attempt.is_some());
        let class = settlement.outcome.as_ref().map(|outcome| outcome.class);
        let next = settlement.next.clone();
        let done = matches!(next, Next::NextStep { .. } | Next::Delivered { .. } | Next::Adopt { .. });
        let settled = self.below.settle(settlement).await;
        if let Ok(Settled::Done { begun, .. }) = &settled {
            let mut seen = self.watch.lock();
            seen.outcomes.extend(class.map(|class| (class, step.clone(), tried)));
            if done {
                seen.done.push(step);
            }
            if let (Next::NextStep { begin: Some(step) }, Some(_)) = (&next, begun) {
                seen.begins(step);
            }
        }
        self.watch.boundary().await;
        self.watch.settling.fetch_sub(1, Ordering::SeqCst);
        settled
    }
}

/// The connector with its requests watched.
pub(crate) struct WatchedConnector {
    pub(crate) inner: Arc<dyn Connector>,
    pub(crate) watch: Arc<Watch>,
}

impl WatchedConnector {
    fn http<'a>(&'a self, inner: &'a dyn Http, what: &'static str, cuts: bool) -> WatchedHttp<'a> {
        self.watch.asked(what);
        WatchedHttp { inner, watch: &self.watch, read_pace: self.inner.describe().read_pace, cuts }
    }
}

struct WatchedHttp<'a> {
    inner: &'a dyn Http,
    watch: &'a Watch,
    read_pace: fn(&HeaderMap) -> Option<causeway_core::connector::Pace>,
    /// Reads outside a delivery are no boundaries of it.
    cuts: bool,
}

#[async_trait]
impl Http for WatchedHttp<'_> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, SendError> {
        if self.cuts {
            self.watch.boundary().await;
        }
        let scheme = request.extensions().get::<UseAuth>().copied();
        let named = request.extensions().get::<NamedByVendor>().is_some();
        let answer = self.inner.send(request).await;
        {
            let mut seen = self.watch.lock();
            // A request that could not be authenticated was not sent.
            if !matches!(answer, Err(SendError::Misconfigured(_))) {
                seen.schemes.extend(scheme.map(|UseAuth(scheme)| scheme));
                seen.named += usize::from(named);
            }
            let paced = answer.as_ref().is_ok_and(|answer| (self.read_pace)(answer.headers()).is_some());
            seen.paced += usize::from(paced);
        }
        if self.cuts {
            self.watch.boundary().await;
        }
        answer
    }
}

#[async_trait]
impl Connector for WatchedConnector {
    fn describe(&self) -> &'static Descriptor {
        self.inner.describe()
    }

    fn schema(&self) -> Option<&'static str> {
        self.inner.schema()
    }

    fn form_schema(&self, form: &Form) -> Option<Value> {
        self.inner.form_schema(form)
    }

    fn place(&self, question: &Question, field: &QuestionField) -> Place {
        self.inner.place(question, field)
    }

    fn plan(&self, delivery: &Delivery<'_>) -> Vec<StepPlan> {
        self.inner.plan(delivery)
    }

    fn only_adds(&self, step: &str) -> bool {
        self.inner.only_adds(step)
    }

    async fn run(&self, step: &str, delivery: &Delivery<'_>, http: &dyn Http) -> Outcome {
        self.inner.run(step, delivery, &self.http(http, "run", true)).await
    }

    async fn find(&self, step: &str, delivery: &Delivery<'_>, since: Timestamp, http: &dyn Http) -> Found {
        self.inner.find(step, delivery, since, &self.http(http, "find", true)).await
    }

    fn erasing(&self) -> Option<&'static str> {
        self.inner.erasing()
    }

    fn read_back(&self) -> FindSupport {
        self.inner.read_back()
    }

    async fn seen(&self, delivery: &Delivery<'_>, taken: &Taken<'_>, http: &dyn Http) -> Found {
        self.inner.seen(delivery, taken, &self.http(http, "seen", false)).await
    }

    async fn custom_fields(&self, account: &Account, http: &dyn Http) -> Result<Vec<VendorField>, ReadError> {
        self.inner.custom_fields(account, &self.http(http, "custom_fields", false)).await
    }

    async fn stages(&self, account: &Account, http: &dyn Http) -> Result<Vec<Stage>, ReadError> {
        self.inner.stages(account, &self.http(http, "stages", false)).await
    }

    fn reads_hooks(&self) -> bool {
        self.inner.reads_hooks()
    }

    async fn check(&self, account: &Account, http: &dyn Http) -> Vec<Permission> {
        self.inner.check(account, &self.http(http, "check", false)).await
    }

    async fn list_jobs(&self, account: &Account, cursor: Option<&str>, http: &dyn Http) -> Result<JobPage, ReadError> {
        self.inner.list_jobs(account, cursor, &self.http(http, "list_jobs", false)).await
    }

    async fn fetch_form(&self, account: &Account, posting_id: &str, http: &dyn Http) -> Result<Form, ReadError> {
        self.inner.fetch_form(account, posting_id, &self.http(http, "fetch_form", false)).await
    }
}
