//! The canonical application as the body of a submit. Pure: document, files and form in, body out.
//!
//! Decides for every canonical field whether it is carried, transformed or left behind; the README's table says which
//! and why, and a test holds the two together. Refuses nothing: what the vendor would refuse is in
//! `schemas/greenhouse/` or the posting's form. What this one document had and the vendor will not get (a place without
//! coordinates, a portfolio) is listed by JSON pointer in [`Body::not_carried`]; pointers are not personal data.

mod complaint;
mod extras;

use causeway_core::application::{Answer, Application, Attachment};
use causeway_core::connector::File;
use causeway_core::posting::{FieldKind, Form, Question, QuestionField, QuestionGroup};
use data_encoding::BASE64;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Value, json};

pub(super) use complaint::name_field;
pub(super) use extras::{EEOC, OLD_CONSENT, PURPOSES};

/// How a demographic question is named in a form and in a document's `demographics[].answers`.
pub(super) const DEMOGRAPHIC_PREFIX: &str = "demographic_";
/// The files that have a field of their own: the vendor's name is also our kind.
pub(super) const FILE_FIELDS: [&str; 2] = ["resume", "cover_letter"];

/// The vendor's own fields: filled from their place in the document, never from an answer that borrows the name.
pub(super) const OWN_FIELDS: &[&str] = &[
    "mapped_url_token",
    "applicant_ip",
    "first_name",
    "last_name",
    "email",
    "phone",
    "location",
    "latitude",
    "longitude",
    "resume",
    "cover_letter",
    "educations",
    "employments",
    "gender",
    "race",
    "veteran_status",
    "disability_status",
    "demographic_answers",
    "data_compliance",
];

/// The body of a submit, in the order of the vendor's page.
#[derive(Default)]
pub(super) struct Body<'a> {
    fields: Vec<(String, Part<'a>)>,
    /// JSON pointers of what this document holds and this body does not, beyond what never is carried.
    pub(super) not_carried: Vec<String>,
}

enum Part<'a> {
    Json(Value),
    Base64(&'a [u8]),
}

/// An attachment whose bytes were not handed over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileMissing;

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (name, part) in &self.fields {
            match part {
                Part::Json(value) => map.serialize_entry(name, value)?,
                // Straight into the output: a résumé is held once as bytes and once as the request.
                Part::Base64(bytes) => map.serialize_entry(name, &Streamed(bytes))?,
            }
        }
        map.end()
    }
}

struct Streamed<'a>(&'a [u8]);

impl Serialize for Streamed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&BASE64.encode_display(self.0))
    }
}

/// The body for this document.
pub(super) fn body<'a>(
    application: &'a Application,
    files: &'a [File],
    form: Option<&Form>,
) -> Result<Body<'a>, FileMissing> {
    let mut body = Body::default();
    source(&mut body, application);
    person(&mut body, application);
    let mut sent = Vec::new();
    for name in FILE_FIELDS {
        if let Some(attachment) = file_for(application, name) {
            body.file(name, attachment, files)?;
            sent.push(attachment.id.as_str());
        }
    }
    answers(&mut body, application, form, files, &mut sent)?;
    for (index, attachment) in application.attachments.iter().enumerate() {
        if !sent.contains(&attachment.id.as_str()) {
            body.not_carried.push(format!("/attachments/{index}"));
        }
    }
    extras::employments(&mut body, &application.history.employment);
    extras::demographics(&mut body, application);
    extras::consents(&mut body, application, form);
    Ok(body)
}

fn source(body: &mut Body<'_>, application: &Application) {
    body.text("mapped_url_token", application.source.click_ids.get("gh_src").and_then(Value::as_str));
    body.text("applicant_ip", application.client.ip.as_deref());
}

fn person(body: &mut Body<'_>, application: &Application) {
    let person = &application.person;
    body.text("first_name", Some(&person.name.given));
    let family = match person.name.second_family.as_deref().filter(|second| !second.trim().is_empty()) {
        Some(second) => format!("{} {second}", person.name.family),
        None => person.name.family.clone(),
    };
    body.text("last_name", Some(&family));
    body.text("email", application.primary_email());
    body.text("phone", person.phones.first().map(|phone| phone.e164.as_deref().unwrap_or(&phone.raw)));
    if let Some(place) = &person.location {
        match (place.lat, place.lng) {
            (Some(lat), Some(lng)) if !place.text.trim().is_empty() => {
                body.text("location", Some(&place.text));
                // As text, like the vendor's own sample.
                body.text("latitude", Some(&lat.to_string()));
                body.text("longitude", Some(&lng.to_string()));
            }
            // The vendor ignores a place that lacks one of the three.
            _ => body.not_carried.push("/person/location".to_owned()),
        }
    }
}

/// The attachment that goes into a file field: one that answers the question, one that an answer names, or the first of
/// the field's kind that answers nothing else.
pub(super) fn file_for<'a>(application: &'a Application, name: &str) -> Option<&'a Attachment> {
    let by_question = application.attachments.iter().find(|attachment| attachment.question.as_deref() == Some(name));
    let by_answer = || {
        let id =
            given_answers(application).find(|(_, answer)| plain(&answer.question) == name)?.1.attachment.as_deref()?;
        application.attachments.iter().find(|attachment| attachment.id == id)
    };
    let by_kind = || FILE_FIELDS.contains(&name).then(|| application.attachment_of_kind(name)).flatten();
    by_question.or_else(by_answer).or_else(by_kind)
}

