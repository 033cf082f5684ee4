//! A vendor's sandbox as a process of its own, and its control API. Ended when dropped.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::client::Client;
use crate::process::PROGRAM;

pub(crate) struct Sandbox {
    child: Child,
    pub(crate) address: SocketAddr,
    /// What an admin would type in: `credentials` and `settings`.
    pub(crate) told: Value,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill and `wait` returns at once.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Sandbox {
    pub(crate) async fn start(name: &str) -> Result<Self> {
        let mut child = Command::new(PROGRAM)
            .args(["sandbox", name])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = child.stdout.take().context("its output is piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let told: Value = serde_json::from_str(&line).with_context(|| format!("the {name} sandbox said: {line}"))?;
        let address = told["listening"].as_str().context("it says where it listens")?;
        let address = address.trim_start_matches("http://").parse()?;
        let sandbox = Self { child, address, told };
        let at_once = json!({ "rate_limit": { "calls": 20_000, "window_ms": 10_000 }, "visibility_lag_ms": 100 });
        sandbox.settings(&at_once).await?;
        Ok(sandbox)
    }

    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut client = Client::new(self.address, Duration::from_secs(30));
        let (status, answer) = client.json(method, path, None, body).await?;
        ensure!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        Ok(answer)
    }

    pub(crate) async fn settings(&self, settings: &Value) -> Result<()> {
        self.call("POST", "/_sandbox/settings", Some(settings)).await.map(drop)
    }

    /// Replaces the scripted faults.
    pub(crate) async fn faults(&self, rules: &Value) -> Result<()> {
        let body = json!({ "replace": true, "rules": rules });
        self.call("POST", "/_sandbox/faults", Some(&body)).await.map(drop)
    }

    /// How often the only scripted fault fired.
    pub(crate) async fn fired(&self) -> Result<u64> {
        let rules = self.call("GET", "/_sandbox/faults", None).await?;
        rules.pointer("/rules/0/fired").and_then(Value::as_u64).with_context(|| format!("no count in {rules}"))
    }

    /// Publishes a job as the control API takes it, and answers all of it.
    pub(crate) async fn publish_as(&self, job: &Value) -> Result<Value> {
        self.call("POST", "/_sandbox/jobs", Some(job)).await
    }

    /// Publishes a job at the ATS and answers its id.
    pub(crate) async fn publish(&self, title: &str, questions: &Value) -> Result<String> {
        let job = json!({ "title": title, "questions": questions });
        Ok(self.call("POST", "/_sandbox/jobs", Some(&job)).await?["id"].to_string())
    }

    /// Closes or reopens a job at the ATS.
    pub(crate) async fn live(&self, job: &str, live: bool) -> Result<()> {
        self.call("POST", &format!("/_sandbox/jobs/{job}"), Some(&json!({ "live": live }))).await.map(drop)
    }

    /// The vendor's data.
    pub(crate) async fn records(&self) -> Result<Value> {
        self.call("GET", "/_sandbox/records", None).await
    }

    /// How many applications of this address the ATS holds.
    pub(crate) async fn applications_of(&self, email: &str) -> Result<usize> {
        let records = self.records().await?;
        let applications = records["applications"].as_array().context("an ATS has applications")?;
        Ok(applications.iter().filter(|one| one["email"] == email).count())
    }

    /// Every entry of the vendor's ledger for one operation.
    pub(crate) async fn ledger(&self, operation: &str) -> Result<Vec<Value>> {
        let (mut entries, mut after) = (Vec::new(), 0);
        loop {
            let page = self.call("GET", &format!("/_sandbox/ledger?after={after}"), None).await?;
            let page = page["entries"].as_array().context("a ledger has entries")?.clone();
            let Some(last) = page.last().and_then(|entry| entry["seq"].as_u64()) else { return Ok(entries) };
            after = last;
            entries.extend(page.into_iter().filter(|entry| entry["operation"] == operation));
        }
    }
}
