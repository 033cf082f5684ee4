//! `file.createFileUploadHandle` and the storage behind it (C.5).
//!
//! The address is presigned: it is the credential, lives ten minutes, and wants every field that came with it, the file
//! last and named `file`. The storage's own answers are not documented; 204 and 403 are chosen, as object stores have them.

use http::StatusCode;
use serde_json::{Value, json};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;

use super::{Ashby, refusal};
use crate::harness::{Call, Content, Reply, Scene};

/// What a handle stands for.
#[derive(Debug)]
pub(super) struct Upload {
    handle: String,
    policy: String,
    pub(super) file_name: String,
    expires_ms: i64,
    /// Set once the file is there.
    pub(super) sha256: Option<String>,
}

impl Ashby {
    pub(super) fn create_handle(&mut self, body: &Value, scene: &Scene<'_>) -> Reply {
        let context = body["fileUploadContext"].as_str().unwrap_or_default();
        let known = ["CandidateResume", "CandidateFiles", "ApplicationForm"].contains(&context);
        let texts = body["filename"].is_string() && body["contentType"].is_string();
        if !known || !texts || !body["contentLength"].is_u64() {
            return self.refused("invalid_input", refusal::MALFORMED);
        }
        let (id, handle, policy) = (self.random.uuid(), self.random.hex::<24>(), self.random.hex::<16>());
        // Another host than the API's, as presigned addresses have.
        let base = scene.base.replace("127.0.0.1", "localhost");
        let answer = json!({
            "handle": handle, "url": format!("{base}/storage/{id}"),
            "fields": { "key": format!("uploads/{id}"), "Policy": policy },
        });
        let upload = Upload {
            handle,
            policy,
            file_name: body["filename"].as_str().unwrap_or_default().to_owned(),
            expires_ms: scene.now_ms + self.handle_ttl_ms,
            sha256: None,
        };
        self.uploads.insert(id, upload);
        refusal::yes(&answer)
    }

    pub(super) fn store(&mut self, id: &str, call: &Call, scene: &Scene<'_>) -> Reply {
        let denied = |why: &str| {
            Reply::new(StatusCode::FORBIDDEN, "application/xml", format!("<Error><Code>{why}</Code></Error>"))
        };
        let Content::Multipart(parts) = &call.content else { return denied("MalformedPOSTRequest") };
        let Some(upload) = self.uploads.get_mut(id) else { return denied("NoSuchUpload") };
        if upload.expires_ms <= scene.now_ms {
            return denied("AccessDenied");
        }
        // A key does not go to the storage: it would be a secret shown to somebody else.
        if call.headers.contains_key(http::header::AUTHORIZATION) {
            return denied("CredentialsNotSupported");
        }
        let [fields @ .., file] = parts.as_slice() else { return denied("MalformedPOSTRequest") };
        let holds =
            |name: &str, value: &str| fields.iter().any(|part| part.name == name && part.bytes == value.as_bytes());
        if !holds("key", &format!("uploads/{id}")) || !holds("Policy", &upload.policy) || file.name != "file" {
            return denied("AccessDenied");
        }
        let sha256 = HEXLOWER.encode(digest(&SHA256, &file.bytes).as_ref());
        let record = json!({ "upload": id, "file_name": upload.file_name, "sha256": sha256 });
        upload.sha256 = Some(sha256);
        Reply::new(StatusCode::NO_CONTENT, "text/plain", "").committing(record.to_string())
    }

    /// The file behind a handle, while the handle lives and the file is there.
    pub(super) fn uploaded(&self, handle: &str, now_ms: i64) -> Option<&Upload> {
        self.uploads
            .values()
            .find(|upload| upload.handle == handle && upload.expires_ms > now_ms && upload.sha256.is_some())
    }
}
