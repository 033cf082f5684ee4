//! Names: metrics, their labels, variables, configuration keys.

use causeway::config::Config;
use causeway::telemetry::metrics::{ALL, Kind, Values};

use super::File;
use super::program::Program;

/// The longest runs of such characters, each with where it begins.
pub(crate) fn words(text: &str, of: impl Fn(char) -> bool + Copy) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        let begin = at + rest.find(of)?;
        let rest = text.get(begin..)?;
        let word = rest.get(..rest.find(|c| !of(c)).unwrap_or(rest.len()))?;
        at = begin + word.len();
        Some((begin, word))
    })
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Names of ours as queries and SQL write them.
fn ours(text: &str) -> impl Iterator<Item = (usize, &str)> {
    words(text, is_name).filter(|(_, word)| word.starts_with("causeway_"))
}

pub(crate) fn metrics(file: &File, program: &Program) -> Vec<String> {
    ours(&file.text)
        .filter(|(_, name)| program.metric(name).is_none() && !program.is_sql(name))
        // In words a histogram has its plain name.
        .filter(|(_, name)| !(file.path.ends_with(".md") || quoted_in_words(&file.text, name)) || !is_histogram(name))
        .map(|(_, name)| format!("{name} is neither a metric nor made by a migration"))
        .collect()
}

fn is_histogram(name: &str) -> bool {
    ALL.iter().any(|metric| metric.name == name && matches!(metric.kind, Kind::Histogram))
}

/// An alert's advice names metrics in sentences.
fn quoted_in_words(text: &str, name: &str) -> bool {
    text.lines().any(|line| line.trim_start().starts_with("action:") && line.contains(name))
}

/// Labels that Prometheus adds.
const ADDED: [&str; 3] = ["instance", "job", "le"];

fn is_label(label: &str) -> bool {
    ADDED.contains(&label) || ALL.iter().any(|metric| metric.labels.iter().any(|(name, _)| *name == label))
}

pub(crate) fn labels(file: &File, program: &Program) -> Vec<String> {
    // In JSON quotes are escaped.
    let text = file.text.replace("\\\"", "\"");
    let mut complaints = Vec::new();
    for (at, name) in ours(&text) {
        let after = text.get(at + name.len()..).unwrap_or_default();
        let Some(metric) = program.metric(name) else { continue };
        let Some((selector, _)) = after.strip_prefix('{').and_then(|rest| rest.split_once('}')) else { continue };
        for matcher in selector.split(',') {
            let Some((label, wanted)) = matcher.split_once(['=', '!']) else { continue };
            let allowed = metric.labels.iter().find(|(own, _)| *own == label).map(|(_, values)| *values);
            if allowed.is_none() && !ADDED.contains(&label) {
                complaints.push(format!("{name} has no label {label}"));
            }
            let value = wanted.trim_start_matches(['=', '~']).trim_matches('"');
            let values = value.split('|').filter(|value| !value.contains(['.', '$', '*']) && !value.is_empty());
            for value in values.filter(|value| allowed.is_some_and(|allowed| !has(allowed, value))) {
                complaints.push(format!("{name}: {label} is never {value}"));
            }
        }
    }
    let queries = file.path.ends_with(".yaml") || file.path.ends_with(".json");
    let grouped = text.split("by (").filter(|_| queries).skip(1).filter_map(|rest| rest.split_once(')'));
    let grouped = grouped.flat_map(|(list, _)| list.split(", "));
    let told = text.split("$labels.").skip(1).filter_map(|rest| words(rest, is_name).next().map(|(_, word)| word));
    complaints.extend(
        grouped.chain(told).filter(|label| !is_label(label)).map(|label| format!("no metric has a label {label}")),
    );
    complaints
}

/// The rules' own tests name accounts as they like.
fn has(values: Values, value: &str) -> bool {
    matches!(values, Values::Account) || values.has(value)
}

pub(crate) fn variables(file: &File, program: &Program) -> Vec<String> {
    let known = |name: &str| {
        let key = |name: &str| program.keys.iter().any(|key| key.replace('.', "_").eq_ignore_ascii_case(name));
        name == "CONFIG" || key(name) || name.strip_suffix("_FILE").is_some_and(key)
    };
    words(&file.text, is_name)
        .filter_map(|(_, word)| word.strip_prefix("CAUSEWAY_"))
        .filter(|name| !known(name))
        .map(|name| format!("CAUSEWAY_{name} is no configuration key"))
        .collect()
}

pub(crate) fn configurations(file: &File, program: &Program) -> Vec<String> {
    let whole = file.path.ends_with(".toml").then(|| file.text.clone());
    let complaints = whole.into_iter().chain(blocks(&file.text)).filter_map(|text| {
        Config::from_parts(Some(("it", &text)), std::iter::empty()).err().map(|mistakes| mistakes.to_string())
    });
    complaints.chain(keys_in_words(&file.text, program)).collect()
}

/// Configurations inside YAML: what is indented below `….toml: |`.
fn blocks(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if !line.trim_end().ends_with(".toml: |") {
            continue;
        }
        let depth = |line: &str| line.len() - line.trim_start().len();
        let mut block = String::new();
        while let Some(inside) = lines.next_if(|next| next.trim().is_empty() || depth(next) > depth(line)) {
            block.push_str(inside.trim_start());
            block.push('\n');
        }
        found.push(block);
    }
    found
}

/// How files end that are named as a section is.
const FILES: [&str; 2] = [".conf", ".yaml"];

/// `[section] key` and `section.key`, where there is such a section.
fn keys_in_words(text: &str, program: &Program) -> Vec<String> {
    let is_section =
        |name: &str| program.keys.iter().any(|key| key.split_once('.').is_some_and(|(section, _)| section == name));
    let bracketed = text.split('[').skip(1).filter_map(|rest| {
        let (section, rest) = rest.split_once("] ")?;
        let key = words(rest, is_name).next().filter(|(at, _)| *at == 0)?.1;
        Some(format!("{section}.{key}"))
    });
    // In backticks only, and not what is a file's name: `redis.conf`.
    let dotted = text.split('`').skip(1).step_by(2).filter(|word| word.chars().all(|c| is_name(c) || c == '.'));
    bracketed
        .chain(dotted.map(str::to_owned))
        .filter(|key| key.split_once('.').is_some_and(|(section, rest)| is_section(section) && !rest.contains('.')))
        .filter(|key| !program.keys.contains(key) && !FILES.iter().any(|end| key.ends_with(end)))
        .map(|key| format!("{key} is no configuration key"))
        .collect()
}
