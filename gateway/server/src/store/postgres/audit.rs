//! A batch's audit rows, linked and written at its end, in one statement, however many rows and tenants.
//!
//! The heads of the chains are locked here and not before, in one order: whoever audits for the same tenant waits from here
//! to the commit, and no longer.

use std::collections::BTreeMap;

use causeway_core::ids::TenantId;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::session::{Array, Session};
use crate::store::StoreError;
use crate::store::keys::Keyring;
use crate::store::sql::conn::{FromValue, Sql};
use crate::store::sql::errors::Op;
use crate::store::sql::rows::micros;
use crate::store::sql::tx::{AuditRow, Head, link, sign_head};

const LOCK: Sql = Sql::of(include_str!("../sql/text/postgres/audit/lock_heads.sql"));
const APPEND: Sql = Sql::of(include_str!("../sql/text/postgres/audit/append.sql"));

/// Links the rows to their chains, in the order they were audited.
pub(in crate::store) fn append_audit(session: &Session, keys: &Keyring, rows: &[AuditRow]) -> Op<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut heads = lock(session, rows)?;
    let (mut tenants, mut positions, mut times, mut macs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut actors, mut actions, mut subjects) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let AuditRow { tenant, at, actor, action, subject } = row;
        let keys = keys.tenant(*tenant).ok_or(StoreError::NotFound("tenant"))?;
        let id = tenant.as_uuid().into_bytes();
        let head = heads.entry(id).or_insert(Head { position: 0, mac: [0; 32] });
        let position = head.position + 1;
        let mac = link(&keys, head, position, *at, [actor, action, subject]);
        *head = Head { position, mac };
        tenants.push(id.to_vec());
        positions.push(position);
        times.push(micros(*at));
        actors.push(actor.as_str());
        actions.push(action.as_str());
        subjects.push(subject.as_str());
        macs.push(mac.to_vec());
    }
    let (mut owners, mut newest, mut ends, mut signatures) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (id, head) in &heads {
        let tenant = TenantId::from_uuid(Uuid::from_bytes(*id));
        let keys = keys.tenant(tenant).ok_or(StoreError::NotFound("tenant"))?;
        owners.push(id.to_vec());
        newest.push(head.position);
        ends.push(head.mac.to_vec());
        signatures.push(sign_head(&keys, head).to_vec());
    }
    session.query_arrays(
        APPEND.postgres,
        &[
            (&tenants, Type::BYTEA_ARRAY),
            (&positions, Type::INT8_ARRAY),
            (&times, Type::INT8_ARRAY),
            (&actors, Type::TEXT_ARRAY),
            (&actions, Type::TEXT_ARRAY),
            (&subjects, Type::TEXT_ARRAY),
            (&macs, Type::BYTEA_ARRAY),
            (&owners, Type::BYTEA_ARRAY),
            (&newest, Type::INT8_ARRAY),
            (&ends, Type::BYTEA_ARRAY),
            (&signatures, Type::BYTEA_ARRAY),
        ],
    )?;
    Ok(())
}

/// The newest links of the rows' chains, which nobody else moves until this commits. In one order, so that two batches
/// never wait for each other's; a statement each, since most batches are of one tenant.
fn lock(session: &Session, rows: &[AuditRow]) -> Op<BTreeMap<[u8; 16], Head>> {
    let mut ids: Vec<Vec<u8>> = rows.iter().map(|row| row.tenant.as_uuid().as_bytes().to_vec()).collect();
    ids.sort_unstable();
    ids.dedup();
    let asked: Vec<(&str, Vec<Array<'_>>)> =
        ids.iter().map(|id| (LOCK.postgres, vec![(id as &(dyn ToSql + Sync), Type::BYTEA)])).collect();
    let mut heads = BTreeMap::new();
    for row in session.query_together(&asked)?.into_iter().flatten() {
        let tenant = <[u8; 16]>::from_value(row.value("tenant")?).ok_or(StoreError::Corrupt("audit head"))?;
        let position = i64::from_value(row.value("position")?).ok_or(StoreError::Corrupt("audit head"))?;
        let mac = <[u8; 32]>::from_value(row.value("mac")?).ok_or(StoreError::Corrupt("audit head"))?;
        heads.insert(tenant, Head { position, mac });
    }
    Ok(heads)
}
