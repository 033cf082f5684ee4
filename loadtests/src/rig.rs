//! The rig: the built programs as real processes on loopback, set up the way the README sets them up.
//!
//! It knows the command line and the HTTP API and nothing else of the gateway. Everything it starts it ends, by pid.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::client::Client;

/// A sandbox process.
pub(crate) struct Sandbox {
    child: Child,
    pub(crate) address: SocketAddr,
    /// What an admin would type in: `credentials` and `settings`.
    pub(crate) start_line: Value,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Where a gateway keeps its things, and which settings its commands need to find them: none when it keeps all in a folder.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) data: PathBuf,
    /// `CAUSEWAY_…` variables.
    pub(crate) settings: Vec<(String, String)>,
}

impl Place {
    /// All of it in one folder.
    pub(crate) fn folder(data: PathBuf) -> Self {
        Self { data, settings: Vec::new() }
    }

    /// For another gateway over the same engines: a data directory beside this one, with the same root key and the same
    /// attachments, as two processes of one machine may share a folder.
    pub(crate) fn beside(&self, number: usize) -> Result<Self> {
        let name = self.data.file_name().context("a data directory has a name")?.to_string_lossy().into_owned();
        let data = self.data.with_file_name(format!("{name}{number}"));
        let blobs = self.data.join("blobs");
        std::fs::create_dir_all(&data)?;
        std::fs::create_dir_all(&blobs)?;
        std::os::unix::fs::symlink(&blobs, data.join("blobs"))?;
        let root_key = self.data.join("root.key").display().to_string();
        let settings = [&self.settings[..], &[("CAUSEWAY_DATA_ROOT_KEY_FILE".to_owned(), root_key)]].concat();
        Ok(Self { data, settings })
    }
}

/// What the gateway is started with.
#[derive(Clone, Default)]
pub(crate) struct GatewayOptions {
    /// `causeway serve`, or a broken gateway.
    pub(crate) command: Vec<String>,
    /// `CAUSEWAY_…` variables.
    pub(crate) settings: Vec<(String, String)>,
    /// Put before the program, such as `strace …`.
    pub(crate) wrapper: Vec<String>,
    /// Where its log goes; into the data directory unless given.
    pub(crate) log: Option<PathBuf>,
}

/// A gateway process.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) public: SocketAddr,
    pub(crate) management: SocketAddr,
}

impl Gateway {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and wait for the end.
    pub(crate) fn kill(mut self) {
        end(&mut self.child);
    }

