//! Step `contact`: the person, by e-mail address.
//!
//! Found under the primary address: blanks are filled, nothing else. Not found: created. Refused as already existing
//! although not found: the address is a secondary one of some contact; that contact is linked, untouched, and a case asks
//! a human to confirm. An upsert would be one call, but HubSpot does not support a partial one by e-mail.

use bytes::Bytes;
use causeway_core::connector::Delivery;
use causeway_core::outcome::{Class, FieldReason, Found, Outcome, VendorRecord};
use causeway_core::reason::Reason;
use http::Response;
use serde_json::{Value, json};

use super::wire::{Api, Object, Properties, Shown, read, segment};
use super::{map, outcome, reference};

const CONTACTS: &str = "/crm/v3/objects/contacts";
const SECONDARY: &str = "hs_additional_emails";

pub(super) async fn run(api: &Api<'_>, delivery: &Delivery<'_>) -> Result<Outcome, Outcome> {
    let email = email_of(delivery)?;
    let wanted = map::contact(delivery);
    if let Some((contact, answer)) = by_email(api, &email, &names(&wanted)).await? {
        return keep(api, &contact, &answer, &email, &wanted).await;
    }
    let answer = api.post(CONTACTS, &json!({ "properties": wanted, "associations": [] })).await?;
    match answer.status().as_u16() {
        200 | 201 => match Object::read(&answer) {
            Some(contact) => Ok(linked(Class::Accepted, &contact, &answer)),
            None => Err(outcome::unreadable(&answer)),
        },
        409 => taken(api, &email, &wanted, &answer).await,
        _ => Err(outcome::refusal(&answer, api.now)),
    }
}

/// Whether the address has a contact now. It is not proof of *our* create: contacts carry no reference of ours.
pub(super) async fn find(api: &Api<'_>, delivery: &Delivery<'_>) -> Result<Found, Outcome> {
    let email = email_of(delivery)?;
    let Some((contact, _)) = by_email(api, &email, &read_properties(&[])).await? else {
        return Ok(Found::NotSeen { as_of: api.now });
    };
    Ok(Found::Seen(vec![VendorRecord {
        created_at: contact.created_at(),
        refs: [(reference::CONTACT.to_owned(), contact.id.clone())].into(),
        vendor_id: contact.id,
        carries_our_reference: false,
        is_application: false,
    }]))
}

/// The id of the contact that a delivery for this person is linked to, if there is one: by the address itself, else, as
/// `taken` would, by the search, which knows secondary addresses.
pub(super) async fn holder(api: &Api<'_>, delivery: &Delivery<'_>) -> Result<Option<String>, Outcome> {
    let email = email_of(delivery)?;
    if let Some((contact, _)) = by_email(api, &email, &read_properties(&[])).await? {
        return Ok(Some(contact.id));
    }
    Ok(searched(api, &email, &[]).await?.map(|(contact, _)| contact.id))
}

/// The contact exists: fill its blanks if it is the person's own, link it otherwise.
async fn keep(
    api: &Api<'_>,
    contact: &Object,
    answer: &Response<Bytes>,
    email: &str,
    wanted: &Properties<'_>,
) -> Result<Outcome, Outcome> {
    if !is_primary(contact, email) {
        return Ok(secondary(contact, answer));
    }
    let blanks = map::blanks(wanted, |name| contact.property(name));
    if blanks.is_empty() {
        return Ok(linked(Class::AlreadyThere, contact, answer));
    }
    let path = format!("{CONTACTS}/{}", segment(&contact.id));
    let answer = api.patch(&path, &json!({ "properties": blanks })).await?;
    match answer.status().as_u16() {
        200 if Object::read(&answer).is_some() => Ok(linked(Class::AlreadyThere, contact, &answer)),
        200 => Err(outcome::unreadable(&answer)),
        // Merged or deleted since we read it: the next try reads again.
        404 => Err(Outcome { class: Class::Unavailable, ..outcome::refusal(&answer, api.now) }),
        _ => Err(outcome::refusal(&answer, api.now)),
    }
}

/// 409: somebody was quicker, or the address is a secondary one. The id stands only in prose, so it is a hint that is
/// checked; without it the search has to do, late as it is.
async fn taken(
    api: &Api<'_>,
    email: &str,
    wanted: &Properties<'_>,
    conflict: &Response<Bytes>,
) -> Result<Outcome, Outcome> {
    if let Some((contact, answer)) = by_email(api, email, &names(wanted)).await? {
        return keep(api, &contact, &answer, email, wanted).await;
    }
    if let Some(id) = existing_id(conflict) {
        let answer = api.get(&format!("{CONTACTS}/{id}?properties={}", names(wanted))).await?;
        if let (200, Some(contact)) = (answer.status().as_u16(), Object::read(&answer))
            && (is_primary(&contact, email) || may_be_secondary(&contact, email))
        {
            return keep(api, &contact, &answer, email, wanted).await;
        }
    }
    match searched(api, email, &others(wanted)).await? {
        Some((contact, answer)) => keep(api, &contact, &answer, email, wanted).await,
        // Not created, and not shown: the index is late. `drift`, because the documented conflict names an id.
        None => Err(Outcome { drift: true, ..outcome::refusal(conflict, api.now) }),
    }
}

