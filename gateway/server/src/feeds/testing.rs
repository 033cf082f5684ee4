//! Feeds over a store in memory and a vendor that publishes what the test says: what tests of syncs and of the schedule
//! start from.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use causeway_core::account::Account;
use causeway_core::clock::Clock;
use causeway_core::connector::{Connector, Delivery, Descriptor, Http, JobPage, Permission, ReadError};
use causeway_core::delivery::StepPlan;
use causeway_core::ids::{AccountId, TenantId};
use causeway_core::outcome::{Class, Outcome};
use causeway_core::posting::Form;

use super::sync::{FeedParts, Feeds, SyncPolicy};
use crate::dispatch::tests::fake::FakeStore;
use crate::egress::EgressPolicy;
use crate::egress::testing::{DESCRIPTOR, TokioClock, egress, record};
use crate::store::Store;

/// A vendor with pages of jobs. Past the last it lists none; a form named `broken` cannot be read.
#[derive(Default)]
pub(crate) struct Publisher {
    pub(crate) pages: Mutex<VecDeque<Result<JobPage, ReadError>>>,
    /// Forms that were asked for.
    pub(crate) asked: Mutex<Vec<String>>,
    listed: AtomicU32,
}

impl Publisher {
    /// How often pages were asked for.
    pub(crate) fn listed(&self) -> u32 {
        self.listed.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Connector for Publisher {
    fn describe(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn plan(&self, _: &Delivery<'_>) -> Vec<StepPlan> {
        Vec::new()
    }

    async fn run(&self, _: &str, _: &Delivery<'_>, _: &dyn Http) -> Outcome {
        Outcome::new(Class::Accepted)
    }

    async fn check(&self, _: &Account, _: &dyn Http) -> Vec<Permission> {
        Vec::new()
    }

    async fn list_jobs(&self, _: &Account, _: Option<&str>, _: &dyn Http) -> Result<JobPage, ReadError> {
        self.listed.fetch_add(1, Ordering::SeqCst);
        self.pages.lock().unwrap().pop_front().unwrap_or_else(|| Ok(JobPage::default()))
    }

    async fn fetch_form(&self, _: &Account, posting_id: &str, _: &dyn Http) -> Result<Form, ReadError> {
        self.asked.lock().unwrap().push(posting_id.to_owned());
        match posting_id {
            "broken" => Err(ReadError::Unreadable("not JSON".to_owned())),
            _ => Ok(Form { posting_id: posting_id.to_owned(), ..Form::default() }),
        }
    }
}

/// One tenant's ATS account at a [`Publisher`].
pub(crate) struct FeedRig {
    pub(crate) feeds: Arc<Feeds>,
    pub(crate) store: Arc<FakeStore>,
    pub(crate) vendor: Arc<Publisher>,
    pub(crate) clock: Arc<TokioClock>,
    pub(crate) account: AccountId,
    pub(crate) tenant: TenantId,
}

pub(crate) fn feed_rig() -> FeedRig {
    let (store, vendor) = (Arc::new(FakeStore::default()), Arc::new(Publisher::default()));
    let record = record("scripted", serde_json::json!({}));
    let (account, tenant) = (record.account.id, record.account.tenant);
    store.with_account(record);
    let clock = TokioClock::new();
    let connector = Arc::clone(&vendor);
    let feeds = Feeds::new(FeedParts {
        store: Arc::clone(&store) as Arc<dyn Store>,
        egress: Arc::new(egress(Arc::clone(&vendor) as Arc<dyn Connector>, EgressPolicy::default())),
        connectors: Arc::new(move |_| Some(Arc::clone(&connector) as Arc<dyn Connector>)),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        form_digest: |form| format!("digest of {}", form.posting_id),
        policy: SyncPolicy::default(),
    });
    FeedRig { feeds: Arc::new(feeds), store, vendor, clock, account, tenant }
}
