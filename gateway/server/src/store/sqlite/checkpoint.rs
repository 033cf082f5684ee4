//! Moves the write-ahead log into the database, beside the writer, and keeps the log bounded.
//!
//! A thread of its own with a connection of its own runs passive checkpoints, which never wait for anybody. Under steady
//! writing a passive checkpoint does not reach the log's end, so the log would grow: above a limit the writer itself
//! starts it over between two commits, when little is left to copy. A reader that holds an old snapshot, as a backup does,
//! makes that impossible until it is done: the log grows by what is written meanwhile, and the writer does not wait for it.

use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::errors::{Moment, classify};
use super::writer::OnFatal;
use crate::store::sql::errors::Stop;
use crate::store::{Result, StoreError};

/// Pages not yet moved that are worth a checkpoint: 48 MiB. A page that many commits change is moved once, and every
/// checkpoint syncs twice beside the commits' own syncs.
const WORTH_IT: i64 = 12_288;

/// Pages at which the log is started over: 96 MiB, which leaves room for the commits until then under 128 MiB.
const START_OVER: i64 = 24_576;

/// Pages that the writer may have to move itself when it starts the log over: 4 MiB, a few milliseconds. With more to
/// move the other thread is asked once more, until the log has grown by another 24 MiB.
const LITTLE: i64 = 1_024;
const NO_MORE_ASKING: i64 = 6_144;

/// How long the writer waits for the other thread at a time, and how often.
const WAIT: Duration = Duration::from_millis(5);
const MOST_WAITS: u32 = 2_000;

/// How long starting over may wait for readers before it is put off.
const PATIENCE: Duration = Duration::from_millis(50);

/// Pages by which the log has to grow before it is tried again: 12 MiB. Not every commit pays for one long reader.
const TRY_AGAIN: i64 = 3_072;

/// How long cutting the log may keep the commits waiting at a time.
const SLICE: Duration = Duration::from_millis(10);

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
pub(in crate::store) struct Checkpointer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    on_fatal: OnFatal,
    /// Pages in the log when it is worth starting it over.
    start_over_at: Cell<i64>,
}

/// What the log holds, in pages.
struct LogSize {
    pages: i64,
    moved: i64,
    busy: bool,
}

enum StartedOver {
    Yes,
    /// A reader needs what is in the log; nobody knows for how long.
    BehindReader,
    /// The other thread is moving pages; the next commit may find it done.
    BehindCheckpoint,
}

impl Checkpointer {
    pub(in crate::store) fn start(conn: Connection, on_fatal: OnFatal) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { wish: Mutex::default(), wake: Condvar::new() });
        let (theirs, fatal) = (Arc::clone(&shared), Arc::clone(&on_fatal));
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || run(&conn, &theirs, &fatal))?;
        Ok(Self { shared, thread: Some(thread), on_fatal, start_over_at: Cell::new(START_OVER) })
    }

    /// Called between commits.
    pub(in crate::store) fn after_commit(&self, conn: &Connection) {
        let Ok(size) = checkpoint(conn, "NOOP") else { return };
        let (left, at) = (size.pages - size.moved, self.start_over_at.get());
        let full = size.pages >= at + NO_MORE_ASKING;
        if size.pages >= at && (left <= LITTLE || full) {
            let mut started = self.start_over(conn);
            // A disk that cannot keep up: writing on would outgrow the bound, so the other thread is waited for.
            for _ in 0..MOST_WAITS {
                if !full || !matches!(started, StartedOver::BehindCheckpoint) {
                    break;
                }
                std::thread::sleep(WAIT);
                started = self.start_over(conn);
            }
            match started {
                StartedOver::Yes => self.start_over_at.set(START_OVER),
                StartedOver::BehindReader => self.start_over_at.set(size.pages.saturating_add(TRY_AGAIN)),
                StartedOver::BehindCheckpoint => {}
            }
        } else if left >= WORTH_IT || size.pages >= at {
            self.shared.wish.lock().unwrap_or_else(PoisonError::into_inner).wanted = true;
            self.shared.wake.notify_one();
        }
    }

    fn start_over(&self, conn: &Connection) -> StartedOver {
        match patiently(conn, PATIENCE, "RESTART") {
            Ok(LogSize { busy: false, .. }) => StartedOver::Yes,
            // The engine counts no pages when it could not even begin.
            Ok(LogSize { pages: ..0, .. }) => StartedOver::BehindCheckpoint,
            Ok(_) => StartedOver::BehindReader,
            Err(error) => {
                report(&error, &self.on_fatal);
                StartedOver::BehindReader
            }
        }
    }

    /// Moves everything and cuts the log's file to nothing. False when a reader is in the way: to be asked again.
    pub(in crate::store) fn truncate(&self, conn: &Connection) -> Result<bool> {
        match patiently(conn, SLICE, "TRUNCATE") {
            Ok(size) => Ok(!size.busy),
            Err(error) => {
                report(&error, &self.on_fatal);
                Err(StoreError::Failed("the checkpoint failed".to_owned()))
            }
        }
    }
}

/// A checkpoint that waits for readers no longer than this.
fn patiently(conn: &Connection, patience: Duration, mode: &'static str) -> rusqlite::Result<LogSize> {
    conn.busy_timeout(patience)?;
    let size = checkpoint(conn, mode);
    conn.busy_timeout(BUSY_TIMEOUT)?;
    size
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
        stop @ (Stop::Request(_) | Stop::Batch(_) | Stop::Taken) => {
            tracing::warn!(error = %crate::store::StoreError::from(stop), "a checkpoint was put off");
        }
    }
}

fn checkpoint(conn: &Connection, mode: &'static str) -> rusqlite::Result<LogSize> {
    conn.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?
        .query_row([], |row| Ok(LogSize { busy: row.get::<_, i64>(0)? != 0, pages: row.get(1)?, moved: row.get(2)? }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rusqlite::Connection;

    use super::super::pragmas::{self, Use};
    use super::{Checkpointer, START_OVER, TRY_AGAIN};

    #[test]
    fn a_long_reader_is_waited_for_once_in_a_while_and_not_at_every_commit() {
        let folder = tempfile::tempdir().unwrap();
        let open = |use_| {
            let conn = Connection::open(folder.path().join("a.db")).unwrap();
            pragmas::apply(&conn, use_).unwrap();
            conn
        };
        let writer = open(Use::Write);
        writer.execute_batch("CREATE TABLE scratch (bytes BLOB)").unwrap();
        let reader = open(Use::Read);
        let checkpointer = Checkpointer::start(open(Use::Checkpoint), Arc::new(|_| {})).unwrap();
        let commit = || {
            writer.execute("INSERT INTO scratch VALUES (randomblob(4000000))", []).unwrap();
            checkpointer.after_commit(&writer);
        };
        reader.execute_batch("BEGIN; SELECT count(*) FROM scratch").unwrap();
        // Every commit is some 980 pages.
        (0..55).for_each(|_| commit());
        let put_off = checkpointer.start_over_at.get();
        assert!(put_off >= START_OVER + TRY_AGAIN, "{put_off}");
        (0..3).for_each(|_| commit());
        assert_eq!(checkpointer.start_over_at.get(), put_off, "not tried again yet");
        reader.execute_batch("COMMIT").unwrap();
        // The other thread may be moving pages; it is done at some commit.
        let started = (0..500).any(|_| {
            commit();
            checkpointer.start_over_at.get() == START_OVER
        });
        assert!(started, "tried again, and started over");
    }
}
