//! A verb on its way to a writer and its answer on the way back, for every engine's writer.
//!
//! A verb may be run more than once: what the run before did was rolled back, in the database and in the audit's list. Its
//! answer is kept until the commit and sent once; a caller who went away is no reason not to commit.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use super::accept::{self, Prepared};
use super::errors::{Op, Stop};
use super::tx::Tx;
use crate::store::intake::Accepted;
use crate::store::{Result, StoreError};

/// A request as a writer sees it.
pub(in crate::store) trait Job: Send {
    /// Runs and keeps the result.
    fn run(&mut self, tx: &mut Tx<'_>) -> Op<()>;
    /// Answers with the kept result.
    fn answer(self: Box<Self>);
    /// Answers that nothing was done.
    fn refuse(self: Box<Self>, error: StoreError);
    /// Nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
    /// An acceptance, which an engine may carry out together with others of the batch.
    fn acceptance(&mut self) -> Option<&mut Acceptance> {
        None
    }
}

/// An application to be accepted.
pub(in crate::store) struct Acceptance {
    pub(in crate::store) prepared: Prepared,
    pub(in crate::store) result: Option<Accepted>,
    reply: oneshot::Sender<Result<Accepted>>,
}

/// An acceptance as a job, and where its answer comes.
pub(in crate::store) fn acceptance(prepared: Prepared) -> (Box<dyn Job>, oneshot::Receiver<Result<Accepted>>) {
    let (reply, answer) = oneshot::channel();
    (Box::new(Acceptance { prepared, result: None, reply }), answer)
}

impl Job for Acceptance {
    fn run(&mut self, tx: &mut Tx<'_>) -> Op<()> {
        self.result = Some(guarded(|| accept::commit(tx, &self.prepared))?);
        Ok(())
    }

    fn answer(mut self: Box<Self>) {
        if let Some(value) = self.result.take() {
            drop(self.reply.send(Ok(value)));
        }
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        drop(self.reply.send(Err(error)));
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn acceptance(&mut self) -> Option<&mut Acceptance> {
        Some(self)
    }
}

/// A panic is a failed request.
pub(in crate::store) fn guarded<T>(work: impl FnOnce() -> Op<T>) -> Op<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Stop::Request(StoreError::Failed("a verb panicked".to_owned()))))
}

struct Request<F, T> {
    verb: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T>>,
}

/// A verb as a job, and where its answer comes.
pub(in crate::store) fn job<T, F>(verb: F) -> (Box<dyn Job>, oneshot::Receiver<Result<T>>)
where
    T: Send + 'static,
    F: Fn(&mut Tx<'_>) -> Op<T> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    (Box::new(Request { verb, result: None, reply }), answer)
}

impl<F, T> Job for Request<F, T>
where
    T: Send,
    F: Fn(&mut Tx<'_>) -> Op<T> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Op<()> {
        self.result = Some(guarded(|| (self.verb)(tx))?);
        Ok(())
    }

    fn answer(mut self: Box<Self>) {
        if let Some(value) = self.result.take() {
            // Nobody listens when the caller went away; what was committed stays.
            drop(self.reply.send(Ok(value)));
        }
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        drop(self.reply.send(Err(error)));
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

/// The same error for another request of the batch.
pub(in crate::store) fn copy(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(why) => StoreError::Unavailable(why),
        StoreError::Corrupt(what) => StoreError::Corrupt(what),
        other => StoreError::Failed(other.to_string()),
    }
}
