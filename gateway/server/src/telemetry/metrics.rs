//! The closed list of metrics: every name, its type, its help, its labels and their values. Nothing that is not here is
//! ever on `/metrics`, and dashboards and alert rules may name nothing else.
//!
//! A [`Page`] is what one answer says: whoever has figures puts them there, under a name of this list and with the label
//! values that the name allows; what does not fit is left out and said in the log. No label holds a name, a key, an address
//! or a part of a path: accounts are known by their ids. Units stand in the names, as Prometheus wants them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use causeway_core::delivery::State;
use causeway_core::ids::AccountId;
use causeway_core::outcome::Class;
use causeway_core::problem::Code;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from the start of the process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts by size, cumulative, with `_bucket`, `_sum` and `_count`.
    Histogram,
}

/// The values a label may have.
#[derive(Debug, Clone, Copy)]
pub enum Values {
    /// One of these.
    Of(&'static [&'static str]),
    /// What a submission came to: accepted, repeated, or a problem's code.
    Outcome,
    /// A delivery's state.
    State,
    /// What an attempt came to.
    Class,
    /// An account's id.
    Account,
    /// A connector of this build.
    Connector,
    /// This program's version.
    Version,
}

/// Which processes show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShownBy {
    /// Every process.
    Every,
    /// Those with this role.
    Ingress,
    /// Those with this role.
    Dispatch,
    /// Those with this role.
    Events,
    /// Those with this role; of several, the one that did it, or that holds the job's lease.
    Schedule,
    /// Those with `[queue] url`.
    Queue,
    /// Those with `[redis] url`.
    Redis,
    /// Those with `[telemetry] otlp`.
    Traces,
}

/// One line of the list.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it says, in a sentence.
    pub help: &'static str,
    /// Its labels, in this order, with their values.
    pub labels: &'static [(&'static str, Values)],
    /// Which processes show it.
    pub shown_by: ShownBy,
    /// With one process of every role and one account that had a delivery it has a series; else only once something
    /// happened that need not.
    pub always: bool,
}

/// What came of asking Redis.
const REDIS_OUTCOMES: &[&str] = &["answered", "failed", "timed_out", "bypassed"];

/// Every route template; the last stands for the rest.
pub const ROUTES: &[&str] =
    &["/v1/applications", "/v1/applications/{id}", "/v1/hooks/{account}", "/problems/{code}", "/v1/support", "other"];
/// Every HTTP status worth a series; the last stands for the rest. 499: the client left before the answer.
pub const STATUSES: &[&str] = &[
    "200", "202", "400", "401", "403", "404", "405", "408", "409", "413", "415", "422", "429", "499", "500", "502",
    "503", "0",
];
/// The roles.
pub const ROLES: &[&str] = &["ingress", "dispatch", "events", "schedule", "console"];
/// What readiness looks at.
pub const CHECKS: &[&str] = &["database", "queue", "limits", "backlog", "stop"];
/// What a check came to.
pub const CHECK_STATES: &[&str] = &["ok", "degraded", "failing"];
/// What a settlement put a delivery to.
pub const FOLLOWS: &[&str] = &[
    "next_step",
    "delivered",
    "waiting",
    "verifying",
    "adopted",
    "resent",
    "refused",
    "held",
    "parked",
    "account_paused",
];
/// The periodic jobs.
pub const JOBS: &[&str] = &[
    "expire-leases",
    "probe-alike",
    "sync-jobs",
    "sync-forms",
    "decide-awaiting",
    "read-back",
    "retention",
    "sweep-blobs",
    "anchor-audit",
    "watch-secrets",
    "ledger",
];
const DONE: Values = Values::Of(&["done", "failed"]);

/// Upper bounds of a request's time in microseconds.
pub const REQUEST_BOUNDS_US: &[u64] =
    &[500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000, 30_000_000];
