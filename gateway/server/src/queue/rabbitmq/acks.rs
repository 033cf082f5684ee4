//! Which messages to acknowledge together. Pure.
//!
//! A broker's `multiple` covers everything up to a tag, so it may be used only up to the first message that is still
//! being worked on; the rest are acknowledged one by one.

use std::collections::BTreeSet;

/// One acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ack {
    pub(super) tag: u64,
    /// It covers all before it, too.
    pub(super) multiple: bool,
}

/// Takes what is done out of `open`, the messages handed to us and not acknowledged, and says how to tell the broker.
/// What is not open is left out: it was told already.
pub(super) fn plan(open: &mut BTreeSet<u64>, done: &[u64]) -> Vec<Ack> {
    let done: BTreeSet<u64> = done.iter().copied().filter(|tag| open.remove(tag)).collect();
    let first_open = open.first().copied().unwrap_or(u64::MAX);
    let together = done.iter().copied().take_while(|tag| *tag < first_open).last();
    let one_by_one = done.iter().copied().filter(|tag| *tag > first_open);
    let multiple = together.map(|tag| Ack { tag, multiple: done.range(..tag).next().is_some() });
    multiple.into_iter().chain(one_by_one.map(|tag| Ack { tag, multiple: false })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_are_acknowledged_at_once_only_up_to_the_first_that_is_open() {
        let one = |tag| Ack { tag, multiple: false };
        let many = |tag| Ack { tag, multiple: true };
        for (open, done, expected) in [
            (vec![1, 2, 3], vec![1, 2, 3], vec![many(3)]),
            (vec![1, 2, 3], vec![3, 1], vec![one(1), one(3)]),
            (vec![1, 2, 3, 4], vec![4, 2, 1], vec![many(2), one(4)]),
            (vec![5], vec![5], vec![one(5)]),
            (vec![2, 3], vec![3], vec![one(3)]),
            (vec![2], vec![1, 9], vec![]),
        ] {
            let mut left: BTreeSet<u64> = open.iter().copied().collect();
            assert_eq!(plan(&mut left, &done), expected, "{open:?} {done:?}");
            assert!(done.iter().all(|tag| !left.contains(tag)));
        }
    }
}
