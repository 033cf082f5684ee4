//! The seeded portal: kinds with their built-in properties, the default ticket pipeline, and some invented contacts.
//!
//! The facts name only a few built-in properties; the rest are the usual names and prove nothing about the vendor.

use serde_json::json;

use super::associations::Links;
use super::portal::{Kind, Portal, Values};
use super::schema::{definition, pipeline, stage};
use crate::harness::Random;

/// 2026-03-02T09:00:00Z.
const FOUNDED_MS: i64 = 1_772_442_000_000;

const CONTACT_PROPERTIES: [&str; 27] = [
    "firstname",
    "lastname",
    "phone",
    "mobilephone",
    "address",
    "city",
    "state",
    "zip",
    "country",
    "company",
    "jobtitle",
    "website",
    "salutation",
    "date_of_birth",
    "gender",
    "school",
    "degree",
    "field_of_study",
    "industry",
    "hs_language",
    "hs_linkedin_url",
    "lifecyclestage",
    "hs_lead_status",
    "hubspot_owner_id",
    "hs_marketable_status",
    "hs_additional_emails",
    "hs_merged_object_ids",
];

const TICKET_PROPERTIES: [&str; 11] = [
    "subject",
    "content",
    "hs_pipeline",
    "hs_pipeline_stage",
    "hs_ticket_id",
    "hs_is_closed",
    "hs_ticket_priority",
    "hs_ticket_category",
    "source_type",
    "hubspot_owner_id",
    "closed_date",
];

const NOTE_PROPERTIES: [&str; 4] = ["hs_timestamp", "hs_note_body", "hubspot_owner_id", "hs_attachment_ids"];

/// First and last name; every eighth contact has an additional e-mail.
const FIRST: [&str; 8] = ["Noor", "Elena", "Tomasz", "Aiko", "Kwame", "Inés", "Jonas", "Priya"];
const LAST: [&str; 6] = ["Sample", "Example", "Muster", "Ejemplo", "Przykład", "Placeholder"];

fn define(kind: &mut Kind, names: &[&str], unique: &[&str]) {
    for name in names {
        let given = json!({
            "name": name, "label": name, "type": "string", "fieldType": "text", "hasUniqueValue": unique.contains(name),
        });
        let made = definition(&given, &kind.group, FOUNDED_MS);
        kind.define(name, made);
    }
}

/// What every kind has.
pub(super) fn standard_properties(kind: &mut Kind) {
    define(kind, &["hs_object_id", "createdate", "hs_lastmodifieddate", "hubspot_owner_id"], &[]);
    kind.shown = ["createdate", "hs_lastmodifieddate", "hs_object_id"].map(str::to_owned).to_vec();
}

/// What the invented customer added to its portal: name, label, type, field type, options.
type Own = (&'static str, &'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

const CONTACT_OWN: [Own; 3] = [
    ("notice_period", "Notice period", "string", "text", &[]),
    ("earliest_start", "Earliest start", "date", "date", &[]),
    ("willing_to_relocate", "Willing to relocate", "bool", "booleancheckbox", &[]),
];

const TICKET_OWN: [Own; 2] = [
    ("cost_centre", "Cost centre", "number", "number", &[]),
    (
        "application_channel",
        "Application channel",
        "enumeration",
        "select",
        &[("board", "Job board"), ("referral", "Referral"), ("own", "Own career site")],
    ),
];

fn define_own(kind: &mut Kind, own: &[Own]) {
    for (name, label, r#type, field_type, options) in own {
        let options: Vec<_> = options
            .iter()
            .zip(0..)
            .map(|((value, label), order)| {
                json!({ "value": value, "label": label, "displayOrder": order, "hidden": false })
            })
            .collect();
        let given =
            json!({ "name": name, "label": label, "type": r#type, "fieldType": field_type, "options": options });
        let made = definition(&given, &kind.group, FOUNDED_MS);
        kind.define(name, made);
    }
}

fn kinds() -> Vec<Kind> {
    let mut contacts = Kind::new("contacts", "0-1", &["contact"], "contactinformation");
    standard_properties(&mut contacts);
    define(&mut contacts, &CONTACT_PROPERTIES, &[]);
    define(&mut contacts, &["lastmodifieddate"], &[]);
    define(&mut contacts, &["email"], &["email"]);
    define_own(&mut contacts, &CONTACT_OWN);
    let shown = ["createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"];
    contacts.shown = shown.map(str::to_owned).to_vec();
    let mut tickets = Kind::new("tickets", "0-5", &["ticket"], "ticketinformation");
    standard_properties(&mut tickets);
    define(&mut tickets, &TICKET_PROPERTIES, &[]);
    define_own(&mut tickets, &TICKET_OWN);
    let mut notes = Kind::new("notes", "0-46", &["note"], "notes");
    standard_properties(&mut notes);
    define(&mut notes, &NOTE_PROPERTIES, &[]);
    vec![contacts, tickets, notes]
}

fn contact(number: usize) -> Values {
    let (first, last) = (FIRST[number % FIRST.len()], LAST[number % LAST.len()]);
    let mut values = Values::new();
    let mut set = |name: &str, value: String| values.insert(name.to_owned(), value);
    set("firstname", first.to_owned());
    set("lastname", last.to_owned());
    set("email", format!("contact{number}@example.org"));
    set("lifecyclestage", if number.is_multiple_of(3) { "customer" } else { "lead" }.to_owned());
    if number.is_multiple_of(2) {
        set("phone", format!("+4930555{number:04}"));
    }
    if number.is_multiple_of(8) {
        set("hs_additional_emails", format!("contact{number}.private@example.com"));
    }
    values
}

/// A portal with forty contacts and the default pipeline: id `0`, first stage `1` (A.4, recorded).
pub(super) fn portal(random: &mut Random) -> Portal {
    let stages = [
        ("1", "New", "OPEN"),
        ("2", "Waiting on contact", "OPEN"),
        ("3", "Waiting on us", "OPEN"),
        ("4", "Closed", "CLOSED"),
    ];
    let stages = stages.iter().zip(0..).map(|((id, label, state), order)| {
        let given = json!({ "label": label, "displayOrder": order, "metadata": { "ticketState": state } });
        stage(id, &given, FOUNDED_MS)
    });
    let given = json!({ "label": "Support Pipeline", "displayOrder": 0 });
    let mut portal = Portal {
        id: 20_000_000 + random.below(1_000_000),
        kinds: kinds(),
        pipelines: vec![pipeline("0", &given, &stages.collect::<Vec<_>>(), FOUNDED_MS)],
        links: Links::default(),
        next_id: 30_000_000_000 + random.below(1_000_000_000),
    };
    for number in 0..40 {
        let made = portal.create(0, contact(number), FOUNDED_MS);
        debug_assert!(made.is_ok(), "seeded contacts obey the portal's rules");
    }
    portal
}
