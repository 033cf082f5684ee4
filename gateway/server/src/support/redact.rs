//! Makes a vendor's words fit to be shown: what may quote the applicant is replaced, what names the trouble stays.
//!
//! The applicant's own values are not at hand here, so it goes by form: e-mail addresses, numbers that could be phone
//! numbers, and whatever the vendor put in quotation marks, unless it is a field name or an error code. A vendor's JSON
//! is walked member by member. It errs on the side of hiding. Control and direction characters never pass.

use serde_json::Value;

/// What stands where something was taken out.
pub const MARK: &str = "[redacted]";

/// At most so many characters of a vendor's words are shown.
const CHARS_MAX: usize = 600;

/// Members whose text is about the trouble, not about the person.
const TELLING: [&str; 18] = [
    "message",
    "error",
    "errors",
    "code",
    "type",
    "category",
    "status",
    "detail",
    "title",
    "reason",
    "field",
    "fields",
    "name",
    "property",
    "correlationid",
    "context",
    "in",
    "success",
];

/// The vendor's words, fit to be shown.
pub fn vendor_words(words: &str) -> String {
    let shown = match serde_json::from_str::<Value>(words) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => json(&value, false).to_string(),
        _ => text(words),
    };
    let one_line: Vec<&str> = shown.split_whitespace().collect();
    let one_line: String = one_line.join(" ").chars().filter(|c| !is_hidden(*c)).collect();
    if one_line.chars().count() <= CHARS_MAX {
        return one_line;
    }
    one_line.chars().take(CHARS_MAX).chain(['…']).collect()
}

/// The text without what could drive a terminal or turn text around: titles and names come from outside. Lines stay.
pub fn for_terminal(text: &str) -> String {
    text.chars().filter(|c| *c == '\n' || !is_hidden(*c)).collect()
}

/// Control characters and those that change the direction of text.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn json(value: &Value, telling: bool) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value.clone(),
        Value::Number(number) if telling || number.to_string().len() < 7 => value.clone(),
        Value::Number(_) => Value::String(MARK.to_owned()),
        Value::String(words) if telling || is_code(words) => Value::String(text(words)),
        Value::String(_) => Value::String(MARK.to_owned()),
        Value::Array(items) => Value::Array(items.iter().map(|item| json(item, telling)).collect()),
        Value::Object(members) => {
            let shown = members.iter().map(|(name, member)| {
                // `name` tells in an error's entry ("name": "email"), and is a person's in a record: only codes pass.
                let telling = TELLING.contains(&name.to_lowercase().as_str()) && name != "name" && name != "in";
                (if is_identifier(name) { name.clone() } else { MARK.to_owned() }, json(member, telling))
            });
            Value::Object(shown.collect())
        }
    }
}

/// Plain text with addresses, numbers and quotations replaced.
fn text(words: &str) -> String {
    numbers(&addresses(&quotations(words)))
}

/// An error code such as `INVALID_EMAIL`, or a field name such as `first_name`: an underscore tells it from a name.
fn is_code(word: &str) -> bool {
    word.contains('_') && is_identifier(word) && !word.chars().any(|c| c.is_ascii_digit() && word.len() > 40)
}

fn is_identifier(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// The mark that closes a quotation opened by `open`.
fn closing(open: char) -> Option<&'static [char]> {
    Some(match open {
        '"' => &['"'],
        '`' => &['`'],
        '\u{201c}' => &['\u{201d}'],
        '\u{201e}' => &['\u{201c}', '\u{201d}'],
        '\u{2018}' => &['\u{2019}'],
        '«' => &['»'],
        '\'' => &['\''],
        _ => return None,
    })
}

fn quotations(words: &str) -> String {
    let letters: Vec<char> = words.chars().collect();
    let mut out = String::with_capacity(words.len());
    let mut at = 0;
    while let Some(&open) = letters.get(at) {
        // An apostrophe within a word ("can't") opens nothing.
        let within_word = open == '\'' && at > 0 && letters[at - 1].is_alphanumeric();
        let Some(closers) = closing(open).filter(|_| !within_word) else {
            out.push(open);
            at += 1;
            continue;
        };
        let Some(length) = letters[at + 1..].iter().position(|c| closers.contains(c)) else {
            // Never closed: the words were cut within a quotation. An apostrophe is more likely just that.
            if open == '\'' {
                out.push(open);
                at += 1;
                continue;
            }
            out.push_str(MARK);
            break;
        };
        let inner: String = letters[at + 1..at + 1 + length].iter().collect();
        let after = at + length + 2;
        let names_a_member = letters.get(after) == Some(&':') && is_identifier(&inner);
        if names_a_member || is_code(&inner) {
            out.extend([open]);
            out.push_str(&inner);
            out.extend(letters.get(after - 1));
        } else {
            out.push_str(MARK);
        }
        at = after;
    }
    out
}

