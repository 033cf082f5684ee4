//! What leaves the process about itself: log lines, traces, metrics.
//!
//! Log lines are JSON or pretty, to standard error, stamped in UTC (RFC 3339). Traces go to a collector, if one is named.
//! It decides how lines look, not what is in them. No personal data reaches a line because what is personal has a type
//! that does not print; ids and counts are what lines carry. What a span may hold and what metrics there are is listed
//! (`traces`, `metrics`).

pub mod export;
pub mod figures;
pub mod metrics;
pub mod traces;

use std::io::IsTerminal;
use std::sync::Arc;

use causeway_core::clock::Entropy;
use opentelemetry_otlp::ExporterBuildError;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{Log, LogFormat, Telemetry};

pub use self::export::Traces;

/// Why log lines cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not read.
    #[error("log.filter: {0}; write levels by module, such as \"causeway=debug,warn\"")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Spans cannot be sent there.
    #[error("telemetry.otlp: no traces can be sent there")]
    Traces(#[from] ExporterBuildError),
    /// Something set a subscriber before.
    #[error("log lines are already set up in this process")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Sends the process's log lines to standard error, and its spans to the collector if one is named: what is returned then
/// is what sends them, and has to be run.
///
/// # Errors
/// [`TelemetryError`].
pub fn init(log: &Log, telemetry: &Telemetry, entropy: Arc<dyn Entropy>) -> Result<Option<Traces>, TelemetryError> {
    // Without a collector nobody sees spans of traces, and they are never made.
    let filter = of_lines(&log.filter)?;
    // A panic's message may quote what was being handled; its place says enough.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "a panic was caught");
    }));
    // The default timer is UTC in RFC 3339.
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match log.format {
        LogFormat::Json => Box::new(
            fmt::layer()
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false)
                .with_writer(std::io::stderr),
        ),
        LogFormat::Pretty => Box::new(
            fmt::layer()
                .compact()
                .with_target(false)
                .with_ansi(std::io::stderr().is_terminal())
                .with_writer(std::io::stderr),
        ),
    };
    let lines = lines.with_filter(filter);
    if telemetry.otlp.is_empty() {
        tracing_subscriber::registry().with(lines).try_init()?;
        return Ok(None);
    }
    let (tracer, sends) = export::to(&telemetry.otlp, entropy)?;
    let spans = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        // Only what a span is given: no places in the code, no threads, no levels, no times of idleness.
        .with_location(false)
        .with_threads(false)
        .with_level(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(Targets::new().with_target(traces::TARGET, LevelFilter::INFO));
    tracing_subscriber::registry().with(lines).with(spans).try_init()?;
    Ok(Some(sends))
}

/// Spans of traces are not for lines.
fn of_lines(filter: &str) -> Result<EnvFilter, TelemetryError> {
    Ok(EnvFilter::builder().parse(filter)?.add_directive(format!("{}=off", traces::TARGET).parse()?))
}

/// What is wrong with a filter, if anything is.
pub fn fault_of(filter: &str) -> Option<String> {
    let fault = EnvFilter::builder().parse(filter).err()?;
    Some(format!("{fault}; write levels by module, such as \"causeway=debug,warn\""))
}

#[cfg(test)]
mod tests {
    use tracing::Level;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::of_lines;

    #[test]
    fn of_a_lost_broker_the_gateway_tells_and_its_client_does_not() {
        let config = crate::config::Config::default();
        let lines = tracing_subscriber::registry().with(of_lines(&config.fixed.log.filter).unwrap());
        tracing::subscriber::with_default(lines, || {
            assert!(!tracing::enabled!(target: "lapin::channels", Level::ERROR));
            assert!(tracing::enabled!(target: "causeway::queue::rabbitmq::supervise", Level::WARN));
            assert!(!tracing::enabled!(target: "causeway::queue::rabbitmq::supervise", Level::DEBUG));
        });
    }
}
