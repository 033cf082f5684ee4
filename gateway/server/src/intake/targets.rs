//! Where an application goes, and whether each of those systems takes it as it is. Pure.
//!
//! The targets are the posting's ATS account and every CRM account that may have the data. A CRM may have it when the
//! document says so for the account's purpose: its setting `consent_purpose`, `recruiting` unless it is set. It says so
//! with at least one entry of that purpose in `consents`, of which none has `given: false`: a consent that was given, or
//! another lawful basis the person did not object to. No entry, a refusal or an objection: no delivery to that CRM.

use std::collections::HashMap;
use std::sync::Arc;

use causeway_core::account::{OnInvalid, Role};
use causeway_core::connector::Connector;
use causeway_core::delivery::{HeldCause, State};
use causeway_core::ids::AccountId;
use causeway_core::outcome::FieldReason;
use causeway_core::posting::Form;
use causeway_core::problem::FieldError;
use causeway_core::reason::Reason;
use serde_json::Value;

use crate::schema::{Target, Verdict};
use crate::store::intake::PostingView;
use crate::store::setup::AccountRecord;

/// What a CRM account's consents are called unless its settings say otherwise.
const DEFAULT_PURPOSE: &str = "recruiting";

/// A connector, and what is asked of it once at start.
pub(super) struct Known {
    pub(super) connector: Arc<dyn Connector>,
    /// Its postings publish questions.
    pub(super) has_forms: bool,
}

/// Every connector by name.
pub(super) type Connectors = HashMap<&'static str, Known>;

pub(super) fn connectors(all: Vec<Arc<dyn Connector>>) -> Connectors {
    let known = |connector: Arc<dyn Connector>| {
        let has_forms = connector.form_schema(&Form::default()).is_some();
        (connector.describe().name, Known { connector, has_forms })
    };
    all.into_iter().map(known).collect()
}

/// The accounts an application goes to, the ATS first.
pub(super) fn of(view: &PostingView, document: &Value) -> Vec<AccountId> {
    let ats = match &view.posting {
        Some(posting) => view.accounts.iter().find(|record| record.account.id == posting.account),
        // Nobody has the posting yet: the oldest ATS account asks for it.
        None => ats_accounts(view).min_by_key(|record| (record.created_at, record.account.id)),
    };
    let mut crms: Vec<&AccountRecord> = view
        .accounts
        .iter()
        .filter(|record| record.account.role == Role::Crm)
        .filter(|record| may_have(document, record.account.setting("consent_purpose").unwrap_or(DEFAULT_PURPOSE)))
        .collect();
    crms.sort_by_key(|record| (record.created_at, record.account.id));
    ats.into_iter().chain(crms).map(|record| record.account.id).collect()
}

/// The tenant's ATS accounts.
pub(super) fn ats_accounts(view: &PostingView) -> impl Iterator<Item = &AccountRecord> {
    view.accounts.iter().filter(|record| record.account.role == Role::Ats)
}

/// The rule in the module's documentation. The document may not have been validated yet.
fn may_have(document: &Value, purpose: &str) -> bool {
    let entries = document["consents"].as_array().map_or(&[][..], Vec::as_slice);
    let mut named = entries.iter().filter(|entry| entry["purpose"].as_str() == Some(purpose)).peekable();
    named.peek().is_some() && named.all(|entry| entry["given"].as_bool() == Some(true))
}

/// What the schemas are asked about.
pub(super) fn to_check<'a>(
    accounts: &[&'a AccountRecord],
    connectors: &'a Connectors,
    view: &'a PostingView,
) -> Vec<Target<'a>> {
    let form = view.form.as_ref().map(|(form, _)| form);
    let known = |record: &&'a AccountRecord| {
        let connector = connectors.get(record.account.connector.as_str())?;
        let form = form.filter(|_| record.account.role == Role::Ats);
        Some(Target { account: &record.account, connector: connector.connector.as_ref(), form })
    };
    accounts.iter().filter_map(known).collect()
}

