//! From a schema's JSON to a compiled validator.
//!
//! Responsible for the one set of options every schema is compiled with. Fails as a value: a schema is data, also when
//! it is ours.
//!
//! Invariants: nothing is fetched; no pattern can backtrack; every `format` is known and asserted.

use causeway_core::posting::words::KEYWORD;
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use super::{formats, guard};

/// The most memory one pattern may take when compiled, in bytes.
const PATTERN_SIZE: usize = 64 << 10;

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// It is not JSON.
    #[error("the schema of {of} is not JSON (line {line}, column {column})")]
    NotJson {
        /// Whose schema it is.
        of: String,
        /// One-based.
        line: usize,
        /// One-based.
        column: usize,
    },
    /// It goes beyond what a schema may contain here.
    #[error("the schema of {of} is refused: {why}")]
    Refused {
        /// Whose schema it is.
        of: String,
        /// Which bound or ban.
        why: &'static str,
    },
    /// It is not a valid JSON Schema.
    #[error("the schema of {of} does not compile; the fault is at {at} (keyword {keyword})")]
    NotASchema {
        /// Whose schema it is.
        of: String,
        /// JSON pointer into the schema.
        at: String,
        /// The keyword of the meta-schema that it breaks.
        keyword: String,
    },
}

/// A schema ready for use: the compiled form decides, the JSON lends its words.
#[derive(Debug)]
pub(super) struct Compiled {
    /// All of the schema but the rules.
    pub(super) rest: Validator,
    /// What `rest` was compiled from.
    pub(super) schema: Value,
    /// See [`Rule`].
    pub(super) rules: Vec<Rule>,
}

/// An alternative over the whole document that brings its own words and the place to show. Forms are made of these, one
/// a question. Compiled alone it answers yes or no; asked for its errors it would copy the document once for every
/// alternative that failed, only for the words to replace them all.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) validator: Validator,
    pub(super) words: Value,
}

impl Compiled {
    /// Does the document meet the schema?
    pub(super) fn is_valid(&self, document: &Value) -> bool {
        self.rest.is_valid(document) && self.rules.iter().all(|rule| rule.validator.is_valid(document))
    }
}

/// Compiles the text of a schema.
pub(super) fn compile_text(of: &str, text: &str) -> Result<Compiled, SchemaError> {
    let schema = serde_json::from_str(text).map_err(|error| SchemaError::NotJson {
        of: of.to_owned(),
        line: error.line(),
        column: error.column(),
    })?;
    compile(of, schema)
}

/// Compiles a schema.
pub(super) fn compile(of: &str, mut schema: Value) -> Result<Compiled, SchemaError> {
    guard::check(&schema).map_err(|why| SchemaError::Refused { of: of.to_owned(), why })?;
    let mut rules = Vec::new();
    for rule in take_rules(&mut schema) {
        let words = rule.get(KEYWORD).cloned().unwrap_or_default();
        rules.push(Rule { validator: validator(of, &rule)?, words });
    }
    Ok(Compiled { rest: validator(of, &schema)?, schema, rules })
}

fn validator(of: &str, schema: &Value) -> Result<Validator, SchemaError> {
    let options = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_SIZE).dfa_size_limit(PATTERN_SIZE))
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .with_format("email", formats::is_email)
        .offline();
    options.build(schema).map_err(|error| SchemaError::NotASchema {
        of: of.to_owned(),
        at: error.instance_path().to_string(),
        keyword: error.kind().keyword().to_owned(),
    })
}

/// Takes the rules out of a schema's outermost `allOf`.
fn take_rules(schema: &mut Value) -> Vec<Value> {
    let Some(Value::Array(parts)) = schema.get_mut("allOf") else { return Vec::new() };
    let rules: Vec<Value> = parts.extract_if(.., |part| is_rule(part)).collect();
    if parts.is_empty() {
        // An empty `allOf` is no valid schema.
        parts.push(Value::Bool(true));
    }
    rules
}

fn is_rule(part: &Value) -> bool {
    let Some(keywords) = part.as_object() else { return false };
    keywords.keys().all(|keyword| matches!(keyword.as_str(), "anyOf" | "oneOf" | KEYWORD))
        && keywords.get(KEYWORD).is_some_and(|words| {
            words.get("message").is_some_and(Value::is_string) && words.get("pointer").is_some_and(Value::is_string)
        })
        && !refers(part)
}

