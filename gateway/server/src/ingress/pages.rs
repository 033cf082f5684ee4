//! What is the same for every caller: the problems' pages, the API's document, and the plain "nothing here".

use std::sync::{Arc, OnceLock};

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use causeway_core::problem::Code;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::json;

use crate::intake::Refusal;
use crate::openapi::{About, Operation, Routes, document};

const MARKDOWN: &str = "text/markdown; charset=utf-8";

pub(super) fn problems() -> Routes {
    let page = Operation::new("problem", "A problem's page")
        .path::<Code>("code", "The problem's `code`.")
        .answers_text(200, MARKDOWN, "Causes and remedies.")
        .refuses(&[Code::NotFound]);
    Routes::new().get("/problems/{code}", problem_page, page)
}

pub(super) fn hooks() -> Routes {
    let hook = Operation::new("hook", "A vendor's webhook")
        .details("No connector of this version takes webhooks, so every account is one that has none.")
        .path::<String>("account", "The account's id.")
        .refuses(&[Code::NotFound]);
    Routes::new().post("/v1/hooks/{account}", no_hook, hook)
}

/// These routes, and the document about all of them.
pub(super) fn described(routes: Routes, about: About) -> Routes {
    let written: Arc<OnceLock<Bytes>> = Arc::default();
    let told = Arc::clone(&written);
    let page = async move || {
        let kind = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let keep = (CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        ([kind, keep], told.get().cloned().unwrap_or_default())
    };
    let operation = Operation::new("document", "This document")
        .answers_as(
            200,
            "application/json",
            |_| json!({ "type": "object", "required": ["openapi"], "additionalProperties": true }),
            "OpenAPI 3.1.",
        )
        .refuses(&[Code::Internal, Code::DeadlineExceeded, Code::Overloaded]);
    let routes = routes.get("/v1/openapi.json", page, operation);
    written.get_or_init(|| document(about, routes.listed()).to_string().into());
    routes
}

/// The page behind a problem's `type`.
async fn problem_page(Path(code): Path<String>) -> Result<Response, Refusal> {
    let code = Code::ALL.iter().find(|known| known.as_str() == code).ok_or(Code::NotFound)?;
    let mut response = code.page().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MARKDOWN));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    Ok(response)
}

/// An account without a hook is answered like one that does not exist.
async fn no_hook() -> Refusal {
    Code::NotFound.into()
}

/// No such route.
pub(super) async fn nothing_here() -> Refusal {
    Code::NotFound.into()
}
