//! What can be mapped, and the stages: which properties are listed, and what a refusal says.

use causeway_core::connector::{Connector, ReadError};
use causeway_core::posting::FieldKind;

use super::super::HubSpot;
use super::{Fixture, Portal, Route, at_once};

const CONTACTS: &str = "GET /crm/v3/properties/contacts";
const TICKETS: &str = "GET /crm/v3/properties/tickets";
const PIPELINES: &str = "GET /crm/v3/pipelines/tickets";

#[test]
fn properties_of_ones_own_are_listed_and_no_other() {
    let routes: [Route<'_>; 2] = [(CONTACTS, &["properties_contacts_200"]), (TICKETS, &["properties_records_200"])];
    let fields = at_once(HubSpot.custom_fields(&Fixture::new().account, &Portal::new(&routes))).unwrap();
    let listed: Vec<_> = fields.iter().map(|field| (field.name.as_str(), field.kind, field.required)).collect();
    let expected = [
        ("contact.notice_period", FieldKind::Text, false),
        ("contact.about", FieldKind::LongText, false),
        ("contact.earliest_start", FieldKind::Date, false),
        ("contact.relocates", FieldKind::Boolean, false),
        ("record.cost_centre", FieldKind::Number, false),
        ("record.channel", FieldKind::SingleSelect, false),
    ];
    assert_eq!(listed, expected);
    let options: Vec<_> = fields[5].options.iter().map(|option| (option.id.as_str(), option.label.as_str())).collect();
    assert_eq!(options, [("board", "Job board")], "a hidden option cannot be chosen");
}

#[test]
fn what_a_custom_object_requires_has_to_be_mapped() {
    let fixture =
        Fixture::new().with_settings(&[("record", "custom_object"), ("record_object_type", "p20000000_application")]);
    let routes: [Route<'_>; 3] = [
        (CONTACTS, &["properties_contacts_200"]),
        ("GET /crm/v3/properties/p20000000_application", &["properties_records_200"]),
        ("GET /crm-object-schemas/v3/schemas/p20000000_application", &["schema_200"]),
    ];
    let portal = Portal::new(&routes);
    let fields = at_once(HubSpot.custom_fields(&fixture.account, &portal)).unwrap();
    let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name.as_str()).collect();
    assert_eq!(required, ["record.cost_centre"], "what this connector fills itself is nobody's to map");
    assert_eq!(at_once(HubSpot.stages(&fixture.account, &portal)), Err(ReadError::NotClaimed));
}

#[test]
fn a_missing_scope_is_named_and_silence_is_no_list() {
    let listed = |name: &'static str| {
        let routes: [Route<'_>; 1] = [(CONTACTS, &[name])];
        at_once(HubSpot.custom_fields(&Fixture::new().account, &Portal::new(&routes))).unwrap_err()
    };
    let ReadError::Misconfigured(text) = listed("missing_scopes_403") else { panic!("the scope is named") };
    assert!(text.contains("crm."), "{text}");
    assert!(matches!(listed("failed_500"), ReadError::NotNow { .. }));
}

#[test]
fn stages_come_with_their_pipeline() {
    let routes: [Route<'_>; 1] = [(PIPELINES, &["pipelines_200"])];
    let stages = at_once(HubSpot.stages(&Fixture::new().account, &Portal::new(&routes))).unwrap();
    assert!(stages.iter().any(|stage| stage.id == "1" && stage.of.contains("(0)")), "{stages:?}");
}