/// A part with a reference needs the document it refers into.
fn refers(part: &Value) -> bool {
    match part {
        Value::Object(members) => members.contains_key("$ref") || members.values().any(refers),
        Value::Array(items) => items.iter().any(refers),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::{Value, json};

    use super::super::words::explain;
    use super::{SchemaError, compile, compile_text};

    #[test]
    fn what_is_no_usable_schema_is_an_error_value() {
        for (schema, kind) in [
            (json!({"type": "strin"}), "not"),
            (json!({"pattern": "("}), "not"),
            (json!({"pattern": "(?=a)a"}), "not"),
            (json!({"pattern": "(a)\\1"}), "not"),
            (json!({"pattern": "a{0,100000}{0,100000}"}), "not"),
            (json!({"pattern": "(a?){900}(b?){900}(c?){900}"}), "not"),
            (json!({"format": "no-such-format"}), "not"),
            (json!({"$ref": "#/$defs/missing"}), "refused"),
            (json!({"$ref": "http://127.0.0.1:1/x.json"}), "refused"),
            (json!({"$ref": "file:///etc/passwd"}), "refused"),
            (json!(7), "not"),
        ] {
            let began = Instant::now();
            let error = compile("test", schema.clone()).unwrap_err();
            let found = match error {
                SchemaError::NotJson { .. } => "not json",
                SchemaError::Refused { .. } => "refused",
                SchemaError::NotASchema { .. } => "not",
            };
            assert_eq!(found, kind, "{schema}");
            assert!(began.elapsed() < Duration::from_secs(2), "{schema}");
        }
        assert!(matches!(compile_text("test", "{"), Err(SchemaError::NotJson { line: 1, .. })));
    }

    #[test]
    fn formats_assert_and_patterns_are_linear() {
        let compiled = compile("test", json!({"items": {"pattern": "^(a+)+$"}})).unwrap();
        let hostile = json!(["a".repeat(20_000) + "!"]);
        let began = Instant::now();
        assert!(!compiled.is_valid(&hostile));
        assert!(began.elapsed() < Duration::from_secs(1));
        for (format, good, bad) in [
            ("email", "ada@example.org", "ada"),
            ("date", "2026-02-28", "2026-02-30"),
            ("date-time", "2026-02-28T10:00:00Z", "2026-02-28T10:00:00"),
            ("uri", "https://example.org/a", "/a"),
            ("ipv4", "192.0.2.1", "192.0.2.256"),
            ("ipv6", "2001:db8::1", "2001:db8::g"),
        ] {
            let compiled = compile("test", json!({"format": format})).unwrap();
            assert!(compiled.is_valid(&json!(good)), "{format} {good}");
            assert!(!compiled.is_valid(&json!(bad)), "{format} {bad}");
        }
    }

    #[test]
    fn a_rule_taken_out_decides_and_speaks_as_it_did_inside() {
        let words =
            |pointer: Value| json!({"reason": "answer_missing", "message": "No.", "fix": "", "pointer": pointer});
        let ways = json!([{"required": ["a"]}, {"required": ["b"]}]);
        for (schema, rules) in [
            (json!({"allOf": [{"anyOf": ways, "x-words": words(json!("/a"))}]}), 1),
            (json!({"allOf": [{"anyOf": ways, "x-words": words(json!("/a"))}, {"required": ["c"]}]}), 1),
            // Without words of its own, without a place, with more to say, or with a reference: left where it is.
            (json!({"allOf": [{"anyOf": ways}]}), 0),
            (json!({"allOf": [{"anyOf": ways, "x-words": words(Value::Null)}]}), 0),
            (json!({"allOf": [{"anyOf": ways, "required": ["c"], "x-words": words(json!("/a"))}]}), 0),
            (
                json!({"allOf": [{"anyOf": [{"$ref": "#/$defs/a"}], "x-words": words(json!("/a"))}], "$defs": {"a": {"required": ["a"]}}}),
                0,
            ),
        ] {
            let compiled = compile("test", schema.clone()).unwrap();
            assert_eq!(compiled.rules.len(), rules, "{schema}");
            assert!(compiled.is_valid(&json!({"a": 1, "c": 1})), "{schema}");
            assert!(!compiled.is_valid(&json!({"c": 1})), "{schema}");
            let errors = explain(&compiled, &json!({"c": 1}), "test");
            assert_eq!(errors.len(), 1, "{schema}: {errors:?}");
        }
    }
}
