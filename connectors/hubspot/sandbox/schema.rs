//! Properties (A.3), ticket pipelines (A.4) and custom object schemas (A.1).

use http::StatusCode;
use serde_json::{Value, json};

use super::portal::Kind;
use super::refusal::Refusal;
use super::{Done, HubSpot, Work, ok};
use crate::harness::rfc3339;

/// At most ten unique properties per kind (A.3, third-party).
const UNIQUE_MAX: usize = 10;

fn need(body: &Value, names: &[&str]) -> Result<(), Refusal> {
    match names.iter().find(|name| body[**name].is_null()) {
        Some(missing) => Err(Refusal::validation(format!("{missing} is required"))),
        None => Ok(()),
    }
}

fn line(object: &str, id: &str, properties: &Value) -> String {
    json!({ "object": object, "id": id, "new": true, "properties": properties }).to_string()
}

/// A property's definition as answers show it.
pub(super) fn definition(given: &Value, group: &str, now_ms: i64) -> Value {
    let at = rfc3339(now_ms);
    json!({
        "name": given["name"], "label": given["label"], "type": given["type"], "fieldType": given["fieldType"],
        "groupName": given["groupName"].as_str().unwrap_or(group), "options": given["options"].as_array().cloned().unwrap_or_default(),
        "description": given["description"].as_str().unwrap_or_default(),
        "hasUniqueValue": given["hasUniqueValue"] == true, "hidden": given["hidden"] == true,
        "formField": given["formField"] == true,
        "dataSensitivity": given["dataSensitivity"].as_str().unwrap_or("non_sensitive"),
        "archived": false, "createdAt": at, "updatedAt": at,
    })
}

impl HubSpot {
    /// `GET|POST /crm/v3/properties/{objectType}`, `GET …/{name}`.
    pub(super) fn properties(&mut self, work: &Work<'_>, rest: &[&str]) -> Done {
        let kind = rest.first().and_then(|name| self.portal.kind(name)).ok_or_else(Refusal::not_found)?;
        let kind = self.portal.kinds.get_mut(kind).ok_or_else(Refusal::not_found)?;
        // Whether notes may have properties of one's own is not known (A.7), so that is not offered.
        match (work.call.method.as_str(), rest.get(1..).unwrap_or_default()) {
            ("GET", []) => {
                let all: Vec<&Value> = kind.properties.values().collect();
                Ok(ok(StatusCode::OK, &json!({ "results": all })))
            }
            ("GET", [name]) => {
                let found = kind.properties.get(*name).ok_or_else(Refusal::not_found)?;
                Ok(ok(StatusCode::OK, found))
            }
            ("POST", []) if kind.name != "notes" => {
                let body = work.body();
                need(body, &["name", "label", "type", "fieldType", "groupName"])?;
                let name = body["name"].as_str().unwrap_or_default();
                if body["groupName"] != kind.group.as_str() {
                    return Err(Refusal::validation("The property group does not exist"));
                }
                if kind.properties.contains_key(name) {
                    return Err(Refusal::conflict(format!("A property named '{name}' already exists.")));
                }
                if body["hasUniqueValue"] == true && kind.unique_properties() >= UNIQUE_MAX {
                    return Err(Refusal::validation("At most 10 properties may be unique"));
                }
                let made = definition(body, &kind.group, work.now_ms);
                kind.define(name, made.clone());
                let written =
                    json!({ "objectType": kind.name, "name": name, "hasUniqueValue": made["hasUniqueValue"] });
                Ok(ok(StatusCode::CREATED, &made).committing(line("property", name, &written)))
            }
            _ => Err(Refusal::not_found()),
        }
    }

    /// `GET|POST /crm/v3/pipelines/tickets`, `POST …/{pipelineId}/stages`.
    pub(super) fn pipelines(&mut self, work: &Work<'_>, rest: &[&str]) -> Done {
        if !rest.first().is_some_and(|name| ["tickets", "ticket", "0-5"].contains(name)) {
            return Err(Refusal::not_found());
        }
        let body = work.body();
        match (work.call.method.as_str(), rest.get(1..).unwrap_or_default()) {
            ("GET", []) => Ok(ok(StatusCode::OK, &json!({ "results": self.portal.pipelines }))),
            ("POST", []) => {
                need(body, &["label", "displayOrder", "stages"])?;
                let stages = body["stages"].as_array().map(Vec::as_slice).unwrap_or_default();
                let stages: Result<Vec<Value>, Refusal> =
                    stages.iter().map(|given| self.stage(given, work.now_ms)).collect();
                let id = body["pipelineId"].as_str().map_or_else(|| self.portal.fresh_id().to_string(), str::to_owned);
                if self
                    .portal
                    .pipelines
                    .iter()
                    .any(|known| known["id"] == id.as_str() || known["label"] == body["label"])
                {
                    return Err(Refusal::conflict("A pipeline with this id or label already exists"));
                }
                let made = pipeline(&id, body, &stages?, work.now_ms);
                self.portal.pipelines.push(made.clone());
                Ok(ok(StatusCode::CREATED, &made).committing(line("pipeline", &id, &json!({ "label": body["label"] }))))
            }
            ("POST", [id, "stages"]) => {
                let stage = self.stage(body, work.now_ms)?;
                let pipeline = self.portal.pipelines.iter_mut().find(|known| known["id"] == *id);
                let stages =
                    pipeline.and_then(|known| known["stages"].as_array_mut()).ok_or_else(Refusal::not_found)?;
                stages.push(stage.clone());
                let stage_id = stage["id"].as_str().unwrap_or_default().to_owned();
                Ok(ok(StatusCode::CREATED, &stage).committing(line(
                    "stage",
                    &stage_id,
                    &json!({ "label": body["label"] }),
                )))
            }
            _ => Err(Refusal::not_found()),
        }
    }

