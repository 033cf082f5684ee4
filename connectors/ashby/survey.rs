//! The surveys that belong to a posting: which of them this document answers, and what is sent for each. Pure.
//!
//! The vendor takes them one call each, after the application exists, so each is a step of its own. The only door through
//! which demographic answers leave (and the only answers that go through it): what stands in `demographics`, never what
//! stands in `answers`. A survey nobody answered is no step.

use causeway_core::application::Application;
use causeway_core::posting::{FieldKind, Form, Question, QuestionField};
use serde_json::{Map, Value, json};

use super::map::{self, Used, answer_to};

/// What a survey is for, in the order in which they are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Consent,
    Eeoc,
    Diversity,
    Questionnaire,
    Experience,
}

impl Kind {
    pub(super) const ALL: [Self; 5] =
        [Self::Consent, Self::Eeoc, Self::Diversity, Self::Questionnaire, Self::Experience];

    /// By the vendor's word for it.
    pub(super) fn of_vendor(word: &str) -> Option<Self> {
        Some(match word {
            "CandidateDataConsent" => Self::Consent,
            "EEOC" => Self::Eeoc,
            "Diversity" => Self::Diversity,
            "Questionnaire" => Self::Questionnaire,
            "CandidateExperience" => Self::Experience,
            _ => return None,
        })
    }

    /// What its fields' names begin with; also the scheme a document may name instead of the survey's id.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Eeoc => "eeoc",
            Self::Diversity => "diversity",
            Self::Questionnaire => "questionnaire",
            Self::Experience => "experience",
        }
    }

    /// The step that sends it.
    pub(super) const fn step(self) -> &'static str {
        match self {
            Self::Consent => "survey_consent",
            Self::Eeoc => "survey_eeoc",
            Self::Diversity => "survey_diversity",
            Self::Questionnaire => "survey_questionnaire",
            Self::Experience => "survey_experience",
        }
    }

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Consent => "Consent survey",
            Self::Eeoc => "Equal-opportunity survey",
            Self::Diversity => "Diversity survey",
            Self::Questionnaire => "Questionnaire",
            Self::Experience => "Experience survey",
        }
    }

    pub(super) const fn is_demographic(self) -> bool {
        match self {
            Self::Eeoc | Self::Diversity => true,
            Self::Consent | Self::Questionnaire | Self::Experience => false,
        }
    }
}

/// Where a field of a survey stands: `<kind>.<survey id>.<path>`, the name a form gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) kind: Kind,
    pub(super) survey: &'a str,
    pub(super) path: &'a str,
}

impl<'a> Place<'a> {
    pub(super) fn of(name: &'a str) -> Option<Self> {
        let mut parts = name.splitn(3, '.');
        let (word, survey, path) = (parts.next()?, parts.next()?, parts.next()?);
        let kind = Kind::ALL.into_iter().find(|kind| kind.word() == word)?;
        Some(Self { kind, survey, path })
    }

    pub(super) fn name(kind: Kind, survey: &str, path: &str) -> String {
        format!("{}.{survey}.{path}", kind.word())
    }
}

/// A survey that this document answers.
pub(super) struct Survey {
    pub(super) kind: Kind,
    pub(super) id: String,
    pub(super) values: Map<String, Value>,
}

/// The surveys to send, in order.
pub(super) fn surveys(application: &Application, form: Option<&Form>) -> Vec<Survey> {
    collect(application, form, &mut Used::default())
}

/// Marks what the surveys carry.
pub(super) fn note_used(application: &Application, form: Option<&Form>, used: &mut Used) {
    collect(application, form, used);
}

