//! Requests from web pages: which origins get an answer a page can read (CORS), and how much one address may send.
//!
//! Only the routes that publishable keys open are answered to pages, and only to origins that some living publishable key
//! lists; whether this key lists this origin is authentication's question, asked of the request itself. Never with
//! credentials: a page sends its key in a header, and cookies are nobody's here.
//!
//! Own code, because the origins are data of the store and the methods differ by route; `tower_http::cors` asks neither.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use causeway_core::clock::Clock;
use causeway_core::problem::{Code, Problem};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;

use super::auth::Caller;
use super::listener::Peer;
use crate::intake::Refusal;
use crate::quota::{AddressQuota, network};
use crate::store::Store;

/// What a page may send. The key's header is named: a wildcard does not cover it.
const REQUEST_HEADERS: HeaderValue =
    HeaderValue::from_static("authorization, content-type, idempotency-key, if-none-match");
/// What a page may read beyond the usual.
const ANSWER_HEADERS: HeaderValue = HeaderValue::from_static("etag, retry-after, x-request-id");
/// How long a browser may remember a preflight, in seconds.
const REMEMBER: HeaderValue = HeaderValue::from_static("600");
/// How long the list of origins is believed without asking the store; the same as for keys.
const BELIEVED: Duration = Duration::from_secs(1);

/// The one origin of a request. Two are as good as none.
pub(super) fn origin(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(ORIGIN).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    value.to_str().ok()
}

/// What pages may do on a route; `None` on the routes that are not for them.
fn methods(request: &Request) -> Option<HeaderValue> {
    match request.extensions().get::<MatchedPath>()?.as_str() {
        "/v1/applications" | "/v1/preflight" => Some(HeaderValue::from_static("POST")),
        "/v1/jobs/{id}/form" => Some(HeaderValue::from_static("GET")),
        _ => None,
    }
}

/// Every origin that a living publishable key lists.
pub(super) struct Origins {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    listed: RwLock<Listed>,
}

#[derive(Default, Clone)]
struct Listed {
    origins: Arc<BTreeSet<String>>,
    read: Option<(u64, Timestamp)>,
}

impl Origins {
    pub(super) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, listed: RwLock::default() }
    }

    /// A list that cannot be read is the one read last: it opens nothing, keys are checked one by one.
    async fn lists(&self, origin: &str) -> bool {
        let (generation, now) = (self.store.generation(), self.clock.now());
        let known = self.listed.read().unwrap_or_else(PoisonError::into_inner).clone();
        let fresh = known.read.is_some_and(|(read, at)| {
            read == generation && Duration::try_from(now.duration_since(at)).is_ok_and(|age| age < BELIEVED)
        });
        if fresh {
            return known.origins.contains(origin);
        }
        match self.store.origins().await {
            Ok(origins) => {
                let listed = Listed { origins: Arc::new(origins), read: Some((generation, now)) };
                let lists = listed.origins.contains(origin);
                *self.listed.write().unwrap_or_else(PoisonError::into_inner) = listed;
                lists
            }
            Err(error) => {
                tracing::warn!(%error, "the origins of publishable keys were not read");
                known.origins.contains(origin)
            }
        }
    }
}

/// The layer: answers a browser's preflight, and lets the page read what is answered to it.
pub(super) async fn cors(State(origins): State<Arc<Origins>>, request: Request, next: Next) -> Response {
    let Some(methods) = methods(&request) else { return next.run(request).await };
    // Nothing else is asked by this method here, whatever the browser says it is about to send.
    let asked = request.method() == Method::OPTIONS;
    let listed = match origin(request.headers()) {
        Some(origin) if origins.lists(origin).await => request.headers().get(ORIGIN).cloned(),
        Some(_) | None => None,
    };
    let mut response = match (asked, &listed) {
        (true, Some(_)) => StatusCode::NO_CONTENT.into_response(),
        (true, None) => Refusal::from(Code::OriginNotAllowed).into_response(),
        (false, _) => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = listed {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if asked {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
            headers.insert(ACCESS_CONTROL_MAX_AGE, REMEMBER);
        } else {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
        }
    }
    response
}

/// The layer: a publishable key is in everybody's hands, so what one address may send with it is bounded.
pub(super) async fn within_address(State(quota): State<Arc<AddressQuota>>, request: Request, next: Next) -> Response {
    if request.extensions().get::<Caller>().is_some_and(Caller::is_publishable) {
        // Without an address nobody is told apart.
        let peer = request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
        if let Err(wait) = quota.take(network(peer)) {
            let problem = Problem::new(Code::QuotaExceeded)
                .detail("Too many requests from this address.")
                .retry_after(wait.as_secs() + 1);
            return Refusal::from(problem).into_response();
        }
    }
    next.run(request).await
}
