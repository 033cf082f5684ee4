//! Makes a data directory of a backup, before anything opens it.
//!
//! Everything that can be refused is refused before a byte is written, and what was written is removed when it fails. The
//! erasure log is replayed before the database gets its name: who was erased after the backup stays erased, and so does
//! what has no key any more. Every account is paused and every API key suspended until a person confirms, and whatever had not been delivered counts
//! as unknown since the backup: the gateway that was lost may have sent it, so the vendor is asked before it is sent.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use causeway_core::clock::{Clock, Entropy};
use causeway_core::ids::{AccountId, BlobId, SubmissionId, TenantId};
use causeway_core::reason::Reason;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};

use super::backup::{copy_blob, sync_folders};
use super::manifest::{BLOBS, DATABASE, FORMAT, KEYS, Manifest, hash_of};
use crate::bucket::Bucket;
use crate::store::blobs::{Blobs, relative};
use crate::store::custody::SuspendedKey;
use crate::store::keys::{Keyring, RootKey};
use crate::store::migrate::{self, MigrateError};
use crate::store::sql::ahead::Ahead;
use crate::store::sql::custody::erasures::{self, Erased, ErasuresError};
use crate::store::sql::custody::keys;
use crate::store::sql::errors::{Op, Stop};
use crate::store::sql::rows::{Columns, Conn, StoredId, every, execute, micros, params, sql, value};
use crate::store::sql::tx::{Heads, Tx};
use crate::store::sql::{numbers, pause, trace};
use crate::store::sqlite::open;
use crate::store::work::RESTORED;
use crate::store::{Result, StoreError};

/// While it is being made.
const MAKING: &str = "causeway.db.restoring";

/// What an audit row names as the one who did it.
const ACTOR: &str = "restore";

/// What is restored, and where to.
pub struct RestoreOptions {
    /// The backup's folder.
    pub from: PathBuf,
    /// The file with the persons' keys, if it is not the backup's own: a later one lacks what was destroyed since.
    pub keys: Option<PathBuf>,
    /// What was erased since.
    pub erasures: Erasures,
    /// The data directory to make.
    pub into: PathBuf,
    /// Where the attachments go; none: into the data directory.
    pub bucket: Option<Bucket>,
    /// The one the data was sealed with. It is not part of a backup.
    pub root_key: RootKey,
    /// For what is written now.
    pub clock: Arc<dyn Clock>,
    /// For ids.
    pub entropy: Arc<dyn Entropy>,
}

/// Where what was erased after the backup is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erasures {
    /// The newest `erasures.log` of the gateway that was lost.
    File(PathBuf),
    /// Whoever restores says that nobody was erased since.
    NoneSince,
}

/// What a restore made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreReport {
    /// What came later is not in it.
    pub taken_at: Timestamp,
    /// Submissions, accepted and refused.
    pub submissions: u64,
    /// Attachments.
    pub attachments: u64,
    /// Submissions that were erased after the backup and were erased again.
    pub erased_again: u64,
    /// Submissions that were erased because they had no key any more: erased or past their time when the keys were copied.
    pub without_key: u64,
    /// Accounts that are paused until the restore is confirmed.
    pub accounts_paused: u64,
    /// Deliveries that wait for it.
    pub deliveries_held: u64,
    /// API keys that open nothing until then. Which were revoked after the backup is not known.
    pub keys_suspended: Vec<SuspendedKey>,
}

