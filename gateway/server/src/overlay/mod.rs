//! An account's overlay at work: the document as the account sees it. Evaluation is `causeway_core::overlay`'s, pure.
//!
//! An ATS's own fields are the questions of its postings, so what is filled joins the document's answers before the
//! account's schemas are asked and before its connector maps: neither can tell it from what a site sent. A CRM's own fields
//! are properties of its records, so what is filled is handed to the connector beside the document.
//!
//! The stored document is never changed. What the applicant answered, or declined to, stands.

pub mod check;
pub mod preview;
#[cfg(test)]
mod tests;

use causeway_core::account::Role;
use causeway_core::application::Application;
use causeway_core::connector::Connector;
use causeway_core::overlay::{self, Filled, Overlay, Rule, Source, VendorField};
use causeway_core::posting::{FieldKind, Form, Place, Question, QuestionField, QuestionGroup};
use causeway_core::problem::FieldError;
use causeway_core::reason::Reason;
use serde_json::Value;

use crate::store::setup::AccountRecord;
use crate::store::work::WorkItem;

/// The fields of a form that an overlay may fill: ordinary questions whose answer has no place of its own.
pub fn fields_of_form(connector: &dyn Connector, form: &Form) -> Vec<VendorField> {
    let ordinary = |question: &&Question| match question.group {
        QuestionGroup::Application | QuestionGroup::Location => true,
        QuestionGroup::Demographic | QuestionGroup::Consent => false,
    };
    let of = |question: &Question| -> Vec<VendorField> {
        let open = |field: &&QuestionField| matches!(connector.place(question, field), Place::Answer { .. });
        let field = |field: &QuestionField| VendorField {
            name: field.name.clone(),
            label: question.label.clone(),
            kind: field.kind,
            options: field.options.clone(),
            // Nobody sees a hidden field, so nobody but the overlay can fill it.
            required: question.required && question.fields.iter().all(|field| field.kind == FieldKind::Hidden),
        };
        question.fields.iter().filter(open).map(field).collect()
    };
    form.questions.iter().filter(ordinary).flat_map(of).collect()
}

/// The document as this account sees it, if that is another than the site sent.
pub fn as_seen(
    record: &AccountRecord,
    connector: &dyn Connector,
    form: Option<&Form>,
    document: &Value,
) -> Option<Value> {
    let (Some(mapping), Some(form), Role::Ats) = (&record.mapping, form, record.account.role) else { return None };
    with_answers(&mapping.overlay, &fields_of_form(connector, form), document)
}

fn with_answers(overlay: &Overlay, fields: &[VendorField], document: &Value) -> Option<Value> {
    if !overlay.rules.iter().any(|rule| fields.iter().any(|field| field.name == rule.field())) {
        return None;
    }
    let mut seen = document.clone();
    overlay::into_answers(overlay, fields, &mut seen);
    Some(seen)
}

/// What a connector gets of a delivery's document.
pub struct Opened {
    /// As the account sees it.
    pub application: Application,
    /// What the overlay fills of the vendor's own fields.
    pub fields: Vec<Filled>,
}

/// Opens a delivery's document for its connector; `None` when it cannot be read.
pub fn open(item: &WorkItem, connector: &dyn Connector) -> Option<Opened> {
    let Some(mapping) = &item.account.mapping else {
        return Some(Opened { application: serde_json::from_slice(&item.document).ok()?, fields: Vec::new() });
    };
    let document: Value = serde_json::from_slice(&item.document).ok()?;
    let fields = match item.account.account.role {
        Role::Ats => Vec::new(),
        Role::Crm => {
            let all = overlay::filled(&mapping.overlay, &mapping.fields, &document);
            all.into_iter().filter_map(|(_, filled)| filled.ok()).collect()
        }
    };
    let document = as_seen(&item.account, connector, item.form.as_ref(), &document).unwrap_or(document);
    Some(Opened { application: serde_json::from_value(document).ok()?, fields })
}

/// The form without the demands that the overlay can meet: what a site has to ask for.
pub fn left_to_ask(record: &AccountRecord, connector: &dyn Connector, form: &Form) -> Option<Form> {
    let mapping = record.mapping.as_ref()?;
    let mut left = form.clone();
    for question in &mut left.questions {
        question.required &= filled_by(&mapping.overlay, connector, question).is_none();
    }
    (left != *form).then_some(left)
}

/// The rule that answers this question for the account.
pub fn filled_by<'o>(overlay: &'o Overlay, connector: &dyn Connector, question: &Question) -> Option<&'o Rule> {
    let open = |field: &&QuestionField| matches!(connector.place(question, field), Place::Answer { .. });
    match question.group {
        QuestionGroup::Application | QuestionGroup::Location => {
            question.fields.iter().filter(open).find_map(|field| overlay.rule_for(&field.name))
        }
        QuestionGroup::Demographic | QuestionGroup::Consent => None,
    }
}

/// Complaints about the document as the account sees it, told of the document as it was sent: a missing answer may be
/// given where the overlay takes it from, and what is wrong with a filled one is wrong at its source.
pub fn told(overlay: &Overlay, sent: &Value, errors: &mut [FieldError]) {
    let own = sent.get("answers").and_then(Value::as_array).map_or(0, Vec::len);
    for error in errors {
        let rule = error.question.as_deref().and_then(|question| overlay.rule_for(question));
        let filled = error.pointer.strip_prefix("/answers/").and_then(|rest| rest.split('/').next());
        let is_filled = filled.and_then(|index| index.parse::<usize>().ok()).is_some_and(|index| index >= own);
        let Some(source) = rule.and_then(Rule::from).and_then(|from| Source::parse(from).ok()) else { continue };
        let place = match source {
            Source::Member(pointer) => pointer.to_owned(),
            Source::Answer(question) | Source::Label(question) => format!("the answer to {question}"),
        };
        if error.code == Reason::AnswerMissing.as_str() {
            error.fix = format!("{} Or send {place}, from which it is filled.", error.fix).trim().to_owned();
        } else if is_filled {
            error.pointer = if place.starts_with('/') { place } else { "/answers".to_owned() };
        }
    }
}
