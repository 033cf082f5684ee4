//! Reads the three layers and lays them over each other. Knows no single key: the embedded file is the list of keys.

use std::ffi::OsString;
use std::fmt;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::{
    Alike, BlobsAt, Config, Data, Dispatch, Fixed, Impossible, Limits, Listen, Log, QueueAt, RedisAt, Reloadable,
    Retention, Retry, Run, StoreAt, Sync, Telemetry,
};

/// Every environment variable of ours begins so.
const PREFIX: &str = "CAUSEWAY_";
/// Read by the command line, not from here.
const NOT_KEYS: [&str; 1] = ["CAUSEWAY_CONFIG"];

/// One thing wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where: file and line, or the variable.
    pub place: Option<String>,
    /// The key, dotted.
    pub key: String,
    /// What is wrong and what to do.
    pub remedy: String,
}

impl Mistake {
    /// A value that reads well and cannot work. [`merge`] fills in the place.
    pub(super) fn value(key: &str, remedy: &str) -> Self {
        Self { place: None, key: key.to_owned(), remedy: remedy.to_owned() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.remedy)
    }
}

/// Everything wrong with the configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be used:")?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl std::error::Error for Mistakes {}

/// The document as it is written; split into the two kinds afterwards.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    data: Data,
    run: Run,
    store: StoreAt,
    queue: QueueAt,
    redis: RedisAt,
    blobs: BlobsAt,
    listen: Listen,
    limits: Limits,
    dispatch: Dispatch,
    log: Log,
    telemetry: Telemetry,
    retry: Retry,
    alike: Alike,
    sync: Sync,
    retention: Retention,
}

/// The text of a file.
pub(super) fn read(path: &Path) -> Result<String, Mistakes> {
    std::fs::read_to_string(path).map_err(|error| {
        let remedy = format!("cannot be read ({}); name another with --config", error.kind());
        Mistakes(vec![Mistake { place: Some(path.display().to_string()), key: String::new(), remedy }])
    })
}

/// Where each key that was set came from, to name it in a mistake.
#[derive(Default)]
struct Places(std::collections::BTreeMap<String, String>);

/// Lays file and environment over the defaults.
pub(super) fn merge(
    defaults: &str,
    file: Option<(&str, &str)>,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Config, Mistakes> {
    let known: Table =
        toml::from_str(defaults).map_err(|error| Mistakes(vec![syntax("the embedded defaults", defaults, &error)]))?;
    let (mut table, mut places, mut mistakes) = (known.clone(), Places::default(), Vec::new());
    if let Some((name, text)) = file {
        let (parsed, errors) = DeTable::parse_recoverable(text);
        overlay(&Source { name, text }, "", parsed.get_ref(), &mut table, &mut places, &mut mistakes);
        let unreadable: Vec<Mistake> = errors.iter().map(|error| syntax(name, text, error)).collect();
        // What else there is to say of a line that does not read is not worth saying.
        let is_unreadable = |place: Option<&String>| unreadable.iter().any(|line| line.place.as_ref() == place);
        mistakes.retain(|mistake| !is_unreadable(mistake.place.as_ref()));
        places.0.iter().filter(|(_, place)| is_unreadable(Some(place))).for_each(|(key, _)| {
            reset(&mut table, &known, key);
        });
        mistakes.extend(unreadable);
    }
    overlay_environment(environment, &mut table, &mut places, &mut mistakes);
    // A key with a mistake has its default from here on, so that the rest is looked at, too.
    if let Some(document) = deserialize(table, &known, &places, &mut mistakes) {
        let Document { data, run, store, queue, redis, blobs, listen, limits, dispatch, log, telemetry, .. } = document;
        let Document { retry, alike, sync, retention, .. } = document;
        let config = Config {
            fixed: Fixed { data, run, store, queue, redis, blobs, listen, limits, dispatch, log, telemetry },
            reloadable: Reloadable { retry, alike, sync, retention },
        };
        let is_told = |key: &str| mistakes.iter().any(|mistake| owner_of(&mistake.key) == key);
        let impossible = config.impossible().into_iter().filter(|impossible| {
            !is_told(&impossible.mistake.key) && !impossible.beside.iter().any(|key| is_told(key))
        });
        let impossible: Vec<Mistake> = impossible
            .map(|Impossible { mistake, .. }| Mistake { place: places.0.get(&mistake.key).cloned(), ..mistake })
            .collect();
        mistakes.extend(impossible);
        if mistakes.is_empty() {
            return Ok(config);
        }
    }
    Err(Mistakes(mistakes))
}

/// Reads the values, each that does not read as its default instead. `None` when that does not help.
fn deserialize(mut table: Table, known: &Table, places: &Places, mistakes: &mut Vec<Mistake>) -> Option<Document> {
    let mut tried = std::collections::BTreeSet::new();
    loop {
        let error = match serde_path_to_error::deserialize(Value::Table(table.clone())) {
            Ok(document) => return Some(document),
            Err(error) => error,
        };
        let key = error.path().to_string();
        let owner = owner_of(&key).to_owned();
        let default = reset(&mut table, known, &owner)?;
        let remedy = match error.inner().message().trim() {
            message if message.contains("such as") => message.to_owned(),
            message => format!("{message}; write it like {default}"),
        };
        mistakes.push(Mistake { place: places.0.get(&owner).cloned(), key, remedy });
        if !tried.insert(owner) {
            return None;
        }
    }
}

/// Gives a key its default again.
fn reset<'a>(table: &mut Table, known: &'a Table, key: &str) -> Option<&'a Value> {
    let (section, name) = key.split_once('.')?;
    let default = known.get(section)?.get(name)?;
    table.get_mut(section)?.as_table_mut()?.insert(name.to_owned(), default.clone());
    Some(default)
}

