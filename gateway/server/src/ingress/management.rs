//! Health and metrics. They touch neither store nor vendor, so they answer whatever else does not.
//!
//! `/healthz`: the process runs. `/readyz`: send it traffic; no while it drains, and for some seconds after the store
//! could not be written.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use tokio::time::Instant;

use super::metrics::Metrics;

/// Appends more metrics in the Prometheus text format.
pub type Exposition = Arc<dyn Fn(&mut String) + Send + Sync>;

/// How long a failed write to the store is held against us. Traffic that comes back is the next test.
const STORE_FAILED: Duration = Duration::from_secs(5);

/// Whether to send traffic here. Set by whoever knows, read by `/readyz`.
#[derive(Debug, Default)]
pub struct Readiness {
    draining: AtomicBool,
    store_failed: Mutex<Option<Instant>>,
}

impl Readiness {
    /// From now on no new work.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// The store could not be written just now.
    pub fn store_failed(&self) {
        *self.store_failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn reason(&self) -> Option<&'static str> {
        if self.draining.load(Ordering::Acquire) {
            return Some("stopping\n");
        }
        let failed = *self.store_failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_some_and(|at| at.elapsed() < STORE_FAILED).then_some("the store cannot be written\n")
    }
}

#[derive(Clone)]
struct Open {
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
    more: Arc<[Exposition]>,
}

/// The routes that need no key.
pub(super) fn open(readiness: Arc<Readiness>, metrics: Arc<Metrics>, more: Vec<Exposition>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(exposition))
        .with_state(Open { readiness, metrics, more: more.into() })
}

async fn readyz(State(open): State<Open>) -> Response {
    match open.readiness.reason() {
        None => "ready\n".into_response(),
        Some(reason) => {
            // A type of its own, so that it is not taken for a library's bare error.
            let kind = (CONTENT_TYPE, HeaderValue::from_static("application/vnd.causeway.readiness"));
            (StatusCode::SERVICE_UNAVAILABLE, [kind], reason).into_response()
        }
    }
}

async fn exposition(State(open): State<Open>) -> Response {
    let mut text = String::with_capacity(16 * 1024);
    open.metrics.render(&mut text);
    open.more.iter().for_each(|more| more(&mut text));
    ([(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"))], text).into_response()
}
