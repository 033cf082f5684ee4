//! Forms as published, and what their schemas and this vendor's own say about documents.

use causeway_core::connector::Connector;
use causeway_core::posting::{FieldKind, Form, Place, QuestionGroup, words};
use serde_json::{Value, json};

use super::schema;
use crate::ashby::Ashby;
use crate::ashby::testing::{APPLICATION, POSTING, POSTING_ID, complaints, published};

/// Pointer and reason of each complaint about `testdata/application.json` after `change`.
fn check(change: impl FnOnce(&mut Value), expected: &[(&str, &str)]) {
    let mut document: Value = serde_json::from_str(APPLICATION).unwrap();
    // The second word on a question and those that pose as others are another test's.
    document["answers"].as_array_mut().unwrap().truncate(10);
    change(&mut document);
    let said = complaints(&schema(&published(POSTING)), &document);
    let found: Vec<(&str, &str)> =
        said.iter().map(|(pointer, reason, _)| (pointer.as_str(), reason.as_str())).collect();
    assert_eq!(found, expected, "{said:?}");
}

fn answer(document: &mut Value, question: &str, answer: &Value) {
    let list = document["answers"].as_array_mut().unwrap();
    let one = list.iter_mut().find(|one| one["question"] == question).unwrap();
    *one = json!({ "question": question });
    one.as_object_mut().unwrap().extend(answer.as_object().unwrap().clone());
}

#[test]
fn a_published_form_keeps_paths_types_options_and_groups() {
    let form = published(POSTING);
    assert_eq!((form.posting_id.as_str(), form.digest.as_str()), (POSTING_ID, ""));
    let field = |name: &str| {
        let question = form.questions.iter().find(|question| question.fields[0].name == name);
        let question = question.unwrap_or_else(|| panic!("{name}"));
        let field = &question.fields[0];
        let options: Vec<&str> = field.options.iter().map(|option| option.id.as_str()).collect();
        (question.group, question.required, field.kind, field.vendor_type.clone(), options.join(","))
    };
    let is = |group, required, kind, vendor_type: &str, options: &str| {
        (group, required, kind, vendor_type.to_owned(), options.to_owned())
    };
    use QuestionGroup::{Application, Consent, Demographic, Location};
    assert_eq!(field("_systemfield_name"), is(Application, true, FieldKind::Text, "String", ""));
    assert_eq!(field("_systemfield_location"), is(Location, true, FieldKind::Text, "Location", ""));
    assert_eq!(field("_systemfield_resume"), is(Application, true, FieldKind::File, "File", ""));
    assert_eq!(field("years"), is(Application, true, FieldKind::SingleSelect, "ValueSelect", "0-2,3+"));
    assert_eq!(field("score"), is(Application, false, FieldKind::Number, "Score", ""));
    assert_eq!(
        field("novel"),
        is(Application, false, FieldKind::Text, "Signature", ""),
        "a type of tomorrow is a text"
    );
    let consent = "consent.33333333-3333-4333-8333-333333333333.agree";
    assert_eq!(field(consent), is(Consent, true, FieldKind::Boolean, "Boolean", ""));
    let gender = "eeoc.44444444-4444-4444-8444-444444444444._systemfield_eeoc_gender";
    let options = "Female,Male,Decline to self-identify";
    assert_eq!(field(gender), is(Demographic, false, FieldKind::SingleSelect, "ValueSelect", options));
    assert!(!field("questionnaire.66666666-6666-4666-8666-666666666666.lost").1, "nobody has to take part");
    let names: Vec<&str> = form.questions.iter().map(|question| question.fields[0].name.as_str()).collect();
    assert!(
        !names.iter().any(|name| name.contains("old") || name.contains("new")),
        "archived and unknown ones: {names:?}"
    );
    let why = form.questions.iter().find(|question| question.label == "Why us?").unwrap();
    assert_eq!(why.description.as_deref(), Some("<p>In your own words.</p>"));
    // What the gateway keeps reads back as it was.
    let kept: causeway_core::posting::Form = serde_json::from_value(serde_json::to_value(&form).unwrap()).unwrap();
    assert_eq!(kept, form);
}

