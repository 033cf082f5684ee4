//! Who may ask for what.

use jiff::SignedDuration;

use super::{Served, add_key, exchange, key_of, request};
use crate::intake::fake::document;
use crate::store::setup::Scope;

/// Status, and the code of a problem.
async fn post(served: &Served, headers: &str) -> (u16, String) {
    let headers = format!("{headers}Content-Type: application/json\r\n");
    let body = document().to_string();
    let answer = exchange(served.public, &request("POST", "/v1/applications", &headers, body.as_bytes())).await;
    if answer.status == 202 { (202, String::new()) } else { answer.says() }
}

#[tokio::test]
async fn only_a_living_secret_key_with_the_scope_gets_in() {
    let served = Served::new().await;
    let key = served.key.clone();
    let read = add_key(&served.world, &[Scope::Read, Scope::Support]);
    let accepted = (202, "");
    let bearer = |key: &str| format!("Authorization: Bearer {key}\r\n");
    let swapped: String = key.chars().rev().collect();
    let last_changed: String = match key.strip_suffix('a') {
        Some(rest) => format!("{rest}q"),
        None => key.strip_suffix(char::is_alphanumeric).map(|rest| format!("{rest}a")).unwrap(),
    };
    for (headers, (status, code)) in [
        (bearer(&key), accepted),
        (format!("authorization: bearer {key}\r\n"), accepted),
        (String::new(), (401, "key_invalid")),
        (bearer(""), (401, "key_invalid")),
        (bearer(&swapped), (401, "key_invalid")),
        (bearer(&key.replace("ck_", "cp_")), (401, "key_invalid")),
        (bearer(&last_changed), (401, "key_invalid")),
        (format!("Authorization: Basic {key}\r\n"), (401, "key_invalid")),
        (format!("{}{}", bearer(&key), bearer(&key)), (401, "key_invalid")),
        (format!("{}Origin: https://jobs.example.org\r\n", bearer(&key)), (403, "secret_key_in_browser")),
        (bearer(&read), (403, "scope_missing")),
    ] {
        assert_eq!(post(&served, &headers).await, (status, code.to_owned()), "{headers}");
    }
    let unauthorised = exchange(served.public, &request("POST", "/v1/applications", "", b"")).await;
    assert_eq!(unauthorised.header("www-authenticate"), Some("Bearer realm=\"causeway\""));
}

#[tokio::test]
async fn a_key_is_remembered_for_a_second_and_dies_with_its_revocation() {
    let served = Served::new().await;
    let headers = format!("Authorization: Bearer {}\r\n", served.key);
    for _ in 0..3 {
        assert_eq!(post(&served, &headers).await.0, 202);
    }
    assert_eq!(served.world.store.inside().key_lookups, 1);
    let now = served.world.clock.as_ref();
    served.world.store.inside().keys.values_mut().for_each(|key| {
        key.revoked_at = Some(causeway_core::clock::Clock::now(now));
    });
    // Another process revoked it: nothing tells this one but the age of what it knows.
    served.world.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(post(&served, &headers).await, (401, "key_invalid".to_owned()));

    served.world.store.inside().keys.values_mut().for_each(|key| key.revoked_at = None);
    assert_eq!(post(&served, &headers).await.0, 202);
    served.world.store.inside().keys.clear();
    served.world.store.changed();
    assert_eq!(post(&served, &headers).await.0, 401, "this process revoked it: at once");
}

#[tokio::test]
async fn another_tenants_application_is_answered_like_one_that_does_not_exist() {
    let served = Served::new().await;
    let accepted = served.post_json(document().to_string().as_bytes()).await.json();
    let id = accepted["id"].as_str().unwrap().to_owned();
    let theirs = add_key(&served.world, &[Scope::Read]);
    let other = crate::intake::fake::World::new();
    let stranger = causeway_core::ids::TenantId::new(jiff::Timestamp::UNIX_EPOCH, served.world.entropy.as_ref());
    assert_ne!(stranger, other.tenant);
    served.world.store.inside().keys.values_mut().filter(|key| key.scopes == [Scope::Read]).for_each(|key| {
        key.tenant = stranger;
    });
    let ours = served.ask("GET", &format!("/v1/applications/{id}"), "", b"").await;
    assert_eq!((ours.status, &ours.json()["code"]), (200, &accepted["code"]));
    let absent = "sub_00000000000070008000000000000000";
    let mut answers = Vec::new();
    for id in [id.as_str(), absent, "sub_1", "acc_00000000000070008000000000000000"] {
        let headers = format!("Authorization: Bearer {theirs}\r\n");
        let path = format!("/v1/applications/{id}");
        let answer = exchange(served.public, &request("GET", &path, &headers, b"")).await;
        let mut body = answer.json();
        body.as_object_mut().unwrap().remove("trace_id");
        let kept = |line: &&str| !line.starts_with("x-request-id") && !line.starts_with("date");
        answers.push((answer.head.lines().filter(kept).map(str::to_owned).collect::<Vec<_>>(), body));
    }
    assert_eq!(answers[0].1["code"], "not_found");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn support_needs_its_own_scope_on_the_management_listener() {
    let served = Served::new().await;
    let support = add_key(&served.world, &[Scope::Support]);
    // What support sees is never a test key's: not even of one that was once given the scope.
    let test = key_of(&served.world, &[Scope::Support, Scope::Privacy], None, true);
    for (key, expected) in [(&support, 200), (&served.key, 403), (&test, 403), (&"none".to_owned(), 401)] {
        let headers = format!("Authorization: Bearer {key}\r\n");
        let bytes = request("POST", "/v1/support/lookup", &headers, br#"{"email":"ada@example.org"}"#);
        assert_eq!(exchange(served.management, &bytes).await.status, expected);
        assert_eq!(exchange(served.public, &bytes).await.status, 404, "not on the public listener");
    }
}

#[tokio::test]
async fn a_receipt_takes_a_secret_key_and_the_keys_that_verify_it_take_none() {
    let served = Served::new().await;
    let nobodys = "/v1/applications/sub_00000000000000000000000000000001/receipt";
    assert_eq!(served.ask("GET", nobodys, "", b"").await.says(), (404, "not_found".to_owned()));
    let bare = exchange(served.public, &request("GET", nobodys, "", b"")).await;
    assert_eq!(bare.says(), (401, "key_invalid".to_owned()));
    let page = key_of(&served.world, &[], Some(&["https://jobs.example.org"]), false);
    let headers = format!("Authorization: Bearer {page}\r\nOrigin: https://jobs.example.org\r\n");
    let from_a_page = exchange(served.public, &request("GET", nobodys, &headers, b"")).await;
    assert_eq!(from_a_page.says(), (403, "scope_missing".to_owned()));
    let feed = add_key(&served.world, &[Scope::Feed]);
    let headers = format!("Authorization: Bearer {feed}\r\n");
    assert_eq!(exchange(served.public, &request("GET", nobodys, &headers, b"")).await.says().1, "scope_missing");
    let keys = exchange(served.public, &request("GET", "/.well-known/causeway-receipt-keys", "", b"")).await;
    assert_eq!((keys.status, keys.json()), (200, serde_json::json!({ "keys": [] })));
    served.stop().await;
}

#[tokio::test]
async fn the_page_of_past_webhooks_takes_a_key() {
    let served = Served::new().await;
    for (headers, expected) in [(String::new(), 401), (format!("Authorization: Bearer {}\r\n", served.key), 200)] {
        let bytes = request("GET", "/v1/webhooks/deliveries", &headers, b"");
        assert_eq!(exchange(served.management, &bytes).await.status, expected, "{headers}");
    }
    served.stop().await;
}
