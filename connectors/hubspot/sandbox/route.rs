//! Which operation a path is, in both path styles (A.0): `/crm/v3/objects/…` and dated `/crm/objects/2026-03/…`.

use http::Method;

use super::portal::Portal;

/// The part of the API that a path belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Area {
    Objects,
    Search,
    Properties,
    Pipelines,
    Schemas,
    ObjectAssociations,
    BatchAssociations,
    Labels,
    TokenInfo,
    Unknown,
}

fn dated(version: &str) -> bool {
    ["2025-09", "2026-03", "2026-09"].contains(&version)
}

/// The area, and the segments behind its version.
pub(super) fn area<'a>(method: &Method, segments: &'a [&'a str]) -> (Area, &'a [&'a str]) {
    match segments {
        ["oauth", "v2", "private-apps", "get", "access-token-info"] if method == Method::POST => (Area::TokenInfo, &[]),
        ["crm", "v4", "objects", rest @ ..] => (Area::ObjectAssociations, rest),
        ["crm", "v4", "associations", rest @ ..] => (Area::BatchAssociations, rest),
        ["crm", "associations", "v4", rest @ ..] => (Area::Labels, rest),
        ["crm", "associations", version, rest @ ..] if dated(version) => (Area::BatchAssociations, rest),
        ["crm-object-schemas", version, "schemas", rest @ ..] if *version == "v3" || dated(version) => {
            (Area::Schemas, rest)
        }
        ["crm", "v3", area, rest @ ..] => (named(area, rest), rest),
        ["crm", area, version, rest @ ..] if dated(version) => (named(area, rest), rest),
        _ => (Area::Unknown, &[]),
    }
}

fn named(area: &str, rest: &[&str]) -> Area {
    match (area, rest) {
        ("objects", [_, "search"]) => Area::Search,
        ("objects", _) => Area::Objects,
        ("properties", _) => Area::Properties,
        ("pipelines", _) => Area::Pipelines,
        ("schemas", _) => Area::Schemas,
        _ => Area::Unknown,
    }
}

/// The kind's own name, or the path's word for a kind that is not known.
pub(super) fn kind_name<'a>(portal: &'a Portal, name: &'a str) -> &'a str {
    portal.kind(name).and_then(|kind| portal.kinds.get(kind)).map_or(name, |kind| &kind.name)
}

/// The name under which ledger and faults know it.
pub(super) fn operation(area: Area, method: &Method, rest: &[&str], portal: &Portal) -> &'static str {
    let kind = rest.first().map_or("", |name| kind_name(portal, name));
    match (area, method.as_str(), rest) {
        (Area::TokenInfo, ..) => "token_info",
        (Area::Search, "POST", _) => "search",
        (Area::Objects, "GET", [_, _]) => {
            if kind == "contacts" {
                "contact_get"
            } else {
                "record_get"
            }
        }
        (Area::Objects, "PATCH", [_, _]) => {
            if kind == "contacts" {
                "contact_update"
            } else {
                "record_update"
            }
        }
        (Area::Objects, "POST", [_]) => match kind {
            "contacts" => "contact_create",
            "notes" => "note_create",
            _ => "record_create",
        },
        (Area::Objects, "POST", [_, "batch", "upsert"]) => "record_upsert",
        (Area::Objects, "POST", [_, "batch", "create"]) => "batch_create",
        (Area::Objects, "POST", [_, "batch", "update"]) => "batch_update",
        (Area::Objects, "POST", [_, "batch", "read"]) => "batch_read",
        (Area::Properties, "GET", [_]) => "property_list",
        (Area::Properties, "GET", [_, _]) => "property_get",
        (Area::Properties, "POST", [_]) => "property_create",
        (Area::Pipelines, "GET", [_]) => "pipeline_list",
        (Area::Pipelines, "POST", [_]) => "pipeline_create",
        (Area::Pipelines, "POST", [_, _, "stages"]) => "stage_create",
        (Area::Schemas, "GET", []) => "schema_list",
        (Area::Schemas, "GET", [_]) => "schema_get",
        (Area::Schemas, "POST", []) => "schema_create",
        (Area::ObjectAssociations, "PUT", _) => "associate",
        (Area::ObjectAssociations, "GET", _) => "association_list",
        (Area::ObjectAssociations, "DELETE", _) => "dissociate",
        (Area::BatchAssociations, "POST", [_, _, "batch", "read"]) => "association_list",
        (Area::BatchAssociations, "POST", _) => "associate",
        (Area::Labels, "GET", _) => "label_list",
        (Area::Labels, "POST", _) => "label_create",
        _ => "unknown",
    }
}

/// Any one of these suffices (A.0). Notes have no scope of their own; what is neither contact, note nor ticket is custom.
pub(super) fn scopes(area: Area, kind: &str, rest: &[&str], write: bool) -> Vec<&'static str> {
    let objects = |kind: &str| match (kind, write) {
        ("contacts" | "notes", false) => "crm.objects.contacts.read",
        ("contacts" | "notes", true) => "crm.objects.contacts.write",
        ("tickets", _) => "tickets",
        (_, false) => "crm.objects.custom.read",
        (_, true) => "crm.objects.custom.write",
    };
    let schemas = |kind: &str| match (kind, write) {
        ("contacts" | "notes", false) => "crm.schemas.contacts.read",
        ("contacts" | "notes", true) => "crm.schemas.contacts.write",
        ("tickets", _) => "tickets",
        (_, false) => "crm.schemas.custom.read",
        (_, true) => "crm.schemas.custom.write",
    };
    match area {
        Area::Objects | Area::Search => vec![objects(kind)],
        Area::Properties => vec![schemas(kind)],
        Area::Pipelines => vec!["tickets"],
        Area::Schemas => vec![schemas("")],
        Area::ObjectAssociations | Area::BatchAssociations | Area::Labels => {
            let others = rest.iter().filter_map(|word| match *word {
                "contacts" | "contact" | "notes" | "note" => Some(objects("contacts")),
                "tickets" | "ticket" => Some("tickets"),
                _ => None,
            });
            others.chain([objects(kind)]).collect()
        }
        Area::TokenInfo | Area::Unknown => Vec::new(),
    }
}
