//! Sizes as typed bytes: `"2MiB"` in configuration, never a bare number whose unit is a guess.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl ByteSize {
    /// So many mebibytes.
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// So many kibibytes.
    pub const fn kib(count: u64) -> Self {
        Self(count << 10)
    }

    /// As a plain number.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// As a length in memory; sizes over the address space become its end.
    pub fn as_len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// A text that is not a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a size: a whole number followed by B, KiB, MiB or GiB")]
pub struct NotASize;

impl FromStr for ByteSize {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, NotASize> {
        let (number, unit) =
            UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, bytes))).ok_or(NotASize)?;
        let number: u64 = number.trim_end().parse().map_err(|_| NotASize)?;
        number.checked_mul(*unit).map(Self).ok_or(NotASize)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, bytes) =
            UNITS.into_iter().find(|(_, bytes)| self.0 >= *bytes && self.0.is_multiple_of(*bytes)).unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / bytes)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{ByteSize, NotASize};

    #[test]
    fn sizes_survive_text_and_need_a_unit() {
        for (text, bytes) in [("2MiB", 2 << 20), ("1KiB", 1024), ("7B", 7), ("1GiB", 1 << 30), ("0B", 0)] {
            assert_eq!(text.parse().map(ByteSize::bytes), Ok(bytes));
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
        for text in ["", "2", "MiB", "2MB", "-1B", "99999999999GiB"] {
            assert_eq!(text.parse::<ByteSize>(), Err(NotASize), "{text}");
        }
    }
}
