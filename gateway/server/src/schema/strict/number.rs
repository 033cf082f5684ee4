//! Which decimal numbers survive as double precision.
//!
//! Responsible for one pass over the text of a document that holds a number with a fraction, an exponent or more than 64
//! bits. A number survives when the shortest decimal form of its double has the same digits; an integer must also lie
//! within ±2^53. The text is known to be JSON: this does not check its syntax.

use super::fault::{BodyError, Fault};

/// Checks every number in a JSON text.
pub(super) fn check_all(text: &str) -> Result<(), BodyError> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = after_string(bytes, at + 1),
            b'-' | b'0'..=b'9' => {
                let length = bytes.iter().skip(at).take_while(|byte| is_of_number(**byte)).count();
                if !text.get(at..at + length).is_some_and(survives) {
                    return Err(BodyError::at(bytes, at, Fault::NumberImprecise));
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    Ok(())
}

fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

/// Where the string that opens before `at` is over.
fn after_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

fn survives(token: &str) -> bool {
    let Ok(double) = token.parse::<f64>() else { return false };
    if !token.contains(['.', 'e', 'E']) && double.abs() > super::MAX_INTEGER as f64 {
        return false;
    }
    // Where two shortest forms are as near, the one that is written out later counts.
    serde_json::Number::from_f64(double).is_some_and(|written| decimal(token) == decimal(&written.to_string()))
}

/// A decimal in normal form: significant digits without outer zeros, and the power of ten of the last one.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

fn decimal(token: &str) -> Option<Decimal> {
    let (mantissa, exponent) = token.split_once(['e', 'E']).unwrap_or((token, "0"));
    let unsigned = mantissa.strip_prefix('-');
    let negative = unsigned.is_some();
    let (whole, fraction) = unsigned.unwrap_or(mantissa).split_once('.').unwrap_or((unsigned.unwrap_or(mantissa), ""));
    let all = format!("{whole}{fraction}");
    let kept = all.trim_end_matches('0');
    let dropped = i64::try_from(all.len() - kept.len()).ok()?;
    let digits = kept.trim_start_matches('0').to_owned();
    let exponent: i64 = exponent.parse().ok()?;
    let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(dropped)?;
    // Zero is zero at any exponent.
    let exponent = if digits.is_empty() { 0 } else { exponent };
    Some(Decimal { negative, digits, exponent })
}

#[cfg(test)]
mod tests {
    use super::survives;

    #[test]
    fn numbers_that_survive_and_numbers_that_do_not() {
        for token in [
            "0",
            "-0",
            "0.0",
            "-0.0",
            "0e999",
            "1.50",
            "-1793390018538668.2",
            "52.52000",
            "13.405",
            "0.1",
            "1e2",
            "1E+2",
            "100e-2",
            "1e30",
            "1.5e-7",
            "0.30000000000000004",
            "9007199254740992",
            "-9007199254740992",
            "2.2250738585072014e-308",
            "5e-324",
        ] {
            assert!(survives(token), "{token}");
        }
        for token in [
            "9007199254740993",
            "18446744073709551616",
            "100000000000000000000",
            "0.1000000000000000055",
            "1e400",
            "1e-400",
            "3.14159265358979323846",
            "1.00000000000000001",
            "1e99999999999999999999",
        ] {
            assert!(!survives(token), "{token}");
        }
    }
}