/// The key a mistake belongs to: an element of a list is its list's.
fn owner_of(key: &str) -> &str {
    key.split_once('[').map_or(key, |(list, _)| list)
}

/// A file and its name.
struct Source<'a> {
    name: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn place(&self, span: &Range<usize>) -> String {
        format!("{}, line {}", self.name, line_of(self.text, span.start))
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn syntax(name: &str, text: &str, error: &toml::de::Error) -> Mistake {
    let line = error.span().map_or(1, |span| line_of(text, span.start));
    let remedy = format!("not readable as TOML: {}", error.message().trim());
    Mistake { place: Some(format!("{name}, line {line}")), key: String::new(), remedy }
}

/// Lays a file's keys over the defaults, section by section. `above` is the section's dotted name, empty at the top.
fn overlay(
    source: &Source<'_>,
    above: &str,
    file: &DeTable<'_>,
    table: &mut Table,
    places: &mut Places,
    mistakes: &mut Vec<Mistake>,
) {
    let dot = |key: &str| if above.is_empty() { key.to_owned() } else { format!("{above}.{key}") };
    for (key, value) in file {
        let dotted = dot(key.get_ref());
        let place = source.place(&key.span());
        let Some(slot) = table.get_mut(key.get_ref().as_ref()) else {
            let siblings: Vec<String> = table.keys().map(|sibling| dot(sibling)).collect();
            mistakes.push(unknown(place, &dotted, &siblings));
            continue;
        };
        match (value.get_ref(), slot) {
            (DeValue::Table(inner), Value::Table(known)) => {
                overlay(source, &dotted, inner, known, places, mistakes);
            }
            (_, Value::Table(_)) => {
                let remedy = format!("is a section: write [{dotted}] on a line of its own");
                mistakes.push(Mistake { place: Some(place.clone()), key: dotted.clone(), remedy });
            }
            (_, slot) => match plain(value).map(|value| widened(value, slot)) {
                Some(value) if value.same_type(slot) => *slot = value,
                _ => {
                    let remedy = format!("must be {}, such as {slot}", kind(slot));
                    mistakes.push(Mistake { place: Some(place.clone()), key: dotted.clone(), remedy });
                }
            },
        }
        places.0.insert(dotted, place);
    }
}

/// A whole number where a number is wanted.
fn widened(value: Value, like: &Value) -> Value {
    match (value, like) {
        (Value::Integer(number), Value::Float(_)) => {
            i32::try_from(number).map_or(Value::Integer(number), |n| Value::Float(n.into()))
        }
        (value, _) => value,
    }
}

/// The value without its spans. `None` for what no key takes.
fn plain(value: &Spanned<DeValue<'_>>) -> Option<Value> {
    Some(match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok()?),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Array(items) => Value::Array(items.iter().map(plain).collect::<Option<_>>()?),
        DeValue::Float(number) => Value::Float(number.as_str().replace('_', "").parse().ok()?),
        DeValue::Datetime(_) | DeValue::Table(_) => return None,
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Boolean(_) => "true or false",
        Value::Array(_) => "a list",
        Value::Float(_) => "a number",
        Value::Datetime(_) => "a date",
        Value::Table(_) => "a section",
    }
}

