//! One look at everything that a batch's verbs are about: their deliveries, locked in one order, and what stands beside
//! them; then the accounts that its verbs lock, in one order, too.
//!
//! Only what one verb of the batch is about: a delivery that two name is read by each for itself. So is a row that does not
//! read back, by the verb whose it is.

use std::collections::{BTreeSet, HashMap};

use causeway_core::ids::{AccountId, DeliveryId};
use tokio_postgres::types::Type;

use super::session::{Array, Session};
use crate::store::sql::ahead::{About, Ahead, Beside, InHand, Locks};
use crate::store::sql::conn::{Row, Sql};
use crate::store::sql::delivery::{self, Delivery};
use crate::store::sql::errors::Op;
use crate::store::sql::rows::{Columns, StoredId};

const LOOK: Sql = Sql::of(include_str!("../sql/text/postgres/ahead.sql"));
const LOCK: Sql = Sql::of(include_str!("../sql/text/postgres/lock_accounts.sql"));

pub(super) fn look<'a>(session: &Session, batch: impl Iterator<Item = &'a About>) -> Op<Ahead> {
    let mut in_hand: HashMap<DeliveryId, Option<&InHand>> = HashMap::new();
    let mut locked: BTreeSet<AccountId> = BTreeSet::new();
    for about in batch {
        match about {
            About::Delivery(one) => {
                in_hand.entry(one.delivery).and_modify(|twice| *twice = None).or_insert(Some(one));
            }
            About::Account(account) => {
                locked.insert(*account);
            }
        }
    }
    let in_hand: Vec<&InHand> = in_hand.into_values().flatten().collect();
    let found = if in_hand.is_empty() { Vec::new() } else { deliveries(session, &in_hand)? };
    let locks: HashMap<DeliveryId, Locks> = in_hand.iter().map(|one| (one.delivery, one.locks)).collect();
    let is_locked = |row: &&Delivery| match locks.get(&row.id) {
        Some(Locks::Always) => true,
        Some(Locks::IfKnown) => row.beside.as_ref().is_some_and(|beside| beside.alike),
        Some(Locks::Never) | None => false,
    };
    locked.extend(found.iter().filter(is_locked).map(|row| row.account));
    if !locked.is_empty() {
        let ids: Vec<[u8; 16]> = locked.into_iter().map(StoredId::bytes).collect();
        session.query_ids(LOCK.postgres, &ids)?;
    }
    Ok(Ahead::of(found.into_iter()))
}

fn deliveries(session: &Session, in_hand: &[&InHand]) -> Op<Vec<Delivery>> {
    let ids: Vec<[u8; 16]> = in_hand.iter().map(|one| one.delivery.bytes()).collect();
    let ids: Vec<&[u8]> = ids.iter().map(<[u8; 16]>::as_slice).collect();
    let steps: Vec<Option<&str>> = in_hand.iter().map(|one| one.step.as_deref()).collect();
    let links: Vec<Option<&str>> = in_hand.iter().map(|one| one.vendor_id.as_deref()).collect();
    let counts: Vec<i64> = in_hand.iter().map(|one| i64::from(one.locks != Locks::Never)).collect();
    let asked: [Array<'_>; 4] = [
        (&ids, Type::BYTEA_ARRAY),
        (&steps, Type::TEXT_ARRAY),
        (&links, Type::TEXT_ARRAY),
        (&counts, Type::INT8_ARRAY),
    ];
    let found = session.query_arrays(LOOK.postgres, &asked)?;
    Ok(found.iter().filter_map(|row| read(&Row::Postgres(row)).ok()).collect())
}

fn read(row: &Row<'_>) -> Op<Delivery> {
    let mut delivery = delivery::parse(row)?;
    let link = row.col::<Option<String>>("asked_link")?;
    let linked = row.maybe_id("linked")?;
    delivery.beside = Some(Beside {
        broken: row.unsigned("broken")?,
        link: link.map(|link| (link, linked)),
        asked: row.col::<Option<i64>>("asked")?.and_then(|asked| u32::try_from(asked).ok()),
        alike: row.col("alike")?,
    });
    Ok(delivery)
}
