//! The harness itself: faults, the ledger's promise, the control API. Greenhouse stands in for any vendor.

use std::io::ErrorKind;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::testing::{Answer, Bench};

async fn path(bench: &Bench) -> String {
    let jobs = bench.look("records").await["jobs"].take();
    format!("/v1/boards/{}/jobs/{}", bench.setting("board_token"), jobs[0]["id"])
}

async fn apply(bench: &Bench, email: &str) -> anyhow::Result<Answer> {
    let key = format!("{}:", bench.credential("board_api_key"));
    let key = format!("Basic {}", data_encoding::BASE64.encode(key.as_bytes()));
    let body = json!({ "first_name": "Ana", "last_name": "Example", "email": email });
    let headers = [("authorization", key.as_str()), ("content-type", "application/json")];
    bench.send("POST", &path(bench).await, &headers, body.to_string()).await
}

/// What the client sees of one application under one rule, and what the ledger says of it.
async fn check(rule: Value, seen: Result<u16, ()>, committed: bool, answered: bool) {
    let bench = Bench::start("greenhouse").await;
    bench.fault(rule.clone()).await;
    let answer = apply(&bench, "ana@example.org").await;
    assert_eq!(answer.as_ref().map(|answer| answer.status).map_err(|_| ()), seen, "{rule}");
    let ledger = bench.ledger().await;
    assert_eq!(ledger.len(), 1, "{rule}");
    let entry = &ledger[0];
    assert_eq!((&entry["committed"], &entry["answered"]), (&json!(committed), &json!(answered)), "{rule}");
    assert_eq!(entry["fault"], rule["do"], "{rule}");
    assert_eq!(entry["record"].is_object(), committed, "{rule}");
    assert_eq!(bench.look("records").await["applications"].as_array().unwrap().len(), usize::from(committed), "{rule}");
    assert_eq!(bench.look("faults").await["rules"][0]["fired"], 1, "{rule}");
}

#[tokio::test]
async fn every_fault_does_what_it_says() {
    let rule = |action: &str| json!({ "operation": "submit", "do": action });
    check(rule("delay"), Ok(200), true, true).await;
    check(json!({ "operation": "*", "do": "status", "status": 503 }), Ok(503), false, true).await;
    check(rule("drop_before"), Err(()), false, false).await;
    check(rule("drop_after_commit"), Err(()), true, false).await;
    check(json!({ "operation": "submit", "do": "status_after_commit", "status": 502 }), Ok(502), true, true).await;
    check(rule("half_answer"), Err(()), true, false).await;
    check(rule("garbage"), Ok(200), false, true).await;
    check(rule("html"), Ok(502), false, true).await;
}

#[tokio::test]
async fn a_scripted_answer_carries_its_headers_and_body() {
    let bench = Bench::start("greenhouse").await;
    bench
        .fault(json!({ "operation": "submit", "do": "status", "status": 429, "headers": { "Retry-After": "2" } }))
        .await;
    let answer = apply(&bench, "ana@example.org").await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("2")));
    assert_eq!(answer.json(), json!({ "message": "Too Many Requests" }), "the vendor's own words");
    bench.fault(json!({ "operation": "submit", "do": "status", "status": 500, "body": "upstream gone" })).await;
    assert_eq!(apply(&bench, "ana@example.org").await.unwrap().body, b"upstream gone");
    bench.fault(json!({ "operation": "submit", "do": "html" })).await;
    let page = apply(&bench, "ana@example.org").await.unwrap();
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
}

