//! Is each attached file there, whole, and what its name says?
//!
//! Responsible for matching the document's attachments with the parts that came and with the answers that name them, and
//! for judging content by its first bytes, not by its label. It does not unpack, render or scan anything: an office file
//! is read as far as its table of contents. Which of the taken types a vendor wants for which document is that vendor's
//! schema's business.
//!
//! Invariants: linear in the size of the files; nothing of a file or its name is repeated.

mod kind;
mod zip;

use causeway_core::problem::FieldError;
use causeway_core::reason::Reason;
use serde_json::Value;

use super::fingerprint::PartMark;
use super::validator::CANONICAL_NAME;
use crate::hash::sha256;

/// The largest file, in bytes.
pub const MAX_FILE: usize = 5 * 1024 * 1024;

/// One file part as it came.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// The part's name.
    pub name: &'a str,
    /// Its announced content type, if any.
    pub media_type: Option<&'a str>,
    /// Its content.
    pub bytes: &'a [u8],
    /// SHA-256 over its content.
    pub sha256: [u8; 32],
}

impl<'a> Part<'a> {
    /// A part, hashed.
    pub fn new(name: &'a str, media_type: Option<&'a str>, bytes: &'a [u8]) -> Self {
        Self { name, media_type, bytes, sha256: sha256(bytes) }
    }

    /// What a request's fingerprint holds of it.
    pub fn mark(&self) -> PartMark<'a> {
        PartMark { name: self.name, media_type: self.media_type, sha256: self.sha256 }
    }
}

/// Why a file is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Missing,
    Repeated,
    Empty,
    TooLarge,
    OtherSize,
    OtherHash,
    TypeNotTaken,
    Active,
    NotWhatNameSays,
    NotWhatTypeSays,
    Broken,
    Inflates,
    Locked,
}

impl Refusal {
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Missing => (
                "No part of the request holds this file.",
                "Send the file as a multipart part named by the attachment's `id`.",
            ),
            Self::Repeated => (
                "Two attachments, or two parts, have this id.",
                "Give each attachment an id of its own and send each file once.",
            ),
            Self::Empty => ("The file is empty.", "Attach the file again; check that it opens."),
            Self::TooLarge => {
                ("The file is larger than 5 MiB.", "Attach a smaller file, for example a PDF without scanned images.")
            }
            Self::OtherSize => {
                ("The file is not as long as `size` says.", "Send `size` as the number of bytes of the part.")
            }
            Self::OtherHash => (
                "The file's content does not have the announced `sha256`.",
                "Send the file again; it was changed or cut on its way.",
            ),
            Self::TypeNotTaken => (
                "Files of this type are not taken.",
                "Attach a PDF, a Word, OpenDocument, RTF or text document, or an image (PNG, JPEG, GIF, WebP, TIFF).",
            ),
            Self::Active => {
                ("The file is a program, a script or a web page.", "Attach the document itself, for example as PDF.")
            }
            Self::NotWhatNameSays => (
                "The file's content is not what the end of its name says.",
                "Save the file in that format and attach it again; do not rename it.",
            ),
            Self::NotWhatTypeSays => (
                "The file's content is not of the announced `media_type`.",
                "Send the media type that belongs to the file, or application/octet-stream.",
            ),
            Self::Broken => ("The file is damaged or cut off.", "Open it, save it again and attach the new file."),
            Self::Inflates => {
                ("The file unpacks to far more than a document holds.", "Save it as PDF and attach that.")
            }
            Self::Locked => ("The file is protected by a password.", "Remove the password and attach the file again."),
        }
    }

    const fn member(self) -> &'static str {
        match self {
            Self::OtherSize => "/size",
            Self::OtherHash => "/sha256",
            Self::NotWhatTypeSays => "/media_type",
            Self::Missing
            | Self::Repeated
            | Self::Empty
            | Self::TooLarge
            | Self::TypeNotTaken
            | Self::Active
            | Self::NotWhatNameSays
            | Self::Broken
            | Self::Inflates
            | Self::Locked => "",
        }
    }
}

