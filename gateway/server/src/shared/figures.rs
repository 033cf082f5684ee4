//! What came of the questions, counted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::telemetry::metrics::{self, Page};

#[derive(Debug, Default)]
pub(super) struct Figures {
    up: AtomicBool,
    answered: AtomicU64,
    bypassed: AtomicU64,
    failed: AtomicU64,
    timed_out: AtomicU64,
}

/// How the link stands, and what came of the questions since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkFigures {
    /// It can be asked.
    pub up: bool,
    /// Answered.
    pub answered: u64,
    /// Not asked, because it was down.
    pub bypassed: u64,
    /// Asked; the answer was an error, or there was no connection.
    pub failed: u64,
    /// Asked, and not answered in time.
    pub timed_out: u64,
}

impl LinkFigures {
    /// Onto the page.
    pub fn put(&self, page: &mut Page) {
        page.put(&metrics::REDIS_UP, &[], self.up);
        for (outcome, calls) in [
            ("answered", self.answered),
            ("failed", self.failed),
            ("timed_out", self.timed_out),
            ("bypassed", self.bypassed),
        ] {
            page.put(&metrics::REDIS_CALLS, &[outcome], calls);
        }
    }
}

impl Figures {
    pub(super) fn is_up(&self, up: bool) {
        self.up.store(up, Ordering::Relaxed);
    }

    pub(super) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn bypassed(&self) {
        self.bypassed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn timed_out(&self) {
        self.timed_out.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> LinkFigures {
        LinkFigures {
            up: self.up.load(Ordering::Relaxed),
            answered: self.answered.load(Ordering::Relaxed),
            bypassed: self.bypassed.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            timed_out: self.timed_out.load(Ordering::Relaxed),
        }
    }
}
