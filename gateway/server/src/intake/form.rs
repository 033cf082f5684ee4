//! A job's form: the union of what the receiving systems need, for a site to show and to check by itself.
//!
//! Two parts of one answer. `schema` is the JSON Schema that every system takes, made of the very schemas a submit is
//! checked with. `questions` are hints for a page: labels, kinds, options, where each answer goes, and who needs it. Files'
//! contents are checked by a submit only.
//!
//! The digest covers everything the answer is made of, so it changes exactly when the answer does.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::account::{OnInvalid, Role};
use causeway_core::posting::{FieldKind, Place, Question, QuestionField, QuestionGroup, QuestionOption};
use causeway_core::problem::Code;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::board::Tagged;
use super::judge::posting_unknown;
use super::{Intake, Refusal, Sender, targets};
use crate::hash::sha256_hex;
use crate::overlay;
use crate::schema::CANONICAL_NAME;
use crate::store::intake::PostingView;
use crate::store::setup::{AccountRecord, PostingRecord};

/// Forms that somebody made already, here or elsewhere. Optional: a form can always be made.
#[async_trait]
pub trait FormCache: Send + Sync {
    /// The form of this key, if it is there at once.
    async fn get(&self, key: &str) -> Option<Bytes>;
    /// Keeps it. Never waits.
    fn put(&self, key: String, body: Bytes);
}

/// A job's form.
#[derive(Serialize, JsonSchema)]
pub struct JobForm<'a> {
    /// The job.
    job: &'a str,
    /// The form's version: its `ETag`, without quotes.
    digest: &'a str,
    /// With this key an application would be a test.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    test: bool,
    /// False until the ATS's own questions were read for the first time.
    complete: bool,
    questions: Vec<Asked>,
    /// JSON Schema 2020-12 that a document meets exactly when every one of those systems takes it, files apart.
    #[schemars(with = "BTreeMap<String, Value>")]
    schema: Value,
}

/// One question. Its fields are alternatives.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Question")]
struct Asked {
    id: String,
    label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    group: QuestionGroup,
    required: bool,
    /// The systems that do not take an application without it.
    required_by: Vec<String>,
    /// An account's overlay answers it, unless the applicant does.
    #[serde(skip_serializing_if = "Option::is_none")]
    filled: Option<FilledBy>,
    fields: Vec<AskedField>,
}

#[derive(Serialize, JsonSchema)]
struct FilledBy {
    account: String,
    /// Where in the document the answer is taken from; left out where it is the same for everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "QuestionField")]
struct AskedField {
    name: String,
    kind: FieldKind,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    options: Vec<QuestionOption>,
    place: Place,
}

impl Intake {
    /// The form of an open job.
    ///
    /// # Errors
    /// `posting_unknown`, `posting_closed`, or the store's.
    pub async fn form(&self, sender: Sender, job: &str) -> Result<Tagged, Refusal> {
        let view = self.view_of(sender, job).await?;
        let Some(posting) = &view.posting else { return Err(posting_unknown(sender, &view)) };
        if posting.closed_at.is_some() {
            return Err(Code::PostingClosed.into());
        }
        let digest = self.form_digest(sender.test, &view);
        let complete = view.form.is_some() || !self.publishes_forms(&view, posting.account);
        let job = &posting.posting.posting_id;
        // Another build may make another document of the same parts.
        let key = sha256_hex(format!("{}\n{digest}\n{complete}\n{job}", env!("CARGO_PKG_VERSION")).as_bytes());
        if let Some(forms) = &self.forms
            && let Some(body) = forms.get(&key).await
        {
            return Ok(Tagged { tag: digest, body });
        }
        let body = self.make_form(sender, &view, posting, &digest, complete)?;
        if let Some(forms) = &self.forms {
            forms.put(key, body.clone());
        }
        Ok(Tagged { tag: digest, body })
    }

