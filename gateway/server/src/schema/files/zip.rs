//! The table of contents of a ZIP-based office file.
//!
//! Responsible for telling the office formats apart and for refusing, before anything is unpacked, what would unpack to
//! far more than it is. It trusts only the central directory, and unpacks nothing, ever.

use super::Refusal;
use super::kind::Family;

/// The most a document may unpack to, in bytes.
const MAX_UNPACKED: u64 = 100 * 1024 * 1024;
/// The most entries.
const MAX_ENTRIES: usize = 5_000;
const END_SIGNATURE: &[u8] = b"PK\x05\x06";
const END_LENGTH: usize = 22;
const ENTRY_SIGNATURE: &[u8] = b"PK\x01\x02";
const ENTRY_LENGTH: usize = 46;
/// Stands for "see the 64-bit field", which no file of a few megabytes needs.
const SIXTY_FOUR: u64 = 0xFFFF_FFFF;

/// Which office format this archive is.
pub(super) fn office(bytes: &[u8]) -> Result<Family, Refusal> {
    let (directory, count) = directory(bytes)?;
    let mut rest = directory;
    let mut unpacked = 0_u64;
    let mut family = None;
    for _ in 0..count {
        let entry = Entry::read(rest)?;
        if entry.encrypted {
            return Err(Refusal::Locked);
        }
        unpacked = unpacked.saturating_add(entry.unpacked);
        if entry.unpacked == SIXTY_FOUR || unpacked > MAX_UNPACKED {
            return Err(Refusal::Inflates);
        }
        family = family.or(match entry.name {
            b"word/document.xml" => Some(Family::Word),
            b"xl/workbook.xml" => Some(Family::Sheet),
            b"ppt/presentation.xml" => Some(Family::Slides),
            b"content.xml" if is_open_text(bytes) => Some(Family::OpenDocument),
            _ => None,
        });
        rest = rest.get(entry.length..).ok_or(Refusal::Broken)?;
    }
    // Any other archive: what is in it cannot be shown to a recruiter.
    family.ok_or(Refusal::TypeNotTaken)
}

/// The first entry of an OpenDocument file is its media type, stored as it is.
fn is_open_text(bytes: &[u8]) -> bool {
    const MARK: &[u8] = b"mimetypeapplication/vnd.oasis.opendocument.text";
    bytes.get(30..30 + MARK.len()) == Some(MARK) && bytes.get(30 + MARK.len()) != Some(&b'-')
}

/// The central directory and how many entries it says it has.
fn directory(bytes: &[u8]) -> Result<(&[u8], usize), Refusal> {
    // A comment of up to 64 KiB may follow the end record.
    let from = bytes.len().saturating_sub(END_LENGTH + usize::from(u16::MAX));
    let tail = bytes.get(from..).unwrap_or_default();
    let end = tail.windows(END_SIGNATURE.len()).rposition(|window| window == END_SIGNATURE).ok_or(Refusal::Broken)?;
    let record = tail.get(end..end + END_LENGTH).ok_or(Refusal::Broken)?;
    let count = usize::from(short(record, 10)?);
    let (size, offset) = (index(record, 12)?, index(record, 16)?);
    if count > MAX_ENTRIES {
        return Err(Refusal::Inflates);
    }
    let until = offset.checked_add(size).filter(|until| *until <= from + end).ok_or(Refusal::Broken)?;
    bytes.get(offset..until).map(|directory| (directory, count)).ok_or(Refusal::Broken)
}

struct Entry<'a> {
    name: &'a [u8],
    encrypted: bool,
    unpacked: u64,
    length: usize,
}

impl<'a> Entry<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Refusal> {
        if !bytes.starts_with(ENTRY_SIGNATURE) {
            return Err(Refusal::Broken);
        }
        let name_length = usize::from(short(bytes, 28)?);
        let name = bytes.get(ENTRY_LENGTH..ENTRY_LENGTH + name_length).ok_or(Refusal::Broken)?;
        let length = ENTRY_LENGTH + name_length + usize::from(short(bytes, 30)?) + usize::from(short(bytes, 32)?);
        Ok(Self { name, encrypted: short(bytes, 8)? & 1 == 1, unpacked: long(bytes, 24)?.into(), length })
    }
}

fn short(bytes: &[u8], at: usize) -> Result<u16, Refusal> {
    let field = bytes.get(at..at + 2).and_then(|field| field.try_into().ok()).ok_or(Refusal::Broken)?;
    Ok(u16::from_le_bytes(field))
}

fn long(bytes: &[u8], at: usize) -> Result<u32, Refusal> {
    let field = bytes.get(at..at + 4).and_then(|field| field.try_into().ok()).ok_or(Refusal::Broken)?;
    Ok(u32::from_le_bytes(field))
}

fn index(bytes: &[u8], at: usize) -> Result<usize, Refusal> {
    usize::try_from(long(bytes, at)?).map_err(|_| Refusal::Broken)
}
