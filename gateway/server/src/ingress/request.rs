//! What every layer may know about a request: its trace id and, once known, who sent it. Never anything of its content.

use std::sync::{Arc, OnceLock};

use axum::extract::Request;
use causeway_core::clock::Entropy;
use causeway_core::ids::{KeyId, TenantId};
use data_encoding::HEXLOWER;
use http::HeaderValue;
use tower_http::request_id::{MakeRequestId, RequestId};

use crate::telemetry::traces::TraceParent;

/// Makes trace ids: the caller's, if it sent a valid `traceparent`; else 128 random bits, hexadecimal.
#[derive(Clone)]
pub(super) struct TraceIds(pub(super) Arc<dyn Entropy>);

impl MakeRequestId for TraceIds {
    fn make_request_id<B>(&mut self, request: &http::Request<B>) -> Option<RequestId> {
        if let Some(parent) = request.extensions().get::<TraceParent>() {
            return HeaderValue::try_from(parent.trace_id()).ok().map(RequestId::new);
        }
        let mut bytes = [0; 16];
        self.0.fill(&mut bytes);
        let mut text = [0; 32];
        HEXLOWER.encode_mut(&bytes, &mut text);
        HeaderValue::from_bytes(&text).ok().map(RequestId::new)
    }
}

/// Drops a request id the caller chose: it would stand in our log, and it may hold anything. Of a trace the caller is in,
/// the ids are kept: they have a form that holds nothing else. What it says beside them is dropped.
pub(super) fn forget_foreign_id(mut request: Request) -> Request {
    let headers = request.headers_mut();
    headers.remove("x-request-id");
    headers.remove("tracestate");
    headers.remove("baggage");
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let parent = match (parents.next(), parents.next()) {
        (Some(only), None) => only.to_str().ok().and_then(TraceParent::parse),
        (None | Some(_), _) => None,
    };
    headers.remove(TRACEPARENT);
    request.extensions_mut().remove::<TraceParent>();
    if let Some(parent) = parent {
        request.extensions_mut().insert(parent);
    }
    request
}

const TRACEPARENT: &str = "traceparent";

/// Shared by the layers above and below authentication through the request's extensions.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Ties the answer, the log line and the stored rows together.
    pub(crate) trace_id: String,
    /// Set by authentication.
    pub(crate) sender: OnceLock<(TenantId, KeyId)>,
}

impl Facts {
    /// The facts of a request that has its id.
    pub(super) fn of(request: &Request) -> Arc<Self> {
        let id = request.extensions().get::<RequestId>();
        let trace_id = id.and_then(|id| id.header_value().to_str().ok()).unwrap_or_default().to_owned();
        Arc::new(Self { trace_id, sender: OnceLock::new() })
    }
}

/// The facts that the access log attached.
pub(super) fn facts(request: &Request) -> Option<Arc<Facts>> {
    request.extensions().get::<Arc<Facts>>().cloned()
}
