//! The one place that turns errors into HTTP.
//!
//! Below this layer a "no" is a [`Refusal`] riding in the response's extensions, or a bare status from a library layer.
//! Here it becomes problem+json with its trace id and headers, and is counted if nothing recorded it. A cause never gets
//! this far: the types cannot carry one.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use causeway_core::problem::{Code, Problem};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::request::facts;
use crate::intake::{EdgeCounters, Refusal};

/// The code that was answered, for the access log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered(pub(super) &'static str);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status(&self.problem);
        response.extensions_mut().insert(self);
        response
    }
}

/// The layer.
pub(super) async fn render(State(edge): State<Arc<EdgeCounters>>, request: Request, next: Next) -> Response {
    let facts = facts(&request);
    let mut response = next.run(request).await;
    let riding = response.extensions_mut().remove::<Refusal>();
    let Some(refusal) = riding.or_else(|| bare(&response).map(Refusal::from)) else { return response };
    let sender = facts.as_ref().and_then(|facts| facts.sender.get().copied());
    if !refusal.recorded && counts(&refusal.problem) {
        edge.add(sender, refusal.job.as_deref(), refusal.problem.code);
    }
    let mut problem = refusal.problem;
    if let Some(facts) = facts.filter(|_| problem.trace_id.is_empty()) {
        problem.trace_id.clone_from(&facts.trace_id);
    }
    write(&problem, response.into_parts().0.headers)
}

/// Every refusal at the edge counts, except those that never meant to submit anything.
fn counts(problem: &Problem) -> bool {
    problem.code != Code::NotFound.as_str() && problem.code != Code::MethodNotAllowed.as_str()
}

/// What a library layer meant by an error status without words of its own, or with plain text.
fn bare(response: &Response) -> Option<Code> {
    let status = response.status();
    let own_words = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/") || kind.as_bytes().starts_with(b"text/html"));
    if own_words || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    Some(match status {
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
        StatusCode::REQUEST_TIMEOUT => Code::BodyTooSlow,
        StatusCode::PAYLOAD_TOO_LARGE => Code::BodyTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::ContentTypeUnsupported,
        other if other.is_client_error() => Code::QueryInvalid,
        _ => Code::Internal,
    })
}

fn status(problem: &Problem) -> StatusCode {
    StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Keeps headers set below (`Allow`), replaces those about the body.
fn write(problem: &Problem, mut headers: HeaderMap) -> Response {
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = problem.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if problem.code == Code::KeyInvalid.as_str() {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"causeway\""));
    }
    let body = serde_json::to_vec(problem).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status(problem);
    *response.headers_mut() = headers;
    response.extensions_mut().insert(Answered(problem.code));
    response
}

/// What every response says to browsers, whoever made it.
pub(super) async fn security_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("strict-transport-security", "max-age=31536000"),
    ] {
        headers.entry(http::HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
