//! Greenhouse as an ATS: applications through the Job Board API, lookups through Harvest v3. Reading path: `dispatch` before
//! this file, `egress` after it.
//!
//! Reads like the vendor's API page: what is declared, then one short function for each thing that can be asked. Routes
//! are in `routes`, bodies in `map`, what the vendor sends in `wire`, verdicts in `outcome`, questions in `form`, the
//! search for the record that a submit left in `find`. Claims nothing the vendor lacks: no idempotency key, no id on success, no
//! reference of ours on the record. Webhooks, status and merges are not here yet.

mod find;
mod form;
mod map;
mod outcome;
mod routes;
mod wire;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::account::{Account, Role};
use causeway_core::connector::{
    AuthScheme, Connector, Delivery, Descriptor, Field, FindSupport, Http, JobPage, Limits, Pace, Permission,
    ReadError, Taken, Verdict,
};
use causeway_core::delivery::{Idempotency, StepPlan};
use causeway_core::outcome::{Class, Found, Outcome};
use causeway_core::posting::{Form, Place, Posting, PostingLocation, Question, QuestionField};
use causeway_core::reason::Reason;
use http::{HeaderMap, Request, Response};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use outcome::{Board, Verdict as Judgement};
use routes::{BadSetting, Routes};

const BOARD_URL: &str = "https://boards-api.greenhouse.io";
const HARVEST_URL: &str = "https://harvest.greenhouse.io";
const SUBMIT: &str = "submit";
static DESCRIPTOR: Descriptor = Descriptor {
    name: "greenhouse",
    title: "Greenhouse",
    roles: &[Role::Ats],
    credentials: &[
        credential(
            "board_api_key",
            "Job Board API key: Configure > Dev Center > API Credential Management > Create new API credentials.",
            true,
        ),
        credential(
            "harvest_client_id",
            "Client id of API type Harvest v3 (OAuth), partner custom, made on the same page: looks up submits whose \
             answer was lost, and reads back those that went well; without it the former are held for a person and the \
             latter unproven. Scopes harvest:applications:list and \
             harvest:candidates:list. Use one for this account alone: a new token may end the former one.",
            false,
        ),
        credential("harvest_client_secret", "The secret beside the Harvest v3 client id; it is shown once.", false),
    ],
    settings: &[
        setting("board_token", "The board's name in its URL: boards.greenhouse.io/<board token>.", None, false),
        setting("board_url", "Base URL of the Job Board API.", Some(BOARD_URL), true),
        setting("harvest_url", "Base URL of Harvest.", Some(HARVEST_URL), true),
        setting("auth_url", "Where Harvest tokens are issued.", Some("https://auth.greenhouse.io/token"), true),
        optional("harvest_user_id", "Site Admin the Harvest credential acts for: the number in /account/users/<id>."),
        optional(
            "visibility_lag_ms",
            "How long a new record may stay invisible to Harvest. Taken as 300000 if not set.",
        ),
    ],
    auth: &[
        AuthScheme::BasicUser { name: routes::BOARD, user: "board_api_key" },
        AuthScheme::ClientCredentials {
            name: routes::HARVEST,
            token_url: "auth_url",
            client_id: "harvest_client_id",
            client_secret: "harvest_client_secret",
            subject: Some("harvest_user_id"),
        },
    ],
    find: FindSupport::WithCredential("harvest_client_id"),
    // The vendor states no figure; a public reader of the same API stays this far behind.
    visibility_lag: Duration::from_mins(5),
    // The Job Board publishes no limit. This is ours, and a 429 is obeyed; Harvest's own headers say theirs.
    limits: Limits { window: Duration::from_secs(1), calls: 250, concurrency: 32 },
    read_pace,
    takes_files: true,
    names_hosts: false,
    docs: &[
        "Job Board API, grnhse/greenhouse-api-docs 0c37c31 (2026-01-20), source/includes/job-board",
        "Recorded answers, grnhse/greenhouse_io dda7ea1 (recorded 2013-09), spec/fixtures/cassettes",
        "Harvest v3 OpenAPI document of harvestdocs.greenhouse.io, copy in amp-labs/connectors e387d41c (read 2026-11)",
    ],
};

const fn credential(name: &'static str, help: &'static str, required: bool) -> Field {
    Field { name, help, required, default: None, is_url: false }
}

const fn setting(name: &'static str, help: &'static str, default: Option<&'static str>, is_url: bool) -> Field {
    Field { name, help, required: default.is_none(), default, is_url }
}

const fn optional(name: &'static str, help: &'static str) -> Field {
    Field { name, help, required: false, default: None, is_url: false }
}

/// The connector.
pub(crate) struct Greenhouse;

#[async_trait]
impl Connector for Greenhouse {
    fn describe(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn schema(&self) -> Option<&'static str> {
        Some(include_str!("../../schemas/greenhouse/application.v1.json"))
    }

    fn form_schema(&self, form: &Form) -> Option<Value> {
        Some(form::schema(form))
    }

