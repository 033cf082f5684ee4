//! One delivery's trip: load, plan, and each step from admission to settlement.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use causeway_core::application::Application;
use causeway_core::connector::{Connector, Delivery, File};
use causeway_core::delivery::{Idempotency, StepPlan};
use causeway_core::overlay::Filled;
use causeway_core::reason::Reason;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::Dispatch;
use super::attempt::Ready;
use super::memory::Share;
use super::settle::{Committed, Ended};
use crate::overlay::{self, Opened};
use crate::retry::RetryPolicy;
use crate::store::StoreError;
use crate::store::work::{Claim, Next, RESTORED, Verifying, WorkItem};
use crate::telemetry::traces;

/// A delivery in hand.
pub(super) struct Trip<'a> {
    pub(super) dispatch: &'a Dispatch,
    pub(super) claim: Claim,
    pub(super) item: WorkItem,
    pub(super) application: Application,
    /// What the account's overlay fills of the vendor's own fields.
    fields: Vec<Filled>,
    pub(super) files: Vec<File>,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) retry: RetryPolicy,
    /// What is unknown is unknown since a restore.
    pub(super) restored: bool,
    /// The files' share of the memory.
    _memory: Option<Share>,
}

/// Whether the trip goes on.
pub(super) enum Went {
    /// To the next step.
    On,
    /// To the next step, which has begun.
    Into(Ready),
    /// It ended here; when it is due again, if it is.
    Ended(Option<Timestamp>),
}

impl Dispatch {
    /// Carries one claimed delivery as far as it goes. Returns when it is due again, if that is known.
    pub(super) async fn carry(&self, claim: Claim, stop: &CancellationToken) -> Option<Timestamp> {
        if stop.is_cancelled() {
            self.release(&claim, self.parts.clock.now()).await;
            return None;
        }
        let _in_hand = self.figures.in_hand();
        let (submission, begun) = (claim.submission, self.parts.clock.now());
        let claimed = begun.min(before(claim.until, self.parts.policy.lease));
        let span = traces::dispatch(claim.delivery, claim.account, submission);
        match self.load(claim).await {
            Ok(trip) => {
                traces::goes_on(&span, &trip.item.trace_id, submission, (claimed, begun));
                traces::say(&span, "causeway.connector", trip.connector.describe().name);
                Box::pin(trip.go(stop)).instrument(span).await
            }
            Err(due) => due,
        }
    }

    /// What the trip needs; or, when it ends before it begins, when it is due again.
    async fn load(&self, claim: Claim) -> Result<Trip<'_>, Option<Timestamp>> {
        let (item, _) = match self.parts.store.load(&claim, false).await {
            Ok(loaded) => loaded,
            Err(error) => return Err(self.unloadable(&claim, &error).await),
        };
        if item.account.paused.is_some() {
            // Given back, the store holds it in the account's one case; or queues it, if the pause is over by then.
            self.release(&claim, self.parts.clock.now()).await;
            return Err(None);
        }
        let Some(connector) = (self.parts.connectors)(&item.account.account.connector) else {
            let next = Next::PauseAccount { reason: Reason::AccountMisconfigured };
            return Err(self.settle(Ended::untried(&claim, "load", self.parts.clock.now()), next).await.due());
        };
        let Some(Opened { application, fields }) = overlay::open(&item, connector.as_ref()) else {
            return Err(self.park(&claim, "load").await);
        };
        let takes_files = connector.describe().takes_files && !application.attachments.is_empty();
        let vendor = &item.account.account.connector;
        let (files, memory) =
            if takes_files { self.files(&claim, vendor, &application).await? } else { (Vec::new(), None) };
        let retry = self.parts.retry.get().of_account(&item.account.account.settings);
        let restored = claim.verifying.as_ref().is_some_and(|verifying| verifying.step == RESTORED);
        Ok(Trip {
            dispatch: self,
            claim,
            item,
            application,
            fields,
            files,
            connector,
            retry,
            restored,
            _memory: memory,
        })
    }

    /// The files, within the memory that all deliveries share.
    async fn files(
        &self,
        claim: &Claim,
        vendor: &str,
        application: &Application,
    ) -> Result<(Vec<File>, Option<Share>), Option<Timestamp>> {
        let bytes = application.attachments.iter().fold(0u64, |sum, file| sum.saturating_add(file.size));
        let memory = self.memory.take(vendor, bytes).await;
        match self.parts.store.load(claim, true).await {
            Ok((_, files)) => Ok((files, Some(memory))),
            Err(error) => Err(self.unloadable(claim, &error).await),
        }
    }

    async fn unloadable(&self, claim: &Claim, error: &StoreError) -> Option<Timestamp> {
        match error {
            StoreError::Corrupt(_) => {
                tracing::error!(delivery = %claim.delivery, %error, "a delivery cannot be read back");
                self.park(claim, "load").await
            }
            StoreError::Fenced | StoreError::NotFound(_) => {
                tracing::warn!(delivery = %claim.delivery, %error, "a claimed delivery is no longer ours");
                None
            }
            StoreError::Unavailable(_)
            | StoreError::Exists(_)
            | StoreError::IllegalMove { .. }
            | StoreError::EndsByItself(_)
            | StoreError::Failed(_) => {
                tracing::error!(delivery = %claim.delivery, %error, "a claimed delivery cannot be loaded");
                let due = crate::clock::later(self.parts.clock.now(), Duration::from_secs(5));
                self.release(claim, due).await;
                Some(due)
            }
        }
    }

    /// Poison: it is parked and delays nobody.
    pub(super) async fn park(&self, claim: &Claim, step: &str) -> Option<Timestamp> {
        let ended = Ended::untried(claim, step, self.parts.clock.now());
        self.settle(ended, Next::Park { reason: Reason::Poison }).await.due()
    }
}

