//! Rows and blobs that somebody or something has changed: never sent, always visible, and no harm to the rest.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use causeway_core::ids::{BlobId, DeliveryId};
use causeway_core::reason::Reason;

use super::Sqlite;
use crate::hash::sha256;
use crate::store::StoreError;
use crate::store::intake::{NewApplication, NewAttachment};
use crate::store::sql::rows::{Columns, Conn, Sql, StoredId, every, params, sql, value};
use crate::store::sql::scope::Scope;
use crate::store::sql::submission;
use crate::store::suite::world::World;
use crate::store::work::ClaimRequest;

fn with_cv(w: &World<Sqlite>, email: &str) -> NewApplication {
    let bytes = Bytes::from_static(b"canary-cv");
    let attachments = vec![NewAttachment { id: "cv".into(), sha256: sha256(&bytes), bytes }];
    NewApplication { attachments, ..w.application(email) }
}

/// Two applications, the first damaged by `sql`: it is not handed out, it is parked in a case, the second goes on.
async fn check(sql: &str) {
    let w = World::<Sqlite>::new().await;
    let (first, delivery) = w.accept(with_cv(&w, "ada@example.org")).await;
    let (second, _) = w.accept(with_cv(&w, "bob@example.org")).await;
    let changed = w.backend.raw().execute(sql, rusqlite::params![first.bytes(), second.bytes()]).unwrap();
    assert!(changed > 0, "{sql}");
    let mut loaded = Vec::new();
    for claim in w.claim(2).await {
        match w.store.load(&claim, true).await {
            Ok(_) => loaded.push(claim.submission),
            Err(StoreError::Corrupt(_)) => assert_eq!(claim.submission, first, "{sql}"),
            Err(other) => panic!("{other:?}: {sql}"),
        }
    }
    assert_eq!(loaded, [second], "{sql}");
    assert_eq!(parked(&w, delivery), Some(Reason::Poison.as_str().to_owned()), "{sql}");
    assert_eq!(w.claim(2).await, [], "{sql}");
}

#[tokio::test]
async fn whose_claim_fails_is_told_apart_from_who_has_no_work() {
    let w = World::<Sqlite>::new().await;
    let mut application = w.application("ada@example.org");
    application.deliveries.push(w.target(w.crm));
    w.accept(application).await;
    let fails = |account: &str| {
        let stop = "RAISE(ABORT, 'as a damaged page would')";
        let trigger = format!(
            "DROP TRIGGER IF EXISTS damaged; CREATE TRIGGER damaged BEFORE UPDATE ON deliveries WHEN NEW.account IN \
             (SELECT id FROM accounts WHERE name LIKE '{account}') BEGIN SELECT {stop}; END"
        );
        w.backend.raw().execute_batch(&trigger).unwrap();
    };
    let claim = async || {
        let wants = vec![(w.ats, 1), (w.crm, 1)];
        let request =
            ClaimRequest { owner: "me".into(), wants, suspect_of: None, lease: Duration::from_secs(60), now: w.now() };
        w.store.claim(request).await
    };
    fails("%");
    assert!(claim().await.is_err(), "nothing is leased");
    fails("acme-crm");
    let claimed = claim().await.unwrap();
    let accounts: Vec<_> = claimed.claims.iter().map(|claim| claim.account).collect();
    assert_eq!((accounts, claimed.failed), (vec![w.ats], vec![w.crm]));
}

/// The reason of the delivery's open case, if it is parked.
fn parked(w: &World<Sqlite>, delivery: DeliveryId) -> Option<String> {
    let case = "SELECT c.reason FROM deliveries d JOIN cases c ON c.id = d.case_id AND c.closed_at IS NULL
        WHERE d.id = ?1 AND d.state = 'parked' AND d.next_attempt_at IS NULL AND c.delivery = d.id";
    value(Conn::Sqlite(&w.backend.raw()), Sql::of(case), params![delivery.bytes()]).unwrap()
}

