//! One bucket that several gateways share, as one of them sees it.
//!
//! Tokens come in small batches: as many as are waited for, and as many ahead as were used in the time for which a token is
//! good, so that a busy account asks a few times in that time and not for each call. What is not used in time is lost; what
//! is given back unused can be taken until then. While Redis cannot be asked, calls are taken from the reserve.
//!
//! A freeze (`Retry-After`) and an open breaker come with every answer. Whoever knows of a freeze keeps it up in Redis until
//! it ends, so that a Redis that was emptied does not forget it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use causeway_core::connector::Limits;
use causeway_core::ids::AccountId;
use redis::Script;

use super::Share;
use crate::egress::limit::Bucket;
use crate::egress::moments::Moments;
use crate::hash::sha256_hex;
use crate::shared::Link;

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("account.lua")));

/// How often a freeze is told again.
const KEEP_UP: Duration = Duration::from_millis(500);
/// A freeze that ends so much later is another; less is the way to Redis and back.
const LATER: Duration = Duration::from_millis(50);

/// What to share, and over what.
#[derive(Clone)]
pub(in crate::egress) struct Sharing {
    pub(in crate::egress) link: Arc<Link>,
    pub(in crate::egress) account: AccountId,
}

impl Sharing {
    pub(in crate::egress) fn share(&self, limits: Limits) -> Share {
        Share::of(limits, self.link.gateways())
    }

    /// The account's pool, or that of a host that tells its own pace.
    pub(in crate::egress) fn pool(&self, limits: Limits, host: Option<&str>, moments: Moments) -> Arc<Pool> {
        // Of one account, so that all are in one slot of a cluster.
        let key = |name: &str| format!("causeway:{{{}}}:{name}", self.account);
        let bucket = match host {
            None => "calls".to_owned(),
            Some(host) => format!("calls:{}", sha256_hex(host.as_bytes()).chars().take(16).collect::<String>()),
        };
        let share = self.share(limits);
        Arc::new_cyclic(|me| Pool {
            me: me.clone(),
            link: Arc::clone(&self.link),
            moments,
            keys: [key(&bucket), key("breaker")],
            state: Mutex::new(State::new(limits, share)),
            asking: tokio::sync::Mutex::new(()),
            waiting: AtomicUsize::new(0),
        })
    }
}

/// See the module's documentation.
pub(in crate::egress) struct Pool {
    me: Weak<Self>,
    link: Arc<Link>,
    moments: Moments,
    keys: [String; 2],
    state: Mutex<State>,
    /// One question at a time; who waits for it finds its answer.
    asking: tokio::sync::Mutex<()>,
    waiting: AtomicUsize,
}

struct State {
    limits: Limits,
    share: Share,
    /// Until when each token that is here is good, oldest first.
    ahead: VecDeque<Duration>,
    reserve: Option<Bucket>,
    /// Redis has none before.
    none_until: Duration,
    frozen_until: Duration,
    keeps_up: bool,
    open_until: Duration,
    /// Tokens Redis had left, and when.
    left: (usize, Duration),
    /// When counting began, tokens used since, and in the time before.
    pace: (Duration, usize, usize),
}

/// Leave from the pool for one request.
pub(in crate::egress) enum Pass {
    /// One of the shared tokens, good until then.
    Shared(Arc<Pool>, Duration),
    /// One of the reserve.
    Reserve(Arc<Pool>),
}

impl Pass {
    /// May the request still leave with it?
    pub(in crate::egress) fn is_good(&self, now: Duration) -> bool {
        match self {
            Self::Shared(_, until) => now < *until,
            Self::Reserve(_) => true,
        }
    }

    /// It was used and the call is answered, or it was not used.
    pub(in crate::egress) fn end(self, left: bool, now: Duration) {
        match (self, left) {
            (Self::Shared(..), true) => {}
            (Self::Shared(pool, until), false) => pool.state().give_back(until, now),
            (Self::Reserve(pool), true) => pool.state().reserve.iter_mut().for_each(|bucket| bucket.answered(now)),
            (Self::Reserve(pool), false) => pool.state().reserve.iter_mut().for_each(Bucket::refund),
        }
    }
}

/// What the script answers.
type Reply = (usize, u64, u64, u64, i64);