#[test]
fn a_default_form_wins_over_the_first_and_a_missing_flag_means_required() {
    let mut info: Value = serde_json::from_str(POSTING).unwrap();
    let surveys = info["results"]["surveyFormDefinitions"].as_array_mut().unwrap();
    let mut second = surveys[0].clone();
    (second["id"], second["isDefaultForm"]) = (json!("the-default"), json!(true));
    surveys.push(second);
    info["results"]["applicationFormDefinition"]["sections"][0]["fields"][2]
        .as_object_mut()
        .unwrap()
        .remove("isRequired");
    let form = published(&info.to_string());
    let names: Vec<&str> = form.questions.iter().map(|question| question.fields[0].name.as_str()).collect();
    assert!(names.contains(&"diversity.the-default.describes") && !names.iter().any(|name| name.contains("55555555")));
    assert!(form.questions[2].required);
}

#[test]
fn an_application_that_answers_everything_passes() {
    check(|_| {}, &[]);
}

#[test]
fn every_missing_answer_is_told_once_in_plain_words() {
    let said = complaints(&schema(&published(POSTING)), &json!({ "person": {}, "answers": [] }));
    let expected = [
        ("/answers", "“May you work here?” must be answered."),
        ("/answers", "“Skills” must be answered."),
        ("/answers", "“Why us?” must be answered."),
        ("/answers", "“Years” must be answered."),
        ("/attachments", "“Resume” is missing."),
        ("/consents", "“I agree” must be given or refused."),
        ("/history/education", "The education is missing."),
        ("/person/address", "The place where the applicant lives is missing."),
        ("/person/emails", "The e-mail address is missing."),
        ("/person/name", "The name is missing."),
        ("/person/phones", "The phone number is missing."),
    ];
    let mut found: Vec<(&str, &str)> =
        said.iter().map(|(pointer, _, text)| (pointer.as_str(), text.as_str())).collect();
    found.dedup();
    assert_eq!(found, expected, "{said:?}");
}

#[test]
fn an_answer_of_the_wrong_shape_is_told_where_it_stands() {
    for (question, index, wrong, reason) in [
        ("permit", 1, json!({ "value": "perhaps" }), "value_invalid"),
        ("years", 2, json!({ "option": { "id": "100" } }), "option_unknown"),
        ("years", 2, json!({ "value": "100" }), "option_unknown"),
        ("skills", 3, json!({ "options": [{ "id": "Rust" }, { "id": "Cobol" }] }), "option_unknown"),
        ("start", 4, json!({ "value": "soon" }), "value_invalid"),
        ("notice", 5, json!({ "value": 1.5 }), "value_invalid"),
        ("score", 6, json!({ "value": 5 }), "value_invalid"),
        ("why", 0, json!({ "attachment": "cv" }), "value_invalid"),
    ] {
        let mut document: Value = serde_json::from_str(APPLICATION).unwrap();
        document["answers"].as_array_mut().unwrap().truncate(10);
        answer(&mut document, question, &wrong);
        let said = complaints(&schema(&published(POSTING)), &document);
        let place = format!("/answers/{index}");
        assert!(
            said.iter().any(|(at, why, _)| at.starts_with(&place) && why == reason),
            "{question} {wrong}: {said:?}"
        );
    }
}

/// An entry at a pointer whose numbers are places in lists.
fn put(document: &mut Value, pointer: &str, value: Value) {
    let parts: Vec<&str> = pointer.split('/').skip(1).collect();
    let mut at = document;
    for part in parts {
        at = match part.parse::<usize>() {
            Ok(index) => {
                if at.is_null() {
                    *at = json!([]);
                }
                let list = at.as_array_mut().unwrap();
                list.resize(list.len().max(index + 1), Value::Null);
                &mut list[index]
            }
            Err(_) => &mut at[part],
        };
    }
    *at = value;
}

