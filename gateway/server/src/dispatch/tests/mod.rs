//! Dispatch over a store in memory and a scripted connector, under tokio's paused clock.

pub(crate) mod fake;
mod flow;
mod rings;
mod unknown;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use causeway_core::account::Account;
use causeway_core::clock::{Clock, SeededEntropy};
use causeway_core::connector::{Connector, Delivery, Descriptor, FindSupport, Http, Permission};
use causeway_core::delivery::{Idempotency, StepPlan};
use causeway_core::ids::{AccountId, DeliveryId};
use causeway_core::outcome::{Class, Found, Outcome};
use jiff::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Dispatch, DispatchParts, DispatchPolicy};
use crate::alike::AlikePolicy;
use crate::egress::testing::{DESCRIPTOR, TokioClock, plant, record};
use crate::egress::{BreakerPolicy, Egress, EgressParts, EgressPolicy, SystemResolver};
use crate::queue::Bell;
use crate::queue::embedded::EmbeddedBell;
use crate::retry::RetryPolicy;
use fake::{FakeStore, Row};

/// What the vendor does at its next call.
#[derive(Clone)]
enum Play {
    Say(Outcome),
    Break,
    Hang,
    Take(Duration, Outcome),
}

fn say(class: Class) -> Play {
    Play::Say(Outcome::new(class))
}

#[derive(Default)]
struct Script {
    steps: Vec<StepPlan>,
    plays: VecDeque<Play>,
    finds: VecDeque<Found>,
    /// What was tried: the step, when, and the references it was given.
    tried: Vec<(DeliveryId, String, Timestamp, usize, usize)>,
    asked: Vec<Timestamp>,
    /// From when on records were asked for.
    since: Vec<Timestamp>,
    now: usize,
    most: usize,
    /// Each try sends one request.
    sends: bool,
    /// Every try of the delivery that is tried first hangs.
    first_hangs: bool,
}

struct Scripted(Mutex<Script>, &'static Descriptor);

static NO_FIND: Descriptor = Descriptor {
    name: "blind",
    title: "Blind",
    roles: &[],
    credentials: &[],
    settings: &[],
    auth: &[],
    find: FindSupport::None,
    visibility_lag: Duration::ZERO,
    limits: causeway_core::connector::Limits { window: Duration::from_secs(10), calls: 1_000, concurrency: 8 },
    read_pace: |_| None,
    takes_files: false,
    names_hosts: false,
    docs: &[],
};

#[async_trait]
impl Connector for Scripted {
    fn describe(&self) -> &'static Descriptor {
        self.1
    }

    fn plan(&self, delivery: &Delivery<'_>) -> Vec<StepPlan> {
        assert_ne!(delivery.application.job, "poison", "the plan breaks");
        self.0.lock().unwrap().steps.clone()
    }

    fn only_adds(&self, step: &str) -> bool {
        step == "survey"
    }

    async fn run(&self, step: &str, delivery: &Delivery<'_>, http: &dyn Http) -> Outcome {
        if self.0.lock().unwrap().sends {
            let request = http::Request::get("https://api.vendor.test/").body(bytes::Bytes::new()).unwrap();
            http.send(request).await.unwrap();
        }
        let play = {
            let mut script = self.0.lock().unwrap();
            let seen = (delivery.id, step.to_owned(), delivery.now, delivery.refs.len(), delivery.files.len());
            script.tried.push(seen);
            script.now += 1;
            script.most = script.most.max(script.now);
            let first = script.tried[0].0;
            if script.first_hangs && delivery.id == first {
                Play::Hang
            } else {
                script.plays.pop_front().unwrap_or_else(|| say(Class::Accepted))
            }
        };
        let outcome = match play {
            Play::Say(outcome) => outcome,
            Play::Take(long, outcome) => {
                tokio::time::sleep(long).await;
                outcome
            }
            Play::Hang => std::future::pending().await,
            Play::Break => {
                self.0.lock().unwrap().now -= 1;
                panic!("a scripted break")
            }
        };
        self.0.lock().unwrap().now -= 1;
        outcome
    }

    async fn find(&self, _: &str, delivery: &Delivery<'_>, since: Timestamp, _: &dyn Http) -> Found {
        let mut script = self.0.lock().unwrap();
        script.since.push(since);
        script.asked.push(delivery.now);
        script.finds.pop_front().unwrap_or(Found::NotSeen { as_of: delivery.now })
    }

    async fn check(&self, _: &Account, _: &dyn Http) -> Vec<Permission> {
        Vec::new()
    }
}

