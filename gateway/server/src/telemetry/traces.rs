//! One trace for each submission, from the request to the vendor's last answer: which spans there are, what may stand in
//! them, and how a trace goes on in another process, days later.
//!
//! Spans are `tracing` spans of a target of their own: log lines do not see them, and without a collector nobody does, so
//! making one costs a look at a flag. A submission's row has its trace id. The span of its accept has an id that is made of
//! the submission's, so whoever works for the submission later knows both and goes on below it; nothing else is stored.
//!
//! No span holds personal data: the fields below are ids, words of closed lists and figures, [`KEYS`] lists them, and what is
//! not listed is cut off on the way out. No vendor gets a header: a trace ends at the call.

use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, OnceLock};

use causeway_core::clock::Entropy;
use causeway_core::ids::{AccountId, DeliveryId, SubmissionId};
use jiff::Timestamp;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator, SdkTracer};
use tracing::field::{Empty, display};
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The spans' target.
pub const TARGET: &str = "causeway::trace";

/// Every attribute a span may have.
pub const KEYS: &[&str] = &[
    "causeway.account",
    "causeway.attempt",
    "causeway.class",
    "causeway.connector",
    "causeway.delivery",
    "causeway.follows",
    "causeway.outcome",
    "causeway.step",
    "causeway.submission",
    "http.request.method",
    "http.response.status_code",
    "http.route",
];

/// Makes spans that `tracing` does not: with a beginning that has passed. None without a collector.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

pub(super) fn made_by(tracer: SdkTracer) {
    // Set up once a process; a second time changes nothing.
    drop(TRACER.set(tracer));
}

/// Where a trace comes from: a caller's `traceparent`, or a queue's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace: TraceId,
    span: SpanId,
}

impl TraceParent {
    /// Reads a header as the W3C's recommendation writes it: version 00, or what a later one adds behind it.
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let more = parts.next().is_some();
        if !hex(version, 2) || version == "ff" || (version == "00" && more) || !hex(flags, 2) {
            return None;
        }
        if !hex(trace, 32) || !hex(span, 16) {
            return None;
        }
        let parent = Self { trace: TraceId::from_hex(trace).ok()?, span: SpanId::from_hex(span).ok()? };
        (parent.trace != TraceId::INVALID && parent.span != SpanId::INVALID).then_some(parent)
    }

    /// 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        self.trace.to_string()
    }

    /// The span in which this submission was accepted.
    fn of(trace_id: &str, submission: SubmissionId) -> Option<Self> {
        let trace = TraceId::from_hex(trace_id).ok().filter(|trace| *trace != TraceId::INVALID)?;
        Some(Self { trace, span: span_of(submission) })
    }

    fn context(self) -> Context {
        let (flags, state) = (TraceFlags::SAMPLED, TraceState::default());
        Context::new().with_remote_span_context(SpanContext::new(self.trace, self.span, flags, true, state))
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-01", self.trace, self.span)
    }
}

/// The random half of the submission's id.
fn span_of(submission: SubmissionId) -> SpanId {
    let mut half = [0; 8];
    half.copy_from_slice(&submission.as_uuid().as_bytes()[8..]);
    SpanId::from_bytes(half)
}

/// The span that a message of a queue may name, if there is a trace now. A hint: the row says what is true.
pub fn current() -> Option<TraceParent> {
    let context = Span::current().context();
    let span = context.span();
    let now = span.span_context();
    now.is_valid().then(|| TraceParent { trace: now.trace_id(), span: now.span_id() })
}

/// A request. `trace` is the id that its answer, its log line and its rows have.
pub fn request(method: &'static str, route: &str, trace: &str, parent: Option<TraceParent>) -> Span {
    let span = info_span!(
        target: TARGET, parent: None, "request",
        "otel.kind" = "server",
        "http.request.method" = method,
        "http.route" = route,
        "http.response.status_code" = Empty,
    );
    match parent {
        Some(parent) => put_under(&span, parent),
        None => begin(&span, Next { trace: TraceId::from_hex(trace).ok(), span: None }),
    }
    span
}

