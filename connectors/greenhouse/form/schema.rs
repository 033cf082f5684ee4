//! A form as JSON Schema over the canonical document.
//!
//! Two rules a question, so that one mistake is told once: a required question must be *answered* (any one of its
//! alternative fields), and whatever answers it must be of the *shape* its field takes. Every rule carries its words.
//! Demands no demographic answer and, of a consent, an answer but not a yes. A survey's words never reach a rule.

use causeway_core::posting::{FieldKind, Form, Question, QuestionField, QuestionGroup, words};
use causeway_core::reason::Reason;
use serde_json::{Map, Value, json};

use crate::greenhouse::map::{FILE_FIELDS, OLD_CONSENT, OWN_FIELDS, PURPOSES};

/// Questions beyond this many get no rules: the vendor checks none of them anyway, and a schema must stay small.
const MAX_QUESTIONS: usize = 200;
/// Options of one question beyond this many are not listed.
const MAX_OPTIONS: usize = 500;
/// A label is cut here when it is quoted.
const MAX_LABEL: usize = 160;

/// The schema of this form.
pub(in super::super) fn schema(form: &Form) -> Value {
    let questions = || form.questions.iter().take(MAX_QUESTIONS);
    let asked = questions().filter(|question| question.group != QuestionGroup::Demographic);
    let mut rules: Vec<Value> = asked.filter(|question| question.required).filter_map(answered).collect();
    // A place is three questions at the vendor, one after the other, and one field of ours: told once, as the first.
    rules.dedup_by(|later, first| without_question(later) == without_question(first));
    let shapes: Vec<Value> = questions()
        .filter(|question| matches!(question.group, QuestionGroup::Application | QuestionGroup::Location))
        .flat_map(|question| question.fields.iter().filter_map(|field| shape(question, field)))
        .collect();
    if !shapes.is_empty() {
        let words = words::new(Reason::ValueInvalid, "An answer is not of the kind its question takes.", "", None);
        rules.push(json!({
            "properties": { "answers": { "items": { "allOf": shapes, words::KEYWORD: words } } },
            words::KEYWORD: words,
        }));
    }
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        words::KEYWORD: words::new(Reason::DocumentInvalid, "The application must be a JSON object.", "", None),
    });
    if !rules.is_empty() {
        schema["allOf"] = Value::Array(rules);
    }
    schema
}

fn without_question(rule: &Value) -> Value {
    let mut rule = rule.clone();
    rule[words::KEYWORD][words::QUESTION] = Value::Null;
    rule
}

/// The rule that a required question is answered.
fn answered(question: &Question) -> Option<Value> {
    let mut ways: Vec<Value> = question.fields.iter().map(|field| way(question.group, field)).collect();
    let mut rule = match ways.len() {
        // A question without a field cannot be answered, so nobody is asked to.
        0 => return None,
        1 => ways.remove(0),
        _ => json!({ "anyOf": ways }),
    };
    let (message, fix, pointer) = missing(question);
    rule[words::KEYWORD] = words::new(Reason::AnswerMissing, &message, &fix, Some(&pointer));
    rule[words::KEYWORD][words::QUESTION] = question.fields.first().map(|field| field.name.as_str()).into();
    Some(rule)
}

/// One way to answer: what the document must hold.
fn way(group: QuestionGroup, field: &QuestionField) -> Value {
    let non_blank = json!({ "type": "string", "pattern": r"\S" });
    match field.name.as_str() {
        "first_name" => within(&["person", "name", "given"], non_blank),
        "last_name" => within(&["person", "name", "family"], non_blank),
        "email" => within(&["person", "emails"], json!({ "type": "array", "minItems": 1 })),
        "phone" => within(&["person", "phones"], json!({ "type": "array", "minItems": 1 })),
        // The vendor ignores a place that lacks one of the three, so asking for one is asking for all.
        "location" | "latitude" | "longitude" => {
            let place = json!({ "required": ["text", "lat", "lng"], "properties": { "text": non_blank } });
            // In an `anyOf` of one, so that two missing coordinates are one complaint.
            within(&["person", "location"], json!({ "anyOf": [place] }))
        }
        name if group == QuestionGroup::Consent => consent_given_or_refused(name),
        name if field.kind == FieldKind::File => file(name),
        name => contains("answers", &answer(name, field.kind)),
    }
}