/// Upper bounds of a commit's time in microseconds.
pub const COMMIT_BOUNDS_US: &[u64] = &[500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_000_000];
/// Upper bounds of the requests that share a commit.
pub const BATCH_BOUNDS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
/// Upper bounds of one try at a vendor in microseconds.
pub const ATTEMPT_BOUNDS_US: &[u64] = &[
    5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000,
];
/// Upper bounds of the time from accepted to delivered in microseconds.
pub const DELIVERED_BOUNDS_US: &[u64] = &[
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    30_000_000,
    300_000_000,
    3_600_000_000,
    86_400_000_000,
];

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $id:ident: $kind:ident $name:literal [$($label:literal: $values:expr),*] $from:ident $always:literal;)*) => {
        $(
            $(#[doc = $help])+
            pub const $id: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                help: concat!($($help),+),
                labels: &[$(($label, $values)),*],
                shown_by: ShownBy::$from,
                always: $always,
            };
        )*

        /// The whole list, in the order of the page.
        pub const ALL: &[Metric] = &[$($id),*];
    };
}

metrics! {
    // --- the process ---
    /// 1, with the version that runs.
    BUILD: Gauge "causeway_build_info" ["version": Values::Version] Every true;
    /// When the process started, in seconds since 1970.
    STARTED: Gauge "causeway_start_timestamp_seconds" [] Every true;
    /// 1 for each role that this process has, else 0.
    ROLE: Gauge "causeway_role" ["role": Values::Of(ROLES)] Every true;
    /// 1 while /readyz says 200, else 0.
    READY: Gauge "causeway_ready" [] Every true;
    /// 1 for the state that each of readiness's checks is in, else 0.
    CHECK: Gauge "causeway_check" ["check": Values::Of(CHECKS), "state": Values::Of(CHECK_STATES)] Every true;

    // --- HTTP ---
    /// Requests answered, by route template and status; 499: the client left before the answer.
    HTTP_REQUESTS: Counter "causeway_http_requests_total" ["route": Values::Of(ROUTES), "status": Values::Of(STATUSES)] Every true;
    /// Time from a request's header to its answer's.
    HTTP_DURATION: Histogram "causeway_http_request_duration_seconds" ["route": Values::Of(ROUTES)] Every true;
    /// Requests under way.
    HTTP_IN_FLIGHT: Gauge "causeway_http_requests_in_flight" [] Every true;
    /// Connections open.
    CONNECTIONS_OPEN: Gauge "causeway_connections_open" [] Every true;
    /// Connections accepted.
    CONNECTIONS_ACCEPTED: Counter "causeway_connections_accepted_total" [] Every true;
    /// Connections closed at once, because their address had too many.
    CONNECTIONS_REFUSED: Counter "causeway_connections_refused_total" [] Every true;
    /// Tries to accept a connection that failed.
    ACCEPT_ERRORS: Counter "causeway_accept_errors_total" [] Every true;

    // --- intake ---
    /// Submissions by what they came to: accepted, repeated (the first receipt again), or the code of their refusal.
    SUBMISSIONS: Counter "causeway_submissions_total" ["outcome": Values::Outcome] Ingress true;

    // --- store ---
    /// Commits of the store's writers.
    COMMITS: Counter "causeway_store_commits_total" ["outcome": DONE] Every true;
    /// Requests that shared a commit.
    COMMIT_BATCH: Histogram "causeway_store_commit_requests" [] Every true;
    /// Time of a commit, from its begin to what makes it durable.
    COMMIT_DURATION: Histogram "causeway_store_commit_duration_seconds" [] Every true;
    /// Requests that wait for a commit.
    COMMIT_WAITING: Gauge "causeway_store_commit_waiting" [] Every true;
    /// When the last commit was durable, in seconds since 1970.
    LAST_COMMIT: Gauge "causeway_store_last_commit_timestamp_seconds" [] Every true;

    // --- the ledger proof ---
    /// Targets of all accepted applications that are kept, as they were accepted. Each is one delivery.
    LEDGER_TARGETS: Gauge "causeway_ledger_targets_total" [] Schedule true;
    /// Deliveries by state, each counted where whoever works for that state finds it.
    DELIVERIES: Gauge "causeway_deliveries" ["state": Values::State] Schedule true;
    /// Targets less deliveries, read at one moment. Always 0; anything else is a lost or invented delivery.
    LEDGER_DIFFERENCE: Gauge "causeway_ledger_difference" [] Schedule true;
    /// When the ledger was read, in seconds since 1970.
    LEDGER_READ: Gauge "causeway_ledger_read_timestamp_seconds" [] Schedule true;

    // --- backlog ---
    /// How long the work that is longest due has been: deliveries (dispatch), webhooks (events), read-backs (schedule).
    BACKLOG_AGE: Gauge "causeway_backlog_age_seconds" ["role": Values::Of(&["dispatch", "events", "schedule"])] Every true;

    // --- dispatch ---
    /// Deliveries under way in this process.
    IN_HAND: Gauge "causeway_deliveries_in_hand" [] Dispatch true;
    /// Deliveries claimed.
    CLAIMS: Counter "causeway_claims_total" [] Dispatch true;
    /// Tries of a step, by what they came to.
    ATTEMPTS: Counter "causeway_attempts_total" ["connector": Values::Connector, "class": Values::Class] Dispatch true;
    /// Time of one try of a step.
    ATTEMPT_DURATION: Histogram "causeway_attempt_duration_seconds" ["connector": Values::Connector] Dispatch true;
    /// Settlements, by what follows.
    SETTLEMENTS: Counter "causeway_settlements_total" ["follows": Values::Of(FOLLOWS)] Dispatch true;
    /// Time from accepted to delivered.
    DELIVERED: Histogram "causeway_delivery_duration_seconds" ["connector": Values::Connector] Dispatch true;
    /// Leases that ran out: an attempt on the wire became unknown, or the delivery was due again.
    LEASES_EXPIRED: Counter "causeway_leases_expired_total" ["was": Values::Of(&["unknown", "due"])] Schedule true;

    // --- accounts ---
    /// When the account's postings were last read to their end, in seconds since 1970.
    SYNCED: Gauge "causeway_account_sync_timestamp_seconds" ["account": Values::Account] Schedule true;
    /// How long the account's last sync took.
    SYNC_DURATION: Gauge "causeway_account_sync_duration_seconds" ["account": Values::Account] Schedule true;
    /// Syncs of the account's postings: complete, held (the list shrank too much), or failed.
    SYNCS: Counter "causeway_account_syncs_total" ["account": Values::Account, "outcome": Values::Of(&["complete", "held", "failed"])] Schedule true;
    /// 1 while the account is paused, else 0.
    PAUSED: Gauge "causeway_account_paused" ["account": Values::Account] Schedule true;
    /// The share of the calls that this process may make in the vendor's window and has made, from 0 to 1.
    QUOTA_USE: Gauge "causeway_account_quota_used_ratio" ["account": Values::Account] Every true;
    /// Calls that left for the account's vendor.
    QUOTA_USED: Counter "causeway_account_calls_total" ["account": Values::Account] Every true;
    /// Calls that the account's limits would let go now.
    QUOTA_LEFT: Gauge "causeway_account_quota_left" ["account": Values::Account] Every true;
    /// 1 while the account's breaker lets no call through, else 0.
    BREAKER: Gauge "causeway_account_breaker_open" ["account": Values::Account] Every true;
    /// Accounts whose secrets have expired.
    SECRETS_EXPIRED: Gauge "causeway_accounts_secrets_expired" [] Schedule true;
    /// Accounts whose secrets expire within thirty days.
    SECRETS_EXPIRE_SOON: Gauge "causeway_accounts_secrets_expire_soon" [] Schedule true;

    // --- webhooks to career sites ---
    /// Webhooks sent, by whether the site took them.
    WEBHOOKS: Counter "causeway_webhooks_sent_total" ["outcome": Values::Of(&["taken", "failed"])] Events true;

    // --- periodic work ---
    /// Runs of periodic jobs.
    JOB_RUNS: Counter "causeway_job_runs_total" ["job": Values::Of(JOBS), "outcome": DONE] Every true;
    /// When this process last ran the job to its end, in seconds since 1970.
    JOB_LAST: Gauge "causeway_job_last_timestamp_seconds" ["job": Values::Of(JOBS)] Every true;

    // --- attachments ---
    /// Attachments written, read and removed.
    BLOBS: Counter "causeway_blobs_total" ["operation": Values::Of(&["write", "read", "remove"]), "outcome": DONE] Every true;

    // --- RabbitMQ ---
    /// 1 while the broker is connected, else 0.
    QUEUE_CONNECTED: Gauge "causeway_queue_connected" [] Queue true;
    /// 1 while rings come in, else 0.
    QUEUE_CONSUMING: Gauge "causeway_queue_consuming" [] Queue true;
    /// 1 while the broker takes nothing, because it is short of memory or disk, else 0.
    QUEUE_BLOCKED: Gauge "causeway_queue_blocked" [] Queue true;
    /// Connections to the broker that were opened again.
    QUEUE_RECONNECTS: Counter "causeway_queue_reconnects_total" [] Queue true;
    /// Rings published.
    RINGS_PUBLISHED: Counter "causeway_queue_rings_published_total" [] Queue true;
    /// Rings that the broker confirmed.
    RINGS_CONFIRMED: Counter "causeway_queue_rings_confirmed_total" [] Queue true;
    /// Rings that the broker gave back, for want of a queue.
    RINGS_RETURNED: Counter "causeway_queue_rings_returned_total" [] Queue true;
    /// Rings that the broker refused.
    RINGS_NACKED: Counter "causeway_queue_rings_nacked_total" [] Queue true;
    /// Rings published and not confirmed.
    RINGS_UNCONFIRMED: Gauge "causeway_queue_rings_unconfirmed" [] Queue true;
    /// Messages taken.
    MESSAGES_CONSUMED: Counter "causeway_queue_messages_consumed_total" [] Queue true;
    /// Messages that are not ours or of a newer version, put aside.
    MESSAGES_PARKED: Counter "causeway_queue_messages_parked_total" [] Queue true;
    /// Messages that came again.
    REDELIVERIES: Counter "causeway_queue_redeliveries_total" [] Queue true;

    // --- Redis ---
    /// 1 while Redis answers, else 0.
    REDIS_UP: Gauge "causeway_redis_up" [] Redis true;
    /// Calls to Redis; bypassed: not made, because it did not answer lately.
    REDIS_CALLS: Counter "causeway_redis_calls_total" ["outcome": Values::Of(REDIS_OUTCOMES)] Redis true;

    // --- traces ---
    /// Spans by what became of them: exported, dropped (the queue was full), failed (the collector did not take them).
    SPANS: Counter "causeway_trace_spans_total" ["outcome": Values::Of(&["exported", "dropped", "failed"])] Traces true;
}

