//! Support: the only door through which console, CLI and the support API look at submissions and act on deliveries.
//! Reading path: `retry` before this file, which is the last.
//!
//! It explains and it asks the store to act; it decides no retry, calls no vendor and, but for the routes in `http`, knows
//! no HTTP. `facts` are what was recorded and the sentence each yields, `answer` puts them together, `redact` keeps people
//! and secrets out of a vendor's words. Every lookup and every action leaves an audit row with ids only, and a lookup that
//! cannot be audited is not answered.

mod answer;
pub mod copies;
mod facts;
pub mod http;
mod nothing;
pub mod person;
mod query;
pub mod redact;
pub mod view;
mod vocabulary;
mod words;

use std::sync::Arc;

use causeway_core::clock::Clock;
use causeway_core::delivery::{HeldCause, State};
use causeway_core::ids::{AccountId, DeliveryId, KeyId, TenantId};
use causeway_core::reason::Reason;

use crate::store::custody::Custody;
use crate::store::trace::{AuditEntry, Case, Lookup, LookupQuery, Replayed};
use crate::store::{Store, StoreError};

pub use answer::explain;
pub use query::{LookupRequest, QueryError};
pub use view::Report;

/// Tells dispatch that an account has work. A ring that is missed costs latency only.
pub type Ring = Arc<dyn Fn(AccountId) + Send + Sync>;

/// Who acts, as the audit names them. Never a person's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Whoever may use the data directory.
    Cli,
    /// An API key.
    Key(KeyId),
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cli => f.write_str("cli"),
            Self::Key(key) => key.fmt(f),
        }
    }
}

