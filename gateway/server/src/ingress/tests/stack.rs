//! The stack's own promises: a line for every request, overload answered, nothing personal in the log.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use causeway_core::problem::Code;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{Log, NEVER, Served, exchange, request};
use crate::ingress::Config;
use crate::intake::fake::{Mood, document};
use crate::quota::Rate;
use crate::store::setup::Scope;

fn said(line: &Value) -> (u64, String) {
    (line["status"].as_u64().unwrap(), line["code"].as_str().unwrap().to_owned())
}

/// Sends a submission that the store will never finish, and waits until it has got there.
pub(super) async fn stuck(served: &Served) -> TcpStream {
    served.world.store.inside().mood = Mood::Stuck;
    let mut stream = TcpStream::connect(served.public.address).await.unwrap();
    let headers = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", served.key);
    let bytes = request("POST", "/v1/applications", &headers, document().to_string().as_bytes());
    stream.write_all(&bytes).await.unwrap();
    tokio::time::timeout(NEVER, served.world.store.reached.notified()).await.unwrap();
    stream
}

#[tokio::test]
async fn every_way_out_leaves_one_line() {
    let (log, _guard) = Log::capture();
    let config = Config { deadline: Duration::from_millis(200), max_in_flight: 1, ..Config::default() };
    let served = Served::with(config).await;
    let mut expected = Vec::new();

    assert_eq!(served.post_json(document().to_string().as_bytes()).await.status, 202);
    expected.push((202, ""));

    served.world.store.inside().mood = Mood::Panics;
    assert_eq!(served.post_json(document().to_string().as_bytes()).await.says().1, "internal");
    expected.push((500, "internal"));

    served.world.store.inside().mood = Mood::Stuck;
    assert_eq!(served.post_json(document().to_string().as_bytes()).await.says().1, "deadline_exceeded");
    expected.push((503, "deadline_exceeded"));

    let large = format!("Authorization: Bearer {}\r\nContent-Length: 99999999\r\n", served.key);
    let large = format!("POST /v1/applications HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n{large}\r\n");
    assert_eq!(exchange(served.public, large.as_bytes()).await.says().1, "body_too_large");
    expected.push((413, "body_too_large"));
    log.access(expected.len()).await;

    // The client leaves while its request holds the only slot; a second request is shed meanwhile.
    let held = stuck(&served).await;
    assert_eq!(served.post_json(b"{}").await.says(), (503, "overloaded".to_owned()));
    expected.push((503, "overloaded"));
    log.access(expected.len()).await;
    drop(held);
    expected.push((499, ""));

    let lines = log.access(expected.len()).await;
    let seen: Vec<(u64, String)> = lines.iter().map(said).collect();
    let expected: Vec<(u64, String)> = expected.into_iter().map(|(status, code)| (status, code.to_owned())).collect();
    assert_eq!(seen, expected);
    for line in &lines {
        assert_eq!(line["route"], "/v1/applications");
        assert_eq!(line["trace_id"].as_str().unwrap().len(), 32);
        assert!(line["duration_ms"].is_f64());
    }
    assert!(lines[0]["key"].as_str().unwrap().starts_with("key_"));
    assert!(!log.text().contains("Zqxmarker"), "a panic's words stay out of the log");
    served.stop().await;
}

