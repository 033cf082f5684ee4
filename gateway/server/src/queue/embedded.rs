//! The embedded queue: a set of accounts that rang, and somebody to wake. Rings for one account coalesce.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use causeway_core::ids::AccountId;
use tokio::sync::Notify;

use super::Bell;

/// A bell within one process. One listener.
#[derive(Debug, Default)]
pub struct EmbeddedBell {
    rung: Mutex<BTreeSet<AccountId>>,
    wake: Notify,
}

impl EmbeddedBell {
    /// The accounts that rang since the last call; waits until there is one. Cancelling it loses no ring.
    pub async fn rung(&self) -> Vec<AccountId> {
        loop {
            let rung = std::mem::take(&mut *self.rung.lock().unwrap_or_else(PoisonError::into_inner));
            if !rung.is_empty() {
                return rung.into_iter().collect();
            }
            self.wake.notified().await;
        }
    }
}

impl Bell for EmbeddedBell {
    fn ring(&self, account: AccountId) {
        let fresh = self.rung.lock().unwrap_or_else(PoisonError::into_inner).insert(account);
        if fresh {
            self.wake.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_core::clock::SeededEntropy;
    use jiff::Timestamp;

    #[tokio::test]
    async fn rings_coalesce_and_none_is_lost() {
        let entropy = SeededEntropy::new(1);
        let [one, two] = [(); 2].map(|()| AccountId::new(Timestamp::UNIX_EPOCH, &entropy));
        let bell = EmbeddedBell::default();
        for _ in 0..100 {
            bell.ring(one);
            bell.ring(two);
        }
        let mut rung = bell.rung().await;
        rung.sort_unstable();
        let mut expected = vec![one, two];
        expected.sort_unstable();
        assert_eq!(rung, expected);

        let (rung, ()) = tokio::join!(bell.rung(), async { bell.ring(one) });
        assert_eq!(rung, [one]);
    }
}
