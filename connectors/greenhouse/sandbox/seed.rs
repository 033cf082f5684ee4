//! The seeded board: invented postings in several languages, with every kind of question the Job Board API has.

use serde_json::{Value, json};

use super::board::Job;

/// 2026-09-01T08:00:00Z; the board is older than any run.
const PUBLISHED_MS: i64 = 1_788_249_600_000;

/// What a posting asks beyond name, e-mail, phone and résumé.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// Nothing more.
    Plain,
    /// A required text.
    Motivation,
    /// A required yes/no with values 1 and 0.
    Permit,
    /// A required single select, and several of many.
    Skills,
    /// A required cover letter.
    Letter,
    /// A file question, not required.
    Portfolio,
    /// Demographic block, and EEOC.
    Demographics,
    /// Consent to processing and retention.
    Consent,
    /// Location, required, with hidden coordinates.
    Location,
    /// All of it at once.
    Everything,
}

/// Title, language, location, department, what is asked, live.
type Posting = (&'static str, &'static str, &'static str, &'static str, Asks, bool);

const POSTINGS: [Posting; 20] = [
    ("Backend Engineer", "en", "Berlin, Germany", "Engineering", Asks::Permit, true),
    ("Backend-Entwickler:in", "de", "Berlin, Deutschland", "Engineering", Asks::Permit, true),
    ("Site Reliability Engineer", "en", "Remote, Europe", "Engineering", Asks::Skills, true),
    ("Product Designer", "en", "Lisbon, Portugal", "Design", Asks::Portfolio, true),
    ("Ingénieure ou ingénieur données", "fr", "Lyon, France", "Engineering", Asks::Consent, true),
    ("Account Executive", "en", "New York, NY, United States", "Sales", Asks::Demographics, true),
    ("Account Executive, Public Sector", "en", "Washington, DC, United States", "Sales", Asks::Demographics, true),
    ("Responsable de ventas", "es", "Madrid, España", "Sales", Asks::Motivation, true),
    ("Customer Support Specialist", "en", "Dublin, Ireland", "Support", Asks::Plain, true),
    ("Support-Spezialist:in", "de", "Wien, Österreich", "Support", Asks::Consent, true),
    ("Field Technician", "en", "Austin, TX, United States", "Operations", Asks::Location, true),
    ("Warehouse Associate (nights)", "en", "Leipzig, Germany", "Operations", Asks::Plain, true),
    ("Technical Writer", "en", "Remote, Worldwide", "Documentation", Asks::Letter, true),
    ("データエンジニア", "ja", "東京, 日本", "Engineering", Asks::Motivation, true),
    ("Inżynier oprogramowania", "pl", "Kraków, Polska", "Engineering", Asks::Skills, true),
    ("Head of Finance", "en", "Zürich, Switzerland", "Finance", Asks::Letter, true),
    ("Nurse, Intensive Care", "en", "Manchester, United Kingdom", "Care", Asks::Everything, true),
    ("Werkstudent:in Marketing", "de", "Hamburg, Deutschland", "Marketing", Asks::Motivation, true),
    ("Payroll Specialist", "en", "Amsterdam, Netherlands", "Finance", Asks::Permit, false),
    ("Talent community", "en", "Anywhere", "People", Asks::Plain, true),
];

const DEPARTMENTS: [&str; 10] = [
    "Engineering",
    "Design",
    "Sales",
    "Support",
    "Operations",
    "Documentation",
    "Finance",
    "Care",
    "Marketing",
    "People",
];

/// The board, its ids counted from `first`. The last but one is not live; the last is a prospect post.
pub(super) fn jobs(first: u64) -> Vec<Job> {
    POSTINGS.iter().zip(1u64..).map(|(posting, number)| job(posting, first + number * 100, number)).collect()
}

fn job(&(title, language, location, department, asks, live): &Posting, id: u64, number: u64) -> Job {
    let has = |what: Asks| asks == what || asks == Asks::Everything;
    let prospect = number == POSTINGS.len() as u64;
    let department_id = 7_000 + DEPARTMENTS.iter().position(|name| *name == department).unwrap_or_default() as u64;
    let published = PUBLISHED_MS + i64::try_from(number).unwrap_or_default() * 3_600_000;
    Job {
        id,
        internal_job_id: (!prospect).then_some(id + 5_000_000),
        requisition_id: (!prospect).then(|| format!("REQ-{:04}", 1_000 + number)),
        title: title.to_owned(),
        location: location.to_owned(),
        language: language.to_owned(),
        department: (department_id, department.to_owned()),
        office: (8_000 + number, location.to_owned()),
        content: content(title, location, department),
        created_ms: published,
        updated_ms: published,
        live,
        questions: questions(id, has),
        location_required: if has(Asks::Location) { Some(true) } else { (number.is_multiple_of(5)).then_some(false) },
        eeoc: has(Asks::Demographics),
        demographics: has(Asks::Demographics),
        consent: has(Asks::Consent),
        pay: (number.is_multiple_of(3)).then_some((6_000_000, 8_500_000, "EUR")),
    }
}