#[tokio::test]
async fn management_answers_while_the_public_listener_sheds() {
    let served = Served::with(Config { max_in_flight: 1, ..Config::default() }).await;
    let _held = stuck(&served).await;
    let shed = served.post_json(b"{}").await;
    assert_eq!((shed.says(), shed.header("retry-after")), ((503, "overloaded".to_owned()), Some("1")));
    for (path, expected) in [("/healthz", "ok"), ("/readyz", "ready"), ("/metrics", "causeway_http_requests_total")] {
        let answer = served.manage(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(String::from_utf8_lossy(&answer.body).contains(expected), "{path}");
    }
    let metrics = String::from_utf8(served.manage("/metrics").await.body).unwrap();
    let overloaded = "causeway_http_requests_total{route=\"/v1/applications\",status=\"503\"} 1";
    assert!(metrics.contains(overloaded) && metrics.contains("causeway_ready 1"), "{metrics}");
}

#[tokio::test]
async fn a_request_that_was_not_stored_makes_nothing_unready() {
    let served = Served::new().await;
    served.world.store.inside().mood = Mood::Full;
    let answer = served.post_json(document().to_string().as_bytes()).await;
    assert_eq!((answer.says(), answer.header("retry-after")), ((503, "store_unavailable".to_owned()), Some("2")));
    // Whether anything can be stored is looked into by the probe, which does not run here.
    let ready = served.manage("/readyz").await;
    assert_eq!((ready.status, &ready.json()["ready"]), (200, &true.into()));
    assert_eq!(served.manage("/healthz").await.status, 200);
}

#[tokio::test]
async fn nothing_a_caller_sends_reaches_the_log() {
    let (log, _guard) = Log::capture();
    let served = Served::new().await;
    let mark = "Zqxmarker";
    let headers = format!(
        "X-Request-Id: {mark}\r\nUser-Agent: {mark}\r\nCookie: {mark}\r\nIdempotency-Key: {mark}\r\nContent-Type: application/json\r\n"
    );
    let mut marked = document();
    marked["person"]["name"]["given"] = mark.into();
    let mut wrong = marked.clone();
    wrong[mark] = mark.into();
    let mut unknown = marked.clone();
    unknown["job"] = mark.into();
    let bodies =
        [marked.to_string(), wrong.to_string(), unknown.to_string(), format!("{{\"{mark}\":"), mark.to_owned()];
    for body in &bodies {
        let path = format!("/v1/applications?{mark}={mark}");
        let answer = served.ask("POST", &path, &headers, body.as_bytes()).await;
        assert!(!answer.head.contains(mark), "{}", answer.head);
        assert!(!String::from_utf8_lossy(&answer.body).contains(mark), "a problem repeats nothing");
    }
    let parts = format!(
        "--b\r\nContent-Disposition: form-data; name=\"{mark}\"; filename=\"{mark}.pdf\"\r\n\r\n{mark}\r\n--b--\r\n"
    );
    served.ask("POST", "/v1/applications", "Content-Type: multipart/form-data; boundary=b\r\n", parts.as_bytes()).await;
    for path in [format!("/v1/applications/{mark}"), format!("/{mark}"), format!("/v1/hooks/{mark}")] {
        assert!(!served.ask("GET", &path, "", b"").await.head.contains(mark));
    }
    let other = request(mark, "/v1/applications", &format!("Authorization: Bearer {mark}\r\n"), b"");
    exchange(served.public, &other).await;
    log.access(bodies.len() + 5).await;
    assert!(!log.text().contains(mark), "{}", log.text());
    assert!(!log.text().contains(&served.key));
}

#[tokio::test]
async fn every_answer_carries_the_same_headers_and_a_trace_id_of_ours() {
    let served = Served::new().await;
    let answers = [
        served.post_json(document().to_string().as_bytes()).await,
        served.post_json(b"{").await,
        served.ask("GET", "/nothing", "", b"").await,
        served.ask("DELETE", "/v1/applications", "", b"").await,
        served.ask("POST", "/v1/hooks/acc_1", "", b"").await,
        served.ask("GET", "/problems/key_invalid", "", b"").await,
        served.manage("/healthz").await,
    ];
    assert_eq!(answers.each_ref().map(|answer| answer.status), [202, 400, 404, 405, 404, 200, 200]);
    for answer in &answers {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{}", answer.head);
        }
        assert_eq!(answer.header("server"), None);
        assert_eq!(answer.header("x-request-id").unwrap().len(), 32);
        let problem = answer.json();
        if answer.status >= 400 {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            assert_eq!(problem["trace_id"], answer.header("x-request-id").unwrap());
        }
    }
    assert_eq!(answers[3].header("allow"), Some("POST"));
    let head = served.ask("HEAD", "/problems/key_invalid", "", b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn every_problem_has_its_page() {
    let served = Served::new().await;
    for code in Code::ALL {
        let path = format!("/problems/{}", code.as_str());
        let page = exchange(served.public, &request("GET", &path, "", b"")).await;
        assert_eq!((page.status, page.body.as_slice()), (200, code.page().as_bytes()), "{path}");
    }
    assert_eq!(served.ask("GET", "/problems/other", "", b"").await.says().1, "not_found");
}

#[tokio::test]
async fn a_hundred_connections_share_one_limit() {
    let quota = Rate { per_second: 0.001, burst: 20 };
    let served = Arc::new(Served::with(Config { quota, ..Config::default() }).await);
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let served = Arc::clone(&served);
        asking.spawn(async move {
            let answer = served.post_json(document().to_string().as_bytes()).await;
            (answer.status, answer.header("retry-after").is_some())
        });
    }
    let answers = asking.join_all().await;
    assert_eq!(answers.iter().filter(|answer| **answer == (202, false)).count(), 20);
    assert_eq!(answers.iter().filter(|answer| **answer == (429, true)).count(), 80);
}

#[tokio::test]
async fn edge_refusals_are_counted_by_key_job_and_minute_and_written_at_stop() {
    let served = Served::new().await;
    let read_only = super::add_key(&served.world, &[Scope::Read]);
    let headers = format!("Authorization: Bearer {read_only}\r\nContent-Type: application/json\r\n");
    exchange(served.public, &request("POST", "/v1/applications", &headers, b"{}")).await;
    exchange(served.public, &request("POST", "/v1/applications", "", b"{}")).await;
    served.post_json(b"{").await;
    served.post_json(b"{").await;
    served.post_json(br#"{"job":"127817"}"#).await;
    served.post_json(br#"{"job":"127817","person":{"emails":[{"address":"ada@example.org"}]}}"#).await;
    served.ask("POST", "/v1/applications", "Content-Encoding: gzip\r\n", b"{}").await;
    served.post_json(&vec![b' '; 16 << 20]).await;
    served.ask("GET", "/nothing", "", b"").await;
    let tenant = served.world.tenant;
    let world = served.stop().await;
    let inside = world.store.inside();
    let counted: BTreeSet<_> = inside
        .edge
        .iter()
        .map(|count| (count.code.as_str(), count.tenant.is_some(), count.job.as_deref(), count.count))
        .collect();
    let expected = [
        ("application_invalid", true, Some("127817"), 1),
        ("body_too_large", true, None, 1),
        ("body_unreadable", true, None, 2),
        ("content_encoding_unsupported", true, None, 1),
        ("key_invalid", false, None, 1),
        ("scope_missing", true, None, 1),
    ];
    assert_eq!(counted, BTreeSet::from(expected));
    assert!(inside.edge.iter().all(|count| count.tenant.is_none_or(|owner| owner == tenant)));
    assert_eq!(inside.refused.len(), 1, "what held an e-mail and a job is recorded instead");
}
