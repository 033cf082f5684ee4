//! Periodic work: what has to happen without anybody asking. Each job is a lease row with a fence, so that of several
//! gateways one does it; a gateway that stops gives its leases back.
//!
//! Jobs: leases that ran out; rings for what is due; probes of what fails alike; postings of each ATS account, and at once when intake rings for one it does not know; forms
//! that became old; deliveries that waited for a posting or form; retention; orphaned blobs; the audit's anchor. A job that fails is logged and
//! comes again; one that hangs delays only itself. It judges no application: a [`Judge`] is handed in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use causeway_core::account::Role;
use causeway_core::clock::Clock;
use causeway_core::ids::{AccountId, TenantId};
use causeway_core::reason::Reason;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::alike::AlikePolicy;
use crate::clock::later;
use crate::config::live::Live;
use crate::feeds::sync::Feeds;
use crate::health::ledger::{LedgerWatch, seconds};
use crate::queue::Bell;
use crate::read_back::ReadBack;
use crate::setup::SecretsWatch;
use crate::store::intake::{Decision, ReadyDelivery};
use crate::store::setup::AccountRecord;
use crate::store::trace::Retention;
use crate::store::{self, Store};
use crate::telemetry::figures::Counters;
use crate::telemetry::metrics::{self, Page};

/// Decides a delivery that waited for its posting or form, as intake would have. Pure computation.
pub trait Judge: Send + Sync {
    /// What becomes of it.
    fn judge(&self, ready: &ReadyDelivery) -> Decision;
}

/// Asks for a sync at once. Cheap; rings coalesce.
#[derive(Debug, Default)]
pub struct SyncBell {
    rung: Mutex<BTreeSet<Ring>>,
    wake: Notify,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ring {
    Tenant(TenantId),
    Account(AccountId),
    Forms(AccountId),
}

impl SyncBell {
    /// One account's postings are wanted now, or those of all the tenant's ATS accounts.
    pub fn ring_sync(&self, tenant: TenantId, account: Option<AccountId>) {
        self.ring(account.map_or(Ring::Tenant(tenant), Ring::Account));
    }

    /// The account's postings are wanted now.
    pub fn ring_account(&self, account: AccountId) {
        self.ring(Ring::Account(account));
    }

    /// Forms of the account that were never fetched, or are old, are wanted now.
    pub fn ring_forms(&self, account: AccountId) {
        self.ring(Ring::Forms(account));
    }

    fn ring(&self, ring: Ring) {
        if self.rung.lock().unwrap_or_else(PoisonError::into_inner).insert(ring) {
            self.wake.notify_one();
        }
    }

