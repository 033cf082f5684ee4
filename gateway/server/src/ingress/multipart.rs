//! A multipart submission: part `application` (JSON) first, then files named by the document's attachment ids.
//!
//! Stricter than the format allows wherever two readers could disagree: no preamble, no nested multipart, one disposition
//! a part, no name twice, and the final boundary must come. Files stay in memory, bounded by the caller's reservation.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use causeway_core::problem::{Code, Problem};
use futures_util::{Stream, StreamExt as _, stream};
use http::HeaderMap;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use multer::{Constraints, Field, Multipart, SizeLimit};

use super::body::{MAX_BODY, MAX_DOCUMENT, MAX_FILE, MAX_FILES, MAX_FILES_TOTAL, Unreceived, broken};
use super::disposition::{self, Disposition};
use crate::intake::{FilePart, Refusal};

/// The part that holds the document.
const DOCUMENT: &str = "application";
/// Names and values of one part's headers together.
const MAX_PART_HEADERS: usize = 8 * 1024;

/// Everything that came.
pub(super) struct Parts {
    pub(super) document: Bytes,
    pub(super) files: Vec<FilePart>,
}

/// RFC 2046: 1 to 70 characters of a short list.
pub(super) fn is_boundary(text: &str) -> bool {
    (1..=70).contains(&text.len())
        && !text.ends_with(' ')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte))
}

/// Reads all parts.
pub(super) async fn read(body: Body, boundary: &str) -> Result<Parts, Unreceived> {
    let limit = SizeLimit::new().whole_stream(MAX_BODY.bytes());
    let body = without_preamble(body, boundary).await?;
    let mut parts = Multipart::with_constraints(body, boundary, Constraints::new().size_limit(limit));
    let first = parts.next_field().await.map_err(|error| unreadable(&error))?;
    let first = first.ok_or_else(|| invalid("There are no parts."))?;
    let (said, _) = headers(first.headers())?;
    if said.name != DOCUMENT || said.file_name.is_some() {
        return Err(invalid("The first part has to be `application`, without a file name.").into());
    }
    let document = content(first, MAX_DOCUMENT.as_len(), "The part `application` may have 1 MiB.").await?;
    match files(&mut parts).await {
        Ok(files) => Ok(Parts { document, files }),
        Err(refusal) => Err(Unreceived { refusal, document: Some(document) }),
    }
}

async fn files(parts: &mut Multipart<'_>) -> Result<Vec<FilePart>, Refusal> {
    let mut files: Vec<FilePart> = Vec::new();
    let mut left = MAX_FILES_TOTAL.as_len();
    while let Some(field) = parts.next_field().await.map_err(|error| unreadable(&error))? {
        if files.len() == MAX_FILES {
            return Err(invalid("There are more than 10 files.").into());
        }
        let (said, media_type) = headers(field.headers())?;
        if said.name == DOCUMENT || files.iter().any(|file| file.id == said.name) {
            return Err(invalid("Two parts have the same name.").into());
        }
        let (limit, why) = if left < MAX_FILE.as_len() {
            (left, "All files together may have 10 MiB.")
        } else {
            (MAX_FILE.as_len(), "A file may have 5 MiB.")
        };
        let bytes = content(field, limit, why).await?;
        left -= bytes.len();
        files.push(FilePart::new(said.name, said.file_name, media_type, bytes));
    }
    Ok(files)
}

/// One part's name and media type, if its headers are plain enough.
fn headers(headers: &HeaderMap) -> Result<(Disposition, Option<String>), Refusal> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > MAX_PART_HEADERS {
        return Err(invalid("A part's headers are over 8 KiB.").into());
    }
    let mut dispositions = headers.get_all(CONTENT_DISPOSITION).iter();
    let (Some(disposition), None) = (dispositions.next(), dispositions.next()) else {
        return Err(invalid("Every part needs exactly one Content-Disposition.").into());
    };
    let disposition = std::str::from_utf8(disposition.as_bytes())
        .map_err(|_| "A part's Content-Disposition is not UTF-8.")
        .and_then(disposition::parse)
        .map_err(invalid)?;
    let plain = headers.get("content-transfer-encoding").is_none_or(|value| {
        [&b"binary"[..], b"8bit", b"7bit"].iter().any(|plain| value.as_bytes().eq_ignore_ascii_case(plain))
    });
    if !plain {
        return Err(invalid("A part has a Content-Transfer-Encoding.").into());
    }
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.map(|value| value.split(';').next().unwrap_or(value).trim().to_ascii_lowercase());
    if media_type.as_deref().is_some_and(|kind| kind.starts_with("multipart/")) {
        return Err(invalid("A part is itself multipart.").into());
    }
    Ok((disposition, media_type))
}

async fn content(mut field: Field<'_>, limit: usize, too_large: &'static str) -> Result<Bytes, Refusal> {
    let mut whole = BytesMut::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| unreadable(&error))? {
        if whole.len() + chunk.len() > limit {
            return Err(Problem::new(Code::BodyTooLarge).detail(too_large).into());
        }
        if whole.is_empty() {
            // Pieces of one buffer join again without a copy where they are neighbours.
            whole = BytesMut::from(chunk);
        } else {
            whole.extend_from_slice(&chunk);
        }
    }
    Ok(whole.freeze())
}

/// The body as a stream, checked to begin with the boundary: what stands before it is read by nobody, so it is refused.
async fn without_preamble(
    body: Body,
    boundary: &str,
) -> Result<impl Stream<Item = Result<Bytes, axum::Error>> + Send + 'static, Refusal> {
    let opening = [b"--", boundary.as_bytes()].concat();
    let mut frames = body.into_data_stream();
    let mut head = BytesMut::new();
    while head.len() < opening.len() {
        match frames.next().await {
            Some(frame) => head.extend_from_slice(&frame.map_err(|error| broken(&error))?),
            None => break,
        }
    }
    if !head.starts_with(&opening) {
        return Err(invalid("The body does not begin with the boundary that the Content-Type names.").into());
    }
    Ok(stream::once(std::future::ready(Ok(head.freeze()))).chain(frames))
}

fn invalid(why: &'static str) -> Problem {
    Problem::new(Code::MultipartInvalid).detail(why)
}

/// Our words for the reader's errors; its own may quote a part's name.
fn unreadable(error: &multer::Error) -> Problem {
    match error {
        multer::Error::StreamReadFailed(cause) => broken(cause.as_ref()),
        multer::Error::StreamSizeExceeded { .. } | multer::Error::FieldSizeExceeded { .. } => {
            Problem::new(Code::BodyTooLarge).detail("A submission may have 1 MiB of JSON and 10 MiB of files.")
        }
        multer::Error::IncompleteFieldData { .. } | multer::Error::IncompleteStream => {
            invalid("The body ends before its final boundary, or a boundary is malformed.")
        }
        multer::Error::ReadHeaderFailed(_) | multer::Error::IncompleteHeaders => {
            invalid("A part's headers cannot be read.")
        }
        _ => invalid("The parts cannot be read."),
    }
}
