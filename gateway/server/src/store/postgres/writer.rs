//! The threads that write. Requests are pushed to one list; each thread takes what waits, up to a bound, and runs it in one
//! transaction on a connection of its own.
//!
//! A batch runs straight through; when one of its requests fails, all is rolled back and they are run once more, each in a
//! savepoint, so that the failing one hurts no other. A transaction that another one was in the way of, or whose
//! connection broke before its commit, is run again whole. A connection that breaks during the commit leaves it unknown
//! whether it happened: then every request is told so, none that it was done, and whoever asks again with its key finds out.
//! Nobody waits longer than a deadline, whatever the database does.
//!
//! What is alone may take long and may be kept waiting: there is a thread more, so that one is always there for what is not.
//! A tenant whose lock cannot be had is barred for a moment: its requests go back and wait for their next turn.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use causeway_core::clock::Entropy;
use tokio::sync::oneshot;

use super::accept;
use super::accounts::TenantOf;
use super::ahead;
use super::connect::Connector;
use super::errors::Then;
use super::pace::Pace;
use super::pending::{Barred, FEW, Pending, Waiting, take};
use super::scope::{Among, Limits, Reach, Whose, not_free};
use super::session::Session;
use super::text::Use;
use super::watch::Setup;
use crate::store::keys::Keyring;
use crate::store::sql::ahead::{About, Ahead};
use crate::store::sql::conn::Conn;
use crate::store::sql::errors::{Op, Stop};
use crate::store::sql::jobs::{Job, copy, guarded, job};
use crate::store::sql::scope::Scope;
use crate::store::sql::tx::{Heads, Tx};
use crate::store::vitals::Vitals;
use crate::store::{Result, StoreError};

/// Requests that may wait for a commit. Beyond it callers are told to come back, so that memory stays bounded.
const MOST_PENDING: usize = 8_192;

/// Until a caller is told to come back.
const ANSWER: Duration = Duration::from_secs(10);

/// The same for what is in no batch: it may have much to do.
const ANSWER_ALONE: Duration = Duration::from_secs(60);

/// A statement of a batch, on the server.
const STATEMENT: Duration = Duration::from_secs(8);
const STATEMENT_ALONE: Duration = Duration::from_secs(55);

/// Longer than the server's, which ends a statement without ending the connection.
const GRACE: Duration = Duration::from_secs(3);

/// How long nobody asks again for a tenant's lock that could not be had; nobody alone, who waited long for it and kept a thread;
/// and nobody for that of all, for which everybody waits.
const BARRED: Duration = Duration::from_millis(50);
const BARRED_ALONE: Duration = Duration::from_secs(1);
const BARRED_ALL: Duration = Duration::from_secs(2);

struct Shared {
    /// As many threads may have a batch, and as many run what is alone or apart; there is one more than that.
    count: usize,
    tenants: Arc<TenantOf>,
    pending: Mutex<Pending>,
    wake: Condvar,
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handle to the threads.
pub(super) struct Writer {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What each thread is given.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) connector: Arc<Connector>,
    pub(super) keys: Arc<Keyring>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) setup: Arc<Setup>,
    pub(super) tenants: Arc<TenantOf>,
    pub(super) vitals: Arc<Vitals>,
}

impl Writer {
    /// Starts the threads; each connects when it has something to write.
    pub(super) fn start(parts: &Parts, count: usize, moment: Duration) -> std::io::Result<Self> {
        let tenants = Arc::clone(&parts.tenants);
        let (count, pending) = (count.max(1), Mutex::new(Pending::new(moment)));
        let shared = Arc::new(Shared { count, tenants, pending, wake: Condvar::new() });
        let mut threads = Vec::with_capacity(count);
        // One more: whatever takes long, one is left for what does not.
        for number in 0..=count {
            let (parts, shared) = (parts.clone(), Arc::clone(&shared));
            let name = format!("store-writer-{number}");
            threads.push(std::thread::Builder::new().name(name).spawn(move || {
                Thread { parts, shared, session: None, heads: Heads::late(), pace: Pace::default() }.run();
            })?);
        }
        Ok(Self { shared, threads: Mutex::new(threads) })
    }

