//! Ashby's side of its API, as far as public facts go; see the README beside the harness for what is unknown. Fact numbers
//! in comments: A = modern-ATS sheet §3 and §9, C = addendum §C, S = the vendor's OpenAPI document.
//!
//! Responsible for: routing, the key and its permissions, the rate limit, what the vendor holds. `postings` renders jobs and
//! their forms, `submit` takes applications, `value` checks them, `files` gives handles and takes uploads, `people` answers
//! reads, `survey` takes surveys, `seed` makes the postings.
//!
//! Every operation is `POST /<resource.verb>`; a refusal is a 200 with `success: false` (A 3.2, C.0).

mod files;
mod people;
mod postings;
mod refusal;
mod seed;
mod submit;
mod survey;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::harness::{Call, Knobs, Random, Rate, Reply, RollingWindow, Scene, Subject, Vendor};
use files::Upload;
use postings::Posting;

/// A person with the applications that came under one address.
#[derive(Debug)]
struct Candidate {
    id: String,
    name: String,
    email: String,
    phone: Option<String>,
    created_ms: i64,
}

#[derive(Debug)]
struct Application {
    id: String,
    candidate: usize,
    form_instance: String,
    posting_id: String,
    job_id: String,
    created_ms: i64,
    record: Arc<str>,
}

/// The vendor's account of one customer.
#[derive(Debug)]
pub(crate) struct Ashby {
    random: Random,
    api_key: String,
    postings: Vec<Posting>,
    candidates: Vec<Candidate>,
    applications: Vec<Application>,
    /// Submissions that a rule kept out, by form instance (S applicationForm.submit: kept for administrators).
    blocked: BTreeMap<String, Value>,
    surveys: Vec<Arc<str>>,
    uploads: BTreeMap<String, Upload>,
    window: RollingWindow,
    permissions: Vec<String>,
    handle_ttl_ms: i64,
    info_lag_ms: i64,
    application_limit: Option<usize>,
    block_message_html: Option<String>,
}

/// The permissions of C.0 that routes here need.
const PERMISSIONS: [&str; 5] =
    ["jobsRead", "candidatesRead", "candidatesWrite", "apiKeysRead", "hiringProcessMetadataRead"];

/// The operation, and the permission it needs (C.0).
const OPERATIONS: [(&str, &str); 12] = [
    ("apiKey.info", "apiKeysRead"),
    ("jobPosting.list", "jobsRead"),
    ("jobPosting.info", "jobsRead"),
    ("job.info", "jobsRead"),
    ("candidate.search", "candidatesRead"),
    ("application.info", "candidatesRead"),
    ("application.list", "candidatesRead"),
    ("applicationForm.submit", "candidatesWrite"),
    ("file.createFileUploadHandle", "candidatesWrite"),
    ("surveySubmission.create", "candidatesWrite"),
    ("surveyFormDefinition.info", "hiringProcessMetadataRead"),
    ("storage", ""),
];

