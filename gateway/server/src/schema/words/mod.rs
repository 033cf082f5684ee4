//! From a validator's "no" to what a person can act on: pointer, reason, what is expected, how to fix it.
//!
//! Responsible for choosing the words: those the schema itself gives (`x-words` on the nearest enclosing subschema),
//! else ours for the kind of fault. It decides nothing about validity.
//!
//! Invariant: every word comes from a schema or from `texts`. The value that failed is looked at only to see whether it
//! is null, and a member's name that the caller chose is repeated only when it is short and plain.

mod path;
mod similar;
mod texts;

use causeway_core::posting::words::{KEYWORD, QUESTION};
use causeway_core::problem::FieldError;
use causeway_core::reason::Reason;
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

use super::compile::Compiled;
use path::Place;

/// How many complaints of one schema are told; a document with more is not fixed one by one.
const MAX_ERRORS: usize = 100;
/// How many unknown members of one object are told.
const MAX_UNKNOWN: usize = 20;

/// Everything the schema has to say against the document, in words.
pub(super) fn explain(compiled: &Compiled, document: &Value, required_by: &str) -> Vec<FieldError> {
    let mut teller = Teller { schema: &compiled.schema, required_by, told: Vec::new() };
    for rule in compiled.rules.iter().filter(|rule| !rule.validator.is_valid(document)) {
        teller.tell_words(&rule.words, "", None);
    }
    for error in compiled.rest.iter_errors(document).take(MAX_ERRORS) {
        teller.tell(&error);
    }
    let mut told = teller.told;
    drop_repeats(&mut told);
    told.truncate(MAX_ERRORS);
    if told.is_empty() {
        // `is_valid` said no and nothing could be named: still a no.
        told.push(FieldError {
            pointer: String::new(),
            code: Reason::DocumentInvalid.as_str().to_owned(),
            message: "The document does not meet the schema.".to_owned(),
            required_by: vec![required_by.to_owned()],
            fix: "Compare it with the published schema.".to_owned(),
            question: None,
        });
    }
    told
}

/// Keeps the first of several complaints that say the same about the same place.
pub(super) fn drop_repeats(errors: &mut Vec<FieldError>) {
    let mut kept: Vec<FieldError> = Vec::with_capacity(errors.len());
    for error in errors.drain(..) {
        let same = |other: &FieldError| {
            (&other.pointer, &other.code, &other.message) == (&error.pointer, &error.code, &error.message)
        };
        if !kept.iter().any(same) {
            kept.push(error);
        }
    }
    *errors = kept;
}

struct Teller<'a> {
    schema: &'a Value,
    required_by: &'a str,
    told: Vec<FieldError>,
}

impl Teller<'_> {
    fn tell(&mut self, error: &ValidationError<'_>) {
        if self.told.len() >= MAX_ERRORS {
            return;
        }
        let place = path::find(self.schema, error.evaluation_path());
        let instance = error.instance_path().as_str();
        if let Some(words) = place.words {
            return self.tell_words(words, instance, Some(error.kind()));
        }
        match error.kind() {
            Kind::Required { property } => self.tell_missing(&place, instance, property.as_str().unwrap_or_default()),
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                for name in unexpected.iter().take(MAX_UNKNOWN) {
                    self.tell_unknown(&place, instance, name);
                }
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => self.tell_nearest(context, instance),
            kind => {
                let text = texts::of(kind, error.instance().is_null(), place.description);
                self.push(path::shown(instance), text.reason, text.message, text.fix);
            }
        }
    }

    /// The schema's own words. Their pointer stands for what is missing in a container; where the fault is inside what
    /// it points at, the fault's own place is the better answer.
    fn tell_words(&mut self, words: &Value, instance: &str, kind: Option<&Kind>) {
        let text = |name: &str| words.get(name).and_then(Value::as_str).unwrap_or_default();
        let reason = text("reason").parse().unwrap_or(Reason::ValueInvalid);
        let question = words.get(QUESTION).and_then(Value::as_str).map(str::to_owned);
        let own = match kind {
            Some(Kind::Required { property }) => path::child(instance, property.as_str().unwrap_or_default()),
            _ => path::shown(instance),
        };
        let pointer = match words.get("pointer").and_then(Value::as_str) {
            Some(pointer) if !path::is_within(instance, pointer) => pointer.to_owned(),
            _ => own,
        };
        self.push(pointer, reason, text("message").to_owned(), text("fix").to_owned());
        if let Some(told) = self.told.last_mut() {
            told.question = question;
        }
    }

    fn tell_missing(&mut self, place: &Place<'_>, instance: &str, property: &str) {
        let pointer = path::child(instance, property);
        let message = match path::described(self.schema, place.holder, property) {
            Some(description) => format!("`{property}` is required. {description}"),
            None => format!("`{property}` is required."),
        };
        let fix = format!("Add `{property}`.");
        self.push(pointer, Reason::AnswerMissing, message, fix);
    }

    fn tell_unknown(&mut self, place: &Place<'_>, instance: &str, name: &str) {
        let known = place.holder.get("properties").and_then(Value::as_object);
        let near = known.and_then(|known| similar::nearest(name, known.keys().map(String::as_str)));
        let fix = match near {
            Some(near) => format!("Did you mean `{near}`? Rename or remove the member."),
            None => "Remove the member; what is particular to a tenant goes under `extensions`.".to_owned(),
        };
        let pointer = if path::is_plain(name) { path::child(instance, name) } else { path::shown(instance) };
        let message = "The contract does not know this member, or one in it.";
        let message = if path::is_plain(name) { "The contract does not know this member." } else { message };
        self.push(pointer, Reason::DocumentInvalid, message.to_owned(), fix);
    }

    /// Of several alternatives, the one that is nearest to being met.
    fn tell_nearest(&mut self, branches: &[Vec<ValidationError<'static>>], instance: &str) {
        // A branch that fails by the value's type was hardly meant; among equals the first.
        let distance = |branch: &&Vec<ValidationError<'static>>| {
            let other_type = branch
                .iter()
                .any(|error| matches!(error.kind(), Kind::Type { .. }) && error.instance_path().as_str() == instance);
            (branch.len(), other_type)
        };
        match branches.iter().filter(|branch| !branch.is_empty()).min_by_key(distance) {
            Some(branch) => branch.iter().for_each(|error| self.tell(error)),
            None => {
                let message = "The value meets none of the alternatives.".to_owned();
                let fix = "Compare it with the published schema.".to_owned();
                self.push(path::shown(instance), Reason::ValueInvalid, message, fix);
            }
        }
    }

    fn push(&mut self, pointer: String, reason: Reason, message: String, fix: String) {
        let code = reason.as_str().to_owned();
        let required_by = vec![self.required_by.to_owned()];
        self.told.push(FieldError { pointer, code, message, required_by, fix, question: None });
    }
}

/// Is this an `x-words` annotation?
fn is_words(value: &Value) -> bool {
    value.get("message").is_some_and(Value::is_string)
}

/// The annotation of a subschema, if it has one.
fn words_of(subschema: &Value) -> Option<&Value> {
    subschema.get(KEYWORD).filter(|words| is_words(words))
}

#[cfg(test)]
mod tests;
