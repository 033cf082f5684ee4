//! The wall clock of a gateway that has no other to agree with: one that does not jump when the machine's is set.
//!
//! Leases, timers, lookups and retention all reckon with the time that passes. Set forward by an hour, a clock would end the
//! leases of calls that are on the wire, take two looks at a vendor within seconds for a proof, and erase early; set back,
//! it would let everything wait. So a machine's clock that is set moves this one by nothing at once: it goes on, and comes
//! nearer by a thirtieth of the time that passes, which leases leave room for. It never begins before the latest moment that
//! the store has seen. What others check against their own clocks (signatures, certificates) takes the machine's. A step
//! forward soon after the start is NTP's first correction on a machine that does not know the time, and is followed.
//!
//! Invariant: between two readings it moves by at least 29 and at most 31 thirtieths of what has passed, but for that step
//! and for what NTP corrects without a jump.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use causeway_core::clock::{Apart, Clock};
use jiff::{SignedDuration, Timestamp};

/// A smaller difference is followed: NTP's own corrections, and the time between the two readings.
const FOLLOWED: SignedDuration = SignedDuration::from_secs(2);
/// Of the time that passes, the part by which it comes nearer.
const NEARER: i32 = 30;
/// So long after the start a step forward is followed.
const YOUNG: Duration = Duration::from_mins(2);
/// Nothing is waited for or looked up for longer: how far the two were apart matters no more.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(8 * 24);
/// What is further apart, or was not seen for so long, is not sure for a day.
const SURE: SignedDuration = SignedDuration::from_hours(24);
const GAP: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Two readings between which more time went by are made again: the process stood still.
const AT_ONCE: Duration = Duration::from_millis(50);
/// A machine on which every one of so many readings is held up has them taken as they are.
const READINGS: usize = 20;

/// See the module's documentation.
pub struct SteadyClock {
    wall: Arc<dyn Clock>,
    /// Time that passes, whatever anybody sets; since any moment.
    passed: Box<dyn Fn() -> Duration + Send + Sync>,
    start: Duration,
    last: Mutex<Reading>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    wall: Timestamp,
    passed: Duration,
    /// How far this clock is ahead of the wall's.
    ahead: SignedDuration,
    /// The furthest it was, and how long ago it was apart at all.
    apart: Apart,
    apart_ago: SignedDuration,
    /// Until it is sure.
    unsure_for: SignedDuration,
}

impl SteadyClock {
    /// Beside the machine's.
    pub fn new(wall: Arc<dyn Clock>) -> Self {
        Self::reckoning(wall, since_boot)
    }

    fn reckoning(wall: Arc<dyn Clock>, passed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        let start = passed();
        let last = Reading {
            wall: wall.now(),
            passed: start,
            ahead: SignedDuration::ZERO,
            apart: Apart::default(),
            apart_ago: SignedDuration::ZERO,
            unsure_for: SignedDuration::ZERO,
        };
        Self { wall, passed: Box::new(passed), start, last: Mutex::new(last) }
    }

    fn last(&self) -> MutexGuard<'_, Reading> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Both at one moment.
    fn read(&self) -> (Timestamp, Duration) {
        let mut before = (self.passed)();
        let mut read = (self.wall.now(), (self.passed)());
        for _ in 0..READINGS {
            if read.1.saturating_sub(before) < AT_ONCE {
                break;
            }
            before = (self.passed)();
            read = (self.wall.now(), (self.passed)());
        }
        read
    }

