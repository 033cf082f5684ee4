//! The wires between parts that do not know each other, and the configuration in each part's own terms.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use causeway_core::account::Which;
use causeway_core::clock::{Clock, Entropy};
use causeway_core::ids::AccountId;
use causeway_core::pii::Secret;
use data_encoding::HEXLOWER;

use super::reload::Lives;
use crate::config::Config;
use crate::dispatch::DispatchPolicy;
use crate::egress::{BreakerPolicy, CredentialSource, EgressPolicy, Newer, NoCredentials};
use crate::feeds::sync::SyncPolicy;
use crate::intake::{self, Intake};
use crate::quota::Rate;
use crate::read_back::ReadBackPolicy;
use crate::schedule::{Judge, SchedulePolicy, SyncBell};
use crate::store::intake::{Decision, ReadyDelivery};
use crate::store::{Store, StoreError};

/// Names this process in leases, among those of every machine and of every time: a process id comes again, and so does a
/// machine's name.
pub(super) fn owner(entropy: &dyn Entropy) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut chance = [0; 8];
    entropy.fill(&mut chance);
    format!("{}/{}/{}", host.trim(), std::process::id(), HEXLOWER.encode(&chance))
}

/// Egress reads secrets from the store without knowing it.
pub(super) struct SecretsOfTheStore {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
}

#[async_trait]
impl CredentialSource for SecretsOfTheStore {
    async fn credentials(&self, account: AccountId) -> Result<BTreeMap<String, Secret>, NoCredentials> {
        self.store.credentials(account).await.map_err(|error| {
            tracing::error!(account = %account, %error, "an account's credentials could not be read");
            NoCredentials
        })
    }

    async fn next(&self, account: AccountId) -> Result<Option<Newer>, NoCredentials> {
        let read = async {
            let Some(secrets) = self.store.next_credentials(account).await? else { return Ok(None) };
            let about = self.store.account(account).await?.credentials.next;
            Ok(about.and_then(|about| about.since).map(|since| Newer { secrets, since }))
        };
        read.await.map_err(|error: StoreError| {
            tracing::error!(account = %account, %error, "an account's newer credentials could not be read");
            NoCredentials
        })
    }

    async fn used(&self, account: AccountId, which: Which, refused: bool) {
        if let Err(error) = self.store.secrets_used(account, which, refused, self.clock.now()).await {
            tracing::warn!(account = %account, %error, "the use of secrets was not written down");
        }
    }

    fn generation(&self) -> u64 {
        self.store.generation()
    }
}

/// Intake asks for what it misses without knowing who reads it.
pub(super) struct RingsTheSchedule(pub(super) Arc<SyncBell>);

impl intake::SyncBell for RingsTheSchedule {
    fn sync(&self, account: AccountId) {
        self.0.ring_account(account);
    }

    fn form(&self, account: AccountId, _posting_id: &str) {
        self.0.ring_forms(account);
    }
}

/// What waited is decided as intake would have, without the schedule knowing it.
pub(super) struct JudgesAsIntake(pub(super) Arc<Intake>);

impl Judge for JudgesAsIntake {
    fn judge(&self, ready: &ReadyDelivery) -> Decision {
        self.0.decision(ready)
    }
}

pub(super) fn ingress(config: &Config) -> crate::ingress::Config {
    let (listen, limits) = (&config.fixed.listen, &config.fixed.limits);
    crate::ingress::Config {
        public: listen.public,
        management: listen.management,
        deadline: limits.deadline.0,
        body_total: limits.body_deadline.0,
        max_in_flight: limits.concurrency,
        max_connections: limits.connections,
        max_connections_per_address: limits.connections_per_address,
        bodies_in_memory: limits.attachment_memory,
        quota: Rate { per_second: f64::from(limits.quota_per_second), burst: limits.quota_burst },
        address_quota: Rate { per_second: f64::from(limits.address_per_second), burst: limits.address_burst },
        ..crate::ingress::Config::default()
    }
}

pub(super) fn intake(config: &Config, lives: &Lives) -> intake::Config {
    intake::Config {
        record_refusals: config.fixed.limits.record_refusals,
        form_fresh: lives.forms.clone(),
        ..intake::Config::default()
    }
}

pub(super) fn egress(config: &Config, lives: &Lives) -> EgressPolicy {
    EgressPolicy {
        attempt: config.fixed.dispatch.attempt_timeout.0,
        retry_after_cap: lives.retry_after_cap.clone(),
        gateways: config.fixed.redis.gateways,
        breaker: BreakerPolicy {
            open_first: config.fixed.dispatch.breaker_open_first.0,
            open_most: config.fixed.dispatch.breaker_open_most.0,
            ..BreakerPolicy::default()
        },
        ..EgressPolicy::default()
    }
}

/// What a claim costs on a server is worth a tenth of a second of who has several; in one process it costs next to nothing.
const GATHER: Duration = Duration::from_millis(100);

pub(super) fn dispatch(config: &Config, stop_grace: Duration, owner: &str) -> DispatchPolicy {
    let dispatch = &config.fixed.dispatch;
    DispatchPolicy {
        in_flight: dispatch.concurrency,
        lease: dispatch.lease.0,
        // A step may make a call or two beside the one that counts; the lease outlasts it by configuration's own check.
        step_deadline: dispatch.attempt_timeout.0.mul_f64(2.5),
        attachment_bytes: config.fixed.limits.attachment_memory.as_len(),
        stop_grace,
        gather: if config.fixed.store.dsn.is_empty() { Duration::ZERO } else { GATHER },
        owner: owner.to_owned(),
        ..DispatchPolicy::default()
    }
}

pub(super) fn read_back(config: &Config, lives: &Lives) -> ReadBackPolicy {
    ReadBackPolicy {
        gap: lives.verify_gap.clone(),
        deadline: config.fixed.dispatch.attempt_timeout.0,
        ..ReadBackPolicy::default()
    }
}

pub(super) fn feeds(lives: &Lives) -> SyncPolicy {
    SyncPolicy { forms_every: lives.forms.clone(), ..SyncPolicy::default() }
}

pub(super) fn schedule(lives: &Lives, owner: &str) -> SchedulePolicy {
    SchedulePolicy {
        leases: Duration::from_secs(1),
        rings: Duration::from_secs(5),
        probes: Duration::from_secs(1),
        alike: lives.alike.clone(),
        jobs: lives.jobs.clone(),
        jobs_gap: Duration::from_secs(1),
        forms: lives.forms_looked_at.clone(),
        awaiting: Duration::from_secs(1),
        read_back: Duration::from_secs(1),
        upkeep: Duration::from_secs(600),
        anchor: Duration::from_secs(60),
        ledger: Duration::from_secs(5),
        retention: lives.retention.clone(),
        lease: Duration::from_secs(30),
        owner: owner.to_owned(),
    }
}