/// What is said beside the codes of refusals of a submission's outcome.
const TAKEN: [&str; 2] = ["accepted", "repeated"];

impl Values {
    /// Is it one of them?
    pub fn has(self, value: &str) -> bool {
        match self {
            Self::Of(list) => list.contains(&value),
            Self::Outcome => TAKEN.contains(&value) || Code::ALL.iter().any(|code| code.as_str() == value),
            Self::State => value.parse::<State>().is_ok(),
            Self::Class => value.parse::<Class>().is_ok(),
            Self::Account => value.parse::<AccountId>().is_ok(),
            Self::Connector => causeway_connectors::by_name(value).is_some(),
            Self::Version => value == env!("CARGO_PKG_VERSION"),
        }
    }
}

/// One answer of `/metrics`, in the making.
#[derive(Debug, Default)]
pub struct Page {
    samples: BTreeMap<&'static str, String>,
}

impl Page {
    /// A figure of a counter or a gauge.
    pub fn put(&mut self, metric: &Metric, labels: &[&str], value: impl Into<Figure>) {
        let Some(labels) = labelled(metric, labels) else { return };
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        self.line(metric, format_args!("{}{braces} {}", metric.name, value.into().0));
    }

    /// A histogram: counts by bound, not cumulative, with one more for what is over the last; bounds and sum in units of
    /// which the metric's own is so many.
    pub fn histogram(
        &mut self,
        metric: &Metric,
        labels: &[&str],
        (bounds, unit): (&[u64], f64),
        counts: &[u64],
        sum: u64,
    ) {
        let Some(labels) = labelled(metric, labels) else { return };
        let comma = if labels.is_empty() { "" } else { "," };
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let name = metric.name;
        let mut total = 0;
        for (at, count) in counts.iter().enumerate() {
            total += count;
            let bound = bounds.get(at).map_or_else(|| "+Inf".to_owned(), |bound| (*bound as f64 / unit).to_string());
            self.line(metric, format_args!("{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {total}"));
        }
        self.line(metric, format_args!("{name}_sum{braces} {}", sum as f64 / unit));
        self.line(metric, format_args!("{name}_count{braces} {total}"));
    }

