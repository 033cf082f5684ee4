//! Associations v4 (A.6): links between records, in both directions at once.
//!
//! The fixed type ids are the documented four. Any other pair gets an id of this portal when it is first needed, as the
//! facts give none.

use std::collections::HashMap;

use http::StatusCode;
use serde_json::{Value, json};

use super::portal::Portal;
use super::refusal::Refusal;
use super::{Done, HubSpot, Work, ok};
use crate::harness::{Reply, rfc3339};

/// From kind, to kind, type id (A.6).
const FIXED: [(&str, &str, u64); 4] =
    [("contacts", "tickets", 15), ("tickets", "contacts", 16), ("notes", "contacts", 202), ("notes", "tickets", 228)];

#[derive(Debug, Clone)]
struct Link {
    to_kind: usize,
    to_id: u64,
    type_id: u64,
    category: String,
    label: Option<String>,
}

/// All links of a portal.
#[derive(Debug, Default)]
pub(super) struct Links {
    from: HashMap<(usize, u64), Vec<Link>>,
    types: HashMap<(String, String), u64>,
    /// A customer's own labels: from kind, to kind, type id, label.
    labels: Vec<(String, String, u64, String)>,
}

/// One end of a link.
pub(super) type End = (usize, u64);

impl Portal {
    /// The unlabelled association type between two kinds.
    pub(super) fn type_id(&mut self, from: usize, to: usize) -> u64 {
        let name = |kind: usize| self.kinds.get(kind).map(|kind| kind.name.clone()).unwrap_or_default();
        let (from, to) = (name(from), name(to));
        if let Some((.., fixed)) = FIXED.iter().find(|(a, b, _)| *a == from && *b == to) {
            return *fixed;
        }
        let next = 10_001 + self.links.types.len() as u64 + self.links.labels.len() as u64;
        *self.links.types.entry((from, to)).or_insert(next)
    }

    /// Which kind a type id leads to from this one.
    fn target(&mut self, from: usize, type_id: u64) -> Option<usize> {
        (0..self.kinds.len()).find(|to| self.type_id(from, *to) == type_id)
    }

    /// Links both ways; false when the link was there.
    pub(super) fn link(&mut self, from: End, to: End, category: &str, type_id: u64) -> bool {
        let back = self.type_id(to.0, from.0);
        let label = self.links.labels.iter().find(|(.., id, _)| *id == type_id).map(|(.., label)| label.clone());
        let mut add = |from: End, to: End, type_id: u64, category: &str, label: Option<String>| {
            let links = self.links.from.entry(from).or_default();
            let known = links.iter().any(|link| (link.to_kind, link.to_id, link.type_id) == (to.0, to.1, type_id));
            if !known {
                let category = category.to_owned();
                links.push(Link { to_kind: to.0, to_id: to.1, type_id, category, label });
            }
            !known
        };
        let new = add(from, to, type_id, category, label);
        add(to, from, back, "HUBSPOT_DEFINED", None);
        new
    }

    fn unlink(&mut self, from: End, to: End) -> bool {
        let mut remove = |from: End, to: End| {
            let links = self.links.from.entry(from).or_default();
            let before = links.len();
            links.retain(|link| (link.to_kind, link.to_id) != to);
            before != links.len()
        };
        let removed = remove(from, to);
        remove(to, from);
        removed
    }

    /// `associations` of a create (A.7): `[{to:{id}, types:[{associationCategory, associationTypeId}]}]`.
    pub(super) fn ends_of(&mut self, from: usize, given: &Value) -> Result<Vec<(End, String, u64)>, Refusal> {
        let mut ends = Vec::new();
        for one in given.as_array().map(Vec::as_slice).unwrap_or_default() {
            for kind in one["types"].as_array().map(Vec::as_slice).unwrap_or_default() {
                let type_id = kind["associationTypeId"].as_u64().unwrap_or_default();
                let category = kind["associationCategory"].as_str().unwrap_or("HUBSPOT_DEFINED").to_owned();
                let to = self.target(from, type_id);
                let to =
                    to.ok_or_else(|| Refusal::validation(format!("No association type {type_id} from this object")))?;
                ends.push((self.end(to, text(&one["to"]["id"]))?, category, type_id));
            }
        }
        Ok(ends)
    }

    fn end(&self, kind: usize, id: impl AsRef<str>) -> Result<End, Refusal> {
        let of = self.kinds.get(kind).ok_or_else(Refusal::not_found)?;
        let index = of.find(id.as_ref(), None)?.ok_or_else(Refusal::not_found)?;
        Ok((kind, of.record(index).map(|record| record.id).unwrap_or_default()))
    }

    fn listed(&self, from: End, to: usize) -> Vec<Value> {
        let links = self.links.from.get(&from).map(Vec::as_slice).unwrap_or_default();
        let mut by_target: Vec<(u64, Vec<Value>)> = Vec::new();
        for link in links.iter().filter(|link| link.to_kind == to) {
            let shown = json!({ "category": link.category, "typeId": link.type_id, "label": link.label });
            match by_target.iter_mut().find(|(id, _)| *id == link.to_id) {
                Some((_, types)) => types.push(shown),
                None => by_target.push((link.to_id, vec![shown])),
            }
        }
        by_target
            .into_iter()
            .map(|(id, types)| json!({ "toObjectId": id.to_string(), "associationTypes": types }))
            .collect()
    }

