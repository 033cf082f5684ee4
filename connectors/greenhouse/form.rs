//! The posting's questions: what the vendor publishes as a core `Form`, and where each answer lives in our document.
//!
//! Pure. Keeps the vendor's field names, option ids and labels as they are (less the `[]` of multi-selects), so an
//! answer can be traced to its question. The JSON Schema over the canonical document is `form/schema.rs`. The digest is
//! left to whoever stores the form.

mod schema;

use causeway_core::posting::{FieldKind, Form, Place, Question, QuestionField, QuestionGroup, QuestionOption};

use super::map::{DEMOGRAPHIC_PREFIX, EEOC, FILE_FIELDS, OLD_CONSENT, PURPOSES, plain};
use super::wire;

pub(super) use schema::schema;

/// The form a job post publishes.
pub(super) fn form(published: wire::Questions) -> Form {
    let mut questions: Vec<Question> = Vec::new();
    questions.extend(published.questions.into_iter().map(|asked| question(asked, QuestionGroup::Application)));
    questions.extend(published.location_questions.into_iter().map(|asked| question(asked, QuestionGroup::Location)));
    for block in published.compliance {
        for mut asked in block.questions {
            // The block explains the survey; its questions have no description of their own.
            asked.description = asked.description.or_else(|| block.description.clone());
            questions.push(question(asked, QuestionGroup::Demographic));
        }
    }
    if let Some(survey) = published.demographic_questions {
        let description = survey.description;
        questions.extend(survey.questions.into_iter().map(|asked| survey_question(asked, description.clone())));
    }
    questions.extend(consent_questions(&published.data_compliance));
    Form { posting_id: published.id.0, digest: String::new(), questions }
}

fn question(asked: wire::Question, group: QuestionGroup) -> Question {
    Question {
        label: asked.label,
        description: asked.description.map(|text| wire::unescape(&text)).filter(|text| !text.is_empty()),
        // Surveys are voluntary whatever the vendor's flag says.
        required: asked.required && group != QuestionGroup::Demographic,
        group,
        fields: asked.fields.into_iter().map(field).collect(),
    }
}

fn field(field: wire::Field) -> QuestionField {
    let option = |value: wire::FieldValue| QuestionOption { id: value.value.0, label: value.label };
    QuestionField {
        kind: kind(&field.r#type),
        name: plain(&field.name).to_owned(),
        options: field.values.into_iter().map(option).collect(),
        vendor_type: String::new(),
    }
}

fn survey_question(asked: wire::DemographicQuestion, description: Option<String>) -> Question {
    let option = |option: wire::DemographicOption| QuestionOption { id: option.id.0, label: option.label };
    Question {
        label: asked.label,
        description,
        required: false,
        group: QuestionGroup::Demographic,
        fields: vec![QuestionField {
            name: format!("{DEMOGRAPHIC_PREFIX}{}", asked.id.0),
            kind: kind(&asked.r#type),
            options: asked.answer_options.into_iter().map(option).collect(),
            vendor_type: String::new(),
        }],
    }
}

/// The consents the organisation asks for. One question each, however many rules ask for it.
fn consent_questions(rules: &[wire::DataCompliance]) -> Vec<Question> {
    let [(_, processing), (_, retention), _] = PURPOSES else { return Vec::new() };
    let asked = [
        (OLD_CONSENT, "Consent to data processing", rules.iter().any(|rule| rule.requires_consent)),
        (*processing, "Consent to data processing", rules.iter().any(|rule| rule.requires_processing_consent)),
        (*retention, "Consent to keep the data", rules.iter().any(|rule| rule.requires_retention_consent)),
    ];
    let question = |(name, label, _): (&str, &str, bool)| Question {
        label: label.to_owned(),
        description: None,
        required: true,
        group: QuestionGroup::Consent,
        fields: vec![QuestionField {
            name: name.to_owned(),
            kind: FieldKind::Boolean,
            options: Vec::new(),
            ..QuestionField::default()
        }],
    };
    asked.into_iter().filter(|(_, _, asked)| *asked).map(question).collect()
}

/// Where the answer to a field goes; the rules in `form/schema.rs` ask for it there.
pub(super) fn place(question: &Question, field: &QuestionField) -> Place {
    let part = |pointer: &str, whole: &str| Place::Member { pointer: pointer.to_owned(), whole: whole.to_owned() };
    match (field.name.as_str(), question.group) {
        ("first_name", _) => Place::member("/person/name/given"),
        ("last_name", _) => Place::member("/person/name/family"),
        ("email", _) => part("/person/emails/0/address", "/person/emails"),
        ("phone", _) => part("/person/phones/0/raw", "/person/phones"),
        ("location", _) => part("/person/location/text", "/person/location"),
        ("latitude", _) => part("/person/location/lat", "/person/location"),
        ("longitude", _) => part("/person/location/lng", "/person/location"),
        (name, QuestionGroup::Consent) => Place::Consent { purpose: purpose(name).to_owned() },
        (name, QuestionGroup::Demographic) => {
            // The vendor's own survey takes any scheme; its equal-opportunity fields open for one only.
            let scheme = if name.starts_with(DEMOGRAPHIC_PREFIX) { "ats" } else { EEOC };
            Place::Demographic { scheme: scheme.to_owned(), name: name.to_owned() }
        }
        (name, _) if field.kind == FieldKind::File && FILE_FIELDS.contains(&name) => {
            Place::Attachment { kind: name.to_owned() }
        }
        (_, QuestionGroup::Application | QuestionGroup::Location) => Place::answer(field),
    }
}

/// The purpose a consent flag of the vendor's stands for.
fn purpose(flag: &str) -> &'static str {
    PURPOSES.iter().find(|(_, name)| *name == flag).map_or("application", |(purpose, _)| *purpose)
}

/// The vendor's six types. One it adds is shown as a text until this list knows better.
fn kind(vendor_type: &str) -> FieldKind {
    match vendor_type {
        "input_file" => FieldKind::File,
        "input_hidden" => FieldKind::Hidden,
        "textarea" => FieldKind::LongText,
        "multi_value_single_select" => FieldKind::SingleSelect,
        "multi_value_multi_select" => FieldKind::MultiSelect,
        _ => FieldKind::Text,
    }
}

#[cfg(test)]
#[path = "form_tests.rs"]
mod tests;
