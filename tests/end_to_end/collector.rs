//! A collector of traces: takes what is sent over OTLP and keeps it, as bytes and as spans; or answers badly, or never.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Takes,
    Refuses,
    Hangs,
}

#[derive(Default)]
struct Got {
    bodies: Vec<Bytes>,
    spans: Vec<Span>,
}

/// See the module's documentation. Ends when it is dropped.
pub(crate) struct Collector {
    pub(crate) url: String,
    got: Arc<Mutex<Got>>,
    stop: CancellationToken,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[derive(Clone)]
struct Desk {
    mood: Mood,
    got: Arc<Mutex<Got>>,
}

async fn take(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> (StatusCode, &'static str) {
    match desk.mood {
        Mood::Takes => {}
        Mood::Refuses => return (StatusCode::SERVICE_UNAVAILABLE, "not now"),
        Mood::Hangs => std::future::pending().await,
    }
    if headers.get("content-type").is_none_or(|kind| kind != "application/x-protobuf") {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "protobuf only");
    }
    let Ok(request) = ExportTraceServiceRequest::decode(body.clone()) else {
        return (StatusCode::BAD_REQUEST, "that does not decode");
    };
    let mut got = desk.got.lock().unwrap_or_else(PoisonError::into_inner);
    got.bodies.push(body);
    for scope in request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans) {
        got.spans.extend(scope.spans);
    }
    (StatusCode::OK, "")
}

impl Collector {
    pub(crate) async fn start(mood: Mood) -> Result<Self> {
        let socket = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", socket.local_addr()?);
        let (got, stop, tasks) = (Arc::<Mutex<Got>>::default(), CancellationToken::new(), TaskTracker::new());
        let router = Router::new().route("/v1/traces", post(take)).with_state(Desk { mood, got: Arc::clone(&got) });
        let ended = stop.clone();
        tasks.spawn(async move { ended.run_until_cancelled(axum::serve(socket, router).into_future()).await });
        Ok(Self { url, got, stop })
    }

    /// Every span of a trace that came so far.
    pub(crate) fn spans_of(&self, trace: &str) -> Vec<Span> {
        let got = self.got.lock().unwrap_or_else(PoisonError::into_inner);
        got.spans.iter().filter(|span| hex(&span.trace_id) == trace).cloned().collect()
    }

    /// Every span.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.got.lock().unwrap_or_else(PoisonError::into_inner).spans.clone()
    }

    /// Does anything that was sent hold these bytes?
    pub(crate) fn holds(&self, marker: &str) -> bool {
        let got = self.got.lock().unwrap_or_else(PoisonError::into_inner);
        let within =
            |body: &Bytes| body.windows(marker.len()).any(|window| window.eq_ignore_ascii_case(marker.as_bytes()));
        got.bodies.iter().any(within)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A span's attributes as text.
pub(crate) fn attributes(span: &Span) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let pairs = span.attributes.iter();
    pairs.filter_map(|pair| Some((pair.key.clone(), text(pair.value.as_ref()?.value.as_ref()?)))).collect()
}
