//! Counters and one histogram by route template, as atomics.
//!
//! Labels come from closed lists: a caller cannot make a new series. No label holds a tenant, a key or a path's value.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;

use super::access_log::CLIENT_LEFT;
use crate::telemetry::figures::{Histogram, MICROS};
use crate::telemetry::metrics::{self, Page, REQUEST_BOUNDS_US, ROUTES, STATUSES};

#[derive(Debug)]
struct Route {
    by_status: [AtomicU64; STATUSES.len()],
    duration: Histogram,
}

impl Default for Route {
    fn default() -> Self {
        Self { by_status: std::array::from_fn(|_| AtomicU64::new(0)), duration: Histogram::new(REQUEST_BOUNDS_US) }
    }
}

/// Everything ingress counts. Shared by both listeners.
#[derive(Debug, Default)]
pub struct Metrics {
    routes: [Route; ROUTES.len()],
    in_flight: AtomicU64,
    pub(super) connections_open: AtomicU64,
    pub(super) connections_accepted: AtomicU64,
    pub(super) connections_refused: AtomicU64,
    pub(super) accept_errors: AtomicU64,
}

/// The layer.
pub(super) async fn count(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or(ROUTES.len() - 1, |path| index(path.as_str()));
    metrics.in_flight.fetch_add(1, Relaxed);
    let mut counted = Counted { metrics, route, began: Instant::now(), status: CLIENT_LEFT };
    let response = next.run(request).await;
    counted.status = response.status().as_u16();
    response
}

struct Counted {
    metrics: Arc<Metrics>,
    route: usize,
    began: Instant,
    status: u16,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.metrics.in_flight.fetch_sub(1, Relaxed);
        let route = &self.metrics.routes[self.route];
        let status = STATUSES.iter().position(|known| known.parse() == Ok(self.status)).unwrap_or(STATUSES.len() - 1);
        route.by_status[status].fetch_add(1, Relaxed);
        route.duration.took(self.began.elapsed());
    }
}

fn index(path: &str) -> usize {
    ROUTES
        .iter()
        .position(|route| path == *route || (*route == "/v1/support" && path.starts_with("/v1/support/")))
        .unwrap_or(ROUTES.len() - 1)
}

impl Metrics {
    /// Onto the page.
    pub fn put(&self, page: &mut Page) {
        for (metric, value) in [
            (metrics::HTTP_IN_FLIGHT, &self.in_flight),
            (metrics::CONNECTIONS_OPEN, &self.connections_open),
            (metrics::CONNECTIONS_ACCEPTED, &self.connections_accepted),
            (metrics::CONNECTIONS_REFUSED, &self.connections_refused),
            (metrics::ACCEPT_ERRORS, &self.accept_errors),
        ] {
            page.put(&metric, &[], value.load(Relaxed));
        }
        for (name, route) in ROUTES.iter().zip(&self.routes) {
            for (status, count) in STATUSES.iter().zip(&route.by_status) {
                let count = count.load(Relaxed);
                if count > 0 {
                    page.put(&metrics::HTTP_REQUESTS, &[name, status], count);
                }
            }
            route.duration.put(page, &metrics::HTTP_DURATION, &[name], MICROS);
        }
    }
}
