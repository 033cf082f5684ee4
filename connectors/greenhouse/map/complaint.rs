//! A field the vendor complains about, pointed at the canonical document in words of ours.

use causeway_core::application::{Application, Attachment};
use causeway_core::outcome::FieldReason;
use causeway_core::posting::{Form, Question};
use causeway_core::reason::Reason;

use super::{FILE_FIELDS, file_for, given_answers, plain};

/// The vendor's complaint about a field, pointed at the canonical document.
pub(in super::super) fn name_field(field: &str, application: &Application, form: Option<&Form>) -> Option<FieldReason> {
    let complaint = |pointer: &str, what: &str, reason| {
        Some(FieldReason { pointer: pointer.to_owned(), reason, text: format!("The ATS did not accept {what}.") })
    };
    let file =
        FILE_FIELDS.into_iter().find(|file| field.strip_prefix(file).is_some_and(|rest| !rest.starts_with("_text")));
    let position = |attachment: &Attachment| application.attachments.iter().position(|other| other.id == attachment.id);
    match field {
        "first_name" => complaint("/person/name/given", "the first name", Reason::ValueInvalid),
        "last_name" => complaint("/person/name/family", "the last name", Reason::ValueInvalid),
        "email" => complaint("/person/emails/0/address", "the e-mail address", Reason::ValueInvalid),
        "phone" => complaint("/person/phones/0", "the phone number", Reason::ValueInvalid),
        "location" | "latitude" | "longitude" => complaint("/person/location", "the place", Reason::ValueInvalid),
        "employments" => complaint("/history/employment", "the employment history", Reason::ValueInvalid),
        "data_compliance" => complaint("/consents", "the consents", Reason::ValueInvalid),
        "demographic_answers" | "gender" | "race" | "veteran_status" | "disability_status" => {
            complaint("/demographics", "the voluntary survey", Reason::ValueInvalid)
        }
        _ => {
            if let Some(attachment) = file.and_then(|name| file_for(application, name)) {
                let pointer = format!("/attachments/{}", position(attachment)?);
                return complaint(&pointer, "the file", Reason::FileRefused);
            }
            let name = plain(field);
            let (index, _) = given_answers(application).find(|(_, answer)| plain(&answer.question) == name)?;
            let label = form.and_then(|form| {
                let asks = |question: &&Question| question.fields.iter().any(|f| f.name == name);
                form.questions.iter().find(asks).map(|question| question.label.as_str())
            });
            let what = label.map_or_else(|| "an answer".to_owned(), |label| format!("the answer to “{label}”"));
            complaint(&format!("/answers/{index}"), &what, Reason::ValueInvalid)
        }
    }
}
