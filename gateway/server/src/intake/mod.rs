//! Intake: one submission becomes an application with its deliveries, or a refusal. Reading path: `ingress` before this
//! file, `schema` after it.
//!
//! Parse once, find the posting, choose the targets, ask each system's schema, decide, commit. No vendor is called and no
//! queue is waited for: what is missing (a posting, a form) is rung for and the delivery held until it is there. Intake
//! knows nothing of HTTP but the problems it answers with.
//!
//! Invariant: what was validated is what is stored, byte for byte; and a submission that held an e-mail and a job leaves
//! a record whatever became of it.

mod awaiting;
mod board;
mod edge;
mod form;
mod judge;
mod overlap;
mod preflight;
mod receipt;
mod refusal;
mod submission;
mod targets;
mod views;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use causeway_core::clock::{Clock, Entropy};
use causeway_core::connector::Connector;
use causeway_core::ids::{AccountId, DeliveryId, SubmissionId};
use causeway_core::problem::{Code, Problem};
use causeway_core::reason::Reason;
use jiff::Timestamp;
use serde_json::Value;
use tracing::Instrument;

pub use board::{Board, Job, Tagged};
pub use edge::EdgeCounters;
pub use form::{FormCache, JobForm};
pub use preflight::Preflight;
pub use receipt::Receipt;
pub use refusal::{Refusal, unavailable};
pub use submission::{FilePart, Sender, Submission};

use crate::config::live::Live;
use crate::queue::{Bell, Traceparent};
use crate::quota::{Rate, TenantQuota};
use crate::schema::{Schemas, Verdict};
use crate::store::intake::{
    Accepted, ApplicationView, NewApplication, NewDelivery, NewRefusal, PostingView, SameRequest,
};
use crate::store::setup::AccountRecord;
use crate::store::{Store, StoreError};
use crate::telemetry::figures::Counters;
use crate::telemetry::metrics::{self, Page};
use crate::telemetry::traces;
use judge::Asking;
use submission::Envelope;
use targets::{Connectors, Start};
use views::Views;

/// The figures intake works with.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The store answers within this, or the caller is told to ask again.
    pub store_deadline: Duration,
    /// A complete sync at most this old may say that a job does not exist.
    pub sync_fresh: Duration,
    /// A form older than this is used, and fetched anew.
    pub form_fresh: Live<Duration>,
    /// Record refused submissions, encrypted, so that support finds them.
    pub record_refusals: bool,
    /// How many refusals one tenant may have recorded; more are counted only.
    pub refusals: Rate,
    /// How many applications one tenant may send for jobs that are not known yet.
    pub unknown_postings: Rate,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store_deadline: Duration::from_secs(20),
            sync_fresh: Duration::from_secs(60),
            form_fresh: Duration::from_secs(3600).into(),
            record_refusals: true,
            refusals: Rate { per_second: 5.0, burst: 1_000 },
            unknown_postings: Rate { per_second: 1.0, burst: 1_000 },
        }
    }
}

/// Asks for what intake misses. Asking is cheap, may be coalesced, and never waits.
pub trait SyncBell: Send + Sync {
    /// The account's postings should be read now.
    fn sync(&self, account: AccountId);
    /// The posting's questions should be fetched now.
    fn form(&self, account: AccountId, posting_id: &str);
}

/// What intake is made of.
pub struct IntakeParts {
    /// Where everything ends up.
    pub store: Arc<dyn Store>,
    /// Every compiled schema.
    pub schemas: Arc<Schemas>,
    /// Every connector.
    pub connectors: Vec<Arc<dyn Connector>>,
    /// Wakes dispatch.
    pub bell: Arc<dyn Bell>,
    /// Wakes the syncs.
    pub sync: Arc<dyn SyncBell>,
    /// Forms that others made, if there is a place for them.
    pub forms: Option<Arc<dyn FormCache>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Settings.
    pub config: Config,
}

/// See the module.
pub struct Intake {
    store: Arc<dyn Store>,
    schemas: Arc<Schemas>,
    connectors: Connectors,
    bell: Arc<dyn Bell>,
    sync: Arc<dyn SyncBell>,
    forms: Option<Arc<dyn FormCache>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    config: Config,
    views: Views,
    boards: board::Boards,
    overlap: overlap::Overlap,
    refusals: TenantQuota,
    unknown: TenantQuota,
    outcomes: Counters<&'static str>,
}