    async fn rung(&self) -> BTreeSet<Ring> {
        loop {
            let rung = std::mem::take(&mut *self.rung.lock().unwrap_or_else(PoisonError::into_inner));
            if !rung.is_empty() {
                return rung;
            }
            self.wake.notified().await;
        }
    }
}

/// How often.
#[derive(Debug, Clone)]
pub struct SchedulePolicy {
    /// Leases that ran out.
    pub leases: Duration,
    /// Rings for what is due, in case one was lost.
    pub rings: Duration,
    /// Probes of what fails alike that may be due.
    pub probes: Duration,
    /// When they are.
    pub alike: Live<AlikePolicy>,
    /// The postings of each ATS account.
    pub jobs: Live<Duration>,
    /// Two syncs of one account are at least so far apart, however often intake rings.
    pub jobs_gap: Duration,
    /// Forms that may have become old.
    pub forms: Live<Duration>,
    /// Deliveries that waited for a posting or form.
    pub awaiting: Duration,
    /// Delivered ones to be read back.
    pub read_back: Duration,
    /// Retention and blobs.
    pub upkeep: Duration,
    /// The audit chains' newest links.
    pub anchor: Duration,
    /// Both sides of the ledger.
    pub ledger: Duration,
    /// How long each class is kept.
    pub retention: Live<Retention>,
    /// How long a job is ours without being renewed.
    pub lease: Duration,
    /// Unique per process: names it in leases.
    pub owner: String,
}

/// What the schedule is made of.
pub struct ScheduleParts {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// Reads postings and forms.
    pub feeds: Arc<Feeds>,
    /// Decides what waited.
    pub judge: Arc<dyn Judge>,
    /// Does this process do periodic work? If not it reads back at most.
    pub periodic: bool,
    /// Reads back what was delivered; none in a process that delivers nothing: it is done within the limits of who does.
    pub read_back: Option<ReadBack>,
    /// Rings dispatch for what may go.
    pub bell: Arc<dyn Bell>,
    /// Rung by intake.
    pub sync_bell: Arc<SyncBell>,
    /// Tells of secrets that end.
    pub secrets: Arc<SecretsWatch>,
    /// Tells how the ledger stands.
    pub ledger: Arc<LedgerWatch>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// The figures.
    pub policy: SchedulePolicy,
}

/// See the module's documentation.
pub struct Schedule {
    parts: ScheduleParts,
    /// Until when each job is ours.
    leases: Mutex<BTreeMap<String, Timestamp>>,
    /// When each account was last synced, or will be.
    synced: Mutex<BTreeMap<AccountId, Timestamp>>,
    figures: Figures,
}

/// What it counts, for the metrics.
#[derive(Default)]
struct Figures {
    /// Runs of each job, and whether they went well.
    runs: Counters<(&'static str, bool)>,
    /// When each went well last.
    last: Mutex<BTreeMap<&'static str, Timestamp>>,
    syncs: Counters<(AccountId, &'static str)>,
    took: Mutex<BTreeMap<AccountId, Duration>>,
    expired: Counters<&'static str>,
}

/// Rows removed per retention call, and deliveries decided per call: other writers get their turn between.
const BATCH: usize = 500;

impl Schedule {
    /// Does nothing yet.
    pub fn new(parts: ScheduleParts) -> Arc<Self> {
        Arc::new(Self { parts, leases: Mutex::default(), synced: Mutex::default(), figures: Figures::default() })
    }

    /// Works until told to stop, then lets the jobs under way be dropped: each is one transaction or repeatable.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let tracker = TaskTracker::new();
        let policy = &self.parts.policy;
        let jobs: [(Job, Live<Duration>); 12] = [
            (Job::Leases, policy.leases.into()),
            (Job::Rings, policy.rings.into()),
            (Job::Probes, policy.probes.into()),
            (Job::Jobs, policy.jobs.clone()),
            (Job::Forms, policy.forms.clone()),
            (Job::Awaiting, policy.awaiting.into()),
            (Job::ReadBack, policy.read_back.into()),
            (Job::Retention, policy.upkeep.into()),
            (Job::Blobs, policy.upkeep.into()),
            (Job::Anchor, policy.anchor.into()),
            (Job::Secrets, policy.upkeep.into()),
            (Job::Ledger, policy.ledger.into()),
        ];
        let has = |job: &Job| match job {
            Job::ReadBack => self.parts.read_back.is_some(),
            Job::Leases
            | Job::Rings
            | Job::Probes
            | Job::Jobs
            | Job::Forms
            | Job::Awaiting
            | Job::Retention
            | Job::Blobs
            | Job::Anchor
            | Job::Secrets
            | Job::Ledger => self.parts.periodic,
        };
        for (job, every) in jobs.into_iter().filter(|(job, _)| has(job)) {
            let (schedule, stop) = (Arc::clone(&self), stop.clone());
            tracker.spawn(async move {
                stop.run_until_cancelled(schedule.repeat(job, every)).await;
            });
        }
        if self.parts.periodic {
            let (rings, until) = (Arc::clone(&self).answer_rings(tracker.clone(), stop.clone()), stop.clone());
            tracker.spawn(async move {
                until.run_until_cancelled(rings).await;
            });
        }
        tracker.close();
        tracker.wait().await;
        self.give_back().await;
    }

    /// Whoever goes on need not wait for the leases to run out.
    async fn give_back(&self) {
        let held = std::mem::take(&mut *self.leases.lock().unwrap_or_else(PoisonError::into_inner));
        for job in held.into_keys() {
            let (now, owner) = (self.parts.clock.now(), &self.parts.policy.owner);
            if let Err(error) = self.parts.store.lease_job(&job, owner, now, Duration::ZERO).await {
                tracing::warn!(job, %error, "a periodic job's lease could not be given back; it will run out");
            }
        }
    }

    /// Onto the page.
    pub fn put(&self, page: &mut Page) {
        for ((job, well), count) in self.figures.runs.read() {
            page.put(&metrics::JOB_RUNS, &[job, if well { "done" } else { "failed" }], count);
        }
        for (job, at) in self.figures.last.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            page.put(&metrics::JOB_LAST, &[job], seconds(*at));
        }
        for ((account, outcome), count) in self.figures.syncs.read() {
            page.put(&metrics::SYNCS, &[&account.to_string(), outcome], count);
        }
        for (account, took) in self.figures.took.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            page.put(&metrics::SYNC_DURATION, &[&account.to_string()], took.as_secs_f64());
        }
        let expired = self.figures.expired.read();
        for was in ["unknown", "due"].into_iter().filter(|_| self.parts.periodic) {
            page.put(&metrics::LEASES_EXPIRED, &[was], expired.get(was).copied().unwrap_or(0));
        }
    }

