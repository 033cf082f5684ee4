//! What came of the questions, counted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::telemetry::metrics::{self, Page};

#[derive(Debug, Default)]
pub(super) struct Figures {
    up: AtomicBool,
    ok: AtomicU64,
    bypassed: AtomicU64,
    errors: AtomicU64,
}

/// How the link stands, and what came of the questions since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkFigures {
    /// It can be asked.
    pub up: bool,
    /// Answered.
    pub ok: u64,
    /// Not asked, because it was down.
    pub bypassed: u64,
    /// Asked; the answer was an error, or late.
    pub errors: u64,
}

impl LinkFigures {
    /// Onto the page.
    pub fn put(&self, page: &mut Page) {
        page.put(&metrics::REDIS_UP, &[], self.up);
        for (outcome, calls) in [("ok", self.ok), ("bypassed", self.bypassed), ("error", self.errors)] {
            page.put(&metrics::REDIS_CALLS, &[outcome], calls);
        }
    }
}

impl Figures {
    pub(super) fn is_up(&self, up: bool) {
        self.up.store(up, Ordering::Relaxed);
    }

    pub(super) fn answered(&self) {
        self.ok.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn bypassed(&self) {
        self.bypassed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> LinkFigures {
        LinkFigures {
            up: self.up.load(Ordering::Relaxed),
            ok: self.ok.load(Ordering::Relaxed),
            bypassed: self.bypassed.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
        }
    }
}
