//! The rules. Each takes the tree and returns its complaints; none reads anything else.

use super::tree::Tree;

/// What is wrong, where, and what to do.
pub(crate) type Complaint = String;

const LINES_AT_MOST: usize = 600;
const LINES_WITHOUT_DOCS: usize = 40;

/// The folders of connectors, by what is there.
fn vendors(tree: &Tree) -> Vec<String> {
    let mut names: Vec<String> = tree
        .0
        .keys()
        .filter_map(|path| path.strip_prefix("connectors/")?.split_once("/mod.rs").map(|(name, _)| name.to_owned()))
        .filter(|name| !name.contains('/'))
        .collect();
    names.dedup();
    names
}

pub(crate) fn size(tree: &Tree) -> Vec<Complaint> {
    tree.rust()
        .map(|(path, code)| (path, code.lines().count()))
        .filter(|(_, lines)| *lines > LINES_AT_MOST)
        .map(|(path, lines)| format!("{path}: {lines} lines; split it below {LINES_AT_MOST}"))
        .collect()
}

pub(crate) fn module_docs(tree: &Tree) -> Vec<Complaint> {
    tree.rust()
        .filter(|(_, code)| code.lines().count() >= LINES_WITHOUT_DOCS && !code.starts_with("//!"))
        .map(|(path, _)| {
            format!("{path}: open it with `//!`: what it is responsible for, what not, what it keeps true")
        })
        .collect()
}

/// Who may not know whom: a path prefix and the words its code must not hold.
const BORDERS: &[(&str, &[&str])] = &[
    ("gateway/core/", &["tokio::", "rusqlite", "hyper::", "axum::", "std::net", "std::fs", "std::env"]),
    ("gateway/server/src/ingress/", &["crate::egress", "crate::dispatch"]),
    ("gateway/server/src/intake", &["crate::egress", "crate::dispatch"]),
    ("gateway/server/src/store/", &["crate::queue", "crate::egress", "crate::ingress", "axum::", "hyper::"]),
    ("gateway/server/src/queue/", &["crate::store", "crate::egress", "crate::ingress"]),
    ("gateway/server/src/egress/", &["crate::store::Store", "crate::queue", "crate::ingress", "rusqlite"]),
    ("gateway/server/src/retry", &["crate::store", "crate::egress", "tokio::"]),
    ("gateway/server/src/support/", &["crate::egress", "rusqlite"]),
    ("connectors/sandboxes/", &["causeway_core", "causeway_connectors"]),
];

pub(crate) fn import_direction(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, code) in tree.rust() {
        let is_connector = path.starts_with("connectors/")
            && !path.starts_with("connectors/sandboxes/")
            && !path.starts_with("connectors/conformance/")
            && !path.contains("sandbox");
        // Test files read their data from disk.
        if is_connector && is_test(path) {
            continue;
        }
        let connector_border: (&str, &[&str]) =
            ("connectors/", &["tokio::", "hyper::", "axum::", "std::env", "std::fs", "std::net", "thread::sleep"]);
        let sandbox_border: (&str, &[&str]) = ("connectors/", &["causeway_core", "causeway_connectors"]);
        let borders = BORDERS
            .iter()
            .copied()
            .chain(is_connector.then_some(connector_border))
            .chain((path.contains("/sandbox")).then_some(sandbox_border));
        for (prefix, words) in borders.filter(|(prefix, _)| path.starts_with(prefix)) {
            for (number, line) in code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
                for word in words.iter().filter(|word| line.contains(**word)) {
                    complaints.push(format!("{path}:{}: {prefix} must not know `{word}`", number + 1));
                }
            }
        }
    }
    complaints
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("tests.rs")
}

pub(crate) fn vendor_names(tree: &Tree) -> Vec<Complaint> {
    let names = vendors(tree);
    let mut complaints = Vec::new();
    let places = ["gateway/core/src/", "gateway/server/src/"];
    for (path, code) in tree.rust().filter(|(path, _)| places.iter().any(|place| path.starts_with(place))) {
        // The demonstration plays a customer with accounts at known vendors: it is the one caller that names them.
        if path.starts_with("gateway/server/src/demo/") {
            continue;
        }
        for (number, line) in code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for name in names.iter().filter(|name| line.to_lowercase().contains(name.as_str())) {
                complaints.push(format!("{path}:{}: `{name}` belongs in connectors/{name}/", number + 1));
            }
        }
    }
    complaints
}

