//! Log lines: JSON or pretty, to standard error, stamped in UTC (RFC 3339).
//!
//! It decides how lines look, not what is in them. No personal data reaches a line because what is personal has a type
//! that does not print; ids and counts are what lines carry.

pub mod metrics;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{Log, LogFormat};

/// Why log lines cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not read.
    #[error("log.filter: {0}; write levels by module, such as \"causeway=debug,warn\"")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Something set a subscriber before.
    #[error("log lines are already set up in this process")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Sends the process's log lines to standard error.
///
/// # Errors
/// [`TelemetryError`].
pub fn init(log: &Log) -> Result<(), TelemetryError> {
    let filter = EnvFilter::builder().parse(&log.filter)?;
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
    tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()?;
    Ok(())
}

/// What is wrong with a filter, if anything is.
pub fn fault_of(filter: &str) -> Option<String> {
    let fault = EnvFilter::builder().parse(filter).err()?;
    Some(format!("{fault}; write levels by module, such as \"causeway=debug,warn\""))
}
