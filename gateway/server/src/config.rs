//! The configuration: one TOML file over an embedded one that is the defaults, the environment over both.
//!
//! It reads and checks; it does not act on anything. What is fixed at start and what may change while the gateway runs
//! are two types. A mistake names the key, the line (or the variable) and what to do; nothing unknown is ignored.

pub mod live;
mod load;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use causeway_core::pii::Secret;
use serde::{Deserialize, Serialize};

use crate::units::{ByteSize, Span};

pub use load::{Mistake, Mistakes};

/// The annotated file that is the defaults.
pub const DEFAULT_FILE: &str = include_str!("config.default.toml");

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Fixed by its nature: addresses, folders, sizes of what is built at start.
    pub fixed: Fixed,
    /// Policy, which a running gateway takes over on SIGHUP and `causeway reload`; read at start, too.
    pub reloadable: Reloadable,
}

/// What is fixed at start. The default file describes each key.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the default file describes every key")]
pub struct Fixed {
    pub data: Data,
    pub run: Run,
    pub store: StoreAt,
    pub queue: QueueAt,
    pub redis: RedisAt,
    pub blobs: BlobsAt,
    pub listen: Listen,
    pub limits: Limits,
    pub dispatch: Dispatch,
    pub log: Log,
    pub telemetry: Telemetry,
}

/// Policy: what may change while the gateway runs. The default file describes each key.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the default file describes every key")]
pub struct Reloadable {
    pub retry: Retry,
    pub alike: Alike,
    pub sync: Sync,
    pub retention: Retention,
}

macro_rules! sections {
    ($($(#[$doc:meta])* struct $name:ident { $($field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            #[expect(missing_docs, reason = "the default file describes every key")]
            pub struct $name { $(pub $field: $type,)* }
        )*
    };
}

sections! {
    /// `[data]`
    struct Data { dir: PathBuf, root_key_file: PathBuf, }
    /// `[run]`
    struct Run { roles: Vec<ProcessRole>, drain_pause: Span, }
    /// `[store]`
    struct StoreAt { dsn: Hidden, direct_dsn: Hidden, pooler: bool, writers: usize, readers: usize, }
    /// `[queue]`
    struct QueueAt { url: Hidden, ca_file: PathBuf, }
    /// `[redis]`
    struct RedisAt { url: Hidden, ca_file: PathBuf, gateways: u32, }
    /// `[blobs]`
    struct BlobsAt {
        url: String,
        endpoint: String,
        region: String,
        access_key_id: String,
        secret_access_key: Hidden,
    }
    /// `[listen]`
    struct Listen { public: SocketAddr, management: SocketAddr, }
    /// `[limits]`
    struct Limits {
        concurrency: usize,
        deadline: Span,
        body_deadline: Span,
        connections: usize,
        connections_per_address: usize,
        quota_per_second: u32,
        quota_burst: u32,
        address_per_second: u32,
        address_burst: u32,
        attachment_memory: ByteSize,
        record_refusals: bool,
    }
    /// `[dispatch]`
    struct Dispatch {
        enabled: bool,
        concurrency: usize,
        lease: Span,
        attempt_timeout: Span,
        breaker_open_first: Span,
        breaker_open_most: Span,
    }
    /// `[log]`
    struct Log { format: LogFormat, filter: String, }
    /// `[telemetry]`
    struct Telemetry { otlp: String, }
    /// `[retry]`
    struct Retry { schedule: Vec<Span>, jitter_percent: u8, retry_after_cap: Span, verify_gap: Span, }
    /// `[alike]`
    struct Alike { after: u32, within: Span, probes: Vec<Span>, }
    /// `[sync]`
    struct Sync { jobs: Span, forms: Span, }
    /// `[retention]`
    struct Retention {
        applications: Span,
        refusals: Span,
        idempotency: Span,
        edge_counts: Span,
        demographics: Span,
        attempts: Span,
        audit: Span,
        webhooks: Span,
    }
}

/// A part of the work, which a process has or has not.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum ProcessRole {
    /// The public listener.
    Ingress,
    /// Deliveries to vendors.
    Dispatch,
    /// What vendors tell, and webhooks to career sites.
    Events,
    /// Periodic work.
    Schedule,
    /// Support on the management listener.
    Console,
}

