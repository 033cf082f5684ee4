//! What support does with everything held about one person: show what erasing reaches, erase, hand it over, and keep the
//! list of copies that only vendors can erase.
//!
//! Identity rests on an e-mail address alone, so the names found with it are shown before anything is destroyed. Each of
//! these is audited with counts and ids; an export that cannot be audited is not answered.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use causeway_core::email::NormalEmail;
use causeway_core::ids::{DeliveryId, SubmissionId, TenantId};
use causeway_core::pii::Pii;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::view::{Answer, Taken};
use super::{Actor, Result, Support, SupportError, explain};
use crate::store::StoreError;
use crate::store::custody::{CopyState, HeldRecord, HeldWish, VendorCopy};
use crate::store::trace::{ErasurePlan, SubmissionKind};

/// What erasing a person reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reach {
    /// Submissions, accepted and refused.
    pub submissions: Vec<SubmissionId>,
    /// Deliveries not settled yet.
    pub live_deliveries: u64,
    /// Attachments.
    pub blobs: u64,
    /// Copies at vendors, which only the vendor can erase.
    pub vendor_copies: Vec<CopyView>,
    /// Each submission, for a person to judge whether all are one human's; empty once erased.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub list: Vec<Listed>,
    /// The address was used with more than one name: it may be several people's.
    #[serde(default)]
    pub names_differ: bool,
    /// When the address was erased before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<Timestamp>,
}

impl Reach {
    /// Nothing is held, and nothing ever was erased.
    pub fn is_unknown(&self) -> bool {
        self.submissions.is_empty() && self.erased_at.is_none()
    }
}

/// One submission that would be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// Its id.
    pub id: SubmissionId,
    /// When it came.
    pub received_at: Timestamp,
    /// The job, as submitted.
    pub posting_id: String,
    /// The job's title, if it is known.
    pub title: Option<String>,
    /// Was it taken?
    pub outcome: Taken,
    /// The name in the document.
    pub name: Option<Pii<String>>,
    /// How many attachments it has.
    pub attachments: usize,
}

/// A copy at a vendor, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CopyView {
    /// What is known.
    #[serde(flatten)]
    pub copy: VendorCopy,
    /// In words: who has to do what, or who said that it is done.
    pub text: String,
}

/// What erasing did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Erased {
    /// When; the first time, if it was erased before.
    pub erased_at: Timestamp,
    /// What it reached.
    pub reached: Reach,
}

/// What is held about a person: all of it, or a page. Files are fetched one at a time.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Export {
    /// When.
    pub exported_at: Timestamp,
    /// The address as it is compared.
    pub email: Pii<String>,
    /// When the address was erased before.
    pub erased_at: Option<Timestamp>,
    /// Oldest first.
    pub submissions: Vec<Exported>,
    /// There are more: ask again for what came after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<SubmissionId>,
    /// Where copies are.
    pub vendor_copies: Vec<CopyView>,
}

/// One submission, whole.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Exported {
    /// What became of it, explained.
    pub record: Answer,
    /// The document as it was sent.
    pub document: Value,
    /// There are demographic answers, and they were not asked for.
    pub demographics_left_out: bool,
    /// The files.
    pub attachments: Vec<ExportedFile>,
    /// What vendors said about it, word for word.
    pub vendor_words: Vec<Pii<String>>,
}

