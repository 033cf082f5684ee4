//! The tree that the rules look at: every text file git knows or would know, by its path from the root.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Paths and texts.
pub(crate) struct Tree(pub(crate) BTreeMap<String, String>);

impl Tree {
    /// The repository this test was built from.
    pub(crate) fn of_this_repository() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let listing = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard"])
            .current_dir(&root)
            .output()
            .expect("git lists the files");
        assert!(listing.status.success(), "git ls-files failed");
        let names = String::from_utf8(listing.stdout).expect("paths are UTF-8");
        let texts = names
            .lines()
            .filter_map(|name| Some((name.to_owned(), std::fs::read_to_string(root.join(name)).ok()?)))
            .collect::<BTreeMap<_, _>>();
        assert!(texts.len() > 20, "the tree was not found");
        Self(texts)
    }

    /// Rust files, with the part of each that is not its tests.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter(|(path, _)| path.ends_with(".rs")).map(|(path, text)| {
            let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
            (path.as_str(), code)
        })
    }
}
