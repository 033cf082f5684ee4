//! Two living sets of secrets at the stack: which is tried first, when the other serves, and what is noted.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use causeway_core::account::Which;
use causeway_core::connector::UseAuth;
use causeway_core::pii::Secret;
use http::header;
use serde_json::json;

use super::super::testing::{Reply, egress_with, plant, record};
use super::super::*;
use crate::feeds::testing::Publisher;

/// What was noted: which set, and whether it was refused.
type Noted = Arc<Mutex<Vec<(Which, bool)>>>;

struct Two {
    noted: Noted,
    /// When the newer set was given; another moment is another generation.
    since: Mutex<i64>,
}

fn set(name: &str) -> BTreeMap<String, Secret> {
    ["token", "id", "secret"].map(|kind| (kind.to_owned(), Secret::new(format!("{name}-{kind}")))).into()
}

#[async_trait]
impl CredentialSource for Two {
    async fn credentials(&self, _: AccountId) -> Result<BTreeMap<String, Secret>, NoCredentials> {
        Ok(set("old"))
    }
    async fn next(&self, _: AccountId) -> Result<Option<Newer>, NoCredentials> {
        let since = Timestamp::from_second(*self.since.lock().unwrap_or_else(PoisonError::into_inner)).unwrap();
        Ok(Some(Newer { secrets: set("new"), since }))
    }
    async fn used(&self, _: AccountId, which: Which, refused: bool) {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).push((which, refused));
    }
    fn generation(&self) -> u64 {
        u64::try_from(*self.since.lock().unwrap_or_else(PoisonError::into_inner)).unwrap()
    }
}

/// What the vendor answers to each set.
#[derive(Clone, Copy)]
struct Vendor {
    new: u16,
    old: u16,
}

struct Ran {
    statuses: Vec<u16>,
    /// The credential of each request, in order.
    sent: Vec<String>,
    noted: Vec<(Which, bool)>,
}

/// So many requests, `gap` apart.
async fn run(vendor: Vendor, scheme: &'static str, requests: usize, gap: Duration) -> Ran {
    run_with(vendor, scheme, requests, gap, false).await
}

/// With `anew`, the same newer set is given again before each request.
async fn run_with(vendor: Vendor, scheme: &'static str, requests: usize, gap: Duration, anew: bool) -> Ran {
    let (noted, sent): (Noted, Arc<Mutex<Vec<String>>>) = Default::default();
    let source = Arc::new(Two { noted: Arc::clone(&noted), since: Mutex::new(1) });
    let egress = egress_with(
        Arc::new(Publisher::default()),
        EgressPolicy::default(),
        Arc::clone(&source) as Arc<dyn CredentialSource>,
    );
    let (record, log) = (record("scripted", json!({})), Arc::clone(&sent));
    plant(&egress, &record, move |request| -> Reply {
        let log = Arc::clone(&log);
        Box::pin(async move {
            let header = request.headers().get(header::AUTHORIZATION).unwrap().to_str().unwrap().to_owned();
            let is_token = request.uri().host() == Some("auth.vendor.test");
            let plain = match header.strip_prefix("Basic ") {
                Some(coded) => String::from_utf8(data_encoding::BASE64.decode(coded.as_bytes()).unwrap()).unwrap(),
                None => header,
            };
            let is_new = plain.contains("new-");
            let status = if is_new { vendor.new } else { vendor.old };
            let name = if is_new { "new" } else { "old" };
            log.lock().unwrap().push(format!("{}{name}", if is_token { "token " } else { "" }));
            let body =
                if is_token && status == 200 { format!(r#"{{"access_token":"{name}-token"}}"#) } else { String::new() };
            Ok(Response::builder().status(status).body(Bytes::from(body)).unwrap())
        })
    });
    let mut statuses = Vec::new();
    for _ in 0..requests {
        *source.since.lock().unwrap() += i64::from(anew);
        let request =
            Request::post("https://api.vendor.test/v1").extension(UseAuth(scheme)).body(Bytes::new()).unwrap();
        statuses.push(egress.http(&record).send(request).await.map_or(0, |answer| answer.status().as_u16()));
        tokio::time::sleep(gap).await;
    }
    let (sent, noted) = (sent.lock().unwrap().clone(), noted.lock().unwrap().clone());
    Ran { statuses, sent, noted }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn the_newer_set_is_tried_first_and_its_use_noted_once_in_a_while() {
    let ran = run(Vendor { new: 200, old: 200 }, "bearer", 3, SECOND).await;
    assert_eq!((ran.statuses, ran.sent), (vec![200; 3], vec!["new".to_owned(); 3]));
    assert_eq!(ran.noted, [(Which::Next, false)], "not with every request");
    let ran = run(Vendor { new: 200, old: 200 }, "bearer", 3, 61 * SECOND).await;
    assert_eq!(ran.noted, [(Which::Next, false); 3]);
}

#[tokio::test(start_paused = true)]
async fn the_older_set_serves_where_the_newer_is_refused() {
    for refused in [401, 403] {
        let ran = run(Vendor { new: refused, old: 200 }, "bearer", 3, SECOND).await;
        assert_eq!(ran.statuses, [200; 3]);
        assert_eq!(ran.sent, ["new", "old", "old", "old"], "a refused set rests");
        assert_eq!(ran.noted, [(Which::Next, true), (Which::Current, false)]);
    }
    let ran = run(Vendor { new: 401, old: 200 }, "bearer", 2, 301 * SECOND).await;
    assert_eq!(ran.sent, ["new", "old", "new", "old"], "and is tried again");
}

#[tokio::test(start_paused = true)]
async fn the_same_set_given_anew_gets_another_chance() {
    let ran = run_with(Vendor { new: 401, old: 200 }, "bearer", 2, SECOND, true).await;
    assert_eq!(ran.sent, ["new", "old", "new", "old"]);
}

#[tokio::test(start_paused = true)]
async fn a_no_to_both_says_nothing_about_either() {
    let ran = run(Vendor { new: 401, old: 401 }, "basic", 2, SECOND).await;
    assert_eq!((ran.statuses, ran.sent), (vec![401; 2], ["new", "old", "new", "old"].map(str::to_owned).to_vec()));
    assert!(ran.noted.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_no_refusal_is_never_sent_twice() {
    for status in [200, 400, 404, 409, 422, 429, 500, 503] {
        let ran = run(Vendor { new: status, old: 200 }, "bearer", 1, SECOND).await;
        assert_eq!(ran.sent, ["new"], "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_a_refused_set() {
    let ran = run(Vendor { new: 401, old: 200 }, "oauth", 2, SECOND).await;
    assert_eq!(ran.statuses, [200; 2]);
    assert_eq!(ran.sent, ["token new", "token old", "old", "old"]);
    let ran = run(Vendor { new: 200, old: 401 }, "oauth", 1, SECOND).await;
    assert_eq!((ran.statuses, ran.sent), (vec![200], ["token new", "new"].map(str::to_owned).to_vec()));
}
