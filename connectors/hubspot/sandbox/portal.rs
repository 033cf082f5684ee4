//! What a portal holds: kinds of objects with their properties, records, and the two views of a record, the stored one
//! and the one that search still shows.
//!
//! Invariant: a unique property has one record per value; an e-mail, primary or additional, belongs to one contact.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::refusal::Refusal;
use crate::harness::rfc3339;

/// Property values; all are strings (A.2).
pub(super) type Values = BTreeMap<String, String>;

/// One record of any kind.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: u64,
    pub(super) values: Values,
    pub(super) created_ms: i64,
    pub(super) updated_ms: i64,
    /// What search shows until the lag after `updated_ms` is over; `None` for a new record.
    indexed: Option<Values>,
}

impl Record {
    /// The values that search knows of by now.
    pub(super) fn searchable(&self, now_ms: i64, lag_ms: i64) -> Option<&Values> {
        if now_ms - self.updated_ms >= lag_ms { Some(&self.values) } else { self.indexed.as_ref() }
    }
}

/// A kind of object: contacts, tickets, notes, or a customer's own.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: String,
    pub(super) type_id: String,
    /// Other names by which paths may call it.
    pub(super) aliases: Vec<String>,
    /// The property group it was born with.
    pub(super) group: String,
    pub(super) properties: BTreeMap<String, Value>,
    pub(super) required: Vec<String>,
    /// What answers show when no properties are asked for.
    pub(super) shown: Vec<String>,
    pub(super) schema: Option<Value>,
    pub(super) records: Vec<Record>,
    by_id: HashMap<u64, usize>,
    unique: HashMap<String, HashMap<String, usize>>,
    /// Additional e-mails of contacts.
    additional: HashMap<String, usize>,
}

fn key(value: &str) -> String {
    value.to_lowercase()
}

impl Kind {
    pub(super) fn new(name: &str, type_id: &str, aliases: &[&str], group: &str) -> Self {
        Self {
            name: name.to_owned(),
            type_id: type_id.to_owned(),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            group: group.to_owned(),
            properties: BTreeMap::new(),
            required: Vec::new(),
            shown: Vec::new(),
            schema: None,
            records: Vec::new(),
            by_id: HashMap::new(),
            unique: HashMap::new(),
            additional: HashMap::new(),
        }
    }