fn content(title: &str, location: &str, department: &str) -> String {
    format!(
        "<h2>{title}</h2><p>Join {department} in {location}. Research &amp; development, clear goals, fair hours.</p>\
         <ul><li>You will own a part of our service</li><li>You will learn &quot;on the job&quot;</li></ul>"
    )
}

fn question(required: bool, label: &str, fields: &Value) -> Value {
    json!({ "required": required, "label": label, "description": null, "fields": fields })
}

fn field(name: &str, kind: &str) -> Value {
    json!({ "name": name, "type": kind, "values": [] })
}

fn select(name: &str, kind: &str, values: &[(u64, &str)]) -> Value {
    let values: Vec<Value> = values.iter().map(|(value, label)| json!({ "value": value, "label": label })).collect();
    json!([{ "name": name, "type": kind, "values": values }])
}

/// Name, e-mail, phone and résumé, as every posting asks them. The résumé has alternative fields (G 1.1).
pub(super) fn standard_questions() -> Vec<Value> {
    let either = |base: &str| json!([field(base, "input_file"), field(&format!("{base}_text"), "textarea")]);
    vec![
        question(true, "First Name", &json!([field("first_name", "input_text")])),
        question(true, "Last Name", &json!([field("last_name", "input_text")])),
        question(true, "Email", &json!([field("email", "input_text")])),
        question(false, "Phone", &json!([field("phone", "input_text")])),
        question(true, "Resume/CV", &either("resume")),
        question(false, "Cover Letter", &either("cover_letter")),
    ]
}

fn questions(id: u64, has: impl Fn(Asks) -> bool) -> Vec<Value> {
    let mut all = standard_questions();
    if has(Asks::Letter)
        && let Some(letter) = all.last_mut()
    {
        letter["required"] = true.into();
    }
    let name = |number: u64| format!("question_{}", id + number);
    if has(Asks::Motivation) {
        all.push(question(true, "Why do you want to work here?", &json!([field(&name(1), "textarea")])));
        all.push(question(false, "LinkedIn profile", &json!([field(&name(2), "input_text")])));
    }
    if has(Asks::Permit) {
        let yes_no = select(&name(3), "multi_value_single_select", &[(0, "No"), (1, "Yes")]);
        all.push(question(true, "Are you authorised to work in this country?", &yes_no));
    }
    if has(Asks::Skills) {
        let years = [(id * 10 + 1, "Less than 2"), (id * 10 + 2, "2 to 5"), (id * 10 + 3, "More than 5")];
        all.push(question(true, "Years of experience", &select(&name(4), "multi_value_single_select", &years)));
        let skills =
            [(id * 10 + 4, "Kubernetes"), (id * 10 + 5, "Rust"), (id * 10 + 6, "PostgreSQL"), (id * 10 + 7, "Linux")];
        all.push(question(
            false,
            "Which of these have you run in production?",
            &select(&name(5), "multi_value_multi_select", &skills),
        ));
    }
    if has(Asks::Portfolio) {
        all.push(question(false, "Portfolio", &json!([field(&name(6), "input_file")])));
        all.push(question(true, "Link to your work", &json!([field(&name(7), "input_text")])));
    }
    all
}

/// The demographic block of a posting: one question, one of its options free-form.
pub(super) fn demographic_questions(id: u64) -> Value {
    let option = |number: u64, label: &str, free_form: bool| json!({ "id": id * 10 + number, "label": label, "free_form": free_form });
    json!({
        "header": "Voluntary questions",
        "description": "<p>Your answers do not influence the decision.</p>",
        "questions": [{
            "id": id + 50, "label": "How do you describe your gender?", "required": false,
            "type": "multi_value_multi_select",
            "answer_options": [
                option(51, "Woman", false), option(52, "Man", false), option(53, "Non-binary", false),
                option(54, "I prefer to describe myself", true), option(55, "I don't wish to answer", false),
            ],
        }],
    })
}
