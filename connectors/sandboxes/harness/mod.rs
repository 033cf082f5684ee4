//! What all sandboxes share: the socket, reading a request, scripted faults, the ledger, the control API.
//!
//! The life of a request: read it whole → ask the vendor what it is and whom it concerns → a *before* fault may take the
//! vendor's place → the vendor answers and its data changes → an *after* fault may spoil the answer → the ledger takes
//! the entry → only now does a byte leave. One lock holds a sandbox's data: vendor code is plain, synchronous and short.
//!
//! Deliberately not here: any vendor's words, statuses or rules.

mod clock;
mod control;
mod faults;
mod knobs;
mod ledger;
mod random;
mod reply;
mod request;
mod wire;

#[cfg(test)]
pub(crate) mod testing;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Request, StatusCode};
use serde_json::{Map, Value};

pub(crate) use clock::{parse as parse_time, rfc3339};
pub(crate) use faults::Subject;
use faults::{Action, Faults, Rule};
use knobs::VendorClock;
pub(crate) use knobs::{Admission, FixedWindow, Knobs, Rate, RollingWindow};
use ledger::{Entry, Ledger};
pub(crate) use random::Random;
use reply::Ending;
pub(crate) use reply::Reply;
pub(crate) use request::{Call, Content, Part};
pub use wire::Running;
pub(crate) use wire::listen;

/// What a vendor's code may look at besides its own data.
pub(crate) struct Scene<'a> {
    pub(crate) now_ms: i64,
    /// `http://host:port` of this sandbox.
    pub(crate) base: &'a str,
    pub(crate) knobs: &'a Knobs,
}

/// One vendor's side of its API.
pub(crate) trait Vendor: Send {
    /// The limit and the lag it starts with.
    fn knobs(&self) -> Knobs;

    /// `{"credentials": …, "settings": …}` as an admin would enter them in an account.
    fn account(&self, base: &str) -> Value;

    /// Which operation this is and whom it concerns; must not change anything.
    fn subject(&self, call: &Call) -> Subject;

    /// Answers, and changes its data.
    fn answer(&mut self, operation: &'static str, call: &Call, scene: &Scene<'_>) -> Reply;

    /// Its own words for a failure that the script asks for.
    fn failure(&mut self, status: StatusCode) -> Reply;

    /// Everything it holds, as JSON.
    fn records(&self) -> String;

    /// The vendor's own settings.
    fn settings(&self) -> Map<String, Value>;

    /// Changes one of them; `None` when it has no such setting. May adjust the shared ones.
    fn set(&mut self, name: &str, value: &Value, knobs: &mut Knobs) -> Option<Result<(), String>>;

    /// A control request of its own below `/_sandbox/`; `None` when it has no such control.
    fn control(&mut self, call: &Call, path: &[&str], scene: &Scene<'_>) -> Option<Result<Value, String>>;
}

struct State {
    vendor: Box<dyn Vendor>,
    knobs: Knobs,
    faults: Faults,
    ledger: Ledger,
    base: String,
    clock: VendorClock,
    /// Calls to vendor routes so far.
    calls: u64,
    at_once: AtOnce,
}

/// Calls between their last byte in and their first byte out: now, and the most there ever were.
#[derive(Debug, Default)]
struct AtOnce {
    now: u64,
    most: u64,
}

/// A vendor with its ledger, faults and settings.
pub(crate) struct Sandbox(Mutex<State>);

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sandbox")
    }
}

