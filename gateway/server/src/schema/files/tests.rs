//! Files by content, and archives made by hand, byte by byte.

use serde_json::{Value, json};

use super::{MAX_FILE, Part, check};

/// An archive of empty, stored files; each entry claims the size given.
fn archive(entries: &[(&str, u32)], flags: u16) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, unpacked) in entries {
        let length = u16::try_from(name.len()).unwrap().to_le_bytes();
        let offset = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let sizes = [0_u32.to_le_bytes(), unpacked.to_le_bytes()].concat();
        bytes.extend(
            [&b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0"[..], &sizes, &length, &[0, 0], name.as_bytes()].concat(),
        );
        directory.extend(
            [
                &b"PK\x01\x02\x14\0\x14\0"[..],
                &flags.to_le_bytes(),
                &[0; 10],
                &sizes,
                &length,
                &[0; 12],
                &offset,
                name.as_bytes(),
            ]
            .concat(),
        );
    }
    let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
    let (size, offset) = (directory.len() as u32, bytes.len() as u32);
    bytes.extend(directory);
    bytes.extend(
        [&b"PK\x05\x06\0\0\0\0"[..], &count, &count, &size.to_le_bytes(), &offset.to_le_bytes(), &[0, 0]].concat(),
    );
    bytes
}

fn docx() -> Vec<u8> {
    archive(&[("[Content_Types].xml", 1_000), ("word/document.xml", 20_000)], 0)
}

fn odt() -> Vec<u8> {
    archive(&[("mimetypeapplication/vnd.oasis.opendocument.text", 39), ("content.xml", 20_000)], 0)
}

const DOCX_TYPE: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const PDF: &[u8] = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n";

/// The pointer and first words of the one complaint about a file of this name, type and content.
fn judged(name: &str, media_type: &str, bytes: &[u8]) -> Option<(String, String)> {
    let document = json!({"attachments": [{"id": "cv", "kind": "resume", "name": name, "media_type": media_type, "size": bytes.len()}]});
    let mut errors = check(&document, &[Part::new("cv", Some(media_type), bytes)]);
    assert!(errors.len() <= 1, "{errors:?}");
    errors.pop().map(|error| {
        assert_eq!((error.code.as_str(), error.required_by.join("")), ("file_refused", "canonical".to_owned()));
        (error.pointer, error.message)
    })
}

#[test]
fn files_that_are_what_they_say_are_taken() {
    let docx = docx();
    let rtf: &[u8] = b"{\\rtf1\\ansi Ada\\par}";
    let png: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    let old = [&[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1][..], &[0; 600]].concat();
    let odt = odt();
    for (name, media_type, bytes) in [
        ("cv.pdf", "application/pdf", PDF),
        ("CV.Final.PDF", "application/pdf", PDF),
        ("cv.pdf", "application/octet-stream", PDF),
        ("cv.pdf", "Application/PDF; charset=binary", PDF),
        ("cv.pdf", "application/pdf", b"\xEF\xBB\xBF\n%PDF-1.4\n%%EOF"),
        ("cv.docx", DOCX_TYPE, docx.as_slice()),
        ("cv.docx", "application/msword", docx.as_slice()),
        ("cv.odt", "application/vnd.oasis.opendocument.text", odt.as_slice()),
        ("cv.doc", "application/msword", old.as_slice()),
        ("cv.rtf", "text/rtf", rtf),
        ("cv.txt", "text/plain", "Ren\u{e9}\tExample\r\n".as_bytes()),
        ("cv.txt", "text/plain", b"MZ are my initials, <b>bold</b> as I am"),
        ("cv.txt", "text/plain", b"R\xE9sum\xE9 in Latin-1"),
        ("scan.png", "image/png", png),
        ("scan.jpeg", "image/jpeg", b"\xFF\xD8\xFF\xE0\0\x10JFIF\0"),
    ] {
        assert_eq!(judged(name, media_type, bytes), None, "{name} {media_type}");
    }
}

