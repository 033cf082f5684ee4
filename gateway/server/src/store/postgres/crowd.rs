//! Which tenants ask for much, and how long what they ask for gathers before it is written.
//!
//! A batch costs nearly the same for one request as for many. A tenant that asks for much waits until its requests are worth one,
//! and so leaves the machine to those who ask for little, who wait for none of it. Pure bookkeeping: what it forgets costs a
//! batch.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use causeway_core::ids::TenantId;

use super::scope::Whose;

/// Tenants are counted in windows of so many moments. Who has so many requests in the one that runs and the one before it asks
/// for much.
const WINDOW: u32 = 16;
pub(super) const MANY: u32 = 32;

/// Requests that are worth a batch, and how long after the last batch they are taken at the latest, in moments.
const WORTH: u32 = 32;
const LONGEST: u32 = 4;

/// A tenant's requests that were taken.
struct Crowd {
    window: Instant,
    count: u32,
    before: u32,
    taken: Instant,
}

/// The tenants of late.
pub(super) struct Crowds {
    moment: Duration,
    of: BTreeMap<TenantId, Crowd>,
}

impl Crowds {
    pub(super) const fn new(moment: Duration) -> Self {
        Self { moment, of: BTreeMap::new() }
    }

    /// Until when the tenant's requests gather: a moment after the last of them were taken at the soonest, later where fewer
    /// would have come by then than are worth a batch. None where it does not ask for much.
    pub(super) fn until(&self, whose: Whose) -> Option<Instant> {
        let Whose::Tenant(tenant) = whose else { return None };
        let crowd = self.of.get(&tenant)?;
        let many = crowd.before + crowd.count;
        let time = self.moment * WINDOW + crowd.taken.saturating_duration_since(crowd.window);
        let worth = time * WORTH / many.max(1);
        (many >= MANY).then(|| crowd.taken + worth.clamp(self.moment, self.moment * LONGEST))
    }

    /// A batch of these was taken. Who asked for nothing of late is forgotten.
    pub(super) fn took(&mut self, batch: impl Iterator<Item = Whose>, now: Instant) {
        let window = self.moment * WINDOW;
        for whose in batch {
            let Whose::Tenant(tenant) = whose else { continue };
            let crowd = self.of.entry(tenant).or_insert(Crowd { window: now, count: 0, before: 0, taken: now });
            let since = now.saturating_duration_since(crowd.window);
            if since >= window {
                crowd.before = if since < window * 2 { crowd.count } else { 0 };
                (crowd.window, crowd.count) = (now, 0);
            }
            crowd.count += 1;
            crowd.taken = now;
        }
        self.of.retain(|_, crowd| now.saturating_duration_since(crowd.taken) < window * 2);
    }
}

#[cfg(test)]
mod tests {
    use std::iter::repeat_n;

    use causeway_core::clock::SeededEntropy;
    use jiff::Timestamp;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(6);

    fn tenant(seed: u64) -> Whose {
        Whose::Tenant(TenantId::new(Timestamp::UNIX_EPOCH, &SeededEntropy::new(seed)))
    }

    #[test]
    fn who_asks_for_much_gathers_until_it_is_worth_a_batch_and_nobody_else_does() {
        let (begun, mut crowds) = (Instant::now(), Crowds::new(MOMENT));
        crowds.took(repeat_n(tenant(1), 31).chain([tenant(2)]), begun);
        assert_eq!(crowds.until(tenant(1)), None, "one too few");
        crowds.took([tenant(1), Whose::Nobody].into_iter().chain(repeat_n(Whose::Every, 99)), begun);
        let longest = begun + MOMENT * LONGEST;
        assert_eq!(
            crowds.until(tenant(1)),
            Some(longest),
            "thirty-two in sixteen moments: no more than four are waited"
        );
        assert_eq!([tenant(2), Whose::Every, Whose::Nobody].map(|whose| crowds.until(whose)), [None; 3]);
        crowds.took(repeat_n(tenant(1), 224), begun);
        assert_eq!(crowds.until(tenant(1)), Some(begun + MOMENT * 2), "as many in two moments as are worth a batch");
        crowds.took(repeat_n(tenant(1), 9_000), begun);
        assert_eq!(crowds.until(tenant(1)), Some(begun + MOMENT), "a moment in any case");
    }

    #[test]
    fn who_asked_for_much_before_does_not_gather() {
        let (begun, mut crowds) = (Instant::now(), Crowds::new(MOMENT));
        let at = |moments: u32| begun + MOMENT * moments;
        crowds.took(repeat_n(tenant(1), 31), at(0));
        crowds.took([tenant(1)].into_iter(), at(WINDOW));
        assert!(crowds.until(tenant(1)).is_some(), "the window before counts");
        crowds.took([tenant(1)].into_iter(), at(3 * WINDOW));
        assert_eq!(crowds.until(tenant(1)), None, "what came before the window before does not");
        crowds.took(repeat_n(tenant(2), 32), at(3 * WINDOW));
        crowds.took([Whose::Nobody].into_iter(), at(5 * WINDOW));
        assert!(crowds.of.is_empty(), "{:?}", crowds.of.keys());
    }
}