impl Sandbox {
    pub(crate) fn new(vendor: Box<dyn Vendor>, seed: u64) -> Arc<Self> {
        let (knobs, faults) = (vendor.knobs(), Faults::new(seed ^ 0xfa_017));
        Arc::new(Self(Mutex::new(State {
            vendor,
            knobs,
            faults,
            ledger: Ledger::default(),
            base: String::new(),
            clock: VendorClock::default(),
            calls: 0,
            at_once: AtOnce::default(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in vendor code ends its connection, not the sandbox: half a change is what real vendors have too.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, base: &str) -> Value {
        let mut state = self.lock();
        base.clone_into(&mut state.base);
        state.vendor.account(base)
    }

    fn control(&self, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let reply = control::answer(&mut self.lock(), &Call::to_control(path, body));
        let answer: Value = serde_json::from_slice(&reply.body)?;
        anyhow::ensure!(reply.status.is_success(), "{path}: {}", answer["error"]);
        Ok(answer)
    }

    async fn serve(self: Arc<Self>, request: Request<hyper::body::Incoming>) -> Ending {
        let Some(call) = Call::read(request).await else { return Ending::Drop };
        if call.segments.first().is_some_and(|first| first == "_sandbox") {
            return Ending::Answer(control::answer(&mut self.lock(), &call).whole());
        }
        let Planned { reply, fault, entries } = self.lock().plan(&call);
        // From here on the client may leave at any await: then the entry must not say that it was answered.
        let mut promise = Promise { sandbox: &self, entries, kept: false };
        let ending = deliver(reply, fault).await;
        promise.kept = true;
        ending
    }
}

struct Planned {
    reply: Reply,
    fault: Option<Rule>,
    entries: std::ops::RangeInclusive<usize>,
}

impl State {
    fn plan(&mut self, call: &Call) -> Planned {
        self.calls += 1;
        self.at_once.now += 1;
        self.at_once.most = self.at_once.most.max(self.at_once.now);
        let subject = self.vendor.subject(call);
        let now_ms = self.clock.now_ms();
        let mut fault = self.faults.before(&subject);
        let reply = match &fault {
            Some(rule) => rule.reply(|status| self.vendor.failure(status)),
            None => {
                let scene = Scene { now_ms, base: &self.base, knobs: &self.knobs };
                let reply = self.vendor.answer(subject.operation, call, &scene);
                fault = self.faults.after(&subject, reply.committed);
                match &fault {
                    Some(rule) if rule.action == Action::StatusAfterCommit => {
                        let spoilt = rule.reply(|status| self.vendor.failure(status));
                        Reply { committed: reply.committed, records: reply.records, ..spoilt }
                    }
                    _ => reply,
                }
            }
        };
        let entries = self.book(call, &subject, &reply, fault.as_ref(), now_ms);
        Planned { reply, fault, entries }
    }

    fn book(
        &mut self,
        call: &Call,
        subject: &Subject,
        reply: &Reply,
        fault: Option<&Rule>,
        now_ms: i64,
    ) -> std::ops::RangeInclusive<usize> {
        let action = fault.map(|rule| rule.action);
        let (made, whole) = match action {
            Some(Action::DropBefore | Action::Hang) => (false, false),
            Some(Action::DropAfterCommit | Action::HalfAnswer) => (true, false),
            Some(Action::Delay | Action::Status | Action::StatusAfterCommit | Action::Garbage | Action::Html)
            | None => (true, true),
        };
        let entry = Entry {
            call: self.calls,
            at_ms: now_ms,
            method: call.method.clone(),
            path: call.path.clone(),
            operation: subject.operation,
            status: if made { reply.status.as_u16() } else { 0 },
            committed: reply.committed,
            answered: whole,
            fault: action.map(Action::name),
            about: subject.email.as_deref().map(Arc::from),
            record: reply.records.first().cloned(),
        };
        let first = self.ledger.append(entry.clone());
        let rest = reply.records.iter().skip(1);
        let last = rest
            .fold(first, |_, record| self.ledger.append(Entry { record: Some(Arc::clone(record)), ..entry.clone() }));
        first..=last
    }
}

async fn deliver(reply: Reply, fault: Option<Rule>) -> Ending {
    let Some(rule) = fault else { return Ending::Answer(reply.whole()) };
    if !rule.delay().is_zero() {
        tokio::time::sleep(rule.delay()).await;
    }
    match rule.action {
        Action::Delay | Action::Status | Action::StatusAfterCommit | Action::Garbage | Action::Html => {
            Ending::Answer(reply.whole())
        }
        Action::DropBefore | Action::DropAfterCommit => Ending::Drop,
        Action::Hang => Ending::Hang,
        Action::HalfAnswer => Ending::Answer(reply.half()),
    }
}

/// Corrects the ledger when the exchange is abandoned before the answer was handed over.
struct Promise<'a> {
    sandbox: &'a Sandbox,
    entries: std::ops::RangeInclusive<usize>,
    kept: bool,
}

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        let mut state = self.sandbox.lock();
        state.at_once.now = state.at_once.now.saturating_sub(1);
        if !self.kept {
            self.entries.clone().for_each(|seq| state.ledger.unanswered(seq));
        }
    }
}
