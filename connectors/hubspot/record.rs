//! Step `record`: the application as one record, a ticket or a custom object's, keyed by `causeway_application_id`.
//!
//! Looks first and adopts what is there, so that a repeat cannot move a ticket back to its first stage or undo a
//! recruiter's edit; then upserts by the unique property, so that two tries at once still make one record.

use bytes::Bytes;
use causeway_core::connector::Delivery;
use causeway_core::outcome::{Class, Found, Outcome, VendorRecord};
use causeway_core::reason::Reason;
use http::Response;
use serde_json::json;

use super::map::APPLICATION_ID;
use super::provision::{self, Provisioned};
use super::wire::{Api, Batch, Object, read, segment};
use super::{map, outcome, reference};

pub(super) async fn run(api: &Api<'_>, delivery: &Delivery<'_>) -> Result<Outcome, Outcome> {
    if let Some((record, answer)) = by_application(api, delivery).await? {
        return Ok(made(Class::AlreadyThere, record, &answer));
    }
    let first = upsert(api, delivery).await?;
    if !first.set_up_in_doubt {
        return Ok(first.outcome);
    }
    // The first application of an account: our properties may not exist yet. Any 400 is reason enough to look, because
    // what HubSpot answers to an unknown `idProperty` is not documented.
    let provisioned = provision::ensure(api).await?;
    let second = upsert(api, delivery).await?;
    match provisioned {
        _ if !second.set_up_in_doubt => Ok(second.outcome),
        // Nothing was missing when we looked, nor could another delivery have made it since: the refusal stands.
        Provisioned::NothingMissing => Err(second.outcome),
        // Created a moment ago and not usable yet: come back.
        Provisioned::Created => {
            Err(Outcome { class: Class::Unavailable, ..second.outcome }.because(Reason::VendorBusy))
        }
    }
}

/// A direct read by the unique property: no search index, so no lag is known; a hit is ours beyond doubt.
pub(super) async fn find(api: &Api<'_>, delivery: &Delivery<'_>) -> Result<Found, Outcome> {
    let Some((record, _)) = by_application(api, delivery).await? else {
        return Ok(Found::NotSeen { as_of: api.now });
    };
    Ok(Found::Seen(vec![VendorRecord {
        created_at: record.created_at(),
        refs: [(reference::RECORD.to_owned(), record.id.clone())].into(),
        vendor_id: record.id,
        carries_our_reference: true,
        is_application: true,
    }]))
}

struct Upserted {
    outcome: Outcome,
    /// HubSpot did not accept the request's shape; our properties may be missing.
    set_up_in_doubt: bool,
}

async fn upsert(api: &Api<'_>, delivery: &Delivery<'_>) -> Result<Upserted, Outcome> {
    let id = delivery.application_id.to_string();
    let input = json!({ "id": id, "idProperty": APPLICATION_ID, "properties": map::record(delivery, api.settings) });
    let path = format!("/crm/v3/objects/{}/batch/upsert", segment(api.settings.record_type()));
    let answer = api.post(&path, &json!({ "inputs": [input] })).await?;
    match answer.status().as_u16() {
        200 | 201 | 207 => upserted(api, delivery, &answer),
        400 => Ok(Upserted { outcome: outcome::refusal(&answer, api.now), set_up_in_doubt: true }),
        404 => Err(outcome::misconfigured("HubSpot does not know the record's object type")),
        _ => Err(outcome::refusal(&answer, api.now)),
    }
}

/// A batch of one: its only result, or its only error, inside whatever 2xx.
fn upserted(api: &Api<'_>, delivery: &Delivery<'_>, answer: &Response<Bytes>) -> Result<Upserted, Outcome> {
    let Some(batch) = read::<Batch>(answer) else { return Err(outcome::unreadable(answer)) };
    match (batch.results.into_iter().next(), batch.errors.first()) {
        // That it repeats our property is not documented; that it names another's would be another's record.
        (Some(record), _) if record.property(APPLICATION_ID).is_some() && !is_ours(&record, delivery) => {
            Err(outcome::unreadable(answer))
        }
        (Some(record), error) => {
            let class = if record.new == Some(false) { Class::AlreadyThere } else { Class::Accepted };
            // The contract says `new` is always there, and one input has no second verdict.
            let drift = record.new.is_none() || error.is_some();
            Ok(Upserted { outcome: Outcome { drift, ..made(class, record, answer) }, set_up_in_doubt: false })
        }
        (None, Some(error)) => Ok(Upserted {
            outcome: outcome::partial(answer, error, api.now),
            set_up_in_doubt: error.get("category").is_some_and(|category| category == "VALIDATION_ERROR"),
        }),
        (None, None) => Err(outcome::unreadable(answer)),
    }
}

async fn by_application(api: &Api<'_>, delivery: &Delivery<'_>) -> Result<Option<(Object, Response<Bytes>)>, Outcome> {
    let path = format!(
        "/crm/v3/objects/{}/{}?idProperty={APPLICATION_ID}&properties={APPLICATION_ID}",
        segment(api.settings.record_type()),
        delivery.application_id
    );
    let answer = api.get(&path).await?;
    match answer.status().as_u16() {
        200 => match Object::read(&answer) {
            Some(record) if is_ours(&record, delivery) => Ok(Some((record, answer))),
            // Another record than the one asked for is as good as none.
            Some(record) if record.property(APPLICATION_ID).is_some() => Ok(None),
            // One that does not say whose it is proves nothing: it was asked for just that.
            Some(_) | None => Err(Outcome { class: Class::Unavailable, ..outcome::unreadable(&answer) }),
        },
        // 400: HubSpot does not know the property yet, so it cannot know the record.
        400 | 404 => Ok(None),
        _ => Err(outcome::refusal(&answer, api.now)),
    }
}

fn is_ours(record: &Object, delivery: &Delivery<'_>) -> bool {
    record.property(APPLICATION_ID).is_some_and(|theirs| theirs == delivery.application_id.to_string())
}

fn made(class: Class, record: Object, answer: &Response<Bytes>) -> Outcome {
    let mut outcome = outcome::went_through(class, answer).with_ref(reference::RECORD, record.id.clone());
    outcome.vendor_id = Some(record.id);
    outcome
}
