//! What the tests of this folder share beside `crate::scripted`: how this vendor's calls are told, its yes and its no, the
//! documents of `testdata/`.

use bytes::Bytes;
use causeway_core::account::{Account, Role};
use causeway_core::connector::{Delivery, File, NamedByVendor, SendError, UseAuth};
use causeway_core::delivery::Refs;
use causeway_core::posting::{Form, Posting};
use http::{Request, Response};
use serde_json::{Value, json};

use super::{form, wire};
use crate::scripted;
pub(super) use crate::scripted::{Exchange, Script, answer, application, at, complaints, run};

pub(super) const APPLICATION: &str = include_str!("testdata/application.json");
pub(super) const POSTING: &str = include_str!("testdata/posting.json");
pub(super) const POSTING_ID: &str = "11111111-1111-4111-8111-111111111111";
pub(super) const JOB_ID: &str = "22222222-2222-4222-8222-222222222222";

/// A vendor that answers by script. A request is told as `key <verb>`, or as `bare <url>` when it goes where an answer said.
pub(super) fn script(exchanges: impl IntoIterator<Item = Exchange>) -> Script {
    Script::telling(told, exchanges)
}

fn told(request: &Request<Bytes>) -> String {
    assert_eq!(request.method(), "POST", "every verb is a POST");
    let named = request.extensions().get::<NamedByVendor>().is_some();
    match request.extensions().get::<UseAuth>() {
        Some(UseAuth(scheme)) => {
            assert!(!named, "no key goes to a host that an answer named");
            assert_eq!(request.headers()["accept"], "application/json; version=1");
            assert_eq!(request.uri().host(), Some("ashby.example.org"));
            format!("{scheme} {}", request.uri().path().trim_start_matches('/'))
        }
        None => {
            assert!(named, "a bare request says why it is one");
            format!("bare {}", request.uri())
        }
    }
}

/// A 200 that says yes.
pub(super) fn yes(results: &Value) -> Result<Response<Bytes>, SendError> {
    answer(200, &json!({ "success": true, "results": results }).to_string())
}

/// A 200 that says no.
pub(super) fn no(code: &str) -> Result<Response<Bytes>, SendError> {
    let info = json!({ "code": code, "message": "No", "requestId": "r" });
    answer(200, &json!({ "success": false, "errors": [code], "errorInfo": info }).to_string())
}

pub(super) fn account(settings: &[(&str, &str)]) -> Account {
    scripted::account("ashby", Role::Ats, settings)
}

pub(super) fn acme() -> Account {
    account(&[("base_url", "https://ashby.example.org/")])
}

pub(super) fn files() -> Vec<File> {
    scripted::files([("cv", "hello"), ("work", "work"), ("extra", "xtra")])
}

pub(super) fn published(info: &str) -> Form {
    let envelope: Value = serde_json::from_str(info).unwrap();
    form::form(serde_json::from_value::<wire::PostingInfo>(envelope["results"].clone()).unwrap())
}

/// Hands a delivery of this document, received at ten and tried at eleven, to `test`.
pub(super) fn with_document<T>(document: &str, refs: &Refs, test: impl FnOnce(&Delivery<'_>) -> T) -> T {
    let posting =
        Posting { posting_id: POSTING_ID.to_owned(), vendor_job_id: Some(JOB_ID.to_owned()), ..Posting::default() };
    let (account, form, now) = (acme(), published(POSTING), "2026-11-01T11:00:00Z");
    scripted::with_delivery(
        &scripted::Made { account: &account, posting, form, document, files: files(), refs, now },
        test,
    )
}
