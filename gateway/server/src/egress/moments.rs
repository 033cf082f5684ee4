//! Time for limits and breakers: monotonic inside, wall clock only where a moment is told to somebody.
//!
//! A wall clock that jumps must neither starve an account nor free it of its limits, so everything that waits counts
//! from the start of the process; `until` in an answer is the one place where the two meet.

use std::sync::Arc;
use std::time::Duration;

use causeway_core::clock::Clock;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::clock::{later, machines};

#[derive(Clone)]
pub(super) struct Moments {
    clock: Arc<dyn Clock>,
    start: Instant,
}

impl Moments {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, start: Instant::now() }
    }

    /// Since the start.
    pub(super) fn mono(&self) -> Duration {
        self.start.elapsed()
    }

    /// The gateway's wall clock.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The machine's: what vendors tell of moments goes by their clocks.
    pub(super) fn machines(&self) -> Timestamp {
        machines(&*self.clock)
    }

    /// What the gateway's clock will show at that monotonic moment.
    pub(super) fn wall(&self, at: Duration) -> Timestamp {
        later(self.clock.now(), at.saturating_sub(self.mono()))
    }

    pub(super) async fn sleep_until(&self, at: Duration) {
        tokio::time::sleep_until(self.start + at).await;
    }
}
