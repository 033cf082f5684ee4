//! The embedded queue: a set of accounts that rang, and somebody to wake. Rings for one account coalesce.
//!
//! It lives and dies with the process, and loses nothing by it: what is due stands in the store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use causeway_core::ids::AccountId;
use tokio::sync::Notify;

use super::{Bell, Listener, Receipt, Ring, Rung, Traceparent};

/// A bell within one process. One listener.
#[derive(Debug, Default)]
pub struct EmbeddedBell {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    rung: Mutex<BTreeMap<AccountId, Option<Traceparent>>>,
    wake: Notify,
}

impl Shared {
    fn ring(&self, ring: Ring) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let known = rung.entry(ring.account).or_default();
        *known = known.take().or(ring.trace);
        drop(rung);
        self.wake.notify_one();
    }
}

#[async_trait]
impl Listener for EmbeddedBell {
    async fn rung(&self) -> Rung {
        loop {
            let rung = std::mem::take(&mut *self.shared.rung.lock().unwrap_or_else(PoisonError::into_inner));
            if !rung.is_empty() {
                let rings: Vec<Ring> = rung.into_iter().map(|(account, trace)| Ring { account, trace }).collect();
                let (shared, again) = (Arc::clone(&self.shared), rings.clone());
                let receipt = Receipt::new(move |claimed| {
                    if !claimed {
                        again.into_iter().for_each(|ring| shared.ring(ring));
                    }
                });
                return Rung::new(rings, receipt);
            }
            self.shared.wake.notified().await;
        }
    }
}

impl Bell for EmbeddedBell {
    fn ring_within(&self, account: AccountId, trace: Option<Traceparent>) {
        self.shared.ring(Ring { account, trace });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::suite;

    fn parts() -> (Arc<dyn Bell>, Arc<dyn Listener>) {
        let bell = Arc::new(EmbeddedBell::default());
        (Arc::clone(&bell) as Arc<dyn Bell>, bell)
    }

    #[tokio::test]
    async fn it_meets_the_contract() {
        suite::all(&[suite::account(1), suite::account(2)], || std::future::ready(parts())).await;
    }

    #[tokio::test]
    async fn rings_coalesce() {
        let (bell, listener) = parts();
        let [one, two] = [suite::account(1), suite::account(2)];
        for _ in 0..100 {
            bell.ring(two);
            bell.ring(one);
        }
        let rung = listener.rung().await;
        assert_eq!(rung.accounts(), [one, two]);
        rung.receipt.claimed();
        let (rung, ()) = tokio::join!(listener.rung(), async { bell.ring(one) });
        assert_eq!(rung.accounts(), [one]);
    }
}
