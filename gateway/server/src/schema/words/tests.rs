//! Which words a fault gets, where they point, and that none of them were the person's.

use causeway_core::posting::words;
use causeway_core::reason::Reason;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::compile::{Compiled, compile, compile_text};
use super::explain;

const COMPLETE: &str = include_str!("../../../../../schemas/canonical/examples/complete.json");
const CANONICAL: &str = include_str!("../../../../../schemas/canonical/application.v1.json");

fn told(schema: Value, document: &Value) -> Vec<(String, String, String)> {
    let compiled = compile("test", schema).unwrap();
    assert!(!compiled.is_valid(document));
    explain(&compiled, document, "test").into_iter().map(|error| (error.pointer, error.code, error.message)).collect()
}

fn check(schema: Value, document: &Value, expected: &[(&str, &str, &str)]) {
    let told = told(schema, document);
    let told: Vec<_> =
        told.iter().map(|(pointer, code, text)| (pointer.as_str(), code.as_str(), text.as_str())).collect();
    assert_eq!(told, expected);
}

#[test]
fn each_kind_of_fault_has_its_words() {
    let (missing, invalid, shape) = ("answer_missing", "value_invalid", "document_invalid");
    for (schema, value, code, message) in [
        (json!({"type": "string"}), json!(7), shape, "Must be text."),
        (json!({"type": ["string", "boolean"]}), json!(7), shape, "Must be true or false, or text."),
        (json!({"type": "string"}), json!(null), shape, "null is not accepted."),
        (json!({"enum": ["a", "b"]}), json!("x"), invalid, "Must be one of `a`, `b`."),
        (
            json!({"enum": (0..20).collect::<Vec<_>>()}),
            json!("x"),
            invalid,
            "Must be one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ….",
        ),
        (json!({"const": true}), json!(false), invalid, "Must be true."),
        (json!({"format": "date"}), json!("x"), invalid, "Must be a date such as 2026-03-01."),
        (json!({"format": "hostname"}), json!("-"), invalid, "Does not have the format `hostname`."),
        (json!({"pattern": "^a$"}), json!("x"), invalid, "Does not have the expected form."),
        (
            json!({"pattern": "^a$", "description": "The letter a."}),
            json!("x"),
            invalid,
            "Does not have the expected form. The letter a.",
        ),
        (json!({"pattern": "\\S"}), json!(" "), missing, "Must not be blank."),
        (json!({"minLength": 1}), json!(""), missing, "Must not be empty."),
        (json!({"minLength": 3}), json!("x"), invalid, "Must have at least 3 characters."),
        (json!({"maxLength": 3}), json!("xxxx"), invalid, "Is longer than 3 characters."),
        (json!({"minItems": 2}), json!([1]), missing, "Must hold at least 2."),
        (json!({"maxItems": 0}), json!([1]), invalid, "Holds more than 0 items."),
        (json!({"minProperties": 1}), json!({}), missing, "Must have at least 1 members."),
        (json!({"maxProperties": 0}), json!({"a": 1}), shape, "Has more than 0 members."),
        (json!({"minimum": 3}), json!(1), invalid, "Must be 3 or more."),
        (json!({"maximum": 3}), json!(4), invalid, "Must be 3 or less."),
        (json!({"exclusiveMinimum": 3}), json!(3), invalid, "Must be more than 3."),
        (json!({"exclusiveMaximum": 3}), json!(3), invalid, "Must be less than 3."),
        (json!({"multipleOf": 3}), json!(4), invalid, "Is not one of the accepted steps."),
        (json!({"contains": {"const": 1}}), json!([2]), missing, "No item of the list is the one that is asked for."),
        (json!({"uniqueItems": true}), json!([1, 1]), invalid, "The list holds the same item twice."),
        (
            json!({"oneOf": [{"minimum": 1}, {"minimum": 2}]}),
            json!(3),
            shape,
            "More than one of the alternatives is given.",
        ),
        (json!({"not": {"const": 1}}), json!(1), shape, "This is not accepted here."),
        (json!(false), json!(1), shape, "This is not accepted here."),
    ] {
        let schema = json!({"properties": {"a": schema}});
        check(schema, &json!({"a": value}), &[("/a", code, message)]);
    }
}

