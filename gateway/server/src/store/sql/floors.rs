//! From where on due work is looked for, in an engine that keeps what is dead while somebody reads an old snapshot.
//!
//! The index of timers is read from its oldest entry. What was claimed is dead there, but while a transaction is open
//! anywhere that began before, it cannot go, and every look walks over it: an hour of that would be millions of entries.
//! So a look begins a little before where the last one ended. What is older and still to be found (it was committed late, a
//! clock is behind, it waited for another of the same person) is found by a look at everything: as often as those take less
//! than a twentieth of the time, which in quiet times is always. Wrong floors cost time, never work.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use causeway_core::ids::AccountId;

use super::rows::StoredId;

/// How much later than its own time an entry may be committed and still be found at once, in microseconds.
const LATE: i64 = 2_000_000;

/// Of the time, looks at everything take at most one part in so many.
const PART: u32 = 20;

/// Every entry.
pub(in crate::store) const EVERYTHING: i64 = i64::MIN;

/// How often everything is looked at.
#[derive(Default)]
struct Pace {
    next: Option<Instant>,
}

impl Pace {
    fn may(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| now >= next)
    }

    fn took(&mut self, began: Instant, took: Duration) {
        self.next = began.checked_add(took.saturating_mul(PART));
    }
}

struct Lane {
    from: i64,
    everything: Pace,
}

#[derive(Default)]
struct Known {
    lanes: HashMap<(AccountId, i64), Lane>,
    due: Pace,
    expired: Pace,
}

/// See the module's documentation.
pub(in crate::store) struct Floors(Option<Mutex<Known>>);

impl Floors {
    /// For an engine that keeps nothing dead: everything is looked at, always.
    pub(in crate::store) const fn none() -> Self {
        Self(None)
    }

    /// For an engine that does.
    pub(in crate::store) fn kept() -> Self {
        Self(Some(Mutex::default()))
    }

    fn known(&self) -> Option<MutexGuard<'_, Known>> {
        self.0.as_ref().map(|known| known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From where the account's lane is looked at now.
    pub(in crate::store) fn lane(&self, account: AccountId, lane: i64, now: Instant) -> i64 {
        let Some(known) = self.known() else { return EVERYTHING };
        known.lanes.get(&(account, lane)).filter(|lane| !lane.everything.may(now)).map_or(EVERYTHING, |lane| lane.from)
    }

    /// Floors are of use.
    pub(in crate::store) const fn are_kept(&self) -> bool {
        self.0.is_some()
    }

    /// It was looked at from `from` to `end`. What was `left` there is looked for again.
    pub(in crate::store) fn looked(
        &self,
        account: AccountId,
        lane: i64,
        from: i64,
        (end, left): (i64, Option<i64>),
        began: Instant,
    ) {
        let Some(mut known) = self.known() else { return };
        let lane = known
            .lanes
            .entry((account, lane))
            .or_insert_with(|| Lane { from: EVERYTHING, everything: Pace::default() });
        let end = end.saturating_sub(LATE);
        lane.from = left.map_or(end, |left| left.min(end));
        if from == EVERYTHING {
            lane.everything.took(began, began.elapsed());
        }
    }

    /// The floors of every lane that is known, and of all others, as the statement that looks for due accounts reads
    /// them; empty for everything.
    pub(in crate::store) fn due(&self, until: i64, now: Instant) -> String {
        let Some(known) = self.known().filter(|known| !known.due.may(now)) else { return "{}".to_owned() };
        let mut floors = vec![format!("\"\":{}", until.saturating_sub(LATE))];
        floors.extend(known.lanes.iter().map(|((account, number), lane)| {
            let account = data_encoding::HEXLOWER.encode(&account.bytes());
            format!("\"{account}{number}\":{}", lane.from)
        }));
        format!("{{{}}}", floors.join(","))
    }

    /// Everything was looked at for due accounts.
    pub(in crate::store) fn looked_for_due(&self, floors: &str, began: Instant) {
        if let Some(mut known) = self.known().filter(|_| floors == "{}") {
            known.due.took(began, began.elapsed());
        }
    }

    /// From where leases that have run out are looked for.
    pub(in crate::store) fn expired(&self, until: i64, kept: i64, now: Instant) -> i64 {
        match self.known() {
            Some(known) if !known.expired.may(now) => until.saturating_sub(kept),
            Some(_) | None => EVERYTHING,
        }
    }

    /// They were looked for there.
    pub(in crate::store) fn looked_for_expired(&self, from: i64, began: Instant) {
        if let Some(mut known) = self.known().filter(|_| from == EVERYTHING) {
            known.expired.took(began, began.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use causeway_core::ids::AccountId;
    use uuid::Uuid;

    use super::{EVERYTHING, Floors, LATE, Pace};

    fn account() -> AccountId {
        AccountId::from_uuid(Uuid::from_bytes([7; 16]))
    }

    #[test]
    fn everything_is_looked_at_while_that_is_quick_and_seldom_when_it_is_slow() {
        let began = Instant::now();
        let mut pace = Pace::default();
        assert!(pace.may(began));
        pace.took(began, Duration::from_secs(1));
        assert!(!pace.may(began + Duration::from_secs(19)));
        assert!(pace.may(began + Duration::from_secs(20)));
    }

    #[test]
    fn a_look_begins_a_little_before_where_the_last_one_ended() {
        let floors = Floors::kept();
        // As long ago as a slow look needs to be to last until now.
        let began = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        assert_eq!(floors.lane(account(), 0, began), EVERYTHING);
        floors.looked(account(), 0, EVERYTHING, (10 * LATE, None), began);
        assert_eq!(floors.lane(account(), 0, Instant::now()), 9 * LATE);
        assert_eq!(floors.lane(account(), 1, Instant::now()), EVERYTHING, "another lane");
        let waiting = Floors::kept();
        waiting.looked(account(), 0, EVERYTHING, (10 * LATE, Some(3)), began);
        assert_eq!(waiting.lane(account(), 0, Instant::now()), 3, "one that waits for another is not passed by");
        floors.looked_for_due("{}", began);
        assert_eq!(
            floors.due(20 * LATE, Instant::now()),
            format!("{{\"\":{},\"{}0\":{}}}", 19 * LATE, "07".repeat(16), 9 * LATE)
        );
        assert_eq!(floors.due(20 * LATE, began + Duration::from_hours(1)), "{}");
    }

    #[test]
    fn an_engine_without_dead_entries_always_looks_at_everything() {
        let floors = Floors::none();
        let began = Instant::now();
        floors.looked(account(), 0, EVERYTHING, (LATE, None), began);
        floors.looked_for_due("{}", began);
        floors.looked_for_expired(EVERYTHING, began);
        assert_eq!(floors.lane(account(), 0, began), EVERYTHING);
        assert_eq!(floors.due(LATE, began), "{}");
        assert_eq!(floors.expired(LATE, 0, began), EVERYTHING);
    }
}
