//! Our own words for each kind of fault, used where the schema has none.
//!
//! Responsible for saying what is expected and how to get there. Every operand comes from the schema.

use causeway_core::reason::Reason;
use jsonschema::JsonType;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

/// How many choices are listed.
const MAX_CHOICES: usize = 12;
/// How long a listed choice may be.
const MAX_CHOICE: usize = 60;

/// The pattern by which schemas say "not only white space".
const NOT_BLANK: &str = r"\S";

/// Reason, what is expected, how to fix it.
pub(super) struct Text {
    pub(super) reason: Reason,
    pub(super) message: String,
    pub(super) fix: String,
}

fn text(reason: Reason, message: impl Into<String>, fix: impl Into<String>) -> Text {
    Text { reason, message: message.into(), fix: fix.into() }
}

/// The words for a fault that `words` does not treat itself.
pub(super) fn of(kind: &Kind, is_null: bool, description: Option<&str>) -> Text {
    match kind {
        Kind::Type { .. } | Kind::Constant { .. } | Kind::Enum { .. } if is_null => {
            text(Reason::DocumentInvalid, "null is not accepted.", "Leave the member out when there is nothing to say.")
        }
        Kind::Type { kind } => wrong_type(kind),
        Kind::Enum { options } => choice(options),
        Kind::Constant { expected_value } => choice(&Value::Array(vec![expected_value.as_ref().clone()])),
        Kind::Format { format } => format_words(format),
        Kind::Pattern { pattern } if pattern == NOT_BLANK => {
            text(Reason::AnswerMissing, "Must not be blank.", "Fill it in, or leave it out.")
        }
        Kind::Pattern { .. } | Kind::RegexEngineFailure { .. } | Kind::BacktrackLimitExceeded { .. } => {
            let message = match description {
                Some(description) => format!("Does not have the expected form. {description}"),
                None => "Does not have the expected form.".to_owned(),
            };
            text(Reason::ValueInvalid, message, "Write it in the form described.")
        }
        Kind::MinLength { .. }
        | Kind::MaxLength { .. }
        | Kind::MinItems { .. }
        | Kind::MaxItems { .. }
        | Kind::AdditionalItems { .. }
        | Kind::MinProperties { .. }
        | Kind::MaxProperties { .. } => size(kind),
        Kind::Minimum { .. }
        | Kind::Maximum { .. }
        | Kind::ExclusiveMinimum { .. }
        | Kind::ExclusiveMaximum { .. }
        | Kind::MultipleOf { .. } => range(kind),
        Kind::Contains => text(
            Reason::AnswerMissing,
            "No item of the list is the one that is asked for.",
            "Add the item that is asked for.",
        ),
        Kind::UniqueItems => text(Reason::ValueInvalid, "The list holds the same item twice.", "Send each item once."),
        Kind::OneOfMultipleValid { .. } => text(
            Reason::DocumentInvalid,
            "More than one of the alternatives is given.",
            "Send exactly one of the alternatives.",
        ),
        Kind::PropertyNames { .. } => text(
            Reason::DocumentInvalid,
            "A member's name is not of the form that is accepted here.",
            "Use short names of lower-case letters, digits, hyphens and underscores.",
        ),
        Kind::FalseSchema | Kind::Not { .. } | Kind::UnevaluatedItems { .. } => {
            text(Reason::DocumentInvalid, "This is not accepted here.", "Leave it out.")
        }
        Kind::ContentEncoding { .. } | Kind::ContentMediaType { .. } | Kind::FromUtf8 { .. } => {
            text(Reason::ValueInvalid, "The content is not encoded as announced.", "Encode it as the schema says.")
        }
        // Treated by the caller; said here in general words should one come through.
        Kind::Required { .. }
        | Kind::AdditionalProperties { .. }
        | Kind::UnevaluatedProperties { .. }
        | Kind::AnyOf { .. }
        | Kind::OneOfNotValid { .. }
        | Kind::Custom { .. }
        | Kind::Referencing(_) => {
            text(Reason::DocumentInvalid, "Does not meet the schema.", "Compare it with the published schema.")
        }
    }
}

fn type_name(json_type: JsonType) -> &'static str {
    match json_type {
        JsonType::Array => "a list",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "a whole number",
        JsonType::Null => "null",
        JsonType::Number => "a number",
        JsonType::Object => "an object",
        JsonType::String => "text",
    }
}

