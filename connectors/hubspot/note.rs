//! Step `note`: what a recruiter reads on the contact's timeline, and on the ticket's.
//!
//! A note has no key of any kind, and whether notes take properties of our own is not documented; so the create is not
//! repeatable, and an unknown outcome is looked up among the contact's notes by the reference in the body.

use causeway_core::connector::Delivery;
use causeway_core::outcome::{Class, Found, Outcome, VendorRecord};
use serde_json::{Value, json};

use super::settings::Record;
use super::wire::{Api, Associations, Object, Shown, read, segment};
use super::{contact, map, outcome, reference};

const NOTES: &str = "/crm/v3/objects/notes";
/// HubSpot's fixed association types.
const NOTE_TO_CONTACT: u32 = 202;
const NOTE_TO_TICKET: u32 = 228;
/// A batch read takes this many ids.
const BATCH: usize = 100;
/// Bounds the look-up. A contact with more pages of notes than this cannot be searched for good.
const PAGES_MAX: usize = 10;

pub(super) async fn run(api: &Api<'_>, delivery: &Delivery<'_>) -> Result<Outcome, Outcome> {
    let (Some(contact), Some(record)) = (delivery.refs.get(reference::CONTACT), delivery.refs.get(reference::RECORD))
    else {
        return Err(outcome::reference_missing());
    };
    let mut associations = vec![association(contact, NOTE_TO_CONTACT)];
    if matches!(api.settings.record, Record::Ticket { .. }) {
        associations.push(association(record, NOTE_TO_TICKET));
    }
    let body = json!({ "properties": map::note(delivery), "associations": associations });
    let answer = api.post(NOTES, &body).await?;
    match answer.status().as_u16() {
        200 | 201 => match Object::read(&answer) {
            Some(note) => Ok(outcome::went_through(Class::Accepted, &answer).with_ref(reference::NOTE, note.id)),
            None => Err(outcome::unreadable(&answer)),
        },
        _ => Err(outcome::refusal(&answer, api.now)),
    }
}

/// Reads the contact's notes and looks for our reference. Direct reads, not the search; whether a new association may
/// show late is not documented, hence the Descriptor's lag.
pub(super) async fn find(api: &Api<'_>, delivery: &Delivery<'_>) -> Result<Found, Outcome> {
    // After a restore the step that found the contact may be forgotten: a person whom no contact stands for has no note.
    let contact = match delivery.refs.get(reference::CONTACT) {
        Some(contact) => contact.clone(),
        None => match contact::holder(api, delivery).await? {
            Some(contact) => contact,
            None => return Ok(Found::NotSeen { as_of: api.now }),
        },
    };
    let mut after = None;
    for _ in 0..PAGES_MAX {
        let Some(page) = page(api, &contact, after.as_deref()).await? else { return Ok(Found::CannotTell) };
        for ids in page.results.chunks(BATCH) {
            let ids: Vec<&str> = ids.iter().map(|note| note.id.as_str()).collect();
            let Some(notes) = notes(api, &ids).await? else { return Ok(Found::CannotTell) };
            let ours =
                |note: &Object| note.property("hs_note_body").is_some_and(|body| map::is_our_note(body, delivery));
            if let Some(note) = notes.results.into_iter().find(ours) {
                return Ok(Found::Seen(vec![VendorRecord {
                    created_at: note.created_at(),
                    refs: [(reference::NOTE.to_owned(), note.id.clone())].into(),
                    vendor_id: note.id,
                    carries_our_reference: true,
                    is_application: false,
                }]));
            }
        }
        after = page.after();
        if after.is_none() {
            return Ok(Found::NotSeen { as_of: api.now });
        }
    }
    Ok(Found::CannotTell)
}

/// `None` when HubSpot does not show the contact any more: merged or deleted, so the note may be elsewhere.
async fn page(api: &Api<'_>, contact: &str, after: Option<&str>) -> Result<Option<Associations>, Outcome> {
    let mut path = format!("/crm/v4/objects/contacts/{}/associations/notes?limit=500", segment(contact));
    if let Some(after) = after {
        path.push_str("&after=");
        path.push_str(&segment(after));
    }
    let answer = api.get(&path).await?;
    match answer.status().as_u16() {
        200 => read(&answer).map(Some).ok_or_else(|| outcome::unreadable(&answer)),
        404 => Ok(None),
        _ => Err(outcome::refusal(&answer, api.now)),
    }
}

/// `None` when some of the notes could not be read: ours may be among them.
async fn notes(api: &Api<'_>, ids: &[&str]) -> Result<Option<Shown>, Outcome> {
    let inputs: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
    let body = json!({ "inputs": inputs, "properties": ["hs_note_body"] });
    let answer = api.post(&format!("{NOTES}/batch/read"), &body).await?;
    match answer.status().as_u16() {
        200 => {
            let Some(shown) = read::<Shown>(&answer) else { return Err(outcome::unreadable(&answer)) };
            let is_shown = |id: &&str| shown.results.iter().any(|note| note.id == **id);
            // Ours may be among those it does not show: ask again.
            if ids.iter().all(is_shown) { Ok(Some(shown)) } else { Err(outcome::unreadable(&answer)) }
        }
        207 => Ok(None),
        _ => Err(outcome::refusal(&answer, api.now)),
    }
}

fn association(to: &str, kind: u32) -> Value {
    json!({
        "to": { "id": to },
        "types": [{ "associationCategory": "HUBSPOT_DEFINED", "associationTypeId": kind }],
    })
}
