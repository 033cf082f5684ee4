//! The career site's pages. Pure: data in, HTML out. Whatever came from outside is text and goes through `escape`.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::Value;

/// What stands above the form.
pub(super) enum Notice<'a> {
    None,
    /// The gateway's problem document, and the document it judged.
    Refused {
        answer: &'a Value,
        document: &'a Value,
    },
}

pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{}</title><style>{}</style></head>\
         <body><header><a href=\"/\">Acme careers</a><span>a demonstration of Causeway</span></header><main>{body}</main></body></html>",
        escape(title),
        include_str!("career_site.css")
    )
}

pub(super) fn broken() -> String {
    page(
        "Sorry",
        "<h1>Sorry</h1><p>Something went wrong on our side. Nothing you typed was kept; please try again in a minute.</p>",
    )
}

pub(super) fn gone() -> String {
    page("No such job", "<h1>This job is not open</h1><p><a href=\"/\">See the open jobs</a></p>")
}

pub(super) fn jobs(jobs: &[Value]) -> String {
    let mut rows = String::new();
    for job in jobs {
        let text = |value: &Value| escape(value.as_str().unwrap_or_default());
        write!(
            rows,
            "<li><a href=\"/jobs/{id}\">{title}</a><span>{place}</span><code>{id}</code></li>",
            id = escape(&job["id"].to_string()),
            title = text(&job["title"]),
            place = text(&job["location"]["name"]),
        )
        .unwrap_or_default();
    }
    page("Jobs at Acme", &format!("<h1>Open jobs</h1><ul class=\"jobs\">{rows}</ul>"))
}

pub(super) fn thanks(job: &Value, receipt: &Value) -> String {
    let title = escape(job["title"].as_str().unwrap_or_default());
    let code = escape(receipt["code"].as_str().unwrap_or_default());
    let body = format!(
        "<h1>Thank you</h1><p>We have your application for <strong>{title}</strong>.</p>\
         <p>If you call us about it, say this code: <strong class=\"code\">{code}</strong></p><p><a href=\"/\">More jobs</a></p>"
    );
    page("Thank you", &body)
}

/// The vendor's own questions: every field that is not one of the standard ones.
pub(super) fn own_questions(job: &Value) -> impl Iterator<Item = &Value> {
    let fields = job["questions"].as_array().into_iter().flatten().filter_map(|question| question["fields"].get(0));
    fields.filter(|field| field["name"].as_str().is_some_and(|name| name.starts_with("question_")))
}

pub(super) fn form(job: &Value, typed: &HashMap<String, Vec<String>>, notice: &Notice<'_>) -> String {
    let title = escape(job["title"].as_str().unwrap_or_default());
    let mut fields = String::new();
    for question in job["questions"].as_array().into_iter().flatten() {
        let Some(field) = question["fields"].get(0) else { continue };
        fields.push_str(&input(question, field, typed, notice));
    }
    if job["location_questions"].as_array().is_some_and(|questions| !questions.is_empty()) {
        let label = serde_json::json!({ "label": "Where are you?", "required": true });
        let field = serde_json::json!({ "name": "location", "type": "input_text" });
        fields.push_str(&input(&label, &field, typed, notice));
    }
    let place = escape(job["location"]["name"].as_str().unwrap_or_default());
    let body = format!(
        "<h1>{title}</h1><p>{place}</p>{}<form method=\"post\" enctype=\"multipart/form-data\" novalidate>{fields}\
         <label class=\"consent\"><input type=\"checkbox\" name=\"consent\" value=\"yes\" checked> \
         You may use what I send here to consider me for jobs at Acme.</label><button>Apply</button></form>",
        above(notice)
    );
    page(&format!("Apply: {title}"), &body)
}

fn above(notice: &Notice<'_>) -> String {
    let Notice::Refused { answer, document } = notice else { return String::new() };
    let known: Vec<&Value> = answer["errors"].as_array().into_iter().flatten().collect();
    let lines = known.iter().map(|error| {
        let message = escape(error["message"].as_str().unwrap_or_default());
        let needed_by: Vec<String> =
            error["required_by"].as_array().into_iter().flatten().filter_map(Value::as_str).map(escape).collect();
        format!("<li>{message} <small>needed by {}</small></li>", needed_by.join(", "))
    });
    let detail = answer["detail"].as_str().or(answer["title"].as_str()).unwrap_or("Please check what you typed.");
    let job = escape(document["job"].as_str().unwrap_or_default());
    format!(
        "<section class=\"refused\" role=\"alert\"><h2>Not sent yet</h2><p>{}</p><ul>{}</ul><small>job {job}</small></section>",
        escape(detail),
        lines.collect::<String>()
    )
}

