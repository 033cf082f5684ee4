//! What an integration admin asks on the way to a live account: the vendor's fields, overlays, the checklist, new secrets.
//!
//! Every answer that changes something names what changed; whatever is refused leaves everything as it was. Nothing here
//! knows a vendor: fields and stages are the connector's word, heard through [`Vendors`](super::Vendors).

mod live;
mod map;
mod rotate;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use causeway_core::connector::Stage;
use causeway_core::overlay::{Rule, VendorField};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Fault, Response, Services, TenantName};
use crate::overlay::preview::Shown;
use crate::setup::Hidden;
use crate::store::onboard::{Mapping, Tick};
use crate::store::setup::AccountRecord;

/// One question about one account.
#[derive(Debug, Serialize, Deserialize)]
pub struct OnboardRequest {
    /// Whose.
    pub tenant: TenantName,
    /// The account's name or id.
    pub account: String,
    /// What is asked.
    pub ask: Ask,
}

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is a command of the same name")]
pub enum Ask {
    /// As [`Request::AccountCheck`](super::Request::AccountCheck), written down for the checklist.
    Check,
    Fields,
    Stages,
    Overlay {
        version: Option<u32>,
    },
    Versions,
    Import {
        text: String,
        note: String,
    },
    SetRule {
        rule: Rule,
        table: Option<BTreeMap<String, String>>,
        note: String,
    },
    UnsetRule {
        field: String,
        note: String,
    },
    Rollback {
        to: u32,
    },
    Diff {
        from: Option<u32>,
        to: Option<u32>,
    },
    Preview {
        text: Option<String>,
        limit: usize,
    },
    Checklist,
    Tick {
        item: String,
        done: bool,
        note: String,
    },
    GoLive,
    Rotate {
        secrets: BTreeMap<String, Hidden>,
        expires_at: Option<Timestamp>,
    },
    RotateFinish,
    RotateAbandon,
    Expires {
        at: Option<Timestamp>,
    },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
#[expect(missing_docs, reason = "each names what it holds")]
pub enum OnboardAnswer {
    Fields(Vec<FieldView>),
    Stages(Vec<Stage>),
    Overlay(Mapping),
    Versions(Vec<VersionView>),
    Saved(Saved),
    Diff(Vec<String>),
    Preview(Vec<Shown>),
    Checklist(Checklist),
    Live { account: String, since: Timestamp, deliveries: u64 },
}

impl OnboardAnswer {
    /// The value alone, as `--json` shows it. An overlay is its document, so that what is exported can be imported.
    pub fn value(&self) -> Value {
        if let Self::Overlay(mapping) = self {
            return serde_json::to_value(&mapping.overlay).unwrap_or_default();
        }
        match serde_json::to_value(self) {
            Ok(Value::Object(mut members)) => members.remove("value").unwrap_or_default(),
            _ => Value::Null,
        }
    }
}

/// One of the vendor's fields, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldView {
    /// The field.
    #[serde(flatten)]
    pub field: VendorField,
    /// How the overlay in force fills it.
    pub filled: Option<String>,
    /// How many postings ask it, of how many whose questions are known; `None` for a field of the vendor's records.
    pub asked: Option<(usize, usize)>,
}

/// One version of an overlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionView {
    /// Its number.
    pub version: u32,
    /// Is it the one in force?
    pub in_force: bool,
    /// How many fields it fills.
    pub rules: usize,
    /// Why it was saved.
    pub note: String,
    /// When.
    pub saved_at: Timestamp,
    /// By whom.
    pub saved_by: String,
}

/// A version that was saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The account's name.
    pub account: String,
    /// Its number.
    pub version: u32,
    /// What differs from the version before.
    pub changes: Vec<String>,
}

/// What has to be in order before an account goes live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checklist {
    /// The account's name.
    pub account: String,
    /// Since when it is live.
    pub live_at: Option<Timestamp>,
    /// Everything that counts.
    pub items: Vec<Item>,
}

/// One thing that has to be in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its name, for `--tick`.
    pub item: String,
    /// How it stands.
    pub state: ItemState,
    /// What was found, or what to do.
    pub text: String,
    /// May a person say that it is in order?
    pub by_hand: bool,
    /// Who said so last, when, and in what words.
    pub tick: Option<Tick>,
}

/// How an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// In order.
    Done,
    /// Not in order, or not known.
    Open,
    /// There is nothing of the kind at this vendor.
    NotApplicable,
}

/// Executes one request.
pub(super) async fn execute(services: &Services, request: OnboardRequest) -> Result<Response, Fault> {
    let record = services.account(request.tenant, &request.account).await?;
    let answer = match request.ask {
        Ask::Check => return services.check(&record).await,
        Ask::Fields => OnboardAnswer::Fields(services.vendor_fields(&record).await?),
        Ask::Stages => OnboardAnswer::Stages(services.vendors.stages(&record).await?),
        Ask::Overlay { version } => OnboardAnswer::Overlay(services.overlay(&record, version).await?),
        Ask::Versions => OnboardAnswer::Versions(services.versions(&record).await?),
        Ask::Import { text, note } => OnboardAnswer::Saved(services.import(&record, &text, note).await?),
        Ask::SetRule { rule, table, note } => {
            OnboardAnswer::Saved(services.set_rule(&record, rule, table, note).await?)
        }
        Ask::UnsetRule { field, note } => OnboardAnswer::Saved(services.unset_rule(&record, &field, note).await?),
        Ask::Rollback { to } => OnboardAnswer::Saved(services.roll_back(&record, to).await?),
        Ask::Diff { from, to } => OnboardAnswer::Diff(services.diff(&record, from, to).await?),
        Ask::Preview { text, limit } => OnboardAnswer::Preview(services.preview(&record, text, limit).await?),
        Ask::Checklist => OnboardAnswer::Checklist(services.checklist(&record).await?),
        Ask::Tick { item, done, note } => OnboardAnswer::Checklist(services.tick(&record, &item, done, note).await?),
        Ask::GoLive => services.go_live(&record).await?,
        Ask::Rotate { secrets, expires_at } => return services.rotate(&record, secrets, expires_at).await,
        Ask::RotateFinish => return services.rotate_finish(&record).await,
        Ask::RotateAbandon => return services.rotate_abandon(&record).await,
        Ask::Expires { at } => return services.expires(&record, at).await,
    };
    Ok(Response::Onboard(Box::new(answer)))
}

/// The account as it is now.
async fn again(services: &Services, record: &AccountRecord) -> Result<Response, Fault> {
    Ok(Response::Account(Box::new(services.store.account(record.account.id).await?)))
}
