//! Whether an overlay may be saved: everything that can be known before an application meets it.
//!
//! The vendor's fields must exist and take what the rules make; sources must be members of the canonical document or
//! questions that some posting asks; and a document that the account's schemas take without the overlay they must take with
//! it: tried on every form the account's postings have, and on what came in lately. Says which, never with what values.

use std::collections::BTreeSet;

use causeway_core::account::Role;
use causeway_core::connector::Connector;
use causeway_core::overlay::{self, Asked, Overlay, VendorField};
use causeway_core::posting::Form;
use serde_json::{Value, json};

use super::with_answers;
use crate::schema::{self, Schemas, Target};
use crate::store::onboard::Recent;
use crate::store::setup::AccountRecord;

/// What a judgement needs beside the overlay.
pub struct Ground<'a> {
    /// Whose overlay it is.
    pub record: &'a AccountRecord,
    /// The account's connector.
    pub connector: &'a dyn Connector,
    /// The vendor's fields.
    pub fields: &'a [VendorField],
    /// The forms of the account's postings.
    pub forms: &'a [Form],
    /// Every question that a posting of the tenant asks.
    pub questions: &'a BTreeSet<String>,
    /// What came in lately.
    pub recent: &'a [Recent],
    /// The schemas.
    pub schemas: &'a Schemas,
}

struct Known<'a>(&'a BTreeSet<String>);

impl Asked for Known<'_> {
    fn has_member(&self, pointer: &str) -> bool {
        schema::has_value(pointer)
    }

    fn has_question(&self, question: &str) -> bool {
        self.0.contains(question)
    }
}

/// Everything that is wrong, a line each; an overlay without any may be saved.
pub fn faults(overlay: &Overlay, ground: &Ground<'_>) -> Vec<String> {
    let mut lines = overlay::faults(overlay, ground.fields, &Known(ground.questions));
    if lines.is_empty() && ground.record.account.role == Role::Ats {
        lines.extend(broken_forms(overlay, ground));
        lines.extend(broken_documents(overlay, ground));
    }
    lines
}

/// Filled answers that a form refuses.
fn broken_forms(overlay: &Overlay, ground: &Ground<'_>) -> BTreeSet<String> {
    let plain = json!({ "job": "1", "person": { "name": { "given": "A", "family": "B" }, "emails": [{ "address": "a@example.org" }] } });
    let mut lines = BTreeSet::new();
    for form in ground.forms {
        let fields = super::fields_of_form(ground.connector, form);
        let Some(filled) = with_answers(overlay, &fields, &plain) else { continue };
        let verdict = ground.schemas.check(&filled, &[target(ground, Some(form))]);
        let refused =
            verdict.of(ground.record.account.id).iter().filter(|error| error.pointer.starts_with("/answers/"));
        lines.extend(refused.map(|error| {
            let question = error.question.as_deref().unwrap_or("an answer");
            format!("{question}: posting {} would refuse it: {}", form.posting_id, error.message)
        }));
    }
    lines
}

/// Recent documents that pass without the overlay and not with it.
fn broken_documents(overlay: &Overlay, ground: &Ground<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for recent in ground.recent {
        let (Some(form), Ok(sent)) = (&recent.form, serde_json::from_slice::<Value>(&recent.document)) else {
            continue;
        };
        let fields = super::fields_of_form(ground.connector, form);
        let Some(filled) = with_answers(overlay, &fields, &sent) else { continue };
        let targets = [target(ground, Some(form))];
        if !ground.schemas.check(&sent, &targets).is_valid() {
            continue;
        }
        let verdict = ground.schemas.check(&filled, &targets);
        lines.extend(verdict.of(ground.record.account.id).iter().map(|error| {
            format!("{} passed and would not any more: {} {}", recent.submission, error.pointer, error.message)
        }));
    }
    lines
}

fn target<'a>(ground: &'a Ground<'_>, form: Option<&'a Form>) -> Target<'a> {
    Target { account: &ground.record.account, connector: ground.connector, form }
}

/// The required fields of the vendor's that nothing fills: they keep an account from going live.
pub fn unmapped<'f>(fields: &'f [VendorField], overlay: Option<&Overlay>) -> Vec<&'f VendorField> {
    let open =
        |field: &&VendorField| field.required && overlay.is_none_or(|overlay| overlay.rule_for(&field.name).is_none());
    fields.iter().filter(open).collect()
}
