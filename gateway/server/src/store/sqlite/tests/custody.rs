//! Custody on SQLite: what is held, copies elsewhere, retention by class.

use std::time::Duration;

use bytes::Bytes;
use causeway_core::outcome::{Class, Outcome};
use causeway_core::reason::Reason;

use super::Sqlite;
use crate::store::StoreError;
use crate::store::custody::{CopyState, Custody, HeldWish};
use crate::store::suite::people::{Applied, People, VENDOR_WORDS, at, email};
use crate::store::suite::world::{World, for_ages};
use crate::store::trace::{Retention, SubmissionKind};
use crate::store::work::Next;

const SURVEY: &str = r#"[{"scheme":"eeoc","answers":{"gender":"markedsurvey"}}]"#;

/// An application with a survey.
async fn surveyed(people: &People, address: &str, minutes: i64) -> Applied {
    let (mut application, applied) = people.application(address, "4001", at(minutes)).await;
    let document = format!(r#"{{"email":"{address}","demographics":{SURVEY},"after":1}}"#);
    application.document = Bytes::from(document);
    people.store.accept(application).await.unwrap();
    applied
}

fn plain(document: &Bytes) -> String {
    String::from_utf8(document.to_vec()).unwrap()
}

#[tokio::test]
async fn what_is_held_is_opened_whole_and_surveys_only_on_request() {
    let base = World::<Sqlite>::new().await;
    let custody = base.backend.inner();
    let people = People::new(&base.store, "north", 1).await;
    let other = People::new(&base.store, "south", 2).await;
    surveyed(&people, "ada@example.org", 0).await;
    people.refuse("ada@example.org", "5001", at(1)).await;
    people.apply("bo@example.com", "4001", at(2)).await;
    other.apply("ada@example.org", "4001", at(3)).await;
    let check = async |demographics: bool, survey: &str, left_out: bool| {
        let wish = HeldWish { demographics, ..HeldWish::default() };
        let held = custody.held(people.tenant, &email("Ada@example.org"), wish).await.unwrap();
        assert_eq!(held.records.len(), 2, "of this tenant and this person");
        let first = &held.records[0];
        assert_eq!((first.attachments.len(), first.demographics_left_out), (1, left_out));
        assert_eq!(held.next, None);
        let expected = format!(r#"{{"email":"ada@example.org","demographics":{survey},"after":1}}"#);
        assert_eq!(plain(&first.document), expected);
        assert!(matches!(&held.records[1].trace.kind, SubmissionKind::Refused { errors, .. } if errors.len() == 1));
    };
    check(true, SURVEY, false).await;
    check(false, "[]", true).await;
    let nobody = custody.held(people.tenant, &email("nobody@example.org"), HeldWish::default()).await.unwrap();
    assert!(nobody.records.is_empty() && nobody.erased_at.is_none());
}

#[tokio::test]
async fn what_is_held_comes_in_pages_and_its_files_one_at_a_time() {
    let base = World::<Sqlite>::new().await;
    let custody = base.backend.inner();
    let people = People::new(&base.store, "north", 1).await;
    let other = People::new(&base.store, "south", 2).await;
    let ada = email("ada@example.org");
    let applied = surveyed(&people, "ada@example.org", 0).await;
    people.refuse("ada@example.org", "5001", at(1)).await;
    let elsewhere = other.apply("ada@example.org", "4001", at(3)).await;
    let bos = people.apply("bo@example.com", "4001", at(2)).await;

    // Whatever a document weighs, a page is not much more than was asked for.
    let page = async |after| {
        let wish = HeldWish { page_bytes: 1, after, ..HeldWish::default() };
        custody.held(people.tenant, &ada, wish).await.unwrap()
    };
    let first = page(None).await;
    assert_eq!((first.records.len(), first.records[0].trace.id, first.next), (1, applied.id, Some(applied.id)));
    let second = page(first.next).await;
    assert_eq!((second.records.len(), second.next), (1, None));
    assert_ne!(second.records[0].trace.id, applied.id);
    let stale = HeldWish { after: Some(bos.id), ..HeldWish::default() };
    assert!(matches!(custody.held(people.tenant, &ada, stale).await, Err(StoreError::NotFound("submission"))));

    let file = async |id, position| custody.held_file(people.tenant, &ada, id, position).await;
    assert!(!file(applied.id, 0).await.unwrap().is_empty());
    // None is there; another person's; another tenant's.
    for (id, position) in [(applied.id, 1), (bos.id, 0), (elsewhere.id, 0)] {
        assert!(matches!(file(id, position).await, Err(StoreError::NotFound("attachment"))), "{id} {position}");
    }
    people.store.erase(people.tenant, &ada, "test", at(5)).await.unwrap();
    assert!(file(applied.id, 0).await.is_err(), "erased meanwhile");
}

#[tokio::test]
async fn survey_answers_are_loaded_for_an_ats_and_never_for_a_crm() {
    let base = World::<Sqlite>::new().await;
    let people = People::new(&base.store, "north", 1).await;
    surveyed(&people, "ada@example.org", 0).await;
    for (account, has) in [(people.ats, true), (people.crm, false)] {
        let claim = people.claim(account, at(1)).await.remove(0);
        let (item, _) = people.store.load(&claim, false).await.unwrap();
        assert_eq!(plain(&item.document).contains("markedsurvey"), has);
        serde_json::from_slice::<serde_json::Value>(&item.document).unwrap();
    }
}

#[tokio::test]
async fn copies_at_vendors_stay_listed_until_somebody_says_how_each_ended() {
    let base = World::<Sqlite>::new().await;
    let custody = base.backend.inner();
    let people = People::new(&base.store, "north", 1).await;
    let other = People::new(&base.store, "south", 2).await;
    let first = people.apply("ada@example.org", "4001", at(0)).await;
    let (claim, begun) = people.begin(first.crm, people.crm, at(1)).await;
    people.settle(People::delivered(claim, begun, at(2), "900")).await;
    let (claim, begun) = people.begin(first.ats, people.ats, at(1)).await;
    people.settle(People::refused(claim, begun, at(2))).await;
    assert_eq!(custody.vendor_copies(people.tenant).await.unwrap(), vec![], "not erased yet");
    people.store.erase(people.tenant, &email("ada@example.org"), "cli", at(10)).await.unwrap();
    let listed = custody.vendor_copies(people.tenant).await.unwrap();
    let shown: Vec<_> = listed.iter().map(|copy| (copy.delivery, copy.state, copy.erased_at, copy.since)).collect();
    assert_eq!(shown, vec![(first.crm, CopyState::ByHand, Some(at(10)), Some(at(2)))]);
    let settle = async |tenant, state| custody.settle_vendor_copy(tenant, first.crm, state, "officer", at(20)).await;
    assert!(matches!(settle(other.tenant, CopyState::Confirmed).await, Err(StoreError::NotFound(_))));
    for state in [CopyState::AskedVendor, CopyState::Confirmed] {
        let settled = settle(people.tenant, state).await.unwrap();
        let said = (settled[0].state, settled[0].changed_by.as_deref(), settled[0].changed_at);
        assert_eq!(said, (state, Some("officer"), Some(at(20))));
    }
    assert_eq!(people.store.verify_audit(people.tenant).await.unwrap(), None);
}

#[tokio::test]
async fn each_class_has_its_own_time() {
    let base = World::<Sqlite>::new().await;
    let custody = base.backend.inner();
    let people = People::new(&base.store, "north", 1).await;
    let done = surveyed(&people, "ada@example.org", 0).await;
    let live = surveyed(&people, "bo@example.com", 0).await;
    for (delivery, account) in [(done.ats, people.ats), (done.crm, people.crm)] {
        let (claim, begun) = people.begin(delivery, account, at(1)).await;
        people.settle(People::refused(claim, begun, at(2))).await;
    }
    let (hour, long) = (Duration::from_secs(3_600), for_ages());
    let run = async |retention: Retention| people.store.retain(&retention, at(120), 100).await.unwrap();
    assert_eq!(run(long.clone()).await.total(), 0);

    let report = run(Retention { demographics: hour, ..long.clone() }).await;
    assert_eq!((report.demographics, report.total()), (1, 1), "not of what may still have to be sent");
    let document = async |address: &str| {
        let wish = HeldWish { demographics: true, ..HeldWish::default() };
        let held = custody.held(people.tenant, &email(address), wish).await.unwrap();
        plain(&held.records[0].document)
    };
    assert!(!document("ada@example.org").await.contains("markedsurvey"), "the application stays, its survey does not");
    assert!(document("bo@example.com").await.contains("markedsurvey"));
    let keys: i64 = base
        .backend
        .raw()
        .query_row("SELECT count(*) FROM wrapped_keys WHERE kind = 'demographics'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(keys, 1);

    let report = run(Retention { attempts: hour, ..long.clone() }).await;
    assert_eq!((report.attempts, report.total()), (2, 2));
    let left = people.by_code(&live.code).await;
    assert_eq!(left.submissions.len(), 1);

    let before: i64 = audit_rows(&base);
    let report = run(Retention { audit: hour, ..long.clone() }).await;
    assert!(report.audit > 3 && report.audit == report.total(), "{report:?}");
    assert!(audit_rows(&base) < before);
    assert_eq!(people.store.verify_audit(people.tenant).await.unwrap(), None, "the chain goes on from its floor");
    people.apply("cy@example.com", "4001", at(121)).await;
    assert_eq!(people.store.verify_audit(people.tenant).await.unwrap(), None);
    // A floor that nobody signed is no floor.
    let tenant = people.tenant.as_uuid().into_bytes();
    let forged = "UPDATE audit_floors SET position = position + 1 WHERE tenant = ?1";
    base.backend.raw().execute(forged, [tenant]).unwrap();
    assert!(people.store.verify_audit(people.tenant).await.unwrap().is_some());
}

#[tokio::test]
async fn retention_leaves_what_alone_says_that_a_vendor_may_have_a_copy() {
    let base = World::<Sqlite>::new().await;
    let people = People::new(&base.store, "north", 1).await;
    let applied = people.apply("ada@example.org", "4001", at(0)).await;
    let (claim, begun) = people.begin(applied.ats, people.ats, at(1)).await;
    let mut lost = People::refused(claim, begun, at(2));
    lost.outcome = Some(Outcome::new(Class::Unknown).because(Reason::OutcomeUnknown).said(500, VENDOR_WORDS));
    lost.next = Next::Park { reason: Reason::OutcomeUnknown };
    people.settle(lost).await;
    let retention = Retention { attempts: Duration::from_secs(3_600), ..for_ages() };
    let retain = async || people.store.retain(&retention, at(120), 100).await.unwrap().total();
    assert_eq!((retain().await, retain().await), (1, 0), "the words went, once");
    let words = "SELECT count(*) FROM attempts WHERE words_sealed IS NOT NULL";
    assert_eq!(base.backend.raw().query_row(words, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    let ada = email("ada@example.org");
    let plan = people.store.erasure_plan(people.tenant, &ada).await.unwrap();
    assert_eq!(plan.vendor_copies.iter().map(|copy| copy.delivery).collect::<Vec<_>>(), vec![applied.ats]);
    people.store.erase(people.tenant, &ada, "cli", at(130)).await.unwrap();
    let copies = base.backend.inner().vendor_copies(people.tenant).await.unwrap();
    assert_eq!(copies.iter().map(|copy| copy.delivery).collect::<Vec<_>>(), vec![applied.ats]);
    assert_eq!(people.store.retain(&retention, at(140), 100).await.unwrap().attempts, 1, "the list says it now");
}

#[tokio::test]
async fn the_fingerprint_of_who_was_erased_goes_with_the_idempotency_key() {
    let base = World::<Sqlite>::new().await;
    let people = People::new(&base.store, "north", 1).await;
    let erased = people.apply("ada@example.org", "4001", at(0)).await;
    let kept = people.apply("bo@example.com", "4001", at(0)).await;
    people.store.erase(people.tenant, &email("ada@example.org"), "cli", at(1)).await.unwrap();
    let retention = Retention { idempotency: Duration::from_secs(3_600), ..for_ages() };
    assert_eq!(people.store.retain(&retention, at(120), 100).await.unwrap().idempotency, 2);
    for (applied, has) in [(erased, false), (kept, true)] {
        let sql = "SELECT fingerprint IS NOT NULL FROM submissions WHERE id = ?1";
        let id = applied.id.as_uuid().into_bytes();
        assert_eq!(base.backend.raw().query_row(sql, [id], |row| row.get::<_, bool>(0)).unwrap(), has);
    }
}

fn audit_rows(base: &World<Sqlite>) -> i64 {
    base.backend.raw().query_row("SELECT count(*) FROM audit", [], |row| row.get(0)).unwrap()
}
