//! Dispatch: what is due is claimed fairly, carried, and settled. Reading path: `store` before this file, a connector's
//! `mod` after it. In this folder `carry` is one delivery's trip, `attempt` one try of a step, `settle` its end, `verify` an
//! unknown outcome's, `fair`, `gather` and `desk` whose turn it is.
//!
//! ```text
//! ring, or timer → due: share among tenants → claim → load → plan → per step:
//!     admit → begin the attempt (committed before the first byte) → run → judge → settle → next step,
//!     which begins in the same commit where it is admitted at once
//!     unknown outcome: verify → adopt what the vendor has, or resend what it has not
//! ```
//!
//! Who rings names the account, so it is claimed for at once, or a little later together with what comes until then where it
//! rings all the time. Who has due work is asked every second, when something is known to become due or to go on, and soon after
//! a claim that gave nothing. What was delivered is read back later, by `read_back`. It decides nothing about retries (`retry`
//! does), knows no vendor (connectors do) and keeps no truth: everything it holds in memory can be lost at any moment, and the
//! store's leases bring the work back.
//!
//! Invariants: waiting for admission is not an attempt; nothing is sent before its attempt is committed; what was begun is
//! settled or found by its lease; a delivery that breaks its worker does not break its neighbours; at a stop nothing new is
//! begun, and what is on the wire may finish.

mod attempt;
mod carry;
mod desk;
mod fair;
mod figures;
mod gather;
mod memory;
mod settle;
mod verify;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use causeway_core::clock::{Clock, Entropy};
use causeway_core::ids::AccountId;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::alike::AlikePolicy;
use crate::config::live::Live;
use crate::egress::{self, Connectors, Egress};
use crate::queue::{Listener, Rung};
use crate::retry::RetryPolicy;
use crate::store::setup::AccountRecord;
use crate::store::work::{Claim, ClaimRequest};
use crate::store::{self, Store, StoreError};
use crate::telemetry::metrics::Page;
use crate::telemetry::traces::{self, TraceParent};

use desk::{Desk, Finished};
use fair::Want;

/// The figures dispatch works with.
#[derive(Debug, Clone, PartialEq)]
pub struct DispatchPolicy {
    /// Deliveries under way at once, over all accounts.
    pub in_flight: usize,
    /// How long a claimed delivery is ours.
    pub lease: Duration,
    /// One step, its lookups included.
    pub step_deadline: Duration,
    /// Attachment bytes in memory at once.
    pub attachment_bytes: usize,
    /// How long what is on the wire may take after a stop.
    pub stop_grace: Duration,
    /// How much earlier than the attempt a vendor's clock may say a record was created.
    pub clock_skew: Duration,
    /// How long an account is not claimed for after a claim that gave several, but fewer than a claim is worth.
    pub gather: Duration,
    /// Unique per process: names it in leases.
    pub owner: String,
}

impl Default for DispatchPolicy {
    fn default() -> Self {
        Self {
            in_flight: 64,
            lease: Duration::from_secs(120),
            step_deadline: Duration::from_secs(75),
            attachment_bytes: 64 * 1024 * 1024,
            stop_grace: Duration::from_secs(30),
            clock_skew: Duration::from_secs(120),
            gather: Duration::ZERO,
            owner: "gateway".to_owned(),
        }
    }
}

/// Longer than admission can wait and a settlement can take: what a lease must outlast besides the step itself.
const MARGIN: Duration = Duration::from_secs(15);
/// The longest time between two looks at the store; a wall clock that jumps is noticed within it.
const TICK: Duration = Duration::from_secs(1);
/// How soon to look again while due work cannot be claimed.
const STALLED: Duration = Duration::from_millis(250);

/// What dispatch is made of.
pub struct DispatchParts {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The way out.
    pub egress: Arc<Egress>,
    /// Finds connectors.
    pub connectors: Connectors,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// For jitter.
    pub entropy: Arc<dyn Entropy>,
    /// When to try again.
    pub retry: Live<RetryPolicy>,
    /// When many that fail alike are held.
    pub alike: Live<AlikePolicy>,
    /// The figures.
    pub policy: DispatchPolicy,
}

/// What a pass came to.
struct Pass {
    /// How long there is nothing to do unless something happens.
    wake: Duration,
    /// What could be claimed is, but for accounts that the desk misses something of.
    committed: bool,
    /// Who gathered then was not claimed for.
    began: Instant,
}

