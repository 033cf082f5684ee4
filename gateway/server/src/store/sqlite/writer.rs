//! The one thread that writes. Requests are pushed to a list; each commit takes the whole list that gathered meanwhile.
//!
//! Every request runs in a savepoint, so one that fails does not hurt its neighbours; one synced commit makes all of them
//! durable, and only then is any of them answered. There is no linger: a batch is as large as the last commit was long.
//! Requests that can be run again go first and without savepoints, each of which costs a copy of every page that is written
//! after it; when one of them fails, all is rolled back and they are run once more, with savepoints.
//! A sync that fails ends the process; nothing of that batch is ever answered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use causeway_core::clock::Entropy;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::checkpoint::Checkpointer;
use super::errors::{Moment, classify};
use crate::store::keys::Keyring;
use crate::store::sql::ahead::Ahead;
use crate::store::sql::conn::{Conn, Sql};
use crate::store::sql::errors::{Op, Stop};
use crate::store::sql::jobs::{Job, copy, job};
use crate::store::sql::tx::{Heads, Tx};
use crate::store::vitals::Vitals;
use crate::store::{Result, StoreError};

/// Requests that may wait for a commit. Beyond it callers are told to come back, so that memory stays bounded.
const MOST_PENDING: usize = 8_192;

pub(in crate::store) use crate::store::sql::OnFatal;

/// Ends a transaction.
pub(in crate::store) type Commit = Arc<dyn Fn(&Connection) -> rusqlite::Result<()> + Send + Sync>;

/// A request that waits.
struct Waiting {
    job: Box<dyn Job>,
    /// It can run again after what it did was rolled back, as cheaply as for the first time.
    is_repeatable: bool,
}

/// How often cutting the log is tried, each time between two commits and for 10 ms, while a reader is in the way.
const TRUNCATE_TRIES: u32 = 500;

/// Somebody waits for the log to be emptied.
struct Truncation {
    reply: oneshot::Sender<Result<()>>,
    tries: u32,
}

/// What one commit takes.
type Jobs = Vec<Waiting>;

#[derive(Default)]
struct Pending {
    jobs: Jobs,
    truncations: Vec<Truncation>,
    closed: Option<&'static str>,
}