/// `value` at the end of a path of objects that all must be there.
fn within(path: &[&str], value: Value) -> Value {
    path.iter().rev().fold(value, |inner, name| json!({ "properties": { *name: inner }, "required": [name] }))
}

fn contains(list: &str, item: &Value) -> Value {
    within(&[list], json!({ "type": "array", "contains": item }))
}

fn consent_given_or_refused(flag: &str) -> Value {
    let purpose = PURPOSES.iter().find(|(_, name)| *name == flag).map_or("application", |(purpose, _)| *purpose);
    contains("consents", &json!({ "properties": { "purpose": { "const": purpose } }, "required": ["purpose"] }))
}

/// A file: one that names the question, one an answer names, or one of the field's kind.
fn file(name: &str) -> Value {
    let mut ways = vec![
        contains("attachments", &json!({ "properties": { "question": { "const": name } }, "required": ["question"] })),
        contains("answers", &answer(name, FieldKind::File)),
    ];
    if FILE_FIELDS.contains(&name) {
        let of_kind = json!({ "properties": { "kind": { "const": name }, "question": false }, "required": ["kind"] });
        ways.insert(0, contains("attachments", &of_kind));
    }
    json!({ "anyOf": ways })
}

/// An entry of `answers` that holds an answer to this question, right or wrong: the shape is another rule's matter.
fn answer(name: &str, kind: FieldKind) -> Value {
    let mut properties = Map::new();
    properties.insert("question".to_owned(), json!({ "enum": names(name, kind) }));
    properties.insert("declined".to_owned(), json!({ "const": false }));
    let mut required = vec!["question"];
    let mut any_of = Vec::new();
    match kind {
        FieldKind::File => required.push("attachment"),
        FieldKind::SingleSelect => any_of = vec![json!({ "required": ["option"] }), json!({ "required": ["value"] })],
        FieldKind::MultiSelect => {
            properties.insert("options".to_owned(), json!({ "minItems": 1 }));
            any_of = vec![json!({ "required": ["options"] }), json!({ "required": ["option"] })];
        }
        FieldKind::Text
        | FieldKind::LongText
        | FieldKind::Hidden
        | FieldKind::Boolean
        | FieldKind::Number
        | FieldKind::Date => {
            required.push("value");
            // A pattern speaks about texts only, so a number passes.
            properties.insert("value".to_owned(), json!({ "pattern": r"\S" }));
        }
    }
    let mut answer = json!({ "required": required, "properties": properties });
    if !any_of.is_empty() {
        answer["anyOf"] = Value::Array(any_of);
    }
    answer
}

/// A multi-select goes by two names: with the `[]` of the vendor's form encoding and without.
fn names(name: &str, kind: FieldKind) -> Vec<String> {
    let mut names = vec![name.to_owned()];
    if kind == FieldKind::MultiSelect {
        names.push(format!("{name}[]"));
    }
    names
}

/// The rule that an entry of `answers` fits the field it answers.
fn shape(Question { label, fields, .. }: &Question, field: &QuestionField) -> Option<Value> {
    if OWN_FIELDS.contains(&field.name.as_str()) {
        return None;
    }
    let label = quoted(label);
    let (reason, message, fix, properties) = match field.kind {
        FieldKind::SingleSelect => (
            Reason::OptionUnknown,
            format!("The answer to {label} is not one of the options it offers."),
            offered(field),
            if listed(field) {
                json!({ "option": option(field), "options": false, "value": { "enum": values(field) } })
            } else {
                json!({ "options": false })
            },
        ),
        FieldKind::MultiSelect => (
            Reason::OptionUnknown,
            format!("The answer to {label} is not one of the options it offers."),
            offered(field),
            json!({ "option": option(field), "options": { "items": option(field) }, "value": false }),
        ),
        FieldKind::File => (
            Reason::ValueInvalid,
            format!("{label} takes a file."),
            "Name an attachment's id in `attachment`.".to_owned(),
            json!({ "value": false, "option": false, "options": false }),
        ),
        FieldKind::Text
        | FieldKind::LongText
        | FieldKind::Hidden
        | FieldKind::Boolean
        | FieldKind::Number
        | FieldKind::Date => (
            Reason::ValueInvalid,
            format!("{label} takes a text."),
            "Send the text in `value`.".to_owned(),
            json!({ "value": { "type": ["string", "number"] }, "option": false, "options": false, "attachment": false }),
        ),
    };
    let mut words = words::new(reason, &message, &fix, None);
    words[words::QUESTION] = fields.first().map(|field| field.name.as_str()).into();
    Some(json!({
        "if": { "properties": { "question": { "enum": names(&field.name, field.kind) } }, "required": ["question"] },
        "then": { "properties": properties, words::KEYWORD: words },
    }))
}

