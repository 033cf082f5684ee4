//! Records of every kind: create, read, update, and the batch verbs (§7.1, A.1, A.2, A.4, A.7).

use http::StatusCode;
use serde_json::{Value, json};

use super::portal::{Record, Values};
use super::refusal::Refusal;
use super::{Done, HubSpot, Work, ok};
use crate::harness::{Call, Reply, rfc3339};

/// Property values are strings (A.2); numbers and booleans are written down, null clears.
pub(super) fn values(properties: &Value) -> Values {
    let members = properties.as_object().into_iter().flatten();
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    members.map(|(name, value)| (name.clone(), text(value))).collect()
}

/// Whom a request about a record concerns, for scripted faults.
pub(super) fn email(call: &Call, rest: &[&str]) -> Option<String> {
    let in_path = match rest {
        [_, id] if call.query("idProperty") == Some("email") => Some((*id).to_owned()),
        _ => None,
    };
    let in_body = || {
        let body = call.json()?;
        let input = &body["inputs"][0];
        let by_id = input["id"].as_str().filter(|_| input["idProperty"] == "email");
        let given = body["properties"]["email"].as_str().or(input["properties"]["email"].as_str()).or(by_id);
        given.map(str::to_owned)
    };
    in_path.or_else(in_body)
}

fn asked(call: &Call) -> Vec<String> {
    let named = call.query.iter().filter(|(name, _)| name == "properties");
    named.flat_map(|(_, names)| names.split(',')).map(|name| name.trim().to_owned()).collect()
}

fn id_of(input: &Value) -> String {
    input["id"].as_str().map_or_else(|| input["id"].to_string(), str::to_owned)
}

/// For the ledger: what was written, as it was sent.
fn written(object: &str, record: &Record, new: bool, sent: &Values) -> String {
    let application = record.values.get("causeway_application_id");
    let mut record = json!({ "object": object, "id": record.id.to_string(), "new": new, "properties": sent });
    if let Some(application) = application {
        record["causeway_application_id"] = application.as_str().into();
    }
    record.to_string()
}

impl HubSpot {
    pub(super) fn objects(&mut self, work: &Work<'_>, rest: &[&str]) -> Done {
        let kind = rest.first().and_then(|name| self.portal.kind(name)).ok_or_else(Refusal::not_found)?;
        let rest = rest.get(1..).unwrap_or_default();
        match (work.call.method.as_str(), rest) {
            ("POST", []) => {
                let (body, record) = self.create_one(work, kind, work.body())?;
                Ok(ok(StatusCode::CREATED, &body).committing(record))
            }
            ("GET", [id]) => {
                let of = self.portal.kinds.get(kind).ok_or_else(Refusal::not_found)?;
                let index = of.find(id, work.call.query("idProperty"))?.ok_or_else(Refusal::not_found)?;
                let record = of.record(index).ok_or_else(Refusal::not_found)?;
                Ok(ok(StatusCode::OK, &of.render(record, Some(&asked(work.call)))))
            }
            ("PATCH", [id]) => {
                let (body, record) = self.update_one(work, kind, id, work.call.query("idProperty"), work.body())?;
                Ok(ok(StatusCode::OK, &body).committing(record))
            }
            ("POST", ["batch", "create"]) => self.batch_create(work, kind),
            ("POST", ["batch", verb @ ("read" | "update" | "upsert")]) => self.batch(work, kind, verb),
            _ => Err(Refusal::not_found()),
        }
    }

    fn create_one(&mut self, work: &Work<'_>, kind: usize, given: &Value) -> Result<(Value, String), Refusal> {
        let sent = values(&given["properties"]);
        // The links are looked up first: a create that names a record that is not there makes nothing.
        let ends = self.portal.ends_of(kind, &given["associations"])?;
        let index = self.portal.create(kind, sent.clone(), work.now_ms)?;
        let of = self.portal.kinds.get(kind).ok_or_else(Refusal::not_found)?;
        let record = of.record(index).ok_or_else(Refusal::not_found)?;
        let (body, line, id) = (of.render(record, None), written(&of.name, record, true, &sent), record.id);
        for (end, category, type_id) in ends {
            self.portal.link((kind, id), end, &category, type_id);
        }
        Ok((body, line))
    }

    fn update_one(
        &mut self,
        work: &Work<'_>,
        kind: usize,
        id: &str,
        id_property: Option<&str>,
        given: &Value,
    ) -> Result<(Value, String), Refusal> {
        let of = self.portal.kinds.get(kind).ok_or_else(Refusal::not_found)?;
        let index = of.find(id, id_property)?.ok_or_else(Refusal::not_found)?;
        let sent = values(&given["properties"]);
        self.portal.update(kind, index, sent.clone(), work.now_ms, work.lag_ms)?;
        let of = self.portal.kinds.get(kind).ok_or_else(Refusal::not_found)?;
        let record = of.record(index).ok_or_else(Refusal::not_found)?;
        Ok((of.render(record, None), written(&of.name, record, false, &sent)))
    }