fn wrong_type(kind: &TypeKind) -> Text {
    let wanted = match kind {
        TypeKind::Single(json_type) => type_name(*json_type).to_owned(),
        TypeKind::Multiple(types) => {
            let names: Vec<&str> = types.iter().map(type_name).collect();
            names.join(", or ")
        }
    };
    text(Reason::DocumentInvalid, format!("Must be {wanted}."), "Send a JSON value of that type.")
}

fn choice(options: &Value) -> Text {
    let options: &[Value] = options.as_array().map_or(&[], Vec::as_slice);
    let shown: Vec<String> = options
        .iter()
        .filter(|option| option.as_str().is_none_or(|text| text.chars().count() <= MAX_CHOICE))
        .take(MAX_CHOICES)
        .map(|option| match option {
            Value::String(text) => format!("`{text}`"),
            other => other.to_string(),
        })
        .collect();
    let more = if shown.len() < options.len() { ", …" } else { "" };
    let message = match shown.as_slice() {
        [] => "Is not one of the accepted values.".to_owned(),
        [only] if more.is_empty() => format!("Must be {only}."),
        several => format!("Must be one of {}{more}.", several.join(", ")),
    };
    text(Reason::ValueInvalid, message, "Choose one of the accepted values, spelled exactly so.")
}

fn format_words(format: &str) -> Text {
    let (message, fix) = match format {
        "email" | "idn-email" => (
            "Must be an e-mail address such as ada@example.org.",
            "Send one address, without a name or spaces around it.",
        ),
        "date" => ("Must be a date such as 2026-03-01.", "Send year, month and day with hyphens."),
        "date-time" => (
            "Must be a moment with its zone, such as 2026-03-01T09:30:00+01:00.",
            "Send date, `T`, time and zone (or `Z`).",
        ),
        "time" => ("Must be a time with its zone, such as 09:30:00Z.", "Send hours, minutes, seconds and zone."),
        "uri" | "iri" | "uri-reference" | "iri-reference" => (
            "Must be a whole web address such as https://example.org/ada.",
            "Send it with https:// and without spaces.",
        ),
        "ipv4" => ("Must be an IPv4 address such as 192.0.2.1.", "Send the address alone."),
        "ipv6" => ("Must be an IPv6 address such as 2001:db8::1.", "Send the address alone."),
        "uuid" => ("Must be a UUID.", "Send 32 hexadecimal digits in five groups."),
        _ => {
            return text(
                Reason::ValueInvalid,
                format!("Does not have the format `{format}`."),
                "Write it in that format.",
            );
        }
    };
    text(Reason::ValueInvalid, message, fix)
}

fn size(kind: &Kind) -> Text {
    match kind {
        Kind::MinLength { limit: 1 } => {
            text(Reason::AnswerMissing, "Must not be empty.", "Fill it in, or leave it out.")
        }
        Kind::MinLength { limit } => {
            text(Reason::ValueInvalid, format!("Must have at least {limit} characters."), "Send the full text.")
        }
        Kind::MaxLength { limit } => text(
            Reason::ValueInvalid,
            format!("Is longer than {limit} characters."),
            format!("Shorten it to {limit} characters or fewer."),
        ),
        Kind::MinItems { limit } => text(
            Reason::AnswerMissing,
            format!("Must hold at least {limit}."),
            "Add what is missing, or leave the list out.",
        ),
        Kind::MaxItems { limit } => text(
            Reason::ValueInvalid,
            format!("Holds more than {limit} items."),
            format!("Send {limit} items or fewer."),
        ),
        Kind::MinProperties { limit } => {
            text(Reason::AnswerMissing, format!("Must have at least {limit} members."), "Add what is missing.")
        }
        Kind::MaxProperties { limit } => text(
            Reason::DocumentInvalid,
            format!("Has more than {limit} members."),
            format!("Send {limit} members or fewer."),
        ),
        _ => text(Reason::DocumentInvalid, "Is too large.", "Send less."),
    }
}

fn range(kind: &Kind) -> Text {
    let message = match kind {
        Kind::Minimum { limit } => format!("Must be {limit} or more."),
        Kind::Maximum { limit } => format!("Must be {limit} or less."),
        Kind::ExclusiveMinimum { limit } => format!("Must be more than {limit}."),
        Kind::ExclusiveMaximum { limit } => format!("Must be less than {limit}."),
        _ => "Is not one of the accepted steps.".to_owned(),
    };
    text(Reason::ValueInvalid, message, "Send a number in that range.")
}
