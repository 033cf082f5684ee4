//! Sending over real sockets and a real store: what the site gets, what follows each answer, and that one site that hangs
//! delays no other.

use std::path::Path;
use std::sync::Mutex;

use causeway_core::account::{Account, OnInvalid, OnUnknown, Repeats, Role};
use causeway_core::clock::{ManualClock, SeededEntropy};
use causeway_core::delivery::HeldCause;
use causeway_core::email::NormalEmail;
use causeway_core::ids::{AccountId, DeliveryId, KeyId, SubmissionId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::*;
use crate::egress::{SitePolicy, SystemResolver};
use crate::ingress::auth::Caller;
use crate::store::Store;
use crate::store::intake::{NewApplication, NewDelivery};
use crate::store::keys::RootKey;
use crate::store::setup::{KeyRecord, NewAccount, NewTenant, Scope};
use crate::store::sql::SqlStore;
use crate::store::sqlite::{self, OpenOptions};
use crate::store::webhooks::{Message, MessageQuery, MessageStatus, NewEndpoint};

/// How long anything here may take before it counts as never.
const NEVER: Duration = Duration::from_secs(30);

/// A site that answers with this status, or never, and keeps what it got.
struct Site {
    url: String,
    got: Arc<Mutex<Vec<String>>>,
    came: Arc<Notify>,
}

impl Site {
    async fn answering(answers: &'static [Option<u16>]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}/hooks", listener.local_addr().unwrap().port());
        let (got, came) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
        let (all, notify) = (Arc::clone(&got), Arc::clone(&came));
        let tasks = TaskTracker::new();
        let conversations = tasks.clone();
        tasks.spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (all, notify) = (Arc::clone(&all), Arc::clone(&notify));
                conversations.spawn(async move {
                    let mut bytes = Vec::new();
                    let mut buffer = [0; 4096];
                    while !bytes.ends_with(b"}}") {
                        match socket.read(&mut buffer).await {
                            Ok(count @ 1..) => bytes.extend_from_slice(&buffer[..count]),
                            Ok(_) | Err(_) => return,
                        }
                    }
                    let count = {
                        let mut all = all.lock().unwrap();
                        all.push(String::from_utf8(bytes).unwrap());
                        all.len()
                    };
                    notify.notify_waiters();
                    notify.notify_one();
                    let Some(status) = answers[(count - 1).min(answers.len() - 1)] else {
                        return std::future::pending().await;
                    };
                    let answer = format!("HTTP/1.1 {status} Said\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                    socket.write_all(answer.as_bytes()).await.ok();
                });
            }
        });
        Self { url, got, came }
    }

    /// Waits until it got so many.
    async fn got(&self, count: usize) -> Vec<String> {
        let enough = async {
            loop {
                let got = self.got.lock().unwrap().clone();
                if got.len() >= count {
                    return got;
                }
                self.came.notified().await;
            }
        };
        tokio::time::timeout(NEVER, enough).await.unwrap()
    }
}

/// The machine's clock was set back by an hour.
struct Ahead(Arc<ManualClock>);

impl Clock for Ahead {
    fn now(&self) -> jiff::Timestamp {
        self.0.now()
    }
    fn ahead(&self) -> SignedDuration {
        SignedDuration::from_hours(1)
    }
}

struct Rig {
    store: Arc<SqlStore>,
    clock: Arc<ManualClock>,
    entropy: SeededEntropy,
    tenant: TenantId,
    ats: AccountId,
    sender: Arc<Sender>,
}

