//! `POST /v1/boards/{token}/jobs/{id}`: the career-site door (G 1.1 A).
//!
//! Enforced, because the facts say so: credential, live job, first and last name and e-mail, their length, no URL in
//! name or phone, a well-formed e-mail, file types, no empty files, employment dates. Not enforced, because the facts
//! say so: required questions. What has no field is not kept; a location without coordinates is not kept.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::board::{Job, not_found};
use super::{Application, Greenhouse};
use crate::harness::{Call, Content, Part, Reply, Scene, rfc3339};

const FILE_TYPES: [&str; 5] = ["pdf", "doc", "docx", "txt", "rtf"];

/// Fields that every posting has (G 1.1 A); files and questions apart.
const PLAIN: [&str; 14] = [
    "first_name",
    "last_name",
    "email",
    "phone",
    "gender",
    "race",
    "veteran_status",
    "disability_status",
    "educations",
    "employments",
    "demographic_answers",
    "data_compliance",
    "mapped_url_token",
    "applicant_ip",
];

/// What was sent, whichever way it was encoded.
#[derive(Default)]
struct Sent {
    values: BTreeMap<String, Value>,
    /// File parts of a multipart body.
    files: BTreeMap<String, (String, Bytes)>,
}

impl Sent {
    fn read(content: &Content) -> Option<Self> {
        match content {
            Content::Json(Value::Object(members)) => {
                let present = members.iter().filter(|(_, value)| !value.is_null());
                let values = present.map(|(name, value)| (name.clone(), value.clone())).collect();
                Some(Self { values, files: BTreeMap::new() })
            }
            Content::Multipart(parts) => Some(parts.iter().fold(Self::default(), Self::with_part)),
            Content::Json(_) | Content::Empty | Content::Form(_) | Content::Unreadable | Content::Other => None,
        }
    }

    fn with_part(mut self, part: &Part) -> Self {
        if let Some(file_name) = &part.file_name {
            self.files.insert(part.name.clone(), (file_name.clone(), part.bytes.clone()));
            return self;
        }
        let value = Value::from(String::from_utf8_lossy(&part.bytes).into_owned());
        match part.name.split_once('[') {
            None => {
                self.values.insert(part.name.clone(), value);
            }
            // `name[]` repeats; deeper form encoding is not documented and kept as the list of its values.
            Some((base, _)) => {
                let list = self.values.entry(base.to_owned()).or_insert_with(|| json!([]));
                if let Value::Array(list) = list {
                    list.push(value);
                }
            }
        }
        self
    }

    fn text(&self, name: &str) -> &str {
        self.values.get(name).and_then(Value::as_str).unwrap_or_default().trim()
    }

    /// As it was sent: no fact says that the vendor cuts anything off.
    fn verbatim(&self, name: &str) -> &str {
        self.values.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn has(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| value.as_str() != Some(""))
    }
}

/// A file field in whichever of its four forms it came.
struct Kept {
    name: String,
    sha256: Option<String>,
}

pub(super) fn email(call: &Call) -> Option<String> {
    match &call.content {
        Content::Json(body) => body["email"].as_str().map(str::to_owned),
        Content::Multipart(parts) => {
            let part = parts.iter().find(|part| part.name == "email")?;
            String::from_utf8(part.bytes.to_vec()).ok()
        }
        Content::Empty | Content::Form(_) | Content::Unreadable | Content::Other => None,
    }
}

/// The vendor's habit for this door: `error` says nothing, `reason` says why (G 1.2, recorded with status 200; the body
/// that goes with 422 today is not recorded).
fn refused(reasons: &[String]) -> Reply {
    let reason = format!("Validation failed: {}", reasons.join(", "));
    Reply::json(StatusCode::UNPROCESSABLE_ENTITY, &json!({ "error": "Failed to save person", "reason": reason }))
}

/// Came for a wrong key, a job that is not live and even a missing e-mail alike (G 1.2).
fn unauthorised() -> Reply {
    Reply::json(StatusCode::UNAUTHORIZED, &json!({ "status": 401, "error": "Failed to save person" }))
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, bytes).as_ref())
}

