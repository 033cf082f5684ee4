//! The memory that the attachments of deliveries under way may take, all together and for one vendor.
//!
//! A delivery keeps its files until its vendor has answered. One vendor that hangs may not keep them all: the others'
//! deliveries would wait for room although their vendors are well.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::fair::of_one_vendor;

/// Semaphores count to 2³², so memory is counted in KiB.
fn permits(bytes: usize) -> usize {
    bytes.div_ceil(1024)
}

/// See the module's documentation.
pub(super) struct Memory {
    most: usize,
    all: Arc<Semaphore>,
    vendors: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A delivery's share, given back when dropped.
pub(super) struct Share(#[expect(dead_code, reason = "held, not read")] [Option<OwnedSemaphorePermit>; 2]);

impl Memory {
    pub(super) fn new(bytes: usize) -> Self {
        let most = permits(bytes).max(1);
        Self { most, all: Arc::new(Semaphore::new(most)), vendors: Mutex::default() }
    }

    /// Waits for room for so many bytes. One that is larger than all there is counts as all there is.
    pub(super) async fn take(&self, vendor: &str, bytes: u64) -> Share {
        let of_vendor = of_one_vendor(self.most);
        let wanted = permits(usize::try_from(bytes).unwrap_or(usize::MAX)).clamp(1, of_vendor);
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let vendor = {
            let mut vendors = self.vendors.lock().unwrap_or_else(PoisonError::into_inner);
            let known = vendors.entry(vendor.to_owned());
            Arc::clone(known.or_insert_with(|| Arc::new(Semaphore::new(of_vendor))))
        };
        // The vendor's first: who waits for its own vendor keeps nothing from the others.
        let first = vendor.acquire_many_owned(wanted).await.ok();
        Share([first, Arc::clone(&self.all).acquire_many_owned(wanted).await.ok()])
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_vendor_that_hangs_leaves_room_for_others() {
        let memory = Memory::new(64 * 1024);
        let mib = 16 * 1024;
        let now = |vendor: &str| memory.take(vendor, mib).now_or_never();
        let hung: Vec<_> = (0..3).map(|_| now("hung").unwrap()).collect();
        assert!(now("hung").is_none(), "three quarters are one vendor's most");
        let well = now("well").unwrap();
        assert!(now("well").is_none(), "and there is no more than all");
        drop(hung);
        let again = [now("well"), now("hung")];
        assert!(again.iter().all(Option::is_some));
        drop(well);
        assert!(memory.take("other", u64::MAX).now_or_never().is_none());
        drop(again);
        assert!(memory.take("other", u64::MAX).now_or_never().is_some(), "what is larger than all there is goes alone");
    }
}
