//! Attachments at rest: each blob is encrypted in 64 KiB segments, and durable before a put returns: in a folder written and
//! synced, name and folder included; in a bucket acknowledged by the store, which took it with a checksum.
//!
//! A segment's nonce is its counter and its associated data says whether it is the last, so segments cannot be swapped,
//! repeated or cut off; each blob has a key of its own. What a blob holds is said by the row that names it, never here.
//! Blobs that no row names (an accept that was not committed) are swept a day later.
//!
//! A bucket that does not answer is unavailable, within a bounded time; only one that answers and has no such object has lost
//! it.

mod sweep;

use std::error::Error as _;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use causeway_core::ids::BlobId;
use futures_util::StreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use super::seal::SealKey;
use super::vitals::{BlobCounts, BlobOp};
use crate::bucket::Bucket;

const SEGMENT: usize = 64 * 1024;
const TAG: usize = 16;

/// Why a blob was not written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlobError {
    /// No space, none that may be written, or nobody who answers.
    #[error("the place of the attachments does not take or give any now")]
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

enum Place {
    Folder(PathBuf),
    Bucket(Bucket),
}

/// Where the blobs are.
pub(crate) struct Blobs {
    store: Arc<dyn ObjectStore>,
    place: Place,
    counts: Arc<BlobCounts>,
}

