//! A client for tests: one connection per request, loopback, port 0.

use anyhow::Context;
use axum::body::Body;
use http::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::{Options, Running, start};

/// A running sandbox and the way to talk to it.
pub(crate) struct Bench {
    pub(crate) running: Running,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Bench {
    pub(crate) async fn start(name: &str) -> Self {
        Self::seeded(name, 7).await
    }

    pub(crate) async fn seeded(name: &str, seed: u64) -> Self {
        let listen = "127.0.0.1:0".parse().unwrap();
        let running = start(name, Options { listen, seed }).await.unwrap();
        Self { running }
    }

    pub(crate) fn credential(&self, name: &str) -> String {
        self.running.announcement()["credentials"][name].as_str().unwrap().to_owned()
    }

    pub(crate) fn setting(&self, name: &str) -> String {
        self.running.announcement()["settings"][name].as_str().unwrap().to_owned()
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> anyhow::Result<Answer> {
        let stream = TcpStream::connect(self.running.address()).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let mut request = Request::builder().method(method).uri(path).header("host", "sandbox");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.into()))?;
        let exchange = async {
            let response = sender.send_request(request).await?;
            let (parts, body) = response.into_parts();
            let body = axum::body::to_bytes(Body::new(body), usize::MAX).await?;
            anyhow::Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: body.to_vec() })
        };
        tokio::pin!(exchange);
        tokio::select! {
            biased;
            answer = &mut exchange => answer,
            ended = connection => {
                ended.context("the connection broke")?;
                exchange.await
            }
        }
    }

    /// JSON in, status and JSON out.
    pub(crate) async fn json(&self, method: &str, path: &str, auth: &str, body: &Value) -> Answer {
        let headers = [("authorization", auth), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, &headers, body).await.unwrap()
    }

    pub(crate) async fn control(&self, path: &str, body: &Value) -> Value {
        let answer = self.json("POST", &format!("/_sandbox/{path}"), "", body).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.json()
    }

    pub(crate) async fn fault(&self, rule: Value) {
        self.control("faults", &json!({ "replace": true, "rules": [rule] })).await;
    }

    pub(crate) async fn look(&self, path: &str) -> Value {
        self.send("GET", &format!("/_sandbox/{path}"), &[], "").await.unwrap().json()
    }

    pub(crate) async fn ledger(&self) -> Vec<Value> {
        self.look("ledger?after=0").await["entries"].as_array().unwrap().clone()
    }
}
