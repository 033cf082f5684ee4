//! An unknown outcome: ask the vendor, then adopt what it has or resend what it has not.
//!
//! A record is adopted only if it carries our reference or was created after the attempt began (less clock skew), and if
//! no other delivery is linked to it; the unique link in the store decides. "Not seen" counts only once the vendor's
//! visibility lag has passed since the attempt, and only the second time. Who cannot be asked is held for a person, or
//! resent and flagged, as the account says. After a restore only one of several steps that must not be repeated is asked
//! about; what follows it is sent, and the delivery flagged.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use causeway_core::account::OnUnknown;
use causeway_core::delivery::{HeldCause, Idempotency, StepPlan};
use causeway_core::outcome::{Class, Found, Outcome, VendorRecord};
use causeway_core::reason::Reason;
use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::Instrument;

use super::carry::{Trip, Went};
use super::settle::{Committed, Ended};
use crate::clock::{earliest_there, later};
use crate::retry;
use crate::store::work::{Next, Proof, RESTORED, Verifying};
use crate::telemetry::traces;

impl Trip<'_> {
    /// Looks up the unknown outcome of a step. Goes on when the step turned out to be done.
    pub(super) async fn verify(&mut self, plan: &[StepPlan], verifying: Verifying) -> Went {
        let Some(step) = plan.iter().find(|step| step.name == verifying.step) else {
            return self.cannot_tell(&verifying, None).await;
        };
        if step.idempotency == Idempotency::Always {
            return self.resend(&verifying, false, Ended::untried(&self.claim, step.name, self.now())).await;
        }
        if !self.can_find().await {
            return self.cannot_tell(&verifying, None).await;
        }
        let admission = match self.dispatch.parts.egress.admit(&self.item.account).await {
            Ok(admission) => admission,
            Err(refused) => {
                self.dispatch.release(&self.claim, refused.until).await;
                return Went::Ended(Some(refused.until));
            }
        };
        let began = Instant::now();
        let found = {
            let delivery = self.delivery();
            let since = earliest_there(&*self.dispatch.parts.clock, verifying.since);
            let find = self.connector.find(step.name, &delivery, since, &admission);
            let find = AssertUnwindSafe(find).catch_unwind().instrument(traces::lookup(step.name));
            match tokio::time::timeout(self.dispatch.parts.policy.step_deadline, find).await {
                Ok(Ok(found)) => found,
                Ok(Err(_)) => {
                    tracing::error!(delivery = %self.claim.delivery, "a lookup broke its worker");
                    Found::NotNow { retry_after: None }
                }
                Err(_) => Found::NotNow { retry_after: None },
            }
        };
        let took = began.elapsed();
        drop(admission);
        match found {
            Found::Seen(records) => self.seen(records, plan, &verifying, took).await,
            Found::NotSeen { as_of } => self.not_seen(as_of, &verifying, took).await,
            Found::CannotTell => self.cannot_tell(&verifying, Some(took)).await,
            Found::NotNow { retry_after } => self.ask_later(retry_after, &verifying, took).await,
        }
    }

    /// A lookup that has ended.
    fn looked(&self, verifying: &Verifying, outcome: Outcome, took: Duration) -> Ended {
        Ended {
            claim: self.claim.clone(),
            attempt: None,
            step: verifying.step.clone(),
            outcome: Some(outcome),
            ended_at: self.now(),
            took,
            alike: None,
            words_key: self.item.words_key.clone(),
        }
    }

    /// Could the attempt begun at `since` have made this record?
    fn may_be_ours(&self, record: &VendorRecord, since: Timestamp) -> bool {
        let parts = &self.dispatch.parts;
        let since = earliest_there(&*parts.clock, since);
        let earliest = since.saturating_sub(parts.policy.clock_skew).unwrap_or(Timestamp::MIN);
        record.carries_our_reference || record.created_at.is_some_and(|created| created >= earliest)
    }

    /// Adopts the first record that is no other delivery's.
    async fn seen(
        &mut self,
        records: Vec<VendorRecord>,
        plan: &[StepPlan],
        verifying: &Verifying,
        took: Duration,
    ) -> Went {
        for record in records {
            if !self.may_be_ours(&record, verifying.since) {
                continue;
            }
            let mut outcome = Outcome::new(Class::AlreadyThere);
            outcome.vendor_id = record.is_application.then(|| record.vendor_id.clone());
            outcome.refs = record.refs.clone();
            let ended = self.looked(verifying, outcome, took);
            let possible_duplicate = self.restored && self.leaves_unasked(plan, &verifying.step);
            let next = Next::Adopt {
                vendor_id: record.vendor_id,
                is_application: record.is_application,
                refs: record.refs.clone(),
                possible_duplicate,
            };
            match self.dispatch.settle(ended, next).await {
                Committed::Done(..) => {
                    self.item.refs.extend(record.refs);
                    self.item.done.push(verifying.step.clone());
                    return self.adopted(plan, verifying).await;
                }
                Committed::LinkTaken => {}
                Committed::Lost => return Went::Ended(None),
            }
        }
        self.not_seen(self.now(), verifying, took).await
    }

    /// Is there another open step that must not be repeated?
    fn leaves_unasked(&self, plan: &[StepPlan], asked: &str) -> bool {
        let open = |step: &&StepPlan| step.name != asked && !self.item.done.iter().any(|done| done == step.name);
        plan.iter().filter(open).any(|step| step.idempotency == Idempotency::Never)
    }

    /// As it is stored: after a restore under that name, until it is known how it ended.
    fn still(&self, verifying: Verifying) -> Verifying {
        if self.restored { Verifying { step: RESTORED.to_owned(), ..verifying } } else { verifying }
    }

    /// The step is done. If it was the last one, so is the delivery, and the vendor's record was read back.
    async fn adopted(&self, plan: &[StepPlan], verifying: &Verifying) -> Went {
        let open = plan.iter().any(|step| !self.item.done.iter().any(|done| done == step.name));
        if open {
            return Went::On;
        }
        let now = self.now();
        let next = Next::Delivered { proof: Proof::seen(now) };
        let ended = Ended::untried(&self.claim, &verifying.step, now);
        let settled = self.dispatch.settle(ended, next).await;
        self.delivered(&settled);
        Went::Ended(settled.due())
    }

    async fn not_seen(&mut self, as_of: Timestamp, verifying: &Verifying, took: Duration) -> Went {
        let outcome = Outcome::new(Class::Unknown).because(Reason::OutcomeUnknown);
        let ended = self.looked(verifying, outcome, took);
        let visible_from = later(verifying.since, self.lag());
        let counts = as_of >= visible_from;
        if counts && verifying.not_seen >= 1 {
            return self.resend(verifying, false, ended).await;
        }
        let asked = verifying.asked + 1;
        let verifying = Verifying { not_seen: verifying.not_seen + u32::from(counts), asked, ..verifying.clone() };
        let until = later(self.now(), self.retry.verify_wait(0)).max(visible_from);
        let next = Next::Verify { until, verifying: self.still(verifying) };
        Went::Ended(self.dispatch.settle(ended, next).await.due())
    }

    async fn ask_later(&mut self, wish: Option<Duration>, verifying: &Verifying, took: Duration) -> Went {
        if verifying.asked >= self.retry.verify_most {
            return self.cannot_tell(verifying, Some(took)).await;
        }
        let wait =
            wish.unwrap_or_default().min(self.retry.retry_after_cap).max(self.retry.verify_wait(verifying.asked));
        let ended = self.looked(verifying, Outcome::new(Class::NotNow).because(Reason::VendorBusy), took);
        let verifying = Verifying { asked: verifying.asked + 1, ..verifying.clone() };
        let next = Next::Verify { until: later(self.now(), wait), verifying: self.still(verifying) };
        Went::Ended(self.dispatch.settle(ended, next).await.due())
    }

    /// Nobody can say; `took` is how long asking took, if somebody was asked.
    async fn cannot_tell(&mut self, verifying: &Verifying, took: Option<Duration>) -> Went {
        let outcome = Outcome::new(Class::Unknown).because(Reason::OutcomeCannotBeKnown);
        let ended = match took {
            Some(took) => self.looked(verifying, outcome, took),
            None => Ended::untried(&self.claim, &verifying.step, self.now()),
        };
        match self.item.account.account.on_unknown {
            OnUnknown::Hold => {
                let reason = Reason::OutcomeCannotBeKnown;
                let next = Next::Hold { cause: HeldCause::Operator, reason, fields: Vec::new() };
                Went::Ended(self.dispatch.settle(ended, next).await.due())
            }
            OnUnknown::Resend => self.resend(verifying, true, ended).await,
        }
    }

    /// The step may be sent again. The failed attempt counts against the schedule, once, which also says when.
    async fn resend(&mut self, verifying: &Verifying, possible_duplicate: bool, ended: Ended) -> Went {
        if !self.dispatch.settle(ended, Next::Resend { possible_duplicate }).await.went_well() {
            return Went::Ended(None);
        }
        let dice = retry::dice(self.dispatch.parts.entropy.as_ref());
        let next = match retry::resend(&self.retry, verifying.since, self.claim.attempts, self.now(), dice) {
            // [`Next::Resend`] has counted it.
            Some(until) => Next::Wait { until, reason: Reason::VendorFailed, consumed: false },
            None => Next::Park { reason: Reason::RetriesExhausted },
        };
        let ended = Ended::untried(&self.claim, &verifying.step, self.now());
        Went::Ended(self.dispatch.settle(ended, next).await.due())
    }
}