impl Rig {
    async fn new(folder: &Path) -> Self {
        let clock = Arc::new(ManualClock::at("2026-03-02T09:00:00Z".parse().unwrap()));
        let key = RootKey::generate(&SeededEntropy::new(1));
        let shared: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(2));
        let options = OpenOptions::new(folder, key, Arc::clone(&clock) as Arc<dyn Clock>, Arc::clone(&shared));
        let store = sqlite::open(options).unwrap();
        let entropy = SeededEntropy::new(3);
        let tenant = NewTenant { name: "acme".into(), actor: "test".into(), now: clock.now() };
        let tenant = store.create_tenant(tenant).await.unwrap().id;
        let ats = AccountId::new(clock.now(), &entropy);
        let account = Account {
            id: ats,
            tenant,
            name: "acme-ats".into(),
            connector: "acme-ats".into(),
            role: Role::Ats,
            settings: BTreeMap::new(),
            allow_private: true,
            on_invalid: OnInvalid::Hold,
            repeats: Repeats::Deliver,
            on_unknown: OnUnknown::Hold,
        };
        let credentials = BTreeMap::new();
        let new = NewAccount {
            account,
            credentials,
            sandbox: false,
            staged: false,
            expires_at: None,
            actor: "test".into(),
            now: clock.now(),
        };
        store.add_account(new).await.unwrap();
        let policy = SitePolicy { deadline: Duration::from_secs(5), ..SitePolicy::default() };
        let client = SiteClient::new(&policy, Arc::new(SystemResolver), Arc::clone(&clock) as Arc<dyn Clock>);
        let sender = Sender::new(SenderParts {
            store: Arc::clone(&store) as Arc<dyn Webhooks>,
            client: Arc::new(client),
            clock: Arc::new(Ahead(Arc::clone(&clock))),
            entropy: shared,
            retry: RetryPolicy { jitter: 0.0, ..RetryPolicy::default() }.into(),
            policy: WebhookPolicy { look: Duration::from_millis(20), ..WebhookPolicy::default() },
        });
        Self { store, clock, entropy, tenant, ats, sender }
    }

    async fn endpoint(&self, site: &Site) -> EndpointId {
        let id = EndpointId::new(self.clock.now(), &self.entropy);
        let new = NewEndpoint {
            id,
            tenant: self.tenant,
            url: site.url.clone(),
            events: Vec::new(),
            test: false,
            allow_private: true,
            secret: Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            actor: "test".into(),
            now: self.clock.now(),
        };
        self.store.add_endpoint(new).await.unwrap();
        id
    }

    /// Something to tell.
    async fn hold_one(&self) -> SubmissionId {
        let now = self.clock.now();
        let id = SubmissionId::new(now, &self.entropy);
        let held = Some((HeldCause::Invalid, Reason::AnswerMissing, Vec::new()));
        let delivery = DeliveryId::new(now, &self.entropy);
        let application = NewApplication {
            id,
            tenant: self.tenant,
            key: KeyId::new(now, &self.entropy),
            received_at: now,
            posting_id: "4001".into(),
            posting_account: Some(self.ats),
            form_digest: None,
            email: NormalEmail::parse("ada@example.org").unwrap(),
            document: Bytes::from_static(b"{}"),
            attachments: Vec::new(),
            deliveries: vec![NewDelivery { id: delivery, account: self.ats, held, repeats: Repeats::Deliver }],
            idempotency_key: Some(id.to_string()),
            fingerprint: id.to_string().into_bytes(),
            code: self.store.new_code().await.unwrap(),
            receipt: Bytes::from_static(b"{}"),
            trace_id: "trace".into(),
            test: false,
        };
        self.store.accept(application).await.unwrap();
        id
    }

    async fn messages(&self) -> Vec<Message> {
        let query = MessageQuery { limit: 100, ..MessageQuery::default() };
        self.store.messages(self.tenant, query).await.unwrap().messages
    }

    /// Waits until the newest message is as wished.
    async fn newest(&self, is: impl Fn(&Message) -> bool) -> Message {
        let there = async {
            let mut again = tokio::time::interval(Duration::from_millis(10));
            loop {
                again.tick().await;
                if let Some(message) = self.messages().await.into_iter().next().filter(|message| is(message)) {
                    return message;
                }
            }
        };
        tokio::time::timeout(NEVER, there).await.unwrap()
    }

    /// Sends until the test is over.
    fn run(&self) -> (TaskTracker, CancellationToken) {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(Arc::clone(&self.sender).run(stop.clone()));
        (tasks, stop)
    }
}

async fn end((tasks, stop): (TaskTracker, CancellationToken)) {
    stop.cancel();
    tasks.close();
    tokio::time::timeout(NEVER, tasks.wait()).await.unwrap();
}

fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let line = request.lines().find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)));
    line.map(|(_, value)| value).unwrap_or_else(|| panic!("no {name} in {request}"))
}

#[tokio::test]
async fn what_is_told_is_signed_and_sent_again_under_the_same_id_until_it_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::new(folder.path()).await;
    let site = Site::answering(&[Some(500), Some(302), Some(204)]).await;
    rig.endpoint(&site).await;
    let application = rig.hold_one().await;
    let running = rig.run();
    for (tries, said) in [(1, "status 500"), (2, "status 302")] {
        let failed = rig.newest(|message| message.last_said.as_deref() == Some(said)).await;
        assert_eq!((failed.status, failed.attempts), (MessageStatus::Waiting, tries));
        assert_eq!(site.got(1).await.len(), tries as usize, "not before its time");
        rig.clock.advance(failed.next_at.unwrap().duration_since(rig.clock.now()));
    }
    let taken = rig.newest(|message| message.status == MessageStatus::Delivered).await;
    end(running).await;
    assert_eq!((taken.attempts, taken.next_at), (3, None));
    let got = site.got(3).await;
    let body = |request: &str| request.split_once("\r\n\r\n").unwrap().1.to_owned();
    let mut times = Vec::new();
    for request in &got {
        assert_eq!(header(request, "webhook-id"), taken.id.to_string());
        assert_eq!(body(request), body(&got[0]), "the same bytes at every try");
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let at = header(request, "webhook-timestamp");
        let signed = sign::all(&[secret], &taken.id.to_string(), at, body(request).as_bytes());
        assert_eq!(Some(header(request, "webhook-signature")), signed.as_deref());
        times.push(at.to_owned());
    }
    assert!(times.is_sorted() && times[0] != times[2], "each try says when: {times:?}");
    let machines = rig.clock.now() - SignedDuration::from_hours(1);
    assert_eq!(times[2], machines.as_second().to_string(), "by the clock that a site can hold it against");
    let told: serde_json::Value = serde_json::from_str(&body(&got[0])).unwrap();
    assert_eq!(
        (&told["type"], &told["data"]["application"]),
        (&"application.held".into(), &application.to_string().into())
    );
    assert_eq!((&told["data"]["state"], &told["data"]["reason"]), (&"held".into(), &"answer_missing".into()));
    assert!(!body(&got[0]).contains("ada"), "{told}");
    rig.store.close().await;
}

#[tokio::test]
async fn a_site_that_hangs_delays_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::new(folder.path()).await;
    let (hanging, well) = (Site::answering(&[None]).await, Site::answering(&[Some(200)]).await);
    rig.endpoint(&hanging).await;
    rig.endpoint(&well).await;
    for _ in 0..12 {
        rig.hold_one().await;
    }
    let running = rig.run();
    // As many as may be at once hang there; the other site gets all of its own meanwhile.
    hanging.got(4).await;
    assert_eq!(well.got(12).await.len(), 12);
    end(running).await;
    let lost = rig.messages().await.into_iter().filter(|message| message.status == MessageStatus::Delivered).count();
    assert_eq!(lost, 12, "and what hung waits for its next try");
    rig.store.close().await;
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled_and_a_test_still_reaches_it() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::new(folder.path()).await;
    let site = Site::answering(&[Some(410), Some(200)]).await;
    let endpoint = rig.endpoint(&site).await;
    rig.hold_one().await;
    let running = rig.run();
    rig.newest(|message| message.status == MessageStatus::GivenUp).await;
    let disabled = rig.store.endpoints(None).await.unwrap().remove(0).disabled.unwrap();
    assert_eq!(disabled.reason, Reason::WebhookGone);
    assert_eq!(rig.sender.test(rig.tenant, endpoint, "test").await.unwrap(), (true, "status 200".to_owned()));
    assert!(site.got(2).await[1].contains("webhook.test"));
    end(running).await;
    rig.store.close().await;
}

