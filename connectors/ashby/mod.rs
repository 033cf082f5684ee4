//! Ashby as an ATS: applications through its application form, what belongs to them through its survey door. Reading path:
//! `dispatch` before this file, `egress` after it.
//!
//! Reads like the vendor's API page: what is declared, then one short function for each thing that can be asked. Calls and
//! answers are in `wire`, verdicts in `outcome`, values in `map` and `survey`, files in `upload`, questions in `form`, the
//! search for a lost answer in `find`. A delivery is a submit, which answers without an id; a read that brings the ids; and
//! one call for each survey. Only the first decides whether there is an application: a survey that fails is held for a
//! person and never called a refused application. Webhooks, status and merges are not here yet.

mod check;
mod find;
mod form;
mod map;
mod outcome;
mod survey;
mod upload;
mod wire;

use std::time::Duration;

use async_trait::async_trait;
use causeway_core::account::{Account, Role};
use causeway_core::connector::{
    AuthScheme, Connector, Delivery, Descriptor, Field, FindSupport, Http, JobPage, Limits, Permission, ReadError,
    Verdict,
};
use causeway_core::delivery::{Idempotency, StepPlan};
use causeway_core::outcome::{Class, Found, Outcome};
use causeway_core::posting::{Form, Place, Posting, PostingLocation, Question, QuestionField};
use causeway_core::reason::Reason;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use survey::Survey;
use wire::{Api, BadBase};

const API_URL: &str = "https://api.ashbyhq.com";
const SUBMIT: &str = "submit";
const APPLICATION: &str = "application";
/// Ours: the vendor states no figure for how late its search is.
const VISIBILITY_LAG: Duration = Duration::from_mins(5);

/// The references the steps leave behind.
mod reference {
    pub(super) const FORM_INSTANCE: &str = "form_instance_id";
    pub(super) const APPLICATION: &str = "application_id";
    pub(super) const CANDIDATE: &str = "candidate_id";
    pub(super) const NOT_CARRIED: &str = "not_carried";
}

static DESCRIPTOR: Descriptor = Descriptor {
    name: "ashby",
    title: "Ashby",
    roles: &[Role::Ats],
    credentials: &[Field {
        name: "api_key",
        help: "API key: Admin > Integrations > API Keys > + New. Permissions: Jobs: Read, Candidates: Read, Candidates: \
               Write; API Keys: Read lets the check say which it holds. It is shown once. For confidential jobs, allow \
               them on the key.",
        required: true,
        default: None,
        is_url: false,
    }],
    settings: &[
        Field { is_url: true, ..optional("base_url", "Base URL of the API.", Some(API_URL)) },
        optional("listed_only", "`true`: only listed postings are read; `false`: unlisted ones too.", Some("true")),
        optional("job_board_id", "Id of the job board to read; the primary external board if not set.", None),
        optional(
            "visibility_lag_ms",
            "How long a new application may stay invisible to the search. Taken as 300000 if not set.",
            None,
        ),
    ],
    auth: &[AuthScheme::BasicUser { name: wire::AUTH, user: "api_key" }],
    find: FindSupport::Always,
    visibility_lag: VISIBILITY_LAG,
    // The vendor publishes no figure. These are ours, and a 429 is obeyed.
    limits: Limits { window: Duration::from_secs(60), calls: 300, concurrency: 8 },
    // No header that tells the pace is documented.
    read_pace: |_| None,
    takes_files: true,
    // A file goes to the presigned address that the vendor answers with; which host that is, it does not say.
    names_hosts: true,
    docs: &[
        "OpenAPI 3.1 document of developers.ashbyhq.com, copy in api-evangelist/ashby-hq 2e9efb9 (2026-08-22)",
        "developers.ashbyhq.com: authentication (2026-10-16), responses and errors, creating a custom careers page (read 2026-11)",
        "developers.ashbyhq.com changelog: 2026-05-14, 2026-08-18, 2026-10-14",
    ],
};

const fn optional(name: &'static str, help: &'static str, default: Option<&'static str>) -> Field {
    Field { name, help, required: false, default, is_url: false }
}

/// The connector.
pub(crate) struct Ashby;

#[async_trait]
impl Connector for Ashby {
    fn describe(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn schema(&self) -> Option<&'static str> {
        Some(include_str!("../../schemas/ashby/application.v1.json"))
    }

    fn form_schema(&self, form: &Form) -> Option<Value> {
        Some(form::schema(form))
    }

    fn place(&self, _question: &Question, field: &QuestionField) -> Place {
        form::place(field)
    }

    fn plan(&self, delivery: &Delivery<'_>) -> Vec<StepPlan> {
        let mut plan = vec![
            StepPlan { name: SUBMIT, title: "Submit the application", idempotency: Idempotency::Never },
            StepPlan { name: APPLICATION, title: "Read it back", idempotency: Idempotency::Always },
        ];
        // Whether a second submission of a survey counts twice is not documented.
        plan.extend(survey::surveys(delivery.application, delivery.form).iter().map(|survey| StepPlan {
            name: survey.kind.step(),
            title: survey.kind.title(),
            idempotency: Idempotency::Never,
        }));
        plan
    }

