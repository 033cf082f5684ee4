//! Checks a tenant's audit chain against its keyed links and its signed head.
//!
//! Finds an edited, removed, inserted or moved row, and a tail that was cut. What retention removed ends at a signed floor,
//! from which the chain goes on. Putting the whole database back to an older state is not visible from inside it: that is
//! the anchor's. Writes nothing.

use crate::store::sql::rows::{Columns, Conn, More, Row, StoredId, every, first, params, sql};
use crate::store::sql::scope::Scope;
use causeway_core::ids::TenantId;
use jiff::Timestamp;

use crate::store::Result;
use crate::store::finding::{Finding, Health};
use crate::store::keys::{Keyring, TenantKeys};
use crate::store::sql::SqlStore;
use crate::store::sql::errors::Op;
use crate::store::sql::tx::{Head, link, sign_floor, sign_head};

pub(in crate::store) async fn verify_audit(store: &SqlStore, tenant: TenantId) -> Result<Option<u64>> {
    let keys = store.tenant_keys(tenant)?;
    store.read(Scope::Tenant(tenant), move |conn| first_bad(conn, &keys, tenant)).await
}

/// Rows that are read at once: a chain may be longer than memory.
const PAGE: i64 = 5_000;

/// The position of the first row that is not what was written there; one past the last when rows are missing there.
fn first_bad(conn: Conn<'_>, keys: &TenantKeys, tenant: TenantId) -> Op<Option<u64>> {
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
    // From the very first row there is, so that one before the floor is seen.
    let mut read = i64::MIN;
    loop {
        let before = read;
        let mut bad = None;
        conn.query(sql!("trace/audit_rows"), params![tenant.bytes(), before, PAGE], |row| {
            read = row.col("position")?;
            match follows(keys, &last, row)? {
                Some(head) => {
                    last = head;
                    Ok(More::Yes)
                }
                None => {
                    bad = Some(number(last.position + 1));
                    Ok(More::No)
                }
            }
        })?;
        if bad.is_some() {
            return Ok(bad);
        }
        if read == before {
            break;
        }
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

/// The row as the chain's newest link, if it is the one that follows.
fn follows(keys: &TenantKeys, last: &Head, row: &Row<'_>) -> Op<Option<Head>> {
    let position = last.position + 1;
    let (actor, action, subject): (String, String, String) =
        (row.col("actor")?, row.col("action")?, row.col("subject")?);
    // A time outside the calendar was never written by us.
    let Ok(at) = Timestamp::from_microsecond(row.col("at")?) else { return Ok(None) };
    let expected = link(keys, last, position, at, [&actor, &action, &subject]);
    let is_it = row.col::<i64>("position")? == position && row.col::<Vec<u8>>("mac")? == expected;
    Ok(is_it.then_some(Head { position, mac: expected }))
}

/// One finding for each tenant's chain. Installs the tenants' keys if they are not known yet.
pub(in crate::store) fn chains(conn: Conn<'_>, keys: &Keyring) -> Op<Vec<Finding>> {
    let wrapped: Vec<(TenantId, Vec<u8>)> =
        every(conn, sql!("tenant_keys"), params![], |row| Ok((row.id("owner")?, row.col("wrapped")?)))?;
    let mut findings = Vec::new();
    for (tenant, wrapped) in wrapped {
        let what = format!("audit chain of {tenant}");
        let Some(keys) = keys.tenant(tenant).or_else(|| keys.install(tenant, &wrapped).ok()) else {
            findings.push(Finding::new(what, Health::Bad, "its tenant's key does not open: bring the database back"));
            continue;
        };
        findings.push(match first_bad(conn, &keys, tenant)? {
            None => Finding::new(what, Health::Well, "unbroken"),
            Some(position) => {
                let text = format!("row {position} is not what was written: keep a copy and compare it with a backup");
                Finding::new(what, Health::Bad, text)
            }
        });
    }
    Ok(findings)
}

fn number(position: i64) -> u64 {
    u64::try_from(position).unwrap_or(0)
}
