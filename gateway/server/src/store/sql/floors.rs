//! From where on due work, of each kind, is looked for, in an engine that keeps what is dead while somebody reads an old snapshot.
//!
//! The index of timers is read from its oldest entry. What was claimed is dead there, but while a transaction is open
//! anywhere that began before, it cannot go, and every look walks over it: an hour of that would be millions of entries.
//! So a look begins a little before where the last one ended. What is older and still to be found (it was committed late, a
//! clock is behind, it waited for another of the same person) is found by a look at everything: as often as those take less
//! than a twentieth of the time, which in quiet times is always. Wrong floors cost time, never work.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use causeway_core::ids::{AccountId, EndpointId};

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

/// What an entry is looked for by; as a statement that looks over all of them names it.
pub(in crate::store) trait Key: Copy + Eq + Hash {
    fn name(self) -> String;
}

impl Key for (AccountId, i64) {
    fn name(self) -> String {
        format!("{}{}", self.0.name(), self.1)
    }
}

impl Key for AccountId {
    fn name(self) -> String {
        data_encoding::HEXLOWER.encode(&self.bytes())
    }
}

impl Key for EndpointId {
    fn name(self) -> String {
        data_encoding::HEXLOWER.encode(&self.bytes())
    }
}

/// The floors of one kind of timer.
pub(in crate::store) struct Of<K>(Option<Mutex<Known<K>>>);

struct Known<K> {
    lanes: HashMap<K, Lane>,
    due: Pace,
}

impl<K: Key> Of<K> {
    fn kept() -> Self {
        Self(Some(Mutex::new(Known { lanes: HashMap::new(), due: Pace::default() })))
    }

    fn known(&self) -> Option<MutexGuard<'_, Known<K>>> {
        self.0.as_ref().map(|known| known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Floors are of use.
    pub(in crate::store) const fn are_kept(&self) -> bool {
        self.0.is_some()
    }

    /// From where its entries are looked at now.
    pub(in crate::store) fn from(&self, key: K, now: Instant) -> i64 {
        let Some(known) = self.known() else { return EVERYTHING };
        known.lanes.get(&key).filter(|lane| !lane.everything.may(now)).map_or(EVERYTHING, |lane| lane.from)
    }

    /// They were looked at from `from` to `end`. What was `left` there is looked for again.
    pub(in crate::store) fn looked(&self, key: K, from: i64, (end, left): (i64, Option<i64>), began: Instant) {
        let Some(mut known) = self.known() else { return };
        let lane = known.lanes.entry(key).or_insert_with(|| Lane { from: EVERYTHING, everything: Pace::default() });
        let end = end.saturating_sub(LATE);
        lane.from = left.map_or(end, |left| left.min(end));
        if from == EVERYTHING {
            lane.everything.took(began, began.elapsed());
        }
    }

    /// The floors of all that are known, and of all others, as the statement that looks for what is due reads them; empty
    /// for everything.
    pub(in crate::store) fn due(&self, until: i64, now: Instant) -> String {
        let Some(known) = self.known().filter(|known| !known.due.may(now)) else { return "{}".to_owned() };
        let mut floors = vec![format!("\"\":{}", until.saturating_sub(LATE))];
        floors.extend(known.lanes.iter().map(|(key, lane)| format!("\"{}\":{}", key.name(), lane.from)));
        format!("{{{}}}", floors.join(","))
    }

    /// Everything was looked at for what is due.
    pub(in crate::store) fn looked_for_due(&self, floors: &str, began: Instant) {
        if let Some(mut known) = self.known().filter(|_| floors == "{}") {
            known.due.took(began, began.elapsed());
        }
    }
}

/// See the module's documentation.
pub(in crate::store) struct Floors {
    /// Of deliveries, by account and lane.
    pub(in crate::store) deliveries: Of<(AccountId, i64)>,
    /// Of webhooks.
    pub(in crate::store) messages: Of<EndpointId>,
    /// Of what is to be read back.
    pub(in crate::store) unproven: Of<AccountId>,
    expired: Option<Mutex<Pace>>,
}

impl Floors {
    /// For an engine that keeps nothing dead: everything is looked at, always.
    pub(in crate::store) const fn none() -> Self {
        Self { deliveries: Of(None), messages: Of(None), unproven: Of(None), expired: None }
    }

    /// For an engine that does.
    pub(in crate::store) fn kept() -> Self {
        Self { deliveries: Of::kept(), messages: Of::kept(), unproven: Of::kept(), expired: Some(Mutex::default()) }
    }

    fn pace(&self) -> Option<MutexGuard<'_, Pace>> {
        self.expired.as_ref().map(|pace| pace.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From where leases that have run out are looked for.
    pub(in crate::store) fn expired(&self, until: i64, kept: i64, now: Instant) -> i64 {
        match self.pace() {
            Some(pace) if !pace.may(now) => until.saturating_sub(kept),
            Some(_) | None => EVERYTHING,
        }
    }

    /// They were looked for there.
    pub(in crate::store) fn looked_for_expired(&self, from: i64, began: Instant) {
        if let Some(mut pace) = self.pace().filter(|_| from == EVERYTHING) {
            pace.took(began, began.elapsed());
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
        let Floors { deliveries: floors, .. } = Floors::kept();
        // As long ago as a slow look needs to be to last until now.
        let began = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        assert_eq!(floors.from((account(), 0), began), EVERYTHING);
        floors.looked((account(), 0), EVERYTHING, (10 * LATE, None), began);
        assert_eq!(floors.from((account(), 0), Instant::now()), 9 * LATE);
        assert_eq!(floors.from((account(), 1), Instant::now()), EVERYTHING, "another lane");
        let Floors { deliveries: waiting, .. } = Floors::kept();
        waiting.looked((account(), 0), EVERYTHING, (10 * LATE, Some(3)), began);
        assert_eq!(waiting.from((account(), 0), Instant::now()), 3, "one that waits for another is not passed by");
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
        let deliveries = &floors.deliveries;
        deliveries.looked((account(), 0), EVERYTHING, (LATE, None), began);
        deliveries.looked_for_due("{}", began);
        floors.looked_for_expired(EVERYTHING, began);
        assert_eq!(deliveries.from((account(), 0), began), EVERYTHING);
        assert_eq!(deliveries.due(LATE, began), "{}");
        assert_eq!(floors.expired(LATE, 0, began), EVERYTHING);
    }
}
