//! The stage: sandboxes, a gateway process, a tenant with three accounts, a key, synced postings.
//!
//! Set up through the control socket, the door the command line uses too. One account has a wrong credential on purpose.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use backon::{ConstantBuilder, Retryable as _};
use causeway_core::account::{OnInvalid, OnUnknown, Repeats, Role};
use causeway_core::pii::Secret;
use serde_json::Value;
use tokio::process::{Child, Command};

use super::Options;
use super::call;
use super::sandboxes::Sandbox;
use crate::admin::{self, Request, Response};
use crate::setup::{AccountWish, Hidden, KeyWish};
use crate::store::setup::Scope;

/// Waits after each failed try; short, so that a visitor sees the end of it.
pub(super) const RETRY_SCHEDULE: &[&str] = &["500ms", "1s", "1s", "2s", "2s", "3s", "3s", "4s", "4s", "5s"];

/// Everything that was started.
pub(super) struct Stage {
    data: PathBuf,
    gateway: Child,
    public: SocketAddr,
    management: SocketAddr,
    pub(super) key: String,
    pub(super) ats: Sandbox,
    /// Another board, whose account has a wrong credential.
    pub(super) other_ats: Sandbox,
    pub(super) crm: Sandbox,
}

pub(super) const ATS: &str = "greenhouse";
pub(super) const OTHER_ATS: &str = "greenhouse-emea";
pub(super) const CRM: &str = "hubspot";

impl Stage {
    pub(super) async fn set(options: &Options) -> Result<Self> {
        let data = match &options.data {
            Some(data) => data.clone(),
            None => std::env::temp_dir().join(format!("causeway-demo-{}", std::process::id())),
        };
        // Ours alone, as the gateway makes its own.
        let folder = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&data);
        folder.with_context(|| format!("making {}", data.display()))?;
        ensure!(
            !data.join("causeway.db").exists(),
            "{} already holds data; the demonstration wants an empty folder",
            data.display()
        );
        super::play::say("starting two applicant tracking systems and a CRM");
        let ats = Sandbox::start("greenhouse", options.seed).await?;
        let other_ats = Sandbox::start("greenhouse", options.seed.wrapping_add(1)).await?;
        let crm = Sandbox::start("hubspot", options.seed).await?;
        let (public, management) = if options.once { (free()?, free()?) } else { (free_or(8080)?, free_or(8081)?) };
        super::play::say("starting the gateway");
        let gateway = start_gateway(&data, public, management).await?;
        let mut stage = Self { data, gateway, public, management, key: String::new(), ats, other_ats, crm };
        stage.ready().await?;
        stage.set_up().await?;
        Ok(stage)
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    pub(super) fn public(&self) -> SocketAddr {
        self.public
    }

    pub(super) fn management(&self) -> SocketAddr {
        self.management
    }

    /// Ends the gateway gracefully; the sandboxes end when they are dropped.
    pub(super) async fn strike(&mut self) -> Result<()> {
        if let Some(pid) = self.gateway.id() {
            let status = Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
            ensure!(status.success(), "the gateway could not be told to stop");
        }
        let ended = tokio::time::timeout(Duration::from_secs(40), self.gateway.wait()).await;
        let status = ended.context("the gateway did not stop within 40 s")??;
        ensure!(status.success(), "the gateway ended with {status}");
        Ok(())
    }

    async fn ready(&mut self) -> Result<()> {
        let management = self.management;
        let asked = || async move {
            let (status, _) = call::json(management, "GET", "/readyz", &[], None).await?;
            ensure!(status == 200, "not ready yet");
            Ok(())
        };
        let patience = ConstantBuilder::default().with_delay(Duration::from_millis(50)).with_max_times(400);
        let waited = asked.retry(patience).await;
        if let Some(status) = self.gateway.try_wait()? {
            bail!(
                "the gateway ended at start with {status}; its log is in {}",
                self.data.join("gateway.log").display()
            );
        }
        waited
    }

    /// One request through the control socket.
    pub(super) async fn ask(&self, request: Request) -> Result<Response> {
        let stream = admin::socket::connect(&self.data).await?.context("the gateway's control socket is not there")?;
        Ok(admin::socket::ask(stream, &request).await?)
    }

