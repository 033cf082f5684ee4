//! Whatever `deploy/` names of the program exists there: flags, ports, variables, configuration keys, paths, metrics.
//!
//! Each rule is a function from one text to its complaints, given what the program has. The program is asked itself: its
//! command line's grammar, its embedded configuration, its API documents, its list of metrics. Each rule is tried on made-up
//! names too, so one that stopped finding anything is noticed.

mod commands;
mod names;
mod places;
mod program;

use std::path::Path;

use program::Program;

/// Path below `deploy/`, and text.
struct File {
    path: String,
    text: String,
}

fn read(folder: &Path, below: &str, files: &mut Vec<File>) {
    let entries = std::fs::read_dir(folder).expect("deploy/ is there");
    for entry in entries {
        let entry = entry.expect("a folder is read");
        let path = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.file_type().expect("it has a type").is_dir() {
            // Made by compose/prepare, and not the repository's.
            if path != "compose/secrets" {
                read(&entry.path(), &format!("{path}/"), files);
            }
        } else {
            files.push(File { path, text: std::fs::read_to_string(entry.path()).expect("text") });
        }
    }
}

fn files() -> Vec<File> {
    let mut files = Vec::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy"), "", &mut files);
    assert!(files.len() > 20, "deploy/ was not found");
    files
}