    /// Every link in one direction of each pair, for the control API.
    pub(super) fn all_links(&self) -> Vec<Value> {
        let name = |kind: usize| self.kinds.get(kind).map(|kind| kind.name.as_str());
        let links = self.links.from.iter().flat_map(|(from, links)| links.iter().map(move |link| (from, link)));
        let mut all: Vec<_> = links.map(|(from, link)| (*from, (link.to_kind, link.to_id), link.type_id)).collect();
        all.sort_unstable();
        let shown = all.into_iter().map(|(from, to, type_id)| {
            json!({ "from_object": name(from.0), "from_id": from.1.to_string(), "to_object": name(to.0),
                "to_id": to.1.to_string(), "type_id": type_id })
        });
        shown.collect()
    }
}

fn text(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

fn written(portal: &Portal, from: End, to: End, type_id: u64, new: bool) -> String {
    let name = |kind: usize| portal.kinds.get(kind).map(|kind| kind.name.as_str());
    json!({
        "object": "association", "id": null, "new": new,
        "properties": { "from_object": name(from.0), "from_id": from.1.to_string(), "to_object": name(to.0),
            "to_id": to.1.to_string(), "type_id": type_id },
    })
    .to_string()
}

impl HubSpot {
    /// `/crm/v4/objects/{from}/{fromId}/associations/…` (A.6).
    pub(super) fn object_associations(&mut self, work: &Work<'_>, rest: &[&str]) -> Done {
        let portal = &mut self.portal;
        let kind = |portal: &Portal, name: &str| portal.kind(name).ok_or_else(Refusal::not_found);
        match (work.call.method.as_str(), rest) {
            ("GET", [from, id, "associations", to]) => {
                let (from, to) = (kind(portal, from)?, kind(portal, to)?);
                let from = portal.end(from, id)?;
                Ok(ok(StatusCode::OK, &json!({ "results": portal.listed(from, to) })))
            }
            ("PUT", [from, id, "associations", "default", to, to_id]) => {
                let (from, to) = (kind(portal, from)?, kind(portal, to)?);
                let (from, to) = (portal.end(from, id)?, portal.end(to, to_id)?);
                let result = default_link(portal, from, to);
                Ok(ok(StatusCode::OK, &batch_answer(work, &[result.0])).committing(result.1))
            }
            ("PUT", [from, id, "associations", to, to_id]) => {
                let (from, to) = (kind(portal, from)?, kind(portal, to)?);
                let (from, to) = (portal.end(from, id)?, portal.end(to, to_id)?);
                let (labels, records) = typed_links(portal, from, to, work.body())?;
                let type_id = |kind: usize| portal.kinds.get(kind).map(|kind| kind.type_id.as_str());
                let answer = json!({
                    "fromObjectTypeId": type_id(from.0), "fromObjectId": from.1.to_string(),
                    "toObjectTypeId": type_id(to.0), "toObjectId": to.1.to_string(), "labels": labels,
                });
                let reply = ok(StatusCode::CREATED, &answer);
                Ok(records.into_iter().fold(reply, Reply::committing))
            }
            ("DELETE", [from, id, "associations", to, to_id]) => {
                let (from, to) = (kind(portal, from)?, kind(portal, to)?);
                let (from, to) = (portal.end(from, id)?, portal.end(to, to_id)?);
                let removed = portal.unlink(from, to);
                let reply = Reply::new(StatusCode::NO_CONTENT, "application/json", "");
                Ok(if removed { reply.committing(written(portal, from, to, 0, false)) } else { reply })
            }
            _ => Err(Refusal::not_found()),
        }
    }

    /// `POST /crm/v4/associations/{from}/{to}/batch/…` (A.6).
    pub(super) fn batch_associations(&mut self, work: &Work<'_>, rest: &[&str]) -> Done {
        let &[from, to, "batch", ref verb @ ..] = rest else { return Err(Refusal::not_found()) };
        let portal = &mut self.portal;
        let from = portal.kind(from).ok_or_else(Refusal::not_found)?;
        let to = portal.kind(to).ok_or_else(Refusal::not_found)?;
        let inputs = work.inputs()?;
        let (mut results, mut errors, mut records) = (Vec::new(), Vec::new(), Vec::new());
        for input in inputs {
            let (from_id, to_id) = (text(&input["from"]["id"]), text(&input["to"]["id"]));
            let done = match verb {
                ["read"] => portal.end(from, text(&input["id"])).map(|from| {
                    results.push(json!({ "from": { "id": from.1.to_string() }, "to": portal.listed(from, to) }));
                }),
                ["associate", "default"] => portal.end(from, &from_id).and_then(|from| {
                    let (result, record) = default_link(portal, from, portal.end(to, &to_id)?);
                    results.push(result);
                    records.push(record);
                    Ok(())
                }),
                ["create"] => portal.end(from, &from_id).and_then(|from| {
                    let to = portal.end(to, &to_id)?;
                    let (labels, written) = typed_links(portal, from, to, &input["types"])?;
                    results.push(json!({ "fromObjectId": from_id, "toObjectId": to_id, "labels": labels }));
                    records.extend(written);
                    Ok(())
                }),
                _ => return Err(Refusal::not_found()),
            };
            if let Err(refusal) = done {
                errors.push(refusal.in_batch(&from_id));
            }
        }
        let success = if *verb == ["create"] { StatusCode::CREATED } else { StatusCode::OK };
        // `associate/default` answers 200 with `errors` in the same shape; the others turn to 207.
        let turned = !errors.is_empty() && *verb != ["associate", "default"];
        let mut answer = batch_answer(work, &results);
        if !errors.is_empty() {
            answer["numErrors"] = errors.len().into();
            answer["errors"] = errors.into();
        }
        let reply = ok(if turned { StatusCode::MULTI_STATUS } else { success }, &answer);
        Ok(records.into_iter().fold(reply, Reply::committing))
    }

    /// `/crm/associations/v4/{from}/{to}/labels` (A.6). Labels of one's own: Professional and Enterprise only.
    pub(super) fn labels(&mut self, work: &Work<'_>, from: &str, to: &str) -> Done {
        let own_labels = self.tier != super::Tier::Starter;
        let portal = &mut self.portal;
        let from = portal.kind(from).ok_or_else(Refusal::not_found)?;
        let to = portal.kind(to).ok_or_else(Refusal::not_found)?;
        let plain = portal.type_id(from, to);
        let name = |kind: usize| portal.kinds.get(kind).map(|kind| kind.name.clone()).unwrap_or_default();
        let (from_name, to_name) = (name(from), name(to));
        if work.call.method == http::Method::POST {
            let label = work.body()["label"].as_str().zip(work.body()["name"].as_str());
            let (label, _) = label.ok_or_else(|| Refusal::validation("label and name are required"))?;
            if !own_labels {
                return Err(Refusal::validation("Association labels are not part of this portal's tier"));
            }
            let id = 10_001 + portal.links.types.len() as u64 + portal.links.labels.len() as u64;
            portal.links.labels.push((from_name, to_name, id, label.to_owned()));
            let made = json!({ "category": "USER_DEFINED", "typeId": id, "label": label });
            let record =
                json!({ "object": "association_label", "id": id.to_string(), "new": true, "properties": made });
            let reply = ok(StatusCode::OK, &json!({ "results": [made] }));
            return Ok(reply.committing(record.to_string()));
        }
        let mut results = vec![json!({ "category": "HUBSPOT_DEFINED", "typeId": plain, "label": null })];
        let own = portal.links.labels.iter().filter(|(a, b, ..)| *a == from_name && *b == to_name);
        results
            .extend(own.map(|(_, _, id, label)| json!({ "category": "USER_DEFINED", "typeId": id, "label": label })));
        Ok(ok(StatusCode::OK, &json!({ "results": results })))
    }
}

fn batch_answer(work: &Work<'_>, results: &[Value]) -> Value {
    let at = rfc3339(work.now_ms);
    json!({ "status": "COMPLETE", "results": results, "startedAt": at, "completedAt": at })
}

fn default_link(portal: &mut Portal, from: End, to: End) -> (Value, String) {
    let type_id = portal.type_id(from.0, to.0);
    let new = portal.link(from, to, "HUBSPOT_DEFINED", type_id);
    let spec = json!({ "associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id });
    let result =
        json!({ "from": { "id": from.1.to_string() }, "to": { "id": to.1.to_string() }, "associationSpec": spec });
    (result, written(portal, from, to, type_id, new))
}

fn typed_links(portal: &mut Portal, from: End, to: End, types: &Value) -> Result<(Vec<String>, Vec<String>), Refusal> {
    let plain = portal.type_id(from.0, to.0);
    let types = types.as_array().filter(|types| !types.is_empty());
    let types = types.ok_or_else(|| Refusal::validation("At least one association type is needed"))?;
    let mut chosen = Vec::new();
    for kind in types {
        let id = kind["associationTypeId"].as_u64().unwrap_or_default();
        let own = portal.links.labels.iter().find(|(.., known, _)| *known == id).map(|(.., label)| label.clone());
        if id != plain && own.is_none() {
            return Err(Refusal::validation(format!("No association type {id} between these objects")));
        }
        chosen.push((id, kind["associationCategory"].as_str().unwrap_or("HUBSPOT_DEFINED"), own));
    }
    let (mut labels, mut records) = (Vec::new(), Vec::new());
    for (id, category, label) in chosen {
        let new = portal.link(from, to, category, id);
        records.push(written(portal, from, to, id, new));
        labels.extend(label);
    }
    Ok((labels, records))
}
