//! The audit chains' newest links, kept in a file beside the database: from inside itself a database that was put back
//! whole to an older state looks sound; against this file it does not.
//!
//! Only ever appended to, each line signed with a key derived from the root key, each batch synced. It is written every
//! now and then by the schedule, never by an accept. A line that a kill cut short is dropped. It does not help when the
//! file is put back together with the database: whoever must see that too keeps a copy of the file elsewhere.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use causeway_core::ids::TenantId;
use data_encoding::HEXLOWER;
use jiff::Timestamp;

use super::SqliteEngine;
use crate::store::keys::Keyring;
use crate::store::sql::SqlStore;
use crate::store::sql::errors::Op;
use crate::store::sql::rows::{Columns, Conn, StoredId, every, first, params, sql, value};
use crate::store::sql::scope::Scope;
use crate::store::sql::tx::{Head, read_head};
use crate::store::{Result, StoreError};

/// The file's name in the data directory.
pub(in crate::store) const NAME: &str = "audit.anchor";
/// A larger file is cut down to each chain's newest line when the store opens.
const LONG: u64 = 4 * 1024 * 1024;

/// What is wrong between the file and the database.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// The database does not hold what it held.
    #[error(
        "the database is not the one that was written last: tenant {tenant} had {anchored} audit rows at {at}, and now \
         has {found} or others. Bring the newer database back. If it is lost, move {} elsewhere, keep it, and start \
         again: what was accepted or delivered since {at} is unknown then and may be sent again",
        path.display()
    )]
    PutBack {
        /// Whose chain.
        tenant: TenantId,
        /// How long it was.
        anchored: i64,
        /// When.
        at: Timestamp,
        /// How long it is.
        found: i64,
        /// The file.
        path: PathBuf,
    },
    /// Not one of our lines.
    #[error("{}, line {line} was not written by this gateway's root key: bring the file back from a copy, or move it elsewhere", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which.
        line: usize,
    },
    /// The file system refused.
    #[error("{} cannot be used", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A chain's newest link when it was written down.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Anchored {
    pub(in crate::store) at: Timestamp,
    head: Head,
}

type Newest = BTreeMap<TenantId, Anchored>;

/// The file, open for appending.
pub(in crate::store) struct Anchor {
    newest: Mutex<(Newest, File)>,
    path: PathBuf,
}

impl Anchor {
    /// Opens the file, or makes it. Cuts off a line that was not finished, and what grew too long.
    pub(in crate::store) fn open(folder: &Path, newest: Newest, keys: &Keyring) -> Result<Self, AnchorError> {
        let path = folder.join(NAME);
        let io = |source| AnchorError::Io { path: path.clone(), source };
        let mut file = append_to(&path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        if length > LONG {
            let short = folder.join("audit.anchor.new");
            let mut fresh = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&short);
            let fresh = fresh.as_mut().map_err(|error| io(io::Error::from(error.kind())))?;
            fresh.write_all(lines(&newest, keys).as_bytes()).and_then(|()| fresh.sync_all()).map_err(io)?;
            std::fs::rename(&short, &path).map_err(io)?;
            file = append_to(&path).map_err(io)?;
        } else if let Some(whole) = unfinished(&path).map_err(io)? {
            file.set_len(whole).and_then(|()| file.sync_all()).map_err(io)?;
        }
        Ok(Self { newest: Mutex::new((newest, file)), path })
    }

