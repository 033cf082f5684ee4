//! Validation: is this body one readable document, and does every receiving system take it as it is? Reading path:
//! `intake` before this file, `store` after it.
//!
//! Responsible for one strict parse, the canonical schema, each connector's schema, each posting's form, the files'
//! content, and the words in which a "no" is said. It does not decide what a "no" leads to (intake does), reads no
//! store and no network, and changes nothing: the bytes that passed are the bytes that are stored and sent.
//!
//! Invariants: schemas are compiled once and hold no remote or file reference; patterns match in linear time; nothing a
//! person wrote is ever repeated in an error.

mod compile;
pub mod files;
mod fingerprint;
mod formats;
mod forms;
mod guard;
mod members;
mod strict;
mod validator;
mod words;

pub use compile::SchemaError;
pub use fingerprint::{PartMark, fingerprint, form_digest};
pub use members::has_value;
pub use strict::{BodyError, Fault};
pub use validator::{CANONICAL_NAME, Schemas, Target, Verdict, canonical_schema};

#[cfg(test)]
mod tests;
