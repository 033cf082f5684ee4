//! Any id of a job, or its requisition code, to the postings that are meant.
//!
//! An id as submitted counts even when no posting has it: sites send ids that never existed. Knows no submission.

use std::collections::BTreeSet;

use causeway_core::ids::{AccountId, TenantId};

use crate::store::sql::errors::Op;
use crate::store::sql::rows::{Columns, Conn, Row, StoredId, every, params, sql};

/// The postings a query means.
pub(super) struct Jobs {
    /// The id as submitted: whatever account it was for.
    typed: BTreeSet<String>,
    /// What the id stands for in an account.
    known: BTreeSet<(AccountId, String)>,
    /// Whatever else those are called, lower case.
    called: BTreeSet<String>,
}

impl Jobs {
    /// Resolves what was typed.
    pub(super) fn resolve(conn: Conn<'_>, tenant: TenantId, typed: &str) -> Op<Self> {
        let typed = typed.trim();
        let lower = typed.to_lowercase();
        let pair = |row: &Row<'_>| Ok((row.id("account")?, row.col::<String>("posting_id")?));
        let named = every(conn, sql!("trace/job_postings"), params![tenant.bytes(), lower], pair)?;
        let mut known: BTreeSet<(AccountId, String)> = BTreeSet::new();
        let mut called = BTreeSet::from([lower.clone()]);
        for (account, posting_id) in named {
            let siblings = params![AccountId::bytes(account), posting_id];
            known.extend(every(conn, sql!("trace/job_siblings"), siblings, pair)?);
            called.extend(every(conn, sql!("trace/job_texts"), siblings, |row| row.col::<String>("text"))?);
            known.insert((account, posting_id));
        }
        Ok(Self { typed: BTreeSet::from([typed.to_owned(), lower]), known, called })
    }

    /// Every posting id a matching submission can have.
    pub(super) fn posting_ids(&self) -> BTreeSet<&str> {
        let known = self.known.iter().map(|(_, posting_id)| posting_id.as_str());
        self.typed.iter().map(String::as_str).chain(known).collect()
    }

    /// Is this the posting of a submission that was meant? One whose posting was not known may be any account's.
    pub(super) fn means(&self, posting_id: &str, account: Option<AccountId>) -> bool {
        self.typed.contains(posting_id)
            // Sent under another of its names, nobody could tell whose it was.
            || (account.is_none() && self.called.contains(&posting_id.to_lowercase()))
            || self
                .known
                .iter()
                .any(|(ours, known)| known == posting_id && account.is_none_or(|account| account == *ours))
    }
}
