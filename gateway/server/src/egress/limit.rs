//! The account's limits: calls in flight, and calls in the vendor's window. One of each, shared by every clone; a host that
//! tells its own pace in its answers has a window of its own.
//!
//! The bucket remembers when it was last taken from, so that no window of the vendor's length, wherever it begins, holds
//! more calls than nine tenths of what the vendor allows; a bucket that refills while a full burst goes out would let
//! through nearly twice that. `Retry-After` empties it until then, the vendor's own headers adapt it. Waiting is bounded:
//! who would wait longer is told when to come back.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use causeway_core::connector::{Limits, Pace, SendError};
use http::Request;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Prepaid;
use super::around::{Answer, Around, Next, Wire};
use super::moments::Moments;

/// The most calls a vendor's header can make us remember.
const MOST_CALLS: u32 = 10_000;

/// The pure bucket. Time is a duration since some start.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    /// Calls allowed in a window, safety taken off.
    calls: usize,
    window: Duration,
    /// When each call of the last window went out, oldest first.
    sent: VecDeque<Duration>,
    empty_until: Duration,
}

/// Nine tenths, and never nothing.
fn safe(calls: u32) -> usize {
    (calls.min(MOST_CALLS) as usize * 9 / 10).max(1)
}

impl Bucket {
    pub(super) fn new(calls: u32, window: Duration) -> Self {
        Self { calls: safe(calls), window, sent: VecDeque::new(), empty_until: Duration::ZERO }
    }

    fn forget(&mut self, now: Duration) {
        while self.sent.front().is_some_and(|sent| *sent + self.window <= now) {
            self.sent.pop_front();
        }
    }

    /// Takes one token, or says when to ask again.
    pub(super) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        match self.room(now) {
            (0, until) => Err(until),
            _ => {
                self.sent.push_back(now);
                Ok(())
            }
        }
    }

    /// Tokens there now; when there are none, the moment there will be.
    pub(super) fn room(&mut self, now: Duration) -> (usize, Duration) {
        self.forget(now);
        if self.empty_until > now {
            return (0, self.empty_until);
        }
        match self.calls.saturating_sub(self.sent.len()) {
            0 => {
                let waits_for = self.sent.len().saturating_sub(self.calls);
                (0, self.sent.get(waits_for).map_or(now, |sent| *sent + self.window))
            }
            room => (room, now),
        }
    }

    /// Gives back a token that was not used.
    pub(super) fn refund(&mut self, taken: Duration) {
        if let Some(position) = self.sent.iter().rposition(|sent| *sent == taken) {
            self.sent.remove(position);
        }
    }

    pub(super) fn empty_until(&mut self, until: Duration) {
        self.empty_until = self.empty_until.max(until);
    }

    /// Takes over what the vendor says. Calls that others made with the same credential count as ours.
    pub(super) fn adapt(&mut self, pace: Pace, now: Duration) {
        self.calls = safe(pace.calls);
        if let Some(window) = pace.window.filter(|window| !window.is_zero()) {
            self.window = window;
        }
        self.forget(now);
        let used = pace.calls.saturating_sub(pace.remaining).min(MOST_CALLS) as usize;
        for _ in self.sent.len()..used.min(self.calls) {
            self.sent.push_back(now);
        }
    }
}

/// The account's bucket, and one for each host that told its own pace: two hosts of one vendor share no figure of theirs.
struct Buckets {
    account: Bucket,
    hosts: HashMap<String, Bucket>,
}

impl Buckets {
    /// The host's own, else the account's.
    fn of(&mut self, host: &str) -> &mut Bucket {
        self.hosts.get_mut(host).unwrap_or(&mut self.account)
    }
}

/// The account's limits.
pub(super) struct Limiter {
    limits: Limits,
    /// Where most requests go: what an admission pays for.
    host: String,
    slots: Arc<Semaphore>,
    buckets: Mutex<Buckets>,
    moments: Moments,
    /// How long a call may wait for a slot, and again for a token.
    wait: Duration,
}

impl Limiter {
    pub(super) fn new(limits: Limits, host: Option<String>, moments: Moments, wait: Duration) -> Self {
        let slots = Arc::new(Semaphore::new(limits.concurrency.max(1) as usize));
        let buckets = Buckets { account: Bucket::new(limits.calls, limits.window), hosts: HashMap::new() };
        Self { limits, host: host.unwrap_or_default(), slots, buckets: Mutex::new(buckets), moments, wait }
    }