#[test]
fn what_is_missing_or_unknown_is_pointed_at_itself() {
    let schema = json!({"properties": {"a": {"type": "object", "required": ["b/c", "d"], "additionalProperties": false, "properties": {
        "b/c": {}, "d": {"$ref": "#/$defs/d"}, "second_family": {}}}}, "$defs": {"d": {"description": "The letter d."}}});
    check(
        schema.clone(),
        &json!({"a": {"x": 1, "b/c": 1, "Ada Example": 1}}),
        &[
            ("/a/d", "answer_missing", "`d` is required. The letter d."),
            ("/a", "document_invalid", "The contract does not know this member, or one in it."),
            ("/a/x", "document_invalid", "The contract does not know this member."),
        ],
    );
    let compiled = compile("test", schema).unwrap();
    let errors = explain(&compiled, &json!({"a": {"secondFamily": 1, "b/c": 1, "d": 1}}), "test");
    assert_eq!(errors[0].fix, "Did you mean `second_family`? Rename or remove the member.");
    let many: Map<String, Value> = (0..1_000).map(|name| (format!("x{name}"), json!(1))).collect();
    assert_eq!(explain(&compiled, &json!({"a": many}), "test").len(), 20 + 2);
}

#[test]
fn the_schemas_own_words_win_and_the_nearest_of_them() {
    let said = |message: &str, pointer: Option<&str>| words::new(Reason::OptionUnknown, message, "Fix.", pointer);
    let inner = json!({"properties": {"v": {"type": "string", "minLength": 3}}, "required": ["v"], "x-words": said("Inner.", None)});
    let schema = json!({"x-words": said("Outer.", Some("/list")), "required": ["list"], "properties": {"list": {"items": inner}, "n": {"minimum": 3}}});
    // What is missing in a container is shown where the words say; a fault inside is shown where it is.
    check(schema.clone(), &json!({}), &[("/list", "option_unknown", "Outer.")]);
    check(
        schema.clone(),
        &json!({"list": [{"v": "abc"}, {"v": "a"}, {}]}),
        &[("/list/1/v", "option_unknown", "Inner."), ("/list/2/v", "option_unknown", "Inner.")],
    );
    check(schema, &json!({"list": [], "n": 1}), &[("/list", "option_unknown", "Outer.")]);
    // Through a reference, and on a branching keyword's own subschema.
    let schema = json!({"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {
        "x-words": said("Either.", None), "anyOf": [{"required": ["x"]}, {"required": ["y"]}]}}});
    check(schema, &json!({"a": {}}), &[("/a", "option_unknown", "Either.")]);
    // A reason that is none of ours still is a no.
    check(
        json!({"minimum": 1, "x-words": {"message": "No.", "reason": "made_up"}}),
        &json!(0),
        &[("", "value_invalid", "No.")],
    );
}

#[test]
fn of_several_alternatives_the_nearest_is_told() {
    let schema = json!({"properties": {"a": {"anyOf": [
        {"type": "string"},
        {"type": "object", "required": ["x", "y", "z"]},
        {"type": "object", "required": ["x", "y"], "properties": {"x": {"type": "number"}}}]}}});
    check(schema.clone(), &json!({"a": {"x": 1}}), &[("/a/y", "answer_missing", "`y` is required.")]);
    check(schema, &json!({"a": 7}), &[("/a", "document_invalid", "Must be text.")]);
    let same = json!({"oneOf": [{"oneOf": [{"required": ["deep"]}]}, {"required": ["p", "q"]}]});
    check(same, &json!({}), &[("/deep", "answer_missing", "`deep` is required.")]);
}

#[test]
fn the_same_complaint_is_told_once_and_the_list_is_bounded() {
    let twice = json!({"allOf": [{"required": ["a"]}, {"required": ["a"]}]});
    check(twice, &json!({}), &[("/a", "answer_missing", "`a` is required.")]);
    let items = json!({"items": {"type": "string"}});
    assert_eq!(told(items, &json!(vec![0; 5_000])).len(), 100);
}

#[test]
fn pointers_are_cut_before_a_name_that_is_not_plain() {
    let schema = json!({"additionalProperties": {"additionalProperties": {"type": "string"}}});
    for (outer, inner, pointer) in [
        ("plain-name_1.x", "b", "/plain-name_1.x/b"),
        ("ada@example.org", "b", ""),
        ("a", "Ada Example", "/a"),
        ("a", "x/y", "/a"),
        ("a", "", "/a"),
        ("a", "\u{e9}", "/a"),
    ] {
        assert_eq!(told(schema.clone(), &json!({outer: {inner: 1}}))[0].0, pointer);
    }
    let long = "x".repeat(65);
    assert_eq!(told(schema, &json!({long: {"a": 1}}))[0].0, "");
}