/// One file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ExportedFile {
    /// Its id in the document.
    pub id: String,
    /// The name it was sent with.
    pub name: Option<Pii<String>>,
    /// What the document says it is.
    pub media_type: Option<String>,
    /// Its place among the submission's files, from 1: what it is fetched by.
    pub position: usize,
    /// Its length in bytes, once it was fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// Where its content was written, beside the export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl Support {
    /// What erasing this person would reach, one line for each submission.
    ///
    /// # Errors
    /// [`SupportError::Store`].
    pub async fn erasure_plan(&self, actor: Actor, tenant: TenantId, email: &NormalEmail) -> Result<Reach> {
        let plan = self.store.erasure_plan(tenant, email).await?;
        let now = self.clock.now();
        let mut list: Vec<Listed> = Vec::new();
        let mut wish = HeldWish::default();
        let erased_at = loop {
            let held = self.custody.held(tenant, email, wish).await?;
            list.extend(held.records.iter().map(|record| listed(record, now)));
            wish.after = held.next;
            if held.next.is_none() {
                break held.erased_at;
            }
        };
        self.audit(tenant, actor, "support.erasure_plan", format!("{} submissions", plan.submissions.len())).await?;
        let names: BTreeSet<String> =
            list.iter().filter_map(|line| line.name.as_ref()).map(|name| folded(name.reveal())).collect();
        Ok(Reach { list, names_differ: names.len() > 1, erased_at, ..reach(plan) })
    }

    /// Destroys the person's keys. The store writes the audit row.
    ///
    /// # Errors
    /// [`SupportError::Nobody`] for an address that nothing is held about; nothing is changed.
    pub async fn erase(&self, actor: Actor, tenant: TenantId, email: &NormalEmail) -> Result<Erased> {
        match self.store.erase(tenant, email, &actor.to_string(), self.clock.now()).await {
            Ok(erasure) => Ok(Erased { erased_at: erasure.erased_at, reached: reach(erasure.reached) }),
            Err(StoreError::NotFound("person")) => Err(SupportError::Nobody),
            Err(other) => Err(other.into()),
        }
    }

    /// Copies at vendors of people who were erased here.
    ///
    /// # Errors
    /// [`SupportError::Store`].
    pub async fn vendor_copies(&self, actor: Actor, tenant: TenantId) -> Result<Vec<CopyView>> {
        let copies = self.custody.vendor_copies(tenant).await?;
        self.audit(tenant, actor, "support.vendor_copies", format!("{} copies", copies.len())).await?;
        Ok(copies.into_iter().map(copy_view).collect())
    }

    /// Records how a copy at a vendor ended; others of the same vendor record with it.
    ///
    /// # Errors
    /// [`SupportError::Store`], also when there is no such copy.
    pub async fn settle_vendor_copy(
        &self,
        actor: Actor,
        tenant: TenantId,
        delivery: DeliveryId,
        state: CopyState,
    ) -> Result<Vec<CopyView>> {
        let now = self.clock.now();
        let settled = self.custody.settle_vendor_copy(tenant, delivery, state, &actor.to_string(), now).await?;
        Ok(settled.into_iter().map(copy_view).collect())
    }

    /// What is held about a person, without the files' contents: a page, of what came after a submission or from the first
    /// on. Demographic answers only when they are asked for, which whoever lets the question through has to allow.
    ///
    /// # Errors
    /// [`SupportError::Nobody`] for an address that nothing is held about.
    pub async fn export(
        &self,
        actor: Actor,
        tenant: TenantId,
        email: &NormalEmail,
        demographics: bool,
        after: Option<SubmissionId>,
    ) -> Result<Export> {
        let wish = HeldWish { demographics, after, ..HeldWish::default() };
        let held = self.custody.held(tenant, email, wish).await?;
        let with = if demographics { "with" } else { "without" };
        let subject = format!("{} submissions, {with} demographic answers", held.records.len());
        self.audit(tenant, actor, "support.export", subject).await?;
        if after.is_none() && held.records.is_empty() && held.erased_at.is_none() {
            return Err(SupportError::Nobody);
        }
        let plan = self.store.erasure_plan(tenant, email).await?;
        let now = self.clock.now();
        Ok(Export {
            exported_at: now,
            email: Pii::new(email.exact().to_owned()),
            erased_at: held.erased_at,
            submissions: held.records.iter().map(|record| exported(record, now)).collect(),
            next: held.next,
            vendor_copies: plan.vendor_copies.into_iter().map(copy_view).collect(),
        })
    }

    /// One file of an export, by its submission and its position there.
    ///
    /// # Errors
    /// [`SupportError::Store`], also when the person has no such file.
    pub async fn export_file(
        &self,
        actor: Actor,
        tenant: TenantId,
        email: &NormalEmail,
        (submission, position): (SubmissionId, usize),
    ) -> Result<Bytes> {
        let place = position.checked_sub(1).ok_or(StoreError::NotFound("attachment"))?;
        let bytes = self.custody.held_file(tenant, email, submission, place).await?;
        self.audit(tenant, actor, "support.export_file", format!("{submission} {position}")).await?;
        Ok(bytes)
    }
}

