//! One look at everything that a batch's verbs are about: their deliveries, locked in one order, and what stands beside them.
//!
//! Only what one verb of the batch is about: a delivery that two name is read by each for itself. So is a row that does not
//! read back, by the verb whose it is.

use std::collections::HashMap;

use causeway_core::ids::DeliveryId;
use tokio_postgres::types::Type;

use super::session::Session;
use crate::store::sql::ahead::{About, Ahead, Beside};
use crate::store::sql::conn::{Row, Sql};
use crate::store::sql::delivery::{self, Delivery};
use crate::store::sql::errors::Op;
use crate::store::sql::rows::{Columns, StoredId};

const LOOK: Sql = Sql::of(include_str!("../sql/text/postgres/ahead.sql"));

pub(super) fn look<'a>(session: &Session, batch: impl Iterator<Item = &'a About>) -> Op<Ahead> {
    let mut about: HashMap<DeliveryId, Option<&About>> = HashMap::new();
    for one in batch {
        about.entry(one.delivery).and_modify(|twice| *twice = None).or_insert(Some(one));
    }
    let about: Vec<&About> = about.into_values().flatten().collect();
    if about.is_empty() {
        return Ok(Ahead::default());
    }
    let ids: Vec<[u8; 16]> = about.iter().map(|one| one.delivery.bytes()).collect();
    let ids: Vec<&[u8]> = ids.iter().map(<[u8; 16]>::as_slice).collect();
    let steps: Vec<Option<&str>> = about.iter().map(|one| one.step.as_deref()).collect();
    let links: Vec<Option<&str>> = about.iter().map(|one| one.vendor_id.as_deref()).collect();
    let found = session.query_arrays(
        LOOK.postgres,
        &[(&ids, Type::BYTEA_ARRAY), (&steps, Type::TEXT_ARRAY), (&links, Type::TEXT_ARRAY)],
    )?;
    Ok(Ahead::of(found.iter().filter_map(|row| read(&Row::Postgres(row)).ok())))
}

fn read(row: &Row<'_>) -> Op<Delivery> {
    let mut delivery = delivery::parse(row)?;
    let link = row.col::<Option<String>>("asked_link")?;
    let linked = row.maybe_id("linked")?;
    delivery.beside = Some(Beside {
        broken: row.unsigned("broken")?,
        link: link.map(|link| (link, linked)),
        alike: row.col("alike")?,
    });
    Ok(delivery)
}
