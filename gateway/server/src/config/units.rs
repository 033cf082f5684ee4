//! Durations ("30s") and sizes ("2MiB") as people write them. Whole numbers with one unit; nothing is guessed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A duration with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A size in bytes, with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

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

/// The number and the unit, if the text is digits followed by letters.
fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

impl FromStr for Span {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, NotAQuantity> {
        let (number, unit) = split(text.trim()).ok_or(NotAQuantity::Duration)?;
        let millis_per_unit = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(NotAQuantity::Duration),
        };
        number.checked_mul(millis_per_unit).map(|ms| Self(Duration::from_millis(ms))).ok_or(NotAQuantity::Duration)
    }
}

impl FromStr for Size {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, NotAQuantity> {
        let (number, unit) = split(text.trim()).ok_or(NotAQuantity::Size)?;
        let bytes_per_unit = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(NotAQuantity::Size),
        };
        number.checked_mul(bytes_per_unit).map(Self).ok_or(NotAQuantity::Size)
    }
}

/// Reads a text through `FromStr`.
struct Text<T>(std::marker::PhantomData<T>);

impl<T: FromStr<Err = NotAQuantity>> de::Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text with a number and a unit")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_carry_their_unit() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("2m", 120_000), ("14d", 1_209_600_000), ("1 h", 3_600_000)]
        {
            assert_eq!(text.parse(), Ok(Span(Duration::from_millis(millis))), "{text}");
        }
        for (text, bytes) in [("1B", 1), ("64KiB", 65_536), ("2MiB", 2_097_152), ("1GiB", 1_073_741_824)] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
    }

    #[test]
    fn what_has_no_unit_is_refused() {
        for text in ["", "30", "s", "-1s", "1.5h", "30 seconds", "99999999999999999999d", "18446744073709551615d"] {
            assert_eq!(text.parse::<Span>(), Err(NotAQuantity::Duration), "{text}");
        }
        for text in ["2", "2MB", "2mib", "18446744073709551615GiB"] {
            assert_eq!(text.parse::<Size>(), Err(NotAQuantity::Size), "{text}");
        }
    }
}
