//! The receipt's short code, made to be read over the phone: `K7QM-3XTD`.
//!
//! Crockford's alphabet (no I, L, O, U), seven characters and one that checks them, so that a misheard code is found to be
//! wrong instead of finding somebody else's application. The seven are the application's number, scattered by a key of the
//! store: no two applications share a code, the code leads to the row without an index of its own, and it does not tell how
//! many applications there are. It opens nothing and is no secret.

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 8;

/// Seven characters of five bits.
const BITS: u32 = 35;
const MASK: u64 = (1 << BITS) - 1;

/// Between numbers and codes, one to one.
pub(crate) struct Codes([(u64, u64); 2]);

impl Codes {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let mut words = key.chunks_exact(8).map(|word| word.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)));
        // Only odd factors can be taken back.
        Self([(); 2].map(|()| (words.next().unwrap_or(1) | 1, words.next().unwrap_or(0))))
    }

    /// The code of a number. `None` for numbers of more than 35 bits.
    pub(crate) fn of(&self, number: u64) -> Option<String> {
        if number > MASK {
            return None;
        }
        let scattered = self.0.iter().fold(number, |value, (factor, offset)| {
            let value = value.wrapping_mul(*factor).wrapping_add(*offset) & MASK;
            value ^ value >> 18
        });
        let mut values = [0; LENGTH];
        for (position, value) in values.iter_mut().take(LENGTH - 1).enumerate() {
            *value = (scattered >> (5 * position) & 31) as u8;
        }
        values[LENGTH - 1] = check_value(&values[..LENGTH - 1]);
        Some(spell(&values))
    }

    /// The number whose code this is, however it was written.
    pub(crate) fn number(&self, text: &str) -> Option<u64> {
        let values = values(text)?;
        let scattered = values.iter().take(LENGTH - 1).rev().fold(0, |all, value| all << 5 | u64::from(*value));
        Some(self.0.iter().rev().fold(scattered, |value, (factor, offset)| {
            // A shift by more than half of the bits is its own reverse.
            (value ^ value >> 18).wrapping_sub(*offset).wrapping_mul(inverse(*factor)) & MASK
        }))
    }
}

/// The factor that takes an odd one back, modulo a power of two: each step doubles the bits that are right.
fn inverse(odd: u64) -> u64 {
    (0..6).fold(odd, |found, _| found.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(found))))
}

/// Case, hyphens and spaces do not matter, and neither do letters that look like digits. `None` for what cannot be one of
/// ours.
fn values(text: &str) -> Option<Vec<u8>> {
    let values: Vec<u8> =
        text.chars().filter(|c| !matches!(c, '-' | ' ')).take(LENGTH + 1).map(value).collect::<Option<_>>()?;
    let (last, first) = values.split_last()?;
    (values.len() == LENGTH && *last == check_value(first)).then_some(values)
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
    use std::collections::HashSet;

    use super::Codes;

    #[test]
    fn codes_read_back_in_any_spelling_and_one_wrong_character_is_noticed() {
        let codes = Codes::new(&[11; 32]);
        for number in (0..200).map(|at| at * 171_798_691).chain([1, 2, 3, (1 << 35) - 1]) {
            let code = codes.of(number).unwrap();
            assert_eq!(codes.number(&code), Some(number), "{code}");
            let spoken = code.replace('-', " ").to_lowercase().replace('0', "o").replace('1', "l");
            assert_eq!(codes.number(&spoken), Some(number), "{spoken}");
            for position in (0..code.len()).filter(|position| *position != 4) {
                let mut wrong = code.clone().into_bytes();
                wrong[position] = if wrong[position] == b'7' { b'8' } else { b'7' };
                let wrong = std::str::from_utf8(&wrong).unwrap();
                assert_eq!(codes.number(wrong), None, "{code} at {position}");
            }
        }
        for text in ["", "K7QM", "K7QM-3XTDX", "K7QM-3XT!"] {
            assert_eq!(codes.number(text), None, "{text}");
        }
        assert_eq!(codes.of(1 << 35), None);
    }

    #[test]
    fn neighbours_look_unlike_and_another_store_spells_another_way() {
        let (codes, others) = (Codes::new(&[3; 32]), Codes::new(&[4; 32]));
        let some: HashSet<String> = (0..10_000).filter_map(|number| codes.of(number)).collect();
        assert_eq!(some.len(), 10_000);
        let ends: HashSet<String> = some.iter().map(|code| code.chars().take(2).collect()).collect();
        assert!(ends.len() > 500, "{} beginnings", ends.len());
        assert_ne!(codes.of(7), others.of(7));
    }
}
