//! The ledger proof: every target of every accepted application is one delivery, and every delivery stands where whoever
//! works for its state finds it. Read at one moment, the difference is 0, always.
//!
//! It is read now and then by whichever process holds the job, never by a request for metrics, and takes at most a small
//! share of one reader's time however much is stored. A difference is told in the log; nothing is repaired here.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use causeway_core::delivery::State;
use causeway_core::ids::AccountId;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::store::trace::Ledger;
use crate::store::{self, Store};
use crate::telemetry::metrics::{self, Page};

/// Reading takes at most this part of the time.
const SHARE: u32 = 20;

/// What was read.
struct Sample {
    ledger: Ledger,
    at: Timestamp,
    accounts: Vec<Seen>,
}

/// What is told of an account.
struct Seen {
    account: AccountId,
    synced: Option<Timestamp>,
    is_paused: bool,
}

/// See the module's documentation.
#[derive(Default)]
pub struct LedgerWatch {
    sample: Mutex<Option<Sample>>,
    /// Not before then.
    next: Mutex<Option<Instant>>,
}

impl LedgerWatch {
    /// Reads it, unless the last reading took so long that it is too early.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn look(&self, store: &dyn Store, now: Timestamp) -> store::Result<()> {
        let began = Instant::now();
        if self.next.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|next| began < next) {
            return Ok(());
        }
        let ledger = store.ledger().await;
        // One that failed may have taken long: it waits its time, too.
        let took = began.elapsed();
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + took.saturating_mul(SHARE));
        let ledger = ledger?;
        if ledger.difference() != 0 {
            tracing::error!(
                targets = ledger.targets,
                difference = ledger.difference(),
                "the ledger does not add up: deliveries are missing, or there are more than were accepted"
            );
        }
        let accounts = store.accounts(None).await?.into_iter().map(|record| Seen {
            account: record.account.id,
            synced: record.last_complete_sync,
            is_paused: record.paused.is_some(),
        });
        let sample = Sample { ledger, at: now, accounts: accounts.collect() };
        *self.sample.lock().unwrap_or_else(PoisonError::into_inner) = Some(sample);
        Ok(())
    }

    /// Another process reads it from now on.
    pub fn forget(&self) {
        *self.sample.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Onto the page.
    pub fn put(&self, page: &mut Page) {
        let sample = self.sample.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Sample { ledger, at, accounts }) = sample.as_ref() else { return };
        page.put(&metrics::LEDGER_TARGETS, &[], ledger.targets);
        page.put(&metrics::LEDGER_DIFFERENCE, &[], ledger.difference());
        page.put(&metrics::LEDGER_READ, &[], seconds(*at));
        for state in State::ALL {
            page.put(&metrics::DELIVERIES, &[state.as_str()], ledger.states.get(&state).copied().unwrap_or(0));
        }
        for Seen { account, synced, is_paused } in accounts {
            let account = account.to_string();
            page.put(&metrics::PAUSED, &[&account], *is_paused);
            if let Some(synced) = synced {
                page.put(&metrics::SYNCED, &[&account], seconds(*synced));
            }
        }
    }
}

/// Since 1970.
pub fn seconds(at: Timestamp) -> f64 {
    Duration::try_from(at.duration_since(Timestamp::UNIX_EPOCH)).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::egress::testing::record;
    use crate::store::over::{Nothing, Over};
    use crate::store::setup::AccountRecord;

    struct Slow(Duration);

    #[async_trait]
    impl Over for Slow {
        fn below(&self) -> &dyn Store {
            &Nothing
        }
        async fn ledger(&self) -> store::Result<Ledger> {
            tokio::time::sleep(self.0).await;
            Ok(Ledger { targets: 7, states: [(State::Delivered, 4), (State::Held, 2)].into() })
        }
        async fn accounts(&self, _: Option<causeway_core::ids::TenantId>) -> store::Result<Vec<AccountRecord>> {
            Ok(vec![record("scripted", serde_json::json!({}))])
        }
    }

    fn text(watch: &LedgerWatch) -> String {
        let mut page = Page::default();
        watch.put(&mut page);
        page.render()
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_told_by_who_reads_it_and_read_for_a_small_share_of_the_time() {
        let (watch, store) = (LedgerWatch::default(), Slow(Duration::from_secs(1)));
        watch.look(&store, Timestamp::UNIX_EPOCH).await.unwrap();
        let told = text(&watch);
        for line in [
            "causeway_ledger_targets_total 7\n",
            "causeway_ledger_difference 1\n",
            "causeway_deliveries{state=\"delivered\"} 4\n",
            "causeway_deliveries{state=\"queued\"} 0\n",
            "causeway_account_paused{account=\"acc_",
        ] {
            assert!(told.contains(line), "{line} is not in {told}");
        }
        let began = Instant::now();
        for _ in 0..19 {
            watch.look(&store, Timestamp::UNIX_EPOCH).await.unwrap();
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(began.elapsed(), Duration::from_secs(19), "it was not read meanwhile");
        tokio::time::advance(Duration::from_secs(1)).await;
        watch.look(&store, Timestamp::UNIX_EPOCH).await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_secs(21), "and then it was");
        watch.forget();
        assert!(!text(&watch).contains("causeway_ledger_difference 1"));
    }
}
