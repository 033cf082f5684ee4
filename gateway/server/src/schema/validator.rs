//! Every schema a document must meet, compiled, and the verdict of all of them on one document.
//!
//! Responsible for asking the canonical schema, the connector's schema and the posting's form of each target, the cheap
//! question first (`is_valid`) and the costly one (which errors, in which words) only after a "no". It does not decide
//! what follows from the verdict.
//!
//! Invariant: what could not be checked is reported as unchecked, never as valid.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use causeway_core::account::Account;
use causeway_core::connector::Connector;
use causeway_core::ids::AccountId;
use causeway_core::posting::Form;
use causeway_core::problem::FieldError;
use serde_json::Value;

use super::compile::{Compiled, SchemaError, compile_text};
use super::forms::Forms;
use super::guard::LONGEST_LIST;
use super::strict::{self, BodyError};
use super::words;
use crate::hash::sha256_hex;

/// The contract, as published.
pub(super) const CANONICAL: &str = include_str!("../../../../schemas/canonical/application.v1.json");

/// The contract as JSON: what the API's document shows.
pub fn canonical_schema() -> &'static Value {
    static READ: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(CANONICAL).unwrap_or_default());
    &READ
}

/// What `required_by` says for the gateway's own contract.
pub const CANONICAL_NAME: &str = "canonical";

/// All schemas, compiled once at start; forms as they appear.
#[derive(Debug)]
pub struct Schemas {
    canonical: Compiled,
    by_connector: HashMap<&'static str, Compiled>,
    forms: Forms,
    version: String,
}

/// One account a document is to be delivered to.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The account; its name goes into `required_by`.
    pub account: &'a Account,
    /// The account's connector.
    pub connector: &'a dyn Connector,
    /// The posting's questions, if they are known.
    pub form: Option<&'a Form>,
}

/// What all the schemas say about one document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// What the gateway's own contract refuses.
    pub canonical: Vec<FieldError>,
    /// What each target refuses beyond it, in the order of the targets; targets that take the document are left out.
    pub per_target: Vec<(AccountId, Vec<FieldError>)>,
    /// Targets whose form has no usable schema: the document was not checked against it.
    pub unchecked: Vec<(AccountId, SchemaError)>,
}

impl Schemas {
    /// Compiles the canonical schema and the schema of each connector that has one.
    ///
    /// # Errors
    /// [`SchemaError`] names the schema that cannot be used.
    pub fn new(connectors: &[Arc<dyn Connector>]) -> Result<Self, SchemaError> {
        let canonical = compile_text(CANONICAL_NAME, CANONICAL)?;
        let mut by_connector = HashMap::new();
        let mut marks = vec![(CANONICAL_NAME, sha256_hex(CANONICAL.as_bytes()))];
        for connector in connectors {
            if let Some(text) = connector.schema() {
                let name = connector.describe().name;
                by_connector.insert(name, compile_text(name, text)?);
                marks.push((name, sha256_hex(text.as_bytes())));
            }
        }
        marks.sort();
        let list: String = marks.iter().map(|(name, digest)| format!("{name} {digest}\n")).collect();
        Ok(Self { canonical, by_connector, forms: Forms::default(), version: sha256_hex(list.as_bytes()) })
    }

    /// The version of this set of schemas, to be recorded with each submission: SHA-256, hexadecimal.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The strict parse of a body. It is here so that a caller needs one thing only.
    ///
    /// # Errors
    /// [`BodyError`] says where and what, and repeats nothing of the body.
    pub fn parse(&self, bytes: &[u8]) -> Result<Value, BodyError> {
        strict::parse(bytes)
    }

    /// Does the document meet the gateway's own contract? No words; for measuring and for quick refusals.
    pub fn is_canonical(&self, document: &Value) -> bool {
        self.canonical.is_valid(document)
    }

    /// Does what a connector's vendor demands of every application hold? Canonical schema and form are left out.
    pub fn connector_takes(&self, connector: &str, document: &Value) -> bool {
        self.by_connector.get(connector).is_none_or(|schema| schema.is_valid(document))
    }

