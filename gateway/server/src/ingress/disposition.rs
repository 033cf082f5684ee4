//! One part's `Content-Disposition`, read strictly: what two readers could understand differently is refused.

use causeway_core::pii::Pii;

const MAX_NAME: usize = 128;
const MAX_FILE_NAME: usize = 255;

/// What a part says it is.
#[derive(Debug)]
pub(super) struct Disposition {
    pub(super) name: String,
    pub(super) file_name: Option<Pii<String>>,
}

/// What is wrong with it; the texts are ours and are shown to the caller.
type Refused = &'static str;

/// Reads `form-data; name="…"; filename="…"`.
pub(super) fn parse(header: &str) -> Result<Disposition, Refused> {
    let (kind, mut rest) = header.split_once(';').ok_or("A part's Content-Disposition has no name.")?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err("A part's Content-Disposition is not form-data.");
    }
    let (mut name, mut plain, mut extended) = (None, None, None);
    loop {
        let (key, value, after) = next_parameter(rest)?;
        let slot = match key.to_ascii_lowercase().as_str() {
            "name" => &mut name,
            "filename" => &mut plain,
            "filename*" => &mut extended,
            _ => return Err("A part's Content-Disposition has a parameter that is not known."),
        };
        if slot.replace(value).is_some() {
            return Err("A part's Content-Disposition gives a parameter twice.");
        }
        match after {
            Some(after) => rest = after,
            None => break,
        }
    }
    let name = name.filter(|name| (1..=MAX_NAME).contains(&name.len())).ok_or("A part has no usable name.")?;
    let extended = extended.as_deref().map(decode_extended).transpose()?;
    let file_name = match (plain, extended) {
        (Some(plain), Some(extended)) if plain != extended => {
            return Err("A part's filename and filename* do not say the same.");
        }
        (Some(name), _) | (None, Some(name)) => Some(name),
        (None, None) => None,
    };
    if file_name.as_deref().is_some_and(|name| !is_file_name(name)) {
        return Err("A part's file name is empty, too long, or has control or path characters.");
    }
    Ok(Disposition { name, file_name: file_name.map(Pii::new) })
}

/// One `key=value` and what follows the semicolon after it.
fn next_parameter(text: &str) -> Result<(&str, String, Option<&str>), Refused> {
    const MALFORMED: Refused = "A part's Content-Disposition is malformed.";
    let (key, value) = text.split_once('=').ok_or(MALFORMED)?;
    let Some(quoted) = value.strip_prefix('"') else {
        let (value, after) = value.split_once(';').map_or((value, None), |(value, after)| (value, Some(after)));
        let value = value.trim();
        let token = !value.is_empty() && !value.chars().any(|c| c.is_whitespace() || c == '"' || c == '=');
        return if token { Ok((key.trim(), value.to_owned(), after)) } else { Err(MALFORMED) };
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next().ok_or(MALFORMED)? {
            '"' => break,
            '\\' => value.push(characters.next().ok_or(MALFORMED)?),
            character => value.push(character),
        }
    }
    let after = characters.as_str().trim();
    match after.strip_prefix(';') {
        Some(after) => Ok((key.trim(), value, Some(after))),
        None if after.is_empty() => Ok((key.trim(), value, None)),
        None => Err(MALFORMED),
    }
}

fn decode_extended(value: &str) -> Result<String, Refused> {
    const MALFORMED: Refused = "A part's filename* is not UTF-8 with percent escapes.";
    let (charset, rest) = value.split_once('\'').ok_or(MALFORMED)?;
    let (_language, text) = rest.split_once('\'').ok_or(MALFORMED)?;
    if !charset.eq_ignore_ascii_case("utf-8") {
        return Err(MALFORMED);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let digits = [rest.next().ok_or(MALFORMED)?, rest.next().ok_or(MALFORMED)?];
            data_encoding::HEXLOWER_PERMISSIVE
                .decode(&digits)
                .ok()
                .and_then(|byte| byte.first().copied())
                .ok_or(MALFORMED)?
        } else {
            byte
        });
    }
    String::from_utf8(bytes).map_err(|_| MALFORMED)
}

fn is_file_name(name: &str) -> bool {
    (1..=MAX_FILE_NAME).contains(&name.len())
        && name != "."
        && name != ".."
        && !name.chars().any(|c| c.is_control() || c == '/' || c == '\\')
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn check(header: &str, expected: Option<(&str, Option<&str>)>) {
        let read = parse(header).ok();
        let read = read.as_ref().map(|d| (d.name.as_str(), d.file_name.as_ref().map(|name| name.reveal().as_str())));
        assert_eq!(read, expected, "{header}");
    }

    #[test]
    fn what_clients_send_is_read_and_what_is_ambiguous_is_refused() {
        check(r#"form-data; name="application""#, Some(("application", None)));
        check(r#"form-data; name=cv; filename="lebenslauf.pdf""#, Some(("cv", Some("lebenslauf.pdf"))));
        check(r#"form-data; filename="a;b\"c.pdf"; name="cv""#, Some(("cv", Some("a;b\"c.pdf"))));
        check("form-data; name=cv; filename*=UTF-8''r%C3%A9sum%C3%A9.pdf", Some(("cv", Some("r\u{e9}sum\u{e9}.pdf"))));
        check(r#"form-data; name=cv; filename="a.pdf"; filename*=utf-8''a.pdf"#, Some(("cv", Some("a.pdf"))));
        for refused in [
            "form-data",
            "attachment; name=cv",
            "form-data; name=",
            "form-data; name=\"\"",
            "form-data; name=cv; name=other",
            "form-data; name=cv; filename=a.pdf; filename*=UTF-8''b.pdf",
            "form-data; name=cv; filename=../a.pdf",
            "form-data; name=cv; filename=\"a\\\\b.pdf\"",
            "form-data; name=cv; filename=\"a\u{7}.pdf\"",
            "form-data; name=cv; filename=\"\"",
            "form-data; name=\"cv",
            "form-data; name=\"cv\"x",
            "form-data; name=cv; filename*=latin1''a.pdf",
            "form-data; name=cv; filename*=UTF-8''%4",
            "form-data; name=cv; size=4",
        ] {
            check(refused, None);
        }
    }
}
