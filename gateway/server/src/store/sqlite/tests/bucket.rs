//! The contract with attachments in a bucket, and what only a bucket can do to a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use causeway_core::clock::{ManualClock, SeededEntropy};
use causeway_servers::S3;
use futures_util::StreamExt as _;
use object_store::ObjectStoreExt as _;

use super::Sqlite;
use crate::bucket::Bucket;
use crate::bucket::testing::{impatient, real};
use crate::hash::sha256;
use crate::store::custody::Custody as _;
use crate::store::intake::{Accepted, NewApplication, NewAttachment};
use crate::store::keys::RootKey;
use crate::store::receipts::Receipts;
use crate::store::sqlite::{self, Erasures, OpenOptions, RestoreOptions, restore};
use crate::store::suite::store_suite;
use crate::store::suite::world::{Backend, World};
use crate::store::webhooks::Webhooks;
use crate::store::{Store, StoreError};

/// A data directory of its own, and a part of a bucket.
struct InBucket {
    sqlite: Sqlite,
    bucket: Bucket,
}

impl Default for InBucket {
    fn default() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        Self::with(real(&format!("store/{}", NUMBER.fetch_add(1, Ordering::Relaxed))))
    }
}

impl InBucket {
    fn with(bucket: Bucket) -> Self {
        Self { sqlite: Sqlite::default(), bucket }
    }

    async fn objects(&self) -> Vec<object_store::path::Path> {
        let listed = self.bucket.store().list(Some(self.bucket.prefix()));
        listed.map(|object| object.unwrap().location).collect().await
    }
}

impl Backend for InBucket {
    fn open(&self, clock: Arc<ManualClock>) -> Arc<dyn Store> {
        let options = OpenOptions { bucket: Some(self.bucket.clone()), ..self.sqlite.options(&clock) };
        let store = sqlite::open(options).unwrap();
        *self.sqlite.opened.lock().unwrap() = Arc::downgrade(&store);
        store
    }

    fn webhooks(&self) -> Arc<dyn Webhooks> {
        self.sqlite.inner()
    }

    fn receipts(&self) -> Arc<dyn Receipts> {
        self.sqlite.inner()
    }
}

store_suite!(InBucket);

fn with_cv<B: Backend>(w: &World<B>, email: &str) -> NewApplication {
    let bytes = Bytes::from_static(b"canary-cv");
    let attachments = vec![NewAttachment { id: "cv".into(), sha256: sha256(&bytes), bytes }];
    NewApplication { attachments, ..w.application(email) }
}

#[tokio::test]
async fn an_object_that_is_gone_is_never_sent_and_orphans_are_swept() {
    let w = World::<InBucket>::new().await;
    w.accept(with_cv(&w, "ada@example.org")).await;
    assert!(!w.backend.sqlite.folder().join("blobs").exists(), "nothing is kept here besides");
    // A second request that turns out to be the first leaves none; one that fails leaves one.
    w.store.accept(with_cv(&w, "ada@example.org")).await.unwrap();
    let mut failing = with_cv(&w, "bob@example.org");
    failing.deliveries = vec![w.target(w.other_tenant().await.1)];
    assert!(w.store.accept(failing).await.is_err());
    assert_eq!(w.backend.objects().await.len(), 2);
    assert_eq!(w.store.sweep_blobs(w.later(25 * 3_600)).await.unwrap(), 1);
    let left = w.backend.objects().await;
    assert_eq!(left.len(), 1);
    let sealed = w.backend.bucket.store().get(&left[0]).await.unwrap().bytes().await.unwrap();
    assert!(!sealed.windows(9).any(|window| window == b"canary-cv"));

    w.backend.bucket.store().delete(&left[0]).await.unwrap();
    let claim = w.one_claim().await;
    let loaded = w.store.load(&claim, true).await;
    assert!(matches!(loaded, Err(StoreError::Corrupt("attachment"))), "{:?}", loaded.map(|_| ()));
}

#[tokio::test]
async fn without_the_bucket_nothing_is_accepted_and_nothing_is_lost() {
    let server = S3::start().unwrap();
    let backend = InBucket::with(impatient(&server.endpoint()));
    let w = World::on(backend).await;
    w.accept(with_cv(&w, "ada@example.org")).await;
    let claim = w.one_claim().await;
    server.freeze().unwrap();
    for _ in 0..2 {
        let refused = w.store.accept(with_cv(&w, "bob@example.org")).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        let loaded = w.store.load(&claim, true).await;
        assert!(matches!(loaded, Err(StoreError::Unavailable(_))), "{:?}", loaded.map(|_| ()));
        let swept = w.store.sweep_blobs(w.now()).await;
        assert!(matches!(swept, Err(StoreError::Unavailable(_))), "{swept:?}");
        // Hung first, then gone.
        server.thaw().unwrap();
        server.kill().unwrap();
    }
    server.restart().unwrap();
    let taken = w.store.accept(with_cv(&w, "bob@example.org")).await.unwrap();
    assert!(matches!(taken, Accepted::New { .. }), "the request that failed left nothing: {taken:?}");
}

#[tokio::test]
async fn a_backup_comes_back_into_another_bucket() {
    let w = World::<InBucket>::new().await;
    w.accept(with_cv(&w, "ada@example.org")).await;
    let folder = tempfile::tempdir().unwrap();
    let report = w.backend.sqlite.inner().backup(&folder.path().join("backup"), w.now()).await.unwrap();
    assert_eq!(report.attachments, 1);
    let elsewhere = real("store/restored");
    let options = RestoreOptions {
        from: folder.path().join("backup"),
        keys: None,
        erasures: Erasures::NoneSince,
        into: folder.path().join("restored"),
        bucket: Some(elsewhere.clone()),
        root_key: RootKey::generate(&SeededEntropy::new(1)),
        clock: Arc::<ManualClock>::clone(&w.clock),
        entropy: Arc::new(SeededEntropy::new(77)),
    };
    let restored = tokio::task::spawn_blocking(move || restore(&options)).await.unwrap().unwrap();
    assert_eq!(restored.attachments, 1);
    assert!(!folder.path().join("restored/blobs").exists());
    let there = InBucket::with(elsewhere).objects().await;
    let names = |objects: &[object_store::path::Path]| {
        objects.iter().filter_map(|object| object.filename().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(names(&there), names(&w.backend.objects().await));
}
