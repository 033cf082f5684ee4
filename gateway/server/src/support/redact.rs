//! Makes a vendor's words fit to be shown: what may quote the applicant is replaced, what names the trouble stays.
//!
//! For the support engineer ([`vendor_words`]) it goes by form, since the applicant's own values are not at hand: e-mail
//! addresses, numbers that could be phone numbers, what looks like a secret, whatever the vendor put in quotation marks
//! unless it is a field name or an error code, and the staff's names, which are known. A vendor's JSON is walked member by
//! member. For the customer ([`for_customer`]) that is not enough, because a name without quotation marks has no form:
//! of what is left, only words of a fixed vocabulary pass. It errs on the side of hiding. Control and direction characters
//! never pass.

use serde_json::Value;

use super::vocabulary;

/// What stands where something was taken out.
pub const MARK: &str = "[redacted]";

/// At most so many characters of a vendor's words are shown.
const CHARS_MAX: usize = 600;

/// How names of a posting's own fields begin; digits follow.
const FIELD: &str = "question_";

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

/// The vendor's words, fit to be shown to a support engineer. `staff` are names of recruiters and managers.
pub fn vendor_words(words: &str, staff: &[&str]) -> String {
    let words = without_names(words, staff);
    let shown = match serde_json::from_str::<Value>(&words) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => json(&value, false).to_string(),
        _ => text(&words),
    };
    let one_line: Vec<&str> = shown.split_whitespace().collect();
    let one_line: String = one_line.join(" ").chars().filter(|c| !is_hidden(*c)).collect();
    if one_line.chars().count() <= CHARS_MAX {
        return one_line;
    }
    one_line.chars().take(CHARS_MAX).chain(['…']).collect()
}

/// What is left of [`vendor_words`] in a text that leaves the house: known words, field names and short numbers. Empty when
/// nothing that tells anything is left.
pub fn for_customer(redacted: &str) -> String {
    let mut out = String::with_capacity(redacted.len());
    let mut word = String::new();
    let mut told = false;
    for c in redacted.chars().map(Some).chain([None]) {
        match c {
            Some(c) if c.is_alphanumeric() || in_address(c) || matches!(c, '\'' | '/' | '=' | '~') => word.push(c),
            other => {
                let known = is_known(&word);
                told |= known && word.chars().count() > 2;
                if known || word.is_empty() || word == "redacted" {
                    out.push_str(&word);
                } else {
                    out.push_str(MARK);
                }
                word.clear();
                out.extend(other.map(|c| if c.is_ascii() { c } else { ' ' }));
            }
        }
    }
    // The mark's own word was kept, with its brackets; several in a row say no more than one.
    let mut shown: Vec<&str> = Vec::new();
    for word in out.split_whitespace() {
        if word != MARK || shown.last() != Some(&MARK) {
            shown.push(word);
        }
    }
    if told { shown.join(" ") } else { String::new() }
}

/// A word of the vocabulary, a field name or error code made of such words, or a number too short to be anybody's.
fn is_known(word: &str) -> bool {
    let word = word.trim_matches(['.', '-', '\'', '/', '=']);
    if word.is_empty() {
        return true;
    }
    if let Some(id) = word.strip_prefix(FIELD) {
        return id.len() <= 20 && id.chars().all(|c| c.is_ascii_digit());
    }
    let short_number = |part: &str| part.len() <= 3 && part.chars().all(|c| c.is_ascii_digit());
    if short_number(word) {
        return true;
    }
    vocabulary::knows(word) || (is_identifier(word) && word.split(['_', '-', '.']).all(vocabulary::knows))
}

/// The text without these names and without the longer parts of them.
fn without_names(words: &str, names: &[&str]) -> String {
    let parts = names.iter().flat_map(|name| name.split(|c: char| !c.is_alphanumeric()));
    let parts: Vec<String> = parts.filter(|part| part.chars().count() >= 2).map(str::to_lowercase).collect();
    if parts.is_empty() {
        return words.to_owned();
    }
    let mut out = String::with_capacity(words.len());
    let mut word = String::new();
    for c in words.chars().map(Some).chain([None]) {
        match c {
            Some(c) if c.is_alphanumeric() => word.push(c),
            other => {
                let named = parts.iter().any(|part| *part == word.to_lowercase());
                out.push_str(if named { MARK } else { &word });
                word.clear();
                out.extend(other);
            }
        }
    }
    out
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
                // The vendor's own support asks for it, and it has the form of a secret.
                if name.eq_ignore_ascii_case("correlationid") && member.as_str().is_some_and(is_uuid) {
                    return (name.clone(), member.clone());
                }
                // `name` tells in an error's entry ("name": "email"), and is a person's in a record: only codes pass.
                let telling = TELLING.contains(&name.to_lowercase().as_str()) && name != "name" && name != "in";
                (if is_identifier(name) { name.clone() } else { MARK.to_owned() }, json(member, telling))
            });
            Value::Object(shown.collect())
        }
    }
}

