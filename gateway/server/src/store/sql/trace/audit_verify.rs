//! Checks a tenant's audit chain against its keyed links and its signed head.
//!
//! Finds an edited, removed, inserted or moved row, and a tail that was cut. What retention removed ends at a signed floor,
//! from which the chain goes on. Putting the whole database back to an older state is not visible from inside it: that is
//! the anchor's. Writes nothing.

use crate::store::sql::rows::{Columns, Conn, More, StoredId, first, params, sql};
use crate::store::sql::scope::Scope;
use causeway_core::ids::TenantId;
use jiff::Timestamp;

use crate::store::Result;
use crate::store::keys::TenantKeys;
use crate::store::sql::SqlStore;
use crate::store::sql::errors::Op;
use crate::store::sql::tx::{Head, link, sign_floor, sign_head};

pub(in crate::store) async fn verify_audit(store: &SqlStore, tenant: TenantId) -> Result<Option<u64>> {
    let keys = store.tenant_keys(tenant)?;
    store.read(Scope::Tenant(tenant), move |conn| first_bad(conn, &keys, tenant)).await
}

/// The position of the first row that is not what was written there; one past the last when rows are missing there.
pub(in crate::store) fn first_bad(conn: Conn<'_>, keys: &TenantKeys, tenant: TenantId) -> Op<Option<u64>> {
    let floor = first(conn, sql!("trace/audit_floor"), params![tenant.bytes()], |row| {
        Ok((row.col::<i64>("position")?, row.col::<Vec<u8>>("mac")?, row.col::<Vec<u8>>("signature")?))
    })?;
    let mut last = Head { position: 0, mac: [0; 32] };
    if let Some((position, mac, signature)) = floor {
        match <[u8; 32]>::try_from(mac.as_slice()) {
            Ok(whole) if signature == sign_floor(keys, position, &mac) => last = Head { position, mac: whole },
            Ok(_) | Err(_) => return Ok(Some(number(position))),
        }
    }
    let mut bad = None;
    conn.stream(sql!("trace/audit_rows"), params![tenant.bytes()], |row| {
        let position = last.position + 1;
        let (actor, action, subject): (String, String, String) =
            (row.col("actor")?, row.col("action")?, row.col("subject")?);
        // A time outside the calendar was never written by us.
        let expected = Timestamp::from_microsecond(row.col("at")?)
            .ok()
            .map(|at| link(keys, &last, position, at, [&actor, &action, &subject]));
        let mac: Vec<u8> = row.col("mac")?;
        match expected {
            Some(expected) if row.col::<i64>("position")? == position && mac == expected => {
                last = Head { position, mac: expected };
                Ok(More::Yes)
            }
            Some(_) | None => {
                bad = Some(number(position));
                Ok(More::No)
            }
        }
    })?;
    if bad.is_some() {
        return Ok(bad);
    }
    let head = first(conn, sql!("trace/audit_head"), params![tenant.bytes()], |row| {
        Ok((row.col::<i64>("position")?, row.col::<Vec<u8>>("mac")?, row.col::<Vec<u8>>("signature")?))
    })?;
    // Every tenant's making is audited, so that a chain without a head was cut.
    let Some((position, mac, signature)) = head else { return Ok(Some(number(last.position + 1))) };
    let ends_here = position == last.position && mac == last.mac && signature == sign_head(keys, &last);
    let first_doubtful = if position < last.position { position + 1 } else { last.position + 1 };
    Ok((!ends_here).then(|| number(first_doubtful)))
}

fn number(position: i64) -> u64 {
    u64::try_from(position).unwrap_or(0)
}
