//! The seeded postings: invented, with every type of field and survey that the facts name.

use super::postings::{Field, Posting, SurveyForm};
use crate::harness::Random;

/// 2026-09-01T08:00:00Z; the postings are older than any run.
const PUBLISHED_MS: i64 = 1_788_249_600_000;

type Seeded = (&'static str, &'static str, &'static str, Asks, bool, bool);

/// What a posting asks beyond name, e-mail and résumé.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    Nothing,
    /// One of each type of field.
    Types,
    /// Consent, one yes-or-no field.
    Consent,
    /// Consent, equal opportunity, diversity, questionnaire.
    Surveys,
}

const POSTINGS: [Seeded; 8] = [
    ("Backend Engineer", "Berlin, Germany", "Engineering", Asks::Types, true, true),
    ("Ingénieure données", "Lyon, France", "Engineering", Asks::Consent, true, true),
    ("Account Executive", "New York, United States", "Sales", Asks::Surveys, true, true),
    ("データエンジニア", "東京, 日本", "Engineering", Asks::Nothing, true, true),
    ("Customer Support Specialist", "Remote, Europe", "Support", Asks::Consent, true, true),
    ("Field Technician", "Austin, United States", "Operations", Asks::Nothing, true, true),
    ("Payroll Specialist", "Amsterdam, Netherlands", "Finance", Asks::Nothing, true, false),
    ("Chief of Staff", "Zürich, Switzerland", "People", Asks::Nothing, false, true),
];

/// The last but one is not published any more, the last one is unlisted.
pub(super) fn postings(random: &mut Random) -> Vec<Posting> {
    POSTINGS.iter().map(|seeded| posting(random, seeded)).collect()
}

fn posting(random: &mut Random, &(title, location, department, asks, listed, live): &Seeded) -> Posting {
    Posting {
        id: random.uuid(),
        job_id: random.uuid(),
        title: title.to_owned(),
        location: location.to_owned(),
        department: department.to_owned(),
        listed,
        live,
        updated_ms: PUBLISHED_MS,
        fields: fields(random, asks),
        surveys: surveys(random, asks),
    }
}

/// Name, e-mail and résumé: the built-in paths that the facts name (A 3.1).
pub(super) fn standard(random: &mut Random) -> Vec<Field> {
    vec![
        Field::new(random, "String", Some("_systemfield_name"), "Name", true),
        Field::new(random, "Email", Some("_systemfield_email"), "Email", true),
        Field::new(random, "File", Some("_systemfield_resume"), "Resume", false),
    ]
}

fn fields(random: &mut Random, asks: Asks) -> Vec<Field> {
    let mut fields = standard(random);
    if asks == Asks::Types {
        fields.push(Field::new(random, "LongText", None, "Why do you want to work here?", true));
        fields.push(Field::new(random, "Boolean", None, "Are you allowed to work in this country?", true));
        let years = ["Less than 2", "2 to 5", "More than 5"];
        fields.push(Field::new(random, "ValueSelect", None, "Years of experience", true).choosing(&years));
        let skills = ["Kubernetes", "Rust", "PostgreSQL"];
        fields.push(Field::new(random, "MultiValueSelect", None, "What have you run?", false).choosing(&skills));
        fields.push(Field::new(random, "Date", None, "When could you start?", false));
        fields.push(Field::new(random, "Number", None, "Notice period in weeks", false));
        fields.push(Field::new(random, "Score", None, "How well do you know Rust?", false));
        fields.push(Field::new(random, "RichText", None, "Anything else?", false));
        fields.push(Field::new(random, "Phone", None, "Phone number for the interview", false));
        fields.push(Field::new(random, "Location", None, "Where do you want to work?", false));
        fields.push(Field::new(random, "EducationHistory", None, "Education", false));
        fields.push(Field::new(random, "File", None, "Portfolio", false));
    }
    fields
}

fn surveys(random: &mut Random, asks: Asks) -> Vec<SurveyForm> {
    let survey =
        |random: &mut Random, kind: &str, fields| SurveyForm { id: random.uuid(), kind: kind.to_owned(), fields };
    let mut surveys = Vec::new();
    if matches!(asks, Asks::Consent | Asks::Surveys) {
        let fields = vec![Field::new(random, "Boolean", None, "I agree that my data is kept for two years", true)];
        surveys.push(survey(random, "CandidateDataConsent", fields));
    }
    if asks == Asks::Surveys {
        let options = ["Male", "Female", "Decline to self-identify"];
        // The paths of this block are third parties' observation.
        let gender = Field::new(random, "ValueSelect", Some("_systemfield_eeoc_gender"), "Gender", true);
        surveys.push(survey(random, "EEOC", vec![gender.choosing(&options)]));
        let pronouns = Field::new(random, "MultiValueSelect", None, "Which of these describe you?", false);
        surveys.push(survey(random, "Diversity", vec![pronouns.choosing(&["A parent", "A carer", "A veteran"])]));
        let shift = Field::new(random, "LongText", None, "Tell us about a sale you lost", true);
        surveys.push(survey(random, "Questionnaire", vec![shift]));
    }
    surveys
}
