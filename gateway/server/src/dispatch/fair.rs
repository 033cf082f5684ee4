//! Who is served next: round-robin over tenants, then over a tenant's accounts, one delivery at a time. Pure.
//!
//! A tenant with a hundred thousand due deliveries gets as many as one with ten until the ten are gone. And no vendor gets
//! every place, however many accounts there are at it: one that hangs would leave none for the others.

use std::collections::BTreeMap;
use std::sync::Arc;

use causeway_core::ids::{AccountId, TenantId};

/// What an account could take now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Want {
    pub(super) tenant: TenantId,
    pub(super) account: AccountId,
    pub(super) vendor: Arc<str>,
    pub(super) calls: usize,
}

/// Of so many places, how many one vendor may have.
pub(super) fn of_one_vendor(places: usize) -> usize {
    places - places / 4
}

/// What an account wants, and what it got so far.
struct Grant<'a> {
    want: &'a Want,
    got: usize,
}

/// Shares `free` places, of which each vendor has room for so many. `turn` moves who comes first, so that nobody is first
/// every time.
pub(super) fn share(
    wants: &[Want],
    free: usize,
    mut room: BTreeMap<Arc<str>, usize>,
    turn: usize,
) -> Vec<(AccountId, usize)> {
    let mut tenants: BTreeMap<TenantId, Vec<Grant<'_>>> = BTreeMap::new();
    for want in wants.iter().filter(|want| want.calls > 0) {
        tenants.entry(want.tenant).or_default().push(Grant { want, got: 0 });
    }
    let mut tenants: Vec<_> = tenants.into_values().collect();
    rotate(&mut tenants, turn);
    tenants.iter_mut().for_each(|accounts| rotate(accounts, turn));

    let mut left = free;
    let mut round = 0;
    while left > 0 {
        let before = left;
        for accounts in &mut tenants {
            if left > 0 && grant_one(accounts, &mut room, round) {
                left -= 1;
            }
        }
        if left == before {
            break;
        }
        round += 1;
    }
    let granted = tenants.into_iter().flatten().filter(|grant| grant.got > 0);
    granted.map(|grant| (grant.want.account, grant.got)).collect()
}

/// One place for the next account of a tenant that still wants one and whose vendor has room.
fn grant_one(accounts: &mut [Grant<'_>], room: &mut BTreeMap<Arc<str>, usize>, round: usize) -> bool {
    let count = accounts.len();
    for at in (0..count).map(|step| (round + step) % count) {
        let grant = &mut accounts[at];
        if grant.got >= grant.want.calls {
            continue;
        }
        if let Some(left) = room.get_mut(&grant.want.vendor) {
            let Some(less) = left.checked_sub(1) else { continue };
            *left = less;
        }
        grant.got += 1;
        return true;
    }
    false
}

fn rotate<T>(list: &mut [T], turn: usize) {
    if !list.is_empty() {
        let by = turn % list.len();
        list.rotate_left(by);
    }
}

#[cfg(test)]
mod tests {
    use causeway_core::clock::SeededEntropy;
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn accounts(shape: &[&[usize]]) -> Vec<Want> {
        let entropy = SeededEntropy::new(3);
        let mut wants = Vec::new();
        for tenant in shape {
            let id = TenantId::new(Timestamp::UNIX_EPOCH, &entropy);
            for calls in *tenant {
                let account = AccountId::new(Timestamp::UNIX_EPOCH, &entropy);
                wants.push(Want { tenant: id, account, vendor: "ats".into(), calls: *calls });
            }
        }
        wants
    }

    fn got(wants: &[Want], free: usize, turn: usize) -> Vec<usize> {
        let shared: BTreeMap<_, _> = share(wants, free, BTreeMap::new(), turn).into_iter().collect();
        wants.iter().map(|want| shared.get(&want.account).copied().unwrap_or(0)).collect()
    }

    #[test]
    fn a_busy_tenant_does_not_crowd_out_a_quiet_one() {
        assert_eq!(got(&accounts(&[&[1000], &[3]]), 10, 0), [7, 3]);
        assert_eq!(got(&accounts(&[&[1000, 1000], &[1000]]), 8, 0), [2, 2, 4]);
        assert_eq!(got(&accounts(&[&[1], &[1], &[1]]), 2, 0).iter().sum::<usize>(), 2);
        assert_eq!(got(&accounts(&[]), 5, 0), Vec::<usize>::new());
    }

    #[test]
    fn a_vendor_leaves_places_for_others() {
        let mut wants = accounts(&[&[10], &[10], &[10], &[10]]);
        wants[3].vendor = "crm".into();
        let room = BTreeMap::from([(Arc::from("ats"), 6)]);
        let got: BTreeMap<_, _> = share(&wants, 12, room, 0).into_iter().collect();
        assert_eq!(wants.iter().map(|want| got[&want.account]).collect::<Vec<_>>(), [2, 2, 2, 6]);
        assert_eq!([1, 2, 4, 8, 64].map(of_one_vendor), [1, 2, 3, 6, 48]);
    }

    #[test]
    fn nobody_is_last_every_time() {
        let wants = accounts(&[&[1], &[1], &[1]]);
        let mut total = [0; 3];
        for turn in 0..3 {
            for (sum, got) in total.iter_mut().zip(got(&wants, 1, turn)) {
                *sum += got;
            }
        }
        assert_eq!(total, [1, 1, 1]);
    }

    proptest! {
        #[test]
        fn no_place_is_wasted_and_none_is_invented(
            shape in prop::collection::vec(prop::collection::vec(0usize..20, 0..4), 0..5),
            free in 0usize..60,
            turn in 0usize..100,
        ) {
            let shape: Vec<&[usize]> = shape.iter().map(Vec::as_slice).collect();
            let wants = accounts(&shape);
            let got = got(&wants, free, turn);
            let wanted: usize = wants.iter().map(|want| want.calls).sum();
            prop_assert_eq!(got.iter().sum::<usize>(), wanted.min(free));
            prop_assert!(got.iter().zip(&wants).all(|(got, want)| *got <= want.calls));
        }
    }
}