/// What intake does with a submission.
pub fn intake() -> Span {
    info_span!(target: TARGET, "intake", "causeway.outcome" = Empty)
}

/// The one transaction in which a submission is accepted.
pub fn accept(submission: SubmissionId) -> Span {
    let span = info_span!(target: TARGET, "store accept", "causeway.submission" = %submission);
    begin(&span, Next { trace: None, span: Some(span_of(submission)) });
    span
}

/// An account is rung for.
pub fn ring(account: AccountId) -> Span {
    info_span!(target: TARGET, "queue ring", "otel.kind" = "producer", "causeway.account" = %account)
}

/// A ring came, from wherever.
pub fn rung(account: AccountId, from: Option<TraceParent>) -> Span {
    let span = info_span!(
        target: TARGET, parent: None, "queue rung", "otel.kind" = "consumer", "causeway.account" = %account,
    );
    if let Some(from) = from {
        put_under(&span, from);
    }
    span
}

/// A delivery that was claimed, until it is given back or settled. It goes on below its submission's accept once
/// [`goes_on`] is told which that was.
pub fn dispatch(delivery: DeliveryId, account: AccountId, submission: SubmissionId) -> Span {
    info_span!(
        target: TARGET, parent: None, "dispatch",
        "otel.kind" = "consumer",
        "causeway.delivery" = %delivery,
        "causeway.account" = %account,
        "causeway.submission" = %submission,
        "causeway.connector" = Empty,
    )
}

/// The span's work is for this submission, whose row has this trace id; and it was claimed then, and begun now.
pub fn goes_on(span: &Span, trace_id: &str, submission: SubmissionId, (claimed, begun): (Timestamp, Timestamp)) {
    if span.is_disabled() {
        return;
    }
    if let Some(parent) = TraceParent::of(trace_id, submission) {
        put_under(span, parent);
    }
    if let Some(tracer) = TRACER.get() {
        let waited = tracer.span_builder("dispatch claim").with_start_time(std::time::SystemTime::from(claimed));
        let context = span.context();
        let waited = tracer.build_with_context(waited, &context);
        opentelemetry::trace::Span::end_with_timestamp(&mut { waited }, std::time::SystemTime::from(begun));
    }
}

/// One try of a step.
pub fn attempt(step: &str, number: u32) -> Span {
    info_span!(
        target: TARGET, "attempt",
        "causeway.step" = step,
        "causeway.attempt" = number,
        "causeway.class" = Empty,
    )
}

/// The vendor is asked what became of a try.
pub fn lookup(step: &str) -> Span {
    info_span!(target: TARGET, "lookup", "causeway.step" = step)
}

/// What was delivered is read at the vendor.
pub fn read_back(trace_id: &str, submission: SubmissionId, delivery: DeliveryId) -> Span {
    let span = info_span!(
        target: TARGET, parent: None, "read back",
        "causeway.delivery" = %delivery,
        "causeway.submission" = %submission,
    );
    if let Some(parent) = TraceParent::of(trace_id, submission) {
        put_under(&span, parent);
    }
    span
}

/// One call to a vendor.
pub fn vendor_call(connector: &'static str, account: AccountId, method: &http::Method) -> Span {
    info_span!(
        target: TARGET, "vendor call",
        "otel.kind" = "client",
        "causeway.connector" = connector,
        "causeway.account" = %account,
        "http.request.method" = method.as_str(),
        "http.response.status_code" = Empty,
    )
}

/// What an attempt came to is committed.
pub fn settle(follows: &'static str) -> Span {
    info_span!(target: TARGET, "settle", "causeway.follows" = follows)
}

/// Says something of a span that was not known when it began. `key` is one of [`KEYS`] that the span was made with.
pub fn say(span: &Span, key: &'static str, value: impl fmt::Display) {
    debug_assert!(KEYS.contains(&key), "{key}");
    span.record(key, display(value));
}

