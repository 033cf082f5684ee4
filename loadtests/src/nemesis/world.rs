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
use crate::checker::Vendor;
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
/// Each with vendors of its own: nothing of one may show at the other's.
pub(crate) const TENANTS: [&str; 2] = ["acme", "umbra"];
/// The broker gives up a consumer that has not acknowledged for so long: far beyond a claim's commit, below two heartbeats.
pub(crate) const ACK_MAX: Duration = Duration::from_secs(12);
/// Until somebody calls, a vendor's rules stay in force for at most so much longer.
const FIRED_MAX: Duration = Duration::from_secs(12);
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

/// One tenant, and who its applicants are sent to.
pub(crate) struct Tenant {
    pub(crate) name: &'static str,
    pub(crate) vendors: Vendors,
    pub(crate) key: String,
    pub(crate) postings: Vec<Open>,
}

pub(crate) struct World {
    pub(crate) clock: RunClock,
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) keepers: Vec<Arc<Keeper>>,
    pub(crate) links: Vec<Link>,
    pub(crate) doors: Vec<SocketAddr>,
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
        let engines = if plan.scaled {
            Some(Engines::start_for_faults(folder.path().join("database.ext4"), ACK_MAX).await?)
        } else {
            None
        };
        let mut links = Vec::new();
        let mut vendors = Vec::new();
        for (number, tenant) in (0_u64..).zip(TENANTS) {
            let mut of_tenant = Vendors::start(plan.seed ^ (number << 40), plan.submissions)?;
            for (name, sandbox) in [("ats", &mut of_tenant.ats), ("crm", &mut of_tenant.crm)] {
                let proxy = in_front_of(sandbox, plan.seed).await?;
                links.push(Link { name: format!("{name} of {tenant}"), proxy });
            }
            vendors.push(of_tenant);
        }
        let settings = engines.as_ref().map_or_else(Vec::new, |engines| engines.settings(engines.ports(), GATEWAYS));
        let place = Place { data: disk.folder.join("data"), settings };
        rig::prepare(&place)?;
        let mut tenants = Vec::new();
        for (name, vendors) in TENANTS.into_iter().zip(vendors) {
            let key = set_up_accounts(&place, name, &vendors)?;
            vendors.hide_new_records_for(LAG).await?;
            let open = postings::open(&vendors.ats).await?;
            let postings = open.into_iter().filter(|one| !one.needs_more_files).collect();
            tenants.push(Tenant { name, vendors, key, postings });
        }
        let mut world = Self {
            clock,
            tenants,
            keepers: Vec::new(),
            links,
            doors: Vec::new(),
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

    /// A command, tried again while something else is broken, at the engines as they are now: the database may have
    /// failed over since.
    async fn operate(&self, words: &[&'static str]) -> Result<()> {
        let deadline = self.clock.now() + OPERATOR_MAX;
        loop {
            let (mut place, words) = (self.place.clone(), words.to_vec());
            if let Some(engines) = &self.engines {
                place.settings.extend(engines.settings(engines.ports(), GATEWAYS));
            }
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

    /// The gateway that `draw` means, and which it is, from 0.
    pub(crate) fn keeper(&self, draw: u64) -> Result<(usize, &Arc<Keeper>)> {
        let index = usize::try_from(draw % self.keepers.len().max(1) as u64)?;
        Ok((index, self.keepers.get(index).context("a gateway")?))
    }

    /// Every link passes everything again.
    pub(crate) fn heal(&self) {
        for link in &self.links {
            link.proxy.heal();
        }
    }

    /// What an operator does when a vendor refused the credentials: looks, and lets the accounts go on.
    pub(crate) async fn resume(&self, account: &'static str) -> Result<()> {
        for tenant in &self.tenants {
            self.operate(&["accounts", "resume", account, "--tenant", tenant.name]).await?;
        }
        Ok(())
    }

    /// Every tenant's vendor plays these on top of what it always does, for so long, and longer until one fired; how often
    /// they did.
    pub(crate) async fn play_for(&self, vendor: Vendor, rules: &[Value], hold: Duration) -> Result<u64> {
        for tenant in &self.tenants {
            tenant.vendors.play(vendor, rules).await?;
        }
        tokio::time::sleep(hold).await;
        let longer = self.clock.now() + FIRED_MAX;
        let mut fired = self.fired(vendor, rules.len()).await?;
        while fired == 0 && self.clock.now() < longer {
            tokio::time::sleep(Duration::from_millis(200)).await;
            fired = self.fired(vendor, rules.len()).await?;
        }
        for tenant in &self.tenants {
            tenant.vendors.play(vendor, &[]).await?;
        }
        Ok(fired)
    }

    async fn fired(&self, vendor: Vendor, rules: usize) -> Result<u64> {
        let mut fired = 0;
        for tenant in &self.tenants {
            fired += tenant.vendors.fired(vendor, rules).await?;
        }
        Ok(fired)
    }

    /// The gateway whose link this is, counted from 0, if it is one between a gateway and what an accept needs.
    pub(crate) fn gateway_of(link: &str) -> Option<usize> {
        let (what, number) = link.split_once(" of gateway ")?;
        let number: usize = number.parse().ok()?;
        ["clients", "store"].contains(&what).then(|| number.saturating_sub(1))
    }
}

/// The tenant, its accounts and its postings; its key.
fn set_up_accounts(place: &Place, tenant: &str, vendors: &Vendors) -> Result<String> {
    let (calls, window, at_once) = (CALLS.to_string(), WINDOW.as_millis().to_string(), AT_ONCE.to_string());
    let claimed = (LAG + Duration::from_millis(100)).as_millis().to_string();
    let settings = [
        ("limit_calls", calls.as_str()),
        ("limit_window_ms", &window),
        ("limit_concurrency", &at_once),
        ("visibility_lag_ms", &claimed),
    ];
    rig::causeway(place, &["tenants", "create", tenant])?;
    rig::add_account(place, ("greenhouse", "ats"), &vendors.ats, &settings, Some(tenant))?;
    rig::add_account(place, ("hubspot", "crm"), &vendors.crm, &settings, Some(tenant))?;
    let scopes = ["keys", "create", "--name", "load", "--scope", "submit,read,support,privacy", "--tenant", tenant];
    let key = rig::causeway(place, &scopes)?;
    rig::causeway(place, &["jobs", "sync", "greenhouse", "--tenant", tenant])?;
    Ok(key["text"].as_str().context("keys create answers `text`")?.to_owned())
}

/// A proxy before a sandbox, and the sandbox's settings leading through it.
async fn in_front_of(sandbox: &mut Sandbox, seed: u64) -> Result<Proxy> {
    let proxy = Proxy::start(sandbox.address, seed).await?;
    let settings = sandbox.start_line["settings"].to_string();
    let through = settings.replace(&sandbox.address.to_string(), &proxy.address.to_string());
    sandbox.start_line["settings"] = serde_json::from_str::<Value>(&through)?;
    Ok(proxy)
}
