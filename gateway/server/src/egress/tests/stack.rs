//! What the whole stack promises, with a scripted vendor and tokio's paused clock.

use std::sync::atomic::{AtomicU32, Ordering};

use causeway_core::connector::UseAuth;
use futures_util::future::join_all;
use http::header;
use serde_json::json;

use super::super::testing::{Reply, TokioClock, egress, plant, record};
use super::super::*;
use crate::feeds::testing::Publisher;

/// Calls on the wire: all, at once now, at once at most.
#[derive(Default)]
struct Seen {
    calls: AtomicU32,
    now: AtomicU32,
    most: AtomicU32,
}

impl Seen {
    fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }
}

struct Rig {
    egress: Arc<Egress>,
    record: AccountRecord,
    seen: Arc<Seen>,
}

fn answer(status: u16) -> http::response::Builder {
    Response::builder().status(status)
}

/// A stack whose vendor takes `takes` and answers what `vendor` says to the n-th call.
fn rig(
    settings: serde_json::Value,
    policy: EgressPolicy,
    takes: Duration,
    vendor: impl Fn(u32, &Request<Bytes>) -> Answer + Send + Sync + 'static,
) -> Rig {
    rig_by(&TokioClock::new(), settings, policy, takes, vendor)
}

fn rig_by(
    clock: &Arc<TokioClock>,
    settings: serde_json::Value,
    policy: EgressPolicy,
    takes: Duration,
    vendor: impl Fn(u32, &Request<Bytes>) -> Answer + Send + Sync + 'static,
) -> Rig {
    let mut egress = egress(Arc::new(Publisher::default()), policy);
    egress.moments = Moments::new(Arc::<TokioClock>::clone(clock));
    let (record, seen, vendor) = (record("scripted", settings), Arc::new(Seen::default()), Arc::new(vendor));
    let watch = Arc::clone(&seen);
    plant(&egress, &record, move |request| -> Reply {
        let (seen, vendor) = (Arc::clone(&watch), Arc::clone(&vendor));
        Box::pin(async move {
            let number = seen.calls.fetch_add(1, Ordering::SeqCst);
            let now = seen.now.fetch_add(1, Ordering::SeqCst) + 1;
            seen.most.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(takes).await;
            seen.now.fetch_sub(1, Ordering::SeqCst);
            vendor(number, &request)
        })
    });
    Rig { egress: Arc::new(egress), record, seen }
}

fn fine(_: u32, _: &Request<Bytes>) -> Answer {
    Ok(answer(200).body(Bytes::new()).unwrap())
}

fn request() -> Request<Bytes> {
    Request::post("https://api.vendor.test/v1").body(Bytes::new()).unwrap()
}

fn authed(scheme: &'static str) -> Request<Bytes> {
    Request::post("https://api.vendor.test/v1").extension(UseAuth(scheme)).body(Bytes::new()).unwrap()
}

impl Rig {
    async fn send(&self) -> Answer {
        self.egress.http(&self.record).send(request()).await
    }

    async fn send_many(&self, count: usize) -> Vec<Answer> {
        join_all((0..count).map(|_| self.send())).await
    }
}

fn refused(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| matches!(answer, Err(SendError::NotNow { .. }))).count()
}

#[tokio::test(start_paused = true)]
async fn a_hundred_clones_share_one_bucket() {
    let rig =
        rig(json!({ "limit_calls": 20, "limit_concurrency": 100 }), EgressPolicy::default(), Duration::ZERO, fine);
    let answers = rig.send_many(100).await;
    assert_eq!((rig.seen.calls(), refused(&answers)), (18, 82));
    let Err(SendError::NotNow { until }) = answers.last().unwrap() else { panic!("the last one waits") };
    assert_eq!(until.duration_since(rig.egress.moments.now()).as_secs(), 10, "a window later");
}

