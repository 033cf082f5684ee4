//! A token bucket per tenant, shared by every clone of whoever asks.
//!
//! State lives behind one `Arc`, never in a tower service: services are cloned per connection, and a bucket per clone
//! limits nothing. It counts; it does not wait, and it does not know what is being counted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use causeway_core::ids::TenantId;
use tokio::time::Instant;

/// How much of something one tenant may do.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Sustained, per second.
    pub per_second: f64,
    /// At once, after a quiet time.
    pub burst: u32,
}

/// The buckets. One entry a tenant, so as many as there are tenants.
#[derive(Debug)]
pub struct TenantQuota {
    started: Instant,
    /// The time one token stands for.
    token: Duration,
    /// How far ahead of the clock a bucket may run.
    depth: Duration,
    /// Per tenant: when, in nanoseconds since `started`, its bucket is full again.
    full_at: RwLock<HashMap<TenantId, Arc<AtomicU64>>>,
}

impl TenantQuota {
    /// Buckets of this rate, all full.
    pub fn new(rate: Rate) -> Self {
        let token = Duration::from_secs_f64(1.0 / rate.per_second.max(1e-6));
        let depth = token.saturating_mul(rate.burst.max(1));
        Self { started: Instant::now(), token, depth, full_at: RwLock::default() }
    }

    /// Takes one token.
    ///
    /// # Errors
    /// How long until there is one.
    pub fn take(&self, tenant: TenantId) -> Result<(), Duration> {
        let bucket = self.bucket(tenant);
        let now = nanos(self.started.elapsed());
        let (token, depth) = (nanos(self.token), nanos(self.depth));
        let taken = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let next = full_at.max(now).saturating_add(token);
            (next <= now.saturating_add(depth)).then_some(next)
        });
        taken.map(|_| ()).map_err(|full_at| {
            let next = full_at.max(now).saturating_add(token);
            Duration::from_nanos(next.saturating_sub(now.saturating_add(depth)))
        })
    }

    fn bucket(&self, tenant: TenantId) -> Arc<AtomicU64> {
        let known = self.full_at.read().unwrap_or_else(PoisonError::into_inner).get(&tenant).cloned();
        known.unwrap_or_else(|| {
            Arc::clone(self.full_at.write().unwrap_or_else(PoisonError::into_inner).entry(tenant).or_default())
        })
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Rate, TenantQuota};
    use causeway_core::clock::SeededEntropy;
    use causeway_core::ids::TenantId;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_burst_then_the_rate_and_each_tenant_its_own() {
        let entropy = SeededEntropy::new(1);
        let [ours, theirs] = [(); 2].map(|()| TenantId::new(jiff::Timestamp::UNIX_EPOCH, &entropy));
        let quota = TenantQuota::new(Rate { per_second: 10.0, burst: 3 });
        assert_eq!((0..5).filter(|_| quota.take(ours).is_ok()).count(), 3);
        assert_eq!(quota.take(ours), Err(Duration::from_millis(100)));
        assert_eq!(quota.take(theirs), Ok(()));
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(quota.take(ours), Ok(()));
        assert!(quota.take(ours).is_err());
    }
}
