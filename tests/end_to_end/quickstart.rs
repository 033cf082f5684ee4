//! The README's quickstart, word for word: its marked blocks are one script, run by a shell that stops at any failure.
//!
//! Only the ports are replaced, because those of the README may be in use here. The page's module is run by Node as a
//! browser would run it, with the page's origin.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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
    let began = Instant::now();
    let mut group = start(&format!("{listen}{script}"), folder.path())?;
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    let status = until("the quickstart to end", Duration::from_secs(120), async || {
        group.0.try_wait()?.with_context(|| format!("{}\n{}", read("said"), read("complained")))
    })
    .await?;
    let log = read("quickstart/gateway.log");
    ensure!(status.success(), "{status}\n{}\n{}\n{log}", read("said"), read("complained"));

    let commands = began.elapsed();

    let receipt: Value = serde_json::from_str(&read("quickstart/receipt.json"))?;
    ensure!(receipt["receipt"].is_string() && receipt["code"].is_string(), "a receipt, not {receipt}");
    let told: Value = serde_json::from_str(&read("quickstart/preflight.json"))?;
    ensure!(told["submit"]["status"] == 202 && told["targets"].as_array().is_some_and(|all| all.len() == 2), "{told}");
    let form: Value = serde_json::from_str(&read("quickstart/form.json"))?;
    ensure!(form["digest"] == told["form"]["digest"], "one form, not {form} and {told}");
    verified(&folder.path().join("quickstart"))?;
    let paged = Instant::now();
    page(&folder.path().join("quickstart"))?;
    let paged = paged.elapsed();
    let data = folder.path().join("quickstart/data");
    let data = data.to_str().context("a path of ours")?;
    for email in ["ada@example.org", "grace@example.org", "alan@example.org"] {
        delivered(data, email).await.with_context(|| format!("{email}\n{log}"))?;
    }
    // For loadtests/RESULTS.md: what the machine takes of the ten minutes. The limits of the waits above are the bound.
    println!(
        "quickstart: commands {commands:.1?}, page {paged:.1?}, all three delivered after {:.1?}",
        began.elapsed()
    );
    Ok(())
}

/// The receipt that was fetched, checked as the README says.
fn verified(folder: &Path) -> Result<()> {
    const VERIFIER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/verify_receipt.mjs");
    let given = ["signed.json", "receipt-keys.json", "application.json", "cv.txt"];
    let node = Command::new("node").arg(VERIFIER).args(given).current_dir(folder).output()?;
    ensure!(node.status.success(), "{}", String::from_utf8_lossy(&node.stderr));
    Ok(())
}

/// What the page does when its form is sent.
fn page(folder: &Path) -> Result<()> {
    const SCRIPT: &str = "const plain = fetch;
        globalThis.fetch = (url, init) =>
            plain(url, { ...init, headers: { ...init.headers, Origin: 'http://localhost:3000' } });
        const { apply } = await import('./apply.mjs');
        const { site } = await import('./site.mjs');
        const person = { name: { given: 'Alan' }, emails: [{ address: 'alan@example.org' }] };
        const cv = new Blob(['I mend bridges.'], { type: 'text/plain' });
        const missing = await apply({ ...site, attempt: 'alan-1' }, person, cv);
        person.name.family = 'Example';
        const receipt = await apply({ ...site, attempt: 'alan-1' }, person, cv);
        console.log(JSON.stringify({ missing, receipt }));";
    let node = Command::new("node").args(["--input-type=module", "-e", SCRIPT]).current_dir(folder).output()?;
    let said: Value = serde_json::from_slice(&node.stdout)
        .with_context(|| format!("node: {}", String::from_utf8_lossy(&node.stderr)))?;
    ensure!(said["missing"][0]["pointer"] == "/person/name/family", "the page learns what is missing: {said}");
    ensure!(said["receipt"]["code"].is_string(), "then it gets a receipt: {said}");
    let html = std::fs::read_to_string(folder.join("index.html"))?;
    ensure!(html.contains("apply.mjs") && html.contains("site.mjs"), "the page uses the same modules: {html}");
    Ok(())
}

/// Waits until both deliveries of a person's application are.
async fn delivered(data: &str, email: &str) -> Result<()> {
    until("both deliveries", Duration::from_secs(60), async || {
        let input = format!("{email}\n");
        let ran = run(&[("CAUSEWAY_DATA_DIR", data)], &["why", "--email", "-", "--json"], &input)?;
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
            "{}",
            serde_json::to_string_pretty(&why)?
        );
        ensure!(submission["reason"]["code"] == "delivered" && submission["who_acts"] == "nobody", "{submission}");
        Ok(())
    })
    .await
}

#[test]
fn only_marked_blocks_are_run() {
    let readme = format!("```sh\nno\n```\n{MARK}one\n```\ntext\n{MARK}two\n```\n");
    assert_eq!(blocks(&readme), ["one\n", "two\n"]);
}
