//! What a file is, by its content; what it claims to be, by its name or media type.
//!
//! Responsible for the list of types that are taken. It knows no attachment and says no words.

use super::{Refusal, zip};

/// A format, as far as two of them are told apart by what may open them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Pdf,
    /// Word before 2007, Excel and PowerPoint likewise: one container format.
    OldOffice,
    Word,
    Sheet,
    Slides,
    OpenDocument,
    Rtf,
    Text,
    Png,
    Jpeg,
    Gif,
    Webp,
    Tiff,
}

/// One taken format: ends of names, media types.
struct Known {
    family: Family,
    extensions: &'static [&'static str],
    media_types: &'static [&'static str],
}

const OOXML: &str = "application/vnd.openxmlformats-officedocument.";

const KNOWN: &[Known] = &[
    Known { family: Family::Pdf, extensions: &["pdf"], media_types: &["application/pdf", "application/x-pdf"] },
    Known {
        family: Family::OldOffice,
        extensions: &["doc", "xls", "ppt"],
        media_types: &[
            "application/msword",
            "application/vnd.ms-word",
            "application/vnd.ms-excel",
            "application/vnd.ms-powerpoint",
        ],
    },
    Known { family: Family::Word, extensions: &["docx"], media_types: &["wordprocessingml.document"] },
    Known { family: Family::Sheet, extensions: &["xlsx"], media_types: &["spreadsheetml.sheet"] },
    Known { family: Family::Slides, extensions: &["pptx"], media_types: &["presentationml.presentation"] },
    Known {
        family: Family::OpenDocument,
        extensions: &["odt"],
        media_types: &["application/vnd.oasis.opendocument.text"],
    },
    Known {
        family: Family::Rtf,
        extensions: &["rtf"],
        media_types: &["application/rtf", "text/rtf", "application/x-rtf"],
    },
    Known { family: Family::Text, extensions: &["txt", "md"], media_types: &["text/plain", "text/markdown"] },
    Known { family: Family::Png, extensions: &["png"], media_types: &["image/png"] },
    Known {
        family: Family::Jpeg,
        extensions: &["jpg", "jpeg"],
        media_types: &["image/jpeg", "image/jpg", "image/pjpeg"],
    },
    Known { family: Family::Gif, extensions: &["gif"], media_types: &["image/gif"] },
    Known { family: Family::Webp, extensions: &["webp"], media_types: &["image/webp"] },
    Known { family: Family::Tiff, extensions: &["tif", "tiff"], media_types: &["image/tiff"] },
];

/// What the content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found(Family);

impl Found {
    pub(super) fn family(self) -> Family {
        self.0
    }
}

/// The family that the end of a name stands for.
pub(super) fn of_name(name: &str) -> Option<Family> {
    let (_, extension) = name.rsplit_once('.')?;
    let extension = extension.to_ascii_lowercase();
    KNOWN.iter().find(|known| known.extensions.contains(&extension.as_str())).map(|known| known.family)
}

/// May a file of this family be announced so? A browser that does not know says `application/octet-stream`.
pub(super) fn may_be_called(family: Family, media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let short = essence.strip_prefix(OOXML).unwrap_or(&essence);
    essence == "application/octet-stream"
        || KNOWN.iter().any(|known| known.family == family && known.media_types.contains(&short))
        // Windows without Word registers no type of its own for these.
        || (essence == "application/msword" && matches!(family, Family::Word | Family::Rtf))
}

/// Judges by content.
pub(super) fn of(bytes: &[u8]) -> Result<Found, Refusal> {
    const OLE: &[u8] = &[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1];
    // Some writers put a byte order mark or a line break first.
    let start = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    let family = if start.starts_with(b"%PDF-") {
        whole_pdf(bytes)?
    } else if bytes.starts_with(b"PK\x03\x04") {
        zip::office(bytes)?
    } else if bytes.starts_with(OLE) {
        Family::OldOffice
    } else if bytes.starts_with(b"{\\rtf") {
        Family::Rtf
    } else if is_text(bytes) {
        if is_active(bytes) { return Err(Refusal::Active) } else { Family::Text }
    } else {
        by_magic(bytes)?
    };
    Ok(Found(family))
}

/// A PDF says at its end where its table is; one without any such mark was cut off.
fn whole_pdf(bytes: &[u8]) -> Result<Family, Refusal> {
    const END: &[u8] = b"%%EOF";
    if bytes.windows(END.len()).rev().any(|window| window == END) { Ok(Family::Pdf) } else { Err(Refusal::Broken) }
}

fn by_magic(bytes: &[u8]) -> Result<Family, Refusal> {
    if infer::is_app(bytes) {
        return Err(Refusal::Active);
    }
    match infer::get(bytes).map(|found| found.mime_type()) {
        Some("image/png") => Ok(Family::Png),
        Some("image/jpeg") => Ok(Family::Jpeg),
        Some("image/gif") => Ok(Family::Gif),
        Some("image/webp") => Ok(Family::Webp),
        Some("image/tiff") => Ok(Family::Tiff),
        _ => Err(Refusal::TypeNotTaken),
    }
}

/// No control characters but white space: programs and pictures always hold some.
fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte >= 0x20 || matches!(byte, b'\t' | b'\n' | b'\r' | 0x0C))
}

/// Text that something would run or render.
fn is_active(bytes: &[u8]) -> bool {
    let start = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    let opens = |tag: &str| start.get(..tag.len()).is_some_and(|head| head.eq_ignore_ascii_case(tag.as_bytes()));
    start.starts_with(b"#!")
        || opens("<?")
        || opens("<!")
        || opens("<svg")
        || opens("<script")
        || opens("<html")
        || matches!(
            infer::get(start).map(|found| found.mime_type()),
            Some("text/html" | "text/xml" | "text/x-shellscript")
        )
}
