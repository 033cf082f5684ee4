//! Mapping: values, and the README's list of every canonical field's fate, held to what is really sent.

use std::collections::BTreeMap;

use causeway_core::application::Application;
use causeway_core::connector::Connector;
use causeway_core::overlay::Filled;
use serde_json::{Map, Value, json};

use super::super::{HubSpot, map};
use super::{Fixture, Portal, at_once};

const README: &str = include_str!("../README.md");
/// The canonical types themselves say which fields there are.
const CANONICAL: &str = include_str!("../../../gateway/core/src/application.rs");

/// The structs of the canonical document: name → fields with their types.
fn structs() -> BTreeMap<String, Vec<(String, String)>> {
    let (_, from) = CANONICAL.split_once("document! {").unwrap();
    let (document, _) = from.split_once("\nimpl Application").unwrap();
    let flat: String =
        document.lines().filter(|line| !line.trim().starts_with("///")).map(|line| format!("{line} ")).collect();
    let flat = flat.replace("Map<String, Value>", "Map"); // The only type with a comma in it.
    let mut structs = BTreeMap::new();
    for block in flat.split("struct ").skip(1) {
        let (name, rest) = block.split_once('{').unwrap();
        let fields = rest.split_once('}').unwrap().0;
        let pairs = fields.split(',').filter_map(|field| field.split_once(": "));
        let pairs =
            pairs.map(|(field, kind)| (field.trim().trim_start_matches("r#").to_owned(), kind.trim().to_owned()));
        structs.insert(name.trim().to_owned(), pairs.collect());
    }
    structs
}

/// The type inside `Option` and `Vec`, and whether it is a list.
fn inner(kind: &str) -> (&str, bool) {
    let list = kind.contains("Vec<");
    (kind.trim_start_matches("Option<").trim_start_matches("Vec<").trim_end_matches('>'), list)
}

/// A document in which every text names the place it stands in.
fn marked(structs: &BTreeMap<String, Vec<(String, String)>>, name: &str, place: &str) -> Value {
    let mut object = Map::new();
    for (field, kind) in &structs[name] {
        let place = format!("{place}{field}-");
        let (kind, list) = inner(kind);
        let value = match kind {
            "String" | "Value" => json!(format!("mk-{place}")),
            "Map" => json!({ "some": format!("mk-{place}") }),
            "bool" => json!(true),
            "f64" | "u64" => json!(1),
            other => marked(structs, other, &place),
        };
        object.insert(field.clone(), if list { json!([value]) } else { value });
    }
    Value::Object(object)
}

/// Top-level and second-level fields, such as `person.name`.
fn places(structs: &BTreeMap<String, Vec<(String, String)>>) -> Vec<String> {
    let second = |(field, kind): &(String, String)| match structs.get(inner(kind).0) {
        Some(fields) => fields.iter().map(|(second, _)| format!("{field}.{second}")).collect(),
        None => vec![field.clone()],
    };
    structs["Application"].iter().flat_map(second).collect()
}

/// The README's table: field → fate.
fn fates() -> BTreeMap<String, String> {
    let rows = README.lines().filter(|line| line.starts_with("| `"));
    let mut fates = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        if !["carried", "transformed", "dropped"].contains(&cells[2]) {
            continue;
        }
        assert!(!cells[3].is_empty(), "no reason: {row}");
        for name in cells[1].split('`').skip(1).step_by(2) {
            assert_eq!(fates.insert(name.to_owned(), cells[2].to_owned()), None, "{name} is listed twice");
        }
    }
    fates
}

