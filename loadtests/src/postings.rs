//! Which jobs the sandboxes publish, and what answers their questions need.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::rig::Sandbox;

/// A posting to apply to, with answers that satisfy its required questions.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) id: String,
    pub(crate) answers: Vec<Value>,
    pub(crate) needs_resume: bool,
    pub(crate) needs_more_files: bool,
}

/// Every live posting of the ATS sandbox, read the way a career site would: through the vendor's public board.
pub(crate) async fn open(ats: &Sandbox) -> Result<Vec<Open>> {
    let token = ats.start_line["settings"]["board_token"].as_str().context("board_token")?;
    let list = ats.control("GET", &format!("/v1/boards/{token}/jobs"), None).await?;
    let mut open = Vec::new();
    for job in list["jobs"].as_array().context("jobs")? {
        let id = job["id"].to_string();
        let form = ats.control("GET", &format!("/v1/boards/{token}/jobs/{id}?questions=true"), None).await?;
        open.push(answered(id, &form));
    }
    Ok(open)
}

/// Publishes a posting with five screening questions and a résumé that may be left out.
pub(crate) async fn publish_plain(ats: &Sandbox) -> Result<()> {
    let question = |label: &str, required: bool, name: &str, kind: &str, values: &[(u64, &str)]| {
        let values: Vec<Value> =
            values.iter().map(|(value, label)| json!({ "value": value, "label": label })).collect();
        json!({ "label": label, "required": required, "fields": [{ "name": name, "type": kind, "values": values }] })
    };
    let yes_no = [(0, "No"), (1, "Yes")];
    let questions = [
        question("First Name", true, "first_name", "input_text", &[]),
        question("Last Name", true, "last_name", "input_text", &[]),
        question("Email", true, "email", "input_text", &[]),
        question("Resume", false, "resume", "input_file", &[]),
        question("Why here?", true, "question_901", "textarea", &[]),
        question("May you work in the EU?", true, "question_902", "multi_value_single_select", &yes_no),
        question("Shifts?", true, "question_903", "multi_value_multi_select", &[(11, "Early"), (12, "Late")]),
        question("Notice period", true, "question_904", "input_text", &[]),
        question("How did you hear of us?", true, "question_905", "input_text", &[]),
    ];
    let job =
        json!({ "title": "Load Tester", "location": "Berlin, Germany", "language": "en", "questions": questions });
    ats.control("POST", "/_sandbox/jobs", Some(&job)).await.map(drop)
}

/// The posting with the fewest demands, for measurements of the gateway and not of a form.
pub(crate) async fn simplest(ats: &Sandbox) -> Result<(String, Vec<Value>)> {
    let mut open = open(ats).await?;
    open.retain(|posting| !posting.needs_resume && !posting.needs_more_files);
    open.sort_by_key(|posting| std::cmp::Reverse(posting.answers.len()));
    let posting = open.into_iter().next().context("no posting does without a résumé")?;
    Ok((posting.id, posting.answers))
}

fn answered(id: String, form: &Value) -> Open {
    let mut posting = Open { id, answers: Vec::new(), needs_resume: false, needs_more_files: false };
    for question in form["questions"].as_array().into_iter().flatten() {
        if question["required"] != true {
            continue;
        }
        let fields: Vec<&Value> = question["fields"].as_array().into_iter().flatten().collect();
        let named = |name: &str| fields.iter().any(|field| field["name"] == name);
        if named("resume") || named("resume_text") {
            posting.needs_resume = true;
        } else if named("cover_letter") || fields.iter().all(|field| field["type"] == "input_file") {
            posting.needs_more_files = true;
        } else if let Some(field) =
            fields.iter().find(|field| field["name"].as_str().is_some_and(|name| name.starts_with("question_")))
        {
            posting.answers.push(answer(field));
        }
    }
    posting
}

fn answer(field: &Value) -> Value {
    let question = field["name"].as_str().unwrap_or_default().trim_end_matches("[]");
    let first = &field["values"][0];
    let option = json!({ "id": plain(&first["value"]), "label": first["label"] });
    match field["type"].as_str() {
        Some("multi_value_single_select") => json!({ "question": question, "option": option }),
        Some("multi_value_multi_select") => json!({ "question": question, "options": [option] }),
        _ => json!({ "question": question, "value": "Ja, gern." }),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
