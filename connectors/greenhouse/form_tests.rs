//! Forms as published, and what their schemas and this vendor's own say about documents.

use causeway_core::posting::{FieldKind, QuestionGroup};
use serde_json::{Value, json};

use super::schema;
use crate::greenhouse::Greenhouse;
use crate::greenhouse::testing::{APPLICATION, JOB, OTHER, complaints, published};
use causeway_core::connector::Connector;

/// Pointer and reason of each complaint about `testdata/application.json` after `change`.
fn check(change: impl FnOnce(&mut Value), expected: &[(&str, &str)]) {
    let mut document: Value = serde_json::from_str(APPLICATION).unwrap();
    change(&mut document);
    let said = complaints(&schema(&published(JOB)), &document);
    let found: Vec<(&str, &str)> =
        said.iter().map(|(pointer, reason, _)| (pointer.as_str(), reason.as_str())).collect();
    assert_eq!(found, expected, "{said:?}");
}

#[test]
fn a_published_form_keeps_names_kinds_options_and_groups() {
    let form = published(JOB);
    assert_eq!((form.posting_id.as_str(), form.digest.as_str()), ("44444", ""));
    let field = |name: &str| {
        let question = form.questions.iter().find(|question| question.fields.iter().any(|field| field.name == name));
        let question = question.unwrap_or_else(|| panic!("{name}"));
        let field = question.fields.iter().find(|field| field.name == name).unwrap();
        let options: Vec<String> =
            field.options.iter().map(|option| format!("{}={}", option.id, option.label)).collect();
        (question.group, question.required, field.kind, options.join(","))
    };
    let none = String::new;
    assert_eq!(field("first_name"), (QuestionGroup::Application, true, FieldKind::Text, none()));
    assert_eq!(field("resume"), (QuestionGroup::Application, true, FieldKind::File, none()));
    assert_eq!(field("resume_text"), (QuestionGroup::Application, true, FieldKind::LongText, none()));
    let apples = "0=No,1=Yes".to_owned();
    assert_eq!(field("question_2222"), (QuestionGroup::Application, true, FieldKind::SingleSelect, apples));
    let colours = "2=Red,5=Orange".to_owned();
    assert_eq!(field("question_3333"), (QuestionGroup::Application, true, FieldKind::MultiSelect, colours));
    assert_eq!(field("latitude"), (QuestionGroup::Location, true, FieldKind::Hidden, none()));
    let survey = "1=Yes,2=No,3=I do not want to answer".to_owned();
    assert_eq!(field("disability_status"), (QuestionGroup::Demographic, false, FieldKind::SingleSelect, survey));
    let colour = "100=Red,102=Prefer to Type My Own".to_owned();
    assert_eq!(field("demographic_1"), (QuestionGroup::Demographic, false, FieldKind::MultiSelect, colour));
    assert_eq!(field("gdpr_consent_given"), (QuestionGroup::Consent, true, FieldKind::Boolean, none()));
    assert_eq!(field("gdpr_processing_consent_given"), (QuestionGroup::Consent, true, FieldKind::Boolean, none()));
    assert!(form.questions.iter().flat_map(|question| &question.fields).all(|field| !field.name.contains("retention")));
    let eeoc = form.questions.iter().find(|question| question.label == "DisabilityStatus").unwrap();
    assert_eq!(eeoc.description.as_deref(), Some("<p>Voluntary Self-Identification</p>"));
}

#[test]
fn a_form_of_2013_is_still_read() {
    let form = published(include_str!("testdata/job-2013.json"));
    assert_eq!(form.questions.len(), 9);
    let bare =
        json!({ "person": { "name": { "given": "A", "family": "B" }, "emails": [{ "address": "a@example.org" }] } });
    assert_eq!(complaints(&schema(&form), &bare), []);
    assert_eq!(complaints(&schema(&form), &json!({})).len(), 3);
}

#[test]
fn an_application_that_answers_everything_passes() {
    check(|_| {}, &[]);
}

#[test]
fn every_missing_answer_is_told_once_in_plain_words() {
    let said = complaints(&schema(&published(JOB)), &json!({ "person": { "name": { "given": " " } }, "answers": [] }));
    let expected = [
        ("/answers", "“Do you like apples?” must be answered."),
        ("/answers", "“LinkedIn Profile” must be answered."),
        ("/answers", "“Which colours?” must be answered."),
        ("/attachments", "“Resume” is missing."),
        ("/consents", "“Consent to data processing” must be given or refused."),
        ("/person/emails", "The e-mail address is missing."),
        ("/person/location", "The place where the applicant lives is missing or has no coordinates."),
        ("/person/name/family", "The last name is missing."),
        ("/person/name/given", "The first name is missing."),
        ("/person/phones", "The phone number is missing."),
    ];
    let found: Vec<(&str, &str)> =
        said.iter().map(|(pointer, _, message)| (pointer.as_str(), message.as_str())).collect();
    assert_eq!(found, expected);
    assert!(said.iter().all(|(_, reason, _)| reason == "answer_missing"));
}

