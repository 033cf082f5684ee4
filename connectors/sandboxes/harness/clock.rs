//! The vendor's clock. The one place where a sandbox reads time; everything else is handed milliseconds.

use jiff::Timestamp;

/// Now, in milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "a sandbox stands for another company's machine and has its clock")]
pub(crate) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// RFC 3339 in UTC with exactly three decimals.
pub(crate) fn rfc3339(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|at| format!("{at:.3}")).unwrap_or_default()
}

/// Reads a time as vendors' callers write it; `None` when it is not one.
pub(crate) fn parse(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}