impl ProcessRole {
    /// Every role, in the order an application meets them.
    pub const ALL: [Self; 5] = [Self::Ingress, Self::Dispatch, Self::Events, Self::Schedule, Self::Console];

    /// As in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Dispatch => "dispatch",
            Self::Events => "events",
            Self::Schedule => "schedule",
            Self::Console => "console",
        }
    }
}

/// A setting that may hold a password: never printed, compared without being shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Hidden(Secret);

impl Hidden {
    /// Reads it: only to connect with it.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }

    /// It is left empty.
    pub fn is_empty(&self) -> bool {
        self.0.reveal().is_empty()
    }
}

impl Serialize for Hidden {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(if self.is_empty() { "" } else { "[secret]" })
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self(Secret::new(text)))
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

impl Data {
    /// Where the root key is.
    pub fn root_key(&self) -> PathBuf {
        if self.root_key_file.as_os_str().is_empty() { self.dir.join("root.key") } else { self.root_key_file.clone() }
    }
}

impl Default for Config {
    /// The embedded file.
    ///
    /// # Panics
    /// Never: a test reads the embedded file.
    fn default() -> Self {
        Self::from_parts(None, std::iter::empty()).expect("the embedded file is a configuration")
    }
}

impl Config {
    /// The configuration of this process: the file if one is named, and the environment.
    ///
    /// # Errors
    /// Every mistake found.
    pub fn load(file: Option<&Path>) -> Result<Self, Mistakes> {
        let Some(path) = file else { return Self::from_parts(None, std::env::vars_os()) };
        let (name, text) = (path.display().to_string(), load::read(path)?);
        Self::from_parts(Some((&name, &text)), std::env::vars_os())
    }

    /// The configuration of a named text and an environment.
    ///
    /// # Errors
    /// Every mistake found.
    pub fn from_parts(
        file: Option<(&str, &str)>,
        environment: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
    ) -> Result<Self, Mistakes> {
        load::merge(DEFAULT_FILE, file, environment)
    }

    /// What is different in `other`: the reloadable settings with their values, and the keys of the fixed ones.
    pub fn differences(&self, other: &Self) -> (Vec<SettingChange>, Vec<String>) {
        let changed = different(&self.reloadable, &other.reloadable);
        let fixed = different(&self.fixed, &other.fixed);
        (changed, fixed.into_iter().map(|change| change.key).collect())
    }

