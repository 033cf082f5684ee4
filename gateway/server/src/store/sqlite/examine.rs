//! Looks at everything the store rests on: the library, the settings, the migrations, the root key, the audit chains and
//! their anchor. A gateway looks at its own store; without one the data directory is opened read-only.
//!
//! It writes nothing, not even the files SQLite keeps beside a database: without a write-ahead log the database is opened
//! as one that nobody changes, and with one its index is not written. So what it finds may be older than a gateway that
//! starts meanwhile; it holds the directory's lock while it looks, so that none does.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use causeway_core::pii::Secret;
use jiff::SignedDuration;
use rusqlite::{Connection, OpenFlags};

use super::SqliteEngine;
use super::anchor;
use super::open::known_check;
use super::pragmas::{self, Unsafe};
use crate::store::finding::Health::{Bad, Warning, Well};
use crate::store::finding::{Finding, Health};
use crate::store::keys::{Keyring, RootKey};
use crate::store::migrate::{self, Standing};
use crate::store::setup::AccountRecord;
use crate::store::sql::errors::Op;
use crate::store::sql::rows::Conn;
use crate::store::sql::trace::chains;
use crate::store::sql::{SqlStore, accounts, alike};
use crate::store::{Result, StoreError};

/// An account, and its secrets if they open.
pub type AccountSeen = (AccountRecord, Result<BTreeMap<String, Secret>>);

/// What a look at a data directory came to.
pub struct Seen {
    /// One finding for each thing.
    pub findings: Vec<Finding>,
    /// The accounts, if they could be read.
    pub accounts: Vec<AccountSeen>,
}

/// The store of a running gateway.
pub(in crate::store) async fn examine(store: &SqlStore, engine: &SqliteEngine) -> Result<Vec<Finding>> {
    let (keys, folder) = (Arc::clone(&store.keys), engine.folder.clone());
    let clock = clock(store.clock.ahead());
    engine
        .readers
        .read(move |conn| {
            let mut findings = vec![library(), settings(pragmas::check(conn))];
            findings.extend(contents(conn, &keys, &folder));
            findings.extend(clock);
            Ok(findings)
        })
        .await
}

/// A gateway's own time, where it is not the machine's.
fn clock(ahead: SignedDuration) -> Option<Finding> {
    let seconds = ahead.as_secs();
    if seconds == 0 {
        return None;
    }
    let (by, side) = (SignedDuration::from_secs(seconds).abs(), if seconds > 0 { "ahead of" } else { "behind" });
    let text = format!(
        "{by:#} {side} this machine's, which was set: deliveries, retention and the times shown go by the gateway's own, which \
         comes nearer by a thirtieth of the time that passes. Keep the machine's by NTP; where it is ahead and right, a restart \
         takes it over"
    );
    Some(Finding::new("clock", Warning, text))
}

/// The data directory that no gateway has open. Writes nothing.
pub fn look(folder: &Path, root_key: &RootKey) -> Seen {
    let nothing = |finding| Seen { findings: vec![library(), finding], accounts: Vec::new() };
    let path = folder.join("causeway.db");
    if !path.exists() {
        return nothing(Finding::new("store", Warning, "there is none yet: the first command that needs it makes it"));
    }
    let _lock = match File::open(folder.join("lock")).map(|file| (file.try_lock(), file)) {
        Ok((Err(TryLockError::WouldBlock), _)) => {
            let text = format!("{} is in use by a process that does not answer; wait or stop it", folder.display());
            return nothing(Finding::new("store", Bad, text));
        }
        Ok((_locked_or_cannot_be, file)) => Some(file),
        Err(_never_opened_by_us) => None,
    };
    let conn = match open(&path) {
        Ok(conn) => conn,
        Err(error) => return nothing(Finding::new("store", Bad, format!("the database does not open: {error}"))),
    };
    let mut findings = vec![library(), settings(pragmas::apply_unwritten(&conn).and_then(|()| header(&path)))];
    let keys = Keyring::new(root_key);
    findings.extend(contents(&conn, &keys, folder));
    let is_ours = findings.iter().all(|finding| finding.what != ROOT_KEY || finding.state != Bad);
    let accounts = if is_ours { accounts_of(Conn::Sqlite(&conn), &keys).unwrap_or_default() } else { Vec::new() };
    Seen { findings, accounts }
}

/// Read-only, and without making or changing the files beside it.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let has_log = std::fs::metadata(path.with_extension("db-wal")).is_ok_and(|log| log.len() > 0);
    let how = if has_log { "mode=ro&readonly_shm=1" } else { "immutable=1" };
    let escaped: String = url::form_urlencoded::byte_serialize(path.as_os_str().as_encoded_bytes())
        .collect::<String>()
        .replace('+', "%20");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(format!("file:{escaped}?{how}"), flags)
}

