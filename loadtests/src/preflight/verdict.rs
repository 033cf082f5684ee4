//! Whether a preflight and a submit of the same said the same, and what a preflight says at all. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::filler::{list, text};

/// Status and body.
pub(crate) type Said = (u16, Value);

/// Why they differ, if they do.
pub(crate) fn differ((told_status, told): &Said, (sent_status, sent): &Said) -> Option<String> {
    let no = |what: &str, told: &Value, sent: &Value| Some(format!("{what}: preflight {told}, submit {sent}"));
    if *told_status != 200 {
        // About something else than the document: both are told the same problem.
        let same = told_status == sent_status && told["code"] == sent["code"];
        return if same { None } else { no("problem", told, sent) };
    }
    if told["submit"]["status"] != *sent_status {
        return no("status", &told["submit"], &Value::from(*sent_status));
    }
    if *sent_status != 202 {
        let same = told["submit"]["code"] == sent["code"] && places(told) == places(sent);
        return if same { None } else { no("reasons", &told["errors"], &sent["errors"]) };
    }
    let shown = |one: &Value| (one["account"].clone(), one["state"].clone(), one["reason"].clone(), places(one));
    let [told, sent] = [told, sent].map(|answer| list(answer, "targets").iter().map(shown).collect::<Vec<_>>());
    if told == sent { None } else { Some(format!("targets: preflight {told:?}, submit {sent:?}")) }
}

/// Each complaint's place, kind and words. A preflight does not point into a survey.
fn places(answer: &Value) -> Vec<(String, Value, Value)> {
    let place = |error: &Value| {
        let pointer = text(error, "pointer");
        let cut = if pointer.starts_with("/demographics/") { 3 } else { usize::MAX };
        let pointer = pointer.split('/').take(cut).collect::<Vec<_>>().join("/");
        (pointer, error["code"].clone(), error["message"].clone())
    };
    list(answer, "errors").iter().map(place).collect()
}

/// The systems that a preflight says do not take the document.
pub(crate) fn failing(told: &Value) -> BTreeSet<String> {
    let mut failing: BTreeSet<String> = list(told, "targets")
        .iter()
        .filter(|one| one["verdict"] == "fail")
        .map(|one| text(one, "account").to_owned())
        .collect();
    if told["canonical"]["verdict"] == "fail" {
        failing.insert("canonical".to_owned());
    }
    failing
}

/// The systems that a question of the form is tagged with.
pub(crate) fn tagged(question: &Value) -> BTreeSet<String> {
    list(question, "required_by").iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Every target says pass.
pub(crate) fn all_pass(told: &Value) -> bool {
    let targets = list(told, "targets");
    !targets.is_empty() && targets.iter().all(|one| one["verdict"] == "pass") && failing(told).is_empty()
}