impl Ashby {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let api_key = random.hex::<32>();
        let postings = seed::postings(&mut random);
        Self {
            random,
            api_key,
            postings,
            candidates: Vec::new(),
            applications: Vec::new(),
            blocked: BTreeMap::new(),
            surveys: Vec::new(),
            uploads: BTreeMap::new(),
            window: RollingWindow::default(),
            permissions: PERMISSIONS.map(str::to_owned).to_vec(),
            handle_ttl_ms: 600_000,
            info_lag_ms: 0,
            application_limit: None,
            block_message_html: None,
        }
    }

    fn posting(&self, id: &str) -> Option<&Posting> {
        self.postings.iter().find(|posting| posting.id == id)
    }

    /// The key, its permission, the limit (A 3.2); `None` when the call may go on.
    fn turned_away(&mut self, operation: &str, call: &Call, scene: &Scene<'_>) -> Option<Reply> {
        let Some((user, password)) = call.basic() else {
            // 401: the key is absent.
            return Some(self.refused_with(StatusCode::UNAUTHORIZED, "missing_api_key", "No API key was provided"));
        };
        if user != self.api_key || !password.is_empty() || !scene.knobs.credentials_valid {
            // 403: wrong or deactivated; the words say which, the facts do not say how.
            return Some(self.refused_with(StatusCode::FORBIDDEN, "invalid_api_key", "The API key is not valid"));
        }
        let (_, permission) = OPERATIONS.iter().find(|(name, _)| *name == operation)?;
        if !self.permissions.iter().any(|held| held == permission) {
            let words = "The API key lacks the permission for this endpoint";
            return Some(self.refused_with(StatusCode::FORBIDDEN, "missing_endpoint_permission", words));
        }
        let admission = scene.knobs.rate_limit.map(|rate| self.window.admit(rate, scene.now_ms))?;
        if admission.allowed {
            return None;
        }
        Some(self.refused_with(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", "Too many requests"))
    }

    /// `apiKey.info` (C.1). The form of the scopes is the vendor's sample's: `jobs:read`.
    fn key_info(&self) -> Reply {
        let scope = |permission: &String| {
            permission
                .strip_suffix("Read")
                .map(|module| format!("{module}:read"))
                .or_else(|| permission.strip_suffix("Write").map(|module| format!("{module}:write")))
        };
        let scopes: Vec<String> = self.permissions.iter().filter_map(scope).collect();
        refusal::yes(
            &json!({ "title": "Custom Job Board API key", "createdAt": "2026-09-01T08:00:00.000Z", "scopes": scopes }),
        )
    }
}

impl Vendor for Ashby {
    fn knobs(&self) -> Knobs {
        // Neither a limit nor a lag is published (A 3.2, C.2). Both are chosen: large enough for a site, small enough to trip.
        let rate_limit = Some(Rate { calls: 1_000, window_ms: 60_000 });
        Knobs { visibility_lag_ms: 2_000, rate_limit, credentials_valid: true }
    }

    fn account(&self, base: &str) -> Value {
        json!({ "credentials": { "api_key": self.api_key }, "settings": { "base_url": base } })
    }

    fn subject(&self, call: &Call) -> Subject {
        let segments = call.segments();
        let operation = match (&call.method, segments.as_slice()) {
            (&Method::POST, ["storage", _]) => "storage",
            (&Method::POST, [verb]) => {
                OPERATIONS.iter().find(|(name, _)| name == verb).map_or("unknown", |(name, _)| *name)
            }
            _ => "unknown",
        };
        let Some(body) = submit::members(call) else { return Subject::of(operation) };
        let job = body["jobPostingId"].as_str().map(str::to_owned);
        let email = match operation {
            "applicationForm.submit" => submit::email(&body),
            "surveySubmission.create" => {
                let candidate = self.candidates.iter().find(|one| body["candidateId"] == one.id.as_str());
                candidate.map(|candidate| candidate.email.clone())
            }
            "candidate.search" => body["email"].as_str().map(str::to_owned),
            _ => None,
        };
        Subject { job, email, ..Subject::of(operation) }
    }

    fn answer(&mut self, operation: &'static str, call: &Call, scene: &Scene<'_>) -> Reply {
        // The storage is another service: the presigned address is the credential.
        if operation == "storage" {
            return self.store(call.segments().get(1).copied().unwrap_or_default(), call, scene);
        }
        if operation == "unknown" {
            // What the facts do not list is not offered.
            return self.refused_with(StatusCode::NOT_FOUND, "endpoint_not_found", "There is no such endpoint");
        }
        if let Some(reply) = self.turned_away(operation, call, scene) {
            return reply;
        }
        let Some(body) = submit::members(call) else { return self.refused("invalid_input", refusal::MALFORMED) };
        match operation {
            "apiKey.info" => self.key_info(),
            // C.4; `jobPosting.list` has no paging in the document.
            "jobPosting.list" => self.list_postings(&body),
            "jobPosting.info" => self.posting_info(&body),
            "job.info" => self.job_info(&body),
            // C.2, C.3.
            "candidate.search" => self.search(&body, scene),
            "application.info" => self.application_info(&body, scene),
            "application.list" => self.list_applications(&body, scene),
            // C.5, C.6, C.7.
            "file.createFileUploadHandle" => self.create_handle(&body, scene),
            "applicationForm.submit" => self.submit(&body, call, scene),
            "surveySubmission.create" => self.take_survey(&body, scene),
            _ => self.survey_form(&body),
        }
    }

    fn failure(&mut self, status: StatusCode) -> Reply {
        self.refused_with(status, "scripted", status.canonical_reason().unwrap_or("Error"))
    }

    fn records(&self) -> String {
        let list = |records: &mut dyn Iterator<Item = &Arc<str>>| {
            records.map(|record| &**record).collect::<Vec<_>>().join(",")
        };
        let applications = list(&mut self.applications.iter().map(|application| &application.record));
        let surveys = list(&mut self.surveys.iter());
        let candidates: Vec<Value> =
            (0..self.candidates.len()).map(|index| self.candidate_view(index, i64::MAX)).collect();
        let (candidates, blocked) = (Value::from(candidates), Value::from_iter(self.blocked.values().cloned()));
        let jobs: Value = self.postings.iter().map(Posting::control_view).collect();
        let uploads = self.uploads.len();
        format!(
            "{{\"applications\":[{applications}],\"candidates\":{candidates},\"surveys\":[{surveys}],\
             \"blocked\":{blocked},\"jobs\":{jobs},\"uploads\":{uploads}}}"
        )
    }

    fn settings(&self) -> Map<String, Value> {
        let Self { permissions, handle_ttl_ms, info_lag_ms, application_limit, block_message_html, .. } = self;
        let settings = json!({
            "permissions": permissions, "handle_ttl_ms": handle_ttl_ms, "info_lag_ms": info_lag_ms,
            "application_limit": application_limit, "block_message_html": block_message_html,
        });
        settings.as_object().cloned().unwrap_or_default()
    }

    fn set(&mut self, name: &str, value: &Value, _knobs: &mut Knobs) -> Option<Result<(), String>> {
        let value = value.clone();
        let done = match name {
            "permissions" => serde_json::from_value(value).map(|held| self.permissions = held),
            "handle_ttl_ms" => serde_json::from_value(value).map(|ttl| self.handle_ttl_ms = ttl),
            "info_lag_ms" => serde_json::from_value(value).map(|lag| self.info_lag_ms = lag),
            "application_limit" => serde_json::from_value(value).map(|limit| self.application_limit = limit),
            "block_message_html" => serde_json::from_value(value).map(|text| self.block_message_html = text),
            _ => return None,
        };
        Some(done.map_err(|_| format!("{name} has another type")))
    }

    fn control(&mut self, call: &Call, path: &[&str], scene: &Scene<'_>) -> Option<Result<Value, String>> {
        let body = call.json().cloned().unwrap_or(Value::Null);
        match (&call.method, path) {
            (&Method::POST, ["jobs"]) => Some(self.publish(&body, scene.now_ms)),
            (&Method::POST, ["jobs", id]) => Some(self.set_live(id, &body, scene.now_ms)),
            _ => None,
        }
    }
}
