//! What other gateways change: accounts, keys, postings and forms, seen here within half a second, and the keys of tenants
//! they made.
//!
//! A transaction that changes setup writes a new value into one row; every gateway looks at that row. When it is another
//! than before, the keys of tenants are read first and what readers cached is called stale after.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use causeway_core::clock::Entropy;
use causeway_core::ids::TenantId;

use super::connect::Connector;
use super::pace::Pace;
use super::scope::{Among, Limits, Reach, Whose};
use super::session::Session;
use super::text::Use;
use crate::store::keys::Keyring;
use crate::store::sql::conn::Conn;
use crate::store::sql::errors::Op;
use crate::store::sql::rows::{Columns, every, execute, params, sql, value};
use crate::store::{Result, StoreError};

/// Between two looks.
const EVERY: Duration = Duration::from_millis(400);

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

    /// [`Setup::changed`], perhaps: it is not known whether what was raised was committed, or will be. The watch looks again
    /// at whatever it finds.
    pub(super) fn may_have_changed(&self) {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.changed();
    }

    fn is_own(&self, value: &[u8]) -> bool {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|own| own == value)
    }
}

/// The thread that looks.
pub(super) struct Watch {
    desk: Arc<Desk>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Where the thread is told to look now, or to end.
#[derive(Default)]
struct Desk {
    wishes: Mutex<Wishes>,
    changed: Condvar,
}

#[derive(Default)]
struct Wishes {
    closed: bool,
    /// Looks that were asked for, and how many of them were taken.
    asked: u64,
    taken: u64,
}

/// Until who asked for a look goes on without it.
const PATIENCE: Duration = Duration::from_secs(2);

impl Desk {
    fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks now, and waits for it.
    fn look(&self) {
        let mut wishes = self.wishes();
        if wishes.closed {
            return;
        }
        wishes.asked += 1;
        let mine = wishes.asked;
        self.changed.notify_all();
        let waiting = |wishes: &mut Wishes| wishes.taken < mine && !wishes.closed;
        drop(self.changed.wait_timeout_while(wishes, PATIENCE, waiting));
    }
}

/// What it keeps up to date.
pub(super) struct Watched {
    pub(super) connector: Arc<Connector>,
    pub(super) keys: Arc<Keyring>,
    pub(super) setup: Arc<Setup>,
    /// What stood there when the store was opened.
    pub(super) seen: Option<Vec<u8>>,
}

impl Watch {
    pub(super) fn start(watched: Watched) -> std::io::Result<Self> {
        let desk = Arc::new(Desk::default());
        let (theirs, asks) = (Arc::clone(&desk), Arc::clone(&desk));
        watched.keys.on_miss(Box::new(move || asks.look()));
        let thread = std::thread::Builder::new().name("store-watch".to_owned()).spawn(move || watched.run(&theirs))?;
        Ok(Self { desk, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn close(&self) {
        self.desk.wishes().closed = true;
        self.desk.changed.notify_all();
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
    fn run(mut self, desk: &Desk) {
        let (mut session, mut pace) = (None, Pace::default());
        loop {
            let (asked, is_asked) = {
                let wishes = desk.wishes();
                (wishes.asked, wishes.asked > wishes.taken)
            };
            let wait = match self.look(&mut session, is_asked) {
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
            let mut wishes = desk.wishes();
            // Also when it failed: who asked is not kept waiting for a database that is away.
            wishes.taken = wishes.taken.max(asked);
            desk.changed.notify_all();
            let idle = |wishes: &mut Wishes| !wishes.closed && wishes.asked == wishes.taken;
            let (wishes, _) =
                desk.changed.wait_timeout_while(wishes, wait, idle).unwrap_or_else(PoisonError::into_inner);
            if wishes.closed {
                return;
            }
        }
    }

    fn look(&mut self, session: &mut Option<Session>, is_asked: bool) -> Result<()> {
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
        if is_news || is_asked {
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
        if keys.known(tenant).is_none() {
            keys.install(tenant, &wrapped).map_err(|_| StoreError::Corrupt("tenant key"))?;
        }
    }
    Ok(())
}
