//! The store with one promise broken; everything else goes straight through.
//!
//! These stand here, in a binary of their own, so that nothing in `causeway` can be told to break a promise. Each is what
//! a plausible shortcut would do, and the checker has to notice it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use causeway::store::intake::{Accepted, NewApplication};
use causeway::store::over::Over;
use causeway::store::work::{Claim, WorkItem};
use causeway::store::{Result, Store};
use causeway_core::connector::File;

use super::apart;

/// The row's commit comes so much after the answer.
const LATER: Duration = Duration::from_millis(60);

/// Which promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Promise {
    /// The application and its deliveries are one transaction.
    TwoCommits,
    /// The answer waits for the sync.
    SyncOff,
    /// "Not seen" counts only after the vendor's lag.
    NoLag,
    /// The row is there before anything rings and before anybody is told.
    RingWithoutRow,
    /// None: the queue with all its precautions, and nobody who looks beside it.
    QueueAlone,
    /// A message is acknowledged once what it caused is claimed.
    AutoAck,
    /// A message is safe when the broker says so.
    NoConfirms,
    /// A message that no queue took comes back.
    NoMandatory,
    /// A caller's key is kept as safely as what it stands for.
    RedisOnly,
}

/// The decorated store.
pub(crate) struct Broken {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) promise: Promise,
    pub(crate) database: PathBuf,
}

#[async_trait]
impl Over for Broken {
    fn below(&self) -> &dyn Store {
        &*self.inner
    }

    async fn accept(&self, application: NewApplication) -> Result<Accepted> {
        match self.promise {
            Promise::RingWithoutRow => {
                let ring = application.deliveries.iter().map(|delivery| delivery.account).collect();
                let inner = Arc::clone(&self.inner);
                #[expect(clippy::disallowed_methods, reason = "nobody waits for it: that is the broken promise")]
                tokio::spawn(async move {
                    tokio::time::sleep(LATER).await;
                    drop(inner.accept(application).await);
                });
                Ok(Accepted::New { repeat_of: None, ring })
            }
            Promise::SyncOff => {
                let ring = application.deliveries.iter().map(|delivery| delivery.account).collect();
                let inner = Arc::clone(&self.inner);
                #[expect(clippy::disallowed_methods, reason = "nobody waits for it: that is the broken promise")]
                tokio::spawn(async move { drop(inner.accept(application).await) });
                Ok(Accepted::New { repeat_of: None, ring })
            }
            Promise::TwoCommits => {
                let id = application.id;
                let accepted = self.inner.accept(application).await?;
                if matches!(accepted, Accepted::New { .. }) {
                    apart::commit_deliveries_later(self.database.clone(), id).await;
                }
                Ok(accepted)
            }
            Promise::NoLag
            | Promise::QueueAlone
            | Promise::AutoAck
            | Promise::NoConfirms
            | Promise::NoMandatory
            | Promise::RedisOnly => self.inner.accept(application).await,
        }
    }

    async fn load(&self, claim: &Claim, with_files: bool) -> Result<(WorkItem, Vec<File>)> {
        let (mut item, files) = self.inner.load(claim, with_files).await?;
        if self.promise == Promise::NoLag {
            item.account.account.settings.insert("visibility_lag_ms".to_owned(), serde_json::json!(1));
        }
        Ok((item, files))
    }
}
