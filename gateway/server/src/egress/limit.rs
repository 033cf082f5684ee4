//! The account's limits: calls in flight, and calls in the vendor's window. One of each, shared by every clone; a host that
//! tells its own pace in its answers has a window of its own.
//!
//! The bucket remembers each call until the vendor's length of window after its *answer*: the vendor counts a call at some
//! moment between its leaving and its answer, which one is not known here. So no window of that length at the vendor,
//! wherever it begins, holds more calls than nine tenths of what the vendor allows, however slow the way is; a bucket that
//! refills while a burst goes out, or counts from when a call left, lets through up to twice that. `Retry-After` empties it until then, the vendor's own headers adapt it. Waiting is bounded:
//! who would wait longer is told when to come back.
//!
//! Where gateways share an account, each keeps to all of this for itself, and a call takes leave from what they share besides
//! ([`share`](super::share)). What the vendor's headers say of all of them counts in each one's bucket.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use causeway_core::connector::{Limits, Pace, SendError};
use http::Request;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Prepaid;
use super::around::{Answer, Around, Next, Wire};
use super::moments::Moments;
use super::share::pool::{Pass, Pool, Sharing};

/// The most calls a vendor's header can make us remember.
pub(super) const MOST_CALLS: u32 = 10_000;

/// The pure bucket. Time is a duration since some start.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    /// Calls allowed in a window, safety taken off.
    calls: usize,
    /// One of so many gateways that each have a bucket.
    split: usize,
    window: Duration,
    /// Calls that left, or may leave, and are not answered yet.
    out: usize,
    /// When each call of the last window was answered, oldest first.
    answered: VecDeque<Duration>,
    empty_until: Duration,
}

/// Nine tenths, and never nothing.
fn safe(calls: u32) -> usize {
    (calls.min(MOST_CALLS) as usize * 9 / 10).max(1)
}

impl Bucket {
    pub(super) fn new(calls: u32, window: Duration) -> Self {
        Self::exact(safe(calls), window)
    }

    /// No safety is taken off.
    pub(super) fn exact(calls: usize, window: Duration) -> Self {
        Self { calls, split: 1, window, out: 0, answered: VecDeque::new(), empty_until: Duration::ZERO }
    }

    /// From now on one of so many, each with its part.
    fn is_one_of(&mut self, split: usize) {
        if self.split != split {
            self.calls = (self.calls * self.split / split).max(1);
            self.split = split;
        }
    }

    /// Counts on what this one counted.
    pub(super) fn continues(&mut self, old: Self) {
        (self.out, self.answered, self.empty_until) = (old.out, old.answered, old.empty_until);
    }

    /// Another that has let through as much: what is on its way counts there as answered now.
    fn copied(&self, now: Duration) -> Self {
        let mut copy = self.clone();
        copy.answered.extend(std::iter::repeat_n(now, copy.out));
        copy.out = 0;
        copy
    }

    /// Calls that count in the window, as of when it was looked at last.
    fn used(&self) -> usize {
        self.out + self.answered.len()
    }

    fn forget(&mut self, now: Duration) {
        while self.answered.front().is_some_and(|answered| *answered + self.window <= now) {
            self.answered.pop_front();
        }
    }

