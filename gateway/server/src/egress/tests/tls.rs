//! TLS and HTTP/2 on real loopback sockets, against an authority made for the test.

use std::net::SocketAddr;

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::super::client::{SystemResolver, WirePolicy, Wired};
use super::super::*;
use crate::trust::issuer::{Issued, Issuer};

/// A certificate for these names, valid in these years.
fn acceptor(authority: &Issuer, name: &str, years: (i32, i32), alpn: &[&str]) -> TlsAcceptor {
    let Issued { certificate, key } = authority.issue(name, years);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

fn trusting(authority: &Issuer) -> WirePolicy {
    WirePolicy { roots: Some(Arc::new(authority.roots())), ..WirePolicy::default() }
}

async fn post(port: u16, policy: WirePolicy) -> Answer {
    let client = Wired::new(policy, Arc::new(SystemResolver), true);
    let request = Request::post(format!("https://localhost:{port}/v1")).body(Bytes::from_static(b"Zqxmarker")).unwrap();
    client.oneshot(request).await
}

/// Everything that came over each connection, still encrypted.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

/// Answers requests with `hello` and the protocol's version. Its port, and what it was sent in the clear.
async fn server(acceptor: TlsAcceptor) -> (u16, Heard) {
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heard, tasks) = (Heard::default(), TaskTracker::new());
    let (hears, spawner) = (heard.clone(), tasks.clone());
    tasks.spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let mut first = [0; 4096];
            let peeked = socket.peek(&mut first).await.unwrap_or(0);
            hears.0.lock().unwrap().extend_from_slice(&first[..peeked]);
            let acceptor = acceptor.clone();
            spawner.spawn(async move {
                let Ok(stream) = acceptor.accept(socket).await else { return };
                let service = hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                    let body = format!("hello {:?}", request.version());
                    Ok::<_, std::convert::Infallible>(Response::new(body))
                });
                let http = hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
                http.serve_connection(hyper_util::rt::TokioIo::new(stream), service).await.ok();
            });
        }
    });
    (port, heard)
}

#[tokio::test]
async fn a_good_certificate_works_over_both_protocols() {
    let authority = Issuer::new("ours");
    for (alpn, told) in [(&["h2", "http/1.1"][..], "hello HTTP/2.0"), (&["http/1.1"][..], "hello HTTP/1.1")] {
        let (port, heard) = server(acceptor(&authority, "localhost", (2020, 2090), alpn)).await;
        let answer = post(port, trusting(&authority)).await.unwrap();
        assert_eq!(answer.body(), told);
        let heard = heard.0.lock().unwrap();
        assert!(!heard.is_empty() && !heard.windows(9).any(|bytes| bytes == b"Zqxmarker"), "it is not in the clear");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_good_is_sent_nothing() {
    let (ours, theirs) = (Issuer::new("ours"), Issuer::new("theirs"));
    for (issuer, name, years, told) in [
        (&ours, "localhost", (2020, 2021), "has expired"),
        (&ours, "localhost", (2089, 2090), "not valid yet"),
        (&ours, "elsewhere.example.org", (2020, 2090), "is for another host"),
        (&theirs, "localhost", (2020, 2090), "an authority this machine does not trust"),
    ] {
        let (port, heard) = server(acceptor(issuer, name, years, &["h2", "http/1.1"])).await;
        match post(port, trusting(&ours)).await {
            Err(SendError::NotSent(words)) => assert!(words.contains(told), "{told}: {words}"),
            other => panic!("{told}: {other:?}"),
        }
        assert!(!heard.0.lock().unwrap().windows(9).any(|bytes| bytes == b"Zqxmarker"), "{told}: not in the clear");
    }
    // A vendor that speaks no TLS is not spoken to without.
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let plain = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut heard = vec![0; 4096];
        let read = socket.read(&mut heard).await.unwrap();
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        heard.truncate(read);
        heard
    };
    let (answer, heard) = tokio::join!(post(port, trusting(&ours)), plain);
    assert!(matches!(answer, Err(SendError::NotSent("the TLS handshake with the vendor failed"))), "{answer:?}");
    assert!(!heard.windows(9).any(|bytes| bytes == b"Zqxmarker"));
}

const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const SETTINGS_TAKEN: &[u8] = &[0, 0, 0, 4, 1, 0, 0, 0, 0];
const REFUSED_STREAM: u8 = 7;
const CANCEL: u8 = 8;

/// RST_STREAM of the first stream.
const fn reset(reason: u8) -> [u8; 13] {
    [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, reason]
}

/// GOAWAY: works on streams up to this one, and on no other.
const fn go_away(last: u8) -> [u8; 17] {
    [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, last, 0, 0, 0, 0]
}

/// Reads HTTP/2 by hand until a request's head has come, says `answer` and ends.
async fn says(authority: &Issuer, answer: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = acceptor(authority, "localhost", (2020, 2090), &["h2"]);
    TaskTracker::new().spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let mut stream = acceptor.accept(socket).await.unwrap();
            stream.write_all(SETTINGS).await.unwrap();
            stream.write_all(SETTINGS_TAKEN).await.unwrap();
            let mut greeting = [0; 24];
            stream.read_exact(&mut greeting).await.unwrap();
            loop {
                let mut head = [0; 9];
                stream.read_exact(&mut head).await.unwrap();
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                stream.read_exact(&mut vec![0; length]).await.unwrap();
                const HEADERS: u8 = 1;
                if head[3] == HEADERS {
                    break;
                }
            }
            stream.write_all(&answer).await.unwrap();
            stream.shutdown().await.ok();
            // What comes after the end is read, so that the end arrives as an end.
            while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
        }
    });
    address
}

#[tokio::test]
async fn what_http2_says_was_not_processed_was_not_sent() {
    let authority = Issuer::new("ours");
    for (answer, is_unsent, told) in [
        (reset(REFUSED_STREAM).to_vec(), true, "refused"),
        (go_away(0).to_vec(), true, "going away before this request"),
        (reset(CANCEL).to_vec(), false, "given up while at work"),
        (go_away(1).to_vec(), false, "going away after this request, and gone"),
        (Vec::new(), false, "gone"),
    ] {
        let address = says(&authority, answer).await;
        match post(address.port(), trusting(&authority)).await {
            Err(SendError::NotSent(_)) => assert!(is_unsent, "{told}"),
            Err(SendError::Unknown(_)) => assert!(!is_unsent, "{told}"),
            other => panic!("{told}: {other:?}"),
        }
    }
}
