//! One thing that was looked at, how it stands, and what to do unless it is well. Types only.

use serde::{Deserialize, Serialize};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Its name.
    pub what: String,
    /// How it stands.
    pub state: Health,
    /// What was found; unless it is well, what to do.
    pub text: String,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "plain words")]
pub enum Health {
    Well,
    Warning,
    Bad,
}

impl Finding {
    /// See the fields.
    pub fn new(what: impl Into<String>, state: Health, text: impl Into<String>) -> Self {
        Self { what: what.into(), state, text: text.into() }
    }
}
