//! The vendor's API on the wire: one verb, one POST, one JSON envelope; and the few members of its answers that are read.
//!
//! Builds and sends requests and judges nothing (`outcome` does). Names are the vendor's, letter by letter; every member
//! that it may leave out or send as null is optional, so a new or missing one never makes an answer unreadable. The host of
//! an upload comes from an answer and is marked so: egress decides whether it may be used, and no credential goes there.

use bytes::Bytes;
use causeway_core::account::Account;
use causeway_core::connector::{Http, NamedByVendor, SendError, UseAuth};
use http::{Method, Request, Response, header};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use url::Url;

use super::API_URL;

/// The scheme that carries the API key.
pub(super) const AUTH: &str = "key";

/// One account's view of the vendor.
pub(super) struct Api<'a> {
    http: &'a dyn Http,
    base: Url,
    pub(super) now: Timestamp,
}

/// `base_url` is not a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadBase;

impl<'a> Api<'a> {
    pub(super) fn of(account: &Account, http: &'a dyn Http, now: Timestamp) -> Result<Self, BadBase> {
        let base = account.setting("base_url").unwrap_or(API_URL);
        let base = Url::parse(base).ok().filter(|url| !url.cannot_be_a_base() && url.has_host()).ok_or(BadBase)?;
        Ok(Self { http, base, now })
    }

    /// `POST /<verb>` with a JSON body.
    pub(super) async fn call(&self, verb: &str, body: &Value) -> Result<Response<Bytes>, SendError> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(verb);
        }
        let mut request = Request::new(Bytes::from(body.to_string()));
        *request.method_mut() = Method::POST;
        // A `Url` is always a valid URI: same grammar, already escaped.
        *request.uri_mut() = url.as_str().parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, header::HeaderValue::from_static("application/json; version=1"));
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        request.extensions_mut().insert(UseAuth(AUTH));
        self.http.send(request).await
    }

    /// A bare POST to where the vendor said that a file goes.
    pub(super) async fn upload(
        &self,
        url: &str,
        media_type: &str,
        body: Vec<u8>,
    ) -> Result<Response<Bytes>, SendError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(url)
            .header(header::CONTENT_TYPE, media_type)
            .extension(NamedByVendor)
            .body(Bytes::from(body))
            .map_err(|_| SendError::NotSent("the upload's address cannot be read"))?;
        self.http.send(request).await
    }
}

/// What every answer looks like.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope {
    #[serde(default)]
    pub(super) success: Option<bool>,
    #[serde(default)]
    pub(super) results: Option<Value>,
    #[serde(default)]
    pub(super) error_info: Option<ErrorInfo>,
    /// Codes; a third party has also met objects.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) errors: Vec<Value>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) more_data_available: bool,
    #[serde(default)]
    pub(super) next_cursor: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ErrorInfo {
    #[serde(default)]
    pub(super) code: Option<String>,
}

impl Envelope {
    /// Why it said no.
    pub(super) fn code(&self) -> Option<&str> {
        let named = self.error_info.as_ref().and_then(|info| info.code.as_deref());
        named.or_else(|| self.errors.first()?.as_str())
    }
}

/// `results` of `file.createFileUploadHandle`.
#[derive(Deserialize)]
pub(super) struct Handle {
    pub(super) handle: String,
    pub(super) url: String,
    #[serde(default)]
    pub(super) fields: Map<String, Value>,
}

/// `results` of `applicationForm.submit`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Submitted {
    #[serde(default)]
    pub(super) submitted_form_instance: Option<HasId>,
    #[serde(default)]
    pub(super) form_messages: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct HasId {
    pub(super) id: String,
}

/// `results` of `application.info`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Application {
    pub(super) id: String,
    #[serde(default)]
    pub(super) created_at: Option<String>,
    #[serde(default)]
    pub(super) candidate: Option<HasId>,
    #[serde(default)]
    pub(super) job: Option<HasId>,
    #[serde(default)]
    pub(super) applied_via_job_posting_id: Option<String>,
}

/// One of `results` of `candidate.search`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate {
    pub(super) id: String,
    #[serde(default)]
    pub(super) primary_email_address: Option<Address>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) email_addresses: Vec<Address>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) application_ids: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Address {
    #[serde(default)]
    pub(super) value: Option<String>,
}

/// One of `results` of `jobPosting.list`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Posting {
    pub(super) id: String,
    pub(super) title: String,
    #[serde(default)]
    pub(super) job_id: Option<String>,
    #[serde(default)]
    pub(super) department_name: Option<String>,
    #[serde(default)]
    pub(super) team_name: Option<String>,
    #[serde(default)]
    pub(super) location_name: Option<String>,
    #[serde(default)]
    pub(super) workplace_type: Option<String>,
    #[serde(default)]
    pub(super) employment_type: Option<String>,
    #[serde(default)]
    pub(super) is_listed: Option<bool>,
    #[serde(default)]
    pub(super) published_date: Option<String>,
    #[serde(default)]
    pub(super) application_deadline: Option<String>,
    #[serde(default)]
    pub(super) apply_link: Option<String>,
    #[serde(default)]
    pub(super) external_link: Option<String>,
    #[serde(default)]
    pub(super) updated_at: Option<String>,
}

/// What is read of `results` of `jobPosting.info`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostingInfo {
    pub(super) id: String,
    /// Required by the vendor's contract: without it nobody knows what the posting asks.
    pub(super) application_form_definition: FormDefinition,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) survey_form_definitions: Vec<SurveyDefinition>,
}

#[derive(Deserialize, Default)]
pub(super) struct FormDefinition {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) sections: Vec<Section>,
}

#[derive(Deserialize)]
pub(super) struct Section {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) fields: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    /// True unless the vendor says otherwise, as its contract has it.
    #[serde(default)]
    pub(super) is_required: Option<bool>,
    #[serde(default)]
    pub(super) description_html: Option<String>,
    pub(super) field: FieldDefinition,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FieldDefinition {
    pub(super) path: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) r#type: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) title: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) selectable_values: Vec<Selectable>,
}

#[derive(Deserialize)]
pub(super) struct Selectable {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) label: String,
    pub(super) value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SurveyDefinition {
    pub(super) id: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) is_archived: bool,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) is_default_form: bool,
    #[serde(default)]
    pub(super) form_definition: FormDefinition,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) survey_type: String,
}

/// The vendor writes "nothing" as null, as an empty value or not at all.
fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}
