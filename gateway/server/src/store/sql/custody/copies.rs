//! Copies at vendors of people who were erased here: listed until somebody recorded how each ended.
//!
//! The gateway cannot erase them and does not say it did: a state is what a person said, with who and when.

use std::sync::Arc;

use crate::store::sql::rows::{Columns, Conn, StoredId, every, execute, micros, params, sql};
use crate::store::sql::scope::Scope;
use causeway_core::ids::{DeliveryId, TenantId};
use jiff::Timestamp;

use crate::store::custody::{CopyState, VendorCopy};
use crate::store::sql::SqlStore;
use crate::store::sql::errors::Op;
use crate::store::{Result, StoreError};

pub(super) async fn list(store: &SqlStore, tenant: TenantId) -> Result<Vec<VendorCopy>> {
    store.read(Scope::Tenant(tenant), move |conn| read(conn, tenant)).await
}

fn read(conn: Conn<'_>, tenant: TenantId) -> Op<Vec<VendorCopy>> {
    every(conn, sql!("trace/vendor_copies"), params![tenant.bytes()], |row| {
        let state = row.word("state")?;
        // As erasing left it: nobody said anything yet.
        let said = state != CopyState::ByHand;
        Ok(VendorCopy {
            delivery: row.id("delivery")?,
            account: row.col("name")?,
            connector: row.col("connector")?,
            vendor_id: row.col("vendor_id")?,
            since: row.maybe_time("since")?,
            erased_at: Some(row.time("erased_at")?),
            state,
            changed_by: if said { Some(row.col("changed_by")?) } else { None },
            changed_at: if said { Some(row.time("changed_at")?) } else { None },
        })
    })
}

pub(super) async fn settle(
    store: &SqlStore,
    tenant: TenantId,
    delivery: DeliveryId,
    state: CopyState,
    actor: &str,
    now: Timestamp,
) -> Result<Vec<VendorCopy>> {
    let actor: Arc<str> = actor.into();
    let before = store
        .write(Scope::Tenant(tenant), move |tx| {
            let row = params![tenant.bytes(), delivery.bytes(), state.as_str(), micros(now), &*actor];
            if execute(tx.conn, sql!("trace/vendor_copy_settle"), row)? == 0 {
                return Err(StoreError::NotFound("copy at a vendor").into());
            }
            tx.audit(tenant, now, &actor, "erasure.vendor_copy", &format!("{delivery} {}", state.as_str()))?;
            read(tx.conn, tenant)
        })
        .await?;
    let named = before.iter().find(|copy| copy.delivery == delivery).cloned();
    let same = |copy: &VendorCopy| {
        named.as_ref().is_some_and(|named| {
            copy.delivery == delivery
                || (copy.account == named.account && copy.vendor_id.is_some() && copy.vendor_id == named.vendor_id)
        })
    };
    Ok(before.into_iter().filter(same).collect())
}