    async fn repeat(&self, job: Job, every: Live<Duration>) {
        let mut changes = every.watch();
        let ticks = |every: Duration| {
            let mut ticks = tokio::time::interval(every.max(Duration::from_millis(10)));
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            ticks
        };
        let mut due = ticks(every.get());
        loop {
            tokio::select! {
                _ = due.tick() => {}
                Ok(()) = changes.changed() => {
                    due = ticks(every.get());
                    continue;
                }
            }
            if !self.ours(job.name()).await {
                self.is_anothers(job);
                continue;
            }
            let done = self.once(job).await;
            self.figures.runs.add((job.name(), done.is_ok()), 1);
            match done {
                Ok(()) => {
                    let mut last = self.figures.last.lock().unwrap_or_else(PoisonError::into_inner);
                    last.insert(job.name(), self.parts.clock.now());
                }
                Err(error) => tracing::error!(job = job.name(), %error, "a periodic job failed; it comes again"),
            }
        }
    }

    /// Is the job ours, now and for a while?
    async fn ours(&self, job: &str) -> bool {
        let (now, policy) = (self.parts.clock.now(), &self.parts.policy);
        let half = later(now, policy.lease / 2);
        let held = self.leases.lock().unwrap_or_else(PoisonError::into_inner).get(job).copied();
        if held.is_some_and(|until| until > half && until <= later(now, policy.lease)) {
            return true;
        }
        let leased = self.parts.store.lease_job(job, &policy.owner, now, policy.lease).await;
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        match leased {
            Ok(Some(_)) => {
                leases.insert(job.to_owned(), later(now, policy.lease));
                true
            }
            Ok(None) => {
                leases.remove(job);
                false
            }
            Err(error) => {
                tracing::error!(job, %error, "a periodic job could not be leased");
                leases.remove(job);
                false
            }
        }
    }

    /// What this process told of it is another's to tell.
    fn is_anothers(&self, job: Job) {
        match job {
            Job::Ledger => self.parts.ledger.forget(),
            Job::Secrets => self.parts.secrets.forget(),
            Job::Leases
            | Job::Rings
            | Job::Probes
            | Job::Jobs
            | Job::Forms
            | Job::Awaiting
            | Job::ReadBack
            | Job::Retention
            | Job::Blobs
            | Job::Anchor => {}
        }
    }

    async fn once(&self, job: Job) -> store::Result<()> {
        match job {
            Job::Leases => self.expire_leases().await,
            Job::Rings => self.ring_again().await,
            Job::Probes => self.probe_alike().await,
            Job::Jobs => self.sync_all().await,
            Job::Forms => self.forms().await,
            Job::Awaiting => self.decide_awaiting().await.map(|_| ()),
            Job::ReadBack => match &self.parts.read_back {
                Some(read_back) => read_back.pass().await,
                None => Ok(()),
            },
            Job::Retention => self.retain().await,
            Job::Anchor => self.parts.store.anchor_audit(self.parts.clock.now()).await.map(|_| ()),
            Job::Secrets => self.parts.secrets.look(&*self.parts.store, self.parts.clock.now()).await,
            Job::Ledger => self.parts.ledger.look(&*self.parts.store, self.parts.clock.now()).await,
            Job::Blobs => {
                let removed = self.parts.store.sweep_blobs(self.parts.clock.now()).await?;
                if removed > 0 {
                    tracing::info!(removed, "orphaned attachments were removed");
                }
                Ok(())
            }
        }
    }

