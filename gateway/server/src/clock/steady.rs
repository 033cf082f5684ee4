//! The wall clock of a gateway that has no other to agree with: one that does not jump when the machine's is set.
//!
//! Leases, timers, lookups and retention all reckon with the time that passes. Set forward by an hour, a clock would end the
//! leases of calls that are on the wire, take two looks at a vendor within seconds for a proof, and erase early; set back,
//! it would let everything wait. So a machine's clock that is set moves this one by nothing at once: it goes on, and comes
//! nearer by a tenth of the time that passes, which is less than leases leave room for. It never begins before the latest
//! moment that the store has seen. What others check against their own clocks (signatures, certificates) takes the
//! machine's.
//!
//! Invariant: between two readings it moves by at least nine and at most eleven tenths of what has passed, but for what NTP
//! corrects without a jump.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use causeway_core::clock::Clock;
use jiff::{SignedDuration, Timestamp};

/// A smaller difference is followed: NTP's own corrections, and the time between the two readings.
const FOLLOWED: SignedDuration = SignedDuration::from_secs(2);
/// Of the time that passes, the part by which it comes nearer.
const NEARER: i32 = 10;
/// Two readings between which more time went by are made again: the process stood still.
const AT_ONCE: Duration = Duration::from_millis(50);
/// A machine on which every one of so many readings is held up has them taken as they are.
const READINGS: usize = 20;

/// See the module's documentation.
pub struct SteadyClock {
    wall: Arc<dyn Clock>,
    /// Time that passes, whatever anybody sets; since any moment.
    passed: Box<dyn Fn() -> Duration + Send + Sync>,
    last: Mutex<Reading>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    wall: Timestamp,
    passed: Duration,
    /// How far this clock is ahead of the wall's.
    ahead: SignedDuration,
}

impl SteadyClock {
    /// Beside the machine's.
    pub fn new(wall: Arc<dyn Clock>) -> Self {
        Self::reckoning(wall, since_boot)
    }

    fn reckoning(wall: Arc<dyn Clock>, passed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        let last = Reading { wall: wall.now(), passed: passed(), ahead: SignedDuration::ZERO };
        Self { wall, passed: Box::new(passed), last: Mutex::new(last) }
    }

    fn last(&self) -> MutexGuard<'_, Reading> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Both at one moment.
    fn read(&self) -> (Timestamp, Duration) {
        let mut read = (self.wall.now(), (self.passed)());
        for _ in 0..READINGS {
            let before = (self.passed)();
            read = (self.wall.now(), (self.passed)());
            if read.1.saturating_sub(before) < AT_ONCE {
                break;
            }
        }
        read
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        let mut last = self.last();
        let (wall, passed) = self.read();
        let went_by = SignedDuration::try_from(passed.saturating_sub(last.passed)).unwrap_or(SignedDuration::MAX);
        let set_by = wall.duration_since(last.wall).saturating_sub(went_by);
        // Even a clock that nobody sets is off by some parts of a million.
        let is_set = set_by.abs() > FOLLOWED + went_by / 1_000;
        if is_set {
            last.ahead = last.ahead.saturating_sub(set_by);
        }
        let nearer = went_by / NEARER;
        last.ahead = last.ahead.saturating_sub(last.ahead.clamp(-nearer, nearer));
        (last.wall, last.passed) = (wall, passed);
        let ahead = last.ahead;
        drop(last);
        if is_set {
            let (by, ahead) = (set_by.as_secs(), ahead.as_secs());
            tracing::warn!(by, ahead, "the machine's clock was set: ours goes on and comes nearer by and by");
        }
        wall.saturating_add(ahead).unwrap_or(wall)
    }

    fn ahead(&self) -> SignedDuration {
        self.now();
        self.last().ahead
    }

    fn not_before(&self, seen: Timestamp) {
        let missing = seen.duration_since(self.now());
        if missing > FOLLOWED {
            tracing::warn!(%seen, "the machine's clock is behind what the store has seen: ours goes on from there");
            let mut last = self.last();
            last.ahead = last.ahead.saturating_add(missing);
        }
    }
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
            let tenth = SECOND / 10;
            assert_eq!(machine.wait(SECOND), if by > SignedDuration::ZERO { SECOND + tenth } else { SECOND - tenth });
            // Twice in a row, and back again.
            machine.set(by);
            machine.set(-by * 2);
            let moved = machine.wait(SECOND);
            assert!(moved >= SECOND - tenth && moved <= SECOND + tenth, "{by}: {moved}");
        }
    }

    #[test]
    fn it_arrives_at_the_machines_and_stays_with_it() {
        let machine = Machine::new();
        machine.set(HOUR);
        machine.clock.now();
        machine.wait(HOUR * 10 - SECOND);
        assert!(machine.clock.ahead() < SignedDuration::ZERO);
        machine.wait(SECOND * 2);
        assert_eq!((machine.clock.ahead(), machine.clock.now()), (SignedDuration::ZERO, machine.wall.now()));
        assert_eq!(machine.wait(HOUR), HOUR);
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
        let machine = Machine::new();
        machine.clock.not_before(START + HOUR);
        assert_eq!((machine.clock.now(), machine.clock.ahead()), (START + HOUR, HOUR));
        machine.clock.not_before(START);
        assert_eq!(machine.clock.now(), START + HOUR, "nor is it moved back");
    }

    #[test]
    fn a_process_that_stood_still_between_two_readings_sees_no_jump() {
        let (wall, reads) = (Arc::new(ManualClock::at(START)), Arc::new(AtomicU64::new(0)));
        let (behind, count) = (Arc::clone(&wall), Arc::clone(&reads));
        let millis = AtomicU64::new(0);
        // The fourth reading takes an hour: after the wall was read, before what has passed is.
        let clock = SteadyClock::reckoning(Arc::<ManualClock>::clone(&wall), move || {
            if count.fetch_add(1, Ordering::Relaxed) == 3 {
                behind.advance(HOUR);
                millis.fetch_add(3_600_000, Ordering::Relaxed);
            }
            Duration::from_millis(millis.load(Ordering::Relaxed))
        });
        assert_eq!((clock.now(), clock.ahead()), (START + HOUR, SignedDuration::ZERO));
        assert!(reads.load(Ordering::Relaxed) > 4);
    }

    #[test]
    fn the_machines_own_time_passes() {
        let before = since_boot();
        assert!(before > Duration::ZERO && since_boot() >= before);
    }
}