    /// Values that read well and cannot work.
    fn impossible(&self) -> Vec<Impossible> {
        let (Fixed { limits, dispatch, listen, log, .. }, Reloadable { retry, alike, sync, retention }) =
            (&self.fixed, &self.reloadable);
        let second = Duration::from_secs(1);
        let filter = crate::telemetry::fault_of(&log.filter);
        let none: &[&str] = &[];
        [
            (limits.concurrency == 0, "limits.concurrency", "must be at least 1", none),
            (
                dispatch.concurrency == 0,
                "dispatch.concurrency",
                "must be at least 1; to deliver nothing set dispatch.enabled = false",
                none,
            ),
            (limits.quota_per_second == 0, "limits.quota_per_second", "must be at least 1", none),
            (limits.quota_burst == 0, "limits.quota_burst", "must be at least 1", none),
            (limits.address_per_second == 0, "limits.address_per_second", "must be at least 1", none),
            (limits.address_burst == 0, "limits.address_burst", "must be at least 1", none),
            (limits.deadline.0 < second, "limits.deadline", "must be at least \"1s\"", none),
            (
                limits.body_deadline >= limits.deadline,
                "limits.body_deadline",
                "must be shorter than limits.deadline",
                &["limits.deadline"],
            ),
            (
                dispatch.lease.0 < dispatch.attempt_timeout.0 * 4,
                "dispatch.lease",
                "must be at least four times dispatch.attempt_timeout",
                &["dispatch.attempt_timeout"],
            ),
            (limits.connections == 0, "limits.connections", "must be at least 1", none),
            (limits.connections_per_address == 0, "limits.connections_per_address", "must be at least 1", none),
            (retry.schedule.is_empty(), "retry.schedule", "must name at least one wait", none),
            (retry.jitter_percent > 50, "retry.jitter_percent", "must be between 0 and 50", none),
            (alike.after < 2, "alike.after", "must be at least 2", none),
            (alike.probes.is_empty(), "alike.probes", "must name at least one wait", none),
            (alike.probes.iter().any(|wait| wait.0 < second), "alike.probes", "must be at least \"1s\" each", none),
            (
                retention.idempotency.0 < Duration::from_secs(30 * 86_400),
                "retention.idempotency",
                "must be at least \"30d\": callers are promised that much",
                none,
            ),
            (
                retention.applications.0 < Duration::from_secs(30 * 86_400),
                "retention.applications",
                "must be at least \"30d\": idempotency keys go with them",
                none,
            ),
            (
                retention.webhooks.0 < Duration::from_secs(4 * 86_400),
                "retention.webhooks",
                "must be at least \"4d\": they are tried again for so long",
                none,
            ),
            (sync.jobs.0 < second, "sync.jobs", "must be at least \"1s\"", none),
            (
                listen.public == listen.management && listen.public.port() != 0,
                "listen.management",
                "must differ from listen.public",
                &["listen.public"],
            ),
            (filter.is_some(), "log.filter", filter.as_deref().unwrap_or_default(), none),
        ]
        .into_iter()
        .chain(self.fixed.impossible_engines().map(|(is_so, key, remedy)| (is_so, key, remedy, none)))
        .filter(|(is_so, ..)| *is_so)
        .map(|(_, key, remedy, beside)| Impossible { mistake: Mistake::value(key, remedy), beside })
        .collect()
    }
}

/// An address and nothing else.
fn is_plain_http(text: &str) -> bool {
    url::Url::parse(text)
        .is_ok_and(|url| url.scheme() == "http" && url.has_host() && url.path() == "/" && url.query().is_none())
}

impl Fixed {
    /// What no engine could do with: whether it is so, the key, the remedy.
    fn impossible_engines(&self) -> impl Iterator<Item = (bool, &'static str, &'static str)> + use<> {
        [
            (self.run.roles.is_empty(), "run.roles", "must name at least one"),
            (
                !self.telemetry.otlp.is_empty() && !is_plain_http(&self.telemetry.otlp),
                "telemetry.otlp",
                "must be like \"http://127.0.0.1:4318\", without a path; a collector beside the gateway speaks TLS to others",
            ),
            (self.store.writers == 0, "store.writers", "must be at least 1"),
            (self.store.readers == 0, "store.readers", "must be at least 1"),
            (self.redis.gateways == 0, "redis.gateways", "must be at least 1"),
        ]
        .into_iter()
    }
}

/// A value that cannot work, and the keys it cannot work with.
struct Impossible {
    mistake: Mistake,
    beside: &'static [&'static str],
}

/// A setting that has another value now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingChange {
    /// The key, dotted.
    pub key: String,
    /// What it was.
    pub from: String,
    /// What it is.
    pub to: String,
}

/// The keys whose values differ. A configuration holds no secret, only the places of some.
fn different(old: &impl Serialize, new: &impl Serialize) -> Vec<SettingChange> {
    let sections = |value: serde_json::Result<serde_json::Value>| match value {
        Ok(serde_json::Value::Object(sections)) => sections,
        Ok(_) | Err(_) => serde_json::Map::new(),
    };
    let (old, new) = (sections(serde_json::to_value(old)), sections(serde_json::to_value(new)));
    let keys =
        new.iter().flat_map(|(section, keys)| keys.as_object().into_iter().flatten().map(move |key| (section, key)));
    keys.filter_map(|(section, (key, to))| {
        let from = old.get(section).and_then(|keys| keys.get(key)).filter(|from| *from != to)?;
        Some(SettingChange { key: format!("{section}.{key}"), from: from.to_string(), to: to.to_string() })
    })
    .collect()
}

#[cfg(test)]
mod tests;
