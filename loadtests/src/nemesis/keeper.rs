//! Keeps one gateway running, as a service manager would: whatever ended it, it is started again.
//!
//! Faults send signals; the keeper alone reaps and starts. An end that nobody asked for is kept with its status.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::clock::RunClock;
use crate::client::Client;
use crate::rig::{self, Gateway, GatewayOptions};

const LOOK: Duration = Duration::from_millis(20);
/// What failed at its start is tried again after so long.
const PAUSE: Duration = Duration::from_millis(300);
const READY_MAX: Duration = Duration::from_secs(90);

/// How a process ended that nobody had told to.
#[derive(Debug, Clone)]
pub(crate) struct Exit {
    pub(crate) name: String,
    pub(crate) at: Duration,
    /// After so long.
    pub(crate) ran: Duration,
    pub(crate) status: String,
}

pub(crate) struct Keeper {
    pub(crate) name: String,
    pub(crate) data: PathBuf,
    pub(crate) options: GatewayOptions,
    pub(crate) public: u16,
    pub(crate) management: u16,
    clock: RunClock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    gateway: Option<Gateway>,
    started: Option<Instant>,
    starts: u64,
    told: bool,
    let_go: bool,
    exits: Vec<Exit>,
    last_end: Option<ExitStatus>,
    /// In MB, and when it was.
    most_rss: (f64, Duration),
}

impl Keeper {
    pub(crate) fn new(name: String, data: PathBuf, options: GatewayOptions, clock: RunClock) -> Result<Self> {
        // Ports that no outgoing connection gets while the gateway is down.
        let (public, management) = (causeway_servers::free_port()?, causeway_servers::free_port()?);
        Ok(Self { name, data, options, public, management, clock, state: Mutex::default() })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Until it is dropped.
    pub(crate) async fn keep(&self) -> Result<()> {
        let mut looks = 0_u64;
        loop {
            self.look(looks)?;
            looks += 1;
            tokio::time::sleep(LOOK).await;
        }
    }

    fn look(&self, looks: u64) -> Result<()> {
        let mut state = self.state();
        if let Some(gateway) = &mut state.gateway {
            if let Some(status) = gateway.ended()? {
                state.gateway = None;
                state.last_end = Some(status);
                if !std::mem::take(&mut state.told) {
                    let ran = state.started.map_or(Duration::ZERO, |started| started.elapsed());
                    let (name, at) = (self.name.clone(), self.clock.now());
                    state.exits.push(Exit { name, at, ran, status: describe(status) });
                }
            } else if looks.is_multiple_of(25) {
                // Between the look and this one it may have ended.
                let rss = gateway.rss_mb().unwrap_or(0.0);
                if rss > state.most_rss.0 {
                    state.most_rss = (rss, self.clock.now());
                }
            }
        }
        if state.gateway.is_none() && !state.let_go && state.started.is_none_or(|started| started.elapsed() > PAUSE) {
            state.told = false;
            state.gateway = Some(rig::spawn_gateway(&self.data, &self.options, self.public, self.management)?);
            state.started = Some(Instant::now());
            state.starts += 1;
        }
        Ok(())
    }

    /// The process as it is now.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.state().gateway.as_ref().map(Gateway::pid)
    }

    /// Sends a signal that ends it or may end it; the end is expected then.
    pub(crate) fn end_by(&self, signal: &str) -> Result<()> {
        let mut state = self.state();
        if let Some(gateway) = &mut state.gateway
            && gateway.ended()?.is_none()
        {
            state.told = true;
            let pid = state.gateway.as_ref().map(Gateway::pid).context("it is there")?;
            rig::signal(pid, signal)?;
        }
        Ok(())
    }

    pub(crate) fn starts(&self) -> u64 {
        self.state().starts
    }

    pub(crate) fn exits(&self) -> Vec<Exit> {
        self.state().exits.clone()
    }

    /// In MB, and when that was.
    pub(crate) fn most_rss(&self) -> (f64, Duration) {
        self.state().most_rss
    }

    /// Waits until a start after the given number of them answers that it is ready.
    pub(crate) async fn ready_after(&self, starts: u64) -> Result<()> {
        let (deadline, exits) = (Instant::now() + READY_MAX, self.exits().len());
        let mut client = Client::new(self.management_address(), Duration::from_secs(1));
        loop {
            if self.starts() > starts
                && let Ok((200, _)) = client.json("GET", "/readyz", None, None).await
            {
                return Ok(());
            }
            let failed = self.exits().len() - exits;
            ensure!(Instant::now() < deadline, "{} was not ready within {READY_MAX:?} and {failed} starts", self.name);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether it answers a caller it does not know yet.
    pub(crate) async fn lets_in(&self) -> bool {
        let mut client = Client::new(self.management_address(), Duration::from_secs(1));
        client.json("GET", "/healthz", None, None).await.is_ok()
    }

    pub(crate) fn public_address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.public).into()
    }

    pub(crate) fn management_address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.management).into()
    }

    /// How it ended last, told once.
    pub(crate) fn take_last_end(&self) -> Option<ExitStatus> {
        self.state().last_end.take()
    }

    pub(crate) fn forget_last_end(&self) {
        self.state().last_end = None;
    }

    /// Ends it for good, gently.
    pub(crate) fn finish(&self) -> Result<()> {
        let gateway = {
            let mut state = self.state();
            state.let_go = true;
            state.gateway.take()
        };
        gateway.map_or(Ok(()), Gateway::stop)
    }
}

fn describe(status: ExitStatus) -> String {
    status.signal().map_or_else(|| status.to_string(), |signal| format!("signal {signal}"))
}
