//! The mapping, whole bodies at a time; and the README's table of fates, held against what the mapping does.

use std::collections::BTreeMap;

use causeway_core::application as canonical;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::{Value, json};

use super::{FileMissing, body, name_field};
use crate::greenhouse::testing::{APPLICATION, JOB, OTHER, application, files, published};

fn mapped(document: &str) -> Result<(Value, Vec<String>), FileMissing> {
    let (application, files, form) = (application(document), files(), published(JOB));
    let body = body(&application, &files, Some(&form))?;
    Ok((serde_json::to_value(&body).unwrap(), body.not_carried))
}

#[test]
fn a_full_repeatingbecomes_the_vendors_body() {
    let (body, not_carried) = mapped(APPLICATION).unwrap();
    let expected: Value = serde_json::from_str(include_str!("testdata/body.json")).unwrap();
    assert_eq!(body, expected);
    let left = [
        "/answers/4",
        "/answers/5",
        "/answers/6",
        "/attachments/3",
        "/history/employment/2",
        "/history/employment/3",
        "/demographics/1",
    ];
    assert_eq!(not_carried, left);
}

#[test]
fn alternatives_partial_places_and_plain_values_are_carried_as_the_vendor_wants_them() {
    let (body, not_carried) = mapped(OTHER).unwrap();
    let expected = json!({
        "first_name": "Anna", "last_name": "Muster", "email": "anna@example.org", "phone": "030 1234567",
        "resume_text": "Ten years of selling.", "question_1111": "12", "question_2222": 0, "question_3333": [5],
        "question_4444_content": "d29yaw==", "question_4444_content_filename": "work.pdf",
    });
    assert_eq!(body, expected);
    assert_eq!(not_carried, ["/person/location"]);
}

#[test]
fn without_a_form_only_custom_questions_and_no_flag_of_old_are_sent() {
    let (application, files) = (application(APPLICATION), files());
    let body = serde_json::to_value(body(&application, &files, None).unwrap()).unwrap();
    assert_eq!(body["question_2222"], 1);
    assert_eq!(body["question_3333"], json!([2, 5]));
    let flags = json!({ "gdpr_processing_consent_given": true, "gdpr_retention_consent_given": false });
    assert_eq!(body["data_compliance"], flags);
    assert_eq!(body["email"], "ines@example.org");
}

#[test]
fn a_question_is_answered_once_and_a_missing_file_is_an_error() {
    let mut document: Value = serde_json::from_str(APPLICATION).unwrap();
    document["answers"] = json!([{ "question": "resume_text", "value": "Also as text" }]);
    let (body, not_carried) = mapped(&document.to_string()).unwrap();
    assert!(body.get("resume_text").is_none() && body.get("resume_content").is_some());
    assert!(not_carried.contains(&"/answers/0".to_owned()));

    document["answers"] = json!([
        { "question": "question_4444", "attachment": "work" },
        { "question": "question_4444", "attachment": "work" },
        { "question": "question_1111", "value": "first" },
        { "question": "question_1111", "value": "second" },
        { "question": "resume", "value": "Not a file" },
    ]);
    let (repeating, files, form) = (application(&document.to_string()), files(), published(JOB));
    let twice = super::body(&repeating, &files, Some(&form)).unwrap();
    let text = serde_json::to_string(&twice).unwrap();
    assert_eq!(text.matches("question_4444_content\"").count(), 1);
    assert!(text.contains("first") && !text.contains("second"));
    for index in ["/answers/1", "/answers/3", "/answers/4"] {
        assert!(twice.not_carried.contains(&index.to_owned()), "{index}");
    }

    let application = application(APPLICATION);
    assert_eq!(super::body(&application, &[], None).err(), Some(FileMissing));
}

#[test]
fn complaints_point_at_the_canonical_document() {
    let (application, form) = (application(APPLICATION), published(JOB));
    for (field, pointer) in [
        ("last_name", Some("/person/name/family")),
        ("phone", Some("/person/phones/0")),
        ("latitude", Some("/person/location")),
        ("cover_letter_content", Some("/attachments/1")),
        ("question_3333[]", Some("/answers/2")),
        ("question_9999", None),
        ("educations", None),
    ] {
        let named = name_field(field, &application, Some(&form));
        assert_eq!(named.map(|reason| reason.pointer).as_deref(), pointer, "{field}");
    }
    let text = name_field("question_2222", &application, Some(&form)).unwrap().text;
    assert_eq!(text, "The ATS did not accept the answer to “Do you like apples?”.");
}

/// The names of a struct's fields, learned by asking it to read itself.
struct Names;

#[derive(Debug)]
struct Learned(&'static [&'static str]);

impl std::fmt::Display for Learned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("names")
    }
}

