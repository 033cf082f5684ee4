//! `GET /v1/jobs`, `/v1/jobs/{id}` and `/v1/jobs/{id}/form`: HTTP on one side, `intake` on the other. Each answer has an
//! `ETag`, and is not sent again to whoever has it.

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::response::Response;
use bytes::Bytes;
use causeway_core::problem::Code;
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

use super::applications::{self, Applications};
use super::auth::Caller;
use crate::intake::{Board, Job, JobForm, Refusal, Tagged};
use crate::openapi::{Operation, Routes};
use crate::store::setup::Scope;

/// A site that may submit has to know for what.
const READERS: [Scope; 2] = [Scope::Read, Scope::Submit];

pub(super) fn routes() -> Routes<Applications> {
    let board = Operation::new("jobs", "Open jobs")
        .details("Without those that are confidential.")
        .needs(&READERS)
        .answers::<Board<'_>>(200, "By their ids.")
        .leads_to("job", "id", "$response.body#/jobs/0/id")
        .leads_to("form", "id", "$response.body#/jobs/0/id")
        .tagged();
    let job = Operation::new("job", "One job, open or closed")
        .needs(&READERS)
        .path::<String>("id", "The posting's id.")
        .answers::<Job<'_>>(200, "With its description.")
        .tagged()
        .refuses(&[Code::PostingUnknown]);
    let form = Operation::new("form", "A job's form")
        .details("What the systems that its applications go to need, as questions for a page and as a JSON Schema.")
        .needs_or_publishable(&READERS)
        .path::<String>("id", "The posting's id.")
        .answers::<JobForm<'_>>(200, "Questions and schema.")
        .tagged()
        .refuses(&[Code::PostingUnknown, Code::PostingClosed]);
    Routes::new().get("/v1/jobs", self::board, board).get("/v1/jobs/{id}", self::job, job).get(
        "/v1/jobs/{id}/form",
        self::form,
        form,
    )
}

async fn board(
    State(state): State<Applications>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    caller.require(&READERS)?;
    tagged(&headers, state.intake.board(caller.sender()).await?)
}

async fn job(
    State(state): State<Applications>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    caller.require(&READERS)?;
    tagged(&headers, state.intake.job(caller.sender(), &id).await?)
}

async fn form(
    State(state): State<Applications>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    caller.require_or_publishable(&READERS)?;
    tagged(&headers, state.intake.form(caller.sender(), &id).await.map_err(Refusal::uncounted)?)
}

fn tagged(headers: &HeaderMap, answer: Tagged) -> Result<Response, Refusal> {
    let tag = etag(&answer.tag)?;
    let mut response = if has(headers, &tag) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        applications::answer(StatusCode::OK, answer.body)
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, tag);
    // Its reader may keep it, and asks each time whether it still holds.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.append(VARY, HeaderValue::from_static("Authorization"));
    Ok(response)
}

/// Does the caller have this version? Weak tags compare equal: a proxy may have weakened ours.
fn has(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let given = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut given = given.flat_map(|value| value.split(',')).map(str::trim);
    given.any(|given| given == "*" || given.strip_prefix("W/").unwrap_or(given).as_bytes() == tag.as_bytes())
}

/// A strong tag.
pub(super) fn etag(digest: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::try_from(format!("\"{digest}\"")).map_err(|_| Code::Internal.into())
}

pub(super) fn as_json(value: &impl Serialize) -> Result<Bytes, Refusal> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| {
        tracing::error!(%error, "an answer has no JSON form");
        Code::Internal.into()
    })
}

#[cfg(test)]
mod tests {
    use super::{etag, has};
    use http::header::IF_NONE_MATCH;
    use http::{HeaderMap, HeaderValue};

    #[test]
    fn a_version_is_known_by_its_tag_alone() {
        let tag = etag("abc").unwrap();
        for (given, known) in [
            (None, false),
            (Some("\"abc\""), true),
            (Some("W/\"abc\""), true),
            (Some("\"x\", \"abc\""), true),
            (Some("*"), true),
            (Some("abc"), false),
            (Some("\"abcd\""), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(given.map(|given| (IF_NONE_MATCH, HeaderValue::from_static(given))));
            assert_eq!(has(&headers, &tag), known, "{given:?}");
        }
    }
}