#[tokio::test]
async fn what_follows_each_answer() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::new(folder.path()).await;
    let site = Site::answering(&[Some(200)]).await;
    rig.endpoint(&site).await;
    rig.hold_one().await;
    let now = rig.clock.now();
    let wish = ClaimMessages { wants: vec![(rig.store.due_endpoints(now).await.unwrap()[0], 1)], lease: NEVER, now };
    let claim = rig.store.claim_messages(wish).await.unwrap().remove(0);
    let policy = RetryPolicy { jitter: 0.0, ..RetryPolicy::default() };
    let day = Duration::from_hours(24);
    let check =
        |status: Option<u16>, attempts: u32, failing: Option<Duration>, retry_after: Option<u64>, then: &str| {
            let mut claim = claim.clone();
            claim.message.attempts = attempts;
            claim.endpoint.failing_since = failing.map(|failing| now - failing);
            let answer = status.map(|status| SiteAnswer { status, retry_after: retry_after.map(Duration::from_secs) });
            let answer = answer.ok_or(SendError::Unknown("the site did not answer in time"));
            let told = match follow(&policy, 3 * day, &claim, &answer, (now, 0.5)) {
                Tried::Delivered { said } => format!("delivered, {said}"),
                Tried::Again { at, disable, .. } => {
                    format!("again in {} {disable:?}", at.duration_since(now).as_secs())
                }
                Tried::GivenUp { disable, .. } => format!("given up {disable:?}"),
            };
            assert_eq!(told, then, "{status:?} {attempts} {failing:?}");
        };
    check(Some(200), 1, None, None, "delivered, status 200");
    check(Some(299), 9, Some(9 * day), None, "delivered, status 299");
    for failure in [Some(500), Some(404), Some(301), Some(199), None] {
        check(failure, 1, None, None, "again in 5 None");
        check(failure, 4, Some(day), None, "again in 600 None");
        check(failure, 4, Some(3 * day), None, "again in 600 Some(WebhookFailing)");
        check(failure, 13, Some(day), None, "given up None");
    }
    check(Some(429), 1, None, Some(120), "again in 120 None");
    check(Some(410), 1, None, None, "given up Some(WebhookGone)");
    rig.store.close().await;
}

/// The page as a key of this kind sees it: status and body.
async fn page(rig: &Rig, scopes: &[Scope], test: bool, query: &str) -> (u16, serde_json::Value) {
    let key = KeyRecord {
        id: KeyId::new(rig.clock.now(), &rig.entropy),
        tenant: rig.tenant,
        name: String::new(),
        scopes: scopes.to_vec(),
        origins: None,
        test,
        created_at: rig.clock.now(),
        revoked_at: None,
        suspended: false,
    };
    let request = ::http::Request::get(format!("/deliveries{query}")).body(axum::body::Body::empty()).unwrap();
    let store = Arc::clone(&rig.store) as Arc<dyn Webhooks>;
    let routes = http::routes().with_state::<()>(store).into_router();
    let answer = routes.layer(axum::Extension(Caller::new(key))).oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn a_key_sees_the_messages_of_its_own_world() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::new(folder.path()).await;
    let site = Site::answering(&[Some(200)]).await;
    rig.endpoint(&site).await;
    let application = rig.hold_one().await;
    rig.clock.advance(SignedDuration::from_secs(1));
    rig.hold_one().await;
    let (status, shown) = page(&rig, &[Scope::Read], false, "?limit=1").await;
    assert_eq!((status, shown["messages"].as_array().unwrap().len()), (200, 1));
    let next = shown["next"].as_str().unwrap();
    let (_, shown) = page(&rig, &[Scope::Support], false, &format!("?before={next}&status=waiting")).await;
    let message = &shown["messages"][0];
    assert_eq!(
        (&message["about"]["application"], &message["type"]),
        (&application.to_string().into(), &"application.held".into())
    );
    assert_eq!(
        (&message["status"], &message["attempts"], &shown["next"]),
        (&"waiting".into(), &0.into(), &serde_json::Value::Null)
    );
    let (_, of_tests) = page(&rig, &[Scope::Read], true, "").await;
    assert_eq!(of_tests["messages"], serde_json::json!([]), "a test key sees no real message");
    assert_eq!(page(&rig, &[Scope::Submit], false, "").await.0, 403);
    assert_eq!(page(&rig, &[Scope::Read], false, "?email=ada@example.org").await.0, 400);
    rig.store.close().await;
}
