//! What is the same for every caller: the problems' pages, and the plain "nothing here".

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use causeway_core::problem::Code;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::intake::Refusal;

/// The page behind a problem's `type`.
pub(super) async fn problem_page(Path(code): Path<String>) -> Result<Response, Refusal> {
    let code = Code::ALL.iter().find(|known| known.as_str() == code).ok_or(Code::NotFound)?;
    let mut response = code.page().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/markdown; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    Ok(response)
}

/// An account without a hook is answered like one that does not exist.
pub(super) async fn no_hook() -> Refusal {
    Code::NotFound.into()
}

/// No such route.
pub(super) async fn nothing_here() -> Refusal {
    Code::NotFound.into()
}
