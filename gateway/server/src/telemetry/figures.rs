//! Figures that grow while the gateway works: counters by their labels, and histograms. Adding to one takes an atomic or a
//! short lock, and never waits for whoever reads.
//!
//! They know nothing of what they count. How many series there can be is the business of the list of metrics, whose labels
//! have closed values.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::metrics::{Metric, Page};

/// Counts by size.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// Not cumulative; one more for what is over the last bound.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    /// Upper bounds, in a unit that is whole.
    pub fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    /// One more of this size.
    pub fn add(&self, size: u64) {
        if let Some(count) = self.counts.get(self.bounds.partition_point(|bound| *bound < size)) {
            count.fetch_add(1, Relaxed);
        }
        self.sum.fetch_add(size, Relaxed);
    }

    /// One more that took so long, where the bounds are microseconds.
    pub fn took(&self, time: std::time::Duration) {
        self.add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// Onto the page; the metric's unit is so many of the bounds'.
    pub fn put(&self, page: &mut Page, metric: &Metric, labels: &[&str], unit: f64) {
        let counts: Vec<u64> = self.counts.iter().map(|count| count.load(Relaxed)).collect();
        page.histogram(metric, labels, (self.bounds, unit), &counts, self.sum.load(Relaxed));
    }
}

/// So many microseconds are a second.
pub const MICROS: f64 = 1e6;

/// Counters by key.
#[derive(Debug)]
pub struct Counters<K>(Mutex<BTreeMap<K, u64>>);

impl<K> Default for Counters<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord + Clone> Counters<K> {
    /// So many more.
    pub fn add(&self, key: K, more: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += more;
    }

    /// What was counted so far.
    pub fn read(&self) -> BTreeMap<K, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A histogram by key.
#[derive(Debug)]
pub struct Histograms<K> {
    bounds: &'static [u64],
    by_key: Mutex<BTreeMap<K, Histogram>>,
}

impl<K: Ord> Histograms<K> {
    /// As [`Histogram::new`].
    pub fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, by_key: Mutex::default() }
    }

    /// One more of this size.
    pub fn add(&self, key: K, size: u64) {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        by_key.entry(key).or_insert_with(|| Histogram::new(self.bounds)).add(size);
    }

    /// Each with its key.
    pub fn each(&self, mut with: impl FnMut(&K, &Histogram)) {
        for (key, histogram) in self.by_key.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            with(key, histogram);
        }
    }
}
