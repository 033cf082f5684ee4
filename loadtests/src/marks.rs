//! The canary's marks: one word in every field of the canonical application that can hold a word, and the search for it.
//!
//! The document is the schema's own complete example, so that a field added there is marked here. A field takes the mark
//! in whatever form its schema accepts; one that accepts none (dates, numbers, closed lists) is named in the report.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use causeway::schema::Schemas;
use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};

/// Nothing else on the machine holds this word.
pub(crate) const MARK: &str = "Zyxkanari";

/// Where a submission's number stands in the template.
const NUMBER: &str = "00000";

const COMPLETE: &str = include_str!("../../schemas/canonical/examples/complete.json");

/// A marked document, to be numbered.
pub(crate) struct Marked {
    text: String,
    /// Pointers of fields that hold the mark.
    pub(crate) fields: Vec<String>,
    /// Pointers of texts whose schema takes no mark in any form.
    pub(crate) unmarkable: Vec<String>,
}

impl Marked {
    pub(crate) fn new(job: &str, answers: &[Value]) -> Result<Self> {
        let schemas = Schemas::new(&causeway_connectors::all())?;
        let mut document: Value = serde_json::from_str(COMPLETE)?;
        document["job"] = job.into();
        document["answers"] = Value::Array(answers.to_vec());
        document["meta"]["test"] = false.into();
        document["consents"][1] = json!({ "purpose": "recruiting", "basis": "consent", "given": true });
        // The bytes of files are marked too; what announces them is written with them.
        if let Value::Object(members) = &mut document {
            members.remove("attachments");
        }
        document["history"]["parsed_from"] = "resume".into();
        anyhow::ensure!(schemas.is_canonical(&document), "the example with this job and its answers is canonical");
        let mut marked = Self { text: String::new(), fields: Vec::new(), unmarkable: Vec::new() };
        for pointer in texts(&document) {
            // What is looked up by these is not the person's.
            let looked_up = pointer == "/job" || pointer == "/history/parsed_from";
            // And this decides where it goes.
            let decides = pointer.starts_with("/consents") && pointer.ends_with("/purpose");
            if looked_up || decides || pointer.ends_with("/question") || pointer.contains("/option") {
                continue;
            }
            if mark(&schemas, &mut document, &pointer)? {
                marked.fields.push(pointer);
            } else {
                marked.unmarkable.push(pointer);
            }
        }
        marked.text = document.to_string();
        Ok(marked)
    }

    /// The address of submission `number`.
    pub(crate) fn email(number: u64) -> String {
        format!("{MARK}{number:05}@example.org")
    }

    /// Submission `number`, with a file announced if there is one.
    pub(crate) fn document(&self, number: u64, resume: Option<usize>) -> Result<Value> {
        let text = self.text.replace(&format!("{MARK}{NUMBER}"), &format!("{MARK}{number:05}"));
        let mut document: Value = serde_json::from_str(&text)?;
        document["person"]["emails"][0]["address"] = Self::email(number).into();
        match resume {
            Some(size) => {
                document["attachments"] = json!([{ "id": "resume", "kind": "resume",
                    "name": format!("{MARK}{number:05}.pdf"), "media_type": "application/pdf", "size": size }]);
            }
            None => {
                if let Some(history) = document["history"].as_object_mut() {
                    history.remove("parsed_from");
                }
            }
        }
        Ok(document)
    }
}

