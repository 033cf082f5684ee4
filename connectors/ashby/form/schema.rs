//! A form as JSON Schema over the canonical document.
//!
//! Two rules a question, so that one mistake is told once: a required question must be *answered*, and whatever answers it
//! must be of the *shape* its field takes. Every rule carries its words. Demands no demographic answer and, of a consent,
//! an answer but not a yes. A survey's words never reach a rule.

use causeway_core::posting::{FieldKind, Form, Question, QuestionField, QuestionGroup, words};
use causeway_core::reason::Reason;
use serde_json::{Value, json};

use crate::ashby::map::{EDUCATION, EMAIL, LOCATION, NAME, OWN_FIELDS, PHONE, RESUME};
use crate::ashby::survey::{PURPOSE, Place};

/// Questions beyond this many get no rules: a schema must stay small.
const MAX_QUESTIONS: usize = 200;
/// Options of one question beyond this many are not listed.
const MAX_OPTIONS: usize = 500;
/// A label is cut here when it is quoted.
const MAX_LABEL: usize = 160;

/// The schema of this form.
pub(in super::super) fn schema(form: &Form) -> Value {
    let questions = || form.questions.iter().take(MAX_QUESTIONS);
    let asked = questions().filter(|question| question.group != QuestionGroup::Demographic);
    // As at submit: who it is from does not count.
    let is_own = |field: &QuestionField| Place::of(&field.name).is_some_and(|place| OWN_FIELDS.contains(&place.path));
    let consents = questions()
        .filter(|question| question.group == QuestionGroup::Consent)
        .filter(|question| !question.fields.iter().any(is_own))
        .count();
    let required = asked.filter(|question| question.required);
    let mut rules: Vec<Value> = required.filter_map(|question| answered(question, consents == 1)).collect();
    let shaped = questions().filter(|question| question.group != QuestionGroup::Demographic);
    let shapes: Vec<Value> =
        shaped.flat_map(|question| question.fields.iter().filter_map(|field| shape(&question.label, field))).collect();
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

/// The rule that a required question is answered. Who it is from is asked once, by the application form itself.
fn answered(question: &Question, only_consent: bool) -> Option<Value> {
    let field = question.fields.first()?;
    let place = Place::of(&field.name);
    if place.is_some_and(|place| OWN_FIELDS.contains(&place.path)) {
        return None;
    }
    let non_blank = || json!({ "type": "string", "pattern": r"\S" });
    let mut rule = match field.name.as_str() {
        NAME => {
            let ways = json!([
                within(&["person", "name", "as_typed"], non_blank()),
                within(&["person", "name", "given"], non_blank()),
                within(&["person", "name", "family"], non_blank()),
            ]);
            json!({ "anyOf": ways })
        }
        EMAIL => within(&["person", "emails"], json!({ "type": "array", "minItems": 1 })),
        PHONE => within(&["person", "phones"], json!({ "type": "array", "minItems": 1 })),
        LOCATION => {
            let mut ways: Vec<Value> =
                ["country", "city", "region"].map(|part| within(&["person", "address", part], non_blank())).to_vec();
            ways.push(within(&["person", "location", "text"], non_blank()));
            json!({ "anyOf": ways })
        }
        _ if field.vendor_type == EDUCATION => {
            within(&["history", "education"], json!({ "type": "array", "minItems": 1 }))
        }
        _ if question.group == QuestionGroup::Consent => consent(field, only_consent),
        name if field.kind == FieldKind::File => file(name),
        _ => contains("answers", &answer(field)),
    };
    let (message, fix, pointer) = missing(question, field);
    rule[words::KEYWORD] = words::new(Reason::AnswerMissing, &message, &fix, Some(pointer));
    rule[words::KEYWORD][words::QUESTION] = field.name.as_str().into();
    Some(rule)
}

/// `value` at the end of a path of objects that all must be there.
fn within(path: &[&str], value: Value) -> Value {
    path.iter().rev().fold(value, |inner, name| json!({ "properties": { *name: inner }, "required": [name] }))
}

fn contains(list: &str, item: &Value) -> Value {
    within(&[list], json!({ "type": "array", "contains": item }))
}

/// Given or refused: either is an answer.
fn consent(field: &QuestionField, only: bool) -> Value {
    let answer = contains("answers", &answer(field));
    if !only || field.kind != FieldKind::Boolean {
        return answer;
    }
    let said = json!({ "properties": { "purpose": { "const": PURPOSE } }, "required": ["purpose"] });
    json!({ "anyOf": [contains("consents", &said), answer] })
}

/// A file: one that names the question, one that an answer names, or, for the résumé, one of its kind.
fn file(name: &str) -> Value {
    let named = json!({ "properties": { "question": { "const": name } }, "required": ["question"] });
    let answered = json!({
        "required": ["question", "attachment"],
        "properties": { "question": { "const": name }, "declined": { "const": false } },
    });
    let mut ways = vec![contains("attachments", &named), contains("answers", &answered)];
    if name == RESUME {
        let of_kind =
            json!({ "properties": { "kind": { "const": "resume" }, "question": false }, "required": ["kind"] });
        ways.insert(0, contains("attachments", &of_kind));
    }
    json!({ "anyOf": ways })
}

/// An entry of `answers` that holds an answer to this question, right or wrong: the shape is another rule's matter.
fn answer(field: &QuestionField) -> Value {
    // A pattern speaks about texts only, so a number passes.
    let value = json!({ "required": ["value"], "properties": { "value": { "pattern": r"\S" } } });
    let ways = match field.kind {
        FieldKind::SingleSelect => json!([{ "required": ["option"] }, value]),
        FieldKind::MultiSelect => {
            json!([{ "required": ["options"] }, { "required": ["option"] }, value])
        }
        FieldKind::Text
        | FieldKind::LongText
        | FieldKind::Hidden
        | FieldKind::File
        | FieldKind::Boolean
        | FieldKind::Number
        | FieldKind::Date => json!([value]),
    };
    json!({
        "required": ["question"],
        "properties": { "question": { "const": field.name }, "declined": { "const": false } },
        "anyOf": ways,
    })
}

/// The rule that an entry of `answers` fits the field it answers.
fn shape(label: &str, field: &QuestionField) -> Option<Value> {
    if OWN_FIELDS.contains(&field.name.as_str()) || field.vendor_type == EDUCATION {
        return None;
    }
    let label = quoted(label);
    let value_of = |kind: &str, value: Value, fix: &str| {
        let properties = json!({ "value": value, "option": false, "options": false, "attachment": false });
        (Reason::ValueInvalid, format!("{label} takes {kind}."), fix.to_owned(), properties)
    };
    let listed = (1..=MAX_OPTIONS).contains(&field.options.len());
    let ids: Vec<&str> = field.options.iter().map(|option| option.id.as_str()).collect();
    let offered = if listed { json!({ "enum": ids }) } else { json!({ "type": "string" }) };
    let chosen = json!({ "properties": { "id": offered } });
    let unknown = || format!("The answer to {label} is not one of the options it offers.");
    let (reason, message, fix, properties) = match (field.vendor_type.as_str(), field.kind) {
        (_, FieldKind::File) => (
            Reason::ValueInvalid,
            format!("{label} takes a file."),
            "Name an attachment's id in `attachment`.".to_owned(),
            json!({ "value": false, "option": false, "options": false }),
        ),
        (_, FieldKind::SingleSelect) => {
            let properties = json!({ "option": chosen, "options": false, "attachment": false, "value": offered });
            (Reason::OptionUnknown, unknown(), offer(field, "option"), properties)
        }
        (_, FieldKind::MultiSelect) => {
            let listed = json!({ "anyOf": [offered, { "type": "array", "items": offered }] });
            let properties = json!({
                "option": chosen, "options": { "items": chosen }, "attachment": false, "value": listed,
            });
            (Reason::OptionUnknown, unknown(), offer(field, "options"), properties)
        }
        ("Score", _) => {
            let score = json!({ "type": ["integer", "string"], "minimum": 1, "maximum": 4, "pattern": "^[1-4]$" });
            value_of("a score from 1 to 4", score, "Send a number from 1 to 4 in `value`.")
        }
        (_, FieldKind::Number) => {
            let number = json!({ "type": ["integer", "string"], "pattern": "^-?[0-9]{1,18}$" });
            value_of("a whole number", number, "Send a whole number in `value`.")
        }
        (_, FieldKind::Boolean) => {
            let yes_no = json!({ "enum": [true, false, "true", "false"] });
            value_of("yes or no", yes_no, "Send true or false in `value`.")
        }
        (_, FieldKind::Date) => {
            let date = json!({ "type": "string", "format": "date" });
            value_of("a date", date, "Send it as YYYY-MM-DD in `value`.")
        }
        ("Email", _) => {
            let address = json!({ "type": "string", "pattern": r"^\S+@\S+$" });
            value_of("an e-mail address", address, "Send the address in `value`.")
        }
        (_, FieldKind::Text | FieldKind::LongText | FieldKind::Hidden) => {
            value_of("a text", json!({ "type": ["string", "number", "boolean"] }), "Send the text in `value`.")
        }
    };
    let mut words = words::new(reason, &message, &fix, None);
    words[words::QUESTION] = field.name.as_str().into();
    Some(json!({
        "if": { "properties": { "question": { "const": field.name } }, "required": ["question"] },
        "then": { "properties": properties, words::KEYWORD: words },
    }))
}

fn quoted(label: &str) -> String {
    let cut: String = label.trim().chars().take(MAX_LABEL).collect();
    if cut.is_empty() { "This question".to_owned() } else { format!("“{cut}”") }
}

/// The first options, for whoever writes the site.
fn offer(field: &QuestionField, member: &str) -> String {
    let some: Vec<String> =
        field.options.iter().take(8).map(|option| format!("{} ({})", option.id, quoted(&option.label))).collect();
    let more = if field.options.len() > some.len() { ", …" } else { "" };
    format!("Send the `id` of what was chosen in `{member}`, of: {}{more}.", some.join(", "))
}

/// What to say when a required question is not answered: to the applicant, to the site, and where to point.
fn missing(question: &Question, field: &QuestionField) -> (String, String, &'static str) {
    let said = |message: &str, fix: &str, pointer| (message.to_owned(), fix.to_owned(), pointer);
    let label = quoted(&question.label);
    match field.name.as_str() {
        NAME => said("The name is missing.", "Send `person.name.as_typed`, or its parts.", "/person/name"),
        EMAIL => said("The e-mail address is missing.", "Send it in `person.emails`.", "/person/emails"),
        PHONE => said("The phone number is missing.", "Send it in `person.phones`.", "/person/phones"),
        LOCATION => said(
            "The place where the applicant lives is missing.",
            "Send a country, city or region in `person.address`, or `person.location.text`.",
            "/person/address",
        ),
        _ if field.vendor_type == EDUCATION => {
            said("The education is missing.", "Send it in `history.education`.", "/history/education")
        }
        _ if question.group == QuestionGroup::Consent => (
            format!("{label} must be given or refused."),
            format!("Send the consent with the purpose `{PURPOSE}`, or answer the question `{}`.", field.name),
            "/consents",
        ),
        name if field.kind == FieldKind::File => (
            format!("{label} is missing."),
            format!("Send an attachment that names the question `{name}`, or, for the résumé, one of its kind."),
            "/attachments",
        ),
        name => (
            format!("{label} must be answered."),
            format!("Send an entry in `answers` for the question `{name}`."),
            "/answers",
        ),
    }
}
