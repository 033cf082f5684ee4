//! Backups under load, and what a restore brings back, holds and refuses.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use causeway_core::clock::{ManualClock, SeededEntropy};
use causeway_core::delivery::State;
use causeway_core::ids::{EndpointId, KeyId};
use causeway_core::pii::Secret;
use causeway_core::reason::Reason;

use super::Sqlite;
use crate::store::custody::{Custody, HeldWish, SuspendedKey};
use crate::store::keys::RootKey;
use crate::store::setup::NewKey;
use crate::store::sql::SqlStore;
use crate::store::sqlite::{self, Erasures, OpenOptions, RestoreError, RestoreOptions, restore};
use crate::store::suite::people::{People, at, email};
use crate::store::suite::world::World;
use crate::store::trace::LookupQuery;
use crate::store::webhooks::{ClaimMessages, NewEndpoint, Webhooks};
use crate::store::work::RESTORED;
use crate::store::{Store, StoreError};
use crate::support::{Actor, Support};

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
            bucket: None,
            root_key: Self::root(),
            clock: Arc::new(ManualClock::at(at(600))),
            entropy: Arc::new(SeededEntropy::new(77)),
        }
    }

    fn log(&self) -> PathBuf {
        self.base.backend.folder().join("erasures.log")
    }

    fn open(&self) -> Arc<SqlStore> {
        self.open_at("restored")
    }

    fn open_at(&self, name: &str) -> Arc<SqlStore> {
        let clock = Arc::new(ManualClock::at(at(601)));
        let entropy = Arc::new(SeededEntropy::new(78));
        sqlite::open(OpenOptions::new(self.path(name), Self::root(), clock, entropy)).unwrap()
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
async fn codes_given_after_the_backup_are_not_given_again_after_a_restore() {
    let ground = Ground::new().await;
    let store = ground.base.backend.inner();
    let mut given = BTreeSet::from([store.new_code().await.unwrap()]);
    store.backup(&ground.path("backup"), at(1)).await.unwrap();
    // More than were reserved when the backup was taken.
    for _ in 0..70_000 {
        given.insert(store.new_code().await.unwrap());
    }
    restore(&ground.options(Erasures::NoneSince)).unwrap();
    let restored = ground.open();
    for _ in 0..1_000 {
        let code = restored.new_code().await.unwrap();
        assert!(given.insert(code.clone()), "{code}");
    }
    // The same backup once more, elsewhere.
    let again = RestoreOptions {
        into: ground.path("again"),
        entropy: Arc::new(SeededEntropy::new(80)),
        ..ground.options(Erasures::NoneSince)
    };
    restore(&again).unwrap();
    let again = ground.open_at("again");
    for _ in 0..1_000 {
        let code = again.new_code().await.unwrap();
        assert!(given.insert(code.clone()), "{code}");
    }
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
async fn an_endpoint_from_a_backup_gets_nothing_until_the_restore_is_confirmed() {
    let ground = Ground::new().await;
    let people = &ground.people;
    let inner = ground.base.backend.inner();
    let new = |tenant| NewEndpoint {
        id: EndpointId::new(at(0), &SeededEntropy::new(5)),
        tenant,
        url: "https://jobs.example.org/hooks".to_owned(),
        events: Vec::new(),
        test: false,
        allow_private: false,
        secret: Secret::new("whsec_canary"),
        actor: "cli".to_owned(),
        now: at(0),
    };
    let endpoint = inner.add_endpoint(new(people.tenant)).await.unwrap();
    people.apply("ada@example.org", "4001", at(0)).await;
    inner.backup(&ground.path("backup"), at(1)).await.unwrap();
    drop(inner);

    restore(&ground.options(Erasures::NoneSince)).unwrap();
    let store = ground.open();
    let due = async || store.due_endpoints(at(700)).await.unwrap();
    assert_eq!(due().await, [], "it may have been removed since");
    assert_eq!(store.endpoints(None).await.unwrap()[0].disabled.as_ref().unwrap().reason, Reason::Restored);
    let support = {
        let clock = Arc::new(ManualClock::at(at(702)));
        let (store, custody) = (Arc::clone(&store) as Arc<dyn Store>, Arc::clone(&store));
        Support::new(store, custody, clock, Arc::new(|_| {}))
    };
    support.confirm_restore(Actor::Cli).await.unwrap();
    assert_eq!(due().await, [endpoint.id], "what the restore held is told then");
    let wants = vec![(endpoint.id, 9)];
    let wish = ClaimMessages { wants, lease: Duration::from_secs(60), now: at(703) };
    let claims = store.claim_messages(wish).await.unwrap();
    assert!(!claims.is_empty() && claims.iter().all(|claim| claim.secrets[0].reveal() == "whsec_canary"));
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
