//! A store in memory with the rules dispatch relies on: leases and fences, the table of legal moves, one in flight per
//! person and posting, the unique link. What these tests do not need answers that it is not there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::clock::SeededEntropy;
use causeway_core::connector::File;
use causeway_core::delivery::{HeldCause, Refs, State};
use causeway_core::ids::{AccountId, AttemptId, DeliveryId, SubmissionId, TenantId};
use causeway_core::outcome::Class;
use causeway_core::posting::{Form, Posting};
use causeway_core::reason::Reason;
use jiff::Timestamp;

use crate::store::intake::{Decision, PostingView, ReadyDelivery};
use crate::store::over::{Nothing, Over};
use crate::store::setup::{AccountRecord, Paused, PostingRecord, Sync, SyncReport};
use crate::store::trace::{Retention, RetentionReport};
use crate::store::work::{
    Begun, Claim, ClaimRequest, Claimed, DueAccount, Next, Proof, Settled, Settlement, Sighting, Unproven, Verifying,
    WorkItem,
};
use crate::store::{Result, Store, StoreError};

/// One delivery.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) tenant: TenantId,
    pub(crate) account: AccountId,
    pub(crate) submission: SubmissionId,
    pub(crate) person: u32,
    pub(crate) document: Bytes,
    pub(crate) state: State,
    pub(crate) held: Option<HeldCause>,
    pub(crate) reason: Option<Reason>,
    pub(crate) due: Option<Timestamp>,
    pub(crate) lease: Option<Timestamp>,
    pub(crate) fence: u64,
    pub(crate) attempts: u32,
    pub(crate) number: u32,
    pub(crate) verifying: Option<Verifying>,
    pub(crate) refs: Refs,
    pub(crate) done: Vec<String>,
    pub(crate) vendor_id: Option<String>,
    pub(crate) possible_duplicate: bool,
    pub(crate) on_wire: Option<(String, Timestamp)>,
    pub(crate) proof: Option<Proof>,
    pub(crate) classes: Vec<Class>,
    pub(crate) settled_at: Option<Timestamp>,
    pub(crate) asked: u32,
    pub(crate) missed: u32,
    pub(crate) stopped: Vec<String>,
    /// The steps of attempts that broke or kept their worker.
    pub(crate) broken: Vec<String>,
}

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) accounts: BTreeMap<AccountId, AccountRecord>,
    pub(crate) rows: BTreeMap<DeliveryId, Row>,
    pub(crate) order: Vec<DeliveryId>,
    pub(crate) postings: BTreeMap<String, PostingRecord>,
    pub(crate) syncs: Vec<(bool, usize)>,
    pub(crate) ready: Vec<DeliveryId>,
    pub(crate) decided: Vec<DeliveryId>,
    pub(crate) claims: u32,
    /// How often it was asked who has due work.
    pub(crate) looks: u32,
    /// So many times an account cannot be read first.
    pub(crate) reads_fail: u32,
    /// So many claims fail first.
    pub(crate) claim_fails: u32,
    /// Of whom each claim asked for a suspect.
    pub(crate) suspects_of: Vec<Option<AccountId>>,
    /// How often rows past their retention were removed.
    pub(crate) retained: u32,
    /// So many claims for an account fail first, beside others.
    pub(crate) claims_of_fail: BTreeMap<AccountId, u32>,
    /// So many attempts cannot be begun first.
    pub(crate) begin_fails: u32,
    /// Attempts that were begun by themselves, not with the end of another.
    pub(crate) begun_alone: u32,
    /// Leases that ran out.
    pub(crate) ran_out: u32,
    /// So many settlements fail first.
    pub(crate) settle_fails: u32,
    pub(crate) leases_taken: Vec<String>,
    /// Given back.
    pub(crate) leases_ended: Vec<String>,
}

#[derive(Default)]
pub(crate) struct FakeStore {
    inner: Mutex<Inner>,
    generation: AtomicU64,
}

