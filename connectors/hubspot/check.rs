//! What the access token may do, found out by reading only.
//!
//! The token's own scope list would be one call, but that call carries the token in its body, and a connector never holds
//! it; nor is it known to accept Service Keys. So each read is tried, and writes are said to be untestable.

use causeway_core::connector::{Permission, Verdict};
use causeway_core::outcome::{Class, Outcome};
use serde_json::{Value, json};

use super::outcome;
use super::provision::{self, Standing};
use super::settings::Record;
use super::wire::{Api, read, segment};

pub(super) async fn permissions(api: &Api<'_>) -> Vec<Permission> {
    let records = format!("/crm/v3/objects/{}/search", segment(api.settings.record_type()));
    let contacts = "/crm/v3/objects/contacts/search";
    let mut permissions = vec![
        readable("read contacts and notes", "crm.objects.contacts.read", api, contacts).await,
        match &api.settings.record {
            Record::Ticket { .. } => readable("read tickets", "tickets", api, &records).await,
            Record::Custom { .. } => {
                readable("read the custom object's records", "crm.objects.custom.read", api, &records).await
            }
        },
        key(api).await,
    ];
    if let Record::Ticket { pipeline, stage } = &api.settings.record {
        permissions.push(stage_exists(api, pipeline, stage).await);
    }
    permissions.push(Permission {
        name: "write contacts, records and notes",
        verdict: Verdict::NotTestable,
        text: "HubSpot has no way to try a write without writing; the first delivery shows it. Scopes: \
               crm.objects.contacts.write, and tickets or crm.objects.custom.write"
            .to_owned(),
    });
    permissions
}

async fn readable(name: &'static str, scope: &str, api: &Api<'_>, path: &str) -> Permission {
    let anything = json!({ "filterGroups": [], "properties": [], "sorts": [], "limit": 1, "after": "0" });
    match api.post(path, &anything).await {
        Ok(answer) if answer.status().is_success() => {
            Permission { name, verdict: Verdict::Yes, text: format!("yes ({scope})") }
        }
        Ok(answer) => stopped(name, &outcome::refusal(&answer, api.now)),
        Err(unsent) => stopped(name, &unsent),
    }
}

async fn key(api: &Api<'_>) -> Permission {
    let name = "the record's property causeway_application_id";
    let (verdict, text) = match provision::key(api).await {
        Ok(Standing::Ready) => (Verdict::Yes, "there, with unique values"),
        Ok(Standing::NotUnique) => (Verdict::No, provision::NOT_UNIQUE),
        Ok(Standing::Missing) => (
            Verdict::NotTestable,
            "not there yet: the first delivery creates it. For tickets the scope tickets is enough; for a custom object \
             it takes crm.schemas.custom.write",
        ),
        Err(outcome) => return stopped(name, &outcome),
    };
    Permission { name, verdict, text: text.to_owned() }
}

async fn stage_exists(api: &Api<'_>, pipeline: &str, stage: &str) -> Permission {
    let name = "the ticket pipeline and stage";
    let answer = match api.get("/crm/v3/pipelines/tickets").await {
        Ok(answer) if answer.status().is_success() => answer,
        Ok(answer) => return stopped(name, &outcome::refusal(&answer, api.now)),
        Err(unsent) => return stopped(name, &unsent),
    };
    let body: Value = read(&answer).unwrap_or_default();
    let with_id = |list: Option<&Value>, id: &str| {
        list.and_then(Value::as_array)?.iter().find(|entry| entry.get("id").is_some_and(|theirs| theirs == id)).cloned()
    };
    let found = with_id(body.get("results"), pipeline);
    let (verdict, text) = match found.as_ref().map(|found| with_id(found.get("stages"), stage)) {
        Some(Some(_)) => (Verdict::Yes, format!("pipeline {pipeline} has stage {stage}")),
        Some(None) => (Verdict::No, format!("pipeline {pipeline} has no stage {stage}: set ticket_stage")),
        None => (Verdict::No, format!("there is no ticket pipeline {pipeline}: set ticket_pipeline")),
    };
    Permission { name, verdict, text }
}

/// Only a refusal is a "no"; no answer is no verdict.
fn stopped(name: &'static str, outcome: &Outcome) -> Permission {
    let said = outcome.fields.first().map(|field| field.text.clone());
    let (verdict, text) = match outcome.class {
        Class::Unauthorised => (Verdict::No, said.unwrap_or_else(|| "HubSpot refused the access token".to_owned())),
        Class::Refused => (Verdict::No, "HubSpot does not have it, or does not show it to this token".to_owned()),
        Class::NotNow | Class::Unavailable | Class::Unknown | Class::Accepted | Class::AlreadyThere => {
            (Verdict::NotTestable, "HubSpot did not answer the question now; try again later".to_owned())
        }
    };
    let status = outcome.vendor_status.map(|status| format!(" (status {status})")).unwrap_or_default();
    Permission { name, verdict, text: text + &status }
}