    /// Takes back what workers that are gone had claimed. Dispatch finds it at its next look.
    async fn expire_leases(&self) -> store::Result<()> {
        let (unknown, due) = self.parts.store.expire_leases(self.parts.clock.now()).await?;
        self.figures.expired.add("unknown", unknown);
        self.figures.expired.add("due", due);
        if unknown + due > 0 {
            tracing::warn!(unknown, due, "leases of deliveries ran out");
        }
        Ok(())
    }

    /// Rings for whatever is due: a ring that a broker never confirmed, or lost, costs no more than this.
    async fn ring_again(&self) -> store::Result<()> {
        let (due, _) = self.parts.store.due(self.parts.clock.now()).await?;
        due.into_iter().for_each(|due| self.parts.bell.ring(due.account));
        Ok(())
    }

    /// Sends one of many that fail alike.
    async fn probe_alike(&self) -> store::Result<()> {
        let policy = self.parts.policy.alike.get();
        for account in self.parts.store.probe_alike(&policy, self.parts.clock.now()).await? {
            self.parts.bell.ring(account);
        }
        Ok(())
    }

    async fn ats_accounts(&self, tenant: Option<TenantId>) -> store::Result<Vec<AccountId>> {
        let accounts = self.parts.store.accounts(tenant).await?;
        Ok(accounts
            .into_iter()
            .filter(|record| record.account.role == Role::Ats && !cannot_be_read(record))
            .map(|record| record.account.id)
            .collect())
    }

    async fn sync_all(&self) -> store::Result<()> {
        let accounts = self.ats_accounts(None).await?;
        futures_util::future::join_all(accounts.into_iter().map(|account| self.sync(account))).await;
        Ok(())
    }

    /// Each ring is answered by a task of its own: a vendor that hangs delays no other account's sync.
    async fn answer_rings(self: Arc<Self>, tracker: TaskTracker, stop: CancellationToken) {
        let spawn_sync = |account: AccountId| {
            let (schedule, stop) = (Arc::clone(&self), stop.clone());
            tracker.spawn(async move { stop.run_until_cancelled(schedule.sync(account)).await });
        };
        loop {
            for ring in self.parts.sync_bell.rung().await {
                match ring {
                    Ring::Account(account) => spawn_sync(account),
                    Ring::Tenant(tenant) => match self.ats_accounts(Some(tenant)).await {
                        Ok(accounts) => accounts.into_iter().for_each(spawn_sync),
                        Err(error) => {
                            tracing::error!(tenant = %tenant, %error, "a sync that was rung for could not begin");
                        }
                    },
                    Ring::Forms(account) => {
                        let (schedule, stop) = (Arc::clone(&self), stop.clone());
                        tracker.spawn(async move { stop.run_until_cancelled(schedule.refresh(account)).await });
                    }
                }
            }
        }
    }

    /// Fetches one account's missing and old forms, and decides what waited for them.
    async fn refresh(&self, account: AccountId) {
        if let Err(error) = self.parts.feeds.sync_forms(account).await {
            tracing::warn!(account = %account, %error, "forms could not be refreshed");
        }
        if let Err(error) = self.decide_awaiting().await {
            tracing::error!(%error, "what waited for a form could not be decided; it comes again");
        }
    }

