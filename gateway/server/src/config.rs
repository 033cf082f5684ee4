//! The configuration: one TOML file over an embedded one that is the defaults, the environment over both.
//!
//! It reads and checks; it does not act on anything. What is fixed at start and what may change while the gateway runs
//! are two types. A mistake names the key, the line (or the variable) and what to do; nothing unknown is ignored.

mod load;
mod units;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

pub use load::{Mistake, Mistakes};
pub use units::{NotAQuantity, Size, Span};

/// The annotated file that is the defaults.
pub const DEFAULT_FILE: &str = include_str!("config.default.toml");

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Fixed by its nature: addresses, folders, sizes of what is built at start.
    pub fixed: Fixed,
    /// Policy, which a running gateway could take over; read at start, too.
    pub reloadable: Reloadable,
}

/// What is fixed at start. The default file describes each key.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the default file describes every key")]
pub struct Fixed {
    pub data: Data,
    pub listen: Listen,
    pub limits: Limits,
    pub dispatch: Dispatch,
    pub log: Log,
}

/// Policy: what could change while the gateway runs. The default file describes each key.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the default file describes every key")]
pub struct Reloadable {
    pub retry: Retry,
    pub sync: Sync,
    pub retention: Retention,
}

macro_rules! sections {
    ($($(#[$doc:meta])* struct $name:ident { $($field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Deserialize)]
            #[serde(deny_unknown_fields)]
            #[expect(missing_docs, reason = "the default file describes every key")]
            pub struct $name { $(pub $field: $type,)* }
        )*
    };
}

sections! {
    /// `[data]`
    struct Data { dir: PathBuf, root_key_file: PathBuf, }
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
        attachment_memory: Size,
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
    /// `[retry]`
    struct Retry { schedule: Vec<Span>, jitter_percent: u8, retry_after_cap: Span, verify_gap: Span, }
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
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
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

    /// Values that read well and cannot work.
    fn impossible(&self) -> Vec<Mistake> {
        let (fixed, reloadable) = (&self.fixed, &self.reloadable);
        let at_least = |key: &'static str, span: Span, least: Duration, why: &str| {
            (span.0 < least).then(|| Mistake::value(key, why))
        };
        [
            (fixed.limits.concurrency == 0).then(|| Mistake::value("limits.concurrency", "must be at least 1")),
            (fixed.dispatch.concurrency == 0).then(|| {
                Mistake::value(
                    "dispatch.concurrency",
                    "must be at least 1; to deliver nothing set dispatch.enabled = false",
                )
            }),
            (fixed.limits.quota_per_second == 0 || fixed.limits.quota_burst == 0)
                .then(|| Mistake::value("limits.quota_per_second", "the quota and its burst must be at least 1")),
            (fixed.limits.address_per_second == 0 || fixed.limits.address_burst == 0)
                .then(|| Mistake::value("limits.address_per_second", "the quota and its burst must be at least 1")),
            at_least("limits.deadline", fixed.limits.deadline, Duration::from_secs(1), "must be at least \"1s\""),
            (fixed.limits.body_deadline >= fixed.limits.deadline)
                .then(|| Mistake::value("limits.body_deadline", "must be shorter than limits.deadline")),
            (fixed.dispatch.lease.0 < fixed.dispatch.attempt_timeout.0 * 4)
                .then(|| Mistake::value("dispatch.lease", "must be at least four times dispatch.attempt_timeout")),
            (fixed.limits.connections == 0 || fixed.limits.connections_per_address == 0)
                .then(|| Mistake::value("limits.connections", "must be at least 1, in all and per address")),
            reloadable
                .retry
                .schedule
                .is_empty()
                .then(|| Mistake::value("retry.schedule", "must name at least one wait")),
            (reloadable.retry.jitter_percent > 50)
                .then(|| Mistake::value("retry.jitter_percent", "must be between 0 and 50")),
            at_least(
                "retention.idempotency",
                reloadable.retention.idempotency,
                Duration::from_secs(30 * 86_400),
                "must be at least \"30d\": callers are promised that much",
            ),
            at_least("sync.jobs", reloadable.sync.jobs, Duration::from_secs(1), "must be at least \"1s\""),
            (fixed.listen.public == fixed.listen.management && fixed.listen.public.port() != 0)
                .then(|| Mistake::value("listen.management", "must differ from listen.public")),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

#[cfg(test)]
mod tests;