    fn buckets(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is it one for these limits and this host?
    pub(super) fn is_for(&self, limits: Limits, host: Option<&str>) -> bool {
        self.limits == limits && self.host == host.unwrap_or_default()
    }

    /// Tokens there now for where most requests go, and when there will be one if there is none.
    pub(super) fn room(&self) -> (usize, Duration) {
        self.buckets().of(&self.host).room(self.moments.mono())
    }

    /// Takes over what this host says of itself. What was sent so far counts there, too: where it went is not known.
    pub(super) fn adapt(&self, host: &str, pace: Pace) {
        let now = self.moments.mono();
        let mut buckets = self.buckets();
        let account = buckets.account.clone();
        buckets.hosts.entry(host.to_owned()).or_insert(account).adapt(pace, now);
    }

    pub(super) fn empty_until(&self, host: &str, until: Duration) {
        self.buckets().of(host).empty_until(until);
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

    /// One token for where most requests go.
    pub(super) async fn token(self: &Arc<Self>) -> Result<Token, SendError> {
        self.token_for(&self.host).await
    }

    /// One token, waited for as long as the bound allows. Dropped unused, it is given back.
    async fn token_for(self: &Arc<Self>, host: &str) -> Result<Token, SendError> {
        let give_up = self.moments.mono() + self.wait;
        loop {
            let now = self.moments.mono();
            let (taken, own) = {
                let mut buckets = self.buckets();
                (buckets.of(host).take(now), buckets.hosts.contains_key(host))
            };
            match taken {
                Ok(()) => {
                    let host = own.then(|| host.to_owned());
                    return Ok(Token { limiter: Arc::clone(self), host, taken: Some(now) });
                }
                Err(at) if at > give_up => return Err(self.not_now(at)),
                Err(at) => self.moments.sleep_until(at).await,
            }
        }
    }
}

/// Leave for one request on the wire.
pub(super) struct Token {
    limiter: Arc<Limiter>,
    /// Whose bucket it is from; none: the account's.
    host: Option<String>,
    taken: Option<Duration>,
}

impl Token {
    /// Is it from the bucket that a request to this host has to pay?
    pub(super) fn is_for(&self, host: &str) -> bool {
        match &self.host {
            Some(own) => own == host,
            None => !self.limiter.buckets().hosts.contains_key(host),
        }
    }

    pub(super) fn spend(mut self) {
        self.taken = None;
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if let Some(taken) = self.taken {
            let mut buckets = self.limiter.buckets();
            match &self.host {
                Some(host) => buckets.of(host).refund(taken),
                None => buckets.account.refund(taken),
            }
        }
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
        match prepaid {
            Some(token) => token.spend(),
            None => self.0.token_for(&host).await?.spend(),
        }
        next.call(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    #[test]
    fn no_window_holds_more_than_nine_tenths() {
        let mut bucket = Bucket::new(50, WINDOW);
        let mut sent = Vec::new();
        for step in 0..4_000u64 {
            let now = Duration::from_millis(step * 10);
            while bucket.take(now).is_ok() {
                sent.push(now);
            }
        }
        for (first, start) in sent.iter().enumerate() {
            let held = sent[first..].iter().take_while(|at| **at < *start + WINDOW).count();
            assert!(held <= 45, "{held} in the window from {start:?}");
        }
        assert!(sent.len() >= 180, "and none is wasted: {}", sent.len());
    }

    #[test]
    fn a_pace_from_the_headers_is_taken_over() {
        let mut bucket = Bucket::new(100, WINDOW);
        bucket.take(Duration::ZERO).unwrap();
        bucket.adapt(Pace { calls: 20, remaining: 5, window: None }, Duration::ZERO);
        assert_eq!(bucket.room(Duration::ZERO).0, 3, "18 are ours, 15 are gone");
        assert_eq!(bucket.room(WINDOW).0, 18);
        bucket.adapt(Pace { calls: 0, remaining: 0, window: Some(Duration::ZERO) }, WINDOW);
        assert_eq!(bucket.room(WINDOW).0, 1, "a nonsensical header cannot stop the account for good");
        bucket.adapt(Pace { calls: u32::MAX, remaining: 0, window: None }, WINDOW);
        assert!(bucket.sent.len() <= MOST_CALLS as usize);
    }

    #[test]
    fn an_unused_token_comes_back() {
        let mut bucket = Bucket::new(1, WINDOW);
        bucket.take(Duration::ZERO).unwrap();
        assert_eq!(bucket.take(Duration::ZERO), Err(WINDOW));
        bucket.refund(Duration::ZERO);
        assert_eq!(bucket.take(Duration::ZERO), Ok(()));
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
