//! The targets over the checked-in corpora and mutations of them, and the corpora themselves as tables.

use std::path::Path;

use super::*;

#[path = "../../../tests/fuzz/driver.rs"]
mod driver;
use driver::drive;

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every file below, with its path.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() { folders.push(path) } else { found.push(std::fs::read(path).unwrap()) }
        }
    }
    found
}

/// `\t`, `\n`, `\r`, `\\` and `\xNN` undone.
fn bytes_of(escaped: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = escaped.chars();
    while let Some(c) = rest.next() {
        bytes.push(match (c, if c == '\\' { rest.next() } else { None }) {
            ('\\', Some('t')) => b'\t',
            ('\\', Some('n')) => b'\n',
            ('\\', Some('r')) => b'\r',
            ('\\', Some('x')) => {
                let digits: String = rest.by_ref().take(2).collect();
                u8::from_str_radix(&digits, 16).unwrap()
            }
            ('\\', Some('\\')) => b'\\',
            (plain, _) => u8::try_from(u32::from(plain)).unwrap(),
        });
    }
    bytes
}

/// The parsing suite: each case's name and bytes.
fn parsing() -> Vec<(String, Vec<u8>)> {
    let text = std::fs::read_to_string(root().join("tests/corpora/json_parsing.tsv")).unwrap();
    let mut cases: Vec<_> = text
        .lines()
        .map(|line| {
            let (name, escaped) = line.split_once('\t').unwrap();
            (name.to_owned(), bytes_of(escaped))
        })
        .collect();
    // Too long to be kept as text.
    cases.push(("n_structure_100000_opening_arrays".to_owned(), b"[".repeat(100_000)));
    cases.push(("n_structure_open_array_object".to_owned(), b"[{\"\":".repeat(50_000)));
    assert_eq!(cases.len(), 318);
    cases
}

fn naughty() -> Vec<String> {
    serde_json::from_slice(&std::fs::read(root().join("tests/corpora/naughty_strings.json")).unwrap()).unwrap()
}

/// What the strict reader refuses although JSON allows it: what two readers may take for two things.
const STRICTER: &[&str] = &[
    "y_object_duplicated_key",
    "y_object_duplicated_key_and_value",
    "y_object_escaped_null_in_key",
    "y_string_null_escape",
];

