//! A machine's clock that was set back while nobody ran.

use std::sync::Arc;
use std::time::Duration;

use causeway_core::clock::{Clock, ManualClock};
use jiff::SignedDuration;

use super::Sqlite;
use crate::clock::steady::SteadyClock;
use crate::store::Store;
use crate::store::finding::Health;
use crate::store::sql::SqlStore;
use crate::store::sqlite::{self, OpenOptions};

/// As a gateway opens it.
fn open(backend: &Sqlite, wall: &Arc<ManualClock>) -> (Arc<SqlStore>, Arc<SteadyClock>) {
    let steady = Arc::new(SteadyClock::new(Arc::<ManualClock>::clone(wall)));
    let options = OpenOptions { clock: Arc::<SteadyClock>::clone(&steady), ..backend.options(wall) };
    (sqlite::open(options).unwrap(), steady)
}

async fn told_of_the_clock(store: &SqlStore) -> Option<(Health, String)> {
    let findings = store.examine().await.unwrap();
    findings.into_iter().find(|finding| finding.what == "clock").map(|found| (found.state, found.text))
}

#[tokio::test]
async fn a_gateways_time_goes_on_where_the_store_was_left() {
    let (backend, wall) = (Sqlite::default(), Arc::new(ManualClock::at("2026-03-02T09:00:00Z".parse().unwrap())));
    let (store, steady) = open(&backend, &wall);
    let left = steady.now();
    store.lease_job("leases", "me", left, Duration::from_secs(30)).await.unwrap();
    assert_eq!(told_of_the_clock(&store).await, None);
    store.close().await;
    drop(store);

    wall.advance(-SignedDuration::from_hours(24));
    let (store, steady) = open(&backend, &wall);
    let minute = SignedDuration::from_mins(1);
    assert!(steady.now().duration_since(left).abs() < minute, "{}", steady.now());
    let (state, text) = told_of_the_clock(&store).await.unwrap();
    assert!(
        state == Health::Warning && text.starts_with("23h 59m ") && text.contains("s ahead of this machine's"),
        "{text}"
    );
    store.close().await;
    drop(store);

    // It is right again, and a day has passed.
    wall.advance(SignedDuration::from_hours(48));
    let (store, steady) = open(&backend, &wall);
    assert_eq!((steady.now(), told_of_the_clock(&store).await), (wall.now(), None));
    store.close().await;
}
