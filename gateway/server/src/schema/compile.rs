//! From a schema's JSON to a compiled validator.
//!
//! Responsible for the one set of options every schema is compiled with. Fails as a value: a schema is data, also when
//! it is ours.
//!
//! Invariants: nothing is fetched; no pattern can backtrack; every `format` is known and asserted.

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use super::{formats, guard};

/// The most memory one pattern may take when compiled, in bytes.
const PATTERN_SIZE: usize = 1 << 20;

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
    pub(super) validator: Validator,
    pub(super) schema: Value,
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
pub(super) fn compile(of: &str, schema: Value) -> Result<Compiled, SchemaError> {
    guard::check(&schema).map_err(|why| SchemaError::Refused { of: of.to_owned(), why })?;
    let options = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_SIZE).dfa_size_limit(PATTERN_SIZE))
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .with_format("email", formats::is_email)
        .offline();
    match options.build(&schema) {
        Ok(validator) => Ok(Compiled { validator, schema }),
        Err(error) => Err(SchemaError::NotASchema {
            of: of.to_owned(),
            at: error.instance_path().to_string(),
            keyword: error.kind().keyword().to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::{SchemaError, compile, compile_text};

    #[test]
    fn what_is_no_usable_schema_is_an_error_value() {
        for (schema, kind) in [
            (json!({"type": "strin"}), "not"),
            (json!({"pattern": "("}), "not"),
            (json!({"pattern": "(?=a)a"}), "not"),
            (json!({"pattern": "(a)\\1"}), "not"),
            (json!({"pattern": "a{0,100000}{0,100000}"}), "not"),
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
        assert!(!compiled.validator.is_valid(&hostile));
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
            assert!(compiled.validator.is_valid(&json!(good)), "{format} {good}");
            assert!(!compiled.validator.is_valid(&json!(bad)), "{format} {bad}");
        }
    }
}