/// Pointers of every text in a document.
fn texts(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = VecDeque::from([(String::new(), document)]);
    while let Some((pointer, value)) = left.pop_front() {
        match value {
            Value::String(_) => found.push(pointer),
            Value::Array(items) => {
                left.extend(items.iter().enumerate().map(|(at, item)| (format!("{pointer}/{at}"), item)));
            }
            Value::Object(members) => {
                left.extend(members.iter().map(|(name, member)| (format!("{pointer}/{name}"), member)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    found
}

/// Puts the mark at a place, in the first form that its schema takes; else leaves it as it was.
fn mark(schemas: &Schemas, document: &mut Value, pointer: &str) -> Result<bool> {
    let before = document.pointer(pointer).context("a place of the document")?.clone();
    let plain = format!("{MARK}{NUMBER}");
    let forms = [
        plain.clone(),
        format!("{plain}@example.org"),
        format!("https://example.org/{plain}"),
        plain.to_lowercase(),
        format!("{}.example.org", plain.to_lowercase()),
        MARK.to_lowercase(),
    ];
    for form in forms {
        *document.pointer_mut(pointer).context("a place of the document")? = form.into();
        if schemas.is_canonical(document) {
            return Ok(true);
        }
    }
    *document.pointer_mut(pointer).context("a place of the document")? = before;
    Ok(false)
}

/// What was searched, and where the mark was found.
#[derive(Debug, Default, serde::Serialize)]
pub(crate) struct Search {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) hits: Vec<PathBuf>,
}

/// Every file below a folder whose name or content holds the mark: in any case, as UTF-16, base64 or hexadecimal.
pub(crate) fn search(folder: &Path) -> Result<Search> {
    let mut search = Search::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                // A file that ended meanwhile (a log that was started over) holds nothing any more.
                let Ok(mut file) = File::open(&path) else { continue };
                search.files += 1;
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                let (bytes, inside) = holds(&mut file)?;
                search.bytes += bytes;
                if inside || has_mark(name.as_bytes()) {
                    search.hits.push(path);
                }
            }
        }
    }
    Ok(search)
}

/// Reads in pieces that overlap by more than the longest form of the mark.
fn holds(file: &mut File) -> Result<(u64, bool)> {
    const PIECE: usize = 1 << 20;
    const OVERLAP: usize = 64;
    let (mut bytes, mut piece) = (0, Vec::with_capacity(PIECE + OVERLAP));
    loop {
        let read = file.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
        bytes += u64::try_from(read)?;
        if has_mark(&piece) {
            return Ok((bytes, true));
        }
        if read == 0 {
            return Ok((bytes, false));
        }
        let tail = piece.len().saturating_sub(OVERLAP);
        piece.drain(..tail);
    }
}

pub(crate) fn has_mark(bytes: &[u8]) -> bool {
    let lower: Vec<u8> = bytes.iter().filter(|byte| **byte != 0).map(u8::to_ascii_lowercase).collect();
    let word = MARK.to_ascii_lowercase();
    contains(&lower, word.as_bytes())
        || contains(&lower, HEXLOWER.encode(MARK.as_bytes()).as_bytes())
        || in_base64().iter().any(|form| contains(bytes, form))
}

/// The part of the mark's base64 that does not depend on its neighbours, at each of the three offsets.
fn in_base64() -> [Vec<u8>; 3] {
    [0, 1, 2].map(|shift| {
        let padded = [&b"\0\0"[..shift], MARK.as_bytes()].concat();
        let text = BASE64.encode(&padded);
        let (from, whole) = (if shift == 0 { 0 } else { shift + 1 }, padded.len() / 3 * 4);
        text.as_bytes()[from..whole].to_vec()
    })
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    let Some(first) = word.first() else { return false };
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| byte == first) {
        if bytes[from + at..].starts_with(word) {
            return true;
        }
        from += at + 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{MARK, Marked, has_mark};
    use data_encoding::{BASE64, HEXLOWER, HEXUPPER};

    #[test]
    fn the_mark_is_found_in_every_form() {
        let long = format!("x{MARK}y");
        let wide: Vec<u8> = MARK.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for (bytes, expected) in [
            (MARK.as_bytes().to_vec(), true),
            (MARK.to_uppercase().into_bytes(), true),
            (wide, true),
            (HEXLOWER.encode(MARK.as_bytes()).into_bytes(), true),
            (HEXUPPER.encode(long.as_bytes()).into_bytes(), true),
            (BASE64.encode(MARK.as_bytes()).into_bytes(), true),
            (BASE64.encode(long.as_bytes()).into_bytes(), true),
            (BASE64.encode(format!("xx{MARK}yy").as_bytes()).into_bytes(), true),
            (b"Zyxkanar".to_vec(), false),
            (Vec::new(), false),
        ] {
            assert_eq!(has_mark(&bytes), expected, "{}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn every_text_of_a_person_is_marked() {
        let marked = Marked::new("4001", &[]).unwrap();
        for pointer in
            ["/person/name/native_script", "/accommodation", "/demographics/0/signed/name", "/client/user_agent"]
        {
            assert!(marked.fields.iter().any(|field| field == pointer), "{pointer}");
        }
        assert!(marked.fields.len() > 60, "{:?}", marked.fields);
        for pointer in &marked.unmarkable {
            let closed =
                ["country", "type", "tag", "start", "end", "on", "at", "issued", "expires", "period", "currency"];
            let last = pointer.rsplit('/').next().unwrap();
            let known = closed.contains(&last) || pointer.contains("digest") || NOT_WORDS.contains(&pointer.as_str());
            assert!(known, "{pointer} takes no mark: {:?}", marked.unmarkable);
        }
    }

    /// Closed lists, numbers as texts, language tags, zones.
    const NOT_WORDS: &[&str] = &[
        "/person/phones/0/e164",
        "/person/languages/0/level",
        "/person/time_zone",
        "/eligibility/earliest_start",
        "/demographics/0/jurisdiction",
        "/consents/0/basis",
        "/consents/1/basis",
        "/consents/0/locale",
        "/consents/0/retain_until",
        "/client/ip",
        "/client/locale",
        "/meta/submitted_at",
    ];
}
