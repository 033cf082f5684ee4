//! What every sandbox lets its user turn: visibility lag, rate limit, clock, whether the credentials are any good. And the two
//! shapes of rate window that the vendors have.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::clock;

/// So many calls in so long a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rate {
    pub(crate) calls: u64,
    pub(crate) window_ms: i64,
}

/// The settings that all sandboxes share.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Knobs {
    /// How long a change stays out of lists and search.
    pub(crate) visibility_lag_ms: i64,
    /// The vendor's main limit; `None` turns it off.
    pub(crate) rate_limit: Option<Rate>,
    /// False: every credential is refused, as after a revocation.
    pub(crate) credentials_valid: bool,
}

/// What the vendor's clock shows: the machine's time, or a moment it was set to, where it stands still.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct VendorClock(pub(super) Option<i64>);

impl VendorClock {
    pub(crate) fn now_ms(self) -> i64 {
        self.0.unwrap_or_else(clock::now_ms)
    }
}

/// What a window says to one more call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admission {
    pub(crate) allowed: bool,
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    /// When there is room again, in milliseconds since 1970.
    pub(crate) reset_ms: i64,
}

/// Windows that begin at fixed times.
#[derive(Debug, Default)]
pub(crate) struct FixedWindow {
    start_ms: i64,
    used: u64,
}

impl FixedWindow {
    pub(crate) fn admit(&mut self, rate: Rate, now_ms: i64) -> Admission {
        let window = rate.window_ms.max(1);
        let start = now_ms - now_ms.rem_euclid(window);
        if start != self.start_ms {
            *self = Self { start_ms: start, used: 0 };
        }
        let allowed = self.used < rate.calls;
        self.used += u64::from(allowed);
        Admission {
            allowed,
            limit: rate.calls,
            remaining: rate.calls - self.used.min(rate.calls),
            reset_ms: start + window,
        }
    }
}

/// A window that ends now.
#[derive(Debug, Default)]
pub(crate) struct RollingWindow(VecDeque<i64>);

impl RollingWindow {
    pub(crate) fn admit(&mut self, rate: Rate, now_ms: i64) -> Admission {
        while self.0.front().is_some_and(|&at| at <= now_ms - rate.window_ms) {
            self.0.pop_front();
        }
        let used = self.0.len() as u64;
        let allowed = used < rate.calls;
        if allowed {
            self.0.push_back(now_ms);
        }
        let remaining = rate.calls.saturating_sub(self.0.len() as u64);
        let reset_ms = self.0.front().copied().unwrap_or(now_ms) + rate.window_ms;
        Admission { allowed, limit: rate.calls, remaining, reset_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_A_SECOND: Rate = Rate { calls: 2, window_ms: 1_000 };

    #[test]
    fn a_fixed_window_forgets_at_its_border() {
        let mut window = FixedWindow::default();
        let allowed: Vec<bool> =
            [900, 950, 999, 1_000, 1_001, 1_002].map(|at| window.admit(TWO_A_SECOND, at).allowed).to_vec();
        assert_eq!(allowed, [true, true, false, true, true, false]);
        assert_eq!(window.admit(TWO_A_SECOND, 1_500).reset_ms, 2_000);
    }

    #[test]
    fn a_rolling_window_forgets_call_by_call() {
        let mut window = RollingWindow::default();
        let allowed: Vec<bool> =
            [0, 900, 999, 1_000, 1_001, 1_900].map(|at| window.admit(TWO_A_SECOND, at).allowed).to_vec();
        assert_eq!(allowed, [true, true, false, true, false, true]);
    }
}
