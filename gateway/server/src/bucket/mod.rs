//! A bucket of an S3-compatible store: its configuration, checked, as a store of objects.
//!
//! It carries bytes and does not know what they are: attachments are sealed before they come here. Every request has a
//! deadline and every operation a bounded number of tries. Plain http is for this machine and its private network only, and
//! every address is judged when it is connected to.

mod examine;
mod http;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, Checksum};
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};
use url::Url;

use self::http::Connector;
use crate::config::BlobsAt;

pub use examine::examine;

/// How long it may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// One request with its answer.
    pub(crate) request: Duration,
    /// A try that failed is repeated up to so long after the first began.
    pub(crate) retry: Duration,
    /// An operation with all of its tries.
    pub(crate) whole: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { request: seconds(8), retry: seconds(8), whole: seconds(16) }
    }
}

/// A `[blobs]` that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum BucketError {
    #[error("blobs.url: write s3://bucket or s3://bucket/prefix")]
    Url,
    #[error("blobs.endpoint: write https://host:port, without a path")]
    Endpoint,
    #[error("blobs.endpoint: http is for a loopback or private address only; use https://")]
    PlainHttp,
    #[error("blobs.access_key_id and blobs.secret_access_key: set both (CAUSEWAY_BLOBS_SECRET_ACCESS_KEY_FILE)")]
    Keys,
    #[error("this machine has no usable root certificates")]
    Roots,
    #[error("blobs: {0}")]
    Other(String),
}

/// See the module's documentation.
#[derive(Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    name: String,
    prefix: Path,
    patience: Patience,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.name, self.prefix)
    }
}

impl Bucket {
    /// The bucket of the configuration; none when none is configured. Asks nobody.
    ///
    /// # Errors
    /// What in the configuration cannot work, and what to do.
    pub fn open(at: &BlobsAt) -> Result<Option<Self>, BucketError> {
        if at.url.is_empty() {
            return Ok(None);
        }
        Self::patient(at, Patience::default()).map(Some)
    }

    pub(crate) fn patient(at: &BlobsAt, patience: Patience) -> Result<Self, BucketError> {
        let url = Url::parse(&at.url).map_err(|_| BucketError::Url)?;
        let name = url.host_str().filter(|_| url.scheme() == "s3").ok_or(BucketError::Url)?.to_owned();
        let prefix = Path::parse(url.path().trim_matches('/')).map_err(|_| BucketError::Url)?;
        if at.access_key_id.is_empty() || at.secret_access_key.is_empty() {
            return Err(BucketError::Keys);
        }
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(2),
                base: 2.0,
            },
            max_retries: 3,
            retry_timeout: patience.retry,
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&name)
            .with_region(&at.region)
            .with_access_key_id(&at.access_key_id)
            .with_secret_access_key(at.secret_access_key.reveal())
            // What arrives is what was sent, or is refused.
            .with_checksum_algorithm(Checksum::SHA256)
            // Not every store has the other.
            .with_disable_bulk_delete(true)
            .with_retry(retry);
        let endpoint = endpoint(&at.endpoint)?;
        if let Some(endpoint) = &endpoint {
            builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/'));
        }
        let plain = endpoint.is_some_and(|endpoint| endpoint.scheme() == "http");
        let connector = Connector::new(plain, patience.request).map_err(|_| BucketError::Roots)?;
        let store = builder
            .with_allow_http(plain)
            .with_http_connector(connector)
            .build()
            .map_err(|error| BucketError::Other(error.to_string()))?;
        Ok(Self { store: Arc::new(store), name, prefix, patience })
    }

    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    pub(crate) fn prefix(&self) -> &Path {
        &self.prefix
    }

    pub(crate) fn patience(&self) -> Patience {
        self.patience
    }
}

fn endpoint(text: &str) -> Result<Option<Url>, BucketError> {
    if text.is_empty() {
        return Ok(None);
    }
    let url = Url::parse(text).map_err(|_| BucketError::Endpoint)?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.username().is_empty() && url.password().is_none();
    let Some(host) = url.host().filter(|_| is_bare) else { return Err(BucketError::Endpoint) };
    match (url.scheme(), host) {
        ("https", _) => {}
        // A name is judged by its addresses, when it is connected to.
        ("http", url::Host::Domain(_)) => {}
        ("http", url::Host::Ipv4(address)) if http::is_ours(address.into()) => {}
        ("http", url::Host::Ipv6(address)) if http::is_ours(address.into()) => {}
        ("http", _) => return Err(BucketError::PlainHttp),
        _ => return Err(BucketError::Endpoint),
    }
    Ok(Some(url))
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