    async fn set_up(&mut self) -> Result<()> {
        super::play::say("setting up a tenant, three accounts and a key");
        self.ask(Request::TenantCreate { name: "acme".to_owned() }).await?;
        self.add(ATS, "greenhouse", Role::Ats, &self.ats, None).await?;
        self.add(OTHER_ATS, "greenhouse", Role::Ats, &self.other_ats, Some("board_api_key")).await?;
        self.add(CRM, "hubspot", Role::Crm, &self.crm, None).await?;
        let scopes = vec![Scope::Submit, Scope::Read, Scope::Support];
        let wish = KeyWish { scopes, ..KeyWish::default() };
        let made = self.ask(Request::KeyCreate { tenant: None, name: "career-site".to_owned(), wish }).await?;
        let Response::KeyMade { text, .. } = made else { bail!("a key was asked for") };
        text.0.reveal().clone_into(&mut self.key);
        super::play::say("reading the postings and their questions from both boards");
        for account in [ATS, OTHER_ATS] {
            self.sync(account).await?;
        }
        self.forms_are_there().await
    }

    pub(super) async fn sync(&self, account: &str) -> Result<()> {
        self.ask(Request::JobsSync { tenant: None, account: account.to_owned() }).await.map(drop)
    }

    async fn add(&self, name: &str, connector: &str, role: Role, sandbox: &Sandbox, wrong: Option<&str>) -> Result<()> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut settings: BTreeMap<String, String> =
            sandbox.settings.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        settings.insert("visibility_lag_ms".to_owned(), "2000".to_owned());
        let secrets = sandbox
            .credentials
            .iter()
            .map(|(name, value)| {
                let secret = if wrong == Some(name.as_str()) { "mistyped".to_owned() } else { text(value) };
                (name.clone(), Hidden(Secret::new(secret)))
            })
            .collect();
        let wish = AccountWish {
            connector: connector.to_owned(),
            role,
            name: Some(name.to_owned()),
            settings,
            secrets,
            allow_private: true,
            sandbox: false,
            staged: false,
            expires_at: None,
            on_invalid: OnInvalid::default(),
            repeats: Repeats::default(),
            on_unknown: OnUnknown::default(),
        };
        self.ask(Request::AccountAdd { tenant: None, wish }).await.map(drop)
    }

    /// Forms come in the background; the play begins when every open posting has its own.
    async fn forms_are_there(&self) -> Result<()> {
        let asked = || async {
            let Response::Jobs(postings) = self.ask(Request::Jobs { tenant: None, account: None }).await? else {
                bail!("postings were asked for")
            };
            let missing = postings.iter().filter(|one| one.closed_at.is_none() && one.form.is_none()).count();
            ensure!(missing == 0 && !postings.is_empty(), "{missing} of {} postings have no form yet", postings.len());
            Ok(())
        };
        asked.retry(ConstantBuilder::default().with_delay(Duration::from_millis(100)).with_max_times(300)).await
    }
}

async fn start_gateway(data: &Path, public: SocketAddr, management: SocketAddr) -> Result<Child> {
    let program = std::env::current_exe().context("finding this program's own file")?;
    let made = Command::new(&program)
        .args(["keys", "init-root", "--json"])
        .env("CAUSEWAY_DATA_DIR", data)
        .stdout(Stdio::null())
        .status()
        .await?;
    ensure!(made.success(), "the root key could not be made");
    let log = std::fs::File::create(data.join("gateway.log"))?;
    Command::new(program)
        .arg("serve")
        .env("CAUSEWAY_DATA_DIR", data)
        .env("CAUSEWAY_LISTEN_PUBLIC", public.to_string())
        .env("CAUSEWAY_LISTEN_MANAGEMENT", management.to_string())
        .env("CAUSEWAY_RETRY_SCHEDULE", RETRY_SCHEDULE.join(","))
        // Outages in the play last seconds.
        .env("CAUSEWAY_DISPATCH_BREAKER_OPEN_FIRST", "300ms")
        .env("CAUSEWAY_DISPATCH_BREAKER_OPEN_MOST", "1s")
        .env("CAUSEWAY_RETRY_VERIFY_GAP", "1s")
        .env("CAUSEWAY_ALIKE_PROBES", "1s,2s")
        // The play decides when the gateway learns of a closed job.
        .env("CAUSEWAY_SYNC_JOBS", "1h")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .context("starting the gateway")
}

fn free() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// This port if nobody has it, else a free one.
fn free_or(port: u16) -> Result<SocketAddr> {
    match std::net::TcpListener::bind(("127.0.0.1", port)) {
        Ok(listener) => Ok(listener.local_addr()?),
        Err(_) => free(),
    }
}
