//! Answers a lookup: the submissions that match with everything recorded, and what is known when none does.
//!
//! One snapshot: an erasure that commits meanwhile is seen whole or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::store::sql::rows::{Columns, Conn, StoredId, every, micros, params, sql, value};
use crate::store::sql::scope::Scope;
use jiff::Timestamp;

use super::find::Wanted;
use super::read::Reader;
use crate::store::Result;
use crate::store::keys::{Keyring, TenantKeys};
use crate::store::sql::SqlStore;
use crate::store::sql::errors::Op;
use crate::store::trace::{Lookup, LookupQuery};

const MINUTE: i64 = 60_000_000;

pub(in crate::store) async fn lookup(store: &SqlStore, query: &LookupQuery) -> Result<Lookup> {
    let keys = store.tenant_keys(query.tenant)?;
    let (keyring, query) = (Arc::clone(&store.keys), query.clone());
    store.read(Scope::Tenant(query.tenant), move |conn| answer(conn, &keyring, &keys, &query)).await
}

fn answer(conn: Conn<'_>, keyring: &Keyring, keys: &TenantKeys, query: &LookupQuery) -> Op<Lookup> {
    let mut lookup = Lookup {
        erased_at: erased_at(conn, keys, query)?,
        edge_refused: edge_refused(conn, query)?,
        ..Lookup::default()
    };
    let Some(wanted) = Wanted::resolve(conn, keyring.codes(), keys, query)? else { return Ok(lookup) };
    let found = wanted.find(conn)?;
    let reader = Reader { conn, keyring, keys, tenant: query.tenant };
    lookup.submissions = found.ids.into_iter().map(|id| reader.submission(id)).collect::<Op<_>>()?;
    lookup.truncated = found.truncated;
    Ok(lookup)
}

/// When the address, or, if asked, the address without its tag, was erased last.
fn erased_at(conn: Conn<'_>, keys: &TenantKeys, query: &LookupQuery) -> Op<Option<Timestamp>> {
    let Some(email) = &query.email else { return Ok(None) };
    let blind = keys.blind(email);
    let base = query.base_email.then(|| blind.base_or_exact());
    let mut erased: Option<i64> = None;
    for index in [Some(blind.exact), base].into_iter().flatten() {
        erased = erased.max(value(conn, sql!("trace/tombstone"), params![query.tenant.bytes(), index])?);
    }
    Ok(erased.and_then(|at| Timestamp::from_microsecond(at).ok()))
}

/// A minute counts when it overlaps the window.
fn edge_refused(conn: Conn<'_>, query: &LookupQuery) -> Op<BTreeMap<String, u64>> {
    let after = query.since.map_or(i64::MIN, |since| micros(since).saturating_sub(MINUTE));
    let before = query.until.map_or(i64::MAX, micros);
    let counts = every(conn, sql!("trace/edge_refused"), params![query.tenant.bytes(), after, before], |row| {
        Ok((row.col("code")?, row.unsigned("count")?))
    })?;
    Ok(counts.into_iter().collect())
}
