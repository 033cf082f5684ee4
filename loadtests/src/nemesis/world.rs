//! Everything of a run: vendors, gateways, and a proxy on every link between two of them. Set up the way the README does.
//!
//! It starts and connects; what breaks is in `inject`. Whatever it started ends with it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use super::Plan;
use super::clock::RunClock;
use super::keeper::Keeper;
use super::schedule::Part;
use super::vendors::Vendors;
use crate::disk::Disk;
use crate::engines::{Engines, blocking};
use crate::postings::{self, Open};
use crate::proxy::Proxy;
use crate::rig::{self, GatewayOptions, Place, Sandbox};

/// What the accounts say of their vendors: calls in a window, and at once.
pub(crate) const CALLS: u64 = 500;
pub(crate) const WINDOW: Duration = Duration::from_secs(1);
const AT_ONCE: u64 = 32;
/// How long the vendors hide new records; the accounts say a little more.
const LAG: Duration = Duration::from_millis(600);
const DISK_MB: u64 = 1_500;
const GATEWAYS: usize = 2;
/// An operator gives up after so long.
const OPERATOR_MAX: Duration = Duration::from_secs(90);

/// A gateway learns quickly here what it learns in hours elsewhere.
const SETTINGS: &[(&str, &str)] = &[
    ("CAUSEWAY_RETRY_SCHEDULE", "200ms,500ms,1s,2s,2s,3s,3s,3s,5s,5s,5s,5s,5s,5s,5s,5s,5s,5s,5s,5s,5s,5s,5s,5s"),
    ("CAUSEWAY_RETRY_RETRY_AFTER_CAP", "3s"),
    ("CAUSEWAY_RETRY_VERIFY_GAP", "500ms"),
    ("CAUSEWAY_DISPATCH_ATTEMPT_TIMEOUT", "3s"),
    ("CAUSEWAY_DISPATCH_LEASE", "25s"),
    ("CAUSEWAY_DISPATCH_BREAKER_OPEN_FIRST", "200ms"),
    ("CAUSEWAY_DISPATCH_BREAKER_OPEN_MOST", "1s"),
    ("CAUSEWAY_ALIKE_PROBES", "1s,2s,5s"),
];

/// A link and its proxy.
pub(crate) struct Link {
    pub(crate) name: String,
    pub(crate) proxy: Proxy,
}