impl FakeStore {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(crate) fn with_account(&self, record: AccountRecord) {
        self.lock().accounts.insert(record.account.id, record);
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// A queued delivery of this person's application.
    pub(crate) fn queue(&self, account: AccountId, person: u32) -> DeliveryId {
        let mut inner = self.lock();
        let entropy = SeededEntropy::new(inner.order.len() as u64 + 1);
        let id = DeliveryId::new(Timestamp::UNIX_EPOCH, &entropy);
        let tenant = inner.accounts[&account].account.tenant;
        let row = Row {
            tenant,
            account,
            submission: SubmissionId::new(Timestamp::UNIX_EPOCH, &entropy),
            person,
            document: Bytes::from_static(br#"{"job":"j1"}"#),
            state: State::Queued,
            held: None,
            reason: None,
            due: Some(Timestamp::UNIX_EPOCH),
            lease: None,
            fence: 0,
            attempts: 0,
            number: 0,
            verifying: None,
            refs: Refs::new(),
            done: Vec::new(),
            vendor_id: None,
            possible_duplicate: false,
            on_wire: None,
            proof: None,
            classes: Vec::new(),
            settled_at: None,
            asked: 0,
            missed: 0,
            stopped: Vec::new(),
            broken: Vec::new(),
        };
        inner.rows.insert(id, row);
        inner.order.push(id);
        id
    }

    pub(crate) fn row(&self, id: DeliveryId) -> Row {
        self.lock().rows[&id].clone()
    }

    pub(crate) fn all_settled(&self) -> bool {
        self.lock().rows.values().all(|row| row.state.is_settled())
    }
}

impl Inner {
    fn held_by(&mut self, claim: &Claim) -> Result<&mut Row> {
        let row = self.rows.get_mut(&claim.delivery).ok_or(StoreError::NotFound("delivery"))?;
        if row.fence == claim.fence && row.lease.is_some() { Ok(row) } else { Err(StoreError::Fenced) }
    }

    fn linked(&self, account: AccountId, vendor_id: &str, not: DeliveryId) -> bool {
        let same = |(id, row): (&DeliveryId, &Row)| {
            *id != not && row.account == account && row.vendor_id.as_deref() == Some(vendor_id)
        };
        self.rows.iter().any(same)
    }

    fn hold_account(&mut self, account: AccountId) {
        for row in self.rows.values_mut() {
            if row.account == account && matches!(row.state, State::Queued | State::Waiting) {
                row.become_(State::Held, None).unwrap();
                row.held = Some(HeldCause::AccountPaused);
            }
        }
    }
}

impl Row {
    fn become_(&mut self, to: State, due: Option<Timestamp>) -> Result<()> {
        if !self.state.may_become(to) {
            return Err(StoreError::IllegalMove { from: self.state, to });
        }
        self.state = to;
        self.due = due;
        if to != State::InFlight {
            self.lease = None;
        }
        Ok(())
    }

    fn item(&self, account: AccountRecord) -> WorkItem {
        WorkItem {
            account,
            posting: Posting::default(),
            form: None,
            document: self.document.clone(),
            received_at: Timestamp::UNIX_EPOCH,
            code: "CODE".to_owned(),
            trace_id: String::new(),
            refs: self.refs.clone(),
            done: self.done.clone(),
            possible_duplicate: self.possible_duplicate,
            stopped: self.stopped.clone(),
            words_key: None,
        }
    }

    fn begin(&mut self, step: &str, now: Timestamp) -> Begun {
        self.number += 1;
        self.on_wire = Some((step.to_owned(), now));
        let entropy = SeededEntropy::new(u64::from(self.number));
        let broken = self.broken.iter().filter(|broken| *broken == step).count() as u32;
        Begun { attempt: AttemptId::new(now, &entropy), number: self.number, at: now, broken }
    }

