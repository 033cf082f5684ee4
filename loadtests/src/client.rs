//! A small HTTP/1.1 client for load: one kept-alive connection per caller, no pool, no retries of its own.
//!
//! An error means "no answer": whether the request was handled is not known, and the caller's ledger says so.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const ANSWER_BYTES_MAX: usize = 1 << 30;

/// One connection, opened when first needed and again after an error.
pub(crate) struct Client {
    address: SocketAddr,
    deadline: Duration,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, deadline: Duration) -> Self {
        Self { address, deadline, sender: None }
    }

    /// Sends one request and reads the whole answer.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>> {
        let answered = tokio::time::timeout(self.deadline, self.exchange(request)).await;
        match answered {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                self.sender = None;
                Err(error)
            }
            Err(_) => {
                self.sender = None;
                bail!("no answer within {:?}", self.deadline)
            }
        }
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>> {
        if self.sender.as_ref().is_none_or(SendRequest::is_closed) {
            self.sender = Some(self.connect().await?);
        }
        let sender = self.sender.as_mut().context("connected above")?;
        sender.ready().await?;
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect_all().await?;
        Ok(Response::from_parts(parts, body))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the connection's task ends with the connection, which this client owns"
        )]
        tokio::spawn(async move {
            // Whoever sent a request on it sees the error; a connection closed while idle is no news.
            drop(connection.await);
        });
        Ok(sender)
    }

    /// A JSON request; `token` is a bearer key.
    pub(crate) async fn json(
        &mut self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&serde_json::Value>,
    ) -> Result<(u16, serde_json::Value)> {
        let mut request = Request::builder().method(method).uri(path).header("host", self.address.to_string());
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let bytes = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Bytes::from(serde_json::to_vec(body)?)
            }
            None => Bytes::new(),
        };
        let response = self.send(request.body(Full::new(bytes))?).await?;
        let status = response.status().as_u16();
        let value = serde_json::from_slice(response.body()).unwrap_or(serde_json::Value::Null);
        Ok((status, value))
    }
}

/// Reading a bounded body to its end.
trait CollectAll {
    async fn collect_all(self) -> Result<Bytes>;
}

impl CollectAll for Limited<hyper::body::Incoming> {
    async fn collect_all(self) -> Result<Bytes> {
        #[expect(clippy::disallowed_methods, reason = "the body is bounded by `Limited`")]
        let collected = self.collect().await.map_err(|error| anyhow::anyhow!("reading the answer: {error}"))?;
        Ok(collected.to_bytes())
    }
}
