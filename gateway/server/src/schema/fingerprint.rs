//! One byte form for "the same request" and "the same form".
//!
//! Responsible for a serialisation in which member order and spelling of escapes do not matter, and for the digests over
//! it. It keys nothing: whoever stores a fingerprint runs it through the tenant's HMAC first, since a bare hash of
//! personal data can be guessed.

use std::fmt::Write;

use causeway_core::posting::Form;
use serde_json::Value;

use crate::hash::sha256_hex;

/// What identifies one multipart file part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartMark<'a> {
    /// The part's name: an attachment's id.
    pub name: &'a str,
    /// Its announced content type, if any.
    pub media_type: Option<&'a str>,
    /// SHA-256 over its content.
    pub sha256: [u8; 32],
}

/// The bytes that two submissions share exactly when they say the same: the document with sorted members, then each
/// part's name, type and hash, in the order of names. Every piece is preceded by its length, so no two lists run
/// together into the same bytes.
pub fn fingerprint(document: &Value, parts: &[PartMark<'_>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4_096);
    bytes.extend([0; 8]);
    canonical(document, &mut bytes);
    let length = (bytes.len() as u64 - 8).to_be_bytes();
    bytes.splice(..8, length);
    let mut sorted: Vec<&PartMark<'_>> = parts.iter().collect();
    sorted.sort_unstable_by_key(|part| (part.name, part.sha256));
    for part in sorted {
        for piece in [part.name.as_bytes(), part.media_type.unwrap_or_default().as_bytes(), &part.sha256] {
            bytes.extend((piece.len() as u64).to_be_bytes());
            bytes.extend(piece);
        }
    }
    bytes
}

/// The version of a form: SHA-256 over its questions, hexadecimal.
pub fn form_digest(form: &Form) -> String {
    let mut bytes = Vec::new();
    // A question is plain data: it always has a JSON form.
    canonical(&serde_json::to_value(&form.questions).unwrap_or_default(), &mut bytes);
    sha256_hex(&bytes)
}

/// JSON without white space, members sorted by name.
fn canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend(b"null"),
        Value::Bool(true) => out.extend(b"true"),
        Value::Bool(false) => out.extend(b"false"),
        Value::Number(number) => out.extend(number.to_string().as_bytes()),
        Value::String(text) => quoted(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                canonical(item, out);
            }
            out.push(b']');
        }
        // The map keeps its names in order, unless somebody else in the build asks it not to.
        Value::Object(members) if members.keys().is_sorted() => object(members.iter(), out),
        Value::Object(members) => {
            let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            object(sorted.into_iter(), out);
        }
    }
}

fn object<'a>(members: impl Iterator<Item = (&'a String, &'a Value)>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, (name, member)) in members.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        quoted(name, out);
        out.push(b':');
        canonical(member, out);
    }
    out.push(b'}');
}

fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    // Without an early end the compiler looks at many bytes at once.
    if text.bytes().fold(false, |found, byte| found | (byte < 0x20) | (byte == b'"') | (byte == b'\\')) {
        let mut escaped = String::with_capacity(text.len() + 8);
        for character in text.chars() {
            match character {
                '"' => escaped.push_str("\\\""),
                '\\' => escaped.push_str("\\\\"),
                control if control < ' ' => {
                    // Writing to a String cannot fail.
                    write!(escaped, "\\u{:04x}", u32::from(control)).unwrap_or_default();
                }
                plain => escaped.push(plain),
            }
        }
        out.extend(escaped.as_bytes());
    } else {
        out.extend(text.as_bytes());
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use causeway_core::posting::{Form, Question};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{PartMark, canonical, fingerprint, form_digest};
    use crate::hash::sha256_hex;

    fn part<'a>(name: &'a str, media_type: Option<&'a str>, fill: u8) -> PartMark<'a> {
        PartMark { name, media_type, sha256: [fill; 32] }
    }

    #[test]
    fn order_and_spelling_do_not_matter_and_everything_else_does() {
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let base =
            fingerprint(&read(r#"{"a":1,"b":{"c":"\u00e9","d":[1,2]}}"#), &[part("x", None, 1), part("y", None, 2)]);
        let same = fingerprint(
            &read("{ \"b\": {\"d\": [1, 2], \"c\": \"é\"}, \"a\": 1 }"),
            &[part("y", None, 2), part("x", None, 1)],
        );
        assert_eq!(base, same);
        let document = read(r#"{"a":1,"b":{"c":"é","d":[1,2]}}"#);
        for other in [
            fingerprint(&read(r#"{"a":1,"b":{"c":"é","d":[2,1]}}"#), &[part("x", None, 1), part("y", None, 2)]),
            fingerprint(&read(r#"{"a":1.5,"b":{"c":"é","d":[1,2]}}"#), &[part("x", None, 1), part("y", None, 2)]),
            fingerprint(&document, &[part("x", None, 1)]),
            fingerprint(&document, &[part("x", None, 1), part("y", None, 3)]),
            fingerprint(&document, &[part("x", None, 1), part("z", None, 2)]),
            fingerprint(&document, &[part("x", Some("text/plain"), 1), part("y", None, 2)]),
            fingerprint(&document, &[part("xt", Some("ext/plain"), 1), part("y", None, 2)]),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn a_form_changes_its_digest_with_its_questions_only() {
        let form = Form { posting_id: "1".to_owned(), digest: String::new(), questions: vec![Question::default()] };
        let named = Form { posting_id: "2".to_owned(), digest: "x".to_owned(), ..form.clone() };
        assert_eq!(form_digest(&form), form_digest(&named));
        let asked = Question { required: true, ..Question::default() };
        assert_ne!(form_digest(&form), form_digest(&Form { questions: vec![asked], ..form }));
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    proptest! {
        #[test]
        fn the_canonical_bytes_are_the_same_json(members in prop::collection::btree_map(".{0,6}", ".{0,12}", 0..6)) {
            let value = json!(members);
            let mut bytes = Vec::new();
            canonical(&value, &mut bytes);
            prop_assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), value);
        }
    }
}
