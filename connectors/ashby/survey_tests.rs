//! Surveys: which are sent, from where, and what may never reach one or leave one.

use serde_json::{Value, json};

use super::{Kind, Place, surveys};
use crate::ashby::testing::{APPLICATION, POSTING, application, published};

/// What the surveys of `testdata/application.json` send after `change`: step and values.
fn sent(change: impl FnOnce(&mut Value)) -> Vec<(&'static str, Value)> {
    let mut document: Value = serde_json::from_str(APPLICATION).unwrap();
    change(&mut document);
    let surveys = surveys(&application(&document.to_string()), Some(&published(POSTING)));
    surveys.into_iter().map(|survey| (survey.kind.step(), Value::Object(survey.values))).collect()
}

fn steps(sent: &[(&'static str, Value)]) -> Vec<&'static str> {
    sent.iter().map(|(step, _)| *step).collect()
}

#[test]
fn a_name_says_which_survey_a_field_is_of() {
    let place = Place::of("eeoc.s-1._systemfield_eeoc_gender").unwrap();
    assert_eq!((place.kind, place.survey, place.path), (Kind::Eeoc, "s-1", "_systemfield_eeoc_gender"));
    assert_eq!(Place::of(&Place::name(Kind::Consent, "s", "a.b")).unwrap().path, "a.b");
    for other in ["_systemfield_name", "why", "other.s.path", "eeoc.s", ""] {
        assert_eq!(Place::of(other), None, "{other}");
    }
}

#[test]
fn what_nobody_answered_is_no_step() {
    let none = sent(|document| {
        document["demographics"] = json!([{ "scheme": "eeoc", "declined": true }]);
        document["consents"] = json!([]);
        document["answers"] = json!([]);
    });
    assert_eq!(none, []);
    let declined = sent(|document| document["demographics"][0]["declined"] = json!(true));
    assert_eq!(steps(&declined), ["survey_consent", "survey_diversity", "survey_questionnaire"]);
}

#[test]
fn a_consent_is_the_last_word_on_its_purpose_or_an_answer() {
    let given = |sent: Vec<(&str, Value)>| sent.into_iter().find(|(step, _)| *step == "survey_consent").unwrap().1;
    assert_eq!(given(sent(|_| {}))["agree"], true);
    let refused = sent(|document| {
        let list = document["consents"].as_array_mut().unwrap();
        list.push(json!({ "purpose": "application", "given": false }));
        list.push(json!({ "purpose": "marketing", "given": true }));
    });
    assert_eq!(given(refused)["agree"], false);
    let answered = sent(|document| {
        let question = "consent.33333333-3333-4333-8333-333333333333.agree";
        document["answers"] = json!([{ "question": question, "value": false }]);
    });
    assert_eq!(given(answered)["agree"], false, "the answer is nearer to the question");
}

#[test]
fn demographic_answers_come_from_their_place_and_by_any_name_of_their_survey() {
    let values = |survey: Value| {
        let all = sent(|document| document["demographics"] = json!([survey]));
        all.into_iter().filter(|(step, _)| ["survey_eeoc", "survey_diversity"].contains(step)).collect::<Vec<_>>()
    };
    let gender = json!({ "_systemfield_eeoc_gender": "Male" });
    let id = "44444444-4444-4444-8444-444444444444";
    for scheme in [id, "eeoc", "EEOC"] {
        assert_eq!(
            values(json!({ "scheme": scheme, "answers": gender })),
            [("survey_eeoc", gender.clone())],
            "{scheme}"
        );
    }
    let by_full_name =
        json!({ "scheme": id, "answers": { (format!("eeoc.{id}._systemfield_eeoc_gender")): ["Male"] } });
    assert_eq!(values(by_full_name), [("survey_eeoc", gender)]);
    let one = json!({ "scheme": "diversity", "answers": { "describes": "A carer" } });
    assert_eq!(values(one), [("survey_diversity", json!({ "describes": ["A carer"] }))], "a list is a list");
    assert_eq!(values(json!({ "scheme": "eeoc", "answers": { "unknown": "x", "_systemfield_eeoc_gender": "" } })), []);
    // An ordinary answer cannot become a demographic one.
    let smuggled = sent(|document| {
        document["demographics"] = json!([]);
        document["answers"] = json!([{ "question": format!("eeoc.{id}._systemfield_eeoc_gender"), "value": "Male" }]);
    });
    assert_eq!(steps(&smuggled), ["survey_consent"]);
}