    /// Takes one token, or says when to ask again.
    pub(super) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        match self.room(now) {
            (0, until) => Err(until),
            _ => {
                self.out += 1;
                Ok(())
            }
        }
    }

    /// Tokens there now; when there are none, the first moment there can be.
    pub(super) fn room(&mut self, now: Duration) -> (usize, Duration) {
        self.forget(now);
        if self.empty_until > now {
            return (0, self.empty_until);
        }
        let used = self.used();
        match self.calls.saturating_sub(used) {
            0 => {
                let waits_for = used.saturating_sub(self.calls);
                (0, self.answered.get(waits_for).map_or(now, |answered| *answered) + self.window)
            }
            room => (room, now),
        }
    }

    /// Gives back a token that was not used.
    pub(super) fn refund(&mut self) {
        self.out = self.out.saturating_sub(1);
    }

    /// The call is answered, or given up: from now on the vendor counts it no later.
    pub(super) fn answered(&mut self, now: Duration) {
        self.out = self.out.saturating_sub(1);
        self.answered.push_back(now);
    }

    pub(super) fn empty_until(&mut self, until: Duration) {
        self.empty_until = self.empty_until.max(until);
    }

    /// Takes over what the vendor says. Calls that others made with the same credential count as ours.
    pub(super) fn adapt(&mut self, pace: Pace, now: Duration) {
        self.calls = (safe(pace.calls) / self.split).max(1);
        if let Some(window) = pace.window.filter(|window| !window.is_zero()) {
            self.window = window;
        }
        self.forget(now);
        let used = pace.calls.saturating_sub(pace.remaining).min(MOST_CALLS) as usize / self.split;
        let known = self.used();
        self.answered.extend(std::iter::repeat_n(now, used.min(self.calls).saturating_sub(known)));
    }
}

/// What a call pays from: this gateway's own bucket, and the pool if it is shared.
struct Purse {
    bucket: Bucket,
    /// What the vendor said it allows in a window, if it did.
    told: Option<u32>,
    pool: Option<Arc<Pool>>,
}

impl Purse {
    fn room(&mut self, now: Duration) -> (usize, Duration) {
        let (own, own_from) = self.bucket.room(now);
        let Some(pool) = &self.pool else { return (own, own_from) };
        let (shared, shared_from) = pool.room();
        if own == 0 || shared == 0 { (0, own_from.max(shared_from)) } else { (own.min(shared), now) }
    }

    /// The vendor's limits as it tells them.
    fn adapt(&mut self, limits: Limits, pace: Pace, now: Duration) {
        if let Some(pool) = &self.pool {
            let window = pace.window.filter(|window| !window.is_zero()).unwrap_or(limits.window);
            self.bucket.is_one_of(pool.resize(Limits { calls: pace.calls, window, ..limits }));
        }
        self.told = Some(pace.calls);
        self.bucket.adapt(pace, now);
    }
}

/// The account's purse, and one for each host that told its own pace: two hosts of one vendor share no figure of theirs.
struct Purses {
    account: Purse,
    hosts: HashMap<String, Purse>,
}

impl Purses {
    /// The host's own, else the account's.
    fn of(&mut self, host: &str) -> &mut Purse {
        self.hosts.get_mut(host).unwrap_or(&mut self.account)
    }
}

/// The account's limits.
pub(super) struct Limiter {
    limits: Limits,
    /// Where most requests go: what an admission pays for.
    host: String,
    slots: Arc<Semaphore>,
    purses: Mutex<Purses>,
    moments: Moments,
    /// How long a call may wait for a slot, and again for a token.
    wait: Duration,
    /// With whom, if the account is shared.
    sharing: Option<Sharing>,
    /// Requests that left.
    used: AtomicU64,
}

impl Limiter {
    pub(super) fn new(
        limits: Limits,
        host: Option<String>,
        moments: Moments,
        wait: Duration,
        sharing: Option<Sharing>,
        gateways: u32,
    ) -> Self {
        let gateways = gateways.max(1);
        let share = sharing.as_ref().map(|sharing| sharing.share(limits));
        let concurrency = share.as_ref().map_or((limits.concurrency / gateways).max(1), |share| share.concurrency);
        let mut bucket = Bucket::new(limits.calls, limits.window);
        // Where nothing is shared each has its part, and no other's when that one has nothing to do.
        bucket.is_one_of(share.map_or(gateways as usize, |share| share.split));
        let pool = sharing.as_ref().map(|sharing| sharing.pool(limits, None, moments.clone()));
        let purses = Purses { account: Purse { bucket, told: None, pool }, hosts: HashMap::new() };
        Self {
            limits,
            host: host.unwrap_or_default(),
            slots: Arc::new(Semaphore::new(concurrency as usize)),
            purses: Mutex::new(purses),
            moments,
            wait,
            sharing,
            used: AtomicU64::new(0),
        }
    }

