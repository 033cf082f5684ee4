//! The client on real loopback sockets: what can have reached the vendor and what cannot.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::super::client::{SystemResolver, WirePolicy, Wired};
use super::super::testing::{egress, record};
use super::super::*;

/// A server that reads a request's head and answers these bytes, then closes. Its port.
async fn server(answer: impl Into<Vec<u8>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, answer) = (listener.local_addr().unwrap().port(), answer.into());
    tokio_util::task::TaskTracker::new().spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = [0u8; 4096];
            let read = socket.read(&mut head).await.unwrap_or(0);
            assert!(read > 0, "a request came");
            socket.write_all(&answer).await.ok();
        }
    });
    port
}

async fn get(host: &str, port: u16, allow_private: bool, policy: WirePolicy) -> Answer {
    let client = Wired::new(policy, Arc::new(SystemResolver), allow_private);
    client.oneshot(Request::get(format!("http://{host}:{port}/")).body(Bytes::new()).unwrap()).await
}

async fn answered(answer: impl Into<Vec<u8>>, policy: WirePolicy) -> Answer {
    get("127.0.0.1", server(answer).await, true, policy).await
}

#[tokio::test]
async fn what_is_known_about_a_missing_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap().port();
    drop(listener);
    let policy = WirePolicy::default;
    assert!(matches!(get("127.0.0.1", closed, true, policy()).await, Err(SendError::NotSent(_))), "no connection");
    assert!(matches!(answered("", policy()).await, Err(SendError::Unknown(_))), "closed without an answer");
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf";
    assert!(matches!(answered(half, policy()).await, Err(SendError::Unknown(_))), "broken off");
    assert!(matches!(answered("garbage\r\n\r\n", policy()).await, Err(SendError::Unknown(_))), "not HTTP");
    let whole = answered("HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nok", policy()).await.unwrap();
    assert_eq!((whole.status().as_u16(), whole.body().as_ref()), (201, b"ok".as_slice()));
}

#[tokio::test]
async fn an_answer_over_the_cap_is_unknown() {
    let policy = WirePolicy { body_cap: 10, ..WirePolicy::default() };
    let exactly = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789";
    let more = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n0123456789a";
    let endless = "HTTP/1.1 200 OK\r\n\r\n0123456789 and so on";
    assert!(answered(exactly, policy.clone()).await.is_ok());
    assert!(matches!(answered(more, policy.clone()).await, Err(SendError::Unknown(_))));
    assert!(matches!(answered(endless, policy.clone()).await, Err(SendError::Unknown(_))));
    let head = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "y".repeat(1_000_000));
    assert!(matches!(answered(head, policy).await, Err(SendError::Unknown(_))));
}

#[tokio::test]
async fn an_answer_is_what_it_says_and_nothing_around_it() {
    let get = async |answer: &[u8]| answered(answer, WirePolicy::default()).await;
    let hints = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n\
        HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nok";
    assert_eq!(get(hints).await.unwrap().status(), 201, "hints are none");
    assert!(matches!(get(b"<html>come back later</html>\r\n").await, Err(SendError::Unknown(_))), "HTTP/0.9");
    let many: String = (0..1_000).map(|number| format!("x-{number}: 1\r\n")).collect();
    let many = format!("HTTP/1.1 200 OK\r\n{many}content-length: 0\r\n\r\n");
    assert!(matches!(get(many.as_bytes()).await, Err(SendError::Unknown(_))), "a thousand headers");
    // A thousand bytes for each that came are never made.
    let bomb = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x63\x00\x00";
    let packed = [&b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 13\r\n\r\n"[..], bomb].concat();
    assert_eq!(get(&packed).await.unwrap().body().as_ref(), bomb);
}

#[tokio::test]
async fn redirects_are_answers() {
    let moved = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(answered(moved, WirePolicy::default()).await.unwrap().status(), 302);
}

#[tokio::test]
async fn a_name_that_resolves_to_loopback_is_not_connected_to() {
    let port = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    assert!(matches!(get("localhost", port, false, WirePolicy::default()).await, Err(SendError::NotSent(_))));
    assert!(get("localhost", port, true, WirePolicy::default()).await.is_ok());
}

#[tokio::test]
async fn a_handshake_that_never_ends_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let policy = WirePolicy { connect: Duration::from_millis(50), ..WirePolicy::default() };
    let client = Wired::new(policy, Arc::new(SystemResolver), true);
    let request = Request::get(format!("https://localhost:{port}/")).body(Bytes::new()).unwrap();
    assert!(matches!(client.oneshot(request).await, Err(SendError::NotSent(_))));
}

#[tokio::test]
async fn the_whole_stack_reaches_the_loopback_of_a_private_account_only() {
    for allow_private in [true, false] {
        let port = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        let base = format!("http://127.0.0.1:{port}");
        let mut record = record("scripted", serde_json::json!({ "base_url": base }));
        record.account.allow_private = allow_private;
        let egress = egress(Arc::new(crate::feeds::testing::Publisher::default()), EgressPolicy::default());
        let request = Request::post(format!("{base}/v1")).body(Bytes::from_static(b"{}")).unwrap();
        let answer = egress.http(&record).send(request).await;
        assert_eq!(answer.is_ok(), allow_private, "{answer:?}");
    }
}

/// What a subscriber of one thread was told, whatever the level and whoever told it.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Told {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A connector may have to put an address into a path, as CRMs read a contact by it. Nothing of ours tells it on.
#[tokio::test]
async fn no_path_header_or_body_reaches_a_log_line_or_an_error() {
    tracing::subscriber::set_global_default(tracing_subscriber::registry()).ok();
    let told = Told::default();
    let writer = told.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .finish();
    let _listening = tracing::subscriber::set_default(subscriber);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap().port();
    drop(listener);
    let mut errors = String::new();
    for (port, asked_host, is_answered) in [
        (server("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nada.marker1").await, "127.0.0.1", true),
        (server("HTTP/1.1 404 Not Found\r\nx: ada.marker1\r\ncontent-length: 0\r\n\r\n").await, "127.0.0.1", true),
        (server("").await, "127.0.0.1", false),
        (server("ada.marker1\r\n\r\n").await, "127.0.0.1", false),
        (closed, "127.0.0.1", false),
        (closed, "elsewhere.example.org", false),
    ] {
        let mut record = record("scripted", serde_json::json!({ "base_url": format!("http://127.0.0.1:{port}") }));
        record.account.allow_private = true;
        let egress = egress(Arc::new(crate::feeds::testing::Publisher::default()), EgressPolicy::default());
        let url = format!("http://{asked_host}:{port}/contacts/ada.marker1%40example.org?idProperty=email");
        let request = Request::patch(url).header("x-note", "ada.marker1").body(Bytes::from_static(b"ada.marker1"));
        match egress.http(&record).send(request.unwrap()).await {
            Ok(_) => assert!(is_answered),
            Err(error) => {
                assert!(!is_answered, "{error}");
                errors.push_str(&format!("{error} {error:?}\n"));
            }
        }
    }
    let lines = String::from_utf8(told.0.lock().unwrap().clone()).unwrap();
    assert!(lines.contains("vendor answered") && lines.contains("no answer from the vendor"), "{lines}");
    for text in [lines, errors] {
        let leak =
            text.lines().find(|line| ["marker1", "contacts", "idProperty"].iter().any(|mark| line.contains(mark)));
        assert_eq!(leak, None);
    }
}
