//! Several machines, one clock: whoever leases from a shared store has to agree with it about the time. A lease of a
//! gateway whose clock is ahead outlives its work, and one whose clock is behind takes away what others are at.
//!
//! Before a lease is taken or taken back, the store's own time is asked for, a few times in a second at most. Further apart
//! than [`APART`], nothing is leased and nothing taken back, so the process is not ready; what it is at it ends. Accepting,
//! reading and settling do not depend on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use causeway_core::clock::Clock;
use jiff::{SignedDuration, Timestamp};

use super::finding::{Finding, Health};
use super::over::Over;
use super::work::{ClaimRequest, Claimed};
use super::{Result, Store, StoreError};

/// Two gateways may be twice this apart; a lease outlasts its longest step by more.
const APART: SignedDuration = SignedDuration::from_secs(10);

const REMEDY: &str = "this machine's clock and the database's are more than ten seconds apart: keep both by NTP";

/// See the module's documentation.
pub struct OneClock {
    below: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    is_off: AtomicBool,
}

impl OneClock {
    /// Over a store that several machines may share.
    pub fn over(below: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { below, clock, is_off: AtomicBool::new(false) }
    }

    async fn look(&self) -> Result<()> {
        let before = self.clock.now();
        let Some(there) = self.below.time().await? else { return Ok(()) };
        let after = self.clock.now();
        // An answer that took long says less.
        let is_off = there < before - APART || there > after + APART;
        if self.is_off.swap(is_off, Ordering::Relaxed) != is_off {
            tracing::warn!(is_off, by = %there.duration_since(after), "the database's clock and this machine's");
        }
        self.agree()
    }

    fn agree(&self) -> Result<()> {
        if self.is_off.load(Ordering::Relaxed) { Err(StoreError::Unavailable(REMEDY)) } else { Ok(()) }
    }
}

#[async_trait]
impl Over for OneClock {
    fn below(&self) -> &dyn Store {
        &*self.below
    }

    async fn lease_job(&self, job: &str, owner: &str, now: Timestamp, lease: Duration) -> Result<Option<u64>> {
        self.look().await?;
        self.below.lease_job(job, owner, now, lease).await
    }

    async fn expire_leases(&self, now: Timestamp) -> Result<(u64, u64)> {
        self.look().await?;
        self.below.expire_leases(now).await
    }

    /// Jobs are leased every other second at least, so this need not look itself.
    async fn claim(&self, request: ClaimRequest) -> Result<Claimed> {
        self.agree()?;
        self.below.claim(request).await
    }

    async fn examine(&self) -> Result<Vec<Finding>> {
        let mut found = self.below.examine().await?;
        let (state, text) = match self.look().await {
            Ok(()) => (Health::Well, "agrees with this machine's"),
            Err(_) if self.agree().is_err() => (Health::Bad, REMEDY),
            Err(_) => (Health::Warning, "could not be asked for the time"),
        };
        found.push(Finding::new("the store's clock", state, text));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;

    use causeway_core::clock::ManualClock;

    use super::*;
    use crate::store::over::Nothing;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    /// It is so many seconds ahead, and leases whatever it is asked to.
    struct Ahead(AtomicI64);

    #[async_trait]
    impl Over for Ahead {
        fn below(&self) -> &dyn Store {
            &Nothing
        }
        async fn time(&self) -> Result<Option<Timestamp>> {
            Ok(Some(NOW + SignedDuration::from_secs(self.0.load(Ordering::Relaxed))))
        }
        async fn lease_job(&self, _: &str, _: &str, _: Timestamp, _: Duration) -> Result<Option<u64>> {
            Ok(Some(1))
        }
        async fn expire_leases(&self, _: Timestamp) -> Result<(u64, u64)> {
            Ok((0, 0))
        }
        async fn claim(&self, _: ClaimRequest) -> Result<Claimed> {
            Ok(Claimed::default())
        }
    }

    #[tokio::test]
    async fn nothing_is_leased_or_taken_back_while_the_clocks_are_apart() {
        let below = Arc::new(Ahead(AtomicI64::new(0)));
        let store = OneClock::over(Arc::clone(&below) as Arc<dyn Store>, Arc::new(ManualClock::at(NOW)));
        for (ahead, agrees) in [(0, true), (9, true), (11, false), (-3_600, false), (-9, true)] {
            below.0.store(ahead, Ordering::Relaxed);
            let request = ClaimRequest {
                owner: "me".to_owned(),
                wants: Vec::new(),
                suspect_of: None,
                lease: Duration::ZERO,
                now: NOW,
            };
            let did = [
                Store::lease_job(&store, "leases", "me", NOW, Duration::ZERO).await.is_ok(),
                Store::expire_leases(&store, NOW).await.is_ok(),
                Store::claim(&store, request).await.is_ok(),
            ];
            assert_eq!(did, [agrees; 3], "{ahead} s ahead");
        }
    }
}