pub(crate) struct World {
    pub(crate) clock: RunClock,
    pub(crate) vendors: Vendors,
    pub(crate) keepers: Vec<Arc<Keeper>>,
    pub(crate) links: Vec<Link>,
    pub(crate) doors: Vec<SocketAddr>,
    pub(crate) key: String,
    pub(crate) postings: Vec<Open>,
    pub(crate) place: Place,
    pub(crate) log: PathBuf,
    parts: [Mutex<()>; 8],
    /// Commits wait for the standby that takes over.
    pub(crate) synchronous: bool,
    pub(crate) engines: Option<Engines>,
    pub(crate) disk: Disk,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn set_up(plan: &Plan, clock: RunClock) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let disk = Disk::mount(folder.path().join("disk"), DISK_MB)?;
        let log = folder.path().join("gateway.log");
        let engines =
            if plan.scaled { Some(Engines::start(Some(folder.path().join("database.ext4"))).await?) } else { None };
        let mut vendors = Vendors::start(plan.seed, plan.submissions)?;
        let mut links = Vec::new();
        for (name, sandbox) in [("ats", &mut vendors.ats), ("crm", &mut vendors.crm)] {
            links.push(Link { name: name.to_owned(), proxy: in_front_of(sandbox, plan.seed).await? });
        }
        let settings = engines.as_ref().map_or_else(Vec::new, |engines| engines.settings(engines.ports(), GATEWAYS));
        let place = Place { data: disk.folder.join("data"), settings };
        let tenancy = set_up_accounts(&place, &vendors)?;
        vendors.hide_new_records_for(LAG).await?;
        let postings = postings::open(&vendors.ats).await?.into_iter().filter(|one| !one.needs_more_files).collect();
        let mut world = Self {
            clock,
            vendors,
            keepers: Vec::new(),
            links,
            doors: Vec::new(),
            key: tenancy.key,
            postings,
            place,
            log,
            parts: Default::default(),
            synchronous: plan.broken != Some("asynchronous-fail-over"),
            engines,
            disk,
            _folder: folder,
        };
        for number in 1..=if plan.scaled { GATEWAYS } else { 1 } {
            world.add_gateway(plan, number).await?;
        }
        Ok(world)
    }

    /// A gateway with a data directory of its own, behind proxies of its own.
    async fn add_gateway(&mut self, plan: &Plan, number: usize) -> Result<()> {
        let name = format!("gateway {number}");
        let mut settings: Vec<(String, String)> =
            SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        if let Some(engines) = &self.engines {
            let (postgres, broker, redis) = engines.ports();
            let mut through = [0; 3];
            for (at, (what, port)) in [("store", postgres), ("broker", broker), ("redis", redis)].iter().enumerate() {
                let proxy = Proxy::start(([127, 0, 0, 1], *port).into(), plan.seed).await?;
                through[at] = proxy.address.port();
                self.links.push(Link { name: format!("{what} of {name}"), proxy });
            }
            settings.extend(engines.settings((through[0], through[1], through[2]), GATEWAYS));
        }
        let place = if number == 1 { self.place.clone() } else { self.place.beside(number)? };
        // What leads through the proxies stands after what leads past them.
        settings = [&place.settings[..], &settings].concat();
        // Controls of the fail-over run the gateway as it is.
        let broken = plan.broken.filter(|_| self.synchronous);
        let options = GatewayOptions {
            command: rig::gateway_command(broken)?,
            settings,
            log: Some(self.log.clone()),
            ..GatewayOptions::default()
        };
        let keeper = Arc::new(Keeper::new(name.clone(), place.data, options, self.clock)?);
        let ingress = Proxy::start(keeper.public_address(), plan.seed).await?;
        self.doors.push(ingress.address);
        self.links.push(Link { name: format!("clients of {name}"), proxy: ingress });
        self.keepers.push(keeper);
        Ok(())
    }

    /// Waits for a part's turn: two faults of one part are never at work at once.
    pub(crate) async fn part(&self, part: Part) -> MutexGuard<'_, ()> {
        self.parts[part as usize].lock().await
    }

    /// What an operator does when something is missing at an engine.
    pub(crate) async fn migrate(&self) -> Result<()> {
        self.operate(&["migrate"]).await
    }

    /// A command, tried again while something else is broken.
    async fn operate(&self, words: &[&'static str]) -> Result<()> {
        let deadline = self.clock.now() + OPERATOR_MAX;
        loop {
            let (place, words) = (self.place.clone(), words.to_vec());
            match blocking(move || rig::causeway(&place, &words)).await {
                Ok(_) => return Ok(()),
                Err(error) if self.clock.now() > deadline => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
    }

    pub(crate) fn link(&self, name: &str) -> Result<&Link> {
        self.links.iter().find(|link| link.name == name).context("a link of that name")
    }

    /// The gateway that `draw` means.
    pub(crate) fn keeper(&self, draw: u64) -> Result<&Arc<Keeper>> {
        let index = usize::try_from(draw % self.keepers.len().max(1) as u64)?;
        self.keepers.get(index).context("a gateway")
    }

    /// Every link passes everything again.
    pub(crate) fn heal(&self) {
        for link in &self.links {
            link.proxy.heal();
        }
    }

    /// What an operator does when a vendor refused the credentials: looks, and lets the account go on.
    pub(crate) async fn resume(&self, account: &'static str) -> Result<()> {
        self.operate(&["accounts", "resume", account]).await
    }
}

fn set_up_accounts(place: &Place, vendors: &Vendors) -> Result<rig::Tenancy> {
    let (calls, window, at_once) = (CALLS.to_string(), WINDOW.as_millis().to_string(), AT_ONCE.to_string());
    let claimed = (LAG + Duration::from_millis(100)).as_millis().to_string();
    let settings = [
        ("limit_calls", calls.as_str()),
        ("limit_window_ms", &window),
        ("limit_concurrency", &at_once),
        ("visibility_lag_ms", &claimed),
    ];
    rig::set_up(place, &vendors.ats, &vendors.crm, &settings)
}

/// A proxy before a sandbox, and the sandbox's settings leading through it.
async fn in_front_of(sandbox: &mut Sandbox, seed: u64) -> Result<Proxy> {
    let proxy = Proxy::start(sandbox.address, seed).await?;
    let settings = sandbox.start_line["settings"].to_string();
    let through = settings.replace(&sandbox.address.to_string(), &proxy.address.to_string());
    sandbox.start_line["settings"] = serde_json::from_str::<Value>(&through)?;
    Ok(proxy)
}