/// Why support did not do it.
#[derive(Debug, thiserror::Error)]
pub enum SupportError {
    /// It makes no sense now; the text says why and what would.
    #[error("{0}")]
    MakesNoSense(&'static str),
    /// Nothing is held about the person, and nothing was changed.
    #[error("nothing is held about this address; nothing was changed")]
    Nobody,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What every verb returns.
pub type Result<T, E = SupportError> = std::result::Result<T, E>;

/// See the module's documentation.
#[derive(Clone)]
pub struct Support {
    store: Arc<dyn Store>,
    custody: Arc<dyn Custody>,
    clock: Arc<dyn Clock>,
    ring: Ring,
}

impl Support {
    /// Support over a store and the custody of what it holds; `ring` is called when an action made work due.
    pub fn new(store: Arc<dyn Store>, custody: Arc<dyn Custody>, clock: Arc<dyn Clock>, ring: Ring) -> Self {
        Self { store, custody, clock, ring }
    }

    /// Everything about the submissions that match, explained.
    ///
    /// # Errors
    /// [`SupportError::Store`].
    pub async fn lookup(&self, actor: Actor, query: &LookupQuery) -> Result<Report> {
        let lookup = self.store.lookup(query).await?;
        self.audit(query.tenant, actor, "support.lookup", subject(query, &lookup)).await?;
        let now = self.clock.now();
        let text = match lookup.erased_at {
            Some(at) => Some(format!("The data of this person was erased on {}.", words::moment(at))),
            None if lookup.submissions.is_empty() => Some(nothing::found(query, &lookup.edge_refused)),
            None => None,
        };
        Ok(Report {
            found: !lookup.submissions.is_empty() || lookup.erased_at.is_some(),
            submissions: lookup.submissions.iter().map(|trace| explain(trace, now)).collect(),
            truncated: lookup.truncated,
            text,
            erased_at: lookup.erased_at,
            edge_refused: lookup.edge_refused,
        })
    }

    /// Queues a delivery again with the same references. In a paused account it is held instead.
    ///
    /// # Errors
    /// [`SupportError::MakesNoSense`] with the reason.
    pub async fn replay(&self, actor: Actor, tenant: TenantId, delivery: DeliveryId) -> Result<Replayed> {
        match self.store.replay(tenant, delivery, &actor.to_string(), self.clock.now()).await {
            Ok(replayed) => {
                if replayed.state.is_live() {
                    (self.ring)(replayed.account);
                }
                Ok(replayed)
            }
            Err(StoreError::EndsByItself(cause)) => Err(SupportError::MakesNoSense(ends_by_itself(cause))),
            Err(StoreError::IllegalMove { from, to: _ }) => Err(SupportError::MakesNoSense(not_replayable(from))),
            Err(other) => Err(other.into()),
        }
    }

    /// Calls a delivery off.
    ///
    /// # Errors
    /// [`SupportError::MakesNoSense`] with the reason.
    pub async fn cancel(&self, actor: Actor, tenant: TenantId, delivery: DeliveryId) -> Result<()> {
        match self.store.cancel(tenant, delivery, &actor.to_string(), self.clock.now()).await {
            Ok(()) => Ok(()),
            Err(StoreError::IllegalMove { from, to: _ }) => Err(SupportError::MakesNoSense(not_cancellable(from))),
            Err(other) => Err(other.into()),
        }
    }

    /// Open cases, newest first.
    ///
    /// # Errors
    /// [`SupportError::Store`].
    pub async fn cases(&self, actor: Actor, tenant: TenantId, limit: usize) -> Result<Vec<Case>> {
        let cases = self.store.cases(tenant, limit).await?;
        self.audit(tenant, actor, "support.cases", format!("{} cases", cases.len())).await?;
        Ok(cases)
    }

    /// Stops an account's deliveries; they are held.
    ///
    /// # Errors
    /// [`SupportError::Store`].
    pub async fn pause(&self, actor: Actor, account: AccountId) -> Result<u64> {
        Ok(self.store.pause_account(account, Reason::AccountPaused, &actor.to_string(), self.clock.now()).await?)
    }

    /// Lets an account's deliveries go on.
    ///
    /// # Errors
    /// [`SupportError::Store`].
    pub async fn resume(&self, actor: Actor, account: AccountId) -> Result<u64> {
        let resumed = self.store.resume_account(account, &actor.to_string(), self.clock.now()).await?;
        (self.ring)(account);
        Ok(resumed)
    }

    /// An account has work that an action of somebody else made due.
    pub fn ring(&self, account: AccountId) {
        (self.ring)(account);
    }

    async fn audit(&self, tenant: TenantId, actor: Actor, action: &str, subject: String) -> Result<()> {
        let entry =
            AuditEntry { tenant, at: self.clock.now(), actor: actor.to_string(), action: action.to_owned(), subject };
        Ok(self.store.audit(entry).await?)
    }
}

/// By what was asked, and the ids of what was shown.
fn subject(query: &LookupQuery, lookup: &Lookup) -> String {
    let asked = [
        ("email", query.email.is_some()),
        ("job", query.job.is_some()),
        ("code", query.code.is_some()),
        ("account", query.account.is_some()),
        ("time", query.since.is_some() || query.until.is_some()),
    ];
    let asked: Vec<&str> = asked.into_iter().filter_map(|(name, given)| given.then_some(name)).collect();
    let shown: Vec<String> = lookup.submissions.iter().map(|trace| trace.id.to_string()).collect();
    format!("by {}: {}", asked.join(","), if shown.is_empty() { "nothing".to_owned() } else { shown.join(" ") })
}

/// What became of a replay, in words.
pub const fn replayed_to(state: State) -> &'static str {
    match state {
        State::Held => "held until its account resumes",
        State::Queued
        | State::InFlight
        | State::Verifying
        | State::Waiting
        | State::Delivered
        | State::Refused
        | State::Parked
        | State::Cancelled
        | State::Erased => "queued again",
    }
}

const fn ends_by_itself(cause: HeldCause) -> &'static str {
    match cause {
        HeldCause::PostingUnknown => "it waits for its job to be known: run `causeway jobs sync` for the account",
        HeldCause::FormUnknown => "it waits for its job's questions, which are fetched in the background",
        HeldCause::AccountPaused => "its account is paused: resume the account, which sends what was held",
        HeldCause::Invalid | HeldCause::FailsAlike | HeldCause::Operator => "it goes on by itself",
    }
}

const fn not_replayable(from: State) -> &'static str {
    match from {
        State::Delivered => "it was delivered: sending it again would make a second record",
        State::Erased => "its data was erased: there is nothing left to send",
        State::Queued | State::InFlight => "it is under way already",
        State::Verifying => "the system is being asked whether it has it; wait for the answer",
        State::Waiting => "it will be tried again by itself",
        State::Held | State::Refused | State::Parked | State::Cancelled => {
            "its account is paused: resume the account first"
        }
    }
}

const fn not_cancellable(from: State) -> &'static str {
    match from {
        State::Delivered => "it was delivered: withdraw it in the receiving system",
        State::Erased => "its data was erased",
        State::InFlight | State::Verifying => "it is on the wire: wait until it is known what became of it",
        State::Refused | State::Parked | State::Cancelled => "it has ended already",
        State::Queued | State::Waiting | State::Held => "it cannot be called off now",
    }
}

#[cfg(test)]
pub(crate) mod test_custody;
#[cfg(test)]
pub(crate) mod test_store;
#[cfg(test)]
mod tests;
