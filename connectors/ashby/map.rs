//! The canonical application as the vendor's form submissions. Pure: document, form and files in, values out.
//!
//! Decides for every canonical field whether it is carried, transformed or left behind; the README's table says which and
//! why, and a test holds the two together. Refuses nothing: what the vendor would refuse is in the posting's form. What
//! this one document had and the vendor will not get is listed by JSON pointer in [`Submission::not_carried`]. Demographic
//! answers never go through this door, whatever they are called: see `survey`.

mod value;

use causeway_core::application::{Answer, Application, Attachment};
use causeway_core::connector::File;
use causeway_core::posting::{FieldKind, Form, Question, QuestionField, QuestionGroup};
use serde_json::{Map, Value, json};

use super::survey;

pub(super) use value::{place, value};

/// The vendor's own fields, filled from their place in the document and never from an answer that borrows the name.
pub(super) const NAME: &str = "_systemfield_name";
pub(super) const EMAIL: &str = "_systemfield_email";
pub(super) const RESUME: &str = "_systemfield_resume";
/// These two are third parties' observation.
pub(super) const PHONE: &str = "_systemfield_phone";
pub(super) const LOCATION: &str = "_systemfield_location";
pub(super) const OWN_FIELDS: [&str; 5] = [NAME, EMAIL, RESUME, PHONE, LOCATION];
/// The vendor's type that is filled from the education history.
pub(super) const EDUCATION: &str = "EducationHistory";

/// The members of `utmData`.
const UTM: [&str; 5] = ["source", "campaign", "medium", "term", "content"];

/// What a submit sends, files still to be uploaded.
pub(super) struct Submission<'a> {
    fields: Vec<(String, Part<'a>)>,
    utm: Map<String, Value>,
    /// JSON pointers of what this document holds and no call of this delivery carries, beyond what never is carried.
    pub(super) not_carried: Vec<String>,
}

enum Part<'a> {
    Value(Value),
    File(Upload<'a>),
}

/// A file that a field refers to.
pub(super) struct Upload<'a> {
    pub(super) attachment: &'a Attachment,
    pub(super) file: &'a File,
}

/// An attachment whose bytes were not handed over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileMissing;

impl<'a> Submission<'a> {
    /// What is to be uploaded, in the order of [`Self::body`]'s handles.
    pub(super) fn uploads(&self) -> impl Iterator<Item = &Upload<'a>> {
        self.fields.iter().filter_map(|(_, part)| match part {
            Part::File(upload) => Some(upload),
            Part::Value(_) => None,
        })
    }

    /// The body of the submit; each file's field takes the handle of its upload.
    pub(super) fn body(&self, posting_id: &str, handles: &[String]) -> Value {
        let mut handles = handles.iter();
        let fields: Vec<Value> = self
            .fields
            .iter()
            .filter_map(|(path, part)| match part {
                Part::Value(value) => Some(json!({ "path": path, "value": value })),
                Part::File(_) => handles.next().map(|handle| json!({ "path": path, "value": handle })),
            })
            .collect();
        let mut body = json!({
            "jobPostingId": posting_id,
            "applicationForm": { "fieldSubmissions": fields },
            // The vendor's default is true, and would take applications to a job that is no longer there.
            "allowSubmissionForUnpublishedJobPosting": false,
        });
        if !self.utm.is_empty() {
            body["utmData"] = Value::Object(self.utm.clone());
        }
        body
    }
}

/// What is sent for this document.
pub(super) fn submission<'a>(
    application: &'a Application,
    files: &'a [File],
    form: Option<&Form>,
) -> Result<Submission<'a>, FileMissing> {
    let mut submission = Submission { fields: Vec::new(), utm: utm(application), not_carried: Vec::new() };
    let mut used = Used::default();
    let fallback = without_form(application);
    for field in form.map_or_else(|| fallback.iter().collect::<Vec<_>>(), asked) {
        if let Some(part) = part(field, application, files, &mut used)? {
            submission.fields.push((field.name.clone(), part));
        }
    }
    survey::note_used(application, form, &mut used);
    submission.not_carried = used.left(application, form.is_some());
    Ok(submission)
}

/// The fields of the application form itself, without those of its surveys.
pub(super) fn asked(form: &Form) -> Vec<&QuestionField> {
    let own = |question: &&Question| matches!(question.group, QuestionGroup::Application | QuestionGroup::Location);
    let fields = form.questions.iter().filter(own).flat_map(|question| &question.fields);
    fields.filter(|field| survey::Place::of(&field.name).is_none()).collect()
}

/// Without a form: the vendor's own fields, and each answer as it came.
fn without_form(application: &Application) -> Vec<QuestionField> {
    let field = |name: &str, kind| QuestionField { name: name.to_owned(), kind, ..QuestionField::default() };
    let mut fields = vec![field(NAME, FieldKind::Text), field(EMAIL, FieldKind::Text), field(RESUME, FieldKind::File)];
    for (_, answer) in given(application) {
        let name = answer.question.as_str();
        if !OWN_FIELDS.contains(&name) && survey::Place::of(name).is_none() {
            let kind = if answer.attachment.is_some() { FieldKind::File } else { FieldKind::Text };
            fields.push(field(name, kind));
        }
    }
    fields
}

