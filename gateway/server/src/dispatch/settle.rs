//! From what follows to what is committed, and committing it.
//!
//! An outcome that cannot be committed now is tried again while the lease lasts: losing it would turn an answer into an
//! unknown outcome.

use std::time::Duration;

use causeway_core::connector::FindSupport;
use causeway_core::delivery::{HeldCause, StepPlan};
use causeway_core::outcome::{Class, Outcome};
use causeway_core::reason::Reason;
use jiff::Timestamp;

use super::Dispatch;
use super::carry::Trip;
use crate::clock::later;
use crate::retry::Follow;
use crate::store::StoreError;
use crate::store::work::{Begun, Claim, Next, Proof, Settled, Settlement, Verifying};

/// How often a settlement is tried while the store cannot write.
const TRIES: u32 = 6;

/// An attempt or lookup that has ended, before it is known what follows.
#[derive(Clone)]
pub(super) struct Ended {
    pub(super) claim: Claim,
    pub(super) attempt: Option<Begun>,
    pub(super) step: String,
    pub(super) outcome: Option<Outcome>,
    pub(super) ended_at: Timestamp,
    pub(super) took: Duration,
}

impl Ended {
    /// Nothing was tried and nobody was asked.
    pub(super) fn untried(claim: &Claim, step: &str, now: Timestamp) -> Self {
        Self {
            claim: claim.clone(),
            attempt: None,
            step: step.to_owned(),
            outcome: None,
            ended_at: now,
            took: Duration::ZERO,
        }
    }
}

/// What settling came to, for the trip.
pub(super) enum Committed {
    /// Committed; when the delivery is due again, if it is.
    Done(Option<Timestamp>),
    /// The vendor's record belongs to another delivery.
    LinkTaken,
    /// Not committed: the lease is lost or the store is down. The lease will bring it back.
    Lost,
}

impl Committed {
    pub(super) fn due(&self) -> Option<Timestamp> {
        match self {
            Self::Done(due) => *due,
            Self::LinkTaken | Self::Lost => None,
        }
    }

    pub(super) fn went_well(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

impl Dispatch {
    /// Commits what an attempt came to and what follows.
    pub(super) async fn settle(&self, ended: Ended, next: Next) -> Committed {
        let due = match &next {
            Next::Wait { until, .. } | Next::Verify { until, .. } => Some(*until),
            Next::NextStep
            | Next::Delivered { .. }
            | Next::Adopt { .. }
            | Next::Resend { .. }
            | Next::Refuse { .. }
            | Next::Hold { .. }
            | Next::Park { .. }
            | Next::PauseAccount { .. } => None,
        };
        let mut pause = Duration::from_millis(100);
        for _ in 0..TRIES {
            let Ended { claim, attempt, step, outcome, ended_at, took } = ended.clone();
            let settlement = Settlement { claim, attempt, step, outcome, ended_at, took, next: next.clone() };
            match self.parts.store.settle(settlement).await {
                Ok(Settled::Done { .. }) => return Committed::Done(due),
                Ok(Settled::LinkTaken) => return Committed::LinkTaken,
                Err(StoreError::Unavailable(_)) => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Err(error) => {
                    tracing::error!(delivery = %ended.claim.delivery, %error, "an outcome could not be committed");
                    return Committed::Lost;
                }
            }
        }
        tracing::error!(delivery = %ended.claim.delivery, "an outcome could not be committed: the store cannot write");
        Committed::Lost
    }

    /// As [`Dispatch::settle`]; where the vendor answered with a record that another delivery is linked to, the vendor has
    /// it all the same: it is settled without the link, and a person is told.
    pub(super) async fn settle_or_unlink(&self, mut ended: Ended, next: Next) -> Committed {
        let settled = self.settle(ended.clone(), next.clone()).await;
        if !matches!(settled, Committed::LinkTaken) {
            return settled;
        }
        if let Some(outcome) = ended.outcome.as_mut() {
            outcome.vendor_id = None;
            outcome.case = Some(Reason::RepeatApplication);
        }
        self.settle(ended, next).await
    }
}

impl Trip<'_> {
    /// What is committed for what follows.
    pub(super) async fn next(
        &self,
        follow: Follow,
        step: &StepPlan,
        last: bool,
        since: Timestamp,
        outcome: &Outcome,
    ) -> Next {
        match follow {
            Follow::Done if last => Next::Delivered { proof: self.proof(Some(outcome)) },
            Follow::Done => Next::NextStep,
            Follow::Refuse(reason) => Next::Refuse { reason, fields: outcome.fields.clone() },
            Follow::Wait { until, reason, consumed } => Next::Wait { until, reason, consumed },
            Follow::Verify => {
                let verifying = Verifying { step: step.name.to_owned(), since, not_seen: 0, asked: 0 };
                let until = if self.can_find().await {
                    later(since, self.lag()).max(later(self.now(), self.retry.verify_wait(0)))
                } else {
                    self.now()
                };
                Next::Verify { until, verifying }
            }
            Follow::PauseAccount(reason) => Next::PauseAccount { reason },
            Follow::Hold(reason) => Next::Hold { cause: HeldCause::Operator, reason, fields: outcome.fields.clone() },
            Follow::Park(reason) => Next::Park { reason },
        }
    }

    /// How long a new record may stay invisible at the vendor; the account knows better than the Descriptor.
    pub(super) fn lag(&self) -> Duration {
        let own = self.item.account.account.settings.get("visibility_lag_ms").and_then(serde_json::Value::as_u64);
        own.map_or(self.connector.describe().visibility_lag, Duration::from_millis)
    }

    /// Can the vendor be asked what became of an attempt?
    pub(super) async fn can_find(&self) -> bool {
        match self.connector.describe().find {
            FindSupport::None => false,
            FindSupport::Always => true,
            FindSupport::WithCredential(name) => {
                self.dispatch.parts.egress.has_credential(&self.item.account, name).await
            }
        }
    }

    /// The third proof: read back at the vendor, or why not.
    pub(super) fn proof(&self, outcome: Option<&Outcome>) -> Proof {
        if outcome.is_some_and(|outcome| outcome.class == Class::AlreadyThere) {
            return Proof { seen_at: Some(self.now()), not_verifiable: None };
        }
        let why = match self.connector.describe().find {
            FindSupport::None => "the vendor offers no call to read it back",
            FindSupport::WithCredential(_) | FindSupport::Always => {
                "taken on the vendor's word; read back only when an answer is lost"
            }
        };
        Proof { seen_at: None, not_verifiable: Some(why.to_owned()) }
    }
}
