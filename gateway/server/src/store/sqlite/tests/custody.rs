//! Custody on SQLite: what is held, copies elsewhere, retention by class, backups under load and what a restore refuses.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use causeway_core::clock::{ManualClock, SeededEntropy};
use causeway_core::delivery::State;
use causeway_core::ids::KeyId;
use causeway_core::outcome::{Class, Outcome};
use causeway_core::reason::Reason;

use super::Sqlite;
use crate::store::custody::{CopyState, Custody, HeldWish, SuspendedKey};
use crate::store::keys::RootKey;
use crate::store::setup::NewKey;
use crate::store::sqlite::{Erasures, OpenOptions, RestoreError, RestoreOptions, SqliteStore, restore};
use crate::store::suite::people::{Applied, People, VENDOR_WORDS, at, email};
use crate::store::suite::world::World;
use crate::store::trace::{LookupQuery, Retention, SubmissionKind};
use crate::store::work::{Next, RESTORED};
use crate::store::{Store, StoreError};
use crate::support::{Actor, Support};

const SURVEY: &str = r#"[{"scheme":"eeoc","answers":{"gender":"markedsurvey"}}]"#;

/// An application with a survey.
async fn surveyed(people: &People, address: &str, minutes: i64) -> Applied {
    let (mut application, applied) = people.application(address, "4001", at(minutes));
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

fn for_ages() -> Retention {
    let ages = Duration::from_secs(86_400 * 999);
    Retention {
        applications: ages,
        refusals: ages,
        idempotency: ages,
        edge_counts: ages,
        demographics: ages,
        attempts: ages,
        audit: ages,
    }
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

/// Where a backup goes and comes back to, and the gateway it is of.
struct Ground {
    folder: tempfile::TempDir,
    base: World<Sqlite>,
    people: People,
}

impl Ground {
    async fn new() -> Self {
        let base = World::<Sqlite>::new().await;
        let people = People::new(&base.store, "north", 1).await;
        Self { folder: tempfile::tempdir().unwrap(), base, people }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn root() -> RootKey {
        RootKey::generate(&SeededEntropy::new(1))
    }

    fn options(&self, erasures: Erasures) -> RestoreOptions {
        RestoreOptions {
            from: self.path("backup"),
            keys: None,
            erasures,
            into: self.path("restored"),
            root_key: Self::root(),
            clock: Arc::new(ManualClock::at(at(600))),
            entropy: Arc::new(SeededEntropy::new(77)),
        }
    }

    fn log(&self) -> PathBuf {
        self.base.backend.folder().join("erasures.log")
    }

    fn open(&self) -> Arc<SqliteStore> {
        let clock = Arc::new(ManualClock::at(at(601)));
        let entropy = Arc::new(SeededEntropy::new(78));
        SqliteStore::open(OpenOptions::new(self.path("restored"), Self::root(), clock, entropy)).unwrap()
    }
}

#[tokio::test]
async fn a_backup_under_load_holds_everything_accepted_before_it_began() {
    let ground = Ground::new().await;
    let (people, custody) = (&ground.people, ground.base.backend.inner());
    let mut before = Vec::new();
    for number in 0..20 {
        before.push(people.apply(&format!("p{number}@example.org"), "4001", at(number)).await);
    }
    people.store.erase(people.tenant, &email("p0@example.org"), "cli", at(30)).await.unwrap();
    let (into, taken_at) = (ground.path("backup"), at(40));
    let backup = custody.backup(&into, taken_at);
    let load = async {
        for number in 100..160 {
            people.apply(&format!("p{number}@example.org"), "5001", at(number)).await;
        }
        people.store.erase(people.tenant, &email("p1@example.org"), "cli", at(300)).await.unwrap();
    };
    let (report, ()) = tokio::join!(backup, load);
    let report = report.unwrap();
    assert!(report.submissions >= 20 && report.attachments + report.gone_meanwhile >= 19, "{report:?}");
    // After the backup: another erasure, which the copy of the log outside knows.
    people.store.erase(people.tenant, &email("p2@example.org"), "cli", at(301)).await.unwrap();
    let again = custody.backup(&into, taken_at).await;
    assert!(matches!(again, Err(StoreError::Exists(_))), "{again:?}");

    let restored = restore(&ground.options(Erasures::File(ground.log()))).unwrap();
    assert!(restored.erased_again >= 1 && restored.without_key == 0 && restored.accounts_paused > 0, "{restored:?}");
    let store = ground.open();
    for (number, applied) in before.iter().enumerate() {
        let held = store
            .held(
                people.tenant,
                &email(&format!("p{number}@example.org")),
                HeldWish { demographics: true, ..HeldWish::default() },
            )
            .await
            .unwrap();
        if number < 3 {
            assert!(held.records.is_empty() && held.erased_at.is_some(), "p{number} stays erased");
        } else {
            assert_eq!((held.records[0].trace.id, held.records[0].attachments.len()), (applied.id, 1), "p{number}");
            let address = email(&format!("p{number}@example.org"));
            store.held_file(people.tenant, &address, applied.id, 0).await.unwrap();
        }
    }
    assert_eq!(store.verify_audit(people.tenant).await.unwrap(), None);
    let no_persons_keys: i64 = rusqlite::Connection::open(into.join("causeway.db"))
        .unwrap()
        .query_row("SELECT count(*) FROM wrapped_keys WHERE kind IN ('submission', 'demographics')", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(no_persons_keys, 0, "they are in the file that is kept briefly");
}

#[tokio::test]
async fn a_backups_indexes_are_made_before_its_rows() {
    let ground = Ground::new().await;
    for number in 0..100 {
        ground.people.apply(&format!("p{number}@example.org"), "4001", at(number)).await;
    }
    ground.base.backend.inner().backup(&ground.path("backup"), at(200)).await.unwrap();
    let copy = rusqlite::Connection::open(ground.path("backup").join("causeway.db")).unwrap();
    let last = "SELECT max(rootpage) - count(*) FROM sqlite_schema";
    let pages: i64 = copy.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    let behind: i64 = copy.query_row(last, [], |row| row.get(0)).unwrap();
    // Each begins on the page after the one before; those of the list itself come on top.
    assert!(pages > 100 && behind <= 20, "{pages} pages, {behind} of them before the last index");
}

#[tokio::test]
async fn a_tenants_audit_names_a_backup_and_no_number_of_other_tenants() {
    let ground = Ground::new().await;
    let other = People::new(&ground.base.store, "south", 2).await;
    other.apply("ada@example.org", "4001", at(0)).await;
    let custody = ground.base.backend.inner();
    let clock = Arc::new(ManualClock::at(at(1)));
    let support = Support::new(Arc::clone(&ground.base.store), custody, clock, Arc::new(|_| {}));
    support.backup(Actor::Cli, &ground.path("backup")).await.unwrap();
    let raw = ground.base.backend.raw();
    let mut rows = raw.prepare("SELECT DISTINCT subject FROM audit WHERE action = 'support.backup'").unwrap();
    let subjects: Vec<String> = rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(subjects, ["everything"]);
}

#[tokio::test]
async fn nothing_is_due_after_a_restore_until_it_is_confirmed_and_then_it_is_asked_for_first() {
    let ground = Ground::new().await;
    let people = &ground.people;
    let fresh = people.apply("ada@example.org", "4001", at(0)).await;
    let delivered = people.apply("bo@example.com", "4001", at(0)).await;
    let (claim, begun) = people.begin(delivered.ats, people.ats, at(1)).await;
    people.settle(People::delivered(claim, begun, at(2), "900")).await;
    people.store.expire_leases(at(10)).await.unwrap();
    ground.base.backend.inner().backup(&ground.path("backup"), at(11)).await.unwrap();

    let report = restore(&ground.options(Erasures::NoneSince)).unwrap();
    assert_eq!((report.deliveries_held, report.taken_at), (3, at(11)));
    let store: Arc<dyn Store> = ground.open();
    let again = People { store: Arc::clone(&store), entropy: SeededEntropy::new(79), ..*people };
    for account in [people.ats, people.crm] {
        assert_eq!(again.claim(account, at(700)).await, vec![]);
        let paused = store.account(account).await.unwrap().paused.unwrap();
        assert_eq!(paused.reason, Reason::Restored);
    }
    assert_eq!(store.due(at(700)).await.unwrap().0, vec![]);
    store.resume_account(people.ats, "cli", at(701)).await.unwrap();
    let claims = again.claim(people.ats, at(702)).await;
    let ids: Vec<_> = claims.iter().map(|claim| claim.delivery).collect();
    assert_eq!(ids, vec![fresh.ats], "what was delivered is not sent again");
    let verifying = claims[0].verifying.as_ref().unwrap();
    assert_eq!((verifying.step.as_str(), verifying.since), (RESTORED, at(11)));
}

#[tokio::test]
async fn a_key_from_a_backup_opens_nothing_until_the_restore_is_confirmed() {
    let ground = Ground::new().await;
    let people = &ground.people;
    let leaked = KeyId::new(at(0), &SeededEntropy::new(5));
    let new = |id, name: &str, hash| NewKey {
        id,
        tenant: people.tenant,
        name: name.to_owned(),
        hash,
        scopes: Vec::new(),
        origins: Some(vec!["https://jobs.example.org".to_owned()]),
        test: false,
        actor: "cli".to_owned(),
        now: at(0),
    };
    people.store.create_key(new(leaked, "leaked", [9; 32])).await.unwrap();
    ground.base.backend.inner().backup(&ground.path("backup"), at(1)).await.unwrap();
    people.store.revoke_key(people.tenant, leaked, "cli", at(2)).await.unwrap();

    let named = |keys: &[SuspendedKey]| keys.iter().map(|key| key.name.clone()).collect::<Vec<_>>();
    let report = restore(&ground.options(Erasures::NoneSince)).unwrap();
    assert_eq!(named(&report.keys_suspended), ["leaked", "site"]);
    let custody = ground.open();
    let store: Arc<dyn Store> = Arc::clone(&custody) as Arc<dyn Store>;
    let mut site = [0; 32];
    site[..8].copy_from_slice(&1u64.to_be_bytes());
    let opens = async |hash| store.key_by_hash(hash).await.unwrap().is_some();
    assert!(!opens(site).await && !opens([9; 32]).await);
    assert!(store.origins().await.unwrap().is_empty(), "pages neither");
    assert!(store.keys(people.tenant).await.unwrap().iter().all(|key| key.suspended));
    store.create_key(new(KeyId::new(at(700), &SeededEntropy::new(6)), "fresh", [8; 32])).await.unwrap();
    assert!(opens([8; 32]).await, "one made since the restore does");

    store.revoke_key(people.tenant, leaked, "cli", at(701)).await.unwrap();
    let clock = Arc::new(ManualClock::at(at(702)));
    let support = Support::new(Arc::clone(&store), custody, clock, Arc::new(|_| {}));
    let confirmed = support.confirm_restore(Actor::Cli).await.unwrap();
    assert_eq!((named(&confirmed.keys), confirmed.accounts), (vec!["site".to_owned()], report.accounts_paused));
    assert!(opens(site).await && !opens([9; 32]).await);
    assert!(support.confirm_restore(Actor::Cli).await.is_err(), "nothing waits any more");
    assert_eq!(store.verify_audit(people.tenant).await.unwrap(), None);
}

#[tokio::test]
async fn who_applies_again_after_being_erased_is_not_erased_by_a_restore() {
    let ground = Ground::new().await;
    let people = &ground.people;
    people.apply("ada@example.org", "4001", at(0)).await;
    people.store.erase(people.tenant, &email("ada@example.org"), "cli", at(5)).await.unwrap();
    let anew = people.apply("ada@example.org", "4001", at(6)).await;
    ground.base.backend.inner().backup(&ground.path("backup"), at(7)).await.unwrap();
    assert_eq!(restore(&ground.options(Erasures::File(ground.log()))).unwrap().erased_again, 0);
    let store: Arc<dyn Store> = ground.open();
    let query = LookupQuery { email: Some(email("ada@example.org")), ..people.query() };
    let found = store.lookup(&query).await.unwrap();
    assert_eq!(found.submissions.iter().map(|trace| trace.id).collect::<Vec<_>>(), vec![anew.id]);
    let states = store.census().await.unwrap();
    assert_eq!(states.get(&State::Held), Some(&2));
}

#[tokio::test]
async fn who_was_erased_after_the_backup_is_listed_where_the_lost_gateway_may_have_sent_them() {
    let ground = Ground::new().await;
    let people = &ground.people;
    let applied = people.apply("ada@example.org", "4001", at(0)).await;
    ground.base.backend.inner().backup(&ground.path("backup"), at(1)).await.unwrap();
    people.store.erase(people.tenant, &email("ada@example.org"), "cli", at(2)).await.unwrap();
    assert_eq!(
        ground.base.backend.inner().vendor_copies(people.tenant).await.unwrap(),
        vec![],
        "nothing was sent here"
    );
    assert_eq!(restore(&ground.options(Erasures::File(ground.log()))).unwrap().erased_again, 1);
    let copies = ground.open().vendor_copies(people.tenant).await.unwrap();
    let listed: BTreeSet<_> = copies.iter().map(|copy| copy.delivery).collect();
    assert_eq!(listed, BTreeSet::from([applied.ats, applied.crm]));
}

#[tokio::test]
async fn keys_that_would_erase_what_nobody_decided_to_are_refused() {
    let ground = Ground::new().await;
    let (people, custody) = (&ground.people, ground.base.backend.inner());
    let backup = async |name: &str, minutes| {
        custody.backup(&ground.path(name), at(minutes)).await.unwrap();
        ground.path(name).join("keys.db")
    };
    people.apply("ada@example.org", "4001", at(0)).await;
    let older = backup("older", 1).await;
    people.apply("bo@example.com", "4001", at(2)).await;
    let own = backup("backup", 3).await;
    people.apply("cy@example.com", "4001", at(4)).await;
    let sql = "DELETE FROM wrapped_keys";
    let later = backup("later", 5).await;
    let copy = |name: &str, from: &Path, change: &str| {
        let to = ground.path(name);
        std::fs::copy(from, &to).unwrap();
        rusqlite::Connection::open(&to).unwrap().execute(change, []).unwrap();
        to
    };
    let check = |keys: Option<PathBuf>, told: &str| {
        let error = restore(&RestoreOptions { keys, ..ground.options(Erasures::NoneSince) }).unwrap_err();
        assert!(error.to_string().contains(told), "{told}: {error}");
        assert!(!ground.path("restored").exists());
    };
    check(Some(older), "older than the backup");
    check(Some(copy("lacking", &later, sql)), "damaged");
    check(Some(copy("other", &later, "UPDATE about SET root_key_check = zeroblob(32)")), "of another gateway");
    check(Some(copy("bare", &later, "DROP TABLE about")), "no keys.db of a backup");
    let whole = std::fs::read(&own).unwrap();
    std::fs::remove_file(&own).unwrap();
    std::fs::rename(copy("emptied", &later, sql), &own).unwrap();
    check(None, "not what was written");
    std::fs::write(&own, whole).unwrap();
    // A later one lacks what was destroyed since, which is told apart from erasures that were replayed.
    let gone = rusqlite::Connection::open(&later).unwrap();
    gone.execute_batch("DELETE FROM wrapped_keys WHERE owner = (SELECT min(owner) FROM wrapped_keys)").unwrap();
    gone.execute_batch("UPDATE about SET keys = (SELECT count(*) FROM wrapped_keys)").unwrap();
    drop(gone);
    let report = restore(&RestoreOptions { keys: Some(later), ..ground.options(Erasures::NoneSince) }).unwrap();
    assert_eq!((report.erased_again, report.without_key, report.submissions), (0, 1, 2));
}

/// Every file below a folder, with its bytes.
fn tree(folder: &Path) -> BTreeSet<(PathBuf, Vec<u8>)> {
    let mut found = BTreeSet::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for entry in entries.map(Result::unwrap) {
        if entry.path().is_dir() {
            found.extend(tree(&entry.path()));
        } else {
            found.insert((entry.path(), std::fs::read(entry.path()).unwrap()));
        }
    }
    found
}

#[tokio::test]
async fn what_cannot_be_restored_is_refused_and_changes_nothing() {
    let ground = Ground::new().await;
    ground.people.apply("ada@example.org", "4001", at(0)).await;
    ground.people.store.erase(ground.people.tenant, &email("ada@example.org"), "cli", at(1)).await.unwrap();
    ground.people.apply("bo@example.com", "4001", at(2)).await;
    ground.base.backend.inner().backup(&ground.path("backup"), at(11)).await.unwrap();
    let backup = ground.path("backup");
    let good = || ground.options(Erasures::NoneSince);
    let refused = |what: &str, options: RestoreOptions, is: fn(&RestoreError) -> bool| {
        let before = tree(&options.into);
        let error = restore(&options).unwrap_err();
        assert!(is(&error), "{what}: {error:?}");
        assert_eq!(tree(&options.into), before, "{what}");
    };
    refused("no backup", RestoreOptions { from: ground.path("nothing"), ..good() }, |error| {
        matches!(error, RestoreError::NoBackup(_))
    });
    let other_key = RestoreOptions { root_key: RootKey::generate(&SeededEntropy::new(99)), ..good() };
    refused("root key", other_key, |error| matches!(error, RestoreError::WrongRootKey));
    refused("keys", RestoreOptions { keys: Some(ground.path("none")), ..good() }, |error| {
        matches!(error, RestoreError::NoKeys(_))
    });
    let log = ground.path("changed.log");
    let text = std::fs::read_to_string(ground.log()).unwrap();
    std::fs::write(&log, text.replace("2026", "2027")).unwrap();
    refused("log", ground.options(Erasures::File(log)), |error| matches!(error, RestoreError::Erasures { .. }));
    refused("no log", ground.options(Erasures::File(ground.path("none"))), |error| {
        matches!(error, RestoreError::Erasures { .. })
    });
    std::fs::create_dir_all(ground.path("full")).unwrap();
    std::fs::write(ground.path("full").join("a"), "b").unwrap();
    refused("not empty", RestoreOptions { into: ground.path("full"), ..good() }, |error| {
        matches!(error, RestoreError::NotEmpty(_))
    });
    // A newer program's: the schema says so.
    let database = rusqlite::Connection::open(backup.join("causeway.db")).unwrap();
    let whole = std::fs::read(backup.join("causeway.db")).unwrap();
    database.execute("INSERT INTO migrations VALUES (999, 'later', x'00', 0)", []).unwrap();
    drop(database);
    refused("changed", good(), |error| matches!(error, RestoreError::Damaged));
    let manifest = std::fs::read_to_string(backup.join("backup.json")).unwrap();
    let mut written: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let hash = crate::hash::sha256(&std::fs::read(backup.join("causeway.db")).unwrap());
    written["database_sha256"] = data_encoding::HEXLOWER.encode(&hash).into();
    std::fs::write(backup.join("backup.json"), written.to_string()).unwrap();
    refused("newer schema", good(), |error| matches!(error, RestoreError::Migrate(_)));
    std::fs::write(backup.join("causeway.db"), whole).unwrap();
    std::fs::write(backup.join("backup.json"), manifest).unwrap();
    // Attachments that went missing are noticed after the copy began; what was written is gone again.
    std::fs::rename(backup.join("blobs"), backup.join("elsewhere")).unwrap();
    refused("blobs", good(), |error| matches!(error, RestoreError::BlobsMissing(1)));
    std::fs::rename(backup.join("elsewhere"), backup.join("blobs")).unwrap();
    assert_eq!(restore(&good()).unwrap().attachments, 1, "the same backup, whole");
    refused("twice", good(), |error| matches!(error, RestoreError::NotEmpty(_)));
}