/// Why nothing was restored. The data directory is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It would be overwritten.
    #[error("the data directory {0} is not empty: restore into a new one, or move it away first")]
    NotEmpty(PathBuf),
    /// It is none, or it was not finished.
    #[error("there is no finished backup in {0}")]
    NoBackup(PathBuf),
    /// A later program wrote it.
    #[error(
        "the backup has the layout {found}, this program knows {FORMAT}; use the program that wrote it, or a newer"
    )]
    Layout {
        /// Its number.
        found: u32,
    },
    /// It was changed or damaged.
    #[error("the backup's database is not what was written: it is damaged or was changed")]
    Damaged,
    /// An attachment is missing.
    #[error("the backup lacks {0} of its attachments")]
    BlobsMissing(u64),
    /// The bucket of the configuration does not take them.
    #[error("the attachments cannot be put into the bucket of blobs.url: see `causeway doctor`, then restore again")]
    Bucket,
    /// The database was made with another root key.
    #[error("the root key is not the one this backup was sealed with; put that one in place first")]
    WrongRootKey,
    /// See [`MigrateError`].
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The log of erasures cannot be used.
    #[error("the erasure log {path} cannot be used")]
    Erasures {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: ErasuresError,
    },
    /// The keys are missing.
    #[error("the persons' keys are not at {0}; name the file with --keys")]
    NoKeys(PathBuf),
    /// What has no key is erased: these would erase what nobody decided to.
    #[error("the persons' keys in {path} cannot be used: {why}")]
    KeysUnfit {
        /// Where they are.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Open(#[from] open::OpenError),
    /// The file system refused.
    #[error("the files cannot be copied")]
    Io(#[from] io::Error),
    /// The database refused.
    #[error("the database cannot be restored")]
    Store(#[source] StoreError),
}

impl From<Stop> for RestoreError {
    fn from(stop: Stop) -> Self {
        Self::Store(stop.into())
    }
}

impl From<rusqlite::Error> for RestoreError {
    fn from(error: rusqlite::Error) -> Self {
        Stop::from(error).into()
    }
}

/// Makes the data directory.
///
/// # Errors
/// [`RestoreError`]; the data directory is as it was.
pub fn restore(options: &RestoreOptions) -> Result<RestoreReport, RestoreError> {
    let sound = look(options)?;
    let made_folder = !options.into.exists();
    let _lock = open::lock(&options.into)?;
    let report = make(options, &sound);
    if report.is_err() {
        for path in [MAKING, BLOBS, erasures::NAME, "lock"].map(|name| options.into.join(name)) {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            if let Err(error) = removed
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, "what a failed restore wrote could not be removed");
            }
        }
        if made_folder && let Err(error) = fs::remove_dir(&options.into) {
            tracing::warn!(%error, "what a failed restore wrote could not be removed");
        }
    }
    report
}

/// What was found out before anything is written.
struct Sound {
    manifest: Manifest,
    keys: PathBuf,
    keyring: Keyring,
    erased: Vec<Erased>,
}

fn look(options: &RestoreOptions) -> Result<Sound, RestoreError> {
    is_free(&options.into)?;
    let from = &options.from;
    let manifest = Manifest::read(from).map_err(|_none_or_unfinished| RestoreError::NoBackup(from.clone()))?;
    if manifest.format > FORMAT {
        return Err(RestoreError::Layout { found: manifest.format });
    }
    let database = from.join(DATABASE);
    if hash_of(&database)? != manifest.database_sha256 {
        return Err(RestoreError::Damaged);
    }
    let keys = options.keys.clone().unwrap_or_else(|| from.join(KEYS));
    if !keys.is_file() {
        return Err(RestoreError::NoKeys(keys));
    }
    let conn = read_only(&database)?;
    // The schema before the key: a newer program may keep the key elsewhere.
    let found: i64 = conn.query_row("SELECT coalesce(max(number), 0) FROM migrations", [], |row| row.get(0))?;
    let known = migrate::SQLITE.last().map_or(0, |newest| newest.number);
    if found > known {
        return Err(MigrateError::Newer { found, known }.into());
    }
    if open::known_check(&conn)? != Some(options.root_key.check_value()) {
        return Err(RestoreError::WrongRootKey);
    }
    look_at_keys(options, &manifest, &keys)?;
    let keyring = open_tenants(&conn, &options.root_key)?;
    let mut erased = read_log(&from.join(erasures::NAME), &keyring)?;
    if let Erasures::File(path) = &options.erasures {
        erased.extend(read_log(path, &keyring)?);
    }
    Ok(Sound { manifest, keys, keyring, erased })
}

/// What has no key in that file is erased, so it has to be the right one and whole: the backup's own, or a later one.
fn look_at_keys(options: &RestoreOptions, manifest: &Manifest, keys: &Path) -> Result<(), RestoreError> {
    let unfit = |why| RestoreError::KeysUnfit { path: keys.to_owned(), why };
    if options.keys.is_none() {
        return match &manifest.keys_sha256 {
            Some(expected) if hash_of(keys)? != *expected => Err(unfit("it is not what was written with this backup")),
            Some(_) | None => Ok(()),
        };
    }
    let no_keys = |_: rusqlite::Error| unfit("it is no keys.db of a backup, or it is damaged");
    let conn = read_only(keys)?;
    let sound: String = conn.query_row("PRAGMA quick_check", [], |row| row.get(0)).map_err(no_keys)?;
    let about = "SELECT taken_at, root_key_check, keys - (SELECT count(*) FROM wrapped_keys) FROM about";
    let about = conn.query_row(about, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?, row.get(2)?)));
    let (taken_at, root, missing): (i64, [u8; 32], i64) = about.map_err(no_keys)?;
    if sound != "ok" || missing != 0 {
        return Err(unfit("it is damaged"));
    }
    if root != options.root_key.check_value() {
        return Err(unfit("it is of another gateway"));
    }
    if taken_at < micros(manifest.taken_at) {
        return Err(unfit("it is older than the backup, and lacks the keys of what came in between"));
    }
    Ok(())
}

