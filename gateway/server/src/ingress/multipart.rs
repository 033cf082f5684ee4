//! A multipart submission: part `application` (JSON) first, then files named by the document's attachment ids.
//!
//! A reader of our own, stricter than the format allows wherever two readers could disagree: nothing before the first
//! boundary or after the last, no nested multipart, no header twice, no name twice, and the final boundary must come. The
//! library at hand (`multer`) keeps the last of two equal headers and does not tell. The body is bounded before it gets
//! here and is read once; files are slices of it, not copies.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use causeway_core::problem::{Code, Problem};
use futures_util::StreamExt as _;

use super::body::{MAX_BODY, MAX_DOCUMENT, MAX_FILE, MAX_FILES, MAX_FILES_TOTAL, Unreceived, broken};
use super::disposition::{self, Disposition};
use crate::intake::{FilePart, Refusal};

/// The part that holds the document.
const DOCUMENT: &str = "application";
/// One part's headers together, and how many.
const MAX_PART_HEADERS: usize = 8 * 1024;
const MAX_PART_HEADER_LINES: usize = 16;

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
pub(super) async fn read(body: Body, boundary: &str, announced: Option<u64>) -> Result<Parts, Unreceived> {
    let (whole, ended) = buffer(body, announced).await;
    let mut reader = Reader::new(whole, boundary);
    match ended {
        Ok(()) => reader.parts(),
        // What arrived may hold the document: then the refusal can be recorded where support will find it.
        Err(problem) => {
            let document = reader.document().ok();
            Err(Unreceived { refusal: problem.into(), document })
        }
    }
}

/// All parts of a body that arrived whole: for the fuzz targets.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn whole(body: Bytes, boundary: &str) -> Option<(Bytes, Vec<FilePart>)> {
    Reader::new(body, boundary).parts().ok().map(|parts| (parts.document, parts.files))
}

/// What arrived, and whether it was everything.
async fn buffer(body: Body, announced: Option<u64>) -> (Bytes, Result<(), Problem>) {
    let expected = announced.unwrap_or(0).min(MAX_BODY.bytes());
    let mut whole = BytesMut::with_capacity(usize::try_from(expected).unwrap_or(0));
    let mut frames = body.into_data_stream();
    while let Some(frame) = frames.next().await {
        match frame {
            Ok(bytes) if whole.len() + bytes.len() <= MAX_BODY.as_len() => whole.extend_from_slice(&bytes),
            Ok(_) => {
                let problem = Problem::new(Code::BodyTooLarge).detail("All files together may have 10 MiB.");
                return (whole.freeze(), Err(problem));
            }
            Err(error) => return (whole.freeze(), Err(broken(&error))),
        }
    }
    (whole.freeze(), Ok(()))
}

/// Walks from boundary to boundary.
struct Reader {
    rest: Bytes,
    /// What ends a part: line end, two hyphens, boundary.
    delimiter: Vec<u8>,
}

impl Reader {
    fn new(whole: Bytes, boundary: &str) -> Self {
        Self { rest: whole, delimiter: [b"\r\n--", boundary.as_bytes()].concat() }
    }

    fn parts(&mut self) -> Result<Parts, Unreceived> {
        let document = self.document()?;
        match self.files() {
            Ok(files) => Ok(Parts { document, files }),
            Err(refusal) => Err(Unreceived { refusal, document: Some(document) }),
        }
    }

    fn document(&mut self) -> Result<Bytes, Refusal> {
        let opening = self.delimiter.strip_prefix(b"\r\n").unwrap_or_default();
        if !self.rest.starts_with(opening) {
            return Err(invalid("The body does not begin with the boundary that the Content-Type names."));
        }
        self.rest = self.rest.slice(opening.len()..);
        let (said, content) = self.next()?.ok_or_else(|| invalid("There are no parts."))?;
        if said.disposition.name != DOCUMENT || said.disposition.file_name.is_some() {
            return Err(invalid(
                "The first part has to be `application`, without a file name: a text, not a file or a Blob.",
            ));
        }
        if content.len() > MAX_DOCUMENT.as_len() {
            return Err(too_large("The part `application` may have 1 MiB."));
        }
        Ok(content)
    }