impl Pool {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One token, or when to ask again.
    pub(in crate::egress) async fn take(self: &Arc<Self>) -> Result<Pass, Duration> {
        if let Some(pass) = self.at_hand()? {
            return Ok(pass);
        }
        let _waiting = Waiting::new(&self.waiting);
        let _turn = self.asking.lock().await;
        // Whoever asked before may have asked for us, too.
        if let Some(pass) = self.at_hand()? {
            return Ok(pass);
        }
        let now = self.moments.mono();
        if self.link.is_up() {
            let none_until = self.state().none_until;
            if none_until > now {
                return Err(none_until);
            }
        }
        let want = self.state().wanted(now, self.waiting.load(Ordering::Relaxed));
        if !self.ask(want, Duration::ZERO, 0).await {
            return self.from_reserve();
        }
        match self.at_hand()? {
            Some(pass) => Ok(pass),
            None => Err(self.state().none_until),
        }
    }

    /// A token that is here, or the time until which there is none whatever Redis says.
    pub(in crate::egress) fn at_hand(self: &Arc<Self>) -> Result<Option<Pass>, Duration> {
        let now = self.moments.mono();
        let mut state = self.state();
        let stopped = state.frozen_until.max(state.open_until);
        if stopped > now {
            return Err(stopped);
        }
        Ok(state.next(now).map(|until| Pass::Shared(Arc::clone(self), until)))
    }

    fn from_reserve(self: &Arc<Self>) -> Result<Pass, Duration> {
        let now = self.moments.mono();
        self.state().take_reserve(now).map(|()| Pass::Reserve(Arc::clone(self)))
    }

    /// Tokens there now, and when there will be one if there is none. Asks nobody.
    pub(in crate::egress) fn room(&self) -> (usize, Duration) {
        let now = self.moments.mono();
        let up = self.link.is_up();
        let mut state = self.state();
        let stopped = state.frozen_until.max(state.open_until);
        if stopped > now {
            (0, stopped)
        } else if up {
            state.room(now)
        } else {
            state.reserve_room(now)
        }
    }

    /// The vendor asked for quiet until then: told to all, for as long as it lasts.
    pub(in crate::egress) fn freeze(&self, until: Duration) {
        let mut state = self.state();
        if until <= state.frozen_until {
            return;
        }
        state.frozen_until = until;
        state.ahead.clear();
        if !std::mem::replace(&mut state.keeps_up, true) {
            self.keep_frozen();
        }
    }

    fn keep_frozen(&self) {
        let me = self.me.clone();
        self.link.tasks().spawn(async move {
            while let Some(pool) = me.upgrade() {
                let left = {
                    let mut state = pool.state();
                    let left = state.frozen_until.saturating_sub(pool.moments.mono());
                    state.keeps_up = !left.is_zero();
                    left
                };
                if left.is_zero() {
                    return;
                }
                pool.ask(0, left, 0).await;
                drop(pool);
                tokio::time::sleep(left.min(KEEP_UP)).await;
            }
        });
    }

    /// The breaker opened here until then.
    pub(in crate::egress) fn opened(&self, until: Duration) {
        let long = until.saturating_sub(self.moments.mono());
        self.tell(millis(long).max(1));
    }

    /// The breaker closed here.
    pub(in crate::egress) fn closed(&self) {
        self.state().open_until = Duration::ZERO;
        self.tell(-1);
    }

    fn tell(&self, open: i64) {
        let me = self.me.clone();
        self.link.tasks().spawn(async move {
            if let Some(pool) = me.upgrade() {
                pool.ask(0, Duration::ZERO, open).await;
            }
        });
    }

    /// Until when a breaker is open, here or elsewhere.
    pub(in crate::egress) fn open_until(&self) -> Duration {
        self.state().open_until
    }

    /// Other limits, because the vendor told them.
    pub(in crate::egress) fn resize(&self, limits: Limits) -> usize {
        let mut state = self.state();
        if state.limits != limits {
            let share = Share::of(limits, self.link.gateways());
            state.resize(limits, share);
        }
        state.share.split
    }

    /// Asks and takes over what is answered. False: there was no answer.
    async fn ask(&self, want: usize, freeze: Duration, open: i64) -> bool {
        let bucket = self.state().share.shared.map(|(bucket, _)| bucket);
        let sent = self.moments.mono();
        let answer: Option<Reply> = self
            .link
            .ask(|mut conn| async move {
                let mut call = SCRIPT.prepare_invoke();
                for key in &self.keys {
                    call.key(key);
                }
                call.arg(want).arg(millis(freeze)).arg(open);
                if let Some(bucket) = bucket {
                    call.arg(bucket.rate).arg(bucket.burst).arg(millis(bucket.forget));
                }
                call.invoke_async(&mut conn).await
            })
            .await;
        let Some(reply) = answer else { return false };
        let mut state = self.state();
        let is_later = state.heard(reply, sent);
        if is_later && !std::mem::replace(&mut state.keeps_up, true) {
            self.keep_frozen();
        }
        true
    }
}

