//! Postings and forms as intake and support read them.

use crate::store::sql::rows::{
    Columns, Conn, Row, StoredId, every, execute, first, micros, params, sql, to_json, value,
};
use crate::store::sql::scope::Scope;
use causeway_core::ids::{AccountId, TenantId};
use causeway_core::posting::{Form, Posting};
use jiff::Timestamp;

use super::errors::Op;
use super::{SqlStore, accounts};
use crate::store::intake::PostingView;
use crate::store::keys::{Keyring, TenantKeys};
use crate::store::seal::Place;
use crate::store::setup::PostingRecord;
use crate::store::{Result, StoreError};

/// The account and the posting's id, so that a document opens in its own row only.
pub(in crate::store) fn place_row(account: AccountId, posting_id: &str) -> Vec<u8> {
    let mut row = account.bytes().to_vec();
    row.extend_from_slice(posting_id.as_bytes());
    row
}

pub(in crate::store) fn place(tenant: TenantId, row: &[u8]) -> Place<'_> {
    Place { tenant, table: "postings", row, column: "document" }
}

pub(in crate::store) async fn put_form(
    store: &SqlStore,
    account: AccountId,
    form: &Form,
    now: Timestamp,
) -> Result<()> {
    let document = to_json(form)?;
    let (posting_id, digest) = (form.posting_id.clone(), form.digest.clone());
    store
        .write(Scope::Account(account), move |tx| {
            let known = params![account.bytes(), posting_id, digest, micros(now)];
            if execute(tx.conn, sql!("posting_form_put"), known)? == 0 {
                return Err(StoreError::NotFound("posting").into());
            }
            let version = params![account.bytes(), posting_id, digest, document, micros(now)];
            execute(tx.conn, sql!("form_insert"), version)?;
            tx.changes_setup();
            Ok(())
        })
        .await
}

pub(in crate::store) async fn list(store: &SqlStore, account: AccountId) -> Result<Vec<PostingRecord>> {
    let tenant = accounts::one(store, account).await?.account.tenant;
    let keys = store.tenant_keys(tenant)?;
    store
        .read(Scope::Account(account), move |conn| {
            every(conn, sql!("postings_of_account"), params![account.bytes()], |row| record(row, &keys))
        })
        .await
}

pub(in crate::store) async fn posting_view(
    store: &SqlStore,
    tenant: TenantId,
    posting_id: &str,
    test: bool,
) -> Result<PostingView> {
    let keys = store.tenant_keys(tenant)?;
    let posting_id = posting_id.to_owned();
    store.read(Scope::Tenant(tenant), move |conn| view(conn, &keys, tenant, &posting_id, test)).await
}

/// The tenant's accounts for tests or for life, the posting as the oldest of them lists it, its newest form.
pub(in crate::store) fn view(
    conn: Conn<'_>,
    keys: &TenantKeys,
    tenant: TenantId,
    posting_id: &str,
    test: bool,
) -> Op<PostingView> {
    let mut accounts = accounts::of_tenant(conn, Some(tenant))?;
    accounts.retain(|record| record.sandbox == test);
    let found = params![tenant.bytes(), posting_id, test];
    let posting = first(conn, sql!("posting_of_tenant"), found, |row| record(row, keys))?;
    let form = match &posting {
        Some(PostingRecord { account, form: Some((digest, fetched_at)), .. }) => {
            form(conn, *account, posting_id, digest)?.map(|form| (form, *fetched_at))
        }
        Some(_) | None => None,
    };
    Ok(PostingView { accounts, posting, form })
}

/// One version of a posting's form.
pub(in crate::store) fn form(conn: Conn<'_>, account: AccountId, posting_id: &str, digest: &str) -> Op<Option<Form>> {
    let document: Option<String> = value(conn, sql!("form"), params![account.bytes(), posting_id, digest])?;
    let parse = |text: String| serde_json::from_str(&text).map_err(|_| StoreError::Corrupt("form").into());
    document.map(parse).transpose()
}

/// One posting of an account, live or closed. For lookups too.
pub(crate) fn one(
    conn: Conn<'_>,
    keyring: &Keyring,
    account: AccountId,
    posting_id: &str,
) -> Op<Option<PostingRecord>> {
    first(conn, sql!("posting"), params![account.bytes(), posting_id], |row| {
        let keys = keyring.tenant(row.id("tenant")?).ok_or(StoreError::Corrupt("tenant"))?;
        record(row, &keys)
    })
}

fn record(row: &Row<'_>, keys: &TenantKeys) -> Op<PostingRecord> {
    let (account, tenant): (AccountId, TenantId) = (row.id("account")?, row.id("tenant")?);
    let posting_id: String = row.col("posting_id")?;
    let sealed: Vec<u8> = row.col("document_sealed")?;
    let plain = keys.records().open(&place(tenant, &place_row(account, &posting_id)), &sealed)?;
    let posting: Posting = serde_json::from_slice(&plain).map_err(|_| StoreError::Corrupt("posting"))?;
    let digest: Option<String> = row.col("form_digest")?;
    Ok(PostingRecord {
        account,
        posting,
        closed_at: row.maybe_time("closed_at")?,
        form: digest.zip(row.maybe_time("form_fetched_at")?),
    })
}
