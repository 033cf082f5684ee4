//! Holds answers against the API's documents: status, headers, media type, and every member of every body.
//!
//! For tests only, inside and outside: it knows documents and answers and nothing else of the gateway, so the end-to-end
//! tests compile the same file. An answer to a request that no document has is held to be a problem that says so.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// What layers answer before it is known whether there is such a route, and what is answered when there is none.
const OUTSIDE_ROUTES: [u16; 12] = [400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 500, 503];

/// The promises of one or more documents.
pub(crate) struct Contract {
    paths: Vec<(Vec<String>, Value)>,
    components: Value,
    compiled: Mutex<HashMap<String, Arc<Validator>>>,
}

/// An answer, and what was asked.
pub(crate) struct Seen<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) status: u16,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

type Check = Result<(), String>;

impl Contract {
    /// Where two documents have the same path, the first one's counts.
    pub(crate) fn of(documents: &[Value]) -> Self {
        let mut paths: Vec<(Vec<String>, Value)> = Vec::new();
        let mut components = json!({});
        for document in documents {
            for (path, item) in document["paths"].as_object().into_iter().flatten() {
                let segments = segments(path);
                if !paths.iter().any(|(known, _)| *known == segments) {
                    paths.push((segments, item.clone()));
                }
            }
            for (kind, named) in document["components"].as_object().into_iter().flatten() {
                let all = components.as_object_mut().map(|all| all.entry(kind).or_insert_with(|| json!({})));
                if let (Some(Value::Object(all)), Value::Object(named)) = (all, named) {
                    all.extend(named.clone());
                }
            }
        }
        // A word before a placeholder: `/copies/settle` is not the copy named `settle`.
        paths.sort_by_key(|(segments, _)| segments.iter().filter(|segment| segment.starts_with('{')).count());
        Self { paths, components, compiled: Mutex::default() }
    }

    /// Is it what the documents promise?
    pub(crate) fn check(&self, seen: &Seen<'_>) -> Check {
        let held = self.held(seen);
        held.map_err(|why| {
            let Seen { method, path, status, .. } = seen;
            format!("{method} {path}: {status}: {why}: {}", String::from_utf8_lossy(seen.body))
        })
    }

    fn held(&self, seen: &Seen<'_>) -> Check {
        // What the HTTP library refuses never was a request.
        if !seen.headers.contains_key("x-request-id") {
            return if seen.status >= 400 && seen.body.is_empty() { Ok(()) } else { Err("nobody's answer".to_owned()) };
        }
        let path = seen.path.split('?').next().unwrap_or_default();
        let asked = segments(path);
        let fits = |known: &[String]| {
            known.len() == asked.len()
                && known
                    .iter()
                    .zip(&asked)
                    .all(|(known, asked)| known == asked || known.starts_with('{') && !asked.is_empty())
        };
        let item = self.paths.iter().find(|(known, _)| fits(known)).map(|(_, item)| item);
        let is_head = seen.method == "HEAD";
        let method = if is_head { "get".to_owned() } else { seen.method.to_lowercase() };
        let Some(operation) = item.and_then(|item| item.get(&method)) else { return self.outside(seen) };
        let Some(promised) = operation["responses"].get(seen.status.to_string()) else {
            return Err("the document has no such status here".to_owned());
        };
        self.headers(&promised["headers"], seen.headers)?;
        let kind = seen.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        match promised.get("content").and_then(Value::as_object) {
            None if seen.body.is_empty() => Ok(()),
            None => Err("the document has no body here".to_owned()),
            Some(content) => {
                let media = content.get(kind).ok_or_else(|| format!("the document has no `{kind}` here"))?;
                if is_head { Ok(()) } else { self.body(kind, &media["schema"], seen.body) }
            }
        }
    }

    /// No document has the operation: a problem says so, or says what came first.
    fn outside(&self, seen: &Seen<'_>) -> Check {
        if !OUTSIDE_ROUTES.contains(&seen.status) {
            return Err("there is no such operation, and yet this is no refusal".to_owned());
        }
        if seen.headers.get("content-type").is_none_or(|kind| kind != "application/problem+json") {
            return Err("no problem document".to_owned());
        }
        if seen.method == "HEAD" {
            return Ok(());
        }
        self.body("application/problem+json", &json!({ "$ref": "#/components/schemas/Problem" }), seen.body)
    }

    fn headers(&self, promised: &Value, headers: &HeaderMap) -> Check {
        for (name, header) in promised.as_object().into_iter().flatten() {
            let header = self.resolved(header);
            let value = match headers.get(name).map(|value| value.to_str()) {
                Some(Ok(value)) => value,
                Some(Err(_)) => return Err(format!("{name} is no text")),
                None if header["required"] == true => return Err(format!("{name} is missing")),
                None => continue,
            };
            let number = header["schema"]["type"] == "integer";
            let value = match value.parse::<u64>() {
                Ok(value) if number => json!(value),
                Ok(_) | Err(_) => json!(value),
            };
            self.value(&header["schema"], &value).map_err(|why| format!("{name}: {why}"))?;
        }
        Ok(())
    }

    fn resolved(&self, header: &Value) -> Value {
        let at = header["$ref"].as_str().and_then(|to| to.strip_prefix("#/components"));
        at.and_then(|at| self.components.pointer(at)).unwrap_or(header).clone()
    }

    fn body(&self, kind: &str, schema: &Value, body: &[u8]) -> Check {
        if !kind.ends_with("json") {
            return Ok(());
        }
        let value: Value = serde_json::from_slice(body).map_err(|error| format!("no JSON: {error}"))?;
        self.value(schema, &value)
    }

    fn value(&self, schema: &Value, value: &Value) -> Check {
        let validator = self.compiled(schema)?;
        let wrong: Vec<String> =
            validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }

    fn compiled(&self, schema: &Value) -> Result<Arc<Validator>, String> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let key = schema.to_string();
        if let Some(known) = compiled.get(&key) {
            return Ok(Arc::clone(known));
        }
        let mut whole = Map::new();
        whole.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
        whole.insert("components".to_owned(), self.components.clone());
        whole.insert("allOf".to_owned(), json!([schema]));
        let validator = jsonschema::validator_for(&whole.into()).map_err(|error| format!("the document: {error}"))?;
        let validator = Arc::new(validator);
        compiled.insert(key, Arc::clone(&validator));
        Ok(validator)
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split('/').map(str::to_owned).collect()
}