    fn purses(&self) -> MutexGuard<'_, Purses> {
        self.purses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is it one for these limits and this host?
    pub(super) fn is_for(&self, limits: Limits, host: Option<&str>) -> bool {
        self.limits == limits && self.host == host.unwrap_or_default()
    }

    /// Tokens there now for where most requests go, and when there will be one if there is none.
    pub(super) fn room(&self) -> (usize, Duration) {
        self.purses().of(&self.host).room(self.moments.mono())
    }

    /// Requests that left since the start.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Calls that count where most requests go, and what the vendor allows there in a window.
    pub(super) fn in_window(&self) -> (usize, u32) {
        let now = self.moments.mono();
        let mut purses = self.purses();
        let purse = purses.of(&self.host);
        purse.bucket.forget(now);
        (purse.bucket.used(), purse.told.unwrap_or(self.limits.calls))
    }

    /// What the gateways share of the account as a whole.
    pub(super) fn pool(&self) -> Option<Arc<Pool>> {
        self.purses().account.pool.clone()
    }

    /// Takes over what this host says of itself. What was sent so far counts there, too: where it went is not known.
    pub(super) fn adapt(&self, host: &str, pace: Pace) {
        let now = self.moments.mono();
        let mut purses = self.purses();
        if !purses.hosts.contains_key(host) {
            let pool = self.sharing.as_ref().map(|by| by.pool(self.limits, Some(host), self.moments.clone()));
            let bucket = purses.account.bucket.copied(now);
            purses.hosts.insert(host.to_owned(), Purse { bucket, told: None, pool });
        }
        purses.of(host).adapt(self.limits, pace, now);
    }

    pub(super) fn empty_until(&self, host: &str, until: Duration) {
        let mut purses = self.purses();
        let purse = purses.of(host);
        purse.bucket.empty_until(until);
        if let Some(pool) = &purse.pool {
            pool.freeze(until);
        }
    }

    fn not_now(&self, until: Duration) -> SendError {
        SendError::NotNow { until: self.moments.wall(until) }
    }

    pub(super) async fn slot(&self) -> Result<OwnedSemaphorePermit, SendError> {
        match tokio::time::timeout(self.wait, Arc::clone(&self.slots).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed; a closed one would mean "no slot".
            Ok(Err(_)) | Err(_) => Err(self.not_now(self.moments.mono() + self.wait)),
        }
    }

    /// A slot, if one is free and nobody waits for it.
    pub(super) fn free_slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).try_acquire_owned().ok()
    }

    /// One token for where most requests go, if one is here.
    pub(super) fn token_at_hand(self: &Arc<Self>) -> Option<Token> {
        let (mut token, pool) = self.own_token(&self.host).ok()?;
        if let Some(pool) = pool {
            token.pass = Some(pool.at_hand().ok()??);
        }
        Some(token)
    }

    /// One token for where most requests go.
    pub(super) async fn token(self: &Arc<Self>) -> Result<Token, SendError> {
        self.token_for(&self.host).await
    }

    /// One token, waited for as long as the bound allows. Dropped unused, it is given back.
    async fn token_for(self: &Arc<Self>, host: &str) -> Result<Token, SendError> {
        let give_up = self.moments.mono() + self.wait;
        loop {
            match self.try_token(host).await {
                Ok(token) => return Ok(token),
                // Tokens that are too old when they arrive come with a time that is over.
                Err(at) if at.max(self.moments.mono()) > give_up => return Err(self.not_now(at)),
                Err(at) => self.moments.sleep_until(at).await,
            }
        }
    }

    async fn try_token(self: &Arc<Self>, host: &str) -> Result<Token, Duration> {
        let (mut token, pool) = self.own_token(host)?;
        if let Some(pool) = pool {
            token.pass = Some(pool.take().await?);
        }
        Ok(token)
    }

    /// A token of this gateway's own bucket, and where it needs a pass from.
    fn own_token(self: &Arc<Self>, host: &str) -> Result<(Token, Option<Arc<Pool>>), Duration> {
        let now = self.moments.mono();
        let mut purses = self.purses();
        let purse = purses.of(host);
        purse.bucket.take(now)?;
        let pool = purse.pool.clone();
        let host = purses.hosts.contains_key(host).then(|| host.to_owned());
        drop(purses);
        Ok((Token { limiter: Arc::clone(self), host, left: false, pass: None }, pool))
    }
}

