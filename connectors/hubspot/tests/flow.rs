//! Each step against a scripted HubSpot: what it came to, and what was written.

use std::time::Duration;

use causeway_core::connector::{Connector, Taken, Verdict};
use causeway_core::outcome::{Class, Found, Outcome};
use causeway_core::reason::Reason;
use serde_json::json;

use super::super::HubSpot;
use super::{APPLICATION, BY_EMAIL, Fixture, Portal, Route, at_once, now};

const GET_BY_EMAIL: &str = "GET /crm/v3/objects/contacts/ada%40example.org";
const CREATE_CONTACT: &str = "POST /crm/v3/objects/contacts";
const SEARCH: &str = "POST /crm/v3/objects/contacts/search";
const HINTED: &str = "GET /crm/v3/objects/contacts/12345";
const FILL: &str = "PATCH /crm/v3/objects/contacts/734931097788";
const GET_RECORD: &str = "GET /crm/v3/objects/tickets/sub_00000000000070008000000000000001";
const UPSERT: &str = "POST /crm/v3/objects/tickets/batch/upsert";
const KEY: &str = "GET /crm/v3/properties/tickets/causeway_application_id";
const CREATE_PROPERTY: &str = "POST /crm/v3/properties/tickets";
const CREATE_NOTE: &str = "POST /crm/v3/objects/notes";
const NOTE_IDS: &str = "GET /crm/v4/objects/contacts/734931097788/associations/notes";
const READ_NOTES: &str = "POST /crm/v3/objects/notes/batch/read";
const LINK: &str = "PUT /crm/v4/objects/tickets/409229446355/associations/default/contacts/734931097788";

const DONE: &[(&str, &str)] = &[("contact_id", "734931097788"), ("record_id", "409229446355")];

/// The other properties of ours, and one that every ticket has.
const OTHERS: [Route<'_>; 4] = [
    ("GET /crm/v3/properties/tickets/causeway_code", &["property_read_200"]),
    ("GET /crm/v3/properties/tickets/causeway_posting_id", &["property_read_200"]),
    ("GET /crm/v3/properties/tickets/causeway_requisition_code", &["property_read_200"]),
    ("GET /crm/v3/properties/tickets/subject", &["property_read_200"]),
];

fn run<'a>(step: &str, refs: &[(&str, &str)], routes: &[Route<'a>]) -> (Outcome, Portal<'a>) {
    let (fixture, portal) = (Fixture::new().with_refs(refs), Portal::new(routes));
    let outcome = at_once(HubSpot.run(step, &fixture.delivery(), &portal));
    (outcome, portal)
}

#[derive(Clone, Copy)]
struct Want {
    class: Class,
    reason: Option<Reason>,
    case: Option<Reason>,
    reference: Option<(&'static str, &'static str)>,
    writes: &'static [&'static str],
}

const NOTHING: Want = Want { class: Class::Accepted, reason: None, case: None, reference: None, writes: &[] };

const fn failed(class: Class, reason: Reason, writes: &'static [&'static str]) -> Want {
    Want { class, reason: Some(reason), writes, ..NOTHING }
}