#[test]
fn files_that_are_not_are_refused_with_a_reason() {
    let docx = docx();
    let elf = [b"\x7FELF\x02\x01\x01\0".as_slice(), &[0; 64]].concat();
    let exe = [b"MZ\x90\0\x03\0\0\0".as_slice(), &[0; 64]].concat();
    let bomb = archive(&[("word/document.xml", 60 << 20), ("word/media/a.bin", 60 << 20)], 0);
    let huge = archive(&[("word/document.xml", u32::MAX)], 0);
    let many: Vec<(String, u32)> = (0..5_001).map(|number| (number.to_string(), 1)).collect();
    let many = archive(&many.iter().map(|(name, size)| (name.as_str(), *size)).collect::<Vec<_>>(), 0);
    let locked = archive(&[("word/document.xml", 9)], 1);
    let other = archive(&[("readme.txt", 9)], 0);
    let jar = archive(&[("META-INF/MANIFEST.MF", 9), ("A.class", 9)], 0);
    let (cut, mut wild) = (&docx[..docx.len() - 30], docx.clone());
    let directory_offset = wild.len() - 6;
    wild[directory_offset..directory_offset + 4].copy_from_slice(&[0xFF; 4]);
    let at = "/attachments/0";
    for (name, media_type, bytes, place, begins) in [
        ("cv.pdf", "application/pdf", &b""[..], at, "The file is empty"),
        ("cv.pdf", "application/pdf", b"<!DOCTYPE html><html></html>", at, "The file is a program"),
        (
            "cv.pdf",
            "application/pdf",
            b"<svg xmlns='http://www.w3.org/2000/svg' onload='x'/>",
            at,
            "The file is a program",
        ),
        ("cv.txt", "text/plain", b" \n<html><script>x</script>", at, "The file is a program"),
        ("cv.txt", "text/plain", b"\xEF\xBB\xBF<?xml version='1.0'?><svg/>", at, "The file is a program"),
        ("cv.txt", "text/plain", b"#!/bin/sh\nrm -r x", at, "The file is a program"),
        ("cv.pdf", "application/pdf", &elf, at, "The file is a program"),
        ("cv.pdf", "application/pdf", &exe, at, "The file is a program"),
        ("cv.pdf", "application/pdf", b"plain words", at, "The file's content is not what the end of its name"),
        ("cv.docx", DOCX_TYPE, PDF, at, "The file's content is not what the end of its name"),
        ("cv.pdf.exe", "application/pdf", PDF, at, "Files of this type"),
        ("cv", "application/pdf", PDF, at, "Files of this type"),
        ("cv.html", "text/html", b"words", at, "Files of this type"),
        ("cv.zip", "application/zip", &other, at, "Files of this type"),
        ("cv.docx", DOCX_TYPE, &jar, at, "Files of this type"),
        ("cv.pdf", "application/pdf", b"\0\x01\x02\x03", at, "Files of this type"),
        ("cv.pdf", "image/png", PDF, "/attachments/0/media_type", "The file's content is not of the announced"),
        ("cv.pdf", "text/html", PDF, "/attachments/0/media_type", "The file's content is not of the announced"),
        ("cv.pdf", "application/pdf", b"%PDF-1.7\n1 0 obj", at, "The file is damaged"),
        ("cv.docx", DOCX_TYPE, cut, at, "The file is damaged"),
        ("cv.docx", DOCX_TYPE, &wild, at, "The file is damaged"),
        ("cv.docx", DOCX_TYPE, b"PK\x03\x04", at, "The file is damaged"),
        ("cv.docx", DOCX_TYPE, &bomb, at, "The file unpacks"),
        ("cv.docx", DOCX_TYPE, &huge, at, "The file unpacks"),
        ("cv.docx", DOCX_TYPE, &many, at, "The file unpacks"),
        ("cv.docx", DOCX_TYPE, &locked, at, "The file is protected"),
    ] {
        let (pointer, message) =
            judged(name, media_type, bytes).unwrap_or_else(|| panic!("{name}: taken, expected {begins}"));
        assert!(pointer == place && message.starts_with(begins), "{name}: {pointer} {message}, expected {begins}");
    }
    let large = [PDF, &vec![b' '; MAX_FILE]].concat();
    assert_eq!(judged("cv.pdf", "application/pdf", &large).unwrap().1, "The file is larger than 5 MiB.");
}

#[test]
fn parts_and_attachments_belong_together() {
    let attachment = |id: &str| json!({"id": id, "name": "cv.pdf", "media_type": "application/pdf", "size": PDF.len()});
    let part = |name: &'static str| Part::new(name, None, PDF);
    let sized = |size: usize, sha256: &str| json!({"attachments": [{"id": "a", "name": "cv.pdf", "media_type": "application/pdf", "size": size, "sha256": sha256}]});
    let right = crate::hash::sha256_hex(PDF);
    for (document, parts, expected) in [
        (json!({}), vec![], vec![]),
        (json!({"attachments": [attachment("a"), attachment("b")]}), vec![part("b"), part("a")], vec![]),
        (json!({"attachments": [attachment("a"), attachment("b")]}), vec![part("a")], vec!["/attachments/1"]),
        (
            json!({"attachments": [attachment("a"), attachment("a")]}),
            vec![part("a")],
            vec!["/attachments/0", "/attachments/1"],
        ),
        (json!({"attachments": [attachment("a")]}), vec![part("a"), part("a")], vec!["/attachments/0"]),
        (json!({"attachments": [attachment("a")]}), vec![part("a"), part("x")], vec!["/attachments"]),
        (json!({}), vec![part("x")], vec!["/attachments"]),
        (
            json!({"answers": [{"attachment": "a"}], "history": {"parsed_from": "a"}, "attachments": [attachment("a")]}),
            vec![part("a")],
            vec![],
        ),
        (
            json!({"answers": [{"value": "a"}, {"attachment": "b"}], "history": {"parsed_from": "c"}}),
            vec![],
            vec!["/answers/1/attachment", "/history/parsed_from"],
        ),
        (json!({"attachments": "nonsense"}), vec![], vec![]),
        (sized(PDF.len(), &right), vec![part("a")], vec![]),
        (sized(PDF.len() + 1, &right), vec![part("a")], vec!["/attachments/0/size"]),
        (sized(PDF.len(), &"0".repeat(64)), vec![part("a")], vec!["/attachments/0/sha256"]),
    ] {
        let pointers: Vec<String> = check(&document, &parts).into_iter().map(|error| error.pointer).collect();
        assert_eq!(pointers, expected, "{document}");
    }
}

#[test]
fn no_bytes_make_it_panic() {
    let mut seed = 1_u64;
    for length in (0..400).chain([5_000]) {
        let mut bytes = docx();
        for _ in 0..length % 40 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = usize::try_from(seed >> 33).unwrap() % bytes.len();
            bytes[place] = (seed >> 24) as u8;
        }
        bytes.truncate(bytes.len().saturating_sub(length % 7));
        let document: Value =
            json!({"attachments": [{"id": "cv", "name": "cv.docx", "media_type": DOCX_TYPE, "size": bytes.len()}]});
        check(&document, &[Part::new("cv", None, &bytes)]);
    }
}
