//! Step `association`: record and contact linked by HubSpot's default association. A PUT: repeating it changes nothing.
//!
//! Only an answer that names the link is a success. A 200 of somebody in between (a proxy, a maintenance page in JSON) would
//! otherwise leave a record nobody finds at the person, and a delivery that says it is done.

use causeway_core::connector::Delivery;
use causeway_core::outcome::{Class, Outcome};
use serde::Deserialize as _;
use serde_json::Value;

use super::wire::{Api, End, Link, read, segment};
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
        None if joins(&body, record) => Ok(outcome::went_through(Class::Accepted, &answer)),
        None => Err(outcome::unreadable(&answer)),
    }
}

/// Does the answer name a link from this record to a contact? Which contact is not asked: when ours was merged into another,
/// the answer may name the one that remains.
fn joins(body: &Value, record: &str) -> bool {
    let results = body.get("results").and_then(Value::as_array).into_iter().flatten();
    results
        .into_iter()
        .filter_map(|link| Link::deserialize(link).ok())
        .any(|Link { from, to: End { .. } }| from.id == record)
}
