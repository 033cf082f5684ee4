//! An answer in the shape that the vendor's type of its field takes. `None` when it does not fit: the form's schema has
//! said so to whoever could still correct it.

use causeway_core::application::{Answer, Education};
use causeway_core::posting::{FieldKind, QuestionField};
use serde_json::{Value, json};

/// The value for this field. A type that is not known yet takes the answer as it came.
pub(in super::super) fn value(answer: &Answer, field: &QuestionField) -> Option<Value> {
    if answer.attachment.is_some() || field.kind == FieldKind::File {
        return None;
    }
    match field.vendor_type.as_str() {
        "Boolean" => boolean(answer).map(|yes| json!(yes)),
        "Number" => integer(answer).map(|number| json!(number)),
        "Score" => integer(answer).filter(|score| (1..=4).contains(score)).map(|score| json!({ "score": score })),
        "RichText" => text(answer).map(|text| json!({ "type": "PlainText", "value": text })),
        "Location" => place(&text(answer)?),
        "MultiValueSelect" => {
            let chosen = many(answer);
            (!chosen.is_empty()).then(|| json!(chosen))
        }
        "ValueSelect" | "String" | "LongText" | "Phone" | "Email" | "Date" => text(answer).map(|text| json!(text)),
        _ if !answer.options.is_empty() => Some(json!(many(answer))),
        _ => match &answer.option {
            Some(option) => Some(json!(option.id)),
            None => answer.value.clone().filter(|value| value.as_str().is_none_or(|text| !text.trim().is_empty())),
        },
    }
}

/// One text: the option's id, or the value as written.
fn text(answer: &Answer) -> Option<String> {
    if let Some(option) = &answer.option {
        return Some(option.id.clone());
    }
    match answer.value.as_ref()? {
        Value::String(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn many(answer: &Answer) -> Vec<String> {
    let mut chosen: Vec<String> = answer.options.iter().chain(&answer.option).map(|option| option.id.clone()).collect();
    match &answer.value {
        Some(Value::Array(list)) => chosen.extend(list.iter().filter_map(Value::as_str).map(str::to_owned)),
        Some(Value::String(text)) if !text.trim().is_empty() => chosen.push(text.clone()),
        Some(_) | None => {}
    }
    chosen
}

fn boolean(answer: &Answer) -> Option<bool> {
    match text(answer)?.trim().to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn integer(answer: &Answer) -> Option<i64> {
    text(answer)?.trim().parse().ok()
}

/// A free text as the vendor's location: city, then region, then country, as far as commas tell them apart.
pub(in super::super) fn place(text: &str) -> Option<Value> {
    let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [] => None,
        [city] => Some(json!({ "city": city })),
        [city, country] => Some(json!({ "city": city, "country": country })),
        [city, region, country, ..] => Some(json!({ "city": city, "region": region, "country": country })),
    }
}

/// Only the school is demanded. A date goes only when it is whole: the vendor's sample knows no others.
pub(super) fn education(history: &[Education]) -> Option<Value> {
    let whole = |date: &Option<String>| date.clone().filter(|date| date.len() == "2020-09-01".len());
    let entries: Vec<Value> = history
        .iter()
        .filter(|entry| !entry.school.trim().is_empty())
        .map(|entry| {
            let optional = [
                ("degree", entry.degree.clone()),
                ("major", entry.discipline.clone()),
                ("startDate", whole(&entry.start)),
                ("endDate", whole(&entry.end)),
            ];
            let mut sent = json!({ "schoolName": entry.school });
            for (name, value) in optional {
                if let Some(value) = value {
                    sent[name] = json!(value);
                }
            }
            sent
        })
        .collect();
    (!entries.is_empty()).then(|| json!(entries))
}