    /// One schema that a document meets exactly when every one of these does, contents of files apart. Each stands in it as
    /// a resource of its own, so that its references stay its own.
    pub fn union(&self, targets: &[Target<'_>]) -> Value {
        let mut parts = vec![canonical_schema().clone()];
        let mut names = Vec::new();
        for target in targets {
            let name = target.connector.describe().name;
            if !names.contains(&name) {
                names.push(name);
                let own = target.connector.schema().and_then(|text| serde_json::from_str(text).ok());
                parts.extend(own.map(|schema| resource(schema, &format!("urn:causeway:system:{name}"))));
            }
            let form = target.form.and_then(|form| Some((form, target.connector.form_schema(form)?)));
            parts.extend(form.map(|(form, schema)| resource(schema, &format!("urn:causeway:form:{}", form.digest))));
        }
        serde_json::json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": parts })
    }

    /// Compiles a form ahead of its first use, where it is fetched: some milliseconds that no request then pays.
    ///
    /// # Errors
    /// [`SchemaError`] when the form has a schema that cannot be used.
    pub fn prepare(&self, connector: &dyn Connector, form: &Form) -> Result<(), SchemaError> {
        self.forms.prepared(connector, form).transpose().map(|_| ())
    }

    /// What every schema says about the document. A document out of all proportion is told so by the canonical schema
    /// alone, and of its long lists only as much is looked at as shows that they are too long: what a document can cost
    /// is bounded by the schemas, not by its size.
    pub fn check(&self, document: &Value, targets: &[Target<'_>]) -> Verdict {
        self.check_as_seen(document, targets, &|_| None)
    }

    /// As [`Schemas::check`], where a target may see the document otherwise than it was sent. The canonical schema is
    /// asked of what was sent.
    pub fn check_as_seen<'d>(
        &self,
        document: &'d Value,
        targets: &[Target<'_>],
        seen: &dyn Fn(AccountId) -> Option<&'d Value>,
    ) -> Verdict {
        if longest_list(document) > LONGEST_LIST {
            let canonical = errors(&self.canonical, &cut(document), CANONICAL_NAME);
            if !canonical.is_empty() {
                return Verdict { canonical, ..Verdict::default() };
            }
        }
        let mut verdict =
            Verdict { canonical: errors(&self.canonical, document, CANONICAL_NAME), ..Verdict::default() };
        for target in targets {
            let name = target.account.name.as_str();
            let document = seen(target.account.id).unwrap_or(document);
            let mut refused = match self.by_connector.get(target.connector.describe().name) {
                Some(schema) => errors(schema, document, name),
                None => Vec::new(),
            };
            match target.form.and_then(|form| self.forms.prepared(target.connector, form)) {
                Some(Ok(form)) => refused.extend(errors(&form, document, name)),
                Some(Err(error)) => verdict.unchecked.push((target.account.id, error)),
                None => {}
            }
            if !refused.is_empty() {
                words::drop_repeats(&mut refused);
                verdict.per_target.push((target.account.id, refused));
            }
        }
        verdict
    }
}

fn resource(mut schema: Value, id: &str) -> Value {
    if let Value::Object(members) = &mut schema {
        members.entry("$id").or_insert_with(|| id.into());
    }
    schema
}

fn errors(schema: &Compiled, document: &Value, required_by: &str) -> Vec<FieldError> {
    if schema.is_valid(document) { Vec::new() } else { words::explain(schema, document, required_by) }
}

/// The length of the longest list outside `extensions`.
fn longest_list(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(longest_list).fold(items.len(), usize::max),
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| *name != "extensions")
            .map(|(_, member)| longest_list(member))
            .max()
            .unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The document with one item more in each list than any may have. No list outside `extensions` may be that long, so
/// what is wrong with the whole is wrong with the rest.
pub(super) fn cut(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().take(LONGEST_LIST + 1).map(cut).collect(),
        Value::Object(members) => {
            let kept = |name: &str, member: &Value| if name == "extensions" { member.clone() } else { cut(member) };
            Value::Object(members.iter().map(|(name, member)| (name.clone(), kept(name, member))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

impl Verdict {
    /// Does every system that was asked take the document? A target in `unchecked` was not asked everything.
    pub fn is_valid(&self) -> bool {
        self.canonical.is_empty() && self.per_target.is_empty()
    }

    /// What one target refuses beyond the canonical contract.
    pub fn of(&self, account: AccountId) -> &[FieldError] {
        self.per_target.iter().find(|(id, _)| *id == account).map_or(&[], |(_, errors)| errors)
    }

    /// Everything in one list, each complaint once, with the names of all the systems that make it.
    pub fn all_errors(&self) -> Vec<FieldError> {
        merged(std::iter::once(&self.canonical).chain(self.per_target.iter().map(|(_, errors)| errors)))
    }
}

/// Two systems make the same complaint when they say it in the same words, or when it is the only one of its kind that
/// each of them has at that place.
fn merged<'a>(systems: impl Iterator<Item = &'a Vec<FieldError>>) -> Vec<FieldError> {
    let mut all: Vec<FieldError> = Vec::new();
    for errors in systems {
        let known = all.len();
        for error in errors {
            match all.get_mut(..known).and_then(|before| same_complaint(before, errors, error)) {
                Some(same) => {
                    let new = error.required_by.iter().filter(|name| !same.required_by.contains(name));
                    same.required_by.extend(new.cloned().collect::<Vec<_>>());
                }
                None => all.push(error.clone()),
            }
        }
    }
    all
}

fn same_complaint<'a>(
    before: &'a mut [FieldError],
    own: &[FieldError],
    error: &FieldError,
) -> Option<&'a mut FieldError> {
    let alike = |other: &&FieldError| other.pointer == error.pointer && other.code == error.code;
    let only_one = before.iter().filter(alike).count() == 1 && own.iter().filter(alike).count() == 1;
    before.iter_mut().find(|other| alike(&&**other) && (only_one || other.message == error.message))
}