    fn modified(&self) -> &'static str {
        if self.name == "contacts" { "lastmodifieddate" } else { "hs_lastmodifieddate" }
    }

    /// Adds a property; a unique one gets its index.
    pub(super) fn define(&mut self, name: &str, definition: Value) {
        if definition["hasUniqueValue"] == true {
            self.unique.entry(name.to_owned()).or_default();
        }
        self.properties.insert(name.to_owned(), definition);
    }

    pub(super) fn unique_properties(&self) -> usize {
        self.unique.len()
    }

    /// Where the record with this id, or this value of a unique property, is.
    pub(super) fn find(&self, id: &str, id_property: Option<&str>) -> Result<Option<usize>, Refusal> {
        match id_property.filter(|property| *property != "hs_object_id") {
            None => Ok(id.parse().ok().and_then(|id: u64| self.by_id.get(&id).copied())),
            Some(property) => {
                let values = self.unique.get(property);
                let values = values.ok_or_else(|| {
                    let message = format!("{property} is not a unique property");
                    Refusal::validation(message.clone()).about("NON_UNIQUE_PROPERTY", property, &message)
                })?;
                // For contacts: the primary e-mail only (CRM sheet §14, secondary e-mail trap).
                Ok(values.get(&key(id)).copied())
            }
        }
    }

    pub(super) fn record(&self, index: usize) -> Option<&Record> {
        self.records.get(index)
    }

    /// Whether these values may be written, to the record at `index` or to a new one.
    fn check(&self, values: &Values, index: Option<usize>) -> Result<(), Refusal> {
        if let Some(unknown) = values.keys().find(|name| !self.properties.contains_key(*name)) {
            return Err(Refusal::no_property(unknown));
        }
        for (name, taken) in &self.unique {
            let Some(value) = values.get(name).filter(|value| !value.is_empty()) else { continue };
            let mut holder = taken.get(&key(value)).copied();
            if name == "email" {
                holder = holder.or_else(|| self.additional.get(&key(value)).copied());
            }
            if let Some(holder) = holder.filter(|holder| Some(*holder) != index) {
                let id = self.records.get(holder).map(|record| record.id).unwrap_or_default();
                return Err(if name == "email" {
                    Refusal::contact_exists(id)
                } else {
                    Refusal::conflict(format!("A record with this value of {name} already exists"))
                });
            }
        }
        Ok(())
    }

    fn create(&mut self, id: u64, mut values: Values, now_ms: i64) -> Result<usize, Refusal> {
        self.check(&values, None)?;
        if let Some(missing) = self.required.iter().find(|name| values.get(*name).is_none_or(String::is_empty)) {
            let message = format!("Required property {missing} is missing");
            return Err(Refusal::validation(message.clone()).about("REQUIRED_FIELD", missing, &message));
        }
        values.retain(|_, value| !value.is_empty());
        values.insert("createdate".to_owned(), rfc3339(now_ms));
        values.insert(self.modified().to_owned(), rfc3339(now_ms));
        values.insert("hs_object_id".to_owned(), id.to_string());
        let index = self.records.len();
        self.by_id.insert(id, index);
        self.index(&values, index);
        self.records.push(Record { id, values, created_ms: now_ms, updated_ms: now_ms, indexed: None });
        Ok(index)
    }

    fn update(&mut self, index: usize, values: Values, now_ms: i64, lag_ms: i64) -> Result<(), Refusal> {
        self.check(&values, Some(index))?;
        let modified = self.modified();
        let Some(record) = self.records.get_mut(index) else { return Err(Refusal::not_found()) };
        if now_ms - record.updated_ms >= lag_ms {
            record.indexed = Some(record.values.clone());
        }
        for (name, taken) in &mut self.unique {
            if let (Some(_), Some(old)) = (values.get(name), record.values.get(name)) {
                taken.remove(&key(old));
            }
        }
        for (name, value) in values {
            // An empty value clears.
            if value.is_empty() {
                record.values.remove(&name);
            } else {
                record.values.insert(name, value);
            }
        }
        record.values.insert(modified.to_owned(), rfc3339(now_ms));
        record.updated_ms = now_ms;
        let values = record.values.clone();
        self.index(&values, index);
        Ok(())
    }

    /// Takes back what a batch created from this index on.
    pub(super) fn forget_from(&mut self, first: usize) {
        self.records.truncate(first);
        self.by_id.retain(|_, index| *index < first);
        self.additional.retain(|_, index| *index < first);
        self.unique.values_mut().for_each(|taken| taken.retain(|_, index| *index < first));
    }

    fn index(&mut self, values: &Values, index: usize) {
        for (name, taken) in &mut self.unique {
            if let Some(value) = values.get(name) {
                taken.insert(key(value), index);
            }
        }
        for additional in values.get("hs_additional_emails").map(|joined| joined.split(';')).into_iter().flatten() {
            self.additional.insert(key(additional), index);
        }
    }

    /// `{id, properties, createdAt, updatedAt, archived, url}` (§7.1, A.4); with these properties, or all that are set.
    pub(super) fn render(&self, record: &Record, asked: Option<&[String]>) -> Value {
        self.render_as(record, &record.values, asked)
    }

    /// The same with the values that search knows of.
    pub(super) fn render_as(&self, record: &Record, values: &Values, asked: Option<&[String]>) -> Value {
        let mut properties = Map::new();
        match asked {
            None => {
                properties.extend(values.iter().map(|(name, value)| (name.clone(), value.as_str().into())));
            }
            Some(asked) => {
                for name in self.shown.iter().chain(asked).filter(|name| self.properties.contains_key(*name)) {
                    properties.insert(name.clone(), values.get(name).map(String::as_str).into());
                }
            }
        }
        json!({
            "id": record.id.to_string(), "properties": properties, "createdAt": rfc3339(record.created_ms),
            "updatedAt": rfc3339(record.updated_ms), "archived": false,
            "url": format!("https://crm.example.com/record/{}/{}", self.type_id, record.id),
        })
    }
}