/// Where one target's delivery begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Start {
    /// It may go as soon as it is stored.
    Queued,
    /// It stops before it began.
    Held(HeldCause, Reason, Vec<FieldReason>),
    /// The account refuses the document, and its policy is to say so now.
    Rejected,
}

/// What the verdict means for one target.
pub(super) fn start(record: &AccountRecord, connectors: &Connectors, view: &PostingView, verdict: &Verdict) -> Start {
    let account = &record.account;
    let held = |cause, reason| Start::Held(cause, reason, Vec::new());
    let refused = verdict.of(account.id);
    if !refused.is_empty() {
        // A CRM never blocks an ATS, whatever its policy says: its delivery waits for a person instead.
        return match (account.role, account.on_invalid) {
            (Role::Ats, OnInvalid::Reject) => Start::Rejected,
            (Role::Ats, OnInvalid::Hold) | (Role::Crm, OnInvalid::Reject | OnInvalid::Hold) => {
                Start::Held(HeldCause::Invalid, first_reason(refused), reasons(refused))
            }
        };
    }
    let Some(connector) = connectors.get(account.connector.as_str()) else {
        return held(HeldCause::Operator, Reason::AccountMisconfigured);
    };
    if view.posting.is_none() {
        return held(HeldCause::PostingUnknown, Reason::PostingNotSyncedYet);
    }
    if account.role == Role::Ats && connector.has_forms && view.form.is_none() {
        return held(HeldCause::FormUnknown, Reason::FormNotFetchedYet);
    }
    // What could not be checked is not sent as if it had been.
    if verdict.unchecked.iter().any(|(id, _)| *id == account.id) {
        return held(HeldCause::Operator, Reason::VendorDrifted);
    }
    Start::Queued
}

/// Where the receipt says the delivery stands.
pub(super) fn shown(record: &AccountRecord, start: &Start) -> (State, Option<Reason>) {
    match (start, &record.paused) {
        (Start::Held(_, reason, _), _) => (State::Held, Some(*reason)),
        (_, Some(paused)) => (State::Held, Some(paused.reason)),
        (Start::Queued | Start::Rejected, None) => (State::Queued, None),
    }
}

/// Was every ATS account of the tenant read whole, and recently enough to say that a posting does not exist?
pub(super) fn surely_absent(view: &PostingView, not_before: jiff::Timestamp) -> bool {
    view.posting.is_none()
        && ats_accounts(view).all(|record| record.last_complete_sync.is_some_and(|synced| synced >= not_before))
}

fn first_reason(errors: &[FieldError]) -> Reason {
    errors.first().and_then(|error| error.code.parse().ok()).unwrap_or(Reason::DocumentInvalid)
}

/// The schemas' complaints as the store keeps them with a delivery.
pub(super) fn reasons(errors: &[FieldError]) -> Vec<FieldReason> {
    let reason = |error: &FieldError| FieldReason {
        pointer: error.pointer.clone(),
        reason: error.code.parse().unwrap_or(Reason::DocumentInvalid),
        text: error.message.clone(),
    };
    errors.iter().map(reason).collect()
}

#[cfg(test)]
mod tests {
    use super::may_have;
    use serde_json::{Value, json};

    fn check(consents: &Value, expected: bool) {
        assert_eq!(may_have(&json!({ "consents": consents }), "recruiting"), expected, "{consents}");
    }

    #[test]
    fn a_crm_gets_nothing_without_a_lawful_basis_for_its_own_purpose() {
        check(&json!([{ "purpose": "recruiting", "given": true }]), true);
        check(&json!([{ "purpose": "recruiting", "basis": "legitimate_interest", "given": true }]), true);
        check(&json!([{ "purpose": "recruiting", "given": false }]), false);
        check(&json!([{ "purpose": "recruiting", "basis": "legitimate_interest", "given": false }]), false);
        check(&json!([{ "purpose": "recruiting", "given": true }, { "purpose": "recruiting", "given": false }]), false);
        check(&json!([{ "purpose": "talent_pool", "given": true }]), false);
        check(&json!([{ "purpose": "recruiting" }]), false);
        check(&json!([]), false);
        check(&json!("yes"), false);
        check(&Value::Null, false);
    }
}
