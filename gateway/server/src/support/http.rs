//! `/v1/support/*` on the management listener: reads the question, asks support, writes the answer.
//!
//! The address is only ever in a body, so every route is a POST. Ingress has let in nobody but a key with the scope
//! `support`, and the key says whose data it is: there is no other way to name a tenant here. What concerns a person as a
//! whole (erasing, handing over) takes the scope `privacy` besides.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use causeway_core::email::NormalEmail;
use causeway_core::ids::{DeliveryId, SubmissionId};
use causeway_core::pii::Pii;
use causeway_core::problem::{Code, Problem};
use http::{HeaderValue, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::query::LookupRequest;
use super::view::CaseView;
use super::{Actor, Support, SupportError, replayed_to};
use crate::ingress::auth::Caller;
use crate::intake::{Refusal, unavailable};
use crate::store::custody::CopyState;
use crate::store::setup::Scope;

/// A question is small.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// Cases shown unless asked otherwise, and at most.
const CASES: usize = 100;
const CASES_MAX: usize = 1_000;

/// The routes, to stand under `/v1/support`.
pub fn routes(support: Support) -> Router {
    Router::new()
        .route("/lookup", post(lookup))
        .route("/replay", post(replay))
        .route("/cancel", post(cancel))
        .route("/cases", post(cases))
        .route("/erasure-plan", post(erasure_plan))
        .route("/erase", post(erase))
        .route("/export", post(export))
        .route("/export-file", post(export_file))
        .route("/vendor-copies", post(vendor_copies))
        .route("/vendor-copies/settle", post(settle_vendor_copy))
        .with_state(support)
}

type Answer = Result<Response, Refusal>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneDelivery {
    delivery: DeliveryId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnePerson {
    email: Pii<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToExport {
    email: Pii<String>,
    #[serde(default)]
    demographics: bool,
    /// `next` of the page before.
    #[serde(default)]
    after: Option<SubmissionId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneFile {
    email: Pii<String>,
    submission: SubmissionId,
    position: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToSettle {
    delivery: DeliveryId,
    state: CopyState,
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

async fn lookup(State(support): State<Support>, Extension(caller): Extension<Caller>, request: Request) -> Answer {
    let question: LookupRequest = read(request).await?;
    let query = question
        .check(caller.tenant())
        .map_err(|error| Problem::new(Code::QueryInvalid).detail(format!("The query cannot be asked: {error}.")))?;
    json(&support.lookup(Actor::Key(caller.key()), &query).await?)
}

async fn replay(State(support): State<Support>, Extension(caller): Extension<Caller>, request: Request) -> Answer {
    let OneDelivery { delivery } = read(request).await?;
    let replayed = support.replay(Actor::Key(caller.key()), caller.tenant(), delivery).await?;
    json(&Done { delivery, done: replayed_to(replayed.state) })
}

async fn cancel(State(support): State<Support>, Extension(caller): Extension<Caller>, request: Request) -> Answer {
    let OneDelivery { delivery } = read(request).await?;
    support.cancel(Actor::Key(caller.key()), caller.tenant(), delivery).await?;
    json(&Done { delivery, done: "cancelled" })
}

async fn cases(State(support): State<Support>, Extension(caller): Extension<Caller>, request: Request) -> Answer {
    let SomeCases { limit } = read(request).await?;
    let limit = limit.unwrap_or(CASES).clamp(1, CASES_MAX);
    let cases = support.cases(Actor::Key(caller.key()), caller.tenant(), limit).await?;
    json(&cases.iter().map(CaseView::from).collect::<Vec<_>>())
}

/// What concerns one person as a whole takes a privacy officer's key.
fn officer(caller: &Caller) -> Result<Actor, Refusal> {
    caller.require(&[Scope::Privacy])?;
    Ok(Actor::Key(caller.key()))
}

fn address(typed: &Pii<String>) -> Result<NormalEmail, Refusal> {
    let detail = "The query cannot be asked: the e-mail address has no `local@domain` form.";
    NormalEmail::parse(typed.reveal()).ok_or_else(|| Problem::new(Code::QueryInvalid).detail(detail).into())
}

async fn erasure_plan(
    State(support): State<Support>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Answer {
    let actor = officer(&caller)?;
    let OnePerson { email } = read(request).await?;
    json(&support.erasure_plan(actor, caller.tenant(), &address(&email)?).await?)
}

async fn erase(State(support): State<Support>, Extension(caller): Extension<Caller>, request: Request) -> Answer {
    let actor = officer(&caller)?;
    let OnePerson { email } = read(request).await?;
    json(&support.erase(actor, caller.tenant(), &address(&email)?).await?)
}

async fn export(State(support): State<Support>, Extension(caller): Extension<Caller>, request: Request) -> Answer {
    let actor = officer(&caller)?;
    let ToExport { email, demographics, after } = read(request).await?;
    json(&support.export(actor, caller.tenant(), &address(&email)?, demographics, after).await?)
}

/// The file's bytes. Whatever somebody sent, nothing that shows it is to make a page of it.
async fn export_file(State(support): State<Support>, Extension(caller): Extension<Caller>, request: Request) -> Answer {
    let actor = officer(&caller)?;
    let OneFile { email, submission, position } = read(request).await?;
    let bytes = support.export_file(actor, caller.tenant(), &address(&email)?, (submission, position)).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, bytes).into_response())
}

async fn vendor_copies(State(support): State<Support>, Extension(caller): Extension<Caller>) -> Answer {
    let actor = officer(&caller)?;
    json(&support.vendor_copies(actor, caller.tenant()).await?)
}

async fn settle_vendor_copy(
    State(support): State<Support>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Answer {
    let actor = officer(&caller)?;
    let ToSettle { delivery, state } = read(request).await?;
    json(&support.settle_vendor_copy(actor, caller.tenant(), delivery, state).await?)
}

/// The question in the body. An unreadable one is told its place, never its content.
async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Refusal> {
    let bytes: Bytes = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX)
        .await
        .map_err(|_too_large_or_gone| Refusal::from(Code::BodyTooLarge))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let place = format!("It is not readable at line {}, column {}.", error.line(), error.column());
        Problem::new(Code::QueryInvalid).detail(place).into()
    })
}

fn json(answer: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(answer).map_err(|error| {
        tracing::error!(%error, "an answer could not be written");
        Refusal::from(Code::Internal)
    })?;
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(([kind, (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], body).into_response())
}

impl From<SupportError> for Refusal {
    fn from(error: SupportError) -> Self {
        match error {
            SupportError::MakesNoSense(why) => {
                Problem::new(Code::ActionRefused).detail(format!("It cannot be done: {why}.")).into()
            }
            SupportError::Nobody => {
                Problem::new(Code::NotFound).detail("Nothing is held about this address; nothing was changed.").into()
            }
            SupportError::Store(error) => unavailable("support", &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::Body;
    use causeway_core::clock::{ManualClock, SeededEntropy};
    use causeway_core::delivery::State as Stands;
    use causeway_core::ids::{KeyId, TenantId};
    use http::StatusCode;
    use jiff::Timestamp;
    use tower::ServiceExt;

    use super::*;
    use crate::store::setup::KeyRecord;
    use crate::support::test_custody::NoCustody;
    use crate::support::test_store::TestStore;

    async fn post_to(path: &str, body: &str) -> (StatusCode, String) {
        let entropy = SeededEntropy::new(1);
        let now = Timestamp::UNIX_EPOCH;
        let store = Arc::new(TestStore { state: Some(Stands::Delivered), ..TestStore::default() });
        let support = Support::new(store, Arc::new(NoCustody), Arc::new(ManualClock::at(now)), Arc::new(|_| {}));
        let key = KeyRecord {
            origins: None,
            test: false,
            id: KeyId::new(now, &entropy),
            tenant: TenantId::new(now, &entropy),
            name: String::new(),
            scopes: vec![Scope::Support],
            created_at: now,
            revoked_at: None,
            suspended: false,
        };
        let request = http::Request::post(path).body(Body::from(body.to_owned())).unwrap();
        let answer = routes(support).layer(Extension(Caller::new(key))).oneshot(request).await.unwrap();
        let refusal = answer.extensions().get::<Refusal>().map(|refusal| refusal.problem.code.to_owned());
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, refusal.unwrap_or_else(|| String::from_utf8(body.to_vec()).unwrap()))
    }

    #[tokio::test]
    async fn each_question_has_its_answer() {
        let check = async |path: &str, body: &str, status: u16, told: &str| {
            let (got, text) = post_to(path, body).await;
            assert!(got == status && text.contains(told), "{path} {body}: {got} {text}");
        };
        let delivery = DeliveryId::new(Timestamp::UNIX_EPOCH, &SeededEntropy::new(2));
        check("/lookup", r#"{"email":"ada@example.org","job":"4001"}"#, 200, r#""found":false"#).await;
        check("/lookup", r#"{"email":"ada"}"#, 400, "query_invalid").await;
        check("/lookup", r#"{}"#, 400, "query_invalid").await;
        check("/lookup", r#"{"e-mail":"ada@example.org"}"#, 400, "query_invalid").await;
        check("/lookup", "{", 400, "query_invalid").await;
        check("/lookup", &format!("{{\"code\":\"{}\"}}", "x".repeat(20_000)), 413, "body_too_large").await;
        check("/cases", "{}", 200, "[]").await;
        check("/replay", &format!(r#"{{"delivery":"{delivery}"}}"#), 409, "action_refused").await;
        check("/cancel", &format!(r#"{{"delivery":"{delivery}"}}"#), 409, "action_refused").await;
        check("/replay", r#"{"delivery":"all"}"#, 400, "query_invalid").await;
        // What concerns a person as a whole takes an officer's key, whatever is asked.
        for path in ["/erasure-plan", "/erase", "/export", "/export-file", "/vendor-copies", "/vendor-copies/settle"] {
            check(path, r#"{"email":"ada@example.org"}"#, 403, "scope_missing").await;
        }
        assert_eq!(routes_of_other_methods().await, StatusCode::METHOD_NOT_ALLOWED);
    }

    /// An address in a URL would end in logs: nothing is answered to a GET.
    async fn routes_of_other_methods() -> StatusCode {
        let support = Support::new(
            Arc::new(TestStore::default()),
            Arc::new(NoCustody),
            Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH)),
            Arc::new(|_| {}),
        );
        let request = http::Request::get("/lookup?email=x").body(Body::empty()).unwrap();
        routes(support).oneshot(request).await.unwrap().status()
    }
}