/// The lease is too short for the step it has to outlast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the delivery lease must be longer than a step's deadline plus {} s", MARGIN.as_secs())]
pub struct LeaseTooShort;

/// See the module's documentation.
pub struct Dispatch {
    parts: DispatchParts,
    memory: memory::Memory,
    accounts: Mutex<HashMap<AccountId, (u64, AccountRecord)>>,
    turn: AtomicUsize,
    figures: figures::Figures,
}

impl Dispatch {
    /// Does nothing yet.
    ///
    /// # Errors
    /// When the lease cannot outlast a step: two workers could then send the same thing.
    pub fn new(parts: DispatchParts) -> Result<Arc<Self>, LeaseTooShort> {
        if parts.policy.lease <= parts.policy.step_deadline + MARGIN {
            return Err(LeaseTooShort);
        }
        let memory = memory::Memory::new(parts.policy.attachment_bytes);
        let figures = figures::Figures::default();
        Ok(Arc::new(Self { parts, memory, accounts: Mutex::default(), turn: AtomicUsize::new(0), figures }))
    }

    /// Onto the page.
    pub fn put(&self, page: &mut Page) {
        self.figures.put(page);
    }

    /// Works until told to stop; then begins nothing, gives unused leases back and waits for what is on the wire.
    ///
    /// What was heard is acknowledged once a pass that began after it has committed its claims, and not before: a gateway
    /// that dies in between leaves the ring to another. One that cannot reach the store keeps it, and those of an account that
    /// could not be claimed for. An account that gathers is claimed for by a later pass, and its ring is acknowledged then.
    pub async fn run(self: Arc<Self>, listener: Arc<dyn Listener>, stop: CancellationToken) {
        let tracker = TaskTracker::new();
        let (report, mut reports) = mpsc::unbounded_channel();
        let mut desk = Desk::new(self.parts.policy.in_flight, self.parts.policy.gather);
        let mut heard: Vec<Rung> = Vec::new();
        let mut look_at = Instant::now();
        while !stop.is_cancelled() {
            let everywhere = Instant::now() >= look_at;
            let pass = self.pass(&mut desk, everywhere).await;
            let wake = Instant::now() + pass.wake;
            look_at = if everywhere { wake } else { look_at.min(wake) };
            let mut kept = BTreeSet::new();
            let claimed = |rung: &mut Rung| {
                // Whom this pass claimed for is done with, even if it has rung again by the time the others are. Of whom it
                // could not claim for one ring stands for those that follow: others' rings need the room.
                rung.rings.retain(|ring| {
                    let missed = !pass.committed || desk.misses(ring.account);
                    desk.gathers(ring.account, pass.began) || missed && kept.insert(ring.account)
                });
                rung.rings.is_empty()
            };
            heard.extract_if(.., claimed).for_each(|rung| rung.receipt.claimed());
            while let Some(claim) = desk.start() {
                let (dispatch, stop) = (Arc::clone(&self), stop.clone());
                let report = Finished::of(&claim, report.clone());
                tracker.spawn(async move { report.send(dispatch.carry(claim, &stop).await) });
            }
            let gathered = desk.gathered(pass.began).map_or(look_at, |at| look_at.min(at));
            tokio::select! {
                () = stop.cancelled() => break,
                rung = listener.rung() => {
                    for ring in &rung.rings {
                        desk.rung(ring.account);
                        if let Some(trace) = &ring.trace {
                            traces::rung(ring.account, TraceParent::parse(trace.as_str()));
                        }
                    }
                    heard.push(rung);
                    desk.heard(heard.iter().map(|rung| rung.count).sum());
                }
                () = tokio::time::sleep_until(gathered) => {}
                Some(finished) = reports.recv() => {
                    desk.finished(&finished);
                    while let Ok(finished) = reports.try_recv() {
                        desk.finished(&finished);
                    }
                }
            }
        }
        self.leave(desk, &tracker).await;
    }

