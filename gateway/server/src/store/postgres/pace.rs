//! How long to wait before trying a database again that did not answer or was contended: longer each time, never the same
//! for two threads.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// Waits between tries.
#[derive(Default)]
pub(super) struct Pace {
    waits: Option<ExponentialBackoff>,
}

const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(500);

impl Pace {
    /// The next failure waits shortly again.
    pub(super) fn went_well(&mut self) {
        self.waits = None;
    }

    /// How long to wait now.
    pub(super) fn next(&mut self) -> Duration {
        let builder = ExponentialBuilder::default().with_min_delay(FIRST).with_max_delay(LONGEST).with_jitter();
        self.waits.get_or_insert_with(|| builder.without_max_times().build()).next().unwrap_or(LONGEST)
    }

    /// Waits on this thread.
    pub(super) fn wait(&mut self) {
        std::thread::sleep(self.next());
    }
}
