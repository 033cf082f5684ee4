//! What a schema may contain before anything tries to compile it.
//!
//! Responsible for bounds on size, depth and references, and for the bans: no reference that leaves the document, no
//! cycle, no other dialect. A form's schema is built from what a vendor sent, so its shape is not ours to trust. It does
//! not know whether the schema is otherwise valid.

use serde_json::{Map, Value};

use super::strict::MAX_MEMBERS;

/// How many values a schema may hold.
const MAX_VALUES: usize = 100_000;
/// How deep it may be nested, references followed.
const MAX_DEPTH: usize = 64;
/// How many values it may come to when every reference is followed.
const MAX_EXPANDED: usize = 400_000;
/// How many steps one document may cost: every value of the schema, references followed, once for each item or member
/// that it is asked about. Some tens of nanoseconds each.
pub(super) const MAX_STEPS: u64 = 2_000_000;
/// The longest list a document is asked about; what is longer is cut first.
pub(super) const LONGEST_LIST: usize = 200;
/// How long a pattern may be, in bytes.
const MAX_PATTERN: usize = 1_000;
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Says why a schema is refused.
pub(super) fn check(schema: &Value) -> Result<(), &'static str> {
    count(schema, 0, &mut 0)?;
    steps(schema).map(|_| ())
}

/// What the largest document costs.
pub(super) fn steps(schema: &Value) -> Result<u64, &'static str> {
    let mut walk = Walk { root: schema, followed: Vec::new(), seen: 0, times: 1, steps: 0, names: false };
    walk.value(schema, 0)?;
    Ok(walk.steps)
}

fn count(value: &Value, depth: usize, seen: &mut usize) -> Result<(), &'static str> {
    *seen += 1;
    if *seen > MAX_VALUES {
        return Err("it is too large");
    }
    if depth > MAX_DEPTH {
        return Err("it is nested too deep");
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| count(item, depth + 1, seen)),
        Value::Object(members) => members.values().try_for_each(|member| count(member, depth + 1, seen)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

struct Walk<'a> {
    root: &'a Value,
    followed: Vec<&'a str>,
    seen: usize,
    /// How often the running part is asked of one document.
    times: u64,
    steps: u64,
    /// Are the members of the next object names, and not keywords?
    names: bool,
}