    fn place(&self, question: &Question, field: &QuestionField) -> Place {
        form::place(question, field)
    }

    fn plan(&self, _delivery: &Delivery<'_>) -> Vec<StepPlan> {
        vec![StepPlan { name: SUBMIT, title: "Submit the application", idempotency: Idempotency::Never }]
    }

    async fn run(&self, step: &str, delivery: &Delivery<'_>, http: &dyn Http) -> Outcome {
        if step != SUBMIT {
            return Outcome::new(Class::Refused).because(Reason::Poison);
        }
        match Routes::of(delivery.account) {
            Ok(routes) => submit(&routes, delivery, http).await,
            Err(BadSetting(_)) => outcome::misconfigured(),
        }
    }

    async fn find(&self, step: &str, delivery: &Delivery<'_>, since: Timestamp, http: &dyn Http) -> Found {
        match Routes::of(delivery.account) {
            Ok(routes) if step == SUBMIT => find::application(&routes, delivery, since, http).await,
            Ok(_) | Err(BadSetting(_)) => Found::CannotTell,
        }
    }

    async fn seen(&self, delivery: &Delivery<'_>, taken: &Taken<'_>, http: &dyn Http) -> Found {
        match Routes::of(delivery.account) {
            Ok(routes) => find::delivered(&routes, delivery, taken, http).await,
            Err(BadSetting(_)) => Found::CannotTell,
        }
    }

    async fn check(&self, account: &Account, http: &dyn Http) -> Vec<Permission> {
        let submit = Permission {
            name: "submit applications",
            verdict: Verdict::NotTestable,
            text: "The Job Board key can only be tried by a real application.".to_owned(),
        };
        match Routes::of(account) {
            Ok(routes) => {
                let jobs = permission("list jobs", read::<wire::JobList>(routes.jobs(false), http).await.err());
                let applications = probe("look up applications", routes.probe("applications"), http).await;
                let candidates = probe("look up candidates", routes.probe("candidates"), http).await;
                vec![jobs, submit, applications, candidates]
            }
            Err(BadSetting(what)) => {
                let wrong = ReadError::Misconfigured(what.to_owned());
                vec![permission("list jobs", Some(wrong)), submit]
            }
        }
    }

    async fn list_jobs(&self, account: &Account, _: Option<&str>, http: &dyn Http) -> Result<JobPage, ReadError> {
        let list: wire::JobList = read(routes_of(account)?.jobs(true), http).await?;
        // The board is one page and says how long it is: a short one is no proof that a job is gone.
        if list.meta.and_then(|meta| meta.total).is_some_and(|total| total > list.jobs.len()) {
            return Err(ReadError::Unreadable("fewer jobs than the total it names".to_owned()));
        }
        Ok(JobPage { postings: postings(&list.jobs), next: None })
    }

    async fn fetch_form(&self, account: &Account, posting_id: &str, http: &dyn Http) -> Result<Form, ReadError> {
        let published: wire::Questions = read(routes_of(account)?.job(posting_id, true), http).await?;
        if published.id.0 != posting_id {
            return Err(ReadError::Unreadable("the questions of another posting".to_owned()));
        }
        Ok(form::form(published))
    }
}

async fn submit(routes: &Routes, delivery: &Delivery<'_>, http: &dyn Http) -> Outcome {
    let posting_id = &delivery.posting.posting_id;
    let Ok(body) = map::body(delivery.application, delivery.files, delivery.form) else {
        return Outcome::new(Class::Refused).because(Reason::Poison);
    };
    let Ok(bytes) = serde_json::to_vec(&body) else {
        return Outcome::new(Class::Refused).because(Reason::Poison);
    };
    let response = match http.send(routes.submit(posting_id, bytes)).await {
        Ok(response) => response,
        Err(error) => return outcome::unanswered(&error, delivery.now),
    };
    let name_field = |field: &str| map::name_field(field, delivery.application, delivery.form);
    let outcome = match outcome::judge(&response, name_field) {
        Judgement::Settled(outcome) => outcome,
        Judgement::AskBoard(doubt) => outcome::settle(&doubt, ask_board(routes, posting_id, http).await),
    };
    if outcome.class == Class::Accepted && !body.not_carried.is_empty() {
        return outcome.with_ref("not_carried", body.not_carried.join(" "));
    }
    outcome
}

/// A posting that is not there may be one of a board that is not there: then all of them would be refused for good.
async fn ask_board(routes: &Routes, posting_id: &str, http: &dyn Http) -> Board {
    let posting = read::<wire::Job>(routes.job(posting_id, false), http).await.err();
    match shown(posting.as_ref()) {
        Board::ShowsNot => match shown(read::<wire::JobList>(routes.jobs(false), http).await.err().as_ref()) {
            Board::Shows => Board::ShowsNot,
            Board::ShowsNot => Board::IsNotThere,
            unclear => unclear,
        },
        clear => clear,
    }
}

