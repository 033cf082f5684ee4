//! Filling: what each rule makes of one document, and how it becomes an answer.
//!
//! Nothing is made up: what is missing, unknown to a table or not of the field's kind leaves the field empty, with the
//! reason. The reason names no value.

use serde_json::{Map, Value, json};

use super::source::{Source, entry};
use super::{Overlay, Rule, VendorField};
use crate::posting::FieldKind;

/// A field and what goes in: text, a number, true or false, an option's id, or a list of ids.
#[derive(Debug, Clone, PartialEq)]
pub struct Filled {
    /// The vendor's field.
    pub field: String,
    /// What goes in.
    pub value: Value,
}

/// Why a field stays empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotFilled {
    /// Nothing stands at the source.
    #[error("the application has nothing there")]
    NothingThere,
    /// The table does not have what stands there.
    #[error("the table does not have it")]
    NotInTable,
    /// It is no whole date.
    #[error("it is no whole date")]
    NotADate,
    /// The text has fewer parts.
    #[error("the text has no such part")]
    NoSuchPart,
    /// It is none of the field's options.
    #[error("it is none of the field's options")]
    NoSuchOption,
    /// It is not of the field's kind.
    #[error("it is not of the field's kind")]
    WrongKind,
    /// The applicant answered, or declined to.
    #[error("the applicant answered it")]
    Answered,
    /// This posting, or this vendor, does not have the field.
    #[error("it is not asked here")]
    NotAsked,
}

/// What each rule makes of the document, in the order of the rules.
pub fn filled<'o>(
    overlay: &'o Overlay,
    fields: &[VendorField],
    document: &Value,
) -> Vec<(&'o Rule, Result<Filled, NotFilled>)> {
    let one = |rule: &'o Rule| {
        let field = fields.iter().find(|field| field.name == rule.field()).ok_or(NotFilled::NotAsked);
        let value = field.and_then(|field| made(overlay, rule, document).and_then(|value| fit(field, &value)));
        (rule, value.map(|value| Filled { field: rule.field().to_owned(), value }))
    };
    overlay.rules.iter().map(one).collect()
}

/// Adds what is filled to the document's answers, as the applicant would have sent it. What the applicant said of a question
/// stands. Returns what each rule came to.
pub fn into_answers<'o>(
    overlay: &'o Overlay,
    fields: &[VendorField],
    document: &mut Value,
) -> Vec<(&'o Rule, Result<Filled, NotFilled>)> {
    let mut all = filled(overlay, fields, document);
    for (rule, result) in &mut all {
        let Some(field) = fields.iter().find(|field| field.name == rule.field()) else { continue };
        if entry(document, &field.name).is_some() {
            *result = Err(NotFilled::Answered);
        }
        if let (Ok(filled), Value::Object(members)) = (result, &mut *document)
            && let Value::Array(answers) = members.entry("answers").or_insert_with(|| json!([]))
        {
            answers.push(answer(field, &filled.value));
        }
    }
    all
}

fn answer(field: &VendorField, value: &Value) -> Value {
    let option = |id: &Value| {
        let label = field.options.iter().find(|option| Some(option.id.as_str()) == id.as_str());
        json!({ "id": id, "label": label.map_or("", |option| option.label.as_str()) })
    };
    let mut entry = Map::from_iter([("question".to_owned(), json!(field.name))]);
    let held = match (field.kind, value) {
        (FieldKind::SingleSelect, id) => option(id),
        (FieldKind::MultiSelect, Value::Array(ids)) => ids.iter().map(option).collect(),
        (_, value) => value.clone(),
    };
    entry.insert(field.kind.member().to_owned(), held);
    Value::Object(entry)
}

