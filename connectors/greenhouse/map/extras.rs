//! The parts of a submit that are lists of their own: employments, surveys, consents.
//!
//! Sends an entry only when it has all the vendor demands of it; otherwise its pointer joins `not_carried`. Demographic
//! answers go to the vendor's survey fields and nowhere else.

use causeway_core::application::{Application, Employment};
use causeway_core::posting::Form;
use serde_json::{Value, json};

use super::{Body, DEMOGRAPHIC_PREFIX, Part, choice};

/// The purposes a consent may name, and the vendor's flag for each.
pub(in super::super) const PURPOSES: &[(&str, &str)] = &[
    ("application", "gdpr_processing_consent_given"),
    ("retention", "gdpr_retention_consent_given"),
    ("demographics", "gdpr_demographic_data_consent_given"),
];
/// The vendor's one flag of old, for organisations that do not ask purpose by purpose: it covers processing.
pub(in super::super) const OLD_CONSENT: &str = "gdpr_consent_given";
/// The demographics scheme that has flat fields of its own.
pub(in super::super) const EEOC: &str = "eeoc";
const EEOC_FIELDS: [&str; 4] = ["gender", "race", "veteran_status", "disability_status"];

/// The vendor needs company, title, start and, unless current, an end that is later: an entry without them is left out
/// rather than made up, for one bad entry would have the whole application refused.
pub(super) fn employments(body: &mut Body<'_>, employments: &[Employment]) {
    let mut list = Vec::new();
    for (index, employment) in employments.iter().enumerate() {
        let start = employment.start.as_deref().and_then(year_month);
        let end = employment.end.as_deref().and_then(year_month);
        let current = employment.current.unwrap_or(false);
        let known = !employment.company.trim().is_empty() && !employment.title.trim().is_empty();
        let (Some(start), true) = (start, known && (current || end.is_some_and(|end| Some(end) > start))) else {
            body.not_carried.push(format!("/history/employment/{index}"));
            continue;
        };
        let mut entry = json!({
            "company_name": employment.company,
            "title": employment.title,
            "start_date": date(start),
        });
        if let (false, Some(end)) = (current, end) {
            entry["end_date"] = date(end);
        }
        entry["current"] = json!(current.to_string());
        list.push(entry);
    }
    if !list.is_empty() {
        body.put("employments", Value::Array(list));
    }
}

fn date((year, month): (u16, u8)) -> Value {
    json!({ "month": month.to_string(), "year": year.to_string() })
}

/// Year and month of a date that may be partial; `None` without a month.
fn year_month(date: &str) -> Option<(u16, u8)> {
    let mut parts = date.split('-');
    let year = parts.next()?.parse().ok()?;
    let month = parts.next()?.parse().ok().filter(|month| (1..=12).contains(month))?;
    Some((year, month))
}

/// Each survey to its own door: the four equal-opportunity fields, and the vendor's own survey by its question ids.
pub(super) fn demographics(body: &mut Body<'_>, application: &Application) {
    let mut survey = Vec::new();
    for (index, demographic) in application.demographics.iter().enumerate() {
        if demographic.declined == Some(true) {
            continue;
        }
        let eeoc = demographic.scheme.eq_ignore_ascii_case(EEOC);
        let mut left = false;
        for (name, value) in &demographic.answers {
            let question = name.strip_prefix(DEMOGRAPHIC_PREFIX).and_then(|id| id.parse::<i64>().ok());
            match (eeoc && EEOC_FIELDS.contains(&name.as_str()), question, choices(value)) {
                (true, _, chosen) if chosen.len() == 1 && !body.has(name) => {
                    body.fields.extend(chosen.into_iter().map(|(id, _)| (name.clone(), Part::Json(id))));
                }
                (false, Some(question), chosen) if !chosen.is_empty() => {
                    let options: Vec<Value> = chosen.into_iter().map(survey_option).collect();
                    survey.push(json!({ "question_id": question, "answer_options": options }));
                }
                (true | false, _, _) => left = true,
            }
        }
        if left {
            body.not_carried.push(format!("/demographics/{index}"));
        }
    }
    if !survey.is_empty() {
        body.put("demographic_answers", Value::Array(survey));
    }
}

fn survey_option((id, text): (Value, Option<String>)) -> Value {
    match text {
        Some(text) => json!({ "answer_option_id": id, "text": text }),
        None => json!({ "answer_option_id": id }),
    }
}

/// The options in a demographic answer: an id, `{id, text}` for a free-form option, or a list of either.
fn choices(value: &Value) -> Vec<(Value, Option<String>)> {
    match value {
        Value::String(id) => vec![(choice(id), None)],
        Value::Number(id) => vec![(json!(id), None)],
        Value::Array(list) => list.iter().flat_map(choices).collect(),
        Value::Object(option) => {
            let text = option.get("text").and_then(Value::as_str).map(str::to_owned);
            let id = option.get("id").map(choices).unwrap_or_default().into_iter().next();
            id.map(|(id, _)| (id, text)).into_iter().collect()
        }
        Value::Null | Value::Bool(_) => Vec::new(),
    }
}

/// The last word on each purpose. The flag of old goes only to an organisation whose form asks for it.
pub(super) fn consents(body: &mut Body<'_>, application: &Application, form: Option<&Form>) {
    let word = |purpose: &str| application.consents.iter().rev().find(|consent| consent.purpose == purpose);
    let mut flags = serde_json::Map::new();
    let asks_old = form.is_some_and(|form| {
        form.questions.iter().flat_map(|question| &question.fields).any(|field| field.name == OLD_CONSENT)
    });
    if let (true, Some(consent)) = (asks_old, word("application")) {
        flags.insert(OLD_CONSENT.to_owned(), json!(consent.given));
    }
    for (purpose, flag) in PURPOSES {
        if let Some(consent) = word(purpose) {
            flags.insert((*flag).to_owned(), json!(consent.given));
        }
    }
    if !flags.is_empty() {
        body.put("data_compliance", Value::Object(flags));
    }
}
