//! What a queue counts: plain atomics, read as a whole by whoever exposes them. They hold no id.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::Serialize;

use crate::telemetry::metrics::{self, Page};

macro_rules! figures {
    ($($(#[$doc:meta])* $name:ident: $kind:ident $value:ty),* $(,)?) => {
        /// The counters of one process's queue.
        #[derive(Debug, Default)]
        pub struct Figures {
            $($(#[$doc])* pub(super) $name: $kind,)*
        }

        /// The counters at one moment.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
        pub struct Snapshot {
            $($(#[$doc])* pub $name: $value,)*
        }

        impl Figures {
            /// The counters now.
            pub fn snapshot(&self) -> Snapshot {
                Snapshot { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

figures! {
    /// The connection that rings go out on is up.
    queue_connected: AtomicBool bool,
    /// The connection that rings come in on is up and subscribed.
    queue_consuming: AtomicBool bool,
    /// The broker takes nothing for now: it is short of memory or disk.
    queue_blocked: AtomicBool bool,
    /// Connections that were opened again after one was lost.
    queue_reconnects_total: AtomicU64 u64,
    /// Rings handed to the broker, repetitions included.
    rings_published_total: AtomicU64 u64,
    /// Of these, those the broker has safely in a queue.
    rings_confirmed_total: AtomicU64 u64,
    /// Of these, those no queue would take.
    rings_returned_total: AtomicU64 u64,
    /// Of these, those the broker refused: the queue is full.
    rings_nacked_total: AtomicU64 u64,
    /// Accounts that rang and are not confirmed yet.
    rings_unconfirmed: AtomicU64 u64,
    /// Messages that came in.
    messages_consumed_total: AtomicU64 u64,
    /// Of these, those that are no ring of ours and were put aside.
    messages_parked_total: AtomicU64 u64,
    /// Of these, those that had been handed out before.
    redeliveries_total: AtomicU64 u64,
}

impl Snapshot {
    /// Onto the page.
    pub fn put(&self, page: &mut Page) {
        page.put(&metrics::QUEUE_CONNECTED, &[], self.queue_connected);
        page.put(&metrics::QUEUE_CONSUMING, &[], self.queue_consuming);
        page.put(&metrics::QUEUE_BLOCKED, &[], self.queue_blocked);
        page.put(&metrics::QUEUE_RECONNECTS, &[], self.queue_reconnects_total);
        page.put(&metrics::RINGS_PUBLISHED, &[], self.rings_published_total);
        page.put(&metrics::RINGS_CONFIRMED, &[], self.rings_confirmed_total);
        page.put(&metrics::RINGS_RETURNED, &[], self.rings_returned_total);
        page.put(&metrics::RINGS_NACKED, &[], self.rings_nacked_total);
        page.put(&metrics::RINGS_UNCONFIRMED, &[], self.rings_unconfirmed);
        page.put(&metrics::MESSAGES_CONSUMED, &[], self.messages_consumed_total);
        page.put(&metrics::MESSAGES_PARKED, &[], self.messages_parked_total);
        page.put(&metrics::REDELIVERIES, &[], self.redeliveries_total);
    }
}

/// One more.
pub(super) fn count(figure: &AtomicU64) {
    figure.fetch_add(1, Ordering::Relaxed);
}
