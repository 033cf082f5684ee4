//! A vendor's answer, and the ways an answer can be spoilt on its way out.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use hyper::body::{Frame, SizeHint};
use serde_json::Value;

/// What the vendor says, and what it did before saying it.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    /// The vendor's data changed.
    pub(crate) committed: bool,
    /// What was written, one JSON document each, for the ledger.
    pub(crate) records: Vec<Arc<str>>,
}

impl Reply {
    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, headers: Vec::new(), content_type, body: body.into(), committed: false, records: Vec::new() }
    }

    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    pub(crate) fn ok(body: &Value) -> Self {
        Self::json(StatusCode::OK, body)
    }

    pub(crate) fn with_header(mut self, name: &str, value: impl Into<HeaderText>) -> Self {
        self.headers.push((name.to_owned(), value.into().0));
        self
    }

    /// The vendor's data changed; `record` says how.
    pub(crate) fn committing(mut self, record: impl Into<Arc<str>>) -> Self {
        self.committed = true;
        self.records.push(record.into());
        self
    }

    fn response(&self, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        if !self.body.is_empty() {
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        for (name, value) in &self.headers {
            // A scripted header that is no header is left out rather than taking the sandbox down.
            if let (Ok(name), Ok(value)) = (name.parse::<http::HeaderName>(), value.parse::<HeaderValue>()) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    /// The whole answer.
    pub(crate) fn whole(&self) -> Response<Body> {
        self.response(Body::from(self.body.clone()))
    }

    /// The answer's head and the first half of its body under the full `Content-Length`; then the connection breaks.
    pub(crate) fn half(&self) -> Response<Body> {
        let half = self.body.slice(..self.body.len() / 2);
        let state = HalfState::Send(half);
        self.response(Body::new(HalfBody { state, declared: self.body.len().max(1) as u64 }))
    }
}

enum HalfState {
    Send(Bytes),
    // One idle poll in between, so that what was sent so far is flushed before the connection breaks.
    Flush,
    Break,
}

struct HalfBody {
    state: HalfState,
    declared: u64,
}

impl hyper::body::Body for HalfBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match std::mem::replace(&mut self.state, HalfState::Break) {
            HalfState::Send(half) => {
                self.state = HalfState::Flush;
                Poll::Ready(Some(Ok(Frame::data(half))))
            }
            HalfState::Flush => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            HalfState::Break => Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into()))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.declared)
    }
}

/// A header's value: text or a number.
pub(crate) struct HeaderText(String);

macro_rules! header_text {
    ($($from:ty),*) => { $(impl From<$from> for HeaderText {
        fn from(value: $from) -> Self {
            Self(value.to_string())
        }
    })* };
}

header_text!(&str, &String, String, u64, i64);

/// What the wire is told to do.
pub(crate) enum Ending {
    Answer(Response<Body>),
    /// Close the connection without a byte of answer.
    Drop,
    /// Never answer, and leave the connection open.
    Hang,
}

pub(crate) type Answered = Result<Response<Body>, Infallible>;