/// The contact that has this address, primary or secondary, as far as the search shows it: its index is late.
async fn searched(api: &Api<'_>, email: &str, others: &[&str]) -> Result<Option<(Object, Response<Bytes>)>, Outcome> {
    let answer = api.post(&format!("{CONTACTS}/search"), &search(email, others)).await?;
    if answer.status().as_u16() != 200 {
        return Err(outcome::refusal(&answer, api.now));
    }
    let Some(found) = read::<Shown>(&answer) else { return Err(outcome::unreadable(&answer)) };
    let has = |contact: &Object| is_primary(contact, email) || has_secondary(contact, email);
    Ok(found.results.into_iter().find(has).map(|contact| (contact, answer)))
}

/// The contact with this address, read directly: no index is involved.
async fn by_email(api: &Api<'_>, email: &str, properties: &str) -> Result<Option<(Object, Response<Bytes>)>, Outcome> {
    let path = format!("{CONTACTS}/{}?idProperty=email&properties={properties}", segment(email));
    let answer = api.get(&path).await?;
    match answer.status().as_u16() {
        200 => match Object::read(&answer) {
            Some(contact) => Ok(Some((contact, answer))),
            None => Err(Outcome { class: Class::Unavailable, ..outcome::unreadable(&answer) }),
        },
        404 => Ok(None),
        _ => Err(outcome::refusal(&answer, api.now)),
    }
}

fn email_of(delivery: &Delivery<'_>) -> Result<String, Outcome> {
    let email = delivery.application.primary_email().map(str::trim).filter(|email| !email.is_empty());
    email.map(str::to_owned).ok_or_else(|| {
        let mut refused = Outcome::new(Class::Refused).because(Reason::AnswerMissing);
        refused.fields.push(FieldReason {
            pointer: "/person/emails/0/address".to_owned(),
            reason: Reason::AnswerMissing,
            text: "HubSpot knows a person by the e-mail address, and there is none".to_owned(),
        });
        refused
    })
}

fn linked(class: Class, contact: &Object, answer: &Response<Bytes>) -> Outcome {
    outcome::went_through(class, answer).with_ref(reference::CONTACT, contact.id.clone())
}

fn secondary(contact: &Object, answer: &Response<Bytes>) -> Outcome {
    let mut outcome = linked(Class::AlreadyThere, contact, answer);
    outcome.case = Some(Reason::PersonMatchedBySecondaryEmail);
    outcome
}

fn is_primary(contact: &Object, email: &str) -> bool {
    contact.property("email").is_some_and(|theirs| same(theirs, email))
}

fn has_secondary(contact: &Object, email: &str) -> bool {
    contact.property(SECONDARY).is_some_and(|theirs| theirs.split(';').any(|one| same(one, email)))
}

/// HubSpot itself named this contact as the holder. Only a list of addresses without ours contradicts that.
fn may_be_secondary(contact: &Object, email: &str) -> bool {
    contact.property(SECONDARY).is_none() || has_secondary(contact, email)
}

fn same(theirs: &str, ours: &str) -> bool {
    theirs.trim().to_lowercase() == ours.trim().to_lowercase()
}

/// The digits after the last colon of "Contact already exists. Existing ID: 12345".
fn existing_id(conflict: &Response<Bytes>) -> Option<String> {
    let body: Value = read(conflict)?;
    let id = body.get("message")?.as_str()?.rsplit(':').next()?.trim();
    (!id.is_empty() && id.len() <= 20 && id.bytes().all(|byte| byte.is_ascii_digit())).then(|| id.to_owned())
}

fn search(email: &str, others: &[&str]) -> Value {
    let by = |property: &str| json!({ "filters": [{ "propertyName": property, "operator": "EQ", "value": email }] });
    json!({
        "filterGroups": [by("email"), by(SECONDARY)],
        "properties": map::CONTACT_PROPERTIES.iter().chain(&[SECONDARY]).chain(others).collect::<Vec<_>>(),
        "sorts": [],
        "limit": 10,
        "after": "0",
    })
}

/// The properties that have to be read before any of `wanted` may be written.
fn names(wanted: &Properties<'_>) -> String {
    read_properties(&others(wanted))
}

/// The ones that an overlay fills.
fn others<'a>(wanted: &Properties<'a>) -> Vec<&'a str> {
    wanted.keys().copied().filter(|name| !map::CONTACT_PROPERTIES.contains(name)).collect()
}

fn read_properties(others: &[&str]) -> String {
    let all = map::CONTACT_PROPERTIES.iter().copied().chain([SECONDARY]).map(str::to_owned);
    all.chain(others.iter().map(|name| segment(name))).collect::<Vec<_>>().join(",")
}
