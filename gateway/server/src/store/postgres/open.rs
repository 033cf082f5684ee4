//! Bringing a store on PostgreSQL up: look at the server, check the root key, open the tenants' keys, recognise the folder of
//! attachments, start the threads.
//!
//! Nothing is written before the server has proved safe and the root key right, and nothing is migrated here. Leases of a
//! process that is gone are left to run out: another gateway may be alive.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use causeway_core::clock::{Clock, Entropy};
use causeway_core::pii::Secret;

use super::accounts::TenantOf;
use super::connect::Connector;
use super::partitions::{Keeper, Partitions};
use super::pending::MOMENT;
use super::readers::Readers;
use super::scope::{Among, Limits, Reach, Whose};
use super::session::Session;
use super::text::Use;
use super::watch::{self, Setup, Watch, Watched};
use super::writer::{Parts, Writer};
use super::{PostgresEngine, check, folder};
use crate::bucket::Bucket;
use crate::store::StoreError;
use crate::store::blobs::Blobs;
use crate::store::keys::{Keyring, RootKey};
use crate::store::sql::conn::Conn;
use crate::store::sql::errors::{Op, Stop};
use crate::store::sql::floors::Floors;
use crate::store::sql::load::Loads;
use crate::store::sql::numbers::Numbers;
use crate::store::sql::rows::{execute, params, sql};
use crate::store::sql::{Engine, OnFatal, SqlStore, receipts};
use crate::store::vitals::Vitals;

/// The exit code after a failed sync of a blob.
const EXIT_DISK: i32 = 74;

const LIMITS: Limits = Limits { pooled: true, statement: 10_000 };

/// What a store is opened with.
pub struct OpenOptions {
    /// Where the database is, and as whom it is used.
    pub dsn: Secret,
    /// It leads through a pooler in transaction mode.
    pub pooler: bool,
    /// The directory of attachments, shared by every gateway of this database.
    pub blobs: PathBuf,
    /// Where attachments are instead, if anywhere.
    pub bucket: Option<Bucket>,
    /// Wraps the tenants' keys. Every gateway has the same.
    pub root_key: RootKey,
    /// For what has no time of its own.
    pub clock: Arc<dyn Clock>,
    /// For ids, keys and nonces.
    pub entropy: Arc<dyn Entropy>,
    /// Called when a sync of a blob failed; has to end the process within a second.
    pub on_fatal: OnFatal,
    /// Connections that write.
    pub writers: usize,
    /// Connections that read.
    pub readers: usize,
    /// How long few requests wait for more, from the taking of the batch before theirs, where one of late had several.
    pub moment: Duration,
}

impl OpenOptions {
    /// The settings of production.
    pub fn new(
        dsn: Secret,
        blobs: impl Into<PathBuf>,
        root_key: RootKey,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let on_fatal: OnFatal = Arc::new(|_| std::process::exit(EXIT_DISK));
        Self {
            dsn,
            pooler: false,
            blobs: blobs.into(),
            bucket: None,
            root_key,
            clock,
            entropy,
            on_fatal,
            writers: 2,
            readers: 6,
            moment: MOMENT,
        }
    }
}

/// Why a store does not open. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It could lose data, or show one tenant another's; or a migration or a right is missing.
    #[error("{what}: {text}")]
    Refused {
        /// What was looked at.
        what: String,
        /// What was found, and what to do.
        text: String,
    },
    /// The file system refused.
    #[error("the folder of attachments {path} cannot be used")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The database refused.
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
}

impl From<Stop> for OpenError {
    fn from(stop: Stop) -> Self {
        Self::Store(stop.into())
    }
}

/// Opens a store. Blocks while it connects; may be called where asynchronous tasks run.
///
/// # Errors
/// When the database cannot be reached, is unsafe, is not migrated, or was sealed with another root key.
pub fn open(options: OpenOptions) -> Result<Arc<SqlStore>, OpenError> {
    let connector = Arc::new(Connector::new(&options.dsn, options.pooler)?);
    let keys = Arc::new(Keyring::new(&options.root_key));
    let begun = std::thread::scope(|scope| {
        // A thread of its own: a connection's waits cannot be made on one that drives tasks.
        let begin = || begin(&connector, &keys, &options);
        scope.spawn(begin).join().unwrap_or_else(|_| Err(StoreError::Failed("opening panicked".to_owned()).into()))
    });
    let seen = begun?;
    let io = |path: &PathBuf| {
        let path = path.clone();
        move |source| OpenError::Io { path, source }
    };
    let blobs = Arc::new(Blobs::at(options.bucket.clone(), &options.blobs).map_err(io(&options.blobs))?);
    let vitals = Vitals::new(Arc::clone(&options.clock), blobs.counts());
    let generation = Arc::new(AtomicU64::new(1));
    let tenants = Arc::new(TenantOf::default());
    let setup = Arc::new(Setup::new(Arc::clone(&generation)));
    let parts = Parts {
        connector: Arc::clone(&connector),
        keys: Arc::clone(&keys),
        entropy: Arc::clone(&options.entropy),
        setup: Arc::clone(&setup),
        tenants: Arc::clone(&tenants),
        vitals: Arc::clone(&vitals),
    };
    let writer = Arc::new(Writer::start(&parts, options.writers, options.moment).map_err(io(&options.blobs))?);
    let watched = Watched { connector: Arc::clone(&connector), keys: Arc::clone(&keys), setup, seen };
    let watch = Arc::new(Watch::start(watched).map_err(io(&options.blobs))?);
    let keeper = Keeper::new(Arc::clone(&connector), Arc::clone(&options.clock), &*options.entropy);
    let partitions = Partitions::start(keeper).map_err(io(&options.blobs))?;
    let readers = Readers::new(Arc::clone(&connector), tenants, options.readers);
    let OpenOptions { clock, entropy, on_fatal, .. } = options;
    Ok(Arc::new(SqlStore {
        engine: Engine::Postgres(PostgresEngine { connector, writer, readers, watch, partitions }),
        blobs,
        keys,
        clock,
        entropy,
        on_fatal,
        generation,
        numbers: Numbers::default(),
        vitals,
        floors: Arc::new(Floors::kept()),
        backlogs: Arc::default(),
        loads: Loads::default(),
    }))
}

/// One look, then one transaction: the key check value, the first key for receipts, the tenants' keys. What setup stands at.
fn begin(connector: &Connector, keys: &Keyring, options: &OpenOptions) -> Result<Option<Vec<u8>>, OpenError> {
    let session = connector.connect(Use::Write, LIMITS.statement)?;
    if let Some(bad) = check::of(&session, keys)?.into_iter().find(check::is_bad) {
        return Err(OpenError::Refused { what: bad.what, text: bad.text });
    }
    let mut reach = Reach::default();
    reach.add(Whose::Every, Among::Beside);
    session.batch(&reach.begin(LIMITS))?;
    let seen = first_time(&session, keys, options)?;
    if options.bucket.is_none() {
        folder::recognise(Conn::Postgres(&session), &options.blobs, &*options.entropy)?;
    }
    session.batch("COMMIT")?;
    Ok(seen)
}

fn first_time(session: &Session, keys: &Keyring, options: &OpenOptions) -> Op<Option<Vec<u8>>> {
    let conn = Conn::Postgres(session);
    // Of two that are the first, one waits here for the other.
    execute(conn, sql!("meta_init"), params!["root_key_check", keys.check_value()])?;
    receipts::make_first_key(conn, keys, &*options.entropy, options.clock.now())?;
    watch::install(conn, keys)?;
    watch::stands(conn)
}
