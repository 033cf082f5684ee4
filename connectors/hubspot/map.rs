//! From the canonical application to HubSpot's properties. Pure; the README lists every field's fate and a test holds it
//! to that list.
//!
//! Carries what a recruiter's relationship with a person needs. Demographic answers, accommodation requests, eligibility
//! and pay, answers to the posting's questions and everything about the browser stay out.

use std::fmt::Write as _;

use causeway_core::application::{Application, Name};
use causeway_core::connector::Delivery;
use causeway_core::overlay::Filled;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::settings::{Record, Settings};
use super::wire::Properties;

/// The property that makes a record ours: unique, so a repeat finds it instead of making another.
pub(super) const APPLICATION_ID: &str = "causeway_application_id";
const CODE: &str = "causeway_code";
const POSTING_ID: &str = "causeway_posting_id";
const REQUISITION_CODE: &str = "causeway_requisition_code";
/// A custom object has neither subject nor content of its own.
const SUBJECT: &str = "causeway_subject";
const CONTENT: &str = "causeway_content";

/// The contact properties that may be written, all of HubSpot's default set. Each block belongs together.
const NAME_BLOCK: &[&str] = &["firstname", "lastname"];
const PHONE_BLOCK: &[&str] = &["phone"];
const ADDRESS_BLOCK: &[&str] = &["address", "city", "state", "zip", "country"];
pub(super) const CONTACT_PROPERTIES: &[&str] =
    &["email", "firstname", "lastname", "phone", "address", "city", "state", "zip", "country"];

/// How an overlay's fields name the two objects.
pub(super) const CONTACTS: &str = "contact";
pub(super) const RECORD: &str = "record";

/// HubSpot's limit for `hs_note_body`, in characters.
const NOTE_MAX: usize = 65_536;

/// A property of ours on the record.
pub(super) struct Owned {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) unique: bool,
    pub(super) long: bool,
}

const fn owned(name: &'static str, label: &'static str) -> Owned {
    Owned { name, label, unique: false, long: false }
}

const ON_TICKETS: &[Owned] = &[
    Owned { name: APPLICATION_ID, label: "Application id (Causeway)", unique: true, long: false },
    owned(CODE, "Application receipt code (Causeway)"),
    owned(POSTING_ID, "Job posting id (Causeway)"),
    owned(REQUISITION_CODE, "Job requisition code (Causeway)"),
];
const ON_CUSTOM_OBJECTS: &[Owned] = &[
    Owned { name: APPLICATION_ID, label: "Application id (Causeway)", unique: true, long: false },
    owned(CODE, "Application receipt code (Causeway)"),
    owned(POSTING_ID, "Job posting id (Causeway)"),
    owned(REQUISITION_CODE, "Job requisition code (Causeway)"),
    owned(SUBJECT, "Application subject (Causeway)"),
    Owned { name: CONTENT, label: "Application summary (Causeway)", unique: false, long: true },
];

/// Our properties on this account's record object.
pub(super) fn owned_properties(record: &Record) -> &'static [Owned] {
    match record {
        Record::Ticket { .. } => ON_TICKETS,
        Record::Custom { .. } => ON_CUSTOM_OBJECTS,
    }
}

/// The contact's properties, blanks left out. What the account's overlay fills comes behind and overrides nothing.
pub(super) fn contact<'a>(delivery: &Delivery<'a>) -> Properties<'a> {
    let mut properties = person(delivery.application);
    for (name, value) in mapped(delivery, CONTACTS) {
        properties.entry(name).or_insert(value);
    }
    properties
}

/// What the overlay fills of one kind of object's properties, as HubSpot writes values: all are texts.
pub(super) fn mapped<'a>(
    delivery: &Delivery<'a>,
    object: &'static str,
) -> impl Iterator<Item = (&'a str, String)> + use<'a> {
    let of_object = move |filled: &'a Filled| {
        let name = filled.field.strip_prefix(object)?.strip_prefix('.')?;
        let value = match &filled.value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(yes) => yes.to_string(),
            // Several values in one property: how they are written is not documented.
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        (!value.trim().is_empty()).then_some((name, value))
    };
    delivery.fields.iter().filter_map(of_object)
}