fn put_under(span: &Span, parent: TraceParent) {
    // A span that nobody sees has no parent.
    drop(span.set_parent(parent.context()));
}

/// The ids that the next span of this thread gets, instead of random ones.
#[derive(Debug, Clone, Copy, Default)]
struct Next {
    trace: Option<TraceId>,
    span: Option<SpanId>,
}

thread_local! {
    static NEXT: Cell<Next> = const { Cell::new(Next { trace: None, span: None }) };
}

/// Begins a span at once, under these ids.
fn begin(span: &Span, next: Next) {
    if span.is_disabled() {
        return;
    }
    NEXT.set(next);
    // Asking for its context is what begins it.
    drop(span.context());
    NEXT.set(Next::default());
}

/// Random ids from the gateway's own source, and those that were named.
pub(super) struct Ids(pub(super) Arc<dyn Entropy>);

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids")
    }
}

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        let named = NEXT.get().trace;
        named.unwrap_or_else(|| {
            let mut bytes = [0; 16];
            self.0.fill(&mut bytes);
            TraceId::from_bytes(bytes)
        })
    }

    fn new_span_id(&self) -> SpanId {
        let named = NEXT.get().span;
        named.unwrap_or_else(|| {
            let mut bytes = [0; 8];
            self.0.fill(&mut bytes);
            SpanId::from_bytes(bytes)
        })
    }
}

/// Leaves what the list has. True when something was cut off.
pub(super) fn only_listed(attributes: &mut Vec<KeyValue>) -> bool {
    let before = attributes.len();
    attributes.retain(|attribute| KEYS.contains(&attribute.key.as_str()));
    attributes.len() < before
}

#[cfg(test)]
mod tests {
    use causeway_core::clock::SeededEntropy;

    use super::*;

    #[test]
    fn a_traceparent_is_read_as_recommended() {
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        let whole = format!("00-{trace}-{span}-01");
        let parsed = TraceParent::parse(&whole).unwrap();
        assert_eq!((parsed.trace_id(), parsed.to_string()), (trace.to_owned(), whole.clone()));
        for (header, valid) in [
            (format!("00-{trace}-{span}-00"), true),
            (format!("01-{trace}-{span}-01-more"), true),
            (format!("00-{trace}-{span}-01-more"), false),
            (format!("ff-{trace}-{span}-01"), false),
            (format!("00-{}-{span}-01", trace.to_uppercase()), false),
            (format!("00-{}-{span}-01", "0".repeat(32)), false),
            (format!("00-{trace}-{}-01", "0".repeat(16)), false),
            (format!("00-{trace}x-{span}-01"), false),
            (format!("00-{trace}-{span}"), false),
            (format!("00-{trace}-{span}-0g"), false),
            (format!("00-+af7651916cd43dd8448eb211c80319c-{span}-01"), false),
            (String::new(), false),
        ] {
            assert_eq!(TraceParent::parse(&header).is_some(), valid, "{header}");
        }
    }

    #[test]
    fn a_row_names_the_span_in_which_it_was_accepted() {
        let entropy = SeededEntropy::new(4);
        let [one, two] = [(); 2].map(|()| SubmissionId::new(Timestamp::UNIX_EPOCH, &entropy));
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let parent = TraceParent::of(trace, one).unwrap();
        assert_eq!((parent.trace_id(), parent.span), (trace.to_owned(), span_of(one)));
        assert_ne!(span_of(one), span_of(two));
        // What was stored before there were traces, or is damaged, is no trace.
        for text in ["", "trace", &"0".repeat(32)] {
            assert_eq!(TraceParent::of(text, one), None);
        }
    }

    #[test]
    fn what_is_not_listed_is_cut_off() {
        let mut attributes =
            vec![KeyValue::new("causeway.step", "submit"), KeyValue::new("person.email", "a@example.org")];
        assert!(only_listed(&mut attributes) && !only_listed(&mut attributes));
        assert_eq!(attributes, [KeyValue::new("causeway.step", "submit")]);
        assert!(KEYS.is_sorted());
    }
}