#[tokio::test(start_paused = true)]
async fn a_hundred_clones_share_one_semaphore() {
    let rig = rig(json!({ "limit_concurrency": 3 }), EgressPolicy::default(), Duration::from_millis(10), fine);
    let answers = rig.send_many(100).await;
    assert_eq!(rig.seen.most.load(Ordering::SeqCst), 3);
    assert_eq!(refused(&answers), 0);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_slot_is_bounded() {
    let rig = rig(json!({ "limit_concurrency": 1 }), EgressPolicy::default(), Duration::from_secs(5), fine);
    assert_eq!(refused(&rig.send_many(2).await), 1);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_spends_no_token_and_reopens_by_one_probe() {
    let broken =
        |number: u32, _: &Request<Bytes>| Ok(answer(if number < 5 { 500 } else { 200 }).body(Bytes::new()).unwrap());
    let rig = rig(json!({ "limit_calls": 10 }), EgressPolicy::default(), Duration::from_millis(100), broken);
    for _ in 0..5 {
        assert_eq!(rig.send().await.unwrap().status(), 500);
    }
    let room = rig.egress.room(&rig.record);
    assert_eq!(refused(&rig.send_many(100).await), 100);
    assert_eq!(rig.seen.calls(), 5, "nothing went out");
    assert_eq!(room.calls, 0);

    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(rig.egress.room(&rig.record).calls, 1);
    assert_eq!(refused(&rig.send_many(100).await), 99, "one probe among a hundred");
    assert_eq!(rig.egress.room(&rig.record).calls, 3, "9 tokens, 6 spent");
    assert_eq!(rig.send().await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_probe_is_given_back() {
    let broken =
        |number: u32, _: &Request<Bytes>| Ok(answer(if number < 5 { 500 } else { 200 }).body(Bytes::new()).unwrap());
    let rig = rig(json!({}), EgressPolicy::default(), Duration::from_secs(1), broken);
    for _ in 0..5 {
        rig.send().await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(tokio::time::timeout(Duration::from_millis(10), rig.send()).await.is_err());
    drop(rig.egress.admit(&rig.record).await.ok().unwrap());
    assert_eq!(rig.send().await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_token_is_not_charged_to_the_time_out() {
    let policy =
        EgressPolicy { attempt: Duration::from_secs(1), wait: Duration::from_secs(60), ..EgressPolicy::default() };
    let rig = rig(json!({ "limit_calls": 2 }), policy, Duration::from_millis(900), fine);
    rig.send().await.unwrap();
    assert_eq!(rig.send().await.unwrap().status(), 200, "nine seconds in the queue, one at the vendor");
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_never_answers_is_an_unknown_outcome() {
    let rig = rig(json!({}), EgressPolicy::default(), Duration::from_hours(1), fine);
    assert!(matches!(rig.send().await, Err(SendError::Unknown(_))));
}

#[tokio::test(start_paused = true)]
async fn a_429_opens_nothing_and_empties_the_bucket_until_then() {
    let busy = |number: u32, _: &Request<Bytes>| {
        let busy = answer(429).header(header::RETRY_AFTER, "30").body(Bytes::new());
        if number < 10 && number.is_multiple_of(2) { Ok(busy.unwrap()) } else { fine(number, &request()) }
    };
    let rig = rig(json!({}), EgressPolicy::default(), Duration::ZERO, busy);
    for _ in 0..5 {
        assert_eq!(rig.send().await.unwrap().status(), 429);
        assert!(matches!(rig.send().await, Err(SendError::NotNow { .. })));
        let room = rig.egress.room(&rig.record);
        assert_eq!((room.calls, room.from.duration_since(rig.egress.moments.now()).as_secs()), (0, 30));
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(rig.send().await.unwrap().status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn an_admission_pays_for_its_first_request_and_holds_its_slot() {
    let rig = rig(json!({ "limit_calls": 10, "limit_concurrency": 1 }), EgressPolicy::default(), Duration::ZERO, fine);
    let tokens = || rig.egress.room(&rig.record).calls;
    let admission = rig.egress.admit(&rig.record).await.ok().unwrap();
    assert_eq!(tokens(), 8);
    admission.send(request()).await.unwrap();
    assert_eq!(tokens(), 8, "the first was paid for");
    admission.send(request()).await.unwrap();
    assert_eq!(tokens(), 7);
    assert!(rig.egress.admit(&rig.record).await.is_err_and(|refused| refused.why == Busy::Slots));
    drop(admission);
    drop(rig.egress.admit(&rig.record).await.ok().unwrap());
    assert_eq!(tokens(), 7, "unused, it came back");
}

#[tokio::test(start_paused = true)]
async fn leave_at_once_is_there_or_takes_nothing() {
    let rig = rig(json!({ "limit_calls": 3, "limit_concurrency": 1 }), EgressPolicy::default(), Duration::ZERO, fine);
    let at_once = || rig.egress.admit_at_once(&rig.record);
    let tokens = || rig.egress.room(&rig.record).calls;
    let first = at_once().unwrap();
    assert!(at_once().is_none(), "no slot is free");
    assert_eq!(tokens(), 1, "and no token was taken");
    first.send(request()).await.unwrap();
    drop(first);
    at_once().unwrap().send(request()).await.unwrap();
    assert_eq!(tokens(), 0);
    assert!(at_once().is_none(), "no token is left");
    tokio::time::advance(Duration::from_secs(10)).await;
    drop(rig.egress.admit(&rig.record).await.ok().unwrap());
    drop(at_once().unwrap());
    assert_eq!(tokens(), 2, "the slot and all tokens came back");
}

#[tokio::test(start_paused = true)]
async fn a_pace_in_the_headers_adapts_the_bucket() {
    let paced = |_: u32, _: &Request<Bytes>| {
        Ok(answer(200).header("x-limit", "100").header("x-remaining", "20").body(Bytes::new()).unwrap())
    };
    let rig = rig(json!({}), EgressPolicy::default(), Duration::ZERO, paced);
    rig.send().await.unwrap();
    assert_eq!(rig.egress.room(&rig.record).calls, 10, "90 are ours, 80 are gone");
}

#[tokio::test(start_paused = true)]
async fn a_pace_is_the_host_s_that_told_it() {
    let paced = |_: u32, request: &Request<Bytes>| {
        let left = if request.uri().host() == Some("auth.vendor.test") { "1" } else { "60" };
        Ok(answer(200).header("x-limit", "100").header("x-remaining", left).body(Bytes::new()).unwrap())
    };
    let rig = rig(json!({}), EgressPolicy::default(), Duration::ZERO, paced);
    let http = rig.egress.http(&rig.record);
    let elsewhere = || Request::post("https://auth.vendor.test/token").body(Bytes::new()).unwrap();
    rig.send().await.unwrap();
    http.send(elsewhere()).await.unwrap();
    assert_eq!(rig.egress.room(&rig.record).calls, 50, "90 are ours, 40 are gone; what the other host says is its own");
    assert!(matches!(http.send(elsewhere()).await, Err(SendError::NotNow { .. })), "that one is used up");
    // What an admission paid for one host is not spent at the other, and is not paid twice.
    let admission = rig.egress.admit(&rig.record).await.ok().unwrap();
    assert!(matches!(admission.send(elsewhere()).await, Err(SendError::NotNow { .. })));
    assert_eq!(rig.egress.room(&rig.record).calls, 49);
    admission.send(request()).await.unwrap();
    drop(admission);
    assert_eq!(rig.seen.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn static_schemes_are_injected_and_marked() {
    let echo = |_: u32, request: &Request<Bytes>| {
        let value = request.headers().get(header::AUTHORIZATION).cloned();
        assert!(value.as_ref().is_none_or(http::HeaderValue::is_sensitive));
        Ok(answer(200).body(value.map_or_else(Bytes::new, |value| Bytes::copy_from_slice(value.as_bytes()))).unwrap())
    };
    let rig = rig(json!({}), EgressPolicy::default(), Duration::ZERO, echo);
    let http = rig.egress.http(&rig.record);
    assert_eq!(http.send(authed("bearer")).await.unwrap().body(), "Bearer token-value");
    assert_eq!(http.send(authed("basic")).await.unwrap().body(), "Basic dG9rZW4tdmFsdWU6");
    assert_eq!(http.send(request()).await.unwrap().body(), "");
    assert!(matches!(http.send(authed("other")).await, Err(SendError::Misconfigured(_))));
}

/// A vendor whose tokens are numbered; it accepts only the newest it was told to.
fn oauth(good: &'static str) -> impl Fn(u32, &Request<Bytes>) -> Answer {
    let issued = AtomicU32::new(0);
    move |_, request| {
        if request.uri().host() == Some("auth.vendor.test") {
            assert_eq!(request.body(), "grant_type=client_credentials&sub=42");
            assert_eq!(request.headers()[header::AUTHORIZATION], "Basic aWQtdmFsdWU6c2VjcmV0LXZhbHVl");
            let number = issued.fetch_add(1, Ordering::SeqCst);
            let body = format!(r#"{{"access_token":"t{number}","expires_in":3600}}"#);
            return Ok(answer(200).body(body.into()).unwrap());
        }
        let ok = request.headers()[header::AUTHORIZATION].to_str().unwrap() == format!("Bearer {good}");
        Ok(answer(if ok { 200 } else { 401 }).body(Bytes::new()).unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn one_token_serves_everybody_who_waits_for_it() {
    let rig = rig(json!({ "subject": "42" }), EgressPolicy::default(), Duration::from_millis(10), oauth("t0"));
    let http = rig.egress.http(&rig.record);
    let answers = join_all((0..20).map(|_| http.send(authed("oauth")))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status() == 200)));
    assert_eq!(rig.seen.calls(), 21);
}

/// What vendors tell goes by their clocks, and so by the machine's.
#[tokio::test(start_paused = true)]
async fn a_moment_that_a_vendor_names_is_held_against_the_machines_clock() {
    for ahead in [7_200, -7_200] {
        let clock = TokioClock::new();
        clock.be_ahead(ahead);
        let machines = clock.now() - jiff::SignedDuration::from_secs(ahead);
        let in_an_hour = (machines + jiff::SignedDuration::from_hours(1)).to_string();
        let date = machines + jiff::SignedDuration::from_secs(30);
        let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let vendor = move |number: u32, request: &Request<Bytes>| {
            if request.uri().host() == Some("auth.vendor.test") {
                let body = format!(r#"{{"access_token":"t","expires_at":"{in_an_hour}"}}"#);
                return Ok(answer(200).body(body.into()).unwrap());
            }
            let status = if number < 3 { 200 } else { 429 };
            Ok(answer(status).header(header::RETRY_AFTER, &date).body(Bytes::new()).unwrap())
        };
        let rig = rig_by(&clock, json!({ "subject": "42" }), EgressPolicy::default(), Duration::ZERO, vendor);
        let http = rig.egress.http(&rig.record);
        for status in [200, 200, 429] {
            assert_eq!(http.send(authed("oauth")).await.unwrap().status(), status);
        }
        assert_eq!(rig.seen.calls(), 4, "one token");
        let room = rig.egress.room(&rig.record);
        assert_eq!((room.calls, room.from.duration_since(clock.now()).as_secs()), (0, 30), "{ahead}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_after_a_401_pays_for_its_second_try() {
    let settings = json!({ "subject": "42", "limit_calls": 10, "limit_concurrency": 1 });
    let rig = rig(settings, EgressPolicy::default(), Duration::ZERO, oauth("t1"));
    let admission = rig.egress.admit(&rig.record).await.ok().unwrap();
    assert_eq!(admission.send(authed("oauth")).await.unwrap().status(), 200);
    assert_eq!(rig.seen.calls(), 4, "token, 401, token, 200");
    assert_eq!(rig.egress.room(&rig.record).calls, 5, "9 less 4");
    assert_eq!(admission.send(authed("oauth")).await.unwrap().status(), 200);
    assert_eq!(rig.seen.calls(), 5, "the new token is kept");
}

#[tokio::test(start_paused = true)]
async fn a_second_401_is_the_answer() {
    let rig = rig(json!({ "subject": "42" }), EgressPolicy::default(), Duration::ZERO, oauth("never"));
    assert_eq!(rig.egress.http(&rig.record).send(authed("oauth")).await.unwrap().status(), 401);
    assert_eq!(rig.seen.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_host_never_reaches_the_wire() {
    let rig = rig(json!({}), EgressPolicy::default(), Duration::ZERO, fine);
    let away = Request::get("https://evil.test/").body(Bytes::new()).unwrap();
    let answer = rig.egress.http(&rig.record).send(away).await;
    assert!(matches!(answer, Err(SendError::Misconfigured(_))));
    assert_eq!(rig.seen.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn new_settings_make_a_new_stack_that_remembers_the_limits() {
    let rig = rig(json!({ "limit_calls": 2 }), EgressPolicy::default(), Duration::ZERO, fine);
    rig.send().await.unwrap();
    let mut changed = rig.record.clone();
    changed.account.settings.insert("subject".to_owned(), json!("7"));
    assert_eq!(rig.egress.room(&changed).calls, 0, "the token is still spent");
}

#[tokio::test(start_paused = true)]
async fn a_call_aside_neither_opens_the_breaker_nor_probes_it() {
    let well = Arc::new(AtomicU32::new(0));
    let mood = Arc::clone(&well);
    let vendor = move |_: u32, _: &Request<Bytes>| {
        let status = if mood.load(Ordering::SeqCst) > 0 { 200 } else { 500 };
        Ok(answer(status).body(Bytes::new()).unwrap())
    };
    let rig = rig(json!({}), EgressPolicy::default(), Duration::ZERO, vendor);
    let aside = rig.egress.aside(&rig.record);
    for _ in 0..50 {
        assert_eq!(aside.send(request()).await.unwrap().status(), 500);
    }
    for _ in 0..5 {
        assert_eq!(rig.send().await.unwrap().status(), 500, "the breaker heard nothing of it");
    }
    assert!(matches!(rig.send().await, Err(SendError::NotNow { .. })), "and opens for the others");
    assert!(matches!(aside.send(request()).await, Err(SendError::NotNow { .. })), "which stops this one, too");
    tokio::time::sleep(Duration::from_secs(60)).await;
    for _ in 0..3 {
        assert_eq!(aside.send(request()).await.unwrap().status(), 500, "once the time is over, and not as the probe");
    }
    assert_eq!(rig.egress.room(&rig.record).calls, 1, "the probe is still to come");
    well.store(1, Ordering::SeqCst);
    assert_eq!(aside.send(request()).await.unwrap().status(), 200);
    assert!(rig.egress.room(&rig.record).calls > 1, "good news is believed");
}
