//! The tenant's open jobs, as a career site shows them. Written once for each state of the store, with a tag that changes
//! when the words do.
//!
//! Shows nobody who recruits or hires, no pay that is not to be shown and, of a confidential job, no employer; such a job
//! is on no list. Which systems a job's applications go to is not told here.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use causeway_core::ids::TenantId;
use causeway_core::posting::{Posting, PostingLocation, PostingPay};
use causeway_core::problem::Code;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::judge::posting_unknown;
use super::{Intake, Refusal, Sender, unavailable};
use crate::hash::sha256_hex;
use crate::store::setup::PostingRecord;

/// JSON, and a tag that is another whenever the JSON is.
#[derive(Debug, Clone)]
pub struct Tagged {
    /// 64 hexadecimal digits.
    pub tag: String,
    /// The JSON.
    pub body: Bytes,
}

impl Tagged {
    fn of(value: &impl Serialize) -> Result<Self, Refusal> {
        let body = serde_json::to_vec(value).map_err(|error| {
            tracing::error!(%error, "jobs have no JSON form");
            Refusal::from(Code::Internal)
        })?;
        Ok(Self { tag: sha256_hex(&body), body: body.into() })
    }
}

/// The lists, remembered while the store's generation stands still; one a tenant and world.
#[derive(Default)]
pub(super) struct Boards(RwLock<HashMap<(TenantId, bool), (u64, Tagged)>>);

/// Open jobs.
#[derive(Serialize, JsonSchema)]
pub struct Board<'a> {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    test: bool,
    jobs: Vec<Job<'a>>,
}

/// A job as a career site shows it.
#[derive(Serialize, JsonSchema)]
pub struct Job<'a> {
    id: &'a str,
    title: &'a str,
    open: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requisition_code: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    sibling_ids: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    locations: &'a [PostingLocation],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    departments: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    team: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    employment_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seniority: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pay: Option<&'a PostingPay>,
    #[serde(skip_serializing_if = "Option::is_none")]
    legal_entity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    brand: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opened_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closes_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    apply_url: Option<&'a str>,
    /// Of one job only: a list of them would be long.
    #[serde(skip_serializing_if = "Option::is_none")]
    description_html: Option<&'a str>,
}

impl<'a> Job<'a> {
    fn listed(record: &'a PostingRecord) -> Self {
        let posting: &Posting = &record.posting;
        let employer = |name: &'a Option<String>| name.as_deref().filter(|_| !posting.confidential);
        Self {
            id: &posting.posting_id,
            title: &posting.title,
            open: record.closed_at.is_none(),
            closed_at: record.closed_at,
            requisition_code: posting.requisition_code.as_deref(),
            sibling_ids: &posting.sibling_ids,
            language: posting.language.as_deref(),
            locations: &posting.locations,
            departments: &posting.departments,
            team: posting.team.as_deref(),
            category: posting.category.as_deref(),
            employment_type: posting.employment_type.as_deref(),
            schedule: posting.schedule.as_deref(),
            seniority: posting.seniority.as_deref(),
            pay: posting.pay.as_ref().filter(|pay| pay.shown),
            legal_entity: employer(&posting.legal_entity),
            brand: employer(&posting.brand),
            opened_at: posting.opened_at.as_deref(),
            closes_at: posting.closes_at.as_deref(),
            updated_at: posting.updated_at.as_deref(),
            apply_url: posting.apply_url.as_deref(),
            description_html: None,
        }
    }
}

impl Intake {
    /// Every open job that is not confidential, in the order of their ids.
    ///
    /// # Errors
    /// When the store cannot be read now.
    pub async fn board(&self, sender: Sender) -> Result<Tagged, Refusal> {
        let world = (sender.tenant, sender.test);
        // Read before the jobs are: a change in between makes the kept list stale, never a stale list kept as new.
        let generation = self.store.generation();
        let kept = self.boards.0.read().unwrap_or_else(PoisonError::into_inner).get(&world).cloned();
        if let Some((_, board)) = kept.filter(|(read, _)| *read == generation) {
            return Ok(board);
        }
        let records = self.open_jobs(sender).await?;
        let jobs = records.iter().map(Job::listed).collect();
        let board = Tagged::of(&Board { test: sender.test, jobs })?;
        let mut boards = self.boards.0.write().unwrap_or_else(PoisonError::into_inner);
        boards.insert(world, (generation, board.clone()));
        Ok(board)
    }

    async fn open_jobs(&self, sender: Sender) -> Result<Vec<PostingRecord>, Refusal> {
        let accounts =
            self.store.accounts(Some(sender.tenant)).await.map_err(|error| unavailable("accounts", &error))?;
        let ours = accounts.iter().filter(|record| record.sandbox == sender.test);
        let mut open: Vec<PostingRecord> = Vec::new();
        // Oldest account first: where two list the same id, the older one's, as for applications.
        for record in ours.filter(|record| record.account.role == causeway_core::account::Role::Ats) {
            let listed =
                self.store.postings(record.account.id).await.map_err(|error| unavailable("postings", &error))?;
            let known = open.len();
            for posting in listed {
                let id = &posting.posting.posting_id;
                if !open.iter().take(known).any(|older| older.posting.posting_id == *id) {
                    open.push(posting);
                }
            }
        }
        open.retain(|record| record.closed_at.is_none() && !record.posting.confidential);
        open.sort_by(|a, b| a.posting.posting_id.cmp(&b.posting.posting_id));
        Ok(open)
    }

    /// One job, open or closed, with its description.
    ///
    /// # Errors
    /// `posting_unknown` when no account lists it now, however fresh its list is.
    pub async fn job(&self, sender: Sender, job: &str) -> Result<Tagged, Refusal> {
        let view = self.view_of(sender, job).await?;
        let Some(record) = &view.posting else { return Err(posting_unknown(sender, &view)) };
        let shown = Job { description_html: record.posting.description_html.as_deref(), ..Job::listed(record) };
        Tagged::of(&shown)
    }

    pub(super) async fn view_of(
        &self,
        sender: Sender,
        job: &str,
    ) -> Result<Arc<crate::store::intake::PostingView>, Refusal> {
        let seen = self.views.get((sender.tenant, sender.test), job).await;
        seen.map(|seen| seen.view).map_err(|error| unavailable("posting_view", &error))
    }
}
