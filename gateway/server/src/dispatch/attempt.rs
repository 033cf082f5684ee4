//! One try of one step: leave to call, the attempt written down, the call, and what it came to.
//!
//! A step that went well is settled, and the attempt of the one that follows begun, in one commit, where leave for it is there
//! without waiting. What was begun so goes out whatever happens meanwhile: only its outcome can close it.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use causeway_core::connector::Http;
use causeway_core::delivery::{HeldCause, StepPlan};
use causeway_core::outcome::{Class, Outcome};
use causeway_core::reason::Reason;
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::MARGIN;
use super::carry::{Trip, Went};
use super::settle::Ended;
use crate::alike::Mark;
use crate::egress::Admission;
use crate::retry::{self, Situation};
use crate::store::work::{Begun, FailedAlike, Next};
use crate::telemetry::traces;

/// Until what could not be begun is tried again.
const UNBEGUN: SignedDuration = SignedDuration::from_secs(1);

/// An attempt that is written down, and leave for its call.
pub(super) struct Ready {
    admission: Admission,
    begun: Begun,
}

/// A call that has ended.
struct Called {
    begun: Begun,
    outcome: Outcome,
    /// It broke or kept its worker.
    broke: bool,
    took: Duration,
}

impl Trip<'_> {
    /// Begins an attempt of this step; or, when none is made now, when the delivery is due again.
    pub(super) async fn begin(&self, step: &StepPlan, stop: &CancellationToken) -> Result<Ready, Option<Timestamp>> {
        let now = self.now();
        if stop.is_cancelled() || !self.has_time(now) {
            self.dispatch.release(&self.claim, now).await;
            return Err(Some(now));
        }
        if self.is_stopped(step) {
            return Err(self.stop_at(step).await);
        }
        let parts = &self.dispatch.parts;
        let admission = match parts.egress.admit(&self.item.account).await {
            Ok(admission) => admission,
            Err(refused) => {
                // Not an attempt: the lease goes back and the delivery waits its turn.
                self.dispatch.release(&self.claim, refused.until).await;
                return Err(Some(refused.until));
            }
        };
        match parts.store.begin_attempt(&self.claim, step.name, self.now()).await {
            Ok(begun) => Ok(Ready { admission, begun }),
            Err(error) => {
                tracing::error!(delivery = %self.claim.delivery, %error, "an attempt could not be begun; nothing was sent");
                // Left to run out it would count as a worker that this delivery ended. It is refused where the attempt is
                // there after all: its outcome is unknown then.
                let due = self.now() + UNBEGUN;
                self.dispatch.release(&self.claim, due).await;
                Err(Some(due))
            }
        }
    }

    /// Does the lease outlast one more step?
    fn has_time(&self, now: Timestamp) -> bool {
        self.claim.until >= crate::clock::later(now, self.dispatch.parts.policy.step_deadline + MARGIN)
    }

    fn is_stopped(&self, step: &StepPlan) -> bool {
        self.item.stopped.iter().any(|stopped| stopped == step.name)
    }

    /// Many fail alike at this step: it is held with them, and no call is spent on it.
    async fn stop_at(&self, step: &StepPlan) -> Option<Timestamp> {
        let (cause, reason) = (HeldCause::FailsAlike, Reason::FailsAlike);
        let ended = Ended::untried(&self.claim, step.name, self.now());
        self.dispatch.settle(ended, Next::Hold { cause, reason, fields: Vec::new() }).await.due()
    }

    /// Makes the attempt, and settles it.
    pub(super) async fn attempt(
        &mut self,
        step: &StepPlan,
        ready: Ready,
        following: Option<&StepPlan>,
        stop: &CancellationToken,
    ) -> Went {
        let Ready { admission, begun } = ready;
        let began = Instant::now();
        let span = traces::attempt(step.name, begun.number);
        let (outcome, broke) = self.run(step, &admission).instrument(span.clone()).await;
        let took = began.elapsed();
        traces::say(&span, "causeway.class", outcome.class);
        drop((admission, span));
        self.dispatch.figures.tried(self.connector.describe().name, outcome.class, took);
        self.came_to(step, Called { begun, outcome, broke, took }, following, stop).await
    }

    /// Runs the step within its deadline. A panic is an unknown outcome, and so is a step that never ends; both are told
    /// apart. A vendor that does not answer ends its call long before.
    async fn run(&self, step: &StepPlan, http: &dyn Http) -> (Outcome, bool) {
        let delivery = self.delivery();
        let run = AssertUnwindSafe(self.connector.run(step.name, &delivery, http)).catch_unwind();
        match tokio::time::timeout(self.dispatch.parts.policy.step_deadline, run).await {
            Ok(Ok(outcome)) => (outcome, false),
            Ok(Err(_)) => {
                tracing::error!(delivery = %self.claim.delivery, step = step.name, "a delivery broke its worker");
                (Outcome::new(Class::Unknown).because(Reason::Poison), true)
            }
            Err(_) => {
                tracing::error!(delivery = %self.claim.delivery, step = step.name, "a delivery kept its worker too long");
                (Outcome::new(Class::Unknown).because(Reason::StepTooLong), true)
            }
        }
    }

    async fn came_to(
        &mut self,
        step: &StepPlan,
        called: Called,
        following: Option<&StepPlan>,
        stop: &CancellationToken,
    ) -> Went {
        let Called { begun, outcome, broke, took } = called;
        let situation = Situation {
            idempotency: step.idempotency,
            consumed: self.claim.attempts,
            number: begun.number,
            now: self.now(),
            dice: retry::dice(self.dispatch.parts.entropy.as_ref()),
        };
        let follow = if broke && begun.broken + 1 >= self.retry.poison_after {
            retry::Follow::Park(Reason::Poison)
        } else {
            retry::decide(&self.retry, &outcome, situation)
        };
        let follow = if self.connector.only_adds(step.name) { follow.of_what_adds() } else { follow };
        tracing::info!(
            delivery = %self.claim.delivery,
            account = %self.claim.account,
            step = step.name,
            number = begun.number,
            class = %outcome.class,
            trace_id = self.item.trace_id,
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "a delivery was tried"
        );
        let mut next = self.next(follow, step, following, begun.at, &outcome).await;
        let (delivered, goes_on) = (matches!(next, Next::Delivered { .. }), matches!(next, Next::NextStep { .. }));
        let mut leave = None;
        if let Next::NextStep { begin } = &mut next
            && let Some(following) = following.filter(|following| self.may_follow(following, stop))
        {
            leave = self.dispatch.parts.egress.admit_at_once(&self.item.account);
            *begin = leave.is_some().then(|| following.name.to_owned());
        }
        let gained = outcome.refs.clone();
        let alike = Mark::of(step.name, &outcome).map(|mark| FailedAlike {
            mark,
            policy: self.dispatch.parts.alike.get(),
            dice: situation.dice,
        });
        let ended = Ended {
            claim: self.claim.clone(),
            attempt: Some(begun),
            step: step.name.to_owned(),
            outcome: Some(outcome),
            ended_at: self.now(),
            took,
            alike,
            words_key: self.item.words_key.clone(),
        };
        let settled = self.dispatch.settle_or_unlink(ended, next).await;
        if delivered {
            self.delivered(&settled);
        }
        if !goes_on || !settled.went_well() {
            return Went::Ended(settled.due());
        }
        self.item.refs.extend(gained);
        self.item.done.push(step.name.to_owned());
        match leave.zip(settled.begun()) {
            Some((admission, begun)) => Went::Into(Ready { admission, begun }),
            None => Went::On,
        }
    }

    /// May the attempt of this step be begun together with the end of the one before?
    fn may_follow(&self, step: &StepPlan, stop: &CancellationToken) -> bool {
        !stop.is_cancelled() && !self.is_stopped(step) && self.has_time(self.now())
    }
}
