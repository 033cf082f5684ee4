//! Our properties on the record object: read, and created where missing.
//!
//! Runs only after HubSpot refused a record, so once in an account's life. Creates nothing but properties named
//! `causeway_…`, in a group that already exists. A property that is there but not unique is left alone: uniqueness can
//! only be given at creation, so a person has to decide.

use causeway_core::outcome::{Class, Outcome};
use serde_json::{Value, json};

use super::map::{self, Owned};
use super::outcome;
use super::settings::Record;
use super::wire::{Api, Property, read, segment};

pub(super) enum Provisioned {
    NothingMissing,
    Created,
}

/// What is known of one property.
pub(super) enum Standing {
    Missing,
    Ready,
    /// It exists, without the uniqueness it needs.
    NotUnique,
}

pub(super) const NOT_UNIQUE: &str = "the property causeway_application_id exists without unique values, which HubSpot \
     cannot change later: delete or rename it (Settings > Properties) and let Causeway create it";

pub(super) async fn ensure(api: &Api<'_>) -> Result<Provisioned, Outcome> {
    let mut missing = Vec::new();
    for owned in map::owned_properties(&api.settings.record) {
        match standing(api, owned).await? {
            Standing::Missing => missing.push(owned),
            Standing::Ready => {}
            Standing::NotUnique => return Err(outcome::misconfigured(NOT_UNIQUE)),
        }
    }
    if missing.is_empty() {
        return Ok(Provisioned::NothingMissing);
    }
    let group = group(api).await?;
    for owned in missing {
        create(api, owned, &group).await?;
    }
    Ok(Provisioned::Created)
}

/// How our unique property stands.
pub(super) async fn key(api: &Api<'_>) -> Result<Standing, Outcome> {
    let properties = map::owned_properties(&api.settings.record);
    match properties.iter().find(|owned| owned.unique) {
        Some(owned) => standing(api, owned).await,
        None => Ok(Standing::Ready),
    }
}

async fn standing(api: &Api<'_>, owned: &Owned) -> Result<Standing, Outcome> {
    let answer = api.get(&path(api, owned.name)).await?;
    match answer.status().as_u16() {
        200 => match read::<Property>(&answer) {
            Some(property) if owned.unique && !property.has_unique_value => Ok(Standing::NotUnique),
            Some(_) => Ok(Standing::Ready),
            None => Err(Outcome { class: Class::Unavailable, ..outcome::unreadable(&answer) }),
        },
        404 => Ok(Standing::Missing),
        _ => Err(outcome::refusal(&answer, api.now)),
    }
}

async fn create(api: &Api<'_>, owned: &Owned, group: &str) -> Result<(), Outcome> {
    let answer = api.post(&path(api, ""), &definition(owned, group)).await?;
    match answer.status().as_u16() {
        // 409: another delivery of the same account was quicker.
        200 | 201 | 409 => Ok(()),
        _ => Err(outcome::refusal(&answer, api.now)),
    }
}

fn definition(owned: &Owned, group: &str) -> Value {
    json!({
        "name": owned.name,
        "label": owned.label,
        "type": "string",
        "fieldType": if owned.long { "textarea" } else { "text" },
        "groupName": group,
        "description": "Written by Causeway. Do not edit.",
        "hasUniqueValue": owned.unique,
    })
}

/// The group must exist, and which groups there are differs: the one of a property that every such record has will do.
async fn group(api: &Api<'_>) -> Result<String, Outcome> {
    let (every_record_has, usual) = match &api.settings.record {
        Record::Ticket { .. } => ("subject", "ticketinformation".to_owned()),
        Record::Custom { object_type } => ("hs_object_id", format!("{object_type}_information")),
    };
    let answer = api.get(&path(api, every_record_has)).await?;
    match answer.status().as_u16() {
        200 => Ok(read::<Property>(&answer).and_then(|property| property.group_name).unwrap_or(usual)),
        404 => Ok(usual),
        _ => Err(outcome::refusal(&answer, api.now)),
    }
}

fn path(api: &Api<'_>, property: &str) -> String {
    let object = segment(api.settings.record_type());
    if property.is_empty() {
        format!("/crm/v3/properties/{object}")
    } else {
        format!("/crm/v3/properties/{object}/{property}")
    }
}