    fn make_form(
        &self,
        sender: Sender,
        view: &PostingView,
        posting: &PostingRecord,
        digest: &str,
        complete: bool,
    ) -> Result<Bytes, Refusal> {
        let receiving = receiving(view);
        // What an overlay fills is asked of nobody: a submit is judged with it filled.
        let left = self.left_to_ask(view, &receiving);
        let demanding = left.as_ref().unwrap_or(view);
        let shown = JobForm {
            job: &posting.posting.posting_id,
            digest,
            test: sender.test,
            complete,
            questions: self.questions(view, &receiving),
            schema: self.schemas.union(&targets::to_check(&receiving, &self.connectors, demanding)),
        };
        let body = serde_json::to_vec(&shown).map_err(|error| {
            tracing::error!(%error, "a form has no JSON form");
            Refusal::from(Code::Internal)
        })?;
        Ok(body.into())
    }

    /// The version of a job's form: SHA-256 over what it is made of.
    pub(super) fn form_digest(&self, test: bool, view: &PostingView) -> String {
        let questions = view.form.as_ref().map_or("", |(form, _)| form.digest.as_str());
        let mut text = format!("form v1\n{}\n{test}\n{questions}\n", self.schemas.version());
        for record in receiving(view) {
            let account = &record.account;
            let on_invalid = match account.on_invalid {
                OnInvalid::Reject => "reject",
                OnInvalid::Hold => "hold",
            };
            let mapping = record.mapping.as_ref().map_or(String::new(), |mapping| format!(" map {}", mapping.version));
            text.push_str(&format!("{} {} {} {on_invalid}{mapping}\n", account.id, account.name, account.connector));
        }
        sha256_hex(text.as_bytes())
    }

    /// The view with the demands left that no overlay meets, if there are fewer.
    fn left_to_ask(&self, view: &PostingView, receiving: &[&AccountRecord]) -> Option<PostingView> {
        let ats = receiving.iter().find(|record| record.account.role == Role::Ats)?;
        let connector = self.connectors.get(ats.account.connector.as_str())?;
        let (form, read_at) = view.form.as_ref()?;
        let left = overlay::left_to_ask(ats, connector.connector.as_ref(), form)?;
        Some(PostingView { form: Some((left, *read_at)), ..view.clone() })
    }

    fn questions(&self, view: &PostingView, receiving: &[&AccountRecord]) -> Vec<Asked> {
        let form = view.form.as_ref().map_or(&[][..], |(form, _)| form.questions.as_slice());
        let ats = receiving.iter().find(|record| record.account.role == Role::Ats);
        let connector = ats.and_then(|record| self.connectors.get(record.account.connector.as_str()));
        let asked = |question: &Question| {
            let place = |field: &QuestionField| match connector {
                Some(known) => known.connector.place(question, field),
                None => Place::answer(field),
            };
            let fields: Vec<AskedField> = question
                .fields
                .iter()
                .map(|field| AskedField {
                    name: field.name.clone(),
                    kind: field.kind,
                    options: field.options.clone(),
                    place: place(field),
                })
                .collect();
            let mut required_by =
                fields.first().map_or_else(Vec::new, |field| self.demanded(&plain_document(), &field.place, receiving));
            let name = ats.map(|record| record.account.name.clone());
            let mapping = ats.and_then(|record| record.mapping.as_ref()).zip(connector);
            let rule = mapping
                .and_then(|(mapping, known)| overlay::filled_by(&mapping.overlay, known.connector.as_ref(), question));
            let demanded = question.required && rule.is_none();
            required_by.extend(name.clone().filter(|name| demanded && !required_by.contains(name)));
            let filled =
                rule.zip(name).map(|(rule, account)| FilledBy { account, from: rule.from().map(str::to_owned) });
            Asked {
                id: fields.first().map_or_else(String::new, |field| field.name.clone()),
                label: question.label.clone(),
                description: question.description.clone(),
                group: question.group,
                required: !required_by.is_empty(),
                required_by,
                filled,
                fields,
            }
        };
        // A question without a field cannot be answered.
        let mut all: Vec<Asked> = form.iter().filter(|question| !question.fields.is_empty()).map(asked).collect();
        for standard in STANDARD {
            all.extend(self.standard(standard, &all, receiving));
        }
        all
    }

