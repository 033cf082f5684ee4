//! Takes one sync of an account's postings over, in one transaction.
//!
//! Readers see the old list or the new one. It may take seconds: it keeps nobody waiting but another sync of its account,
//! and nothing else writes what it writes. Only a complete sync closes what it no longer lists, and a sync that began
//! before the last one that was applied changes nothing: its list is older than what is known.

use std::collections::{HashMap, HashSet};

use crate::store::sql::rows::{Columns, StoredId, every, execute, micros, params, sql, stored, to_json, value};
use crate::store::sql::scope::Scope;
use causeway_core::ids::{AccountId, TenantId};
use causeway_core::posting::Posting;
use jiff::Timestamp;

use super::errors::Op;
use super::tx::Tx;
use super::{SqlStore, accounts, postings};
use crate::store::Result;
use crate::store::setup::{Sync, SyncReport};

/// A posting ready to be written.
struct Sealed {
    posting_id: String,
    ids: Vec<(String, &'static str)>,
    document: Vec<u8>,
    content: [u8; 32],
}

pub(in crate::store) async fn apply_sync(store: &SqlStore, sync: Sync) -> Result<SyncReport> {
    let Sync { account, started_at, complete, postings } = sync;
    let tenant = accounts::one(store, account).await?.account.tenant;
    let keys = store.tenant_keys(tenant)?;
    let mut sealed = Vec::with_capacity(postings.len());
    for posting in postings {
        let json = to_json(&posting)?;
        let row = postings::place_row(account, &posting.posting_id);
        sealed.push(Sealed {
            ids: ids(&posting),
            document: keys.records().seal(&postings::place(tenant, &row), json.as_bytes(), &*store.entropy),
            content: keys.fingerprint(json.as_bytes()),
            posting_id: posting.posting_id,
        });
    }
    store
        .write_apart(Scope::Account(account), move |tx| apply(tx, tenant, account, started_at, complete, &sealed))
        .await
}

/// Every id a person may call the job by, lower case.
fn ids(posting: &Posting) -> Vec<(String, &'static str)> {
    let one = |text: &str, kind| (text.trim().to_lowercase(), kind);
    let mut ids = vec![one(&posting.posting_id, "posting")];
    ids.extend(posting.vendor_job_id.iter().map(|text| one(text, "vendor_job")));
    ids.extend(posting.requisition_code.iter().map(|text| one(text, "requisition")));
    ids.extend(posting.sibling_ids.iter().map(|text| one(text, "sibling")));
    ids.retain(|(text, _)| !text.is_empty());
    ids
}

fn apply(
    tx: &mut Tx<'_>,
    tenant: TenantId,
    account: AccountId,
    started_at: Timestamp,
    complete: bool,
    postings: &[Sealed],
) -> Op<SyncReport> {
    let mut report = SyncReport { listed: postings.len() as u64, ..SyncReport::default() };
    value::<i64>(tx.conn, sql!("sync_lock", apart), params![account.bytes()])?;
    let newest: Option<i64> = value(tx.conn, sql!("sync_newest"), params![account.bytes()])?.flatten();
    if newest.is_some_and(|newest| newest > micros(started_at)) {
        return Ok(report);
    }
    let known = every(tx.conn, sql!("postings_known"), params![account.bytes()], |row| {
        Ok((row.col::<String>("posting_id")?, (row.col::<[u8; 32]>("content_hash")?, row.col::<bool>("closed")?)))
    })?;
    let mut known: HashMap<_, _> = known.into_iter().collect();
    let mut listed = HashSet::new();
    for posting in postings {
        // A list that names a posting twice says nothing new the second time.
        if !listed.insert(posting.posting_id.as_str()) {
            continue;
        }
        match known.remove(&posting.posting_id) {
            Some((content, false)) if content == posting.content => continue,
            Some((_, false)) => report.changed += 1,
            Some((_, true)) | None => report.opened += 1,
        }
        put(tx, tenant, account, started_at, posting)?;
    }
    if complete {
        for (posting_id, _) in known.iter().filter(|(_, (_, closed))| !closed) {
            execute(tx.conn, sql!("posting_close"), params![account.bytes(), posting_id, micros(started_at)])?;
            report.closed += 1;
        }
        execute(tx.conn, sql!("account_synced"), params![account.bytes(), micros(started_at)])?;
    }
    let [listed, opened, changed, closed] = [report.listed, report.opened, report.changed, report.closed].map(stored);
    execute(
        tx.conn,
        sql!("sync_insert"),
        params![account.bytes(), micros(started_at), complete, listed, opened, changed, closed],
    )?;
    tx.changes_setup();
    Ok(report)
}

fn put(tx: &Tx<'_>, tenant: TenantId, account: AccountId, started_at: Timestamp, posting: &Sealed) -> Op<()> {
    let Sealed { posting_id, ids, document, content } = posting;
    let row = params![account.bytes(), posting_id, tenant.bytes(), document, content, micros(started_at)];
    execute(tx.conn, sql!("posting_put"), row)?;
    execute(tx.conn, sql!("posting_ids_delete"), params![account.bytes(), posting_id])?;
    for (text, kind) in ids {
        execute(tx.conn, sql!("posting_id_insert"), params![tenant.bytes(), text, account.bytes(), posting_id, kind])?;
    }
    Ok(())
}
