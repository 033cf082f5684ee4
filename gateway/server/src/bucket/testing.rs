//! Buckets for tests: a real server's, and servers that misbehave.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::{Bucket, Patience};
use crate::config::{BlobsAt, Config};

/// `[blobs]` for a bucket at this endpoint.
pub(crate) fn at(endpoint: &str, url: &str) -> BlobsAt {
    BlobsAt {
        url: url.to_owned(),
        endpoint: endpoint.to_owned(),
        access_key_id: "test".to_owned(),
        secret_access_key: serde_json::from_value("test-secret".into()).unwrap(),
        ..Config::default().fixed.blobs
    }
}

/// The bucket of the real server, everything below this prefix.
pub(crate) fn real(prefix: &str) -> Bucket {
    let server = causeway_servers::S3::shared().unwrap();
    let url = format!("s3://{}/{prefix}", causeway_servers::S3::BUCKET);
    Bucket::open(&at(&server.endpoint(), &url)).unwrap().expect("one is configured")
}

/// One that gives up soon.
pub(crate) fn impatient(endpoint: &str) -> Bucket {
    let request = Duration::from_millis(300);
    let patience = Patience { request, retry: request, whole: Duration::from_secs(2) };
    Bucket::patient(&at(endpoint, "s3://causeway/tests"), patience).unwrap()
}

/// How a server misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misbehaviour {
    /// Takes everything and says nothing.
    Silent,
    /// Answers a byte at a time, without end.
    Slow,
    /// Says that all went well, in words of its own.
    Garbage,
    /// No HTTP at all.
    Noise,
    /// Ends the connection within the answer.
    Cut,
    /// Fails.
    Failing,
    /// Refuses the key.
    Refusing,
    /// Knows no such bucket.
    NoBucket,
    /// An answer that does not end.
    Endless,
}

/// A server that misbehaves until the handle is dropped.
pub(crate) async fn misbehaving(how: Misbehaviour) -> (String, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let tasks = tokio_util::task::TaskTracker::new();
    let serving = tasks.clone().spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tasks.spawn(async move {
                let mut taken = vec![0; 64 * 1024];
                // The head at least; the rest is read beside the answer.
                drop(socket.read(&mut taken).await);
                let (mut from, mut to) = socket.split();
                let reading = async { while from.read(&mut taken).await.is_ok_and(|read| read > 0) {} };
                tokio::join!(reading, answer(&mut to, how));
            });
        }
    });
    (format!("http://{address}"), AbortOnDropHandle::new(serving))
}

async fn answer(to: &mut (impl tokio::io::AsyncWrite + Unpin), how: Misbehaviour) {
    let html = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<html>hi</html>";
    let status = |line: &str, code: &str| {
        let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
        format!("HTTP/1.1 {line}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let text = match how {
        Misbehaviour::Silent => return std::future::pending().await,
        Misbehaviour::Slow | Misbehaviour::Endless => {
            let head = "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nLast-Modified: Mon, 02 Mar 2026 09:00:00 GMT\r\n\
                        Content-Length: 900000000\r\n\r\n";
            drop(to.write_all(head.as_bytes()).await);
            let (chunk, pause) = match how {
                Misbehaviour::Slow => (1, Duration::from_millis(50)),
                _ => (64 * 1024, Duration::ZERO),
            };
            while to.write_all(&vec![b'x'; chunk]).await.is_ok() {
                tokio::time::sleep(pause).await;
            }
            return;
        }
        Misbehaviour::Garbage => html.to_owned(),
        Misbehaviour::Noise => "\0\x01\x02 not http \r\n\r\n".to_owned(),
        Misbehaviour::Cut => "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 5000\r\n\r\nhalf".to_owned(),
        Misbehaviour::Failing => status("503 Slow Down", "SlowDown"),
        Misbehaviour::Refusing => status("403 Forbidden", "AccessDenied"),
        Misbehaviour::NoBucket => status("404 Not Found", "NoSuchBucket"),
    };
    drop(to.write_all(text.as_bytes()).await);
    drop(to.shutdown().await);
}
