//! HubSpot's API on the wire: paths, requests, and the few members of its answers that are read.
//!
//! Strict in what it sends, lenient in what it reads: unknown members are ignored, ids may be numbers or text. It judges
//! nothing. Paths are of version 3 (associations: 4); HubSpot serves the same bodies under dated paths.

use std::collections::BTreeMap;

use bytes::Bytes;
use causeway_core::connector::{Http, SendError, UseAuth};
use causeway_core::outcome::Outcome;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::outcome;
use super::settings::Settings;

/// The name of the scheme that carries the access token.
pub(super) const AUTH: &str = "token";

/// Property names and texts, as HubSpot writes every value.
pub(super) type Properties<'a> = BTreeMap<&'a str, String>;

/// HubSpot, as one call of the connector sees it.
pub(super) struct Api<'a> {
    pub(super) http: &'a dyn Http,
    pub(super) settings: &'a Settings,
    pub(super) now: Timestamp,
}

impl Api<'_> {
    pub(super) async fn get(&self, path: &str) -> Result<Response<Bytes>, Outcome> {
        self.send(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Response<Bytes>, Outcome> {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(super) async fn patch(&self, path: &str, body: &Value) -> Result<Response<Bytes>, Outcome> {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub(super) async fn put(&self, path: &str) -> Result<Response<Bytes>, Outcome> {
        self.send(Method::PUT, path, None).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Response<Bytes>, Outcome> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.settings.base_url))
            .header(ACCEPT, "application/json")
            .extension(UseAuth(AUTH));
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let sent = match request.body(bytes) {
            Ok(request) => self.http.send(request).await,
            Err(_) => Err(SendError::Misconfigured("base_url is not a URL")),
        };
        sent.map_err(|error| outcome::unsent(&error, self.now))
    }
}

/// One path segment, escaped down to the unreserved characters: an address may hold `+`, `/` or `?`.
pub(super) fn segment(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// A CRM record of any type.
#[derive(Deserialize)]
pub(super) struct Object {
    #[serde(deserialize_with = "id")]
    pub(super) id: String,
    #[serde(default)]
    properties: BTreeMap<String, Value>,
    #[serde(default, rename = "createdAt")]
    created_at: Option<String>,
    /// Only in the answer of an upsert.
    #[serde(default)]
    pub(super) new: Option<bool>,
}

impl Object {
    pub(super) fn read(answer: &Response<Bytes>) -> Option<Self> {
        read(answer)
    }

    /// A property's text; blank is absent.
    pub(super) fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
    }

    pub(super) fn created_at(&self) -> Option<Timestamp> {
        self.created_at.as_deref().and_then(|text| text.parse().ok())
    }
}

/// The answer of a batch call that writes: a result or an error for each input.
#[derive(Deserialize)]
pub(super) struct Batch {
    #[serde(default = "Vec::new")]
    pub(super) results: Vec<Object>,
    #[serde(default)]
    pub(super) errors: Vec<Value>,
}

/// The answer of a call that looks: what it does not show is not there, so it has to say that it looked.
#[derive(Deserialize)]
pub(super) struct Shown {
    pub(super) results: Vec<Object>,
}

/// One page of an object's associations.
#[derive(Deserialize)]
pub(super) struct Associations {
    pub(super) results: Vec<Associated>,
    #[serde(default)]
    paging: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct Associated {
    #[serde(deserialize_with = "id", rename = "toObjectId")]
    pub(super) id: String,
}

impl Associations {
    /// Where the next page begins.
    pub(super) fn after(&self) -> Option<String> {
        self.paging.as_ref()?.pointer("/next/after")?.as_str().map(str::to_owned)
    }
}

/// A link between two records, as it was made. Both ends are named.
#[derive(Deserialize)]
pub(super) struct Link {
    pub(super) from: End,
    pub(super) to: End,
}

/// An end of a link.
#[derive(Deserialize)]
pub(super) struct End {
    #[serde(deserialize_with = "id")]
    pub(super) id: String,
}

/// The definition of a property.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Property {
    #[serde(default)]
    pub(super) group_name: Option<String>,
    #[serde(default)]
    pub(super) has_unique_value: bool,
}

/// The body as the wanted shape, if it is that. Text first: a reader of bytes passes over what is no text in members that
/// nobody wants, and such a body is no JSON.
pub(super) fn read<T: serde::de::DeserializeOwned>(answer: &Response<Bytes>) -> Option<T> {
    serde_json::from_str(std::str::from_utf8(answer.body()).ok()?).ok()
}

fn id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) if !text.is_empty() => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            Err(serde::de::Error::custom("not an id"))
        }
    }
}
