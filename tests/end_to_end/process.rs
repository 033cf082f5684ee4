//! The program as a process: running its commands, signalling it, and waiting for what it brings about.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The built program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_causeway");

/// Asks again and again until it succeeds; past the limit the last failure is the error.
pub(crate) async fn until<T>(what: &str, limit: Duration, mut probe: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    let mut again = tokio::time::interval(Duration::from_millis(25));
    loop {
        again.tick().await;
        match probe().await {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() > deadline => {
                return Err(error.context(format!("waited {limit:?} for {what}")));
            }
            Err(_) => {}
        }
    }
}

/// A free loopback port, found by binding it for a moment.
pub(crate) fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

pub(crate) fn signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status()?;
    ensure!(status.success(), "kill -{name} {pid} failed");
    Ok(())
}

/// What a command of the program came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("no JSON: {self:?}"))
    }

    /// Its JSON answer, if it was answered.
    pub(crate) fn answer(&self) -> Result<Value> {
        ensure!(self.code == 0, "{self:?}");
        self.json()
    }
}

/// Runs the program with an environment of its own.
pub(crate) fn run(environment: &[(&str, &str)], arguments: &[&str], input: &str) -> Result<Ran> {
    let mut child = Command::new(PROGRAM)
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // A command that reads nothing may be gone already.
    drop(child.stdin.take().context("its input is piped")?.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().context("it ended by a signal")?;
    Ok(Ran { code, stdout: text(&output.stdout), stderr: text(&output.stderr) })
}