    fn stage(&mut self, given: &Value, now_ms: i64) -> Result<Value, Refusal> {
        need(given, &["label", "displayOrder", "metadata"])?;
        let id = given["stageId"].as_str().map_or_else(|| self.portal.fresh_id().to_string(), str::to_owned);
        Ok(stage(&id, given, now_ms))
    }

    /// `GET|POST /crm-object-schemas/v3/schemas`, `GET …/{objectType}`: Enterprise only.
    pub(super) fn schemas(&mut self, work: &Work<'_>, rest: &[&str]) -> Done {
        match (work.call.method.as_str(), rest) {
            ("GET", []) => {
                let all: Vec<&Value> = self.portal.kinds.iter().filter_map(|kind| kind.schema.as_ref()).collect();
                Ok(ok(StatusCode::OK, &json!({ "results": all })))
            }
            ("GET", [name]) => {
                let kind = self.portal.kind(name).and_then(|kind| self.portal.kinds.get(kind));
                let schema = kind.and_then(|kind| kind.schema.as_ref()).ok_or_else(Refusal::not_found)?;
                Ok(ok(StatusCode::OK, schema))
            }
            ("POST", []) => self.create_schema(work),
            _ => Err(Refusal::not_found()),
        }
    }

    fn create_schema(&mut self, work: &Work<'_>) -> Done {
        let body = work.body();
        need(body, &["name", "labels", "properties", "requiredProperties", "associatedObjects"])?;
        let name = body["name"].as_str().unwrap_or_default();
        // Letters, digits, underscore, beginning with a letter (A.1).
        let shape = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !shape || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(Refusal::validation("name: letters, digits and underscore, beginning with a letter"));
        }
        if self.portal.kind(name).is_some() {
            return Err(Refusal::conflict("An object type with this name already exists"));
        }
        let given = body["properties"].as_array().map(Vec::as_slice).unwrap_or_default();
        given.iter().try_for_each(|property| need(property, &["name", "label", "type", "fieldType"]))?;
        let id = self.portal.fresh_id();
        let type_id = format!("2-{id}");
        let full_name = format!("p{}_{name}", self.portal.id);
        let mut kind = Kind::new(name, &type_id, &[&full_name], &format!("{name}_information"));
        super::seed::standard_properties(&mut kind);
        for property in given {
            let made = definition(property, &kind.group, work.now_ms);
            kind.define(property["name"].as_str().unwrap_or_default(), made);
        }
        let required = body["requiredProperties"].as_array().map(Vec::as_slice).unwrap_or_default();
        kind.required = required.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        if let Some(unknown) = kind.required.iter().find(|name| !kind.properties.contains_key(*name)) {
            return Err(Refusal::no_property(unknown));
        }
        kind.schema = Some(Value::Null);
        let number = self.portal.kinds.len();
        let properties: Vec<Value> = kind.properties.values().cloned().collect();
        self.portal.kinds.push(kind);
        let associations = self.declare_associations(number, &type_id, &body["associatedObjects"]);
        let at = rfc3339(work.now_ms);
        let schema = json!({
            "id": id.to_string(), "objectTypeId": type_id, "fullyQualifiedName": full_name, "name": name,
            "labels": body["labels"], "requiredProperties": body["requiredProperties"],
            "searchableProperties": body["searchableProperties"].as_array().cloned().unwrap_or_default(),
            "primaryDisplayProperty": body["primaryDisplayProperty"],
            "secondaryDisplayProperties": body["secondaryDisplayProperties"].as_array().cloned().unwrap_or_default(),
            "properties": properties, "associations": associations, "archived": false, "createdAt": at, "updatedAt": at,
        });
        if let Some(kind) = self.portal.kinds.get_mut(number) {
            kind.schema = Some(schema.clone());
        }
        Ok(ok(StatusCode::CREATED, &schema).committing(line("schema", name, &json!({ "objectTypeId": type_id }))))
    }

    fn declare_associations(&mut self, number: usize, type_id: &str, objects: &Value) -> Vec<Value> {
        let named = objects.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(Value::as_str);
        let mut declared = Vec::new();
        for object in named {
            let Some(other) = self.portal.kind(&object.to_lowercase()) else { continue };
            let other_id = self.portal.kinds.get(other).map(|kind| kind.type_id.clone()).unwrap_or_default();
            for (from, to, from_id, to_id) in
                [(number, other, type_id, other_id.as_str()), (other, number, other_id.as_str(), type_id)]
            {
                let id = self.portal.type_id(from, to);
                declared.push(
                    json!({ "id": id.to_string(), "fromObjectTypeId": from_id, "toObjectTypeId": to_id, "name": null }),
                );
            }
        }
        declared
    }
}

/// A stage as answers show it (A.4).
pub(super) fn stage(id: &str, given: &Value, now_ms: i64) -> Value {
    let at = rfc3339(now_ms);
    json!({
        "id": id, "label": given["label"], "displayOrder": given["displayOrder"], "metadata": given["metadata"],
        "archived": false, "createdAt": at, "updatedAt": at,
    })
}

/// A pipeline as answers show it (A.4).
pub(super) fn pipeline(id: &str, given: &Value, stages: &[Value], now_ms: i64) -> Value {
    let at = rfc3339(now_ms);
    json!({
        "id": id, "label": given["label"], "displayOrder": given["displayOrder"], "archived": false,
        "createdAt": at, "updatedAt": at, "stages": stages,
    })
}
