//! The layers of both listeners, outermost first. Order is meaning here: each line says why it stands where it does.

use std::any::Any;
use std::sync::Arc;

use axum::error_handling::HandleErrorLayer;
use axum::extract::{Request, State};
use axum::middleware::{Next, map_response};
use axum::response::{IntoResponse, Response};
use axum::{BoxError, Router};
use bytes::Bytes;
use causeway_core::problem::{Code, Problem};
use http::header::{AUTHORIZATION, COOKIE, HeaderName};
use http_body_util::Full;
use serde_json::Value;
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::timeout::{RequestBodyDeadlineLayer, RequestBodyTimeoutLayer};

use super::applications::{self, Applications};
use super::auth::{Caller, authenticate};
use super::body::{self, MAX_BODY};
use super::browser::{cors, within_address};
use super::lazy::around;
use super::pages::described;
use super::request::{TraceIds, forget_foreign_id};
use super::{Shared, access_log, jobs, management, metrics, pages, preflight, problem, receipts};
use crate::intake::Refusal;
use crate::openapi::{About, Routes, document};
use crate::quota::TenantQuota;
use crate::store::receipts::Receipts;
use crate::store::setup::Scope;

/// Headers whose values are never to be printed by anything below.
const SENSITIVE: [HeaderName; 3] = [AUTHORIZATION, COOKIE, HeaderName::from_static("idempotency-key")];

const PUBLIC: About = About {
    title: "Causeway",
    description: "What career sites ask of the gateway: jobs and their forms, checks, applications. Every refusal is \
                  `application/problem+json` with a stable code; each code has a page under `/problems/`.",
    server: "http://127.0.0.1:8080",
};
const MANAGEMENT: About = About {
    title: "Causeway, management",
    description: "Health, metrics, and what support and privacy officers ask. An e-mail address is only ever in a body, \
                  never in a URL. Every refusal is `application/problem+json` with a stable code.",
    server: "http://127.0.0.1:8081",
};

/// The public listener: three route groups under one stack.
pub(super) fn public(shared: &Shared, applications: Applications, receipts: &Arc<dyn Receipts>) -> Router {
    let config = &shared.config;
    let layers = |keyed: Router| {
        keyed.route_layer(
            ServiceBuilder::new()
                // Before anything is counted against a tenant or read for it.
                .layer(around(Arc::clone(&shared.authenticator), authenticate))
                // Publishable keys only; before the tenant's quota, or one address could spend it.
                .layer(around(Arc::clone(&shared.addresses), within_address))
                // After identity, before the body is read: a tenant over its rate costs a lookup and nothing else.
                .layer(around(Arc::clone(&shared.quota), within_quota))
                // After identity, so that what is refused here is counted for its tenant; nothing above reads the body.
                .layer(around((), refuse_encoded))
                .layer(RequestBodyLimitLayer::new(MAX_BODY.as_len())),
        )
    };
    let keyed = keyed().with_state(applications).and(signed().with_state(Arc::clone(receipts)));
    let routes = public_routes(keyed.map(layers), receipts::keys_routes().with_state(Arc::clone(receipts)));

    let stack = ServiceBuilder::new()
        // First, so that everything below may name the request; a caller's own id could hold anything and is dropped.
        .map_request(forget_foreign_id)
        .layer(SetRequestIdLayer::x_request_id(TraceIds(Arc::clone(&shared.entropy))))
        .layer(PropagateRequestIdLayer::x_request_id())
        // Before anything that could print a header.
        .layer(SetSensitiveRequestHeadersLayer::new(SENSITIVE))
        // Outside timeout, panic and shed, or the requests that matter most would leave no line.
        .layer(around((), access_log::log))
        // For the same reason; after routing, so that its labels are route templates.
        .layer(around(Arc::clone(&shared.metrics), metrics::count))
        // Whoever answers below, the headers are the same.
        .layer(map_response(problem::security_headers))
        // Outside everything that refuses: the one place where a refusal becomes HTTP.
        .layer(around(Arc::clone(&shared.edge), problem::render))
        // Inside what renders, so that its own refusal is a problem; outside all other refusals, so that a page can read them.
        .layer(around(Arc::clone(&shared.origins), cors))
        // A bug is one 500, not a dead connection; outside the deadline, which runs our code too.
        .layer(CatchPanicLayer::custom(panicked))
        // Covers all waiting below: for a slot, for the body, for the store.
        .layer(around(config.deadline, within_deadline))
        // 503 at once instead of a queue nobody sees. The semaphore is one for the process: a limit per clone would be
        // no limit. Shedding is outside the limit, because it acts on the limit not being ready.
        .layer(HandleErrorLayer::new(shed))
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(&shared.in_flight)))
        // Before a byte is buffered: nothing that trickles. Nothing compressed or endless either: see the keyed group, the
        // only one that reads bodies.
        .layer(RequestBodyDeadlineLayer::new(config.body_total))
        .layer(RequestBodyTimeoutLayer::new(config.body_progress));
    routes.into_router().fallback(pages::nothing_here).layer(stack)
}

/// Keyed: the tenant comes from the API key.
fn keyed() -> Routes<Applications> {
    let routes = applications::routes().and(preflight::routes()).and(jobs::routes());
    routes.each_refuses(&KEYED)
}

