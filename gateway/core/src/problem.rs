//! Problems: every "no" a caller of the HTTP API can get, each with a stable code, a status, and a page.
//!
//! The outside of an error is here (RFC 9457). The inside, its cause, stays in the log of whoever raised it: nothing in
//! this file can carry a cause, so nothing can leak one. Texts never repeat a value that the caller sent.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $title:literal;)*) => {
        /// A stable problem code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable text of the code.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status it is answered with.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// What it means, in a few words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// The page that explains causes and remedies, Markdown.
            pub const fn page(self) -> &'static str {
                match self { $(Self::$name => include_str!(concat!("problems/", $code, ".md")),)* }
            }
        }
    };
}

problems! {
    /// The document breaks a rule of one of the receiving systems.
    ApplicationInvalid = "application_invalid", 422, "The application does not meet what the receiving systems need";
    /// The body is not readable as JSON.
    BodyUnreadable = "body_unreadable", 400, "The request body could not be read";
    /// The multipart body breaks its format or its limits.
    MultipartInvalid = "multipart_invalid", 400, "The multipart body could not be read";
    /// The body came too slowly.
    BodyTooSlow = "body_too_slow", 408, "The request body did not arrive in time";
    /// The body, a part or a file is too large.
    BodyTooLarge = "body_too_large", 413, "The request is too large";
    /// The content type is not one of those taken here.
    ContentTypeUnsupported = "content_type_unsupported", 415, "The content type is not supported";
    /// A content encoding other than identity.
    ContentEncodingUnsupported = "content_encoding_unsupported", 415, "Compressed bodies are not accepted";
    /// No key, or not a valid one.
    KeyInvalid = "key_invalid", 401, "The API key is missing or not valid";
    /// The key lacks a scope.
    ScopeMissing = "scope_missing", 403, "The API key may not do this";
    /// A secret key came from a browser.
    SecretKeyInBrowser = "secret_key_in_browser", 403, "Secret keys are not accepted from browsers";
    /// A publishable key came from a page it is not listed for.
    OriginNotAllowed = "origin_not_allowed", 403, "The key is not for pages of this origin";
    /// Nothing here, or not the caller's.
    NotFound = "not_found", 404, "There is nothing here";
    /// The job is in none of the tenant's accounts.
    PostingUnknown = "posting_unknown", 404, "No such job";
    /// The job is closed.
    PostingClosed = "posting_closed", 409, "The job no longer takes applications";
    /// The method is not allowed.
    MethodNotAllowed = "method_not_allowed", 405, "The method is not allowed here";
    /// The idempotency key stands for another request.
    IdempotencyKeyReused = "idempotency_key_reused", 422, "The idempotency key was used for another request";
    /// The first request with this key has not finished.
    IdempotencyInProgress = "idempotency_in_progress", 409, "A request with this idempotency key is still running";
    /// The idempotency key is not usable.
    IdempotencyKeyInvalid = "idempotency_key_invalid", 400, "The idempotency key is not usable";
    /// More requests than the tenant's quota.
    QuotaExceeded = "quota_exceeded", 429, "Too many requests";
    /// Too many requests at once.
    Overloaded = "overloaded", 503, "The gateway is busy";
    /// The store cannot make anything durable now.
    StoreUnavailable = "store_unavailable", 503, "The application could not be stored";
    /// It took too long.
    DeadlineExceeded = "deadline_exceeded", 503, "The request took too long";
    /// A bug of ours.
    Internal = "internal", 500, "Something went wrong in the gateway";
    /// A support action that makes no sense now.
    ActionRefused = "action_refused", 409, "This cannot be done now";
    /// A support query that cannot be read.
    QueryInvalid = "query_invalid", 400, "The query could not be read";
}

/// One reason of an invalid document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldError {
    /// JSON pointer into the submitted document.
    pub pointer: String,
    /// The kind of complaint.
    #[schemars(with = "crate::reason::Reason")]
    pub code: String,
    /// What is expected, in plain words; never the value that was sent.
    pub message: String,
    /// The names of the systems that need it; `canonical` for the gateway's own contract.
    pub required_by: Vec<String>,
    /// What to do.
    pub fix: String,
    /// The question of the job's form that it is about, by its `id` there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
}

impl JsonSchema for Code {
    fn schema_name() -> Cow<'static, str> {
        "ProblemCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let codes: Vec<&str> = Self::ALL.iter().map(|code| code.as_str()).collect();
        json_schema!({ "type": "string", "enum": codes, "description": "What is wrong. Each has a page of its own." })
    }
}

/// A problem as it is answered: `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// Where its page is: `/problems/{code}`.
    pub r#type: String,
    /// What the code means, in a few words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// A text of [`Code`].
    #[schemars(with = "Code", description = "The stable code.")]
    pub code: &'static str,
    /// One sentence about this occurrence; ours, never a quotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Ties the answer to the log.
    pub trace_id: String,
    /// Every reason, when there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Seconds to wait; sent as `Retry-After` too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

impl Problem {
    /// The problem with nothing said beyond its code. Ingress fills in the trace id.
    pub fn new(code: Code) -> Self {
        Self {
            r#type: format!("/problems/{}", code.as_str()),
            title: code.title(),
            status: code.status(),
            code: code.as_str(),
            detail: None,
            trace_id: String::new(),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// The same problem with one sentence about this occurrence.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same problem with its reasons.
    #[must_use]
    pub fn errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// The same problem with a time to come back, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn every_code_has_a_page_with_causes_and_a_remedy() {
        for code in Code::ALL {
            let page = code.page();
            assert!(
                page.starts_with(&format!("# {}\n", code.title())),
                "{}: the page opens with the title",
                code.as_str()
            );
            assert!(page.contains("\n## Causes\n") && page.contains("\n## Remedy\n"), "{}", code.as_str());
        }
    }
}
