//! The list of requests that wait to be written, and which of them are written together. It writes nothing.
//!
//! What may be together is, up to a bound; what is alone or apart is by itself; who sees every tenant's rows is among its
//! like, and so is who claims due work: that waits for another gateway that claims of the same account, and nobody else shall.
//! Requests keep their order among those that can have their turn, but for claims, which come first: they are few, and others'
//! wait for them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::crowd::Crowds;
use super::scope::{Among, Whose};
use crate::store::sql::ahead::About;
use crate::store::sql::jobs::Job;
use crate::store::sql::scope::Scope;

/// Requests of one transaction.
const MOST_IN_BATCH: usize = 128;

/// A commit costs the same for few as for many: fewer than these are taken a moment after the batch before them at the
/// soonest, where one of late had several. Who comes alone, one request after another, waits for nobody. Tenants that ask for
/// much have a longer moment, each its own, and nobody else waits for what they ask.
pub(super) const FEW: usize = 64;
pub(super) const MOMENT: Duration = Duration::from_millis(6);
/// Of late, in moments: among many there is a batch of one now and then.
const OF_LATE: u32 = 5;

/// A request that waits.
pub(super) struct Waiting {
    pub(super) job: Box<dyn Job>,
    pub(super) scope: Scope,
    pub(super) among: Among,
    pub(super) about: Option<About>,
}

impl Waiting {
    pub(super) const fn about(&self) -> Option<&About> {
        self.about.as_ref()
    }

    /// It is about a delivery that a worker has.
    pub(super) const fn has_in_hand(&self) -> bool {
        matches!(self.about, Some(About::Delivery(_)))
    }

    /// It claims an account's due work.
    pub(super) const fn claims(&self) -> bool {
        matches!(self.about, Some(About::Account(_)))
    }
}

/// Whose lock could not be had, by whom, and until when it is not asked for.
pub(super) struct Barred {
    pub(super) whose: Whose,
    pub(super) among: Among,
    pub(super) until: Instant,
}

/// The list, and what its threads are at.
pub(super) struct Pending {
    pub(super) waiting: VecDeque<Waiting>,
    /// Threads that have a batch of what may be together, and threads that have nothing to do.
    pub(super) writing: usize,
    pub(super) asleep: usize,
    /// How long few gather, and who asks for much.
    moment: Duration,
    pub(super) crowds: Crowds,
    /// Of tenants that do not: when a batch was last taken, and when one of several was.
    taken: Option<Instant>,
    several: Option<Instant>,
    /// The soonest that a thread sleeps until, because of those who gather.
    pub(super) gathering: Option<Instant>,
    /// Of those that have a batch, who claim due work.
    pub(super) claiming: usize,
    pub(super) closed: bool,
    pub(super) barred: Vec<Barred>,
    /// Threads that run what is alone or apart, and of these what is apart.
    pub(super) alone: usize,
    pub(super) apart: usize,
}

/// Whether the list is written at once, whoever waits on it, and until when those gather whose tenants ask for little.
#[derive(Clone, Copy)]
pub(super) struct Gate {
    is_open: bool,
    few: Option<Instant>,
}

impl Pending {
    pub(super) const fn new(moment: Duration) -> Self {
        Self {
            waiting: VecDeque::new(),
            writing: 0,
            asleep: 0,
            moment,
            crowds: Crowds::new(moment),
            taken: None,
            several: None,
            gathering: None,
            claiming: 0,
            closed: false,
            barred: Vec::new(),
            alone: 0,
            apart: 0,
        }
    }

    /// Open where enough wait, and where nobody is to come any more.
    pub(super) fn gate(&self) -> Gate {
        let is_open = self.closed || self.waiting.len() >= FEW;
        let (taken, several) = (self.taken, self.several);
        let few = taken.zip(several).filter(|(taken, several)| *taken < *several + self.moment * OF_LATE);
        Gate { is_open, few: few.map(|(taken, _)| taken + self.moment) }
    }

    /// A batch of what may be together was taken.
    pub(super) fn took(&mut self, batch: &[Whose], now: Instant) {
        let little = batch.iter().filter(|whose| self.crowds.until(**whose).is_none()).count();
        if little > 0 {
            self.taken = Some(now);
        }
        if little > 1 {
            self.several = Some(now);
        }
        self.crowds.took(batch.iter().copied(), now);
    }
}

