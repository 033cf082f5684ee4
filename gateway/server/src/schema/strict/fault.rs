//! What can be wrong with a body, and where.
//!
//! Responsible for turning a place in the bytes into line and column, and a fault into words that hold nothing of the
//! body. It does not decide what is refused.

use std::fmt;

use serde_json::error::Category;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing was sent.
    Empty,
    /// It opens with a byte order mark.
    ByteOrderMark,
    /// It looks like UTF-16 or UTF-32.
    WideEncoding,
    /// A byte sequence that is no UTF-8.
    NotUtf8,
    /// It ends in the middle.
    EndsEarly,
    /// It is not JSON.
    NotJson,
    /// An escape names half of a character.
    LoneSurrogate,
    /// A raw control character inside a text.
    ControlCharacter,
    /// U+0000 in a text or a member's name.
    Nul,
    /// The same member twice in one object.
    DuplicateMember,
    /// Nested deeper than [`super::MAX_DEPTH`].
    TooDeep,
    /// More members than [`super::MAX_MEMBERS`].
    TooManyMembers,
    /// More items than [`super::MAX_ITEMS`].
    TooManyItems,
    /// A number that double precision cannot carry.
    NumberImprecise,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the body is empty"),
            Self::ByteOrderMark => f.write_str("the body opens with a byte order mark; send UTF-8 without one"),
            Self::WideEncoding => f.write_str("the body is not UTF-8; it looks like UTF-16 or UTF-32"),
            Self::NotUtf8 => f.write_str("this is not UTF-8"),
            Self::EndsEarly => f.write_str("the JSON ends before it is complete"),
            Self::NotJson => f.write_str("this is not JSON"),
            Self::LoneSurrogate => f.write_str("an escape names half of a surrogate pair"),
            Self::ControlCharacter => f.write_str("a control character stands unescaped in a text"),
            Self::Nul => f.write_str("a text or a member's name holds the character U+0000"),
            Self::DuplicateMember => f.write_str("the object has this member twice"),
            Self::TooDeep => write!(f, "nested deeper than {} levels", super::MAX_DEPTH),
            Self::TooManyMembers => write!(f, "an object has more than {} members", super::MAX_MEMBERS),
            Self::TooManyItems => write!(f, "a list has more than {} items", super::MAX_ITEMS),
            Self::NumberImprecise => {
                f.write_str("the number does not survive as a double-precision number; send fewer digits, or text")
            }
        }
    }
}

/// A body that is not strict JSON. Its text may be shown to the caller: it repeats nothing of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {fault}")]
pub struct BodyError {
    /// One-based.
    pub line: usize,
    /// One-based, in bytes.
    pub column: usize,
    /// What is wrong there.
    pub fault: Fault,
}

impl BodyError {
    /// The fault at a byte of the body.
    pub(super) fn at(bytes: &[u8], offset: usize, fault: Fault) -> Self {
        let before = bytes.get(..offset).unwrap_or(bytes);
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Self { line, column: before.len() - line_start + 1, fault }
    }
}

/// The body as text, if it is UTF-8 without a byte order mark.
pub(super) fn text_of(bytes: &[u8]) -> Result<&str, BodyError> {
    let start = |fault| Err(BodyError { line: 1, column: 1, fault });
    match bytes {
        [] => return start(Fault::Empty),
        [0xEF, 0xBB, 0xBF, ..] => return start(Fault::ByteOrderMark),
        [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] | [0, ..] | [_, 0, ..] => return start(Fault::WideEncoding),
        _ => {}
    }
    std::str::from_utf8(bytes).map_err(|error| BodyError::at(bytes, error.valid_up_to(), Fault::NotUtf8))
}

/// Where and what the parser stumbled over. `noted` is what our own visitors refused; without it the syntax is wrong.
pub(super) fn locate(text: &str, error: &serde_json::Error, noted: Option<Fault>) -> BodyError {
    let (line, column) = (error.line(), error.column());
    let fault = noted.unwrap_or_else(|| match error.classify() {
        Category::Eof if text.trim_ascii().is_empty() => Fault::Empty,
        Category::Eof => Fault::EndsEarly,
        Category::Io | Category::Data | Category::Syntax => syntax_fault(text.as_bytes(), line, column),
    });
    BodyError { line, column: column.max(1), fault }
}

/// Tells the two commonest syntax faults of broken encoders apart from the rest, by the bytes just read.
fn syntax_fault(bytes: &[u8], line: usize, column: usize) -> Fault {
    let line_bytes = bytes.split(|byte| *byte == b'\n').nth(line.saturating_sub(1)).unwrap_or_default();
    let read = line_bytes.get(..column.min(line_bytes.len())).unwrap_or_default();
    // The parser stops at the latest after `\uD83D\u0041`, twelve bytes.
    let tail = read.get(read.len().saturating_sub(12)..).unwrap_or_default();
    let surrogate = |escape: &[u8]| {
        matches!(escape, [b'\\', b'u', b'd' | b'D', b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F', x, y]
            if x.is_ascii_hexdigit() && y.is_ascii_hexdigit())
    };
    if tail.windows(6).any(surrogate) {
        Fault::LoneSurrogate
    } else if column == 0 || read.last().is_some_and(|byte| *byte < 0x20) {
        Fault::ControlCharacter
    } else {
        Fault::NotJson
    }
}
