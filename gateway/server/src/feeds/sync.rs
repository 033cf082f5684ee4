//! Reads an account's postings and their forms and hands them to the store.
//!
//! It never closes a posting on the strength of half a list: only a sync that read every page is complete, and a list that
//! shrank by more than half is believed the second time only. Forms are fetched for what is new, changed or old; one that
//! cannot be fetched leaves the last one in use. It validates nothing and decides nothing about applications.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use causeway_core::clock::Clock;
use causeway_core::connector::{Connector, Http, ReadError};
use causeway_core::ids::AccountId;
use causeway_core::posting::{Form, Posting};
use futures_util::StreamExt;
use jiff::Timestamp;

use crate::clock::later;
use crate::config::live::Live;
use crate::egress::{Connectors, Egress};
use crate::hash::sha256_hex;
use crate::store::setup::{AccountRecord, PostingRecord, Sync, SyncReport};
use crate::store::{Store, StoreError};

/// The figures.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncPolicy {
    /// How old a form may become before it is fetched again.
    pub forms_every: Live<Duration>,
    /// Forms fetched at once, per account.
    pub forms_at_once: usize,
    /// The most pages one sync reads.
    pub pages_most: usize,
    /// A list that would close more than this share of the postings,
    pub shrink_share: f64,
    /// and more than so many, is believed the second time.
    pub shrink_least: usize,
}

impl Default for SyncPolicy {
    fn default() -> Self {
        Self {
            forms_every: Duration::from_mins(10).into(),
            forms_at_once: 4,
            pages_most: 1_000,
            shrink_share: 0.5,
            shrink_least: 10,
        }
    }
}

/// Why a sync did not come to its end. What was read before is kept, and nothing was closed.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The vendor.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This build has no such connector.
    #[error("this build has no connector for the account")]
    NoConnector,
    /// The pages do not end.
    #[error("the vendor's list does not end")]
    Endless,
}

/// What a sync came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Synced {
    /// What changed.
    pub report: SyncReport,
    /// Every page was read and believed.
    pub complete: bool,
    /// The list shrank so much that it is only believed when it comes again.
    pub held: bool,
    /// Postings that are new or changed.
    pub changed: Vec<String>,
}

/// What fetching forms came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FormsSynced {
    /// Fetched and kept.
    pub fetched: u64,
    /// Could not be fetched; the last one stays in use.
    pub failed: u64,
}

/// What reading feeds takes.
pub struct FeedParts {
    /// Where postings and forms go.
    pub store: Arc<dyn Store>,
    /// The way out.
    pub egress: Arc<Egress>,
    /// Finds connectors.
    pub connectors: Connectors,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// A form's version, from its questions.
    pub form_digest: fn(&Form) -> String,
    /// The figures.
    pub policy: SyncPolicy,
}

/// See the module's documentation.
pub struct Feeds {
    parts: FeedParts,
    /// Accounts whose last list shrank too much to be believed.
    shrunk: Mutex<HashSet<AccountId>>,
}

impl Feeds {
    /// Reads nothing yet.
    pub fn new(parts: FeedParts) -> Self {
        Self { parts, shrunk: Mutex::default() }
    }

    /// Reads the account's postings, all pages, and then the forms of what is new or changed.
    ///
    /// # Errors
    /// When the list could not be read to its end; what was read is applied all the same.
    pub async fn sync_jobs(&self, account: AccountId) -> Result<Synced, SyncError> {
        let (record, connector) = self.account(account).await?;
        let started_at = self.parts.clock.now();
        let http = self.parts.egress.http(&record);
        let mut postings = Vec::new();
        let end = self.read_pages(&record, connector.as_ref(), &http, &mut postings).await;
        if postings.is_empty() && end.is_err() {
            return end.map(|()| Synced::default());
        }
        for posting in &mut postings {
            fill_hash(posting);
        }
        let known = self.parts.store.postings(account).await?;
        let held = end.is_ok() && self.shrank(account, &known, &postings);
        let complete = end.is_ok() && !held;
        let changed = changed(&known, &postings);
        let report = self.parts.store.apply_sync(Sync { account, started_at, complete, postings }).await?;
        if held {
            tracing::warn!(account = %account, known = known.len(), listed = report.listed, "a much shorter job list is held");
        }
        self.fetch_forms(&record, connector.as_ref(), &http, &changed).await?;
        end?;
        Ok(Synced { report, complete, held, changed })
    }