fn listed(field: &QuestionField) -> bool {
    (1..=MAX_OPTIONS).contains(&field.options.len())
}

/// A chosen option: one that is offered, as far as they are listed.
fn option(field: &QuestionField) -> Value {
    if listed(field) { json!({ "properties": { "id": { "enum": ids(field) } } }) } else { json!({}) }
}

fn ids(field: &QuestionField) -> Vec<&str> {
    field.options.iter().map(|option| option.id.as_str()).collect()
}

/// The options as plain values: the id as text or number, and true and false where the options are 1 and 0.
fn values(field: &QuestionField) -> Vec<Value> {
    let mut values: Vec<Value> = Vec::new();
    for id in ids(field) {
        values.push(json!(id));
        values.extend(id.parse::<i64>().map(|number| json!(number)));
    }
    let mut sorted = ids(field);
    sorted.sort_unstable();
    if sorted == ["0", "1"] {
        values.extend([json!(true), json!(false)]);
    }
    values
}

fn quoted(label: &str) -> String {
    let cut: String = label.trim().chars().take(MAX_LABEL).collect();
    if cut.is_empty() { "This question".to_owned() } else { format!("“{cut}”") }
}

/// The first options, for whoever writes the site.
fn offered(field: &QuestionField) -> String {
    let some: Vec<String> =
        field.options.iter().take(8).map(|option| format!("{} ({})", option.id, quoted(&option.label))).collect();
    let more = if field.options.len() > some.len() { ", …" } else { "" };
    format!("Send the `id` of what was chosen in `{}`, of: {}{more}.", field.kind.member(), some.join(", "))
}

/// What to say when a required question is not answered: to the applicant, to the site, and where to point.
fn missing(question: &Question) -> (String, String, String) {
    let label = quoted(&question.label);
    let first = question.fields.first();
    let name = first.map_or("", |field| field.name.as_str());
    let said = |message: String, fix: &str, pointer: &str| (message, fix.to_owned(), pointer.to_owned());
    match name {
        "first_name" => {
            said("The first name is missing.".to_owned(), "Send it in `person.name.given`.", "/person/name/given")
        }
        "last_name" => {
            said("The last name is missing.".to_owned(), "Send it in `person.name.family`.", "/person/name/family")
        }
        "email" => said("The e-mail address is missing.".to_owned(), "Send it in `person.emails`.", "/person/emails"),
        "phone" => said("The phone number is missing.".to_owned(), "Send it in `person.phones`.", "/person/phones"),
        "location" | "latitude" | "longitude" => said(
            "The place where the applicant lives is missing or has no coordinates.".to_owned(),
            "Send `text`, `lat` and `lng` in `person.location`: the ATS ignores a place without coordinates.",
            "/person/location",
        ),
        _ if question.group == QuestionGroup::Consent => {
            let purpose =
                PURPOSES.iter().find(|(_, flag)| *flag == name || name == OLD_CONSENT).map_or("", |(p, _)| *p);
            (
                format!("{label} must be given or refused."),
                format!("Send an entry in `consents` with purpose `{purpose}`, whether it was given or refused."),
                "/consents".to_owned(),
            )
        }
        _ if FILE_FIELDS.contains(&name) => {
            let text = question.fields.iter().find(|field| field.kind == FieldKind::LongText);
            let or = text.map(|field| format!(", or a text in `answers` with question `{}`", field.name));
            (
                format!("{label} is missing."),
                format!("Send an attachment of kind `{name}`{}.", or.unwrap_or_default()),
                "/attachments".to_owned(),
            )
        }
        _ => {
            let member = first.map_or("value", |field| field.kind.member());
            (
                format!("{label} must be answered."),
                format!("Send an entry in `answers` with question `{name}` and its `{member}`."),
                "/answers".to_owned(),
            )
        }
    }
}