impl Gate {
    /// Until when a request gathers. Who claims does not, others wait for it; nor does what nobody else would join.
    pub(super) fn until(self, next: &Waiting, whose: Whose, crowds: &Crowds) -> Option<Instant> {
        let gathers = !self.is_open && !next.claims() && next.among == Among::Beside;
        gathers.then(|| crowds.until(whose).or(self.few)).flatten()
    }
}

/// The next batch of those whose turn it is: one that is alone, or all that may be together. Who sees every tenant's rows is
/// among its like: for the others the walls stand. So is who claims.
pub(super) fn take(waiting: &mut VecDeque<Waiting>, has_its_turn: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
    let has_its_turn = |next: &Waiting| !next.job.is_abandoned() && has_its_turn(next);
    let claim = waiting.iter().position(|next| next.claims() && has_its_turn(next));
    let first = claim.or_else(|| waiting.iter().position(has_its_turn));
    if let Some(at) = first
        && waiting.get(at).is_some_and(|first| first.among != Among::Beside)
    {
        return waiting.remove(at).into_iter().collect();
    }
    let kind = |next: &Waiting| (next.scope == Scope::Every, next.claims());
    let Some(among) = first.and_then(|at| waiting.get(at)).map(kind) else {
        waiting.retain(|next| !next.job.is_abandoned());
        return Vec::new();
    };
    let mut batch = Vec::new();
    let mut rest = VecDeque::with_capacity(waiting.len());
    while let Some(next) = waiting.pop_front() {
        if batch.len() == MOST_IN_BATCH {
            rest.push_back(next);
            rest.append(waiting);
            break;
        }
        match next.among {
            _ if next.job.is_abandoned() => {}
            Among::Beside if kind(&next) == among && has_its_turn(&next) => batch.push(next),
            Among::Apart | Among::Alone | Among::Beside => rest.push_back(next),
        }
    }
    *waiting = rest;
    batch
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use causeway_core::clock::SeededEntropy;
    use causeway_core::ids::{AccountId, TenantId};
    use jiff::Timestamp;

    use super::{About, Among, FEW, OF_LATE, Pending, Scope, Waiting, Whose};
    use crate::store::postgres::crowd::MANY;
    use crate::store::sql::jobs::job;

    const MOMENT: Duration = Duration::from_millis(6);

    fn waiting(among: Among) -> Waiting {
        Waiting { job: job(|_| Ok(())).0, scope: Scope::Nobody, among, about: None }
    }

    /// Whether one gathers beside so many others, where several came so long before the last.
    fn gathers(others: usize, next: &Waiting, before: Duration) -> bool {
        let (several, mut pending) = (Instant::now(), Pending::new(MOMENT));
        pending.took(&[Whose::Nobody; 2], several);
        pending.took(&[Whose::Nobody], several + before);
        pending.waiting = (0..others).map(|_| waiting(Among::Beside)).collect();
        let until = pending.gate().until(next, Whose::Nobody, &pending.crowds);
        assert!(until.is_none_or(|until| until == several + before + MOMENT));
        until.is_some()
    }

    #[test]
    fn few_gather_where_several_came_of_late() {
        let next = waiting(Among::Beside);
        assert!(gathers(0, &next, Duration::ZERO) && gathers(FEW - 1, &next, MOMENT));
        assert!(!gathers(0, &next, MOMENT * OF_LATE), "one caller after another");
        assert!(!gathers(FEW, &next, Duration::ZERO), "enough");
        let apart = [Among::Alone, Among::Apart].map(waiting);
        assert!(!apart.iter().any(|next| gathers(0, next, Duration::ZERO)), "nobody joins it");
        let account = AccountId::new(Timestamp::UNIX_EPOCH, &SeededEntropy::new(1));
        let claim = Waiting { about: Some(About::Account(account)), ..waiting(Among::Beside) };
        assert!(!gathers(0, &claim, Duration::ZERO), "others wait for it");
    }

    #[test]
    fn who_asks_for_little_does_not_wait_for_those_who_ask_for_much() {
        let (now, mut pending) = (Instant::now(), Pending::new(MOMENT));
        let [loud, quiet] =
            [1, 2].map(|seed| Whose::Tenant(TenantId::new(Timestamp::UNIX_EPOCH, &SeededEntropy::new(seed))));
        for _ in 0..MANY {
            pending.took(&[loud], now);
        }
        let later = now + MOMENT;
        pending.took(&[loud; 40], later);
        let next = waiting(Among::Beside);
        let until = |whose| pending.gate().until(&next, whose, &pending.crowds);
        assert!(until(loud).is_some_and(|until| until > later + MOMENT));
        assert_eq!(until(quiet), None);
    }
}
