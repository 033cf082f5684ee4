//! What dispatch counts, for the metrics. Nothing is decided by it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use causeway_core::outcome::Class;

use crate::store::work::Next;
use crate::telemetry::figures::{Counters, Histograms, MICROS};
use crate::telemetry::metrics::{self, Page};

/// See the module's documentation. A connector is known by its name.
pub(super) struct Figures {
    in_hand: AtomicU64,
    claims: AtomicU64,
    attempts: Counters<(&'static str, &'static str)>,
    took: Histograms<&'static str>,
    settlements: Counters<&'static str>,
    delivered: Histograms<&'static str>,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            in_hand: AtomicU64::new(0),
            claims: AtomicU64::new(0),
            attempts: Counters::default(),
            took: Histograms::new(metrics::ATTEMPT_BOUNDS_US),
            settlements: Counters::default(),
            delivered: Histograms::new(metrics::DELIVERED_BOUNDS_US),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Figures {
    pub(super) fn claimed(&self, count: usize) {
        self.claims.fetch_add(count as u64, Relaxed);
    }

    /// One delivery is in hand until this is dropped.
    pub(super) fn in_hand(&self) -> impl Drop + '_ {
        self.in_hand.fetch_add(1, Relaxed);
        InHand(self)
    }

    pub(super) fn tried(&self, connector: &'static str, class: Class, took: Duration) {
        self.attempts.add((connector, class.as_str()), 1);
        self.took.add(connector, micros(took));
    }

    pub(super) fn settled(&self, follows: &'static str) {
        self.settlements.add(follows, 1);
    }

    /// So long after it was accepted.
    pub(super) fn delivered(&self, connector: &'static str, after: Duration) {
        self.delivered.add(connector, micros(after));
    }

    pub(super) fn put(&self, page: &mut Page) {
        page.put(&metrics::IN_HAND, &[], self.in_hand.load(Relaxed));
        page.put(&metrics::CLAIMS, &[], self.claims.load(Relaxed));
        for ((connector, class), count) in self.attempts.read() {
            page.put(&metrics::ATTEMPTS, &[connector, class], count);
        }
        for (follows, count) in self.settlements.read() {
            page.put(&metrics::SETTLEMENTS, &[follows], count);
        }
        self.took.each(|connector, took| took.put(page, &metrics::ATTEMPT_DURATION, &[connector], MICROS));
        self.delivered.each(|connector, after| after.put(page, &metrics::DELIVERED, &[connector], MICROS));
    }
}

struct InHand<'a>(&'a Figures);

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.0.in_hand.fetch_sub(1, Relaxed);
    }
}

/// What follows, in the metrics' word.
pub(super) fn word(next: &Next) -> &'static str {
    match next {
        Next::NextStep { .. } => "next_step",
        Next::Delivered { .. } => "delivered",
        Next::Wait { .. } => "waiting",
        Next::Verify { .. } => "verifying",
        Next::Adopt { .. } => "adopted",
        Next::Resend { .. } => "resent",
        Next::Refuse { .. } => "refused",
        Next::Hold { .. } => "held",
        Next::Park { .. } => "parked",
        Next::PauseAccount { .. } => "account_paused",
    }
}
