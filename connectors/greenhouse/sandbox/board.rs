//! Postings and the public routes of the Job Board API (G 1.1, G 1.3).

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::Greenhouse;
use crate::harness::{Call, Reply, rfc3339};

/// A job post with the job behind it.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) id: u64,
    /// Null for prospect posts (G 1.3).
    pub(super) internal_job_id: Option<u64>,
    pub(super) requisition_id: Option<String>,
    pub(super) title: String,
    pub(super) location: String,
    pub(super) language: String,
    pub(super) department: (u64, String),
    pub(super) office: (u64, String),
    /// HTML, not yet escaped.
    pub(super) content: String,
    pub(super) created_ms: i64,
    pub(super) updated_ms: i64,
    pub(super) live: bool,
    /// `questions` as the board shows them.
    pub(super) questions: Vec<Value>,
    /// Whether location is asked, and whether it is required.
    pub(super) location_required: Option<bool>,
    pub(super) eeoc: bool,
    pub(super) demographics: bool,
    pub(super) consent: bool,
    pub(super) pay: Option<(u64, u64, &'static str)>,
}

impl Job {
    /// A posting that the control API publishes: what is not given is plain.
    pub(super) fn published(id: u64, given: &Value, now_ms: i64) -> Result<Self, String> {
        let text = |name: &str| given[name].as_str().map(str::to_owned);
        let questions = match &given["questions"] {
            Value::Null => super::seed::standard_questions(),
            Value::Array(questions) => questions.clone(),
            _ => return Err("questions is an array as the board shows it".to_owned()),
        };
        let location_required = given["location_required"].as_bool();
        Ok(Self {
            id,
            internal_job_id: Some(id + 5_000_000),
            requisition_id: text("requisition_id").or_else(|| Some(format!("REQ-{}", id % 100_000))),
            title: text("title").ok_or("title is needed")?,
            location: text("location").unwrap_or_else(|| "Berlin, Germany".to_owned()),
            language: text("language").unwrap_or_else(|| "en".to_owned()),
            department: (7_001, "Engineering".to_owned()),
            office: (8_001, "Berlin".to_owned()),
            content: text("content").unwrap_or_else(|| "<p>Published during the run.</p>".to_owned()),
            created_ms: now_ms,
            updated_ms: now_ms,
            live: given["live"].as_bool().unwrap_or(true),
            questions,
            location_required,
            eeoc: false,
            demographics: given["demographics"].as_bool().unwrap_or(false),
            consent: given["consent"].as_bool().unwrap_or(false),
            pay: None,
        })
    }

    /// What the control API says of it.
    pub(super) fn control_view(&self) -> Value {
        json!({
            "id": self.id, "live": self.live, "internal_job_id": self.internal_job_id,
            "requisition_id": self.requisition_id, "title": self.title, "language": self.language,
            "location": self.location, "updated_at": rfc3339(self.updated_ms),
            "questions": self.questions, "location_required": self.location_required,
            "demographics": self.demographics, "consent": self.consent,
        })
    }

    /// Every field name an application may carry for a custom question, with the question's label.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        self.questions.iter().flat_map(|question| {
            let label = question["label"].as_str().unwrap_or_default();
            let fields = question["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
            fields.iter().filter_map(move |field| Some((field["name"].as_str()?, label, field)))
        })
    }

    /// The item of the list without content (G 1.3).
    fn item(&self) -> Map<String, Value> {
        let item = json!({
            "id": self.id,
            "internal_job_id": self.internal_job_id,
            "title": self.title,
            "updated_at": rfc3339(self.updated_ms),
            "requisition_id": self.requisition_id,
            "location": { "name": self.location },
            "absolute_url": format!("https://careers.example.com/jobs/{}?gh_jid={}", self.id, self.id),
            "language": self.language,
            "metadata": null,
        });
        item.as_object().cloned().unwrap_or_default()
    }

    fn with_content(&self) -> Map<String, Value> {
        let mut item = self.item();
        item.insert("content".to_owned(), escape(&self.content).into());
        let department =
            json!([{ "id": self.department.0, "name": self.department.1, "parent_id": null, "child_ids": [] }]);
        item.insert("departments".to_owned(), department);
        let office = json!([{
            "id": self.office.0, "name": self.office.1, "location": self.location, "parent_id": null, "child_ids": [],
        }]);
        item.insert("offices".to_owned(), office);
        item
    }

    fn with_questions(&self, item: &mut Map<String, Value>) {
        item.insert("questions".to_owned(), self.questions.clone().into());
        if let Some(required) = self.location_required {
            item.insert("location_questions".to_owned(), location_questions(required));
        }
        if self.eeoc {
            item.insert("compliance".to_owned(), compliance());
        }
        if self.demographics {
            item.insert("demographic_questions".to_owned(), super::seed::demographic_questions(self.id));
        }
    }

    /// The record of `GET /v3/job_posts` (B.4).
    pub(super) fn harvest_post(&self) -> Value {
        let questions: Vec<Value> = self.fields().map(harvest_question).collect();
        json!({
            "id": self.id, "job_id": self.internal_job_id, "job_board_id": 9_001, "title": self.title,
            "internal": false, "active": true, "live": self.live, "featured": false,
            "first_published_at": rfc3339(self.created_ms), "content": self.content, "internal_content": null,
            "language": self.language, "public_url": format!("https://careers.example.com/jobs/{}", self.id),
            "location": { "type": "free_text", "name": self.location, "id": null },
            "demographic_question_set_id": self.demographics.then_some(6_001),
            "questions": questions,
            "created_at": rfc3339(self.created_ms), "updated_at": rfc3339(self.updated_ms),
        })
    }

    /// The record of `GET /v3/jobs` (B.4); `None` for a prospect post, which has no job.
    pub(super) fn harvest_job(&self) -> Option<Value> {
        let status = if self.live { "open" } else { "closed" };
        Some(json!({
            "id": self.internal_job_id?, "name": self.title, "requisition_id": self.requisition_id, "status": status,
            "opened_at": rfc3339(self.created_ms),
            "closed_at": (!self.live).then(|| rfc3339(self.updated_ms)),
            "department_id": self.department.0, "office_ids": [self.office.0],
            "created_at": rfc3339(self.created_ms), "updated_at": rfc3339(self.updated_ms),
        }))
    }
}

