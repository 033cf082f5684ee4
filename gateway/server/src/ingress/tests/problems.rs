//! Every problem code, provoked over a real socket. The match has no wildcard: a new code does not compile until somebody
//! says here how it comes about. Each answer is held against the API's documents, as all answers of these tests are.

use std::time::Duration;

use causeway_core::clock::SeededEntropy;
use causeway_core::ids::DeliveryId;
use causeway_core::problem::Code;
use jiff::Timestamp;
use serde_json::json;

use super::stack::stuck;
use super::{Answer, Served, add_key, exchange, key_of, request};
use crate::ingress::Config;
use crate::intake;
use crate::intake::fake::{JOB, Mood, document};
use crate::quota::Rate;
use crate::store::setup::Scope;

const JSON: &str = "Content-Type: application/json\r\n";

async fn submit(served: &Served, headers: &str, body: &str) -> Answer {
    served.ask("POST", "/v1/applications", &format!("{JSON}{headers}"), body.as_bytes()).await
}

async fn submit_with_key(served: &Served, headers: &str) -> Answer {
    let bytes = request("POST", "/v1/applications", &format!("{JSON}{headers}"), document().to_string().as_bytes());
    exchange(served.public, &bytes).await
}

/// What support is asked, with a key for it.
async fn desk(served: &Served, path: &str, body: &str) -> Answer {
    let headers = format!("{JSON}Authorization: Bearer {}\r\n", add_key(&served.world, &[Scope::Support]));
    exchange(served.management, &request("POST", path, &headers, body.as_bytes())).await
}

/// After a submission that the store does not answer as it should.
async fn in_the_mood(served: &Served, mood: Mood) -> Answer {
    served.world.store.inside().mood = mood;
    submit(served, "", &document().to_string()).await
}

/// Another request while the first one with its idempotency key is stuck in the store.
async fn overlapping() -> Answer {
    let patience = intake::Config { store_deadline: Duration::from_secs(4), ..intake::Config::default() };
    let served = Served::with_intake(Config::default(), patience).await;
    served.world.store.inside().mood = Mood::Stuck;
    let document = document().to_string();
    let first = submit(&served, "Idempotency-Key: same\r\n", &document);
    let second = async {
        served.world.store.reached.notified().await;
        submit(&served, "Idempotency-Key: same\r\n", &document).await
    };
    tokio::join!(first, second).1
}

async fn trickling() -> Answer {
    let served = Served::with(Config { body_total: Duration::from_millis(300), ..Config::default() }).await;
    let headers = format!("{JSON}Authorization: Bearer {}\r\nContent-Length: 10\r\n", served.key);
    let head = format!("POST /v1/applications HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n{headers}\r\n{{");
    exchange(served.public, head.as_bytes()).await
}

async fn reused(served: &Served) -> Answer {
    submit(served, "Idempotency-Key: same\r\n", &document().to_string()).await;
    let mut other = document();
    other["person"]["name"]["given"] = json!("Grace");
    submit(served, "Idempotency-Key: same\r\n", &other.to_string()).await
}

async fn shed() -> Answer {
    let served = Served::with(Config { max_in_flight: 1, ..Config::default() }).await;
    let _held = stuck(&served).await;
    submit(&served, "", "{}").await
}

async fn provoke(code: Code) -> Answer {
    let served = Served::new().await;
    let valid = document().to_string();
    let bearer = |key: &str| format!("Authorization: Bearer {key}\r\n");
    match code {
        Code::ApplicationInvalid => submit(&served, "", "{}").await,
        Code::BodyUnreadable => submit(&served, "", "{").await,
        Code::MultipartInvalid => {
            let form = "Content-Type: multipart/form-data; boundary=bo\r\n";
            served.ask("POST", "/v1/applications", form, b"--bo--\r\n").await
        }
        Code::BodyTooSlow => trickling().await,
        Code::BodyTooLarge => submit(&served, "", &format!("\"{}\"", "a".repeat(1 << 20))).await,
        Code::ContentTypeUnsupported => {
            served.ask("POST", "/v1/applications", "Content-Type: text/plain\r\n", valid.as_bytes()).await
        }
        Code::ContentEncodingUnsupported => submit(&served, "Content-Encoding: gzip\r\n", &valid).await,
        Code::KeyInvalid => submit_with_key(&served, "").await,
        Code::ScopeMissing => submit_with_key(&served, &bearer(&add_key(&served.world, &[Scope::Read]))).await,
        Code::SecretKeyInBrowser => submit(&served, "Origin: https://jobs.example.org\r\n", &valid).await,
        Code::OriginNotAllowed => {
            let key = key_of(&served.world, &[], Some(&["https://jobs.example.org"]), false);
            submit_with_key(&served, &bearer(&key)).await
        }
        Code::NotFound => served.ask("GET", "/nothing", "", b"").await,
        Code::PostingUnknown => served.ask("GET", "/v1/jobs/999", "", b"").await,
        Code::PostingClosed => {
            let closed =
                |posting: &mut crate::store::setup::PostingRecord| posting.closed_at = Some(Timestamp::UNIX_EPOCH);
            served.world.change(|view| view.posting.iter_mut().for_each(closed));
            served.ask("GET", &format!("/v1/jobs/{JOB}/form"), "", b"").await
        }
        Code::MethodNotAllowed => served.ask("DELETE", "/v1/applications", "", b"").await,
        Code::IdempotencyKeyReused => reused(&served).await,
        Code::IdempotencyInProgress => overlapping().await,
        Code::IdempotencyKeyInvalid => submit(&served, "Idempotency-Key: \r\n", &valid).await,
        Code::QuotaExceeded => {
            let quota = Rate { per_second: 0.001, burst: 1 };
            let served = Served::with(Config { quota, ..Config::default() }).await;
            submit(&served, "", &valid).await;
            submit(&served, "", &valid).await
        }
        Code::Overloaded => shed().await,
        Code::StoreUnavailable => in_the_mood(&served, Mood::Full).await,
        Code::DeadlineExceeded => {
            let config = Config { deadline: Duration::from_millis(200), ..Config::default() };
            in_the_mood(&Served::with(config).await, Mood::Stuck).await
        }
        Code::Internal => in_the_mood(&served, Mood::Panics).await,
        Code::ActionRefused => {
            let delivery = DeliveryId::new(Timestamp::UNIX_EPOCH, &SeededEntropy::new(2));
            desk(&served, "/v1/support/replay", &format!(r#"{{"delivery":"{delivery}"}}"#)).await
        }
        Code::QueryInvalid => desk(&served, "/v1/support/lookup", "{}").await,
    }
}

#[tokio::test]
async fn every_problem_is_reached_over_http_and_is_as_described() {
    for code in Code::ALL {
        let answer = provoke(*code).await;
        assert_eq!(answer.says(), (code.status(), code.as_str().to_owned()));
        let problem = answer.json();
        assert_eq!(
            (&problem["type"], &problem["title"]),
            (&json!(format!("/problems/{}", code.as_str())), &json!(code.title()))
        );
        let wait = answer.header("retry-after").map(|seconds| json!(seconds.parse::<u64>().unwrap()));
        assert_eq!(wait.unwrap_or_default(), problem["retry_after"], "{}", code.as_str());
    }
}
