//! Attachments at rest: each blob is encrypted in 64 KiB segments and synced, name and folder included, before a put
//! returns.
//!
//! A segment's nonce is its counter and its associated data says whether it is the last, so segments cannot be swapped,
//! repeated or cut off; each blob has a key of its own. What a blob holds is said by the row that names it, never here.
//! Blobs that no row names (an accept that was not committed) are swept a day later.

use std::error::Error as _;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use causeway_core::ids::BlobId;
use jiff::{SignedDuration, Timestamp};
use object_store::local::LocalFileSystem;
use object_store::{ObjectStoreExt, PutPayload};
use uuid::Uuid;

use super::seal::SealKey;
use super::vitals::{BlobCounts, BlobOp};

const SEGMENT: usize = 64 * 1024;
const TAG: usize = 16;

/// How old a blob that no row names has to be before it is removed: longer than any accept can take.
const ORPHAN_AGE: SignedDuration = SignedDuration::from_hours(24);

/// Why a blob was not written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlobError {
    /// No space, or none that may be written.
    #[error("the blob folder cannot be written now")]
    Unavailable,
    /// The disk failed: whether anything is durable is no longer known.
    #[error("the disk failed under the blob folder")]
    Disk,
    /// There is no such blob.
    #[error("the blob is missing")]
    Missing,
    /// It is not what was written.
    #[error("the blob does not open")]
    DoesNotOpen,
    /// Anything else.
    #[error("the blob folder failed")]
    Other(#[source] io::Error),
}

/// The folder of blobs.
pub(crate) struct Blobs {
    store: LocalFileSystem,
    root: PathBuf,
    counts: Arc<BlobCounts>,
}

impl Blobs {
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        std::fs::File::open(root)?.sync_all()?;
        // Without this a blob would be durable some seconds after the accept that promised it.
        let store = LocalFileSystem::new_with_prefix(root).map_err(io::Error::other)?.with_fsync(true);
        Ok(Self { store, root: root.to_owned(), counts: Arc::default() })
    }

    /// What was done so far, for the metrics.
    pub(crate) fn counts(&self) -> Arc<BlobCounts> {
        Arc::clone(&self.counts)
    }

    fn count<T>(&self, operation: BlobOp, done: Result<T, BlobError>) -> Result<T, BlobError> {
        self.counts.add((operation, done.is_ok()), 1);
        done
    }

    /// Encrypts and writes a blob, synced.
    pub(crate) async fn put(&self, key: SealKey, blob: BlobId, plain: Bytes) -> Result<(), BlobError> {
        let sealed = tokio::task::spawn_blocking(move || seal(&key, &plain)).await;
        let sealed = sealed.map_err(|_| BlobError::Other(io::Error::other("sealing panicked")))?;
        let put = self.store.put(&location(blob), sealed).await.map(|_| ()).map_err(|error| classify(&error));
        self.count(BlobOp::Write, put)
    }

    /// Reads and decrypts a blob.
    pub(crate) async fn get(&self, key: SealKey, blob: BlobId) -> Result<Vec<u8>, BlobError> {
        let got = async {
            let stored = self.store.get(&location(blob)).await.map_err(|error| classify(&error))?;
            let sealed = stored.bytes().await.map_err(|error| classify(&error))?;
            let opened = tokio::task::spawn_blocking(move || open(&key, &sealed)).await;
            opened.map_err(|_| BlobError::Other(io::Error::other("opening panicked")))?
        };
        self.count(BlobOp::Read, got.await)
    }

    /// Removes a blob. One that is gone already counts as removed.
    pub(crate) async fn delete(&self, blob: BlobId) -> Result<(), BlobError> {
        match self.store.delete(&location(blob)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(classify(&error)),
        }
    }

    /// Where a blob is, for a backup.
    pub(crate) fn path_of(&self, blob: BlobId) -> PathBuf {
        self.root.join(relative(blob))
    }

    /// Files old enough to be orphans, finished or half written, with the blob each belongs to. A blob's id holds the
    /// time it was made, so the file system's times do not matter.
    pub(crate) fn old_files(&self, now: Timestamp) -> io::Result<Vec<(BlobId, PathBuf)>> {
        let mut found = Vec::new();
        for folder in std::fs::read_dir(&self.root)? {
            let folder = folder?;
            if !folder.file_type()?.is_dir() {
                continue;
            }
            for file in std::fs::read_dir(folder.path())? {
                let path = file?.path();
                if let Some((blob, made_at)) = path.file_name().and_then(|name| name.to_str()).and_then(parse)
                    && now.duration_since(made_at) > ORPHAN_AGE
                {
                    found.push((blob, path));
                }
            }
        }
        Ok(found)
    }
}

/// Spread over folders by the random end of the id; its beginning is the time.
fn location(blob: BlobId) -> object_store::path::Path {
    let name = blob.as_uuid().simple().to_string();
    let folder: String = name.chars().skip(30).collect();
    object_store::path::Path::from_iter([folder, name])
}

