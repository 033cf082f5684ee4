//! HubSpot's ways of saying no (A.8, and §7.2 of the CRM sheet).

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::harness::Reply;

/// A "no" that has not got its correlation id yet.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    category: &'static str,
    message: String,
    errors: Vec<Value>,
}

impl Refusal {
    fn new(status: StatusCode, category: &'static str, message: impl Into<String>) -> Self {
        Self { status, category, message: message.into(), errors: Vec::new() }
    }

    /// 400 `VALIDATION_ERROR`; the category is documented, most messages are not.
    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message)
    }

    /// One entry of `errors` about one property.
    pub(super) fn about(mut self, code: &str, property: &str, message: &str) -> Self {
        self.errors.push(json!({ "message": message, "code": code, "context": { "propertyName": [property] } }));
        self
    }

    /// 400 with `errors[0].code PROPERTY_DOESNT_EXIST` and `context.propertyName[]` (A.8).
    pub(super) fn no_property(property: &str) -> Self {
        let message = format!("Property \"{property}\" does not exist");
        Self::validation(format!("Property values were not valid: {message}")).about(
            "PROPERTY_DOESNT_EXIST",
            property,
            &message,
        )
    }

    /// The id is in the text alone (§7.2).
    pub(super) fn contact_exists(id: u64) -> Self {
        Self::new(StatusCode::CONFLICT, "CONFLICT", format!("Contact already exists. Existing ID: {id}"))
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "CONFLICT", message)
    }

    /// Status by the facts; category and words are not in them.
    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "OBJECT_NOT_FOUND", "resource not found")
    }

    pub(super) fn unauthorised() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "INVALID_AUTHENTICATION",
            "Authentication credentials not found or not valid.",
        )
    }

    /// 403; any one of the scopes named would do (A.8).
    pub(super) fn missing_scopes(any_of: &[&str]) -> Self {
        let message = "This app hasn't been granted all required scopes to make this call.";
        let mut refusal = Self::new(StatusCode::FORBIDDEN, "MISSING_SCOPES", message);
        let context = json!({ "requiredGranularScopes": any_of });
        refusal
            .errors
            .push(json!({ "message": "One or more of the following scopes are required.", "context": context }));
        refusal
    }

    /// As an entry of `errors` in a 207 (§7.2 `StandardError`).
    pub(super) fn in_batch(&self, id: &str) -> Value {
        json!({
            "status": "error", "category": self.category, "message": self.message,
            "context": { "ids": [id] }, "errors": self.errors, "links": {},
        })
    }

    /// As an answer.
    pub(super) fn reply(self, correlation_id: String) -> Reply {
        let mut body = Map::new();
        body.insert("status".to_owned(), "error".into());
        body.insert("message".to_owned(), self.message.into());
        body.insert("correlationId".to_owned(), correlation_id.into());
        body.insert("category".to_owned(), self.category.into());
        if !self.errors.is_empty() {
            body.insert("errors".to_owned(), self.errors.into());
        }
        Reply::json(self.status, &Value::Object(body))
    }
}

/// 429 has another shape: `errorType` and `policyName`, no `category` (A.8).
pub(super) fn too_many(policy: &'static str, correlation_id: &str, request_id: &str) -> Reply {
    let limit = match policy {
        "DAILY" => "daily",
        "SECONDLY" => "secondly",
        _ => "ten_secondly_rolling",
    };
    let body = json!({
        "status": "error", "message": format!("You have reached your {limit} limit."), "errorType": "RATE_LIMIT",
        "correlationId": correlation_id, "policyName": policy, "requestId": request_id,
    });
    Reply::json(StatusCode::TOO_MANY_REQUESTS, &body)
}
