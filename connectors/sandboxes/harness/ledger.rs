//! What happened, in order: the sandbox's own books, against which a checker holds the gateway's.
//!
//! Invariant: numbers start at 1, have no gaps, and an entry exists before its answer's first byte leaves. Kept in
//! memory and lean, because load tests run through it: hashes instead of files, one allocation per record.

use std::fmt::Write;
use std::sync::Arc;

use http::Method;
use serde_json::Value;

use super::clock;

/// One exchange, or one record of an exchange that wrote several.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The exchange's number, from 1: entries of one exchange share it.
    pub(crate) call: u64,
    pub(crate) at_ms: i64,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) operation: &'static str,
    /// The status sent, or that would have been sent; 0 when none was ever made.
    pub(crate) status: u16,
    pub(crate) committed: bool,
    pub(crate) answered: bool,
    pub(crate) fault: Option<&'static str>,
    /// Whom the call was about, if it named an e-mail address: kept for calls that left no record too.
    pub(crate) about: Option<Arc<str>>,
    pub(crate) record: Option<Arc<str>>,
}

/// The entries so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Vec<Entry>);

impl Ledger {
    /// Appends and returns the entry's number.
    pub(crate) fn append(&mut self, entry: Entry) -> usize {
        self.0.push(entry);
        self.0.len()
    }

    /// The client went away before the whole answer was handed to its socket.
    pub(crate) fn unanswered(&mut self, seq: usize) {
        if let Some(entry) = seq.checked_sub(1).and_then(|index| self.0.get_mut(index)) {
            entry.answered = false;
        }
    }

    /// The entries after number `after`, at most `limit`, as the control API answers them.
    pub(crate) fn to_json(&self, after: usize, limit: usize) -> String {
        let mut json = String::from("{\"entries\":[");
        for (index, entry) in self.0.iter().enumerate().skip(after).take(limit) {
            if index > after {
                json.push(',');
            }
            entry.write(index + 1, &mut json);
        }
        json.push_str("]}");
        json
    }
}

impl Entry {
    fn write(&self, seq: usize, json: &mut String) {
        let Self { call, method, operation, status, committed, answered, .. } = self;
        let path = Value::from(self.path.as_str());
        let fault = Value::from(self.fault);
        let about = Value::from(self.about.as_deref());
        let record = self.record.as_deref().unwrap_or("null");
        let at = clock::rfc3339(self.at_ms);
        let written = write!(
            json,
            "{{\"seq\":{seq},\"call\":{call},\"at\":\"{at}\",\"method\":\"{method}\",\"path\":{path},\"operation\":\"{operation}\",\
             \"status\":{status},\"committed\":{committed},\"answered\":{answered},\"fault\":{fault},\"about\":{about},\"record\":{record}}}"
        );
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
}