    /// Claims what there is room for: of accounts that rang or are known to have more, or of whoever has due work.
    async fn pass(&self, desk: &mut Desk, everywhere: bool) -> Pass {
        let (now, began) = (self.parts.clock.now(), Instant::now());
        let look = if everywhere { self.look(desk, now).await } else { Ok(()) };
        match look {
            Ok(()) => {}
            Err(error) => {
                tracing::error!(%error, "cannot ask the store for due work");
                return Pass { wake: TICK, committed: false, began };
            }
        }
        let wants = self.wants(desk, now, began).await;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let wants = fair::share(&wants, desk.free(), desk.room(), turn);
        if wants.is_empty() {
            return Pass { wake: desk.wake(now, TICK), committed: true, began };
        }
        let request = ClaimRequest {
            owner: self.parts.policy.owner.clone(),
            wants: wants.clone(),
            // Where only those are asked for who have just rung, it would always be the turn of who rings most.
            suspect_of: if everywhere { desk.suspect_of(&wants) } else { None },
            lease: self.parts.policy.lease,
            now,
        };
        let committed = match self.parts.store.claim(request).await {
            Ok(claimed) => {
                self.figures.claimed(claimed.claims.len());
                for account in &claimed.failed {
                    desk.blocked(*account, crate::clock::later(now, TICK));
                    desk.missed(*account, true);
                }
                desk.claimed(&wants, claimed, Instant::now());
                true
            }
            Err(error) => {
                tracing::error!(%error, "cannot claim due work");
                false
            }
        };
        let wake = desk.wake(now, if desk.has_ready() { TICK } else { STALLED });
        Pass { wake, committed, began }
    }

    async fn look(&self, desk: &mut Desk, now: Timestamp) -> store::Result<()> {
        let (due, next) = self.parts.store.due(now).await?;
        desk.looked(due.into_iter().map(|due| due.account), next);
        Ok(())
    }

    /// What each account with more work could take now: twice its concurrency is held ready, so that a claim serves
    /// several deliveries, and never more than its breaker and window would let go.
    async fn wants(&self, desk: &mut Desk, now: Timestamp, began: Instant) -> Vec<Want> {
        let mut wants = Vec::new();
        for id in desk.more(began) {
            let record = match self.account(id).await {
                Ok(record) => record,
                Err(error) => {
                    tracing::error!(account = %id, %error, "cannot read an account with due work");
                    desk.blocked(id, crate::clock::later(now, TICK));
                    // One that is not there has no work.
                    desk.missed(id, !matches!(error, StoreError::NotFound(_)));
                    continue;
                }
            };
            desk.missed(id, false);
            let room = self.parts.egress.room(&record);
            let concurrency = self.concurrency(&record);
            if room.calls == 0 {
                desk.blocked(id, room.from);
                continue;
            }
            let vendor: Arc<str> = record.account.connector.as_str().into();
            let calls = desk.appetite(id, &vendor, concurrency, room.calls);
            wants.push(Want { tenant: record.account.tenant, account: id, vendor, calls });
        }
        wants
    }

    fn concurrency(&self, record: &AccountRecord) -> usize {
        let connector = (self.parts.connectors)(&record.account.connector);
        connector
            .map_or(1, |connector| egress::limits(connector.describe(), &record.account).concurrency.max(1) as usize)
    }

    /// The account as last read; read again when anything about accounts changed.
    async fn account(&self, id: AccountId) -> store::Result<AccountRecord> {
        let generation = self.parts.store.generation();
        {
            let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, record)) = accounts.get(&id).filter(|(of, _)| *of == generation) {
                return Ok(record.clone());
            }
        }
        let record = self.parts.store.account(id).await?;
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).insert(id, (generation, record.clone()));
        Ok(record)
    }

    /// Gives back what was claimed and not begun, and waits for the rest.
    async fn leave(&self, desk: Desk, tracker: &TaskTracker) {
        let now = self.parts.clock.now();
        for claim in desk.into_ready() {
            self.release(&claim, now).await;
        }
        tracker.close();
        if tokio::time::timeout(self.parts.policy.stop_grace, tracker.wait()).await.is_err() {
            tracing::warn!(left = tracker.len(), "stopping with calls to vendors still on the wire");
        }
    }

    /// Gives a lease back. If that fails, the lease runs out by itself.
    async fn release(&self, claim: &Claim, due_at: Timestamp) {
        if let Err(error) = self.parts.store.release(claim, due_at).await {
            tracing::warn!(delivery = %claim.delivery, %error, "a lease could not be given back; it will run out");
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
