//! The list of requests that wait to be written, and which of them are written together. It writes nothing.
//!
//! What may be together is, up to a bound; what is alone or apart is by itself; who sees every tenant's rows is among its
//! like, and so is who claims due work: that waits for another gateway that claims of the same account, and nobody else shall.
//! Requests keep their order among those that can have their turn, but for claims, which come first: they are few, and others'
//! wait for them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::scope::{Among, Whose};
use crate::store::sql::ahead::About;
use crate::store::sql::jobs::Job;
use crate::store::sql::scope::Scope;

/// Requests of one transaction.
const MOST_IN_BATCH: usize = 128;

/// A commit costs the same for few as for many: fewer than these are taken a moment after the batch before them at the
/// soonest, where one of late had several. Who comes alone, one request after another, waits for nobody.
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
#[derive(Default)]
pub(super) struct Pending {
    pub(super) waiting: VecDeque<Waiting>,
    /// Threads that have a batch of what may be together, and threads that have nothing to do.
    pub(super) writing: usize,
    pub(super) asleep: usize,
    /// When a batch was last taken, when one of several was, and whether a thread lets the next one gather.
    pub(super) taken: Option<Instant>,
    pub(super) several: Option<Instant>,
    pub(super) gathering: bool,
    /// Of those that have a batch, who claim due work.
    pub(super) claiming: usize,
    pub(super) closed: bool,
    pub(super) barred: Vec<Barred>,
    /// Threads that run what is alone or apart, and of these what is apart.
    pub(super) alone: usize,
    pub(super) apart: usize,
}

impl Pending {
    /// Until when few are left to become more. Nobody is where one has its turn that nobody else would join, or that claims:
    /// others wait for it.
    pub(super) fn gathers_until(&self, moment: Duration, has_its_turn: impl Fn(&Waiting) -> bool) -> Option<Instant> {
        let is_few = (1..FEW).contains(&self.waiting.len());
        let urgent = |next: &Waiting| (next.claims() || next.among != Among::Beside) && has_its_turn(next);
        let gathers = is_few && !self.closed && !self.waiting.iter().any(urgent);
        let (taken, several) = (self.taken?, self.several?);
        (gathers && taken < several + moment * OF_LATE).then(|| taken + moment)
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

    use super::{Among, FEW, OF_LATE, Pending, Scope, Waiting};
    use crate::store::sql::jobs::job;

    const MOMENT: Duration = Duration::from_millis(6);

    /// Whether so many gather, where one waits that is among others so, and several came so long before the last.
    fn gather(count: usize, among: Among, several: Duration) -> bool {
        let taken = Instant::now();
        let waiting = |_| Waiting { job: job(|_| Ok(())).0, scope: Scope::Nobody, among, about: None };
        let (waiting, several) = ((0..count).map(waiting).collect(), taken.checked_sub(several));
        let pending = Pending { waiting, taken: Some(taken), several, ..Pending::default() };
        pending.gathers_until(MOMENT, |_| true) == Some(taken + MOMENT)
    }

    #[test]
    fn few_gather_where_several_came_of_late() {
        assert!(gather(1, Among::Beside, Duration::ZERO) && gather(FEW - 1, Among::Beside, MOMENT));
        assert!(!gather(1, Among::Beside, MOMENT * OF_LATE), "one caller after another");
        assert!(!gather(FEW, Among::Beside, Duration::ZERO), "enough");
        assert!(
            !gather(1, Among::Alone, Duration::ZERO) && !gather(1, Among::Apart, Duration::ZERO),
            "nobody joins it"
        );
    }
}
