//! From routes and types to the document.

use std::collections::BTreeMap;

use causeway_core::problem::{Code, Problem};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::Listed;
use super::operation::{Answer, Key, Operation, Parameter};
use crate::schema::canonical_schema;
use crate::store::setup::Scope;

/// Where the canonical application stands in the document.
const CANONICAL: &str = "Application";

/// Which listener it is about.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Its title.
    pub title: &'static str,
    /// What to know first.
    pub description: &'static str,
    /// Where it is by default.
    pub server: &'static str,
}

/// The document about these routes.
pub fn document(about: About, listed: &[Listed]) -> Value {
    let mut made =
        Made { asked: generator(SchemaSettings::for_deserialize), told: generator(SchemaSettings::for_serialize) };
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for one in listed {
        let path = paths.entry(&one.path).or_default();
        path.insert(one.method.to_owned(), made.operation(&one.operation));
        if matches!(one.operation.key, Key::AnyKind(_)) {
            path.insert("options".to_owned(), made.preflight(&one.operation));
        }
    }
    made.told.subschema_for::<Problem>();
    let mut schemas = made.schemas();
    let paths = json!(paths);
    if paths.to_string().contains(&place(CANONICAL)) {
        schemas.insert(CANONICAL.to_owned(), canonical());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": about.title,
            "version": env!("CARGO_PKG_VERSION"),
            "description": about.description,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": about.server }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": headers(),
            "securitySchemes": security_schemes(),
        },
    })
}

fn generator(contract: fn(SchemaSettings) -> SchemaSettings) -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    contract(settings).into_generator()
}

/// Schemas as they come up: of what is read, and of what is written. A type that is both has to look the same.
struct Made {
    asked: SchemaGenerator,
    told: SchemaGenerator,
}

impl Made {
    fn schemas(mut self) -> Map<String, Value> {
        let mut all = self.asked.take_definitions(true);
        for (name, mut told) in self.told.take_definitions(true) {
            close(&mut told);
            let before = all.insert(name.clone(), told);
            debug_assert!(before.is_none_or(|before| before == all[&name]), "{name} is read and written differently");
        }
        all.values_mut().for_each(plain_words);
        all
    }

    fn operation(&mut self, operation: &Operation) -> Value {
        let mut shown = Map::new();
        shown.insert("operationId".to_owned(), operation.id.into());
        shown.insert("summary".to_owned(), operation.summary.into());
        if !operation.details.is_empty() {
            shown.insert("description".to_owned(), operation.details.into());
        }
        shown.insert("security".to_owned(), security(operation.key, operation.also));
        let parameters = self.parameters(operation.parameters.iter());
        if !parameters.is_empty() {
            shown.insert("parameters".to_owned(), parameters.into());
        }
        if !operation.takes.is_empty() {
            let mut content = Map::new();
            for body in &operation.takes {
                let mut media = json!({ "schema": (body.schema)(&mut self.asked) });
                if !body.encoding.is_null() {
                    media["encoding"] = body.encoding.clone();
                }
                content.insert(body.kind.to_owned(), media);
            }
            shown.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
        }
        shown.insert("responses".to_owned(), self.responses(operation));
        shown.into()
    }

    fn responses(&mut self, operation: &Operation) -> Value {
        let for_pages = matches!(operation.key, Key::AnyKind(_));
        let mut responses = Map::new();
        for answer in &operation.answers {
            responses.insert(answer.status.to_string(), self.answer(answer, for_pages));
        }
        let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
        for code in &operation.refuses {
            by_status.entry(code.status()).or_default().push(*code);
        }
        for (status, codes) in by_status {
            let refused = refusal(status, &codes, for_pages);
            match responses.get_mut(&status.to_string()) {
                Some(answered) => also(answered, &refused),
                None => drop(responses.insert(status.to_string(), refused)),
            }
        }
        responses.into()
    }

    fn answer(&mut self, answer: &Answer, for_pages: bool) -> Value {
        let mut shown = json!({ "description": answer.description });
        if let Some((kind, schema)) = answer.content {
            let mut schema = schema(&mut self.told);
            close(&mut schema);
            shown["content"][kind]["schema"] = schema;
        }
        for link in &answer.links {
            shown["links"][link.to] = json!({
                "operationId": link.to,
                "parameters": { link.parameter: link.value },
            });
        }
        let mut headers = standing_headers(for_pages);
        for (name, described) in &answer.headers {
            headers.insert((*name).to_owned(), header(described));
        }
        shown["headers"] = headers.into();
        shown
    }