    fn only_adds(&self, step: &str) -> bool {
        step != SUBMIT && step != APPLICATION
    }

    async fn run(&self, step: &str, delivery: &Delivery<'_>, http: &dyn Http) -> Outcome {
        let Ok(api) = Api::of(delivery.account, http, delivery.now) else { return outcome::misconfigured() };
        let surveys = survey::surveys(delivery.application, delivery.form);
        match (step, surveys.iter().find(|survey| survey.kind.step() == step)) {
            (SUBMIT, _) => submit(&api, delivery).await,
            (APPLICATION, _) => read_back(&api, delivery, surveys.is_empty()).await,
            (_, Some(survey)) => send_survey(&api, delivery, survey).await,
            // A stored step that no version of this connector planned.
            (_, None) => Outcome::new(Class::Refused).because(Reason::Poison),
        }
    }

    async fn find(&self, step: &str, delivery: &Delivery<'_>, since: Timestamp, http: &dyn Http) -> Found {
        match Api::of(delivery.account, http, delivery.now) {
            Ok(api) if step == SUBMIT => find::application(&api, delivery, since).await,
            // The vendor lists the submissions of two kinds of survey and of no single candidate.
            Ok(_) | Err(BadBase) => Found::CannotTell,
        }
    }

    async fn check(&self, account: &Account, http: &dyn Http) -> Vec<Permission> {
        // Waiting times are reckoned from `now`; a check reports none, so any moment will do.
        match Api::of(account, http, Timestamp::UNIX_EPOCH) {
            Ok(api) => check::permissions(&api).await,
            Err(BadBase) => {
                let text = "base_url is not a URL.".to_owned();
                vec![Permission { name: "settings", verdict: Verdict::No, text }]
            }
        }
    }

    async fn list_jobs(&self, account: &Account, cursor: Option<&str>, http: &dyn Http) -> Result<JobPage, ReadError> {
        let mut wanted = json!({ "listedOnly": account.setting("listed_only") != Some("false") });
        if let Some(board) = account.setting("job_board_id") {
            wanted["jobBoardId"] = json!(board);
        }
        if let Some(cursor) = cursor {
            wanted["cursor"] = json!(cursor);
        }
        let (listed, next): (Vec<wire::Posting>, _) = ask(account, http, "jobPosting.list", &wanted).await?;
        Ok(JobPage { postings: listed.into_iter().map(posting).collect(), next })
    }

    async fn fetch_form(&self, account: &Account, posting_id: &str, http: &dyn Http) -> Result<Form, ReadError> {
        let mut wanted = json!({ "jobPostingId": posting_id });
        if let Some(board) = account.setting("job_board_id") {
            wanted["jobBoardId"] = json!(board);
        }
        let (info, _): (wire::PostingInfo, _) = ask(account, http, "jobPosting.info", &wanted).await?;
        if info.id != posting_id {
            return Err(ReadError::Unreadable("the questions of another posting".to_owned()));
        }
        Ok(form::form(info))
    }
}

/// Files first, each with a handle of this attempt; then the form.
async fn submit(api: &Api<'_>, delivery: &Delivery<'_>) -> Outcome {
    let Ok(submission) = map::submission(delivery.application, delivery.files, delivery.form) else {
        return Outcome::new(Class::Refused).because(Reason::Poison);
    };
    let mut handles = Vec::new();
    for file in submission.uploads() {
        match upload::upload(api, file).await {
            Ok(handle) => handles.push(handle),
            Err(failed) => return failed,
        }
    }
    let body = submission.body(&delivery.posting.posting_id, &handles);
    let outcome = match api.call("applicationForm.submit", &body).await {
        Ok(answer) => outcome::submitted(&answer),
        Err(error) => *outcome::unanswered(&error, api.now).outcome,
    };
    if outcome.class == Class::Accepted && !submission.not_carried.is_empty() {
        return outcome.with_ref(reference::NOT_CARRIED, submission.not_carried.join(" "));
    }
    outcome
}

