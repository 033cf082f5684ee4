//! Syncs over a store in memory and a vendor whose pages are scripted.

use std::collections::VecDeque;

use async_trait::async_trait;
use causeway_core::account::Account;
use causeway_core::connector::{Delivery, Descriptor, JobPage, Permission};
use causeway_core::delivery::StepPlan;
use causeway_core::outcome::{Class, Outcome};

use super::*;
use crate::dispatch::tests::fake::FakeStore;
use crate::egress::EgressPolicy;
use crate::egress::testing::{DESCRIPTOR, TokioClock, egress, record};

#[derive(Default)]
struct Pages {
    pages: Mutex<VecDeque<Result<JobPage, ReadError>>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Connector for Pages {
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

fn page(ids: impl IntoIterator<Item = String>, next: Option<&str>) -> Result<JobPage, ReadError> {
    let posting = |posting_id: String| Posting { posting_id, title: "T".to_owned(), ..Posting::default() };
    Ok(JobPage { postings: ids.into_iter().map(posting).collect(), next: next.map(str::to_owned) })
}

fn numbers(range: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    range.map(|number| number.to_string())
}

struct Rig {
    feeds: Feeds,
    store: Arc<FakeStore>,
    vendor: Arc<Pages>,
    account: AccountId,
}

fn rig() -> Rig {
    let (store, vendor) = (Arc::new(FakeStore::default()), Arc::new(Pages::default()));
    let record = record("scripted", serde_json::json!({}));
    let account = record.account.id;
    store.with_account(record);
    let connector = Arc::clone(&vendor);
    let feeds = Feeds::new(FeedParts {
        store: Arc::clone(&store) as Arc<dyn Store>,
        egress: Arc::new(egress(Arc::clone(&vendor) as Arc<dyn Connector>, EgressPolicy::default())),
        connectors: Arc::new(move |_| Some(Arc::clone(&connector) as Arc<dyn Connector>)),
        clock: TokioClock::new(),
        form_digest: |form| format!("digest of {}", form.posting_id),
        policy: SyncPolicy::default(),
    });
    Rig { feeds, store, vendor, account }
}

impl Rig {
    async fn sync(&self, pages: impl IntoIterator<Item = Result<JobPage, ReadError>>) -> Result<Synced, SyncError> {
        self.vendor.pages.lock().unwrap().extend(pages);
        self.feeds.sync_jobs(self.account).await
    }

    fn live(&self) -> usize {
        self.store.lock().postings.values().filter(|record| record.closed_at.is_none()).count()
    }

    fn asked(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut *self.vendor.asked.lock().unwrap());
        asked.sort_unstable();
        asked
    }
}

#[tokio::test(start_paused = true)]
async fn every_page_read_is_complete_and_forms_are_fetched_for_what_is_new() {
    let rig = rig();
    let synced = rig.sync([page(numbers(0..2), Some("a")), page(numbers(2..3), None)]).await.unwrap();
    assert_eq!((synced.complete, synced.report.listed), (true, 3));
    assert_eq!(rig.asked(), ["0", "1", "2"]);
    assert_eq!(rig.store.lock().postings["1"].form.as_ref().unwrap().0, "digest of 1");
    assert!(rig.store.lock().postings["1"].posting.source_hash.as_ref().is_some_and(|hash| hash.len() == 64));

    rig.sync([page(numbers(0..3), None)]).await.unwrap();
    assert_eq!(rig.asked(), Vec::<String>::new(), "nothing changed");
    rig.sync([page(numbers(0..2), None)]).await.unwrap();
    assert_eq!(rig.live(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_breaks_off_closes_nothing() {
    let rig = rig();
    rig.sync([page(numbers(0..5), None)]).await.unwrap();
    let busy = || Err(ReadError::NotNow { what: "down".to_owned(), retry_after: None });
    let broken = rig.sync([page(numbers(0..1), Some("a")), busy()]).await;
    assert!(matches!(broken, Err(SyncError::Read(_))));
    let endless = rig.sync([page(numbers(0..1), Some("a")), page(numbers(0..1), Some("a"))]).await;
    assert!(matches!(endless, Err(SyncError::Endless)));
    assert!(rig.sync([busy()]).await.is_err());
    assert_eq!(rig.live(), 5);
    assert_eq!(rig.store.lock().syncs, [(true, 5), (false, 1), (false, 2)], "an unread list is not applied");
}

#[tokio::test(start_paused = true)]
async fn a_much_shorter_list_is_believed_the_second_time() {
    for (before, after, held) in [(40, 10, true), (40, 21, false), (12, 1, true), (11, 1, false), (15, 0, true)] {
        let rig = rig();
        rig.sync([page(numbers(0..before), None)]).await.unwrap();
        let first = rig.sync([page(numbers(0..after), None)]).await.unwrap();
        assert_eq!((first.held, first.complete), (held, !held), "{before} to {after}");
        assert_eq!(rig.live(), if held { before as usize } else { after as usize });
        let second = rig.sync([page(numbers(0..after), None)]).await.unwrap();
        assert_eq!((second.held, rig.live()), (false, after as usize));
    }
}

#[tokio::test(start_paused = true)]
async fn a_form_that_cannot_be_fetched_leaves_the_rest() {
    let rig = rig();
    rig.sync([page(["broken".to_owned(), "fine".to_owned()], None)]).await.unwrap();
    assert!(rig.store.lock().postings["fine"].form.is_some());
    assert!(rig.store.lock().postings["broken"].form.is_none());
    rig.asked();
    assert_eq!(rig.feeds.sync_forms(rig.account).await.unwrap(), FormsSynced { fetched: 0, failed: 1 });
    tokio::time::sleep(Duration::from_secs(601)).await;
    assert_eq!(rig.feeds.sync_forms(rig.account).await.unwrap(), FormsSynced { fetched: 1, failed: 1 });
}
