//! A vendor on a string, for tests of the stack and of what drives it: a Descriptor, an account, a clock that follows
//! tokio's paused time, and a stack whose innermost service is a function.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::account::{OnInvalid, OnUnknown, Repeats, Role};
use causeway_core::clock::{Apart, Clock, SeededEntropy};
use causeway_core::connector::{AuthScheme, Field, FindSupport, Pace};
use causeway_core::ids::TenantId;
use causeway_core::pii::Secret;
use http::HeaderMap;
use jiff::SignedDuration;
use tokio::time::Instant;

use super::*;

/// Wall time that follows tokio's clock.
pub(crate) struct TokioClock {
    start: Instant,
    /// Known to be ahead of the machine's, in seconds.
    ahead: AtomicI64,
}

impl TokioClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { start: Instant::now(), ahead: AtomicI64::new(0) })
    }

    pub(crate) fn be_ahead(&self, seconds: i64) {
        self.ahead.store(seconds, Ordering::Relaxed);
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        later("2026-01-01T00:00:00Z".parse().unwrap(), self.start.elapsed())
    }

    fn ahead(&self) -> SignedDuration {
        SignedDuration::from_secs(self.ahead.load(Ordering::Relaxed))
    }

    fn is_sure(&self) -> bool {
        self.ahead().abs() < SignedDuration::from_hours(24)
    }

    fn apart(&self) -> Apart {
        let ahead = self.ahead();
        Apart { ahead: ahead.max(SignedDuration::ZERO), behind: (-ahead).max(SignedDuration::ZERO) }
    }
}

const fn field(name: &'static str, default: Option<&'static str>, is_url: bool) -> Field {
    Field { name, help: "", required: true, default, is_url }
}

fn pace(headers: &HeaderMap) -> Option<Pace> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse().ok();
    Some(Pace { calls: number("x-limit")?, remaining: number("x-remaining")?, window: None })
}

pub(crate) static DESCRIPTOR: Descriptor = Descriptor {
    name: "scripted",
    title: "Scripted",
    roles: &[Role::Ats, Role::Crm],
    credentials: &[field("token", None, false), field("id", None, false), field("secret", None, false)],
    settings: &[
        field("base_url", Some("https://api.vendor.test"), true),
        field("token_url", Some("https://auth.vendor.test/token"), true),
        field("subject", None, false),
    ],
    auth: &[
        AuthScheme::Bearer { name: "bearer", token: "token" },
        AuthScheme::BasicUser { name: "basic", user: "token" },
        AuthScheme::ClientCredentials {
            name: "oauth",
            token_url: "token_url",
            client_id: "id",
            client_secret: "secret",
            subject: Some("subject"),
        },
    ],
    find: FindSupport::Always,
    visibility_lag: Duration::from_secs(10),
    limits: Limits { window: Duration::from_secs(10), calls: 1_000, concurrency: 8 },
    read_pace: pace,
    takes_files: true,
    names_hosts: false,
    docs: &[],
};

pub(crate) fn record(connector: &str, settings: serde_json::Value) -> AccountRecord {
    static SEED: AtomicU64 = AtomicU64::new(1);
    let entropy = SeededEntropy::new(SEED.fetch_add(1, Ordering::Relaxed));
    let settings = match settings {
        serde_json::Value::Object(map) => map.into_iter().collect(),
        _ => BTreeMap::new(),
    };
    AccountRecord {
        account: Account {
            id: AccountId::new(Timestamp::UNIX_EPOCH, &entropy),
            tenant: TenantId::new(Timestamp::UNIX_EPOCH, &entropy),
            name: connector.to_owned(),
            connector: connector.to_owned(),
            role: Role::Ats,
            settings,
            allow_private: false,
            on_invalid: OnInvalid::default(),
            repeats: Repeats::default(),
            on_unknown: OnUnknown::default(),
        },
        paused: None,
        sandbox: false,
        created_at: Timestamp::UNIX_EPOCH,
        last_complete_sync: None,
        live_at: Some(Timestamp::UNIX_EPOCH),
        mapping: None,
        credentials: crate::store::onboard::Credentials::default(),
    }
}

pub(crate) struct Secrets;

#[async_trait]
impl CredentialSource for Secrets {
    async fn credentials(&self, _: AccountId) -> Result<BTreeMap<String, Secret>, NoCredentials> {
        let secret = |name: &str| (name.to_owned(), Secret::new(format!("{name}-value")));
        Ok(["token", "id", "secret"].map(secret).into())
    }

    fn generation(&self) -> u64 {
        1
    }
}

pub(crate) fn egress(connector: Arc<dyn Connector>, policy: EgressPolicy) -> Egress {
    egress_with(connector, policy, Arc::new(Secrets))
}

pub(crate) fn egress_with(
    connector: Arc<dyn Connector>,
    policy: EgressPolicy,
    credentials: Arc<dyn CredentialSource>,
) -> Egress {
    Egress::new(EgressParts {
        clock: TokioClock::new(),
        entropy: Arc::new(SeededEntropy::new(7)),
        credentials,
        connectors: Arc::new(move |_| Some(Arc::clone(&connector))),
        resolver: Arc::new(SystemResolver),
        link: None,
        policy,
    })
}

pub(crate) type Reply = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Gives the account a stack that ends in this function instead of a socket.
pub(crate) fn plant(
    egress: &Egress,
    record: &AccountRecord,
    vendor: impl Fn(Request<Bytes>) -> Reply + Clone + Send + Sync + 'static,
) {
    let wire = tower::service_fn(vendor);
    let lane = egress.build(&DESCRIPTOR, &record.account, None, wire);
    egress.lanes().insert(record.account.id, Arc::new(lane));
}