fn input(question: &Value, field: &Value, typed: &HashMap<String, Vec<String>>, notice: &Notice<'_>) -> String {
    let name = field["name"].as_str().unwrap_or_default().trim_end_matches("[]");
    let label = escape(question["label"].as_str().unwrap_or(name));
    let star = if question["required"] == true { " <abbr title=\"required\">*</abbr>" } else { "" };
    let value = typed.get(name).and_then(|values| values.first()).map_or_else(String::new, |text| escape(text));
    let chosen = |id: &str| typed.get(name).is_some_and(|values| values.iter().any(|value| value == id));
    let name_attribute = escape(name);
    let control = match field["type"].as_str() {
        Some("input_file") => format!("<input type=\"file\" name=\"{name_attribute}\">"),
        Some("textarea") => format!("<textarea name=\"{name_attribute}\" rows=\"4\">{value}</textarea>"),
        Some("multi_value_single_select" | "multi_value_multi_select") => {
            let multiple = if field["type"] == "multi_value_multi_select" { " multiple" } else { "" };
            let mut options =
                if multiple.is_empty() { "<option value=\"\"></option>".to_owned() } else { String::new() };
            for option in field["values"].as_array().into_iter().flatten() {
                let id = option["value"].as_str().map_or_else(|| option["value"].to_string(), str::to_owned);
                let selected = if chosen(&id) { " selected" } else { "" };
                let shown = escape(option["label"].as_str().unwrap_or(&id));
                options.push_str(&format!("<option value=\"{}\"{selected}>{shown}</option>", escape(&id)));
            }
            format!("<select name=\"{name_attribute}\"{multiple}>{options}</select>")
        }
        _ => {
            let kind = if name == "email" { "email" } else { "text" };
            format!("<input type=\"{kind}\" name=\"{name_attribute}\" value=\"{value}\">")
        }
    };
    format!("<label>{label}{star}{control}{}</label>", beside(name, notice))
}

/// The gateway's reasons that are about this field.
fn beside(name: &str, notice: &Notice<'_>) -> String {
    let Notice::Refused { answer, document } = notice else { return String::new() };
    let mut shown = String::new();
    for error in answer["errors"].as_array().into_iter().flatten() {
        let pointer = error["pointer"].as_str().unwrap_or_default();
        if concerns(name, pointer, error, document) {
            let message = error["message"].as_str().unwrap_or_default();
            shown.push_str(&format!("<em class=\"wrong\">{}</em>", escape(message)));
        }
    }
    shown
}

fn concerns(name: &str, pointer: &str, error: &Value, document: &Value) -> bool {
    let prefix = match name {
        "first_name" => "/person/name/given",
        "last_name" => "/person/name/family",
        "email" => "/person/emails",
        "phone" => "/person/phones",
        "location" => "/person/location",
        _ => {
            let place = pointer.split('/').take(3).collect::<Vec<_>>().join("/");
            let named =
                |member: &str| document.pointer(&format!("{place}/{member}")).is_some_and(|value| value == name);
            return named("question") || named("id") || error["question"] == name;
        }
    };
    pointer.starts_with(prefix)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_came_from_outside_is_text() {
        let hostile = "<script>alert(1)</script>\"'";
        let job = json!({
            "id": 1, "title": hostile, "location": { "name": hostile },
            "questions": [{ "label": hostile, "required": true, "fields": [{ "name": hostile, "type": "input_text" }] }]
        });
        let typed = HashMap::from([(hostile.to_owned(), vec![hostile.to_owned()])]);
        let answer =
            json!({ "detail": hostile, "errors": [{ "pointer": "/answers", "message": hostile, "fix": hostile }] });
        let notice = Notice::Refused { answer: &answer, document: &json!({ "job": hostile }) };
        for page in
            [jobs(std::slice::from_ref(&job)), form(&job, &typed, &notice), thanks(&job, &json!({ "code": hostile }))]
        {
            assert!(!page.contains("<script>"), "{page}");
        }
    }

    #[test]
    fn a_reason_stands_beside_its_field() {
        let job = json!({ "id": 1, "title": "Baker", "questions": [
            { "label": "E-mail", "required": true, "fields": [{ "name": "email", "type": "input_text" }] }
        ] });
        let answer = json!({ "errors": [{ "pointer": "/person/emails/0/address", "message": "Must be an address.", "fix": "Send one." }] });
        let notice = Notice::Refused { answer: &answer, document: &json!({}) };
        assert!(form(&job, &HashMap::new(), &notice).contains("<em class=\"wrong\">Must be an address.</em></label>"));
    }
}
