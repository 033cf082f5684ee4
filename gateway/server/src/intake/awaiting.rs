//! Second half of intake: deliveries that were accepted before their posting or form was known.

use causeway_core::account::Role;
use causeway_core::delivery::HeldCause;
use causeway_core::outcome::FieldReason;
use causeway_core::reason::Reason;

use super::Intake;
use super::targets::{self, Start};
use crate::store::intake::{Decision, ReadyDelivery};
use crate::store::{Result, StoreError};

impl Intake {
    /// Decides up to `limit` held deliveries whose posting or form is known now. Returns how many.
    ///
    /// # Errors
    /// As the store's; what was decided before stays decided.
    pub async fn settle_awaiting(&self, limit: usize) -> Result<usize> {
        let ready = self.store.awaiting(limit).await?;
        let mut decided = 0;
        for delivery in ready {
            let decision = self.decision(&delivery);
            let (goes, awaits) = (matches!(decision, Decision::Go { .. }), matches!(decision, Decision::AwaitForm));
            match self.store.decide_held(delivery.tenant, delivery.delivery, decision, self.clock.now()).await {
                Ok(()) => decided += 1,
                // Somebody else decided, or cancelled, or erased it meanwhile.
                Err(StoreError::IllegalMove { .. } | StoreError::NotFound(_)) => continue,
                Err(error) => return Err(error),
            }
            let account = delivery.view.posting.as_ref().map_or(delivery.account, |posting| posting.account);
            if goes {
                self.bell.ring(delivery.account);
                self.bell.ring(account);
            } else if awaits && let Some(posting) = &delivery.view.posting {
                self.sync.form(account, &posting.posting.posting_id);
            }
        }
        Ok(decided)
    }

    /// What becomes of it. Pure.
    pub fn decision(&self, ready: &ReadyDelivery) -> Decision {
        let refuse = |reason| Decision::Refuse { reason, fields: Vec::new() };
        let Some(posting) = &ready.view.posting else { return refuse(Reason::PostingUnknown) };
        if posting.closed_at.is_some() && ready.cause == HeldCause::PostingUnknown {
            return refuse(Reason::PostingClosed);
        }
        let ours = ready.view.accounts.iter().find(|record| record.account.id == ready.account);
        // An unknown posting was held for the oldest ATS account; now it is known whose it is.
        let record = match ours.map(|record| record.account.role) {
            Some(Role::Crm) => ours,
            Some(Role::Ats) | None => ready.view.accounts.iter().find(|record| record.account.id == posting.account),
        };
        let (Some(record), Ok(document)) = (record, self.schemas.parse(&ready.document)) else {
            return refuse(Reason::AccountMisconfigured);
        };
        let verdict = self.verdict(&document, &[record], &ready.view);
        let refused = verdict.of(record.account.id);
        let invalid = |fields: Vec<FieldReason>| {
            let reason = fields.first().map_or(Reason::DocumentInvalid, |field| field.reason);
            Decision::Hold { cause: HeldCause::Invalid, reason, fields }
        };
        if !refused.is_empty() {
            return invalid(targets::reasons(refused));
        }
        match targets::start(record, &self.connectors, &ready.view, &verdict) {
            // The form of a closed job is not fetched any more: it would wait for ever.
            Start::Held(HeldCause::FormUnknown, ..) if posting.closed_at.is_some() => refuse(Reason::PostingClosed),
            Start::Held(HeldCause::FormUnknown, ..) => Decision::AwaitForm,
            Start::Held(cause, reason, fields) => Decision::Hold { cause, reason, fields },
            Start::Rejected => invalid(Vec::new()),
            Start::Queued => {
                let form = ready.view.form.as_ref().filter(|_| record.account.role == Role::Ats);
                Decision::Go { form_digest: form.map(|(form, _)| form.digest.clone()) }
            }
        }
    }
}