/// A ticket pipeline, as `GET /crm/v3/pipelines/tickets` shows it (A.4).
pub(super) type Pipeline = Value;

/// Everything in it.
#[derive(Debug)]
pub(super) struct Portal {
    pub(super) id: u64,
    pub(super) kinds: Vec<Kind>,
    pub(super) pipelines: Vec<Pipeline>,
    pub(super) links: super::associations::Links,
    pub(super) next_id: u64,
}

impl Portal {
    /// The kind that a path calls by this name.
    pub(super) fn kind(&self, name: &str) -> Option<usize> {
        self.kinds.iter().position(|kind| {
            kind.name == name || kind.type_id == name || kind.aliases.iter().any(|alias| alias == name)
        })
    }

    pub(super) fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Creates a record; a ticket must be in a stage that exists (A.4: stage is sent, subject is only advised).
    pub(super) fn create(&mut self, kind: usize, mut values: Values, now_ms: i64) -> Result<usize, Refusal> {
        let id = self.fresh_id();
        let Some(of) = self.kinds.get_mut(kind) else { return Err(Refusal::not_found()) };
        match of.name.as_str() {
            "tickets" => place(&self.pipelines, &mut values)?,
            "contacts" if ["email", "firstname", "lastname"].iter().all(|name| !values.contains_key(*name)) => {
                return Err(Refusal::validation("A contact needs at least one of email, firstname, lastname"));
            }
            "notes" => check_note(&values)?,
            _ => {}
        }
        if of.name == "tickets" {
            values.insert("hs_ticket_id".to_owned(), id.to_string());
        }
        of.create(id, values, now_ms)
    }
}

impl Portal {
    /// Updates a record; a ticket that moves must move to a stage that exists.
    pub(super) fn update(
        &mut self,
        kind: usize,
        index: usize,
        mut values: Values,
        now_ms: i64,
        lag_ms: i64,
    ) -> Result<(), Refusal> {
        let Some(of) = self.kinds.get_mut(kind) else { return Err(Refusal::not_found()) };
        if of.name == "tickets" && values.contains_key("hs_pipeline_stage") {
            let pipeline = of.record(index).and_then(|record| record.values.get("hs_pipeline").cloned());
            let pipeline = pipeline.unwrap_or_else(|| "0".to_owned());
            values.entry("hs_pipeline".to_owned()).or_insert(pipeline);
            place(&self.pipelines, &mut values)?;
        }
        of.update(index, values, now_ms, lag_ms)
    }
}

fn check_note(values: &Values) -> Result<(), Refusal> {
    if !values.contains_key("hs_timestamp") {
        let message = "Required property hs_timestamp is missing";
        return Err(Refusal::validation(message).about("REQUIRED_FIELD", "hs_timestamp", message));
    }
    // A.7.
    match values.get("hs_note_body").filter(|body| body.chars().count() > 65_536) {
        Some(_) => Err(Refusal::validation("hs_note_body is longer than 65,536 characters")),
        None => Ok(()),
    }
}

/// Puts a new ticket into its pipeline and stage.
fn place(pipelines: &[Pipeline], values: &mut Values) -> Result<(), Refusal> {
    let Some(stage) = values.get("hs_pipeline_stage").cloned() else {
        let message = "Required property hs_pipeline_stage is missing";
        return Err(Refusal::validation(message).about("REQUIRED_FIELD", "hs_pipeline_stage", message));
    };
    let pipeline = values.entry("hs_pipeline".to_owned()).or_insert_with(|| "0".to_owned()).clone();
    let stages = pipelines.iter().find(|known| known["id"] == pipeline.as_str());
    let stages = stages.and_then(|known| known["stages"].as_array()).map(Vec::as_slice).unwrap_or_default();
    let Some(stage) = stages.iter().find(|known| known["id"] == stage.as_str()) else {
        let message = "The stage is not one of the pipeline's";
        return Err(Refusal::validation(message).about("INVALID_OPTION", "hs_pipeline_stage", message));
    };
    let closed = stage["metadata"]["ticketState"] == "CLOSED";
    values.insert("hs_is_closed".to_owned(), closed.to_string());
    Ok(())
}