    /// This moment. Says so if the wall was set since the last reading, whoever it was that read.
    fn reading(&self) -> Reading {
        let mut last = self.last();
        let (wall, passed) = self.read();
        let went_by = SignedDuration::try_from(passed.saturating_sub(last.passed)).unwrap_or(SignedDuration::MAX);
        let set_by = wall.duration_since(last.wall).saturating_sub(went_by);
        // Even a clock that nobody sets is off by some parts of a million.
        let set_by = (set_by.abs() > FOLLOWED + went_by / 1_000).then_some(set_by);
        if let Some(set_by) = set_by {
            let goes_on = last.ahead.saturating_sub(set_by);
            let is_first = passed.saturating_sub(self.start) < YOUNG && set_by > SignedDuration::ZERO;
            last.ahead = if is_first { goes_on.max(last.ahead.min(SignedDuration::ZERO)) } else { goes_on };
            // What was stamped before the step is behind by that.
            let over = last.ahead.saturating_sub(goes_on);
            last.jumped(over);
        }
        last.unsure_for = last.unsure_for.saturating_sub(went_by).max(SignedDuration::ZERO);
        last.apart_ago = last.apart_ago.saturating_add(went_by);
        let nearer = went_by / NEARER;
        last.ahead = last.ahead.saturating_sub(last.ahead.clamp(-nearer, nearer));
        (last.wall, last.passed) = (wall, passed);
        last.note_apart();
        let reading = *last;
        drop(last);
        if let Some(set_by) = set_by {
            let (by, ahead) = (set_by.as_secs(), reading.ahead.as_secs());
            tracing::warn!(
                by,
                ahead,
                "the machine's clock was set; where ours is ahead or behind now, it comes nearer by and by"
            );
        }
        reading
    }
}

impl Reading {
    fn note_apart(&mut self) {
        self.apart.ahead = self.apart.ahead.max(self.ahead);
        self.apart.behind = self.apart.behind.max(SignedDuration::ZERO.saturating_sub(self.ahead));
        if self.ahead.abs() > FOLLOWED {
            self.apart_ago = SignedDuration::ZERO;
        } else if self.apart_ago > FORGOTTEN {
            self.apart = Apart::default();
        }
    }

    /// So much time was passed over, or none.
    fn jumped(&mut self, over: SignedDuration) {
        if over > FOLLOWED {
            self.apart.behind = self.apart.behind.max(over);
            self.apart_ago = SignedDuration::ZERO;
        }
        if over > GAP {
            self.unsure_for = SURE;
        }
    }

    fn now(&self) -> Timestamp {
        self.wall.saturating_add(self.ahead).unwrap_or(self.wall)
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        self.reading().now()
    }

    fn ahead(&self) -> SignedDuration {
        self.reading().ahead
    }

    fn apart(&self) -> Apart {
        self.reading().apart
    }

    fn is_sure(&self) -> bool {
        let reading = self.reading();
        reading.ahead.abs() < SURE && reading.unsure_for.is_zero()
    }

    fn memory(&self) -> Option<Vec<u8>> {
        let reading = self.reading();
        let Apart { ahead, behind } = reading.apart;
        let spans = [ahead, behind, reading.apart_ago, reading.unsure_for].map(micros).map(i64::to_be_bytes);
        Some([reading.now().as_microsecond().to_be_bytes().as_slice(), spans.as_flattened()].concat())
    }

    fn recall(&self, memory: &[u8]) {
        let Ok(memory) = <[u8; 40]>::try_from(memory) else { return };
        let at = |at: usize| i64::from_be_bytes(std::array::from_fn(|byte| memory[at * 8 + byte]));
        let Ok(seen) = Timestamp::from_microsecond(at(0)) else { return };
        let missing = seen.duration_since(self.reading().now());
        let mut last = self.last();
        let span = |index| SignedDuration::from_micros(at(index)).max(SignedDuration::ZERO);
        last.apart = Apart { ahead: span(1), behind: span(2) };
        (last.apart_ago, last.unsure_for) = (span(3), span(4));
        if missing > FOLLOWED {
            tracing::warn!(%seen, "the machine's clock is behind what the store has seen: ours goes on from there");
            last.ahead = last.ahead.saturating_add(missing);
        }
        if missing < -GAP {
            last.unsure_for = SURE;
        } else {
            last.apart_ago = last.apart_ago.saturating_sub(missing.min(SignedDuration::ZERO));
        }
        last.note_apart();
    }
}

