//! What dispatch holds in memory: claims not begun yet, how many are under way per account, where more work is known.
//!
//! Pure bookkeeping, no I/O. Losing it loses nothing: leases bring the work back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use causeway_core::ids::AccountId;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::fair;
use super::gather::Gather;
use crate::store::work::{Claim, Claimed};

/// A delivery's worker has ended. Sent when dropped, so a worker that dies reports too.
pub(super) struct Finished {
    account: AccountId,
    was_suspect: bool,
    /// When the delivery is due again, if it is.
    next: Option<Timestamp>,
    report: Option<mpsc::UnboundedSender<Report>>,
}

/// What a worker reported.
pub(super) struct Report {
    account: AccountId,
    was_suspect: bool,
    next: Option<Timestamp>,
}

impl Finished {
    pub(super) fn of(claim: &Claim, report: mpsc::UnboundedSender<Report>) -> Self {
        Self { account: claim.account, was_suspect: claim.is_suspect, next: None, report: Some(report) }
    }

    pub(super) fn send(mut self, next: Option<Timestamp>) {
        self.next = next;
    }
}

impl Drop for Finished {
    fn drop(&mut self) {
        if let Some(report) = self.report.take() {
            // Nobody listens any more after a stop, and nothing is lost by it.
            let (account, was_suspect, next) = (self.account, self.was_suspect, self.next);
            report.send(Report { account, was_suspect, next }).ok();
        }
    }
}

pub(super) struct Desk {
    in_flight: usize,
    running: BTreeMap<AccountId, usize>,
    ready: BTreeMap<AccountId, VecDeque<Claim>>,
    /// Each account's calls at once, as last told.
    concurrency: BTreeMap<AccountId, usize>,
    /// Each account's vendor.
    vendors: BTreeMap<AccountId, Arc<str>>,
    /// Who was started last, to go on behind him.
    last: Option<AccountId>,
    /// A delivery that ended workers is claimed and has not been carried to its end.
    has_suspect: bool,
    /// Whose turn it was to have one.
    last_suspect: Option<AccountId>,
    /// Accounts known to have more due work.
    more: BTreeSet<AccountId>,
    /// Accounts that cannot take any before then.
    blocked: BTreeMap<AccountId, Timestamp>,
    /// Of these, the ones that the store could not tell of or not claim for.
    missed: BTreeSet<AccountId>,
    next_due: Option<Timestamp>,
    gather: Gather,
}

impl Desk {
    pub(super) fn new(in_flight: usize, gather: Duration) -> Self {
        Self {
            in_flight: in_flight.max(1),
            running: BTreeMap::new(),
            ready: BTreeMap::new(),
            concurrency: BTreeMap::new(),
            vendors: BTreeMap::new(),
            last: None,
            has_suspect: false,
            last_suspect: None,
            more: BTreeSet::new(),
            blocked: BTreeMap::new(),
            missed: BTreeSet::new(),
            next_due: None,
            gather: Gather::new(gather),
        }
    }

    fn running_of(&self, account: AccountId) -> usize {
        self.running.get(&account).copied().unwrap_or(0)
    }

    fn ready_of(&self, account: AccountId) -> usize {
        self.ready.get(&account).map_or(0, VecDeque::len)
    }

    /// The store was asked: who has due work, and when there is more.
    pub(super) fn looked(&mut self, due: impl Iterator<Item = AccountId>, next: Option<Timestamp>) {
        self.more = due.collect();
        self.blocked.clear();
        self.missed.clear();
        self.next_due = next;
    }

    /// Somebody made work of the account due.
    pub(super) fn rung(&mut self, account: AccountId) {
        self.more.insert(account);
        self.blocked.remove(&account);
    }

    /// So many rings are not acknowledged.
    pub(super) fn heard(&mut self, rings: usize) {
        self.gather.heard(rings);
    }

    /// The account is claimed for later, together with what comes until then.
    pub(super) fn gathers(&self, account: AccountId, now: Instant) -> bool {
        self.more.contains(&account) && self.gather.until(account, now).is_some()
    }

    /// When the first of these is claimed for.
    pub(super) fn gathered(&self, now: Instant) -> Option<Instant> {
        self.more.iter().filter_map(|account| self.gather.until(*account, now)).min()
    }

    /// Accounts worth claiming for: more work is known, and they have begun most of what they hold.
    pub(super) fn more(&self, now: Instant) -> Vec<AccountId> {
        let low = |account: &AccountId| {
            let concurrency = self.concurrency.get(account).copied().unwrap_or(1);
            self.running_of(*account) + self.ready_of(*account) <= concurrency && !self.blocked.contains_key(account)
        };
        self.more.iter().copied().filter(|account| low(account) && !self.gathers(*account, now)).collect()
    }

