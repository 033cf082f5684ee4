//! Before and after: what an overlay makes of documents that really came in.
//!
//! Values are personal: they are shown to whoever may use the data directory, and whoever shows them writes an audit row.

use causeway_core::account::Role;
use causeway_core::connector::Connector;
use causeway_core::ids::SubmissionId;
use causeway_core::overlay::{self, Filled, NotFilled, Overlay, VendorField};
use causeway_core::pii::Pii;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema::{Schemas, Target};
use crate::store::onboard::Recent;
use crate::store::setup::AccountRecord;

/// One field of one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The document.
    pub submission: SubmissionId,
    /// When it came.
    pub received_at: Timestamp,
    /// For which posting.
    pub posting_id: String,
    /// The vendor's field.
    pub field: String,
    /// What the vendor gets now.
    pub before: Cell,
    /// What it would get.
    pub after: Cell,
    /// Do the account's schemas take the document as it would be? `None`: nobody knows the form.
    pub passes: Option<bool>,
}

/// What goes into a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cell {
    /// This.
    Value(Pii<String>),
    /// What the applicant answered.
    AsAnswered,
    /// Nothing, for this reason.
    Empty(String),
}

/// What the overlay makes of each document, against the one in force.
pub fn shown(
    record: &AccountRecord,
    connector: &dyn Connector,
    schemas: &Schemas,
    candidate: (&Overlay, &[VendorField]),
    recent: &[Recent],
) -> Vec<Shown> {
    let mut lines = Vec::new();
    for document in recent {
        let Ok(sent) = serde_json::from_slice::<Value>(&document.document) else { continue };
        let (overlay, known) = candidate;
        let asked = document.form.as_ref().map(|form| super::fields_of_form(connector, form));
        let (fields, old_fields) = match (record.account.role, &asked) {
            (Role::Ats, Some(asked)) => (asked.as_slice(), asked.as_slice()),
            (Role::Ats, None) => (&[][..], &[][..]),
            (Role::Crm, _) => (known, record.mapping.as_ref().map_or(&[][..], |mapping| mapping.fields.as_slice())),
        };
        let now = record
            .mapping
            .as_ref()
            .map_or_else(Vec::new, |mapping| run(record.account.role, &mapping.overlay, old_fields, &sent));
        let then = run(record.account.role, overlay, fields, &sent);
        let passes = document.form.as_ref().filter(|_| record.account.role == Role::Ats).map(|form| {
            let seen = super::with_answers(overlay, fields, &sent);
            let target = Target { account: &record.account, connector, form: Some(form) };
            schemas.check(seen.as_ref().unwrap_or(&sent), &[target]).is_valid()
        });
        let gone = now.iter().filter(|(field, _)| !then.iter().any(|(kept, _)| kept == field));
        let all = then.iter().chain(gone).map(|(field, _)| field);
        lines.extend(all.map(|field| Shown {
            submission: document.submission,
            received_at: document.received_at,
            posting_id: document.posting_id.clone(),
            field: field.clone(),
            before: cell(&now, field),
            after: cell(&then, field),
            passes,
        }));
    }
    lines
}

type Results = Vec<(String, Result<Filled, NotFilled>)>;

fn run(role: Role, overlay: &Overlay, fields: &[VendorField], sent: &Value) -> Results {
    let results = match role {
        Role::Ats => overlay::into_answers(overlay, fields, &mut sent.clone()),
        Role::Crm => overlay::filled(overlay, fields, sent),
    };
    results.into_iter().map(|(rule, result)| (rule.field().to_owned(), result)).collect()
}

fn cell(results: &Results, field: &str) -> Cell {
    match results.iter().find(|(name, _)| name == field) {
        None => Cell::Empty("no rule fills it".to_owned()),
        Some((_, Ok(filled))) => Cell::Value(Pii::new(match &filled.value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })),
        Some((_, Err(NotFilled::Answered))) => Cell::AsAnswered,
        Some((_, Err(why))) => Cell::Empty(why.to_string()),
    }
}
