//! `POST /v1/preflight`: the body of a submit, read as a submit's is; the answer is `intake`'s.
//!
//! Its refusals are not counted either: a page that checks while somebody types would fill the counters of lost
//! applications with none.

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use causeway_core::problem::Code;
use http::header::{CACHE_CONTROL, ETAG};
use http::{HeaderValue, StatusCode};

use super::applications::{self, Applications};
use super::auth::Caller;
use super::body;
use super::jobs::{as_json, etag};
use crate::intake::{Preflight, Refusal, Sender, Submission};
use crate::openapi::{Operation, Routes};
use crate::store::setup::Scope;

pub(super) fn routes() -> Routes<Applications> {
    let described = body::taken(Operation::new("preflight", "What would a submit say?"))
        .details("The same body as a submit's, the same judgement, told per system. Nothing is stored.")
        .needs_or_publishable(&[Scope::Submit])
        .answers::<Preflight>(200, "The verdict; a document that would be refused is told so here, not by the status.")
        .with_header("ETag", "Form-Digest")
        .refuses(&[Code::PostingUnknown, Code::PostingClosed]);
    Routes::new().post("/v1/preflight", preflight, described)
}

async fn preflight(
    State(state): State<Applications>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Refusal> {
    caller.require_or_publishable(&[Scope::Submit])?;
    answer(&state, caller.sender(), request).await.map_err(Refusal::uncounted)
}

async fn answer(state: &Applications, sender: Sender, request: Request) -> Result<Response, Refusal> {
    let received =
        body::receive(request, sender.tenant, &state.budget).await.map_err(|unreceived| unreceived.refusal)?;
    let submission = Submission {
        document: received.document,
        files: received.files,
        idempotency_key: None,
        trace_id: String::new(),
    };
    let told = state.intake.preflight(sender, &submission).await?;
    drop(received.reserved);
    let mut response = applications::answer(StatusCode::OK, as_json(&told)?);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(digest) = &told.form.digest {
        response.headers_mut().insert(ETAG, etag(digest)?);
    }
    Ok(response)
}
