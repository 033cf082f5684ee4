//! What the HTTP API promises, as an OpenAPI 3.1 document made from the code that keeps it.
//!
//! A route is added in one way only: to [`Routes`], together with the [`Operation`] that says what it takes, answers and
//! refuses. The bodies' schemas are derived from the types that are read and written, and every object in an answer is
//! closed unless its type says otherwise. So no route is undocumented, and no answer has a member the document does not
//! name; the tests hold every answer they get against it. This module knows no route: who has routes brings them.

#[cfg(test)]
pub(crate) mod contract;
mod document;
mod operation;
mod routes;

pub use document::{About, canonical_reference, document, part_names};
pub use operation::Operation;
pub use routes::{Listed, Routes};
