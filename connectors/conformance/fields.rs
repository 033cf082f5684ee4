//! Every field of the canonical application, learned from its types, and what a README's table of fates says of it.

use causeway_core::application as canonical;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::fates::Fates;

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

/// What a README says of this field: its own row, or that of the nearest above it.
pub(crate) fn fate_of<'a>(fates: &'a Fates, field: &str) -> Option<&'a (String, String)> {
    let above = field.rsplit_once('.').map(|(above, _)| above);
    fates.get(field).or_else(|| fate_of(fates, above?))
}