/// When a lease of this length that ends then began.
fn before(until: Timestamp, lease: Duration) -> Timestamp {
    until.saturating_sub(lease).unwrap_or(Timestamp::MIN)
}

impl Trip<'_> {
    async fn go(mut self, stop: &CancellationToken) -> Option<Timestamp> {
        let plan = std::panic::catch_unwind(AssertUnwindSafe(|| self.connector.plan(&self.delivery())));
        let Some(plan) = plan.ok().filter(|plan| !plan.is_empty()) else {
            tracing::error!(delivery = %self.claim.delivery, "planning a delivery failed");
            return self.dispatch.park(&self.claim, "plan").await;
        };
        if let Some(verifying) = self.claim.verifying.take().map(|verifying| self.resolve(&plan, verifying))
            && let Went::Ended(due) = self.verify(&plan, verifying).await
        {
            return due;
        }
        let mut begun = None;
        loop {
            let (step, following) = {
                let mut open = self.open(&plan);
                (open.next(), open.next())
            };
            let Some(step) = step else { break };
            // What was begun with the end of the step before goes out.
            let ready = match begun.take() {
                Some(ready) => ready,
                None => match self.begin(step, stop).await {
                    Ok(ready) => ready,
                    Err(due) => return due,
                },
            };
            match self.attempt(step, ready, following, stop).await {
                Went::On => {}
                Went::Into(next) => begun = Some(next),
                Went::Ended(due) => return due,
            }
        }
        // Every step was done before: it ended between its last step and being called delivered.
        let ended = Ended::untried(&self.claim, plan[plan.len() - 1].name, self.now());
        let next = Next::Delivered { proof: self.proof(None).await };
        let settled = self.dispatch.settle(ended, next).await;
        self.delivered(&settled);
        settled.due()
    }

    /// After a restore nobody knows which steps were taken since the backup. The first open one that must not be repeated
    /// is asked about; those that may be repeated are, in their order.
    fn resolve(&self, plan: &[StepPlan], verifying: Verifying) -> Verifying {
        if !self.restored {
            return verifying;
        }
        let step = self.open(plan).find(|step| step.idempotency == Idempotency::Never);
        let step = step.or_else(|| self.open(plan).next());
        Verifying { step: step.map_or(verifying.step, |step| step.name.to_owned()), ..verifying }
    }

    /// The steps not taken yet, in their order.
    fn open<'p>(&self, plan: &'p [StepPlan]) -> impl Iterator<Item = &'p StepPlan> + use<'_, 'p> {
        plan.iter().filter(|step| !self.item.done.iter().any(|done| done == step.name))
    }

    pub(super) fn now(&self) -> Timestamp {
        self.dispatch.parts.clock.now()
    }

    pub(super) fn delivery(&self) -> Delivery<'_> {
        Delivery {
            id: self.claim.delivery,
            application_id: self.claim.submission,
            code: &self.item.code,
            received_at: self.item.received_at,
            account: &self.item.account.account,
            posting: &self.item.posting,
            form: self.item.form.as_ref(),
            application: &self.application,
            files: &self.files,
            fields: &self.fields,
            refs: &self.item.refs,
            now: self.now(),
        }
    }

    /// It was delivered just now, if that was committed.
    pub(super) fn delivered(&self, settled: &Committed) {
        if settled.went_well() {
            let after = self.now().duration_since(self.item.received_at);
            let after = Duration::try_from(after).unwrap_or_default();
            self.dispatch.figures.delivered(self.connector.describe().name, after);
        }
    }
}