    /// `{id, idProperty, properties}`: found by the property → updated, else created; `new` says which (A.2).
    fn upsert_one(&mut self, work: &Work<'_>, kind: usize, input: &Value) -> Result<(Value, String), Refusal> {
        let id_property = input["idProperty"].as_str();
        let id = id_of(input);
        let of = self.portal.kinds.get(kind).ok_or_else(Refusal::not_found)?;
        let known = of.find(&id, id_property)?.is_some();
        let (mut body, line) = if known {
            self.update_one(work, kind, &id, id_property, input)?
        } else {
            let property = id_property.ok_or_else(Refusal::not_found)?;
            let mut given = json!({ "properties": input["properties"] });
            given["properties"][property] = id.into();
            self.create_one(work, kind, &given)?
        };
        body["new"] = (!known).into();
        Ok((body, line))
    }

    /// Each input for itself; 207 when some failed (§7.1).
    fn batch(&mut self, work: &Work<'_>, kind: usize, verb: &str) -> Done {
        let (mut results, mut errors, mut lines) = (Vec::new(), Vec::new(), Vec::new());
        for input in work.inputs()? {
            let id = id_of(input);
            let done = match verb {
                "read" => self.read_one(work, kind, &id).map(|body| (body, None)),
                "update" => {
                    let done = self.update_one(work, kind, &id, input["idProperty"].as_str(), input);
                    done.map(|(body, line)| (body, Some(line)))
                }
                _ => self.upsert_one(work, kind, input).map(|(body, line)| (body, Some(line))),
            };
            match done {
                Ok((mut body, line)) => {
                    if let Some(trace) = input["objectWriteTraceId"].as_str() {
                        body["objectWriteTraceId"] = trace.into();
                    }
                    results.push(body);
                    lines.extend(line);
                }
                Err(refusal) => errors.push(refusal.in_batch(&id)),
            }
        }
        answer(work, StatusCode::OK, &results, errors, lines)
    }

    fn read_one(&self, work: &Work<'_>, kind: usize, id: &str) -> Result<Value, Refusal> {
        let of = self.portal.kinds.get(kind).ok_or_else(Refusal::not_found)?;
        let index = of.find(id, work.body()["idProperty"].as_str())?.ok_or_else(Refusal::not_found)?;
        let record = of.record(index).ok_or_else(Refusal::not_found)?;
        let asked = work.body()["properties"].as_array().map(Vec::as_slice).unwrap_or_default();
        let asked: Vec<String> = asked.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        Ok(of.render(record, Some(&asked)))
    }

    /// All or nothing, and the first conflict only, unless every input carries a trace id (A.2, §7.2).
    fn batch_create(&mut self, work: &Work<'_>, kind: usize) -> Done {
        let inputs = work.inputs()?;
        let traced = inputs.iter().all(|input| input["objectWriteTraceId"].is_string());
        let before = self.portal.kinds.get(kind).map_or(0, |kind| kind.records.len());
        let (mut results, mut errors, mut lines) = (Vec::new(), Vec::new(), Vec::new());
        for input in inputs {
            match self.create_one(work, kind, input) {
                Ok((mut body, line)) => {
                    if traced {
                        body["objectWriteTraceId"] = input["objectWriteTraceId"].clone();
                    }
                    results.push(body);
                    lines.push(line);
                }
                Err(refusal) if traced => {
                    let mut error = refusal.in_batch("");
                    error["context"] = json!({ "objectWriteTraceId": [input["objectWriteTraceId"]] });
                    errors.push(error);
                }
                Err(refusal) => {
                    if let Some(kind) = self.portal.kinds.get_mut(kind) {
                        kind.forget_from(before);
                    }
                    return Err(refusal);
                }
            }
        }
        answer(work, StatusCode::CREATED, &results, errors, lines)
    }
}

/// `{status, results, numErrors, errors, startedAt, completedAt}` (§7.1).
fn answer(work: &Work<'_>, success: StatusCode, results: &[Value], errors: Vec<Value>, lines: Vec<String>) -> Done {
    let at = rfc3339(work.now_ms);
    let mut body = json!({ "status": "COMPLETE", "results": results, "startedAt": at, "completedAt": at });
    let status = if errors.is_empty() { success } else { StatusCode::MULTI_STATUS };
    if !errors.is_empty() {
        body["numErrors"] = errors.len().into();
        body["errors"] = errors.into();
    }
    Ok(lines.into_iter().fold(ok(status, &body), Reply::committing))
}
