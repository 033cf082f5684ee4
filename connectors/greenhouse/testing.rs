//! What the tests of this folder share beside `crate::scripted`: how this vendor's calls are told, the documents of
//! `testdata/`.

use bytes::Bytes;
use causeway_core::account::{Account, Role};
use causeway_core::connector::{Delivery, File, UseAuth};
use causeway_core::delivery::Refs;
use causeway_core::posting::{Form, Posting};
use http::Request;

use super::{form, wire};
use crate::scripted;
pub(super) use crate::scripted::{Exchange, Script, answer, application, at, complaints, run, with_header};

pub(super) const APPLICATION: &str = include_str!("testdata/application.json");
pub(super) const OTHER: &str = include_str!("testdata/application-other.json");
pub(super) const JOB: &str = include_str!("testdata/job.json");

/// A vendor that answers by script. A request is told as `METHOD scheme path?query`.
pub(super) fn script(exchanges: impl IntoIterator<Item = Exchange>) -> Script {
    Script::telling(told, exchanges)
}

fn told(request: &Request<Bytes>) -> String {
    let scheme = request.extensions().get::<UseAuth>().map_or("bare", |auth| auth.0);
    format!("{} {scheme} {}", request.method(), request.uri())
}

pub(super) fn account(settings: &[(&str, &str)]) -> Account {
    scripted::account("greenhouse", Role::Ats, settings)
}

pub(super) fn acme() -> Account {
    account(&[
        ("board_token", "acme"),
        ("board_url", "http://board.example.org"),
        ("harvest_url", "http://harvest.example.org/"),
    ])
}

pub(super) fn files() -> Vec<File> {
    scripted::files([("cv", "hello"), ("letter", "world"), ("work", "work"), ("extra", "xtra")])
}

pub(super) fn published(job: &str) -> Form {
    form::form(serde_json::from_str::<wire::Questions>(job).unwrap())
}

/// Hands a delivery of `testdata/application.json` to posting 44444, received at ten and tried at `now`, to `test`.
pub(super) fn with_delivery<T>(account: &Account, now: &str, test: impl FnOnce(&Delivery<'_>) -> T) -> T {
    let posting = Posting { posting_id: "44444".to_owned(), ..Posting::default() };
    let (form, refs) = (published(JOB), Refs::new());
    let made = scripted::Made { account, posting, form, document: APPLICATION, files: files(), refs: &refs, now };
    scripted::with_delivery(&made, test)
}