fn check_person(sent: &Sent, reasons: &mut Vec<String>) {
    for (name, label) in [("first_name", "First name"), ("last_name", "Last name"), ("email", "Email")] {
        let text = sent.text(name);
        if text.is_empty() {
            reasons.push(format!("{label} can't be blank"));
        } else if text.chars().count() > 255 {
            reasons.push(format!("{label} is too long (maximum is 255 characters)"));
        }
    }
    for (name, label) in [("first_name", "First name"), ("last_name", "Last name"), ("phone", "Phone")] {
        let text = sent.text(name).to_ascii_lowercase();
        if ["http://", "https://", "www."].iter().any(|mark| text.contains(mark)) {
            reasons.push(format!("{label} must not contain a URL"));
        }
    }
    let email = sent.text("email");
    let well_formed = email.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !email.contains(char::is_whitespace)
    });
    if !email.is_empty() && !well_formed {
        reasons.push("Email is invalid".to_owned());
    }
}

fn check_employments(sent: &Sent, reasons: &mut Vec<String>) {
    let month = |date: &Value| {
        let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
        Some((number(&date["year"])?, number(&date["month"]).unwrap_or(1)))
    };
    let employments = sent.values.get("employments").and_then(Value::as_array);
    for employment in employments.map(Vec::as_slice).unwrap_or_default().iter().filter(|entry| entry.is_object()) {
        let (start, end) = (month(&employment["start_date"]), month(&employment["end_date"]));
        if employment["current"] == json!(false) && end.is_none() {
            reasons.push("Employment end date can't be blank".to_owned());
        }
        if let (Some(start), Some(end)) = (start, end)
            && start >= end
        {
            reasons.push("Employment start date must be before end date".to_owned());
        }
    }
}

fn check_file(field: &str, file_name: &str, bytes: Option<&[u8]>, reasons: &mut Vec<String>) {
    let extension = file_name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    if !extension.is_some_and(|extension| FILE_TYPES.contains(&extension.as_str())) {
        reasons.push(format!("{field} has an unsupported file type"));
    }
    if bytes.is_some_and(<[u8]>::is_empty) {
        reasons.push(format!("{field} is an empty file"));
    }
}

/// The four forms of a file field: part, `_content`, `_url`, `_text` (G 1.1 A).
fn file(sent: &Sent, field: &str, reasons: &mut Vec<String>) -> Option<Kept> {
    let kept = |name: String, bytes: Option<&[u8]>| Some(Kept { name, sha256: bytes.map(sha256) });
    if let Some((file_name, bytes)) = sent.files.get(field) {
        check_file(field, file_name, Some(bytes), reasons);
        return kept(field.to_owned(), Some(bytes));
    }
    let form = |suffix: &str| format!("{field}_{suffix}");
    if sent.values.contains_key(&form("content")) {
        let decoded = BASE64.decode(sent.text(&form("content")).as_bytes());
        if decoded.is_err() {
            reasons.push(format!("{field} is not base64"));
        }
        let bytes = decoded.unwrap_or_default();
        check_file(field, sent.text(&form("content_filename")), Some(&bytes), reasons);
        return kept(field.to_owned(), Some(&bytes));
    }
    if sent.has(&form("url")) {
        // Greenhouse would fetch it; a sandbox reaches out to nobody.
        check_file(field, sent.text(&form("url_filename")), None, reasons);
        return kept(form("url"), None);
    }
    let text = form("text");
    if sent.has(&text) { kept(text.clone(), Some(sent.text(&text).as_bytes())) } else { None }
}

/// Everything the vendor keeps of what was sent.
struct Reading {
    fields: Vec<String>,
    answers: Map<String, Value>,
    resume: Option<String>,
    cover_letter: Option<String>,
    location: Option<String>,
}

