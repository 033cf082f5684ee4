//! The ATS spoken to directly, past the gateway: what it takes although a required answer is missing, and what it keeps
//! then. Pure; the sandbox's own door, by the vendor's names, which the form keeps.

use serde_json::{Value, json};

use super::filler::{list, text};

/// The answers without which the vendor refuses, by their place.
const ENFORCED: [&str; 3] = ["/person/name/given", "/person/name/family", "/person/emails"];

/// Does the vendor refuse without it?
pub(crate) fn enforces(question: &Value) -> bool {
    list(question, "fields").iter().any(|field| ENFORCED.contains(&text(&field["place"], "whole")))
}

/// The vendor's body with every question of the form answered but this one.
pub(crate) fn body(form: &Value, without: &Value, email: &str) -> Value {
    let mut body = json!({});
    for question in list(form, "questions").iter().filter(|one| one["id"] != without["id"]) {
        let Some(field) = list(question, "fields").first() else { continue };
        let (name, first) =
            (text(field, "name"), &list(field, "options").first().map_or(Value::Null, |one| one["id"].clone()));
        match (text(&field["place"], "in"), text(field, "kind")) {
            ("consent", _) => body["data_compliance"][name] = true.into(),
            ("demographic", _) => {}
            (_, "file") => body[format!("{name}_text")] = "I build bridges.".into(),
            (_, "single_select") => body[name] = first.clone(),
            (_, "multi_select") => body[name] = json!([first]),
            (_, _) if name == "email" => body[name] = email.into(),
            (_, _) if name == "phone" => body[name] = "+49 30 5550100".into(),
            (_, _) => body[name] = "52.5".into(),
        }
    }
    body
}

/// Is nothing of the question in what the vendor kept, and everything else still answered?
pub(crate) fn kept_less(record: &Value, question: &Value) -> bool {
    let kept: Vec<&str> = list(record, "fields").iter().filter_map(Value::as_str).collect();
    let names = list(question, "fields").iter().map(|field| text(field, "name"));
    let gone = names.into_iter().all(|name| !kept.contains(&name) && !kept.contains(&format!("{name}_text").as_str()));
    gone && kept.contains(&"email")
}
