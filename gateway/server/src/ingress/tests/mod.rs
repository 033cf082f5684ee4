//! Ingress over real sockets: a served pair of listeners, a client that speaks raw bytes, and captured log lines.

mod bad_input;
mod browser;
mod described;
mod http2;
mod keys;
mod listener;
mod nothing;
mod problems;
mod stack;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use causeway_core::clock::{Clock, Entropy};
use causeway_core::delivery::State;
use causeway_core::ids::{SubmissionId, TenantId};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::subscriber::DefaultGuard;

use super::auth::{ApiKey, KeyPrefix};
use super::{Config, Ingress, IngressParts, management_document, public_document};
use crate::config::ProcessRole;
use crate::health::Health;
use crate::intake;
use crate::intake::fake::World;
use crate::openapi::contract::{Contract, Seen};
use crate::store::receipts::{ReceiptKey, Receipts, SignedReceipt};
use crate::store::setup::{KeyRecord, Scope};
use crate::store::{self, Store, StoreError};
use crate::support::test_custody::NoCustody;
use crate::support::test_store::TestStore;
use crate::support::{self, Support};
use crate::telemetry::metrics::{Page, READY};
use crate::webhooks;

/// How long anything in these tests may take before it counts as never.
const NEVER: Duration = Duration::from_secs(10);

/// A listener, and which document is about it.
#[derive(Debug, Clone, Copy)]
struct Door {
    address: SocketAddr,
    is_public: bool,
}

/// Signs nothing; the store's own tests test signing.
struct NoReceipts;

#[async_trait::async_trait]
impl Receipts for NoReceipts {
    async fn signed_receipt(&self, _: TenantId, _: SubmissionId, _: bool) -> store::Result<SignedReceipt> {
        Err(StoreError::NotFound("receipt"))
    }
    async fn receipt_keys(&self) -> store::Result<Vec<ReceiptKey>> {
        Ok(Vec::new())
    }
    async fn rotate_receipt_key(&self, _: &str, _: jiff::Timestamp) -> store::Result<ReceiptKey> {
        Err(StoreError::NotFound("receipt"))
    }
}

/// A served ingress over a fake world.
struct Served {
    world: World,
    public: Door,
    management: Door,
    /// May submit and read.
    key: String,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Served {
    async fn with(config: Config) -> Self {
        Self::with_intake(config, intake::Config::default()).await
    }

    async fn with_intake(config: Config, intake: intake::Config) -> Self {
        let _installed_once = everyone_listens();
        let world = World::new();
        let key = add_key(&world, &[Scope::Submit, Scope::Read]);
        let ingress = ingress(&world, config, intake);
        let sockets = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0"));
        let [public_socket, management_socket] = sockets;
        let (public_socket, management_socket) = (public_socket.await.unwrap(), management_socket.await.unwrap());
        let (public, management) = (public_socket.local_addr().unwrap(), management_socket.local_addr().unwrap());
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let stopped = stop.clone().cancelled_owned();
        tasks.spawn(ingress.serve(Some(public_socket), management_socket, stopped));
        let [public, management] =
            [(public, true), (management, false)].map(|(address, is_public)| Door { address, is_public });
        Self { world, public, management, key, tasks, stop }
    }

    async fn new() -> Self {
        Self::with(Config::default()).await
    }

    /// A request with the key, sent and answered.
    async fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        exchange(self.public, &request(method, path, &format!("Authorization: Bearer {}\r\n{headers}", self.key), body))
            .await
    }

    async fn post_json(&self, body: &[u8]) -> Answer {
        self.ask("POST", "/v1/applications", "Content-Type: application/json\r\n", body).await
    }

    async fn manage(&self, path: &str) -> Answer {
        exchange(self.management, &request("GET", path, "", b"")).await
    }

    async fn stop(self) -> World {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(NEVER, self.tasks.wait()).await.unwrap();
        self.world
    }
}

/// Both listeners over the world. What support finds there is one delivery, which is delivered.
fn ingress(world: &World, config: Config, intake: intake::Config) -> Ingress {
    let clock = || Arc::clone(&world.clock) as Arc<dyn Clock>;
    let found = Arc::new(TestStore { state: Some(State::Delivered), ..TestStore::default() });
    let support = Support::new(found, Arc::new(NoCustody), clock(), Arc::new(|_| {}));
    Ingress::new(IngressParts {
        config,
        intake: world.intake(intake),
        store: Arc::clone(&world.store) as Arc<dyn Store>,
        support: support::http::routes().with_state(support),
        receipts: Arc::new(NoReceipts),
        webhooks: webhooks::http::routes().with_state(Arc::new(nothing::NoWebhooks)),
        metrics: vec![Arc::new(|page: &mut Page| page.put(&READY, &[], true))],
        health: Arc::new(Health::new(&[ProcessRole::Ingress], clock())),
        clock: clock(),
        entropy: Arc::clone(&world.entropy) as Arc<dyn Entropy>,
    })
}

