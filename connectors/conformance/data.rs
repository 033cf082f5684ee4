//! What a connector brings to the suite: `conformance.json` in its folder. Data only; the probes are the same for all.
//!
//! A document is the canonical complete application with some of its places set: a map from JSON pointer to what stands
//! there, `null` for nothing. `{posting:/a/b}` in a text stands for a place in the sandbox's answer to publishing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use causeway_core::outcome::Class;
use serde::Deserialize;
use serde_json::Value;

/// Places in a document and what stands there.
pub(crate) type Places = BTreeMap<String, Value>;

/// See the module's documentation.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    /// What the sandbox publishes for the probes; none where the connector has no postings.
    #[serde(default)]
    pub(crate) posting: Option<Value>,
    /// The complete application, in this vendor's terms.
    #[serde(default)]
    pub(crate) document: Places,
    /// Further complete applications: a place may stand in for another only where that one is missing.
    #[serde(default)]
    pub(crate) alternatives: Vec<Places>,
    /// The files, by attachment.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    /// How each class of outcome comes about at the sandbox.
    pub(crate) outcomes: Vec<Shown>,
    /// Classes that this vendor's answers never have at a step, and why.
    #[serde(default)]
    pub(crate) never: BTreeMap<String, String>,
    /// Answers that were recorded or documented, and the class each gets.
    pub(crate) recorded: Vec<Recorded>,
    /// What a permission that is taken away does to the check.
    pub(crate) permissions: Vec<Withdrawn>,
    /// How many checks need no credential: the vendor shows it to everybody.
    #[serde(default)]
    pub(crate) open_checks: usize,
    /// Fields that are sent and that the sandbox does not keep, and why.
    #[serde(default)]
    pub(crate) not_kept: BTreeMap<String, String>,
    /// Does the vendor tell its pace in headers?
    pub(crate) pace: bool,
    /// How the vendor's window is filled.
    pub(crate) limit: Limit,
}

/// An outcome at the sandbox.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shown {
    pub(crate) class: Class,
    pub(crate) step: String,
    /// The sandbox's scripted faults.
    #[serde(default)]
    pub(crate) faults: Vec<Value>,
    /// The sandbox's settings.
    #[serde(default)]
    pub(crate) settings: Value,
    /// What the application differs in.
    #[serde(default)]
    pub(crate) document: Places,
    /// Where the delivery stands in the end, with the vendor still like that.
    pub(crate) ends: String,
}

/// An answer from `testdata/`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recorded {
    /// Files in turn, each one answer; or one file with a list of cases, each with the class it expects.
    pub(crate) answers: Vec<String>,
    pub(crate) step: String,
    #[serde(default)]
    pub(crate) refs: BTreeMap<String, String>,
    /// Of the last answer, unless the cases say it.
    #[serde(default)]
    pub(crate) class: Option<Class>,
}

/// A permission taken away.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Withdrawn {
    pub(crate) settings: Value,
    /// The checks that then say no.
    pub(crate) no: Vec<String>,
}

/// A vendor's window, and how it is filled.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limit {
    /// The operations that the vendor counts in it.
    pub(crate) operations: Vec<String>,
    pub(crate) calls: u64,
    pub(crate) window_ms: u64,
    /// Faults that make deliveries use it.
    #[serde(default)]
    pub(crate) faults: Vec<Value>,
    /// Account settings.
    #[serde(default)]
    pub(crate) account: BTreeMap<String, Value>,
}

/// A connector's folder.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// A file of a connector's folder.
pub(crate) fn text(name: &str, file: &str) -> Result<String> {
    let path = folder(name).join(file);
    std::fs::read_to_string(&path).with_context(|| format!("{} is missing", path.display()))
}

/// What a connector brings.
pub(crate) fn description(name: &str) -> Result<Description> {
    serde_json::from_str(&text(name, "conformance.json")?)
        .with_context(|| format!("connectors/{name}/conformance.json"))
}

/// The canonical complete application.
pub(crate) fn complete() -> Result<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/canonical/examples/complete.json");
    Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
}

/// Sets places of a document. Objects on the way are made; a place behind the end of a list is its next one.
pub(crate) fn set(document: &mut Value, places: &Places) -> Result<()> {
    for (pointer, value) in places {
        let mut at = &mut *document;
        let (way, last) = pointer.rsplit_once('/').with_context(|| format!("{pointer} is no pointer"))?;
        for part in way.split('/').skip(1) {
            at = match at {
                Value::Array(list) => list.get_mut(part.parse::<usize>()?).context("no such item")?,
                other => &mut other[part],
            };
        }
        match at {
            Value::Array(list) => match (last.parse::<usize>()?, value) {
                (at, Value::Null) => drop(list.remove(at)),
                (at, value) if at < list.len() => list[at] = value.clone(),
                (_, value) => list.push(value.clone()),
            },
            Value::Object(map) if value.is_null() => drop(map.remove(last)),
            other => other[last] = value.clone(),
        }
    }
    Ok(())
}

/// The same with every `{posting:/a/b}` in its texts replaced.
pub(crate) fn told(value: &Value, posting: &Value) -> Value {
    let text = |text: &str| {
        let Some((before, rest)) = text.split_once("{posting:") else { return text.to_owned() };
        let Some((pointer, after)) = rest.split_once('}') else { return text.to_owned() };
        let there = posting.pointer(pointer).map_or_else(String::new, plain);
        format!("{before}{there}{after}")
    };
    match value {
        Value::String(one) => Value::from(text(one)),
        Value::Array(list) => list.iter().map(|one| told(one, posting)).collect(),
        Value::Object(map) => map.iter().map(|(name, one)| (text(name), told(one, posting))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// A text, or a number as text.
pub(crate) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