fn given_answers(application: &Application) -> impl Iterator<Item = (usize, &Answer)> {
    application.answers.iter().enumerate().filter(|(_, answer)| answer.declined != Some(true))
}

/// The name without the `[]` that multi-selects carry in the vendor's form encoding.
pub(super) fn plain(name: &str) -> &str {
    name.strip_suffix("[]").unwrap_or(name)
}

fn answers<'a>(
    body: &mut Body<'a>,
    application: &'a Application,
    form: Option<&Form>,
    files: &'a [File],
    sent: &mut Vec<&'a str>,
) -> Result<(), FileMissing> {
    for (index, answer) in given_answers(application) {
        let name = plain(&answer.question);
        let field = form.and_then(|form| field_of(form, name));
        let answered = body.has(name) || body.has(&format!("{name}_content"));
        if answered || !(is_question(name) || is_alternative_text(name) || field.is_some()) {
            // Also keeps an answer from posing as one of the vendor's own fields.
            if !FILE_FIELDS.contains(&name) || answer.attachment.is_none() {
                body.not_carried.push(format!("/answers/{index}"));
            }
            continue;
        }
        if let Some(attachment) = file_for(application, name) {
            body.file(name, attachment, files)?;
            sent.push(attachment.id.as_str());
            continue;
        }
        match answer_value(answer, field) {
            // A text beside the file it stands in for: one of the alternatives is enough.
            Some(_) if name.strip_suffix("_text").is_some_and(|file| body.has(&format!("{file}_content"))) => {
                body.not_carried.push(format!("/answers/{index}"));
            }
            Some(value) => body.put(name, value),
            None => body.not_carried.push(format!("/answers/{index}")),
        }
    }
    // Files that name their question themselves and have no entry in `answers`.
    for attachment in &application.attachments {
        let Some(name) = attachment.question.as_deref().map(plain) else { continue };
        if is_question(name) && !sent.contains(&attachment.id.as_str()) && !body.has(&format!("{name}_content")) {
            body.file(name, attachment, files)?;
            sent.push(attachment.id.as_str());
        }
    }
    Ok(())
}

/// `question_` and digits: a custom question. `question_1_url` is not one; the vendor would fetch what it names.
fn is_question(name: &str) -> bool {
    name.strip_prefix("question_").is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_alternative_text(name: &str) -> bool {
    name.strip_suffix("_text").is_some_and(|file| FILE_FIELDS.contains(&file))
}

/// The field of the posting's form that an entry in `answers` answers; never one of the vendor's own fields.
fn field_of<'f>(form: &'f Form, name: &str) -> Option<&'f QuestionField> {
    let asked = |question: &&Question| matches!(question.group, QuestionGroup::Application | QuestionGroup::Location);
    let mut fields = form.questions.iter().filter(asked).flat_map(|question| &question.fields);
    fields.find(|field| field.name == name).filter(|field| !OWN_FIELDS.contains(&field.name.as_str()))
}

fn answer_value(answer: &Answer, field: Option<&QuestionField>) -> Option<Value> {
    let many = field.map_or(!answer.options.is_empty(), |field| field.kind == FieldKind::MultiSelect);
    if field.is_some_and(|field| field.kind == FieldKind::File) {
        return None;
    }
    if many {
        let chosen: Vec<Value> = answer.options.iter().chain(&answer.option).map(|option| choice(&option.id)).collect();
        return (!chosen.is_empty()).then_some(Value::Array(chosen));
    }
    if let Some(option) = &answer.option {
        return Some(choice(&option.id));
    }
    let select = field.is_some_and(|field| field.kind == FieldKind::SingleSelect);
    match answer.value.as_ref()? {
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) if select => Some(choice(text)),
        Value::String(text) => Some(json!(text)),
        Value::Number(number) if select => Some(json!(number)),
        Value::Number(number) => Some(json!(number.to_string())),
        // Yes-or-no questions are selects with the values 1 and 0.
        Value::Bool(yes) => Some(json!(u8::from(*yes))),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// An option value as the vendor writes it: a number where it is one.
fn choice(id: &str) -> Value {
    id.parse::<i64>().map_or_else(|_| json!(id), |number| json!(number))
}

impl<'a> Body<'a> {
    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(field, _)| field == name)
    }

    fn put(&mut self, name: &str, value: Value) {
        self.fields.push((name.to_owned(), Part::Json(value)));
    }

    fn text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
            self.put(name, json!(text));
        }
    }

    fn file(&mut self, name: &str, attachment: &Attachment, files: &'a [File]) -> Result<(), FileMissing> {
        let file = files.iter().find(|file| file.id == attachment.id).ok_or(FileMissing)?;
        self.fields.push((format!("{name}_content"), Part::Base64(&file.bytes)));
        self.put(&format!("{name}_content_filename"), json!(attachment.name));
        Ok(())
    }
}

#[cfg(test)]
#[path = "map_tests.rs"]
mod tests;