    /// Fetches the forms that were never fetched or have become old.
    ///
    /// # Errors
    /// When the store fails; a vendor's failure is counted.
    pub async fn sync_forms(&self, account: AccountId) -> Result<FormsSynced, SyncError> {
        let (record, connector) = self.account(account).await?;
        let now = self.parts.clock.now();
        let every = self.parts.policy.forms_every.get();
        let old = |fetched: Timestamp| later(fetched, every) <= now;
        let postings = self.parts.store.postings(account).await?;
        let wanted: Vec<String> = postings
            .into_iter()
            .filter(|record| record.closed_at.is_none() && record.form.as_ref().is_none_or(|(_, at)| old(*at)))
            .map(|record| record.posting.posting_id)
            .collect();
        let http = self.parts.egress.http(&record);
        self.fetch_forms(&record, connector.as_ref(), &http, &wanted).await
    }

    async fn account(&self, account: AccountId) -> Result<(AccountRecord, Arc<dyn Connector>), SyncError> {
        let record = self.parts.store.account(account).await?;
        let connector = (self.parts.connectors)(&record.account.connector).ok_or(SyncError::NoConnector)?;
        Ok((record, connector))
    }

    async fn read_pages(
        &self,
        record: &AccountRecord,
        connector: &dyn Connector,
        http: &dyn Http,
        postings: &mut Vec<Posting>,
    ) -> Result<(), SyncError> {
        let mut cursor = None;
        let mut seen = HashSet::new();
        for _ in 0..self.parts.policy.pages_most {
            let page = connector.list_jobs(&record.account, cursor.as_deref(), http).await?;
            postings.extend(page.postings);
            match page.next {
                None => return Ok(()),
                Some(next) if !seen.insert(next.clone()) => return Err(SyncError::Endless),
                Some(next) => cursor = Some(next),
            }
        }
        Err(SyncError::Endless)
    }

    /// Would this list close so much that it has to be seen again first?
    fn shrank(&self, account: AccountId, known: &[PostingRecord], listed: &[Posting]) -> bool {
        let listed: HashSet<&str> = listed.iter().map(|posting| posting.posting_id.as_str()).collect();
        let live: Vec<_> = known.iter().filter(|record| record.closed_at.is_none()).collect();
        let closing = live.iter().filter(|record| !listed.contains(record.posting.posting_id.as_str())).count();
        let share = self.parts.policy.shrink_share * live.len() as f64;
        let much = closing > self.parts.policy.shrink_least && closing as f64 > share;
        let mut shrunk = self.shrunk.lock().unwrap_or_else(PoisonError::into_inner);
        if !much {
            shrunk.remove(&account);
            return false;
        }
        // The first time it is remembered and held, the second time it is believed.
        let first = shrunk.insert(account);
        if !first {
            shrunk.remove(&account);
        }
        first
    }

    async fn fetch_forms(
        &self,
        record: &AccountRecord,
        connector: &dyn Connector,
        http: &dyn Http,
        wanted: &[String],
    ) -> Result<FormsSynced, SyncError> {
        let account = &record.account;
        let asks: Vec<_> = wanted.iter().map(|id| connector.fetch_form(account, id, http)).collect();
        let mut answers = futures_util::stream::iter(asks).buffer_unordered(self.parts.policy.forms_at_once.max(1));
        let mut came = FormsSynced::default();
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(mut form) => {
                    if form.digest.is_empty() {
                        form.digest = (self.parts.form_digest)(&form);
                    }
                    self.parts.store.put_form(account.id, &form, self.parts.clock.now()).await?;
                    came.fetched += 1;
                }
                // A connector without forms has none for any posting.
                Err(ReadError::NotClaimed) => break,
                Err(ReadError::NotThere) => came.failed += 1,
                Err(
                    error @ (ReadError::Unauthorised { .. }
                    | ReadError::NotNow { .. }
                    | ReadError::Unreadable(_)
                    | ReadError::Misconfigured(_)),
                ) => {
                    tracing::warn!(account = %account.id, %error, "a form could not be fetched; the last one stays in use");
                    came.failed += 1;
                }
            }
        }
        Ok(came)
    }
}

/// Without a hash of the vendor's own representation, ours tells a change.
fn fill_hash(posting: &mut Posting) {
    if posting.source_hash.is_none() {
        // A posting is plain data: it always has a JSON form.
        let bytes = serde_json::to_vec(posting).unwrap_or_default();
        posting.source_hash = Some(sha256_hex(&bytes));
    }
}

/// Postings that are new, reopened or changed, and those that never got their form.
fn changed(known: &[PostingRecord], listed: &[Posting]) -> Vec<String> {
    let known: BTreeMap<&str, &PostingRecord> =
        known.iter().map(|record| (record.posting.posting_id.as_str(), record)).collect();
    let differs = |posting: &&Posting| {
        known.get(posting.posting_id.as_str()).is_none_or(|record| {
            record.closed_at.is_some() || record.form.is_none() || record.posting.source_hash != posting.source_hash
        })
    };
    let ids: BTreeSet<String> = listed.iter().filter(differs).map(|posting| posting.posting_id.clone()).collect();
    ids.into_iter().collect()
}

#[cfg(test)]
#[path = "sync_tests.rs"]
mod tests;
