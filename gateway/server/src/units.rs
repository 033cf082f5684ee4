//! Durations ("30s") and sizes ("2MiB") as people write them: whole numbers with one unit, never a bare number whose unit
//! is a guess.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// A text that is no quantity of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAQuantity {
    /// No duration.
    #[error("write a duration as a whole number and ms, s, m, h or d, such as \"30s\"")]
    Duration,
    /// No size.
    #[error("write a size as a whole number and B, KiB, MiB or GiB, such as \"2MiB\"")]
    Size,
}

/// In milliseconds, largest first.
const DURATIONS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// In bytes, largest first.
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// The number in its smallest unit, if the text is digits followed by one of the units.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = text.split_at_checked(text.find(|c: char| !c.is_ascii_digit())?)?;
    let (_, factor) = units.iter().find(|(known, _)| *known == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// In the largest unit that leaves a whole number.
fn write(f: &mut fmt::Formatter<'_>, number: u64, units: &[(&str, u64)], smallest: &str) -> fmt::Result {
    let fits = units.iter().find(|(_, factor)| number >= *factor && number.is_multiple_of(*factor));
    let (unit, factor) = fits.copied().unwrap_or((smallest, 1));
    write!(f, "{}{unit}", number / factor)
}

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

impl FromStr for Span {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, NotAQuantity> {
        parse(text, &DURATIONS).map(|ms| Self(Duration::from_millis(ms))).ok_or(NotAQuantity::Duration)
    }
}

impl FromStr for ByteSize {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, NotAQuantity> {
        parse(text, &SIZES).map(Self).ok_or(NotAQuantity::Size)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), &DURATIONS, "ms")
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, &SIZES, "B")
    }
}

macro_rules! as_text {
    ($($quantity:ty)*) => { $(
        impl Serialize for $quantity {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $quantity {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )* };
}

as_text! { Span ByteSize }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_carry_their_unit() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("2m", 120_000), ("14d", 1_209_600_000), ("1 h", 3_600_000)]
        {
            assert_eq!(text.parse(), Ok(Span(Duration::from_millis(millis))), "{text}");
            assert_eq!(Span(Duration::from_millis(millis)).to_string(), text.replace(' ', ""));
        }
        for (text, bytes) in [("1B", 1), ("64KiB", 65_536), ("2MiB", 2 << 20), ("1GiB", 1 << 30), ("0B", 0)] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
        assert_eq!(Span(Duration::ZERO).to_string(), "0ms");
    }

    #[test]
    fn what_has_no_unit_is_refused() {
        for text in ["", "30", "s", "-1s", "1.5h", "30 seconds", "99999999999999999999d", "18446744073709551615d"] {
            assert_eq!(text.parse::<Span>(), Err(NotAQuantity::Duration), "{text}");
        }
        for text in ["", "2", "MiB", "2MB", "2mib", "-1B", "18446744073709551615GiB"] {
            assert_eq!(text.parse::<ByteSize>(), Err(NotAQuantity::Size), "{text}");
        }
    }
}