/// Keyed too.
fn signed() -> Routes<Arc<dyn Receipts>> {
    receipts::routes().each_refuses(&KEYED)
}

/// What the layers around keyed routes refuse.
const KEYED: [Code; 3] = [Code::QuotaExceeded, Code::ContentEncodingUnsupported, Code::BodyTooLarge];

/// All of the public listener. Hooks: the account stands in the path, the vendor signs the body; neither a key nor a
/// tenant's quota applies. Pages are the same for everybody.
fn public_routes(keyed: Routes, keys: Routes) -> Routes {
    let routes = keyed.and(pages::hooks()).and(pages::problems()).and(keys);
    described(routes.each_refuses(&[Code::Internal, Code::DeadlineExceeded, Code::Overloaded]), PUBLIC)
}

/// All of the management listener.
fn management_routes(open: Routes, support: Routes, webhooks: Routes) -> Routes {
    let routes = open.and(support.under("/v1/support")).and(webhooks.under("/v1/webhooks"));
    let layers = [Code::Internal, Code::DeadlineExceeded, Code::ContentEncodingUnsupported, Code::BodyTooLarge];
    described(routes.each_refuses(&layers), MANAGEMENT)
}

/// The public listener's document.
pub fn public_document() -> Value {
    let keyed = keyed().unserved().and(signed().unserved());
    document(PUBLIC, public_routes(keyed, receipts::keys_routes().unserved()).listed())
}

/// The management listener's document; support's and webhooks' routes are brought, as they are to be served.
pub fn management_document(support: Routes, webhooks: Routes) -> Value {
    document(MANAGEMENT, management_routes(management::routes().unserved(), support, webhooks).listed())
}

/// The management listener: no shedding, no quota, so that it answers when the public one does not.
pub(super) fn management(shared: &Shared, open: Routes, support: Routes, webhooks: Routes) -> Router {
    // Past webhooks are a site's own: a key is enough, the handler says which.
    let keyed = |webhooks: Router| webhooks.layer(around(Arc::clone(&shared.authenticator), authenticate));
    let layers = |support: Router| {
        support.layer(
            ServiceBuilder::new()
                // Support sees persons: reaching the port is not enough.
                .layer(around(Arc::clone(&shared.authenticator), authenticate))
                .layer(around((), support_only)),
        )
    };
    let routes = management_routes(open, support.map(layers), webhooks.map(keyed));
    let stack = ServiceBuilder::new()
        .map_request(forget_foreign_id)
        .layer(SetRequestIdLayer::x_request_id(TraceIds(Arc::clone(&shared.entropy))))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(SetSensitiveRequestHeadersLayer::new(SENSITIVE))
        .layer(around((), access_log::log))
        .layer(around(Arc::clone(&shared.metrics), metrics::count))
        .layer(map_response(problem::security_headers))
        .layer(around(Arc::clone(&shared.edge), problem::render))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(around(shared.config.deadline, within_deadline))
        // Nothing here takes files.
        .layer(around((), refuse_encoded))
        .layer(RequestBodyLimitLayer::new(body::MAX_DOCUMENT.as_len()))
        .layer(RequestBodyDeadlineLayer::new(shared.config.body_total));
    routes.into_router().fallback(pages::nothing_here).layer(stack)
}

/// The semaphore of the global limit.
pub(super) fn in_flight(limit: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS)))
}

async fn within_quota(State(quota): State<Arc<TenantQuota>>, request: Request, next: Next) -> Response {
    let tenant = request.extensions().get::<Caller>().map(Caller::tenant);
    match tenant.map(|tenant| quota.take(tenant)) {
        Some(Ok(())) => next.run(request).await,
        Some(Err(wait)) => {
            Refusal::from(Problem::new(Code::QuotaExceeded).retry_after(wait.as_secs() + 1)).into_response()
        }
        // Unreachable while authentication is outside; if it ever is not, nothing passes.
        None => Refusal::from(Code::KeyInvalid).into_response(),
    }
}

async fn support_only(request: Request, next: Next) -> Response {
    match request.extensions().get::<Caller>().map(|caller| caller.require(&[Scope::Support])) {
        Some(Ok(())) => next.run(request).await,
        Some(Err(refusal)) => refusal.into_response(),
        None => Refusal::from(Code::KeyInvalid).into_response(),
    }
}

/// A function, because the library's layer answers a bare status that cannot be told from another.
async fn within_deadline(State(deadline): State<std::time::Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(deadline, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => Refusal::from(Problem::new(Code::DeadlineExceeded).retry_after(2)).into_response(),
    }
}

async fn refuse_encoded(request: Request, next: Next) -> Response {
    match body::refuse_encoded(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// The only error the layers below can make is the shed one.
async fn shed(_error: BoxError) -> Refusal {
    Problem::new(Code::Overloaded).retry_after(1).into()
}

/// The panic's words stay out of the answer and out of the log: they may quote what was being handled.
fn panicked(_words: Box<dyn Any + Send + 'static>) -> http::Response<Full<Bytes>> {
    tracing::error!("a request handler panicked");
    let refusal = Refusal::from(Code::Internal);
    let mut response = http::Response::new(Full::default());
    *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
    response.extensions_mut().insert(refusal);
    response
}