impl std::error::Error for Learned {}

impl Error for Learned {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self(&[])
    }
}

impl<'de> Deserializer<'de> for Names {
    type Error = Learned;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Learned> {
        Err(Learned(fields))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Learned> {
        Err(Learned(&[]))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn names<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    match T::deserialize(Names) {
        Ok(_) => &[],
        Err(Learned(names)) => names,
    }
}

/// Every field of the canonical application that has no fields of its own, as a dotted path.
fn canonical_fields() -> Vec<String> {
    let structs: &[(&str, &[&str])] = &[
        ("", names::<canonical::Application>()),
        ("person", names::<canonical::Person>()),
        ("person.name", names::<canonical::Name>()),
        ("person.emails", names::<canonical::Email>()),
        ("person.phones", names::<canonical::Phone>()),
        ("person.address", names::<canonical::Address>()),
        ("person.location", names::<canonical::Location>()),
        ("person.links", names::<canonical::Link>()),
        ("person.languages", names::<canonical::Language>()),
        ("eligibility", names::<canonical::Eligibility>()),
        ("eligibility.work_authorisation", names::<canonical::WorkAuthorisation>()),
        ("pay", names::<canonical::Pay>()),
        ("pay.expectation", names::<canonical::PayExpectation>()),
        ("relation", names::<canonical::Relation>()),
        ("relation.internal", names::<canonical::Internal>()),
        ("history", names::<canonical::History>()),
        ("history.education", names::<canonical::Education>()),
        ("history.employment", names::<canonical::Employment>()),
        ("history.certifications", names::<canonical::Certification>()),
        ("attachments", names::<canonical::Attachment>()),
        ("answers", names::<canonical::Answer>()),
        ("answers.option", names::<canonical::AnswerOption>()),
        ("answers.options", names::<canonical::AnswerOption>()),
        ("demographics", names::<canonical::Demographic>()),
        ("consents", names::<canonical::Consent>()),
        ("source", names::<canonical::Source>()),
        ("client", names::<canonical::Client>()),
        ("meta", names::<canonical::Meta>()),
    ];
    let path = |parent: &str, name: &str| if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") };
    let all = structs.iter().flat_map(|(parent, names)| names.iter().map(move |name| path(parent, name)));
    all.filter(|field| !structs.iter().any(|(parent, _)| parent == field)).collect()
}

/// The rows of the README's table of fates: `a.b`, `a.c` | fate | how or why.
fn fates() -> BTreeMap<String, (String, String)> {
    let mut fates = BTreeMap::new();
    let readme = include_str!("README.md");
    let table = readme.split_once("## Field fates").unwrap().1;
    let table = table.split_once("\n## ").map_or(table, |(before, _)| before);
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for field in cells[1].split(',') {
            let field = field.trim().trim_matches('`').to_owned();
            let former = fates.insert(field, (cells[2].to_owned(), cells[3].to_owned()));
            assert!(former.is_none(), "listed twice: {row}");
        }
    }
    fates
}

fn without(document: &mut Value, path: &[&str]) {
    match (document, path) {
        (Value::Array(list), path) => list.iter_mut().for_each(|item| without(item, path)),
        (Value::Object(map), [last]) => {
            map.remove(*last);
        }
        (Value::Object(map), [first, rest @ ..]) => {
            if let Some(inner) = map.get_mut(*first) {
                without(inner, rest);
            }
        }
        (_, _) => {}
    }
}

#[test]
fn every_canonical_field_has_a_fate_and_a_reason_in_the_readme() {
    let fates = fates();
    let fields = canonical_fields();
    assert!(fields.len() > 100, "{}", fields.len());
    for field in &fields {
        let (fate, reason) = fates.get(field).unwrap_or_else(|| panic!("no fate in the README: {field}"));
        assert!(["carried", "transformed", "dropped"].contains(&fate.as_str()), "{field}: {fate}");
        assert!(reason.len() > 3, "{field} has no reason");
    }
    for field in fates.keys() {
        assert!(fields.contains(field), "no such field: {field}");
    }
}

#[test]
fn the_readmes_fates_are_what_the_mapping_does() {
    for (field, (fate, _)) in fates() {
        // It chose the posting; the posting's id is in the path.
        if field == "job" {
            continue;
        }
        let path: Vec<&str> = field.split('.').collect();
        let matters = [APPLICATION, OTHER].into_iter().any(|document| {
            let mut less: Value = serde_json::from_str(document).unwrap();
            without(&mut less, &path);
            mapped(&less.to_string()).map(|(body, _)| body) != mapped(document).map(|(body, _)| body)
        });
        assert_eq!(matters, fate != "dropped", "{field} is said to be {fate}");
    }
}
