//! What web pages may do: origins, CORS, one address's share; and what no page and no live key reaches.

use serde_json::json;

use super::{Answer, Served, add_key, exchange, key_of, request};
use crate::ingress::Config;
use crate::intake::fake::{JOB, document};
use crate::quota::Rate;
use crate::store::setup::Scope;

const SITE: &str = "https://jobs.example.org";
const ELSEWHERE: &str = "https://evil.example.com";

fn publishable(served: &Served) -> String {
    let key = key_of(&served.world, &[], Some(&[SITE]), false);
    served.world.store.changed();
    key
}

async fn send(served: &Served, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let body = if method == "POST" { document().to_string() } else { String::new() };
    exchange(served.public, &request(method, path, &lines, body.as_bytes())).await
}

/// As a page at `origin` would send it.
async fn page(served: &Served, key: &str, origin: &str, method: &str, path: &str) -> Answer {
    let bearer = format!("Bearer {key}");
    let headers = [("Authorization", bearer.as_str()), ("Origin", origin), ("Content-Type", "application/json")];
    send(served, method, path, &headers).await
}

#[tokio::test]
async fn a_publishable_key_opens_three_doors_to_its_own_pages() {
    let served = Served::new().await;
    let key = publishable(&served);
    let form = format!("/v1/jobs/{JOB}/form");
    let job = format!("/v1/jobs/{JOB}");
    let accepted = page(&served, &key, SITE, "POST", "/v1/applications").await;
    assert_eq!(accepted.status, 202);
    let state = format!("/v1/applications/{}", accepted.json()["id"].as_str().unwrap());
    for (origin, method, path, expected) in [
        (SITE, "POST", "/v1/preflight", (200, "")),
        (SITE, "GET", form.as_str(), (200, "")),
        // Reads nothing back.
        (SITE, "GET", state.as_str(), (403, "scope_missing")),
        (SITE, "GET", "/v1/jobs", (403, "scope_missing")),
        (SITE, "GET", job.as_str(), (403, "scope_missing")),
        (ELSEWHERE, "POST", "/v1/applications", (403, "origin_not_allowed")),
        (ELSEWHERE, "POST", "/v1/preflight", (403, "origin_not_allowed")),
        ("null", "GET", form.as_str(), (403, "origin_not_allowed")),
        ("https://jobs.example.org:444", "GET", form.as_str(), (403, "origin_not_allowed")),
        ("http://jobs.example.org", "GET", form.as_str(), (403, "origin_not_allowed")),
    ] {
        let answer = page(&served, &key, origin, method, path).await;
        assert_eq!(answer.says(), (expected.0, expected.1.to_owned()), "{origin} {method} {path}");
    }
    let bearer = format!("Bearer {key}");
    let without = send(&served, "GET", &form, &[("Authorization", &bearer)]).await;
    assert_eq!(without.says(), (403, "origin_not_allowed".to_owned()));
    let twice = send(&served, "GET", &form, &[("Authorization", &bearer), ("Origin", SITE), ("Origin", SITE)]).await;
    assert_eq!(twice.says(), (403, "origin_not_allowed".to_owned()));
    let support = page(&served, &key, SITE, "POST", "/v1/support/lookup").await;
    assert_eq!(support.status, 404, "not on the public listener");
    let lines = format!("Authorization: Bearer {key}\r\nOrigin: {SITE}\r\n");
    let support = exchange(served.management, &request("POST", "/v1/support/lookup", &lines, b"")).await;
    assert_eq!(support.says(), (403, "scope_missing".to_owned()));
}

