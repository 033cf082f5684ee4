//! Statements that were sent and whose answers nobody has waited for yet.
//!
//! The server runs a connection's statements in the order they were sent, so what is asked after one of these sees what it
//! did, and where its answer is only "so many rows" a round trip of its own tells nothing. Every answer is looked at with
//! the next statement that is waited for, before that one's own: the first that went wrong is what went wrong, whatever the
//! server said of those behind it. Nothing is committed, and no savepoint released, before `Session::settle`.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use tokio_postgres::Error;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::value::Parameter;
use crate::store::sql::conn::Value;

/// An answer on its way: how many rows were changed.
type Answer = Pin<Box<dyn Future<Output = Result<u64, Error>> + Send>>;

struct Sent {
    answer: Answer,
    /// How many rows it has to change, where that is known.
    changes: Option<u64>,
}

/// What one of them came to that it must not have.
pub(super) enum Wrong {
    /// The server refused it.
    Failed(Error),
    /// It changed another number of rows than it has to.
    Number,
}

/// In the order they were sent.
#[derive(Default)]
pub(super) struct Later {
    sent: VecDeque<Sent>,
    /// What they did is about to be rolled back: their answers are of no interest.
    forgotten: bool,
}

impl Later {
    /// Sends it. What cannot be sent says so when it is its turn.
    pub(super) fn send(
        &mut self,
        answer: impl Future<Output = Result<u64, Error>> + Send + 'static,
        changes: Option<u64>,
    ) {
        let mut answer: Answer = Box::pin(answer);
        // The driver hands a statement to the connection when its future is asked first.
        if let Poll::Ready(at_once) = answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            answer = Box::pin(std::future::ready(at_once));
        }
        self.sent.push_back(Sent { answer, changes });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// Nobody wants to know any more.
    pub(super) fn forget(&mut self) {
        self.forgotten = !self.sent.is_empty();
    }

    /// Waits for all of them, in their order.
    async fn answers(self) -> Result<(), Wrong> {
        let mut came_to = Ok(());
        for Sent { answer, changes } in self.sent {
            // Also those behind one that went wrong: the connection hands out answers in order.
            let wrong = match answer.await {
                Ok(changed) if changes.is_none_or(|wanted| changed == wanted) => continue,
                Ok(_) => Wrong::Number,
                Err(error) => Wrong::Failed(error),
            };
            if came_to.is_ok() && !self.forgotten {
                came_to = Err(wrong);
            }
        }
        came_to
    }

    /// Sends `work` behind them, and waits for them and then for it.
    pub(super) async fn then<T>(self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Wrong> {
        let mut work = pin!(work);
        let at_once = std::future::poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
        let before = self.answers().await;
        let came_to = match at_once {
            Poll::Ready(came_to) => came_to,
            Poll::Pending => work.await,
        };
        before?;
        came_to.map_err(Wrong::Failed)
    }
}

/// A parameter that outlives whoever asked.
pub(super) enum Kept {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Kept {
    pub(super) fn of(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Int(number) => Self::Int(number),
            Value::Text(text) => Self::Text(text.to_owned()),
            Value::Blob(bytes) => Self::Blob(bytes.to_vec()),
        }
    }

    fn parameter(&self) -> Parameter<'_> {
        Parameter(match self {
            Self::Null => Value::Null,
            Self::Int(number) => Value::Int(*number),
            Self::Text(text) => Value::Text(text),
            Self::Blob(bytes) => Value::Blob(bytes),
        })
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.parameter().fmt(f)
    }
}

impl ToSql for Kept {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.parameter().to_sql(ty, out)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
