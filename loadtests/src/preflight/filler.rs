//! A career site that knows nothing but the form: fills it from its hints, and takes single answers out again. Pure.
//!
//! What it writes has to be taken by every system that the form names; that is the proof that the hints say enough.

use bytes::Bytes;
use serde_json::{Value, json};

/// splitmix64: the same seed, the same documents.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap_or(0)
    }

    pub(crate) fn one_of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }
}

/// A file part.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Bytes,
}

/// A document and the files that go with it.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) document: Value,
    pub(crate) files: Vec<Part>,
}

const RESUME: &[u8] = b"I build bridges, and I mend them.\n";

/// The list under a name, empty when it is not one.
pub(crate) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Every question of the form answered, each by its first field.
pub(crate) fn fill(form: &Value, email: &str, draw: &mut Draw) -> Draft {
    let document = json!({
        "job": form["job"], "person": {}, "answers": [], "attachments": [], "demographics": [],
        "consents": [{ "purpose": "recruiting", "basis": "consent", "given": true }],
    });
    let mut draft = Draft { document, files: Vec::new() };
    for question in list(form, "questions") {
        if let Some(field) = list(question, "fields").first() {
            draft.answer(field, email, draw);
        }
    }
    draft.document["history"] = json!({ "employment": [
        { "company": "Musterwerk", "title": "Engineer", "start": "2017-10", "end": "2020-03", "current": false }
    ] });
    draft
}

impl Draft {
    fn answer(&mut self, field: &Value, email: &str, draw: &mut Draw) {
        let place = &field["place"];
        match text(place, "in") {
            "member" => {
                let pointer = text(place, "pointer");
                put(&mut self.document, pointer, member(pointer, email, draw));
            }
            "answer" => {
                let mut answer = json!({ "question": place["question"] });
                let member = text(place, "member");
                answer[member] = self.chosen(field, member, draw);
                self.push("answers", answer);
            }
            "attachment" => {
                self.attach(text(place, "kind"), None);
            }
            "consent" => {
                let consent = json!({ "purpose": place["purpose"], "basis": "consent", "given": true });
                if !list(&self.document, "consents").iter().any(|one| one["purpose"] == place["purpose"]) {
                    self.push("consents", consent);
                }
            }
            "demographic" => self.survey(field, draw),
            _ => {}
        }
    }

    fn chosen(&mut self, field: &Value, member: &str, draw: &mut Draw) -> Value {
        let options = list(field, "options");
        match member {
            "option" => draw.one_of(options).cloned().unwrap_or_default(),
            "options" => {
                let most = draw.below(options.len()) + 1;
                Value::from(options.iter().take(most).cloned().collect::<Vec<_>>())
            }
            "attachment" => self.attach("other", field["name"].as_str()).into(),
            _ => "Gladly, and for long.".into(),
        }
    }

    /// The new attachment's id.
    pub(crate) fn attach(&mut self, kind: &str, question: Option<&str>) -> String {
        let id = format!("file{}", self.files.len() + 1);
        let name = format!("{id}.txt");
        let mut attachment =
            json!({ "id": id, "kind": kind, "name": name, "media_type": "text/plain", "size": RESUME.len() });
        if let Some(question) = question {
            attachment["question"] = question.into();
        }
        self.push("attachments", attachment);
        let bytes = Bytes::from_static(RESUME);
        self.files.push(Part { id: id.clone(), name, media_type: "text/plain", bytes });
        id
    }

    fn survey(&mut self, field: &Value, draw: &mut Draw) {
        let (scheme, name) = (&field["place"]["scheme"], text(&field["place"], "name"));
        let Some(option) = draw.one_of(list(field, "options")) else { return };
        let answer = option["id"].clone();
        if !list(&self.document, "demographics").iter().any(|one| one["scheme"] == *scheme) {
            self.push("demographics", json!({ "scheme": scheme, "answers": {} }));
        }
        let surveys = self.document["demographics"].as_array_mut().into_iter().flatten();
        for survey in surveys.filter(|one| one["scheme"] == *scheme) {
            survey["answers"][name] = answer.clone();
        }
    }