#[tokio::test]
async fn a_page_can_read_what_is_answered_to_a_listed_origin_only() {
    let served = Served::new().await;
    let key = publishable(&served);
    let form = format!("/v1/jobs/{JOB}/form");
    let allowed = |answer: &Answer| answer.header("access-control-allow-origin").map(str::to_owned);
    for (origin, path, asks, readable) in [
        (SITE, "/v1/applications", "POST", true),
        (SITE, "/v1/preflight", "POST", true),
        (SITE, form.as_str(), "GET", true),
        (ELSEWHERE, "/v1/applications", "POST", false),
        (SITE, "/v1/jobs", "GET", false),
        (SITE, "/v1/applications/sub_1", "GET", false),
        (SITE, "/v1/hooks/x", "POST", false),
    ] {
        let asked = [("Origin", origin), ("Access-Control-Request-Method", asks)];
        let answer = send(&served, "OPTIONS", path, &asked).await;
        assert_eq!(allowed(&answer), readable.then(|| origin.to_owned()), "{origin} {path}");
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        if readable {
            assert_eq!(answer.status, 204);
            assert_eq!(answer.header("access-control-allow-methods"), Some(asks));
            assert!(answer.header("access-control-allow-headers").unwrap().contains("authorization"));
            assert_eq!(answer.header("vary"), Some("Origin"));
        } else {
            assert!(answer.status >= 400, "{origin} {path}: {}", answer.status);
        }
    }
    // A refusal can be read too, or its words would help nobody; what another origin is told, its page cannot read.
    let other = key_of(&served.world, &[], Some(&["https://other.example.org"]), false);
    for (key, origin, expected, readable) in [
        (key.as_str(), SITE, 200, true),
        (other.as_str(), SITE, 403, true),
        ("cp_nonsense", SITE, 401, true),
        (key.as_str(), ELSEWHERE, 403, false),
    ] {
        let answer = page(&served, key, origin, "POST", "/v1/preflight").await;
        assert_eq!((answer.status, allowed(&answer)), (expected, readable.then(|| origin.to_owned())), "{origin}");
    }
    served.world.store.inside().keys.clear();
    served.world.store.changed();
    let asked = [("Origin", SITE), ("Access-Control-Request-Method", "POST")];
    let answer = send(&served, "OPTIONS", "/v1/preflight", &asked).await;
    assert_eq!(answer.says(), (403, "origin_not_allowed".to_owned()), "its last key is gone");
}

#[tokio::test]
async fn one_address_has_its_share_and_secret_keys_are_not_asked() {
    let address_quota = Rate { per_second: 0.001, burst: 3 };
    let served = Served::with(Config { address_quota, ..Config::default() }).await;
    let (key, second) = (publishable(&served), publishable(&served));
    for expected in [200, 200, 200, 429] {
        let answer = page(&served, &key, SITE, "POST", "/v1/preflight").await;
        assert_eq!(answer.status, expected);
        assert_eq!(answer.header("retry-after").is_some(), expected == 429);
    }
    assert_eq!(page(&served, &second, SITE, "POST", "/v1/preflight").await.status, 429, "the address, not the key");
    for _ in 0..5 {
        assert_eq!(served.post_json(document().to_string().as_bytes()).await.status, 202);
    }
}

#[tokio::test]
async fn a_preflight_leaves_no_trace_and_says_what_a_submit_says() {
    let served = Served::new().await;
    let secret = key_of(&served.world, &[Scope::Submit], None, false);
    let ask = async |path: &str, body: &str| {
        // A preflight binds no key, so the submit of the same may still use it.
        let headers = format!(
            "Authorization: Bearer {secret}\r\nContent-Type: application/json\r\nIdempotency-Key: k{}\r\n",
            body.len()
        );
        exchange(served.public, &request("POST", path, &headers, body.as_bytes())).await
    };
    let mut nameless = document();
    nameless["person"].as_object_mut().unwrap().remove("name");
    let mut unknown = document();
    unknown["job"] = json!("999");
    let mut surveyed = document();
    surveyed["demographics"] = json!([{ "scheme": "eeoc", "answers": { "zqxmarker": "zqxvalue" }, "zqxmember": 1 }]);
    let bodies = [document(), nameless, unknown, surveyed].map(|body| body.to_string());
    for body in bodies.iter().map(String::as_str).chain(["{", ""]) {
        let told = ask("/v1/preflight", body).await;
        assert!(!String::from_utf8_lossy(&told.body).contains("zqx"), "no survey is echoed");
        if told.status == 200 {
            assert_eq!(told.header("etag").is_some(), told.json()["form"]["digest"].is_string());
            assert_eq!(told.header("cache-control"), Some("no-store"));
        }
        {
            let inside = served.world.store.inside();
            assert!(inside.accepted.is_empty() && inside.refused.is_empty());
        }
        assert!(served.world.bells.rung.lock().unwrap().is_empty(), "nobody is rung for");
    }
    // Only now, so that nothing above could be its doing.
    let mut verdicts = Vec::new();
    for body in bodies.iter().map(String::as_str).chain(["{", ""]) {
        let told = ask("/v1/preflight", body).await;
        let sent = ask("/v1/applications", body).await;
        let expected = match told.status {
            200 => {
                let submit = told.json()["submit"].clone();
                (submit["status"].as_u64().unwrap(), submit["code"].as_str().unwrap_or_default().to_owned())
            }
            _ => (u64::from(told.status), told.says().1),
        };
        let code = if sent.status == 202 { String::new() } else { sent.says().1 };
        assert_eq!((u64::from(sent.status), code), expected, "{body}");
        verdicts.push(sent.status);
    }
    assert_eq!(verdicts, [202, 422, 404, 422, 400, 400]);
    let refusals = served.world.store.inside().refused.len();
    assert_eq!(refusals, 3, "of the submits alone");
    let world = served.stop().await;
    let counted: Vec<u64> =
        world.store.inside().edge.iter().filter(|one| one.code == "body_unreadable").map(|one| one.count).collect();
    assert_eq!(counted.iter().sum::<u64>(), 2, "the submits' unreadable bodies, not the preflights'");
}

