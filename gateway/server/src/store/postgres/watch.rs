//! What other gateways change: accounts, keys, postings and forms, seen here within half a second, and the keys of tenants
//! they made.
//!
//! A transaction that changes setup writes a new value into one row; every gateway looks at that row. When it is another
//! than before, the keys of tenants are read first and what readers cached is called stale after. Now and then it sees to it
//! that the tables which are apart by time have their next partitions.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use causeway_core::clock::{Clock, Entropy};
use causeway_core::ids::TenantId;

use super::connect::Connector;
use super::pace::Pace;
use super::scope::{Among, Limits, Reach, Whose};
use super::session::Session;
use super::text::Use;
use crate::store::keys::Keyring;
use crate::store::sql::conn::{Conn, Sql};
use crate::store::sql::errors::Op;
use crate::store::sql::rows::{Columns, every, execute, micros, params, sql, value};
use crate::store::{Result, StoreError};

/// Between two looks.
const EVERY: Duration = Duration::from_millis(400);

/// Between two looks after partitions, and after one that failed.
const PARTITIONS: Duration = Duration::from_hours(1);
const PARTITIONS_AGAIN: Duration = Duration::from_mins(1);

const KEEP: Sql = Sql::of("SELECT causeway_keep_partitions(?1)");

/// Where the value is.
const ROW: &str = "generation";

const LIMITS: Limits = Limits { pooled: true, statement: 5_000 };

/// What readers cached about setup, and how it becomes stale.
pub(super) struct Setup {
    pub(super) generation: Arc<AtomicU64>,
    /// The last values written here: their readers were told by the commit.
    own: Mutex<VecDeque<[u8; 16]>>,
}

/// More than are written between two looks.
const OWN: usize = 64;

impl Setup {
    pub(super) fn new(generation: Arc<AtomicU64>) -> Self {
        Self { generation, own: Mutex::default() }
    }

    /// Tells every gateway, once the running transaction commits.
    pub(super) fn raise(&self, session: &Session, entropy: &dyn Entropy) -> Op<()> {
        let mut value = [0; 16];
        entropy.fill(&mut value);
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.truncate(OWN - 1);
        own.push_front(value);
        drop(own);
        execute(Conn::Postgres(session), sql!("meta_put"), params![ROW, value]).map(|_| ())
    }

    /// Tells the readers of this process.
    pub(super) fn changed(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    fn is_own(&self, value: &[u8]) -> bool {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|own| own == value)
    }
}

/// The thread that looks.
pub(super) struct Watch {
    closed: Arc<(Mutex<bool>, Condvar)>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What it keeps up to date.
pub(super) struct Watched {
    pub(super) connector: Arc<Connector>,
    pub(super) keys: Arc<Keyring>,
    pub(super) setup: Arc<Setup>,
    pub(super) clock: Arc<dyn Clock>,
    /// What stood there when the store was opened.
    pub(super) seen: Option<Vec<u8>>,
}

impl Watch {
    pub(super) fn start(watched: Watched) -> std::io::Result<Self> {
        let closed = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = Arc::clone(&closed);
        let thread = std::thread::Builder::new().name("store-watch".to_owned()).spawn(move || watched.run(&theirs))?;
        Ok(Self { closed, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn close(&self) {
        *self.closed.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.closed.1.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the store's watch panicked");
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.close();
    }
}

impl Watched {
    fn run(mut self, closed: &(Mutex<bool>, Condvar)) {
        let (mut session, mut pace) = (None, Pace::default());
        let mut partitions_at = Instant::now();
        loop {
            if Instant::now() >= partitions_at {
                let wait = match self.keep_partitions() {
                    Ok(()) => PARTITIONS,
                    Err(error) => {
                        tracing::warn!(%error, "partitions were not looked after: tried again");
                        PARTITIONS_AGAIN
                    }
                };
                partitions_at = Instant::now() + wait;
            }
            let wait = match self.look(&mut session) {
                Ok(()) => {
                    pace.went_well();
                    EVERY
                }
                Err(error) => {
                    tracing::debug!(%error, "what other gateways changed is not known now");
                    session = None;
                    pace.next()
                }
            };
            let guard = closed.0.lock().unwrap_or_else(PoisonError::into_inner);
            let (guard, _) =
                closed.1.wait_timeout_while(guard, wait, |closed| !*closed).unwrap_or_else(PoisonError::into_inner);
            if *guard {
                return;
            }
        }
    }

    /// On a connection of its own, once an hour.
    fn keep_partitions(&self) -> Result<()> {
        let session = self.connector.connect(Use::Write, 30_000)?;
        session.set_deadline(Duration::from_secs(33));
        let mut reach = Reach::default();
        reach.add(Whose::Every, Among::Beside);
        session.batch(&reach.begin(Limits { pooled: true, statement: 30_000 }))?;
        let now = micros(self.clock.now());
        value::<i64>(Conn::Postgres(&session), KEEP, params![now])?;
        session.batch("COMMIT").map_err(StoreError::from)
    }

    fn look(&mut self, session: &mut Option<Session>) -> Result<()> {
        if session.is_none() {
            *session = Some(self.connector.connect(Use::Read, LIMITS.statement)?);
        }
        let Some(session) = session else { return Ok(()) };
        let mut reach = Reach::default();
        reach.add(Whose::Every, Among::Beside);
        session.batch(&reach.begin_reading(LIMITS))?;
        let conn = Conn::Postgres(session);
        let found = stands(conn)?;
        let is_news = self.seen != found;
        if is_news {
            install(conn, &self.keys)?;
        }
        session.batch("ROLLBACK")?;
        if is_news {
            if found.as_deref().is_some_and(|found| !self.setup.is_own(found)) {
                self.setup.changed();
            }
            self.seen = found;
        }
        Ok(())
    }
}

/// What stands there now.
pub(super) fn stands(conn: Conn<'_>) -> Op<Option<Vec<u8>>> {
    value(conn, sql!("meta_get"), params![ROW])
}

/// Opens the keys of tenants that are not known yet.
pub(super) fn install(conn: Conn<'_>, keys: &Keyring) -> Op<()> {
    let stored = every(conn, sql!("tenant_keys"), params![], |row| {
        Ok((row.id::<TenantId>("owner")?, row.col::<Vec<u8>>("wrapped")?))
    })?;
    for (tenant, wrapped) in stored {
        if keys.tenant(tenant).is_none() {
            keys.install(tenant, &wrapped).map_err(|_| StoreError::Corrupt("tenant key"))?;
        }
    }
    Ok(())
}
