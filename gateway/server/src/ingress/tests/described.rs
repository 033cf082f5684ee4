//! The documents and the routers: the same routes, the same methods, the same keys; and nothing open in any answer.

use std::collections::BTreeSet;

use causeway_core::problem::Code;
use serde_json::Value;

use super::{Served, add_key, contract, exchange, ingress, key_of, request};
use crate::ingress::{Config, management_document, public_document};
use crate::intake;
use crate::intake::fake::World;
use crate::openapi::contract::Seen;
use crate::store::setup::Scope;
use crate::support;
use crate::webhooks;

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
const SITE: &str = "https://jobs.example.org";

fn documents() -> [Value; 2] {
    [public_document(), management_document(support::http::routes().unserved(), webhooks::http::routes().unserved())]
}

/// Path, method in capitals, operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| {
        let item = item.as_object().unwrap().clone();
        let path = path.clone();
        item.into_iter()
            .map(move |(method, operation)| (path.clone(), method.to_uppercase(), operation))
            .collect::<Vec<_>>()
    };
    paths.iter().flat_map(of).collect()
}

/// A request's path for a template.
fn filled(template: &str) -> String {
    template.replace("{code}", "internal").replace(['{', '}'], "")
}

/// What the router itself holds, by what it shows of itself: `{id: "/path"}`.
fn routes_of(router: &axum::Router) -> BTreeSet<String> {
    let shown = format!("{router:?}");
    let paths = shown.split("paths: ").nth(1).and_then(|rest| rest.split('}').next().map(|_| rest)).unwrap_or_default();
    let quoted = paths.split('"').skip(1).step_by(2);
    quoted.filter(|text| text.starts_with('/')).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_routers_hold_what_the_documents_say_and_nothing_else() {
    let ingress = ingress(&World::new(), Config::default(), intake::Config::default());
    for (router, document) in [&ingress.public, &ingress.management].into_iter().zip(documents()) {
        let described: BTreeSet<String> = operations(&document).into_iter().map(|(path, _, _)| path).collect();
        assert_eq!(routes_of(router), described);
    }
}

#[tokio::test]
async fn each_path_takes_the_methods_that_its_document_has_and_says_so_to_others() {
    let served = Served::new().await;
    let everything = add_key(&served.world, &[Scope::Submit, Scope::Read, Scope::Support, Scope::Privacy]);
    let headers = format!("Authorization: Bearer {everything}\r\n");
    for (address, document) in [served.public, served.management].into_iter().zip(documents()) {
        for (path, item) in document["paths"].as_object().unwrap() {
            let described: BTreeSet<String> =
                item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
            for method in METHODS {
                let answer = exchange(address, &request(method, &filled(path), &headers, b"")).await;
                let is_described = described.contains(if method == "HEAD" { "GET" } else { method });
                assert_eq!(answer.status != 405, is_described, "{method} {path}: {}", answer.head);
                if answer.status == 405 {
                    let allowed: BTreeSet<&str> = answer.header("allow").unwrap().split(',').collect();
                    let plain: BTreeSet<&str> =
                        described.iter().map(String::as_str).filter(|one| *one != "OPTIONS").collect();
                    assert!(plain.is_subset(&allowed), "{method} {path}: {allowed:?}");
                    assert!(
                        allowed.iter().all(|one| plain.contains(one) || *one == "HEAD" && plain.contains("GET")),
                        "{path}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn each_operation_asks_for_the_key_that_its_document_names() {
    let served = Served::new().await;
    let page = key_of(&served.world, &[], Some(&[SITE]), false);
    let all = [Scope::Submit, Scope::Feed, Scope::Read, Scope::Support, Scope::Privacy];
    let [public, management] = documents();
    for (address, document) in [(served.public, public), (served.management, management)] {
        for (path, method, operation) in operations(&document).into_iter().filter(|(_, method, _)| method != "OPTIONS")
        {
            let ask =
                async |headers: &str| exchange(address, &request(&method, &filled(&path), headers, b"")).await.says();
            let security = operation["security"].as_array().unwrap();
            let without = ask("").await.1;
            assert_eq!(without == "key_invalid", !security.is_empty(), "{method} {path}: {without}");
            let sets = security.iter().filter_map(|one| one["secretKey"].as_array());
            let sets: Vec<Vec<&str>> =
                sets.map(|set| set.iter().map(|scope| scope.as_str().unwrap()).collect()).collect();
            // Every pair of scopes: enough to see what is needed together.
            for (one, other) in all.iter().flat_map(|one| all.iter().map(move |other| (*one, *other))) {
                let key = add_key(&served.world, &[one, other]);
                let may = security.is_empty()
                    || sets.iter().any(|set| set.iter().all(|scope| [one.as_str(), other.as_str()].contains(scope)));
                let (_, code) = ask(&format!("Authorization: Bearer {key}\r\n")).await;
                assert_eq!(code != "scope_missing", may, "{method} {path} with {one:?} and {other:?}: {code}");
            }
            let for_pages = security.iter().any(|one| one["publishableKey"].is_array());
            let (_, code) = ask(&format!("Authorization: Bearer {page}\r\nOrigin: {SITE}\r\n")).await;
            assert_eq!(code != "scope_missing", for_pages || security.is_empty(), "{method} {path}: {code}");
        }
    }
}

#[tokio::test]
async fn browsers_are_answered_where_the_document_has_it() {
    let served = Served::new().await;
    key_of(&served.world, &[], Some(&[SITE]), false);
    served.world.store.changed();
    for (path, item) in public_document()["paths"].as_object().unwrap() {
        let asked = format!("Origin: {SITE}\r\nAccess-Control-Request-Method: GET\r\n");
        let answer = exchange(served.public, &request("OPTIONS", &filled(path), &asked, b"")).await;
        assert_eq!(answer.status == 204, item.get("options").is_some(), "{path}: {}", answer.head);
    }
}

#[tokio::test]
async fn both_listeners_serve_their_documents() {
    let served = Served::new().await;
    for (address, document) in [served.public, served.management].into_iter().zip(documents()) {
        let answer = exchange(address, &request("GET", "/v1/openapi.json", "", b"")).await;
        assert_eq!((answer.status, answer.json()), (200, document));
    }
}

#[test]
fn every_problem_is_in_a_document() {
    let mut described = BTreeSet::new();
    for (_, _, operation) in documents().iter().flat_map(operations) {
        for response in operation["responses"].as_object().unwrap().values() {
            let schema = &response["content"]["application/problem+json"]["schema"];
            let codes = schema["allOf"][1]["properties"]["code"]["enum"].as_array();
            described.extend(codes.into_iter().flatten().map(|code| code.as_str().unwrap().to_owned()));
        }
    }
    // What is answered where the document has no operation.
    described.insert(Code::MethodNotAllowed.as_str().to_owned());
    let all: BTreeSet<String> = Code::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    assert_eq!(described, all);
}

/// The objects that may hold anything: a schema of somebody's making, the document that was sent, the API's own document,
/// counts by problem code.
const OPEN: [&str; 4] = ["JobForm/schema", "Exported/document", "document/200", "LookupReport/edge_refused"];

#[test]
fn nothing_in_an_answer_is_open_by_accident() {
    let mut open = BTreeSet::new();
    for document in documents() {
        for (_, _, operation) in operations(&document) {
            for (status, response) in operation["responses"].as_object().unwrap() {
                for media in response["content"].as_object().into_iter().flat_map(serde_json::Map::values) {
                    let at = format!("{}/{status}", operation["operationId"].as_str().unwrap());
                    follow(&document, &media["schema"], &at, &mut open, &mut BTreeSet::new());
                }
            }
        }
    }
    assert_eq!(open, OPEN.map(str::to_owned).into());
}

/// Collects where a schema lets through members that it does not name.
fn follow(document: &Value, schema: &Value, at: &str, open: &mut BTreeSet<String>, seen: &mut BTreeSet<String>) {
    if let Some(to) = schema["$ref"].as_str() {
        if seen.insert(to.to_owned()) {
            let target = document.pointer(to.trim_start_matches('#')).unwrap_or_else(|| panic!("{to} leads nowhere"));
            follow(document, target, to.rsplit('/').next().unwrap(), open, seen);
        }
        return;
    }
    let is_narrowing = schema["properties"]["code"]["enum"].is_array() && schema.get("type").is_none();
    let says_something =
        ["type", "enum", "const", "oneOf", "anyOf", "allOf"].iter().any(|word| schema.get(*word).is_some());
    let is_object = schema["type"] == "object";
    if !is_narrowing && (!says_something || is_object && schema["additionalProperties"] != false) {
        open.insert(at.to_owned());
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten().filter(|_| !is_narrowing) {
        follow(document, property, &format!("{at}/{name}"), open, seen);
    }
    for word in ["oneOf", "anyOf", "allOf"] {
        for part in schema[word].as_array().into_iter().flatten() {
            follow(document, part, at, open, seen);
        }
    }
    if let Some(items) = schema.get("items") {
        follow(document, items, at, open, seen);
    }
}

#[test]
fn an_answer_that_says_more_or_less_than_the_document_is_noticed() {
    let header = |name: &'static str, value: &'static str| {
        (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
    };
    let id = header("x-request-id", "0123456789abcdef0123456789abcdef");
    let board: http::HeaderMap = [
        id.clone(),
        header("content-type", "application/json"),
        header("etag", "\"0000000000000000000000000000000000000000000000000000000000000000\""),
    ]
    .into_iter()
    .collect();
    let bare: http::HeaderMap = [id, header("content-type", "application/json")].into_iter().collect();
    for (path, status, headers, body, fits) in [
        ("/v1/jobs", 200, &board, r#"{"jobs":[]}"#, true),
        ("/v1/jobs?x=1", 200, &board, r#"{"jobs":[{"id":"1","title":"A","open":true}]}"#, true),
        ("/v1/jobs", 200, &board, r#"{"jobs":[],"more":1}"#, false),
        ("/v1/jobs", 200, &board, r#"{"jobs":[{"id":"1","title":"A","open":true,"recruiter":"x"}]}"#, false),
        ("/v1/jobs", 200, &board, r#"{}"#, false),
        ("/v1/jobs", 200, &board, "", false),
        ("/v1/jobs", 200, &bare, r#"{"jobs":[]}"#, false),
        ("/v1/jobs", 201, &board, r#"{"jobs":[]}"#, false),
        ("/v1/nothing", 200, &board, r#"{"jobs":[]}"#, false),
        ("/v1/nothing", 404, &bare, r#"{"jobs":[]}"#, false),
    ] {
        let seen = Seen { method: "GET", path, status, headers, body: body.as_bytes() };
        let checked = contract(true).check(&seen);
        assert_eq!(checked.is_ok(), fits, "{path} {status} {body}: {checked:?}");
    }
}
