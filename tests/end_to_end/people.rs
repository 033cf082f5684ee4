//! Invented people and what they send. Pure.

use bytes::Bytes;
use serde_json::{Value, json};

/// The questions of a job that asks for a name and an address, and nothing else.
pub(crate) fn plain_questions() -> Value {
    json!([
        question(true, "First Name", "first_name", "input_text"),
        question(true, "Last Name", "last_name", "input_text"),
        question(true, "Email", "email", "input_text"),
        question(false, "Phone", "phone", "input_text"),
        question(false, "Resume/CV", "resume", "input_file"),
    ])
}

/// As [`plain_questions`], and two that must be answered.
pub(crate) fn demanding_questions() -> Value {
    let mut questions = plain_questions();
    if let Value::Array(list) = &mut questions {
        list.push(question(true, "Why do you want to work here?", "question_4001", "textarea"));
        list.push(question(true, "Where did you work before?", "question_4002", "input_text"));
    }
    questions
}

fn question(required: bool, label: &str, name: &str, kind: &str) -> Value {
    json!({ "required": required, "label": label, "description": null,
        "fields": [{ "name": name, "type": kind, "values": [] }] })
}

/// An application with nothing missing for a plain job.
pub(crate) fn document(email: &str, job: &str) -> Value {
    json!({
        "job": job,
        "person": {
            "name": { "given": "Wanda", "family": "Musterfrau" },
            "emails": [{ "address": email }],
            "phones": [{ "raw": "+49 30 0000000" }],
        },
        "consents": [
            { "purpose": "application", "basis": "consent", "given": true },
            { "purpose": "recruiting", "basis": "consent", "given": true },
        ],
    })
}

/// Announces a résumé in a document.
pub(crate) fn with_resume(mut document: Value, name: &str, resume: &[u8]) -> Value {
    document["attachments"] = json!([{
        "id": "cv", "kind": "resume", "name": name, "media_type": "text/plain", "size": resume.len()
    }]);
    document
}

pub(crate) const BOUNDARY: &str = "end-to-end-51c7";

pub(crate) fn multipart_type() -> String {
    format!("multipart/form-data; boundary={BOUNDARY}")
}

/// A multipart body: each part is its header lines and its bytes. `end` is what closes it.
pub(crate) fn parts(parts: &[(&str, &[u8])], end: &str) -> Bytes {
    let mut body = Vec::new();
    for (head, bytes) in parts {
        body.extend_from_slice(format!("--{BOUNDARY}\r\n{head}\r\n\r\n").as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(end.as_bytes());
    body.into()
}

pub(crate) fn the_end() -> String {
    format!("--{BOUNDARY}--\r\n")
}

pub(crate) const DOCUMENT_PART: &str =
    "Content-Disposition: form-data; name=\"application\"\r\nContent-Type: application/json";

pub(crate) fn file_part(id: &str, name: &str) -> String {
    format!("Content-Disposition: form-data; name=\"{id}\"; filename=\"{name}\"\r\nContent-Type: text/plain")
}

/// The document and its résumé as one body.
pub(crate) fn with_file(document: &Value, name: &str, resume: &[u8]) -> Bytes {
    let head = file_part("cv", name);
    parts(&[(DOCUMENT_PART, document.to_string().as_bytes()), (&head, resume)], &the_end())
}