const MARKER: &str = "marker \u{fc}@ 4711";

/// Every place of the document, as pointers.
fn places(value: &Value, pointer: &str, found: &mut Vec<String>) {
    found.push(pointer.to_owned());
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(name, member)| places(member, &format!("{pointer}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| places(item, &format!("{pointer}/{index}"), found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Breaks one place in one of several ways, each of which carries the marker.
fn broken(document: &mut Value, pointer: &str, way: u8) {
    let Some(place) = document.pointer_mut(pointer) else { return };
    match (way % 7, &mut *place) {
        (0, _) => *place = json!(MARKER),
        (1, _) => *place = json!({ "member": MARKER }),
        (2, _) => *place = json!([MARKER, MARKER]),
        (3, _) => *place = json!(MARKER.repeat(3_000)),
        (4, Value::Object(object)) => {
            object.insert(MARKER.to_owned(), json!(MARKER));
        }
        (5, Value::Object(object)) => {
            object.retain(|name, _| name.len() % 2 == 0);
            object.insert("declined".to_owned(), json!(MARKER));
        }
        (6, Value::Array(items)) => items.extend(std::iter::repeat_n(json!(MARKER), 300)),
        _ => *place = json!({ MARKER: MARKER }),
    }
}

fn demanding() -> Compiled {
    let said = words::new(Reason::AnswerMissing, "Needed.", "Send it.", Some("/answers"));
    let rule = |name: &str| json!({"x-words": said, "required": ["answers"], "properties": {"answers": {"contains": {"properties": {"question": {"const": name}}}}}});
    let item = json!({"oneOf": [{"properties": {"value": {"enum": ["a", "b"]}}, "required": ["value"]}, {"not": {"required": ["value"]}, "required": ["option"]}]});
    compile("test", json!({"allOf": [rule("q1"), rule("q2")], "properties": {"answers": {"items": item, "uniqueItems": true}}, "propertyNames": {"pattern": "^[a-m]"}})).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn nothing_a_person_wrote_is_ever_repeated(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5)) {
        use std::sync::LazyLock;
        static SCHEMAS: LazyLock<[Compiled; 2]> =
            LazyLock::new(|| [compile_text("canonical", CANONICAL).unwrap(), demanding()]);
        let mut document: Value = serde_json::from_str(COMPLETE).unwrap();
        for (place, way) in changes {
            let mut found = Vec::new();
            places(&document, "", &mut found);
            broken(&mut document, &found[place.index(found.len())], way);
        }
        for schema in SCHEMAS.iter().filter(|schema| !schema.is_valid(&document)) {
            let errors = explain(schema, &document, "test");
            prop_assert!(!errors.is_empty());
            let shown = serde_json::to_string(&errors).unwrap();
            for piece in ["marker", "4711", "\u{fc}"] {
                prop_assert!(!shown.contains(piece), "{}", shown);
            }
        }
    }
}

#[test]
fn nothing_of_the_complete_example_is_repeated_when_every_member_is_wrong() {
    fn texts(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) if text.len() > 6 => found.push(text.clone()),
            Value::Object(object) => object.values().for_each(|member| texts(member, found)),
            Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    // A schema that demands another type everywhere.
    fn contrary(schema: &mut Value) {
        match schema {
            Value::Object(object) => {
                for name in ["type", "enum"] {
                    if object.get(name).is_some_and(|value| value == "string" || value.is_array()) {
                        object.insert("type".to_owned(), json!("boolean"));
                    }
                }
                object.values_mut().for_each(contrary);
            }
            Value::Array(items) => items.iter_mut().for_each(contrary),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut schema: Value = serde_json::from_str(CANONICAL).unwrap();
    contrary(&mut schema["properties"]);
    let compiled = compile("test", schema).unwrap();
    let document: Value = serde_json::from_str(COMPLETE).unwrap();
    let errors = explain(&compiled, &document, "test");
    assert!(errors.len() > 50, "{}", errors.len());
    let mut personal = Vec::new();
    texts(&document["person"], &mut personal);
    texts(&document["history"], &mut personal);
    for error in errors {
        let said = format!("{} {}", error.message, error.fix);
        assert!(!personal.iter().any(|text| said.contains(text.as_str())), "{said}");
    }
}
