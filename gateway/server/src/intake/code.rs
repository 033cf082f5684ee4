//! The receipt's short code, made to be read over the phone: `K7QM-3XTD`.
//!
//! Crockford's alphabet (no I, L, O, U), seven random characters and one that checks them, so that a misheard code is
//! found to be wrong instead of finding somebody else's application.

use causeway_core::clock::Entropy;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 8;

/// A new code.
pub fn generate(entropy: &dyn Entropy) -> String {
    let mut values = [0; LENGTH];
    entropy.fill(&mut values);
    values.iter_mut().for_each(|value| *value %= 32);
    values[LENGTH - 1] = check_value(&values[..LENGTH - 1]);
    spell(&values)
}

/// The code in this text, however it was written: case, hyphens and spaces do not matter, and neither do letters that
/// look like digits. `None` when it cannot be one of ours.
pub fn parse(text: &str) -> Option<String> {
    let values: Vec<u8> =
        text.chars().filter(|c| !matches!(c, '-' | ' ')).take(LENGTH + 1).map(value).collect::<Option<_>>()?;
    let (last, first) = values.split_last()?;
    (values.len() == LENGTH && *last == check_value(first)).then(|| spell(&values))
}

fn spell(values: &[u8]) -> String {
    let mut text = String::with_capacity(LENGTH + 1);
    for (position, value) in values.iter().enumerate() {
        if position == LENGTH / 2 {
            text.push('-');
        }
        text.push(char::from(ALPHABET[usize::from(value % 32)]));
    }
    text
}

fn value(character: char) -> Option<u8> {
    let wanted = match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    ALPHABET.iter().position(|letter| char::from(*letter) == wanted).and_then(|found| u8::try_from(found).ok())
}

/// Odd weights: any one wrong character changes the sum, and so does any swap of neighbours whose values do not differ
/// by 16.
fn check_value(values: &[u8]) -> u8 {
    let sum: usize = values.iter().enumerate().map(|(position, value)| usize::from(*value) * (2 * position + 1)).sum();
    u8::try_from(sum % 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{generate, parse};
    use causeway_core::clock::SeededEntropy;

    #[test]
    fn codes_read_back_in_any_spelling_and_one_wrong_character_is_noticed() {
        let entropy = SeededEntropy::new(11);
        for _ in 0..200 {
            let code = generate(&entropy);
            assert_eq!(parse(&code).as_ref(), Some(&code));
            let spoken = code.replace('-', " ").to_lowercase().replace('0', "o").replace('1', "l");
            assert_eq!(parse(&spoken).as_ref(), Some(&code), "{spoken}");
            for position in (0..code.len()).filter(|position| *position != 4) {
                let mut wrong = code.clone().into_bytes();
                wrong[position] = if wrong[position] == b'7' { b'8' } else { b'7' };
                assert_eq!(parse(std::str::from_utf8(&wrong).unwrap()), None, "{code} at {position}");
            }
        }
        for text in ["", "K7QM", "K7QM-3XTDX", "K7QM-3XT!"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
