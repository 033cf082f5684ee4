//! The third proof: what a vendor said it took is read back at the vendor, once the vendor can show it.
//!
//! Background work under the schedule's lease. The delivered row is the timer; whatever is held here can be lost. A record
//! counts when it is the one the vendor named, carries our reference, or was created between our sending and the vendor's
//! yes and is no other delivery's. A vendor that twice does not show what it said it took is a case; a record that turns
//! up later closes it. Tries are bounded, and then it is recorded why there is no proof.
//!
//! Invariants: no delivery's state changes here; no delivery waits for it: it spends only calls that the vendor's window
//! has to spare, and only so much time, nearly none of either while deliveries are due, one account's one after the other,
//! and nothing it sees feeds the breaker.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::clock::Clock;
use causeway_core::connector::{Connector, Delivery, FindSupport, Http, SendError, Taken};
use causeway_core::ids::AccountId;
use causeway_core::outcome::{Found, VendorRecord};
use causeway_core::reason::Reason;
use futures_util::FutureExt;
use http::{Request, Response};
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::Instrument;

use crate::clock::{earliest_there, later, latest_there};
use crate::config::live::Live;
use crate::egress::{Connectors, Egress};
use crate::overlay::{self, Opened};
use crate::store::setup::AccountRecord;
use crate::store::work::{Settled, Sighting, Unproven, WorkItem};
use crate::store::{self, Store, StoreError};
use crate::telemetry::traces;

/// The figures.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadBackPolicy {
    /// The time between two tries, doubled each time; the vendor's visibility lag if that is longer.
    pub gap: Live<Duration>,
    /// So often the vendor is asked for one delivery.
    pub asked_most: u32,
    /// Calls that reading one delivery back may take.
    pub calls_most: usize,
    /// Deliveries of one account read back in one pass.
    pub batch: usize,
    /// How long a pass begins to read more of an account's, where a vendor has calls without end: a busy posting's record is
    /// found among all that came with it, and reading those keeps a processor from deliveries.
    pub time: Duration,
    /// Reading one delivery back, all its calls.
    pub deadline: Duration,
    /// How much the vendor's clock may differ from ours.
    pub clock_skew: Duration,
    /// One whose account has had no call to spare for so long is given up.
    pub patience: Duration,
}

impl Default for ReadBackPolicy {
    fn default() -> Self {
        Self {
            gap: Duration::from_secs(10).into(),
            asked_most: 8,
            calls_most: 10,
            batch: 32,
            time: Duration::from_millis(250),
            deadline: Duration::from_secs(30),
            clock_skew: Duration::from_secs(120),
            patience: Duration::from_hours(24 * 7),
        }
    }
}

/// What it is made of.
pub struct ReadBackParts {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The way out.
    pub egress: Arc<Egress>,
    /// Finds connectors.
    pub connectors: Connectors,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// The figures.
    pub policy: ReadBackPolicy,
}

/// See the module's documentation.
pub struct ReadBack {
    parts: ReadBackParts,
    /// Accounts whose vendor could not answer, and until when they are left alone.
    quiet: Mutex<BTreeMap<AccountId, Timestamp>>,
}

/// Why what an account delivers cannot be read back, if it cannot.
pub(crate) async fn why_not(egress: &Egress, record: &AccountRecord, how: FindSupport) -> Option<String> {
    match how {
        FindSupport::Always => None,
        FindSupport::None => Some("the vendor offers no call to read it back".to_owned()),
        FindSupport::WithCredential(name) if egress.has_credential(record, name).await => None,
        FindSupport::WithCredential(name) => {
            Some(format!("the account has no credential `{name}`, which reading it back needs"))
        }
    }
}

/// Calls that may be spent on reading back, of those the vendor's window has left: a quarter, or one in twenty while
/// deliveries are due.
fn allowance(room: usize, deliveries_due: bool) -> usize {
    if deliveries_due { room / 20 } else { (room / 4).max(room.min(1)) }
}

/// How long a pass begins to read more, while anybody's deliveries are due.
fn time(policy: &ReadBackPolicy, deliveries_due: bool) -> Duration {
    if deliveries_due { policy.time / 5 } else { policy.time }
}

impl ReadBack {
    /// Reads nothing yet.
    pub fn new(parts: ReadBackParts) -> Self {
        Self { parts, quiet: Mutex::default() }
    }

