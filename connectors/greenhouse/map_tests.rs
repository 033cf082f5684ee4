//! The mapping, whole bodies at a time; and the README's table of fates, held against what the mapping does.

use serde_json::{Value, json};

use super::{FileMissing, body, name_field};
use crate::fates::{fates, without};
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

#[test]
fn the_readmes_fates_are_what_the_mapping_does() {
    for (field, (fate, _)) in fates(include_str!("README.md")) {
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