fn micros(span: SignedDuration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// With the time that the machine slept.
fn since_boot() -> Duration {
    #[cfg(target_os = "linux")]
    let id = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let id = rustix::time::ClockId::Monotonic;
    Duration::try_from(rustix::time::clock_gettime(id)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use causeway_core::clock::ManualClock;

    use super::*;

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    struct Machine {
        wall: Arc<ManualClock>,
        millis: Arc<AtomicU64>,
        clock: SteadyClock,
    }

    impl Machine {
        fn new() -> Self {
            let (wall, millis) = (Arc::new(ManualClock::at(START)), Arc::new(AtomicU64::new(0)));
            let passed = Arc::clone(&millis);
            let passed = move || Duration::from_millis(passed.load(Ordering::Relaxed));
            let clock = SteadyClock::reckoning(Arc::<ManualClock>::clone(&wall), passed);
            Self { wall, millis, clock }
        }

        /// Somebody sets it.
        fn set(&self, by: SignedDuration) {
            self.wall.advance(by);
        }

        /// Time goes by, and how much this clock moved.
        fn wait(&self, by: SignedDuration) -> SignedDuration {
            let before = self.clock.now();
            self.wall.advance(by);
            self.millis.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
            self.clock.now().duration_since(before)
        }
    }

    const SECOND: SignedDuration = SignedDuration::from_secs(1);
    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    #[test]
    fn a_clock_that_is_set_moves_nothing_at_once() {
        for by in [HOUR, -HOUR, HOUR * 24 * 400, -HOUR * 24 * 400, SECOND * 3, -SECOND * 3] {
            let machine = Machine::new();
            machine.wait(HOUR);
            let before = machine.clock.now();
            machine.set(by);
            assert_eq!(machine.clock.now(), before, "{by}");
            assert_eq!(machine.clock.ahead(), -by);
            let part = SECOND / 30;
            assert_eq!(machine.wait(SECOND), if by > SignedDuration::ZERO { SECOND + part } else { SECOND - part });
            // Twice in a row, and back again.
            machine.set(by);
            machine.set(-by * 2);
            let moved = machine.wait(SECOND);
            assert!(moved >= SECOND - part && moved <= SECOND + part, "{by}: {moved}");
        }
    }

    #[test]
    fn it_arrives_at_the_machines_and_stays_with_it() {
        let machine = Machine::new();
        machine.wait(HOUR);
        machine.set(HOUR);
        machine.clock.now();
        machine.wait(HOUR * 30 - SECOND);
        assert!(machine.clock.ahead() < SignedDuration::ZERO);
        machine.wait(SECOND * 2);
        assert_eq!((machine.clock.ahead(), machine.clock.now()), (SignedDuration::ZERO, machine.wall.now()));
        assert_eq!(machine.wait(HOUR), HOUR);
    }

    #[test]
    fn it_knows_the_furthest_that_it_was_for_as_long_as_it_matters() {
        let machine = Machine::new();
        machine.wait(HOUR);
        machine.set(-HOUR);
        machine.clock.now();
        machine.wait(HOUR * 29);
        let furthest = Apart { ahead: HOUR, behind: SignedDuration::ZERO };
        assert!(machine.clock.ahead() < SECOND * 130);
        assert_eq!(machine.clock.apart(), furthest, "what was stamped at first is looked for there still");
        machine.wait(HOUR * 24);
        let next = Machine::new();
        next.set(machine.clock.now().duration_since(START));
        next.clock.now();
        next.clock.recall(&machine.clock.memory().unwrap());
        assert_eq!(next.clock.apart(), furthest, "in another process, too");
        let last = Machine::new();
        last.set(next.clock.now().duration_since(START) + HOUR * 24 * 5);
        last.clock.now();
        last.clock.recall(&next.clock.memory().unwrap());
        last.wait(HOUR * 24 * 2);
        assert_eq!(last.clock.apart(), furthest);
        last.wait(HOUR * 24);
        assert_eq!(last.clock.apart(), Apart::default(), "starts make it no longer");
        machine.wait(HOUR * 24 * 9);
        assert_eq!(machine.clock.apart(), Apart::default());
        machine.set(HOUR);
        assert_eq!(machine.clock.apart(), Apart { ahead: SignedDuration::ZERO, behind: HOUR });
    }

    #[test]
    fn the_first_correction_of_a_machine_that_does_not_know_the_time_is_followed() {
        let machine = Machine::new();
        machine.wait(SECOND * 30);
        assert!(machine.clock.is_sure());
        machine.set(HOUR * 24 * 400);
        assert_eq!((machine.clock.now(), machine.clock.ahead()), (machine.wall.now(), SignedDuration::ZERO));
        assert_eq!(machine.clock.apart().behind, HOUR * 24 * 400, "what was stamped before is behind");
        assert!(!machine.clock.is_sure());
        machine.set(-HOUR);
        machine.clock.now();
        assert_eq!(machine.clock.ahead(), HOUR, "back it is not");
        machine.set(SECOND * 600);
        machine.clock.now();
        assert_eq!(machine.clock.ahead(), SECOND * 3_000, "nor beyond where it is");
    }

    #[test]
    fn it_is_not_sure_a_day_apart_nor_soon_after_a_gap() {
        let machine = Machine::new();
        machine.wait(HOUR);
        assert!(machine.clock.is_sure());
        for by in [HOUR * 25, -HOUR * 25] {
            machine.set(by);
            assert!(!machine.clock.is_sure());
            machine.set(-by);
            assert!(machine.clock.is_sure());
        }
        let stopped = machine.clock.memory().unwrap();
        for (days, is_sure) in [(6, true), (8, false)] {
            let next = Machine::new();
            next.set(HOUR * 24 * days);
            next.clock.now();
            next.clock.recall(&stopped);
            assert_eq!(next.clock.is_sure(), is_sure, "{days}");
            next.wait(HOUR * 23);
            // A restart ends it no sooner, and no later.
            let again = Machine::new();
            again.set(next.clock.now().duration_since(START));
            again.clock.now();
            again.clock.recall(&next.clock.memory().unwrap());
            assert_eq!(again.clock.is_sure(), is_sure, "{days}");
            again.wait(HOUR);
            assert!(again.clock.is_sure());
        }
    }

    #[test]
    fn what_ntp_corrects_without_a_jump_is_followed() {
        let machine = Machine::new();
        for by in [SECOND, -SECOND] {
            machine.set(by);
            assert_eq!((machine.clock.now(), machine.clock.ahead()), (machine.wall.now(), SignedDuration::ZERO));
        }
        // Some parts of a million, over a day in which nobody asked.
        machine.wall.advance(SECOND * 60 + HOUR * 24);
        machine.millis.fetch_add(24 * 3_600_000, Ordering::Relaxed);
        machine.clock.now();
        assert_eq!(machine.clock.ahead(), SignedDuration::ZERO);
    }

    #[test]
    fn it_does_not_begin_before_what_was_seen() {
        let (before, machine) = (Machine::new(), Machine::new());
        before.wait(HOUR);
        machine.clock.recall(&before.clock.memory().unwrap());
        assert_eq!((machine.clock.now(), machine.clock.ahead()), (START + HOUR, HOUR));
        machine.clock.recall(&Machine::new().clock.memory().unwrap());
        assert_eq!(machine.clock.now(), START + HOUR, "nor is it moved back");
        machine.clock.recall(b"of another program");
        assert_eq!(machine.clock.now(), START + HOUR);
    }

    #[test]
    fn a_process_that_stood_still_between_two_readings_sees_no_jump() {
        let (wall, reads) = (Arc::new(ManualClock::at(START)), Arc::new(AtomicU64::new(0)));
        let (behind, count) = (Arc::clone(&wall), Arc::clone(&reads));
        let millis = AtomicU64::new(0);
        // The third reading takes an hour: after the wall was read, before what has passed is.
        let clock = SteadyClock::reckoning(Arc::<ManualClock>::clone(&wall), move || {
            if count.fetch_add(1, Ordering::Relaxed) == 2 {
                behind.advance(HOUR);
                millis.fetch_add(3_600_000, Ordering::Relaxed);
            }
            Duration::from_millis(millis.load(Ordering::Relaxed))
        });
        assert_eq!((clock.now(), clock.ahead()), (START + HOUR, SignedDuration::ZERO));
        assert!(reads.load(Ordering::Relaxed) > 3);
    }

    #[test]
    fn the_machines_own_time_passes() {
        let before = since_boot();
        assert!(before > Duration::ZERO && since_boot() >= before);
    }
}