/// Missing, empty, or with nothing in it but the root key.
fn is_free(into: &Path) -> Result<(), RestoreError> {
    let entries = match fs::read_dir(into) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for entry in entries {
        if entry?.file_name() != "root.key" {
            return Err(RestoreError::NotEmpty(into.to_owned()));
        }
    }
    Ok(())
}

fn read_log(path: &Path, keyring: &Keyring) -> Result<Vec<Erased>, RestoreError> {
    erasures::read(path, keyring).map_err(|source| RestoreError::Erasures { path: path.to_owned(), source })
}

fn read_only(database: &Path) -> Result<Connection, RestoreError> {
    Ok(Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}

fn open_tenants(conn: &Connection, root: &RootKey) -> Result<Keyring, RestoreError> {
    let keyring = Keyring::new(root);
    let wrapped = every(Conn::Sqlite(conn), sql!("tenant_keys"), params![], |row| {
        Ok((row.id::<TenantId>("owner")?, row.col::<Vec<u8>>("wrapped")?))
    })?;
    for (tenant, wrapped) in wrapped {
        keyring.install(tenant, &wrapped).map_err(|_| RestoreError::WrongRootKey)?;
    }
    Ok(keyring)
}

/// Everything is made under other names; the last thing is that the database gets its own.
fn make(options: &RestoreOptions, sound: &Sound) -> Result<RestoreReport, RestoreError> {
    let making = options.into.join(MAKING);
    copy_blob(&options.from.join(DATABASE), &making)?;
    let conn = Connection::open(&making)?;
    conn.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON")?;
    let now = options.clock.now();
    migrate::run(&conn, migrate::SQLITE, now)?;
    take_keys(&conn, &sound.keys)?;
    let changed = change(options, sound, &conn, now)?;
    let text = erasures::text(Conn::Sqlite(&conn), &sound.keyring)?;
    let blobs: Vec<BlobId> = every(Conn::Sqlite(&conn), sql!("custody/blobs"), params![], |row| row.id("blob"))?;
    let attachments = match &options.bucket {
        None => copy_blobs(&options.from.join(BLOBS), &options.into.join(BLOBS), &blobs)?,
        Some(bucket) => put_blobs(&options.from.join(BLOBS), bucket.clone(), &blobs)?,
    };
    let submissions: i64 = value(Conn::Sqlite(&conn), sql!("custody/submissions"), params![])?.unwrap_or(0);
    conn.close().map_err(|(_, error)| error)?;
    erasures::put(&options.into, &text)?;
    fs::rename(&making, options.into.join(DATABASE))?;
    sync_folders(&options.into)?;
    Ok(RestoreReport {
        taken_at: sound.manifest.taken_at,
        submissions: submissions.unsigned_abs(),
        attachments,
        erased_again: changed.erased_again,
        without_key: changed.without_key,
        accounts_paused: changed.accounts,
        deliveries_held: changed.deliveries,
        keys_suspended: changed.keys_suspended,
    })
}

/// Only keys of submissions that the backup has.
fn take_keys(conn: &Connection, keys: &Path) -> Result<(), RestoreError> {
    let text = keys.to_str().ok_or_else(|| RestoreError::NoKeys(keys.to_owned()))?;
    conn.execute("ATTACH DATABASE ?1 AS keys", [text])?;
    conn.execute_batch(
        "INSERT OR IGNORE INTO main.wrapped_keys SELECT * FROM keys.wrapped_keys AS w
         WHERE w.kind IN ('submission', 'demographics')
           AND EXISTS (SELECT 1 FROM main.submissions AS s WHERE s.id = w.owner AND s.erased_at IS NULL);
         DETACH DATABASE keys",
    )?;
    Ok(())
}

struct Changed {
    erased_again: u64,
    without_key: u64,
    keys_suspended: Vec<SuspendedKey>,
    accounts: u64,
    deliveries: u64,
}

/// One transaction over what the stored rows say.
fn change(options: &RestoreOptions, sound: &Sound, conn: &Connection, now: Timestamp) -> Result<Changed, RestoreError> {
    let transaction = rusqlite::Transaction::new_unchecked(conn, rusqlite::TransactionBehavior::Immediate)?;
    let (mut heads, mut setup_changed) = (Heads::default(), false);
    let mut tx = Tx {
        ahead: Ahead::default(),
        conn: Conn::Sqlite(&transaction),
        keys: &sound.keyring,
        entropy: &*options.entropy,
        heads: &mut heads,
        setup_changed: &mut setup_changed,
    };
    // Before anybody is erased: what the lost gateway may have sent is then listed as a copy at its vendor.
    let taken = micros(sound.manifest.taken_at);
    execute(tx.conn, sql!("custody/unsure"), params![RESTORED, taken])?;
    let erased_again = replay_erasures(&mut tx, &sound.erased, now)?;
    let without_key = erase_without_key(&tx, now)?;
    let keys_suspended = keys::suspend(tx.conn)?;
    // Which endpoints were removed after the backup is not known either; what they would have got waits.
    execute(tx.conn, sql!("webhooks/endpoints_suspend"), params![micros(now)])?;
    numbers::skip_after_restore(&tx)?;
    let accounts: Vec<AccountId> = every(tx.conn, sql!("custody/running"), params![], |row| row.id("id"))?;
    for account in &accounts {
        pause::pause(&mut tx, *account, Reason::Restored, ACTOR, now)?;
    }
    let held: Option<i64> = value(tx.conn, sql!("custody/held_by_restore"), params![Reason::Restored.as_str()])?;
    tx.write_heads()?;
    transaction.commit()?;
    Ok(Changed {
        erased_again,
        without_key,
        keys_suspended,
        accounts: u64::try_from(accounts.len()).unwrap_or(u64::MAX),
        deliveries: held.unwrap_or(0).unsigned_abs(),
    })
}

/// Erases again whoever was erased, up to the moment they were.
fn replay_erasures(tx: &mut Tx<'_>, erased: &[Erased], now: Timestamp) -> Op<u64> {
    let mut again = 0;
    for one in erased {
        let (tenant, exact, at) = (one.tenant, one.email_exact, micros(one.erased_at));
        let known: Option<i64> = value(tx.conn, sql!("custody/erasure_known"), params![tenant.bytes(), exact, at])?;
        let found: Vec<SubmissionId> =
            every(tx.conn, sql!("trace/erase_find_until"), params![tenant.bytes(), exact, at], |row| row.id("id"))?;
        for submission in &found {
            trace::erase_submission(tx.conn, *submission, ACTOR, one.erased_at)?;
        }
        if known.is_none() {
            let tombstone = params![tenant.bytes(), exact, i64::from(one.normaliser), at];
            execute(tx.conn, sql!("trace/tombstone_put"), tombstone)?;
            execute(tx.conn, sql!("trace/erasure_log_put"), params![tenant.bytes(), exact, at, ACTOR, "{}"])?;
            tx.audit(tenant, now, ACTOR, "support.erase", &format!("{} submissions, again", found.len()))?;
        }
        again += u64::try_from(found.len()).unwrap_or(u64::MAX);
    }
    Ok(again)
}

/// Erases whatever lost its key in another way.
fn erase_without_key(tx: &Tx<'_>, now: Timestamp) -> Op<u64> {
    let mut erased = 0;
    for submission in every(tx.conn, sql!("custody/without_key"), params![], |row| row.id::<SubmissionId>("id"))? {
        trace::erase_submission(tx.conn, submission, ACTOR, now)?;
        erased += 1;
    }
    // Demographic answers whose key is gone are past their time.
    execute(tx.conn, sql!("custody/demographics_without_key"), params![])?;
    Ok(erased)
}

/// Puts what is still named into the bucket. If the restore ends early, the sweep finds what no row names.
fn put_blobs(from: &Path, bucket: Bucket, blobs: &[BlobId]) -> Result<u64, RestoreError> {
    all_there(from, blobs)?;
    let runtime = tokio::runtime::Handle::try_current().map_err(|_| RestoreError::Bucket)?;
    let bucket = Blobs::in_bucket(bucket);
    for blob in blobs {
        let sealed = fs::read(from.join(relative(*blob)))?;
        runtime.block_on(bucket.put_sealed(*blob, sealed.into())).map_err(|_| RestoreError::Bucket)?;
    }
    Ok(u64::try_from(blobs.len()).unwrap_or(u64::MAX))
}

fn all_there(from: &Path, blobs: &[BlobId]) -> Result<(), RestoreError> {
    match blobs.iter().filter(|blob| !from.join(relative(**blob)).is_file()).count() {
        0 => Ok(()),
        missing => Err(RestoreError::BlobsMissing(u64::try_from(missing).unwrap_or(u64::MAX))),
    }
}

/// Copies what is still named. Missing ones are counted before any is copied.
fn copy_blobs(from: &Path, to: &Path, blobs: &[BlobId]) -> Result<u64, RestoreError> {
    all_there(from, blobs)?;
    DirBuilder::new().mode(0o700).create(to)?;
    for blob in blobs {
        copy_blob(&from.join(relative(*blob)), &to.join(relative(*blob)))?;
    }
    sync_folders(to)?;
    Ok(u64::try_from(blobs.len()).unwrap_or(u64::MAX))
}