    pub(super) fn blocked(&mut self, account: AccountId, until: Timestamp) {
        self.blocked.insert(account, until);
    }

    /// Whether the store could not tell of it, or not claim for it.
    pub(super) fn missed(&mut self, account: AccountId, is_missed: bool) {
        if is_missed {
            self.missed.insert(account);
        } else {
            self.missed.remove(&account);
        }
    }

    /// The store could not tell of it, or not claim for it.
    pub(super) fn misses(&self, account: AccountId) -> bool {
        self.missed.contains(&account)
    }

    /// How many more claims the account could use.
    pub(super) fn appetite(
        &mut self,
        account: AccountId,
        vendor: &Arc<str>,
        concurrency: usize,
        calls: usize,
    ) -> usize {
        self.concurrency.insert(account, concurrency);
        self.vendors.insert(account, Arc::clone(vendor));
        let held = self.running_of(account) + self.ready_of(account);
        (2 * concurrency).saturating_sub(held).min(calls.saturating_sub(self.ready_of(account)))
    }

    /// How many more claims all accounts together may hold.
    pub(super) fn free(&self) -> usize {
        let held = self.running.values().sum::<usize>() + self.ready.values().map(VecDeque::len).sum::<usize>();
        (2 * self.in_flight).saturating_sub(held)
    }

    /// Of these, how many more each vendor's accounts together may hold.
    pub(super) fn room(&self) -> BTreeMap<Arc<str>, usize> {
        let mut room: BTreeMap<Arc<str>, usize> =
            self.vendors.values().map(|vendor| (Arc::clone(vendor), fair::of_one_vendor(2 * self.in_flight))).collect();
        let waiting = self.ready.iter().map(|(account, claims)| (account, claims.len()));
        for (account, held) in self.running.iter().map(|(account, count)| (account, *count)).chain(waiting) {
            if let Some(room) = self.vendors.get(account).and_then(|vendor| room.get_mut(vendor)) {
                *room = room.saturating_sub(held);
            }
        }
        room
    }

    /// May one more of this account's vendor be under way?
    fn vendor_may_start(&self, account: AccountId) -> bool {
        let vendor = self.vendors.get(&account);
        let same = self.running.iter().filter(|(other, _)| self.vendors.get(*other) == vendor);
        same.map(|(_, count)| count).sum::<usize>() < fair::of_one_vendor(self.in_flight)
    }

    /// Of these accounts, the one whose turn it is to have a suspect carried; none while one is in hand.
    pub(super) fn suspect_of(&mut self, asked: &[(AccountId, usize)]) -> Option<AccountId> {
        if self.has_suspect {
            return None;
        }
        let after = |account: &AccountId| self.last_suspect.is_none_or(|last| *account > last);
        let accounts = || asked.iter().map(|(account, _)| *account);
        self.last_suspect = accounts().filter(after).min().or_else(|| accounts().min());
        self.last_suspect
    }

    /// The store's answer to a claim. An account that got less than was asked for has no more that can be claimed now, unless
    /// its claim failed.
    pub(super) fn claimed(&mut self, asked: &[(AccountId, usize)], claimed: Claimed, now: Instant) {
        let Claimed { claims, failed } = claimed;
        let mut got: BTreeMap<AccountId, usize> = BTreeMap::new();
        for claim in &claims {
            *got.entry(claim.account).or_default() += 1;
        }
        for (account, asked) in asked.iter().filter(|(account, _)| !failed.contains(account)) {
            let got = got.get(account).copied().unwrap_or(0);
            if got < *asked {
                self.more.remove(account);
                self.gather.claimed(*account, got, now);
            }
        }
        for claim in claims {
            self.has_suspect |= claim.is_suspect;
            self.ready.entry(claim.account).or_default().push_back(claim);
        }
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next claim to begin, account by account in turn; `None` when nothing may begin now.
    pub(super) fn start(&mut self) -> Option<Claim> {
        if self.running.values().sum::<usize>() >= self.in_flight {
            return None;
        }
        let after = self.last.map_or_else(Vec::new, |last| {
            let behind = (std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded);
            self.ready.range(behind).map(|(account, _)| *account).collect()
        });
        let account = after.into_iter().chain(self.ready.keys().copied()).find(|account| {
            self.running_of(*account) < self.concurrency.get(account).copied().unwrap_or(1)
                && self.vendor_may_start(*account)
        })?;
        let queue = self.ready.get_mut(&account)?;
        let claim = queue.pop_front();
        if queue.is_empty() {
            self.ready.remove(&account);
        }
        self.last = Some(account);
        *self.running.entry(account).or_default() += 1;
        claim
    }

    pub(super) fn finished(&mut self, report: &Report) {
        self.has_suspect &= !report.was_suspect;
        if let Some(count) = self.running.get_mut(&report.account) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.running.remove(&report.account);
            }
        }
        if let Some(next) = report.next {
            self.next_due = Some(self.next_due.map_or(next, |known| known.min(next)));
        }
    }

    /// How long nothing will happen by itself, at most `most`.
    pub(super) fn wake(&self, now: Timestamp, most: Duration) -> Duration {
        let until = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO);
        let soonest = self.blocked.values().copied().chain(self.next_due).min();
        // Never nothing at all: a moment that has passed must not turn the loop into a spin.
        soonest.map_or(most, until).clamp(Duration::from_millis(5).min(most), most)
    }

    pub(super) fn into_ready(self) -> impl Iterator<Item = Claim> {
        self.ready.into_values().flatten()
    }
}