#[tokio::test]
async fn swapped_changed_and_missing_values_do_not_open() {
    for sql in [
        "UPDATE submissions SET document_sealed = (SELECT document_sealed FROM submissions WHERE id = ?2) WHERE id = ?1",
        "UPDATE submissions SET document_sealed = x'01' WHERE id = ?1 AND ?2 IS NOT NULL",
        "UPDATE wrapped_keys SET wrapped = (SELECT wrapped FROM wrapped_keys WHERE owner = ?2) WHERE owner = ?1",
        "DELETE FROM wrapped_keys WHERE owner = ?1 AND ?2 IS NOT NULL",
        "UPDATE attachments SET meta_sealed = (SELECT meta_sealed FROM attachments WHERE submission = ?2)
            WHERE submission = ?1",
    ] {
        check(sql).await;
    }
}

#[tokio::test]
async fn rows_that_do_not_read_back_are_parked() {
    for change in [
        "submission = x'00'",
        "tenant = x'00'",
        "state = 'gone'",
        "refs = '['",
        "verifying_step = 'submit'",
        "attempts = -1",
        "state = 'verifying'",
        "reason = 'no such reason'",
    ] {
        check(&format!("UPDATE deliveries SET {change} WHERE submission = ?1 AND ?2 IS NOT NULL")).await;
    }
}

#[tokio::test]
async fn a_lost_attempt_row_parks_its_delivery() {
    let w = World::<Sqlite>::new().await;
    let (_, delivery) = w.accept(w.application("ada@example.org")).await;
    w.begin(&w.one_claim().await).await;
    w.backend.raw().execute("DELETE FROM attempts", []).unwrap();
    w.pass(61);
    assert_eq!(w.store.expire_leases(w.now()).await.unwrap(), (1, 0));
    assert_eq!(w.claim(1).await, []);
    assert!(parked(&w, delivery).is_some());
}

#[tokio::test]
async fn a_record_of_another_tenant_does_not_open_here() {
    let w = World::<Sqlite>::new().await;
    let (other, account) = w.other_tenant().await;
    w.accept(w.application("ada@example.org")).await;
    // The whole row, its key and its delivery are claimed for the other tenant.
    for table in ["submissions", "deliveries", "wrapped_keys"] {
        let mine = format!("UPDATE {table} SET tenant = ?1 WHERE tenant = ?2");
        w.backend.raw().execute(&mine, rusqlite::params![other.bytes(), w.tenant.bytes()]).unwrap();
    }
    w.backend.raw().execute("UPDATE deliveries SET account = ?1", rusqlite::params![account.bytes()]).unwrap();
    let claims = w.claim_of(account, 1).await;
    assert!(matches!(w.store.load(&claims[0], false).await, Err(StoreError::Corrupt(_))));
}

fn blob_files(w: &World<Sqlite>) -> Vec<PathBuf> {
    let list = |path: PathBuf| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    list(w.backend.folder().join("blobs")).flat_map(list).collect()
}

#[tokio::test]
async fn a_blob_that_is_not_what_was_accepted_is_never_sent() {
    for damage in ["changed", "missing", "replaced"] {
        let w = World::<Sqlite>::new().await;
        let (id, delivery) = w.accept(with_cv(&w, "ada@example.org")).await;
        let file = blob_files(&w).remove(0);
        match damage {
            "changed" => {
                let mut bytes = std::fs::read(&file).unwrap();
                bytes[0] ^= 1;
                std::fs::write(&file, bytes).unwrap();
            }
            "missing" => std::fs::remove_file(&file).unwrap(),
            // Sealed with the right key: only the hash in the row tells.
            _ => {
                let store = w.backend.inner();
                let keys = store.tenant_keys(w.tenant).unwrap();
                let key = store.read(Scope::Every, move |conn| submission::data_key(conn, &keys, id)).await.unwrap();
                let blob = every(Conn::Sqlite(&w.backend.raw()), sql!("custody/blobs"), params![], |row| {
                    row.id::<BlobId>("blob")
                });
                let blob = blob.unwrap()[0];
                let key = key.for_blob(w.tenant, blob.as_uuid());
                store.blobs.put(key, blob, Bytes::from_static(b"another cv")).await.unwrap();
            }
        }
        let claim = w.one_claim().await;
        assert!(matches!(w.store.load(&claim, true).await, Err(StoreError::Corrupt("attachment"))), "{damage}");
        assert!(parked(&w, delivery).is_some(), "{damage}");
    }
}

