//! The sweep's view of the blobs: what is old enough to be an orphan, a page at a time.
//!
//! A blob's id holds the time it was made, so the file system's times, or the bucket's, do not matter.

use std::io;
use std::path::PathBuf;

use causeway_core::ids::BlobId;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use jiff::{SignedDuration, Timestamp};
use object_store::{ObjectMeta, ObjectStoreExt as _};
use uuid::Uuid;

use super::{BlobError, Blobs, Place};

/// How old a blob that no row names has to be before it is removed: longer than any accept can take.
const ORPHAN_AGE: SignedDuration = SignedDuration::from_hours(24);
/// A bucket gives out a thousand names at once.
const PAGE: usize = if cfg!(test) { 4 } else { 1_000 };

/// Something old, finished or half written, and the blob it belongs to.
pub(crate) struct Old {
    /// Whose.
    pub(crate) blob: BlobId,
    at: At,
}

enum At {
    File(PathBuf),
    Object(object_store::path::Path),
}

/// What is left to look at.
pub(crate) enum Pages {
    /// Not begun.
    Folder(PathBuf),
    /// Folders of files.
    Folders(Vec<PathBuf>),
    /// Names from a bucket, asked for as they are needed.
    Bucket(BoxStream<'static, object_store::Result<ObjectMeta>>),
}

impl Blobs {
    /// Everything, in pages.
    pub(crate) fn pages(&self) -> Pages {
        match &self.place {
            Place::Folder(root) => Pages::Folder(root.clone()),
            Place::Bucket(bucket) => Pages::Bucket(self.store.list(Some(bucket.prefix())).fuse().boxed()),
        }
    }

    /// What is old on the next page; none after the last.
    pub(crate) async fn next_old(&self, pages: &mut Pages, now: Timestamp) -> Result<Option<Vec<Old>>, BlobError> {
        let is_old = move |made_at: Timestamp| now.duration_since(made_at) > ORPHAN_AGE;
        loop {
            match pages {
                Pages::Folder(root) => {
                    let root = root.clone();
                    *pages = Pages::Folders(on_disk(move || folders(root)).await?);
                }
                Pages::Folders(left) => {
                    let Some(folder) = left.pop() else { return Ok(None) };
                    let found = on_disk(move || files(folder)).await?;
                    let old = found.into_iter().filter_map(|path| {
                        let (blob, made_at) = parse(path.file_name()?.to_str()?)?;
                        is_old(made_at).then_some(Old { blob, at: At::File(path) })
                    });
                    return Ok(Some(old.collect()));
                }
                Pages::Bucket(names) => {
                    let (mut old, mut seen) = (Vec::new(), 0);
                    while seen < PAGE {
                        let next = self.done(async { names.next().await.transpose() }).await;
                        let Some(found) = next.map_err(|_| BlobError::Unavailable)? else { break };
                        seen += 1;
                        let parsed = found.location.filename().and_then(parse);
                        if let Some((blob, _)) = parsed.filter(|(_, made_at)| is_old(*made_at)) {
                            old.push(Old { blob, at: At::Object(found.location) });
                        }
                    }
                    return Ok((seen > 0).then_some(old));
                }
            }
        }
    }

    /// Removes it; false when it was gone.
    pub(crate) async fn remove(&self, old: Old) -> Result<bool, BlobError> {
        let removed = match old.at {
            At::File(path) => match on_disk(move || std::fs::remove_file(path)).await {
                Err(BlobError::Other(error)) if error.kind() == io::ErrorKind::NotFound => Err(BlobError::Missing),
                removed => removed,
            },
            At::Object(location) => self.done(self.store.delete(&location)).await,
        };
        match removed {
            Ok(()) => Ok(true),
            Err(BlobError::Missing) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, BlobError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(io::Error::other("a disk task panicked"))).map_err(BlobError::Other)
}

fn folders(root: PathBuf) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    Ok(folders)
}

fn files(folder: PathBuf) -> io::Result<Vec<PathBuf>> {
    std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
}

/// A finished file is named by the id; one being written has `#` and a number after it.
fn parse(name: &str) -> Option<(BlobId, Timestamp)> {
    let hex = name.split('#').next().filter(|hex| hex.len() == 32)?;
    let uuid = Uuid::try_parse(hex).ok()?;
    let (seconds, nanos) = uuid.get_timestamp()?.to_unix();
    let made_at = Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanos).ok()?).ok()?;
    Some((BlobId::from_uuid(uuid), made_at))
}