    /// Writes down the chains that are longer than last time, and syncs.
    fn append(&self, heads: Vec<(TenantId, Head)>, at: Timestamp, keys: &Keyring) -> io::Result<u64> {
        let mut guard = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let (newest, file) = &mut *guard;
        let grown = |(tenant, head): &(TenantId, Head)| {
            newest.get(tenant).is_none_or(|before| before.head.position < head.position)
        };
        let grown: Newest =
            heads.into_iter().filter(grown).map(|(tenant, head)| (tenant, Anchored { at, head })).collect();
        if !grown.is_empty() {
            file.write_all(lines(&grown, keys).as_bytes())?;
            file.sync_data()?;
        }
        let count = grown.len() as u64;
        newest.extend(grown);
        Ok(count)
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// How much of the file is whole lines, if not all of it.
fn unfinished(path: &Path) -> io::Result<Option<u64>> {
    let bytes = std::fs::read(path)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    Ok((whole < bytes.len()).then_some(whole as u64))
}

fn lines(chains: &Newest, keys: &Keyring) -> String {
    let line = |(tenant, anchored): (&TenantId, &Anchored)| {
        let Anchored { at, head: Head { position, mac } } = anchored;
        let signature = signature(keys, *tenant, anchored);
        format!("{at} {tenant} {position} {} {}\n", HEXLOWER.encode(mac), HEXLOWER.encode(&signature))
    };
    chains.iter().map(line).collect()
}

fn signature(keys: &Keyring, tenant: TenantId, Anchored { at, head }: &Anchored) -> [u8; 32] {
    keys.anchor_mac(&[&at.as_microsecond().to_be_bytes(), &tenant.bytes(), &head.position.to_be_bytes(), &head.mac])
}

/// The newest line of each chain; `None` when there is no file.
pub(in crate::store) fn read(folder: &Path, keys: &Keyring) -> Result<Option<Newest>, AnchorError> {
    let path = folder.join(NAME);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(AnchorError::Io { path, source }),
    };
    let mut newest = Newest::new();
    // A last line without its end was cut short by a kill.
    for (at, line) in text.split_inclusive('\n').filter(|line| line.ends_with('\n')).enumerate() {
        let (tenant, anchored) =
            parse(line.trim_end(), keys).ok_or_else(|| AnchorError::Line { path: path.clone(), line: at + 1 })?;
        newest.insert(tenant, anchored);
    }
    Ok(Some(newest))
}

fn parse(line: &str, keys: &Keyring) -> Option<(TenantId, Anchored)> {
    let parts: Vec<&str> = line.split(' ').collect();
    let [at, tenant, position, mac, signed] = parts.as_slice() else { return None };
    let tenant: TenantId = tenant.parse().ok()?;
    let mac: [u8; 32] = HEXLOWER.decode(mac.as_bytes()).ok()?.try_into().ok()?;
    let anchored = Anchored { at: at.parse().ok()?, head: Head { position: position.parse().ok()?, mac } };
    (HEXLOWER.encode(&signature(keys, tenant, &anchored)) == *signed).then_some((tenant, anchored))
}

/// The first chain that does not hold the link it held, if there is one.
pub(in crate::store) fn put_back(conn: Conn<'_>, folder: &Path, newest: &Newest) -> Op<Option<AnchorError>> {
    for (tenant, Anchored { at, head }) in newest {
        let link: Option<Vec<u8>> = value(conn, sql!("trace/audit_link"), params![tenant.bytes(), head.position])?;
        let floor: Option<i64> =
            first(conn, sql!("trace/audit_floor"), params![tenant.bytes()], |row| row.col("position"))?;
        // Retention may have removed it; the floor it left is signed.
        let retained = link.is_none() && floor.is_some_and(|floor| floor >= head.position);
        if !retained && link.is_none_or(|link| link != head.mac) {
            let found = read_head(conn, *tenant)?.position;
            let path = folder.join(NAME);
            return Ok(Some(AnchorError::PutBack { tenant: *tenant, anchored: head.position, at: *at, found, path }));
        }
    }
    Ok(None)
}

/// Writes the newest links down.
pub(in crate::store) async fn anchor(store: &SqlStore, engine: &SqliteEngine, now: Timestamp) -> Result<u64> {
    let heads = store
        .read(Scope::Every, |conn| {
            let tenants: Vec<TenantId> = every(conn, sql!("tenants"), params![], |row| row.id("id"))?;
            tenants.into_iter().map(|tenant| Ok((tenant, read_head(conn, tenant)?))).collect::<Op<Vec<_>>>()
        })
        .await?;
    let (anchor, keys) = (Arc::clone(&engine.anchor), Arc::clone(&store.keys));
    let written = tokio::task::spawn_blocking(move || {
        anchor.append(heads, now, &keys).map_err(|error| (anchor.path.clone(), error))
    });
    let written = written.await.map_err(|_| StoreError::Failed("a disk task panicked".to_owned()))?;
    written.map_err(|(path, error)| StoreError::Failed(format!("{}: {}", path.display(), error.kind())))
}
