//! For tests: every field of the canonical application, and what a connector's README says becomes of it.
//!
//! Holds no opinion on any fate; each connector's own test compares the list with what its mapping does.

use std::collections::BTreeMap;

use causeway_core::application as canonical;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::Value;

/// The names of a struct's fields, learned by asking it to read itself.
struct Names;

#[derive(Debug)]
struct Learned(&'static [&'static str]);

impl std::fmt::Display for Learned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("names")
    }
}

impl std::error::Error for Learned {}

impl Error for Learned {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self(&[])
    }
}

impl<'de> Deserializer<'de> for Names {
    type Error = Learned;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Learned> {
        Err(Learned(fields))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Learned> {
        Err(Learned(&[]))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn names<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    match T::deserialize(Names) {
        Ok(_) => &[],
        Err(Learned(names)) => names,
    }
}

/// Every field of the canonical application that has no fields of its own, as a dotted path.
pub(crate) fn canonical_fields() -> Vec<String> {
    let structs: &[(&str, &[&str])] = &[
        ("", names::<canonical::Application>()),
        ("person", names::<canonical::Person>()),
        ("person.name", names::<canonical::Name>()),
        ("person.emails", names::<canonical::Email>()),
        ("person.phones", names::<canonical::Phone>()),
        ("person.address", names::<canonical::Address>()),
        ("person.location", names::<canonical::Location>()),
        ("person.links", names::<canonical::Link>()),
        ("person.languages", names::<canonical::Language>()),
        ("eligibility", names::<canonical::Eligibility>()),
        ("eligibility.work_authorisation", names::<canonical::WorkAuthorisation>()),
        ("pay", names::<canonical::Pay>()),
        ("pay.expectation", names::<canonical::PayExpectation>()),
        ("relation", names::<canonical::Relation>()),
        ("relation.internal", names::<canonical::Internal>()),
        ("history", names::<canonical::History>()),
        ("history.education", names::<canonical::Education>()),
        ("history.employment", names::<canonical::Employment>()),
        ("history.certifications", names::<canonical::Certification>()),
        ("attachments", names::<canonical::Attachment>()),
        ("answers", names::<canonical::Answer>()),
        ("answers.option", names::<canonical::AnswerOption>()),
        ("answers.options", names::<canonical::AnswerOption>()),
        ("demographics", names::<canonical::Demographic>()),
        ("consents", names::<canonical::Consent>()),
        ("source", names::<canonical::Source>()),
        ("client", names::<canonical::Client>()),
        ("meta", names::<canonical::Meta>()),
    ];
    let path = |parent: &str, name: &str| if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") };
    let all = structs.iter().flat_map(|(parent, names)| names.iter().map(move |name| path(parent, name)));
    all.filter(|field| !structs.iter().any(|(parent, _)| parent == field)).collect()
}

/// The rows of a README's table of fates: `a.b`, `a.c` | fate | how or why.
pub(crate) fn fates(readme: &str) -> BTreeMap<String, (String, String)> {
    let mut fates = BTreeMap::new();
    let table = readme.split_once("## Field fates").unwrap().1;
    let table = table.split_once("\n## ").map_or(table, |(before, _)| before);
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for field in cells[1].split(',') {
            let field = field.trim().trim_matches('`').to_owned();
            let former = fates.insert(field, (cells[2].to_owned(), cells[3].to_owned()));
            assert!(former.is_none(), "listed twice: {row}");
        }
    }
    fates
}

/// The document less what stands at this path.
pub(crate) fn without(document: &mut Value, path: &[&str]) {
    match (document, path) {
        (Value::Array(list), path) => list.iter_mut().for_each(|item| without(item, path)),
        (Value::Object(map), [last]) => {
            map.remove(*last);
        }
        (Value::Object(map), [first, rest @ ..]) => {
            if let Some(inner) = map.get_mut(*first) {
                without(inner, rest);
            }
        }
        (_, _) => {}
    }
}

/// Complains unless the README's table names every field once, with a fate and a reason.
pub(crate) fn check(readme: &str) {
    let (fates, fields) = (fates(readme), canonical_fields());
    assert!(fields.len() > 100, "{}", fields.len());
    for field in &fields {
        let (fate, reason) = fates.get(field).unwrap_or_else(|| panic!("no fate in the README: {field}"));
        assert!(["carried", "transformed", "dropped"].contains(&fate.as_str()), "{field}: {fate}");
        assert!(reason.len() > 3, "{field} has no reason");
    }
    for field in fates.keys() {
        assert!(fields.contains(field), "no such field: {field}");
    }
}
