//! Step `association`: record and contact linked by HubSpot's default association. A PUT: repeating it changes nothing.

use causeway_core::connector::Delivery;
use causeway_core::outcome::{Class, Outcome};
use serde_json::Value;

use super::wire::{Api, read, segment};
use super::{outcome, reference};

pub(super) async fn run(api: &Api<'_>, delivery: &Delivery<'_>) -> Result<Outcome, Outcome> {
    let (Some(contact), Some(record)) = (delivery.refs.get(reference::CONTACT), delivery.refs.get(reference::RECORD))
    else {
        return Err(outcome::reference_missing());
    };
    let path = format!(
        "/crm/v4/objects/{}/{}/associations/default/contacts/{}",
        segment(api.settings.record_type()),
        segment(record),
        segment(contact)
    );
    let answer = api.put(&path).await?;
    if !matches!(answer.status().as_u16(), 200 | 201 | 207) {
        return Err(outcome::refusal(&answer, api.now));
    }
    // A batch answer in shape: a success may hold an error.
    let Some(body) = read::<Value>(&answer) else { return Err(outcome::unreadable(&answer)) };
    match body.get("errors").and_then(Value::as_array).and_then(|errors| errors.first()) {
        Some(error) => Err(outcome::partial(&answer, error, api.now)),
        None => Ok(outcome::went_through(Class::Accepted, &answer)),
    }
}
