//! Places: ports, paths, and whether a file says that it was not run.

use std::collections::{BTreeMap, BTreeSet};

use causeway::config::Config;

use super::File;
use super::names::words;
use super::program::Program;

/// Ports of others, by what they are.
const OTHERS: [(u16, &str); 11] = [
    (53, "names"),
    (80, "a service's own"),
    (443, "https"),
    (4318, "OpenTelemetry over HTTP"),
    (5432, "PostgreSQL"),
    (5671, "AMQP with TLS"),
    (5672, "AMQP"),
    (6379, "Redis"),
    (9000, "an S3-compatible store"),
    (9090, "Prometheus"),
    (6432, "pgbouncer"),
];
/// Where what is listened on is said in a table of the page, which a rule of its own holds against the files.
const OWN_PORTS: [&str; 2] = ["two-gateways/", "prometheus/"];

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// Numbers that stand where a port stands.
fn named_ports(text: &str) -> BTreeSet<u16> {
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let exposed =
            line.strip_prefix("EXPOSE ").map(|list| list.split(' ').filter_map(|port| port.parse::<u16>().ok()));
        found.extend(exposed.into_iter().flatten());
        // What follows an image's name is its version.
        let is_image = line.contains("image: ") || line.starts_with("FROM ");
        for (at, digits) in words(line, is_digit).filter(|_| !is_image) {
            let before = line.get(..at).unwrap_or_default().trim_end_matches('"');
            let host = before.strip_suffix(':').and_then(|host| host.chars().next_back());
            // Times have colons between figures too: a host ends in a letter, a bracket, or as an address does.
            let at_host = host.is_some_and(|c| c.is_ascii_alphabetic() || c == '*')
                || before.ends_with("0.0.1:")
                || before.ends_with("0.0.0:");
            let said = ["ort: ", " port ", "ports: ", "/port: "].iter().any(|word| before.ends_with(word));
            // The scripts of two-gateways write a port's last figure as a variable.
            let whole = !line.get(at + digits.len()..).unwrap_or_default().starts_with('$');
            if whole && (at_host || said) {
                found.extend(digits.parse::<u16>().ok().filter(|port| *port > 0));
            }
        }
    }
    found
}

pub(crate) fn ports(file: &File, program: &Program) -> Vec<String> {
    let own =
        if OWN_PORTS.iter().any(|folder| file.path.starts_with(folder)) { listed_ports() } else { BTreeMap::new() };
    named_ports(&file.text)
        .into_iter()
        .filter(|port| !program.ports.contains(port) && !own.contains_key(port))
        .filter(|port| OTHERS.iter().all(|(known, _)| known != port))
        .map(|port| format!("nothing listens on {port}"))
        .collect()
}

/// The table of deploy/two-gateways: each port, and the files that it says it is in.
fn listed_ports() -> BTreeMap<u16, Vec<String>> {
    table(include_str!("../../deploy/two-gateways/README.md"))
}

fn table(page: &str) -> BTreeMap<u16, Vec<String>> {
    let rows =
        page.lines().filter(|line| line.starts_with("| ") && line.contains('`') || line.contains("| this page |"));
    rows.filter_map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let files: Vec<String> = cells.last()?.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Some(
            words(cells.first()?, is_digit)
                .filter_map(|(_, port)| port.parse().ok())
                .map(|port| (port, files.clone()))
                .collect::<Vec<_>>(),
        )
    })
    .flatten()
    .collect()
}

/// Each port of the page's table is in the files it names, and each gateway's own file says what HAProxy says of it.
pub(crate) fn two_gateways(files: &[File]) -> Vec<String> {
    let text = |name: &str| {
        let path = format!("two-gateways/{name}");
        files.iter().find(|file| file.path == path).map_or_else(String::new, |file| file.text.clone())
    };
    let mut complaints = Vec::new();
    for (port, places) in table(&text("README.md")) {
        for place in places.iter().filter(|place| *place != "common.sh" || port == 8404) {
            if !words(&text(place), is_digit).any(|(_, digits)| digits == port.to_string()) {
                complaints.push(format!("{port} is not in {place}"));
            }
        }
    }
    for number in 1..=2 {
        let name = format!("gateway-{number}.toml");
        let listen = match Config::from_parts(Some((&name, &text(&name))), std::iter::empty()) {
            Ok(config) => config.fixed.listen,
            Err(mistakes) => return vec![mistakes.to_string()],
        };
        let line =
            format!("server gateway-{number} {} addr 127.0.0.1 port {}", listen.public, listen.management.port());
        if !text("haproxy.cfg").contains(&line) {
            complaints.push(format!("haproxy.cfg does not say: {line}"));
        }
        // The scripts write a gateway's number as its ports' last figure.
        let ends = |port: u16| port % 10 == number;
        if !ends(listen.public.port()) || !ends(listen.management.port()) {
            complaints.push(format!("{name}: its ports do not end in {number}"));
        }
    }
    complaints
}

/// Requests for the gateway in a text: what is asked of it.
fn named_paths(file: &File, program: &Program) -> Vec<String> {
    let end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ',' | '}' | ')' | '|' | '>' | '<');
    let cut = |rest: &str| rest.split(end).next().unwrap_or_default().trim_end_matches(['.', ';', ':']).to_owned();
    let mut found = Vec::new();
    let probes = ["path: /", "GET uri /", "metrics_path: /", "io/path: /"];
    let yaml = file.path.ends_with(".yaml") || file.path.ends_with(".cfg");
    for probe in probes.iter().filter(|_| yaml) {
        found.extend(file.text.split(probe).skip(1).map(|rest| format!("/{}", cut(rest))));
    }
    let gateways: BTreeSet<u16> = program.ports.iter().copied().chain([8080, 8091, 8092, 8191, 8192]).collect();
    for rest in file.text.split("http://127.0.0.1:").skip(1) {
        let Some((_, port)) = words(rest, is_digit).next().filter(|(at, _)| *at == 0) else { continue };
        let path = rest.strip_prefix(port).filter(|path| path.starts_with('/'));
        let ours = port.parse().is_ok_and(|port| gateways.contains(&port));
        // Up to a brace of a template's own.
        found.extend(path.filter(|_| ours).map(|path| {
            path.split(|c: char| end(c) && c != '}')
                .next()
                .unwrap_or_default()
                .trim_end_matches(['.', ';', ':'])
                .to_owned()
        }));
    }
    found
}

pub(crate) fn paths(file: &File, program: &Program) -> Vec<String> {
    named_paths(file, program)
        .into_iter()
        .filter(|path| path != "/" && !program.paths.contains(path))
        .map(|path| format!("{path} is answered by no listener"))
        .collect()
}

/// What was run here; everything else says that it was not.
const RUN: [&str; 5] = ["two-gateways/", "packages", "prometheus/", "SCALING.md", "compose/prepare"];

pub(crate) fn not_run(file: &File, _: &Program) -> Vec<String> {
    let run = RUN.iter().any(|place| file.path.starts_with(place));
    let head: String = file.text.lines().take(6).collect();
    let says = head.to_lowercase().contains("not run where this was written");
    if run || says { Vec::new() } else { vec!["say at its top that it was not run where it was written".to_owned()] }
}
