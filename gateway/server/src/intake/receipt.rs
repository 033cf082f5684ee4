//! The answer to an accepted submission, written once: stored with the application and replayed byte for byte.

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use causeway_core::account::Role;
use causeway_core::delivery::State;
use causeway_core::ids::SubmissionId;
use causeway_core::problem::FieldError;
use causeway_core::reason::Reason;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Decided, targets};
use crate::store::setup::AccountRecord;

/// Proof of acceptance.
#[derive(Serialize, JsonSchema)]
pub struct Receipt<'a> {
    /// The application's id.
    id: SubmissionId,
    /// SHA-256 over the id, the time and the document, hexadecimal, after `rcp_`.
    receipt: String,
    /// To be read over the phone.
    code: &'a str,
    /// It was sent with a test key, so it goes to sandbox accounts only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    test: bool,
    /// One per system it goes to.
    targets: Vec<Target<'a>>,
    /// The accounts that it is kept from, for want of a lawful basis.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    withheld: Vec<Withheld>,
}

/// An account that gets nothing, for want of a lawful basis. The store reads these back for support.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Withheld {
    /// The account's name.
    pub account: String,
    /// A CRM: nothing is withheld from an ATS.
    pub role: Role,
    /// What is missing, or was refused.
    pub reason: Reason,
}

impl Withheld {
    /// As it is told.
    pub(super) fn of((record, reason): (&AccountRecord, Reason)) -> Self {
        Self { account: record.account.name.clone(), role: record.account.role, reason }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReceiptTarget")]
struct Target<'a> {
    /// The account's name.
    account: &'a str,
    role: Role,
    /// Where its delivery begins.
    state: State,
    /// Why it is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    /// Its complaints, where they did not lead to a refusal.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

/// The receipt's bytes.
pub(super) fn write(
    id: SubmissionId,
    code: &str,
    document: &[u8],
    (received_at, test): (Timestamp, bool),
    decided: &Decided,
) -> Bytes {
    let mut targets = Vec::with_capacity(decided.targets.len());
    for (record, start) in decided.targets() {
        let (state, reason) = targets::shown(record, start);
        let (account, role) = (record.account.name.as_str(), record.account.role);
        targets.push(Target { account, role, state, reason, errors: decided.verdict.of(record.account.id) });
    }
    let withheld = decided.withheld().map(Withheld::of).collect();
    let receipt = Receipt { id, receipt: token(id, document, received_at), code, test, targets, withheld };
    // Plain data with text keys always has a JSON form.
    serde_json::to_vec(&receipt).map(Bytes::from).unwrap_or_default()
}

/// Binds the receipt to the bytes that were accepted: SHA-256 over id, time and document.
fn token(id: SubmissionId, document: &[u8], received_at: Timestamp) -> String {
    let mut hash = Context::new(&SHA256);
    hash.update(b"causeway receipt v1");
    hash.update(id.as_uuid().as_bytes());
    hash.update(&received_at.as_millisecond().to_be_bytes());
    hash.update(document);
    format!("rcp_{}", HEXLOWER.encode(hash.finish().as_ref()))
}