impl Blobs {
    /// In a folder, which is made.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        std::fs::File::open(root)?.sync_all()?;
        // Without this a blob would be durable some seconds after the accept that promised it.
        let store = LocalFileSystem::new_with_prefix(root).map_err(io::Error::other)?.with_fsync(true);
        Ok(Self { store: Arc::new(store), place: Place::Folder(root.to_owned()), counts: Arc::default() })
    }

    /// What was done so far, for the metrics.
    pub(crate) fn counts(&self) -> Arc<BlobCounts> {
        Arc::clone(&self.counts)
    }

    fn count<T>(&self, operation: BlobOp, done: Result<T, BlobError>) -> Result<T, BlobError> {
        self.counts.add((operation, done.is_ok()), 1);
        done
    }

    /// In a bucket.
    pub(crate) fn in_bucket(bucket: Bucket) -> Self {
        Self { store: Arc::clone(bucket.store()), place: Place::Bucket(bucket), counts: Arc::default() }
    }

    /// In the bucket if there is one, else in the folder.
    pub(crate) fn at(bucket: Option<Bucket>, root: &Path) -> io::Result<Self> {
        bucket.map_or_else(|| Self::open(root), |bucket| Ok(Self::in_bucket(bucket)))
    }

    /// Encrypts and writes a blob, durably.
    pub(crate) async fn put(&self, key: SealKey, blob: BlobId, plain: Bytes) -> Result<(), BlobError> {
        let sealed = if plain.len() <= SEGMENT {
            // Done sooner than another thread has begun.
            seal(&key, &plain)
        } else {
            let sealed = tokio::task::spawn_blocking(move || seal(&key, &plain)).await;
            sealed.map_err(|_| BlobError::Other(io::Error::other("sealing panicked")))?
        };
        self.put_sealed(blob, sealed).await
    }

    /// Writes what was sealed already.
    pub(crate) async fn put_sealed(&self, blob: BlobId, sealed: PutPayload) -> Result<(), BlobError> {
        let put = match self.done(self.store.put(&self.location(blob), sealed)).await {
            Ok(_) => Ok(()),
            // There is no place to put it.
            Err(BlobError::Missing) => Err(BlobError::Unavailable),
            Err(error) => Err(error),
        };
        self.count(BlobOp::Write, put)
    }

    /// Reads and decrypts a blob.
    pub(crate) async fn get(&self, key: SealKey, blob: BlobId) -> Result<Vec<u8>, BlobError> {
        let got = async {
            let sealed = self.sealed(blob).await?;
            let opened = tokio::task::spawn_blocking(move || open(&key, &sealed)).await;
            opened.map_err(|_| BlobError::Other(io::Error::other("opening panicked")))?
        };
        self.count(BlobOp::Read, got.await)
    }

    /// A blob as it is stored.
    pub(crate) async fn sealed(&self, blob: BlobId) -> Result<Bytes, BlobError> {
        let location = self.location(blob);
        let read = self.done(async {
            let found = self.store.get(&location).await?;
            let is_object = found.meta.e_tag.is_some();
            found.bytes().await.map(|bytes| (bytes, is_object))
        });
        let read = match read.await {
            Ok((bytes, true)) => Ok(bytes),
            // Some other page that somebody on the way answers with.
            Ok((_, false)) => Err(BlobError::Unavailable),
            Err(error) => Err(error),
        };
        match (&read, &self.place) {
            // A bucket that is not there has not lost anything.
            (Err(BlobError::Missing), Place::Bucket(bucket)) => {
                let mut any = self.store.list(Some(bucket.prefix()));
                self.done(async { any.next().await.transpose() }).await.map_err(|_| BlobError::Unavailable)?;
                read
            }
            _ => read,
        }
    }

    /// Removes a blob. One that is gone already counts as removed.
    pub(crate) async fn delete(&self, blob: BlobId) -> Result<(), BlobError> {
        match self.done(self.store.delete(&self.location(blob))).await {
            Ok(()) | Err(BlobError::Missing) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn location(&self, blob: BlobId) -> object_store::path::Path {
        match &self.place {
            Place::Folder(_) => location(blob),
            Place::Bucket(bucket) => bucket.prefix().parts().chain(location(blob).parts()).collect(),
        }
    }

    /// An operation's end, which for a bucket comes within a bounded time.
    async fn done<T>(&self, operation: impl Future<Output = object_store::Result<T>>) -> Result<T, BlobError> {
        match &self.place {
            Place::Folder(_) => operation.await.map_err(|error| classify(&error)),
            Place::Bucket(bucket) => match tokio::time::timeout(bucket.patience().whole, operation).await {
                Ok(Ok(done)) => Ok(done),
                Ok(Err(object_store::Error::NotFound { .. })) => Err(BlobError::Missing),
                Ok(Err(error)) => {
                    tracing::warn!(error = kind_of(&error), "the bucket of the attachments");
                    Err(BlobError::Unavailable)
                }
                Err(_) => {
                    tracing::warn!(error = "no answer in time", "the bucket of the attachments");
                    Err(BlobError::Unavailable)
                }
            },
        }
    }
}

/// In words of ours: the error's own text quotes what the other side said.
fn kind_of(error: &object_store::Error) -> &'static str {
    use object_store::Error;
    match error {
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => "the key was refused; see `causeway doctor`",
        _a_failed_request_or_answer => "the request failed, or its answer cannot be used; see `causeway doctor`",
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
    // No descriptor is left, here or on the machine: it passes.
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
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
                _ if matches!(io.raw_os_error(), Some(ENFILE | EMFILE)) => BlobError::Unavailable,
                kind => BlobError::Other(kind.into()),
            };
        }
        cause = inner.source();
    }
    BlobError::Other(io::Error::other("the object store failed"))
}

#[cfg(test)]
#[path = "blobs/suite.rs"]
mod suite;

#[cfg(test)]
mod tests {
    use std::io;

    use super::{BlobError, SEGMENT, classify, open, seal};
    use crate::store::seal::SealKey;

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

    #[test]
    fn what_passes_by_itself_is_told_from_what_ends_the_process() {
        for (errno, wanted) in
            [(28, "Unavailable"), (23, "Unavailable"), (24, "Unavailable"), (5, "Disk"), (22, "Other")]
        {
            let source = Box::new(io::Error::from_raw_os_error(errno));
            let found = classify(&object_store::Error::Generic { store: "a folder", source });
            assert!(format!("{found:?}").starts_with(wanted), "{errno}: {found:?}");
        }
    }
}
