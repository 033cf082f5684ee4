//! From a statement as its file has it to PostgreSQL's: `?1` becomes `$1`, `INDEXED BY` goes, a locking clause stays where
//! rows may be locked.
//!
//! It knows strings, quoted names and comments and nothing else of SQL. The same text always gives the same.

/// What the connection may do with rows it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// A transaction that writes: a locking clause is kept.
    Write,
    /// A snapshot that only reads, where locking is an error: the clause goes.
    Read,
}

/// The statement's text for PostgreSQL. A comment `/*postgres …*/` is uncommented: it is where a text that both engines
/// read has its locking clause.
pub(super) fn translate(text: &str, use_: Use) -> String {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let taken = match next {
            '\'' | '"' => copy_until(rest, next, &mut made),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => comment(rest, use_, &mut made),
            '?' => {
                made.push('$');
                1
            }
            'I' | 'i' if starts_word(&made) && is_indexed_by(rest) => skip_words(rest, 3),
            'N' | 'n' if starts_word(&made) && is_not_indexed(rest) => skip_words(rest, 2),
            'F' | 'f' if use_ == Use::Read && starts_word(&made) && is_locking(rest) => rest.len(),
            other => {
                made.push(other);
                other.len_utf8()
            }
        };
        rest = rest.split_at_checked(taken).map_or("", |(_, rest)| rest);
    }
    made.truncate(made.trim_end().len());
    made
}

/// A quoted piece, whole; how many bytes it is.
fn copy_until(text: &str, quote: char, made: &mut String) -> usize {
    let end = text.char_indices().skip(1).find(|(_, next)| *next == quote).map_or(text.len(), |(at, _)| at + 1);
    made.push_str(text.split_at_checked(end).map_or(text, |(piece, _)| piece));
    end
}

fn comment(text: &str, use_: Use, made: &mut String) -> usize {
    let end = text.find("*/").map_or(text.len(), |at| at + 2);
    let inner = text.split_at_checked(end).map_or("", |(whole, _)| whole);
    if let Some(ours) = inner.strip_prefix("/*postgres ").and_then(|inner| inner.strip_suffix("*/")) {
        made.push_str(&translate(ours, use_));
    }
    end
}

fn starts_word(made: &str) -> bool {
    made.chars().next_back().is_none_or(|before| !before.is_alphanumeric() && before != '_')
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
}

fn is(word: Option<&str>, wanted: &str) -> bool {
    word.is_some_and(|word| word.eq_ignore_ascii_case(wanted))
}

fn is_indexed_by(text: &str) -> bool {
    let mut words = words(text);
    is(words.next(), "INDEXED") && is(words.next(), "BY")
}

fn is_not_indexed(text: &str) -> bool {
    let mut words = words(text);
    is(words.next(), "NOT") && is(words.next(), "INDEXED")
}

/// `FOR UPDATE`, `FOR NO KEY UPDATE`, `FOR SHARE`, `FOR KEY SHARE`, which end a statement.
fn is_locking(text: &str) -> bool {
    let mut words = words(text);
    is(words.next(), "FOR")
        && words
            .next()
            .is_some_and(|next| ["UPDATE", "SHARE", "NO", "KEY"].iter().any(|wanted| next.eq_ignore_ascii_case(wanted)))
}

/// How many bytes so many words take, with what is around them.
fn skip_words(text: &str, count: usize) -> usize {
    let mut rest = text;
    for _ in 0..count {
        rest = rest.trim_start();
        let end = rest.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(rest.len());
        rest = rest.split_at_checked(end).map_or("", |(_, rest)| rest);
    }
    text.len() - rest.len()
}

#[cfg(test)]
mod tests {
    use super::{Use, translate};

    fn check(text: &str, write: &str, read: &str) {
        assert_eq!(translate(text, Use::Write), write);
        assert_eq!(translate(text, Use::Read), read);
    }

    #[test]
    fn parameters_hints_and_locks_are_postgresql_s() {
        check(
            "SELECT a FROM b WHERE c = ?1 AND d = ?12",
            "SELECT a FROM b WHERE c = $1 AND d = $12",
            "SELECT a FROM b WHERE c = $1 AND d = $12",
        );
        check(
            "SELECT a FROM b INDEXED BY b_c WHERE c = ?1",
            "SELECT a FROM b  WHERE c = $1",
            "SELECT a FROM b  WHERE c = $1",
        );
        check(
            "SELECT a FROM b NOT INDEXED\nWHERE c = 1",
            "SELECT a FROM b \nWHERE c = 1",
            "SELECT a FROM b \nWHERE c = 1",
        );
        check(
            "SELECT a FROM b\nFOR UPDATE OF b SKIP LOCKED\n",
            "SELECT a FROM b\nFOR UPDATE OF b SKIP LOCKED",
            "SELECT a FROM b",
        );
        check("SELECT a /*postgres FOR UPDATE*/", "SELECT a FOR UPDATE", "SELECT a");
    }

    #[test]
    fn strings_and_comments_are_left_alone() {
        check(
            "SELECT 'is it?1' -- really?\n, \"for update\"",
            "SELECT 'is it?1' \n, \"for update\"",
            "SELECT 'is it?1' \n, \"for update\"",
        );
        check("SELECT 'it''s FOR UPDATE ?' /* ? */", "SELECT 'it''s FOR UPDATE ?'", "SELECT 'it''s FOR UPDATE ?'");
    }
}
