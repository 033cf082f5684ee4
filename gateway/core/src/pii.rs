//! Types for what must never be printed: personal data and secrets.
//!
//! Both show a tag instead of their content in `Debug` and have no `Display`, so a log line, a panic or an error text
//! cannot carry them by accident. Reading the content takes an explicit call that a reviewer can search for.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Personal data: a candidate's field, a vendor's words that may quote one, a file name.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Default, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Pii<T>(T);

impl<T> Pii<T> {
    /// Marks a value as personal.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Reads the value: only where it goes to the person's own record, to a vendor, or to an audited reader.
    pub fn reveal(&self) -> &T {
        &self.0
    }

    /// Takes the value out, for the same uses as [`Pii::reveal`].
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[personal]")
    }
}

/// A credential. Wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Marks a value as secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Reads the secret: only to put it on the wire or to seal it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::{Pii, Secret};

    #[test]
    fn neither_type_prints_its_content() {
        let shown = format!("{:?} {:?}", Pii::new("ada@example.org"), Secret::new("hunter2"));
        assert_eq!(shown, "[personal] [secret]");
    }
}
