//! Which tenant an account belongs to: asked once, kept for ever, since it never changes.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use causeway_core::ids::{AccountId, TenantId};
use uuid::Uuid;

use super::scope::{Among, Limits, Reach, Whose};
use super::session::Session;
use crate::store::StoreError;
use crate::store::sql::conn::Value;
use crate::store::sql::errors::Op;
use crate::store::sql::rows::{StoredId, sql};
use crate::store::sql::scope::Scope;

/// What was asked before.
#[derive(Default)]
pub(super) struct TenantOf {
    known: RwLock<HashMap<AccountId, TenantId>>,
}

const LIMITS: Limits = Limits { pooled: true, statement: 5_000 };

impl TenantOf {
    /// Whose rows the scope means, if that is known.
    pub(super) fn known(&self, scope: Scope) -> Result<Whose, AccountId> {
        match scope {
            Scope::Tenant(tenant) => Ok(Whose::Tenant(tenant)),
            Scope::Every => Ok(Whose::Every),
            Scope::Nobody => Ok(Whose::Nobody),
            Scope::Leases => Ok(Whose::Leases),
            Scope::Account(account) => {
                let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&account).copied();
                known.map(Whose::Tenant).ok_or(account)
            }
        }
    }

    /// [`TenantOf::known`], and nobody's where that is not known yet.
    pub(super) fn whose_now(&self, scope: Scope) -> Whose {
        self.known(scope).unwrap_or(Whose::Nobody)
    }

    /// Whose rows the scope means. Asks, outside of any transaction, what is not known yet.
    pub(super) fn whose(&self, session: &Session, scope: Scope) -> Op<Whose> {
        let account = match self.known(scope) {
            Ok(whose) => return Ok(whose),
            Err(account) => account,
        };
        let Some(tenant) = ask(session, account)? else { return Ok(Whose::Nobody) };
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(account, tenant);
        Ok(Whose::Tenant(tenant))
    }
}

fn ask(session: &Session, account: AccountId) -> Op<Option<TenantId>> {
    let mut reach = Reach::default();
    reach.add(Whose::Leases, Among::Beside);
    let asked = session
        .batch(&reach.begin_reading(LIMITS))
        .and_then(|()| session.query(sql!("account_tenant").postgres, &[&account.bytes()]));
    // Also where it failed: whoever comes next begins a transaction of its own. What went wrong is what is told.
    let ended = session.batch("ROLLBACK");
    let rows = asked?;
    ended?;
    let Some(row) = rows.first() else { return Ok(None) };
    match row.first()? {
        Value::Blob(bytes) => {
            let bytes: [u8; 16] = bytes.try_into().map_err(|_| StoreError::Corrupt("account"))?;
            Ok(Some(TenantId::from_uuid(Uuid::from_bytes(bytes))))
        }
        Value::Null | Value::Int(_) | Value::Text(_) => Err(StoreError::Corrupt("account").into()),
    }
}
