//! What was heard and not yet handed to dispatch, with whom to tell what became of it.
//!
//! It holds no more than the broker hands out unacknowledged. A line that is gone takes its acknowledgements with it: the
//! broker hands those messages out again.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{Notify, mpsc};

use crate::queue::{Receipt, Ring, Rung};

/// What became of messages of one line.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) tags: Vec<u64>,
    /// The claims they caused are committed; else they ring again.
    pub(super) claimed: bool,
}

/// One message that was heard.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) ring: Ring,
    pub(super) tag: u64,
    /// The line it came by.
    pub(super) tell: mpsc::UnboundedSender<Told>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    heard: Mutex<Vec<Heard>>,
    wake: Notify,
}

impl Inbox {
    pub(super) fn put(&self, heard: Heard) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
        self.wake.notify_one();
    }

    /// Lets go of what came by lines that are gone.
    pub(super) fn forget_lost(&self) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).retain(|heard| !heard.tell.is_closed());
    }

    pub(super) async fn rung(&self) -> Rung {
        loop {
            let heard = std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner));
            if !heard.is_empty() {
                return rung(heard);
            }
            self.wake.notified().await;
        }
    }
}

fn rung(heard: Vec<Heard>) -> Rung {
    let mut lines: Vec<(mpsc::UnboundedSender<Told>, Vec<u64>)> = Vec::new();
    let mut rings = Vec::with_capacity(heard.len());
    for Heard { ring, tag, tell } in heard {
        rings.push(ring);
        match lines.iter_mut().find(|(line, _)| line.same_channel(&tell)) {
            Some((_, tags)) => tags.push(tag),
            None => lines.push((tell, vec![tag])),
        }
    }
    let receipt = Receipt::new(move |claimed| {
        for (line, tags) in lines {
            // A line that is gone cannot be told; the broker hands the messages out again.
            line.send(Told { tags, claimed }).ok();
        }
    });
    Rung::new(rings, receipt)
}
