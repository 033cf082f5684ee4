//! One request, read whole: path segments decoded, query and body in the form their content type declares.
//!
//! Deliberately tolerant: what is refused, and in which words, is the vendor's business. The size cap protects this
//! process only; no vendor's limit is implied.

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use serde_json::Value;

const BODY_BYTES_MAX: usize = 64 << 20;

/// One part of a multipart body.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) file_name: Option<String>,
    pub(crate) bytes: Bytes,
}

/// The body as its content type declares it.
#[derive(Debug)]
pub(crate) enum Content {
    Empty,
    Json(Value),
    Form(Vec<(String, String)>),
    Multipart(Vec<Part>),
    /// Declared as one of the above, but it is not.
    Unreadable,
    Other,
}

/// A request as the vendors' code sees it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) segments: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) content: Content,
}

impl Call {
    /// Reads the request to its end; `None` when the client broke off or sent more than this process will hold.
    pub(crate) async fn read(request: Request<hyper::body::Incoming>) -> Option<Self> {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(Body::new(body), BODY_BYTES_MAX).await.ok()?;
        let content = content(&parts.headers, &body).await;
        let path = parts.uri.path().to_owned();
        let segments = path.split('/').filter(|segment| !segment.is_empty()).map(percent_decode).collect();
        let query = pairs(parts.uri.query().unwrap_or_default().as_bytes());
        Some(Self { method: parts.method, path, segments, query, headers: parts.headers, body, content })
    }

    /// A request to the control API that came without a socket.
    pub(crate) fn to_control(path: &str, body: Option<&Value>) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Self {
            method: if body.is_some() { Method::POST } else { Method::GET },
            path: path.to_owned(),
            segments: std::iter::once("_sandbox").chain(path.split('/')).map(percent_decode).collect(),
            query: pairs(query.as_bytes()),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            content: body.map_or(Content::Empty, |body| Content::Json(body.clone())),
        }
    }

    pub(crate) fn segments(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Option<&Value> {
        match &self.content {
            Content::Json(value) => Some(value),
            Content::Empty | Content::Form(_) | Content::Multipart(_) | Content::Unreadable | Content::Other => None,
        }
    }

    /// The token of `Authorization: Bearer`.
    pub(crate) fn bearer(&self) -> Option<&str> {
        self.headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
    }

    /// User name and password of `Authorization: Basic`.
    pub(crate) fn basic(&self) -> Option<(String, String)> {
        let encoded = self.headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
        let decoded = String::from_utf8(data_encoding::BASE64.decode(encoded.trim().as_bytes()).ok()?).ok()?;
        let (user, password) = decoded.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    }
}

async fn content(headers: &HeaderMap, body: &Bytes) -> Content {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if body.is_empty() {
        return Content::Empty;
    }
    match essence.as_str() {
        "application/json" => serde_json::from_slice(body).map_or(Content::Unreadable, Content::Json),
        "application/x-www-form-urlencoded" => Content::Form(pairs(body)),
        "multipart/form-data" => {
            multipart(declared, body.clone()).await.map_or(Content::Unreadable, Content::Multipart)
        }
        _ => Content::Other,
    }
}

async fn multipart(declared: &str, body: Bytes) -> Option<Vec<Part>> {
    let mut request = Request::builder().header(header::CONTENT_TYPE, declared).body(Body::from(body)).ok()?;
    // The extractor has a cap of its own; ours was applied when the body was read.
    DefaultBodyLimit::disable().apply(&mut request);
    let mut reader = Multipart::from_request(request, &()).await.ok()?;
    let mut parts = Vec::new();
    while let Some(field) = reader.next_field().await.ok()? {
        let name = field.name().unwrap_or_default().to_owned();
        let file_name = field.file_name().map(str::to_owned);
        parts.push(Part { name, file_name, bytes: field.bytes().await.ok()? });
    }
    Some(parts)
}

fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(encoded).map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

fn percent_decode(segment: &str) -> String {
    let mut rest = segment.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = if first == b'%' { tail.get(..2) } else { None };
        match escaped.and_then(|pair| data_encoding::HEXLOWER_PERMISSIVE.decode(pair).ok()) {
            Some(byte) => {
                decoded.extend(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                decoded.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
