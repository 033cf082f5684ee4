//! The connector's tests: `outcomes` (verdicts, a table over testdata/), `flow` (each step against a scripted HubSpot),
//! `mapping` (properties, and the README's list of every field's fate).
//!
//! Here: the scripted HubSpot, which answers from testdata/ and remembers what it was sent; and one invented delivery.

mod fields;
mod flow;
mod mapping;
mod outcomes;

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::account::{Account, Role};
use causeway_core::application::Application;
use causeway_core::connector::{Delivery, Http, SendError, UseAuth};
use causeway_core::delivery::Refs;
use causeway_core::overlay::Filled;
use causeway_core::posting::Posting;
use http::{Request, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::scripted;
pub(super) use crate::scripted::run as at_once;

pub(super) const NOW: &str = "2026-03-12T07:34:00Z";
pub(super) const APPLICATION: &str = "sub_00000000000070008000000000000001";
pub(super) const BY_EMAIL: &str = "/crm/v3/objects/contacts/ada%40example.org";

/// A stored answer.
pub(super) fn answer(name: &str) -> Response<Bytes> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("hubspot/testdata").join(format!("{name}.json"));
    let stored: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(stored["source"].as_str().is_some_and(|source| !source.is_empty()), "{name} names no source");
    assert!(stored["date"].as_str().is_some_and(|date| date.starts_with("20")), "{name} has no date");
    let body = match &stored["body"] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        body => body.to_string(),
    };
    let mut response = Response::builder().status(u16::try_from(stored["status"].as_u64().unwrap()).unwrap());
    for (name, value) in stored["headers"].as_object().unwrap() {
        response = response.header(name.as_str(), value.as_str().unwrap());
    }
    response.body(Bytes::from(body)).unwrap()
}

/// `GET /path` and the names of the answers it gives in turn; the last one is repeated. `!unknown`, `!not_sent`,
/// `!not_now` are answers that do not come.
pub(super) type Route<'a> = (&'a str, &'a [&'a str]);

/// What was sent.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) line: String,
    pub(super) body: Value,
}

/// HubSpot, as far as a test needs it.
pub(super) struct Portal<'a> {
    routes: Vec<Route<'a>>,
    sent: Mutex<Vec<Sent>>,
}

impl<'a> Portal<'a> {
    pub(super) fn new(routes: &[Route<'a>]) -> Self {
        Self { routes: routes.to_vec(), sent: Mutex::default() }
    }

    pub(super) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was sent to change something.
    pub(super) fn writes(&self) -> Vec<Sent> {
        let reads = |line: &str| line.starts_with("GET") || line.ends_with("/search") || line.ends_with("/batch/read");
        self.sent().into_iter().filter(|sent| !reads(&sent.line)).collect()
    }
}

#[async_trait]
impl Http for Portal<'_> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, SendError> {
        assert_eq!(request.extensions().get(), Some(&UseAuth("token")), "every request is authenticated");
        assert_eq!(request.uri().host(), Some("api.hubapi.com"));
        let line = format!("{} {}", request.method(), request.uri().path());
        let body = serde_json::from_slice(request.body()).unwrap_or_default();
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let before = sent.iter().filter(|sent| sent.line == line).count();
        sent.push(Sent { line: line.clone(), body });
        let Some((_, names)) = self.routes.iter().find(|(route, _)| *route == line) else {
            panic!("the test has no answer to {line}");
        };
        match *names.get(before).or(names.last()).unwrap() {
            "!unknown" => Err(SendError::Unknown("time-out")),
            "!not_sent" => Err(SendError::NotSent("no connection")),
            "!not_now" => Err(SendError::NotNow { until: "2026-03-12T07:34:05Z".parse().unwrap() }),
            name => Ok(answer(name)),
        }
    }
}

/// Everything a delivery borrows.
pub(super) struct Fixture {
    pub(super) account: Account,
    pub(super) posting: Posting,
    pub(super) application: Application,
    pub(super) refs: Refs,
    pub(super) fields: Vec<Filled>,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let application = json!({
            "job": "4012345",
            "person": {
                "name": { "given": "Ada", "family": "Example" },
                "emails": [{ "address": "ada@example.org" }],
                "phones": [{ "raw": "555 0100", "e164": "+15550100" }],
                "address": { "lines": ["1 Sample Street"], "city": "Berlin", "postal_code": "10115", "country": "DE" },
            },
        });
        Self {
            account: scripted::account("hubspot", Role::Crm, &[]),
            posting: Posting {
                posting_id: "4012345".to_owned(),
                requisition_code: Some("R-17".to_owned()),
                title: "Engineer".to_owned(),
                ..Posting::default()
            },
            application: Application::parse(application.to_string().as_bytes()).unwrap(),
            refs: Refs::new(),
            fields: Vec::new(),
        }
    }

    pub(super) fn with_settings(mut self, settings: &[(&str, &str)]) -> Self {
        self.account.settings = settings.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        self
    }

    pub(super) fn with_refs(mut self, refs: &[(&str, &str)]) -> Self {
        self.refs = refs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self
    }

    pub(super) fn delivery(&self) -> Delivery<'_> {
        Delivery {
            id: "del_00000000000070008000000000000004".parse().unwrap(),
            application_id: APPLICATION.parse().unwrap(),
            code: "K7Q2-M9XD",
            received_at: "2026-03-12T07:33:00Z".parse().unwrap(),
            account: &self.account,
            posting: &self.posting,
            form: None,
            application: &self.application,
            files: &[],
            fields: &self.fields,
            refs: &self.refs,
            now: now(),
        }
    }
}

pub(super) fn now() -> Timestamp {
    NOW.parse().unwrap()
}
