//! What part of a vendor's limits each of several gateways may use. Arithmetic only; [`pool`] keeps to it.
//!
//! Of a window W with L calls, four fifths are shared: a token bucket in Redis that refills at 0.7 L/W at most. One fifth is
//! the reserve, split over the gateways: each takes from its part only while Redis cannot be asked. So what any number of
//! them do, whatever becomes of Redis, stays below L in every window, counted at the vendor:
//!
//! - a token is good for `fresh` from when it was asked for; a call that leaves in a window holds one that was given in it or
//!   at most so long before it: `burst + rate × (W + fresh)`;
//! - a call that left before the window may still be counted in it: as many as may be in flight at once;
//! - a Redis that comes back with older data, or whose clock jumps, gives away what the bucket holds once more: `burst`;
//! - the reserve counts its calls until W after their answers, as a gateway alone does.
//!
//! The rate is what is left of four fifths for it. Where that is too little (few calls, many in flight) the window is split
//! instead: each gateway keeps to its part by itself, and only freezes and the breaker are shared.

pub(super) mod pool;

use std::time::Duration;

use causeway_core::connector::Limits;

use super::limit::MOST_CALLS;

/// In shorter windows a token would be too old when it arrives: an answer may take a tenth of a second.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest a token is good for.
const FRESHEST: Duration = Duration::from_secs(1);

/// One bucket in Redis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Refill {
    /// Tokens a millisecond.
    pub(super) rate: f64,
    /// Tokens that it holds at most.
    pub(super) burst: f64,
    /// Not used for so long, it is forgotten: it is empty then, which is safe at any time.
    pub(super) forget: Duration,
}

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Share {
    /// The bucket in Redis, and this gateway's part of the reserve: calls in a window. None: the window is split.
    pub(super) shared: Option<(Refill, usize)>,
    /// This gateway's part of the calls in flight.
    pub(super) concurrency: u32,
    /// How long a token is good for.
    pub(super) fresh: Duration,
    /// The part of the window that is this gateway's own: one over this.
    pub(super) split: usize,
}

impl Share {
    /// This gateway's part of the reserve.
    pub(super) fn part(&self) -> Option<usize> {
        self.shared.map(|(_, part)| part)
    }

    pub(super) fn of(limits: Limits, gateways: u32) -> Self {
        let gateways = gateways.max(1);
        let concurrency = (limits.concurrency / gateways).max(1);
        let in_flight = f64::from(concurrency) * f64::from(gateways);
        let fresh = (limits.window / 8).min(FRESHEST);
        // More than we can count is as good as what we can.
        let calls = limits.calls.min(MOST_CALLS);
        let window = refill(limits.calls, limits.window, in_flight, fresh);
        let part = calls as usize / 5 / gateways as usize;
        let shared = window.filter(|_| part > 0 && limits.window >= SHORTEST).map(|bucket| (bucket, part));
        let split = if shared.is_none() { gateways as usize } else { 1 };
        Self { shared, concurrency, fresh, split }
    }
}

fn refill(calls: u32, window: Duration, in_flight: f64, fresh: Duration) -> Option<Refill> {
    let calls = f64::from(calls);
    let [window_ms, fresh_ms] = [window, fresh].map(|long| long.as_secs_f64() * 1e3);
    let burst = (calls * 0.05).floor().max(1.0);
    let rate = (calls * 0.8 - in_flight - 2.0 * burst) / (window_ms + fresh_ms);
    let most = calls * 0.7 / window_ms;
    let forget = window.max(Duration::from_mins(1));
    (rate >= most / 2.0).then_some(Refill { rate: rate.min(most), burst, forget })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(calls: u32, window_ms: u64, concurrency: u32) -> Limits {
        Limits { window: Duration::from_millis(window_ms), calls, concurrency }
    }

    #[test]
    fn everything_that_can_be_counted_in_a_window_is_below_the_limit() {
        for calls in [1, 3, 5, 20, 45, 75, 100, 190, 250, 300, 9_999, 1_000_000] {
            for window_ms in [50, 1_000, 10_000, 60_000] {
                for concurrency in [1, 5, 8, 32] {
                    for gateways in [1, 2, 3, 4, 10] {
                        let limits = limits(calls, window_ms, concurrency);
                        let share = Share::of(limits, gateways);
                        let in_flight = f64::from(share.concurrency * gateways);
                        let shared = share.shared.map_or(0.0, |(bucket, _)| {
                            let long = (limits.window + share.fresh).as_secs_f64() * 1e3;
                            assert!(bucket.burst <= (f64::from(calls) * 0.1).max(1.0));
                            assert!(bucket.rate <= f64::from(calls) * 0.7 / limits.window.as_secs_f64() / 1e3);
                            2.0 * bucket.burst + bucket.rate * long + in_flight
                        });
                        let reserve = share.shared.map_or(0, |(_, calls)| calls * gateways as usize);
                        let all = shared + reserve as f64;
                        assert!(all <= f64::from(calls) + 1e-6, "{limits:?} {gateways}: {all}");
                        assert_eq!(
                            share.shared.is_none(),
                            share.split > 1 || gateways == 1 && share.split == 1 && shared == 0.0
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn the_limits_of_vendors_are_shared_and_small_ones_split() {
        for (limits, gateways, shared) in [
            (limits(100, 10_000, 5), 2, true),
            (limits(250, 1_000, 32), 4, true),
            (limits(300, 60_000, 8), 4, true),
            (limits(75, 30_000, 8), 3, true),
            (limits(4, 1_000, 2), 2, false),
            (limits(20, 1_000, 32), 2, false),
        ] {
            let share = Share::of(limits, gateways);
            assert_eq!(share.split == 1, shared, "{limits:?}");
            let Some((bucket, _)) = share.shared else { continue };
            let used = bucket.rate * limits.window.as_secs_f64() * 1e3 / f64::from(limits.calls);
            assert!(used > 0.45, "{limits:?}: only {used} of the window is used");
        }
    }
}