/// Plain text with secrets, addresses, numbers and quotations replaced.
fn text(words: &str) -> String {
    numbers(&addresses(&quotations(&secrets(words))))
}

/// An error code such as `INVALID_EMAIL`, or a field name such as `first_name`: an underscore tells it from a name.
fn is_code(word: &str) -> bool {
    word.contains('_') && is_identifier(word) && !is_secret(word)
}

/// Letters and digits mixed at length, as in keys and tokens; but `question_<digits>` is a field's name.
fn is_secret(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let letters = word.chars().filter(char::is_ascii_alphabetic).count();
    let field = word.strip_prefix(FIELD).is_some_and(|id| id.chars().all(|c| c.is_ascii_digit()));
    word.chars().count() >= 16 && digits > 0 && letters > 0 && !field || word.chars().count() >= 40
}

fn is_uuid(word: &str) -> bool {
    let lengths: Vec<usize> = word.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

/// Replaces what looks like a key or token, and whatever follows `Bearer` and `Basic` and is no plain word.
fn secrets(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    let (mut word, mut scheme) = (String::new(), false);
    for c in words.chars().map(Some).chain([None]) {
        match c {
            Some(c) if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '/' | '=' | '~' | '.') => {
                word.push(c);
            }
            other => {
                let hidden = is_secret(&word) || (scheme && !vocabulary::knows(&word));
                out.push_str(if hidden && !word.is_empty() { MARK } else { &word });
                if !word.is_empty() {
                    scheme = word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic");
                }
                word.clear();
                out.extend(other);
            }
        }
    }
    out
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
        let within_word = at > 0 && letters[at - 1].is_alphanumeric() || out.ends_with(FIELD);
        let starts = (c.is_ascii_digit() || c == '+') && !within_word;
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
        assert_eq!(vendor_words(words, &["Rita de la Cruz"]), shown, "{words}");
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
    fn secrets_and_known_names_do_not_pass() {
        check("Bearer abc.def is wrong", "Bearer [redacted] is wrong");
        check("Basic c2VjcmV0Og== refused", "Basic [redacted] refused");
        check("Invalid Basic Auth credentials", "Invalid Basic Auth credentials");
        check("token pat-na1-3f1c2b9a-7d7e-4c1a expired", "token [redacted] expired");
        check(r#"key "sk_live_4242abcd4242" unknown"#, "key [redacted] unknown");
        check("apikey=0123456789abcdef0123", "[redacted]");
        check("ask RITA Cruz", "ask [redacted] [redacted]");
        check("question_4012345678 is blank", "question_4012345678 is blank");
        check(
            r#"{"correlationId":"aeb5f871-7f07-4993-9211-075dc63e7cbf","message":"key aeb5f871-7f07-4993-9211-075dc63e7cbf"}"#,
            r#"{"correlationId":"aeb5f871-7f07-4993-9211-075dc63e7cbf","message":"key [redacted]"}"#,
        );
    }

    #[test]
    fn a_customer_reads_known_words_only() {
        for (words, shown) in [
            ("Invalid Basic Auth credentials", "Invalid Basic Auth credentials"),
            ("The phone number of Ada Example is not valid", "The phone number of [redacted] is not valid"),
            ("Invalid attribute: 'first_name' can't be blank", "Invalid attribute: 'first_name' can't be blank"),
            ("Status 422 for question_4012345678", "Status 422 for question_4012345678"),
            ("born 1988-04-02, lives in Berlin", ""),
            ("Ада Лавлейс уже есть", ""),
            ("ada_lovelace", ""),
            ("INVALID_EMAIL", "INVALID_EMAIL"),
            (
                r#"{"message":"Property values were not valid","name":"Ada"}"#,
                r#"{"message":"Property values were not valid","name":"[redacted]"}"#,
            ),
        ] {
            assert_eq!(super::for_customer(&vendor_words(words, &[])), shown, "{words}");
        }
    }

    #[test]
    fn control_and_direction_characters_do_not_pass_and_length_is_bounded() {
        check("bad\r\n\u{1b}[31mred\u{202e}", "bad [31mred");
        assert_eq!(super::for_terminal("a\u{1b}]0;owned\u{7}\nb\u{202e}"), "a]0;owned\nb");
        assert!(vendor_words(&"word ".repeat(1_000), &[]).chars().count() <= 601);
    }
}
