//! Cases: opened beside what they are about, in the same transaction; closed when it goes on.

use crate::store::sql::rows::{Columns, Conn, StoredId, every, execute, first, micros, params, sql};
use causeway_core::ids::{AccountId, CaseId, DeliveryId, SubmissionId, TenantId};
use causeway_core::reason::Reason;
use jiff::Timestamp;

use super::errors::Op;
use super::tx::Tx;

/// Opens a case about a delivery. One that is open for the same reason is used again, so that a delivery which fails the
/// same way ten times is one case.
pub(in crate::store) fn open(
    tx: &Tx<'_>,
    (tenant, account, delivery): (TenantId, AccountId, DeliveryId),
    reason: Reason,
    at: Timestamp,
) -> Op<CaseId> {
    if let Some(case) = open_for(tx.conn, delivery, reason)? {
        return Ok(case);
    }
    insert(tx, tenant, account, Some(delivery), reason, at)
}

/// Opens a case about a whole account.
pub(in crate::store) fn open_for_account(
    tx: &Tx<'_>,
    tenant: TenantId,
    account: AccountId,
    reason: Reason,
    at: Timestamp,
) -> Op<CaseId> {
    insert(tx, tenant, account, None, reason, at)
}

fn insert(
    tx: &Tx<'_>,
    tenant: TenantId,
    account: AccountId,
    delivery: Option<DeliveryId>,
    reason: Reason,
    at: Timestamp,
) -> Op<CaseId> {
    let case = CaseId::new(at, tx.entropy);
    let row = params![
        case.bytes(),
        tenant.bytes(),
        account.bytes(),
        delivery.map(StoredId::bytes),
        reason.as_str(),
        micros(at)
    ];
    execute(tx.conn, sql!("case_insert"), row)?;
    Ok(case)
}

/// The open case about a delivery for this reason.
pub(in crate::store) fn open_for(conn: Conn<'_>, delivery: DeliveryId, reason: Reason) -> Op<Option<CaseId>> {
    first(conn, sql!("case_same"), params![delivery.bytes(), reason.as_str()], |row| row.id("id"))
}

/// Closes every open case about a delivery.
pub(in crate::store) fn close_of_delivery(conn: Conn<'_>, delivery: DeliveryId, at: Timestamp) -> Op<()> {
    execute(conn, sql!("cases_close_of_delivery"), params![delivery.bytes(), micros(at)]).map(|_| ())
}

/// Closes one case.
pub(in crate::store) fn close(conn: Conn<'_>, case: CaseId, at: Timestamp) -> Op<()> {
    execute(conn, sql!("case_close"), params![case.bytes(), micros(at)]).map(|_| ())
}

/// The cases that its deliveries are in, about them alone or about many.
pub(in crate::store) fn of_submission(conn: Conn<'_>, submission: SubmissionId) -> Op<Vec<CaseId>> {
    every(conn, sql!("cases_of_submission"), params![submission.bytes()], |row| row.id("case_id"))
}

/// Closes the case of many that failed alike, once they do not any more and none of them is left in it.
pub(in crate::store) fn close_when_empty(conn: Conn<'_>, case: CaseId, at: Timestamp) -> Op<()> {
    execute(conn, sql!("case_close_when_empty"), params![case.bytes(), micros(at)]).map(|_| ())
}