struct Shared {
    pending: Mutex<Pending>,
    wake: Condvar,
    /// A batch whose sync failed. Kept and never answered.
    unanswered: Mutex<Jobs>,
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handle to the thread.
pub(in crate::store) struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread is given.
pub(in crate::store) struct Parts {
    pub(in crate::store) conn: Connection,
    pub(in crate::store) keys: Arc<Keyring>,
    pub(in crate::store) entropy: Arc<dyn Entropy>,
    pub(in crate::store) generation: Arc<AtomicU64>,
    pub(in crate::store) on_fatal: OnFatal,
    pub(in crate::store) vitals: Arc<Vitals>,
    pub(in crate::store) checkpointer: Checkpointer,
    /// Ends the transaction; a parameter so that a test can make it fail as a disk would.
    pub(in crate::store) commit: Commit,
}

/// The commit of every production writer.
pub(in crate::store) fn commit(conn: &Connection) -> rusqlite::Result<()> {
    conn.prepare_cached("COMMIT")?.execute([]).map(|_| ())
}

impl Writer {
    pub(in crate::store) fn start(parts: Parts) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { pending: Mutex::default(), wake: Condvar::new(), unanswered: Mutex::default() });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || {
            Thread { parts, shared: theirs, heads: Heads::default(), truncations: Vec::new() }.run();
        })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Runs a verb in the next commit. `Ok` means synced.
    pub(super) async fn run<T, F>(&self, verb: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Op<T> + Send + 'static,
    {
        let (job, answer) = job(verb);
        self.push(Waiting { job, is_repeatable: false })?;
        answer.await.unwrap_or(Err(StoreError::Unavailable("the store has ended")))
    }

    /// [`Writer::run`] for what there is much of: cheaper, unless a neighbour fails.
    pub(super) async fn run_repeatable<T, F>(&self, verb: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Op<T> + Send + 'static,
    {
        let (job, answer) = job(verb);
        self.push(Waiting { job, is_repeatable: true })?;
        answer.await.unwrap_or(Err(StoreError::Unavailable("the store has ended")))
    }

    fn push(&self, waiting: Waiting) -> Result<()> {
        {
            let mut pending = self.shared.pending();
            if let Some(why) = pending.closed {
                return Err(StoreError::Unavailable(why));
            }
            if pending.jobs.len() >= MOST_PENDING {
                return Err(StoreError::Unavailable("too many requests wait to be written"));
            }
            pending.jobs.push(waiting);
        }
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Empties the write-ahead log into the database, so that what was deleted is in neither.
    pub(in crate::store) async fn truncate_log(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        {
            let mut pending = self.shared.pending();
            if let Some(why) = pending.closed {
                return Err(StoreError::Unavailable(why));
            }
            pending.truncations.push(Truncation { reply, tries: TRUNCATE_TRIES });
        }
        self.shared.wake.notify_one();
        answer.await.unwrap_or(Err(StoreError::Unavailable("the store has ended")))
    }

    /// Takes no more, commits what is waiting, and ends.
    pub(in crate::store) fn close(&self) {
        self.shared.pending().closed = Some("the store is closing");
        self.shared.wake.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the store's writer panicked");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

/// What became of a batch.
enum Batch {
    Answered,
    Fatal,
}

struct Thread {
    parts: Parts,
    shared: Arc<Shared>,
    heads: Heads,
    truncations: Vec<Truncation>,
}

impl Thread {
    fn run(mut self) {
        while let Some(jobs) = self.next() {
            if !jobs.is_empty() {
                match self.batch(jobs) {
                    Batch::Answered => self.parts.checkpointer.after_commit(&self.parts.conn),
                    Batch::Fatal => return,
                }
            }
            self.truncate();
        }
    }

    /// One try for everybody who waits for it; with a reader in the way, commits go on until the next.
    fn truncate(&mut self) {
        if self.truncations.is_empty() {
            return;
        }
        let cut = self.parts.checkpointer.truncate(&self.parts.conn);
        for mut waiting in std::mem::take(&mut self.truncations) {
            let answer = match &cut {
                Ok(true) => Ok(()),
                Ok(false) if waiting.tries > 1 => {
                    waiting.tries -= 1;
                    self.truncations.push(waiting);
                    continue;
                }
                Ok(false) => {
                    Err(StoreError::Unavailable("the write-ahead log is being read: what was asked is done, ask again"))
                }
                Err(error) => Err(copy(error)),
            };
            // Nobody listens when the caller went away.
            drop(waiting.reply.send(answer));
        }
    }

    /// Everything that waits, once something does; `None` when the store is closing and nothing is left.
    fn next(&mut self) -> Option<Jobs> {
        let mut pending = self.shared.pending();
        loop {
            self.truncations.append(&mut pending.truncations);
            if !pending.jobs.is_empty() || !self.truncations.is_empty() {
                // What comes from now on waits until this batch is committed.
                self.parts.vitals.waiting(pending.jobs.len());
                return Some(std::mem::take(&mut pending.jobs));
            }
            if pending.closed.is_some() {
                return None;
            }
            pending = self.shared.wake.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn batch(&mut self, mut jobs: Jobs) -> Batch {
        let mut setup_changed = false;
        let began = Instant::now();
        let outcome = self.attempt(&mut jobs, &mut setup_changed);
        let stop = match outcome {
            Ok(failed) => {
                self.parts.vitals.committed(jobs.len(), began.elapsed());
                if setup_changed {
                    self.parts.generation.fetch_add(1, Ordering::Release);
                }
                let mut failed = failed.into_iter().peekable();
                for (at, waiting) in jobs.into_iter().enumerate() {
                    match failed.next_if(|(failed_at, _)| *failed_at == at) {
                        Some((_, error)) => waiting.job.refuse(error),
                        None => waiting.job.answer(),
                    }
                }
                return Batch::Answered;
            }
            Err(stop) => stop,
        };
        self.parts.vitals.failed();
        self.heads.forget();
        if let Stop::Fatal(code) = stop {
            return self.fatal(code, jobs);
        }
        // Where the engine has rolled back by itself there is nothing to roll back.
        if !self.parts.conn.is_autocommit()
            && let Err(error) = self.parts.conn.execute_batch("ROLLBACK")
            && let Stop::Fatal(code) = classify(&error, Moment::Commit)
        {
            return self.fatal(code, jobs);
        }
        let error = StoreError::from(stop);
        tracing::warn!(requests = jobs.len(), %error, "a batch of writes was rolled back");
        for waiting in jobs {
            waiting.job.refuse(copy(&error));
        }
        Batch::Answered
    }

    /// Runs and commits. `Ok` holds the requests that failed alone, by position.
    fn attempt(&mut self, jobs: &mut [Waiting], setup_changed: &mut bool) -> Op<Vec<(usize, StoreError)>> {
        let Parts { conn, keys, entropy, commit, .. } = &self.parts;
        conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut tx = Tx {
            conn: Conn::Sqlite(conn),
            keys,
            entropy: &**entropy,
            heads: &mut self.heads,
            setup_changed,
            ahead: Ahead::default(),
        };
        tx.heads.begin_request();
        let mut failed = Vec::new();
        if !all_at_once(&mut tx, jobs.iter_mut().filter(|waiting| waiting.is_repeatable))? {
            conn.prepare_cached("ROLLBACK")?.execute([])?;
            tx.heads.forget();
            conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            let again = jobs.iter_mut().enumerate().filter(|(_, waiting)| waiting.is_repeatable);
            one_by_one(&mut tx, again, &mut failed)?;
        }
        let rest = jobs.iter_mut().enumerate().filter(|(_, waiting)| !waiting.is_repeatable);
        one_by_one(&mut tx, rest, &mut failed)?;
        failed.sort_unstable_by_key(|(at, _)| *at);
        tx.write_heads()?;
        commit(conn).map_err(|error| classify(&error, Moment::Commit))?;
        Ok(failed)
    }

    fn fatal(&self, code: i32, jobs: Jobs) -> Batch {
        self.shared.unanswered.lock().unwrap_or_else(PoisonError::into_inner).extend(jobs);
        let rest = {
            let mut pending = self.shared.pending();
            pending.closed = Some("a sync failed");
            std::mem::take(&mut pending.jobs)
        };
        tracing::error!(code, "a sync failed: nothing more is acknowledged, the process ends");
        (self.parts.on_fatal)(code);
        for waiting in rest {
            waiting.job.refuse(StoreError::Unavailable("a sync failed"));
        }
        Batch::Fatal
    }
}

/// Runs requests straight in the transaction. False when one of them failed: all of it has to be rolled back then.
fn all_at_once<'a>(tx: &mut Tx<'_>, jobs: impl Iterator<Item = &'a mut Waiting>) -> Op<bool> {
    for waiting in jobs {
        match waiting.job.run(tx) {
            Ok(()) => {}
            Err(Stop::Request(_) | Stop::Taken) => return Ok(false),
            Err(stop @ (Stop::Batch(_) | Stop::Fatal(_))) => return Err(stop),
        }
    }
    Ok(true)
}

/// Runs each request in a savepoint of its own. Nothing remains of one that fails; it joins the list, with its position.
fn one_by_one<'a>(
    tx: &mut Tx<'_>,
    jobs: impl Iterator<Item = (usize, &'a mut Waiting)>,
    failed: &mut Vec<(usize, StoreError)>,
) -> Op<()> {
    let conn = tx.conn;
    for (at, waiting) in jobs {
        conn.execute(Sql::of("SAVEPOINT request"), &[])?;
        tx.heads.begin_request();
        match waiting.job.run(tx) {
            Ok(()) => {}
            Err(stop @ (Stop::Request(_) | Stop::Taken)) => {
                tx.heads.roll_back_request();
                conn.execute(Sql::of("ROLLBACK TO request"), &[])?;
                failed.push((at, stop.into()));
            }
            Err(stop @ (Stop::Batch(_) | Stop::Fatal(_))) => return Err(stop),
        }
        conn.execute(Sql::of("RELEASE request"), &[])?;
    }
    Ok(())
}
