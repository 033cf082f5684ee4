//! Several limiters over a real Redis: what the vendor counts, whatever becomes of the Redis.

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use causeway_core::clock::SeededEntropy;
use causeway_servers::Redis;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::clock::SystemClock;
use crate::egress::BreakerPolicy;
use crate::egress::breaker::{Gate, Health};
use crate::egress::limit::Limiter;

const WINDOW: Duration = Duration::from_secs(1);
const LIMITS: Limits = Limits { window: WINDOW, calls: 100, concurrency: 6 };
const BOUND: Duration = Duration::from_secs(30);

static ACCOUNTS: AtomicU64 = AtomicU64::new(1);

/// One no other test has.
fn account() -> AccountId {
    let seed = ACCOUNTS.fetch_add(1, Ordering::Relaxed);
    AccountId::new(Timestamp::UNIX_EPOCH, &SeededEntropy::new(seed))
}

fn moments() -> Moments {
    Moments::new(Arc::new(SystemClock))
}

async fn link(redis: &Redis, gateways: u32) -> Arc<Link> {
    let link = Link::to(&redis.url(), gateways).unwrap();
    link.until(true).await;
    link
}

fn limiter(link: &Arc<Link>, account: AccountId, wait: Duration) -> Arc<Limiter> {
    let sharing = Sharing { link: Arc::clone(link), account };
    Arc::new(Limiter::new(LIMITS, None, moments(), wait, Some(sharing), 1))
}

/// Waits for it, and not for ever.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < BOUND, "{what}: not within {BOUND:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Counts calls at a moment between their leaving and their answer.
#[derive(Default)]
struct Vendor(Mutex<Vec<Instant>>);

impl Vendor {
    fn counted(&self) -> Vec<Instant> {
        self.0.lock().unwrap().clone()
    }

    async fn more(&self, calls: usize) {
        let before = self.counted().len();
        until("calls go on", async || self.counted().len() >= before + calls).await;
    }

    /// The most in any window, of the calls from `since` on.
    fn most_in_a_window(&self, since: Option<Instant>) -> usize {
        let mut counted = self.counted();
        counted.retain(|at| since.is_none_or(|since| *at >= since));
        counted.sort_unstable();
        let held = |from: usize| counted[from..].iter().take_while(|at| **at < counted[from] + WINDOW).count();
        (0..counted.len()).map(held).max().unwrap_or(0)
    }
}