    fn apply(&mut self, settlement: &Settlement) -> Result<()> {
        let outcome = settlement.outcome.as_ref();
        let well = outcome.is_some_and(|outcome| matches!(outcome.class, Class::Accepted | Class::AlreadyThere));
        if well {
            self.refs.extend(outcome.unwrap().refs.clone());
            self.vendor_id = outcome.unwrap().vendor_id.clone().or(self.vendor_id.take());
        }
        let reason = outcome.and_then(|outcome| outcome.reason);
        if settlement.attempt.is_some() && matches!(reason, Some(Reason::Poison | Reason::StepTooLong)) {
            self.broken.push(settlement.step.clone());
        }
        self.classes.extend(outcome.map(|outcome| outcome.class));
        self.on_wire = None;
        match &settlement.next {
            Next::NextStep { .. } => {
                self.done.push(settlement.step.clone());
                self.become_(State::InFlight, self.due)
            }
            Next::Delivered { proof } => {
                self.done.push(settlement.step.clone());
                self.proof = Some(proof.clone());
                self.settled_at = Some(settlement.ended_at);
                self.become_(State::Delivered, None)
            }
            Next::Wait { until, reason, consumed } => {
                self.attempts += u32::from(*consumed);
                self.reason = Some(*reason);
                self.become_(State::Waiting, Some(*until))
            }
            Next::Verify { until, verifying } => {
                self.verifying = Some(verifying.clone());
                self.become_(State::Verifying, Some(*until))
            }
            Next::Adopt { vendor_id, refs, possible_duplicate, .. } => {
                self.possible_duplicate |= possible_duplicate;
                self.vendor_id = Some(vendor_id.clone());
                self.refs.extend(refs.clone());
                self.done.push(settlement.step.clone());
                self.verifying = None;
                self.become_(State::InFlight, self.due)
            }
            Next::Resend { possible_duplicate } => {
                self.verifying = None;
                self.possible_duplicate |= possible_duplicate;
                self.attempts += 1;
                self.become_(State::InFlight, self.due)
            }
            Next::Refuse { reason, .. } => {
                self.reason = Some(*reason);
                self.become_(State::Refused, None)
            }
            Next::Hold { cause, reason, .. } => {
                assert_ne!(*cause, HeldCause::AccountPaused, "only the store knows an account's case");
                (self.held, self.reason) = (Some(*cause), Some(*reason));
                self.become_(State::Held, None)
            }
            Next::Park { reason } => {
                self.reason = Some(*reason);
                self.become_(State::Parked, None)
            }
            Next::PauseAccount { reason } => {
                (self.held, self.reason) = (Some(HeldCause::AccountPaused), Some(*reason));
                self.become_(State::Held, None)
            }
        }
    }
}

#[async_trait]
impl Over for FakeStore {
    fn below(&self) -> &dyn Store {
        &Nothing
    }

    async fn account(&self, id: AccountId) -> Result<AccountRecord> {
        let mut inner = self.lock();
        if inner.reads_fail > 0 {
            inner.reads_fail -= 1;
            return Err(StoreError::Unavailable("as told"));
        }
        inner.accounts.get(&id).cloned().ok_or(StoreError::NotFound("account"))
    }

