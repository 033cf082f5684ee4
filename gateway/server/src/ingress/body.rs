//! Reads a submission's body into memory, within bounds, or says why not.
//!
//! Bodies are JSON (at most 1 MiB) or multipart (the document and at most 10 MiB of files). Only bytes are read here;
//! what they mean is intake's business. Time limits and the outer size limit are layers above; they show up here as
//! errors of the body. Large bodies first reserve their length from one budget for the whole process, of which no tenant
//! has all: who announces much and sends nothing keeps nobody else's uploads waiting.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use causeway_core::ids::TenantId;
use causeway_core::problem::{Code, Problem};
use futures_util::StreamExt as _;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use schemars::SchemaGenerator;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::multipart;
use crate::intake::{FilePart, Refusal};
use crate::openapi::{Operation, canonical_reference, part_names};
use crate::units::ByteSize;

/// The largest JSON document.
pub const MAX_DOCUMENT: ByteSize = ByteSize::mib(1);
/// The largest file.
pub const MAX_FILE: ByteSize = ByteSize::mib(5);
/// All files of a submission together.
pub const MAX_FILES_TOTAL: ByteSize = ByteSize::mib(10);
/// The most files of a submission.
pub const MAX_FILES: usize = 10;
/// Anything longer is not even begun: document, files and the multipart frame around them.
pub(super) const MAX_BODY: ByteSize = ByteSize::kib(11 * 1024 + 256);
/// Bodies up to this are read without a reservation, so that uploads never queue the ordinary case.
const SMALL: ByteSize = ByteSize::kib(64);
/// The budget's unit.
const PERMIT: u64 = 1024;

/// The memory that bodies over 64 KiB may take, for the whole process and for each tenant.
#[derive(Debug, Clone)]
pub(super) struct BodyBudget {
    all: Arc<Semaphore>,
    /// Of one tenant, in permits.
    share: usize,
    /// Only of tenants whose key was good, so there are no more of them than tenants.
    of_tenants: Arc<Mutex<HashMap<TenantId, Arc<Semaphore>>>>,
    patience: Duration,
}

/// Room for a body, until it is dropped.
#[derive(Debug)]
pub(super) struct Room {
    _of_the_tenant: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl BodyBudget {
    /// A budget of so many bytes, three quarters of it at most for one tenant, but neither ever so small that the largest
    /// body could not be read at all. Who finds no room within `patience` is told to come back.
    pub(super) fn new(size: ByteSize, patience: Duration) -> Self {
        let permits = |bytes: u64| usize::try_from(bytes.div_ceil(PERMIT)).unwrap_or(Semaphore::MAX_PERMITS);
        let (least, all) = (permits(MAX_BODY.bytes()), permits(size.max(MAX_BODY).bytes()));
        let share = (all - all / 4).max(least);
        Self { all: Arc::new(Semaphore::new(all)), share, of_tenants: Arc::default(), patience }
    }

    /// Waits for room for a body of this length; an unannounced length counts as the most it may be.
    async fn reserve(
        &self,
        tenant: TenantId,
        announced: Option<u64>,
        at_most: ByteSize,
    ) -> Result<Option<Room>, Refusal> {
        let length = announced.unwrap_or(at_most.bytes()).min(at_most.bytes());
        if length <= SMALL.bytes() {
            return Ok(None);
        }
        let permits = u32::try_from(length.div_ceil(PERMIT)).unwrap_or(u32::MAX);
        let own = {
            let mut of_tenants = self.of_tenants.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(of_tenants.entry(tenant).or_insert_with(|| Arc::new(Semaphore::new(self.share))))
        };
        // The tenant's own first: who waits for that takes nobody else's turn.
        let room = async {
            let of_the_tenant = own.acquire_many_owned(permits).await.ok()?;
            let of_all = Arc::clone(&self.all).acquire_many_owned(permits).await.ok()?;
            Some(Room { _of_the_tenant: of_the_tenant, _of_all: of_all })
        };
        match tokio::time::timeout(self.patience, room).await {
            Ok(Some(room)) => Ok(Some(room)),
            Ok(None) | Err(_) => Err(Problem::new(Code::Overloaded).retry_after(2).into()),
        }
    }
}

/// The bodies that [`receive`] reads, and what it refuses.
pub(super) fn taken(operation: Operation) -> Operation {
    let parts = |_: &mut SchemaGenerator| {
        json!({
            "type": "object",
            "description": "The document first, as a text part named `application`; then each file as a part named by the \
                            `id` of its entry in the document's `attachments`.",
            "required": ["application"],
            "properties": { "application": canonical_reference() },
            "propertyNames": part_names(),
            "maxProperties": 1 + MAX_FILES,
            "additionalProperties": { "type": "string", "contentMediaType": "application/octet-stream" },
        })
    };
    operation
        .takes_as("application/json", |_| canonical_reference(), Value::Null)
        .takes_as("multipart/form-data", parts, json!({ "application": { "contentType": "application/json" } }))
        .refuses(&[Code::BodyUnreadable, Code::MultipartInvalid, Code::BodyTooSlow, Code::ContentTypeUnsupported])
}

/// A body that arrived whole.
pub(super) struct Received {
    pub(super) document: Bytes,
    pub(super) files: Vec<FilePart>,
    /// Held until the submission is stored or refused.
    pub(super) reserved: Option<Room>,
}

/// A body that did not.
pub(super) struct Unreceived {
    pub(super) refusal: Refusal,
    /// The document, if that much arrived: the refusal can be recorded where support will find it.
    pub(super) document: Option<Bytes>,
}

impl<T: Into<Refusal>> From<T> for Unreceived {
    fn from(refusal: T) -> Self {
        Self { refusal: refusal.into(), document: None }
    }
}

/// Reads the body as its content type says.
pub(super) async fn receive(request: Request, tenant: TenantId, budget: &BodyBudget) -> Result<Received, Unreceived> {
    // From the header: the bodies of the layers above do not pass their length on. The server holds clients to it.
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    match kind(request.headers())? {
        Kind::Json => {
            let reserved = budget.reserve(tenant, announced, MAX_DOCUMENT).await?;
            let document = read_document(request.into_body(), announced).await?;
            Ok(Received { document, files: Vec::new(), reserved })
        }
        Kind::Multipart(boundary) => {
            let reserved = budget.reserve(tenant, announced, MAX_BODY).await?;
            let parts = multipart::read(request.into_body(), &boundary, announced).await?;
            Ok(Received { document: parts.document, files: parts.files, reserved })
        }
    }
}

/// Says 415 to any encoding but identity, before a byte is read: nothing is ever decompressed here.
pub(super) fn refuse_encoded(headers: &HeaderMap) -> Result<(), Refusal> {
    let encoded =
        headers.get_all(CONTENT_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    if encoded { Err(Code::ContentEncodingUnsupported.into()) } else { Ok(()) }
}

enum Kind {
    Json,
    Multipart(String),
}

fn kind(headers: &HeaderMap) -> Result<Kind, Refusal> {
    let unsupported = || Refusal::from(Code::ContentTypeUnsupported);
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(unsupported()) };
    let value = value.to_str().map_err(|_| unsupported())?;
    let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
    let essence = essence.trim();
    if essence.eq_ignore_ascii_case("application/json") {
        let utf8 = parameter(parameters, "charset").is_none_or(|charset| charset.eq_ignore_ascii_case("utf-8"));
        return if utf8 { Ok(Kind::Json) } else { Err(unsupported()) };
    }
    if !essence.eq_ignore_ascii_case("multipart/form-data") {
        return Err(unsupported());
    }
    let boundary = parameter(parameters, "boundary").filter(|boundary| multipart::is_boundary(boundary));
    boundary.map(|boundary| Kind::Multipart(boundary.to_owned())).ok_or_else(|| {
        Problem::new(Code::MultipartInvalid).detail("The Content-Type has no usable boundary parameter.").into()
    })
}

fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    parameters.split(';').find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        key.trim().eq_ignore_ascii_case(name).then_some(value)
    })
}

