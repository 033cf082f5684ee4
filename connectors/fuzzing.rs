//! A fuzz target over the connectors: whatever a vendor answers, the verdict is one, and a yes was a yes.
//!
//! Bytes become the answers to every request that a connector makes, in turn. Here only what holds for every vendor is
//! asked; what a vendor's yes looks like, its own folder's tests ask. For tests and behind a feature.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::account::{Account, OnInvalid, OnUnknown, Repeats, Role};
use causeway_core::application::Application;
use causeway_core::clock::SeededEntropy;
use causeway_core::connector::{Connector, Delivery, File, Http, SendError};
use causeway_core::delivery::Refs;
use causeway_core::ids::{AccountId, DeliveryId, SubmissionId, TenantId};
use causeway_core::outcome::{Class, Found, Outcome};
use causeway_core::posting::Posting;
use http::{HeaderValue, Request, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// Between two answers.
const SEPARATOR: &[u8] = b"\n~~~\n";

/// A vendor that answers with these, and then no more.
struct Script {
    answers: Mutex<VecDeque<Result<Response<Bytes>, SendError>>>,
    given: Mutex<Vec<Response<Bytes>>>,
    asked: Mutex<u32>,
}

impl Script {
    fn new(bytes: &[u8]) -> Self {
        let mut answers = VecDeque::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = rest.windows(SEPARATOR.len()).position(|window| window == SEPARATOR);
            let (one, after) = end.map_or((rest, &[][..]), |end| (&rest[..end], &rest[end + SEPARATOR.len()..]));
            answers.push_back(answer(one));
            rest = after;
        }
        Self { answers: Mutex::new(answers), given: Mutex::default(), asked: Mutex::default() }
    }
}

/// A line with the status and `Retry-After`, then the body. Three words stand for no answer at all.
fn answer(bytes: &[u8]) -> Result<Response<Bytes>, SendError> {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (head, body) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    let mut words = head.splitn(2, |byte| *byte == b' ');
    let (status, wait) = (words.next().unwrap_or_default(), words.next());
    match status {
        b"unsent" => return Err(SendError::NotSent("no connection")),
        b"lost" => return Err(SendError::Unknown("reset")),
        b"later" => return Err(SendError::NotNow { until: NOW }),
        _ => {}
    }
    let number = std::str::from_utf8(status).ok().and_then(|text| text.trim().parse::<u16>().ok());
    let status = number.filter(|number| (100..600).contains(number)).unwrap_or(200);
    let mut response = Response::new(Bytes::copy_from_slice(body));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    if let Some(wait) = wait.and_then(|wait| HeaderValue::from_bytes(wait).ok()) {
        response.headers_mut().insert("retry-after", wait.clone());
        response.headers_mut().insert("link", wait);
    }
    Ok(response)
}

#[async_trait]
impl Http for Script {
    async fn send(&self, _: Request<Bytes>) -> Result<Response<Bytes>, SendError> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        *asked += 1;
        assert!(*asked < 2_000, "a vendor's answers must not keep us asking for ever");
        let next = self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let next = next.unwrap_or(Err(SendError::Unknown("no more answers")));
        if let Ok(response) = &next {
            self.given.lock().unwrap_or_else(PoisonError::into_inner).push(response.clone());
        }
        next
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a scripted call never waits"),
    }
}

fn account(connector: &dyn Connector) -> Account {
    let (descriptor, entropy) = (connector.describe(), SeededEntropy::new(1));
    let value = |url: bool| Value::from(if url { "https://vendor.example.org" } else { "acme" });
    let settings: BTreeMap<String, Value> = descriptor
        .settings
        .iter()
        .filter(|field| field.required)
        .map(|field| (field.name.to_owned(), value(field.is_url)))
        .collect();
    Account {
        id: AccountId::new(NOW, &entropy),
        tenant: TenantId::new(NOW, &entropy),
        name: descriptor.name.to_owned(),
        connector: descriptor.name.to_owned(),
        role: descriptor.roles.first().copied().unwrap_or(Role::Ats),
        settings,
        allow_private: false,
        on_invalid: OnInvalid::default(),
        repeats: Repeats::default(),
        on_unknown: OnUnknown::default(),
    }
}

fn application() -> Application {
    let document = json!({
        "job": "4001",
        "person": { "name": { "given": "Ada", "family": "Example" }, "emails": [{ "address": "ada@example.org" }],
            "phones": [{ "raw": "+49 30 0000000" }] },
        "attachments": [{ "id": "cv", "kind": "resume", "name": "cv.pdf", "media_type": "application/pdf", "size": 4 }],
        "consents": [{ "purpose": "application", "basis": "consent", "given": true }],
    });
    Application::parse(document.to_string().as_bytes()).expect("an application of ours")
}

