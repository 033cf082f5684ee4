//! What a verb sees while it writes: the connection inside a transaction, and the audit chains' newest links.
//!
//! Audit rows are appended in memory order and their heads written once per batch, before the commit. A request that is
//! rolled back takes its links with it, so a chain never has a gap. Where several write, a chain's head is what they wait
//! for each other at: there the rows are listed, and linked at the batch's end. A verb never begins or commits anything
//! itself.

use std::collections::HashMap;
use std::sync::Arc;

use causeway_core::clock::Entropy;
use causeway_core::ids::TenantId;
use jiff::Timestamp;

use super::ahead::Ahead;
use super::errors::Op;
use crate::store::keys::{Keyring, TenantKeys};
use crate::store::sql::rows::{Columns, Conn, StoredId, execute, first, micros, params, sql};
use crate::store::{StoreError, postgres};

/// The newest link of one chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) position: i64,
    pub(crate) mac: [u8; 32],
}

/// The newest links, with what they were when the running request, or run of requests, began.
#[derive(Default)]
pub(in crate::store) struct Heads {
    current: HashMap<TenantId, (Head, Written)>,
    before: Vec<(TenantId, Option<(Head, Written)>)>,
    late: Option<Late>,
}

/// Rows that are linked at the end of the batch.
#[derive(Default)]
struct Late {
    rows: Vec<AuditRow>,
    /// How many there were when the running request began.
    before: usize,
}

/// A row that has no place in its chain yet.
pub(in crate::store) struct AuditRow {
    pub(in crate::store) tenant: TenantId,
    pub(in crate::store) at: Timestamp,
    pub(in crate::store) actor: String,
    pub(in crate::store) action: String,
    pub(in crate::store) subject: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Yes,
    NotYet,
}

impl Heads {
    /// For an engine that links a batch's rows at its end.
    pub(in crate::store) fn late() -> Self {
        Self { late: Some(Late::default()), ..Self::default() }
    }

    pub(in crate::store) fn begin_request(&mut self) {
        self.before.clear();
        if let Some(late) = &mut self.late {
            late.before = late.rows.len();
        }
    }

    pub(in crate::store) fn roll_back_request(&mut self) {
        if let Some(late) = &mut self.late {
            late.rows.truncate(late.before);
        }
        while let Some((tenant, head)) = self.before.pop() {
            match head {
                Some(head) => self.current.insert(tenant, head),
                None => self.current.remove(&tenant),
            };
        }
    }

    /// After a rolled back batch nothing in memory can be trusted.
    pub(in crate::store) fn forget(&mut self) {
        self.current.clear();
        self.before.clear();
        if let Some(late) = &mut self.late {
            *late = Late::default();
        }
    }

    fn set(&mut self, tenant: TenantId, head: Head) {
        let before = self.current.insert(tenant, (head, Written::NotYet));
        self.before.push((tenant, before));
    }
}

/// One request's view of the running transaction.
pub(crate) struct Tx<'a> {
    pub(crate) conn: Conn<'a>,
    pub(crate) keys: &'a Keyring,
    pub(crate) entropy: &'a dyn Entropy,
    pub(in crate::store) heads: &'a mut Heads,
    /// Accounts, keys, postings or forms were changed.
    pub(in crate::store) setup_changed: &'a mut bool,
    pub(in crate::store) ahead: Ahead,
}

impl Tx<'_> {
    /// The keys of a tenant that exists.
    pub(crate) fn tenant_keys(&self, tenant: TenantId) -> Op<Arc<TenantKeys>> {
        self.keys.tenant(tenant).ok_or_else(|| StoreError::NotFound("tenant").into())
    }

    /// What readers cached about accounts, keys, postings or forms is stale once this commits.
    pub(crate) fn changes_setup(&mut self) {
        *self.setup_changed = true;
    }

    /// Appends a row to the tenant's audit chain. `actor`, `action` and `subject` hold ids and words of ours only.
    pub(crate) fn audit(
        &mut self,
        tenant: TenantId,
        at: Timestamp,
        actor: &str,
        action: &str,
        subject: &str,
    ) -> Op<()> {
        let keys = self.tenant_keys(tenant)?;
        if let Some(late) = &mut self.heads.late {
            let [actor, action, subject] = [actor, action, subject].map(str::to_owned);
            late.rows.push(AuditRow { tenant, at, actor, action, subject });
            return Ok(());
        }
        let before = match self.heads.current.get(&tenant) {
            Some((head, _)) => *head,
            None => read_head(self.conn, tenant)?,
        };
        let position = before.position + 1;
        let mac = link(&keys, &before, position, at, [actor, action, subject]);
        execute(
            self.conn,
            sql!("audit_append"),
            params![tenant.bytes(), position, micros(at), actor, action, subject, mac],
        )?;
        self.heads.set(tenant, Head { position, mac });
        Ok(())
    }

    /// Writes the signed heads of the chains this batch has grown.
    pub(in crate::store) fn write_heads(&mut self) -> Op<()> {
        if let (Some(late), Conn::Postgres(session)) = (&self.heads.late, self.conn) {
            return postgres::append_audit(session, self.keys, &late.rows);
        }
        for (tenant, (head, written)) in &mut self.heads.current {
            if *written == Written::Yes {
                continue;
            }
            let keys = self.keys.tenant(*tenant).ok_or(StoreError::NotFound("tenant"))?;
            let signature = sign_head(&keys, head);
            execute(self.conn, sql!("audit_head_put"), params![tenant.bytes(), head.position, head.mac, signature])?;
            *written = Written::Yes;
        }
        Ok(())
    }
}

/// The MAC of one audit row, from the one before it. `words` are actor, action and subject.
pub(crate) fn link(keys: &TenantKeys, before: &Head, position: i64, at: Timestamp, words: [&str; 3]) -> [u8; 32] {
    let [actor, action, subject] = words.map(str::as_bytes);
    keys.audit_mac(&[b"row", &before.mac, &position.to_be_bytes(), &micros(at).to_be_bytes(), actor, action, subject])
}

/// The signature of a chain's newest link.
pub(crate) fn sign_head(keys: &TenantKeys, head: &Head) -> [u8; 32] {
    keys.audit_mac(&[b"head", &head.position.to_be_bytes(), &head.mac])
}

/// The signature of the last link that retention removed.
pub(crate) fn sign_floor(keys: &TenantKeys, position: i64, mac: &[u8]) -> [u8; 32] {
    keys.audit_mac(&[b"floor", &position.to_be_bytes(), mac])
}

/// A chain's newest link as stored; position 0 for a chain that has none.
pub(crate) fn read_head(conn: Conn<'_>, tenant: TenantId) -> Op<Head> {
    let stored = first(conn, sql!("audit_head"), params![tenant.bytes()], |row| {
        Ok(Head { position: row.col("position")?, mac: row.col("mac")? })
    })?;
    Ok(stored.unwrap_or(Head { position: 0, mac: [0; 32] }))
}