/// As a path within the folder of blobs.
pub(crate) fn relative(blob: BlobId) -> PathBuf {
    PathBuf::from(location(blob).as_ref())
}

/// A finished file is named by the id; one being written has `#` and a number after it.
fn parse(name: &str) -> Option<(BlobId, Timestamp)> {
    let hex = name.split('#').next().filter(|hex| hex.len() == 32)?;
    let uuid = Uuid::try_parse(hex).ok()?;
    let (seconds, nanos) = uuid.get_timestamp()?.to_unix();
    let made_at = Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanos).ok()?).ok()?;
    Some((BlobId::from_uuid(uuid), made_at))
}

/// An empty blob is one empty last segment.
fn seal(key: &SealKey, plain: &[u8]) -> PutPayload {
    let count = plain.len().div_ceil(SEGMENT).max(1);
    let mut segments = plain.chunks(SEGMENT);
    (0..count)
        .map(|at| {
            let mut segment = Vec::with_capacity(SEGMENT + TAG);
            segment.extend_from_slice(segments.next().unwrap_or_default());
            key.seal_segment(at as u64, at + 1 == count, &mut segment);
            Bytes::from(segment)
        })
        .collect()
}

fn open(key: &SealKey, sealed: &[u8]) -> Result<Vec<u8>, BlobError> {
    let count = sealed.len().div_ceil(SEGMENT + TAG);
    if count == 0 {
        return Err(BlobError::DoesNotOpen);
    }
    let mut plain = Vec::with_capacity(sealed.len());
    for (at, segment) in sealed.chunks(SEGMENT + TAG).enumerate() {
        let mut segment = segment.to_vec();
        key.open_segment(at as u64, at + 1 == count, &mut segment).map_err(|_| BlobError::DoesNotOpen)?;
        plain.append(&mut segment);
    }
    Ok(plain)
}

/// By the cause's kind: the store's own error does not tell a full disk from a broken one.
fn classify(error: &object_store::Error) -> BlobError {
    const EIO: i32 = 5;
    if matches!(error, object_store::Error::NotFound { .. }) {
        return BlobError::Missing;
    }
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return match io.kind() {
                io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::ReadOnlyFilesystem
                | io::ErrorKind::PermissionDenied => BlobError::Unavailable,
                _ if io.raw_os_error() == Some(EIO) => BlobError::Disk,
                kind => BlobError::Other(kind.into()),
            };
        }
        cause = inner.source();
    }
    BlobError::Other(io::Error::other("the object store failed"))
}

#[cfg(test)]
mod tests {
    use super::{BlobError, Blobs, SEGMENT, location, open, parse, seal};
    use crate::store::seal::SealKey;
    use bytes::Bytes;
    use causeway_core::clock::SeededEntropy;
    use causeway_core::ids::BlobId;
    use jiff::{SignedDuration, Timestamp};

    fn key() -> SealKey {
        SealKey::new(&[9; 32])
    }

    fn sealed(plain: &[u8]) -> Vec<u8> {
        seal(&key(), plain).iter().flat_map(|segment| segment.to_vec()).collect()
    }

    #[test]
    fn every_length_reads_back() {
        for length in [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT] {
            let plain = vec![7; length];
            assert_eq!(open(&key(), &sealed(&plain)).unwrap(), plain, "{length}");
        }
    }

    #[test]
    fn segments_cannot_be_cut_swapped_or_changed() {
        let whole = sealed(&vec![7; 3 * SEGMENT]);
        let step = SEGMENT + super::TAG;
        let cut = whole[..2 * step].to_vec();
        let swapped = [&whole[step..2 * step], &whole[..step], &whole[2 * step..]].concat();
        let mut changed = whole.clone();
        changed[step + 5] ^= 1;
        for bad in [Vec::new(), cut, swapped, changed] {
            assert!(matches!(open(&key(), &bad), Err(BlobError::DoesNotOpen)));
        }
    }

    #[tokio::test]
    async fn only_old_files_are_offered_to_the_sweep() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        let made_at = Timestamp::from_second(1_000_000).unwrap();
        let blob = BlobId::new(made_at, &SeededEntropy::new(1));
        blobs.put(key(), blob, Bytes::from_static(b"cv")).await.unwrap();
        let path = folder.path().join(location(blob).as_ref());
        std::fs::write(path.with_file_name(format!("{}#1", blob.as_uuid().simple())), "half").unwrap();
        assert_eq!(parse(path.file_name().unwrap().to_str().unwrap()), Some((blob, made_at)));

        let after = |hours| made_at + SignedDuration::from_hours(hours);
        assert_eq!(blobs.old_files(after(23)).unwrap().len(), 0);
        assert_eq!(blobs.old_files(after(25)).unwrap().len(), 2);
        assert_eq!(blobs.get(key(), blob).await.unwrap(), b"cv");
        blobs.delete(blob).await.unwrap();
        blobs.delete(blob).await.unwrap();
        assert!(matches!(blobs.get(key(), blob).await, Err(BlobError::Missing)));
    }
}