/// What a read says of what it asked for.
fn shown(failure: Option<&ReadError>) -> Board {
    match failure {
        None => Board::Shows,
        Some(ReadError::NotThere) => Board::ShowsNot,
        Some(ReadError::NotNow { retry_after, .. }) => Board::CannotTell { retry_after: *retry_after },
        Some(
            ReadError::Unauthorised { .. }
            | ReadError::Unreadable(_)
            | ReadError::Misconfigured(_)
            | ReadError::NotClaimed,
        ) => Board::CannotTell { retry_after: None },
    }
}

fn postings(jobs: &[wire::Job]) -> Vec<Posting> {
    let locales: Vec<_> = jobs
        .iter()
        .filter_map(|job| Some((job.internal_job_id.clone()?, job.language.clone()?, job.id.0.clone())))
        .collect();
    let siblings = |job: &wire::Job| -> Vec<String> {
        let other = |(behind, language, _): &&(wire::Id, String, String)| {
            job.internal_job_id.as_ref() == Some(behind) && job.language.as_ref().is_some_and(|own| own != language)
        };
        locales.iter().filter(other).map(|(_, _, id)| id.clone()).collect()
    };
    jobs.iter().map(|job| Posting { sibling_ids: siblings(job), ..posting(job) }).collect()
}

fn posting(job: &wire::Job) -> Posting {
    let place = job.location.as_ref().and_then(|location| location.name.clone());
    let location = |text| PostingLocation { text, remote: None, allowed_countries: Vec::new() };
    Posting {
        posting_id: job.id.0.clone(),
        vendor_job_id: job.internal_job_id.as_ref().map(|id| id.0.clone()),
        requisition_code: job.requisition_id.as_ref().map(|id| id.0.clone()),
        title: job.title.clone(),
        description_html: job.content.as_deref().map(wire::unescape),
        locations: place.into_iter().map(location).collect(),
        departments: job.departments.iter().filter_map(|department| department.name.clone()).collect(),
        language: job.language.clone(),
        updated_at: job.updated_at.clone(),
        apply_url: job.absolute_url.clone(),
        ..Posting::default()
    }
}

fn routes_of(account: &Account) -> Result<Routes, ReadError> {
    Routes::of(account).map_err(|BadSetting(what)| ReadError::Misconfigured(what.to_owned()))
}

async fn answer(request: Request<Bytes>, http: &dyn Http) -> Result<Response<Bytes>, ReadError> {
    let response = http.send(request).await.map_err(|error| outcome::read_unanswered(&error))?;
    outcome::read_failure(&response).map_or(Ok(response), Err)
}

async fn read<T: DeserializeOwned>(request: Request<Bytes>, http: &dyn Http) -> Result<T, ReadError> {
    let response = answer(request, http).await?;
    serde_json::from_slice(response.body())
        .map_err(|error| ReadError::Unreadable(format!("line {}, column {}", error.line(), error.column())))
}

async fn probe(name: &'static str, request: Request<Bytes>, http: &dyn Http) -> Permission {
    match answer(request, http).await.err() {
        // Harvest's credential is optional: without it there is nothing that could have been refused.
        Some(error @ ReadError::Misconfigured(_)) => {
            Permission { name, verdict: Verdict::NotTestable, text: remedy(&error) }
        }
        failure => permission(name, failure),
    }
}

fn permission(name: &'static str, failure: Option<ReadError>) -> Permission {
    let (verdict, text) = match failure {
        None => (Verdict::Yes, "It answers.".to_owned()),
        // No answer is no verdict.
        Some(error @ ReadError::NotNow { .. }) => (Verdict::NotTestable, remedy(&error)),
        Some(error) => (Verdict::No, remedy(&error)),
    };
    Permission { name, verdict, text }
}

/// What to do about it, in plain words.
fn remedy(error: &ReadError) -> String {
    match error {
        ReadError::NotThere => "There is no such published board: check board_token.".to_owned(),
        ReadError::Unauthorised { status: 403 } => {
            "A scope is missing, or harvest_user_id is not a Site Admin.".to_owned()
        }
        ReadError::Unauthorised { .. } => "The credential was refused: create a new one and set it.".to_owned(),
        ReadError::NotNow { what, .. } => format!("It could not be tried now: {what}. Try again later."),
        ReadError::Misconfigured(what) => {
            format!("Not set up: {what}. Without Harvest, a submit whose answer is lost is held for a person.")
        }
        ReadError::Unreadable(_) | ReadError::NotClaimed => error.to_string(),
    }
}

/// Harvest's headers. The Job Board documents none.
fn read_pace(headers: &HeaderMap) -> Option<Pace> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
    Some(Pace {
        calls: number("x-ratelimit-limit")?,
        remaining: number("x-ratelimit-remaining")?,
        // Fixed windows, counted by the vendor; the length is a third party's reading.
        window: Some(Duration::from_secs(30)),
    })
}

#[cfg(test)]
mod testing;

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
