//! A career site's view of the gateway: requests to the public listener, and the wait for what becomes of them.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::Full;
use serde_json::Value;

use crate::client::Client;
use crate::contract::{Contract, Seen};
use crate::process::{run, until};

/// Every answer is held against the program's own documents, whatever the test is about.
fn as_described(seen: &Seen<'_>) -> Result<()> {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    let contract = match CONTRACT.get() {
        Some(contract) => contract,
        None => {
            let public = run(&[], &["openapi"], "")?.answer()?;
            let management = run(&[], &["openapi", "--management"], "")?.answer()?;
            CONTRACT.get_or_init(|| Contract::of(&[public, management]))
        }
    };
    // A panic: some tests take an error for no answer, and this one is ours.
    if let Err(why) = contract.check(seen) {
        panic!("not as the document says: {why}");
    }
    Ok(())
}

/// A site with its key.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) gateway: SocketAddr,
    pub(crate) key: String,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    /// The problem's code; empty for a receipt.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().filter(|_| self.status >= 400).unwrap_or_default().to_owned()
    }

    /// The application's id.
    pub(crate) fn id(&self) -> Result<String> {
        let json = self.json();
        json["id"]
            .as_str()
            .filter(|_| self.status == 202)
            .map(str::to_owned)
            .with_context(|| format!("no receipt: {self}"))
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status, String::from_utf8_lossy(&self.bytes))
    }
}

impl Site {
    /// Sends a body with these headers, the key among them unless `headers` brings its own authorization.
    pub(crate) async fn post(&self, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Result<Answer> {
        self.send("POST", "/v1/applications", headers, body.into()).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Bytes) -> Result<Answer> {
        let mut request = Request::builder().method(method).uri(path).header("host", self.gateway.to_string());
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.header("authorization", format!("Bearer {}", self.key));
        }
        // An empty value means: without this header.
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let mut client = Client::new(self.gateway, Duration::from_secs(40));
        let (parts, bytes) = client.send(request.body(Full::new(body))?).await?.into_parts();
        as_described(&Seen { method, path, status: parts.status.as_u16(), headers: &parts.headers, body: &bytes })?;
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, bytes })
    }

    /// Posts a document as JSON.
    pub(crate) async fn apply(&self, key: &str, document: &Value) -> Result<Answer> {
        self.post(&[("content-type", "application/json"), ("idempotency-key", key)], document.to_string()).await
    }

    /// `GET /v1/applications/{id}`.
    pub(crate) async fn view(&self, id: &str) -> Result<Answer> {
        self.send("GET", &format!("/v1/applications/{id}"), &[], Bytes::new()).await
    }

    /// Each target's account and state.
    pub(crate) async fn states(&self, id: &str) -> Result<Vec<(String, String)>> {
        let view = self.view(id).await?.json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let targets = view["targets"].as_array().into_iter().flatten();
        Ok(targets.map(|target| (text(&target["account"]), text(&target["state"]))).collect())
    }

    /// Waits until every target of an application is in one of these states.
    pub(crate) async fn all_are(&self, id: &str, wanted: &[&str]) -> Result<Vec<(String, String)>> {
        let what = format!("{id} to be {wanted:?}");
        until(&what, Duration::from_secs(45), async || {
            let states = self.states(id).await?;
            let there = !states.is_empty() && states.iter().all(|(_, state)| wanted.contains(&state.as_str()));
            if there { Ok(states) } else { anyhow::bail!("{states:?}") }
        })
        .await
    }
}
