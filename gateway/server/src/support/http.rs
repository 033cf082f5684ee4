//! `/v1/support/*` on the management listener: reads the question, asks support, writes the answer.
//!
//! The address is only ever in a body, so every route is a POST. Ingress has let in nobody but a key with the scope
//! `support`, and the key says whose data it is: there is no other way to name a tenant here. What concerns a person as a
//! whole (erasing, handing over) takes the scope `privacy` besides.

use axum::body::Bytes;
use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use causeway_core::email::NormalEmail;
use causeway_core::ids::{DeliveryId, SubmissionId};
use causeway_core::pii::Pii;
use causeway_core::problem::{Code, Problem};
use http::{HeaderValue, header};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::person::{CopyView, Erased, Export, Reach};
use super::query::{LookupRequest, whole};
use super::view::{CaseView, Report};
use super::{Actor, Support, SupportError, replayed_to};
use crate::ingress::auth::Caller;
use crate::ingress::body::{MAX_FILES, broken};
use crate::intake::{Refusal, unavailable};
use crate::openapi::{Operation, Routes};
use crate::store::custody::CopyState;
use crate::store::setup::Scope;

/// A question is small.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// Cases shown unless asked otherwise, and at most.
const CASES: usize = 100;
const CASES_MAX: usize = 1_000;

/// The routes, to stand under `/v1/support`.
pub fn routes() -> Routes<Support> {
    let lookup_ = about("lookup", "What became of a person's applications")
        .takes::<LookupRequest>()
        .answers::<Report>(200, "Newest first; also when nothing was found.");
    let replay_ = about("replay", "Send a delivery again, with the same references")
        .takes::<OneDelivery>()
        .answers::<Done>(200, "It is queued, or what it came to instead.")
        .refuses(&[Code::NotFound, Code::ActionRefused]);
    let cancel_ = about("cancel", "Call a delivery off")
        .takes::<OneDelivery>()
        .answers::<Done>(200, "It is.")
        .refuses(&[Code::NotFound, Code::ActionRefused]);
    let cases_ = about("cases", "What a person should look at")
        .takes::<SomeCases>()
        .answers::<Vec<CaseView>>(200, "Open cases, newest first.");
    Routes::new()
        .post("/lookup", lookup, lookup_)
        .post("/replay", replay, replay_)
        .post("/cancel", cancel, cancel_)
        .post("/cases", cases, cases_)
        .and(person_routes())
}

/// What concerns one person as a whole takes a privacy officer's key.
fn person_routes() -> Routes<Support> {
    let officer = |id, summary| about(id, summary).and_needs(&[Scope::Privacy]);
    let erasure_plan_ = officer("erasurePlan", "What erasing a person would reach")
        .takes::<OnePerson>()
        .answers::<Reach>(200, "Nothing is changed.");
    let erase_ = officer("erase", "Erase a person")
        .details(
            "Destroys the keys of everything that came from the address. Vendors' copies stay listed until settled.",
        )
        .takes::<OnePerson>()
        .answers::<Erased>(200, "It is done, or was before.")
        .refuses(&[Code::NotFound]);
    let export_ = officer("export", "Hand over what is held about a person")
        .takes::<ToExport>()
        .answers::<Export>(200, "A page of it; `next` names where the next one begins.")
        .refuses(&[Code::NotFound]);
    let export_file_ = officer("exportFile", "One file of a person's")
        .takes::<OneFile>()
        .answers_text(200, "application/octet-stream", "The bytes as they were sent.")
        .with_header("Content-Disposition", "Content-Disposition")
        .refuses(&[Code::NotFound]);
    let vendor_copies_ = officer("vendorCopies", "Erased persons' copies at vendors")
        .answers::<Vec<CopyView>>(200, "Who has to do what.");
    let settle_ = officer("settleVendorCopy", "Say what became of a vendor's copy")
        .takes::<ToSettle>()
        .answers::<Vec<CopyView>>(200, "As it stands now, with others of the same vendor record.")
        .refuses(&[Code::NotFound]);
    Routes::new()
        .post("/erasure-plan", erasure_plan, erasure_plan_)
        .post("/erase", erase, erase_)
        .post("/export", export, export_)
        .post("/export-file", export_file, export_file_)
        .post("/vendor-copies", vendor_copies, vendor_copies_)
        .post("/vendor-copies/settle", settle_vendor_copy, settle_)
}

/// Reaching the listener is not enough: support sees persons.
fn about(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, summary).needs(&[Scope::Support]).refuses(&[
        Code::QueryInvalid,
        Code::BodyTooSlow,
        Code::ContentTypeUnsupported,
    ])
}
type Answer = Result<Response, Refusal>;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OneDelivery {
    delivery: DeliveryId,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OnePerson {
    #[schemars(extend("format" = "email"))]
    email: Pii<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ToExport {
    #[schemars(extend("format" = "email"))]
    email: Pii<String>,
    /// Demographic answers too.
    #[serde(default)]
    demographics: bool,
    /// `next` of the page before.
    #[serde(default)]
    after: Option<SubmissionId>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OneFile {
    #[schemars(extend("format" = "email"))]
    email: Pii<String>,
    submission: SubmissionId,
    /// Its place among the submission's files, from 1.
    #[schemars(with = "usize", range(min = 1, max = MAX_FILES))]
    #[serde(deserialize_with = "whole")]
    position: Option<usize>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ToSettle {
    delivery: DeliveryId,
    state: CopyState,
}

#[derive(Deserialize, Default, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct SomeCases {
    /// At most so many; 100 unless it is said.
    #[schemars(range(min = 1, max = CASES_MAX))]
    #[serde(deserialize_with = "whole")]
    limit: Option<usize>,
}

#[derive(Serialize, JsonSchema)]
struct Done {
    delivery: DeliveryId,
    /// What was done.
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
    let limit = limit.unwrap_or(CASES);
    if !(1..=CASES_MAX).contains(&limit) {
        return Err(Problem::new(Code::QueryInvalid).detail("The `limit` is from 1 to 1000.").into());
    }
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
    let position = position.unwrap_or_default();
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

/// The question in the body, whose type need not be said. An unreadable one is told its place, never its content.
async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Refusal> {
    let kinds = request.headers().get_all(header::CONTENT_TYPE);
    let is_json = |kind: &HeaderValue| {
        let essence = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case("application/json")
    };
    if !kinds.iter().all(is_json) {
        return Err(Code::ContentTypeUnsupported.into());
    }
    let bytes: Bytes = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX)
        .await
        .map_err(|error| Refusal::from(broken(&error)))?;
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
        let answer = routes()
            .with_state::<()>(support)
            .into_router()
            .layer(Extension(Caller::new(key)))
            .oneshot(request)
            .await
            .unwrap();
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
        routes().with_state::<()>(support).into_router().oneshot(request).await.unwrap().status()
    }
}
