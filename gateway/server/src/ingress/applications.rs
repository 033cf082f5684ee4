//! `POST /v1/applications` and `GET /v1/applications/{id}`: HTTP on one side, `intake` on the other, nothing between.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, Request, State};
use axum::response::Response;
use bytes::Bytes;
use causeway_core::ids::SubmissionId;
use causeway_core::problem::{Code, Problem};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use super::auth::Caller;
use super::body::{self, BodyBudget, Unreceived};
use super::request::facts;
use crate::health::Health;
use crate::intake::{Intake, Receipt, Refusal, Submission};
use crate::openapi::{Operation, Routes};
use crate::store::intake::ApplicationView;
use crate::store::setup::Scope;

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const MAX_IDEMPOTENCY_KEY: usize = 255;
/// A site that may submit may see what became of it.
const READERS: [Scope; 2] = [Scope::Read, Scope::Submit];

/// What the handlers need.
#[derive(Clone)]
pub(super) struct Applications {
    pub(super) intake: Arc<Intake>,
    pub(super) budget: BodyBudget,
    pub(super) health: Arc<Health>,
}

pub(super) fn routes() -> Routes<Applications> {
    let described = body::taken(Operation::new("submit", "Submit an application"))
        .details(
            "202 means stored durably, files included. The systems' answers come later: see `targets[].state` under \
             `/v1/applications/{id}`. Without an `Idempotency-Key`, the same bytes within ten minutes get the first receipt.",
        )
        .needs_or_publishable(&[Scope::Submit])
        .header("Idempotency-Key", "Names this submission, so that it can be sent again safely.", |_| {
            json!({ "type": "string", "minLength": 1, "maxLength": MAX_IDEMPOTENCY_KEY, "pattern": "^[ -~]*[!-~][ -~]*$" })
        })
        .answers::<Receipt<'_>>(202, "Accepted. The same request gets the same bytes again.")
        .leads_to("application", "id", "$response.body#/id")
        .leads_to("signedReceipt", "id", "$response.body#/id")
        .refuses(&[
            Code::ApplicationInvalid,
            Code::PostingUnknown,
            Code::PostingClosed,
            Code::IdempotencyKeyInvalid,
            Code::IdempotencyKeyReused,
            Code::IdempotencyInProgress,
        ]);
    let state = Operation::new("application", "Where an application stands")
        .needs(&READERS)
        .path::<SubmissionId>("id", "As in the receipt.")
        .answers::<ApplicationView>(200, "Each target's state.")
        .refuses(&[Code::NotFound]);
    Routes::new().post("/v1/applications", submit, described).get("/v1/applications/{id}", state_of, state)
}

async fn submit(
    State(state): State<Applications>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Refusal> {
    caller.require_or_publishable(&[Scope::Submit])?;
    let idempotency_key = idempotency_key(request.headers())?;
    let trace_id = facts(&request).map_or_else(String::new, |facts| facts.trace_id.clone());
    let sender = caller.sender();
    let submission = |document, files| Submission { document, files, idempotency_key, trace_id };
    let answered = match body::receive(request, sender.tenant, &state.budget).await {
        Ok(received) => {
            let submission = submission(received.document, received.files);
            let receipt = state.intake.submit(sender, submission).await;
            drop(received.reserved);
            if receipt.as_ref().is_err_and(|refusal| refusal.is(Code::StoreUnavailable)) {
                state.health.doubt_the_store();
            }
            receipt.map(|receipt| answer(StatusCode::ACCEPTED, receipt))
        }
        Err(Unreceived { refusal, document: Some(document) }) => {
            Err(state.intake.refused_early(sender, &submission(document, Vec::new()), refusal).await)
        }
        Err(Unreceived { refusal, document: None }) => Err(refusal),
    };
    if let Err(refusal) = &answered {
        state.intake.outcomes().add(refusal.problem.code, 1);
    }
    answered
}

async fn state_of(
    State(state): State<Applications>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    caller.require(&READERS)?;
    // What is no id at all is answered like an id nobody has.
    let id = id.parse().map_err(|_| Refusal::from(Code::NotFound))?;
    let view = state.intake.application(caller.sender(), id).await?;
    let body = serde_json::to_vec(&view).map_err(|error| {
        tracing::error!(%error, "an application's view has no JSON form");
        Refusal::from(Code::Internal)
    })?;
    Ok(answer(StatusCode::OK, body.into()))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let key = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(key), None) => key.to_str().ok(),
        (Some(_), Some(_)) => None,
    };
    let usable = |key: &&str| {
        (1..=MAX_IDEMPOTENCY_KEY).contains(&key.len())
            && key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
    };
    key.filter(usable).map(|key| Some(key.to_owned())).ok_or_else(|| Problem::new(Code::IdempotencyKeyInvalid).into())
}

pub(super) fn answer(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
