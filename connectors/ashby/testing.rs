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
use causeway_core::connector::{Delivery, File, Http, NamedByVendor, SendError, UseAuth};
use causeway_core::delivery::Refs;
use causeway_core::ids::{AccountId, DeliveryId, SubmissionId, TenantId};
use causeway_core::posting::{Form, Posting, words};
use http::{Request, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{form, wire};

pub(super) const APPLICATION: &str = include_str!("testdata/application.json");
pub(super) const POSTING: &str = include_str!("testdata/posting.json");
pub(super) const POSTING_ID: &str = "11111111-1111-4111-8111-111111111111";
pub(super) const JOB_ID: &str = "22222222-2222-4222-8222-222222222222";

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

/// A vendor that answers by script. A request is told as `key <verb>`, or as `bare <url>` when it goes where an answer said.
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

    /// What the request at this place sent, as JSON.
    pub(super) fn sent(&self, index: usize) -> Value {
        serde_json::from_slice(&self.bodies.lock().unwrap()[index]).unwrap()
    }
}

#[async_trait]
impl Http for Script {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, SendError> {
        assert_eq!(request.method(), "POST", "every verb is a POST");
        let named = request.extensions().get::<NamedByVendor>().is_some();
        let told = match request.extensions().get::<UseAuth>() {
            Some(UseAuth(scheme)) => {
                assert!(!named, "no key goes to a host that an answer named");
                assert_eq!(request.headers()["accept"], "application/json; version=1");
                assert_eq!(request.uri().host(), Some("ashby.example.org"));
                format!("{scheme} {}", request.uri().path().trim_start_matches('/'))
            }
            None => {
                assert!(named, "a bare request says why it is one");
                format!("bare {}", request.uri())
            }
        };
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

/// A 200 that says yes.
pub(super) fn yes(results: &Value) -> Result<Response<Bytes>, SendError> {
    answer(200, &json!({ "success": true, "results": results }).to_string())
}

/// A 200 that says no.
pub(super) fn no(code: &str) -> Result<Response<Bytes>, SendError> {
    let info = json!({ "code": code, "message": "No", "requestId": "r" });
    answer(200, &json!({ "success": false, "errors": [code], "errorInfo": info }).to_string())
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
        name: "ashby".to_owned(),
        connector: "ashby".to_owned(),
        role: Role::Ats,
        settings,
        allow_private: false,
        on_invalid: OnInvalid::default(),
        repeats: Repeats::default(),
        on_unknown: OnUnknown::default(),
    }
}

pub(super) fn acme() -> Account {
    account(&[("base_url", "https://ashby.example.org/")])
}

pub(super) fn files() -> Vec<File> {
    [("cv", "hello"), ("work", "work"), ("extra", "xtra")]
        .map(|(id, text)| File { id: id.to_owned(), bytes: Bytes::from_static(text.as_bytes()) })
        .to_vec()
}

pub(super) fn published(info: &str) -> Form {
    let envelope: Value = serde_json::from_str(info).unwrap();
    form::form(serde_json::from_value::<wire::PostingInfo>(envelope["results"].clone()).unwrap())
}

pub(super) fn application(document: &str) -> Application {
    Application::parse(document.as_bytes()).unwrap()
}

/// Hands a delivery of this document, received and tried at 11:00, to `test`.
pub(super) fn with_document<T>(document: &str, refs: &Refs, test: impl FnOnce(&Delivery<'_>) -> T) -> T {
    let entropy = SeededEntropy::new(2);
    let posting =
        Posting { posting_id: POSTING_ID.to_owned(), vendor_job_id: Some(JOB_ID.to_owned()), ..Posting::default() };
    let (account, application, form, files) = (acme(), application(document), published(POSTING), files());
    test(&Delivery {
        id: DeliveryId::new(Timestamp::UNIX_EPOCH, &entropy),
        application_id: SubmissionId::new(Timestamp::UNIX_EPOCH, &entropy),
        code: "ABCD",
        received_at: at("2026-11-01T10:00:00Z"),
        account: &account,
        posting: &posting,
        form: Some(&form),
        application: &application,
        files: &files,
        fields: &[],
        refs,
        now: at("2026-11-01T11:00:00Z"),
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
