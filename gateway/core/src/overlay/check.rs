//! What is wrong with an overlay before any application has met it.
//!
//! Fields must exist at the vendor, and whatever a rule can come to must be of the field's kind as far as that is known.
//! Does not ask the schemas: whether a filled document passes them is the gateway's to try.

use std::collections::BTreeSet;

use serde_json::Value;

use super::fill::{fit, written};
use super::{Overlay, Rule, Source, VendorField};
use crate::email::NormalEmail;
use crate::posting::FieldKind;

/// Rules and entries of tables beyond this many are refused.
const RULES_MAX: usize = 200;
const ENTRIES_MAX: usize = 2_000;

/// What sources there are beyond the overlay itself.
pub trait Asked {
    /// Does the canonical document have this member?
    fn has_member(&self, pointer: &str) -> bool;
    /// Does some posting of the tenant ask this question?
    fn has_question(&self, question: &str) -> bool;
}

/// Everything that is wrong, a line each.
pub fn faults(overlay: &Overlay, fields: &[VendorField], asked: &dyn Asked) -> Vec<String> {
    let mut lines = Vec::new();
    let entries: usize = overlay.tables.values().map(std::collections::BTreeMap::len).sum();
    if overlay.rules.len() > RULES_MAX || entries > ENTRIES_MAX {
        return vec![format!("at most {RULES_MAX} rules and {ENTRIES_MAX} entries in tables")];
    }
    let mut seen = BTreeSet::new();
    for rule in &overlay.rules {
        let mut say = |what: String| lines.push(format!("{}: {what}", rule.field()));
        if !seen.insert(rule.field()) {
            say("two rules fill it".to_owned());
        }
        if let Some(from) = rule.from() {
            source_faults(from, asked).into_iter().for_each(&mut say);
        }
        match fields.iter().find(|field| field.name == rule.field()) {
            None => say("the vendor has no such field, or it cannot be mapped".to_owned()),
            Some(field) => rule_faults(overlay, rule, field).into_iter().for_each(&mut say),
        }
    }
    for (name, table) in &overlay.tables {
        if table.is_empty() {
            lines.push(format!("table {name}: it has no entry"));
        }
        if table.iter().any(|(key, value)| is_address(key) || is_address(value)) {
            lines.push(format!("table {name}: {NO_ADDRESS}"));
        }
    }
    lines
}

const NO_ADDRESS: &str =
    "an e-mail address does not belong into an overlay, which is kept for good and erased with nobody";

fn is_address(text: &str) -> bool {
    NormalEmail::parse(text).is_some()
}

fn source_faults(from: &str, asked: &dyn Asked) -> Option<String> {
    match Source::parse(from) {
        Err(fault) => Some(fault.to_string()),
        Ok(Source::Member(pointer)) => {
            (!asked.has_member(pointer)).then(|| format!("an application has no single value at {pointer}"))
        }
        Ok(Source::Answer(question) | Source::Label(question)) => {
            (!asked.has_question(question)).then(|| format!("no posting that was read asks {question}"))
        }
    }
}

fn rule_faults(overlay: &Overlay, rule: &Rule, field: &VendorField) -> Vec<String> {
    if field.kind == FieldKind::File {
        return vec!["it takes a file, which no rule can make".to_owned()];
    }
    let takes = |value: &Value| fit(field, value).is_ok();
    match rule {
        Rule::Split { by, .. } if by.is_empty() => vec!["`by` is empty".to_owned()],
        // What these come to is known from the document only; what does not fit leaves the field empty.
        Rule::Copy { .. } | Rule::Split { .. } => Vec::new(),
        Rule::Constant { value, .. } if value.as_str().is_some_and(is_address) => vec![NO_ADDRESS.to_owned()],
        Rule::Constant { value, .. } => unfit(field, takes(value), "the constant"),
        Rule::LookUp { table, otherwise, .. } => {
            let Some(entries) = overlay.tables.get(table) else { return vec![format!("there is no table {table}")] };
            let whole = entries.values().chain(otherwise).all(|value| takes(&Value::String(value.clone())));
            unfit(field, whole, &format!("a value of table {table}"))
        }
        Rule::Date { format, .. } => match written(jiff::civil::date(2026, 11, 22), format) {
            None => vec!["`format` is no date format such as %d/%m/%Y".to_owned()],
            Some(sample) => unfit(field, takes(&Value::String(sample)), "a date so written"),
        },
    }
}

fn unfit(field: &VendorField, fits: bool, what: &str) -> Vec<String> {
    if fits {
        return Vec::new();
    }
    let wants = match field.kind {
        FieldKind::Text | FieldKind::LongText | FieldKind::Hidden => "a text".to_owned(),
        FieldKind::Number => "a number".to_owned(),
        FieldKind::Boolean => "true or false".to_owned(),
        FieldKind::Date => "a date such as 2026-11-22 (%Y-%m-%d)".to_owned(),
        FieldKind::File => "a file".to_owned(),
        FieldKind::SingleSelect | FieldKind::MultiSelect => {
            let offered: Vec<String> =
                field.options.iter().take(20).map(|option| format!("{} ({})", option.id, option.label)).collect();
            format!("one of {}", offered.join(", "))
        }
    };
    vec![format!("{what} does not fit: it takes {wants}")]
}
