//! The envelope: a yes with `results`, a no with `errors` and `errorInfo` (C.0), both with status 200.

use http::StatusCode;
use serde_json::{Value, json};

use super::Ashby;
use crate::harness::Reply;

/// The sample's words (A 3.2).
pub(super) const MALFORMED: &str = "Request payload is malformed";

pub(super) fn yes(results: &Value) -> Reply {
    Reply::ok(&json!({ "success": true, "results": results }))
}

impl Ashby {
    /// A refusal as the vendor says it: status 200.
    pub(super) fn refused(&mut self, code: &str, message: &str) -> Reply {
        self.refused_with(StatusCode::OK, code, message)
    }

    /// With one of the few real statuses: 401, 403, 429 (A 3.2).
    pub(super) fn refused_with(&mut self, status: StatusCode, code: &str, message: &str) -> Reply {
        let request_id = self.random.uuid();
        let info = json!({ "code": code, "message": message, "requestId": request_id });
        Reply::json(status, &json!({ "success": false, "errors": [code], "errorInfo": info }))
    }
}
