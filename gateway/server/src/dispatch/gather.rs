//! How long an account is not claimed for after a claim that gave a few: a claim and what it loads cost nearly the same for one
//! delivery as for many, and an account that rings all the time would have a claim for every few.
//!
//! An account that rings now and then is claimed for at once. Pure bookkeeping; forgetting it costs a claim.

use std::collections::BTreeMap;
use std::time::Duration;

use causeway_core::ids::AccountId;
use tokio::time::Instant;

/// A claim of so many is worth what it costs.
const WORTH: usize = 16;

/// At so many rings that are not acknowledged nobody gathers any longer: a broker that has 32 of those from one queue hands out
/// no more of it.
const MOST: usize = 24;

/// Who gathers, and until when.
pub(super) struct Gather {
    time: Duration,
    of: BTreeMap<AccountId, Instant>,
}

impl Gather {
    pub(super) const fn new(time: Duration) -> Self {
        Self { time, of: BTreeMap::new() }
    }

    /// A claim gave so many, and there are no more. Where those were several, but not worth a claim, the next is a while later.
    pub(super) fn claimed(&mut self, account: AccountId, count: usize, now: Instant) {
        self.of.remove(&account);
        if (2..WORTH).contains(&count) && !self.time.is_zero() {
            self.of.insert(account, now + self.time);
        }
    }

    /// So many rings are not acknowledged.
    pub(super) fn heard(&mut self, rings: usize) {
        if rings >= MOST {
            self.of.clear();
        }
    }

    /// Until when it gathers, if it does.
    pub(super) fn until(&self, account: AccountId, now: Instant) -> Option<Instant> {
        self.of.get(&account).copied().filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use causeway_core::clock::SeededEntropy;
    use jiff::Timestamp;

    use super::*;

    const TIME: Duration = Duration::from_millis(100);

    #[tokio::test(start_paused = true)]
    async fn an_account_gathers_after_several_for_a_while_or_until_enough_rang() {
        let entropy = SeededEntropy::new(1);
        let [one, other] = [(); 2].map(|()| AccountId::new(Timestamp::UNIX_EPOCH, &entropy));
        let (now, mut gather) = (Instant::now(), Gather::new(TIME));
        gather.claimed(one, 1, now);
        assert_eq!(gather.until(one, now), None, "it rings now and then");
        gather.claimed(one, WORTH, now);
        assert_eq!(gather.until(one, now), None, "it has enough");
        gather.claimed(one, 2, now);
        assert_eq!((gather.until(one, now), gather.until(other, now)), (Some(now + TIME), None));
        assert_eq!(gather.until(one, now + TIME), None);
        gather.claimed(other, 2, now);
        gather.heard(MOST - 1);
        assert!(gather.until(one, now).is_some());
        gather.heard(MOST);
        assert_eq!((gather.until(one, now), gather.until(other, now)), (None, None), "{MOST} rings");
        gather.claimed(one, 2, now);
        gather.claimed(one, 0, now);
        assert_eq!(gather.until(one, now), None);
        let mut never = Gather::new(Duration::ZERO);
        never.claimed(one, 2, now);
        assert_eq!(never.until(one, now), None);
    }
}