/// The submit told no application and no candidate: they are read, which also proves that the vendor has it.
async fn read_back(api: &Api<'_>, delivery: &Delivery<'_>, is_last: bool) -> Outcome {
    let known = |name: &str| delivery.refs.get(name);
    let wanted = match (known(reference::APPLICATION), known(reference::FORM_INSTANCE)) {
        (Some(id), _) => json!({ "applicationId": id }),
        (None, Some(id)) => json!({ "submittedFormInstanceId": id }),
        (None, None) => {
            return Outcome::new(Class::Refused).because(Reason::Poison);
        }
    };
    let answer = match api.call("application.info", &wanted).await {
        Ok(answer) => answer,
        Err(error) => return outcome::unanswered(&error, api.now).before_the_create(),
    };
    let no = match outcome::judge(&answer) {
        Ok(envelope) => return read_application(outcome::read(envelope.results)),
        Err(no) => no,
    };
    match (no.code.as_deref(), no.outcome.reason) {
        (Some("application_blocked"), _) => *no.outcome,
        // Not visible yet, as far as anybody knows.
        (Some("application_not_found"), _) => {
            Outcome { class: Class::Unavailable, reason: Some(Reason::OutcomeUnknown), case: None, ..*no.outcome }
        }
        // The vendor took it and nothing needs the ids: it is delivered, and somebody may want to mend the key.
        (_, Some(Reason::PermissionMissing)) if is_last => {
            Outcome { case: Some(Reason::PermissionMissing), ..Outcome::new(Class::Accepted) }
        }
        // A read that is refused says nothing about the application, which the vendor took.
        _ if no.outcome.class == Class::Refused => {
            Outcome { class: Class::Unavailable, reason: Some(Reason::VendorFailed), case: None, ..*no.outcome }
        }
        _ => no.before_the_create(),
    }
}

fn read_application(read: Option<wire::Application>) -> Outcome {
    let Some(application) = read else {
        return Outcome { drift: true, ..Outcome::new(Class::Unavailable).because(Reason::VendorDrifted) };
    };
    let mut outcome = Outcome::new(Class::AlreadyThere).with_ref(reference::APPLICATION, application.id.clone());
    if let Some(candidate) = application.candidate {
        outcome = outcome.with_ref(reference::CANDIDATE, candidate.id);
    }
    Outcome { vendor_id: Some(application.id), vendor_status: Some(200), ..outcome }
}

/// One survey. The application exists: a "no" is held for a person.
async fn send_survey(api: &Api<'_>, delivery: &Delivery<'_>, survey: &Survey) -> Outcome {
    let known = |name: &str| delivery.refs.get(name).cloned();
    let (Some(candidate), Some(application)) = (known(reference::CANDIDATE), known(reference::APPLICATION)) else {
        return Outcome::new(Class::Refused).because(Reason::VendorDrifted);
    };
    let body = json!({
        "candidateId": candidate,
        "applicationId": application,
        "surveyFormDefinitionId": survey.id,
        "submittedValues": survey.values,
    });
    let answer = match api.call("surveySubmission.create", &body).await {
        Ok(answer) => answer,
        Err(error) => return *outcome::unanswered(&error, api.now).outcome,
    };
    match outcome::judge(&answer) {
        Ok(_) => Outcome { vendor_status: Some(200), ..Outcome::new(Class::Accepted) },
        // What a refusal says may repeat the answers, and nobody may read those here.
        Err(no) if survey.kind.is_demographic() => Outcome { vendor_words: None, ..*no.outcome },
        Err(no) => *no.outcome,
    }
}

fn posting(listed: wire::Posting) -> Posting {
    let remote = listed.workplace_type.as_deref().map(|kind| kind == "Remote");
    let place = |text| PostingLocation { text, remote, allowed_countries: Vec::new() };
    Posting {
        posting_id: listed.id,
        vendor_job_id: listed.job_id,
        title: listed.title,
        locations: listed.location_name.into_iter().map(place).collect(),
        departments: listed.department_name.into_iter().collect(),
        team: listed.team_name,
        employment_type: listed.employment_type,
        opened_at: listed.published_date,
        closes_at: listed.application_deadline,
        updated_at: listed.updated_at,
        audience: listed.is_listed.filter(|listed| !listed).map(|_| "unlisted".to_owned()),
        apply_url: listed.apply_link.or(listed.external_link),
        ..Posting::default()
    }
}

/// A read outside deliveries, and where its next page begins.
async fn ask<T: DeserializeOwned>(
    account: &Account,
    http: &dyn Http,
    verb: &str,
    body: &Value,
) -> Result<(T, Option<String>), ReadError> {
    let api = Api::of(account, http, Timestamp::UNIX_EPOCH)
        .map_err(|BadBase| ReadError::Misconfigured("base_url is not a URL".to_owned()))?;
    let answer = api.call(verb, body).await;
    let envelope = match answer {
        Ok(answer) => outcome::judge(&answer),
        Err(error) => Err(outcome::unanswered(&error, api.now)),
    };
    let envelope = envelope.map_err(|no| outcome::read_failure(&no))?;
    let next = envelope.next_cursor.filter(|_| envelope.more_data_available);
    if envelope.more_data_available && next.is_none() {
        // Taken for the end, everything behind it would be taken for gone.
        return Err(ReadError::Unreadable("more is there, and no cursor leads to it".to_owned()));
    }
    let read = serde_json::from_value(envelope.results.unwrap_or_default())
        .map_err(|error| ReadError::Unreadable(format!("line {}, column {}", error.line(), error.column())))?;
    Ok((read, next))
}

#[cfg(test)]
mod testing;

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