/// Everything that is sent for this document, as one text.
fn everything_sent(application: Application) -> String {
    let mut fixture = Fixture::new().with_refs(&[("contact_id", "734931097788"), ("record_id", "409229446355")]);
    fixture.application = application;
    let mut sent = String::new();
    for settings in [&[][..], &[("record", "custom_object"), ("record_object_type", "2-77")][..]] {
        let fixture = Fixture { account: Fixture::new().with_settings(settings).account, ..clone(&fixture) };
        let email = super::super::wire::segment(fixture.application.primary_email().unwrap_or_default());
        let routes: Vec<String> = vec![
            format!("GET /crm/v3/objects/contacts/{email}"),
            format!("GET /crm/v3/objects/tickets/{}", super::APPLICATION),
            format!("GET /crm/v3/objects/2-77/{}", super::APPLICATION),
        ];
        let mut table: Vec<super::Route<'_>> = vec![
            ("POST /crm/v3/objects/contacts", &["contact_created_201"]),
            ("POST /crm/v3/objects/tickets/batch/upsert", &["upsert_new_200"]),
            ("POST /crm/v3/objects/2-77/batch/upsert", &["upsert_new_200"]),
            ("POST /crm/v3/objects/notes", &["note_created_201"]),
            (
                "PUT /crm/v4/objects/tickets/409229446355/associations/default/contacts/734931097788",
                &["associated_200"],
            ),
            ("PUT /crm/v4/objects/2-77/409229446355/associations/default/contacts/734931097788", &["associated_200"]),
        ];
        table.extend(routes.iter().map(|line| (line.as_str(), &["not_found_404"][..])));
        let portal = Portal::new(&table);
        for step in HubSpot.plan(&fixture.delivery()) {
            let outcome = at_once(HubSpot.run(step.name, &fixture.delivery(), &portal));
            assert_eq!(outcome.class, causeway_core::outcome::Class::Accepted, "{}", step.name);
        }
        for request in portal.sent() {
            sent.push_str(&format!("{} {}\n", request.line, request.body));
        }
    }
    sent
}

fn clone(fixture: &Fixture) -> Fixture {
    Fixture {
        account: fixture.account.clone(),
        posting: fixture.posting.clone(),
        application: fixture.application.clone(),
        refs: fixture.refs.clone(),
        fields: fixture.fields.clone(),
    }
}

#[test]
fn every_canonical_field_has_a_fate_and_meets_it() {
    let structs = structs();
    let (places, fates) = (places(&structs), fates());
    let listed: Vec<&String> = fates.keys().collect();
    for place in &places {
        assert!(fates.contains_key(place), "the README does not say what becomes of {place}");
    }
    for place in listed {
        assert!(places.contains(place), "the README lists {place}, which is no canonical field");
    }
    let document = marked(&structs, "Application", "");
    let sent = everything_sent(Application::parse(document.to_string().as_bytes()).unwrap());
    let texts = document.to_string();
    for place in places {
        let mark = format!("mk-{}-", place.replace('.', "-"));
        if !texts.contains(&mark) {
            continue; // No text in it: a number or a yes.
        }
        assert_eq!(sent.contains(&mark), fates[&place] != "dropped", "{place} is {} in the README", fates[&place]);
    }
}

#[test]
fn no_demographic_answer_and_no_accommodation_request_is_ever_sent() {
    let structs = structs();
    let document = marked(&structs, "Application", "").to_string();
    let sent = everything_sent(Application::parse(document.as_bytes()).unwrap());
    assert!(sent.contains("mk-person-name-given-"), "the marks must be able to show");
    for forbidden in ["mk-demographics-", "mk-accommodation-"] {
        assert!(document.contains(forbidden), "the document must hold what must not be sent");
        assert!(!sent.contains(forbidden), "{forbidden} was sent");
    }
}

#[test]
fn a_contact_is_written_in_default_properties_only() {
    let structs = structs();
    let document = marked(&structs, "Application", "").to_string();
    let mut fixture = Fixture::new();
    fixture.application = Application::parse(document.as_bytes()).unwrap();
    let delivery = fixture.delivery();
    let properties = map::contact(&delivery);
    assert!(properties.keys().all(|name| map::CONTACT_PROPERTIES.contains(name)));
    for never in ["lifecyclestage", "hubspot_owner_id", "hs_marketable_status", "hs_lead_status"] {
        assert!(!map::CONTACT_PROPERTIES.contains(&never));
    }
    assert!(map::CONTACT_PROPERTIES.iter().all(|name| map::pointer(name).is_some()));
}

/// What a contact says already.
type Theirs = &'static [(&'static str, &'static str)];

