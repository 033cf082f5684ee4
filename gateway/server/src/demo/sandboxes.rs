//! The vendors of the demonstration: sandboxes as processes of their own, started from this same program.

use std::net::SocketAddr;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::call;

/// A running sandbox. Ended when dropped.
pub(super) struct Sandbox {
    _child: Child,
    pub(super) address: SocketAddr,
    pub(super) credentials: serde_json::Map<String, Value>,
    pub(super) settings: serde_json::Map<String, Value>,
}

impl Sandbox {
    pub(super) async fn start(name: &str, seed: u64) -> Result<Self> {
        let program = std::env::current_exe().context("finding this program's own file")?;
        let mut child = Command::new(program)
            .args(["sandbox", name, "--listen", "127.0.0.1:0", "--seed", &seed.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting the {name} sandbox"))?;
        let stdout = child.stdout.take().context("the sandbox's output is piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).await?;
        let said: Value = serde_json::from_str(&line).with_context(|| format!("the {name} sandbox did not start"))?;
        let listening = said["listening"].as_str().context("the sandbox says where it listens")?;
        let address = listening.trim_start_matches("http://").parse()?;
        let object = |member: &str| said[member].as_object().cloned().unwrap_or_default();
        Ok(Self { _child: child, address, credentials: object("credentials"), settings: object("settings") })
    }

    /// A call to the sandbox's own controls, or to its public API.
    pub(super) async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let (status, answer) = call::json(self.address, method, path, &[], body).await?;
        ensure!((200..300).contains(&status), "{method} {path}: {status}");
        Ok(answer)
    }

    /// Replaces the scripted faults.
    pub(super) async fn faults(&self, rules: Value) -> Result<()> {
        let body = serde_json::json!({ "replace": true, "rules": rules });
        self.call("POST", "/_sandbox/faults", Some(&body)).await.map(drop)
    }

    /// Every entry of the vendor's ledger.
    pub(super) async fn ledger(&self) -> Result<Vec<Value>> {
        let mut entries = Vec::new();
        let mut after = 0;
        loop {
            let page = self.call("GET", &format!("/_sandbox/ledger?after={after}"), None).await?;
            let page = page["entries"].as_array().context("a ledger has entries")?.clone();
            let Some(last) = page.last().and_then(|entry| entry["seq"].as_u64()) else { return Ok(entries) };
            after = last;
            entries.extend(page);
        }
    }
}