    /// Runs a verb in one of the next commits. `Ok` means committed.
    pub(super) async fn run<T, F>(&self, scope: Scope, how: (Among, Option<About>), verb: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Op<T> + Send + 'static,
    {
        let (job, answer) = job(verb);
        self.answer(scope, how, job, answer).await
    }

    /// [`Writer::run`] for what is a job already.
    pub(super) async fn answer<T>(
        &self,
        scope: Scope,
        (among, about): (Among, Option<About>),
        job: Box<dyn Job>,
        answer: oneshot::Receiver<Result<T>>,
    ) -> Result<T> {
        self.push(Waiting { job, scope, among, about })?;
        let patience = if among == Among::Beside { ANSWER } else { ANSWER_ALONE };
        match tokio::time::timeout(patience, answer).await {
            Ok(answer) => answer.unwrap_or(Err(StoreError::Unavailable("the store has ended"))),
            Err(_) => Err(StoreError::Unavailable("the database does not answer in time")),
        }
    }

    fn push(&self, waiting: Waiting) -> Result<()> {
        let is_alone = waiting.among == Among::Alone;
        let is_news = {
            let mut pending = self.shared.pending();
            if pending.closed {
                return Err(StoreError::Unavailable("the store is closing"));
            }
            if pending.waiting.len() >= MOST_PENDING {
                pending.waiting.retain(|waiting| !waiting.job.is_abandoned());
            }
            if pending.waiting.len() >= MOST_PENDING {
                return Err(StoreError::Unavailable("too many requests wait to be written"));
            }
            let whose = self.shared.tenants.whose_now(waiting.scope);
            let gathers = pending.gate().until(&waiting, whose, &pending.crowds);
            // Who waits for more is not woken by each.
            let is_waited_for = gathers.zip(pending.gathering).is_some_and(|(gathers, until)| until <= gathers);
            let claims = waiting.claims();
            pending.waiting.push_back(waiting);
            (pending.asleep > 0 && !is_waited_for) || claims || pending.waiting.len() == FEW
        };
        if is_alone {
            // Not every thread may take what is alone.
            self.shared.wake.notify_all();
        } else if is_news {
            self.shared.wake.notify_one();
        }
        Ok(())
    }

    /// Takes no more, commits what is waiting, and ends.
    pub(super) fn close(&self) {
        self.shared.pending().closed = true;
        self.shared.wake.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a writer of the store panicked");
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

/// Why a batch was not committed.
enum Failed {
    /// Nothing of it is there. The same again may go well where `Then` says so.
    RolledBack(StoreError, Then),
    /// It may be there.
    Unknown,
}

impl Failed {
    /// What a statement outside of any request came to.
    fn of(stop: Stop, session: &Session) -> Self {
        Self::RolledBack(stop.into(), session.take_trouble().unwrap_or(Then::RollBack))
    }
}

/// Which requests failed alone, by position.
type Alone = Vec<(usize, StoreError)>;

struct Thread {
    parts: Parts,
    shared: Arc<Shared>,
    session: Option<Session>,
    heads: Heads,
    pace: Pace,
}

impl Thread {
    fn run(mut self) {
        while let Some(batch) = self.next() {
            let among = batch.first().map_or(Among::Beside, |first| first.among);
            let claims = batch.first().is_some_and(Waiting::claims);
            self.write(batch);
            if among == Among::Beside {
                let mut pending = self.shared.pending();
                pending.writing -= 1;
                pending.claiming -= usize::from(claims);
                continue;
            }
            let mut pending = self.shared.pending();
            pending.alone -= 1;
            pending.apart -= usize::from(among == Among::Apart);
            drop(pending);
            self.shared.wake.notify_all();
        }
    }

    /// What waits, once something does; `None` when the store is closing and nothing is left. What has to be alone or apart
    /// is taken by itself, when it is its turn.
    fn next(&self) -> Option<Vec<Waiting>> {
        let mut guard = self.shared.pending();
        loop {
            let (now, pending) = (Instant::now(), &mut *guard);
            pending.barred.retain(|barred| barred.until > now);
            let count = self.shared.count;
            let may_be_alone = pending.alone < count;
            // Nor does what is apart take every thread of what is alone.
            let may_be_apart = may_be_alone && pending.apart < count.saturating_sub(1).max(1);
            let may_write = pending.writing < count;
            // Claims that wait for another gateway's leave a thread to what does not.
            let may_claim = may_write && pending.claiming < count.saturating_sub(1).max(1);
            let barred = &pending.barred;
            let has_its_turn = |next: &Waiting| {
                let may = match next.among {
                    Among::Beside if next.claims() => may_claim,
                    Among::Beside => may_write,
                    Among::Alone => may_be_alone,
                    Among::Apart => may_be_apart,
                };
                may && !self.is_barred(next, barred)
            };
            let tenants = &self.shared.tenants;
            let (gate, crowds) = (pending.gate(), &pending.crowds);
            let gathers = |next: &Waiting| {
                let until = gate.until(next, tenants.whose_now(next.scope), crowds);
                until.filter(|until| *until > now)
            };
            let batch = take(&mut pending.waiting, |next| has_its_turn(next) && gathers(next).is_none());
            if let Some(first) = batch.first() {
                let is_alone = first.among != Among::Beside;
                if !is_alone && !first.claims() {
                    let whose: Vec<Whose> = batch.iter().map(|taken| tenants.whose_now(taken.scope)).collect();
                    pending.took(&whose, now);
                }
                pending.alone += usize::from(is_alone);
                pending.apart += usize::from(first.among == Among::Apart);
                pending.writing += usize::from(!is_alone);
                pending.claiming += usize::from(first.claims());
                self.parts.vitals.waiting(pending.waiting.len());
                if !pending.waiting.is_empty() {
                    self.shared.wake.notify_all();
                }
                return Some(batch);
            }
            if pending.closed && pending.waiting.is_empty() {
                // Who found at the close that it may take nothing sleeps.
                self.shared.wake.notify_all();
                return None;
            }
            // One thread waits for those who gather.
            let gathers = pending.waiting.iter().filter(|next| has_its_turn(next)).filter_map(gathers).min();
            let gathers = gathers.filter(|until| pending.gathering.is_none_or(|other| *until < other));
            pending.gathering = gathers.or(pending.gathering);
            let until = pending.barred.iter().map(|barred| barred.until).chain(gathers).min();
            pending.asleep += 1;
            guard = match until {
                Some(until) => {
                    let waited = self.shared.wake.wait_timeout(guard, until.saturating_duration_since(now));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.shared.wake.wait(guard).unwrap_or_else(PoisonError::into_inner),
            };
            if gathers.is_some() && guard.gathering == gathers {
                guard.gathering = None;
            }
            guard.asleep -= 1;
        }
    }

    fn is_barred(&self, next: &Waiting, barred: &[Barred]) -> bool {
        if barred.is_empty() || next.among == Among::Apart {
            return false;
        }
        // Whose an account is that is not known is found out by its turn.
        let Ok(whose) = self.parts.tenants.known(next.scope) else { return false };
        // Where one who is alone was kept out, others may get in.
        let applies = |barred: &Barred| barred.among == Among::Beside || next.among == Among::Alone;
        barred.iter().any(|barred| barred.whose == whose && applies(barred))
    }

    /// Those whose tenant is kept by somebody go back, and are left alone for a moment. False when it is nobody's.
    fn put_back(&self, batch: &mut Vec<Waiting>) -> bool {
        let Some(session) = &self.session else { return false };
        let known = |waiting: &Waiting| self.parts.tenants.known(waiting.scope).map(|whose| (whose, waiting.among));
        let wanted: BTreeMap<Whose, Among> = batch.iter().flat_map(known).collect();
        let wanted: Vec<(Whose, Among)> = wanted.into_iter().collect();
        let Some(asked) = not_free(&wanted) else { return false };
        // What went wrong with the connection is found by whoever uses it next.
        let Ok(Some(kept)) = session.text(&asked) else { return false };
        let kept: Vec<(Whose, Among)> =
            kept.split(' ').filter_map(|at| wanted.get(at.parse::<usize>().ok()?).copied()).collect();
        let is_kept = |waiting: &Waiting| known(waiting).is_ok_and(|wanted| kept.contains(&wanted));
        let (back, stay): (Vec<_>, Vec<_>) = std::mem::take(batch).into_iter().partition(is_kept);
        *batch = stay;
        let mut pending = self.shared.pending();
        for (whose, among) in kept {
            let time = match among {
                Among::Alone if whose == Whose::Every => BARRED_ALL,
                Among::Alone => BARRED_ALONE,
                Among::Apart | Among::Beside => BARRED,
            };
            pending.barred.push(Barred { whose, among, until: Instant::now() + time });
        }
        for waiting in back.into_iter().rev() {
            pending.waiting.push_front(waiting);
        }
        drop(pending);
        // Those asleep do not know that somebody is barred until then.
        self.shared.wake.notify_one();
        true
    }

    /// Commits the batch or says why not; answers every request of it.
    fn write(&mut self, mut batch: Vec<Waiting>) {
        let alone = batch.first().is_some_and(|first| first.among != Among::Beside);
        let patience = if alone { ANSWER_ALONE } else { ANSWER };
        let begun = Instant::now();
        let error = loop {
            match self.attempt(&mut batch, alone) {
                Ok(failed) => {
                    self.pace.went_well();
                    self.parts.vitals.committed(batch.len(), begun.elapsed());
                    return answer(batch, failed);
                }
                Err(Failed::Unknown) => {
                    self.session = None;
                    break StoreError::Unavailable(
                        "it is not known whether it was written: ask again with the same key",
                    );
                }
                Err(Failed::RolledBack(error, then)) => {
                    if then == Then::Reconnect {
                        self.session = None;
                    }
                    batch.retain(|waiting| !waiting.job.is_abandoned());
                    let is_over =
                        begun.elapsed() >= patience || (self.session.is_none() && self.shared.pending().closed);
                    if then == Then::RollBack || is_over || batch.is_empty() {
                        break error;
                    }
                    if then != Then::Again || !self.put_back(&mut batch) {
                        self.pace.wait();
                    } else if batch.is_empty() {
                        return;
                    }
                }
            }
        };
        self.parts.vitals.failed();
        tracing::warn!(requests = batch.len(), %error, "a batch of writes was not committed");
        for waiting in batch {
            waiting.job.refuse(copy(&error));
        }
    }

    /// One transaction.
    fn attempt(&mut self, batch: &mut [Waiting], alone: bool) -> Result<Alone, Failed> {
        if self.session.as_ref().is_none_or(|session| !session.is_usable()) {
            self.session = None;
            let session = self.parts.connector.connect(Use::Write, millis(STATEMENT));
            self.session = Some(session.map_err(|error| {
                // What somebody has to change first is not tried again.
                let then = if matches!(error, StoreError::Failed(_)) { Then::RollBack } else { Then::Reconnect };
                Failed::RolledBack(error, then)
            })?);
        }
        let Some(session) = &self.session else { return Err(lost()) };
        session.take_trouble();
        let statement = if alone { STATEMENT_ALONE } else { STATEMENT };
        session.set_deadline(statement + GRACE);
        self.heads.forget();
        let mut reach = Reach::default();
        for waiting in &*batch {
            let whose = self.parts.tenants.whose(session, waiting.scope).map_err(|stop| Failed::of(stop, session))?;
            reach.add(whose, waiting.among);
        }
        let limits = Limits { pooled: self.parts.connector.is_pooled() || alone, statement: millis(statement) };
        let run = Run { session, begin: reach.begin(limits), setup_changed: Cell::new(false) };
        let done = run.attempt(&self.parts, &mut self.heads, batch);
        match done {
            Ok(failed) => {
                if run.setup_changed.get() {
                    self.parts.setup.changed();
                }
                Ok(failed)
            }
            Err(failed) => {
                if run.setup_changed.get() && matches!(failed, Failed::Unknown) {
                    self.parts.setup.may_have_changed();
                }
                if session.is_usable() && session.roll_back("ROLLBACK").is_err() {
                    self.session = None;
                }
                Err(failed)
            }
        }
    }
}

/// A transaction that is running.
struct Run<'a> {
    session: &'a Session,
    begin: String,
    setup_changed: Cell<bool>,
}

impl Run<'_> {
    fn attempt(&self, parts: &Parts, heads: &mut Heads, batch: &mut [Waiting]) -> Result<Alone, Failed> {
        let session = self.session;
        let mut setup_changed = false;
        let mut failed = Vec::new();
        session.batch_later(self.begin.clone());
        let mut tx = Tx {
            conn: Conn::Postgres(session),
            keys: &parts.keys,
            entropy: &*parts.entropy,
            heads,
            setup_changed: &mut setup_changed,
            ahead: Ahead::default(),
        };
        tx.heads.begin_request();
        if !self.all_at_once(&mut tx, batch)? {
            session.roll_back("ROLLBACK").map_err(|stop| Failed::of(stop, session))?;
            session.take_trouble();
            tx.heads.forget();
            tx.ahead = Ahead::default();
            session.batch(&self.begin).map_err(|stop| Failed::of(stop, session))?;
            // What was read each asks for itself now; what it locked is locked in the same order again.
            ahead::look(session, batch.iter().filter_map(Waiting::about)).map_err(|stop| Failed::of(stop, session))?;
            self.one_by_one(&mut tx, batch, &mut failed)?;
        }
        tx.write_heads().map_err(|stop| Failed::of(stop, session))?;
        if *tx.setup_changed {
            parts.setup.raise(session, tx.entropy).map_err(|stop| Failed::of(stop, session))?;
        }
        self.setup_changed.set(setup_changed);
        self.commit()?;
        Ok(failed)
    }

    /// Straight in the transaction. False when a request failed: all of it has to be rolled back then.
    fn all_at_once(&self, tx: &mut Tx<'_>, batch: &mut [Waiting]) -> Result<bool, Failed> {
        let mut acceptances: Vec<_> = batch.iter_mut().filter_map(|waiting| waiting.job.acceptance()).collect();
        if !acceptances.is_empty() && !self.went(guarded(|| accept::all(tx, self.session, &mut acceptances)))? {
            return Ok(false);
        }
        let looked = ahead::look(self.session, batch.iter().filter_map(Waiting::about));
        if !self.went(looked.map(|looked| tx.ahead = looked))? {
            return Ok(false);
        }
        // Those that write alike together: what they write is sent when one asks for something else.
        let (alike, others): (Vec<_>, Vec<_>) = batch.iter_mut().partition(|waiting| waiting.has_in_hand());
        for waiting in alike.into_iter().chain(others) {
            if waiting.job.acceptance().is_none() && !self.went(waiting.job.run(tx))? {
                return Ok(false);
            }
        }
        self.went(self.session.settle())
    }

    /// Whether the transaction goes on after this.
    fn went(&self, came_to: Op<()>) -> Result<bool, Failed> {
        match came_to {
            // A verb that goes on after a failed statement has a transaction that cannot commit.
            Ok(()) if self.session.is_troubled() => self.go_on(),
            Ok(()) => Ok(true),
            Err(Stop::Request(_) | Stop::Taken) => self.go_on(),
            Err(stop @ (Stop::Batch(_) | Stop::Fatal(_))) => Err(Failed::of(stop, self.session)),
        }
    }

    fn go_on(&self) -> Result<bool, Failed> {
        match self.session.take_trouble() {
            Some(Then::Reconnect) => Err(lost()),
            Some(Then::RollBack | Then::Again) | None => Ok(false),
        }
    }

    /// Each in a savepoint of its own. Nothing remains of one that fails; it joins the list, with its position.
    fn one_by_one(&self, tx: &mut Tx<'_>, batch: &mut [Waiting], failed: &mut Alone) -> Result<(), Failed> {
        let session = self.session;
        let statement = |text: &str| session.batch(text).map_err(|stop| Failed::of(stop, session));
        for (at, waiting) in batch.iter_mut().enumerate() {
            statement("SAVEPOINT request")?;
            tx.heads.begin_request();
            let error = match waiting.job.run(tx).and_then(|()| session.settle()) {
                Ok(()) if session.is_troubled() => {
                    StoreError::Failed("a verb went on after a failed statement".to_owned())
                }
                Ok(()) => {
                    statement("RELEASE request")?;
                    continue;
                }
                Err(stop @ (Stop::Request(_) | Stop::Taken)) => stop.into(),
                Err(stop @ (Stop::Batch(_) | Stop::Fatal(_))) => return Err(Failed::of(stop, session)),
            };
            self.go_on()?;
            tx.heads.roll_back_request();
            session.roll_back("ROLLBACK TO request; RELEASE request").map_err(|stop| Failed::of(stop, session))?;
            failed.push((at, error));
        }
        Ok(())
    }

    /// The server has it on disk, and where it is so configured on another server's, when this returns.
    ///
    /// The first statement fails in a transaction that cannot commit, which `COMMIT` alone would end without a word. It also
    /// keeps a time-out from ending the wait for a standby, which would be answered like a commit, with a warning.
    fn commit(&self) -> Result<(), Failed> {
        self.session.settle().map_err(|stop| Failed::of(stop, self.session))?;
        self.session.take_warning();
        match self.session.batch("SET LOCAL statement_timeout = 0; COMMIT") {
            Ok(()) if self.session.take_warning() => Err(Failed::Unknown),
            Ok(()) => Ok(()),
            Err(stop) => match self.session.take_trouble() {
                // The server said that it did not.
                Some(then @ (Then::RollBack | Then::Again)) => Err(Failed::RolledBack(stop.into(), then)),
                Some(Then::Reconnect) | None => Err(Failed::Unknown),
            },
        }
    }
}

fn lost() -> Failed {
    Failed::RolledBack(StoreError::Unavailable("the connection to the database was lost"), Then::Reconnect)
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

fn answer(batch: Vec<Waiting>, failed: Alone) {
    let mut failed = failed.into_iter().peekable();
    for (at, waiting) in batch.into_iter().enumerate() {
        match failed.next_if(|(failed_at, _)| *failed_at == at) {
            Some((_, error)) => waiting.job.refuse(error),
            None => waiting.job.answer(),
        }
    }
}
