//! What every receiving system says of a document. The one path that `submit` and `preflight` share, so that they cannot
//! come to different verdicts: it reads, and changes nothing but what it is told to take.
//!
//! Does not decide what follows (`submit` accepts or refuses, `preflight` reports), rings for nothing, stores nothing.

use std::sync::Arc;

use causeway_core::ids::AccountId;
use causeway_core::problem::{Code, FieldError, Problem};
use causeway_core::reason::Reason;
use jiff::Timestamp;
use serde_json::Value;

use super::submission::Envelope;
use super::targets::{self, Start};
use super::views::Seen;
use super::{Decided, Intake, Refusal, Sender, Submission, before, unavailable};
use crate::overlay;
use crate::quota::TenantQuota;
use crate::schema::Verdict;
use crate::store::intake::PostingView;
use crate::store::setup::AccountRecord;

/// Why it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asking {
    /// To accept it: an application for an unknown job takes its share of the tenant's.
    ToSubmit,
    /// To know: nothing is taken.
    ToKnow,
}

/// The verdicts, and whether there is enough to decide by.
pub(super) struct Judged {
    pub(super) decided: Decided,
    /// The view was read just now.
    pub(super) fresh: bool,
    /// It names a job, and somebody to write to.
    complete: bool,
}

impl Judged {
    /// The "no" of a submit, if it is one.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        let Decided { targets, verdict, .. } = &self.decided;
        let rejected = targets.iter().any(|(_, start)| *start == Start::Rejected);
        let refused = !self.complete || !verdict.canonical.is_empty() || rejected;
        refused.then(|| Problem::new(Code::ApplicationInvalid).errors(verdict.all_errors()).into())
    }
}

impl Intake {
    /// Everything that can be said about the document. One that names no job or nobody to write to is still told all
    /// that is wrong with it and, of a job that is known, what its systems miss too.
    ///
    /// # Errors
    /// The job takes no applications, or nobody can tell now.
    pub(super) async fn judge(
        &self,
        sender: Sender,
        submission: &Submission,
        document: &Value,
        envelope: &Envelope,
        now: Timestamp,
        asking: Asking,
    ) -> Result<Judged, Refusal> {
        let complete = envelope.job.is_some() && envelope.email.is_some();
        let Seen { view, fresh } = match envelope.job.as_deref() {
            None => nothing_seen(),
            Some(job) => match self.views.get((sender.tenant, sender.test), job).await {
                Ok(seen) => seen,
                Err(error) if complete => return Err(unavailable("posting_view", &error)),
                // It is refused anyway.
                Err(_) => nothing_seen(),
            },
        };
        if complete {
            self.may_apply(sender, &view, now, asking)?;
        }
        let known = complete || view.posting.is_some();
        let chosen = if known { targets::of(&view, document) } else { Vec::new() };
        let accounts: Vec<&AccountRecord> =
            view.accounts.iter().filter(|record| chosen.contains(&record.account.id)).collect();
        let mut verdict = self.verdict(document, &accounts, &view);
        verdict.canonical.extend(submission.file_errors(document));
        verdict.canonical.extend(not_a_test(sender, envelope));
        if envelope.email.is_none() && verdict.is_valid() {
            verdict.canonical.push(unusable_address());
        }
        let targets = starts(&self.connectors, &view, &verdict, chosen);
        let withheld = targets::withheld(&view, document);
        let fresh = fresh && complete;
        Ok(Judged { decided: Decided { view, targets, withheld, verdict }, fresh, complete })
    }

    /// What the schemas say, each account asked of the document as its overlay makes it.
    pub(super) fn verdict(&self, document: &Value, accounts: &[&AccountRecord], view: &PostingView) -> Verdict {
        let targets = targets::to_check(accounts, &self.connectors, view);
        let of = |id| accounts.iter().find(|record: &&&AccountRecord| record.account.id == id);
        let seen: Vec<(AccountId, Value)> = targets
            .iter()
            .filter_map(|target| {
                let id = target.account.id;
                Some((id, overlay::as_seen(of(id)?, target.connector, target.form, document)?))
            })
            .collect();
        let as_seen = |id| seen.iter().find(|(account, _)| *account == id).map(|(_, document)| document);
        let mut verdict = self.schemas.check_as_seen(document, &targets, &as_seen);
        for (id, errors) in &mut verdict.per_target {
            if let Some(mapping) = of(*id).and_then(|record| record.mapping.as_ref()) {
                overlay::told(&mapping.overlay, document, errors);
            }
        }
        verdict
    }

    /// Does the job take applications, as far as anybody knows?
    fn may_apply(&self, sender: Sender, view: &PostingView, now: Timestamp, asking: Asking) -> Result<(), Refusal> {
        match &view.posting {
            Some(posting) if posting.closed_at.is_some() => Err(Code::PostingClosed.into()),
            Some(_) => Ok(()),
            None if targets::surely_absent(view, before(now, self.config.sync_fresh)) => {
                Err(posting_unknown(sender, view))
            }
            None => asked(&self.unknown, sender, asking),
        }
    }
}

/// No such job. A test key that finds no account at all is told why.
pub(super) fn posting_unknown(sender: Sender, view: &PostingView) -> Refusal {
    let problem = Problem::new(Code::PostingUnknown);
    let nowhere = sender.test && targets::ats_accounts(view).next().is_none();
    let why = "A test key reaches accounts added with --sandbox, and there is none with jobs.";
    if nowhere { problem.detail(why).into() } else { problem.into() }
}

fn asked(unknown: &TenantQuota, sender: Sender, asking: Asking) -> Result<(), Refusal> {
    let asked = match asking {
        Asking::ToSubmit => unknown.take(sender.tenant),
        Asking::ToKnow => unknown.peek(&sender.tenant),
    };
    asked.map_err(|wait| {
        Problem::new(Code::QuotaExceeded)
            .detail("Too many applications for jobs that are not known yet.")
            .retry_after(wait.as_secs() + 1)
            .into()
    })
}

fn nothing_seen() -> Seen {
    Seen { view: Arc::default(), fresh: false }
}

fn starts(
    connectors: &targets::Connectors,
    view: &PostingView,
    verdict: &Verdict,
    chosen: Vec<AccountId>,
) -> Vec<(AccountId, Start)> {
    let start = |id| {
        let record = view.accounts.iter().find(|record| record.account.id == id)?;
        Some((id, targets::start(record, connectors, view, verdict)))
    };
    chosen.into_iter().filter_map(start).collect()
}

/// A document that calls itself a test would reach real systems with any other key.
fn not_a_test(sender: Sender, envelope: &Envelope) -> Option<FieldError> {
    (envelope.says_test && !sender.test).then(|| FieldError {
        pointer: "/meta/test".to_owned(),
        code: Reason::ValueInvalid.as_str().to_owned(),
        message: "A test application is sent with a test key.".to_owned(),
        required_by: vec![crate::schema::CANONICAL_NAME.to_owned()],
        fix: "Use a key made with --test, or leave `meta.test` out.".to_owned(),
        question: None,
    })
}

fn unusable_address() -> FieldError {
    FieldError {
        pointer: "/person/emails/0/address".to_owned(),
        code: Reason::ValueInvalid.as_str().to_owned(),
        message: "This is not an e-mail address that mail can be sent to.".to_owned(),
        required_by: vec![crate::schema::CANONICAL_NAME.to_owned()],
        fix: "Check the part after the @.".to_owned(),
        question: None,
    }
}
