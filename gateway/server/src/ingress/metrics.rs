//! Counters and one histogram by route template, as atomics; text for Prometheus on demand.
//!
//! Labels come from closed lists: a caller cannot make a new series. No label holds a tenant, a key or a path's value.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;

use super::access_log::CLIENT_LEFT;

/// Every route template; the last stands for the rest.
const ROUTES: [&str; 6] =
    ["/v1/applications", "/v1/applications/{id}", "/v1/hooks/{account}", "/problems/{code}", "/v1/support", "other"];
/// Every status worth a series; the last stands for the rest.
const STATUSES: [u16; 18] =
    [200, 202, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, CLIENT_LEFT, 500, 502, 503, 0];
/// Upper bounds in microseconds.
const BOUNDS_US: [u64; 13] =
    [500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000, 30_000_000];

#[derive(Debug, Default)]
struct Route {
    by_status: [AtomicU64; STATUSES.len()],
    /// Not cumulative; one more for what is over the last bound.
    by_duration: [AtomicU64; BOUNDS_US.len() + 1],
    duration_us: AtomicU64,
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
        let took = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let route = &self.metrics.routes[self.route];
        let status = STATUSES.iter().position(|status| *status == self.status).unwrap_or(STATUSES.len() - 1);
        route.by_status[status].fetch_add(1, Relaxed);
        route.by_duration[BOUNDS_US.partition_point(|bound| *bound < took)].fetch_add(1, Relaxed);
        route.duration_us.fetch_add(took, Relaxed);
    }
}

fn index(path: &str) -> usize {
    ROUTES
        .iter()
        .position(|route| path == *route || (*route == "/v1/support" && path.starts_with("/v1/support/")))
        .unwrap_or(ROUTES.len() - 1)
}

impl Metrics {
    /// Appends everything in the Prometheus text format.
    pub fn render(&self, out: &mut String) {
        self.gauges(out);
        out.push_str("# TYPE causeway_http_requests_total counter\n");
        for (name, route) in ROUTES.iter().zip(&self.routes) {
            for (status, count) in STATUSES.iter().zip(&route.by_status) {
                let count = count.load(Relaxed);
                if count > 0 {
                    put(
                        out,
                        format_args!("causeway_http_requests_total{{route=\"{name}\",status=\"{status}\"}} {count}"),
                    );
                }
            }
        }
        out.push_str("# TYPE causeway_http_request_duration_seconds histogram\n");
        for (name, route) in ROUTES.iter().zip(&self.routes) {
            histogram(out, name, route);
        }
    }

    fn gauges(&self, out: &mut String) {
        for (name, kind, value) in [
            ("causeway_http_requests_in_flight", "gauge", &self.in_flight),
            ("causeway_connections_open", "gauge", &self.connections_open),
            ("causeway_connections_accepted_total", "counter", &self.connections_accepted),
            ("causeway_connections_refused_total", "counter", &self.connections_refused),
            ("causeway_accept_errors_total", "counter", &self.accept_errors),
        ] {
            put(out, format_args!("# TYPE {name} {kind}\n{name} {}", value.load(Relaxed)));
        }
    }
}

fn histogram(out: &mut String, name: &str, route: &Route) {
    let metric = "causeway_http_request_duration_seconds";
    let mut total = 0;
    for (position, count) in route.by_duration.iter().enumerate() {
        total += count.load(Relaxed);
        let bound = BOUNDS_US.get(position).map(|bound| format!("{}", *bound as f64 / 1e6));
        let bound = bound.as_deref().unwrap_or("+Inf");
        put(out, format_args!("{metric}_bucket{{route=\"{name}\",le=\"{bound}\"}} {total}"));
    }
    let sum = route.duration_us.load(Relaxed) as f64 / 1e6;
    put(out, format_args!("{metric}_sum{{route=\"{name}\"}} {sum}\n{metric}_count{{route=\"{name}\"}} {total}"));
}

fn put(out: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(out, "{line}").expect("writing to a String does not fail");
}