fn harvest_question((name, label, field): (&str, &str, &Value)) -> Value {
    let values = field["values"].as_array().map(Vec::as_slice).unwrap_or_default();
    let options: Vec<Value> =
        values.iter().map(|value| json!({ "id": value["value"], "label": value["label"] })).collect();
    json!({
        "id": name.strip_prefix("question_").and_then(|id| id.parse::<u64>().ok()), "name": name, "label": label,
        "description": null, "answer_type": field["type"], "required": false, "private": false, "options": options,
    })
}

/// The board's content is HTML whose markup is entity-escaped (G 1.3).
fn escape(html: &str) -> String {
    html.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn location_questions(required: bool) -> Value {
    let question = |label: &str, name: &str, kind: &str| {
        json!({ "required": required, "label": label, "description": null,
            "fields": [{ "name": name, "type": kind, "values": [] }] })
    };
    json!([
        question("Location", "location", "input_text"),
        question("Latitude", "latitude", "input_hidden"),
        question("Longitude", "longitude", "input_hidden"),
    ])
}

fn compliance() -> Value {
    let select = |label: &str, name: &str, options: &[&str]| {
        let values: Vec<Value> =
            options.iter().zip(1..).map(|(label, value)| json!({ "value": value, "label": label })).collect();
        json!({ "required": false, "label": label,
            "fields": [{ "name": name, "type": "multi_value_single_select", "values": values }] })
    };
    json!([{
        "type": "eeoc",
        "description": "<p>Voluntary self-identification.</p>",
        "questions": [
            select("Disability status", "disability_status", &["Yes", "No", "I do not wish to answer"]),
            select("Veteran status", "veteran_status", &["I am not a veteran", "I am a veteran", "I do not wish to answer"]),
            select("Gender", "gender", &["Female", "Male", "Decline to self-identify"]),
        ],
    }])
}

impl Greenhouse {
    pub(super) fn list_jobs(&self, board: &str, call: &Call) -> Reply {
        if !self.is_board(board) {
            return not_found();
        }
        let content = call.query("content") == Some("true");
        let live = self.jobs.iter().filter(|job| job.live);
        let jobs: Vec<Value> =
            live.map(|job| if content { job.with_content() } else { job.item() }).map(Value::Object).collect();
        Reply::ok(&json!({ "meta": { "total": jobs.len() }, "jobs": jobs }))
    }

    pub(super) fn get_job(&self, board: &str, id: &str, call: &Call) -> Reply {
        // 404 for what is not on this board (B.4, third-party).
        let Some(job) = self.job(id).filter(|job| job.live && self.is_board(board)) else { return not_found() };
        let mut body = job.with_content();
        let retention = json!([{
            "type": "gdpr", "requires_consent": false, "requires_processing_consent": true,
            "requires_retention_consent": true, "retention_period": 365,
        }]);
        body.insert("data_compliance".to_owned(), if job.consent { retention } else { json!([]) });
        if call.query("questions") == Some("true") {
            job.with_questions(&mut body);
        }
        if call.query("pay_transparency") == Some("true") {
            let range = job.pay.map(|(min, max, currency)| {
                json!({ "min_cents": min, "max_cents": max, "currency_type": currency,
                    "title": "Base salary", "blurb": "Per year." })
            });
            body.insert("pay_input_ranges".to_owned(), range.into_iter().collect());
        }
        Reply::ok(&Value::Object(body))
    }
}

/// The status is known (G 1.2, third-party), the words are not.
pub(super) fn not_found() -> Reply {
    Reply::json(StatusCode::NOT_FOUND, &json!({ "status": 404, "error": "Job not found" }))
}