/// What a delivery is made of.
struct Stage {
    account: Account,
    application: Application,
    posting: Posting,
    files: [File; 1],
    entropy: SeededEntropy,
}

impl Stage {
    fn of(connector: &dyn Connector) -> Self {
        Self {
            account: account(connector),
            application: application(),
            posting: Posting { posting_id: "4001".to_owned(), ..Posting::default() },
            files: [File { id: "cv".to_owned(), bytes: Bytes::from_static(b"%PDF") }],
            entropy: SeededEntropy::new(2),
        }
    }

    fn delivery<'a>(&'a self, refs: &'a Refs) -> Delivery<'a> {
        Delivery {
            id: DeliveryId::new(NOW, &self.entropy),
            application_id: SubmissionId::new(NOW, &self.entropy),
            code: "ABCD-EFGH",
            received_at: NOW,
            account: &self.account,
            posting: &self.posting,
            form: None,
            application: &self.application,
            files: &self.files,
            fields: &[],
            refs,
            now: NOW,
        }
    }
}

/// What a step came to.
pub(crate) struct Tried {
    pub(crate) step: &'static str,
    pub(crate) outcome: Outcome,
    /// What the vendor answered to it.
    pub(crate) answers: Vec<Response<Bytes>>,
}

/// Every step that the connector plans, over these answers.
pub(crate) fn tried(connector: &dyn Connector, bytes: &[u8]) -> Vec<Tried> {
    let (stage, http) = (Stage::of(connector), Script::new(bytes));
    let mut refs = Refs::new();
    let plan = connector.plan(&stage.delivery(&refs));
    let mut all = Vec::new();
    for step in plan {
        let outcome = run(connector.run(step.name, &stage.delivery(&refs), &http));
        let answers = std::mem::take(&mut *http.given.lock().unwrap_or_else(PoisonError::into_inner));
        let found = run(connector.find(step.name, &stage.delivery(&refs), NOW, &Script::new(bytes)));
        if let Found::Seen(records) = found {
            assert!(records.iter().all(|record| !record.vendor_id.is_empty()), "a record has an id");
        }
        refs.extend(outcome.refs.clone());
        all.push(Tried { step: step.name, outcome, answers });
    }
    all
}

/// Whatever the vendors answer: nothing breaks or asks for ever, a yes rests on an answer, and what is told of an answer is
/// bounded. Pages of jobs lead on only by a cursor that was told.
///
/// # Panics
/// When that is not so.
pub fn answers(bytes: &[u8]) {
    for connector in crate::all() {
        one(&connector, bytes);
    }
}

fn one(connector: &Arc<dyn Connector>, bytes: &[u8]) {
    for Tried { step, outcome, answers } in tried(connector.as_ref(), bytes) {
        let yes = matches!(outcome.class, Class::Accepted | Class::AlreadyThere);
        let heard = answers.iter().any(|answer| answer.status().is_success());
        // A read that the credentials may not do proves nothing and is no failure: it ends in a case.
        assert!(!yes || heard || outcome.case.is_some(), "{step}: a yes that nobody said");
        let words = outcome.vendor_words.as_ref().map_or(0, |words| words.reveal().chars().count());
        assert!(words <= 2_000, "{step}: {words} characters of the vendor's");
        let ids = outcome.refs.values().chain(&outcome.vendor_id);
        assert!(ids.into_iter().all(|id| !id.is_empty()), "{step}: an id is something");
    }
    let account = account(connector.as_ref());
    let http = Script::new(bytes);
    let mut cursor = None;
    for _ in 0..4 {
        let Ok(page) = run(connector.list_jobs(&account, cursor.as_deref(), &http)) else { break };
        let given = http.given.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(next) = page.next else { break };
        let told = given.iter().any(|answer| {
            let cursor = serde_json::from_slice::<Value>(answer.body()).unwrap_or_default();
            !answer.headers().is_empty() || cursor.to_string().contains(&*json!(next).to_string())
        });
        assert!(told, "a cursor is the vendor's");
        cursor = Some(next);
    }
    for permission in run(connector.check(&account, &Script::new(bytes))) {
        assert!(!permission.text.is_empty() && permission.text.len() < 4_000, "{}: says why", permission.name);
    }
}

#[cfg(test)]
#[path = "fuzzing_tests.rs"]
pub(crate) mod tests;