/// A new key of the world's tenant.
fn add_key(world: &World, scopes: &[Scope]) -> String {
    key_of(world, scopes, None, false)
}

fn key_of(world: &World, scopes: &[Scope], origins: Option<&[&str]>, test: bool) -> String {
    let prefix = if origins.is_some() { KeyPrefix::Publishable } else { KeyPrefix::Secret };
    let key = ApiKey::generate(prefix, world.clock.now(), world.entropy.as_ref());
    let record = KeyRecord {
        origins: origins.map(|origins| origins.iter().map(|origin| (*origin).to_owned()).collect()),
        test,
        id: key.id,
        tenant: world.tenant,
        name: "site".to_owned(),
        scopes: scopes.to_vec(),
        created_at: world.clock.now(),
        revoked_at: None,
        suspended: false,
    };
    world.store.inside().keys.insert(key.hash, record);
    key.text.reveal().to_owned()
}

/// An answer as read from the socket.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Status and problem code.
    fn says(&self) -> (u16, String) {
        (self.status, self.json()["code"].as_str().unwrap_or_default().to_owned())
    }

    /// Holds it against the documents; `asked` is the request's first line.
    fn as_described(&self, contract: &Contract, asked: &str) -> Result<(), String> {
        let mut asked = asked.split(' ');
        let (method, path) = (asked.next().unwrap_or_default(), asked.next().unwrap_or_default());
        if self.status == 0 {
            return Ok(());
        }
        let mut headers = HeaderMap::new();
        for (name, value) in self.head.lines().filter_map(|line| line.split_once(": ")) {
            headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
        }
        contract.check(&Seen { method, path, status: self.status, headers: &headers, body: &self.body })
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Sends the bytes and reads until the other side is done.
async fn exchange(door: Door, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    // A refused upload may be cut while it is still being written; the answer counts.
    let (mut reader, mut writer) = stream.split();
    let writing = async { writer.write_all(bytes).await.is_ok() };
    let (_whole, answer) = tokio::join!(writing, read_answer(&mut reader));
    let asked = String::from_utf8_lossy(bytes.split(|byte| *byte == b'\r').next().unwrap_or_default()).into_owned();
    if let Err(why) = answer.as_described(contract(door.is_public), &asked) {
        panic!("not as described: {why}");
    }
    answer
}

/// What a listener promises.
fn contract(public: bool) -> &'static Contract {
    static PUBLIC: LazyLock<Contract> = LazyLock::new(|| Contract::of(&[public_document()]));
    static MANAGEMENT: LazyLock<Contract> = LazyLock::new(|| {
        Contract::of(&[management_document(support::http::routes().unserved(), webhooks::http::routes().unserved())])
    });
    if public { &PUBLIC } else { &MANAGEMENT }
}

async fn read_answer(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Answer {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let reading = async {
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            bytes.extend_from_slice(&buffer[..count]);
        }
    };
    tokio::time::timeout(NEVER, reading).await.unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(bytes.len());
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head, body: bytes.get(end + 4..).unwrap_or_default().to_vec() }
}

/// Gives every thread a subscriber. With a single one in the process, a call site first met on a thread without any would
/// be remembered as of interest to nobody, and the tests that capture would miss it.
fn everyone_listens() -> bool {
    tracing::subscriber::set_global_default(tracing_subscriber::registry()).is_ok()
}

/// Everything this thread logs, at every level, as JSON lines.
#[derive(Clone, Default)]
struct Log {
    bytes: Arc<Mutex<Vec<u8>>>,
    grew: Arc<tokio::sync::Notify>,
}

impl Log {
    fn capture() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap()
    }

    /// The access lines' fields, once there are so many.
    async fn access(&self, count: usize) -> Vec<Value> {
        let lines = || -> Vec<Value> {
            let all = self.text();
            let lines = all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            lines.filter(|line| line["target"] == "causeway::access").map(|line| line["fields"].clone()).collect()
        };
        let enough = async {
            while lines().len() < count {
                self.grew.notified().await;
            }
        };
        tokio::time::timeout(NEVER, enough).await.unwrap();
        lines()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes.lock().unwrap().extend_from_slice(bytes);
        self.grew.notify_one();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