#[tokio::test]
async fn demographics_do_not_open_with_the_documents_key() {
    let w = World::<Sqlite>::new().await;
    let document = Bytes::from_static(br#"{"person":"Ada","demographics":["answers"],"job":"1"}"#);
    let (id, _) = w.accept(NewApplication { document, ..w.application("ada@example.org") }).await;
    let store = w.backend.inner();
    let keys = store.tenant_keys(w.tenant).unwrap();
    let conn = w.backend.raw();
    let key = submission::data_key(Conn::Sqlite(&conn), &keys, id).unwrap();
    let row = id.bytes();
    let open = |column, sealed: &str| {
        let text = format!("SELECT {sealed} FROM submissions");
        let sealed: Option<Vec<u8>> = conn.query_row(&text, [], |row| row.get(0)).unwrap();
        key.open(&submission::Places::submission(w.tenant, &row, column), &sealed.unwrap()).ok()
    };
    assert_eq!(open("document", "document_sealed").unwrap(), br#"{"person":"Ada","demographics":,"job":"1"}"#);
    assert_eq!(open("demographics", "demographics_sealed"), None);
}

#[tokio::test]
async fn only_unnamed_old_blobs_are_swept() {
    let w = World::<Sqlite>::new().await;
    w.accept(with_cv(&w, "ada@example.org")).await;
    // A second request that turns out to be the first leaves no blob.
    w.store.accept(with_cv(&w, "ada@example.org")).await.unwrap();
    assert_eq!(blob_files(&w).len(), 1);
    let mut failing = with_cv(&w, "bob@example.org");
    failing.deliveries = vec![w.target(w.other_tenant().await.1)];
    assert!(w.store.accept(failing).await.is_err());
    assert_eq!(blob_files(&w).len(), 2);
    assert_eq!(w.store.sweep_blobs(w.later(23 * 3_600)).await.unwrap(), 0);
    assert_eq!(w.store.sweep_blobs(w.later(25 * 3_600)).await.unwrap(), 1);
    assert_eq!(blob_files(&w).len(), 1);
    w.store.load(&w.one_claim().await, true).await.unwrap();
}

#[tokio::test]
async fn nothing_personal_or_secret_is_on_disk_in_the_open() {
    let w = World::<Sqlite>::new().await;
    let mut application = with_cv(&w, "canary-person@example.org");
    application.document =
        Bytes::from_static(br#"{"person":"canary-document","demographics":["canary-demographics"]}"#);
    application.idempotency_key = Some("canary-key".into());
    application.deliveries[0].held = Some((
        causeway_core::delivery::HeldCause::PostingUnknown,
        Reason::PostingNotSyncedYet,
        vec![causeway_core::outcome::FieldReason {
            pointer: "/canary-pointer".into(),
            reason: Reason::ValueInvalid,
            text: "canary-text".into(),
        }],
    ));
    w.accept(application).await;
    let mut posting = crate::store::suite::world::posting("4001");
    posting.recruiter = Some(causeway_core::pii::Pii::new("canary-recruiter".into()));
    let sync =
        crate::store::setup::Sync { account: w.ats, started_at: w.now(), complete: true, postings: vec![posting] };
    w.store.apply_sync(sync).await.unwrap();
    let search = |w: &World<Sqlite>, text: &str| {
        let mut files = blob_files(w);
        let data = w.backend.folder();
        files.extend(["causeway.db", "causeway.db-wal"].map(|name| data.join(name)));
        let read = |path: &PathBuf| std::fs::read(path).unwrap_or_default();
        files.iter().map(read).filter(|bytes| bytes.windows(text.len()).any(|at| at == text.as_bytes())).count()
    };
    for _ in 0..2 {
        assert_eq!(search(&w, "canary"), 0);
        assert!(search(&w, "posting_unknown") > 0, "the search looks where the rows are");
        // Once with the log, once with everything moved into the database.
        w.backend.inner().engine.sqlite().writer.truncate_log().await.unwrap();
    }
}