/// A character that may stand in an address.
fn in_address(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-' | '@')
}

fn addresses(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    let mut word = String::new();
    for c in words.chars().map(Some).chain([None]) {
        match c {
            Some(c) if in_address(c) => word.push(c),
            other => {
                let is_address = word.contains('@') || word.to_lowercase().contains("%40");
                out.push_str(if is_address { MARK } else { &word });
                word.clear();
                out.extend(other);
            }
        }
    }
    out
}

/// A character that may stand within a phone number.
fn in_number(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}')
}

/// Replaces runs of seven or more digits, unless the vendor calls the number an id.
fn numbers(words: &str) -> String {
    let letters: Vec<char> = words.chars().collect();
    let mut out = String::with_capacity(words.len());
    let mut at = 0;
    while let Some(&c) = letters.get(at) {
        let starts = (c.is_ascii_digit() || c == '+') && !(at > 0 && letters[at - 1].is_alphanumeric());
        if !starts {
            out.push(c);
            at += 1;
            continue;
        }
        let run = 1 + letters[at + 1..].iter().take_while(|c| in_number(**c)).count();
        let last = letters[at..at + run].iter().rposition(char::is_ascii_digit).unwrap_or(0);
        let found = &letters[at..=at + last];
        let digits = found.iter().filter(|c| c.is_ascii_digit()).count();
        let called_id = digits == found.len() && ends_with_id(&out);
        if digits >= 7 && !called_id && !is_date(found) {
            out.push_str(MARK);
        } else {
            out.extend(found);
        }
        at += last + 1;
    }
    out
}

/// Do the words so far end in "id", "Existing ID: " and the like?
fn ends_with_id(before: &str) -> bool {
    let word = before.trim_end_matches(|c: char| !c.is_alphanumeric());
    let last = word.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    last.eq_ignore_ascii_case("id") || last.ends_with("Id")
}

/// `2026-11-22`, maybe with a time behind it.
fn is_date(found: &[char]) -> bool {
    found.len() >= 10
        && found.iter().take(10).enumerate().all(|(i, c)| if i == 4 || i == 7 { *c == '-' } else { c.is_ascii_digit() })
        && found.starts_with(&['2', '0'])
}

#[cfg(test)]
mod tests {
    use super::vendor_words;

    fn check(words: &str, shown: &str) {
        assert_eq!(vendor_words(words), shown, "{words}");
    }

    #[test]
    fn what_may_quote_the_applicant_is_replaced() {
        check("Invalid email ada.lovelace+x@example.org given", "Invalid email [redacted] given");
        check("see /people?email=ada%40example.org", "see /people?email=[redacted]");
        check("Phone +44 (0)20 7946 0000 is not valid", "Phone [redacted] is not valid");
        check("number 07946-000-000.", "number [redacted].");
        check("first name \"Ada\" too short", "first name [redacted] too short");
        check("Value 'Lovelace' isn't allowed", "Value [redacted] isn't allowed");
        check("le nom «Ada» est pris", "le nom [redacted] est pris");
        check("cut within \"Ada Love", "cut within [redacted]");
        check("jos\u{e9}@example.org exists", "[redacted] exists");
    }

    #[test]
    fn what_names_the_trouble_stays() {
        check("Invalid attribute: 'first_name' can't be blank", "Invalid attribute: 'first_name' can't be blank");
        check("Contact already exists. Existing ID: 12345678901", "Contact already exists. Existing ID: 12345678901");
        check("HTTP 422 after 30 s on 2026-11-22", "HTTP 422 after 30 s on 2026-11-22");
        check("Invalid. Error 404", "Invalid. Error 404");
    }

    #[test]
    fn a_vendor_s_json_is_walked_member_by_member() {
        check(
            r#"{"status":"error","message":"Email ada@example.org is taken","category":"CONFLICT","person":{"name":"Ada","phone":4420794600001},"errors":[{"message":"bad","name":"first_name"}]}"#,
            r#"{"category":"CONFLICT","errors":[{"message":"bad","name":"first_name"}],"message":"Email [redacted] is taken","person":{"name":"[redacted]","phone":"[redacted]"},"status":"error"}"#,
        );
        check(r#"{"Ada Lovelace":"x"}"#, r#"{"[redacted]":"[redacted]"}"#);
        check(
            r#"{"message":"Property \"email\" is Ada","error":"cut"#,
            r#"{"message":[redacted]email\[redacted],"error":[redacted]"#,
        );
    }

    #[test]
    fn control_and_direction_characters_do_not_pass_and_length_is_bounded() {
        check("bad\r\n\u{1b}[31mred\u{202e}", "bad [31mred");
        assert_eq!(super::for_terminal("a\u{1b}]0;owned\u{7}\nb\u{202e}"), "a]0;owned\nb");
        assert!(vendor_words(&"word ".repeat(1_000)).chars().count() <= 601);
    }
}