/// What a page that fills a form by its places sends, all but this question.
fn filled(form: &Form, but: &str) -> Value {
    let mut document = json!({ "answers": [], "attachments": [], "demographics": [] });
    for question in form.questions.iter().filter(|question| question.fields[0].name != but) {
        let field = &question.fields[0];
        let value = match (field.kind, field.options.first()) {
            (FieldKind::SingleSelect, Some(option)) => json!({ "id": option.id }),
            (FieldKind::MultiSelect, Some(option)) => json!([{ "id": option.id }]),
            (FieldKind::Boolean, _) => json!(false),
            (FieldKind::Number, _) => json!(3),
            (FieldKind::Date, _) => json!("2026-12-01"),
            (FieldKind::File, _) => json!("file"),
            _ => json!("Somewhere, Far"),
        };
        let push = |document: &mut Value, list: &str, item: Value| document[list].as_array_mut().unwrap().push(item);
        match Ashby.place(question, field) {
            Place::Member { pointer, .. } => put(&mut document, &pointer, value),
            Place::Answer { question, member } => {
                let mut answer = json!({ "question": question });
                answer[member.as_str()] = value;
                push(&mut document, "answers", answer);
            }
            Place::Attachment { kind } => push(&mut document, "attachments", json!({ "id": "cv", "kind": kind })),
            Place::Demographic { scheme, name } => {
                push(&mut document, "demographics", json!({ "scheme": scheme, "answers": { name: value["id"] } }));
            }
            Place::Consent { purpose } => panic!("a field does not tell that it is the only consent: {purpose}"),
        }
    }
    document
}

/// The question that each complaint is about.
fn blamed(schema: &Value, document: &Value) -> Vec<String> {
    let validator = jsonschema::options().should_validate_formats(true).offline().build(schema).unwrap();
    let mut blamed: Vec<String> = validator
        .iter_errors(document)
        .map(|error| {
            let mut path = error.schema_path().as_str();
            loop {
                if let Some(said) = schema.pointer(path).and_then(|subschema| subschema.get(words::KEYWORD)) {
                    break said[words::QUESTION].as_str().unwrap_or("nothing").to_owned();
                }
                path = path.rsplit_once('/').unwrap().0;
            }
        })
        .collect();
    blamed.dedup();
    blamed
}

#[test]
fn a_form_filled_by_its_places_passes_and_what_is_missing_is_told_by_question() {
    let form = published(POSTING);
    let schema = schema(&form);
    assert_eq!(blamed(&schema, &filled(&form, "")), [""; 0]);
    let rules = schema["allOf"].as_array().unwrap();
    let mut asked = 0;
    for question in form.questions.iter().filter(|question| question.required) {
        let name = question.fields[0].name.as_str();
        let rule = rules.iter().find(|rule| rule[words::KEYWORD][words::QUESTION] == name);
        // Who a survey is from is asked by the application form.
        assert_eq!(rule.is_none(), name.starts_with("consent.") && name.ends_with("_systemfield_name"), "{name}");
        // Two questions have their place in the name.
        if rule.is_some() && name != "_systemfield_name" {
            assert_eq!(blamed(&schema, &filled(&form, name)), [name]);
            asked += 1;
        }
    }
    assert_eq!(asked, 10);
    let mut wrong = filled(&form, "years");
    wrong["answers"].as_array_mut().unwrap().push(json!({ "question": "years", "option": { "id": "100" } }));
    assert_eq!(blamed(&schema, &wrong), ["years"]);
}

