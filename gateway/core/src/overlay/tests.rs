//! Each operation as a table, what may be saved, and what a diff says.

use serde_json::{Value, json};

use super::*;

fn field(name: &str, kind: FieldKind, options: &[(&str, &str)]) -> VendorField {
    let option = |(id, label): &(&str, &str)| QuestionOption { id: (*id).to_owned(), label: (*label).to_owned() };
    let options = options.iter().map(option).collect();
    VendorField { name: name.to_owned(), label: name.to_owned(), kind, options, required: false }
}

fn fields() -> Vec<VendorField> {
    let yes_no = [("1", "Yes"), ("0", "No")];
    vec![
        field("text", FieldKind::Text, &[]),
        field("number", FieldKind::Number, &[]),
        field("date", FieldKind::Date, &[]),
        field("one", FieldKind::SingleSelect, &yes_no),
        field("many", FieldKind::MultiSelect, &[("a", "Alpha"), ("b", "Beta")]),
        field("flag", FieldKind::Boolean, &[]),
        field("file", FieldKind::File, &[]),
    ]
}

fn overlay(rule: &Value) -> Overlay {
    let tables = json!({ "boards": { "indeed": "Indeed", "li": "LinkedIn" }, "letters": { "x": "Alpha", "y": "b" } });
    Overlay::parse(&json!({ "format": 1, "rules": [rule], "tables": tables }).to_string()).unwrap()
}

fn document() -> Value {
    json!({
        "eligibility": { "notice": "3 months", "earliest_start": "2026-11-03", "relocation": true },
        "source": { "board": "li" },
        "person": { "languages": [{ "tag": "de-AT" }], "name": { "given": " " } },
        "history": { "skills": ["welding", "x"] },
        "meta": { "submitted_at": "2026-11-03T23:30:00-05:00" },
        "extensions": { "acme": { "cost_centre": 4711, "letters": ["x", "y"], "deep": { "a": 1 } } },
        "answers": [
            { "question": "q1", "value": "07" },
            { "question": "q2", "option": { "id": "44", "label": "Vienna" } },
            { "question": "q3", "options": [{ "id": "a", "label": "Alpha" }, { "id": "b", "label": "Beta" }] },
            { "question": "q4", "declined": true, "value": "x" },
        ],
    })
}

fn check(rule: &Value, expected: Result<Value, NotFilled>) {
    let overlay = overlay(rule);
    let mut all = filled(&overlay, &fields(), &document());
    let (_, result) = all.pop().unwrap();
    assert_eq!([result.map(|filled| filled.value)], [expected], "{rule}");
}

#[test]
fn each_operation_fills_or_says_why_not() {
    use NotFilled::{NoSuchOption, NoSuchPart, NotADate, NotAsked, NotInTable, NothingThere, WrongKind};
    let copy = |field: &str, from: &str| json!({ "op": "copy", "field": field, "from": from });
    check(&copy("text", "/eligibility/notice"), Ok(json!("3 months")));
    check(&copy("text", "/eligibility/relocation"), Ok(json!("true")));
    check(&copy("text", "/history/skills"), Ok(json!("welding, x")));
    check(&copy("text", "/person/name/given"), Err(NothingThere));
    check(&copy("text", "/extensions/acme/deep"), Err(NothingThere));
    check(&copy("text", "answer:q2"), Ok(json!("44")));
    check(&copy("text", "label:q2"), Ok(json!("Vienna")));
    check(&copy("text", "label:q1"), Err(NothingThere));
    check(&copy("text", "answer:q4"), Err(NothingThere));
    check(&copy("number", "answer:q1"), Err(WrongKind));
    check(&copy("number", "/extensions/acme/cost_centre"), Ok(json!(4711)));
    check(&copy("one", "/eligibility/relocation"), Ok(json!("1")));
    check(&copy("one", "/source/board"), Err(NoSuchOption));
    check(&copy("many", "answer:q3"), Ok(json!(["a", "b"])));
    check(&copy("date", "/eligibility/earliest_start"), Ok(json!("2026-11-03")));
    check(&copy("date", "/eligibility/notice"), Err(NotADate));
    check(&copy("flag", "/eligibility/relocation"), Ok(json!(true)));
    check(&copy("elsewhere", "/source/board"), Err(NotAsked));
    check(&json!({ "op": "constant", "field": "one", "value": "yes" }), Ok(json!("1")));
    check(&json!({ "op": "constant", "field": "many", "value": "Beta" }), Ok(json!(["b"])));
    let look = |field: &str, from: &str, table: &str, otherwise: Option<&str>| json!({ "op": "look_up", "field": field, "from": from, "table": table, "otherwise": otherwise });
    check(&look("text", "/source/board", "boards", None), Ok(json!("LinkedIn")));
    check(&look("text", "/eligibility/notice", "boards", None), Err(NotInTable));
    check(&look("text", "/eligibility/notice", "boards", Some("Other")), Ok(json!("Other")));
    check(&look("many", "/extensions/acme/letters", "letters", None), Ok(json!(["a", "b"])));
    let date =
        |field: &str, from: &str, format: &str| json!({ "op": "date", "field": field, "from": from, "format": format });
    check(&date("text", "/eligibility/earliest_start", "%d.%m.%Y"), Ok(json!("03.11.2026")));
    // The day where it was written, not the day in Greenwich.
    check(&date("text", "/meta/submitted_at", "%Y-%m-%d"), Ok(json!("2026-11-03")));
    check(&date("text", "/eligibility/notice", "%Y"), Err(NotADate));
    let split = |part: i32| json!({ "op": "split", "field": "text", "from": "/person/languages/0/tag", "by": "-", "part": part });
    check(&split(0), Ok(json!("de")));
    check(&split(-1), Ok(json!("AT")));
    check(&split(2), Err(NoSuchPart));
    check(&split(-3), Err(NoSuchPart));
}

