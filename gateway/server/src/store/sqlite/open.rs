//! Opening a data directory: lock it, check the database is safe and ours, migrate it, end a dead process's leases.
//!
//! Nothing is written before the lock is held, and nothing but migrations before the root key has proved right. The lock
//! lasts as long as the store, so whatever is leased when a store opens belonged to a process that is gone.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use causeway_core::clock::{Clock, Entropy};
use rusqlite::Connection;

use super::SqliteEngine;
use super::anchor::{self, Anchor, AnchorError};
use super::checkpoint::Checkpointer;
use super::pragmas::{self, Unsafe, Use};
use super::readers::Readers;
use super::writer::{Commit, OnFatal, Parts, Writer, commit};
use crate::bucket::Bucket;
use crate::store::blobs::Blobs;
use crate::store::keys::{Keyring, RootKey};
use crate::store::migrate::{self, MigrateError};
use crate::store::sql::errors::{Op, Stop};
use crate::store::sql::floors::Floors;
use crate::store::sql::load::Loads;
use crate::store::sql::numbers::Numbers;
use crate::store::sql::rows::{Columns, Conn, every, execute, params, sql, value};
use crate::store::sql::{Engine, SqlStore, custody, expire, receipts};
use crate::store::vitals::Vitals;
use crate::store::{Result, StoreError};

/// The exit code after a failed sync.
const EXIT_DISK: i32 = 74;

/// What a store is opened with.
pub struct OpenOptions {
    /// The data directory. Made when it is missing.
    pub path: PathBuf,
    /// Wraps the tenants' keys.
    pub root_key: RootKey,
    /// For what has no time of its own.
    pub clock: Arc<dyn Clock>,
    /// For ids, keys and nonces.
    pub entropy: Arc<dyn Entropy>,
    /// Called when a sync failed; has to end the process within a second.
    pub on_fatal: OnFatal,
    /// Connections that read.
    pub readers: usize,
    /// Where attachments are; none: in the data directory.
    pub bucket: Option<Bucket>,
    pub(in crate::store) commit: Commit,
}

impl OpenOptions {
    /// The settings of production.
    pub fn new(path: impl Into<PathBuf>, root_key: RootKey, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let on_fatal: OnFatal = Arc::new(|_| std::process::exit(EXIT_DISK));
        Self {
            path: path.into(),
            root_key,
            clock,
            entropy,
            on_fatal,
            readers: 4,
            bucket: None,
            commit: Arc::new(commit),
        }
    }
}

