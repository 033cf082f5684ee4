//! The erasure log as a file of its own, `erasures.log` in the data directory: what a restored backup must erase again.
//!
//! It is the erasures of the database, a line after each and written whole at start, so that a copy of it kept elsewhere
//! outlives the database. A line holds a tenant, a blind index and a time, with a keyed hash over them; no address and
//! nothing that says what was erased. It is read in whole: a line that does not hold is an error, never skipped.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::store::sql::rows::{Columns, Conn, every, micros, params, sql};
use crate::store::sql::scope::Scope;
use causeway_core::ids::TenantId;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::store::keys::{Keyring, TenantKeys};
use crate::store::seal::BlindEmail;
use crate::store::sql::errors::Op;
use crate::store::sql::{Engine, SqlStore};
use crate::store::{Result, StoreError};

/// The file's name, in a data directory and in a backup.
pub(in crate::store) const NAME: &str = "erasures.log";

/// One person erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Erased {
    pub(in crate::store) tenant: TenantId,
    pub(in crate::store) email_exact: [u8; 16],
    pub(in crate::store) normaliser: u8,
    pub(in crate::store) erased_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    tenant: TenantId,
    index: String,
    normaliser: u8,
    erased_at: Timestamp,
    mac: String,
}

/// Why a log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ErasuresError {
    /// The file system refused.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// A line is not what the gateway wrote, or is of other keys.
    #[error("line {0} is not one that a gateway with these keys wrote")]
    Line(usize),
}

/// Adds an erasure to the log of the data directory, synced. One that is there already is there twice: replaying it again
/// changes nothing.
pub(in crate::store) async fn log_erasure(
    store: &SqlStore,
    tenant: TenantId,
    blind: &BlindEmail,
    erased_at: Timestamp,
) -> Result<()> {
    let keys = store.tenant_keys(tenant)?;
    let erased = Erased { tenant, email_exact: blind.exact, normaliser: blind.normaliser, erased_at };
    let line = line(&keys, &erased)?;
    let engine = match &store.engine {
        Engine::Sqlite(engine) => engine,
        // It has no directory of its own; the log is the table, and goes where the server's write-ahead log goes.
        Engine::Postgres(_) => return Ok(()),
    };
    let path = engine.folder.join(NAME);
    let written = tokio::task::spawn_blocking(move || {
        let mut file = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        file.write_all(line.as_bytes())?;
        file.sync_all()
    });
    let written = written.await.map_err(|_| StoreError::Failed("writing the erasure log panicked".to_owned()))?;
    written.map_err(|error| {
        tracing::error!(%error, "the erasure log could not be written");
        StoreError::Unavailable("the erasure log cannot be written")
    })
}

/// The log's text now.
pub(in crate::store) async fn text_of(store: &SqlStore) -> Result<String> {
    let keys = std::sync::Arc::clone(&store.keys);
    store.read(Scope::Every, move |conn| text(conn, &keys)).await
}

/// The log of a database.
pub(in crate::store) fn text(conn: Conn<'_>, keyring: &Keyring) -> Op<String> {
    let mut text = String::new();
    for erased in all(conn)? {
        let keys = keyring.tenant(erased.tenant).ok_or(StoreError::Corrupt("tenant"))?;
        text.push_str(&line(&keys, &erased)?);
    }
    Ok(text)
}

fn line(keys: &TenantKeys, erased: &Erased) -> Result<String> {
    let line = Line {
        tenant: erased.tenant,
        index: HEXLOWER.encode(&erased.email_exact),
        normaliser: erased.normaliser,
        erased_at: erased.erased_at,
        mac: HEXLOWER.encode(&mac(keys, erased)),
    };
    let text = serde_json::to_string(&line).map_err(|_| StoreError::Failed("a line has no JSON form".to_owned()))?;
    Ok(text + "\n")
}

fn all(conn: Conn<'_>) -> Op<Vec<Erased>> {
    every(conn, sql!("trace/erasure_log"), params![], |row| {
        Ok(Erased {
            tenant: row.id("tenant")?,
            email_exact: row.col("email_exact")?,
            normaliser: row.unsigned("normaliser")?,
            erased_at: row.time("erased_at")?,
        })
    })
}

/// Writes a file beside and puts it in place, synced, its name included.
pub(in crate::store) fn put(folder: &Path, text: &str) -> io::Result<()> {
    let beside = folder.join(format!("{NAME}.new"));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, folder.join(NAME))?;
    File::open(folder)?.sync_all()
}

/// Reads a log. Erasures of tenants that the keyring does not know are of people whom this database never held.
pub(in crate::store) fn read(path: &Path, keyring: &Keyring) -> Result<Vec<Erased>, ErasuresError> {
    let text = fs::read_to_string(path)?;
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let bad = || ErasuresError::Line(at + 1);
        let line: Line = serde_json::from_str(line).map_err(|_| bad())?;
        let index = HEXLOWER.decode(line.index.as_bytes()).map_err(|_| bad())?;
        let email_exact = <[u8; 16]>::try_from(index.as_slice()).map_err(|_| bad())?;
        let Line { tenant, normaliser, erased_at, .. } = line;
        let erased = Erased { tenant, email_exact, normaliser, erased_at };
        let Some(keys) = keyring.tenant(tenant) else { continue };
        if HEXLOWER.encode(&mac(&keys, &erased)) != line.mac {
            return Err(bad());
        }
        found.push(erased);
    }
    Ok(found)
}

fn mac(keys: &TenantKeys, erased: &Erased) -> [u8; 32] {
    let at = micros(erased.erased_at).to_be_bytes();
    keys.audit_mac(&[b"erasure", &erased.email_exact, &[erased.normaliser], &at])
}
