//! The properties of one's own that an overlay may fill, and the stages of the ticket pipelines. Reads only.
//!
//! Lists what a person made: properties that HubSpot or this connector writes are left out, and so are hidden and archived
//! ones, several choices in one property (how they are written is not documented) and whatever kind is not known here.

use causeway_core::connector::{ReadError, Stage};
use causeway_core::outcome::{Class, Outcome};
use causeway_core::overlay::VendorField;
use causeway_core::posting::{FieldKind, QuestionOption};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::map::{self, CONTACTS, RECORD};
use super::outcome;
use super::settings::Record;
use super::wire::{Api, read, segment};

/// Written by HubSpot, by people, or by this connector's own rules; never by an overlay.
const CLOSED: &[&str] = &[
    "lifecyclestage",
    "hubspot_owner_id",
    "hubspot_team_id",
    "createdate",
    "lastmodifieddate",
    "closed_date",
    "subject",
    "content",
];

#[derive(Deserialize)]
struct Listed<T> {
    #[serde(default = "Vec::new")]
    results: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Definition {
    name: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    field_type: String,
    #[serde(default)]
    options: Vec<Choice>,
    #[serde(default)]
    hidden: Option<bool>,
    #[serde(default)]
    archived: Option<bool>,
    #[serde(default)]
    calculated: Option<bool>,
    #[serde(default)]
    has_unique_value: Option<bool>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    label: String,
    value: String,
    #[serde(default)]
    hidden: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Schema {
    #[serde(default = "Vec::new")]
    required_properties: Vec<String>,
}

#[derive(Deserialize)]
struct Pipeline {
    id: String,
    #[serde(default)]
    label: String,
    #[serde(default = "Vec::new")]
    stages: Vec<PipelineStage>,
}

#[derive(Deserialize)]
struct PipelineStage {
    id: String,
    #[serde(default)]
    label: String,
}

pub(super) async fn list(api: &Api<'_>) -> Result<Vec<VendorField>, ReadError> {
    let contacts: Listed<Definition> = get(api, "/crm/v3/properties/contacts").await?;
    let record = segment(api.settings.record_type());
    let on_record: Listed<Definition> = get(api, &format!("/crm/v3/properties/{record}")).await?;
    let required = match &api.settings.record {
        // Nothing is known to be required of a ticket.
        Record::Ticket { .. } => Vec::new(),
        Record::Custom { .. } => {
            let schema: Schema = get(api, &format!("/crm-object-schemas/v3/schemas/{record}")).await?;
            schema.required_properties
        }
    };
    let of_contacts = contacts.results.into_iter().filter_map(|one| field(one, CONTACTS, &[]));
    let of_record = on_record.results.into_iter().filter_map(|one| field(one, RECORD, &required));
    Ok(of_contacts.chain(of_record).collect())
}

pub(super) async fn stages(api: &Api<'_>) -> Result<Vec<Stage>, ReadError> {
    if matches!(api.settings.record, Record::Custom { .. }) {
        return Err(ReadError::NotClaimed);
    }
    let listed: Listed<Pipeline> = get(api, "/crm/v3/pipelines/tickets").await?;
    let of = |pipeline: Pipeline| {
        let named = format!("ticket pipeline {} ({})", pipeline.label, pipeline.id);
        let stage = move |stage: PipelineStage| Stage { id: stage.id, label: stage.label, of: named.clone() };
        pipeline.stages.into_iter().map(stage)
    };
    Ok(listed.results.into_iter().flat_map(of).collect())
}

fn field(definition: Definition, object: &str, required: &[String]) -> Option<VendorField> {
    let Definition { name, label, r#type, field_type, options, hidden, archived, calculated, has_unique_value } =
        definition;
    let ours = map::CONTACT_PROPERTIES.contains(&name.as_str()) || map::is_set_up(&name);
    let kept = [hidden, archived, calculated, has_unique_value].contains(&Some(true));
    if ours || kept || name.starts_with("hs_") || CLOSED.contains(&name.as_str()) {
        return None;
    }
    let kind = match (r#type.as_str(), field_type.as_str()) {
        ("string", "textarea") => FieldKind::LongText,
        ("string" | "phone_number", _) => FieldKind::Text,
        ("number", _) => FieldKind::Number,
        ("bool", _) => FieldKind::Boolean,
        ("date", _) => FieldKind::Date,
        ("enumeration", "select" | "radio") => FieldKind::SingleSelect,
        _ => return None,
    };
    let offered = options.into_iter().filter(|option| option.hidden != Some(true));
    Some(VendorField {
        required: required.contains(&name),
        name: format!("{object}.{name}"),
        label,
        kind,
        options: offered.map(|option| QuestionOption { id: option.value, label: option.label }).collect(),
    })
}

async fn get<T: DeserializeOwned>(api: &Api<'_>, path: &str) -> Result<T, ReadError> {
    let answer = api.get(path).await.map_err(|unsent| failure(&unsent))?;
    if !answer.status().is_success() {
        return Err(failure(&outcome::refusal(&answer, api.now)));
    }
    read(&answer).ok_or_else(|| ReadError::Unreadable("not the list it should be".to_owned()))
}

fn failure(outcome: &Outcome) -> ReadError {
    // HubSpot names the scope that is missing.
    if let (Class::Unauthorised, Some(missing)) = (outcome.class, outcome.fields.first()) {
        return ReadError::Misconfigured(missing.text.clone());
    }
    match outcome.class {
        Class::Unauthorised => ReadError::Unauthorised { status: outcome.vendor_status.unwrap_or(401) },
        Class::Refused => ReadError::NotThere,
        Class::NotNow | Class::Unavailable | Class::Unknown | Class::Accepted | Class::AlreadyThere => {
            ReadError::NotNow {
                what: "HubSpot did not answer the question now".to_owned(),
                retry_after: outcome.retry_after,
            }
        }
    }
}
