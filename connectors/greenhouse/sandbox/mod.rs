//! Greenhouse's side of the Job Board API and of Harvest v3, as far as public facts go; see the README beside the
//! harness for what is unknown. Fact numbers in comments: G = modern-ATS sheet §1 and §9, B = addendum §B.
//!
//! Responsible for: routing, credentials, what the vendor holds. `board` renders postings, `submit` takes applications,
//! `harvest` answers the reading API, `seed` makes the postings.
//!
//! Enforces what the vendor enforces and nothing more: required questions are *not* enforced (G 1.1 A).

mod board;
mod harvest;
mod query;
mod seed;
mod submit;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::harness::{Call, Content, FixedWindow, Knobs, Random, Rate, Reply, Scene, Subject, Vendor};
use board::Job;

/// An application with its candidate. Each submission makes a candidate of its own: what the vendor does with a known
/// e-mail is not documented for this door (G 1.1 A).
#[derive(Debug)]
struct Application {
    id: u64,
    candidate_id: u64,
    job_post_id: u64,
    job_id: Option<u64>,
    created_ms: i64,
    first_name: String,
    last_name: String,
    email: String,
    phone: Option<String>,
    location: Option<String>,
    /// What the ledger shows; also the source of Harvest's `answers`.
    record: Arc<str>,
}

#[derive(Debug)]
struct Token {
    expires_ms: i64,
    site_admin: bool,
}

/// The vendor's account of one customer.
#[derive(Debug)]
pub(crate) struct Greenhouse {
    random: Random,
    board_token: String,
    board_api_key: String,
    client_id: String,
    client_secret: String,
    user_id: u64,
    jobs: Vec<Job>,
    first_application_id: u64,
    first_candidate_id: u64,
    /// Ids and creation times rise with the index.
    applications: Vec<Application>,
    tokens: HashMap<String, Token>,
    window: FixedWindow,
    scopes: Vec<String>,
    token_ttl_ms: i64,
    single_token: bool,
}

/// B.1, those that `GET` routes here need.
const SCOPES: [&str; 4] =
    ["harvest:applications:list", "harvest:candidates:list", "harvest:job_posts:list", "harvest:jobs:list"];

impl Greenhouse {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let first = 4_000_000_000 + random.below(1_000) * 100_000;
        Self {
            board_token: "northwindexample".to_owned(),
            board_api_key: random.hex::<16>(),
            client_id: random.hex::<12>(),
            client_secret: random.hex::<24>(),
            user_id: 4_100_000 + random.below(90_000),
            jobs: seed::jobs(first),
            first_application_id: first + 10_000_000_000,
            first_candidate_id: first + 20_000_000_000,
            applications: Vec::new(),
            tokens: HashMap::new(),
            window: FixedWindow::default(),
            scopes: SCOPES.map(str::to_owned).to_vec(),
            token_ttl_ms: 3_600_000,
            single_token: false,
            random,
        }
    }

    fn job(&self, id: &str) -> Option<&Job> {
        let id: u64 = id.parse().ok()?;
        self.jobs.iter().find(|job| job.id == id)
    }

    fn is_board(&self, token: &str) -> bool {
        // `internal` may stand in for the board token (G 1.1 A).
        token == self.board_token || token == "internal"
    }

    fn set_live(&mut self, id: &str, body: Option<&Value>, now_ms: i64) -> Result<Value, String> {
        let live = body.and_then(|body| body["live"].as_bool()).ok_or("live is true or false")?;
        let id: u64 = id.parse().map_err(|_| "no such job".to_owned())?;
        let job = self.jobs.iter_mut().find(|job| job.id == id).ok_or("no such job")?;
        job.live = live;
        job.updated_ms = now_ms;
        Ok(job.control_view())
    }

    fn publish(&mut self, body: Option<&Value>, now_ms: i64) -> Result<Value, String> {
        let id = self.jobs.iter().map(|job| job.id).max().unwrap_or_default() + 100;
        let job = Job::published(id, body.unwrap_or(&Value::Null), now_ms)?;
        let view = job.control_view();
        self.jobs.push(job);
        Ok(view)
    }
}

impl Vendor for Greenhouse {
    fn knobs(&self) -> Knobs {
        // Fixed windows of 30 s; the ceiling is not published, 75 is the only value seen (B.5). The lag is not published
        // either; two seconds are enough to trip a reader that takes "not seen" for "not there".
        let rate_limit = Some(Rate { calls: 75, window_ms: 30_000 });
        Knobs { visibility_lag_ms: 2_000, rate_limit, credentials_valid: true }
    }

    fn account(&self, base: &str) -> Value {
        json!({
            "credentials": {
                "board_api_key": self.board_api_key,
                "harvest_client_id": self.client_id,
                "harvest_client_secret": self.client_secret,
            },
            "settings": {
                "board_token": self.board_token,
                "board_url": base,
                "harvest_url": base,
                "auth_url": format!("{base}/token"),
                "harvest_user_id": self.user_id.to_string(),
            },
        })
    }