#[tokio::test]
async fn a_rule_picks_its_victims() {
    let bench = Bench::start("greenhouse").await;
    let rules = json!({ "replace": true, "rules": [
        { "operation": "submit", "when": { "email": "b@example.org" }, "times": 1, "do": "status", "status": 503 },
        { "operation": "token", "do": "status", "status": 500 },
        { "operation": "submit", "when": { "job": "1" }, "do": "status", "status": 500 },
        { "operation": "submit", "probability": 0.0, "do": "status", "status": 500 },
    ]});
    bench.control("faults", &rules).await;
    for (email, status) in [("a@example.org", 200), ("B@example.org", 503), ("b@example.org", 200)] {
        assert_eq!(apply(&bench, email).await.unwrap().status, status, "{email}");
    }
    let fired = bench.look("faults").await["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["fired"].clone())
        .collect::<Vec<_>>();
    assert_eq!(fired, [1, 0, 0, 0]);
    let more = json!({ "replace": false, "rules": [{ "operation": "submit", "do": "status", "status": 418 }] });
    bench.control("faults", &more).await;
    assert_eq!(apply(&bench, "a@example.org").await.unwrap().status, 418);
}

#[tokio::test]
async fn a_rule_for_lost_answers_waits_for_something_to_lose() {
    let bench = Bench::start("greenhouse").await;
    bench.fault(json!({ "operation": "*", "times": 1, "do": "drop_after_commit" })).await;
    assert_eq!(apply(&bench, "refused").await.unwrap().status, 422);
    assert_eq!(bench.look("faults").await["rules"][0]["fired"], 0);
    assert!(apply(&bench, "ana@example.org").await.is_err());
}

#[tokio::test]
async fn probability_is_the_seeds() {
    let rule = json!({ "operation": "submit", "probability": 0.5, "do": "status", "status": 503 });
    let mut runs = Vec::new();
    for _ in 0..2 {
        let bench = Bench::start("greenhouse").await;
        bench.fault(rule.clone()).await;
        let mut statuses = Vec::new();
        for _ in 0..20 {
            statuses.push(apply(&bench, "ana@example.org").await.unwrap().status);
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].contains(&200) && runs[0].contains(&503));
}

async fn raw(bench: &Bench) -> TcpStream {
    let mut stream = TcpStream::connect(bench.running.address()).await.unwrap();
    let head = format!("GET {} HTTP/1.1\r\nhost: sandbox\r\n\r\n", path(bench).await);
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_drop_is_a_reset_and_half_an_answer_is_half() {
    let bench = Bench::start("greenhouse").await;
    bench.fault(json!({ "operation": "get_job", "do": "drop_before" })).await;
    let mut bytes = Vec::new();
    let end = raw(&bench).await.read_to_end(&mut bytes).await;
    assert_eq!((end.unwrap_err().kind(), bytes.len()), (ErrorKind::ConnectionReset, 0));

    bench.fault(json!({ "operation": "get_job", "do": "half_answer" })).await;
    // Whether the break shows as an end or an error, the declared length is not reached.
    let (mut stream, mut text) = (raw(&bench).await, Vec::new());
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        text.extend(&buffer[..count]);
    }
    let text = String::from_utf8(text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let declared = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let declared: usize = declared.parse().unwrap();
    assert_eq!(body.len(), declared / 2);
}

#[tokio::test]
async fn an_answer_nobody_waited_for_is_not_answered() {
    let bench = Bench::start("greenhouse").await;
    bench.fault(json!({ "operation": "get_job", "do": "delay", "delay_ms": 3_600_000 })).await;
    let stream = raw(&bench).await;
    // The entry exists while the answer is still held back …
    while bench.ledger().await.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.ledger().await[0]["answered"], true);
    drop(stream);
    // … and is corrected once the client is gone.
    while bench.ledger().await[0]["answered"] == true {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_ledger_counts_from_one_and_pages() {
    let bench = Bench::start("greenhouse").await;
    for _ in 0..3 {
        apply(&bench, "ana@example.org").await.unwrap();
    }
    let seqs =
        |page: Value| page["entries"].as_array().unwrap().iter().map(|entry| entry["seq"].clone()).collect::<Vec<_>>();
    assert_eq!(seqs(bench.look("ledger").await), [1, 2, 3]);
    assert_eq!(seqs(bench.look("ledger?after=2").await), [3]);
    assert_eq!(seqs(bench.look("ledger?after=9").await), [0; 0]);
    assert_eq!(seqs(bench.look("ledger?after=0&limit=1").await), [1]);
    let at = bench.ledger().await[0]["at"].as_str().unwrap().to_owned();
    assert_eq!(at.len(), "2026-11-22T04:02:00.123Z".len(), "{at}");
}

#[tokio::test]
async fn a_script_or_setting_that_makes_no_sense_is_refused() {
    let bench = Bench::start("greenhouse").await;
    for (control, body) in [
        ("faults", json!({ "rules": [{ "operation": "submit", "do": "explode" }] })),
        ("faults", json!({ "rules": [{ "operation": "submit", "do": "status", "status": 7 }] })),
        ("faults", json!({ "rules": [{ "operation": "submit", "do": "status", "tiems": 1 }] })),
        ("settings", json!({ "visibility_lag": 1 })),
        ("settings", json!({ "rate_limit": { "calls": "many" } })),
        ("jobs/1", json!({ "live": true })),
    ] {
        let answer = bench.json("POST", &format!("/_sandbox/{control}"), "", &body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.json()["error"].is_string());
    }
    assert_eq!(bench.send("GET", "/_sandbox/nothing", &[], "").await.unwrap().status, 404);
}

#[tokio::test]
async fn stopping_closes_the_door() {
    let bench = Bench::start("greenhouse").await;
    let address = bench.running.address();
    bench.running.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
}

/// Which names there are is held against each connector's Descriptor by the conformance suite.
#[tokio::test]
async fn the_ready_line_is_what_an_admin_would_enter() {
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for name in crate::names() {
        let bench = Bench::start(name).await;
        let ready = bench.running.announcement();
        assert_eq!(keys(ready), ["credentials", "listening", "sandbox", "settings"]);
        for part in ["credentials", "settings"] {
            let entered = ready[part].as_object().unwrap();
            let texts = entered.values().all(|value| value.as_str().is_some_and(|text| !text.is_empty()));
            assert!(!entered.is_empty() && texts, "{name}: {part}");
        }
        assert_eq!(ready["listening"], bench.running.base_url());
        assert!(!ready.to_string().contains('\n'));
    }
    let listen = "127.0.0.1:0".parse().unwrap();
    assert!(crate::start("nobody", crate::Options { listen, seed: 1 }).await.is_err());
}

#[tokio::test]
async fn a_vendors_clock_stands_where_it_is_set() {
    let bench = Bench::start(crate::names()[0]).await;
    bench.control("settings", &json!({ "clock": "2026-11-01T10:00:00Z" })).await;
    bench.send("GET", "/nowhere", &[], "").await.unwrap();
    bench.control("settings", &json!({ "clock": null })).await;
    bench.send("GET", "/nowhere", &[], "").await.unwrap();
    let ledger = bench.ledger().await;
    let calls: Vec<&Value> = ledger.iter().map(|entry| &entry["call"]).collect();
    assert_eq!((calls, ledger[0]["at"].as_str()), (vec![&json!(1), &json!(2)], Some("2026-11-01T10:00:00.000Z")));
    assert_ne!(ledger[1]["at"], ledger[0]["at"]);
    assert_eq!(bench.look("calls").await, json!({ "calls": 2, "at_once": 1 }));
}
