//! One strict parse of a request body into a JSON value.
//!
//! Responsible for refusing everything that two JSON readers could understand differently, because a vendor's reader
//! comes after ours: duplicate members, lone surrogates, NUL, byte order marks and encodings other than UTF-8, numbers
//! that do not survive as double precision, and nesting or lists without bound. It knows no schema, and it does not bound
//! the size of the body: ingress did.
//!
//! Invariants: the bytes are parsed once; a fault names a place and a kind, never a value.

mod fault;
mod number;

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

pub use fault::{BodyError, Fault};

/// How deep arrays and objects may be nested.
pub(super) const MAX_DEPTH: u16 = 64;
/// How many members an object may have.
pub(super) const MAX_MEMBERS: usize = 1_000;
/// How many items an array may have.
pub(super) const MAX_ITEMS: usize = 10_000;
/// Beyond this, neighbouring integers are the same double: 2^53.
const MAX_INTEGER: u64 = 1 << 53;

/// The JSON value in these bytes.
///
/// # Errors
/// [`BodyError`] with line, column and what is wrong there.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, BodyError> {
    let text = fault::text_of(bytes)?;
    let notes = Notes::default();
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { notes: &notes, depth: 0 }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| fault::locate(text, &error, notes.fault.take()))?;
    // The text of a number is gone once it is a double, and most documents hold none: look again only if one was seen.
    if notes.saw_float.get() {
        number::check_all(text)?;
    }
    Ok(value)
}

/// What the visitors tell [`parse`] beside their result: `serde_json`'s error carries text only, and nobody branches on
/// an error's text.
#[derive(Default)]
struct Notes {
    fault: Cell<Option<Fault>>,
    saw_float: Cell<bool>,
}

impl Notes {
    fn refuse<E: Error>(&self, fault: Fault) -> E {
        self.fault.set(Some(fault));
        E::custom(fault)
    }
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    notes: &'a Notes,
    depth: u16,
}

impl Strict<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(self.notes.refuse(Fault::TooDeep));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        if value > MAX_INTEGER {
            Err(self.notes.refuse(Fault::NumberImprecise))
        } else {
            Ok(Value::Number(value.into()))
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() > MAX_INTEGER {
            Err(self.notes.refuse(Fault::NumberImprecise))
        } else {
            Ok(Value::Number(value.into()))
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.notes.saw_float.set(true);
        Number::from_f64(value).map(Value::Number).ok_or_else(|| self.notes.refuse(Fault::NumberImprecise))
    }

    /// Text without escapes: a raw NUL is no JSON, so there is none in here.
    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(unescaped(self.notes, value)?))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            if list.len() == MAX_ITEMS {
                return Err(self.notes.refuse(Fault::TooManyItems));
            }
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key_seed(Name { notes: self.notes })? {
            if object.len() == MAX_MEMBERS {
                return Err(self.notes.refuse(Fault::TooManyMembers));
            }
            match object.entry(name) {
                Entry::Vacant(place) => {
                    place.insert(members.next_value_seed(inner)?);
                }
                Entry::Occupied(_) => return Err(self.notes.refuse(Fault::DuplicateMember)),
            }
        }
        Ok(Value::Object(object))
    }
}

/// A member's name.
struct Name<'a> {
    notes: &'a Notes,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<String, E> {
        Ok(value.to_owned())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<String, E> {
        unescaped(self.notes, value)
    }
}

fn unescaped<E: Error>(notes: &Notes, value: &str) -> Result<String, E> {
    if value.as_bytes().contains(&0) { Err(notes.refuse(Fault::Nul)) } else { Ok(value.to_owned()) }
}

#[cfg(test)]
mod tests;
