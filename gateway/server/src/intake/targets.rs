//! Where an application goes, and whether each of those systems takes it as it is. Pure.
//!
//! The targets are the posting's ATS account and every CRM account that may have the data. A CRM may have it when the
//! document says so for the account's purpose: its setting `purpose`, `recruiting` unless it is set. It says so with at
//! least one entry of that purpose in `consents`, on a basis the account takes (its setting `basis`; any unless it is
//! set), of which none has `given: false`: a consent that was given, or another lawful basis that the person did not
//! object to. No such entry, a refusal or an objection: no delivery to that CRM, and the receipt says which and why.

use std::collections::HashMap;
use std::sync::Arc;

use causeway_core::account::{Account, OnInvalid, Role};
use causeway_core::connector::Connector;
use causeway_core::delivery::{HeldCause, State};
use causeway_core::ids::AccountId;
use causeway_core::outcome::FieldReason;
use causeway_core::posting::Form;
use causeway_core::problem::FieldError;
use causeway_core::reason::Reason;
use serde_json::Value;

use crate::schema::{Target, Verdict};
use crate::setup::{BASIS, PURPOSE};
use crate::store::intake::PostingView;
use crate::store::setup::AccountRecord;

/// What a CRM account's consents are called unless its settings say otherwise.
const DEFAULT_PURPOSE: &str = "recruiting";

/// The basis of an entry that names none.
const CONSENT: &str = "consent";

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
        .filter(|record| kept_from(&record.account, document).is_none())
        .collect();
    crms.sort_by_key(|record| (record.created_at, record.account.id));
    ats.into_iter().chain(crms).map(|record| record.account.id).collect()
}

/// The tenant's ATS accounts.
pub(super) fn ats_accounts(view: &PostingView) -> impl Iterator<Item = &AccountRecord> {
    view.accounts.iter().filter(|record| record.account.role == Role::Ats)
}

/// The CRM accounts that may not have it, and why.
pub(super) fn withheld(view: &PostingView, document: &Value) -> Vec<(AccountId, Reason)> {
    let mut crms: Vec<&AccountRecord> =
        view.accounts.iter().filter(|record| record.account.role == Role::Crm).collect();
    crms.sort_by_key(|record| (record.created_at, record.account.id));
    let why = |record: &AccountRecord| Some((record.account.id, kept_from(&record.account, document)?));
    crms.into_iter().filter_map(why).collect()
}

/// Why a CRM may not have the document, by the rule in the module's documentation. It may not have been validated yet.
fn kept_from(account: &Account, document: &Value) -> Option<Reason> {
    let purpose = account.setting(PURPOSE).unwrap_or(DEFAULT_PURPOSE);
    let entries = document["consents"].as_array().map_or(&[][..], Vec::as_slice);
    let named: Vec<&Value> = entries.iter().filter(|entry| entry["purpose"].as_str() == Some(purpose)).collect();
    if named.iter().any(|entry| entry["given"].as_bool() == Some(false)) {
        return Some(Reason::ConsentRefused);
    }
    // An entry that names no basis records a consent.
    let taken = |entry: &Value| match (account.setting(BASIS), entry["basis"].as_str().unwrap_or(CONSENT)) {
        (None, _) => true,
        (Some(bases), basis) => bases.split(',').any(|taken| taken.trim() == basis),
    };
    let stands = named.iter().any(|entry| entry["given"].as_bool() == Some(true) && taken(entry));
    (!stands).then_some(Reason::LawfulBasisMissing)
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
        (Start::Queued | Start::Rejected, _) if record.live_at.is_none() => (State::Held, Some(Reason::AccountNotLive)),
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
    use causeway_core::account::{Account, OnInvalid, OnUnknown, Repeats, Role};
    use causeway_core::clock::SeededEntropy;
    use causeway_core::ids::{AccountId, TenantId};
    use causeway_core::reason::Reason;
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::kept_from;

    fn check(settings: &Value, consents: &Value, expected: Option<Reason>) {
        let entropy = SeededEntropy::new(1);
        let account = Account {
            id: AccountId::new(Timestamp::UNIX_EPOCH, &entropy),
            tenant: TenantId::new(Timestamp::UNIX_EPOCH, &entropy),
            name: "crm".to_owned(),
            connector: "crm".to_owned(),
            role: Role::Crm,
            settings: serde_json::from_value(settings.clone()).unwrap(),
            allow_private: false,
            on_invalid: OnInvalid::Reject,
            repeats: Repeats::Deliver,
            on_unknown: OnUnknown::Hold,
        };
        assert_eq!(kept_from(&account, &json!({ "consents": consents })), expected, "{settings} {consents}");
    }

    #[test]
    fn a_crm_gets_nothing_without_a_lawful_basis_for_its_own_purpose() {
        let (missing, refused) = (Some(Reason::LawfulBasisMissing), Some(Reason::ConsentRefused));
        let plain = |consents: Value, expected| check(&json!({}), &consents, expected);
        plain(json!([{ "purpose": "recruiting", "given": true }]), None);
        plain(json!([{ "purpose": "recruiting", "basis": "legitimate_interest", "given": true }]), None);
        plain(json!([{ "purpose": "recruiting", "given": false }]), refused);
        plain(json!([{ "purpose": "recruiting", "basis": "legitimate_interest", "given": false }]), refused);
        plain(
            json!([{ "purpose": "recruiting", "given": true }, { "purpose": "recruiting", "given": false }]),
            refused,
        );
        plain(json!([{ "purpose": "talent_pool", "given": true }]), missing);
        plain(json!([{ "purpose": "recruiting" }]), missing);
        plain(json!([]), missing);
        plain(json!("yes"), missing);
        plain(Value::Null, missing);
    }

    #[test]
    fn an_account_names_its_purpose_and_the_bases_it_takes() {
        let missing = Some(Reason::LawfulBasisMissing);
        let pool = json!({ "purpose": "talent_pool" });
        check(&pool, &json!([{ "purpose": "talent_pool", "given": true }]), None);
        check(&pool, &json!([{ "purpose": "recruiting", "given": true }]), missing);
        let strict = json!({ "basis": "consent" });
        check(&strict, &json!([{ "purpose": "recruiting", "basis": "consent", "given": true }]), None);
        check(&strict, &json!([{ "purpose": "recruiting", "given": true }]), None);
        check(&strict, &json!([{ "purpose": "recruiting", "basis": "legitimate_interest", "given": true }]), missing);
        let two = json!({ "basis": "consent, contract" });
        check(&two, &json!([{ "purpose": "recruiting", "basis": "contract", "given": true }]), None);
        check(&two, &json!([{ "purpose": "recruiting", "basis": "legal_obligation", "given": true }]), missing);
    }
}
