//! A store that holds what a test gave it, for support's own tests. The store's suite tests stores.

use std::sync::Mutex;

use async_trait::async_trait;
use causeway_core::clock::SeededEntropy;
use causeway_core::delivery::{HeldCause, State};
use causeway_core::ids::{AccountId, DeliveryId, TenantId};
use jiff::Timestamp;

use crate::store::over::{Nothing, Over};
use crate::store::setup::{AccountRecord, KeyRecord, Tenant};
use crate::store::trace::{AuditEntry, Case, Lookup, LookupQuery, Replayed};
use crate::store::{Result, Store, StoreError};

/// What the test gave, and what was written.
#[derive(Default)]
pub(crate) struct TestStore {
    pub(crate) lookup: Lookup,
    pub(crate) cases: Vec<Case>,
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) accounts: Vec<AccountRecord>,
    pub(crate) key: Option<([u8; 32], KeyRecord)>,
    pub(crate) state: Option<State>,
    pub(crate) held: Option<HeldCause>,
    /// What a replay comes to; queued if it is not said.
    pub(crate) replayed: Option<Replayed>,
    pub(crate) audit_fails: bool,
    pub(crate) audited: Mutex<Vec<AuditEntry>>,
}

/// The account of every delivery here.
pub(crate) fn account() -> AccountId {
    AccountId::new(Timestamp::UNIX_EPOCH, &SeededEntropy::new(5))
}

#[async_trait]
impl Over for TestStore {
    fn below(&self) -> &dyn Store {
        &Nothing
    }

    async fn lookup(&self, _query: &LookupQuery) -> Result<Lookup> {
        Ok(self.lookup.clone())
    }
    async fn cases(&self, _tenant: TenantId, limit: usize) -> Result<Vec<Case>> {
        Ok(self.cases.iter().take(limit).cloned().collect())
    }
    async fn replay(
        &self,
        _tenant: TenantId,
        _delivery: DeliveryId,
        _actor: &str,
        _now: Timestamp,
    ) -> Result<Replayed> {
        match self.state {
            Some(from) if !from.may_become(State::Queued) || from.is_live() => {
                Err(StoreError::IllegalMove { from, to: State::Queued })
            }
            Some(_) => match self.held {
                Some(cause) => Err(StoreError::EndsByItself(cause)),
                None => Ok(self.replayed.unwrap_or(Replayed { account: account(), state: State::Queued })),
            },
            None => Err(StoreError::NotFound("delivery")),
        }
    }
    async fn cancel(&self, _tenant: TenantId, _delivery: DeliveryId, _actor: &str, _now: Timestamp) -> Result<()> {
        match self.state {
            Some(from) if !from.may_become(State::Cancelled) => {
                Err(StoreError::IllegalMove { from, to: State::Cancelled })
            }
            Some(_) => Ok(()),
            None => Err(StoreError::NotFound("delivery")),
        }
    }
    async fn audit(&self, entry: AuditEntry) -> Result<()> {
        if self.audit_fails {
            return Err(StoreError::Unavailable("disk full"));
        }
        self.audited.lock().unwrap().push(entry);
        Ok(())
    }
    async fn tenants(&self) -> Result<Vec<Tenant>> {
        Ok(self.tenants.clone())
    }
    async fn accounts(&self, tenant: Option<TenantId>) -> Result<Vec<AccountRecord>> {
        let ours = |record: &&AccountRecord| tenant.is_none_or(|tenant| record.account.tenant == tenant);
        Ok(self.accounts.iter().filter(ours).cloned().collect())
    }
    async fn key_by_hash(&self, hash: [u8; 32]) -> Result<Option<KeyRecord>> {
        Ok(self.key.as_ref().filter(|(known, _)| *known == hash).map(|(_, record)| record.clone()))
    }
    async fn resume_account(&self, _id: AccountId, _actor: &str, _now: Timestamp) -> Result<u64> {
        Ok(3)
    }
}
