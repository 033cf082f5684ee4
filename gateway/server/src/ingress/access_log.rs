//! One line for every request, whatever became of it: answered, timed out, panicked, shed, or left by its client.
//!
//! A line holds method, route template, status, code, duration, trace id and key id. Never a path's values, a header or
//! a byte of a body. The line is written when its guard is dropped, so no way out of the stack can miss it.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::Method;
use tokio::time::Instant;
use tracing::Instrument;

use super::problem::Answered;
use super::request::Facts;
use crate::telemetry::traces::{self, TraceParent};

/// What a line says about a request whose client left before the answer.
pub(super) const CLIENT_LEFT: u16 = 499;

/// The layer.
pub(super) async fn log(mut request: Request, next: Next) -> Response {
    let facts = Facts::of(&request);
    request.extensions_mut().insert(Arc::clone(&facts));
    let path = request.extensions().get::<MatchedPath>().cloned();
    let route = path.as_ref().map_or("unmatched", MatchedPath::as_str);
    let parent = request.extensions().get::<TraceParent>().copied();
    let span = traces::request(known(request.method()), route, &facts.trace_id, parent);
    let mut line =
        Line { method: known(request.method()), path, facts, began: Instant::now(), status: CLIENT_LEFT, code: "" };
    let response = next.run(request).instrument(span.clone()).await;
    line.status = response.status().as_u16();
    traces::say(&span, "http.response.status_code", line.status);
    line.code = response.extensions().get::<Answered>().map_or("", |answered| answered.0);
    response
}

struct Line {
    method: &'static str,
    path: Option<MatchedPath>,
    facts: Arc<Facts>,
    began: Instant,
    status: u16,
    code: &'static str,
}

impl Drop for Line {
    fn drop(&mut self) {
        let key = self.facts.sender.get().map(|(_, key)| tracing::field::display(key));
        tracing::info!(
            target: "causeway::access",
            method = self.method,
            route = self.path.as_ref().map_or("unmatched", MatchedPath::as_str),
            status = self.status,
            code = self.code,
            duration_ms = self.began.elapsed().as_secs_f64() * 1e3,
            trace_id = self.facts.trace_id,
            key,
            "request"
        );
    }
}

/// A method is any token the caller likes; only the standard ones are worth a name in the log.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