impl<'a> Walk<'a> {
    fn value(&mut self, value: &'a Value, depth: usize) -> Result<(), &'static str> {
        let names = std::mem::take(&mut self.names);
        self.seen += 1;
        if self.seen > MAX_EXPANDED {
            return Err("its references multiply it beyond bounds");
        }
        self.steps = self.steps.saturating_add(self.times);
        if self.steps > MAX_STEPS {
            return Err("it asks too much of every item of a long list");
        }
        if depth > MAX_DEPTH {
            return Err("it is nested too deep");
        }
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.value(item, depth + 1)),
            Value::Object(members) => members.iter().try_for_each(|(name, member)| {
                let before = self.times;
                self.times = before.saturating_mul(if names { 1 } else { asked(name, member, members) });
                self.names = !names && HOLDS_NAMES.contains(&name.as_str());
                let result = self.member(name, member, depth);
                self.names = false;
                self.times = before;
                result
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn member(&mut self, name: &str, member: &'a Value, depth: usize) -> Result<(), &'static str> {
        match (name, member) {
            ("$ref", Value::String(target)) => self.follow(target, depth),
            ("$dynamicRef" | "$recursiveRef" | "$dynamicAnchor" | "$recursiveAnchor" | "$anchor", Value::String(_)) => {
                Err("it uses an anchor or a dynamic reference")
            }
            ("$id", Value::String(_)) if depth > 0 => Err("a part of it has an `$id` of its own"),
            ("$schema", Value::String(dialect)) if dialect != DIALECT => Err("it is not JSON Schema 2020-12"),
            ("pattern", Value::String(pattern)) if pattern.len() > MAX_PATTERN => Err("a pattern is too long"),
            ("patternProperties", Value::Object(patterns)) if patterns.keys().any(|key| key.len() > MAX_PATTERN) => {
                Err("a pattern is too long")
            }
            _ => self.value(member, depth + 1),
        }
    }

    fn follow(&mut self, target: &'a str, depth: usize) -> Result<(), &'static str> {
        let pointer = target.strip_prefix('#').ok_or("a reference leaves the document")?;
        if self.followed.contains(&target) {
            return Err("its references form a cycle");
        }
        let referred = self.root.pointer(pointer).ok_or("a reference leads nowhere")?;
        self.followed.push(target);
        let result = self.value(referred, depth + 1);
        self.followed.pop();
        result
    }
}

/// Keywords whose members are named by the schema's author.
const HOLDS_NAMES: [&str; 4] = ["properties", "patternProperties", "dependentSchemas", "$defs"];

/// How often a keyword's schema is asked: never, once, or for each item or member there can be.
fn asked(keyword: &str, schema: &Value, beside: &Map<String, Value>) -> u64 {
    let most = |bound: &str, strict: usize| {
        let strict = strict as u64;
        beside.get(bound).and_then(Value::as_u64).map_or(strict, |bound| bound.min(strict)).max(1)
    };
    match keyword {
        // Asked where it is referred to.
        "$defs" => 0,
        "title" | "description" | "examples" | "default" | "$comment" => 0,
        words if words.starts_with("x-") => 0,
        // `true` and `false` are one look at the whole.
        _ if !schema.is_object() => 1,
        "items" | "contains" | "unevaluatedItems" => most("maxItems", LONGEST_LIST),
        "additionalProperties" | "unevaluatedProperties" | "patternProperties" | "propertyNames" => {
            most("maxProperties", MAX_MEMBERS)
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{check, steps};

    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!({}), |inner, _| json!({ "not": inner }))
    }

    /// A list of lists, and so on.
    fn lists(levels: usize) -> Value {
        (0..levels).fold(json!({"type": "string"}), |inner, _| json!({ "items": inner }))
    }

    #[test]
    fn a_step_is_counted_for_each_item_there_can_be() {
        for (schema, expected) in [
            (json!({}), 1),
            (json!({"type": "string"}), 2),
            (json!({"items": {"type": "string"}}), 1 + 200 * 2),
            (json!({"maxItems": 10, "items": {"type": "string"}}), 2 + 10 * 2),
            (json!({"maxItems": 10_000, "items": {}}), 2 + 200),
            (json!({"contains": {"contains": {}}}), 1 + 200 + 200 * 200),
            (json!({"additionalProperties": {}}), 1 + 1_000),
            (json!({"additionalProperties": false}), 2),
            (json!({"$defs": {"a": {"type": "string"}}, "items": {"$ref": "#/$defs/a"}}), 1 + 200 * 3),
            (json!({"title": "T", "x-words": {"a": ["b"]}}), 1),
            (json!({"properties": {"title": {}, "items": {}}}), 4),
        ] {
            assert_eq!(steps(&schema), Ok(expected), "{schema}");
        }
    }

    #[test]
    fn bounds_and_bans() {
        let doubling: Value = (1..30)
            .map(|n| {
                (
                    format!("d{n}"),
                    json!([{"$ref": format!("#/$defs/d{}", n - 1)}, {"$ref": format!("#/$defs/d{}", n - 1)}]),
                )
            })
            .chain([("d0".to_owned(), json!({}))])
            .collect::<serde_json::Map<_, _>>()
            .into();
        for (schema, expected) in [
            (json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}), Ok(())),
            (json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:x"}), Ok(())),
            (json!({"const": "#"}), Ok(())),
            (nested(40), Ok(())),
            (nested(65), Err("it is nested too deep")),
            (nested(1_000), Err("it is nested too deep")),
            (json!({"enum": vec![0; 100_001]}), Err("it is too large")),
            (json!({"$ref": "#"}), Err("its references form a cycle")),
            (
                json!({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}),
                Err("its references form a cycle"),
            ),
            (json!({"$defs": doubling}), Err("its references multiply it beyond bounds")),
            (json!({"$ref": "http://127.0.0.1/x"}), Err("a reference leaves the document")),
            (json!({"$ref": "file:///etc/passwd"}), Err("a reference leaves the document")),
            (json!({"$ref": "#/$defs/none"}), Err("a reference leads nowhere")),
            (json!({"$dynamicRef": "#x"}), Err("it uses an anchor or a dynamic reference")),
            (json!({"not": {"$id": "http://127.0.0.1/"}}), Err("a part of it has an `$id` of its own")),
            (json!({"$schema": "http://json-schema.org/draft-07/schema#"}), Err("it is not JSON Schema 2020-12")),
            (json!({"pattern": "a".repeat(1_001)}), Err("a pattern is too long")),
            (lists(2), Ok(())),
            (lists(3), Err("it asks too much of every item of a long list")),
        ] {
            assert_eq!(check(&schema), expected);
        }
    }
}
