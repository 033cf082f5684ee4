//! The breaker: stops calling a vendor that fails, and finds out gently when it is well again.
//!
//! Three parts: `classify` judges an answer, the policy here is a small state machine over (events, time, dice) that knows
//! no HTTP, and the gate shares one of them between all clones of a stack. *Closed* lets calls through, *open* refuses
//! them until a moment, *probing* lets exactly one through. An answer to a call that was admitted before the last change
//! of state changes nothing: a late success does not close an open breaker.
//!
//! Where gateways share an account, one that opens tells the others, and so does one that closes. Each probes by itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use causeway_core::clock::Entropy;
use causeway_core::connector::SendError;
use http::Request;

use super::around::{Answer, Around, Next, Wire};
use super::classify;
use super::moments::Moments;
use super::share::pool::Pool;
use super::{Prepaid, Uncounted};

/// When it opens, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerPolicy {
    /// Opens after so many failures in a row.
    pub consecutive: u32,
    /// Or when this share of the calls in one window failed,
    pub share: f64,
    /// given at least so many.
    pub at_least: u32,
    /// The window.
    pub window: Duration,
    /// How long it stays open the first time; doubles each time a probe fails.
    pub open_first: Duration,
    /// The longest it stays open.
    pub open_most: Duration,
    /// Open times are up to this share longer by chance.
    pub jitter: f64,
    /// How soon to ask again while somebody else probes.
    pub probe_pause: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            consecutive: 5,
            share: 0.5,
            at_least: 20,
            window: Duration::from_secs(30),
            open_first: Duration::from_secs(2),
            open_most: Duration::from_mins(2),
            jitter: 0.2,
            probe_pause: Duration::from_millis(500),
        }
    }
}

/// What a call said about the vendor's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Success,
    /// Says nothing either way.
    Neutral,
    Failure,
}

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Closed,
    Open { until: Duration },
    Probing,
}

/// Leave to make one call, valid for one state of the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leave {
    epoch: u64,
}

/// The pure state machine. Time is a duration since some start; dice are in 0..1.
#[derive(Debug)]
pub(super) struct Breaker {
    policy: BreakerPolicy,
    state: State,
    /// Grows with every change of state.
    epoch: u64,
    /// Failures in a row while closed.
    in_a_row: u32,
    /// The current window: its start, calls, failures.
    window: (Duration, u32, u32),
    /// Openings since it was last closed.
    openings: u32,
}

impl Breaker {
    pub(super) fn new(policy: BreakerPolicy) -> Self {
        Self { policy, state: State::Closed, epoch: 0, in_a_row: 0, window: (Duration::ZERO, 0, 0), openings: 0 }
    }

    #[cfg(test)]
    pub(super) fn state(&self) -> State {
        self.state
    }

    /// How long it will refuse, if it refuses now; asks without taking the probe.
    pub(super) fn refuses(&self, now: Duration) -> Option<Duration> {
        match self.state {
            State::Closed => None,
            State::Open { until } => (until > now).then_some(until),
            State::Probing => Some(now + self.policy.probe_pause),
        }
    }

    /// Leave for one call, or when to ask again.
    pub(super) fn admit(&mut self, now: Duration) -> Result<Leave, Duration> {
        if let Some(until) = self.refuses(now) {
            return Err(until);
        }
        if matches!(self.state, State::Open { .. }) {
            self.become_(State::Probing);
        }
        Ok(Leave { epoch: self.epoch })
    }

    /// What came of a call.
    pub(super) fn record(&mut self, leave: Leave, health: Health, now: Duration, dice: f64) {
        if leave.epoch != self.epoch {
            return;
        }
        match (self.state, health) {
            (State::Closed, Health::Neutral) | (State::Open { .. }, _) => {}
            (State::Closed, Health::Success) => {
                self.in_a_row = 0;
                self.count(now, false);
            }
            (State::Closed, Health::Failure) => {
                self.in_a_row += 1;
                self.count(now, true);
                if self.in_a_row >= self.policy.consecutive || self.share_reached() {
                    self.open(now, dice);
                }
            }
            (State::Probing, Health::Success) => self.close(now),
            (State::Probing, Health::Failure) => self.open(now, dice),
            // The probe said nothing: the next caller is the probe.
            (State::Probing, Health::Neutral) => self.become_(State::Open { until: now }),
        }
    }

    /// Another gateway's is open until then: so is this one, unless it is open for longer or tries already.
    fn heard_open(&mut self, until: Duration, now: Duration) {
        let is_news = match self.state {
            State::Closed => until > now,
            State::Open { until: own } => until > now.max(own),
            State::Probing => false,
        };
        if is_news {
            self.openings = self.openings.max(1);
            self.become_(State::Open { until });
        }
    }

    /// Somebody who is not counted got a good answer.
    fn heard_well(&mut self, now: Duration) {
        if matches!(self.state, State::Open { until } if until <= now) {
            self.close(now);
        }
    }