/// The trace that a ring is made within, as a queue's message may name it.
fn within() -> Option<Traceparent> {
    traces::current().and_then(|now| Traceparent::try_from(now.to_string()).ok())
}

/// Where a submission would go, and what every system there says of it.
struct Decided {
    view: Arc<PostingView>,
    targets: Vec<(AccountId, Start)>,
    /// CRM accounts that may not have it.
    withheld: Vec<(AccountId, Reason)>,
    verdict: Verdict,
}

impl Decided {
    /// Each target's account with where its delivery begins.
    fn targets(&self) -> impl Iterator<Item = (&AccountRecord, &Start)> {
        self.targets.iter().filter_map(|(id, start)| {
            self.view.accounts.iter().find(|record| record.account.id == *id).map(|record| (record, start))
        })
    }

    /// Each account that may not have it, with the reason.
    fn withheld(&self) -> impl Iterator<Item = (&AccountRecord, Reason)> {
        self.withheld.iter().filter_map(|(id, reason)| {
            self.view.accounts.iter().find(|record| record.account.id == *id).map(|record| (record, *reason))
        })
    }
}

impl Intake {
    /// An intake over these parts.
    pub fn new(parts: IntakeParts) -> Self {
        Self {
            views: Views::new(Arc::clone(&parts.store)),
            connectors: targets::connectors(parts.connectors),
            refusals: TenantQuota::new(parts.config.refusals),
            unknown: TenantQuota::new(parts.config.unknown_postings),
            boards: board::Boards::default(),
            overlap: overlap::Overlap::default(),
            outcomes: Counters::default(),
            store: parts.store,
            schemas: parts.schemas,
            bell: parts.bell,
            sync: parts.sync,
            forms: parts.forms,
            clock: parts.clock,
            entropy: parts.entropy,
            config: parts.config,
        }
    }