/// Leave for one request on the wire.
pub(super) struct Token {
    limiter: Arc<Limiter>,
    /// Whose purse it is from; none: the account's.
    host: Option<String>,
    /// The request may have left: the vendor may count it.
    left: bool,
    /// From what the gateways share.
    pass: Option<Pass>,
}

impl Token {
    /// Is it from the purse that a request to this host has to pay from?
    pub(super) fn is_for(&self, host: &str) -> bool {
        match &self.host {
            Some(own) => own == host,
            None => !self.limiter.purses().hosts.contains_key(host),
        }
    }

    /// May the request still leave with it?
    pub(super) fn is_good(&self) -> bool {
        self.pass.as_ref().is_none_or(|pass| pass.is_good(self.limiter.moments.mono()))
    }

    /// The request leaves now. The token is held until its answer.
    pub(super) fn leave(mut self) -> Self {
        self.left = true;
        self.limiter.used.fetch_add(1, Ordering::Relaxed);
        self
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        let now = self.limiter.moments.mono();
        if let Some(pass) = self.pass.take() {
            pass.end(self.left, now);
        }
        let mut purses = self.limiter.purses();
        let bucket = match &self.host {
            Some(host) => &mut purses.of(host).bucket,
            None => &mut purses.account.bucket,
        };
        if self.left { bucket.answered(now) } else { bucket.refund() }
    }
}

/// The layer that bounds calls in flight. tower's own reserves its permit in `poll_ready` and waits without bound.
pub(super) struct Slots(pub(super) Arc<Limiter>);

/// Put into a request that is sent while a slot of the same account is held already.
#[derive(Debug, Clone, Copy)]
pub(super) struct SlotHeld;

impl Around for Slots {
    async fn around<S: Wire>(&self, request: Request<Bytes>, next: Next<S>) -> Answer {
        let held = request.extensions().get::<SlotHeld>().is_some();
        let _slot = if held { None } else { Some(self.0.slot().await?) };
        next.call(request).await
    }
}

/// The layer that takes a token for every request on the wire. tower's own keeps its state per service, not shared.
pub(super) struct Rate(pub(super) Arc<Limiter>);

