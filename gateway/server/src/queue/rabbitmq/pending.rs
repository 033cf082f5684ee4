//! Rings on their way to the broker: at most one per account, however often it rings and however long the broker is away.
//!
//! A ring waits, is out (published, no answer yet), and is gone once the broker has it; one that failed waits again, a
//! little longer each time. Ringing takes a lock for a moment and never waits for anything else.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use causeway_core::ids::AccountId;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::queue::Traceparent;

/// The wait after a ring's first failure, and the longest.
const AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// An account rings the broker no oftener than this. Whoever hears it claims all of its work, so more would change nothing
/// and cost the broker a synced write each.
const GAP: Duration = Duration::from_millis(20);

/// A ring that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) trace: Option<Traceparent>,
    pub(super) rung_at: Timestamp,
    failures: u32,
    not_before: Option<Instant>,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: HashMap<AccountId, Waiting>,
    /// The accounts that wait, first come first served.
    order: VecDeque<AccountId>,
    out: HashMap<AccountId, Waiting>,
    /// When accounts last rang the broker.
    rang: HashMap<AccountId, Instant>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Pending {
    inner: Mutex<Inner>,
    wake: Notify,
}

impl Inner {
    fn wait(&mut self, account: AccountId, ring: Waiting) {
        match self.waiting.get_mut(&account) {
            Some(known) => {
                known.trace = known.trace.take().or(ring.trace);
                known.rung_at = known.rung_at.min(ring.rung_at);
            }
            None => {
                self.waiting.insert(account, ring);
                self.order.push_back(account);
            }
        }
    }
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account rings.
    pub(super) fn ring(&self, account: AccountId, trace: Option<Traceparent>, now: Timestamp) {
        let inner = &mut *self.lock();
        let not_before = inner.rang.get(&account).map(|rang| *rang + GAP);
        inner.wait(account, Waiting { trace, rung_at: now, failures: 0, not_before });
        self.wake.notify_one();
    }

    /// Takes up to `most` rings out that may go now, and says when the next may if none does.
    pub(super) fn take(&self, most: usize) -> (Vec<(AccountId, Waiting)>, Option<Instant>) {
        let (mut taken, mut soonest, now) = (Vec::new(), None::<Instant>, Instant::now());
        let inner = &mut *self.lock();
        inner.rang.retain(|_, rang| *rang + GAP > now);
        for _ in 0..inner.order.len() {
            let Some(account) = inner.order.pop_front() else { break };
            let until = inner.waiting.get(&account).and_then(|ring| ring.not_before).filter(|until| *until > now);
            if until.is_some() || taken.len() >= most || inner.out.contains_key(&account) {
                inner.order.push_back(account);
                soonest = soonest.into_iter().chain(until).min();
                continue;
            }
            if let Some(ring) = inner.waiting.remove(&account) {
                inner.out.insert(account, ring.clone());
                inner.rang.insert(account, now);
                taken.push((account, ring));
            }
        }
        (taken, soonest)
    }

    /// Waits until something rang.
    pub(super) async fn rang(&self) {
        self.wake.notified().await;
    }

    /// The broker has it, or nobody wants it any more.
    pub(super) fn done(&self, account: AccountId) {
        self.lock().out.remove(&account);
    }

    /// It did not arrive: it waits again.
    pub(super) fn failed(&self, account: AccountId) {
        let inner = &mut *self.lock();
        if let Some(mut ring) = inner.out.remove(&account) {
            ring.not_before = Some(Instant::now() + (AGAIN.0 * (1 << ring.failures.min(8))).min(AGAIN.1));
            ring.failures += 1;
            inner.wait(account, ring);
        }
    }

    /// The line was lost: whatever is out goes again, at once when there is a line.
    pub(super) fn all_failed(&self) {
        let inner = &mut *self.lock();
        for (account, mut ring) in std::mem::take(&mut inner.out) {
            ring.not_before = None;
            inner.wait(account, ring);
        }
    }

    /// Accounts that the broker has not confirmed.
    pub(super) fn len(&self) -> usize {
        let inner = self.lock();
        inner.waiting.len() + inner.out.keys().filter(|account| !inner.waiting.contains_key(account)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::suite::account;

    fn accounts(taken: &[(AccountId, Waiting)]) -> Vec<AccountId> {
        taken.iter().map(|(account, _)| *account).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_is_there_once_and_comes_back_when_it_fails() {
        let (pending, now) = (Pending::default(), Timestamp::UNIX_EPOCH);
        for _ in 0..1_000 {
            pending.ring(account(2), None, now);
            pending.ring(account(1), None, now);
        }
        assert_eq!(pending.len(), 2);
        let (taken, _) = pending.take(1);
        assert_eq!(accounts(&taken), [account(2)], "first come first served");
        // A ring while one is out is a new one, and it waits for the answer.
        pending.ring(account(2), None, now);
        let (taken, _) = pending.take(9);
        assert_eq!((accounts(&taken), pending.len()), (vec![account(1)], 2));
        pending.done(account(2));
        let (taken, soonest) = pending.take(9);
        assert!(taken.is_empty(), "an account that keeps ringing rings the broker now and then");
        tokio::time::sleep_until(soonest.unwrap()).await;
        let (taken, _) = pending.take(9);
        assert_eq!(accounts(&taken), [account(2)]);
        pending.failed(account(2));
        let (taken, soonest) = pending.take(9);
        assert!(taken.is_empty(), "not at once");
        tokio::time::sleep_until(soonest.unwrap()).await;
        assert_eq!(accounts(&pending.take(9).0), [account(2)]);
        pending.all_failed();
        let (taken, _) = pending.take(9);
        assert_eq!(taken.len(), 2, "a lost line makes none wait");
        taken.iter().for_each(|(account, _)| pending.done(*account));
        assert_eq!(pending.len(), 0);
    }
}