#[test]
fn each_field_has_its_place_where_a_submit_takes_it_from() {
    let form = published(POSTING);
    let check = |name: &str, expected: Place| {
        let question = form.questions.iter().find(|question| question.fields[0].name == name).unwrap();
        assert_eq!(Ashby.place(question, &question.fields[0]), expected, "{name}");
    };
    let part = |pointer: &str, whole: &str| Place::Member { pointer: pointer.to_owned(), whole: whole.to_owned() };
    let answer = |question: &str, member: &str| Place::Answer { question: question.into(), member: member.into() };
    check("_systemfield_name", part("/person/name/as_typed", "/person/name"));
    check("_systemfield_email", part("/person/emails/0/address", "/person/emails"));
    check("_systemfield_phone", part("/person/phones/0/raw", "/person/phones"));
    check("_systemfield_location", part("/person/location/text", "/person/location"));
    check("_systemfield_resume", Place::Attachment { kind: "resume".into() });
    check("school", part("/history/education/0/school", "/history/education"));
    check("office", answer("office", "value"));
    check("skills", answer("skills", "options"));
    check("work", answer("work", "attachment"));
    let consent = "consent.33333333-3333-4333-8333-333333333333";
    check(&format!("{consent}.agree"), answer(&format!("{consent}.agree"), "value"));
    check(&format!("{consent}._systemfield_name"), part("/person/name/as_typed", "/person/name"));
    let (scheme, name) = ("eeoc".to_owned(), "_systemfield_eeoc_gender".to_owned());
    let gender = "eeoc.44444444-4444-4444-8444-444444444444._systemfield_eeoc_gender";
    check(gender, Place::Demographic { scheme, name });
    let lost = "questionnaire.66666666-6666-4666-8666-666666666666.lost";
    check(lost, answer(lost, "value"));
}

#[test]
fn alternatives_answer_too() {
    check(
        |document| {
            document["person"]["name"] = json!({ "as_typed": "Wulan" });
            document["person"].as_object_mut().unwrap().remove("address");
            answer(document, "notice", &json!({ "value": "4" }));
            answer(document, "permit", &json!({ "value": "true" }));
            answer(document, "skills", &json!({ "value": ["SQL"] }));
        },
        &[],
    );
    check(|document| document["attachments"] = json!([]), &[("/attachments", "answer_missing")]);
}

#[test]
fn consents_need_an_answer_and_surveys_nothing() {
    check(|document| document["demographics"] = json!([]), &[]);
    check(|document| document["consents"] = json!([{ "purpose": "application", "given": false }]), &[]);
    check(|document| document["consents"] = json!([]), &[("/consents", "answer_missing")]);
    let text = schema(&published(POSTING)).to_string();
    for word in ["eeoc", "Gender", "diversity", "A parent"] {
        assert!(!text.contains(word), "{word} is in the schema");
    }
}

#[test]
fn a_huge_form_has_a_schema_of_bounded_size() {
    let options: Vec<Value> = (0..501).map(|id| json!({ "value": id.to_string(), "label": "An option" })).collect();
    let field = json!({ "isRequired": true, "field": { "id": "f", "type": "ValueSelect", "path": "p",
        "title": "x".repeat(10_000), "selectableValues": options } });
    let info = json!({ "results": { "id": "p", "applicationFormDefinition": { "sections": [{ "fields": vec![field; 201] }] } } });
    assert!(schema(&published(&info.to_string())).to_string().len() < 500_000);
}

#[test]
fn the_vendors_own_demands_hold_over_the_examples() {
    let schema: Value = serde_json::from_str(Ashby.schema().unwrap()).unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/ashby");
    let read = |path: &str| -> Value {
        serde_json::from_slice(&std::fs::read(format!("{folder}/{path}.json")).unwrap_or_else(|_| panic!("{path}")))
            .unwrap()
    };
    let count = |path: &str| std::fs::read_dir(format!("{folder}/{path}")).unwrap().count();
    let valid = ["complete", "least", "one-name"];
    assert_eq!(count("valid"), valid.len());
    for name in valid {
        assert_eq!(complaints(&schema, &read(&format!("valid/{name}"))), [], "{name}");
    }
    let invalid: &[(&str, &[(&str, &str)])] = &[
        ("blank-address", &[("/person/emails/0/address", "value_invalid")]),
        ("blank-name", &[("/person/name", "answer_missing")]),
        ("no-email", &[("/person/emails", "answer_missing")]),
        ("no-name", &[("/person/name", "answer_missing")]),
    ];
    assert_eq!(count("invalid"), invalid.len());
    for (name, expected) in invalid {
        let said = complaints(&schema, &read(&format!("invalid/{name}")));
        let found: Vec<(&str, &str)> =
            said.iter().map(|(pointer, reason, _)| (pointer.as_str(), reason.as_str())).collect();
        assert_eq!(found, *expected, "{name}: {said:?}");
    }
}