    /// Reads back what is due and can be afforded.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn pass(&self) -> store::Result<()> {
        let now = self.parts.clock.now();
        let unproven = self.parts.store.unproven(now, self.parts.policy.batch).await?;
        if unproven.is_empty() {
            return Ok(());
        }
        let (due, _) = self.parts.store.due(now).await?;
        let until = Instant::now() + time(&self.parts.policy, !due.is_empty());
        let busy: BTreeSet<AccountId> = due.into_iter().map(|due| due.account).collect();
        let mut by_account: BTreeMap<AccountId, Vec<Unproven>> = BTreeMap::new();
        for one in unproven {
            by_account.entry(one.account).or_default().push(one);
        }
        let read =
            by_account.into_iter().map(|(account, due)| self.account(account, due, busy.contains(&account), until));
        futures_util::future::join_all(read).await;
        Ok(())
    }

    /// One account's, one after the other, and one at least.
    async fn account(&self, id: AccountId, unproven: Vec<Unproven>, busy: bool, until: Instant) {
        let record = match self.parts.store.account(id).await {
            Ok(record) => record,
            Err(error) => return tracing::error!(account = %id, %error, "an account cannot be read"),
        };
        let Some(connector) = (self.parts.connectors)(&record.account.connector) else { return };
        let mut left = if self.is_quiet(id) { 0 } else { allowance(self.parts.egress.room(&record).calls, busy) };
        for one in unproven {
            if left == 0 && !self.waited_in_vain(&one) {
                return;
            }
            let sighting = if left == 0 {
                Some(never("the account's limits left no call for it"))
            } else {
                self.ask(&record, connector.as_ref(), &one, &mut left).await
            };
            if let Some(sighting) = sighting {
                self.record(&one, sighting).await;
            }
            if Instant::now() >= until {
                return;
            }
        }
    }

    fn is_quiet(&self, account: AccountId) -> bool {
        let now = self.parts.clock.now();
        let mut quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back must not keep an account quiet for longer than it was meant to be.
        quiet.retain(|_, until| *until > now && *until <= later(now, self.parts.policy.gap.get()));
        quiet.contains_key(&account)
    }

    fn waited_in_vain(&self, unproven: &Unproven) -> bool {
        later(unproven.said_yes_at, self.parts.policy.patience) < self.parts.clock.now()
    }

    /// Asks the vendor for one; `None` when there is nothing to record.
    async fn ask(
        &self,
        record: &AccountRecord,
        connector: &dyn Connector,
        unproven: &Unproven,
        left: &mut usize,
    ) -> Option<Sighting> {
        if let Some(why) = why_not(&self.parts.egress, record, connector.read_back()).await {
            return Some(never(why));
        }
        let item = match self.parts.store.load_delivered(unproven).await {
            Ok(item) => item,
            // Erased meanwhile.
            Err(StoreError::NotFound(_)) => return None,
            Err(StoreError::Corrupt(_)) => return Some(never("its stored data cannot be opened")),
            Err(error) => {
                tracing::error!(delivery = %unproven.delivery, %error, "a delivered one cannot be loaded");
                return None;
            }
        };
        let Some(opened) = overlay::open(&item, connector) else {
            return Some(never("its stored data cannot be read"));
        };
        let http = Sparing::new(self.parts.egress.aside(record), self.parts.policy.calls_most);
        let span = traces::read_back(&item.trace_id, unproven.submission, unproven.delivery);
        let found = self.seen(connector, unproven, &item, &opened, &http).instrument(span).await;
        *left = left.saturating_sub(http.spent().max(1));
        if http.ran_out() {
            return Some(never("reading it back would take too many calls"));
        }
        if matches!(found, Found::NotNow { .. }) {
            *left = 0;
            let until = later(self.parts.clock.now(), self.parts.policy.gap.get());
            self.quiet.lock().unwrap_or_else(PoisonError::into_inner).insert(unproven.account, until);
        }
        let lag = connector.describe().lag(&record.account);
        self.judge(unproven, found, lag).await
    }

    async fn seen(
        &self,
        connector: &dyn Connector,
        unproven: &Unproven,
        item: &WorkItem,
        Opened { application, fields }: &Opened,
        http: &dyn Http,
    ) -> Found {
        let delivery = Delivery {
            id: unproven.delivery,
            application_id: unproven.submission,
            code: &item.code,
            received_at: item.received_at,
            account: &item.account.account,
            posting: &item.posting,
            form: item.form.as_ref(),
            application,
            files: &[],
            fields,
            refs: &item.refs,
            now: self.parts.clock.now(),
        };
        let taken = Taken {
            sent_at: earliest_there(&*self.parts.clock, unproven.sent_at),
            said_yes_at: latest_there(&*self.parts.clock, unproven.said_yes_at),
            vendor_id: unproven.vendor_id.as_deref(),
        };
        let seen = AssertUnwindSafe(connector.seen(&delivery, &taken, http)).catch_unwind();
        match tokio::time::timeout(self.parts.policy.deadline, seen).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => {
                tracing::error!(delivery = %unproven.delivery, "reading a delivery back broke its worker");
                Found::CannotTell
            }
            Err(_) => Found::NotNow { retry_after: None },
        }
    }

    /// What the vendor's answer comes to; a record that can be ours is recorded at once, for the store knows whether it is
    /// another's.
    async fn judge(&self, unproven: &Unproven, found: Found, lag: Duration) -> Option<Sighting> {
        let now = self.parts.clock.now();
        match found {
            Found::Seen(records) => {
                for record in records.into_iter().filter(|record| self.is_ours(unproven, record)) {
                    let seen = Sighting::Seen { vendor_id: record.vendor_id, refs: record.refs };
                    match self.parts.store.record_sighting(unproven, seen, now).await {
                        Ok(Settled::Done { .. }) => return None,
                        Ok(Settled::LinkTaken) => {}
                        Err(error) => {
                            not_recorded(unproven, &error);
                            return None;
                        }
                    }
                }
                Some(self.missed(unproven, now, lag))
            }
            Found::NotSeen { as_of } => Some(self.missed(unproven, as_of, lag)),
            Found::CannotTell => Some(never("the system could not be made to say")),
            Found::NotNow { retry_after } => {
                if unproven.asked + 1 >= self.parts.policy.asked_most {
                    return Some(never(format!("it was asked for {} times, without an answer", unproven.asked + 1)));
                }
                let wait =
                    self.wait(unproven, lag).max(retry_after.unwrap_or_default().min(self.parts.policy.patience));
                Some(Sighting::Again { at: later(now, wait), missed: unproven.missed, case: None })
            }
        }
    }

    /// The one that the vendor named or that carries our reference; where neither is known, one made between our sending
    /// and the vendor's yes.
    fn is_ours(&self, unproven: &Unproven, record: &VendorRecord) -> bool {
        if let Some(named) = &unproven.vendor_id {
            return record.carries_our_reference || record.vendor_id == *named;
        }
        let (clock, skew) = (&*self.parts.clock, self.parts.policy.clock_skew);
        let earliest = earliest_there(clock, unproven.sent_at).saturating_sub(skew).unwrap_or(Timestamp::MIN);
        let latest = later(latest_there(clock, unproven.said_yes_at), skew);
        record.carries_our_reference || record.created_at.is_some_and(|at| earliest <= at && at <= latest)
    }

    /// The vendor does not show it as of then.
    fn missed(&self, unproven: &Unproven, as_of: Timestamp, lag: Duration) -> Sighting {
        let counts = as_of >= later(unproven.said_yes_at, lag);
        let missed = unproven.missed + u32::from(counts);
        if unproven.asked + 1 >= self.parts.policy.asked_most {
            return never(format!("the system does not show it, asked {} times after it said yes", unproven.asked + 1));
        }
        let at = later(self.parts.clock.now(), self.wait(unproven, lag));
        Sighting::Again { at, missed, case: (missed >= 2).then_some(Reason::NotSeenAtVendor) }
    }

    fn wait(&self, unproven: &Unproven, lag: Duration) -> Duration {
        self.parts.policy.gap.get().max(lag).saturating_mul(1 << unproven.asked.min(10))
    }

    async fn record(&self, unproven: &Unproven, sighting: Sighting) {
        let missed = matches!(sighting, Sighting::Again { case: Some(_), .. });
        if missed {
            let (delivery, account) = (unproven.delivery, unproven.account);
            tracing::warn!(%delivery, %account, "a vendor does not show what it said it took");
        }
        if let Err(error) = self.parts.store.record_sighting(unproven, sighting, self.parts.clock.now()).await {
            not_recorded(unproven, &error);
        }
    }
}

/// The row keeps its time, and it is read back again.
fn not_recorded(unproven: &Unproven, error: &StoreError) {
    tracing::warn!(delivery = %unproven.delivery, %error, "a sighting could not be recorded");
}

fn never(why: impl Into<String>) -> Sighting {
    Sighting::NotVerifiable { why: why.into() }
}

/// An `Http` that stops after so many calls.
struct Sparing<H> {
    inner: H,
    most: usize,
    asked: AtomicUsize,
}

impl<H> Sparing<H> {
    const fn new(inner: H, most: usize) -> Self {
        Self { inner, most, asked: AtomicUsize::new(0) }
    }

    fn spent(&self) -> usize {
        self.asked.load(Ordering::Relaxed).min(self.most)
    }

    fn ran_out(&self) -> bool {
        self.asked.load(Ordering::Relaxed) > self.most
    }
}

#[async_trait]
impl<H: Http> Http for Sparing<H> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, SendError> {
        if self.asked.fetch_add(1, Ordering::Relaxed) >= self.most {
            return Err(SendError::NotSent("no more calls for this"));
        }
        self.inner.send(request).await
    }
}

#[cfg(test)]
#[path = "read_back_tests.rs"]
mod tests;