fn person(application: &Application) -> Properties<'static> {
    let person = &application.person;
    let phone = person.phones.first().map(|phone| phone.e164.as_ref().unwrap_or(&phone.raw).clone());
    let family: Vec<&str> =
        [Some(person.name.family.as_str()), person.name.second_family.as_deref()].into_iter().flatten().collect();
    let mut properties = Properties::from([
        ("email", application.primary_email().unwrap_or_default().to_owned()),
        ("firstname", person.name.given.clone()),
        ("lastname", family.join(" ")),
        ("phone", phone.unwrap_or_default()),
    ]);
    if let Some(address) = &person.address {
        properties.insert("address", address.lines.join(", "));
        properties.insert("city", address.city.clone().unwrap_or_default());
        properties.insert("state", address.region.clone().unwrap_or_default());
        properties.insert("zip", address.postal_code.clone().unwrap_or_default());
        properties.insert("country", address.country.clone().unwrap_or_default());
    }
    for value in properties.values_mut() {
        *value = value.trim().to_owned();
    }
    properties.retain(|_, value| !value.is_empty());
    properties
}

/// What of `wanted` may be written over a contact that says `theirs`: the blanks of each block whose filled properties
/// agree with ours. A street of ours under somebody's other city would be a place where nobody lives.
pub(super) fn blanks<'a, 'w>(wanted: &Properties<'w>, theirs: impl Fn(&str) -> Option<&'a str>) -> Properties<'w> {
    let agrees = |name: &&str| match (theirs(name), wanted.get::<str>(name)) {
        (Some(theirs), Some(ours)) => theirs.trim().to_lowercase() == ours.to_lowercase(),
        (Some(_), None) => false,
        (None, _) => true,
    };
    let whole = [NAME_BLOCK, PHONE_BLOCK, ADDRESS_BLOCK].into_iter().filter(|block| block.iter().all(agrees)).flatten();
    // What an overlay fills belongs to no block.
    let mapped = wanted.keys().filter(|name| !CONTACT_PROPERTIES.contains(name));
    let names: Vec<&str> = whole.copied().chain(mapped.copied()).collect();
    wanted
        .iter()
        .filter(|(name, _)| names.contains(*name) && theirs(name).is_none())
        .map(|(name, value)| (*name, value.clone()))
        .collect()
}

/// The record's properties.
pub(super) fn record<'a>(delivery: &Delivery<'a>, settings: &Settings) -> Properties<'a> {
    let posting = delivery.posting;
    let mut properties = Properties::from([
        (APPLICATION_ID, delivery.application_id.to_string()),
        (CODE, delivery.code.to_owned()),
        (POSTING_ID, posting_id(delivery).to_owned()),
    ]);
    if let Some(code) = &posting.requisition_code {
        properties.insert(REQUISITION_CODE, code.clone());
    }
    match &settings.record {
        Record::Ticket { pipeline, stage } => {
            properties.insert("subject", subject(delivery));
            properties.insert("content", content(delivery));
            properties.insert("hs_pipeline", pipeline.clone());
            properties.insert("hs_pipeline_stage", stage.clone());
        }
        Record::Custom { .. } => {
            properties.insert(SUBJECT, subject(delivery));
            properties.insert(CONTENT, content(delivery));
        }
    }
    for (name, value) in mapped(delivery, RECORD) {
        properties.entry(name).or_insert(value);
    }
    properties
}

/// The note's properties: HTML, every text escaped, our reference first so that no cut can lose it.
pub(super) fn note(delivery: &Delivery<'_>) -> Value {
    let mut body = format!(
        "<p><strong>{}</strong></p><p>Reference: {}</p><ul>",
        escaped(&subject(delivery)),
        delivery.application_id
    );
    for (name, value) in note_lines(delivery) {
        let line = format!("<li>{name}: {}</li>", escaped(&value));
        if body.chars().count() + line.chars().count() + "</ul>".len() > NOTE_MAX {
            break;
        }
        body.push_str(&line);
    }
    body.push_str("</ul>");
    json!({ "hs_timestamp": moment(delivery.received_at), "hs_note_body": body })
}

/// Does this note carry the delivery's reference?
pub(super) fn is_our_note(body: &str, delivery: &Delivery<'_>) -> bool {
    body.contains(&delivery.application_id.to_string())
}

/// Where in the canonical document a contact property comes from.
pub(super) fn pointer(property: &str) -> Option<&'static str> {
    Some(match property {
        "email" => "/person/emails/0/address",
        "firstname" => "/person/name/given",
        "lastname" => "/person/name/family",
        "phone" => "/person/phones/0",
        "address" => "/person/address/lines",
        "city" => "/person/address/city",
        "state" => "/person/address/region",
        "zip" => "/person/address/postal_code",
        "country" => "/person/address/country",
        _ => return None,
    })
}