async fn read_document(body: Body, announced: Option<u64>) -> Result<Bytes, Refusal> {
    let too_large = || Problem::new(Code::BodyTooLarge).detail("A JSON body may have 1 MiB.");
    if announced.is_some_and(|length| length > MAX_DOCUMENT.bytes()) {
        return Err(too_large().into());
    }
    let mut frames = body.into_data_stream();
    let Some(first) = frames.next().await else { return Ok(Bytes::new()) };
    let first = first.map_err(|error| broken(&error))?;
    if first.len() > MAX_DOCUMENT.as_len() {
        return Err(too_large().into());
    }
    // The ordinary document is one frame: no copy.
    let Some(second) = frames.next().await else { return Ok(first) };
    let mut whole = BytesMut::from(first);
    let mut frame = Some(second);
    while let Some(bytes) = frame {
        let bytes = bytes.map_err(|error| broken(&error))?;
        if whole.len() + bytes.len() > MAX_DOCUMENT.as_len() {
            return Err(too_large().into());
        }
        whole.extend_from_slice(&bytes);
        frame = frames.next().await;
    }
    Ok(whole.freeze())
}

/// Why a body ended early: a layer's limit, or the client.
pub(crate) fn broken(error: &(dyn Error + 'static)) -> Problem {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<tower_http::timeout::TimeoutError>() {
            return Problem::new(Code::BodyTooSlow);
        }
        if error.is::<http_body_util::LengthLimitError>() {
            return Problem::new(Code::BodyTooLarge).detail("A submission may have 1 MiB of JSON and 10 MiB of files.");
        }
        cause = error.source();
    }
    Problem::new(Code::BodyUnreadable).detail("The connection ended before the body did.")
}

#[cfg(test)]
mod tests {
    use causeway_core::clock::SeededEntropy;
    use jiff::Timestamp;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_announces_much_and_sends_nothing_keeps_no_other_tenant_waiting() {
        let entropy = SeededEntropy::new(7);
        let [loud, quiet] = [(); 2].map(|()| TenantId::new(Timestamp::UNIX_EPOCH, &entropy));
        let budget = BodyBudget::new(ByteSize::mib(64), Duration::from_secs(5));
        let largest = MAX_BODY.bytes();
        let mut taken = Vec::new();
        for _ in 0..4 {
            taken.push(budget.reserve(loud, Some(largest), MAX_BODY).await.unwrap());
        }
        let began = tokio::time::Instant::now();
        let refused = budget.reserve(loud, Some(largest), MAX_BODY).await.unwrap_err();
        assert_eq!((refused.problem.code, began.elapsed().as_secs()), ("overloaded", 5));
        // While others of it wait, too.
        let waiting = budget.reserve(loud, None, MAX_BODY);
        let (refused, room) = tokio::join!(waiting, async {
            tokio::task::yield_now().await;
            let began = tokio::time::Instant::now();
            let room = budget.reserve(quiet, Some(largest), MAX_BODY).await.unwrap();
            assert_eq!(began.elapsed(), Duration::ZERO);
            room
        });
        assert!(refused.is_err() && room.is_some());
        taken.clear();
        assert!(budget.reserve(loud, Some(largest), MAX_BODY).await.is_ok_and(|room| room.is_some()));
    }
}
