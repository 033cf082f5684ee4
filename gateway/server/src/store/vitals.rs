//! What a backend's writers count: commits, how many requests shared each and how long it took, and what became of
//! attachments. Figures only; nothing is decided by them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use causeway_core::clock::Clock;

use crate::telemetry::figures::{Counters, Histogram, MICROS};
use crate::telemetry::metrics::{self, Page};

/// What is done with an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlobOp {
    /// Written and synced.
    Write,
    /// Read back.
    Read,
    /// Removed, because no row names it.
    Remove,
}

/// See the module's documentation.
pub struct Vitals {
    clock: Arc<dyn Clock>,
    done: AtomicU64,
    failed: AtomicU64,
    batch: Histogram,
    took: Histogram,
    waiting: AtomicU64,
    last: AtomicI64,
    blobs: Arc<BlobCounts>,
}

/// What was done with attachments, and whether it went well.
pub type BlobCounts = Counters<(BlobOp, bool)>;

impl Vitals {
    /// Nothing counted yet, but what was done with attachments.
    pub fn new(clock: Arc<dyn Clock>, blobs: Arc<BlobCounts>) -> Arc<Self> {
        let last = AtomicI64::new(clock.now().as_microsecond());
        Arc::new(Self {
            clock,
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            batch: Histogram::new(metrics::BATCH_BOUNDS),
            took: Histogram::new(metrics::COMMIT_BOUNDS_US),
            waiting: AtomicU64::new(0),
            last,
            blobs,
        })
    }

    /// So many requests became durable together, and it took so long.
    pub fn committed(&self, requests: usize, took: Duration) {
        self.done.fetch_add(1, Relaxed);
        self.batch.add(requests as u64);
        self.took.took(took);
        self.last.store(self.clock.now().as_microsecond(), Relaxed);
    }

    /// A commit came to nothing.
    pub fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    /// So many requests wait for a commit now.
    pub fn waiting(&self, requests: usize) {
        self.waiting.store(requests as u64, Relaxed);
    }

    /// Onto the page.
    pub fn put(&self, page: &mut Page) {
        page.put(&metrics::COMMITS, &["done"], self.done.load(Relaxed));
        page.put(&metrics::COMMITS, &["failed"], self.failed.load(Relaxed));
        self.batch.put(page, &metrics::COMMIT_BATCH, &[], 1.0);
        self.took.put(page, &metrics::COMMIT_DURATION, &[], MICROS);
        page.put(&metrics::COMMIT_WAITING, &[], self.waiting.load(Relaxed));
        page.put(&metrics::LAST_COMMIT, &[], self.last.load(Relaxed) as f64 / MICROS);
        let blobs = self.blobs.read();
        for (operation, name) in [(BlobOp::Write, "write"), (BlobOp::Read, "read"), (BlobOp::Remove, "remove")] {
            for (well, outcome) in [(true, "done"), (false, "failed")] {
                page.put(&metrics::BLOBS, &[name, outcome], blobs.get(&(operation, well)).copied().unwrap_or(0));
            }
        }
    }
}
