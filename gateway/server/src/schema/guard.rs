//! What a schema may contain before anything tries to compile it.
//!
//! Responsible for bounds on size, depth and references, and for the bans: no reference that leaves the document, no
//! cycle, no other dialect. A form's schema is built from what a vendor sent, so its shape is not ours to trust. It does
//! not know whether the schema is otherwise valid.

use serde_json::Value;

/// How many values a schema may hold.
const MAX_VALUES: usize = 100_000;
/// How deep it may be nested, references followed.
const MAX_DEPTH: usize = 64;
/// How many values it may come to when every reference is followed.
const MAX_EXPANDED: usize = 400_000;
/// How long a pattern may be, in bytes.
const MAX_PATTERN: usize = 1_000;
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Says why a schema is refused.
pub(super) fn check(schema: &Value) -> Result<(), &'static str> {
    count(schema, 0, &mut 0)?;
    let mut walk = Walk { root: schema, followed: Vec::new(), seen: 0 };
    walk.value(schema, 0)
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
}

impl<'a> Walk<'a> {
    fn value(&mut self, value: &'a Value, depth: usize) -> Result<(), &'static str> {
        self.seen += 1;
        if self.seen > MAX_EXPANDED {
            return Err("its references multiply it beyond bounds");
        }
        if depth > MAX_DEPTH {
            return Err("it is nested too deep");
        }
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.value(item, depth + 1)),
            Value::Object(members) => members.iter().try_for_each(|(name, member)| self.member(name, member, depth)),
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::check;

    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!({}), |inner, _| json!({ "not": inner }))
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
        ] {
            assert_eq!(check(&schema), expected);
        }
    }
}