#[test]
fn what_the_applicant_said_stands() {
    let rules = json!({ "format": 1, "rules": [
        { "op": "constant", "field": "q1", "value": "ours" },
        { "op": "constant", "field": "q4", "value": "ours" },
        { "op": "constant", "field": "one", "value": "1" },
    ] });
    let overlay = Overlay::parse(&rules.to_string()).unwrap();
    let mut fields = fields();
    fields.extend(["q1", "q4"].map(|name| field(name, FieldKind::Text, &[])));
    let mut filled = document();
    let results = into_answers(&overlay, &fields, &mut filled);
    let results: Vec<_> = results.into_iter().map(|(_, result)| result.map(|filled| filled.value)).collect();
    assert_eq!(results, [Err(NotFilled::Answered), Err(NotFilled::Answered), Ok(json!("1"))]);
    let answers = filled["answers"].as_array().unwrap();
    assert_eq!(answers.len(), 5, "answered and declined ones are not answered again");
    assert_eq!(answers[4], json!({ "question": "one", "option": { "id": "1", "label": "Yes" } }));
}

struct All;

impl Asked for All {
    fn has_member(&self, pointer: &str) -> bool {
        pointer != "/person/shoe_size"
    }
    fn has_question(&self, question: &str) -> bool {
        question == "q1"
    }
}

#[test]
fn what_is_wrong_is_told_before_any_application_meets_it() {
    let check = |rule: Value, told: &[&str]| {
        let lines = faults(&overlay(&rule), &fields(), &All);
        assert_eq!(lines.len(), told.len(), "{rule}: {lines:?}");
        for (line, told) in lines.iter().zip(told) {
            assert!(line.contains(told), "{line}");
        }
    };
    let copy = |field: &str, from: &str| json!({ "op": "copy", "field": field, "from": from });
    check(copy("text", "/eligibility/notice"), &[]);
    check(copy("text", "answer:q1"), &[]);
    check(copy("text", "answer:q9"), &["no posting that was read asks q9"]);
    check(copy("text", "/person/shoe_size"), &["no single value at /person/shoe_size"]);
    check(copy("text", "/demographics/0/answers/gender"), &["demographics goes where it was asked for"]);
    check(copy("text", "/accommodation"), &["accommodation goes where"]);
    check(copy("text", "/answers/0/value"), &["or answer:QUESTION"]);
    check(copy("text", "notice"), &["write a JSON pointer"]);
    check(copy("colour", "/source/board"), &["the vendor has no such field"]);
    check(copy("file", "/source/board"), &["it takes a file"]);
    check(json!({ "op": "constant", "field": "one", "value": "maybe" }), &["one of 1 (Yes), 0 (No)"]);
    check(json!({ "op": "constant", "field": "text", "value": "ada@example.org" }), &["an e-mail address"]);
    check(json!({ "op": "look_up", "field": "text", "from": "/source/board", "table": "none" }), &["no table none"]);
    check(json!({ "op": "look_up", "field": "one", "from": "/source/board", "table": "boards" }), &["table boards"]);
    check(json!({ "op": "date", "field": "text", "from": "/source/board", "format": "%Q" }), &["no date format"]);
    check(json!({ "op": "date", "field": "date", "from": "/source/board", "format": "%d/%m" }), &["2026-11-22"]);
    check(json!({ "op": "split", "field": "text", "from": "/source/board", "by": "", "part": 0 }), &["`by` is empty"]);
}

#[test]
fn a_text_that_is_no_overlay_is_told_so_without_its_values() {
    for text in [
        "",
        "{",
        "[]",
        r#"{"format":2}"#,
        r#"{"format":1,"rulez":[]}"#,
        r#"{"format":1,"rules":[{"op":"cel","field":"x","from":"secret"}]}"#,
        r#"{"format":1,"rules":[{"op":"copy","field":"x","from":"/a","to":"secret"}]}"#,
    ] {
        let told = Overlay::parse(text).unwrap_err();
        assert!(!told.contains("secret"), "{told}");
    }
}

#[test]
fn a_diff_names_what_is_new_gone_and_changed() {
    let version = |rules: Value, board: &str| {
        let text = json!({ "format": 1, "rules": rules, "tables": { "boards": { "li": board } } }).to_string();
        Overlay::parse(&text).unwrap()
    };
    let copy = |field: &str, from: &str| json!({ "op": "copy", "field": field, "from": from });
    let old = version(json!([copy("a", "/source/board"), copy("b", "/source/board")]), "LinkedIn");
    let new = version(json!([copy("b", "/eligibility/notice"), copy("c", "/source/board")]), "Linked In");
    assert_eq!(
        new.diff(&old),
        [
            "- a: copy /source/board",
            "~ b: copy /source/board -> copy /eligibility/notice",
            "+ c: copy /source/board",
            "~ table boards: li = LinkedIn -> Linked In",
        ]
    );
    assert!(new.diff(&new).is_empty());
}
