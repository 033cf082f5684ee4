//! Which URLs are taken, and that a name which changes its address after it was taken is not connected to.

use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;

use async_trait::async_trait;
use causeway_core::clock::ManualClock;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Answers each question with the next list; the last one for ever.
struct Scripted(Mutex<Vec<Vec<SocketAddr>>>);

#[async_trait]
impl Resolver for Scripted {
    async fn resolve(&self, _name: &str) -> io::Result<Vec<SocketAddr>> {
        let mut lists = self.0.lock().unwrap();
        Ok(if lists.len() > 1 { lists.remove(0) } else { lists.first().cloned().unwrap_or_default() })
    }
}

fn client(answers: &[&[&str]]) -> SiteClient {
    let list = |texts: &&[&str]| texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect();
    let resolver = Scripted(Mutex::new(answers.iter().map(list).collect()));
    SiteClient::new(&SitePolicy::default(), Arc::new(resolver), Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH)))
}

#[tokio::test]
async fn a_url_is_taken_only_where_anything_may_be_sent() {
    const PUBLIC: &[&str] = &["93.184.216.34"];
    let check = async |url: &str, addresses: &[&str], allow_private: bool, expected: Result<&str, UrlRefused>| {
        let told = client(&[addresses]).look(url, allow_private).await;
        assert_eq!(told.as_deref().map_err(|error| *error), expected, "{url} {addresses:?} {allow_private}");
    };
    let plain = "https://jobs.example.org/hooks?a=b";
    check(plain, PUBLIC, false, Ok(plain)).await;
    check("https://jobs.example.org/hooks#part", PUBLIC, false, Ok("https://jobs.example.org/hooks")).await;
    check("https://jobs.example.org:8443/", PUBLIC, false, Ok("https://jobs.example.org:8443/")).await;
    for private in ["10.0.0.1", "127.0.0.1", "192.168.1.1", "fd00::1", "::ffff:127.0.0.1", "100.64.0.1"] {
        check(plain, &[private], false, Err(UrlRefused::Address)).await;
        check(plain, &["93.184.216.34", private], false, Err(UrlRefused::Address)).await;
        check(plain, &[private], true, Ok(plain)).await;
    }
    for never in ["169.254.169.254", "0.0.0.0", "224.0.0.1", "fe80::1"] {
        check(plain, &[never], false, Err(UrlRefused::Address)).await;
        check(plain, &[never], true, Err(UrlRefused::Address)).await;
    }
    check("https://169.254.169.254/latest", PUBLIC, true, Err(UrlRefused::Address)).await;
    check("https://127.0.0.1/", PUBLIC, false, Err(UrlRefused::Address)).await;
    check("https://2130706433/", PUBLIC, false, Err(UrlRefused::Address)).await;
    check("https://[::1]/", PUBLIC, false, Err(UrlRefused::Address)).await;
    check("http://127.0.0.1:9000/", PUBLIC, true, Ok("http://127.0.0.1:9000/")).await;
    check("http://jobs.example.org/", PUBLIC, false, Err(UrlRefused::NotHttps)).await;
    check("http://10.0.0.1/", PUBLIC, true, Err(UrlRefused::NotHttps)).await;
    check("ftp://jobs.example.org/", PUBLIC, false, Err(UrlRefused::NotHttps)).await;
    check("https://ada:pw@jobs.example.org/", PUBLIC, false, Err(UrlRefused::UserInfo)).await;
    check(plain, &[], false, Err(UrlRefused::Unresolved)).await;
    for no_url in ["", "jobs.example.org", "mailto:ada@example.org", "https://"] {
        check(no_url, PUBLIC, false, Err(UrlRefused::NotAUrl)).await;
    }
}

/// A site that answers this and counts its connections.
async fn site(answer: &'static str) -> (u16, Arc<std::sync::atomic::AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio_util::task::TaskTracker::new().spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let mut head = [0u8; 4096];
            drop(socket.read(&mut head).await);
            socket.write_all(answer.as_bytes()).await.ok();
        }
    });
    (port, connections)
}

#[tokio::test]
async fn a_name_that_turns_private_after_it_was_taken_is_not_connected_to() {
    let (port, connections) = site("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let url = format!("https://jobs.example.org:{port}/hooks");
    let client = client(&[&["93.184.216.34"], &["127.0.0.1"]]);
    client.look(&url, false).await.unwrap();
    let sent = client.post(&url, false, HeaderMap::new(), Bytes::new()).await;
    assert!(matches!(sent, Err(SendError::NotSent(_))), "{sent:?}");
    assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_address_in_the_url_is_judged_when_it_is_used() {
    let (port, connections) = site("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let url = format!("http://127.0.0.1:{port}/hooks");
    let client = client(&[]);
    assert!(client.post(&url, false, HeaderMap::new(), Bytes::new()).await.is_err());
    assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), 0);
    let answer = client.post(&url, true, HeaderMap::new(), Bytes::new()).await.unwrap();
    assert_eq!(answer, SiteAnswer { status: 200, retry_after: None });
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_an_endless_body_is_not_read() {
    let moved = "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://169.254.169.254/\r\nretry-after: 9\r\n\
                 content-length: 0\r\n\r\n";
    let (port, _) = site(moved).await;
    let post = async |port: u16| {
        client(&[]).post(&format!("http://127.0.0.1:{port}/"), true, HeaderMap::new(), Bytes::new()).await.unwrap()
    };
    assert_eq!(post(port).await, SiteAnswer { status: 307, retry_after: Some(Duration::from_secs(9)) });
    let (port, _) = site("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\nand so on").await;
    assert_eq!(post(port).await.status, 200);
}
