//! Where a rule reads: a member of the canonical document, or the answer to a question.
//!
//! Decides what may be read at all. Says nothing about whether a member exists: that is the canonical schema's word.

use serde_json::Value;

/// Personal data of classes of their own: they go where they were asked for and nowhere else.
const CLOSED: [&str; 3] = ["demographics", "accommodation", "consents"];

/// A place in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'a> {
    /// A JSON pointer, such as `/eligibility/notice`.
    Member(&'a str),
    /// `answer:<question>`: the value answered, or the id of the option chosen.
    Answer(&'a str),
    /// `label:<question>`: what the chosen option reads.
    Label(&'a str),
}

/// Why a text names no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceFault {
    /// Neither a pointer nor a question.
    #[error("write a JSON pointer such as /eligibility/notice, or answer:QUESTION, or label:QUESTION")]
    Shape,
    /// It may not be read.
    #[error("{0} goes where it was asked for and nowhere else")]
    Closed(&'static str),
}

impl<'a> Source<'a> {
    /// The source this text names.
    ///
    /// # Errors
    /// [`SourceFault`], with what to write.
    pub fn parse(text: &'a str) -> Result<Self, SourceFault> {
        let question = |text: &'a str| Some(text).filter(|text| !text.trim().is_empty()).ok_or(SourceFault::Shape);
        if let Some(rest) = text.strip_prefix("answer:") {
            return question(rest).map(Self::Answer);
        }
        if let Some(rest) = text.strip_prefix("label:") {
            return question(rest).map(Self::Label);
        }
        let first = text.strip_prefix('/').and_then(|rest| rest.split('/').next()).filter(|name| !name.is_empty());
        let first = first.ok_or(SourceFault::Shape)?;
        // An escaped spelling of a closed name is no name of a member.
        match CLOSED.into_iter().find(|closed| *closed == first) {
            Some(closed) => Err(SourceFault::Closed(closed)),
            None if first == "answers" => Err(SourceFault::Shape),
            None => Ok(Self::Member(text)),
        }
    }

    /// What stands there; what is empty is not there.
    pub(super) fn read(self, document: &Value) -> Option<Value> {
        let found = match self {
            Self::Member(pointer) => document.pointer(pointer).cloned(),
            Self::Answer(question) => answered(document, question, "id"),
            Self::Label(question) => answered(document, question, "label"),
        };
        found.filter(|value| match value {
            Value::Null | Value::Object(_) => false,
            Value::String(text) => !text.trim().is_empty(),
            Value::Array(items) => !items.is_empty() && items.iter().all(|item| !item.is_object() && !item.is_array()),
            Value::Bool(_) | Value::Number(_) => true,
        })
    }
}

/// The entry of `answers` for this question.
pub(super) fn entry<'v>(document: &'v Value, question: &str) -> Option<&'v Value> {
    let plain = |name: &'v str| name.strip_suffix("[]").unwrap_or(name);
    let entries = document.get("answers")?.as_array()?;
    entries.iter().find(|entry| entry.get("question").and_then(Value::as_str).map(plain) == Some(question))
}

fn answered(document: &Value, question: &str, of_option: &str) -> Option<Value> {
    let entry = entry(document, question)?;
    if entry.get("declined").and_then(Value::as_bool) == Some(true) {
        return None;
    }
    let option = |option: &Value| option.get(of_option).cloned();
    if let Some(options) = entry.get("options").and_then(Value::as_array).filter(|options| !options.is_empty()) {
        return options.iter().map(option).collect::<Option<Vec<_>>>().map(Value::Array);
    }
    entry.get("option").and_then(option).or_else(|| entry.get("value").filter(|_| of_option == "id").cloned())
}
