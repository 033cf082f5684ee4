//! Requests under way with an idempotency key, so that the second one past the deadline learns that there is a first.
//!
//! It decides nothing: the store's unique key does. It only tells "still running" from "took too long".

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use causeway_core::ids::TenantId;

/// See the module.
#[derive(Default)]
pub(super) struct Overlap {
    hasher: RandomState,
    running: Mutex<HashMap<u64, usize>>,
}

/// One request under way; leaving ends it.
pub(super) struct Running<'a> {
    overlap: &'a Overlap,
    mark: u64,
    /// Another one with the same key was under way when this one came.
    pub(super) is_second: bool,
}

impl Overlap {
    pub(super) fn enter(&self, tenant: TenantId, key: &str) -> Running<'_> {
        let mark = self.hasher.hash_one((tenant, key));
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let count = running.entry(mark).or_default();
        *count += 1;
        Running { overlap: self, mark, is_second: *count > 1 }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut running = self.overlap.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = running.get_mut(&self.mark) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.mark);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Overlap;
    use causeway_core::clock::SeededEntropy;
    use causeway_core::ids::TenantId;

    #[test]
    fn only_an_overlapping_request_with_the_same_key_is_second() {
        let entropy = SeededEntropy::new(3);
        let [ours, theirs] = [(); 2].map(|()| TenantId::new(jiff::Timestamp::UNIX_EPOCH, &entropy));
        let overlap = Overlap::default();
        let first = overlap.enter(ours, "k");
        assert!(!first.is_second);
        assert!(overlap.enter(ours, "k").is_second);
        assert!(!overlap.enter(theirs, "k").is_second);
        drop(first);
        assert!(!overlap.enter(ours, "k").is_second);
    }
}