/// Why a store does not open. The data is untouched, except that migrations may have been applied.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses it.
    #[error("the data directory {0} is in use by another process")]
    Locked(PathBuf),
    /// The database was made with another root key.
    #[error(
        "the root key is not the one this data was sealed with: bring that one back from your copy; nothing was changed"
    )]
    WrongRootKey,
    /// It could lose or corrupt data.
    #[error(transparent)]
    Unsafe(#[from] Unsafe),
    /// See [`MigrateError`].
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The file system refused.
    #[error("the data directory {path} cannot be used")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The database refused.
    #[error("the database cannot be opened")]
    Store(#[source] StoreError),
    /// See [`AnchorError`].
    #[error(transparent)]
    Anchor(#[from] AnchorError),
}

/// Opens a data directory.
///
/// # Errors
/// When it is in use, unsafe, newer than this program, or sealed with another root key.
pub fn open(options: OpenOptions) -> Result<Arc<SqlStore>, OpenError> {
    let lock = lock(&options.path)?;
    let path = options.path.join("causeway.db");
    create(&path).map_err(|source| OpenError::Io { path: path.clone(), source })?;
    let conn = Connection::open(&path).map_err(Unsafe::from)?;
    // The key is checked first: with a wrong one not even a migration may touch the data.
    let check = options.root_key.check_value();
    if known_check(&conn).map_err(Unsafe::from)?.is_some_and(|stored| stored != check) {
        return Err(OpenError::WrongRootKey);
    }
    pragmas::apply(&conn, Use::Write)?;
    if let Some(memory) = clocks_memory(&conn).map_err(Unsafe::from)? {
        options.clock.recall(&memory);
    }
    let now = options.clock.now();
    migrate::run(&conn, migrate::SQLITE, now)?;
    let keys = Arc::new(Keyring::new(&options.root_key));
    // Before anything is written: an older database that goes on would make a second history.
    let anchored = anchor::read(&options.path, &keys)?.unwrap_or_default();
    let put_back = anchor::put_back(Conn::Sqlite(&conn), &options.path, &anchored);
    if let Some(error) = put_back.map_err(unreadable)? {
        return Err(error.into());
    }
    let anchor = Arc::new(Anchor::open(&options.path, anchored, &keys)?);
    let begun = begin_epoch(&conn, &keys, &check, &*options.entropy, now);
    let (unknown, due) = begun.map_err(unreadable)?;
    if unknown + due > 0 {
        tracing::warn!(unknown, due, "leases of a process that is gone were ended");
    }
    // A kill between an erasure's commit and its log: the log catches up.
    let erasures = custody::erasures_of(Conn::Sqlite(&conn), &keys).map_err(unreadable)?;
    custody::put_erasures(&options.path, &erasures)
        .map_err(|source| OpenError::Io { path: options.path.clone(), source })?;
    sync_folder(&options.path).map_err(|source| OpenError::Io { path: options.path.clone(), source })?;

    let blobs = options.path.join("blobs");
    let blobs = Arc::new(Blobs::at(options.bucket, &blobs).map_err(|source| OpenError::Io { path: blobs, source })?);
    let vitals = Vitals::new(Arc::clone(&options.clock), blobs.counts());
    let readers = Readers::open(&path, options.readers)?;
    let checkpoint = Connection::open(&path).map_err(Unsafe::from)?;
    pragmas::apply(&checkpoint, Use::Checkpoint)?;
    let generation = Arc::new(AtomicU64::new(1));
    let thread = |source| OpenError::Io { path: options.path.clone(), source };
    let checkpointer = Checkpointer::start(checkpoint, Arc::clone(&options.on_fatal)).map_err(thread)?;
    let writer = Writer::start(Parts {
        conn,
        keys: Arc::clone(&keys),
        entropy: Arc::clone(&options.entropy),
        generation: Arc::clone(&generation),
        on_fatal: Arc::clone(&options.on_fatal),
        vitals: Arc::clone(&vitals),
        checkpointer,
        commit: options.commit,
    })
    .map_err(thread)?;
    let OpenOptions { path: folder, clock, entropy, on_fatal, .. } = options;
    Ok(Arc::new(SqlStore {
        engine: Engine::Sqlite(SqliteEngine { writer, readers, anchor, folder, _lock: lock }),
        blobs,
        keys,
        clock,
        entropy,
        on_fatal,
        generation,
        numbers: Numbers::default(),
        vitals,
        floors: Arc::new(Floors::none()),
        backlogs: Arc::default(),
        loads: Loads::default(),
    }))
}

fn unreadable(stop: Stop) -> OpenError {
    match StoreError::from(stop) {
        StoreError::Corrupt("database") => Unsafe::Damaged.into(),
        error => OpenError::Store(error),
    }
}

/// The value the root key was recognised by before, if the database has one.
pub(in crate::store) fn known_check(conn: &Connection) -> rusqlite::Result<Option<[u8; 32]>> {
    if !has_meta(conn)? {
        return Ok(None);
    }
    conn.query_row("SELECT max(value) FROM meta WHERE name = 'root_key_check'", [], |row| row.get(0))
}

/// A file that was just made has no table.
fn has_meta(conn: &Connection) -> rusqlite::Result<bool> {
    conn.query_row("SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'meta'", [], |row| row.get(0))
}

/// What the clock was to remember when the periodic work was leased last.
fn clocks_memory(conn: &Connection) -> rusqlite::Result<Option<Vec<u8>>> {
    if !has_meta(conn)? {
        return Ok(None);
    }
    conn.query_row("SELECT max(value) FROM meta WHERE name = 'clock'", [], |row| row.get(0))
}

/// One transaction: the key check value, the tenants' keys, the new epoch, the first key for receipts, the end of every
/// lease.
fn begin_epoch(
    conn: &Connection,
    keys: &Keyring,
    check: &[u8; 32],
    entropy: &dyn Entropy,
    now: jiff::Timestamp,
) -> Op<(u64, u64)> {
    let transaction = rusqlite::Transaction::new_unchecked(conn, rusqlite::TransactionBehavior::Immediate)?;
    let stored = Conn::Sqlite(&transaction);
    execute(stored, sql!("meta_init"), params!["root_key_check", check])?;
    for (tenant, wrapped) in
        every(stored, sql!("tenant_keys"), params![], |row| Ok((row.id("owner")?, row.col("wrapped")?)))?
    {
        let wrapped: Vec<u8> = wrapped;
        keys.install(tenant, &wrapped).map_err(|_| StoreError::Corrupt("tenant key"))?;
    }
    let epoch: i64 = value::<[u8; 8]>(stored, sql!("meta_get"), params!["epoch"])?.map_or(0, i64::from_be_bytes);
    execute(stored, sql!("meta_put"), params!["epoch", (epoch + 1).to_be_bytes()])?;
    receipts::make_first_key(stored, keys, entropy, now)?;
    let expired = expire::every_lease(stored, now)?;
    transaction.commit()?;
    Ok(expired)
}

pub(in crate::store) fn lock(folder: &Path) -> Result<File, OpenError> {
    let io = |source| OpenError::Io { path: folder.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
    let path = folder.join("lock");
    let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// The database's file, for its owner only; SQLite gives its other files the same mode.
fn create(path: &Path) -> io::Result<()> {
    fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?.sync_all()
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()?;
    match folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
