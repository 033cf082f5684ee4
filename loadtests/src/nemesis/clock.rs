//! One time for all three ledgers: since the run began, and what that is on the wall clock of the sandboxes.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::latency::wall_ms;

#[derive(Debug, Clone, Copy)]
pub(crate) struct RunClock {
    began: Instant,
    began_ms: f64,
}

impl RunClock {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self { began: Instant::now(), began_ms: wall_ms()? })
    }

    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// The run's time of a moment on the wall clock.
    pub(crate) fn of_wall_ms(&self, ms: f64) -> Duration {
        Duration::from_secs_f64(((ms - self.began_ms) / 1000.0).max(0.0))
    }

    pub(crate) async fn until(&self, at: Duration) {
        tokio::time::sleep_until((self.began + at).into()).await;
    }
}
