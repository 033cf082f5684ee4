//! A connector that claims what it does not keep: for the test that the probes notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use causeway_core::account::Account;
use causeway_core::connector::{
    Connector, Delivery, Descriptor, FindSupport, Http, JobPage, Permission, ReadError, Taken, Verdict,
};
use causeway_core::delivery::{Idempotency, StepPlan};
use causeway_core::outcome::{Class, Found, Outcome};
use causeway_core::posting::Form;
use jiff::Timestamp;
use serde_json::Value;

/// What is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Every step may be repeated.
    AllRepeatable,
    /// Nothing can be looked up.
    NothingFound,
    /// It takes files, or takes none: the other way round.
    Files,
    /// It never follows an answer to another host, or does: the other way round.
    Hosts,
    /// Whatever the credentials, they may.
    MayEverything,
    /// Whatever the vendor says is a yes.
    AlwaysYes,
    /// Postings are not its business.
    NoPostings,
}

/// See the module's documentation.
pub(crate) struct Liar {
    /// It said what its inner does not say.
    told: AtomicBool,
    inner: Arc<dyn Connector>,
    lie: Lie,
    claims: &'static Descriptor,
}

impl Liar {
    pub(crate) fn of(inner: Arc<dyn Connector>, lie: Lie) -> Arc<Self> {
        let honest = inner.describe();
        let find = if lie == Lie::NothingFound { FindSupport::None } else { honest.find };
        let claims = Descriptor {
            find,
            takes_files: honest.takes_files != (lie == Lie::Files),
            names_hosts: honest.names_hosts != (lie == Lie::Hosts),
            ..*honest
        };
        let differs = claims.find != honest.find
            || claims.takes_files != honest.takes_files
            || claims.names_hosts != honest.names_hosts;
        Arc::new(Self { told: AtomicBool::new(differs), inner, lie, claims: Box::leak(Box::new(claims)) })
    }

    /// Is it a lie, of this connector?
    pub(crate) fn has_lied(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    fn tells(&self, lie: Lie, another: bool) -> bool {
        if self.lie == lie && another {
            self.told.store(true, Ordering::Relaxed);
        }
        self.lie == lie
    }
}

#[async_trait]
impl Connector for Liar {
    fn describe(&self) -> &'static Descriptor {
        self.claims
    }

    fn schema(&self) -> Option<&'static str> {
        self.inner.schema()
    }

    fn form_schema(&self, form: &Form) -> Option<Value> {
        self.inner.form_schema(form)
    }

    fn plan(&self, delivery: &Delivery<'_>) -> Vec<StepPlan> {
        let mut plan = self.inner.plan(delivery);
        if self.tells(Lie::AllRepeatable, plan.iter().any(|step| step.idempotency != Idempotency::Always)) {
            plan.iter_mut().for_each(|step| step.idempotency = Idempotency::Always);
        }
        plan
    }

    fn only_adds(&self, step: &str) -> bool {
        self.inner.only_adds(step)
    }

    async fn run(&self, step: &str, delivery: &Delivery<'_>, http: &dyn Http) -> Outcome {
        let outcome = self.inner.run(step, delivery, http).await;
        let no = !matches!(outcome.class, Class::Accepted | Class::AlreadyThere);
        if self.tells(Lie::AlwaysYes, no) {
            Outcome { class: Class::Accepted, reason: None, ..outcome }
        } else {
            outcome
        }
    }

    async fn find(&self, step: &str, delivery: &Delivery<'_>, since: Timestamp, http: &dyn Http) -> Found {
        self.inner.find(step, delivery, since, http).await
    }

    fn read_back(&self) -> FindSupport {
        self.claims.find
    }

    async fn seen(&self, delivery: &Delivery<'_>, taken: &Taken<'_>, http: &dyn Http) -> Found {
        self.inner.seen(delivery, taken, http).await
    }

    async fn check(&self, account: &Account, http: &dyn Http) -> Vec<Permission> {
        let mut said = self.inner.check(account, http).await;
        if self.tells(Lie::MayEverything, said.iter().any(|one| one.verdict == Verdict::No)) {
            said.iter_mut().for_each(|one| one.verdict = Verdict::Yes);
        }
        said
    }

    async fn list_jobs(&self, account: &Account, cursor: Option<&str>, http: &dyn Http) -> Result<JobPage, ReadError> {
        let listed = self.inner.list_jobs(account, cursor, http).await;
        if self.tells(Lie::NoPostings, listed.is_ok()) { Err(ReadError::NotClaimed) } else { listed }
    }

    async fn fetch_form(&self, account: &Account, posting_id: &str, http: &dyn Http) -> Result<Form, ReadError> {
        self.inner.fetch_form(account, posting_id, http).await
    }
}