    fn files(&mut self) -> Result<Vec<FilePart>, Refusal> {
        let mut files: Vec<FilePart> = Vec::new();
        let mut total = 0;
        while let Some((said, content)) = self.next()? {
            if files.len() == MAX_FILES {
                return Err(invalid("There are more than 10 files."));
            }
            let Disposition { name, file_name } = said.disposition;
            if name == DOCUMENT || files.iter().any(|file| file.id == name) {
                return Err(invalid("Two parts have the same name."));
            }
            total += content.len();
            if content.len() > MAX_FILE.as_len() {
                return Err(too_large("A file may have 5 MiB."));
            }
            if total > MAX_FILES_TOTAL.as_len() {
                return Err(too_large("All files together may have 10 MiB."));
            }
            files.push(FilePart::new(name, file_name, said.media_type, content));
        }
        Ok(files)
    }

    /// The next part; `None` after the final boundary. Stands right behind a boundary when called.
    fn next(&mut self) -> Result<Option<(Said, Bytes)>, Refusal> {
        if let Some(after) = self.rest.strip_prefix(b"--") {
            return match after {
                b"" | b"\r\n" => Ok(None),
                _ => Err(invalid("Something follows the final boundary.")),
            };
        }
        if !self.rest.starts_with(b"\r\n") {
            return Err(invalid("The body ends before its final boundary, or a boundary is malformed."));
        }
        let window = &self.rest[..self.rest.len().min(MAX_PART_HEADERS + 4)];
        let end =
            find(window, b"\r\n\r\n").ok_or_else(|| invalid("A part's headers do not end, or are over 8 KiB."))?;
        // Behind the boundary's line end; empty when the part has no header at all.
        let headers = self.rest.slice(2.min(end)..end);
        let content = self.rest.slice(end + 4..);
        let length = find(&content, &self.delimiter)
            .ok_or_else(|| invalid("The body ends before its final boundary, or a boundary is malformed."))?;
        self.rest = content.slice(length + self.delimiter.len()..);
        Ok(Some((said(&headers)?, content.slice(..length))))
    }
}

/// What a part's headers say.
struct Said {
    disposition: Disposition,
    media_type: Option<String>,
}

fn said(headers: &[u8]) -> Result<Said, Refusal> {
    let text = std::str::from_utf8(headers).map_err(|_| invalid("A part's headers are not UTF-8."))?;
    let (mut disposition, mut media_type, mut encoding) = (None, None, None);
    for (number, line) in text.split("\r\n").enumerate() {
        let (name, value) = line.split_once(':').ok_or_else(|| invalid("A part's header has no colon."))?;
        let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !plain || value.chars().any(|c| c.is_control() && c != '\t') || number == MAX_PART_HEADER_LINES {
            return Err(invalid("A part's headers are malformed or too many."));
        }
        let slot = match name.to_ascii_lowercase().as_str() {
            "content-disposition" => &mut disposition,
            "content-type" => &mut media_type,
            "content-transfer-encoding" => &mut encoding,
            _ => continue,
        };
        if slot.replace(value.trim()).is_some() {
            return Err(invalid("A part has a header twice."));
        }
    }
    if encoding.is_some_and(|encoding| !["binary", "8bit", "7bit"].iter().any(|e| encoding.eq_ignore_ascii_case(e))) {
        return Err(invalid("A part has a Content-Transfer-Encoding."));
    }
    let media_type = media_type.map(|kind| kind.split(';').next().unwrap_or(kind).trim().to_ascii_lowercase());
    if media_type.as_deref().is_some_and(|kind| kind.starts_with("multipart/")) {
        return Err(invalid("A part is itself multipart."));
    }
    let disposition = disposition.ok_or_else(|| invalid("A part has no Content-Disposition."))?;
    Ok(Said { disposition: disposition::parse(disposition).map_err(invalid)?, media_type })
}

/// Where the needle begins: Horspool's search, which looks at few bytes of a file for a boundary of usual length.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let last = needle.len().checked_sub(1)?;
    let mut skip = [needle.len(); 256];
    for (position, byte) in needle[..last].iter().enumerate() {
        skip[usize::from(*byte)] = last - position;
    }
    let mut at = 0;
    while let Some(window) = haystack.get(at..at + needle.len()) {
        if window == needle {
            return Some(at);
        }
        at += skip[usize::from(window[last])];
    }
    None
}

fn invalid(why: &'static str) -> Refusal {
    Problem::new(Code::MultipartInvalid).detail(why).into()
}

fn too_large(why: &'static str) -> Refusal {
    Problem::new(Code::BodyTooLarge).detail(why).into()
}

#[cfg(test)]
mod tests {
    use super::find;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_search_finds_what_a_plain_one_finds(hay in "[ab\r\n-]{0,60}", needle in "[ab\r\n-]{1,6}") {
            prop_assert_eq!(find(hay.as_bytes(), needle.as_bytes()), hay.find(&needle));
        }
    }
}
