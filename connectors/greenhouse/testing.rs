//! What the tests of this folder share: a scripted vendor, a delivery, the documents of `testdata/`, schema complaints.
//!
//! The script answers in order and fails the test on a request it does not expect; nothing here waits or opens a socket.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::account::{Account, OnInvalid, OnUnknown, Repeats, Role};
use causeway_core::application::Application;
use causeway_core::clock::SeededEntropy;
use causeway_core::connector::{Delivery, File, Http, SendError, UseAuth};
use causeway_core::delivery::Refs;
use causeway_core::ids::{AccountId, DeliveryId, SubmissionId, TenantId};
use causeway_core::posting::{Form, Posting, words};
use http::{Request, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{form, wire};

pub(super) const APPLICATION: &str = include_str!("testdata/application.json");
pub(super) const OTHER: &str = include_str!("testdata/application-other.json");
pub(super) const JOB: &str = include_str!("testdata/job.json");

/// Runs a future that never has to wait.
pub(super) fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a scripted call never waits"),
    }
}

/// One expected request and its answer.
pub(super) type Exchange = (&'static str, Result<Response<Bytes>, SendError>);

/// A vendor that answers by script. A request is told as `METHOD scheme path?query`.
pub(super) struct Script {
    exchanges: Mutex<VecDeque<Exchange>>,
    pub(super) bodies: Mutex<Vec<Bytes>>,
}

impl Script {
    pub(super) fn new(exchanges: impl IntoIterator<Item = Exchange>) -> Self {
        Self { exchanges: Mutex::new(exchanges.into_iter().collect()), bodies: Mutex::default() }
    }

    pub(super) fn assert_finished(&self) {
        let left: Vec<_> = self.exchanges.lock().unwrap().iter().map(|(request, _)| *request).collect();
        assert!(left.is_empty(), "never asked: {left:?}");
    }
}

#[async_trait]
impl Http for Script {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, SendError> {
        let scheme = request.extensions().get::<UseAuth>().map_or("bare", |auth| auth.0);
        let told = format!("{} {scheme} {}", request.method(), request.uri());
        self.bodies.lock().unwrap().push(request.into_body());
        let (expected, answer) =
            self.exchanges.lock().unwrap().pop_front().unwrap_or_else(|| panic!("unexpected: {told}"));
        assert_eq!(told, expected);
        answer
    }
}

pub(super) fn answer(status: u16, body: &str) -> Result<Response<Bytes>, SendError> {
    Ok(Response::builder().status(status).body(Bytes::copy_from_slice(body.as_bytes())).unwrap())
}

pub(super) fn with_header(
    answer: Result<Response<Bytes>, SendError>,
    name: &'static str,
    value: &str,
) -> Result<Response<Bytes>, SendError> {
    let mut response = answer?;
    response.headers_mut().insert(name, value.parse().unwrap());
    Ok(response)
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn account(settings: &[(&str, &str)]) -> Account {
    let entropy = SeededEntropy::new(1);
    let settings: BTreeMap<String, Value> =
        settings.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    Account {
        id: AccountId::new(Timestamp::UNIX_EPOCH, &entropy),
        tenant: TenantId::new(Timestamp::UNIX_EPOCH, &entropy),
        name: "greenhouse".to_owned(),
        connector: "greenhouse".to_owned(),
        role: Role::Ats,
        settings,
        allow_private: false,
        on_invalid: OnInvalid::default(),
        repeats: Repeats::default(),
        on_unknown: OnUnknown::default(),
    }
}

pub(super) fn acme() -> Account {
    account(&[
        ("board_token", "acme"),
        ("board_url", "http://board.example.org"),
        ("harvest_url", "http://harvest.example.org/"),
    ])
}

pub(super) fn files() -> Vec<File> {
    [("cv", "hello"), ("letter", "world"), ("work", "work"), ("extra", "xtra")]
        .map(|(id, text)| File { id: id.to_owned(), bytes: Bytes::from_static(text.as_bytes()) })
        .to_vec()
}

pub(super) fn published(job: &str) -> Form {
    form::form(serde_json::from_str::<wire::Questions>(job).unwrap())
}

pub(super) fn application(document: &str) -> Application {
    Application::parse(document.as_bytes()).unwrap()
}

/// Hands a delivery of `testdata/application.json` to posting 44444, received and tried at 10:00, to `test`.
pub(super) fn with_delivery<T>(account: &Account, now: &str, test: impl FnOnce(&Delivery<'_>) -> T) -> T {
    let entropy = SeededEntropy::new(2);
    let posting = Posting { posting_id: "44444".to_owned(), ..Posting::default() };
    let (application, form, files) = (application(APPLICATION), published(JOB), files());
    test(&Delivery {
        id: DeliveryId::new(Timestamp::UNIX_EPOCH, &entropy),
        application_id: SubmissionId::new(Timestamp::UNIX_EPOCH, &entropy),
        code: "ABCD",
        received_at: at("2026-11-01T10:00:00Z"),
        account,
        posting: &posting,
        form: Some(&form),
        application: &application,
        files: &files,
        fields: &[],
        refs: &Refs::new(),
        now: at(now),
    })
}

/// What a schema says about a document, in the words of the nearest enclosing subschema that has them:
/// pointer, reason, message.
pub(super) fn complaints(schema: &Value, document: &Value) -> Vec<(String, String, String)> {
    let options = jsonschema::options().with_pattern_options(jsonschema::PatternOptions::regex());
    let validator = options.should_validate_formats(true).offline().build(schema).unwrap();
    let mut complaints: Vec<_> = validator
        .iter_errors(document)
        .map(|error| {
            let mut path = error.schema_path().as_str();
            let said = loop {
                if let Some(said) = schema.pointer(path).and_then(|subschema| subschema.get(words::KEYWORD)) {
                    break said;
                }
                path = path.rsplit_once('/').map_or_else(|| panic!("no words for {error}"), |(before, _)| before);
            };
            let text = |member: &str| said[member].as_str().map(str::to_owned);
            let pointer = text("pointer").unwrap_or_else(|| error.instance_path().as_str().to_owned());
            (pointer, text("reason").unwrap(), text("message").unwrap())
        })
        .collect();
    complaints.sort();
    complaints
}
