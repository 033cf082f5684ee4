//! Health and metrics. They touch neither store nor vendor, so they answer whatever else does not.
//!
//! `/healthz`: the process runs. `/readyz`: send it work; no while it stops, and while it cannot do the work of its roles,
//! with each check, what it came to and since when.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};

use super::applications::answer;
use super::metrics::Metrics;
use crate::health::{Health, Report};
use crate::intake::Refusal;
use crate::openapi::{Operation, Routes};
use crate::telemetry::metrics::Page;
use causeway_core::problem::Code;

/// Puts more figures onto the page.
pub type Exposition = Arc<dyn Fn(&mut Page) + Send + Sync>;

const PLAIN: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4";

#[derive(Clone)]
pub(super) struct Open {
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    more: Arc<[Exposition]>,
}

/// The routes that need no key.
pub(super) fn open(health: Arc<Health>, metrics: Arc<Metrics>, more: Vec<Exposition>) -> Routes {
    routes().with_state(Open { health, metrics, more: more.into() })
}

pub(super) fn routes() -> Routes<Open> {
    let health = Operation::new("health", "Does the process run?").answers_text(200, PLAIN, "It does.");
    let ready = Operation::new("readiness", "Send it work?")
        .answers::<Report>(200, "Yes. What is degraded is done, later than it should be.")
        .answers::<Report>(503, "Not now: it stops, or cannot do the work of its roles.");
    let metrics = Operation::new("metrics", "Metrics").answers_text(200, METRICS, "In the Prometheus text format.");
    Routes::new()
        .get("/healthz", async || "ok\n", health)
        .get("/readyz", readyz, ready)
        .get("/metrics", exposition, metrics)
}

async fn readyz(State(open): State<Open>) -> Result<Response, Refusal> {
    let report = open.health.report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::to_vec(&report).map_err(|_| Refusal::from(Code::Internal))?;
    Ok(answer(status, body.into()))
}

async fn exposition(State(open): State<Open>) -> Response {
    let mut page = Page::default();
    open.metrics.put(&mut page);
    open.more.iter().for_each(|more| more(&mut page));
    let text = page.render();
    ([(CONTENT_TYPE, HeaderValue::from_static(METRICS))], text).into_response()
}
