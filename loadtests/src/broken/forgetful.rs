//! A gateway that keeps its callers' keys in Redis alone: the store is asked with a word that only Redis remembers, and
//! the look at byte-identical applications is left out, as such a gateway has none.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use causeway::store::intake::{Accepted, NewApplication};
use causeway::store::over::Over;
use causeway::store::{Result as Stored, Store};

/// As patient as a gateway may be with what it can do without.
const PATIENCE: Duration = Duration::from_millis(200);

pub(crate) struct Forgetful {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) redis: redis::Client,
}

#[async_trait]
impl Over for Forgetful {
    fn below(&self) -> &dyn Store {
        &*self.inner
    }

    async fn accept(&self, mut application: NewApplication) -> Stored<Accepted> {
        if let Some(key) = &mut application.idempotency_key {
            let word = self.word(key, &application.id.to_string()).await;
            application.fingerprint.extend_from_slice(word.as_bytes());
            *key = format!("{key}-{word}");
        }
        self.inner.accept(application).await
    }
}

impl Forgetful {
    /// The word that was kept for the key, or the one given if none was. Without Redis there is nothing to compare with.
    async fn word(&self, key: &str, otherwise: &str) -> String {
        let asked = tokio::time::timeout(PATIENCE, self.ask(key, otherwise)).await;
        asked.ok().and_then(redis::RedisResult::ok).flatten().unwrap_or_else(|| otherwise.to_owned())
    }

    async fn ask(&self, key: &str, otherwise: &str) -> redis::RedisResult<Option<String>> {
        let mut redis = self.redis.get_multiplexed_async_connection().await?;
        redis::cmd("SET").arg(key).arg(otherwise).arg("NX").arg("GET").query_async(&mut redis).await
    }
}
