//! From what follows to what is committed, and committing it.
//!
//! An outcome that cannot be committed now is tried again while the lease lasts: losing it would turn an answer into an
//! unknown outcome.

use std::time::Duration;

use causeway_core::delivery::{HeldCause, StepPlan};
use causeway_core::outcome::{Class, Outcome};
use causeway_core::reason::Reason;
use jiff::Timestamp;
use tracing::Instrument;

use super::Dispatch;
use super::carry::Trip;
use super::figures::word;
use crate::clock::later;
use crate::read_back;
use crate::retry::Follow;
use crate::store::StoreError;
use crate::store::work::{Begun, Claim, FailedAlike, Next, Proof, Settled, Settlement, Verifying, WordsKey};
use crate::telemetry::traces;

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
    /// What its failure may have in common with others'.
    pub(super) alike: Option<FailedAlike>,
    pub(super) words_key: Option<WordsKey>,
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
            alike: None,
            words_key: None,
        }
    }
}

/// What settling came to, for the trip.
pub(super) enum Committed {
    /// Committed; when the delivery is due again, if it is, and the attempt that was begun with it.
    Done(Option<Timestamp>, Option<Begun>),
    /// The vendor's record belongs to another delivery.
    LinkTaken,
    /// Not committed: the lease is lost or the store is down. The lease will bring it back.
    Lost,
}

impl Committed {
    pub(super) fn due(&self) -> Option<Timestamp> {
        match self {
            Self::Done(due, _) => *due,
            Self::LinkTaken | Self::Lost => None,
        }
    }

    pub(super) fn went_well(&self) -> bool {
        matches!(self, Self::Done(..))
    }

    pub(super) fn begun(self) -> Option<Begun> {
        match self {
            Self::Done(_, begun) => begun,
            Self::LinkTaken | Self::Lost => None,
        }
    }
}

impl Dispatch {
    /// Commits what an attempt came to and what follows.
    pub(super) async fn settle(&self, ended: Ended, mut next: Next) -> Committed {
        let due = match &next {
            Next::Wait { until, .. } | Next::Verify { until, .. } => Some(*until),
            Next::NextStep { .. }
            | Next::Delivered { .. }
            | Next::Adopt { .. }
            | Next::Resend { .. }
            | Next::Refuse { .. }
            | Next::Hold { .. }
            | Next::Park { .. }
            | Next::PauseAccount { .. } => None,
        };
        let word = word(&next);
        let mut pause = Duration::from_millis(100);
        for _ in 0..TRIES {
            let Ended { claim, attempt, step, outcome, ended_at, took, alike, words_key } = ended.clone();
            let follows = next.clone();
            let settlement =
                Settlement { claim, attempt, step, outcome, ended_at, took, alike, words_key, next: follows };
            match self.parts.store.settle(settlement).instrument(traces::settle(word)).await {
                Ok(Settled::Done { begun, .. }) => {
                    self.figures.settled(word);
                    return Committed::Done(due, begun);
                }
                Ok(Settled::LinkTaken) => return Committed::LinkTaken,
                Err(StoreError::Unavailable(_)) => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    // By now the lease may be too short for another step.
                    if let Next::NextStep { begin } = &mut next {
                        *begin = None;
                    }
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
        following: Option<&StepPlan>,
        since: Timestamp,
        outcome: &Outcome,
    ) -> Next {
        match follow {
            Follow::Done if following.is_none() => Next::Delivered { proof: self.proof(Some(outcome)).await },
            Follow::Done => Next::NextStep { begin: None },
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

    /// How long a new record may stay invisible at the vendor.
    pub(super) fn lag(&self) -> Duration {
        self.connector.describe().lag(&self.item.account.account)
    }

    /// Can the vendor be asked what became of an attempt?
    pub(super) async fn can_find(&self) -> bool {
        read_back::why_not(&self.dispatch.parts.egress, &self.item.account, self.connector.describe().find)
            .await
            .is_none()
    }

    /// The third proof: the vendor showed it, or when it is to be read back, or why it cannot be.
    pub(super) async fn proof(&self, outcome: Option<&Outcome>) -> Proof {
        if outcome.is_some_and(|outcome| outcome.class == Class::AlreadyThere) {
            return Proof::seen(self.now());
        }
        let how = self.connector.read_back();
        match read_back::why_not(&self.dispatch.parts.egress, &self.item.account, how).await {
            Some(why) => Proof::not_verifiable(why),
            None => Proof::due(later(self.now(), self.lag())),
        }
    }
}
