//! Spans on their way to a collector, over OTLP. It is never waited for: a span goes into a queue of bounded length or is
//! dropped and counted, a task of its own sends what is there in batches, and a collector that is slow, down or hostile
//! changes nothing else.
//!
//! It looks at no span except to cut off what may not leave (`traces`).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use causeway_core::clock::Entropy;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler, SdkTracer, SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::metrics::{self, Page};
use super::traces::{self, Ids};

/// Spans that wait. More are dropped: about a second of a busy gateway.
const WAITING: usize = 16_384;
/// Spans sent at once.
const BATCH: usize = 512;
/// How long a batch waits to become full.
const LINGER: Duration = Duration::from_millis(500);
/// How long the collector has for one batch.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the last spans have at a stop.
const LAST: Duration = Duration::from_secs(2);
/// The log says so once in this time.
const SAID_EVERY: Duration = Duration::from_mins(1);

#[derive(Debug, Default)]
struct Counts {
    exported: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

/// The end of the way: takes spans off the queue and sends them.
pub struct Traces {
    queue: mpsc::Receiver<SpanData>,
    exporter: SpanExporter,
    counts: Arc<Counts>,
    provider: SdkTracerProvider,
    /// Taken off the queue and not sent.
    batch: Vec<SpanData>,
    /// When the log said last that the collector takes nothing.
    said: Option<Instant>,
}

/// What `/metrics` shows. None without a collector.
static COUNTS: OnceLock<Arc<Counts>> = OnceLock::new();

/// Onto the page.
pub fn put(page: &mut Page) {
    let Some(counts) = COUNTS.get() else { return };
    let Counts { exported, dropped, failed } = &**counts;
    for (outcome, count) in [("exported", exported), ("dropped", dropped), ("failed", failed)] {
        page.put(&metrics::SPANS, &[outcome], count.load(Relaxed));
    }
}

/// The tracer, and what sends its spans to the collector at this address.
pub(super) fn to(otlp: &str, entropy: Arc<dyn Entropy>) -> Result<(SdkTracer, Traces), ExporterBuildError> {
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", otlp.trim_end_matches('/')))
        .with_timeout(PATIENCE)
        .build()?;
    let resource = Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", "causeway"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ])
        .build();
    exporter.set_resource(&resource);
    let (sender, queue) = mpsc::channel(WAITING);
    let counts = Arc::clone(COUNTS.get_or_init(Arc::default));
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        // A caller's flag neither turns our traces off nor on.
        .with_sampler(Sampler::AlwaysOn)
        .with_id_generator(Ids(entropy))
        .with_span_processor(Bounded { queue: sender, counts: Arc::clone(&counts) })
        .build();
    let tracer = provider.tracer("causeway");
    traces::made_by(tracer.clone());
    Ok((tracer, Traces { queue, exporter, counts, provider, batch: Vec::new(), said: None }))
}

/// Puts spans into the queue, or drops them.
#[derive(Debug)]
struct Bounded {
    queue: mpsc::Sender<SpanData>,
    counts: Arc<Counts>,
}

impl SpanProcessor for Bounded {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        if traces::only_listed(&mut span.attributes) {
            tracing::error!(span = %span.name, "an attribute that is not listed was cut off a span");
        }
        span.events.events.clear();
        if self.queue.try_send(span).is_err() {
            self.counts.dropped.fetch_add(1, Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Traces {
    /// Sends until told to stop, and then what is left, for a bounded time.
    pub async fn run(mut self, stop: CancellationToken) {
        while let Some(more) = stop.run_until_cancelled(self.fill()).await {
            if !more {
                return;
            }
            self.send().await;
        }
        self.queue.close();
        let last = async {
            while !self.batch.is_empty() || self.queue.recv_many(&mut self.batch, BATCH).await > 0 {
                self.send().await;
            }
        };
        if timeout(LAST, last).await.is_err() {
            tracing::warn!("the last spans were not taken by the collector");
        }
        drop(self.provider.shutdown_with_timeout(Duration::ZERO));
    }

    /// Waits for a span, and for a moment for more. False when there will be none. Dropped, it loses nothing.
    async fn fill(&mut self) -> bool {
        if self.batch.is_empty() && self.queue.recv_many(&mut self.batch, BATCH).await == 0 {
            return false;
        }
        let full = async {
            while self.batch.len() < BATCH {
                let room = BATCH - self.batch.len();
                if self.queue.recv_many(&mut self.batch, room).await == 0 {
                    return;
                }
            }
        };
        // A batch that does not become full goes as it is.
        timeout(LINGER, full).await.unwrap_or(());
        true
    }

    async fn send(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let count = batch.len() as u64;
        let sent = timeout(PATIENCE, self.exporter.export(batch)).await;
        if matches!(sent, Ok(Ok(()))) {
            self.counts.exported.fetch_add(count, Relaxed);
            return;
        }
        self.counts.failed.fetch_add(count, Relaxed);
        if self.said.is_none_or(|at| at.elapsed() > SAID_EVERY) {
            self.said = Some(Instant::now());
            // The collector's words stay out of the log: who answers there is not known.
            tracing::warn!(spans = count, "the collector of traces did not take them; they are lost, nothing else is");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use opentelemetry::InstrumentationScope;
    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

    use super::*;

    fn span(attributes: Vec<KeyValue>) -> SpanData {
        SpanData {
            span_context: SpanContext::empty_context(),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: "settle".into(),
            start_time: SystemTime::UNIX_EPOCH,
            end_time: SystemTime::UNIX_EPOCH,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::default(),
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    #[test]
    fn a_full_queue_drops_and_counts_and_nothing_unlisted_gets_in() {
        let (sender, mut queue) = mpsc::channel(2);
        let counts = Arc::<Counts>::default();
        let bounded = Bounded { queue: sender, counts: Arc::clone(&counts) };
        let listed = KeyValue::new("causeway.step", "submit");
        for _ in 0..5 {
            bounded.on_end(span(vec![listed.clone(), KeyValue::new("person.email", "ada@example.org")]));
        }
        assert_eq!(counts.dropped.load(Relaxed), 3, "two had room; nobody waited");
        while let Ok(kept) = queue.try_recv() {
            assert_eq!(kept.attributes, std::slice::from_ref(&listed));
        }
    }
}
