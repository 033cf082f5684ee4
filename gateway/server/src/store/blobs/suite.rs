//! What blobs have to do, in a folder and in a bucket; and a bucket that misbehaves.

use std::sync::atomic::{AtomicU64, Ordering};

use causeway_core::clock::SeededEntropy;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::bucket::testing::{Misbehaviour, impatient, misbehaving, real};

fn key() -> SealKey {
    SealKey::new(&[9; 32])
}

fn made_at() -> Timestamp {
    Timestamp::from_second(1_000_000).unwrap()
}

fn ids(seed: u64) -> impl Iterator<Item = BlobId> {
    let entropy = SeededEntropy::new(seed);
    std::iter::repeat_with(move || BlobId::new(made_at(), &entropy))
}

/// Below a prefix that no other test has. Starts the server off the runtime.
async fn bucket() -> Bucket {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    tokio::task::spawn_blocking(move || real(&format!("suite/{number}"))).await.unwrap()
}

async fn old(blobs: &Blobs, now: Timestamp) -> Vec<BlobId> {
    let (mut pages, mut found) = (blobs.pages(), Vec::new());
    while let Some(page) = blobs.next_old(&mut pages, now).await.unwrap() {
        found.extend(page.into_iter().map(|old| old.blob));
    }
    found.sort_unstable();
    found
}

/// Every case, on empty ground.
async fn check(blobs: &Blobs) {
    let mut ids = ids(1);
    let mut next = || ids.next().expect("endless");
    for length in [0, 1, SEGMENT, SEGMENT + 1, 5 * 1024 * 1024] {
        let (blob, plain) = (next(), Bytes::from(vec![7; length]));
        blobs.put(key(), blob, plain.clone()).await.unwrap();
        assert_eq!(blobs.get(key(), blob).await.unwrap(), plain, "{length}");
        let sealed = blobs.sealed(blob).await.unwrap();
        assert!(sealed.len() > length && !sealed.windows(32).any(|window| window == [7; 32]), "it is sealed: {length}");
        let other = SealKey::new(&[8; 32]);
        assert!(matches!(blobs.get(other, blob).await, Err(BlobError::DoesNotOpen)), "{length}");
        blobs.delete(blob).await.unwrap();
        blobs.delete(blob).await.unwrap();
        assert!(matches!(blobs.get(key(), blob).await, Err(BlobError::Missing)), "{length}");
    }
    let many: Vec<BlobId> = (0..9).map(|_| next()).collect();
    let put = many.iter().map(|blob| blobs.put(key(), *blob, Bytes::copy_from_slice(blob.as_uuid().as_bytes())));
    assert!(join_all(put).await.iter().all(Result::is_ok));
    for read in join_all(many.iter().map(|blob| async move { (blob, blobs.get(key(), *blob).await) })).await {
        assert_eq!(read.1.unwrap(), read.0.as_uuid().as_bytes());
    }
    let after = |hours| made_at() + SignedDuration::from_hours(hours);
    assert_eq!(old(blobs, after(23)).await, []);
    let mut sorted = many.clone();
    sorted.sort_unstable();
    assert_eq!(old(blobs, after(25)).await, sorted);
    let (mut pages, mut removed) = (blobs.pages(), 0);
    while let Some(page) = blobs.next_old(&mut pages, after(25)).await.unwrap() {
        for old in page {
            removed += u64::from(blobs.remove(old).await.unwrap());
        }
    }
    assert_eq!((removed, old(blobs, after(25)).await), (9, vec![]));
}

#[tokio::test]
async fn in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path()).unwrap();
    check(&blobs).await;
    // One that was being written when its process ended.
    let blob = ids(5).next().unwrap();
    blobs.put(key(), blob, Bytes::from_static(b"cv")).await.unwrap();
    let path = folder.path().join(relative(blob));
    std::fs::write(path.with_file_name(format!("{}#1", blob.as_uuid().simple())), "half").unwrap();
    assert_eq!(old(&blobs, made_at() + SignedDuration::from_hours(25)).await, [blob, blob]);
}

#[tokio::test]
async fn in_a_bucket() {
    check(&Blobs::in_bucket(bucket().await)).await;
}

#[tokio::test]
async fn what_one_gateway_puts_another_reads() {
    let bucket = bucket().await;
    let [ours, theirs] = [bucket.clone(), bucket].map(Blobs::in_bucket);
    let blob = ids(2).next().unwrap();
    ours.put(key(), blob, Bytes::from_static(b"cv")).await.unwrap();
    assert_eq!(theirs.get(key(), blob).await.unwrap(), b"cv");
    theirs.delete(blob).await.unwrap();
    assert!(matches!(ours.get(key(), blob).await, Err(BlobError::Missing)));
}

/// Whatever is asked of it, the answer comes, and is that it is unavailable.
async fn is_unavailable(how: &str, blobs: &Blobs) {
    let blob = ids(3).next().unwrap();
    let put = blobs.put(key(), blob, Bytes::from(vec![1; 200_000])).await;
    assert!(matches!(put, Err(BlobError::Unavailable)), "{how}: put: {put:?}");
    let get = blobs.get(key(), blob).await;
    assert!(matches!(get, Err(BlobError::Unavailable)), "{how}: get: {get:?}");
    let mut pages = blobs.pages();
    let list = blobs.next_old(&mut pages, made_at()).await;
    // Somebody else's page may read as an empty list: then nothing is swept.
    let list = list.map(|page| page.map(|old| old.len()));
    assert!(matches!(list, Err(BlobError::Unavailable) | Ok(None)), "{how}: list: {list:?}");
}

#[tokio::test]
async fn a_bucket_that_misbehaves_is_unavailable_and_has_lost_nothing() {
    let nobody = causeway_servers::free_port().unwrap();
    is_unavailable("nobody", &Blobs::in_bucket(impatient(&format!("http://127.0.0.1:{nobody}")))).await;
    use Misbehaviour::{Cut, Endless, Failing, Garbage, Noise, Refusing, Silent, Slow};
    for how in [Silent, Slow, Garbage, Noise, Cut, Failing, Refusing, Endless] {
        let (endpoint, _server) = misbehaving(how).await;
        is_unavailable(&format!("{how:?}"), &Blobs::in_bucket(impatient(&endpoint))).await;
    }
    let (endpoint, _server) = misbehaving(Misbehaviour::NoBucket).await;
    let blobs = Blobs::in_bucket(impatient(&endpoint));
    let blob = ids(3).next().unwrap();
    let get = blobs.get(key(), blob).await;
    assert!(matches!(get, Err(BlobError::Unavailable)), "a bucket that is gone: {get:?}");
    let put = blobs.put(key(), blob, Bytes::from_static(b"cv")).await;
    assert!(put.is_err(), "{put:?}");
}
