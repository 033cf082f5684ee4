//! The shapes that `applicationForm.submit` accepts, by the type of the field (A 3.1, S applicationForm.submit).

use serde_json::Value;

use super::postings::Field;

/// Does the value have the field's shape? Files are judged by whoever knows the uploads.
pub(super) fn fits(field: &Field, value: &Value) -> bool {
    let offered = |text: &Value| field.options.iter().any(|(option, _)| text == option.as_str());
    match field.kind.as_str() {
        "Boolean" => value.is_boolean(),
        "Date" => value.as_str().is_some_and(is_date),
        "Email" => value.as_str().is_some_and(is_email),
        "Number" => value.is_i64() || value.is_u64(),
        "RichText" => value["type"] == "PlainText" && value["value"].is_string(),
        "Score" => value["score"].as_i64().is_some_and(|score| (1..=4).contains(&score)),
        "ValueSelect" => offered(value),
        "MultiValueSelect" => value.as_array().is_some_and(|list| list.iter().all(offered)),
        // Any combination of the three.
        "Location" => value.as_object().is_some_and(|parts| {
            let known = |name: &String| ["country", "city", "region"].contains(&name.as_str());
            parts.iter().all(|(name, part)| known(name) && part.is_string())
        }),
        "EducationHistory" => value.as_array().is_some_and(|list| list.iter().all(is_education)),
        _ => value.is_string(),
    }
}

/// Nothing was said.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn is_date(text: &str) -> bool {
    text.parse::<jiff::civil::Date>().is_ok() && text.len() == "2026-01-31".len()
}

fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'))
}

/// Only the school is required; no end while it goes on.
fn is_education(entry: &Value) -> bool {
    entry["schoolName"].is_string() && !(entry["isCurrent"] == true && entry.get("endDate").is_some())
}