    /// What a browser asks before a page may send the request.
    fn preflight(&mut self, operation: &Operation) -> Value {
        let mut headers = standing_headers(true);
        for name in ["Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Max-Age"] {
            headers.insert(name.to_owned(), header(name));
        }
        let mut responses = Map::new();
        responses.insert("204".to_owned(), json!({ "description": "They may.", "headers": headers }));
        for codes in [&[Code::OriginNotAllowed][..], &[Code::Internal], &[Code::Overloaded, Code::DeadlineExceeded]] {
            let status = codes.first().map_or(500, |code| code.status());
            responses.insert(status.to_string(), refusal(status, codes, true));
        }
        let asked = |name: &str, required: bool| json!({ "in": "header", "name": name, "required": required, "schema": { "type": "string" } });
        let mut parameters = self.parameters(operation.parameters.iter().filter(|parameter| parameter.place == "path"));
        parameters.extend([asked("Origin", true), asked("Access-Control-Request-Method", false)]);
        json!({
            "operationId": format!("{}Preflight", operation.id),
            "summary": "Asked by browsers before a page's request: may pages of this origin send it?",
            "security": [],
            "parameters": parameters,
            "responses": responses,
        })
    }

    fn parameters<'a>(&mut self, parameters: impl Iterator<Item = &'a Parameter>) -> Vec<Value> {
        let shown = parameters.map(|parameter| {
            json!({
                "in": parameter.place,
                "name": parameter.name,
                "description": parameter.description,
                "required": parameter.place == "path",
                "schema": (parameter.schema)(&mut self.asked),
            })
        });
        shown.collect()
    }
}

/// One answer for all problems of a status: a code among these.
fn refusal(status: u16, codes: &[Code], for_pages: bool) -> Value {
    let names: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    let lines: Vec<String> =
        codes.iter().map(|code| format!("- [`{0}`](/problems/{0}): {1}", code.as_str(), code.title())).collect();
    let mut headers = standing_headers(for_pages);
    let more = match status {
        401 => Some("WWW-Authenticate"),
        405 => Some("Allow"),
        429 | 503 => Some("Retry-After"),
        _other => None,
    };
    headers.extend(more.map(|name| (name.to_owned(), header(name))));
    let narrowed = json!({ "code": { "enum": names }, "status": { "const": status } });
    let schema = json!({ "allOf": [{ "$ref": "#/components/schemas/Problem" }, { "properties": narrowed }] });
    json!({
        "description": lines.join("\n"),
        "headers": headers,
        "content": { "application/problem+json": { "schema": schema } },
    })
}

/// An answer and a refusal of one status: told apart by their media types, so what headers one of them has is not sure.
fn also(answered: &mut Value, refused: &Value) {
    let words = [&answered["description"], &refused["description"]].map(|words| words.as_str().unwrap_or_default());
    answered["description"] = words.join("\n\n").into();
    for (kind, media) in refused["content"].as_object().into_iter().flatten() {
        answered["content"][kind] = media.clone();
    }
}

/// What every answer carries.
fn standing_headers(for_pages: bool) -> Map<String, Value> {
    let mut headers = Map::new();
    headers.insert("X-Request-Id".to_owned(), header("X-Request-Id"));
    if for_pages {
        headers.insert("Access-Control-Allow-Origin".to_owned(), header("Access-Control-Allow-Origin"));
    }
    headers
}

