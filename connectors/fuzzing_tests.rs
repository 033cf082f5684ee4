//! The target over every recorded answer of every vendor, and mutations of them.

use std::path::Path;

use super::*;

#[path = "../tests/fuzz/driver.rs"]
mod driver;

/// What is recorded as a JSON text, or stands in the open, as an answer; each with other statuses as well.
fn recorded(value: &Value, into: &mut Vec<Vec<u8>>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| recorded(item, into)),
        Value::Object(members) => {
            let status = members.get("status").and_then(Value::as_u64).unwrap_or(200);
            let body = members.get("body").map(|body| body.as_str().map_or_else(|| body.to_string(), str::to_owned));
            if let Some(body) = body {
                into.push(format!("{status}\n{body}").into_bytes());
            }
            into.push(format!("200\n{value}").into_bytes());
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The corpus of one folder: each answer alone, and each before and after another.
pub(crate) fn corpus(vendor: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(vendor).join("testdata");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut single = Vec::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|kind| kind == "json")) {
        let bytes = std::fs::read(path).unwrap();
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        // Some are named after their status.
        let name = path.file_stem().unwrap().to_str().unwrap();
        let status = name.rsplit('_').find_map(|part| part.parse::<u16>().ok()).unwrap_or(200);
        single.push([format!("{status}\n").as_bytes(), &bytes].concat());
        recorded(&value, &mut single);
    }
    for plain in ["unsent", "lost", "later", "204\n", "200\n", "201\n{}", "200\n{", "401\n{}", "404\n{}", "409\n{}"] {
        single.push(plain.as_bytes().to_vec());
    }
    for wait in
        ["5", "-1", "99999999999999999999", "Wed, 21 Oct 2015 07:28:00 GMT", "<https://a/?cursor=c>; rel=\"next\""]
    {
        single.push(format!("429 {wait}\n{{}}").into_bytes());
        single.push(format!("200 {wait}\n[]").into_bytes());
    }
    let mut dice = driver::Dice::new(11);
    let mut corpus = single.clone();
    for _ in 0..single.len() * 2 {
        let picked = (0..4).map(|_| single[dice.below(single.len())].clone()).collect::<Vec<_>>();
        corpus.push(picked.join(SEPARATOR));
    }
    corpus
}

/// Drives one connector over its own corpus and these answers in a row, which lead to the end of a delivery. `is_yes`
/// knows the vendor's documented yes to a step.
pub(crate) fn check(
    connector: &dyn Connector,
    all_well: &[&str],
    is_yes: impl Fn(&str, &Response<Bytes>, Option<&Value>) -> bool,
) {
    let well = all_well.join("\n~~~\n").into_bytes();
    let plan = tried(connector, &well);
    assert!(
        plan.iter().all(|tried| matches!(tried.outcome.class, Class::Accepted | Class::AlreadyThere)),
        "{:?}",
        plan.iter().map(|tried| (tried.step, tried.outcome.class, tried.outcome.reason)).collect::<Vec<_>>()
    );
    let mut corpus = corpus(connector.describe().name);
    // Every second mutation is one of a delivery that goes well.
    corpus.extend(std::iter::repeat_n(well, corpus.len()));
    let count = std::cell::Cell::new(0u32);
    driver::drive(&corpus, 2_500, |bytes| {
        for Tried { step, outcome, answers } in tried(connector, bytes) {
            if matches!(outcome.class, Class::Accepted | Class::AlreadyThere) {
                let documented = answers
                    .iter()
                    .any(|answer| is_yes(step, answer, serde_json::from_slice(answer.body()).ok().as_ref()));
                assert!(documented || outcome.case.is_some(), "{step}: {:?} to {answers:?}", outcome.class);
                count.set(count.get() + 1);
            }
        }
    });
    assert!(count.get() > 300, "a run that hardly ever hears a yes shows nothing: {}", count.get());
}

#[test]
fn any_answer_of_any_vendor_comes_to_something() {
    for connector in crate::all() {
        let corpus = corpus(connector.describe().name);
        driver::drive(&corpus, 400, answers);
    }
}
