//! For tests: what a connector's README says becomes of each field of the canonical application.
//!
//! Holds no opinion on any fate: a connector's own test compares the list with what its mapping does, and the conformance
//! suite, which compiles this file too, with what the vendor then holds.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a README says: the fate, and how or why.
pub(crate) type Fates = BTreeMap<String, (String, String)>;

/// The rows of a README's table of fates: `a.b`, `a.c` | fate | how or why. A row may name a field that has others below it.
///
/// # Panics
/// When there is no such table, or a field stands in it twice: these are tests.
pub(crate) fn fates(readme: &str) -> Fates {
    let mut fates = BTreeMap::new();
    let is_heading = |line: &&str| line.starts_with("## ") && line.contains("fate");
    let table = readme.lines().skip_while(|line| !is_heading(line)).skip(1);
    for row in table.take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert!(cells.len() > 4, "three cells: {row}");
        for field in cells[1].split(',') {
            let field = field.trim().trim_matches('`').to_owned();
            let former = fates.insert(field, (cells[2].to_owned(), cells[3].to_owned()));
            assert!(former.is_none(), "listed twice: {row}");
        }
    }
    assert!(!fates.is_empty(), "the README has no table of fates");
    fates
}

/// The document less what stands at this path.
pub(crate) fn without(document: &mut Value, path: &[&str]) {
    match (document, path) {
        (Value::Array(list), path) => list.iter_mut().for_each(|item| without(item, path)),
        (Value::Object(map), [last]) => {
            map.remove(*last);
        }
        (Value::Object(map), [first, rest @ ..]) => {
            if let Some(inner) = map.get_mut(*first) {
                without(inner, rest);
            }
        }
        (_, _) => {}
    }
}