    async fn accounts(&self, tenant: Option<TenantId>) -> Result<Vec<AccountRecord>> {
        let inner = self.lock();
        let of = |record: &&AccountRecord| tenant.is_none_or(|tenant| record.account.tenant == tenant);
        Ok(inner.accounts.values().filter(of).cloned().collect())
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    async fn due(&self, now: Timestamp) -> Result<(Vec<DueAccount>, Option<Timestamp>)> {
        let mut inner = self.lock();
        inner.looks += 1;
        let open = || inner.rows.values().filter(|row| row.lease.is_none() && row.state.is_live());
        let mut due: Vec<DueAccount> = Vec::new();
        for row in open().filter(|row| row.due.is_some_and(|due| due <= now)) {
            let account = DueAccount { tenant: row.tenant, account: row.account };
            if !due.contains(&account) {
                due.push(account);
            }
        }
        Ok((due, open().filter_map(|row| row.due).filter(|due| *due > now).min()))
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claimed> {
        let mut inner = self.lock();
        inner.claims += 1;
        inner.suspects_of.push(request.suspect_of);
        if inner.claim_fails > 0 {
            inner.claim_fails -= 1;
            return Err(StoreError::Unavailable("as told"));
        }
        let mut claimed = Claimed::default();
        for (account, wanted) in request.wants {
            let mut left = wanted;
            if let Some(fails) = inner.claims_of_fail.get_mut(&account).filter(|fails| **fails > 0) {
                *fails -= 1;
                claimed.failed.push(account);
                continue;
            }
            for id in inner.order.clone() {
                let row = &inner.rows[&id];
                let key = (row.account, row.person);
                let busy =
                    inner.rows.values().any(|other| other.lease.is_some() && (other.account, other.person) == key);
                let ours = row.account == account && row.lease.is_none() && row.state.is_live();
                if left == 0 || !ours || busy || row.due.is_none_or(|due| due > request.now) {
                    continue;
                }
                left -= 1;
                let until = crate::clock::later(request.now, request.lease);
                let row = inner.rows.get_mut(&id).unwrap();
                row.fence += 1;
                row.become_(State::InFlight, row.due)?;
                row.lease = Some(until);
                claimed.claims.push(Claim {
                    delivery: id,
                    tenant: row.tenant,
                    account,
                    submission: row.submission,
                    fence: row.fence,
                    until,
                    attempts: row.attempts,
                    is_suspect: false,
                    verifying: row.verifying.clone(),
                });
            }
        }
        Ok(claimed)
    }

    async fn load(&self, claim: &Claim, with_files: bool) -> Result<(WorkItem, Vec<File>)> {
        let mut inner = self.lock();
        let account = inner.accounts[&claim.account].clone();
        let row = inner.held_by(claim)?;
        if row.document.is_empty() {
            return Err(StoreError::Corrupt("document"));
        }
        let item = row.item(account);
        let file = File { id: "cv".to_owned(), bytes: Bytes::from_static(b"%PDF") };
        Ok((item, if with_files { vec![file] } else { Vec::new() }))
    }

    async fn begin_attempt(&self, claim: &Claim, step: &str, now: Timestamp) -> Result<Begun> {
        let mut inner = self.lock();
        if inner.begin_fails > 0 {
            inner.begin_fails -= 1;
            return Err(StoreError::Unavailable("the database is contended"));
        }
        inner.begun_alone += 1;
        Ok(inner.held_by(claim)?.begin(step, now))
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled> {
        let mut inner = self.lock();
        if inner.settle_fails > 0 {
            inner.settle_fails -= 1;
            return Err(StoreError::Unavailable("disk full"));
        }
        let (id, account) = (settlement.claim.delivery, settlement.claim.account);
        let vendor_id = settlement.outcome.as_ref().and_then(|outcome| outcome.vendor_id.clone());
        if vendor_id.is_some_and(|vendor_id| inner.linked(account, &vendor_id, id)) {
            return Ok(Settled::LinkTaken);
        }
        inner.held_by(&settlement.claim)?.apply(&settlement)?;
        if let Next::PauseAccount { reason } = settlement.next {
            let paused = Some(Paused { reason, since: settlement.ended_at });
            inner.accounts.get_mut(&account).unwrap().paused = paused;
            inner.hold_account(account);
        }
        let row = inner.rows.get_mut(&id).unwrap();
        let begun = match &settlement.next {
            Next::NextStep { begin: Some(step) } if row.state == State::InFlight => {
                Some(row.begin(step, settlement.ended_at))
            }
            _ => None,
        };
        Ok(Settled::Done { state: row.state, begun })
    }

    async fn release(&self, claim: &Claim, due_at: Timestamp) -> Result<()> {
        let mut inner = self.lock();
        let paused = inner.accounts[&claim.account].paused.is_some();
        let row = inner.held_by(claim)?;
        if row.verifying.is_some() {
            return row.become_(State::Verifying, Some(due_at));
        }
        row.become_(State::Queued, Some(due_at))?;
        if paused {
            row.held = Some(HeldCause::AccountPaused);
            row.become_(State::Held, None)?;
        }
        Ok(())
    }

    async fn expire_leases(&self, now: Timestamp) -> Result<(u64, u64)> {
        let (mut unknown, mut due) = (0, 0);
        let mut inner = self.lock();
        for row in inner.rows.values_mut().filter(|row| row.lease.is_some_and(|until| until <= now)) {
            if let Some((step, since)) = row.on_wire.take() {
                row.verifying = Some(Verifying { step, since, not_seen: 0, asked: 0 });
                unknown += 1;
            } else {
                due += 1;
            }
            let to = if row.verifying.is_some() { State::Verifying } else { State::Queued };
            row.become_(to, Some(now))?;
        }
        inner.ran_out += (unknown + due) as u32;
        Ok((unknown, due))
    }

    async fn unproven(&self, now: Timestamp, limit: usize) -> Result<Vec<Unproven>> {
        let inner = self.lock();
        let due = |row: &&Row| row.proof.as_ref().and_then(|proof| proof.due_at).is_some_and(|due| due <= now);
        let unproven = |(delivery, row): (&DeliveryId, &Row)| Unproven {
            delivery: *delivery,
            submission: row.submission,
            account: row.account,
            sent_at: row.settled_at.unwrap(),
            said_yes_at: row.settled_at.unwrap(),
            vendor_id: row.vendor_id.clone(),
            asked: row.asked,
            missed: row.missed,
        };
        Ok(inner.rows.iter().filter(|(_, row)| due(row)).map(unproven).take(limit).collect())
    }

    async fn load_delivered(&self, unproven: &Unproven) -> Result<WorkItem> {
        let inner = self.lock();
        let row = &inner.rows[&unproven.delivery];
        if row.document.is_empty() {
            return Err(StoreError::Corrupt("document"));
        }
        Ok(row.item(inner.accounts[&row.account].clone()))
    }

    async fn record_sighting(&self, unproven: &Unproven, sighting: Sighting, now: Timestamp) -> Result<Settled> {
        let mut inner = self.lock();
        if let Sighting::Seen { vendor_id, .. } = &sighting
            && inner.linked(unproven.account, vendor_id, unproven.delivery)
        {
            return Ok(Settled::LinkTaken);
        }
        let row = inner.rows.get_mut(&unproven.delivery).unwrap();
        if row.asked != unproven.asked || row.proof.as_ref().is_none_or(|proof| proof.due_at.is_none()) {
            return Err(StoreError::Fenced);
        }
        match sighting {
            Sighting::Seen { vendor_id, refs } => {
                row.vendor_id.get_or_insert(vendor_id);
                row.refs.extend(refs);
                row.reason = None;
                row.proof = Some(Proof::seen(now));
            }
            Sighting::Again { at, missed, case } => {
                row.asked += 1;
                row.missed = missed;
                row.reason = case.or(row.reason);
                row.proof = Some(Proof::due(at));
            }
            Sighting::NotVerifiable { why } => row.proof = Some(Proof::not_verifiable(why)),
        }
        Ok(Settled::Done { state: row.state, begun: None })
    }

    async fn postings(&self, _: AccountId) -> Result<Vec<PostingRecord>> {
        Ok(self.lock().postings.values().cloned().collect())
    }

    async fn apply_sync(&self, sync: Sync) -> Result<SyncReport> {
        let mut inner = self.lock();
        inner.syncs.push((sync.complete, sync.postings.len()));
        let listed = sync.postings.len() as u64;
        for record in inner.postings.values_mut().filter(|_| sync.complete) {
            record.closed_at = Some(sync.started_at);
        }
        for posting in sync.postings {
            let form = inner.postings.get(&posting.posting_id).and_then(|record| record.form.clone());
            let record = PostingRecord { account: sync.account, closed_at: None, form, posting };
            inner.postings.insert(record.posting.posting_id.clone(), record);
        }
        Ok(SyncReport { listed, ..SyncReport::default() })
    }

    async fn put_form(&self, _: AccountId, form: &Form, now: Timestamp) -> Result<()> {
        let mut inner = self.lock();
        let record = inner.postings.get_mut(&form.posting_id).ok_or(StoreError::NotFound("posting"))?;
        record.form = Some((form.digest.clone(), now));
        Ok(())
    }

    async fn awaiting(&self, limit: usize) -> Result<Vec<ReadyDelivery>> {
        let inner = self.lock();
        let ready = inner.ready.iter().take(limit).map(|id| ReadyDelivery {
            delivery: *id,
            tenant: inner.rows[id].tenant,
            account: inner.rows[id].account,
            cause: HeldCause::PostingUnknown,
            document: inner.rows[id].document.clone(),
            view: PostingView::default(),
        });
        Ok(ready.collect())
    }

    async fn decide_held(&self, _: TenantId, delivery: DeliveryId, decision: Decision, _: Timestamp) -> Result<()> {
        let mut inner = self.lock();
        inner.decided.push(delivery);
        if !matches!(decision, Decision::AwaitForm) {
            inner.ready.retain(|id| *id != delivery);
        }
        Ok(())
    }

    async fn lease_job(&self, job: &str, _: &str, _: Timestamp, lease: Duration) -> Result<Option<u64>> {
        let mut inner = self.lock();
        if lease.is_zero() {
            inner.leases_ended.push(job.to_owned());
            return Ok(Some(inner.leases_taken.len() as u64));
        }
        inner.leases_taken.push(job.to_owned());
        Ok(Some(inner.leases_taken.len() as u64))
    }

    async fn retain(&self, _: &Retention, _: Timestamp, _: usize) -> Result<RetentionReport> {
        self.lock().retained += 1;
        Ok(RetentionReport::default())
    }

    async fn anchor_audit(&self, _: Timestamp) -> Result<u64> {
        Ok(0)
    }

    async fn sweep_blobs(&self, _: Timestamp) -> Result<u64> {
        Ok(0)
    }
}