    /// Submissions by what they came to. Whoever answers a refusal counts it here.
    pub fn outcomes(&self) -> &Counters<&'static str> {
        &self.outcomes
    }

    /// Onto the page.
    pub fn put(&self, page: &mut Page) {
        let counted = self.outcomes.read();
        for outcome in ["accepted", "repeated"] {
            page.put(&metrics::SUBMISSIONS, &[outcome], counted.get(outcome).copied().unwrap_or(0));
        }
        for code in Code::ALL {
            if let Some(count) = counted.get(code.as_str()) {
                page.put(&metrics::SUBMISSIONS, &[code.as_str()], *count);
            }
        }
    }

    /// Takes a submission in. The receipt's bytes are stored and given back unchanged for a repeated request.
    ///
    /// # Errors
    /// A [`Refusal`] with every reason at once. After one, nothing of the submission is accepted.
    pub async fn submit(&self, sender: Sender, submission: Submission) -> Result<Bytes, Refusal> {
        let span = traces::intake();
        let taken = self.take(sender, submission).instrument(span.clone()).await;
        traces::say(&span, "causeway.outcome", taken.as_ref().err().map_or("taken", |refusal| refusal.problem.code));
        taken
    }

    async fn take(&self, sender: Sender, submission: Submission) -> Result<Bytes, Refusal> {
        let received_at = self.clock.now();
        let document = self
            .schemas
            .parse(&submission.document)
            .map_err(|error| Refusal::from(Problem::new(Code::BodyUnreadable).detail(error.to_string())))?;
        let envelope = Envelope::of(&document);
        let taken = match self.decide(sender, &submission, &document, &envelope, received_at).await {
            Ok(decided) => {
                let fingerprint = submission.fingerprint(&document, sender.test);
                // Done with: a parsed document is several times its bytes, and the commit is what takes the time.
                drop(document);
                let taken = self.accept(sender, &submission, fingerprint, &envelope, &decided, received_at).await;
                if taken.is_ok() {
                    self.ring_for_missing(&decided, envelope.job.as_deref().unwrap_or_default());
                }
                taken
            }
            Err(refusal) => {
                let before = self.accepted_before(sender, &submission, &document, &envelope, received_at).await;
                before.and_then(|receipt| receipt.ok_or(refusal))
            }
        };
        match taken {
            Ok(receipt) => Ok(receipt),
            Err(refusal) => Err(self.record(sender, &submission, &envelope, refusal, received_at).await),
        }
    }

    /// Records a submission whose body did not arrive whole, if its document did.
    pub async fn refused_early(&self, sender: Sender, submission: &Submission, refusal: Refusal) -> Refusal {
        let Ok(document) = self.schemas.parse(&submission.document) else { return refusal };
        self.record(sender, submission, &Envelope::of(&document), refusal, self.clock.now()).await
    }

    /// The state of each target of an application, for whoever is of its tenant and of its world.
    ///
    /// # Errors
    /// `not_found` for another tenant's id, and for a real application's where the key is for tests or the other way
    /// round, exactly as for one that does not exist.
    pub async fn application(&self, sender: Sender, id: SubmissionId) -> Result<ApplicationView, Refusal> {
        self.store.application(sender.tenant, id, sender.test).await.map_err(|error| unavailable("application", &error))
    }

    async fn decide(
        &self,
        sender: Sender,
        submission: &Submission,
        document: &Value,
        envelope: &Envelope,
        now: Timestamp,
    ) -> Result<Decided, Refusal> {
        let judged = self.judge(sender, submission, document, envelope, now, Asking::ToSubmit).await?;
        if judged.fresh {
            self.ring_if_stale(&judged.decided.view, now);
        }
        match judged.refusal() {
            Some(refusal) => Err(refusal),
            None => Ok(judged.decided),
        }
    }

    /// One transaction.
    async fn accept(
        &self,
        sender: Sender,
        submission: &Submission,
        fingerprint: Vec<u8>,
        envelope: &Envelope,
        decided: &Decided,
        received_at: Timestamp,
    ) -> Result<Bytes, Refusal> {
        let (Some(job), Some(email)) = (envelope.job.as_deref(), &envelope.email) else {
            return Err(Code::Internal.into());
        };
        let key = submission.idempotency_key(sender.test);
        let running = key.as_deref().map(|key| self.overlap.enter(sender.tenant, key));
        let storing = async {
            let id = SubmissionId::new(received_at, self.entropy.as_ref());
            let code = self.store.new_code().await?;
            let receipt = receipt::write(id, &code, &submission.document, (received_at, sender.test), decided);
            let application = NewApplication {
                id,
                tenant: sender.tenant,
                key: sender.key,
                received_at,
                posting_id: job.to_owned(),
                posting_account: decided.view.posting.as_ref().map(|posting| posting.account),
                form_digest: decided.view.form.as_ref().map(|(form, _)| form.digest.clone()),
                email: email.clone(),
                document: submission.document.clone(),
                attachments: submission.attachments(),
                deliveries: self.deliveries(decided, received_at),
                idempotency_key: key.as_deref().map(str::to_owned),
                fingerprint,
                code,
                receipt: receipt.clone(),
                trace_id: submission.trace_id.clone(),
                test: sender.test,
            };
            Ok((receipt, self.store.accept(application).instrument(traces::accept(id)).await?))
        };
        let Ok(stored) = tokio::time::timeout(self.config.store_deadline, storing).await else {
            let code = match running {
                Some(running) if running.is_second => Code::IdempotencyInProgress,
                Some(_) | None => Code::DeadlineExceeded,
            };
            return Err(Problem::new(code).retry_after(2).into());
        };
        match stored.map_err(|error| not_accepted(&error))? {
            (receipt, Accepted::New { ring, .. }) => {
                self.outcomes.add("accepted", 1);
                ring.into_iter()
                    .for_each(|account| traces::ring(account).in_scope(|| self.bell.ring_within(account, within())));
                Ok(receipt)
            }
            (_, Accepted::Before { receipt }) => {
                self.outcomes.add("repeated", 1);
                Ok(receipt)
            }
            (_, Accepted::KeyReused) => Err(Code::IdempotencyKeyReused.into()),
        }
    }

    fn deliveries(&self, decided: &Decided, now: Timestamp) -> Vec<NewDelivery> {
        let delivery = |(record, start): (&AccountRecord, &Start)| NewDelivery {
            id: DeliveryId::new(now, self.entropy.as_ref()),
            account: record.account.id,
            held: match start {
                Start::Held(cause, reason, fields) => Some((*cause, *reason, fields.clone())),
                Start::Queued | Start::Rejected => None,
            },
            repeats: record.account.repeats,
        };
        decided.targets().map(delivery).collect()
    }

    /// A retry of what was accepted gets its receipt, even if the job was closed or the form changed since.
    async fn accepted_before(
        &self,
        sender: Sender,
        submission: &Submission,
        document: &Value,
        envelope: &Envelope,
        received_at: Timestamp,
    ) -> Result<Option<Bytes>, Refusal> {
        let fingerprint = submission.fingerprint(document, sender.test);
        let Some(key) = submission.idempotency_key(sender.test) else {
            let (Some(job), Some(email)) = (&envelope.job, &envelope.email) else { return Ok(None) };
            let (tenant, test) = (sender.tenant, sender.test);
            let (email, posting_id) = (email.clone(), job.clone());
            let same = SameRequest { tenant, email, posting_id, fingerprint, test, received_at };
            let before = self.store.same_before(same).await.map_err(|error| unavailable("same_before", &error))?;
            self.outcomes.add("repeated", u64::from(before.is_some()));
            return Ok(before);
        };
        match self.store.accepted_before(sender.tenant, &key, fingerprint).await {
            Ok(Some(Accepted::Before { receipt })) => {
                self.outcomes.add("repeated", 1);
                Ok(Some(receipt))
            }
            Ok(Some(Accepted::KeyReused)) => Err(Code::IdempotencyKeyReused.into()),
            Ok(Some(Accepted::New { .. }) | None) => Ok(None),
            Err(error) => Err(unavailable("accepted_before", &error)),
        }
    }

    /// Keeps a refused submission where support will find it. Failing to is logged and counted, never answered.
    async fn record(
        &self,
        sender: Sender,
        submission: &Submission,
        envelope: &Envelope,
        mut refusal: Refusal,
        received_at: Timestamp,
    ) -> Refusal {
        refusal.job = envelope.job.as_deref().map(Box::from);
        let (Some(job), Some(email)) = (envelope.job.as_deref(), &envelope.email) else { return refusal };
        let ours = refusal.problem.status >= 500;
        if ours || !self.config.record_refusals || self.refusals.take(sender.tenant).is_err() {
            return refusal;
        }
        let record = NewRefusal {
            id: SubmissionId::new(received_at, self.entropy.as_ref()),
            tenant: sender.tenant,
            key: sender.key,
            received_at,
            posting_id: job.to_owned(),
            email: email.clone(),
            document: submission.document.clone(),
            code: refusal.problem.code.to_owned(),
            errors: refusal.problem.errors.clone(),
            trace_id: submission.trace_id.clone(),
            test: sender.test,
        };
        match tokio::time::timeout(self.config.store_deadline, self.store.record_refusal(record)).await {
            Ok(Ok(())) => refusal.recorded = true,
            Ok(Err(error)) => tracing::warn!(trace_id = submission.trace_id, %error, "a refusal was not recorded"),
            Err(_elapsed) => tracing::warn!(trace_id = submission.trace_id, "recording a refusal took too long"),
        }
        refusal
    }

    /// After the commit: whoever can bring what a held delivery waits for.
    fn ring_for_missing(&self, decided: &Decided, job: &str) {
        match &decided.view.posting {
            None => targets::ats_accounts(&decided.view).for_each(|record| self.sync.sync(record.account.id)),
            Some(posting) if decided.view.form.is_none() && self.publishes_forms(&decided.view, posting.account) => {
                self.sync.form(posting.account, job);
            }
            Some(_) => {}
        }
    }

    /// Once per view read, not once per application.
    fn ring_if_stale(&self, view: &PostingView, now: Timestamp) {
        if let (Some(posting), Some((form, fetched_at))) = (&view.posting, &view.form)
            && *fetched_at < before(now, self.config.form_fresh.get())
        {
            self.sync.form(posting.account, &form.posting_id);
        }
    }

    fn publishes_forms(&self, view: &PostingView, account: AccountId) -> bool {
        let record = view.accounts.iter().find(|record| record.account.id == account);
        record.and_then(|record| self.connectors.get(record.account.connector.as_str())).is_some_and(|c| c.has_forms)
    }
}

/// A failed accept is never "not found": the accounts were read a moment ago, so a missing one is a passing state.
fn not_accepted(error: &StoreError) -> Refusal {
    let refusal = unavailable("accept", error);
    if refusal.is(Code::NotFound) { Problem::new(Code::StoreUnavailable).retry_after(1).into() } else { refusal }
}

fn before(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_sub(by).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod overlay_tests;
#[cfg(test)]
mod tests;
