//! Which single values the canonical document has, as its schema says: for rules that name one.
//!
//! Looks at the schema alone. What is open in it (a tenant's own extensions) has every member.

use std::sync::OnceLock;

use serde_json::Value;

use super::validator::CANONICAL;

/// Has a canonical document a single value, or a list of single values, at this JSON pointer?
pub fn has_value(pointer: &str) -> bool {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    let root = SCHEMA.get_or_init(|| serde_json::from_str(CANONICAL).unwrap_or_default());
    let Some(path) = pointer.strip_prefix('/') else { return false };
    let mut here = Some(root);
    for name in path.split('/') {
        let name = name.replace("~1", "/").replace("~0", "~");
        match here.and_then(|schema| member(root, schema, &name)) {
            Some(Member::Of(schema)) => here = Some(schema),
            Some(Member::Anything) => return true,
            None => return false,
        }
    }
    here.is_some_and(|schema| {
        let schema = resolved(root, schema);
        let whole = |schema: &Value| schema.get("type").is_some_and(|kind| kind == "object" || kind == "array");
        let single = |schema: &Value| !whole(schema) && schema.get("properties").is_none();
        single(schema) || schema.get("items").is_some_and(|items| single(resolved(root, items)))
    })
}

enum Member<'s> {
    Of(&'s Value),
    Anything,
}

fn member<'s>(root: &'s Value, schema: &'s Value, name: &str) -> Option<Member<'s>> {
    let schema = resolved(root, schema);
    if let Some(found) = schema.get("properties").and_then(|members| members.get(name)) {
        return Some(Member::Of(found));
    }
    if let Some(items) = schema.get("items") {
        let index = name.len() <= 3 && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        return index.then_some(Member::Of(items));
    }
    if let Some(patterns) = schema.get("patternProperties").and_then(Value::as_object) {
        return patterns.values().next().map(Member::Of);
    }
    match schema.get("additionalProperties") {
        Some(open @ Value::Object(_)) => Some(Member::Of(open)),
        None if schema.get("type").is_some_and(|kind| kind == "object") && schema.get("properties").is_none() => {
            Some(Member::Anything)
        }
        Some(_) | None => None,
    }
}

fn resolved<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let reference = schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'));
    reference.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

#[cfg(test)]
mod tests {
    use super::has_value;

    #[test]
    fn single_values_are_known_by_their_pointer() {
        for (pointer, known) in [
            ("/eligibility/notice", true),
            ("/person/emails/0/address", true),
            ("/person/address/country", true),
            ("/history/skills", true),
            ("/history/skills/0", true),
            ("/source/utm/campaign", true),
            ("/extensions/acme/cost_centre", true),
            ("/person", false),
            ("/person/emails", false),
            ("/person/emails/first/address", false),
            ("/person/shoe_size", false),
            ("/extensions/acme", false),
            ("", false),
            ("person", false),
        ] {
            assert_eq!(has_value(pointer), known, "{pointer}");
        }
    }
}