fn unknown(place: String, key: &str, known: &[String]) -> Mistake {
    let mut known: Vec<&str> = known.iter().map(String::as_str).collect();
    known.sort_by_key(|candidate| distance(key, candidate));
    let remedy = match known.first() {
        Some(near) if distance(key, near) <= 3 => format!("is not a key; did you mean {near}?"),
        _ => format!("is not a key; remove it, or use one of {}", known.join(", ")),
    };
    Mistake { place: Some(place), key: key.to_owned(), remedy }
}

/// How many letters apart two words are (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let cost = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

/// Lays the environment over file and defaults.
fn overlay_environment(
    environment: impl Iterator<Item = (OsString, OsString)>,
    table: &mut Table,
    places: &mut Places,
    mistakes: &mut Vec<Mistake>,
) {
    for (name, value) in environment {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX) && !NOT_KEYS.contains(name)) else {
            continue;
        };
        let place = format!("environment variable {name}");
        let mistake = |key: &str, remedy: String| Mistake { place: Some(place.clone()), key: key.to_owned(), remedy };
        let (variable, from_file) = match name.strip_suffix("_FILE") {
            // `[data] root_key_file` itself ends in _FILE.
            Some(shorter) if slot(table, name).is_none() => (shorter, true),
            _ => (name, false),
        };
        let Some((key, current)) = slot(table, variable) else {
            mistakes
                .push(mistake("", "sets no key; see the head of the default configuration for the names".to_owned()));
            continue;
        };
        let text = if from_file { std::fs::read_to_string(&value).ok() } else { value.to_str().map(str::to_owned) };
        let Some(text) = text else {
            let remedy = if from_file { "the named file cannot be read" } else { "is not readable as text" };
            mistakes.push(mistake(&key, remedy.to_owned()));
            continue;
        };
        match from_text(text.trim(), current) {
            Some(value) => *current = value,
            None => mistakes.push(mistake(&key, format!("must be {}, such as {current}", kind(current)))),
        }
        places.0.insert(key, place);
    }
}

/// The key that a variable sets.
fn slot<'a>(table: &'a mut Table, variable: &str) -> Option<(String, &'a mut Value)> {
    slot_below("", table, variable)
}

fn slot_below<'a>(above: &str, table: &'a mut Table, variable: &str) -> Option<(String, &'a mut Value)> {
    table.iter_mut().find_map(|(key, value)| {
        let dotted = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        match value {
            Value::Table(inner) => slot_below(&dotted, inner, variable),
            value => {
                let name = format!("{PREFIX}{}", dotted.replace('.', "_").to_uppercase());
                (name == variable).then_some((dotted, value))
            }
        }
    })
}

/// The text as a value of the same type.
fn from_text(text: &str, like: &Value) -> Option<Value> {
    match like {
        Value::String(_) => Some(Value::String(text.to_owned())),
        Value::Integer(_) => text.parse().ok().map(Value::Integer),
        Value::Boolean(_) => text.parse().ok().map(Value::Boolean),
        Value::Float(_) => text.parse().ok().map(Value::Float),
        Value::Array(_) => {
            Some(Value::Array(text.split(',').map(|item| Value::String(item.trim().to_owned())).collect()))
        }
        Value::Datetime(_) | Value::Table(_) => None,
    }
}
