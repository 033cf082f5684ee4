//! Writes answers. A reader that went away (`| head`) is no failure.

use std::io::{self, Write};

use serde::Serialize;

use crate::admin::Fault;

/// One JSON value on standard output.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    text(&serde_json::to_string_pretty(value)?)
}

/// Text on standard output.
pub(super) fn text(text: &str) -> anyhow::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _written_or_nobody_reads => Ok(()),
    }
}

/// A remark for people, on standard error.
pub(super) fn remark(text: &str) {
    if writeln!(io::stderr().lock(), "{text}").is_err() {
        // Nobody listens; there is nowhere left to say so.
    }
}

/// What went wrong: on standard error for people, and as JSON on standard output with `--json`.
pub(super) fn fault(json: bool, error: &anyhow::Error) {
    remark(&format!("causeway: {error:#}"));
    if json {
        let kind = error.downcast_ref::<Fault>().map(|fault| fault.kind);
        let value = serde_json::json!({ "error": { "kind": kind, "text": format!("{error:#}") } });
        if text(&value.to_string()).is_err() {
            remark("causeway: the answer could not be written");
        }
    }
}
