//! A token bucket per tenant or per address, shared by every clone of whoever asks.
//!
//! State lives behind one `Arc`, never in a tower service: services are cloned per connection, and a bucket per clone
//! limits nothing. It counts; it does not wait, and it does not know what is being counted. The number of buckets is
//! bounded: past it full ones are forgotten, and those that find no place share one.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use causeway_core::ids::TenantId;
use tokio::time::Instant;

/// Beyond this many buckets, new ones share one. More tenants than this have none in common but their number.
const MAX_BUCKETS: usize = 100_000;
/// How often full buckets are looked for once there is no room.
const SWEEP: Duration = Duration::from_secs(1);

/// How much of something one may do.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Sustained, per second.
    pub per_second: f64,
    /// At once, after a quiet time.
    pub burst: u32,
}

/// A bucket a tenant.
pub type TenantQuota = Quota<TenantId>;
/// A bucket an address, see [`network`].
pub type AddressQuota = Quota<IpAddr>;

/// What counts as one address: IPv6 users hold a /64 each.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The buckets.
#[derive(Debug)]
pub struct Quota<K> {
    started: Instant,
    /// The time one token stands for.
    token: Duration,
    /// How far ahead of the clock a bucket may run.
    depth: Duration,
    /// When, in nanoseconds since `started`, each one's bucket is full again.
    full_at: RwLock<HashMap<K, Arc<AtomicU64>>>,
    /// For whoever finds no place.
    shared: Arc<AtomicU64>,
    swept_at: AtomicU64,
}

impl<K: Eq + Hash> Quota<K> {
    /// Buckets of this rate, all full.
    pub fn new(rate: Rate) -> Self {
        let token = Duration::from_secs_f64(1.0 / rate.per_second.max(1e-6));
        let depth = token.saturating_mul(rate.burst.max(1));
        Self {
            started: Instant::now(),
            token,
            depth,
            full_at: RwLock::default(),
            shared: Arc::default(),
            swept_at: AtomicU64::default(),
        }
    }

    /// Takes one token.
    ///
    /// # Errors
    /// How long until there is one.
    pub fn take(&self, who: K) -> Result<(), Duration> {
        let now = nanos(self.started.elapsed());
        let taken = self.bucket(who, now).fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let next = self.after_one(full_at, now);
            (next <= self.deepest(now)).then_some(next)
        });
        taken.map(|_| ()).map_err(|full_at| self.wait(full_at, now))
    }

    /// Says what [`Self::take`] would say now, and takes nothing.
    ///
    /// # Errors
    /// How long until there is a token.
    pub fn peek(&self, who: &K) -> Result<(), Duration> {
        let now = nanos(self.started.elapsed());
        let known = self.full_at.read().unwrap_or_else(PoisonError::into_inner).get(who).cloned();
        let full_at = known.map_or(0, |bucket| bucket.load(Ordering::Relaxed));
        if self.after_one(full_at, now) <= self.deepest(now) { Ok(()) } else { Err(self.wait(full_at, now)) }
    }

    fn after_one(&self, full_at: u64, now: u64) -> u64 {
        full_at.max(now).saturating_add(nanos(self.token))
    }

    fn deepest(&self, now: u64) -> u64 {
        now.saturating_add(nanos(self.depth))
    }

    fn wait(&self, full_at: u64, now: u64) -> Duration {
        Duration::from_nanos(self.after_one(full_at, now).saturating_sub(self.deepest(now)))
    }

    fn bucket(&self, who: K, now: u64) -> Arc<AtomicU64> {
        let known = self.full_at.read().unwrap_or_else(PoisonError::into_inner).get(&who).cloned();
        known.unwrap_or_else(|| {
            let mut buckets = self.full_at.write().unwrap_or_else(PoisonError::into_inner);
            let due = self.swept_at.load(Ordering::Relaxed).saturating_add(nanos(SWEEP));
            if buckets.len() >= MAX_BUCKETS && due <= now {
                self.swept_at.store(now, Ordering::Relaxed);
                buckets.retain(|_, full_at| full_at.load(Ordering::Relaxed) > now);
            }
            if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(&who) {
                return Arc::clone(&self.shared);
            }
            Arc::clone(buckets.entry(who).or_default())
        })
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{AddressQuota, MAX_BUCKETS, Rate, TenantQuota, network};
    use causeway_core::clock::SeededEntropy;
    use causeway_core::ids::TenantId;
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_look_takes_nothing() {
        let us = TenantId::new(jiff::Timestamp::UNIX_EPOCH, &SeededEntropy::new(1));
        let quota = TenantQuota::new(Rate { per_second: 10.0, burst: 2 });
        assert!((0..10).all(|_| quota.peek(&us).is_ok()));
        assert_eq!((0..5).filter(|_| quota.take(us).is_ok()).count(), 2);
        assert_eq!(quota.peek(&us), quota.take(us));
    }

    #[tokio::test(start_paused = true)]
    async fn buckets_are_bounded_and_forgotten_once_full() {
        let quota = AddressQuota::new(Rate { per_second: 1.0, burst: 1 });
        let address = |number: usize| IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap()));
        assert!((0..MAX_BUCKETS).all(|number| quota.take(address(number)).is_ok()));
        tokio::time::advance(Duration::from_millis(900)).await;
        // No room and nothing to forget: two strangers share a bucket.
        assert!(quota.take(address(MAX_BUCKETS)).is_ok());
        assert!(quota.take(address(MAX_BUCKETS + 1)).is_err());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(quota.take(address(MAX_BUCKETS)).is_ok());
        assert!(quota.take(address(MAX_BUCKETS + 1)).is_ok());
        assert_eq!(quota.full_at.read().unwrap().len(), 2);
    }

    #[test]
    fn an_address_is_what_one_user_holds() {
        for (address, one) in [
            ("203.0.113.9", "203.0.113.9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            assert_eq!(network(address.parse().unwrap()), one.parse::<IpAddr>().unwrap());
        }
    }

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