fn reach(plan: ErasurePlan) -> Reach {
    let ErasurePlan { submissions, live_deliveries, blobs, vendor_copies } = plan;
    let vendor_copies = vendor_copies.into_iter().map(copy_view).collect();
    Reach { submissions, live_deliveries, blobs, vendor_copies, ..Reach::default() }
}

fn listed(record: &HeldRecord, now: Timestamp) -> Listed {
    let answer = explain(&record.trace, now);
    Listed {
        id: answer.id,
        received_at: answer.received_at,
        posting_id: answer.job.posting_id,
        title: answer.job.title,
        outcome: answer.outcome,
        name: name_in(&record.document),
        attachments: record.attachments.len(),
    }
}

/// As typed, or in parts. A document that was refused may hold anything.
fn name_in(document: &[u8]) -> Option<Pii<String>> {
    let document: Value = serde_json::from_slice(document).ok()?;
    let name = &document["person"]["name"];
    let typed = name["as_typed"].as_str().map(str::to_owned);
    let parts = || {
        let parts: Vec<&str> =
            ["given", "middle", "family", "second_family"].into_iter().filter_map(|part| name[part].as_str()).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    };
    typed.or_else(parts).map(Pii::new)
}

/// Names are compared without regard to case and spaces.
fn folded(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn exported(record: &HeldRecord, now: Timestamp) -> Exported {
    // What is not JSON was kept byte for byte and is handed over as text.
    let document = serde_json::from_slice(&record.document)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&record.document).into_owned()));
    let announced: BTreeMap<&str, &Value> = document["attachments"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| Some((one["id"].as_str()?, one)))
        .collect();
    let text = |id: &str, member: &str| announced.get(id).and_then(|one| one[member].as_str()).map(str::to_owned);
    let attachments = record.attachments.iter().enumerate().map(|(index, id)| ExportedFile {
        id: id.clone(),
        name: text(id, "name").map(Pii::new),
        media_type: text(id, "media_type"),
        position: index + 1,
        size: None,
        file: None,
    });
    let attachments = attachments.collect();
    let words = match &record.trace.kind {
        SubmissionKind::Accepted { deliveries, .. } => deliveries
            .iter()
            .flat_map(|delivery| &delivery.attempts)
            .filter_map(|attempt| attempt.vendor_words.clone())
            .collect(),
        SubmissionKind::Refused { .. } => Vec::new(),
    };
    Exported {
        record: explain(&record.trace, now),
        demographics_left_out: record.demographics_left_out,
        attachments,
        vendor_words: words,
        document,
    }
}

fn copy_view(copy: VendorCopy) -> CopyView {
    let record = copy.vendor_id.as_ref().map_or_else(
        || "No id of a record is known: the vendor gave none, or never answered".to_owned(),
        |id| format!("The record is {id}"),
    );
    let by = copy.changed_by.as_deref().unwrap_or("nobody");
    let text = match copy.state {
        CopyState::ByHand => {
            let how = causeway_connectors::by_name(&copy.connector)
                .and_then(|connector| connector.erasing())
                .unwrap_or("How is not in the documents this connector was built from: ask the vendor.");
            format!("It must be erased by hand at {}. {record}. {how}", copy.account)
        }
        CopyState::AskedVendor => format!("{by} asked the vendor to erase it. {record}."),
        CopyState::Confirmed => format!("{by} confirmed that it was erased there."),
        CopyState::NotThere => format!("{by} found no such record there."),
    };
    CopyView { copy, text }
}
