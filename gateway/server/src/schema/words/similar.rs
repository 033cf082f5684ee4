//! Which known name was probably meant.
//!
//! Responsible for one suggestion at most, and only a close one. The known names come from a schema and are safe to show.

/// Names longer than this are not compared: the cost grows with the product of the lengths.
const MAX_LENGTH: usize = 40;

/// The known name that differs least, if it differs by little: other case or separators, or one slip in three letters.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > MAX_LENGTH {
        return None;
    }
    let typed = folded(name);
    known
        .filter(|candidate| candidate.len() <= MAX_LENGTH)
        .map(|candidate| (distance(&typed, &folded(candidate)), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= typed.len() / 3)
        .map(|(_, candidate)| candidate)
}

/// Lower case, letters and digits only: `postalCode` and `postal_code` are the same word.
fn folded(name: &str) -> Vec<char> {
    name.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, typed) in left.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, wanted) in right.iter().enumerate() {
            let at = |line: &[usize], place: usize| line.get(place).copied().unwrap_or(usize::MAX - 1);
            let replaced = at(&last, column) + usize::from(typed != wanted);
            let mut best = replaced.min(at(&last, column + 1) + 1).min(at(&next, column) + 1);
            let swapped =
                row > 0 && column > 0 && left.get(row - 1) == Some(wanted) && right.get(column - 1) == Some(typed);
            if swapped {
                best = best.min(at(&before, column - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut last, next);
    }
    last.last().copied().unwrap_or(left.len())
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn close_names_are_suggested_and_far_ones_are_not() {
        let known = ["given", "family", "second_family", "as_typed", "postal_code", "e164", "emails"];
        for (typed, expected) in [
            ("famly", Some("family")),
            ("fmaily", Some("family")),
            ("Family", Some("family")),
            ("postalCode", Some("postal_code")),
            ("email", Some("emails")),
            ("secondFamily", Some("second_family")),
            ("first_name", None),
            ("x", None),
            ("", None),
            ("\u{5f20}", None),
        ] {
            assert_eq!(nearest(typed, known.into_iter()), expected, "{typed}");
        }
        let long = "family".repeat(10_000);
        assert_eq!(nearest(&long, known.into_iter()), None);
    }
}