fn check(step: &str, refs: &[(&str, &str)], routes: &[Route<'_>], want: &Want) {
    let (outcome, portal) = run(step, refs, routes);
    let lines: Vec<String> = portal.writes().into_iter().map(|sent| sent.line).collect();
    let reference = outcome.refs.iter().next().map(|(name, value)| (name.as_str(), value.as_str()));
    assert_eq!(
        (outcome.class, outcome.reason, outcome.case, reference, lines),
        (want.class, want.reason, want.case, want.reference, want.writes.iter().map(|&line| line.to_owned()).collect()),
        "{step}: {routes:?}"
    );
}

fn contact(routes: &[Route<'_>], want: &Want) {
    check("contact", &[], routes, want);
}

const LINKED: Want = Want {
    class: Class::AlreadyThere,
    case: Some(Reason::PersonMatchedBySecondaryEmail),
    reference: Some(("contact_id", "12345")),
    writes: &[CREATE_CONTACT],
    ..NOTHING
};
const NEW: Route<'_> = (GET_BY_EMAIL, &["not_found_404"]);

#[test]
fn a_person_is_created_or_completed() {
    let reference = Some(("contact_id", "734931097788"));
    contact(
        &[NEW, (CREATE_CONTACT, &["contact_created_201"])],
        &Want { reference, writes: &[CREATE_CONTACT], ..NOTHING },
    );
    contact(
        &[(GET_BY_EMAIL, &["contact_read_200"]), (FILL, &["contact_read_200"])],
        &Want { class: Class::AlreadyThere, reference, writes: &[FILL], ..NOTHING },
    );
    // Somebody was quicker with the same address: an ordinary primary match.
    contact(
        &[
            (GET_BY_EMAIL, &["not_found_404", "contact_read_200"]),
            (CREATE_CONTACT, &["contact_conflict_409"]),
            (FILL, &["contact_read_200"]),
        ],
        &Want { class: Class::AlreadyThere, reference, writes: &[CREATE_CONTACT, FILL], ..NOTHING },
    );
    // Merged away between read and write: again from the start.
    contact(
        &[(GET_BY_EMAIL, &["contact_read_200"]), (FILL, &["not_found_404"])],
        &failed(Class::Unavailable, Reason::VendorRefused, &[FILL]),
    );
}

#[test]
fn a_secondary_address_is_linked_and_nothing_is_written_over() {
    // A read by address that answers with a secondary match.
    contact(&[(GET_BY_EMAIL, &["contact_secondary_200"])], &Want { writes: &[], ..LINKED });
    // Not found, yet taken; the prose names the contact and the contact has the address.
    contact(&[NEW, (CREATE_CONTACT, &["contact_conflict_409"]), (HINTED, &["contact_secondary_200"])], &LINKED);
    // The prose changed: the search finds the contact.
    contact(&[NEW, (CREATE_CONTACT, &["conflict_without_id_409"]), (SEARCH, &["search_secondary_200"])], &LINKED);
    // The prose names a contact that is not there, or that has other addresses only: the search has to do.
    for hinted in ["not_found_404", "contact_others_200"] {
        let taken = (CREATE_CONTACT, &["contact_conflict_409"][..]);
        contact(&[NEW, taken, (HINTED, &[hinted]), (SEARCH, &["search_secondary_200"])], &LINKED);
    }
    // What follows the colon is no id, so it gets into no path.
    contact(&[NEW, (CREATE_CONTACT, &["conflict_odd_id_409"]), (SEARCH, &["search_secondary_200"])], &LINKED);
    // The search is late: back off, nothing linked.
    contact(
        &[NEW, (CREATE_CONTACT, &["conflict_without_id_409"]), (SEARCH, &["search_empty_200"])],
        &failed(Class::Unavailable, Reason::VendorBusy, &[CREATE_CONTACT]),
    );
}

#[test]
fn a_contact_that_does_not_go_through_says_why() {
    let create = |class, reason, name: &[&str]| {
        contact(&[NEW, (CREATE_CONTACT, name)], &failed(class, reason, &[CREATE_CONTACT]));
    };
    create(Class::Unknown, Reason::OutcomeUnknown, &["!unknown"]);
    create(Class::Refused, Reason::ValueInvalid, &["value_invalid_400"]);
    create(Class::Unknown, Reason::VendorDrifted, &["note_without_id_201"]);
    let read = |class, reason, name: &[&str]| contact(&[(GET_BY_EMAIL, name)], &failed(class, reason, &[]));
    read(Class::Unavailable, Reason::VendorUnreachable, &["!not_sent"]);
    read(Class::Unauthorised, Reason::CredentialsRefused, &["unauthorised_401"]);
}

#[test]
fn a_person_without_an_address_is_refused_before_anything_is_sent() {
    let mut fixture = Fixture::new();
    fixture.application.person.emails.clear();
    let outcome = at_once(HubSpot.run("contact", &fixture.delivery(), &Portal::new(&[])));
    assert_eq!((outcome.class, outcome.reason), (Class::Refused, Some(Reason::AnswerMissing)));
    assert_eq!(outcome.fields[0].pointer, "/person/emails/0/address");
}

#[test]
fn only_blanks_are_filled_and_never_under_somebody_elses_address() {
    // The stored contact lives in Paris, FR; the applicant in Berlin. Owner and lifecycle stage are set.
    let (_, portal) = run("contact", &[], &[(GET_BY_EMAIL, &["contact_read_200"]), (FILL, &["contact_read_200"])]);
    assert_eq!(portal.writes()[0].body, json!({ "properties": { "lastname": "Example", "phone": "+15550100" } }));
}

#[test]
fn an_address_travels_as_one_path_segment() {
    assert_eq!(super::super::wire::segment("a+b/c?@example.org"), "a%2Bb%2Fc%3F%40example.org");
    assert_eq!(GET_BY_EMAIL.split_once(' ').unwrap().1, BY_EMAIL);
}

const NO_RECORD: Route<'_> = (GET_RECORD, &["not_found_404"]);
const MADE: Want = Want { reference: Some(("record_id", "409229446355")), writes: &[UPSERT], ..NOTHING };

fn record(routes: &[Route<'_>], want: &Want) {
    check("record", &[("contact_id", "734931097788")], routes, want);
}

/// The record is not there; what the upserts and the property reads and creates answer.
fn provisioning(upserts: &[&str], key: &str, create: &str, want: &Want) {
    let (key, create) = ([key], [create]);
    let own = [NO_RECORD, (UPSERT, upserts), (KEY, &key), (CREATE_PROPERTY, &create)];
    record(&[&OTHERS[..], &own].concat(), want);
}

#[test]
fn a_record_is_made_once_and_never_written_over() {
    record(&[(GET_RECORD, &["record_read_200"])], &Want { class: Class::AlreadyThere, writes: &[], ..MADE });
    let upsert = |name: &[&str], want: &Want| record(&[NO_RECORD, (UPSERT, name)], want);
    upsert(&["upsert_new_200"], &MADE);
    upsert(&["upsert_known_200"], &Want { class: Class::AlreadyThere, ..MADE });
    // A read that answers with another application's record found nothing.
    record(&[(GET_RECORD, &["record_other_200"]), (UPSERT, &["upsert_new_200"])], &MADE);
    let fails = |name: &[&str], class, reason| upsert(name, &failed(class, reason, &[UPSERT]));
    fails(&["!unknown"], Class::Unknown, Reason::OutcomeUnknown);
    fails(&["upsert_limit_207"], Class::NotNow, Reason::VendorBusy);
    fails(&["upsert_strange_207"], Class::Unknown, Reason::VendorDrifted);
    fails(&["upsert_pending_200"], Class::Unknown, Reason::VendorDrifted);
    fails(&["not_found_404"], Class::Unauthorised, Reason::AccountMisconfigured);
}

#[test]
fn missing_properties_are_created_whichever_way_hubspot_says_so() {
    let made = Want { writes: &[UPSERT, CREATE_PROPERTY, UPSERT], ..MADE };
    provisioning(&["property_missing_400", "upsert_new_200"], "not_found_404", "property_created_201", &made);
    provisioning(&["upsert_property_207", "upsert_new_200"], "not_found_404", "property_created_201", &made);
    // Another delivery created it meanwhile.
    provisioning(&["not_unique_400", "upsert_new_200"], "not_found_404", "conflict_without_id_409", &made);
    // Created, but not usable at once: back off.
    provisioning(
        &["property_missing_400"],
        "not_found_404",
        "property_created_201",
        &failed(Class::Unavailable, Reason::VendorBusy, &[UPSERT, CREATE_PROPERTY, UPSERT]),
    );
    // May not create properties.
    provisioning(
        &["property_missing_400"],
        "not_found_404",
        "missing_scopes_403",
        &failed(Class::Unauthorised, Reason::PermissionMissing, &[UPSERT, CREATE_PROPERTY]),
    );
    let misconfigured = failed(Class::Unauthorised, Reason::AccountMisconfigured, &[UPSERT]);
    // There, but not unique: a person has to decide.
    provisioning(&["not_unique_400"], "property_not_unique_200", "!unknown", &misconfigured);
    // There by the time we look: another delivery of the account was quicker.
    let late = Want { writes: &[UPSERT, UPSERT], ..MADE };
    provisioning(&["property_missing_400", "upsert_new_200"], "property_read_200", "!unknown", &late);
    // Everything is there, so the refusal is what it says.
    let misconfigured = failed(Class::Unauthorised, Reason::AccountMisconfigured, &[UPSERT, UPSERT]);
    provisioning(&["stage_invalid_400"], "property_read_200", "!unknown", &misconfigured);
    provisioning(&["upsert_stage_207"], "property_read_200", "!unknown", &misconfigured);
}

#[test]
fn the_record_identifies_the_delivery_at_the_vendor() {
    let (outcome, portal) = run("record", &[], &[(GET_RECORD, &["not_found_404"]), (UPSERT, &["upsert_new_200"])]);
    assert_eq!(outcome.vendor_id.as_deref(), Some("409229446355"));
    let input = portal.writes()[0].body["inputs"][0].clone();
    assert_eq!((&input["id"], &input["idProperty"]), (&json!(APPLICATION), &json!("causeway_application_id")));
    assert_eq!(input["properties"]["causeway_application_id"], APPLICATION);
    assert_eq!(
        (&input["properties"]["hs_pipeline"], &input["properties"]["hs_pipeline_stage"]),
        (&json!("0"), &json!("1"))
    );
}

#[test]
fn an_upsert_that_does_not_say_whether_it_was_new_is_drift() {
    for (name, drift) in [("upsert_new_200", false), ("upsert_known_200", false), ("upsert_without_new_200", true)] {
        let (outcome, _) = run("record", &[], &[NO_RECORD, (UPSERT, &[name])]);
        assert_eq!(outcome.drift, drift, "{name}");
    }
}

#[test]
fn a_missing_property_is_created_unique_in_a_group_that_exists() {
    let routes = [
        OTHERS.to_vec(),
        vec![
            (GET_RECORD, &["not_found_404"]),
            (UPSERT, &["property_missing_400", "upsert_new_200"]),
            (KEY, &["not_found_404"]),
            (CREATE_PROPERTY, &["property_created_201"]),
        ],
    ];
    let (_, portal) = run("record", &[], &routes.concat());
    let created = &portal.writes()[1].body;
    assert_eq!(
        (&created["name"], &created["hasUniqueValue"], &created["groupName"]),
        (&json!("causeway_application_id"), &json!(true), &json!("ticketinformation"))
    );
}

#[test]
fn note_and_association() {
    let note = |name: &[&str], want: &Want| check("note", DONE, &[(CREATE_NOTE, name)], want);
    note(
        &["note_created_201"],
        &Want { reference: Some(("note_id", "478016441536")), writes: &[CREATE_NOTE], ..NOTHING },
    );
    let lost = |name: &[&str], class, reason| note(name, &failed(class, reason, &[CREATE_NOTE]));
    lost(&["note_without_id_201"], Class::Unknown, Reason::VendorDrifted);
    lost(&["failed_500"], Class::Unknown, Reason::VendorFailed);
    lost(&["!not_now"], Class::NotNow, Reason::VendorBusy);
    let link = |name: &[&str], want: &Want| check("association", DONE, &[(LINK, name)], want);
    link(&["associated_200"], &Want { writes: &[LINK], ..NOTHING });
    for other in ["associated_nothing_200", "associated_other_200"] {
        link(&[other], &failed(Class::Unknown, Reason::VendorDrifted, &[LINK]));
    }
    link(&["associated_error_200"], &failed(Class::Refused, Reason::VendorRefused, &[LINK]));
    link(&["!unknown"], &failed(Class::Unknown, Reason::OutcomeUnknown, &[LINK]));
}

#[test]
fn a_step_without_what_it_builds_on_is_poison() {
    for (step, refs) in [("note", &[][..]), ("association", &[]), ("no such step", DONE)] {
        check(step, refs, &[], &failed(Class::Refused, Reason::Poison, &[]));
    }
}

#[test]
fn a_note_belongs_to_the_contact_and_the_ticket() {
    let (_, portal) = run("note", DONE, &[(CREATE_NOTE, &["note_created_201"])]);
    let type_of = |index: usize| portal.writes()[0].body["associations"][index].clone();
    assert_eq!(type_of(0)["to"]["id"], "734931097788");
    assert_eq!(type_of(0)["types"][0]["associationTypeId"], 202);
    assert_eq!(type_of(1)["to"]["id"], "409229446355");
    assert_eq!(type_of(1)["types"][0]["associationTypeId"], 228);
}

/// A step, what HubSpot answers, and the record seen (its id, is it ours beyond doubt?) or what else came of it.
type LookUp = (&'static str, &'static [Route<'static>], Result<(&'static str, bool), Found>);

#[test]
fn a_lost_answer_is_looked_up() {
    let none = Found::NotSeen { as_of: now() };
    let busy = |seconds: Option<u64>| Found::NotNow { retry_after: seconds.map(Duration::from_secs) };
    let table: &[LookUp] = &[
        ("contact", &[(GET_BY_EMAIL, &["contact_read_200"])], Ok(("734931097788", false))),
        ("contact", &[(GET_BY_EMAIL, &["not_found_404"])], Err(none.clone())),
        ("record", &[(GET_RECORD, &["record_read_200"])], Ok(("409229446355", true))),
        ("record", &[(GET_RECORD, &["not_found_404"])], Err(none.clone())),
        ("record", &[(GET_RECORD, &["failed_500"])], Err(busy(None))),
        ("note", &[(NOTE_IDS, &["note_ids_200"]), (READ_NOTES, &["notes_ours_200"])], Ok(("478016441536", true))),
        ("note", &[(NOTE_IDS, &["note_ids_200"]), (READ_NOTES, &["notes_others_200"])], Err(none.clone())),
        ("note", &[(NOTE_IDS, &["no_note_ids_200"])], Err(none)),
        // The second page holds it.
        (
            "note",
            &[
                (NOTE_IDS, &["note_ids_page_200", "note_ids_200"]),
                (READ_NOTES, &["notes_others_200", "notes_ours_200"]),
            ],
            Ok(("478016441536", true)),
        ),
        // More pages than are read.
        ("note", &[(NOTE_IDS, &["note_ids_page_200"]), (READ_NOTES, &["notes_others_200"])], Err(Found::CannotTell)),
        // Some notes could not be read: absence is not shown.
        ("note", &[(NOTE_IDS, &["note_ids_200"]), (READ_NOTES, &["upsert_strange_207"])], Err(Found::CannotTell)),
        ("note", &[(NOTE_IDS, &["note_ids_200"]), (READ_NOTES, &["notes_fewer_200"])], Err(busy(None))),
        ("note", &[(NOTE_IDS, &["note_ids_200"]), (READ_NOTES, &["associated_nothing_200"])], Err(busy(None))),
        // A record that does not say whose it is.
        ("record", &[(GET_RECORD, &["contact_others_200"])], Err(busy(None))),
        // The contact is gone.
        ("note", &[(NOTE_IDS, &["not_found_404"])], Err(Found::CannotTell)),
        ("note", &[(NOTE_IDS, &["ten_secondly_429"])], Err(busy(Some(10)))),
        ("note", &[(NOTE_IDS, &["!not_sent"])], Err(busy(None))),
        ("association", &[], Err(Found::CannotTell)),
    ];
    let fixture = Fixture::new().with_refs(DONE);
    for (step, routes, want) in table {
        let portal = Portal::new(routes);
        let found = at_once(HubSpot.find(step, &fixture.delivery(), now(), &portal));
        assert!(portal.writes().is_empty(), "a look-up writes nothing");
        match want {
            Err(want) => assert_eq!(&found, want, "{step}: {routes:?}"),
            Ok((id, ours)) => {
                let Found::Seen(records) = found else { panic!("{step}: {found:?}: {routes:?}") };
                assert_eq!(
                    (records[0].vendor_id.as_str(), records[0].carries_our_reference),
                    (*id, *ours),
                    "{routes:?}"
                );
                assert!(records[0].created_at.is_some() && records[0].refs.len() == 1);
            }
        }
    }
}

#[test]
fn a_delivered_application_is_read_back_by_its_own_property() {
    let taken = Taken { sent_at: now(), said_yes_at: now(), vendor_id: Some("409229446355") };
    for (name, expected) in [
        ("record_read_200", None),
        ("not_found_404", Some(Found::NotSeen { as_of: now() })),
        ("ten_secondly_429", Some(Found::NotNow { retry_after: Some(Duration::from_secs(10)) })),
    ] {
        let names = [name];
        let routes = [(GET_RECORD, &names[..])];
        let portal = Portal::new(&routes);
        let found = at_once(HubSpot.seen(&Fixture::new().with_refs(DONE).delivery(), &taken, &portal));
        assert_eq!(portal.sent().len(), 1, "one call");
        match (expected, found) {
            (Some(expected), found) => assert_eq!(found, expected, "{name}"),
            (None, Found::Seen(records)) => {
                assert_eq!((records[0].vendor_id.as_str(), records[0].carries_our_reference), ("409229446355", true));
            }
            (None, found) => panic!("{name}: {found:?}"),
        }
    }
}

/// As after a restore: the contact step was done since the backup, so its reference is not known.
#[test]
fn a_note_is_looked_up_without_knowing_the_contact() {
    let none = || Err(Found::NotSeen { as_of: now() });
    let nobody = (GET_BY_EMAIL, &["not_found_404"][..]);
    let known = (GET_BY_EMAIL, &["contact_read_200"][..]);
    let (ids, ours) = ((NOTE_IDS, &["note_ids_200"][..]), (READ_NOTES, &["notes_ours_200"][..]));
    let check = |routes: &[Route<'_>], want: Result<&str, Found>| {
        let (fixture, portal) = (Fixture::new(), Portal::new(routes));
        let found = at_once(HubSpot.find("note", &fixture.delivery(), now(), &portal));
        assert!(portal.writes().is_empty(), "a look-up writes nothing");
        match (found, want) {
            (Found::Seen(seen), Ok(id)) => assert_eq!((seen.len(), seen[0].vendor_id.as_str()), (1, id)),
            (found, want) => assert_eq!(Err(found), want, "{routes:?}"),
        }
    };
    check(&[known, ids, ours], Ok("478016441536"));
    check(&[known, (NOTE_IDS, &["no_note_ids_200"])], none());
    check(&[nobody, (SEARCH, &["search_empty_200"])], none());
    // The address is a secondary one: the note stands with whoever has it.
    let theirs = ("GET /crm/v4/objects/contacts/12345/associations/notes", &["note_ids_200"][..]);
    check(&[nobody, (SEARCH, &["search_secondary_200"]), theirs, ours], Ok("478016441536"));
    check(
        &[nobody, (SEARCH, &["ten_secondly_429"])],
        Err(Found::NotNow { retry_after: Some(Duration::from_secs(10)) }),
    );
    // Nothing at all is no "nobody".
    check(&[nobody, (SEARCH, &["associated_nothing_200"])], Err(Found::NotNow { retry_after: None }));
}

#[test]
fn notes_are_read_a_hundred_at_a_time() {
    let portal = Portal::new(&[(NOTE_IDS, &["note_ids_101_200"]), (READ_NOTES, &["notes_others_101_200"])]);
    let fixture = Fixture::new().with_refs(DONE);
    at_once(HubSpot.find("note", &fixture.delivery(), now(), &portal));
    let sizes: Vec<usize> =
        portal.sent().iter().filter_map(|sent| Some(sent.body.get("inputs")?.as_array()?.len())).collect();
    assert_eq!(sizes, [100, 1]);
}

#[test]
fn check_reads_only_and_says_what_it_cannot_try() {
    use Verdict::{No, NotTestable, Yes};
    const CONTACTS: &str = "POST /crm/v3/objects/contacts/search";
    const TICKETS: &str = "POST /crm/v3/objects/tickets/search";
    const PIPELINES: &str = "GET /crm/v3/pipelines/tickets";
    let good: [Route<'_>; 4] = [
        (CONTACTS, &["contacts_page_200"]),
        (TICKETS, &["contacts_page_200"]),
        (KEY, &["property_read_200"]),
        (PIPELINES, &["pipelines_200"]),
    ];
    let bad: [Route<'_>; 4] = [
        (CONTACTS, &["missing_scopes_403"]),
        (TICKETS, &["failed_500"]),
        (KEY, &["property_not_unique_200"]),
        (PIPELINES, &["unauthorised_401"]),
    ];
    let fresh: [Route<'_>; 4] = [good[0], good[1], (KEY, &["not_found_404"]), good[3]];
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a [Route<'a>], &'a [Verdict]);
    let table: &[Row<'_>] = &[
        (&[], &good, &[Yes, Yes, Yes, Yes, NotTestable]),
        (&[], &bad, &[No, NotTestable, No, No, NotTestable]),
        (&[], &fresh, &[Yes, Yes, NotTestable, Yes, NotTestable]),
        (&[("ticket_stage", "9")], &good, &[Yes, Yes, Yes, No, NotTestable]),
        (&[("ticket_pipeline", "9")], &good, &[Yes, Yes, Yes, No, NotTestable]),
        (&[("record", "custom_object")], &[], &[No]),
        (&[("record", "deal")], &[], &[No]),
    ];
    for (settings, routes, want) in table {
        let (fixture, portal) = (Fixture::new().with_settings(settings), Portal::new(routes));
        let permissions = at_once(HubSpot.check(&fixture.account, &portal));
        let verdicts: Vec<Verdict> = permissions.iter().map(|permission| permission.verdict).collect();
        assert_eq!(&verdicts, want, "{settings:?} {routes:?}");
        assert!(portal.writes().is_empty());
    }
}

#[test]
fn settings_that_cannot_work_pause_the_account_before_anything_is_sent() {
    let fixture = Fixture::new().with_settings(&[("record", "custom_object")]);
    let outcome = at_once(HubSpot.run("contact", &fixture.delivery(), &Portal::new(&[])));
    assert_eq!((outcome.class, outcome.reason), (Class::Unauthorised, Some(Reason::AccountMisconfigured)));
    let delivery = fixture.delivery();
    assert_eq!(at_once(HubSpot.find("note", &delivery, now(), &Portal::new(&[]))), Found::CannotTell);
}

#[test]
fn a_custom_object_gets_its_own_paths_and_properties() {
    let fixture =
        Fixture::new().with_settings(&[("record", "custom_object"), ("record_object_type", "2-77")]).with_refs(DONE);
    let portal = Portal::new(&[
        ("GET /crm/v3/objects/2-77/sub_00000000000070008000000000000001", &["not_found_404"]),
        ("POST /crm/v3/objects/2-77/batch/upsert", &["upsert_new_200"]),
        (CREATE_NOTE, &["note_created_201"]),
        ("PUT /crm/v4/objects/2-77/409229446355/associations/default/contacts/734931097788", &["associated_200"]),
    ]);
    for step in ["record", "note", "association"] {
        assert_eq!(at_once(HubSpot.run(step, &fixture.delivery(), &portal)).class, Class::Accepted, "{step}");
    }
    let writes = portal.writes();
    let properties = writes[0].body["inputs"][0]["properties"].as_object().unwrap();
    assert!(properties.keys().all(|name| name.starts_with("causeway_")));
    assert_eq!(writes[1].body["associations"].as_array().unwrap().len(), 1);
}
