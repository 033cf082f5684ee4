//! Places in a schema and in a document.
//!
//! Responsible for finding the subschema behind a fault with what it says about itself, and for pointers that are fit to
//! show.

use jsonschema::paths::{Location, LocationSegment};
use serde_json::Value;

/// How long a member's name may be to be repeated.
const MAX_NAME: usize = 64;
/// References to references followed when a description is looked up. The guard refused cycles.
const MAX_REFS: usize = 16;

/// What the schema says around a fault.
pub(super) struct Place<'a> {
    /// The subschema whose keyword failed.
    pub(super) holder: &'a Value,
    /// The nearest enclosing `x-words`.
    pub(super) words: Option<&'a Value>,
    /// The nearest enclosing description.
    pub(super) description: Option<&'a str>,
}

/// Walks from the root of the schema to the keyword that failed, through references.
pub(super) fn find<'a>(schema: &'a Value, evaluated: &Location) -> Place<'a> {
    let mut place = Place { holder: schema, words: None, description: None };
    let mut current = schema;
    for segment in evaluated.segments() {
        place.holder = current;
        note(&mut place, current);
        let next = match segment {
            LocationSegment::Property(name) if name == "$ref" => resolve(schema, current),
            LocationSegment::Property(name) => current.get(name.as_ref()),
            LocationSegment::Index(index) => match current {
                Value::Array(items) => items.get(index),
                // A property can be called "0".
                other => other.get(index.to_string()),
            },
        };
        match next {
            Some(next) => current = next,
            None => break,
        }
    }
    place
}

fn note<'a>(place: &mut Place<'a>, subschema: &'a Value) {
    place.words = super::words_of(subschema).or(place.words);
    place.description = subschema.get("description").and_then(Value::as_str).or(place.description);
}

fn resolve<'a>(schema: &'a Value, subschema: &'a Value) -> Option<&'a Value> {
    let pointer = subschema.get("$ref").and_then(Value::as_str)?.strip_prefix('#')?;
    schema.pointer(pointer)
}

/// The description of a member of the object that a subschema describes.
pub(super) fn described<'a>(schema: &'a Value, holder: &'a Value, property: &str) -> Option<&'a str> {
    let mut member = holder.get("properties")?.get(property)?;
    for _ in 0..MAX_REFS {
        if let Some(description) = member.get("description").and_then(Value::as_str) {
            return Some(description);
        }
        member = resolve(schema, member)?;
    }
    None
}

/// The pointer, cut before the first name that is not fit to repeat.
pub(super) fn shown(pointer: &str) -> String {
    let mut shown = String::with_capacity(pointer.len());
    for segment in pointer.split('/').skip(1) {
        if !is_plain(segment) {
            break;
        }
        shown.push('/');
        shown.push_str(segment);
    }
    shown
}

/// The pointer to a member, as far as it is fit to show.
pub(super) fn child(pointer: &str, member: &str) -> String {
    shown(&format!("{pointer}/{}", member.replace('~', "~0").replace('/', "~1")))
}

/// May this name be repeated? It is the caller's text, so only when it can hardly be anything but a name.
pub(super) fn is_plain(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// Does one pointer lead to the place of the other, or to somewhere inside it?
pub(super) fn is_within(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