    fn subject(&self, call: &Call) -> Subject {
        let segments = call.segments();
        match (&call.method, segments.as_slice()) {
            (&Method::GET, ["v1", "boards", _, "jobs"]) => Subject::of("list_jobs"),
            (&Method::GET, ["v1", "boards", _, "jobs", job]) => {
                Subject { job: Some((*job).to_owned()), ..Subject::of("get_job") }
            }
            (&Method::POST, ["v1", "boards", _, "jobs", job]) => {
                Subject { job: Some((*job).to_owned()), email: submit::email(call), operation: "submit" }
            }
            (&Method::POST, ["token"]) => Subject::of("token"),
            (&Method::GET, ["v3", "applications"]) => {
                let job = call.query("job_post_ids").map(str::to_owned);
                Subject { job, ..Subject::of("harvest_applications") }
            }
            (&Method::GET, ["v3", "candidates"]) => Subject::of("harvest_candidates"),
            (&Method::GET, ["v3", "job_posts"]) => Subject::of("harvest_job_posts"),
            (&Method::GET, ["v3", "jobs"]) => Subject::of("harvest_jobs"),
            _ => Subject::of("unknown"),
        }
    }

    fn answer(&mut self, operation: &'static str, call: &Call, scene: &Scene<'_>) -> Reply {
        let segments = call.segments();
        let (board, job) = (segments.get(2).copied().unwrap_or_default(), segments.get(4).copied().unwrap_or_default());
        match operation {
            // `GET /v1/boards/{token}/jobs[?content=true]`: public, not paged (G 1.3); not rate-limited (B.4).
            "list_jobs" => self.list_jobs(board, call),
            // `GET /v1/boards/{token}/jobs/{id}[?questions=true&pay_transparency=true]` (G 1.1, per-job form schema).
            "get_job" => self.get_job(board, job, call),
            // `POST /v1/boards/{token}/jobs/{id}` (G 1.1 A). No limit is documented for this door (G 1.2).
            "submit" => self.submit(board, job, call, scene),
            // `POST https://auth.greenhouse.io/token` (B.1).
            "token" => self.token(call, scene),
            // `GET /v3/applications` (B.2), `/v3/candidates` (B.3), `/v3/job_posts`, `/v3/jobs` (B.4).
            "harvest_applications" | "harvest_candidates" | "harvest_job_posts" | "harvest_jobs" => {
                self.harvest(operation, call, scene)
            }
            // What the facts do not list is not offered. 404 `{"message"}` is Harvest's (G 1.2).
            _ => Reply::json(StatusCode::NOT_FOUND, &json!({ "message": "Resource not found" })),
        }
    }

    fn failure(&mut self, status: StatusCode) -> Reply {
        Reply::json(status, &json!({ "message": status.canonical_reason().unwrap_or("Error") }))
    }

    fn records(&self) -> String {
        let records = self.applications.iter().map(|application| &*application.record);
        let applications = records.collect::<Vec<_>>().join(",");
        let candidates: Vec<Value> = self.applications.iter().map(Application::candidate).collect();
        let jobs: Vec<Value> = self.jobs.iter().map(Job::control_view).collect();
        let (candidates, jobs) = (Value::from(candidates), Value::from(jobs));
        format!("{{\"applications\":[{applications}],\"candidates\":{candidates},\"jobs\":{jobs}}}")
    }

    fn settings(&self) -> Map<String, Value> {
        let Self { scopes, token_ttl_ms, single_token, .. } = self;
        let settings = json!({ "scopes": scopes, "token_ttl_ms": token_ttl_ms, "single_token": single_token });
        settings.as_object().cloned().unwrap_or_default()
    }

    fn set(&mut self, name: &str, value: &Value, _knobs: &mut Knobs) -> Option<Result<(), String>> {
        let done = match name {
            "scopes" => serde_json::from_value(value.clone()).map(|scopes| self.scopes = scopes).ok(),
            "token_ttl_ms" => value.as_i64().map(|ttl| self.token_ttl_ms = ttl),
            "single_token" => value.as_bool().map(|single| self.single_token = single),
            _ => return None,
        };
        Some(done.ok_or_else(|| format!("{name} has another type")))
    }

    fn control(&mut self, call: &Call, path: &[&str], scene: &Scene<'_>) -> Option<Result<Value, String>> {
        let body = match &call.content {
            Content::Json(body) => Some(body),
            Content::Empty | Content::Form(_) | Content::Multipart(_) | Content::Unreadable | Content::Other => None,
        };
        match (&call.method, path) {
            (&Method::POST, ["jobs"]) => Some(self.publish(body, scene.now_ms)),
            (&Method::POST, ["jobs", id]) => Some(self.set_live(id, body, scene.now_ms)),
            _ => None,
        }
    }
}