#[cfg(test)]
mod tests {
    use causeway_core::clock::SeededEntropy;
    use causeway_core::ids::{DeliveryId, SubmissionId, TenantId};

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn claims(account: AccountId, count: usize, entropy: &SeededEntropy) -> Vec<Claim> {
        let claim = |_| Claim {
            delivery: DeliveryId::new(NOW, entropy),
            tenant: TenantId::new(NOW, entropy),
            account,
            submission: SubmissionId::new(NOW, entropy),
            fence: 1,
            until: NOW,
            attempts: 0,
            is_suspect: false,
            verifying: None,
        };
        (0..count).map(claim).collect()
    }

    #[test]
    fn a_vendor_that_hangs_leaves_places_and_claims_for_the_others() {
        let (entropy, mut desk) = (SeededEntropy::new(1), Desk::new(8, Duration::ZERO));
        let (hung, well): (Arc<str>, Arc<str>) = ("hung".into(), "well".into());
        let accounts: Vec<_> = (0..4).map(|_| AccountId::new(NOW, &entropy)).collect();
        for account in &accounts[..3] {
            assert_eq!(desk.appetite(*account, &hung, 8, 100), 16);
            desk.claimed(&[(*account, 4)], claims(*account, 4, &entropy).into(), Instant::now());
        }
        desk.appetite(accounts[3], &well, 8, 100);
        assert_eq!((desk.free(), desk.room()), (4, BTreeMap::from([(Arc::clone(&hung), 0), (Arc::clone(&well), 12)])));
        let mut started = 0;
        while let Some(claim) = desk.start() {
            assert_ne!(claim.account, accounts[3]);
            started += 1;
        }
        assert_eq!(started, 6, "two places stay free of a vendor that answers nobody");
        desk.claimed(&[(accounts[3], 4)], claims(accounts[3], 4, &entropy).into(), Instant::now());
        for _ in 0..2 {
            assert_eq!(desk.start().map(|claim| claim.account), Some(accounts[3]));
        }
        assert!(desk.start().is_none(), "all eight are taken");
        desk.finished(&Report { account: accounts[3], was_suspect: false, next: None });
        assert_eq!(desk.start().map(|claim| claim.account), Some(accounts[3]));
    }

    #[test]
    fn suspects_are_carried_one_at_a_time_and_the_accounts_take_turns() {
        let (entropy, mut desk) = (SeededEntropy::new(1), Desk::new(8, Duration::ZERO));
        let vendor: Arc<str> = "any".into();
        let mut asked: Vec<_> = (0..3).map(|_| (AccountId::new(NOW, &entropy), 1)).collect();
        asked.sort_unstable();
        let [first, second, third] = [asked[0].0, asked[1].0, asked[2].0];
        assert_eq!([desk.suspect_of(&asked), desk.suspect_of(&asked)], [Some(first), Some(second)]);
        desk.appetite(second, &vendor, 8, 100);
        let mut claim = claims(second, 1, &entropy);
        claim[0].is_suspect = true;
        let report = Report { account: second, was_suspect: true, next: None };
        desk.claimed(&asked, claim.into(), Instant::now());
        assert_eq!(desk.suspect_of(&asked), None, "it is claimed");
        desk.start().unwrap();
        assert_eq!(desk.suspect_of(&asked), None, "it is being carried");
        desk.finished(&Report { account: second, was_suspect: false, next: None });
        assert_eq!(desk.suspect_of(&asked), None, "another one has ended");
        desk.finished(&report);
        assert_eq!([desk.suspect_of(&asked), desk.suspect_of(&asked)], [Some(third), Some(first)]);
    }
}