/// A vendor is a folder with everything in it, two lines and a word in the one list, and in the conformance suite.
pub(crate) fn connectors(tree: &Tree) -> Vec<Complaint> {
    const LIST: &str = "connectors/vendors.rs";
    let list = tree.0.get(LIST).map_or("", String::as_str);
    let mut complaints = Vec::new();
    for name in vendors(tree) {
        for file in ["mod.rs", "map.rs", "wire.rs", "outcome.rs", "README.md", "conformance.json", "sandbox/mod.rs"] {
            if !tree.0.contains_key(&format!("connectors/{name}/{file}")) {
                complaints.push(format!("connectors/{name}/: {file} is missing"));
            }
        }
        if !tree.0.keys().any(|path| path.starts_with(&format!("connectors/{name}/testdata/"))) {
            complaints.push(format!("connectors/{name}/: testdata/ is missing"));
        }
        if !list.lines().any(|line| line == format!("pub(crate) mod {name};")) {
            complaints.push(format!("{LIST}: `pub(crate) mod {name};` is missing"));
        }
        if !list.contains(&format!("{name}::")) {
            complaints.push(format!("{LIST}: {name} is not in the list"));
        }
        if !list.contains(&format!("path = \"{name}/sandbox/mod.rs\"")) {
            complaints.push(format!("{LIST}: {name}'s sandbox is not compiled"));
        }
        let Some(description) = tree.0.get(&format!("connectors/{name}/conformance.json")) else { continue };
        // Each class is shown, or it is said why this vendor has no such answer.
        for class in OUTCOME_CLASSES.iter().filter(|class| !description.contains(&format!("\"{class}\""))) {
            complaints.push(format!("connectors/{name}/conformance.json: no outcome is `{class}`"));
        }
    }
    complaints
}

/// As `core/outcome` has them; a test of the suite compares the two.
const OUTCOME_CLASSES: [&str; 7] =
    ["accepted", "already_there", "refused", "unauthorised", "not_now", "unavailable", "unknown"];

pub(crate) fn leftovers(tree: &Tree) -> Vec<Complaint> {
    // Written in halves so that this file does not complain about itself.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:"), concat!("not built", " yet")];
    let mut complaints = Vec::new();
    for (path, text) in tree.0.iter().filter(|(path, _)| path.ends_with(".rs") || path.ends_with(".md")) {
        for (number, line) in text.lines().enumerate() {
            for mark in marks.iter().filter(|mark| line.contains(**mark)) {
                complaints.push(format!("{path}:{}: `{mark}`: do it, or say it in an issue", number + 1));
            }
        }
    }
    complaints
}

pub(crate) fn dead_files(tree: &Tree) -> Vec<Complaint> {
    let roots = ["main.rs", "lib.rs", "build.rs"];
    let mut complaints = Vec::new();
    for (path, _) in tree.rust() {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        if roots.contains(&file)
            || path.contains("/src/bin/")
            || folder.ends_with("benches")
            || folder.ends_with("examples")
        {
            continue;
        }
        let (parent, name) = if file == "mod.rs" {
            folder.rsplit_once('/').unwrap_or(("", folder))
        } else {
            (folder, file.trim_end_matches(".rs"))
        };
        let declared = tree.rust().any(|(other, _)| {
            let text = &tree.0[other];
            let (other_folder, _) = other.rsplit_once('/').unwrap_or(("", other));
            let by_name = (other_folder == parent || format!("{parent}.rs") == other)
                && text.lines().any(|line| line.trim().ends_with(&format!("mod {name};")));
            let by_path = text.lines().any(|line| {
                let line = line.trim();
                let to = line.strip_prefix("#[").and_then(|line| line.split_once("path = \""));
                to.and_then(|(_, to)| to.split_once('"')).is_some_and(|(to, _)| {
                    path.ends_with(to.trim_start_matches("../")) || path.ends_with(to.trim_start_matches("./"))
                })
            });
            by_name || by_path
        });
        let is_test_target = tree.0.iter().any(|(other, text)| {
            other.ends_with("Cargo.toml") && text.contains(&format!("{}\"", path)) && text.contains("[[test]]")
        });
        if !declared && !is_test_target {
            complaints.push(format!("{path}: no file declares it"));
        }
    }
    complaints
}

pub(crate) fn decisions(tree: &Tree) -> Vec<Complaint> {
    let pages: Vec<&String> = tree.0.keys().filter(|path| path.starts_with("gateway/decisions/0")).collect();
    pages
        .iter()
        .enumerate()
        .filter(|(index, path)| !path.starts_with(&format!("gateway/decisions/{:04}-", index + 1)))
        .map(|(index, path)| format!("{path}: the {}. decision should carry number {:04}", index + 1, index + 1))
        .collect()
}

/// An application's way through ten files, each naming the one before and the one after.
pub(crate) fn reading_path(tree: &Tree) -> Vec<Complaint> {
    const STATIONS: [(&str, &str); 10] = [
        ("ingress", "gateway/server/src/ingress/mod.rs"),
        ("intake", "gateway/server/src/intake/mod.rs"),
        ("schema", "gateway/server/src/schema/mod.rs"),
        ("store", "gateway/server/src/store/mod.rs"),
        ("dispatch", "gateway/server/src/dispatch/mod.rs"),
        ("connector", "connectors/"),
        ("egress", "gateway/server/src/egress/mod.rs"),
        ("outcome", "gateway/core/src/outcome.rs"),
        ("retry", "gateway/server/src/retry.rs"),
        ("support", "gateway/server/src/support/mod.rs"),
    ];
    let sentence = |place: &str| {
        let mut files = tree.0.iter().filter(|(path, _)| path.starts_with(place) && path.ends_with(".rs"));
        files.find_map(|(_, text)| {
            let head: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
            head.split_once("Reading path:").map(|(_, rest)| rest.chars().take(160).collect::<String>())
        })
    };
    let mut complaints = Vec::new();
    for (index, (name, place)) in STATIONS.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| STATIONS.get(before));
        let neighbours = [before, STATIONS.get(index + 1)].into_iter().flatten();
        let told = sentence(place).unwrap_or_default();
        let missing = neighbours.filter(|(neighbour, _)| !told.contains(neighbour));
        complaints.extend(missing.map(|(neighbour, _)| format!("{place}: {name} does not name {neighbour}")));
    }
    complaints
}

