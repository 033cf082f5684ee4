//! Connections that only read, on the blocking pool, each read in one snapshot.
//!
//! A fixed number, so that reading can neither starve the process of threads nor keep the write-ahead log from being
//! started over for long. A connection that failed is used again: SQLite's read errors leave it whole.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::Semaphore;

use super::pragmas::{self, Unsafe, Use};
use crate::store::sql::errors::Op;
use crate::store::{Result, StoreError};

/// The pool.
pub(in crate::store) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    slots: Arc<Semaphore>,
}

impl Readers {
    pub(in crate::store) fn open(path: &Path, count: usize) -> Result<Self, Unsafe> {
        let mut idle = Vec::with_capacity(count);
        for _ in 0..count {
            let conn = Connection::open(path)?;
            pragmas::apply(&conn, Use::Read)?;
            idle.push(conn);
        }
        Ok(Self { idle: Arc::new(Mutex::new(idle)), slots: Arc::new(Semaphore::new(count)) })
    }

    /// Runs `verb` on a connection of its own, in one snapshot.
    pub(in crate::store) async fn read<T, F>(&self, verb: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Op<T> + Send + 'static,
    {
        let ended = |_| StoreError::Unavailable("the store has ended");
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(ended)?;
        let idle = Arc::clone(&self.idle);
        let read = tokio::task::spawn_blocking(move || {
            let conn = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let lent =
                Lent { conn: Some(conn.ok_or_else(|| StoreError::Failed("no reader is idle".to_owned()))?), idle };
            let result = lent.conn.as_ref().map(|conn| snapshot(conn, verb));
            drop(lent);
            drop(slot);
            result
                .unwrap_or_else(|| Err(StoreError::Failed("no reader is idle".to_owned()).into()))
                .map_err(StoreError::from)
        });
        read.await.unwrap_or_else(|_| Err(StoreError::Failed("a read panicked".to_owned())))
    }
}

/// Goes back to the pool however the read ends.
struct Lent {
    conn: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(self.conn.take());
    }
}

fn snapshot<T>(conn: &Connection, verb: impl FnOnce(&Connection) -> Op<T>) -> Op<T> {
    let transaction = rusqlite::Transaction::new_unchecked(conn, TransactionBehavior::Deferred)?;
    let result = verb(&transaction);
    transaction.finish()?;
    result
}
