//! Copies a store that is in use.
//!
//! The rows are read in one snapshot, so everything that was committed before is in it and nothing half; neither writer
//! nor readers wait. Then the attachments that the snapshot names are copied, and last the keys of persons, into a file of
//! their own, as they are *then*: a person erased meanwhile has none in it. That file is to be kept as short as the keys
//! themselves live; what it opens may be kept longer. The root key is never part of a backup.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use causeway_core::ids::BlobId;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};

use super::manifest::{BLOBS, DATABASE, FORMAT, KEYS, Manifest, hash_of};
use crate::store::blobs::{BlobError, relative};
use crate::store::custody::BackupReport;
use crate::store::sql::custody::erasures;
use crate::store::sql::errors::Op;
use crate::store::sql::rows::{Columns, Conn, Sql, StoredId, every, micros, params, sql, value};
use crate::store::sql::scope::Scope;
use crate::store::sql::{SqlStore, blob_error};
use crate::store::sqlite::SqliteEngine;
use crate::store::{Result, StoreError};

/// Keys that go to the file of their own: those that erasing and retention destroy.
const OF_PERSONS: &str = "('submission', 'demographics')";

pub(in crate::store) async fn backup(
    store: &SqlStore,
    engine: &SqliteEngine,
    into: &Path,
    now: Timestamp,
) -> Result<BackupReport> {
    let into = into.to_owned();
    let claimed = into.clone();
    on_disk(move || Ok(claim(&claimed)?)).await?;
    match copy(store, engine, &into, now).await {
        Ok(report) => Ok(report),
        Err(error) => {
            // Without its manifest nobody takes it for a backup; what can be removed is.
            let emptied = on_disk(move || Ok(empty(&into)?)).await;
            if let Err(left) = emptied {
                tracing::warn!(%left, "a backup that failed could not be removed");
            }
            Err(error)
        }
    }
}

async fn copy(store: &SqlStore, engine: &SqliteEngine, into: &Path, now: Timestamp) -> Result<BackupReport> {
    let (database, target) = (engine.folder.join(DATABASE), into.to_owned());
    let (submissions, blobs) = on_disk(move || rows(&database, &target)).await?;
    let (attachments, gone_meanwhile) = attachments(store, into, blobs).await?;
    let (database, target) = (engine.folder.join(DATABASE), into.to_owned());
    on_disk(move || persons_keys(&database, &target, now)).await?;
    // After the keys: whoever was erased by now is in it.
    let erasures = erasures::text_of(store).await?;
    let target = into.to_owned();
    let bytes = on_disk(move || {
        erasures::put(&target, &erasures)?;
        let manifest = Manifest {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            taken_at: now,
            database_sha256: hash_of(&target.join(DATABASE))?,
            keys_sha256: Some(hash_of(&target.join(KEYS))?),
        };
        manifest.write(&target)?;
        Ok(size_of(&target)?)
    })
    .await?;
    Ok(BackupReport { taken_at: now, submissions, attachments, gone_meanwhile, bytes })
}

/// Runs on the blocking pool.
async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> Result<T, Trouble> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|_| StoreError::Failed("a backup task panicked".to_owned()))?;
    done.map_err(|trouble| match trouble {
        Trouble::Store(error) => error,
        Trouble::Disk(error) => match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty => {
                StoreError::Exists("file in the folder: a backup goes into an empty one")
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                StoreError::Unavailable("the backup's disk is full")
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                StoreError::Unavailable("the backup's folder cannot be written")
            }
            kind => StoreError::Failed(format!("backup folder: {kind}")),
        },
    })
}