impl State {
    fn new(limits: Limits, share: Share) -> Self {
        let reserve = reserve(limits, &share);
        Self {
            limits,
            share,
            ahead: VecDeque::new(),
            reserve,
            none_until: Duration::ZERO,
            frozen_until: Duration::ZERO,
            keeps_up: false,
            open_until: Duration::ZERO,
            left: (1, Duration::ZERO),
            pace: (Duration::ZERO, 0, 0),
        }
    }

    fn resize(&mut self, limits: Limits, share: Share) {
        if (self.limits.window, self.share.part()) != (limits.window, share.part()) {
            // What was taken from the reserve counts on in the new one.
            let old = self.reserve.take();
            self.reserve = reserve(limits, &share);
            if let (Some(bucket), Some(old)) = (&mut self.reserve, old) {
                bucket.continues(old);
            }
        }
        (self.limits, self.share) = (limits, share);
    }

    /// The oldest token that is still good.
    fn next(&mut self, now: Duration) -> Option<Duration> {
        while let Some(until) = self.ahead.pop_front() {
            if now < until {
                self.count(now);
                return Some(until);
            }
        }
        None
    }

    fn give_back(&mut self, until: Duration, now: Duration) {
        if now < until && self.frozen_until <= now {
            self.ahead.push_front(until);
        }
    }

    fn count(&mut self, now: Duration) {
        self.turn_over(now);
        self.pace.1 += 1;
    }

    fn turn_over(&mut self, now: Duration) {
        let (began, used, _) = self.pace;
        let fresh = self.share.fresh;
        if now >= began + fresh {
            let just_before = now < began + fresh * 2;
            self.pace = (now, 0, if just_before { used } else { 0 });
        }
    }

    /// As many as wait, and ahead as many as are used while a token is good.
    fn wanted(&mut self, now: Duration, waiting: usize) -> usize {
        self.turn_over(now);
        let most = self.share.shared.map_or(usize::MAX, |(bucket, _)| bucket.burst as usize);
        let ahead = self.pace.1.max(self.pace.2).min(most / 2);
        (waiting.max(1) + ahead).min(most).max(1)
    }

    fn take_reserve(&mut self, now: Duration) -> Result<(), Duration> {
        self.reserve.as_mut().map_or(Ok(()), |bucket| bucket.take(now))
    }

    fn reserve_room(&mut self, now: Duration) -> (usize, Duration) {
        self.reserve.as_mut().map_or((usize::MAX, now), |bucket| bucket.room(now))
    }

    fn room(&self, now: Duration) -> (usize, Duration) {
        let ready = self.ahead.iter().filter(|until| now < **until).count();
        if ready == 0 && self.none_until > now {
            return (0, self.none_until);
        }
        let Some((bucket, _)) = self.share.shared else { return (usize::MAX, now) };
        let (left, as_of) = self.left;
        let since = now.saturating_sub(as_of).as_secs_f64() * 1e3;
        // What others take meanwhile is not known: who is let through too early waits a little, or comes back.
        let guess = (left as f64 + since * bucket.rate).min(bucket.burst) as usize;
        ((ready + guess).max(1), now)
    }

    /// Takes an answer over; true when it told of a freeze that was not known.
    fn heard(&mut self, (given, wait, frozen, open, left): Reply, sent: Duration) -> bool {
        let good_until = sent + self.share.fresh;
        let [wait, frozen, open] = [wait, frozen, open].map(|ms| sent + Duration::from_millis(ms));
        self.ahead.extend(std::iter::repeat_n(good_until, given));
        self.left = (usize::try_from(left).unwrap_or(0), sent);
        self.open_until = if open > sent { self.open_until.max(open) } else { self.open_until };
        if given == 0 {
            self.none_until = wait.max(frozen).max(open);
        }
        let is_later = frozen > self.frozen_until + LATER;
        if frozen > sent && is_later {
            self.frozen_until = frozen;
            self.ahead.clear();
        }
        frozen > sent && is_later
    }
}

fn reserve(limits: Limits, share: &Share) -> Option<Bucket> {
    share.part().map(|calls| Bucket::exact(calls, limits.window))
}

fn millis(long: Duration) -> i64 {
    i64::try_from(long.as_millis()).unwrap_or(i64::MAX)
}

/// Somebody waits for a token.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