    /// What somebody needs of everyone, if the ATS's own questions do not ask for it.
    fn standard(
        &self,
        (id, label, pointer, whole): Standard,
        asked: &[Asked],
        receiving: &[&AccountRecord],
    ) -> Option<Asked> {
        let place = Place::Member { pointer: pointer.to_owned(), whole: whole.to_owned() };
        if asked.iter().any(|asked| asked.fields.iter().any(|field| field.place == place)) {
            return None;
        }
        let mut with = plain_document();
        // Who is asked for the whole name is not asked for its parts besides, unless somebody needs them all the same.
        if asked.iter().any(|asked| asked.fields.iter().any(|field| is_at(&field.place, WHOLE_NAME))) {
            with["person"]["name"]["as_typed"] = json!("A B");
        }
        let required_by = self.demanded(&with, &place, receiving);
        (!required_by.is_empty()).then(|| Asked {
            id: id.to_owned(),
            label: label.to_owned(),
            description: None,
            group: QuestionGroup::Application,
            required: true,
            required_by,
            filled: None,
            fields: vec![AskedField { name: id.to_owned(), kind: FieldKind::Text, options: Vec::new(), place }],
        })
    }

    /// Who refuses a document only because this member is not in it: asked of the schemas themselves.
    fn demanded(&self, with: &Value, place: &Place, receiving: &[&AccountRecord]) -> Vec<String> {
        let Place::Member { whole, .. } = place else { return Vec::new() };
        let Some(without) = without(with, whole) else { return Vec::new() };
        let mut names = Vec::new();
        if self.schemas.is_canonical(with) && !self.schemas.is_canonical(&without) {
            names.push(CANONICAL_NAME.to_owned());
        }
        for record in receiving {
            let takes = |document| self.schemas.connector_takes(&record.account.connector, document);
            if takes(with) && !takes(&without) {
                names.push(record.account.name.clone());
            }
        }
        names
    }
}

const WHOLE_NAME: &str = "/person/name/as_typed";

fn is_at(place: &Place, wanted: &str) -> bool {
    matches!(place, Place::Member { pointer, .. } if pointer == wanted)
}

/// Id, label, and where it goes.
type Standard = (&'static str, &'static str, &'static str, &'static str);

const STANDARD: [Standard; 3] = [
    ("given_name", "First name", "/person/name/given", "/person/name/given"),
    ("family_name", "Last name", "/person/name/family", "/person/name/family"),
    ("email", "E-mail address", "/person/emails/0/address", "/person/emails"),
];

/// Every account that an application for this job may go to: consent decides about each CRM later.
fn receiving(view: &PostingView) -> Vec<&AccountRecord> {
    let ats = view.posting.as_ref().map(|posting| posting.account);
    let mut accounts: Vec<&AccountRecord> = view
        .accounts
        .iter()
        .filter(|record| record.account.role == Role::Crm || Some(record.account.id) == ats)
        .collect();
    accounts.sort_by_key(|record| (record.account.role == Role::Crm, record.created_at, record.account.id));
    accounts
}

/// A document with what people are commonly asked, of nobody.
fn plain_document() -> Value {
    json!({
        "job": "1",
        "person": {
            "name": { "given": "A", "family": "B" },
            "emails": [{ "address": "a@example.org" }],
            "phones": [{ "raw": "+1 555 0100" }],
            "location": { "text": "C", "lat": 1, "lng": 1 },
        },
    })
}

fn without(document: &Value, pointer: &str) -> Option<Value> {
    let (parent, name) = pointer.rsplit_once('/')?;
    let mut document = document.clone();
    document.pointer_mut(parent)?.as_object_mut()?.remove(name)?;
    Some(document)
}
