//! `/v1/support/*` on the management listener: reads the question, asks support, writes the answer.
//!
//! The address is only ever in a body, so every route is a POST. A key with the scope `support` says whose data it is;
//! there is no other way to name a tenant here. Answers are not to be cached.

use std::sync::Arc;

use aws_lc_rs::digest;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use causeway_core::ids::{DeliveryId, KeyId, TenantId};
use causeway_core::problem::{Code, Problem};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::query::LookupRequest;
use super::{Actor, Support, SupportError};
use crate::store::setup::Scope;
use crate::store::{Store, StoreError};

/// A question is small.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// Cases shown unless asked otherwise.
const CASES: usize = 100;

#[derive(Clone)]
struct Desk {
    support: Support,
    store: Arc<dyn Store>,
}

/// The routes, to be mounted on the management listener.
pub fn routes(support: Support, store: Arc<dyn Store>) -> Router {
    Router::new()
        .route("/v1/support/lookup", post(lookup))
        .route("/v1/support/replay", post(replay))
        .route("/v1/support/cancel", post(cancel))
        .route("/v1/support/cases", post(cases))
        .with_state(Desk { support, store })
}

/// Who asks, and for whom.
struct Caller {
    tenant: TenantId,
    key: KeyId,
}

impl Caller {
    const fn actor(&self) -> Actor {
        Actor::Key(self.key)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneDelivery {
    delivery: DeliveryId,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct SomeCases {
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Done {
    delivery: DeliveryId,
    done: &'static str,
}

async fn lookup(State(desk): State<Desk>, request: Request) -> Response {
    answer(async {
        let (caller, question) = desk.read::<LookupRequest>(request).await?;
        let query = question
            .check(caller.tenant)
            .map_err(|error| Problem::new(Code::QueryInvalid).detail(error.to_string()))?;
        Ok(desk.support.lookup(caller.actor(), &query).await?)
    })
    .await
}

async fn replay(State(desk): State<Desk>, request: Request) -> Response {
    answer(async {
        let (caller, OneDelivery { delivery }) = desk.read(request).await?;
        desk.support.replay(caller.actor(), caller.tenant, delivery).await?;
        Ok(Done { delivery, done: "replayed" })
    })
    .await
}

async fn cancel(State(desk): State<Desk>, request: Request) -> Response {
    answer(async {
        let (caller, OneDelivery { delivery }) = desk.read(request).await?;
        desk.support.cancel(caller.actor(), caller.tenant, delivery).await?;
        Ok(Done { delivery, done: "cancelled" })
    })
    .await
}

async fn cases(State(desk): State<Desk>, request: Request) -> Response {
    answer(async {
        let (caller, SomeCases { limit }) = desk.read(request).await?;
        let limit = limit.unwrap_or(CASES).clamp(1, 1_000);
        let cases = desk.support.cases(caller.actor(), caller.tenant, limit).await?;
        Ok(cases.iter().map(super::view::CaseView::from).collect::<Vec<_>>())
    })
    .await
}

impl Desk {
    /// Who asks, then what: a caller without a key learns nothing about how a question is read.
    async fn read<T: DeserializeOwned>(&self, request: Request) -> Result<(Caller, T), Problem> {
        let (parts, body) = request.into_parts();
        let caller = self.caller(&parts.headers).await?;
        let bytes = bytes(body).await?;
        let question = serde_json::from_slice(&bytes).map_err(|error| {
            let place = format!("not readable at line {}, column {}", error.line(), error.column());
            Problem::new(Code::QueryInvalid).detail(place)
        })?;
        Ok((caller, question))
    }

    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let key = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or_else(|| Problem::new(Code::KeyInvalid))?;
        // A browser page has no business with a secret key.
        if headers.contains_key(header::ORIGIN) {
            return Err(Problem::new(Code::SecretKeyInBrowser));
        }
        let mut hash = [0u8; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, key.trim().as_bytes()).as_ref());
        let record = self.store.key_by_hash(hash).await.map_err(|error| store_problem(&error))?;
        let record = record.ok_or_else(|| Problem::new(Code::KeyInvalid))?;
        if !record.scopes.contains(&Scope::Support) {
            return Err(Problem::new(Code::ScopeMissing));
        }
        Ok(Caller { tenant: record.tenant, key: record.id })
    }
}

async fn bytes(body: Body) -> Result<Bytes, Problem> {
    axum::body::to_bytes(body, BODY_BYTES_MAX).await.map_err(|_too_large_or_gone| Problem::new(Code::BodyTooLarge))
}

impl From<SupportError> for Problem {
    fn from(error: SupportError) -> Self {
        match error {
            SupportError::MakesNoSense(why) => Self::new(Code::ActionRefused).detail(why),
            SupportError::Store(error) => store_problem(&error),
        }
    }
}

fn store_problem(error: &StoreError) -> Problem {
    match error {
        StoreError::Unavailable(_) => Problem::new(Code::StoreUnavailable).retry_after(5),
        StoreError::NotFound(_) => Problem::new(Code::NotFound),
        StoreError::Exists(_) | StoreError::Fenced | StoreError::IllegalMove { .. } => {
            Problem::new(Code::ActionRefused)
        }
        StoreError::Corrupt(_) | StoreError::Failed(_) => {
            tracing::error!(error = %error, "support could not read the store");
            Problem::new(Code::Internal)
        }
    }
}

async fn answer<T: Serialize>(work: impl Future<Output = Result<T, Problem>>) -> Response {
    let (status, kind, body) = match work.await {
        Ok(answer) => (StatusCode::OK, "application/json", serde_json::to_vec(&answer)),
        Err(problem) => {
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, "application/problem+json", serde_json::to_vec(&problem))
        }
    };
    let Ok(body) = body else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, body).into_response()
}