    pub(crate) fn push(&mut self, name: &str, item: Value) {
        if let Value::Array(items) = &mut self.document[name] {
            items.push(item);
        }
    }

    /// As if the question had not been seen: whatever answers it, by any of its fields, is gone.
    pub(crate) fn remove(&mut self, question: &Value) {
        for field in list(question, "fields") {
            let place = &field["place"];
            match text(place, "in") {
                "member" => take(&mut self.document, text(place, "whole")),
                "answer" => {
                    let name = place["question"].clone();
                    self.drop_items("answers", |answer| answer["question"] == name);
                    self.drop_items("attachments", |attachment| attachment["question"] == name);
                }
                "attachment" => {
                    let kind = place["kind"].clone();
                    self.drop_items("attachments", |attachment| attachment["kind"] == kind);
                }
                "consent" => {
                    let purpose = place["purpose"].clone();
                    self.drop_items("consents", |consent| consent["purpose"] == purpose);
                }
                _ => {}
            }
        }
        let announced: Vec<Value> = list(&self.document, "attachments").iter().map(|one| one["id"].clone()).collect();
        self.files.retain(|part| announced.iter().any(|id| *id == part.id.as_str()));
    }

    fn drop_items(&mut self, name: &str, is_meant: impl Fn(&Value) -> bool) {
        if let Value::Array(items) = &mut self.document[name] {
            items.retain(|item| !is_meant(item));
        }
    }

    /// Content type and body: JSON alone, or multipart when there are files.
    pub(crate) fn body(&self) -> (String, Bytes) {
        let document = self.document.to_string();
        if self.files.is_empty() {
            return ("application/json".to_owned(), document.into());
        }
        const BOUNDARY: &str = "causeway-preflight-4b1d";
        let mut body = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"application\"\r\nContent-Type: application/json\r\n\r\n\
             {document}\r\n"
        )
        .into_bytes();
        for Part { id, name, media_type, bytes } in &self.files {
            body.extend_from_slice(
                format!(
                    "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{id}\"; filename=\"{name}\"\r\n\
                     Content-Type: {media_type}\r\n\r\n"
                )
                .as_bytes(),
            );
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        (format!("multipart/form-data; boundary={BOUNDARY}"), body.into())
    }
}

fn member(pointer: &str, email: &str, draw: &mut Draw) -> Value {
    let names = ["Ada", "Bela", "Chioma", "Dvořák", "García Márquez", "O'Neill", "Nguyễn", "李"];
    match pointer.rsplit('/').next().unwrap_or_default() {
        "address" => email.into(),
        "lat" => json!(52.5),
        "lng" => json!(13.4),
        "raw" => "+49 30 5550100".into(),
        "text" => "Berlin, Germany".into(),
        _ => draw.one_of(&names).copied().unwrap_or("Ada").into(),
    }
}

/// Sets what a pointer points at, making what holds it.
fn put(document: &mut Value, pointer: &str, value: Value) {
    let mut at = document;
    for name in pointer.split('/').skip(1) {
        at = match name.parse::<usize>() {
            Ok(index) => {
                if !at.is_array() {
                    *at = json!([]);
                }
                while at.as_array().is_some_and(|items| items.len() <= index) {
                    at.as_array_mut().into_iter().for_each(|items| items.push(json!({})));
                }
                &mut at[index]
            }
            Err(_) => &mut at[name],
        };
    }
    *at = value;
}

fn take(document: &mut Value, pointer: &str) {
    let Some((parent, name)) = pointer.rsplit_once('/') else { return };
    if let Some(Value::Object(members)) = document.pointer_mut(parent) {
        members.remove(name);
    }
}
