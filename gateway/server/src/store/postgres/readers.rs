//! Connections that only read, on the blocking pool, each read in one snapshot.
//!
//! A fixed number, so that reading can neither starve the process of threads nor the database of connections. One that
//! broke is not used again; the next read makes another.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::accounts::TenantOf;
use super::connect::Connector;
use super::errors::Then;
use super::scope::{Among, Limits, Reach};
use super::session::Session;
use super::text::Use;
use crate::store::sql::conn::Conn;
use crate::store::sql::errors::{Op, Stop};
use crate::store::sql::scope::Scope;
use crate::store::{Result, StoreError};

/// A statement of a read, on the server, and for this side.
const STATEMENT: u32 = 20_000;
const ANSWER: Duration = Duration::from_secs(22);

/// Until a reader is free.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pool.
pub(super) struct Readers {
    connector: Arc<Connector>,
    tenants: Arc<TenantOf>,
    idle: Arc<Mutex<Vec<Session>>>,
    slots: Arc<Semaphore>,
}

impl Readers {
    /// Connects when something is read.
    pub(super) fn new(connector: Arc<Connector>, tenants: Arc<TenantOf>, count: usize) -> Self {
        Self { connector, tenants, idle: Arc::default(), slots: Arc::new(Semaphore::new(count)) }
    }

    /// Runs `verb` on a connection of its own, in one snapshot.
    pub(super) async fn read<T, F>(&self, scopes: Vec<Scope>, verb: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Conn<'_>) -> Op<T> + Send + 'static,
    {
        let slot = tokio::time::timeout(PATIENCE, Arc::clone(&self.slots).acquire_owned()).await;
        let slot = match slot {
            Ok(Ok(slot)) => slot,
            Ok(Err(_)) => return Err(StoreError::Unavailable("the store has ended")),
            Err(_) => return Err(StoreError::Unavailable("the database does not answer in time")),
        };
        let (connector, tenants, idle) =
            (Arc::clone(&self.connector), Arc::clone(&self.tenants), Arc::clone(&self.idle));
        let read = tokio::task::spawn_blocking(move || {
            let taken = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let session = ready(taken, &connector, &tenants, &scopes)?;
            let result = verb(Conn::Postgres(&session));
            // Nothing was changed: how it ends is of no interest, but it has to end.
            let ended = session.is_usable() && session.batch("ROLLBACK").is_ok();
            session.take_trouble();
            if ended {
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
            }
            drop(slot);
            result.map_err(StoreError::from)
        });
        read.await.unwrap_or_else(|_| Err(StoreError::Failed("a read panicked".to_owned())))
    }
}

/// A connection whose snapshot has begun. One that broke while it was idle is replaced, once.
fn ready(idle: Option<Session>, connector: &Connector, tenants: &TenantOf, scopes: &[Scope]) -> Result<Session> {
    if let Some(session) = idle
        && session.is_usable()
    {
        match begin(&session, connector, tenants, scopes) {
            Ok(()) => return Ok(session),
            Err(stop) if session.take_trouble() != Some(Then::Reconnect) => return Err(stop.into()),
            Err(_) => {}
        }
    }
    let session = connector.connect(Use::Read, STATEMENT)?;
    session.set_deadline(ANSWER);
    begin(&session, connector, tenants, scopes)?;
    Ok(session)
}

fn begin(session: &Session, connector: &Connector, tenants: &TenantOf, scopes: &[Scope]) -> Result<(), Stop> {
    let mut reach = Reach::default();
    for scope in scopes {
        reach.add(tenants.whose(session, *scope)?, Among::Beside);
    }
    let limits = Limits { pooled: connector.is_pooled(), statement: STATEMENT };
    session.batch(&reach.begin_reading(limits))
}