fn check(rule: impl Fn(&File, &Program) -> Vec<String>) {
    let program = Program::of_this_build();
    let complaints: Vec<String> = files()
        .iter()
        .flat_map(|file| rule(file, &program).into_iter().map(|complaint| format!("deploy/{}: {complaint}", file.path)))
        .collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// A rule finds as many faults in a made-up file as it should.
fn finds(rule: impl Fn(&File, &Program) -> Vec<String>, path: &str, text: &str, faults: usize) {
    let found = rule(&File { path: path.to_owned(), text: text.to_owned() }, &Program::of_this_build());
    assert_eq!(found.len(), faults, "{path}: {text}: {found:?}");
}

#[test]
fn every_metric_is_in_the_list() {
    check(names::metrics);
    finds(names::metrics, "a.yaml", "expr: causeway_ready == 0", 0);
    finds(names::metrics, "a.yaml", "expr: causeway_readiness == 0", 1);
    finds(names::metrics, "a.yaml", "rate(causeway_delivery_duration_seconds_bucket[5m])", 0);
    finds(names::metrics, "a.yaml", "rate(causeway_ready_bucket[5m])", 1);
    finds(names::metrics, "start", "IN ROLE causeway_gateway;", 0);
    finds(names::metrics, "start", "IN ROLE causeway_everything;", 1);
}

#[test]
fn every_label_and_its_value_is_a_metrics_own() {
    check(names::labels);
    finds(names::labels, "a.yaml", "causeway_http_requests_total{status=~\"5..\",route!=\"other\",instance=\"a\"}", 0);
    finds(names::labels, "a.yaml", "causeway_http_requests_total{code=\"500\"}", 1);
    finds(names::labels, "a.yaml", "causeway_deliveries{state=\"lost\"}", 1);
    finds(names::labels, "a.yaml", "causeway_deliveries{state=~\"parked|lost\"}", 1);
    finds(names::labels, "a.yaml", "sum by (le, connector) (x)", 0);
    finds(names::labels, "a.yaml", "sum by (le, vendor) (x)", 1);
    finds(names::labels, "a.yaml", "summary: {{ $labels.tenant }} {{ $labels.account }}", 1);
}

#[test]
fn every_variable_is_a_configuration_key() {
    check(names::variables);
    finds(names::variables, "a", "CAUSEWAY_STORE_DSN_FILE=x CAUSEWAY_CONFIG=y CAUSEWAY_DATA_ROOT_KEY_FILE=z", 0);
    finds(names::variables, "a", "CAUSEWAY_STORE_URL=x", 1);
}

#[test]
fn every_configuration_is_one() {
    check(names::configurations);
    finds(names::configurations, "a.toml", "[store]\nwriters = 2\n", 0);
    finds(names::configurations, "a.toml", "[store]\nwriter = 2\n", 1);
    finds(names::configurations, "a.toml", "[store]\nwriters = 0\n", 1);
    finds(names::configurations, "a.yaml", "data:\n  causeway.toml: |\n    [store]\n    writer = 2\n", 1);
    finds(names::configurations, "a.md", "longer than [limits] deadline, and [limits] patience", 1);
    finds(names::configurations, "a.md", "over `store.direct_dsn`, not `store.owner_dsn`; `start.sh` is no key", 1);
}

#[test]
fn every_command_is_one_of_the_program() {
    check(commands::commands);
    finds(commands::commands, "start", "causeway migrate\n# causeway is it\nsay \"causeway is it\"", 0);
    finds(commands::commands, "start", "causeway imigrate", 1);
    finds(commands::commands, "start", "launch x causeway --config \"$here/a.toml\" serve", 0);
    finds(commands::commands, "start", "launch x causeway --configuration \"$here/a.toml\" serve", 1);
    finds(commands::commands, "a.md", "`causeway accounts list`, and causeway is named", 0);
    finds(commands::commands, "a.md", "`causeway accounts pay`", 1);
    finds(
        commands::commands,
        "a.md",
        "```sh\ngiven | causeway accounts add x --role ats \\\n  --set a=\"$(b c)\" --secret c=-\n```",
        0,
    );
    finds(
        commands::commands,
        "a.md",
        "```sh\ngiven | causeway accounts add x --role ats \\\n  --put a=\"$(b c)\"\n```",
        1,
    );
    finds(commands::commands, "a.service", "ExecStart=/usr/local/bin/causeway serve --role ingress", 0);
    finds(commands::commands, "a.service", "ExecStart=/usr/local/bin/causeway serve --part ingress", 1);
}

#[test]
fn every_list_of_arguments_is_a_command_of_the_program() {
    check(commands::lists);
    finds(
        commands::lists,
        "a.yaml",
        "args: [\"--config\", \"/etc/x\", \"serve\", \"--role\", \"ingress,dispatch\"]",
        0,
    );
    finds(commands::lists, "a.yaml", "args: [\"serve\", \"--role\", \"baker\"]", 1);
    finds(commands::lists, "a.yaml", "args: [\"server\"]", 1);
    finds(commands::lists, "a.yaml", "command: [install, -m, \"0400\", a, b]", 0);
    finds(commands::lists, "Containerfile", "ENTRYPOINT [\"causeway\"]\nCMD [\"serve\"]", 0);
    finds(commands::lists, "Containerfile", "CMD [\"run\"]", 1);
}

#[test]
fn every_port_is_listened_on() {
    check(places::ports);
    finds(places::ports, "a.yaml", "containerPort: 8081\nport: 5432\nhttp://x:4318", 0);
    finds(places::ports, "a.yaml", "containerPort: 8082", 1);
    finds(places::ports, "Containerfile", "EXPOSE 8080 9999", 1);
    finds(places::ports, "two-gateways/haproxy.cfg", "server a 127.0.0.1:8091 port 8191", 0);
    finds(places::ports, "two-gateways/haproxy.cfg", "server a 127.0.0.1:8093 port 8191", 1);
}

#[test]
fn every_path_is_answered() {
    check(places::paths);
    finds(places::paths, "a.yaml", "httpGet: { path: /readyz, port: management }", 0);
    finds(places::paths, "a.yaml", "httpGet: { path: /ready, port: management }", 1);
    finds(places::paths, "a.cfg", "http-check send meth GET uri /livez", 1);
    finds(places::paths, "a.md", "curl http://127.0.0.1:8080/v1/applications/{id}/receipt", 0);
    finds(places::paths, "a.md", "curl http://127.0.0.1:8080/v2/applications", 1);
    finds(places::paths, "a.md", "curl http://127.0.0.1:9101/whatever", 0);
}

#[test]
fn what_was_not_run_says_so() {
    check(places::not_run);
    finds(places::not_run, "kubernetes/x.yaml", "# Not run where this was written.\n", 0);
    finds(places::not_run, "kubernetes/x.yaml", "# Runs everywhere.\n", 1);
}

#[test]
fn two_gateways_ports_are_the_ones_its_page_lists() {
    let complaints = places::two_gateways(&files());
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
    let mut moved = files();
    let config = moved.iter_mut().find(|file| file.path == "two-gateways/gateway-2.toml").expect("the second gateway");
    config.text = config.text.replace("8192", "8193");
    assert_eq!(places::two_gateways(&moved).len(), 3, "{:?}", places::two_gateways(&moved));
}