impl Around for Rate {
    async fn around<S: Wire>(&self, mut request: Request<Bytes>, next: Next<S>) -> Answer {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let prepaid = request.extensions_mut().get::<Prepaid>().and_then(|prepaid| prepaid.take_token(&host));
        let token = match prepaid {
            Some(token) => token,
            None => self.0.token_for(&host).await?,
        };
        let left = token.leave();
        let answer = next.call(request).await;
        drop(left);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    /// A bucket in use for 40 s, one call after another as soon as there is room. Each call is on its way for `way` and
    /// reaches the vendor as its number decides: at once, on its way, or just before the answer. When the vendor counted.
    fn counted(bucket: &mut Bucket, way: Duration) -> Vec<Duration> {
        let (mut under_way, mut counted) = (VecDeque::new(), Vec::new());
        for now in (0..4_000u64).map(|step| Duration::from_millis(step * 10)) {
            while under_way.front().is_some_and(|answer| *answer <= now) {
                under_way.pop_front();
                bucket.answered(now);
            }
            while bucket.take(now).is_ok() {
                under_way.push_back(now + way);
                counted.push(now + way * u32::try_from(counted.len() % 3).unwrap() / 2);
            }
        }
        counted.sort_unstable();
        counted
    }

    #[tokio::test]
    async fn gateways_that_share_nothing_have_each_a_part() {
        let limits = Limits { window: WINDOW, calls: 100, concurrency: 6 };
        for (gateways, calls, slots) in [(0, 90, 6), (1, 90, 6), (2, 45, 3), (9, 10, 1)] {
            let moments = Moments::new(Arc::new(crate::clock::SystemClock));
            let limiter = Limiter::new(limits, None, moments, Duration::ZERO, None, gateways);
            assert_eq!((limiter.room().0, limiter.slots.available_permits()), (calls, slots), "{gateways}");
        }
    }

    #[test]
    fn no_window_at_the_vendor_holds_more_than_nine_tenths() {
        for way_ms in [0, 20, 300, 3_000, 12_000] {
            let way = Duration::from_millis(way_ms);
            let counted = counted(&mut Bucket::new(50, WINDOW), way);
            for (first, start) in counted.iter().enumerate() {
                let held = counted[first..].iter().take_while(|at| **at < *start + WINDOW).count();
                assert!(held <= 45, "{held} in the window from {start:?}, {way:?} on the way");
            }
            let rounds = 40_000 / (10_000 + way_ms + 10);
            assert!(counted.len() as u64 >= rounds * 45, "and none is wasted: {}, {way:?}", counted.len());
        }
    }

    #[test]
    fn a_pace_from_the_headers_is_taken_over() {
        let mut bucket = Bucket::new(100, WINDOW);
        bucket.take(Duration::ZERO).unwrap();
        bucket.adapt(Pace { calls: 20, remaining: 5, window: None }, Duration::ZERO);
        assert_eq!(bucket.room(Duration::ZERO).0, 3, "18 are ours, 15 are gone");
        bucket.answered(Duration::ZERO);
        assert_eq!(bucket.room(WINDOW).0, 18);
        bucket.adapt(Pace { calls: 0, remaining: 0, window: Some(Duration::ZERO) }, WINDOW);
        assert_eq!(bucket.room(WINDOW).0, 1, "a nonsensical header cannot stop the account for good");
        bucket.adapt(Pace { calls: u32::MAX, remaining: 0, window: None }, WINDOW);
        assert!(bucket.answered.len() <= MOST_CALLS as usize);
    }

    #[test]
    fn an_unused_token_comes_back() {
        let mut bucket = Bucket::new(1, WINDOW);
        bucket.take(Duration::ZERO).unwrap();
        assert_eq!(bucket.take(Duration::ZERO), Err(WINDOW));
        bucket.refund();
        assert_eq!(bucket.take(Duration::ZERO), Ok(()));
    }

    #[test]
    fn what_is_on_its_way_counts_in_a_copy_too() {
        let mut bucket = Bucket::new(2, WINDOW);
        bucket.take(Duration::ZERO).unwrap();
        let mut copy = bucket.copied(Duration::ZERO);
        assert_eq!(copy.room(Duration::ZERO), (0, WINDOW));
        assert_eq!(copy.room(WINDOW).0, 1, "and not for good");
    }

    #[test]
    fn retry_after_empties_it_until_then() {
        let mut bucket = Bucket::new(10, WINDOW);
        bucket.empty_until(Duration::from_secs(60));
        bucket.empty_until(Duration::from_secs(5));
        assert_eq!(bucket.take(Duration::from_secs(59)), Err(Duration::from_secs(60)));
        assert_eq!(bucket.take(Duration::from_secs(60)), Ok(()));
    }
}