/// Is this property the account's set-up rather than the candidate's data?
pub(super) fn is_set_up(property: &str) -> bool {
    matches!(property, "hs_pipeline" | "hs_pipeline_stage")
        || ON_CUSTOM_OBJECTS.iter().any(|owned| owned.name == property)
}

fn posting_id<'a>(delivery: &'a Delivery<'_>) -> &'a str {
    if delivery.posting.posting_id.is_empty() { &delivery.application.job } else { &delivery.posting.posting_id }
}

fn subject(delivery: &Delivery<'_>) -> String {
    let title = if delivery.posting.title.is_empty() { posting_id(delivery) } else { &delivery.posting.title };
    let test = if delivery.application.meta.test == Some(true) { "[Test] " } else { "" };
    format!("{test}Application: {title} ({})", delivery.code)
}

/// The record's summary: the job and the receipt, not the person. The person is the contact.
fn content(delivery: &Delivery<'_>) -> String {
    let posting = delivery.posting;
    let places: Vec<&str> = posting.locations.iter().map(|location| location.text.as_str()).collect();
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            // Writing to a String cannot fail.
            writeln!(text, "{name}: {value}").unwrap_or_default();
        }
    };
    line("Job", &posting.title);
    line("Posting", posting_id(delivery));
    line("Job in the ATS", posting.vendor_job_id.as_deref().unwrap_or_default());
    line("Requisition", posting.requisition_code.as_deref().unwrap_or_default());
    line("Location", &places.join("; "));
    line("Department", &posting.departments.join("; "));
    line("Received", &moment(delivery.received_at));
    line("Receipt", delivery.code);
    text.trim_end().to_owned()
}

/// What a recruiter wants to read first, in the order of interest.
fn note_lines(delivery: &Delivery<'_>) -> Vec<(&'static str, String)> {
    let application = delivery.application;
    let (person, history) = (&application.person, &application.history);
    let listed = |texts: Vec<String>| texts.join("; ");
    let phones = person.phones.iter().map(|phone| phone.e164.as_ref().unwrap_or(&phone.raw).clone());
    let roles = history.employment.iter().map(|role| {
        let when = [role.start.as_deref(), role.end.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" to ");
        let when = if role.current == Some(true) { format!("{when}, current") } else { when };
        format!("{} at {} ({})", role.title, role.company, when.trim_start_matches(", "))
    });
    let schools = history.education.iter().map(|education| {
        let parts = [education.degree.as_deref(), education.discipline.as_deref(), Some(education.school.as_str())];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    });
    let certificates = history.certifications.iter().map(|certificate| certificate.name.clone());
    let languages = person.languages.iter().map(|language| {
        language.level.as_ref().map_or_else(|| language.tag.clone(), |level| format!("{} ({level})", language.tag))
    });
    let files = application.attachments.iter().map(|file| file.kind.clone());
    let utm = application.source.utm.iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_str()?)));
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut lines = vec![
        ("Name", full_name(&person.name)),
        ("E-mail", listed(person.emails.iter().map(|email| email.address.clone()).collect())),
        ("Phone", listed(phones.collect())),
        ("Where", person.location.as_ref().map(|location| location.text.clone()).unwrap_or_default()),
        ("Links", listed(person.links.iter().map(|link| link.url.clone()).collect())),
        ("Languages", listed(languages.collect())),
        ("Employment", listed(roles.collect())),
        ("Education", listed(schools.collect())),
        ("Certificates", listed(certificates.collect())),
        ("Skills", history.skills.join("; ")),
        ("Notice period", text(&application.eligibility.notice)),
        ("Earliest start", text(&application.eligibility.earliest_start)),
        ("Talent pool", text(&application.relation.talent_pool)),
        ("Came from", text(&application.source.board)),
        ("Campaign", text(&application.source.campaign)),
        ("Campaign tags", listed(utm.collect())),
        ("Files, kept in the ATS", listed(files.collect())),
    ];
    lines.retain(|(_, value)| !value.trim().is_empty());
    lines
}

/// HubSpot keeps milliseconds.
fn moment(at: Timestamp) -> String {
    format!("{at:.3}")
}

fn full_name(name: &Name) -> String {
    let preferred = name.preferred.as_ref().map(|preferred| format!("(called {preferred})"));
    let typed = name.as_typed.clone().unwrap_or_else(|| {
        let parts = [
            name.prefix.as_deref(),
            Some(name.given.as_str()),
            name.middle.as_deref(),
            Some(name.family.as_str()),
            name.second_family.as_deref(),
            name.suffix.as_deref(),
        ];
        parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    });
    let parts = [Some(typed), name.native_script.clone(), preferred];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