    /// Waits for the end of a process that was told to end in another way.
    pub(crate) fn wait_for_end(mut self) -> Result<()> {
        let status = self.child.wait()?;
        ensure!(status.success(), "the gateway ended with {status}");
        Ok(())
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Result<Option<std::process::ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// SIGTERM, and wait for a clean end.
    pub(crate) fn stop(mut self) -> Result<()> {
        signal(self.child.id(), "TERM")?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the gateway ended with {status} after SIGTERM");
        Ok(())
    }

    /// Processor time so far, in seconds.
    pub(crate) fn cpu_s(&self) -> Result<f64> {
        cpu_s(self.child.id())
    }

    /// Resident memory now, in MB.
    pub(crate) fn rss_mb(&self) -> Result<f64> {
        rss_mb(self.child.id())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself; then there is nothing to kill and `wait` returns at once.
    drop(child.kill());
    drop(child.wait());
}

pub(crate) fn signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status()?;
    ensure!(status.success(), "kill -{name} {pid} failed");
    Ok(())
}

/// User and system time of a process and its threads. The kernel counts both for user space in hundredths of a second.
pub(crate) fn cpu_s(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(')').context("no command name")?.1;
    let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse);
    let ticks: Vec<f64> = ticks.collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

pub(crate) fn rss_mb(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kilobytes: f64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
    Ok(kilobytes / 1024.0)
}

/// The program that lies beside this one.
pub(crate) fn beside_me(name: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    ensure!(path.exists(), "{} is not built: cargo build --release -p causeway -p causeway-loadtests", path.display());
    Ok(path)
}

/// The command line of the gateway, or of a gateway with one promise broken.
pub(crate) fn gateway_command(broken: Option<&str>) -> Result<Vec<String>> {
    let (program, argument) = match broken {
        None => (beside_me("causeway")?, "serve"),
        Some(promise) => (beside_me("broken")?, promise),
    };
    Ok(vec![program.display().to_string(), argument.to_owned()])
}

/// A free loopback port, found by binding it for a moment.
pub(crate) fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

pub(crate) fn start_sandbox(name: &str, seed: u64) -> Result<Sandbox> {
    let mut child = Command::new(beside_me("causeway")?)
        .args(["sandbox", name, "--listen", "127.0.0.1:0", "--seed", &seed.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let stdout = child.stdout.take().context("piped")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let start_line: Value = serde_json::from_str(&line).with_context(|| format!("the {name} sandbox said: {line}"))?;
    let url = start_line["listening"].as_str().context("listening")?;
    let address = url.trim_start_matches("http://").parse()?;
    Ok(Sandbox { child, address, start_line })
}

/// A tenant that was set up: what `curl` needs.
pub(crate) struct Tenancy {
    pub(crate) data: PathBuf,
    pub(crate) key: String,
}

/// Runs one command of the program and returns its JSON answer.
pub(crate) fn causeway(place: &Place, arguments: &[&str]) -> Result<Value> {
    let output = Command::new(beside_me("causeway")?)
        .args(arguments)
        .arg("--json")
        .env("CAUSEWAY_DATA_DIR", &place.data)
        .env("CAUSEWAY_LOG_FILTER", "warn")
        .envs(place.settings.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()?;
    ensure!(
        output.status.success(),
        "causeway {}: {}\n{}",
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).with_context(|| format!("causeway {} printed no JSON", arguments.join(" ")))
}

/// Tenant, accounts at both sandboxes, key, postings: the README's path. `extra` are further account settings.
pub(crate) fn set_up(place: &Place, ats: &Sandbox, crm: &Sandbox, extra: &[(&str, &str)]) -> Result<Tenancy> {
    prepare(place)?;
    causeway(place, &["tenants", "create", "acme"])?;
    add_account(place, ("greenhouse", "ats"), ats, extra, None)?;
    add_account(place, ("hubspot", "crm"), crm, extra, None)?;
    let key = causeway(place, &["keys", "create", "--name", "load", "--scope", "submit,read,support,privacy"])?;
    let key = key["text"].as_str().context("keys create answers `text`")?.to_owned();
    causeway(place, &["jobs", "sync", "greenhouse"])?;
    Ok(Tenancy { data: place.data.clone(), key })
}

/// The folder, the root key and, where things are kept elsewhere, the tables and queues.
pub(crate) fn prepare(place: &Place) -> Result<()> {
    std::fs::create_dir_all(&place.data)?;
    causeway(place, &["keys", "init-root"])?;
    if !place.settings.is_empty() {
        causeway(place, &["migrate"])?;
    }
    Ok(())
}

/// An account with what its sandbox told, for the only tenant unless one is named. `extra` are further settings.
pub(crate) fn add_account(
    place: &Place,
    (connector, role): (&str, &str),
    sandbox: &Sandbox,
    extra: &[(&str, &str)],
    tenant: Option<&str>,
) -> Result<()> {
    let mut arguments: Vec<String> =
        ["accounts", "add", connector, "--role", role, "--allow-private"].map(str::to_owned).to_vec();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for (name, value) in sandbox.start_line["settings"].as_object().context("settings")? {
        arguments.extend(["--set".to_owned(), format!("{name}={}", text(value))]);
    }
    for (name, value) in extra {
        arguments.extend(["--set".to_owned(), format!("{name}={value}")]);
    }
    for (name, value) in sandbox.start_line["credentials"].as_object().context("credentials")? {
        let file = place.data.join(format!("{connector}-{name}-{}.secret", tenant.unwrap_or("only")));
        std::fs::write(&file, text(value))?;
        arguments.extend(["--secret-file".to_owned(), format!("{name}={}", file.display())]);
    }
    arguments.extend(tenant.into_iter().flat_map(|tenant| ["--tenant".to_owned(), tenant.to_owned()]));
    causeway(place, &arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
    Ok(())
}

/// Starts a gateway at a place, on free ports, and waits until it is ready.
pub(crate) async fn start_in(place: &Place, options: &GatewayOptions) -> Result<Gateway> {
    let mut options = options.clone();
    options.settings = [&place.settings[..], &options.settings].concat();
    start_gateway(&place.data, &options, free_port()?, free_port()?).await
}

/// Starts the gateway on the given ports and waits until it is ready.
pub(crate) async fn start_gateway(
    data: &Path,
    options: &GatewayOptions,
    public: u16,
    management: u16,
) -> Result<Gateway> {
    let mut gateway = spawn_gateway(data, options, public, management)?;
    ready(&mut gateway, &log_of(data, options)).await?;
    Ok(gateway)
}

fn log_of(data: &Path, options: &GatewayOptions) -> PathBuf {
    options.log.clone().unwrap_or_else(|| data.join("gateway.log"))
}

/// Starts the gateway on the given ports, ready or not.
pub(crate) fn spawn_gateway(data: &Path, options: &GatewayOptions, public: u16, management: u16) -> Result<Gateway> {
    let line: Vec<String> = options.wrapper.iter().chain(&options.command).cloned().collect();
    let (program, arguments) = line.split_first().context("a program")?;
    let log = std::fs::File::options().create(true).append(true).open(log_of(data, options))?;
    let child = Command::new(program)
        .args(arguments)
        .env("CAUSEWAY_DATA_DIR", data)
        .env("CAUSEWAY_LISTEN_PUBLIC", format!("127.0.0.1:{public}"))
        .env("CAUSEWAY_LISTEN_MANAGEMENT", format!("127.0.0.1:{management}"))
        .env("CAUSEWAY_LIMITS_QUOTA_PER_SECOND", "1000000")
        .env("CAUSEWAY_LIMITS_QUOTA_BURST", "1000000")
        .env("CAUSEWAY_LOG_FILTER", "warn")
        .envs(options.settings.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .with_context(|| format!("starting {program}"))?;
    Ok(Gateway {
        child,
        public: SocketAddr::from(([127, 0, 0, 1], public)),
        management: SocketAddr::from(([127, 0, 0, 1], management)),
    })
}

async fn ready(gateway: &mut Gateway, log: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(status) = gateway.child.try_wait()? {
            let log = std::fs::read_to_string(log).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(10).collect();
            bail!("the gateway ended at start with {status}:\n{}", tail.join("\n"));
        }
        let mut client = Client::new(gateway.management, Duration::from_secs(1));
        if let Ok((200, _)) = client.json("GET", "/readyz", None, None).await {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the gateway was not ready within 60 s");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Sandbox {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A call to the sandbox's own controls.
    pub(crate) async fn control(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut client = Client::new(self.address, Duration::from_secs(60));
        let (status, answer) = client.json(method, path, None, body).await?;
        ensure!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        Ok(answer)
    }

    /// Replaces the scripted faults.
    pub(crate) async fn faults(&self, rules: Value) -> Result<()> {
        self.control("POST", "/_sandbox/faults", Some(&json!({ "replace": true, "rules": rules }))).await.map(drop)
    }

    /// Every entry of the vendor's ledger.
    pub(crate) async fn ledger(&self) -> Result<Vec<Value>> {
        let mut entries = Vec::new();
        let mut after = 0;
        loop {
            let page = self.control("GET", &format!("/_sandbox/ledger?after={after}"), None).await?;
            let page = page["entries"].as_array().context("entries")?.clone();
            let Some(last) = page.last().and_then(|entry| entry["seq"].as_u64()) else { return Ok(entries) };
            after = last;
            entries.extend(page);
        }
    }
}