/// Gateways that always have more to send.
struct Busy {
    vendor: Arc<Vendor>,
    links: Vec<Arc<Link>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Busy {
    async fn gateways(redis: &Redis, count: u32) -> Self {
        let (account, vendor) = (account(), Arc::new(Vendor::default()));
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let mut links = Vec::new();
        for number in 0..count {
            let link = link(redis, count).await;
            let limiter = limiter(&link, account, Duration::from_millis(200));
            links.push(link);
            for worker in 0..4 {
                let (limiter, vendor, stop) = (Arc::clone(&limiter), Arc::clone(&vendor), stop.clone());
                let dice = SeededEntropy::new(u64::from(number * 10 + worker));
                tasks.spawn(async move { stop.run_until_cancelled(calls(&limiter, &vendor, &dice)).await });
            }
        }
        Self { vendor, links, stop, tasks }
    }

    async fn until(&self, up: bool) {
        for link in &self.links {
            let all = tokio::time::timeout(BOUND, link.until(up)).await;
            assert!(all.is_ok(), "the link knows that Redis is {}", if up { "back" } else { "gone" });
        }
    }

    async fn end(self) -> Arc<Vendor> {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.vendor
    }
}

async fn calls(limiter: &Arc<Limiter>, vendor: &Vendor, dice: &SeededEntropy) {
    loop {
        let Ok(_slot) = limiter.slot().await else { continue };
        let Ok(token) = limiter.token().await else { continue };
        let left = token.leave();
        let way = Duration::from_millis((crate::retry::dice(dice) * 30.0) as u64);
        let long = if crate::retry::dice(dice) < 0.05 { way * 10 } else { way };
        tokio::time::sleep(long.mul_f64(crate::retry::dice(dice))).await;
        vendor.0.lock().unwrap().push(Instant::now());
        tokio::time::sleep(way).await;
        drop(left);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_window_holds_more_than_the_vendor_allows_whatever_becomes_of_redis() {
    let redis = Redis::start().unwrap();
    let busy = Busy::gateways(&redis, 3).await;
    busy.vendor.more(60).await;
    for _ in 0..20 {
        busy.vendor.more(3).await;
        redis.flush().unwrap();
    }
    redis.kill().unwrap();
    busy.until(false).await;
    busy.vendor.more(25).await;
    redis.restart().unwrap();
    busy.until(true).await;
    busy.vendor.more(60).await;
    redis.freeze().unwrap();
    busy.until(false).await;
    busy.vendor.more(25).await;
    redis.thaw().unwrap();
    busy.until(true).await;
    busy.vendor.more(60).await;
    redis.config_set("maxmemory", "1").unwrap();
    busy.until(false).await;
    busy.vendor.more(25).await;
    redis.config_set("maxmemory", "0").unwrap();
    busy.until(true).await;
    busy.vendor.more(40).await;
    redis.command(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    busy.until(false).await;
    busy.vendor.more(25).await;
    redis.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
    busy.until(true).await;
    busy.vendor.more(60).await;
    let most = busy.end().await.most_in_a_window(None);
    assert!(most <= LIMITS.calls as usize, "{most} calls in a window");
    assert!(most > LIMITS.calls as usize / 4, "nothing was shown: {most} at most");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_all_together_have_the_reserve() {
    let redis = Redis::start().unwrap();
    let busy = Busy::gateways(&redis, 4).await;
    busy.vendor.more(20).await;
    redis.kill().unwrap();
    busy.until(false).await;
    // What was given before is on its way no longer.
    let since = Instant::now() + WINDOW;
    until("the window is over", async || Instant::now() > since).await;
    busy.vendor.more(40).await;
    let most = busy.end().await.most_in_a_window(Some(since));
    assert!(most <= LIMITS.calls as usize / 5, "{most} calls in a window");
}

#[tokio::test]
async fn a_missing_key_is_an_empty_bucket() {
    let redis = Redis::shared().unwrap();
    let sharing = Sharing { link: link(redis, 2).await, account: account() };
    // A token takes a minute.
    let limits = Limits { window: Duration::from_hours(2), calls: 200, ..LIMITS };
    let pool = sharing.pool(limits, None, moments());
    until("an answer", async || pool.ask(5, Duration::ZERO, 0).await).await;
    assert_eq!(pool.state().ahead.len(), 0);
    assert!(pool.state().none_until > pool.moments.mono() + Duration::from_secs(20));
}

#[tokio::test]
async fn a_freeze_is_known_to_all_and_outlives_an_emptied_redis() {
    let redis = Redis::start().unwrap();
    let account = account();
    let mut gateways = Vec::new();
    for _ in 0..3 {
        gateways.push(limiter(&link(&redis, 3).await, account, Duration::from_millis(300)));
    }
    let mono = gateways[0].pool().unwrap().moments.mono();
    gateways[0].empty_until("", mono + Duration::from_mins(5));
    let is_refused = async |limiter: &Arc<Limiter>| -> bool {
        match limiter.token().await {
            Ok(unused) => {
                drop(unused);
                false
            }
            Err(_) => {
                let pool = limiter.pool().unwrap();
                pool.state().frozen_until > pool.moments.mono() + Duration::from_mins(4)
            }
        }
    };
    until("the second knows", async || is_refused(&gateways[1]).await).await;
    redis.flush().unwrap();
    until("the third knows", async || is_refused(&gateways[2]).await).await;
    assert_eq!(gateways[2].room().0, 0);
}

#[tokio::test]
async fn a_breaker_that_opens_is_open_for_all() {
    let redis = Redis::shared().unwrap();
    let account = account();
    let policy = BreakerPolicy { open_first: Duration::from_mins(2), ..BreakerPolicy::default() };
    let mut gates = Vec::new();
    for _ in 0..2 {
        let limiter = limiter(&link(redis, 2).await, account, Duration::from_millis(300));
        let pool = limiter.pool();
        gates.push((Gate::new(policy.clone(), moments(), Arc::new(SeededEntropy::new(1)), pool), limiter));
    }
    let [(first, _), (second, limiter)] = &gates[..] else { unreachable!("two") };
    for _ in 0..policy.consecutive {
        first.admit().unwrap().record(Health::Failure);
    }
    assert!(first.refuses().is_some() && second.refuses().is_none());
    until("the other hears of it with the next token", async || {
        drop(limiter.token().await);
        second.refuses().is_some()
    })
    .await;
    assert!(second.admit().is_err());
    let name = format!("causeway:{{{account}}}:breaker");
    assert!(!redis.command(&["GET", &name]).unwrap().is_empty());
    limiter.pool().unwrap().closed();
    until("it is told", async || redis.command(&["GET", &name]).unwrap().is_empty()).await;
}

#[tokio::test]
async fn a_redis_that_hangs_costs_one_question() {
    let redis = Redis::start().unwrap();
    let link = link(&redis, 1).await;
    let limiter = limiter(&link, account(), Duration::ZERO);
    redis.freeze().unwrap();
    let before = link.figures();
    for _ in 0..50 {
        drop(limiter.token().await);
    }
    let after = link.figures();
    assert_eq!((after.timed_out - before.timed_out, after.failed, after.up), (1, before.failed, false));
    assert_eq!(after.answered, before.answered);
    assert!(after.bypassed > before.bypassed);
    redis.thaw().unwrap();
    tokio::time::timeout(BOUND, link.until(true)).await.expect("it is found again");
}

#[tokio::test]
async fn tokens_come_in_batches_and_unused_ones_are_used_later() {
    let redis = Redis::start().unwrap();
    let link = link(&redis, 2).await;
    let sharing = Sharing { link: Arc::clone(&link), account: account() };
    let limits = Limits { window: Duration::from_secs(10), calls: 9_000, concurrency: 8 };
    let pool = sharing.pool(limits, None, moments());
    let mut taken = 0;
    until("three hundred tokens", async || {
        match pool.take().await {
            Ok(pass @ Pass::Shared(..)) => {
                taken += 1;
                pass.end(true, pool.moments.mono());
            }
            Ok(reserve) => reserve.end(false, pool.moments.mono()),
            Err(_) => {}
        }
        taken >= 300
    })
    .await;
    let asked = link.figures().answered;
    assert!(asked < 150, "{asked} questions for {taken} tokens");
    // One that is given back is the next.
    let mut pass = pool.take().await;
    until("a token", async || {
        if !matches!(pass, Ok(Pass::Shared(..))) {
            pass = pool.take().await;
        }
        matches!(pass, Ok(Pass::Shared(..)))
    })
    .await;
    let Ok(Pass::Shared(_, good)) = &pass else { unreachable!("it is one") };
    let good = *good;
    pool.state().give_back(good, Duration::ZERO);
    assert_eq!(pool.state().ahead.front(), Some(&good));
    assert_eq!(pool.state().next(good), None, "none is good for ever");
}

#[tokio::test]
async fn what_is_no_bucket_is_left_alone_and_others_go_on() {
    let redis = Redis::start().unwrap();
    let link = link(&redis, 1).await;
    let sharing = Sharing { link: Arc::clone(&link), account: account() };
    let pool = sharing.pool(LIMITS, None, moments());
    redis.command(&["SET", &pool.keys[0], "of somebody else"]).unwrap();
    assert!(matches!(pool.take().await, Ok(Pass::Reserve(_))));
    assert!(link.is_up(), "the next account is asked for");
    redis.command(&["DEL", &pool.keys[0]]).unwrap();
    redis.command(&["HSET", &pool.keys[0], "n", "many", "at", "soon", "frozen", "never"]).unwrap();
    until("it counts as empty", async || matches!(pool.take().await, Ok(Pass::Shared(..)))).await;
}
