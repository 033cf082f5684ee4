//! The README's quickstart, word for word: its marked blocks are one script, run by a shell that stops at any failure.
//!
//! Only the ports are replaced, because those of the README may be in use here.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::process::{PROGRAM, free_port, run, until};

const README: &str = include_str!("../../README.md");
const MARK: &str = "<!-- quickstart -->\n```sh\n";
const PORTS: [&str; 4] = ["9101", "9102", "8080", "8081"];

/// The marked blocks, in order.
fn blocks(readme: &str) -> Vec<&str> {
    readme.split(MARK).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// The shell and everything it left running: one process group.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        drop(Command::new("kill").args(["-KILL", "--", &format!("-{}", self.0.id())]).status());
        drop(self.0.wait());
    }
}

fn start(script: &str, folder: &Path) -> Result<Group> {
    let program = Path::new(PROGRAM).parent().and_then(Path::to_str).context("it lies in a folder")?;
    #[expect(clippy::disallowed_methods, reason = "the shell needs the path it would have; this is no configuration")]
    let path = std::env::var("PATH")?;
    let child = Command::new("bash")
        .args(["-c", script])
        .current_dir(folder)
        .env("PATH", format!("{program}:{path}"))
        .stdin(Stdio::null())
        .stdout(File::create(folder.join("said"))?)
        .stderr(File::create(folder.join("complained"))?)
        .process_group(0)
        .spawn()?;
    Ok(Group(child))
}

#[tokio::test]
async fn the_quickstart_ends_with_a_delivered_application() -> Result<()> {
    let blocks = blocks(README);
    ensure!(blocks.len() >= 5, "the README marks its quickstart");
    let mut script = format!("set -euo pipefail\n{}", blocks.concat());
    let mut ports = Vec::new();
    for port in PORTS {
        ensure!(script.contains(port) || port.starts_with("808"), "the README uses {port}");
        ports.push(free_port()?.to_string());
        script = script.replace(port, &ports[ports.len() - 1]);
    }
    let listen = format!(
        "export CAUSEWAY_LISTEN_PUBLIC=127.0.0.1:{} CAUSEWAY_LISTEN_MANAGEMENT=127.0.0.1:{}\n",
        ports[2], ports[3]
    );
    let folder = tempfile::tempdir()?;
    let mut group = start(&format!("{listen}{script}"), folder.path())?;
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    let status = until("the quickstart to end", Duration::from_secs(120), async || {
        group.0.try_wait()?.with_context(|| format!("{}\n{}", read("said"), read("complained")))
    })
    .await?;
    let log = read("quickstart/gateway.log");
    ensure!(status.success(), "{status}\n{}\n{}\n{log}", read("said"), read("complained"));

    let receipt: Value = serde_json::from_str(&read("quickstart/receipt.json"))?;
    ensure!(receipt["receipt"].is_string() && receipt["code"].is_string(), "a receipt, not {receipt}");
    let data = folder.path().join("quickstart/data");
    let data = data.to_str().context("a path of ours")?;
    until("both deliveries", Duration::from_secs(60), async || {
        let ran = run(&[("CAUSEWAY_DATA_DIR", data)], &["why", "--email", "-", "--json"], "ada@example.org\n")?;
        let why = ran.answer()?;
        let submission = &why["submissions"][0];
        let states: Vec<(&Value, &Value)> = submission["deliveries"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| (&one["account"], &one["state"]))
            .collect();
        ensure!(
            states.len() == 2 && states.iter().all(|(_, state)| *state == "delivered"),
            "{}\n{log}",
            serde_json::to_string_pretty(&why)?
        );
        ensure!(submission["reason"]["code"] == "delivered" && submission["who_acts"] == "nobody", "{submission}");
        Ok(())
    })
    .await?;
    Ok(())
}

#[test]
fn only_marked_blocks_are_run() {
    let readme = format!("```sh\nno\n```\n{MARK}one\n```\ntext\n{MARK}two\n```\n");
    assert_eq!(blocks(&readme), ["one\n", "two\n"]);
}