    fn line(&mut self, metric: &Metric, line: std::fmt::Arguments<'_>) {
        let lines = self.samples.entry(metric.name).or_default();
        // Writing to a String cannot fail.
        writeln!(lines, "{line}").unwrap_or_default();
    }

    /// The text for Prometheus: every name of the list with its help and type, and what was put under it.
    pub fn render(&self) -> String {
        let mut out = String::with_capacity(32 * 1024);
        for metric in ALL {
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            let (name, help) = (metric.name, metric.help.trim());
            writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}").unwrap_or_default();
            out.push_str(self.samples.get(name).map_or("", String::as_str));
        }
        out
    }
}

/// A figure as text.
#[derive(Debug)]
pub struct Figure(String);

macro_rules! figures {
    ($($type:ty),*) => { $(
        impl From<$type> for Figure {
            fn from(value: $type) -> Self {
                Self(value.to_string())
            }
        }
    )* };
}

figures!(u64, i64, u32, f64);

impl From<bool> for Figure {
    fn from(value: bool) -> Self {
        Self(u8::from(value).to_string())
    }
}

/// The labels as they stand between the braces; `None` for what is not in the list.
fn labelled(metric: &Metric, values: &[&str]) -> Option<String> {
    let known = ALL.iter().any(|listed| listed.name == metric.name);
    let fits = metric.labels.len() == values.len()
        && metric.labels.iter().zip(values).all(|((_, allowed), value)| allowed.has(value));
    if !known || !fits {
        tracing::error!(metric = metric.name, "a figure has no place in the list of metrics and is left out");
        return None;
    }
    let pairs: Vec<String> =
        metric.labels.iter().zip(values).map(|((name, _), value)| format!("{name}=\"{value}\"")).collect();
    Some(pairs.join(","))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_as_prometheus_wants_them() {
        let names: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len(), "a name stands twice");
        for metric in ALL {
            let name = metric.name;
            let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            assert!(name.starts_with("causeway_") && plain(name), "{name}");
            assert!(metric.help.trim().ends_with('.') && !metric.help.contains('\n'), "{name}");
            assert!(metric.labels.iter().all(|(label, _)| plain(label) && *label != "le"), "{name}");
            match metric.kind {
                Kind::Counter => assert!(name.ends_with("_total"), "{name}"),
                // What it counts is what the word means in the ledger; it falls when applications are past their retention.
                Kind::Gauge => assert!(!name.ends_with("_total") || name == LEDGER_TARGETS.name, "{name}"),
                Kind::Histogram => assert!(name.ends_with("_seconds") || name.ends_with("_requests"), "{name}"),
            }
            let other_unit = |word: &str| ["ms", "us", "millis", "minutes", "percent"].contains(&word);
            assert!(!name.split('_').any(other_unit), "{name}: seconds, bytes and ratios only");
        }
    }

    #[test]
    fn what_is_not_in_the_list_is_left_out() {
        let mut page = Page::default();
        page.put(&READY, &[], true);
        page.put(&HTTP_REQUESTS, &["/v1/applications", "202"], 7_u64);
        page.put(&HTTP_REQUESTS, &["/v1/applications/sub_1", "202"], 7_u64);
        page.put(&HTTP_REQUESTS, &["/v1/applications"], 7_u64);
        page.put(&PAUSED, &["Acme Ltd"], true);
        page.put(&ATTEMPTS, &["demo", "wonderful"], 1_u64);
        page.put(&Metric { name: "causeway_more", ..READY }, &[], true);
        page.histogram(&COMMIT_BATCH, &[], (BATCH_BOUNDS, 1.0), &[1, 2], 5);
        let text = page.render();
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "causeway_ready 1",
                "causeway_http_requests_total{route=\"/v1/applications\",status=\"202\"} 7",
                "causeway_store_commit_requests_bucket{le=\"1\"} 1",
                "causeway_store_commit_requests_bucket{le=\"2\"} 3",
                "causeway_store_commit_requests_sum 5",
                "causeway_store_commit_requests_count 3",
            ]
        );
        for metric in ALL {
            assert!(text.contains(&format!("# HELP {} {}\n# TYPE {} ", metric.name, metric.help.trim(), metric.name)));
        }
    }
}
