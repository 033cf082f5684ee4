//! What a site sent, before anything is decided about it.

use std::borrow::Cow;

use bytes::Bytes;
use causeway_core::email::NormalEmail;
use causeway_core::ids::{KeyId, TenantId};
use causeway_core::pii::Pii;
use causeway_core::problem::FieldError;
use serde_json::Value;

use crate::hash::sha256;
use crate::schema::{self, PartMark, files};
use crate::store::intake::NewAttachment;

/// Whose submission it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// The tenant.
    pub tenant: TenantId,
    /// The key it came with.
    pub key: KeyId,
    /// It is a test key: the tenant's sandbox accounts are all it reaches.
    pub test: bool,
}

/// A body that arrived whole.
#[derive(Debug)]
pub struct Submission {
    /// The JSON document as sent.
    pub document: Bytes,
    /// The files that came with it.
    pub files: Vec<FilePart>,
    /// The caller's key for this request, checked for form.
    pub idempotency_key: Option<String>,
    /// Ties the answer, the log and the stored rows together.
    pub trace_id: String,
}

/// One file.
pub struct FilePart {
    /// The part's name: an attachment's id.
    pub id: String,
    /// The name the client's file had.
    pub name: Option<Pii<String>>,
    /// What the part says it is, lower case, without parameters.
    pub media_type: Option<String>,
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
    /// The content.
    pub bytes: Bytes,
}

impl std::fmt::Debug for FilePart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FilePart({} bytes)", self.bytes.len())
    }
}

impl FilePart {
    /// A file as it came; hashed here, once.
    pub fn new(id: String, name: Option<Pii<String>>, media_type: Option<String>, bytes: Bytes) -> Self {
        Self { id, name, media_type, sha256: sha256(&bytes), bytes }
    }
}

impl Submission {
    /// The caller's key for this request, in the world it was sent to: a test must never stand for a real application.
    pub(super) fn idempotency_key(&self, test: bool) -> Option<Cow<'_, str>> {
        // A key that a caller sent holds no control character.
        self.idempotency_key.as_deref().map(|key| if test { format!("test\u{0}{key}").into() } else { key.into() })
    }

    /// What two requests to the same world share exactly when they say the same.
    pub(super) fn fingerprint(&self, document: &Value, test: bool) -> Vec<u8> {
        let mark = |file| {
            let file: &FilePart = file;
            PartMark { name: &file.id, media_type: file.media_type.as_deref(), sha256: file.sha256 }
        };
        let marks: Vec<PartMark<'_>> = self.files.iter().map(mark).collect();
        let mut fingerprint = schema::fingerprint(document, &marks);
        if test {
            fingerprint.extend_from_slice(b"test");
        }
        fingerprint
    }

    /// The files as the store keeps them.
    pub(super) fn attachments(&self) -> Vec<NewAttachment> {
        let attachment =
            |file: &FilePart| NewAttachment { id: file.id.clone(), sha256: file.sha256, bytes: file.bytes.clone() };
        self.files.iter().map(attachment).collect()
    }

    /// What is wrong with the files, or between them and what the document announces.
    pub(super) fn file_errors(&self, document: &Value) -> Vec<FieldError> {
        let part = |file| {
            let file: &FilePart = file;
            let media_type = file.media_type.as_deref();
            files::Part { name: &file.id, media_type, bytes: &file.bytes, sha256: file.sha256 }
        };
        let parts: Vec<files::Part<'_>> = self.files.iter().map(part).collect();
        files::check(document, &parts)
    }
}

/// What has to be known before anything can be decided, or recorded.
pub(super) struct Envelope {
    pub(super) job: Option<String>,
    pub(super) email: Option<NormalEmail>,
    /// It says of itself that it is a test.
    pub(super) says_test: bool,
}

/// As the canonical schema has it.
const MAX_JOB: usize = 200;

impl Envelope {
    /// Reads it off a document that nobody has validated yet.
    pub(super) fn of(document: &Value) -> Self {
        // Spaces around an id are nobody's intent, and no look-up would find it by them.
        let job = document["job"].as_str().map(str::trim);
        let job = job.filter(|job| !job.is_empty() && job.chars().count() <= MAX_JOB);
        let email = document["person"]["emails"][0]["address"].as_str().and_then(NormalEmail::parse);
        Self { job: job.map(str::to_owned), email, says_test: document["meta"]["test"].as_bool() == Some(true) }
    }
}
