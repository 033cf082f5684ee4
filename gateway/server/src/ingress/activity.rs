//! What an HTTP/2 connection is doing, and when it does nothing for too long.
//!
//! Over HTTP/1.1 the socket tells it all: an answer that is not taken is a write that waits. Over HTTP/2 the socket may
//! flow while an answer does not, because its client grants the stream no window; and a client that pings keeps a
//! connection for ever, whatever it asks for. Both hold a place that another client could have. It judges neither how long
//! a request takes nor how fast a body comes: others do. Invariant: a connection that is cut had no request being worked on.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

/// Shared by a connection and its requests.
pub(super) struct Activity(Mutex<Inside>);

struct Inside {
    /// When something last happened.
    last: Instant,
    /// Requests being worked on.
    working: usize,
    /// Answers under way, by number: when each was last moved.
    answers: BTreeMap<u64, Instant>,
    numbers: u64,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        let inside = Inside { last: Instant::now(), working: 0, answers: BTreeMap::new(), numbers: 0 };
        Arc::new(Self(Mutex::new(inside)))
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is being worked on until this is dropped.
    pub(super) fn work(self: &Arc<Self>) -> Working {
        let mut inside = self.inside();
        inside.working += 1;
        inside.last = Instant::now();
        drop(inside);
        Working(Arc::clone(self))
    }

    /// Watches an answer until it is taken.
    pub(super) fn answer(self: &Arc<Self>, body: Body) -> Body {
        let mut inside = self.inside();
        inside.numbers += 1;
        let number = inside.numbers;
        inside.answers.insert(number, Instant::now());
        drop(inside);
        Body::new(Answer { body, number, activity: Arc::clone(self) })
    }

    /// Ends when an answer was not moved for `patience`, or nothing at all happened for `idle`.
    pub(super) async fn ends(&self, patience: Duration, idle: Duration) {
        loop {
            let (now, due) = {
                let inside = self.inside();
                let now = Instant::now();
                let due = match (inside.answers.values().min(), inside.working) {
                    (Some(oldest), _) => *oldest + patience,
                    (None, 0) => inside.last + idle,
                    (None, _) => now + patience,
                };
                (now, due)
            };
            if due <= now {
                return;
            }
            // What begins meanwhile may be due earlier than what is known now.
            tokio::time::sleep_until(due.min(now + patience)).await;
        }
    }
}

/// See [`Activity::work`].
pub(super) struct Working(Arc<Activity>);

impl Drop for Working {
    fn drop(&mut self) {
        let mut inside = self.0.inside();
        inside.working = inside.working.saturating_sub(1);
        inside.last = Instant::now();
    }
}

/// A body that tells when it is asked for more, and when it is gone.
struct Answer {
    body: Body,
    number: u64,
    activity: Arc<Activity>,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let number = self.number;
        self.activity.inside().answers.insert(number, Instant::now());
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let mut inside = self.activity.inside();
        inside.answers.remove(&self.number);
        inside.last = Instant::now();
    }
}