const SUBMIT: StepPlan = StepPlan { name: "submit", title: "Submit", idempotency: Idempotency::Never };

/// Everything a run needs.
struct Rig {
    store: Arc<FakeStore>,
    vendor: Arc<Scripted>,
    egress: Arc<Egress>,
    clock: Arc<TokioClock>,
    account: AccountId,
}

fn rig_of(descriptor: &'static Descriptor, settings: serde_json::Value) -> Rig {
    let script = Script { steps: vec![SUBMIT], ..Script::default() };
    let (store, vendor) = (Arc::new(FakeStore::default()), Arc::new(Scripted(Mutex::new(script), descriptor)));
    let (clock, connector) = (TokioClock::new(), Arc::clone(&vendor));
    let egress = Arc::new(Egress::new(EgressParts {
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        entropy: Arc::new(SeededEntropy::new(3)),
        credentials: Arc::new(crate::egress::testing::Secrets),
        connectors: Arc::new(move |_| Some(Arc::clone(&connector) as Arc<dyn Connector>)),
        link: None,
        resolver: Arc::new(SystemResolver),
        policy: EgressPolicy { breaker: BreakerPolicy::default(), ..EgressPolicy::default() },
    }));
    let record = record("scripted", settings);
    let account = record.account.id;
    plant(&egress, &record, |_| Box::pin(async { Ok(http::Response::new(bytes::Bytes::new())) }));
    store.with_account(record);
    Rig { store, vendor, egress, clock, account }
}

fn rig() -> Rig {
    rig_of(&DESCRIPTOR, json!({}))
}

impl Rig {
    fn script(&self, change: impl FnOnce(&mut Script)) -> &Self {
        change(&mut self.vendor.0.lock().unwrap());
        self
    }

    fn plays(&self, plays: impl IntoIterator<Item = Play>) -> &Self {
        self.script(|script| script.plays.extend(plays))
    }

    fn finds(&self, finds: impl IntoIterator<Item = Found>) -> &Self {
        self.script(|script| script.finds.extend(finds))
    }

    fn dispatch(&self) -> Arc<Dispatch> {
        self.dispatch_with(DispatchPolicy::default())
    }

    fn dispatch_with(&self, policy: DispatchPolicy) -> Arc<Dispatch> {
        let connector = Arc::clone(&self.vendor);
        let parts = DispatchParts {
            store: Arc::clone(&self.store) as Arc<dyn crate::store::Store>,
            egress: Arc::clone(&self.egress),
            connectors: Arc::new(move |_| Some(Arc::clone(&connector) as Arc<dyn Connector>)),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            entropy: Arc::new(SeededEntropy::new(5)),
            retry: RetryPolicy {
                jitter: 0.0,
                schedule: [5; 12].map(Duration::from_secs).into(),
                ..RetryPolicy::default()
            }
            .into(),
            alike: AlikePolicy::default().into(),
            policy,
        };
        Dispatch::new(parts).unwrap()
    }

    /// Dispatch under way, with its switch.
    fn start(&self) -> (CancellationToken, TaskTracker) {
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let bell = Arc::new(EmbeddedBell::default());
        bell.ring(self.account);
        tracker.spawn(self.dispatch().run(bell, stop.clone()));
        tracker.close();
        (stop, tracker)
    }

    /// Runs until every delivery is settled.
    async fn settle(&self) {
        let (stop, tracker) = self.start();
        let done = async {
            while !self.store.all_settled() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_hours(24 * 30), done).await.expect("every delivery is settled");
        stop.cancel();
        tracker.wait().await;
    }

    /// One delivery, carried until it is settled.
    async fn deliver(&self) -> Row {
        let id = self.store.queue(self.account, 1);
        self.settle().await;
        self.store.row(id)
    }

    fn tried(&self) -> usize {
        self.vendor.0.lock().unwrap().tried.len()
    }
}
