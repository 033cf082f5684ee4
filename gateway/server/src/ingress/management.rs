//! Health and metrics. They touch neither store nor vendor, so they answer whatever else does not.
//!
//! `/healthz`: the process runs. `/readyz`: send it traffic; no while it drains, and for some seconds after the store
//! could not be written.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use tokio::time::Instant;

use super::metrics::Metrics;
use crate::openapi::{Operation, Routes};

/// Appends more metrics in the Prometheus text format.
pub type Exposition = Arc<dyn Fn(&mut String) + Send + Sync>;

const PLAIN: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4";
const NOT_READY: &str = "application/vnd.causeway.readiness";

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
pub(super) struct Open {
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
    more: Arc<[Exposition]>,
}

/// The routes that need no key.
pub(super) fn open(readiness: Arc<Readiness>, metrics: Arc<Metrics>, more: Vec<Exposition>) -> Routes {
    routes().with_state(Open { readiness, metrics, more: more.into() })
}

pub(super) fn routes() -> Routes<Open> {
    let health = Operation::new("health", "Does the process run?").answers_text(200, PLAIN, "It does.");
    let ready = Operation::new("readiness", "Send it traffic?").answers_text(200, PLAIN, "Yes.").answers_text(
        503,
        NOT_READY,
        "Not now: it stops, or the store could not be written some seconds ago.",
    );
    let metrics = Operation::new("metrics", "Metrics").answers_text(200, METRICS, "In the Prometheus text format.");
    Routes::new()
        .get("/healthz", async || "ok\n", health)
        .get("/readyz", readyz, ready)
        .get("/metrics", exposition, metrics)
}

async fn readyz(State(open): State<Open>) -> Response {
    match open.readiness.reason() {
        None => "ready\n".into_response(),
        Some(reason) => {
            // A type of its own, so that it is not taken for a library's bare error.
            let kind = (CONTENT_TYPE, HeaderValue::from_static(NOT_READY));
            (StatusCode::SERVICE_UNAVAILABLE, [kind], reason).into_response()
        }
    }
}

async fn exposition(State(open): State<Open>) -> Response {
    let mut text = String::with_capacity(16 * 1024);
    open.metrics.render(&mut text);
    open.more.iter().for_each(|more| more(&mut text));
    ([(CONTENT_TYPE, HeaderValue::from_static(METRICS))], text).into_response()
}
