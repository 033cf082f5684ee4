//! The rig: a gateway process in a folder of its own, a tenant with an ATS and a CRM, a key, a job to apply to.
//!
//! It knows the command line and the environment and nothing else of the gateway. What it starts it ends, by pid.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::Value;

use crate::client::Client;
use crate::disk::SmallDisk;
use crate::people;
use crate::process::{PROGRAM, Ran, free_port, run, signal, until};
use crate::sandbox::Sandbox;
use crate::site::Site;

/// A gateway with a tenant and its vendors.
pub(crate) struct Rig {
    // Dropped in this order: the processes before the folder they write to.
    gateway: Option<Child>,
    pub(crate) ats: Sandbox,
    pub(crate) crm: Sandbox,
    pub(crate) site: Site,
    pub(crate) management: SocketAddr,
    /// A job that asks for a name and an address only.
    pub(crate) job: String,
    settings: Vec<(String, String)>,
    /// What it is told to do; everything, when empty.
    roles: String,
    disk: Option<SmallDisk>,
    folder: tempfile::TempDir,
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(gateway) = &mut self.gateway {
            drop(gateway.kill());
            drop(gateway.wait());
        }
    }
}

impl Rig {
    /// Set up and running.
    pub(crate) async fn new() -> Result<Self> {
        Self::with(&[]).await
    }

