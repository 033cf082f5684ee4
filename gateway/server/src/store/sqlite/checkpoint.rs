//! Moves the write-ahead log into the database, beside the writer, and keeps the log bounded.
//!
//! A thread of its own with a connection of its own runs passive checkpoints, which never wait for anybody. Under steady
//! writing a passive checkpoint does not reach the log's end, so the log would grow: above a limit the writer itself
//! starts it over between two commits, when little is left to copy.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::errors::{Moment, Stop, classify};
use super::writer::OnFatal;
use crate::store::{Result, StoreError};

/// Pages not yet moved that are worth a checkpoint: 24 MiB. A page that many commits change is moved once, and every
/// checkpoint syncs twice beside the commits' own syncs.
const WORTH_IT: i64 = 6_144;

/// Pages at which the log is started over: 48 MiB, which leaves room for the commits until then under 64 MiB.
const START_OVER: i64 = 12_288;

/// How long starting over may wait for readers before it is put off to the next commit.
const PATIENCE: Duration = Duration::from_millis(50);

const BUSY_TIMEOUT: Duration = Duration::from_millis(5_000);

#[derive(Default)]
struct Wish {
    wanted: bool,
    closing: bool,
}

struct Shared {
    wish: Mutex<Wish>,
    wake: Condvar,
}

/// The writer's side: asks for checkpoints and, when needed, runs one.
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    on_fatal: OnFatal,
}

/// What the log holds, in pages.
struct LogSize {
    pages: i64,
    moved: i64,
    busy: bool,
}

impl Checkpointer {
    pub(super) fn start(conn: Connection, on_fatal: OnFatal) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { wish: Mutex::default(), wake: Condvar::new() });
        let (theirs, fatal) = (Arc::clone(&shared), Arc::clone(&on_fatal));
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || run(&conn, &theirs, &fatal))?;
        Ok(Self { shared, thread: Some(thread), on_fatal })
    }

    /// Called between commits.
    pub(super) fn after_commit(&self, conn: &Connection) {
        let Ok(size) = checkpoint(conn, "NOOP") else { return };
        if size.pages >= START_OVER {
            self.start_over(conn);
        } else if size.pages - size.moved >= WORTH_IT {
            self.shared.wish.lock().unwrap_or_else(PoisonError::into_inner).wanted = true;
            self.shared.wake.notify_one();
        }
    }

    fn start_over(&self, conn: &Connection) {
        if conn.busy_timeout(PATIENCE).is_err() {
            return;
        }
        if let Err(error) = checkpoint(conn, "RESTART") {
            report(&error, &self.on_fatal);
        }
        if let Err(error) = conn.busy_timeout(BUSY_TIMEOUT) {
            report(&error, &self.on_fatal);
        }
    }

    /// Moves everything and cuts the log's file to nothing.
    pub(super) fn truncate(&self, conn: &Connection) -> Result<()> {
        match checkpoint(conn, "TRUNCATE") {
            Ok(size) if size.busy => Err(StoreError::Unavailable("the write-ahead log is being read")),
            Ok(_) => Ok(()),
            Err(error) => {
                report(&error, &self.on_fatal);
                Err(StoreError::Failed("the checkpoint failed".to_owned()))
            }
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.shared.wish.lock().unwrap_or_else(PoisonError::into_inner).closing = true;
        self.shared.wake.notify_one();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the store's checkpointer panicked");
        }
    }
}

fn run(conn: &Connection, shared: &Shared, on_fatal: &OnFatal) {
    loop {
        {
            let mut wish = shared.wish.lock().unwrap_or_else(PoisonError::into_inner);
            while !wish.wanted && !wish.closing {
                wish = shared.wake.wait(wish).unwrap_or_else(PoisonError::into_inner);
            }
            if wish.closing {
                return;
            }
            wish.wanted = false;
        }
        if let Err(error) = checkpoint(conn, "PASSIVE") {
            report(&error, on_fatal);
        }
    }
}

/// A checkpoint syncs too: when that fails, what is durable is no longer known.
fn report(error: &rusqlite::Error, on_fatal: &OnFatal) {
    match classify(error, Moment::Commit) {
        Stop::Fatal(code) => {
            tracing::error!(code, "a checkpoint could not be synced: the process ends");
            on_fatal(code);
        }
        Stop::Request(error) | Stop::Batch(error) => tracing::warn!(%error, "a checkpoint was put off"),
    }
}

fn checkpoint(conn: &Connection, mode: &'static str) -> rusqlite::Result<LogSize> {
    conn.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?
        .query_row([], |row| Ok(LogSize { busy: row.get::<_, i64>(0)? != 0, pages: row.get(1)?, moved: row.get(2)? }))
}