/// What the operation makes of the document.
fn made(overlay: &Overlay, rule: &Rule, document: &Value) -> Result<Value, NotFilled> {
    let read =
        |from: &str| Source::parse(from).ok().and_then(|source| source.read(document)).ok_or(NotFilled::NothingThere);
    match rule {
        Rule::Copy { from, .. } => read(from),
        Rule::Constant { value, .. } => Ok(value.clone()),
        Rule::LookUp { from, table, otherwise, .. } => {
            let entries = overlay.tables.get(table);
            let look = |value: &Value| {
                let key = text(value)?;
                let found = entries.and_then(|entries| entries.get(key.trim()));
                found.or(otherwise.as_ref()).map(|found| json!(found))
            };
            match read(from)? {
                Value::Array(items) => items.iter().map(look).collect::<Option<Vec<_>>>().map(Value::Array),
                one => look(&one),
            }
            .ok_or(NotFilled::NotInTable)
        }
        Rule::Date { from, format, .. } => {
            let day = read(from)?.as_str().and_then(day).ok_or(NotFilled::NotADate)?;
            written(day, format).map(Value::String).ok_or(NotFilled::NotADate)
        }
        Rule::Split { from, by, part, .. } => {
            let whole = read(from)?;
            let whole = whole.as_str().ok_or(NotFilled::WrongKind)?;
            let parts: Vec<&str> = if by.is_empty() { vec![whole] } else { whole.split(by.as_str()).collect() };
            let at = usize::try_from(*part).ok();
            let at = at.or_else(|| parts.len().checked_sub(usize::try_from(part.unsigned_abs()).ok()?));
            let found = at.and_then(|at| parts.get(at)).map(|text| text.trim()).filter(|text| !text.is_empty());
            found.map(|text| json!(text)).ok_or(NotFilled::NoSuchPart)
        }
    }
}

/// A whole date: as one, or the day of a moment where it was written.
fn day(text: &str) -> Option<jiff::civil::Date> {
    let text = text.trim();
    let (date, time) = text.split_once(['T', 't']).map_or((text, None), |(date, time)| (date, Some(time)));
    let date: jiff::civil::Date = date.parse().ok()?;
    // What stands behind the day is a time, or the whole is no date.
    if time.is_some() && text.parse::<jiff::Timestamp>().is_err() && text.parse::<jiff::civil::DateTime>().is_err() {
        return None;
    }
    Some(date)
}

/// The day in this format.
pub(super) fn written(day: jiff::civil::Date, format: &str) -> Option<String> {
    jiff::fmt::strtime::format(format, day).ok().filter(|text| !text.trim().is_empty())
}

/// The value as the field takes it.
pub(super) fn fit(field: &VendorField, value: &Value) -> Result<Value, NotFilled> {
    match field.kind {
        FieldKind::Text | FieldKind::LongText | FieldKind::Hidden => match value {
            Value::Array(items) => {
                let texts: Option<Vec<String>> = items.iter().map(text).collect();
                texts.map(|texts| json!(texts.join(", "))).ok_or(NotFilled::WrongKind)
            }
            one => text(one).map(Value::String).ok_or(NotFilled::WrongKind),
        },
        FieldKind::Number => match value {
            Value::Number(_) => Ok(value.clone()),
            Value::String(text) => {
                let number: Option<serde_json::Number> = serde_json::from_str(text.trim()).ok();
                number.map(Value::Number).ok_or(NotFilled::WrongKind)
            }
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(NotFilled::WrongKind),
        },
        FieldKind::Boolean => match value {
            Value::Bool(_) => Ok(value.clone()),
            Value::String(text) if text == "true" || text == "false" => Ok(json!(text == "true")),
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                Err(NotFilled::WrongKind)
            }
        },
        FieldKind::Date => {
            let date = value.as_str().and_then(day).ok_or(NotFilled::NotADate)?;
            Ok(json!(date.to_string()))
        }
        FieldKind::SingleSelect => match value {
            Value::Array(items) if items.len() != 1 => Err(NotFilled::NoSuchOption),
            Value::Array(items) => choose(field, items.first().unwrap_or(&Value::Null)),
            one => choose(field, one),
        },
        FieldKind::MultiSelect => match value {
            Value::Array(items) => {
                items.iter().map(|item| choose(field, item)).collect::<Result<Vec<_>, _>>().map(Value::Array)
            }
            one => choose(field, one).map(|id| json!([id])),
        },
        FieldKind::File => Err(NotFilled::WrongKind),
    }
}

/// The option by its id, else by what it reads. Yes-or-no questions are often selects of two.
fn choose(field: &VendorField, value: &Value) -> Result<Value, NotFilled> {
    let wanted = match value {
        Value::Bool(yes) => if *yes { "Yes" } else { "No" }.to_owned(),
        other => text(other).ok_or(NotFilled::NoSuchOption)?,
    };
    let wanted = wanted.trim();
    let by_id = field.options.iter().find(|option| option.id == wanted);
    let reads = |option: &&crate::posting::QuestionOption| option.label.trim().to_lowercase() == wanted.to_lowercase();
    let found = by_id.or_else(|| field.options.iter().find(reads));
    found.map(|option| json!(option.id)).ok_or(NotFilled::NoSuchOption)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