    /// As [`Self::new`], with `CAUSEWAY_…` variables.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Result<Self> {
        let mut rig = Self::set_up(settings).await?;
        rig.start().await?;
        rig.form_is_there(&rig.job).await?;
        Ok(rig)
    }

    /// Set up, and not started yet.
    pub(crate) async fn set_up(settings: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (ats, crm) = (Sandbox::start("greenhouse").await?, Sandbox::start("hubspot").await?);
        let job = ats.publish("Bridge Keeper", &people::plain_questions()).await?;
        let gateway = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let management = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let site = Site { gateway, key: String::new() };
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let roles = String::new();
        let mut rig = Self { gateway: None, ats, crm, site, management, job, settings, roles, disk: None, folder };
        rig.ask(&["keys", "init-root"])?;
        if rig.settings.iter().any(|(name, _)| name == "CAUSEWAY_STORE_DSN") {
            rig.ask(&["migrate"])?;
        }
        rig.ask(&["tenants", "create", "acme"])?;
        rig.add_account("greenhouse", "ats", &rig.ats, &[])?;
        rig.add_account("hubspot", "crm", &rig.crm, &[])?;
        let key = rig.ask(&["keys", "create", "--name", "site", "--scope", "submit,read,support"])?;
        key["text"].as_str().context("keys create answers the key's text")?.clone_into(&mut rig.site.key);
        rig.ask(&["jobs", "sync", "greenhouse"])?;
        Ok(rig)
    }

    /// The data directory, as the tests see it.
    pub(crate) fn data(&self) -> PathBuf {
        let data = self.data_of_the_gateway();
        match (self.disk, &self.gateway) {
            (Some(disk), Some(gateway)) => disk.seen_from_outside(gateway.id(), &data),
            (_, None) | (None, _) => data,
        }
    }

    fn data_of_the_gateway(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// From its next start on, the gateway's disk can be filled.
    pub(crate) fn small_disk(&mut self) -> Result<()> {
        self.disk = Some(SmallDisk::here()?);
        Ok(())
    }

    /// The disk, the process on it and the data there.
    pub(crate) fn disk(&self) -> Result<(SmallDisk, u32, PathBuf)> {
        Ok((self.disk.context("it was not made small")?, self.pid()?, self.data()))
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("gateway.log")
    }

    /// A folder outside the data directory.
    pub(crate) fn beside(&self) -> &Path {
        self.folder.path()
    }

    /// Adds an account with what its sandbox told, as an admin types it. `more` are further arguments.
    pub(crate) fn add_account(&self, connector: &str, role: &str, vendor: &Sandbox, more: &[&str]) -> Result<()> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let fixed = ["accounts", "add", connector, "--role", role, "--allow-private", "--set", "visibility_lag_ms=300"];
        let mut arguments: Vec<String> = fixed.iter().chain(more).map(|text| (*text).to_owned()).collect();
        for (name, value) in vendor.told["settings"].as_object().context("settings")? {
            arguments.extend(["--set".to_owned(), format!("{name}={}", text(value))]);
        }
        let mut input = String::new();
        for (name, value) in vendor.told["credentials"].as_object().context("credentials")? {
            arguments.extend(["--secret".to_owned(), format!("{name}=-")]);
            input.push_str(&format!("{}\n", text(value)));
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ran = self.cli(&arguments, &input)?;
        ensure!(ran.code == 0, "{ran:?}");
        Ok(())
    }

    /// Runs a command on this data directory.
    pub(crate) fn cli(&self, arguments: &[&str], input: &str) -> Result<Ran> {
        let data = self.data();
        let data = data.to_str().context("a path of ours")?;
        let store = self.settings.iter().filter(|(name, _)| name.starts_with("CAUSEWAY_STORE_"));
        let store = store.map(|(name, value)| (name.as_str(), value.as_str()));
        let told: Vec<_> =
            [("CAUSEWAY_DATA_DIR", data), ("CAUSEWAY_LOG_FILTER", "warn")].into_iter().chain(store).collect();
        run(&told, arguments, input)
    }

    /// Runs a command that has to be answered, for machines.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Result<Value> {
        let with_json: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        self.cli(&with_json, "")?.answer().with_context(|| format!("causeway {}", arguments.join(" ")))
    }

    /// What became of a person's applications.
    pub(crate) fn why(&self, email: &str) -> Result<Ran> {
        self.cli(&["why", "--email", "-", "--json"], &format!("{email}\n"))
    }

    /// Forms come in the background; waits until this job's is there.
    pub(crate) async fn form_is_there(&self, job: &str) -> Result<()> {
        until("the job's form", Duration::from_secs(45), async || {
            let jobs = self.ask(&["jobs", "show", job])?;
            let found =
                jobs.as_array().into_iter().flatten().any(|one| one["form"].is_array() || one["form"].is_object());
            if found { Ok(()) } else { bail!("{jobs}") }
        })
        .await
    }

    /// The program that serves this data directory, not started yet.
    fn serve(&self) -> Result<Command> {
        let log = std::fs::File::options().create(true).append(true).open(self.log())?;
        let data = self.data_of_the_gateway();
        let mut line = self.disk.map_or_else(Vec::new, |disk| disk.wrapper(&data));
        line.extend([PROGRAM.to_owned(), "serve".to_owned()]);
        if !self.roles.is_empty() {
            line.extend(["--role".to_owned(), self.roles.clone()]);
        }
        let mut command = Command::new(&line[0]);
        command
            .args(&line[1..])
            .env("CAUSEWAY_DATA_DIR", &data)
            .env("CAUSEWAY_LISTEN_PUBLIC", self.site.gateway.to_string())
            .env("CAUSEWAY_LISTEN_MANAGEMENT", self.management.to_string())
            .env("CAUSEWAY_RETRY_SCHEDULE", "200ms,500ms,1s,1s,2s,2s,3s,3s,5s,5s")
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        Ok(command)
    }

    /// Starts the gateway and waits until it is ready.
    pub(crate) async fn start(&mut self) -> Result<()> {
        ensure!(self.gateway.is_none(), "it runs already");
        self.gateway = Some(self.serve()?.spawn()?);
        let (management, log) = (self.management, self.log());
        let gateway = self.gateway.as_mut().context("started above")?;
        let ready = until("the gateway to be ready", Duration::from_secs(60), async || {
            if gateway.try_wait()?.is_some() {
                return Ok(false);
            }
            let (status, _) =
                Client::new(management, Duration::from_secs(1)).json("GET", "/readyz", None, None).await?;
            if status == 200 { Ok(true) } else { bail!("{status}") }
        });
        ensure!(ready.await?, "the gateway ended: {}", std::fs::read_to_string(log)?);
        Ok(())
    }

    /// From its next start on it has these roles, or every role.
    pub(crate) fn roles(&mut self, roles: &str) {
        roles.clone_into(&mut self.roles);
    }

    /// Text of the management listener.
    pub(crate) async fn manage(&self, path: &str) -> Result<(u16, String)> {
        let request = Request::get(path).header("host", "gateway").body(Full::new(Bytes::new()))?;
        let (parts, body) = Client::new(self.management, Duration::from_secs(10)).send(request).await?.into_parts();
        Ok((parts.status.as_u16(), String::from_utf8(body.to_vec())?))
    }

    /// Starts a gateway that has to refuse, and answers what it said.
    pub(crate) fn start_refused(&self) -> Result<(ExitStatus, String)> {
        let output = self.serve()?.stderr(Stdio::piped()).output()?;
        Ok((output.status, String::from_utf8_lossy(&output.stderr).into_owned()))
    }

    pub(crate) fn pid(&self) -> Result<u32> {
        Ok(self.gateway.as_ref().context("it does not run")?.id())
    }

    /// The id of a person's only application.
    pub(crate) fn id_of(&self, email: &str) -> Result<String> {
        let why = self.why(email)?.answer()?;
        why["submissions"][0]["id"].as_str().map(str::to_owned).with_context(|| format!("no submission in {why}"))
    }

    /// Is it still the process that was started?
    pub(crate) fn runs(&mut self) -> Result<bool> {
        Ok(self.gateway.as_mut().context("it was not started")?.try_wait()?.is_none())
    }

    /// SIGKILL, and wait for the end.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let mut gateway = self.gateway.take().context("it does not run")?;
        gateway.kill()?;
        gateway.wait()?;
        Ok(())
    }

    /// SIGTERM; answers how it ended and how long it took.
    pub(crate) async fn stop(&mut self) -> Result<(ExitStatus, Duration)> {
        signal(self.pid()?, "TERM")?;
        self.stopped().await
    }

    /// Waits for the end of a gateway that was told to stop.
    pub(crate) async fn stopped(&mut self) -> Result<(ExitStatus, Duration)> {
        let asked = Instant::now();
        let gateway = self.gateway.as_mut().context("it runs")?;
        let status = until("the gateway to stop", Duration::from_secs(60), async || {
            gateway.try_wait()?.context("it still runs")
        })
        .await?;
        self.gateway = None;
        Ok((status, asked.elapsed()))
    }

    /// Resident memory now, in MB.
    pub(crate) fn rss_mb(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
        let kilobytes: f64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
        Ok(kilobytes / 1024.0)
    }
}
