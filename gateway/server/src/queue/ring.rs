//! What passes between a bell and its listener: the account, the trace it rang within, and the receipt that says that
//! the claim a ring caused was committed. Types only; a ring holds ids and nothing else.

use std::collections::BTreeMap;
use std::fmt;

use causeway_core::ids::AccountId;
use serde::{Deserialize, Serialize};

/// An account has due work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    /// Whose.
    pub account: AccountId,
    /// The trace that made it due.
    pub trace: Option<Traceparent>,
}

/// What rang, an account once.
#[derive(Debug)]
pub struct Rung {
    /// Each account that rang.
    pub rings: Vec<Ring>,
    /// How often it rang in all, those of one account counted each.
    pub count: usize,
    /// To be told once what they caused is claimed.
    pub receipt: Receipt,
}

impl Rung {
    /// Rings in the order they were heard; of several of one account the first trace is kept.
    pub fn new(heard: impl IntoIterator<Item = Ring>, receipt: Receipt) -> Self {
        let mut rings: Vec<Ring> = Vec::new();
        let mut places: BTreeMap<AccountId, usize> = BTreeMap::new();
        let mut count = 0;
        for ring in heard {
            count += 1;
            match places.get(&ring.account).and_then(|place| rings.get_mut(*place)) {
                Some(known) => known.trace = known.trace.take().or(ring.trace),
                None => {
                    places.insert(ring.account, rings.len());
                    rings.push(ring);
                }
            }
        }
        Self { rings, count, receipt }
    }

    /// The accounts that rang.
    pub fn accounts(&self) -> Vec<AccountId> {
        self.rings.iter().map(|ring| ring.account).collect()
    }
}

/// Says what became of rings. Dropped without a word, they ring again: here or, where several listen, for another.
#[must_use = "a receipt that is dropped rings again"]
pub struct Receipt(Option<Box<dyn FnOnce(bool) + Send>>);

impl Receipt {
    /// `told` is called once, with whether the claim was committed.
    pub fn new(told: impl FnOnce(bool) + Send + 'static) -> Self {
        Self(Some(Box::new(told)))
    }

    /// The claim that the rings caused is committed: their work stands under a lease, there was none, their account has as much in
    /// hand as it can take and is asked for again when it has less, or an earlier ring of it is kept and stands for them.
    pub fn claimed(mut self) {
        if let Some(told) = self.0.take() {
            told(true);
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(told) = self.0.take() {
            told(false);
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receipt")
    }
}

/// A W3C trace context of version 00: `00-<trace>-<span>-<flags>`. Opaque here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Traceparent(String);

/// A text that is no trace context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a trace context of the form 00-<32 hexadecimal digits>-<16>-<2>")]
pub struct NotATraceparent;

impl Traceparent {
    /// As it goes into a header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Traceparent {
    type Error = NotATraceparent;

    fn try_from(text: String) -> Result<Self, NotATraceparent> {
        let parts: Vec<&str> = text.split('-').collect();
        let hex = |part: &str, len: usize| {
            part.len() == len && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
        match parts.as_slice() {
            ["00", trace, span, flags]
                if hex(trace, 32) && hex(span, 16) && hex(flags, 2) && !zero(trace) && !zero(span) =>
            {
                Ok(Self(text))
            }
            _ => Err(NotATraceparent),
        }
    }
}

impl From<Traceparent> for String {
    fn from(trace: Traceparent) -> Self {
        trace.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trace_context_is_one() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        for (text, is) in [
            (good, true),
            ("", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", false),
            ("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
            ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false),
            ("00-00000000000000000000000000000000-b7ad6b7169203331-01", false),
            ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false),
            ("00-ada@example.org-b7ad6b7169203331-01", false),
        ] {
            assert_eq!(Traceparent::try_from(text.to_owned()).is_ok(), is, "{text}");
        }
    }
}