#[tokio::test]
async fn a_test_key_reaches_sandbox_accounts_and_no_other_key_does() {
    let served = Served::new().await;
    let test = key_of(&served.world, &[Scope::Submit, Scope::Read], None, true);
    let live = add_key(&served.world, &[Scope::Submit, Scope::Read]);
    let ask = async |key: &str, method: &str, path: &str, body: &serde_json::Value| {
        let headers = format!("Authorization: Bearer {key}\r\nContent-Type: application/json\r\n");
        exchange(served.public, &request(method, path, &headers, body.to_string().as_bytes())).await
    };
    let job = format!("/v1/jobs/{JOB}/form");
    // Every account is live: the test key sees nothing, and is told what is missing.
    for (method, path) in [("POST", "/v1/applications"), ("POST", "/v1/preflight"), ("GET", job.as_str())] {
        let answer = ask(&test, method, path, &document()).await;
        assert_eq!(answer.says(), (404, "posting_unknown".to_owned()), "{path}");
        assert!(answer.json()["detail"].as_str().unwrap().contains("--sandbox"), "{path}");
    }
    let mut says_test = document();
    says_test["meta"] = json!({ "test": true });
    let refused = ask(&live, "POST", "/v1/applications", &says_test).await;
    assert_eq!((refused.status, &refused.json()["errors"][0]["pointer"]), (422, &json!("/meta/test")));

    served.world.change(|view| view.accounts.iter_mut().for_each(|record| record.sandbox = true));
    let receipt = ask(&test, "POST", "/v1/applications", &says_test).await;
    assert_eq!((receipt.status, &receipt.json()["test"]), (202, &json!(true)));
    let unmarked = ask(&test, "POST", "/v1/applications", &document()).await;
    assert_eq!((unmarked.status, &unmarked.json()["test"]), (202, &json!(true)), "the key says it, not the document");
    assert_eq!(ask(&test, "POST", "/v1/preflight", &document()).await.json()["test"], true);
    assert_eq!(ask(&test, "GET", &job, &document()).await.json()["test"], true);
    assert_eq!(ask(&live, "POST", "/v1/applications", &document()).await.status, 404);
    assert_eq!(ask(&live, "GET", &job, &document()).await.status, 404);
    assert!(served.world.store.inside().accepted.iter().all(|application| application.test));
    // Reading back keeps to the split.
    let taken = format!("/v1/applications/{}", receipt.json()["id"].as_str().unwrap());
    let read = async |key: &str| ask(key, "GET", &taken, &document()).await.says();
    assert_eq!((read(&test).await.0, read(&live).await), (200, (404, "not_found".to_owned())));
}

#[tokio::test]
async fn a_test_never_stands_for_a_real_application() {
    let served = Served::new().await;
    let test = key_of(&served.world, &[Scope::Submit], None, true);
    let live = add_key(&served.world, &[Scope::Submit]);
    let ask = async |key: &str| {
        let headers =
            format!("Authorization: Bearer {key}\r\nContent-Type: application/json\r\nIdempotency-Key: same\r\n");
        exchange(served.public, &request("POST", "/v1/applications", &headers, document().to_string().as_bytes())).await
    };
    served.world.change(|view| view.accounts.iter_mut().for_each(|record| record.sandbox = true));
    let tried = ask(&test).await;
    served.world.change(|view| view.accounts.iter_mut().for_each(|record| record.sandbox = false));
    let real = ask(&live).await;
    assert_eq!((tried.status, real.status), (202, 202));
    assert_ne!(tried.json()["id"], real.json()["id"], "the same key and bytes, and yet another application");
    assert_eq!(ask(&live).await.body, real.body);
    let inside = served.world.store.inside();
    assert_ne!(inside.accepted[0].fingerprint, inside.accepted[1].fingerprint);
}
