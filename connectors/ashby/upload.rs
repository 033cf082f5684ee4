//! A file's way to the vendor's storage: ask for a handle, post the file to where the answer says.
//!
//! A handle lives ten minutes and a retry may come days later, so uploading is no step of its own: a finished step is never
//! repeated, and this must be. Every attempt of the submit brings fresh handles; what a former attempt uploaded is never
//! referred to again. Nothing here creates an application, so whatever goes wrong may be tried again.

use bytes::Bytes;
use causeway_core::outcome::{Class, Outcome};
use causeway_core::reason::Reason;
use serde_json::{Map, Value, json};

use super::map::Upload;
use super::outcome;
use super::wire::{Api, Handle};

/// Uploads the file and brings its handle.
pub(super) async fn upload(api: &Api<'_>, upload: &Upload<'_>) -> Result<String, Outcome> {
    let wanted = json!({
        "fileUploadContext": "ApplicationForm",
        "filename": upload.attachment.name,
        "contentType": upload.attachment.media_type,
        "contentLength": upload.file.bytes.len(),
    });
    let answer = api.call("file.createFileUploadHandle", &wanted).await;
    let answer = answer.map_err(|error| outcome::unanswered(&error, api.now).before_the_create())?;
    let envelope = outcome::judge(&answer).map_err(outcome::No::before_the_create)?;
    let Some(handle) = outcome::read::<Handle>(envelope.results) else {
        let unreadable = Outcome::new(Class::Unavailable).because(Reason::VendorDrifted);
        return Err(Outcome { drift: true, vendor_status: Some(200), ..unreadable });
    };
    let boundary = boundary(&upload.file.bytes);
    let body = multipart(
        &handle.fields,
        &upload.attachment.name,
        &upload.attachment.media_type,
        &upload.file.bytes,
        &boundary,
    );
    let media_type = format!("multipart/form-data; boundary={boundary}");
    let stored = api.upload(&handle.url, &media_type, body).await;
    let stored = stored.map_err(|error| outcome::unanswered(&error, api.now).before_the_create())?;
    outcome::uploaded(&stored).map_err(|failed| *failed)?;
    Ok(handle.handle)
}

/// A line that the file does not hold.
fn boundary(bytes: &Bytes) -> String {
    let mut number = 0u32;
    loop {
        let boundary = format!("causeway-{number}-end-of-part");
        let taken = bytes.windows(boundary.len()).any(|window| window == boundary.as_bytes());
        if !taken {
            return boundary;
        }
        number += 1;
    }
}

/// Every field that came with the handle, then the file, last and named `file`.
fn multipart(fields: &Map<String, Value>, name: &str, media_type: &str, bytes: &Bytes, boundary: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(bytes.len() + 2_048);
    for (field, value) in fields {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let field = quoted(field);
        body.extend_from_slice(
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{text}\r\n").as_bytes(),
        );
    }
    let name = quoted(name);
    body.extend_from_slice(
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: {media_type}\r\n\r\n"
        )
        .as_bytes(),
    );
    body.extend_from_slice(bytes);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    body
}

/// Within a quoted parameter, as browsers escape it.
fn quoted(text: &str) -> String {
    text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_comes_last_and_no_content_ends_it_early() {
        let bytes = Bytes::from_static(b"a\r\n--causeway-0-end-of-part--\r\nb");
        let boundary = boundary(&bytes);
        assert_eq!(boundary, "causeway-1-end-of-part");
        let fields = Map::from_iter([("key".to_owned(), json!("k")), ("Policy".to_owned(), json!("p"))]);
        let body = multipart(&fields, "cv \"new\".pdf", "application/pdf", &bytes, &boundary);
        let text = String::from_utf8(body).unwrap();
        let parts: Vec<&str> = text.split("--causeway-1-end-of-part").collect();
        assert_eq!(parts.len(), 5, "two fields, the file, and what surrounds them: {text}");
        assert!(
            parts[3].starts_with("\r\nContent-Disposition: form-data; name=\"file\"; filename=\"cv %22new%22.pdf\"")
        );
        assert_eq!(parts[4], "--\r\n");
    }
}
