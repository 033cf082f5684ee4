//! The posting's questions: what the vendor publishes as a core `Form`, where each answer lives in our document, and the
//! whole as JSON Schema over the canonical document.
//!
//! Pure. Keeps the vendor's paths, types, option values and titles, so an answer can be traced to its question. A survey's
//! field is named `<kind>.<survey id>.<path>`, which says at submit through which door its answer goes. One survey of a
//! kind per posting; equal-opportunity and diversity answers are never demanded, whatever the vendor's flag says.

mod schema;

use causeway_core::posting::{FieldKind, Form, Place, Question, QuestionField, QuestionGroup, QuestionOption};

use super::map::{EDUCATION, EMAIL, LOCATION, NAME, PHONE, RESUME};
use super::survey::{self, Kind};
use super::wire::{Entry, PostingInfo, SurveyDefinition};

pub(super) use schema::schema;

/// The form a posting publishes.
pub(super) fn form(published: PostingInfo) -> Form {
    let mut questions: Vec<Question> = published
        .application_form_definition
        .sections
        .iter()
        .flat_map(|section| &section.fields)
        .map(question)
        .collect();
    for kind in Kind::ALL {
        let Some(survey) = chosen(&published.survey_form_definitions, kind) else { continue };
        let fields = survey.form_definition.sections.iter().flat_map(|section| &section.fields);
        questions.extend(fields.map(|entry| survey_question(entry, kind, &survey.id)));
    }
    Form { posting_id: published.id, digest: String::new(), questions }
}

/// The default one of its kind, else the first.
fn chosen(surveys: &[SurveyDefinition], kind: Kind) -> Option<&SurveyDefinition> {
    let mut of_kind = surveys.iter().filter(|one| !one.is_archived && Kind::of_vendor(&one.survey_type) == Some(kind));
    let first = of_kind.clone().next();
    of_kind.find(|one| one.is_default_form).or(first)
}

fn question(entry: &Entry) -> Question {
    let group = if entry.field.path == LOCATION { QuestionGroup::Location } else { QuestionGroup::Application };
    let name = entry.field.path.clone();
    built(entry, name, group, entry.is_required.unwrap_or(true))
}

fn survey_question(entry: &Entry, kind: Kind, survey: &str) -> Question {
    let (group, required) = match kind {
        Kind::Consent => (QuestionGroup::Consent, entry.is_required.unwrap_or(true)),
        Kind::Eeoc | Kind::Diversity => (QuestionGroup::Demographic, false),
        // A call of their own, without which the application stands: nobody has to take part.
        Kind::Questionnaire | Kind::Experience => (QuestionGroup::Application, false),
    };
    built(entry, survey::Place::name(kind, survey, &entry.field.path), group, required)
}

fn built(entry: &Entry, name: String, group: QuestionGroup, required: bool) -> Question {
    let field = &entry.field;
    let options = field
        .selectable_values
        .iter()
        .map(|one| QuestionOption { id: one.value.clone(), label: one.label.clone() })
        .collect();
    Question {
        label: field.title.clone(),
        description: entry.description_html.clone().filter(|text| !text.trim().is_empty()),
        required,
        group,
        fields: vec![QuestionField { name, kind: kind(&field.r#type), options, vendor_type: field.r#type.clone() }],
    }
}

/// Where the answer to a field goes; the rules in `form/schema.rs` ask for it there.
pub(super) fn place(field: &QuestionField) -> Place {
    let part = |pointer: &str, whole: &str| Place::Member { pointer: pointer.to_owned(), whole: whole.to_owned() };
    let surveyed = survey::Place::of(&field.name);
    if let Some(survey) = surveyed.filter(|survey| survey.kind.is_demographic()) {
        let (scheme, name) = (survey.kind.word().to_owned(), survey.path.to_owned());
        return Place::Demographic { scheme, name };
    }
    // A survey that asks who it is from is told what the application says.
    match surveyed.map_or(field.name.as_str(), |survey| survey.path) {
        NAME => part("/person/name/as_typed", "/person/name"),
        EMAIL => part("/person/emails/0/address", "/person/emails"),
        PHONE => part("/person/phones/0/raw", "/person/phones"),
        LOCATION => part("/person/location/text", "/person/location"),
        RESUME => Place::Attachment { kind: "resume".to_owned() },
        // The school is all that is demanded of an entry.
        _ if field.vendor_type == EDUCATION => part("/history/education/0/school", "/history/education"),
        // Consents too: a field alone does not tell whether it is its survey's only one, for which `consents` would do.
        _ => Place::answer(field),
    }
}

/// The vendor's types. One it adds is shown as a text until this list knows better.
fn kind(vendor_type: &str) -> FieldKind {
    match vendor_type {
        "Boolean" => FieldKind::Boolean,
        "Date" => FieldKind::Date,
        "Number" | "Score" => FieldKind::Number,
        "RichText" | "LongText" => FieldKind::LongText,
        "ValueSelect" => FieldKind::SingleSelect,
        "MultiValueSelect" => FieldKind::MultiSelect,
        "File" => FieldKind::File,
        _ => FieldKind::Text,
    }
}

#[cfg(test)]
#[path = "form_tests.rs"]
mod tests;