    /// Syncs one account, a gap after the last sync, and decides what waited for it. A sync that is about to begin serves
    /// everybody who asks for one; a sync that has begun may have read too early for who asks now.
    async fn sync(&self, account: AccountId) {
        let Some(wait) = self.reserve(account) else {
            return;
        };
        tokio::time::sleep(wait).await;
        let began = Instant::now();
        let synced = self.parts.feeds.sync_jobs(account).await;
        let outcome = match &synced {
            Ok(synced) if synced.complete => "complete",
            Ok(synced) if synced.held => "held",
            Ok(_) | Err(_) => "failed",
        };
        self.figures.syncs.add((account, outcome), 1);
        self.figures.took.lock().unwrap_or_else(PoisonError::into_inner).insert(account, began.elapsed());
        match synced {
            Ok(synced) => tracing::debug!(account = %account, listed = synced.report.listed, "postings were synced"),
            Err(error) => tracing::warn!(account = %account, %error, "postings could not be synced"),
        }
        if let Err(error) = self.decide_awaiting().await {
            tracing::error!(%error, "what waited for a sync could not be decided; it comes again");
        }
    }

    /// Reserves the next moment for this account's sync; `None` when somebody else waits for one already.
    fn reserve(&self, account: AccountId) -> Option<Duration> {
        let (now, gap) = (self.parts.clock.now(), self.parts.policy.jobs_gap);
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back must not make an account wait longer than one gap.
        let last = synced.get(&account).copied().filter(|last| *last <= later(now, gap));
        if last.is_some_and(|last| last > now) {
            return None;
        }
        let at = last.map_or(now, |last| later(last, gap)).max(now);
        synced.insert(account, at);
        Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
    }

    async fn forms(&self) -> store::Result<()> {
        let accounts = self.ats_accounts(None).await?;
        futures_util::future::join_all(accounts.into_iter().map(|account| self.refresh(account))).await;
        Ok(())
    }

    /// Decides deliveries whose posting or form is known now. Returns how many.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn decide_awaiting(&self) -> store::Result<usize> {
        let mut decided = 0;
        // One that stays where it is would be handed out again and again: each is judged once a call.
        let mut seen = BTreeSet::new();
        loop {
            let ready = self.parts.store.awaiting(BATCH).await?;
            let fresh: Vec<_> = ready.into_iter().filter(|ready| seen.insert(ready.delivery)).collect();
            if fresh.is_empty() {
                return Ok(decided);
            }
            for ready in fresh {
                let (decision, now) = (self.parts.judge.judge(&ready), self.parts.clock.now());
                let goes = matches!(decision, Decision::Go { .. });
                match self.parts.store.decide_held(ready.tenant, ready.delivery, decision, now).await {
                    Ok(()) => decided += 1,
                    Err(error) => {
                        tracing::warn!(delivery = %ready.delivery, %error, "a waiting delivery could not be decided");
                        continue;
                    }
                }
                if goes {
                    self.parts.bell.ring(ready.account);
                }
            }
        }
    }

    async fn retain(&self) -> store::Result<()> {
        if !self.parts.clock.is_sure() {
            tracing::warn!("nothing is removed for its age: the time is not certain");
            return Ok(());
        }
        loop {
            let now = self.parts.clock.now();
            let report = self.parts.store.retain(&self.parts.policy.retention.get(), now, BATCH).await?;
            let removed = report.total();
            if removed == 0 {
                return Ok(());
            }
            tracing::info!(removed, "rows past their retention were removed");
        }
    }
}

/// A person's pause stops deliveries, not reading; refused credentials stop both.
fn cannot_be_read(record: &AccountRecord) -> bool {
    record.paused.as_ref().is_some_and(|paused| paused.reason != Reason::AccountPaused)
}

/// The periodic jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    Leases,
    Rings,
    Probes,
    Jobs,
    Forms,
    Awaiting,
    ReadBack,
    Retention,
    Blobs,
    Anchor,
    Secrets,
    Ledger,
}

impl Job {
    const fn name(self) -> &'static str {
        match self {
            Self::Leases => "expire-leases",
            Self::Rings => "ring-again",
            Self::Probes => "probe-alike",
            Self::Jobs => "sync-jobs",
            Self::Forms => "sync-forms",
            Self::Awaiting => "decide-awaiting",
            Self::ReadBack => "read-back",
            Self::Retention => "retention",
            Self::Blobs => "sweep-blobs",
            Self::Anchor => "anchor-audit",
            Self::Secrets => "watch-secrets",
            Self::Ledger => "ledger",
        }
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