fn header(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

fn headers() -> Value {
    let text = |description: &str, required: bool, pattern: &str| {
        let schema = if pattern.is_empty() {
            json!({ "type": "string" })
        } else {
            json!({ "type": "string", "pattern": pattern })
        };
        json!({ "description": description, "required": required, "schema": schema })
    };
    let seconds = |description: &str| json!({ "description": description, "required": true, "schema": { "type": "integer", "minimum": 0 } });
    json!({
        "X-Request-Id": text("Ties the answer to the log; a problem's `trace_id`.", true, "^[0-9a-f]{32}$"),
        "ETag": text("The version of what is answered.", true, "^\"[0-9a-f]{64}\"$"),
        "Form-Digest": text("The `ETag` of the job's form, if the job is known.", false, "^\"[0-9a-f]{64}\"$"),
        "Retry-After": seconds("Seconds to wait."),
        "WWW-Authenticate": text("`Bearer`.", true, "^Bearer "),
        "Allow": text("The methods that are allowed.", true, "^[A-Z]+(,[A-Z]+)*$"),
        "Content-Disposition": text("Nothing that shows it is to make a page of it.", true, "^attachment$"),
        "Access-Control-Allow-Origin": text("The page's origin, if a publishable key lists it.", false, "^https?://"),
        "Access-Control-Allow-Methods": text("What a page may ask.", true, "^(GET|POST)$"),
        "Access-Control-Allow-Headers": text("What a page may send.", true, ""),
        "Access-Control-Max-Age": seconds("How long a browser may remember it, in seconds."),
    })
}

fn security(key: Key, also: &[Scope]) -> Value {
    // One entry a scope: each suffices. Several in one entry are all needed.
    let secret = |any_of: &[Scope]| {
        let entry =
            |scope: &Scope| -> Vec<&str> { std::iter::once(scope).chain(also).map(|scope| scope.as_str()).collect() };
        any_of.iter().map(|scope| json!({ "secretKey": entry(scope) })).collect::<Vec<_>>()
    };
    match key {
        Key::None => json!([]),
        Key::Secret(any_of) => secret(any_of).into(),
        Key::AnyKind(any_of) => {
            let mut either = secret(any_of);
            either.push(json!({ "publishableKey": [] }));
            either.into()
        }
    }
}

fn security_schemes() -> Value {
    json!({
        "secretKey": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key that begins with `ck_`, for servers. It has scopes, and is refused from a browser.",
        },
        "publishableKey": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key that begins with `cp_`, for web pages. Its requests need the `Origin` of a page that the key lists, as browsers send it.",
        },
    })
}

/// Objects have the members they say and no others, unless they say otherwise themselves; and what may be left out is
/// left out, not null.
fn close(schema: &mut Value) {
    each(schema, &mut |members| {
        let Some(Value::Object(properties)) = members.get("properties").cloned() else { return };
        members.entry("additionalProperties").or_insert(Value::Bool(false));
        let required = members.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        let given = properties.into_iter().map(|(name, mut property)| {
            if !required.iter().any(|required| *required == name) {
                never_null(&mut property);
            }
            (name, property)
        });
        members.insert("properties".to_owned(), Value::Object(given.collect()));
    });
}

fn never_null(schema: &mut Value) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = types.as_slice() {
            schema["type"] = one.clone();
        }
    }
    if let Some(Value::Array(either)) = schema.get_mut("anyOf") {
        either.retain(|one| one["type"] != "null");
    }
}

/// The words are those of the code's documentation, whose links lead nowhere here.
fn plain_words(schema: &mut Value) {
    each(schema, &mut |members| {
        if let Some(Value::String(words)) = members.get_mut("description") {
            *words = words.replace("[`", "`").replace("`]", "`");
        }
    });
}

/// Every object within, the innermost last.
fn each(value: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(members) => {
            change(members);
            members.values_mut().for_each(|member| each(member, change));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each(item, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The canonical application's own schema, its references turned to where it stands here.
fn canonical() -> Value {
    let mut schema = canonical_schema().clone();
    if let Some(members) = schema.as_object_mut() {
        members.remove("$id");
        members.remove("$schema");
    }
    each(&mut schema, &mut |members| {
        if let Some(Value::String(to)) = members.get_mut("$ref")
            && let Some(rest) = to.strip_prefix('#')
        {
            *to = format!("{}{rest}", place(CANONICAL));
        }
    });
    schema
}

/// The canonical application, where a body's schema is wanted.
pub fn canonical_reference() -> Value {
    json!({ "$ref": place(CANONICAL) })
}

/// Its files' names in a multipart body.
pub fn part_names() -> Value {
    json!({ "$ref": format!("{}/$defs/attachment_id", place(CANONICAL)) })
}

fn place(name: &str) -> String {
    format!("#/components/schemas/{name}")
}
