//! `applicationForm.submit` (C.6), as JSON or multipart.
//!
//! Enforced, because the facts say so: a published posting when the caller asks for it, required fields, the value's shape
//! by the field's type, files by handle or part, the address that always fails, the application limit. What the form does
//! not ask is not kept. A blocked submission is a success that creates nothing and is kept for administrators.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};

use super::postings::definition;
use super::{Application, Ashby, Candidate, refusal, value};
use crate::harness::{Call, Content, Reply, Scene, rfc3339};

/// The vendor's test hook (A 3.1).
const ALWAYS_FAILS: &str = "testing-fail-validation@example.com";

/// The members of a body, however they were encoded; an empty body is no members.
pub(super) fn members(call: &Call) -> Option<Value> {
    match &call.content {
        Content::Json(body @ Value::Object(_)) => Some(body.clone()),
        Content::Empty => Some(json!({})),
        Content::Multipart(parts) => {
            let mut members = Map::new();
            for part in parts.iter().filter(|part| part.file_name.is_none()) {
                let text = String::from_utf8_lossy(&part.bytes).into_owned();
                members.insert(part.name.clone(), serde_json::from_str(&text).unwrap_or(Value::String(text)));
            }
            Some(Value::Object(members))
        }
        Content::Json(_) | Content::Form(_) | Content::Unreadable | Content::Other => None,
    }
}

fn submitted<'a>(body: &'a Value, path: &str) -> Option<&'a Value> {
    let list = body["applicationForm"]["fieldSubmissions"].as_array()?;
    Some(&list.iter().find(|one| one["path"] == path)?["value"])
}

pub(super) fn email(body: &Value) -> Option<String> {
    submitted(body, "_systemfield_email")?.as_str().map(str::to_owned)
}

/// What was kept of a submission.
struct Read {
    values: Map<String, Value>,
    resume_sha256: Option<String>,
}

impl Ashby {
    pub(super) fn submit(&mut self, body: &Value, call: &Call, scene: &Scene<'_>) -> Reply {
        let Some(posting) = body["jobPostingId"].as_str().and_then(|id| self.posting(id)) else {
            // Which code an unknown posting gives is not in the document.
            return self.refused("invalid_input", "The job posting was not found");
        };
        let (posting_id, job_id, form) = (posting.id.clone(), posting.job_id.clone(), definition(&posting.fields));
        if !posting.live && body["allowSubmissionForUnpublishedJobPosting"] == false {
            return self.refused("job_posting_not_published", "The job posting is not published");
        }
        if !body["applicationForm"]["fieldSubmissions"].is_array() {
            return self.refused("invalid_input", refusal::MALFORMED);
        }
        let read = match self.read(&posting_id, body, call, scene.now_ms) {
            Ok(read) => read,
            Err(why) => return self.refused("invalid_input", &why),
        };
        let address = email(body).unwrap_or_default();
        if address == ALWAYS_FAILS {
            return self.refused("invalid_input", refusal::MALFORMED);
        }
        let instance = self.random.uuid();
        let mut results = json!({
            "submittedFormInstance": { "id": instance, "formDefinition": form, "submittedValues": read.values },
            "formMessages": { "blocked": false },
        });
        if self.is_over_the_limit(&address, &job_id) {
            results["formMessages"]["blocked"] = json!(true);
            if let Some(message) = &self.block_message_html {
                results["formMessages"]["blockMessageForCandidateHtml"] = json!(message);
            }
            let record = json!({ "form_instance_id": instance, "email": address, "job_posting_id": posting_id });
            self.blocked.insert(instance, record);
            return refusal::yes(&results);
        }
        let record = self.keep(&address, (posting_id, job_id, instance), &read, scene.now_ms);
        refusal::yes(&results).committing(record)
    }

    /// An organisation's rule: so many applications of one person to one job.
    fn is_over_the_limit(&self, email: &str, job_id: &str) -> bool {
        let Some(limit) = self.application_limit else { return false };
        let theirs = |application: &&Application| {
            application.job_id == job_id && self.candidates[application.candidate].email.eq_ignore_ascii_case(email)
        };
        self.applications.iter().filter(theirs).count() >= limit
    }

    fn read(&self, posting_id: &str, body: &Value, call: &Call, now_ms: i64) -> Result<Read, String> {
        let posting = self.posting(posting_id).ok_or("The job posting was not found")?;
        let mut read = Read { values: Map::new(), resume_sha256: None };
        for field in &posting.fields {
            let given = submitted(body, &field.path).filter(|given| !value::is_empty(given));
            let Some(given) = given else {
                if field.required {
                    return Err(format!("{} is required", field.title));
                }
                continue;
            };
            if field.kind != "File" {
                if !value::fits(field, given) {
                    return Err(format!("{} has an invalid value", field.title));
                }
                read.values.insert(field.path.clone(), given.clone());
                continue;
            }
            let sha256 = self.file(given, call, now_ms).ok_or_else(|| format!("{} is not a file", field.title))?;
            read.values.insert(field.path.clone(), json!({ "sha256": sha256 }));
            if field.path == "_systemfield_resume" {
                read.resume_sha256 = Some(sha256);
            }
        }
        Ok(read)
    }

    /// The file that a value refers to: a part of this very request, or an upload by its handle.
    fn file(&self, given: &Value, call: &Call, now_ms: i64) -> Option<String> {
        let name = given.as_str()?;
        if let Content::Multipart(parts) = &call.content {
            let part = parts.iter().find(|part| part.file_name.is_some() && part.name == name)?;
            return Some(HEXLOWER.encode(digest(&SHA256, &part.bytes).as_ref()));
        }
        self.uploaded(name, now_ms)?.sha256.clone()
    }

    fn keep(
        &mut self,
        email: &str,
        (posting_id, job_id, form_instance): (String, String, String),
        read: &Read,
        now_ms: i64,
    ) -> Arc<str> {
        let text = |path: &str| read.values.get(path).and_then(Value::as_str).map(str::to_owned);
        let name = text("_systemfield_name").unwrap_or_default();
        // Whether a known address makes a second candidate is not documented; here it does not.
        let known = self.candidates.iter().position(|candidate| candidate.email.eq_ignore_ascii_case(email));
        let candidate = known.unwrap_or_else(|| {
            let (id, phone) = (self.random.uuid(), text("_systemfield_phone"));
            self.candidates.push(Candidate {
                id,
                name: name.clone(),
                email: email.to_owned(),
                phone,
                created_ms: now_ms,
            });
            self.candidates.len() - 1
        });
        let id = self.random.uuid();
        let record: Arc<str> = json!({
            "id": id, "candidate_id": self.candidates[candidate].id, "form_instance_id": form_instance,
            "job_posting_id": posting_id, "job_id": job_id, "email": email, "name": name,
            "created_at": rfc3339(now_ms), "resume_sha256": read.resume_sha256, "values": read.values,
        })
        .to_string()
        .into();
        self.applications.push(Application {
            id,
            candidate,
            form_instance,
            posting_id,
            job_id,
            created_ms: now_ms,
            record: Arc::clone(&record),
        });
        record
    }
}