#[test]
fn the_parsing_suite_is_read_as_it_says() {
    let mut wrong = Vec::new();
    for (name, bytes) in parsing() {
        json_accept(&bytes);
        let taken = WORLD.schemas.parse(&bytes).is_ok();
        let right = match name.as_bytes().first() {
            Some(b'y') => taken != STRICTER.contains(&name.as_str()),
            Some(b'n') => !taken,
            // Readers are free there, and so may be read in two ways.
            _ => true,
        };
        if !right {
            wrong.push((name, taken));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// A document as the schemas take it, with this family name.
fn named(name: &str) -> Value {
    serde_json::json!({
        "job": "4001",
        "person": { "name": { "given": "Ada", "family": name }, "emails": [{ "address": "ada@example.org" }] },
    })
}

#[test]
fn a_naughty_name_is_kept_byte_for_byte_or_refused_with_a_reason() {
    let (mut kept, mut refused) = (0, 0);
    for name in naughty() {
        let document = named(&name);
        let bytes = document.to_string().into_bytes();
        json_accept(&bytes);
        let Ok(parsed) = WORLD.schemas.parse(&bytes) else {
            assert!(name.contains('\0'), "{name:?} is text");
            refused += 1;
            continue;
        };
        let verdict = WORLD.schemas.check(&parsed, &[]);
        if verdict.is_valid() {
            let application = Application::parse(&bytes).unwrap();
            assert_eq!(application.person.name.family, name);
            kept += 1;
        } else {
            let errors = verdict.all_errors();
            assert!(errors.iter().all(|error| error.pointer == "/person/name/family"), "{name:?}: {errors:?}");
            assert!(errors.iter().all(|error| name.len() < 8 || !error.message.contains(&name)), "{errors:?}");
            refused += 1;
        }
    }
    assert!(kept > 400, "{kept} kept, {refused} refused");
}

#[test]
fn any_body_is_read_in_one_way_or_refused() {
    let mut corpus: Vec<Vec<u8>> = parsing().into_iter().map(|(_, bytes)| bytes).filter(|b| b.len() < 5_000).collect();
    corpus.extend(files("schemas/canonical/valid"));
    corpus.extend(files("schemas/canonical/invalid"));
    corpus.extend(naughty().iter().map(|name| named(name).to_string().into_bytes()));
    drive(&corpus, 6_000, json_accept);
}

#[test]
fn any_multipart_body_is_read_in_one_way_or_refused() {
    let one = |parts: &str| parts.replace('\n', "\r\n").into_bytes();
    let application =
        "--b\nContent-Disposition: form-data; name=\"application\"\nContent-Type: application/json\n\n{}\n";
    let file = |name: &str, more: &str| {
        format!("--b\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a.pdf\"{more}\n\n%PDF-\n--x\n\n")
    };
    let mut corpus = vec![
        one(&format!("{application}--b--\n")),
        one(&format!("{application}--b--")),
        one(&format!("{application}{}{}--b--\n", file("cv", ""), file("letter", "; filename*=UTF-8''a.pdf"))),
        one(&format!("{application}{}--b--\n", file("cv\\\"\\\\", ""))),
        one(&format!("{application}{}{}--b--\n", file("cv", ""), file("cv", ""))),
        one(&format!("{application}{application}--b--\n")),
        one("--b--\n"),
        one(&format!("preamble\n{application}--b--\nepilogue")),
    ];
    let many: String = (0..11).map(|number| file(&format!("f{number}"), "")).collect();
    corpus.push(one(&format!("{application}{many}--b--\n")));
    drive(&corpus, 20_000, multipart_body);
}

#[test]
fn any_form_of_a_vendor_has_a_schema_that_compiles_or_is_refused() {
    let mut corpus = Vec::new();
    for folder in std::fs::read_dir(root().join("connectors")).unwrap() {
        let testdata = folder.unwrap().path().join("testdata");
        if testdata.is_dir() {
            let below = testdata.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            corpus.extend(files(&below).into_iter().filter(|bytes| bytes.starts_with(b"{")));
        }
    }
    // Bytes alone seldom leave a form: its values are changed as well.
    let mut dice = driver::Dice::new(3);
    let forms: Vec<Value> = corpus.iter().filter_map(|bytes| serde_json::from_slice(bytes).ok()).collect();
    for round in 0..3_000 {
        let mut form = forms[round % forms.len()].clone();
        for _ in 0..=dice.below(3) {
            spoil(&mut form, &mut dice);
        }
        corpus.push(form.to_string().into_bytes());
    }
    drive(&corpus, 1_000, form_to_schema);
}

/// Another value somewhere.
fn spoil(value: &mut Value, dice: &mut driver::Dice) {
    let long = || Value::from("x".repeat(5_000));
    let strange = [
        Value::Null,
        Value::from(true),
        Value::from(-1),
        Value::from(1e300),
        Value::from(""),
        Value::from("(a+)+$"),
        Value::from("input_file"),
        Value::from("MultiValueSelect"),
        Value::from("question_1[]"),
        Value::from("__proto__"),
        Value::from("\u{202e}\"\\/~1"),
        long(),
        Value::Array(vec![Value::Null; 2_000]),
        serde_json::json!({}),
        serde_json::json!({ "value": "1", "label": "One" }),
    ];
    let deeper = dice.below(8) > 0;
    match value {
        Value::Array(items) if deeper && !items.is_empty() => {
            let at = dice.below(items.len());
            if dice.below(6) == 0 {
                let again = items[at].clone();
                items.push(again);
            } else {
                spoil(&mut items[at], dice);
            }
        }
        Value::Object(members) if deeper && !members.is_empty() => {
            let name = members.keys().nth(dice.below(members.len())).unwrap().clone();
            if dice.below(12) == 0 {
                members.remove(&name);
            } else {
                spoil(members.get_mut(&name).unwrap(), dice);
            }
        }
        _ => *value = strange[dice.below(strange.len())].clone(),
    }
}

#[test]
fn any_text_is_a_key_or_code_of_ours_or_refused() {
    let ids = SubmissionId::new(NOW, &SeededEntropy::new(1)).to_string();
    let code = Codes::new(&[7; 32]).of(12_345).unwrap();
    let corpus = [ids.into_bytes(), code.clone().into_bytes(), code.to_lowercase().into_bytes(), b"0OIL-1l1o".to_vec()];
    let corpus: Vec<Vec<u8>> = corpus.into_iter().chain([WORLD.wrapped.clone()]).collect();
    drive(&corpus, 30_000, keys_and_codes);
}