fn part<'a>(
    field: &QuestionField,
    application: &'a Application,
    files: &'a [File],
    used: &mut Used,
) -> Result<Option<Part<'a>>, FileMissing> {
    if field.kind == FieldKind::File {
        let Some((index, attachment)) = file_for(application, &field.name) else { return Ok(None) };
        let file = files.iter().find(|file| file.id == attachment.id).ok_or(FileMissing)?;
        used.attachments.push(index);
        used.answers.extend(answer_to(application, &field.name).map(|(index, _)| index));
        return Ok(Some(Part::File(Upload { attachment, file })));
    }
    if let Some(own) = own_value(&field.name, &field.vendor_type, application) {
        return Ok(own.map(Part::Value));
    }
    let Some((index, answer)) = answer_to(application, &field.name) else { return Ok(None) };
    let value = value(answer, field);
    used.answers.extend(value.is_some().then_some(index));
    Ok(value.map(Part::Value))
}

/// `Some` when the field has a place of its own in the document; the inner one is what stands there.
pub(super) fn own_value(path: &str, vendor_type: &str, application: &Application) -> Option<Option<Value>> {
    let person = &application.person;
    let filled = |text: &str| !text.trim().is_empty();
    match path {
        NAME => Some(full_name(application).map(|name| json!(name))),
        EMAIL => Some(application.primary_email().filter(|text| filled(text)).map(|text| json!(text))),
        PHONE => {
            let phone = person.phones.first().map(|phone| phone.e164.as_deref().unwrap_or(&phone.raw));
            Some(phone.filter(|text| filled(text)).map(|text| json!(text)))
        }
        LOCATION => Some(location(application)),
        _ if vendor_type == EDUCATION => Some(value::education(&application.history.education)),
        _ => None,
    }
}

/// One field at the vendor: as typed where that is known, else the parts in order.
pub(super) fn full_name(application: &Application) -> Option<String> {
    let name = &application.person.name;
    let typed = name.as_typed.as_deref().filter(|typed| !typed.trim().is_empty());
    let parts =
        [Some(name.given.as_str()), name.middle.as_deref(), Some(name.family.as_str()), name.second_family.as_deref()];
    let joined = || parts.into_iter().flatten().map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>();
    let name = typed.map_or_else(|| joined().join(" "), |typed| typed.trim().to_owned());
    (!name.is_empty()).then_some(name)
}

/// Any of country, city and region: the address if it has one of them, else the free text taken apart at its commas.
fn location(application: &Application) -> Option<Value> {
    let mut parts = Map::new();
    if let Some(address) = &application.person.address {
        for (name, part) in [("country", &address.country), ("city", &address.city), ("region", &address.region)] {
            if let Some(part) = part.as_deref().filter(|part| !part.trim().is_empty()) {
                parts.insert(name.to_owned(), json!(part));
            }
        }
    }
    if parts.is_empty() {
        return application.person.location.as_ref().and_then(|location| place(&location.text));
    }
    Some(Value::Object(parts))
}

fn utm(application: &Application) -> Map<String, Value> {
    let given = &application.source.utm;
    let text = |name: &str| given.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let of = |name: &str| text(&format!("utm_{name}")).or_else(|| text(name));
    UTM.iter().filter_map(|name| Some((format!("utm_{name}"), json!(of(name)?)))).collect()
}

pub(super) fn given(application: &Application) -> impl Iterator<Item = (usize, &Answer)> {
    application.answers.iter().enumerate().filter(|(_, answer)| answer.declined != Some(true))
}

/// The first answer to a question counts.
pub(super) fn answer_to<'a>(application: &'a Application, name: &str) -> Option<(usize, &'a Answer)> {
    given(application).find(|(_, answer)| answer.question == name)
}

/// The attachment that goes into a file field: one that names the question, one that an answer names, or, for the résumé,
/// the first of its kind that answers nothing else.
fn file_for<'a>(application: &'a Application, name: &str) -> Option<(usize, &'a Attachment)> {
    let find = |wanted: &dyn Fn(&Attachment) -> bool| {
        application.attachments.iter().enumerate().find(|(_, attachment)| wanted(attachment))
    };
    let by_question = find(&|attachment| attachment.question.as_deref() == Some(name));
    let by_answer = || {
        let id = answer_to(application, name)?.1.attachment.as_deref()?;
        find(&|attachment| attachment.id == id)
    };
    let by_kind = || find(&|attachment| name == RESUME && attachment.kind == "resume" && attachment.question.is_none());
    by_question.or_else(by_answer).or_else(by_kind)
}

/// What of the document some call of this delivery carries.
#[derive(Default)]
pub(super) struct Used {
    pub(super) answers: Vec<usize>,
    pub(super) attachments: Vec<usize>,
    pub(super) demographics: Vec<usize>,
}

impl Used {
    fn left(&self, application: &Application, form_known: bool) -> Vec<String> {
        let answers = given(application)
            .map(|(index, _)| index)
            .filter(|index| !self.answers.contains(index))
            .map(|index| format!("/answers/{index}"));
        let attachments = (0..application.attachments.len())
            .filter(|index| !self.attachments.contains(index))
            .map(|index| format!("/attachments/{index}"));
        // Without a form it is not known which surveys there are.
        let surveys = application.demographics.iter().enumerate().filter(|(_, one)| one.declined != Some(true));
        let demographics = surveys
            .map(|(index, _)| index)
            .filter(|index| !form_known || !self.demographics.contains(index))
            .map(|index| format!("/demographics/{index}"));
        answers.chain(attachments).chain(demographics).collect()
    }
}

#[cfg(test)]
#[path = "map_tests.rs"]
mod tests;