fn keep(sent: &Sent, job: &Job, reasons: &mut Vec<String>) -> Reading {
    let mut fields: Vec<String> = PLAIN.iter().filter(|name| sent.has(name)).map(|name| (*name).to_owned()).collect();
    // All three or none (G 1.1 A: dropped silently).
    let located = ["location", "latitude", "longitude"].iter().all(|name| sent.has(name));
    if located {
        fields.extend(["location", "latitude", "longitude"].map(str::to_owned));
    }
    let mut hashes = ["resume", "cover_letter"].map(|field| {
        let kept = file(sent, field, reasons)?;
        fields.push(kept.name);
        kept.sha256
    });
    let mut answers = Map::new();
    for (name, _, field) in job.fields() {
        let Some(id) = name.strip_prefix("question_") else { continue };
        if field["type"] == "input_file" {
            if let Some(kept) = file(sent, name, reasons) {
                answers.insert(id.to_owned(), json!({ "sha256": kept.sha256 }));
                fields.push(kept.name);
            }
        } else if sent.has(name) {
            answers.insert(id.to_owned(), sent.values.get(name).cloned().unwrap_or_default());
            fields.push(name.to_owned());
        }
    }
    let [resume, cover_letter] = &mut hashes;
    let location = located.then(|| sent.text("location").to_owned());
    Reading { fields, answers, resume: resume.take(), cover_letter: cover_letter.take(), location }
}

impl Greenhouse {
    pub(super) fn submit(&mut self, board: &str, job: &str, call: &Call, scene: &Scene<'_>) -> Reply {
        // Basic: the key as user name, no password (G 1.1 A).
        let key = call.basic();
        let known = key.is_some_and(|(user, password)| user == self.board_api_key && password.is_empty());
        if !known || !scene.knobs.credentials_valid {
            return unauthorised();
        }
        let Some(job) = self.job(job).filter(|_| self.is_board(board)) else { return not_found() };
        // Job and board must be live (B.4); modern callers see 401 when the job is not (G 1.2).
        if !job.live {
            return unauthorised();
        }
        let Some(sent) = Sent::read(&call.content) else {
            let unreadable = json!({ "error": "Failed to save person", "reason": "The body could not be read" });
            return Reply::json(StatusCode::BAD_REQUEST, &unreadable);
        };
        let mut reasons = Vec::new();
        check_person(&sent, &mut reasons);
        check_employments(&sent, &mut reasons);
        let reading = keep(&sent, job, &mut reasons);
        if !reasons.is_empty() {
            return refused(&reasons);
        }
        let (post, job_id) = (job.id, job.internal_job_id);
        let record = self.store(&sent, reading, (post, job_id), call, scene.now_ms);
        // No id, as the facts say (G 1.1 A, recorded).
        Reply::ok(&json!({ "success": "Candidate saved successfully" })).committing(record)
    }

    fn store(
        &mut self,
        sent: &Sent,
        reading: Reading,
        (job_post_id, job_id): (u64, Option<u64>),
        call: &Call,
        now_ms: i64,
    ) -> std::sync::Arc<str> {
        let number = self.applications.len() as u64;
        let (id, candidate_id) = (self.first_application_id + number, self.first_candidate_id + number);
        // Ids and times must rise together, whatever the machine's clock does.
        let created_ms = self.applications.last().map_or(now_ms, |last| last.created_ms.max(now_ms));
        let [first_name, last_name] = ["first_name", "last_name"].map(|name| sent.verbatim(name));
        let email = sent.text("email");
        let record = json!({
            "id": id, "candidate_id": candidate_id, "job_post_id": job_post_id, "email": email,
            "first_name": first_name, "last_name": last_name, "created_at": rfc3339(created_ms),
            "resume_sha256": reading.resume, "cover_letter_sha256": reading.cover_letter,
            "body_sha256": sha256(&call.body), "fields": reading.fields, "answers": reading.answers,
        });
        let record: std::sync::Arc<str> = record.to_string().into();
        self.applications.push(Application {
            id,
            candidate_id,
            job_post_id,
            job_id,
            created_ms,
            first_name: first_name.to_owned(),
            last_name: last_name.to_owned(),
            email: email.to_owned(),
            phone: sent.has("phone").then(|| sent.text("phone").to_owned()),
            location: reading.location,
            record: std::sync::Arc::clone(&record),
        });
        record
    }
}
