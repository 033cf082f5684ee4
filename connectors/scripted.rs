//! For tests: a vendor that answers by script, and what every connector's tests need beside it.
//!
//! The script answers in order and fails the test on a request it does not expect; nothing here waits or opens a socket. How
//! a request is told in one line is the vendor's own (`told`), as is everything about its documents.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::account::{Account, OnInvalid, OnUnknown, Repeats, Role};
use causeway_core::application::Application;
use causeway_core::clock::SeededEntropy;
use causeway_core::connector::{Delivery, File, Http, SendError};
use causeway_core::delivery::Refs;
use causeway_core::ids::{AccountId, DeliveryId, SubmissionId, TenantId};
use causeway_core::posting::{Form, Posting, words};
use http::{Request, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Runs a future that never has to wait.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a scripted call never waits"),
    }
}

/// One expected request and its answer.
pub(crate) type Exchange = (&'static str, Result<Response<Bytes>, SendError>);

/// See the module's documentation.
pub(crate) struct Script {
    told: fn(&Request<Bytes>) -> String,
    exchanges: Mutex<VecDeque<Exchange>>,
    pub(crate) bodies: Mutex<Vec<Bytes>>,
}

impl Script {
    /// A vendor whose requests are told like this.
    pub(crate) fn telling(told: fn(&Request<Bytes>) -> String, exchanges: impl IntoIterator<Item = Exchange>) -> Self {
        Self { told, exchanges: Mutex::new(exchanges.into_iter().collect()), bodies: Mutex::default() }
    }

    pub(crate) fn assert_finished(&self) {
        let left: Vec<_> = self.exchanges.lock().unwrap().iter().map(|(request, _)| *request).collect();
        assert!(left.is_empty(), "never asked: {left:?}");
    }

    /// What the request at this place sent, as JSON.
    pub(crate) fn sent(&self, index: usize) -> Value {
        serde_json::from_slice(&self.bodies.lock().unwrap()[index]).unwrap()
    }
}

#[async_trait]
impl Http for Script {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, SendError> {
        let told = (self.told)(&request);
        self.bodies.lock().unwrap().push(request.into_body());
        let (expected, answer) =
            self.exchanges.lock().unwrap().pop_front().unwrap_or_else(|| panic!("unexpected: {told}"));
        assert_eq!(told, expected);
        answer
    }
}

pub(crate) fn answer(status: u16, body: &str) -> Result<Response<Bytes>, SendError> {
    Ok(Response::builder().status(status).body(Bytes::copy_from_slice(body.as_bytes())).unwrap())
}

pub(crate) fn with_header(
    answer: Result<Response<Bytes>, SendError>,
    name: &'static str,
    value: &str,
) -> Result<Response<Bytes>, SendError> {
    let mut response = answer?;
    response.headers_mut().insert(name, value.parse().unwrap());
    Ok(response)
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// An account at this connector, with these settings.
pub(crate) fn account(connector: &str, role: Role, settings: &[(&str, &str)]) -> Account {
    let entropy = SeededEntropy::new(1);
    let settings: BTreeMap<String, Value> =
        settings.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    Account {
        id: AccountId::new(Timestamp::UNIX_EPOCH, &entropy),
        tenant: TenantId::new(Timestamp::UNIX_EPOCH, &entropy),
        name: connector.to_owned(),
        connector: connector.to_owned(),
        role,
        settings,
        allow_private: false,
        on_invalid: OnInvalid::default(),
        repeats: Repeats::default(),
        on_unknown: OnUnknown::default(),
    }
}

/// Files by attachment id and content.
pub(crate) fn files<const N: usize>(contents: [(&str, &'static str); N]) -> Vec<File> {
    contents.map(|(id, text)| File { id: id.to_owned(), bytes: Bytes::from_static(text.as_bytes()) }).to_vec()
}

pub(crate) fn application(document: &str) -> Application {
    Application::parse(document.as_bytes()).unwrap()
}

/// What a delivery is made of.
pub(crate) struct Made<'a> {
    pub(crate) account: &'a Account,
    pub(crate) posting: Posting,
    pub(crate) form: Form,
    pub(crate) document: &'a str,
    pub(crate) files: Vec<File>,
    pub(crate) refs: &'a Refs,
    pub(crate) now: &'a str,
}

/// Hands a delivery, received on the first of November at ten, to `test`.
pub(crate) fn with_delivery<T>(made: &Made<'_>, test: impl FnOnce(&Delivery<'_>) -> T) -> T {
    let entropy = SeededEntropy::new(2);
    let application = application(made.document);
    test(&Delivery {
        id: DeliveryId::new(Timestamp::UNIX_EPOCH, &entropy),
        application_id: SubmissionId::new(Timestamp::UNIX_EPOCH, &entropy),
        code: "ABCD",
        received_at: at("2026-11-01T10:00:00Z"),
        account: made.account,
        posting: &made.posting,
        form: Some(&made.form),
        application: &application,
        files: &made.files,
        fields: &[],
        refs: made.refs,
        now: at(made.now),
    })
}

/// What a schema says about a document, in the words of the nearest enclosing subschema that has them:
/// pointer, reason, message.
pub(crate) fn complaints(schema: &Value, document: &Value) -> Vec<(String, String, String)> {
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