pub(crate) fn honest_tests(tree: &Tree) -> Vec<Complaint> {
    let ignore = concat!("#[ig", "nore");
    let sleeps = [concat!("thread::sl", "eep("), concat!("time::sl", "eep(")];
    let mut complaints = Vec::new();
    for (path, text) in tree.0.iter().filter(|(path, _)| path.ends_with(".rs")) {
        let tests_from =
            if path.starts_with("tests/") { 0 } else { text.find("#[cfg(test)]\nmod ").unwrap_or(text.len()) };
        for (number, line) in text.lines().enumerate() {
            if line.contains(ignore) {
                complaints.push(format!("{path}:{}: nothing is ignored", number + 1));
            }
        }
        let tests = text.get(tests_from..).unwrap_or("");
        if tests.contains("start_paused") {
            continue; // a sleep under a paused clock costs nothing
        }
        if sleeps.iter().any(|sleep| tests.contains(sleep)) {
            complaints.push(format!("{path}: a test sleeps; wait for the event instead, or pause the clock"));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn tree(files: &[(&str, &str)]) -> Tree {
        Tree(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect::<BTreeMap<_, _>>())
    }

    fn check(rule: fn(&Tree) -> Vec<Complaint>, files: &[(&str, &str)], complaints: usize) {
        assert_eq!(rule(&tree(files)).len(), complaints, "{:?}", rule(&tree(files)));
    }

    #[test]
    fn each_rule_finds_what_it_is_for() {
        check(size, &[("a/b.rs", &"x\n".repeat(601))], 1);
        check(size, &[("a/b.rs", &"x\n".repeat(600))], 0);
        check(module_docs, &[("a/b.rs", &"x\n".repeat(40))], 1);
        check(module_docs, &[("a/b.rs", &format!("//! y\n{}", "x\n".repeat(40)))], 0);
        check(import_direction, &[("gateway/core/src/a.rs", "use tokio::sync;\n")], 1);
        check(import_direction, &[("gateway/core/src/a.rs", "// tokio::sync\n")], 0);
        check(import_direction, &[("connectors/acme/mod.rs", "use hyper::body;\n")], 1);
        check(import_direction, &[("connectors/acme/sandbox.rs", "use causeway_core::ids;\n")], 1);
        check(decisions, &[("gateway/decisions/0002-x.md", "")], 1);
        check(reading_path, &[("gateway/core/src/outcome.rs", "//! Reading path: `egress`, `retry`.")], 16);
        check(leftovers, &[("a/b.rs", concat!("// TO", "DO later\n"))], 1);
        check(honest_tests, &[("tests/a.rs", concat!("thread::sl", "eep(d);"))], 1);
        check(honest_tests, &[("a/b.rs", concat!("#[ig", "nore]\nfn a() {}\n"))], 1);
        check(dead_files, &[("a/src/lib.rs", "mod used;\n"), ("a/src/used.rs", ""), ("a/src/dead.rs", "")], 1);
    }

    #[test]
    fn a_vendor_is_a_folder_with_everything_in_it() {
        let described = format!("{OUTCOME_CLASSES:?}");
        let whole = [
            (
                "connectors/vendors.rs",
                "#[cfg_attr(sandbox, path = \"acme/sandbox/mod.rs\")]\npub(crate) mod acme;\nvendors![acme::Acme];\n",
            ),
            ("connectors/acme/mod.rs", ""),
            ("connectors/acme/map.rs", ""),
            ("connectors/acme/wire.rs", ""),
            ("connectors/acme/outcome.rs", ""),
            ("connectors/acme/README.md", ""),
            ("connectors/acme/sandbox/mod.rs", ""),
            ("connectors/acme/testdata/a.json", ""),
            ("connectors/acme/conformance.json", &described),
        ];
        check(connectors, &whole, 0);
        let mut silent = whole.to_vec();
        silent.pop();
        silent.push(("connectors/acme/conformance.json", "{ \"outcomes\": [\"accepted\"] }"));
        check(connectors, &silent, 6);
        for missing in 0..whole.len() {
            let mut part = whole.to_vec();
            if part.remove(missing).0 == "connectors/acme/mod.rs" {
                continue; // without it the folder is no connector at all
            }
            assert!(!connectors(&tree(&part)).is_empty(), "{} is not missed", whole[missing].0);
        }
        let mut named = whole.to_vec();
        named.push(("gateway/core/src/a.rs", "let x = \"Acme\";\n"));
        check(vendor_names, &named, 1);
    }
}
