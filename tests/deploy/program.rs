//! What the program has, asked of the program.

use std::collections::BTreeSet;
use std::path::Path;

use causeway::cli::args::Cli;
use causeway::config::{Config, DEFAULT_FILE};
use causeway::ingress;
use causeway::telemetry::metrics::{ALL, Kind, Metric};
use clap::CommandFactory as _;

pub(crate) struct Program {
    /// The command line's grammar.
    pub(crate) cli: clap::Command,
    /// Configuration keys, dotted.
    pub(crate) keys: BTreeSet<String>,
    /// What both listeners answer to, as templates.
    pub(crate) paths: BTreeSet<String>,
    /// Ports it listens on unless it is told otherwise.
    pub(crate) ports: BTreeSet<u16>,
    /// The database's own words: roles and functions that migrations make.
    sql: String,
}

impl Program {
    pub(crate) fn of_this_build() -> Self {
        let mut cli = Cli::command();
        cli.build();
        let config = Config::default().fixed.listen;
        let documents = [
            ingress::public_document(),
            ingress::management_document(
                causeway::support::http::routes().unserved(),
                causeway::webhooks::http::routes().unserved(),
            ),
        ];
        let paths = documents
            .iter()
            .map(|document| serde_json::to_value(document).expect("a document"))
            .flat_map(|document| {
                document["paths"].as_object().expect("it has paths").keys().cloned().collect::<Vec<_>>()
            })
            .collect();
        let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations/postgres");
        let sql = std::fs::read_dir(migrations)
            .expect("migrations")
            .map(|entry| std::fs::read_to_string(entry.expect("a file").path()).expect("text"))
            .collect();
        Self { cli, keys: keys(), paths, ports: [config.public.port(), config.management.port()].into(), sql }
    }

    /// A metric by a name as queries write it: of a histogram, one of its three series.
    pub(crate) fn metric(&self, name: &str) -> Option<&'static Metric> {
        ALL.iter().find(|metric| match metric.kind {
            Kind::Counter | Kind::Gauge => metric.name == name,
            Kind::Histogram => {
                ["_bucket", "_sum", "_count"].iter().any(|end| name.strip_suffix(end) == Some(metric.name))
            }
        })
    }

    /// A name that a migration gives to something.
    pub(crate) fn is_sql(&self, name: &str) -> bool {
        super::names::words(&self.sql, |c| c.is_ascii_alphanumeric() || c == '_').any(|(_, word)| word == name)
    }
}

/// The embedded file is the list of keys.
fn keys() -> BTreeSet<String> {
    let file: toml::Table = toml::from_str(DEFAULT_FILE).expect("the embedded file is TOML");
    let sections = file.iter().filter_map(|(section, keys)| Some((section, keys.as_table()?)));
    sections.flat_map(|(section, keys)| keys.keys().map(move |key| format!("{section}.{key}"))).collect()
}