fn library() -> Finding {
    match pragmas::library() {
        Ok(()) => Finding::new("SQLite", Well, rusqlite::version()),
        Err(error) => Finding::new("SQLite", Bad, format!("{error}: build with it")),
    }
}

/// The mode that keeps a write-ahead log is a property of the file: two bytes of its header.
fn header(path: &Path) -> Result<(), Unsafe> {
    let mut head = [0; 20];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    let [.., write_version, read_version] = head;
    if read.is_ok() && (write_version, read_version) == (2, 2) { Ok(()) } else { Err(Unsafe::Setting("journal_mode")) }
}

fn settings(checked: Result<(), Unsafe>) -> Finding {
    match checked {
        Ok(()) => Finding::new("store settings", Well, "every connection takes them"),
        Err(error @ Unsafe::Damaged) => Finding::new("store settings", Bad, error.to_string()),
        Err(error) => {
            let text = format!("{error}: copy the data directory to a local disk with a usual file system");
            Finding::new("store settings", Bad, text)
        }
    }
}

/// The finding that decides whether the rest can be read.
const ROOT_KEY: &str = "store root key";

fn contents(conn: &Connection, keys: &Keyring, folder: &Path) -> Vec<Finding> {
    let mut findings = vec![migrations(conn)];
    if findings.iter().any(|finding| finding.state == Bad) {
        return findings;
    }
    findings.push(root_key(conn, keys));
    if findings.iter().all(|finding| finding.state != Bad) {
        findings.extend(chains(Conn::Sqlite(conn), keys).unwrap_or_else(|error| {
            vec![Finding::new("audit chain", Bad, format!("cannot be read: {}", StoreError::from(error)))]
        }));
        findings.push(anchors(Conn::Sqlite(conn), keys, folder));
        // A database that is not migrated yet has no such groups.
        findings.extend(alike::findings(Conn::Sqlite(conn)).unwrap_or_default());
    }
    findings
}

fn migrations(conn: &Connection) -> Finding {
    let what = "store migrations";
    match migrate::standing(conn, migrate::SQLITE) {
        Ok(Standing { applied, pending: 0 }) => Finding::new(what, Well, format!("{applied} applied, none missing")),
        Ok(Standing { pending, .. }) => {
            let text = format!("{pending} missing: run `causeway migrate`, or start the gateway");
            Finding::new(what, Warning, text)
        }
        Err(error) => Finding::new(what, Bad, error.to_string()),
    }
}

fn root_key(conn: &Connection, keys: &Keyring) -> Finding {
    match known_check(conn) {
        Ok(Some(check)) if check == keys.check_value() => Finding::new(ROOT_KEY, Well, "it is the one of this data"),
        Ok(None) => Finding::new(ROOT_KEY, Well, "nothing is sealed yet"),
        Ok(Some(_)) => {
            let text = "it is not the one this data was sealed with: bring that one back from your copy";
            Finding::new(ROOT_KEY, Bad, text)
        }
        Err(error) => Finding::new(ROOT_KEY, Bad, format!("its check value cannot be read: {error}")),
    }
}

fn anchors(conn: Conn<'_>, keys: &Keyring, folder: &Path) -> Finding {
    let new = |state: Health, text: String| Finding::new("audit anchor", state, text);
    let newest = match anchor::read(folder, keys) {
        Ok(Some(newest)) => newest,
        Ok(None) => {
            let text = format!("there is no {}: a database that is put back would not be noticed", anchor::NAME);
            return new(Warning, text);
        }
        Err(error) => return new(Bad, error.to_string()),
    };
    match anchor::put_back(conn, folder, &newest).map_err(StoreError::from) {
        Ok(None) => match newest.values().map(|anchored| anchored.at).max() {
            Some(at) => new(Well, format!("{} chains, last written at {at}", newest.len())),
            None => new(Warning, "it holds nothing yet: a database that is put back would not be noticed".to_owned()),
        },
        Ok(Some(error)) => new(Bad, error.to_string()),
        Err(error) => new(Bad, error.to_string()),
    }
}

/// The accounts, with their secrets where they open.
pub(in crate::store) fn accounts_of(conn: Conn<'_>, keys: &Keyring) -> Op<Vec<AccountSeen>> {
    let records = accounts::of_tenant(conn, None)?;
    let with_secrets = |record: AccountRecord| {
        let secrets = accounts::credentials_of(conn, keys, record.account.id).map_err(StoreError::from);
        (record, secrets)
    };
    Ok(records.into_iter().map(with_secrets).collect())
}