#[test]
fn any_one_alternative_answers_a_question() {
    let document: Value = serde_json::from_str(OTHER).unwrap();
    let said = complaints(&schema(&published(JOB)), &document);
    let found: Vec<&str> = said.iter().map(|(pointer, _, _)| pointer.as_str()).collect();
    assert_eq!(found, ["/consents", "/person/location"], "the text stands in for the résumé");
    check(|document| document["attachments"][0]["kind"] = json!("portfolio"), &[("/attachments", "answer_missing")]);
    check(|document| document["attachments"][0]["question"] = json!("resume"), &[]);
    check(
        |document| document["attachments"][0]["question"] = json!("question_9"),
        &[("/attachments", "answer_missing")],
    );
}

#[test]
fn an_answer_is_of_the_shape_its_question_takes() {
    let answers = |answers: Value| move |document: &mut Value| document["answers"][1] = answers;
    let apples = |member: &str, value: Value| json!({ "question": "question_2222", member: value });
    check(answers(apples("option", json!({ "id": "7" }))), &[("/answers/1/option/id", "option_unknown")]);
    check(answers(apples("value", json!("7"))), &[("/answers/1/value", "option_unknown")]);
    for value in [json!("0"), json!(1), json!(true)] {
        check(answers(apples("value", value)), &[]);
    }
    check(answers(json!({ "question": "question_2222", "declined": true })), &[("/answers", "answer_missing")]);
    check(
        |document| document["answers"][2]["options"][1]["id"] = json!("9"),
        &[("/answers/2/options/1/id", "option_unknown")],
    );
    check(|document| document["answers"][2]["options"] = json!([]), &[("/answers", "answer_missing")]);
    check(|document| document["answers"][0]["value"] = json!(true), &[("/answers/0/value", "value_invalid")]);
    check(|document| document["answers"][0]["value"] = json!(" "), &[("/answers", "answer_missing")]);
    check(
        |document| document["answers"][3] = json!({ "question": "question_5555", "option": { "id": "1" } }),
        &[("/answers/3/option/id", "option_unknown")],
    );
    check(
        |document| document["answers"][3] = json!({ "question": "question_4444", "value": "see my site" }),
        &[("/answers/3/value", "value_invalid")],
    );
}

#[test]
fn surveys_are_never_demanded_and_a_refused_consent_is_an_answer() {
    check(|document| document["demographics"] = json!([]), &[]);
    check(|document| document["consents"] = json!([{ "purpose": "application", "given": false }]), &[]);
    let text = schema(&published(JOB)).to_string();
    for word in ["disability_status", "demographic_1", "Favorite Color", "Voluntary"] {
        assert!(!text.contains(word), "{word} is in the schema");
    }
}

#[test]
fn a_huge_form_has_a_schema_of_bounded_size() {
    let values: Vec<Value> = (0..501).map(|id| json!({ "value": id, "label": "An option" })).collect();
    let field = json!([{ "name": "question_1", "type": "multi_value_single_select", "values": values }]);
    let question = json!({ "label": "x".repeat(10_000), "required": true, "fields": field });
    let form = published(&json!({ "id": 1, "questions": vec![question; 201] }).to_string());
    assert!(schema(&form).to_string().len() < 500_000);
}

#[test]
fn the_vendors_own_demands_hold_over_the_examples() {
    let schema: Value = serde_json::from_str(Greenhouse.schema().unwrap()).unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/greenhouse");
    let read = |path: &str| -> Value {
        serde_json::from_slice(&std::fs::read(format!("{folder}/{path}.json")).unwrap_or_else(|_| panic!("{path}")))
            .unwrap()
    };
    let count = |path: &str| std::fs::read_dir(format!("{folder}/{path}")).unwrap().count();
    let valid = ["complete", "least", "other-files"];
    assert_eq!(count("valid"), valid.len());
    for name in valid {
        assert_eq!(complaints(&schema, &read(&format!("valid/{name}"))), [], "{name}");
    }
    let invalid: &[(&str, &[(&str, &str)])] = &[
        (
            "bad-files",
            &[
                ("/attachments/0/name", "file_refused"),
                ("/attachments/1/size", "file_refused"),
                ("/attachments/2/name", "file_refused"),
            ],
        ),
        ("long-names", &[("/person/name/family", "value_invalid"), ("/person/name/given", "value_invalid")]),
        ("no-email", &[("/person/emails", "answer_missing")]),
        ("no-last-name", &[("/person/name", "answer_missing")]),
        ("two-long-last-names", &[("/person/name/family", "value_invalid")]),
        (
            "web-addresses",
            &[
                ("/person/name/family", "value_invalid"),
                ("/person/name/given", "value_invalid"),
                ("/person/phones/0/raw", "value_invalid"),
            ],
        ),
    ];
    assert_eq!(count("invalid"), invalid.len());
    for (name, expected) in invalid {
        let said = complaints(&schema, &read(&format!("invalid/{name}")));
        let found: Vec<(&str, &str)> =
            said.iter().map(|(pointer, reason, _)| (pointer.as_str(), reason.as_str())).collect();
        assert_eq!(found, *expected, "{name}: {said:?}");
    }
}