#[test]
fn blanks_are_filled_block_by_block() {
    let ours = [
        ("firstname", "Ada"),
        ("lastname", "Example"),
        ("phone", "+1"),
        ("address", "1 Sample Street"),
        ("city", "Berlin"),
    ];
    #[rustfmt::skip]
    let table: &[(Theirs, &[&str])] = &[
        (&[], &["address", "city", "firstname", "lastname", "phone"]),
        (&[("firstname", "ADA")], &["address", "city", "lastname", "phone"]),
        // Another person's first name: the last name is not ours to give.
        (&[("firstname", "Grace")], &["address", "city", "phone"]),
        // Another city: no street of ours goes there.
        (&[("city", "Paris")], &["firstname", "lastname", "phone"]),
        // A country we know nothing of: the same.
        (&[("country", "FR")], &["firstname", "lastname", "phone"]),
        (&[("firstname", "Ada"), ("lastname", "Example"), ("phone", "+49"), ("city", "Paris")], &[]),
    ];
    for (theirs, filled) in table {
        let theirs: BTreeMap<&str, &str> = theirs.iter().copied().collect();
        let wanted = ours.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let blanks = map::blanks(&wanted, |name| theirs.get(name).copied());
        assert_eq!(blanks.keys().copied().collect::<Vec<_>>(), *filled, "{theirs:?}");
    }
}

#[test]
fn a_note_is_escaped_bounded_and_keeps_our_reference() {
    let mut fixture = Fixture::new();
    fixture.application.person.name.as_typed = Some("<script>alert('x')</script> & \"co\"".to_owned());
    fixture.application.history.skills = vec!["ä".repeat(70_000)];
    let note = map::note(&fixture.delivery());
    let body = note["hs_note_body"].as_str().unwrap();
    assert!(body.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;co&quot;"));
    assert!(body.chars().count() <= 65_536 && body.ends_with("</ul>"));
    assert!(map::is_our_note(body, &fixture.delivery()));
    assert_eq!(note["hs_timestamp"], "2026-03-12T07:33:00.000Z");
}

#[test]
fn the_record_names_the_job_and_the_receipt() {
    let fixture = Fixture::new();
    let settings = super::super::settings::Settings::of(&fixture.account).unwrap();
    let record = map::record(&fixture.delivery(), &settings);
    assert_eq!(record["subject"], "Application: Engineer (K7Q2-M9XD)");
    assert_eq!(record["causeway_posting_id"], "4012345");
    assert_eq!(record["causeway_requisition_code"], "R-17");
    assert!(!record["content"].contains("Ada"), "the person is the contact");
}

#[test]
fn what_an_overlay_fills_goes_to_its_object_and_overrides_nothing() {
    let filled = |field: &str, value: serde_json::Value| Filled { field: field.to_owned(), value };
    let mut fixture = Fixture::new();
    fixture.fields = vec![
        filled("contact.notice_period", "3 months".into()),
        filled("contact.firstname", "Somebody".into()),
        filled("record.cost_centre", 4711.into()),
        filled("record.urgent", true.into()),
        filled("record.subject", "Somebody's".into()),
        filled("record.blank", " ".into()),
        filled("record.many", serde_json::json!(["a", "b"])),
        filled("deal.amount", 1.into()),
    ];
    let delivery = fixture.delivery();
    let contact = map::contact(&delivery);
    assert_eq!(contact["notice_period"], "3 months");
    assert_eq!(contact["firstname"], "Ada");
    let settings = super::super::settings::Settings::of(&fixture.account).unwrap();
    let record = map::record(&delivery, &settings);
    assert_eq!((record["cost_centre"].as_str(), record["urgent"].as_str()), ("4711", "true"));
    assert_eq!(record["subject"], "Application: Engineer (K7Q2-M9XD)");
    for absent in ["blank", "many", "amount", "notice_period"] {
        assert!(!record.contains_key(absent), "{absent}");
    }
    // On a contact that is there it is a blank like any other: filled when empty, left when not.
    let theirs = |name: &str| (name == "notice_period").then_some("none");
    assert!(!map::blanks(&contact, theirs).contains_key("notice_period"));
    assert!(map::blanks(&contact, |_| None).contains_key("notice_period"));
}
