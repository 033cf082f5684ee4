//! What `causeway doctor` finds out about the bucket of the configuration: it puts, lists, reads and deletes one object.

use bytes::Bytes;
use causeway_core::clock::Entropy;
use data_encoding::HEXLOWER;
use futures_util::StreamExt as _;
use object_store::{ObjectStoreExt as _, PutPayload};

use super::Bucket;
use crate::config::BlobsAt;
use crate::store::finding::{Finding, Health};

const NAME: &str = "blobs.url";

/// Looks at it. Nothing when none is configured.
pub async fn examine(at: &BlobsAt, entropy: &dyn Entropy) -> Vec<Finding> {
    let (state, text) = match Bucket::open(at) {
        Ok(None) => return Vec::new(),
        Err(error) => (Health::Bad, error.to_string()),
        Ok(Some(bucket)) => {
            let mut probe = [0; 16];
            entropy.fill(&mut probe);
            match tokio::time::timeout(bucket.patience.whole, bucket.probe(&HEXLOWER.encode(&probe))).await {
                Ok(Ok(())) => (Health::Well, format!("{bucket:?}: an object was put, listed, read and deleted")),
                Ok(Err((step, error))) => (Health::Bad, bucket.remedy(step, &error)),
                Err(_) => (Health::Bad, format!("{bucket:?} does not answer in time: check blobs.endpoint")),
            }
        }
    };
    vec![Finding::new(NAME, state, text)]
}

/// What was tried, and what came of it. No error: another answer than was put.
type Failed = (&'static str, Option<object_store::Error>);

impl Bucket {
    async fn probe(&self, name: &str) -> Result<(), Failed> {
        let place = self.prefix.clone().join("causeway-probe").join(name);
        let failed = |step| move |error| (step, Some(error));
        let text = Bytes::copy_from_slice(name.as_bytes());
        self.store.put(&place, PutPayload::from(text.clone())).await.map_err(failed("put an object"))?;
        let listed = self.store.list(Some(&self.prefix)).next().await;
        let read = match self.store.get(&place).await {
            Ok(found) => found.bytes().await,
            Err(error) => Err(error),
        };
        // Whatever came of the rest, nothing is left.
        self.store.delete(&place).await.map_err(failed("delete an object"))?;
        match listed {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(("list objects", Some(error))),
            None => return Err(("list objects", None)),
        }
        if read.map_err(failed("read an object"))? == text { Ok(()) } else { Err(("read an object", None)) }
    }

    fn remedy(&self, step: &str, error: &Option<object_store::Error>) -> String {
        use object_store::Error;
        let remedy = match error {
            None => "another answer than was put: this is no S3-compatible store; check blobs.endpoint",
            Some(Error::NotFound { .. }) => "there is no such bucket: make it, or correct blobs.url and blobs.region",
            Some(Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) => {
                "the key may not: check blobs.access_key_id and its secret, and allow it s3:PutObject, s3:GetObject, \
                 s3:DeleteObject and s3:ListBucket"
            }
            Some(_) => "there is no answer that can be used: check blobs.endpoint and blobs.region, and that it runs",
        };
        format!("{self:?}: could not {step}: {remedy}")
    }
}
