//! What the verbs of a batch ask about their deliveries, read for all of them in one statement before the first of them runs.
//!
//! It is what each would have read itself: rows are locked with it, and each is handed out once. What it says beside the
//! row is a belief, and the statement that acts on it fails the batch where it is no longer so; the verbs then run one by one
//! and ask for themselves, as they always do on an engine with one writer. With it those accounts are locked at which a verb
//! of the batch keeps others out, all in one order: two batches that lock the same ones never wait for each other.

use std::collections::HashMap;

use causeway_core::ids::{AccountId, DeliveryId};

use super::delivery::Delivery;

/// What a verb is going to ask.
#[derive(Debug, Clone)]
pub(in crate::store) enum About {
    /// Of a delivery that a worker has in hand.
    Delivery(InHand),
    /// The due work of an account: who claims it keeps others out.
    Account(AccountId),
}

/// What is asked of a delivery.
#[derive(Debug, Clone)]
pub(in crate::store) struct InHand {
    pub(in crate::store) delivery: DeliveryId,
    /// An attempt of this step is to begin, maybe after another is settled.
    pub(in crate::store) step: Option<String>,
    /// The vendor's record is to be linked.
    pub(in crate::store) vendor_id: Option<String>,
    pub(in crate::store) locks: Locks,
}

/// Whether who counts what fails alike at the account will keep others out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Locks {
    Never,
    /// When something is known that a success would change.
    IfKnown,
    Always,
}

/// What was found beside a delivery's row.
#[derive(Debug, Clone)]
pub(in crate::store) struct Beside {
    /// Attempts of the step that broke or kept their worker.
    pub(in crate::store) broken: u32,
    /// The record that was asked about, and whose it is.
    pub(in crate::store) link: Option<(String, Option<DeliveryId>)>,
    /// How often the vendor was asked to show it, where that is awaited.
    pub(in crate::store) asked: Option<u32>,
    /// A success would change what is known of those that fail alike.
    pub(in crate::store) alike: bool,
}

/// What is known.
#[derive(Default)]
pub(in crate::store) struct Ahead {
    rows: HashMap<DeliveryId, Delivery>,
}

impl Ahead {
    pub(in crate::store) fn of(rows: impl Iterator<Item = Delivery>) -> Self {
        Self { rows: rows.map(|row| (row.id, row)).collect() }
    }

    pub(in crate::store) fn take(&mut self, id: DeliveryId) -> Option<Delivery> {
        self.rows.remove(&id)
    }

    /// A delivery of the account has just failed like others: what the rest were told of that is no longer so.
    pub(in crate::store) fn fails_alike(&mut self, account: AccountId) {
        let rest = self.rows.values_mut().filter(|row| row.account == account);
        for beside in rest.filter_map(|row| row.beside.as_mut()) {
            beside.alike = true;
        }
    }
}