fn collect(application: &Application, form: Option<&Form>, used: &mut Used) -> Vec<Survey> {
    let mut surveys = Vec::new();
    for kind in Kind::ALL {
        let fields: Vec<(Place<'_>, &QuestionField)> = fields(form, kind);
        let Some(id) = fields.first().map(|(place, _)| place.survey.to_owned()) else { continue };
        let values = if kind.is_demographic() {
            demographic(application, &fields, used)
        } else {
            plain(application, kind, &fields, used)
        };
        if !values.is_empty() {
            surveys.push(Survey { kind, id, values });
        }
    }
    surveys
}

fn fields(form: Option<&Form>, kind: Kind) -> Vec<(Place<'_>, &QuestionField)> {
    let questions = form.map_or(&[][..], |form: &Form| form.questions.as_slice());
    let all = questions.iter().flat_map(|question: &Question| &question.fields);
    all.filter_map(|field| Some((Place::of(&field.name)?, field))).filter(|(place, _)| place.kind == kind).collect()
}

/// Answers by the survey's id or kind, under the field's full name or its path. The last word on a question counts.
fn demographic(
    application: &Application,
    fields: &[(Place<'_>, &QuestionField)],
    used: &mut Used,
) -> Map<String, Value> {
    let mut values = Map::new();
    for (index, given) in application.demographics.iter().enumerate() {
        let of_this =
            |place: &Place<'_>| given.scheme == place.survey || given.scheme.eq_ignore_ascii_case(place.kind.word());
        let declined = given.declined == Some(true);
        for (place, field) in fields.iter().filter(|(place, _)| of_this(place) && !declined) {
            let answer = given.answers.get(&field.name).or_else(|| given.answers.get(place.path));
            if let Some(value) = answer.and_then(|answer| survey_value(answer, field)) {
                values.insert(place.path.to_owned(), value);
                if !used.demographics.contains(&index) {
                    used.demographics.push(index);
                }
            }
        }
    }
    values
}

/// Consents, questionnaires and the like: answers by the field's full name. A consent form of one yes-or-no field is also
/// answered by the last word on the purpose `application`.
fn plain(
    application: &Application,
    kind: Kind,
    fields: &[(Place<'_>, &QuestionField)],
    used: &mut Used,
) -> Map<String, Value> {
    let mut values = Map::new();
    for (place, field) in fields {
        let Some((index, answer)) = answer_to(application, &field.name) else { continue };
        if let Some(value) = map::value(answer, field) {
            values.insert(place.path.to_owned(), value);
            used.answers.push(index);
        }
    }
    if let (Kind::Consent, true, Some(path)) = (kind, values.is_empty(), sole_consent(fields))
        && let Some(consent) = application.consents.iter().rev().find(|consent| consent.purpose == PURPOSE)
    {
        values.insert(path.to_owned(), json!(consent.given));
    }
    // Who it is from, where the form asks and somebody answered: the vendor's own sample has it so.
    if !values.is_empty() {
        for (place, field) in fields {
            if let Some(Some(own)) = map::own_value(place.path, &field.vendor_type, application) {
                values.insert(place.path.to_owned(), own);
            }
        }
    }
    values
}

/// The purpose of a consent that a survey of one yes-or-no field stands for.
pub(super) const PURPOSE: &str = "application";

/// The only yes-or-no field of a consent form; its name and e-mail do not count.
fn sole_consent<'a>(fields: &[(Place<'a>, &QuestionField)]) -> Option<&'a str> {
    let mut asked = fields.iter().filter(|(place, _)| !map::OWN_FIELDS.contains(&place.path));
    let (place, field) = asked.next()?;
    (field.kind == FieldKind::Boolean && asked.next().is_none()).then_some(place.path)
}

/// A demographic answer is plain JSON: a text, a number, true or false, or a list of texts.
fn survey_value(given: &Value, field: &QuestionField) -> Option<Value> {
    let many = field.vendor_type == "MultiValueSelect" || field.kind == FieldKind::MultiSelect;
    match given {
        Value::Array(list) if many => (!list.is_empty()).then(|| given.clone()),
        // A single choice that came as a list of one.
        Value::Array(list) => list.first().filter(|_| list.len() == 1).cloned(),
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(_) if many => Some(json!([given])),
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Some(given.clone()),
        Value::Null | Value::Object(_) => None,
    }
}

#[cfg(test)]
#[path = "survey_tests.rs"]
mod tests;