/// What is wrong with the files of a document, and nothing else about it. Call it for a document that passed the
/// canonical schema; what does not have its shape is skipped here, since the schema refused it.
pub fn check(document: &Value, parts: &[Part<'_>]) -> Vec<FieldError> {
    let attachments: &[Value] = document.get("attachments").and_then(Value::as_array).map_or(&[], Vec::as_slice);
    let id_of = |attachment: &Value| attachment.get("id").and_then(Value::as_str).map(str::to_owned);
    let ids: Vec<Option<String>> = attachments.iter().map(id_of).collect();
    let mut errors = Vec::new();
    for (index, (attachment, id)) in attachments.iter().zip(&ids).enumerate() {
        let Some(id) = id else { continue };
        let named: Vec<&Part<'_>> = parts.iter().filter(|part| part.name == id).collect();
        let same_id = ids.iter().flatten().filter(|other| *other == id).count();
        let refusal = match named.as_slice() {
            _ if same_id > 1 => Some(Refusal::Repeated),
            [] => Some(Refusal::Missing),
            [part] => judge(attachment, part).err(),
            [_, _, ..] => Some(Refusal::Repeated),
        };
        if let Some(refusal) = refusal {
            let (message, fix) = refusal.words();
            let pointer = format!("/attachments/{index}{}", refusal.member());
            errors.push(error(pointer, Reason::FileRefused, message, fix));
        }
    }
    for pointer in dangling(document, &ids) {
        let message = "No attachment has this id.";
        errors.push(error(pointer, Reason::DocumentInvalid, message, "Name the `id` of an entry in `attachments`."));
    }
    if parts.iter().any(|part| !ids.iter().flatten().any(|id| id == part.name)) {
        let message = "A file part belongs to no attachment of the document.";
        let fix = "List each file in `attachments`, with the part's name as its `id`.";
        errors.push(error("/attachments".to_owned(), Reason::DocumentInvalid, message, fix));
    }
    errors
}

/// Where the document names an attachment that it does not list.
fn dangling(document: &Value, ids: &[Option<String>]) -> Vec<String> {
    let answers = document.get("answers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let named_by_answers = answers
        .iter()
        .enumerate()
        .filter_map(|(index, answer)| Some((format!("/answers/{index}/attachment"), answer.get("attachment")?)));
    let parsed_from = document.pointer("/history/parsed_from").map(|id| ("/history/parsed_from".to_owned(), id));
    named_by_answers
        .chain(parsed_from)
        .filter(|(_, id)| id.as_str().is_some_and(|id| !ids.iter().flatten().any(|listed| listed == id)))
        .map(|(pointer, _)| pointer)
        .collect()
}

fn error(pointer: String, reason: Reason, message: &str, fix: &str) -> FieldError {
    FieldError {
        question: None,
        pointer,
        code: reason.as_str().to_owned(),
        message: message.to_owned(),
        required_by: vec![CANONICAL_NAME.to_owned()],
        fix: fix.to_owned(),
    }
}

/// The first thing that is wrong with a file, the plainest first.
fn judge(attachment: &Value, part: &Part<'_>) -> Result<(), Refusal> {
    let text = |name: &str| attachment.get(name).and_then(Value::as_str);
    if part.bytes.is_empty() {
        return Err(Refusal::Empty);
    }
    if part.bytes.len() > MAX_FILE {
        return Err(Refusal::TooLarge);
    }
    if attachment.get("size").and_then(Value::as_u64) != u64::try_from(part.bytes.len()).ok() {
        return Err(Refusal::OtherSize);
    }
    if text("sha256").is_some_and(|announced| announced != data_encoding::HEXLOWER.encode(&part.sha256)) {
        return Err(Refusal::OtherHash);
    }
    let found = kind::of(part.bytes)?;
    let named = kind::of_name(text("name").unwrap_or_default()).ok_or(Refusal::TypeNotTaken)?;
    if found.family() != named {
        return Err(Refusal::NotWhatNameSays);
    }
    let announced = [text("media_type"), part.media_type];
    if announced.into_iter().flatten().any(|media_type| !kind::may_be_called(named, media_type)) {
        return Err(Refusal::NotWhatTypeSays);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
