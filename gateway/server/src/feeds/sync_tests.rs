//! Syncs over a store in memory and a vendor whose pages are scripted.

use causeway_core::connector::JobPage;

use super::*;
use crate::feeds::testing::{FeedRig, feed_rig};

fn page(ids: impl IntoIterator<Item = String>, next: Option<&str>) -> Result<JobPage, ReadError> {
    let posting = |posting_id: String| Posting { posting_id, title: "T".to_owned(), ..Posting::default() };
    Ok(JobPage { postings: ids.into_iter().map(posting).collect(), next: next.map(str::to_owned) })
}

fn numbers(range: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    range.map(|number| number.to_string())
}

impl FeedRig {
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
    let rig = feed_rig();
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
    let rig = feed_rig();
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
        let rig = feed_rig();
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
    let rig = feed_rig();
    rig.sync([page(["broken".to_owned(), "fine".to_owned()], None)]).await.unwrap();
    assert!(rig.store.lock().postings["fine"].form.is_some());
    assert!(rig.store.lock().postings["broken"].form.is_none());
    rig.asked();
    assert_eq!(rig.feeds.sync_forms(rig.account).await.unwrap(), FormsSynced { fetched: 0, failed: 1 });
    tokio::time::sleep(Duration::from_secs(601)).await;
    assert_eq!(rig.feeds.sync_forms(rig.account).await.unwrap(), FormsSynced { fetched: 1, failed: 1 });
}
