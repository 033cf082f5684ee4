//! One request on one connection: what the demonstration's site and director need, and no more.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

const ANSWER_BYTES_MAX: usize = 64 << 20;
const DEADLINE: Duration = Duration::from_secs(60);

/// Sends a request and reads the answer: status and body.
pub(super) async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Result<(u16, Bytes)> {
    tokio::time::timeout(DEADLINE, exchange(address, request)).await.context("no answer in a minute")?
}

async fn exchange(address: SocketAddr, request: Request<Full<Bytes>>) -> Result<(u16, Bytes)> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        #[expect(clippy::disallowed_methods, reason = "the body is bounded by `Limited`")]
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|_| anyhow::anyhow!("the answer could not be read"))?;
        Ok((status, body.to_bytes()))
    };
    // The connection is driven only while its one answer is awaited; both end together.
    tokio::pin!(connection);
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        ended = &mut connection => {
            ended?;
            answer.await
        }
    }
}

/// A JSON request; headers are `(name, value)`.
pub(super) async fn json(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Result<(u16, Value)> {
    let mut request = Request::builder().method(method).uri(path).header("host", address.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let bytes = match body {
        Some(body) => {
            request = request.header("content-type", "application/json");
            Bytes::from(serde_json::to_vec(body)?)
        }
        None => Bytes::new(),
    };
    let (status, bytes) = send(address, request.body(Full::new(bytes))?).await?;
    Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
}

/// A multipart body of one JSON part `application` and files: content type and bytes.
pub(super) fn multipart(document: &[u8], files: &[(&str, &str, &str, &[u8])]) -> (String, Bytes) {
    const BOUNDARY: &str = "causeway-demo-9c41";
    let mut body = Vec::new();
    let mut part = |head: String, bytes: &[u8]| {
        body.extend_from_slice(format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    };
    part("name=\"application\"\r\nContent-Type: application/json".to_owned(), document);
    for (id, name, media_type, bytes) in files {
        let name: String = name.chars().filter(|c| !matches!(c, '"' | '\\' | '/') && !c.is_control()).collect();
        part(format!("name=\"{id}\"; filename=\"{name}\"\r\nContent-Type: {media_type}"), bytes);
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={BOUNDARY}"), Bytes::from(body))
}
