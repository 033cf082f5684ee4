//! The mapping, whole bodies at a time; and the README's table of fates, held against what the mapping does.

use causeway_core::connector::File;
use serde_json::{Value, json};

use super::{FileMissing, submission};
use crate::ashby::survey;
use crate::ashby::testing::{APPLICATION, POSTING, POSTING_ID, application, files, published};
use crate::fates::{fates, without};

/// The submit's body, each file's handle by its number; what the surveys send; what is left.
fn mapped(document: &str, files: &[File]) -> Result<(Value, Value, Vec<String>), FileMissing> {
    let (application, form) = (application(document), published(POSTING));
    let submission = submission(&application, files, Some(&form))?;
    let handles: Vec<String> = submission
        .uploads()
        .enumerate()
        // In the fate test the file's name and type are part of what is sent.
        .map(|(index, upload)| if document == APPLICATION { format!("handle-{index}") } else { told(index, upload) })
        .collect();
    let surveys = survey::surveys(&application, Some(&form));
    let surveys: Value =
        surveys.into_iter().map(|survey| json!([survey.kind.step(), survey.id, survey.values])).collect();
    Ok((submission.body(POSTING_ID, &handles), surveys, submission.not_carried))
}

fn told(index: usize, upload: &super::Upload<'_>) -> String {
    format!("handle-{index} {} {}", upload.attachment.name, upload.attachment.media_type)
}

#[test]
fn a_full_application_becomes_the_vendors_submissions() {
    let (body, surveys, not_carried) = mapped(APPLICATION, &files()).unwrap();
    assert_eq!(body, serde_json::from_str::<Value>(include_str!("testdata/body.json")).unwrap());
    assert_eq!(surveys, serde_json::from_str::<Value>(include_str!("testdata/surveys.json")).unwrap());
    // A demographic answer outside its door, one that poses as an own field, one nobody asked for, a second word on one
    // question; a file without a field; a survey of somebody else's.
    let left = ["/answers/11", "/answers/12", "/answers/13", "/answers/14", "/attachments/2", "/demographics/2"];
    assert_eq!(not_carried, left);
}

#[test]
fn each_type_takes_its_shape_and_what_does_not_fit_stays_behind() {
    let form = published(POSTING);
    let field = |name: &str| {
        form.questions.iter().flat_map(|question| &question.fields).find(|field| field.name == name).unwrap()
    };
    for (name, answer, expected) in [
        ("permit", json!({ "value": "false" }), json!(false)),
        ("permit", json!({ "value": "perhaps" }), Value::Null),
        ("years", json!({ "value": "0-2" }), json!("0-2")),
        ("skills", json!({ "option": { "id": "SQL" } }), json!(["SQL"])),
        ("skills", json!({ "value": ["Rust", "SQL"] }), json!(["Rust", "SQL"])),
        ("notice", json!({ "value": "12" }), json!(12)),
        ("notice", json!({ "value": 1.5 }), Value::Null),
        ("score", json!({ "value": 5 }), Value::Null),
        ("office", json!({ "value": "Berlin" }), json!({ "city": "Berlin" })),
        (
            "office",
            json!({ "value": "Austin, Texas, US" }),
            json!({ "city": "Austin", "region": "Texas", "country": "US" }),
        ),
        ("why", json!({ "value": "  " }), Value::Null),
        ("why", json!({ "value": 7 }), json!("7")),
        ("novel", json!({ "options": [{ "id": "a" }, { "id": "b" }] }), json!(["a", "b"])),
        ("why", json!({ "attachment": "cv" }), Value::Null),
    ] {
        let mut given = answer.clone();
        given["question"] = json!(name);
        let given = serde_json::from_value(given).unwrap();
        assert_eq!(super::value(&given, field(name)).unwrap_or_default(), expected, "{name}: {answer}");
    }
}

#[test]
fn names_and_places_are_taken_from_where_they_are() {
    let check = |person: Value, name: &str, place: Value| {
        let mut document: Value = serde_json::from_str(APPLICATION).unwrap();
        for (member, value) in person.as_object().unwrap() {
            document["person"][member] = value.clone();
        }
        let (body, _, _) = mapped(&document.to_string(), &files()).unwrap();
        let sent = |path: &str| {
            let fields = body["applicationForm"]["fieldSubmissions"].as_array().unwrap();
            fields.iter().find(|field| field["path"] == path).map_or(Value::Null, |field| field["value"].clone())
        };
        assert_eq!((sent(super::NAME), sent(super::LOCATION)), (json!(name), place), "{person}");
    };
    let nowhere = json!({ "lines": ["Example Street 1"] });
    check(
        json!({ "name": { "as_typed": " Wulan " }, "address": nowhere }),
        "Wulan",
        json!({ "city": "Berlin", "country": "Germany" }),
    );
    check(
        json!({ "name": { "given": "A", "family": "B" }, "address": { "country": "DE" } }),
        "A B",
        json!({ "country": "DE" }),
    );
    check(json!({ "name": { "given": "A" }, "address": nowhere, "location": { "text": " " } }), "A", Value::Null);
}

#[test]
fn without_a_form_the_vendors_own_fields_and_the_answers_are_sent() {
    let (application, files) = (application(APPLICATION), files());
    let submission = submission(&application, &files, None).unwrap();
    let body = submission.body(POSTING_ID, &["handle".to_owned()]).to_string();
    for (sent, is) in [("_systemfield_resume", true), ("Because.", true), ("Female", false), ("Male", false)] {
        assert_eq!(body.contains(sent), is, "{sent}");
    }
    assert!(submission.not_carried.contains(&"/demographics/0".to_owned()), "nobody knows which surveys there are");
    assert!(survey::surveys(&application, None).is_empty());
}

#[test]
fn a_missing_file_is_an_error() {
    assert_eq!(mapped(APPLICATION, &[]).err(), Some(FileMissing));
}

#[test]
fn the_readmes_fates_are_what_the_mapping_does() {
    // Alternatives matter only where what they stand in for is missing.
    let mut other: Value = serde_json::from_str(APPLICATION).unwrap();
    other["person"]["name"] = json!({ "as_typed": "Wulan" });
    other["person"].as_object_mut().unwrap().remove("address");
    other["person"]["phones"] = json!([{ "raw": "030 1234567" }]);
    other["answers"][4] = json!({ "question": "work", "attachment": "work" });
    other["answers"][15] = json!({ "question": "extra", "value": "declined", "declined": true });
    other["answers"][7] = json!({ "question": "nobody" });
    other["demographics"][3] =
        json!({ "scheme": "eeoc", "declined": true, "answers": { "_systemfield_eeoc_gender": "Male" } });
    other["attachments"][1].as_object_mut().unwrap().remove("question");
    // A leading blank keeps this text apart from the one whose handles are numbers only.
    let documents = [format!(" {APPLICATION}"), other.to_string()];
    for (field, (fate, _)) in fates(include_str!("README.md")) {
        // It chose the posting, whose id is sent.
        if field == "job" {
            continue;
        }
        let path: Vec<&str> = field.split('.').collect();
        let matters = documents.iter().any(|document| {
            let mut less: Value = serde_json::from_str(document).unwrap();
            without(&mut less, &path);
            let sent = |document: &str| mapped(document, &files()).map(|(body, surveys, _)| (body, surveys));
            sent(&less.to_string()) != sent(document)
        });
        assert_eq!(matters, fate != "dropped", "{field} is said to be {fate}");
    }
}