enum Trouble {
    Store(StoreError),
    Disk(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<crate::store::sql::errors::Stop> for Trouble {
    fn from(stop: crate::store::sql::errors::Stop) -> Self {
        Self::Store(stop.into())
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(crate::store::sql::errors::Stop::from(error).into())
    }
}

/// Makes the folder, or takes one that is empty.
fn claim(into: &Path) -> io::Result<()> {
    match fs::read_dir(into) {
        Ok(mut entries) => match entries.next() {
            Some(_) => Err(io::ErrorKind::DirectoryNotEmpty.into()),
            None => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(into)
        }
        Err(error) => Err(error),
    }
}

/// The folder was ours alone.
fn empty(into: &Path) -> io::Result<()> {
    fs::remove_dir_all(into)
}

/// A new file of the backup, for its owner only.
fn create(path: &Path) -> io::Result<()> {
    create_new(path)?.sync_all()
}

/// A connection that writes to nothing but what is attached to it.
fn source(database: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.execute_batch("PRAGMA busy_timeout = 5000; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF")?;
    Ok(conn)
}

/// Attaches a new file. Without a journal: it is synced when it is whole, and is no backup before.
fn attach(conn: &Connection, path: &Path, name: &str) -> Result<(), Trouble> {
    create(path)?;
    let text = path.to_str().ok_or(StoreError::Failed("the folder's name is not UTF-8".to_owned()))?;
    conn.execute(&format!("ATTACH DATABASE ?1 AS {name}"), [text])?;
    conn.execute_batch(&format!("PRAGMA {name}.journal_mode = OFF; PRAGMA {name}.synchronous = OFF"))?;
    Ok(())
}

/// Every table in one snapshot, without the keys of persons. How many submissions, and the blobs they name.
fn rows(database: &Path, into: &Path) -> Result<(u64, Vec<BlobId>), Trouble> {
    let conn = source(database)?;
    let path = into.join(DATABASE);
    attach(&conn, &path, "copy")?;
    let transaction = rusqlite::Transaction::new_unchecked(&conn, rusqlite::TransactionBehavior::Deferred)?;
    let listed = |kind| -> Op<Vec<(String, String)>> {
        every(Conn::Sqlite(&transaction), sql!("custody/schema"), params![kind], |row| {
            Ok((row.col("name")?, row.col("sql")?))
        })
    };
    let tables = listed("table")?;
    for (_, text) in &tables {
        transaction.execute_batch(&inside("copy", text)?)?;
    }
    // Before the rows: an index made over a full table is sorted in memory, whatever its size.
    for (_, text) in listed("index")? {
        transaction.execute_batch(&inside("copy", &text)?)?;
    }
    for (name, _) in tables {
        let filter = if name == "wrapped_keys" { format!("WHERE kind NOT IN {OF_PERSONS}") } else { String::new() };
        transaction.execute_batch(&format!("INSERT INTO copy.\"{name}\" SELECT * FROM main.\"{name}\" {filter}"))?;
    }
    let stored = Conn::Sqlite(&transaction);
    let submissions: i64 = value(stored, Sql::of("SELECT count(*) FROM copy.submissions"), params![])?.unwrap_or(0);
    let blobs = every(stored, Sql::of("SELECT blob FROM copy.attachments"), params![], |row| row.id("blob"))?;
    transaction.commit()?;
    conn.execute_batch("DETACH DATABASE copy")?;
    File::open(&path)?.sync_all()?;
    Ok((submissions.unsigned_abs(), blobs))
}

/// The statement as it made the table or index, for the attached database.
fn inside(name: &str, statement: &str) -> Result<String, StoreError> {
    for head in ["CREATE TABLE ", "CREATE INDEX ", "CREATE UNIQUE INDEX "] {
        if let Some(rest) = statement.strip_prefix(head) {
            return Ok(format!("{head}{name}.{rest}"));
        }
    }
    Err(StoreError::Failed("a table was made in a way that a backup does not know".to_owned()))
}

/// The keys of persons as they are now, of submissions that the snapshot has. The file says of when and whose it is: it may
/// be kept apart from its backup.
fn persons_keys(database: &Path, into: &Path, now: Timestamp) -> Result<(), Trouble> {
    let conn = source(database)?;
    let path = into.join(KEYS);
    attach(&conn, &path, "keys")?;
    let snapshot = into.join(DATABASE);
    let text = snapshot.to_str().ok_or(StoreError::Failed("the folder's name is not UTF-8".to_owned()))?;
    conn.execute("ATTACH DATABASE ?1 AS copy", [text])?;
    let transaction = rusqlite::Transaction::new_unchecked(&conn, rusqlite::TransactionBehavior::Deferred)?;
    let tables = every(Conn::Sqlite(&transaction), sql!("custody/schema"), params!["table"], |row| {
        Ok((row.col::<String>("name")?, row.col::<String>("sql")?))
    })?;
    for (_, text) in tables.iter().filter(|(name, _)| name == "wrapped_keys") {
        transaction.execute_batch(&inside("keys", text)?)?;
    }
    transaction.execute_batch(&format!(
        "INSERT INTO keys.wrapped_keys SELECT * FROM main.wrapped_keys AS w
         WHERE w.kind IN {OF_PERSONS} AND EXISTS (SELECT 1 FROM copy.submissions AS s WHERE s.id = w.owner)"
    ))?;
    transaction.execute_batch(
        "CREATE TABLE keys.about (taken_at INTEGER NOT NULL, root_key_check BLOB NOT NULL, keys INTEGER NOT NULL) STRICT",
    )?;
    transaction.execute(
        "INSERT INTO keys.about
         SELECT ?1, value, (SELECT count(*) FROM keys.wrapped_keys) FROM main.meta WHERE name = 'root_key_check'",
        [micros(now)],
    )?;
    transaction.commit()?;
    conn.execute_batch("DETACH DATABASE copy; DETACH DATABASE keys")?;
    File::open(&path)?.sync_all()?;
    Ok(())
}

/// Copies the attachments. One that is gone must be gone from the live rows too.
async fn attachments(store: &SqlStore, into: &Path, blobs: Vec<BlobId>) -> Result<(u64, u64)> {
    let target = into.join(BLOBS);
    let folder = target.clone();
    on_disk(move || Ok(DirBuilder::new().mode(0o700).create(&folder)?)).await?;
    let (mut copied, mut missing) = (0, Vec::new());
    for blob in blobs {
        match store.blobs.sealed(blob).await {
            Ok(sealed) => {
                let to = target.join(relative(blob));
                on_disk(move || Ok(write_blob(&sealed, &to)?)).await?;
                copied += 1;
            }
            Err(BlobError::Missing) => missing.push(blob),
            Err(error) => return Err(blob_error(store, &error)),
        }
    }
    on_disk(move || Ok(sync_folders(&target)?)).await?;
    let gone = u64::try_from(missing.len()).unwrap_or(u64::MAX);
    let still_named = store
        .read(Scope::Every, move |conn| {
            let named = |blob: &BlobId| value::<i64>(conn, sql!("attachment_exists"), params![blob.bytes()]);
            missing.iter().map(named).collect::<Op<Vec<_>>>()
        })
        .await?;
    if still_named.iter().any(Option::is_some) {
        return Err(StoreError::Corrupt("attachment"));
    }
    Ok((copied, gone))
}

fn write_blob(sealed: &[u8], to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut target = create_new(to)?;
    target.write_all(sealed)?;
    target.sync_all()
}

fn create_new(path: &Path) -> io::Result<File> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Copies a file and syncs it. The source is looked at first: a missing one makes no folder.
pub(in crate::store) fn copy_blob(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    if let Some(folder) = to.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut target = create_new(to)?;
    io::copy(&mut source, &mut target)?;
    target.sync_all()
}

/// Syncs a folder and those in it.
pub(in crate::store) fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    File::open(folder)?.sync_all()
}

fn size_of(folder: &Path) -> io::Result<u64> {
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    let mut bytes = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                bytes += entry.metadata()?.len();
            }
        }
    }
    Ok(bytes)
}