    fn close(&mut self, now: Duration) {
        self.openings = 0;
        self.in_a_row = 0;
        self.window = (now, 0, 0);
        self.become_(State::Closed);
    }

    fn count(&mut self, now: Duration, failed: bool) {
        if now.saturating_sub(self.window.0) > self.policy.window {
            self.window = (now, 0, 0);
        }
        self.window.1 += 1;
        self.window.2 += u32::from(failed);
    }

    fn share_reached(&self) -> bool {
        let (_, calls, failures) = self.window;
        calls >= self.policy.at_least && f64::from(failures) >= self.policy.share * f64::from(calls)
    }

    fn open(&mut self, now: Duration, dice: f64) {
        let doubled = self.policy.open_first.saturating_mul(1u32.checked_shl(self.openings).unwrap_or(u32::MAX));
        let open = doubled.min(self.policy.open_most).mul_f64(1.0 + self.policy.jitter * dice);
        self.openings = self.openings.saturating_add(1).min(31);
        self.become_(State::Open { until: now + open });
    }

    fn become_(&mut self, state: State) {
        self.state = state;
        self.epoch += 1;
    }
}

/// One breaker, shared by every clone of a stack, and what it comes to with other gateways.
#[derive(Clone)]
pub(super) struct Gate {
    breaker: Arc<Mutex<Breaker>>,
    moments: Moments,
    entropy: Arc<dyn Entropy>,
    pool: Option<Arc<Pool>>,
}

impl Gate {
    pub(super) fn new(
        policy: BreakerPolicy,
        moments: Moments,
        entropy: Arc<dyn Entropy>,
        pool: Option<Arc<Pool>>,
    ) -> Self {
        Self { breaker: Arc::new(Mutex::new(Breaker::new(policy))), moments, entropy, pool }
    }

    /// The breaker, as far as anybody knows.
    fn lock(&self) -> MutexGuard<'_, Breaker> {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = &self.pool {
            breaker.heard_open(pool.open_until(), self.moments.mono());
        }
        breaker
    }

    /// Changes it, and tells the other gateways what came of it.
    fn change(&self, change: impl FnOnce(&mut Breaker, Duration)) {
        let (before, after) = {
            let mut breaker = self.lock();
            let before = breaker.state;
            change(&mut breaker, self.moments.mono());
            (before, breaker.state)
        };
        let Some(pool) = self.pool.as_ref().filter(|_| before != after) else { return };
        match after {
            State::Open { until } if until > self.moments.mono() => pool.opened(until),
            State::Closed => pool.closed(),
            State::Open { .. } | State::Probing => {}
        }
    }

    /// Leave for one call, or the monotonic moment to ask again.
    pub(super) fn admit(&self) -> Result<Permit, Duration> {
        let leave = self.lock().admit(self.moments.mono())?;
        Ok(Permit { gate: self.clone(), leave: Some(leave) })
    }

    /// Would the next call be the probe?
    pub(super) fn wants_probe(&self) -> bool {
        !matches!(self.lock().state, State::Closed)
    }

    pub(super) fn refuses(&self) -> Option<Duration> {
        self.lock().refuses(self.moments.mono())
    }

    /// A call that is never the probe and whose failure is not counted. That it went well ends an open time that is over.
    async fn aside<S: Wire>(&self, request: Request<Bytes>, next: Next<S>) -> Answer {
        if let Some(until) = self.refuses() {
            return Err(SendError::NotNow { until: self.moments.wall(until) });
        }
        let answer = next.call(request).await;
        if classify::health(&answer) == Health::Success {
            self.change(Breaker::heard_well);
        }
        answer
    }
}

/// Leave for one call; given back unused when dropped, so a cancelled probe does not keep the breaker probing for ever.
pub(super) struct Permit {
    gate: Gate,
    leave: Option<Leave>,
}

impl Permit {
    pub(super) fn record(mut self, health: Health) {
        self.settle(health);
    }

    fn settle(&mut self, health: Health) {
        if let Some(leave) = self.leave.take() {
            let dice = crate::retry::dice(self.gate.entropy.as_ref());
            self.gate.change(|breaker, now| breaker.record(leave, health, now, dice));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.settle(Health::Neutral);
    }
}

impl Around for Gate {
    async fn around<S: Wire>(&self, request: Request<Bytes>, next: Next<S>) -> Answer {
        if request.extensions().get::<Uncounted>().is_some() {
            return self.aside(request, next).await;
        }
        let prepaid = request.extensions().get::<Prepaid>().and_then(Prepaid::take_permit);
        let permit = match prepaid {
            Some(permit) => permit,
            None => self.admit().map_err(|until| SendError::NotNow { until: self.moments.wall(until) })?,
        };
        let answer = next.call(request).await;
        permit.record(classify::health(&answer));
        answer
    }
}

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
