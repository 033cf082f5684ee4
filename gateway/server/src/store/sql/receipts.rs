//! Receipts on SQLite: the facts as they were stored at accept, signed with a key whose seed is sealed under the root key.
//!
//! Nothing here runs when an application is accepted. A store has a key from its first opening on.

use std::sync::Arc;

use crate::store::sql::rows::{Columns, Conn, StoredId, as_stored, every, execute, first, micros, params, sql};
use crate::store::sql::scope::Scope;
use async_trait::async_trait;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use causeway_core::clock::Entropy;
use causeway_core::ids::{BlobId, ReceiptKeyId, SubmissionId, TenantId};
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::SqlStore;
use super::errors::Op;
use super::submission::{data_key, open_attachment};
use crate::store::keys::{Keyring, TenantKeys};
use crate::store::receipts::{ReceiptFacts, ReceiptKey, Receipts, SignedReceipt};
use crate::store::seal::Place;
use crate::store::{Result, StoreError};

const ABSENT: StoreError = StoreError::NotFound("receipt");

/// A seed belongs to no tenant.
fn place(row: &[u8]) -> Place<'_> {
    Place { tenant: TenantId::from_uuid(Uuid::nil()), table: "receipt_keys", row, column: "seed" }
}

#[async_trait]
impl Receipts for SqlStore {
    async fn signed_receipt(&self, tenant: TenantId, id: SubmissionId, test: bool) -> Result<SignedReceipt> {
        let (tenant_keys, keyring) = (self.tenant_keys(tenant)?, Arc::clone(&self.keys));
        self.read(Scope::Every, move |conn| {
            let facts = facts(conn, &tenant_keys, (tenant, id, test))?;
            let (key, pair) = key_for(conn, &keyring, facts.received_at)?;
            let signature = pair.sign(facts.text().as_bytes()).as_ref().to_vec();
            Ok(SignedReceipt { facts, key, signature })
        })
        .await
    }

    async fn receipt_keys(&self) -> Result<Vec<ReceiptKey>> {
        self.read(Scope::Every, |conn| {
            every(conn, sql!("receipts/keys"), params![], |row| {
                Ok(ReceiptKey { id: row.id("id")?, public: row.col("public")?, since: row.time("since")? })
            })
        })
        .await
    }

    async fn rotate_receipt_key(&self, actor: &str, now: Timestamp) -> Result<ReceiptKey> {
        let (actor, now) = (actor.to_owned(), as_stored(now));
        self.write(Scope::Every, move |tx| {
            let key = make_key(tx.conn, tx.keys, tx.entropy, now)?;
            for tenant in every(tx.conn, sql!("tenants"), params![], |row| row.id::<TenantId>("id"))? {
                tx.audit(tenant, now, &actor, "receipts.rotate_key", &key.id.to_string())?;
            }
            Ok(key)
        })
        .await
    }
}

/// At the first opening.
pub(in crate::store) fn make_first_key(
    conn: Conn<'_>,
    keys: &Keyring,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> Op<()> {
    if first(conn, sql!("receipts/keys"), params![], |_| Ok(()))?.is_none() {
        make_key(conn, keys, entropy, as_stored(now))?;
    }
    Ok(())
}

fn make_key(conn: Conn<'_>, keys: &Keyring, entropy: &dyn Entropy, now: Timestamp) -> Op<ReceiptKey> {
    let id = ReceiptKeyId::new(now, entropy);
    let mut seed = Zeroizing::new([0u8; 32]);
    entropy.fill(&mut *seed);
    let pair = Ed25519KeyPair::from_seed_unchecked(&*seed);
    let pair = pair.map_err(|_| StoreError::Failed("a key for receipts could not be made".to_owned()))?;
    let public = pair.public_key().as_ref().to_vec();
    let sealed = keys.installation().seal(&place(&id.bytes()), &*seed, entropy);
    execute(conn, sql!("receipts/key_insert"), params![id.bytes(), public, sealed, micros(now)])?;
    Ok(ReceiptKey { id, public, since: now })
}

fn key_for(conn: Conn<'_>, keys: &Keyring, received_at: Timestamp) -> Op<(ReceiptKeyId, Ed25519KeyPair)> {
    let found = first(conn, sql!("receipts/key_for"), params![micros(received_at)], |row| {
        Ok((row.id::<ReceiptKeyId>("id")?, row.col::<Vec<u8>>("public")?, row.col::<Vec<u8>>("seed_sealed")?))
    })?;
    let (id, public, sealed) = found.ok_or(StoreError::NotFound("key for receipts"))?;
    let seed = Zeroizing::new(keys.installation().open(&place(&id.bytes()), &sealed)?);
    let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &public);
    Ok((id, pair.map_err(|_| StoreError::Corrupt("key for receipts"))?))
}

fn facts(conn: Conn<'_>, keys: &TenantKeys, (tenant, id, test): (TenantId, SubmissionId, bool)) -> Op<ReceiptFacts> {
    let stored = first(conn, sql!("receipts/facts"), params![id.bytes(), tenant.bytes(), test], |row| {
        Ok((row.time("received_at")?, row.col::<Option<Vec<u8>>>("receipt")?))
    })?;
    let (received_at, receipt) = stored.ok_or(ABSENT)?;
    let document = receipt.as_deref().and_then(digest_of).ok_or(StoreError::Corrupt("receipt"))?;
    // Not found once it was erased.
    let data_key = data_key(conn, keys, id)?;
    let files = every(conn, sql!("attachments"), params![id.bytes(), tenant.bytes()], |row| {
        let blob: BlobId = row.id("blob")?;
        let sealed: Vec<u8> = row.col("meta_sealed")?;
        Ok(open_attachment(&data_key, tenant, blob, &sealed)?.sha256)
    })?;
    Ok(ReceiptFacts { tenant, application: id, test, received_at, document, files })
}

/// The token that the 202 answered, as bytes.
fn digest_of(receipt: &[u8]) -> Option<[u8; 32]> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        receipt: &'a str,
    }
    let answer: Answer<'_> = serde_json::from_slice(receipt).ok()?;
    let hex = answer.receipt.strip_prefix("rcp_")?;
    HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}
