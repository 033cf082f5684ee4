//! What goes wrong in an application: one draft, none to three faults. Pure, and reproducible from a seed.
//!
//! The faults are those that sites make and those that a vendor enforces; whether one matters on a posting is for the
//! gateway to say.

use bytes::Bytes;
use serde_json::{Value, json};

use super::filler::{Draft, Draw, list};

/// How many kinds of fault there are.
pub(crate) const KINDS: usize = 26;

/// Does it `count` times over; answers the kinds.
pub(crate) fn spoil(draft: &mut Draft, form: &Value, count: usize, draw: &mut Draw) -> Vec<usize> {
    let kinds: Vec<usize> = (0..count).map(|_| draw.below(KINDS)).collect();
    for kind in &kinds {
        match kind {
            0..=9 => in_the_answers(draft, form, *kind, draw),
            10..=17 => in_the_person(draft, *kind),
            _ => elsewhere(draft, *kind),
        }
    }
    kinds
}

fn in_the_answers(draft: &mut Draft, form: &Value, kind: usize, draw: &mut Draw) {
    let questions = list(form, "questions");
    let of = |required: bool| questions.iter().filter(move |one| (one["required"] == true) == required);
    let (required, optional): (Vec<&Value>, Vec<&Value>) = (of(true).collect(), of(false).collect());
    let answers = list(&draft.document, "answers").len();
    let chosen = draw.below(answers);
    let answer = draft.document["answers"].get_mut(chosen);
    match (kind, answer) {
        (0 | 1, _) => {
            if let Some(question) = draw.one_of(&required) {
                draft.remove(question);
            }
        }
        (2, _) => {
            if let Some(question) = draw.one_of(&optional) {
                draft.remove(question);
            }
        }
        (3, Some(answer)) => answer["option"] = json!({ "id": "999999", "label": "Nobody offered this" }),
        (4, Some(answer)) => answer["value"] = "   ".into(),
        (5, Some(answer)) => answer["value"] = json!({ "text": "an object" }),
        (6, Some(answer)) => answer["declined"] = true.into(),
        (7, Some(answer)) => {
            let again = answer.clone();
            draft.push("answers", again);
        }
        (8, _) => draft.push("answers", json!({ "question": "question_never_asked", "value": "Still here." })),
        (9, Some(answer)) => {
            let id = answer["option"]["id"].clone();
            if let Some(id) = id.as_str() {
                *answer = json!({ "question": answer["question"], "value": id });
            }
        }
        (_, _) => {}
    }
}

fn in_the_person(draft: &mut Draft, kind: usize) {
    let person = &mut draft.document["person"];
    match kind {
        10 => person["name"]["given"] = "x".repeat(256).into(),
        11 => person["name"]["family"] = "see https://example.com/me".into(),
        12 => person["emails"] = json!([{ "address": "no address at all" }]),
        13 => person["emails"] = json!([{ "address": "ada@" }]),
        14 => person["phones"] = json!([{ "raw": "www.example.com" }]),
        15 => person["location"] = json!({ "text": "Berlin", "lat": 52.5 }),
        16 => person["name"]["second_family"] = "y".repeat(128).into(),
        _ => person["favourite_colour"] = "green".into(),
    }
}

fn elsewhere(draft: &mut Draft, kind: usize) {
    match kind {
        18 => draft.document["consents"] = json!([{ "purpose": "recruiting", "given": false }]),
        19 => {
            draft.document["history"] = json!({ "employment": [
                { "company": "Musterwerk", "title": "Engineer", "start": "2020-03", "end": "2017-10", "current": false }
            ] });
        }
        20 => {
            if let Some(attachment) = draft.document["attachments"].get_mut(0) {
                attachment["name"] = "picture.png".into();
            }
        }
        21 => drop(draft.files.pop()),
        22 => {
            if let Some(part) = draft.files.first_mut() {
                part.bytes = Bytes::new();
            }
        }
        23 => draft.document["answers"] = Value::Null,
        24 => draft.document["job"] = "no-such-job".into(),
        _ => {
            draft.document["demographics"] =
                json!([{ "scheme": "eeoc", "answers": { "zqxmarker": "zqxmarker" }, "zqxmarker": 1 }]);
        }
    }
}
