//! A connector that claims what it does not keep: for the test that the probes notice.

use std::sync::Arc;
use std::time::Duration;

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
    /// New records show at once, and what is not seen is not there.
    NoLag,
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
    inner: Arc<dyn Connector>,
    lie: Lie,
    claims: &'static Descriptor,
}

impl Liar {
    pub(crate) fn of(inner: Arc<dyn Connector>, lie: Lie) -> Arc<dyn Connector> {
        let honest = inner.describe();
        let find = if lie == Lie::NothingFound { FindSupport::None } else { honest.find };
        let lag = if lie == Lie::NoLag { Duration::ZERO } else { honest.visibility_lag };
        let claims = Descriptor {
            find,
            visibility_lag: lag,
            takes_files: honest.takes_files != (lie == Lie::Files),
            names_hosts: honest.names_hosts != (lie == Lie::Hosts),
            ..*honest
        };
        Arc::new(Self { inner, lie, claims: Box::leak(Box::new(claims)) })
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
        if self.lie == Lie::AllRepeatable {
            plan.iter_mut().for_each(|step| step.idempotency = Idempotency::Always);
        }
        plan
    }

    fn only_adds(&self, step: &str) -> bool {
        self.inner.only_adds(step)
    }

    async fn run(&self, step: &str, delivery: &Delivery<'_>, http: &dyn Http) -> Outcome {
        let outcome = self.inner.run(step, delivery, http).await;
        if self.lie == Lie::AlwaysYes { Outcome { class: Class::Accepted, reason: None, ..outcome } } else { outcome }
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
        if self.lie == Lie::MayEverything {
            said.iter_mut().for_each(|one| one.verdict = Verdict::Yes);
        }
        said
    }

    async fn list_jobs(&self, account: &Account, cursor: Option<&str>, http: &dyn Http) -> Result<JobPage, ReadError> {
        if self.lie == Lie::NoPostings {
            return Err(ReadError::NotClaimed);
        }
        self.inner.list_jobs(account, cursor, http).await
    }

    async fn fetch_form(&self, account: &Account, posting_id: &str, http: &dyn Http) -> Result<Form, ReadError> {
        self.inner.fetch_form(account, posting_id, http).await
    }
}
